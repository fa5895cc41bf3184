-- What people write about people in fields that were not marked yet, entered into the register of processing; and how long what belongs to correspondence is kept.
set local role crm_owner;

comment on column crm.customer.tax_office is 'personal: name of the tax office.';
comment on column crm.opportunity.name is 'personal: what it is about, in a few words.';
comment on column crm.opportunity.search_key is 'personal: derived: the name as it is searched.';
comment on column crm.contract.name is 'personal: what it is about, in a few words.';
comment on column crm.contract.search_key is 'personal: derived: the name as it is searched.';
comment on column crm.contract.cancel_reason is 'personal: why it was cancelled.';
comment on column crm.quote_approval.request_note is 'personal: why the discount should be given.';
comment on column crm.quote_approval.decision_note is 'personal: why.';
comment on column crm.sales_order.status_reason is 'personal: why it was cancelled or refused.';
comment on column crm.shipment.tracking_number is 'personal: the carrier''s number for it.';
comment on column crm.customer_phase.reason is 'personal: why: of a rule its name, of a person their words.';
comment on column crm.record_share.reason is 'personal: why it is shared.';
comment on column crm.delivery_report.reason is 'personal: why it did not arrive.';
comment on column crm.article_feedback.comment is 'personal: what was said about it; it is not asked who says it.';
comment on column crm.form_submission.page is 'personal: the page it was sent from.';
comment on column crm.web_event.path is 'personal: the page''s path, without its query.';
comment on column crm.web_event.title is 'personal: the page''s title.';
comment on column crm.web_event.referrer is 'personal: the host the visitor came from.';
comment on column crm.import.file_name is 'personal: name of the file, as the sender calls it.';
comment on column crm.import.summary is 'personal: counts by resource, samples of what is new and changed, and what an undo kept.';
comment on column crm.import.problem is 'personal: why it failed, as a problem (RFC 9457).';
comment on column crm.privacy_request.decision_text is 'personal: the decision with its reasons, as the person gets it.';
comment on column crm.privacy_request.closing_note is 'personal: how it was answered.';
comment on column crm.privacy_request.extension_reason is 'personal: why it was put off, as the person was told.';
comment on column crm.legal_hold.reason is 'personal: why, with the file''s reference.';
comment on column crm.data_breach.title is 'personal: what happened, in a few words.';
comment on column crm.data_breach.description is 'personal: what happened, how, and what may follow from it.';
comment on column crm.data_breach.measures is 'personal: what was done against it.';
comment on column crm.erasure_tombstone.lifted_reason is 'personal: why it no longer holds.';
comment on column crm.app_user.name is 'personal: name as colleagues say it.';
comment on column crm.app_user.email is 'personal: e-mail address; signs the user in.';
comment on column crm.app_user.email_key is 'personal: derived: the address as it is compared.';
comment on column crm.absence.reason is 'personal: why, such as leave.';
comment on column crm.presence.note is 'personal: what colleagues see beside it.';

select crm.register_personal(relation, category, columns) from (values
  ('crm.customer', 'identity', '{tax_office}'::text[]), ('crm.opportunity', 'profile', '{name,search_key}'), ('crm.contract', 'profile', '{name,search_key}'),
  ('crm.quote_approval', 'profile', '{request_note,decision_note}'), ('crm.sales_order', 'profile', '{status_reason}'), ('crm.shipment', 'profile', '{tracking_number}'),
  ('crm.customer_phase', 'profile', '{reason}'), ('crm.record_share', 'correspondence', '{reason}'),
  ('crm.delivery_report', 'correspondence', '{reason}'), ('crm.article_feedback', 'opinion', '{comment}'), ('crm.form_submission', 'device', '{page}'),
  ('crm.web_event', 'device', '{path,title,referrer}'), ('crm.import', 'import_remains', '{file_name,summary,problem}'), ('crm.legal_hold', 'request', '{reason}'),
  ('crm.data_breach', 'request', '{title,description,measures}'), ('crm.app_user', 'account', '{name,email,email_key}'), ('crm.absence', 'account', '{reason}'),
  ('crm.presence', 'account', '{note}')
) as entries (relation, category, columns);
-- Where a rule of the table asks for something to stand there.
select crm.register_personal('crm.contract', 'profile', '{cancel_reason}', 'erased');
select crm.register_personal('crm.privacy_request', 'request', '{decision_text,closing_note,extension_reason}', 'erased');
select crm.register_personal('crm.erasure_tombstone', 'request', '{lifted_reason}', 'erased');

insert into crm.erasure_rule (relation, action, when_column, when_values, basis_en, basis_tr, counts_from, keep_for) values
  ('crm.invoice_line', 'keep', 'invoice_status', '{issued}', 'Issued invoices: Commercial Code art. 82 (ten years), Tax Procedure Law art. 253.', 'Düzenlenmiş fatura: TTK m.82 (on yıl), VUK m.253.', null, null),
  ('crm.e_invoice', 'keep', null, null, 'Issued invoices: Commercial Code art. 82 (ten years), Tax Procedure Law art. 253.', 'Düzenlenmiş fatura: TTK m.82 (on yıl), VUK m.253.', 'created_at', '10 years'),
  ('crm.data_breach', 'keep', null, null, 'The register of breaches, which the authority may ask for (KVKK art. 12, GDPR art. 33).', 'Kurulun isteyebileceği veri ihlali kaydı (KVKK m.12, GDPR m.33).', null, null);

-- Files, messages and tickets of old correspondence, and the devices of who sent web forms: as the register says.
set local role none;
set local role crm_steward;
insert into crm.retention_rule (code, title_en, title_tr, relation, action, columns, counts_from, keep_days, when_column, when_values, is_active) values
  ('form_devices', 'Devices of who sent web forms', 'Web formu gönderenlerin cihazları', 'crm.form_submission', 'anonymise', '{remote_address,page}', 'created_at', 365, null, null, true),
  ('form_answers', 'What was sent with web forms', 'Web formlarıyla gönderilenler', 'crm.form_submission', 'anonymise', null, 'created_at', 3653, null, null, false),
  ('attachments', 'Files of correspondence', 'Yazışma dosyaları', 'crm.attachment', 'delete', null, 'created_at', 3653, null, null, false),
  ('outbound_messages', 'Messages that were sent', 'Gönderilen iletiler', 'crm.outbound_message', 'anonymise', null, 'created_at', 3653, 'state', '{sent,delivered,failed,bounced,refused}', false),
  ('tickets', 'Closed tickets', 'Kapanmış talepler', 'crm.ticket', 'anonymise', null, 'closed_at', 3653, null, null, false),
  ('article_feedback', 'What was said about articles', 'Makaleler hakkında yazılanlar', 'crm.article_feedback', 'anonymise', null, 'created_at', 730, null, null, false);
set local role none;
set local role crm_owner;
