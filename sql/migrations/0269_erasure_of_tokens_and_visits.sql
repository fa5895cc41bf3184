-- What an erased person could still come in with goes: portal tokens, links to surveys that nobody answered, and the marks by which their browser was known.
set local role crm_owner;

insert into crm.erasure_rule (relation, place, action, when_column, when_values, basis_en, basis_tr) values
  ('crm.portal_session', 1, 'delete', null, null, 'A token of the person''s.', 'Kişinin oturumu.'),
  ('crm.portal_access', 1, 'delete', null, null, 'The person''s access to the portal.', 'Kişinin portal erişimi.'),
  ('crm.survey_invitation', 1, 'delete', 'state', '{due,sent,skipped}', 'A link sent to the person, not answered.', 'Kişiye gönderilen, yanıtlanmamış bağlantı.'),
  ('crm.web_event', 1, 'delete', null, null, 'What the person looked at; pages stay counted.', 'Kişinin baktıkları; sayfa sayıları kalır.'),
  ('crm.web_visitor', 1, 'delete', null, null, 'The mark of the person''s browser.', 'Kişinin tarayıcısının işareti.');

-- Erasing works without ordinary triggers; gateways must forget a token that is gone all the same.
alter table crm.portal_access enable always trigger portal_access_announce;
alter table crm.portal_session enable always trigger portal_session_announce;

-- The register says a year for devices, and a token that has ended is of no use to anybody.
set local role none;
set local role crm_steward;
insert into crm.retention_rule (code, title_en, title_tr, relation, action, columns, counts_from, keep_days, when_column, when_values, is_active) values
  ('web_events', 'Visits to web pages', 'Web ziyaretleri', 'crm.web_event', 'delete', null, 'at', 365, null, null, true),
  ('web_visitors', 'Browsers that did not come back', 'Geri gelmeyen tarayıcılar', 'crm.web_visitor', 'delete', null, 'last_seen_at', 366, null, null, true),
  ('portal_sessions', 'Portal tokens that have ended', 'Süresi biten portal oturumları', 'crm.portal_session', 'delete', null, 'expires_at', 30, null, null, true);
set local role none;
set local role crm_owner;
