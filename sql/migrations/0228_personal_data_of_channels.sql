-- What interactions, conversations, consent, messages and tickets hold of persons, entered into the register of processing, and what becomes of it.
set local role crm_owner;

select crm.register_personal(relation, category, columns) from (values
  ('crm.conversation', 'correspondence', '{subject}'::text[]), ('crm.interaction', 'correspondence', '{subject,body_text,body_html}'),
  ('crm.interaction', 'contact_details', '{sender,recipients}'), ('crm.attachment', 'correspondence', '{name}'), ('crm.draft', 'correspondence', '{subject,body_text}'),
  ('crm.internal_note', 'correspondence', '{text}'), ('crm.notice', 'correspondence', '{text_en,text_tr}'), ('crm.notice_digest', 'correspondence', '{body_text}'),
  ('crm.notice_digest', 'account', '{address}'), ('crm.ticket', 'correspondence', '{subject,search_key,description}'),
  ('crm.preference_link', 'contact_details', '{address}'), ('crm.preference_link', 'device', '{remote_address,user_agent}'), ('crm.survey_response', 'opinion', '{answers}'),
  ('crm.outbound_message', 'correspondence', '{subject,body_text,body_html,headers}'), ('crm.outbound_message', 'contact_details', '{address}'),
  ('crm.message_refusal', 'contact_details', '{address}'), ('crm.consent_event', 'consent_evidence', '{address,note}'), ('crm.consent_event', 'device', '{remote_address,user_agent}')
) as entries (relation, category, columns);

insert into crm.erasure_rule (relation, action, basis_en, basis_tr) values
  ('crm.attachment', 'delete', 'A file of the person''s correspondence; the file goes, too.', 'Yazışmanın dosyası; dosyanın kendisi de silinir.'),
  ('crm.preference_link', 'delete', 'A link sent to the person.', 'Kişiye gönderilen bağlantı.'),
  ('crm.draft', 'delete', 'Not sent.', 'Gönderilmemiş.'),
  ('crm.notice', 'delete', 'Told somebody of something about the person.', 'Kişiyle ilgili bir bildirim.');
