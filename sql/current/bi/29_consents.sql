-- What people allowed and refused, what was sent to them, and what the gate refused and why.
set local role crm_owner;

create view bi.consent_events with (security_invoker = true) as
select e.id as consent_event_id, e.customer_id, e.contact_id, e.channel, case when (select crm.bi_sees_personal()) then e.address else left(e.address, 1) || '***' end as address,
  e.recipient_type, b.code as brand, e.purpose, e.status, e.source, e.consented_at, crm.business_day(e.consented_at) as consented_on, e.valid_until, e.received_at, e.text_version,
  e.document_hash is not null as has_document, e.registry_transaction is not null as from_registry, e.operator_id, e.department_id
from crm.consent_event as e left join crm.brand as b on b.id = e.brand_id;
comment on view bi.consent_events is 'One row each time somebody allowed or refused something for an address. Rows are only ever added.';
comment on column bi.consent_events.consent_event_id is 'Id of the event.';
comment on column bi.consent_events.customer_id is 'The customer who spoke.';
comment on column bi.consent_events.contact_id is 'The person at the customer.';
comment on column bi.consent_events.channel is 'email, sms, phone (calls), social, chat, letter or web (tracking).';
comment on column bi.consent_events.address is 'The address; only its first letter, unless the login sees personal data. Null once the person was erased.';
comment on column bi.consent_events.recipient_type is 'BIREYSEL (a person) or TACIR (a merchant or craftsman).';
comment on column bi.consent_events.brand is 'Code of the brand; null for the company itself.';
comment on column bi.consent_events.purpose is 'Code of the purpose.';
comment on column bi.consent_events.status is 'ONAY (allowed) or RET (refused).';
comment on column bi.consent_events.source is 'How it was said, in the registry''s words.';
comment on column bi.consent_events.consented_at is 'When it was said.';
comment on column bi.consent_events.consented_on is 'The day it was said, in Türkiye.';
comment on column bi.consent_events.valid_until is 'Until when a consent holds; null until it is refused.';
comment on column bi.consent_events.received_at is 'When it became known.';
comment on column bi.consent_events.text_version is 'Which text was shown.';
comment on column bi.consent_events.has_document is 'Whether a document or recording proves it.';
comment on column bi.consent_events.from_registry is 'Whether it was said to the registry (İYS) itself.';
comment on column bi.consent_events.operator_id is 'The colleague who took it down.';
comment on column bi.consent_events.department_id is 'The customer''s department.';

create view bi.consent_current with (security_invoker = true) as
select said.customer_id, said.contact_id, said.channel, case when (select crm.bi_sees_personal()) then said.address else left(said.address, 1) || '***' end as address,
  said.recipient_type, b.code as brand, said.purpose, said.status, said.status = 'ONAY' and (said.valid_until is null or said.valid_until > now()) as holds, said.source,
  said.consented_at, said.valid_until, said.department_id
from (
  select distinct on (e.customer_id, e.channel, e.address, e.recipient_type, e.brand_id, e.purpose) e.customer_id, e.contact_id, e.channel, e.address, e.recipient_type, e.brand_id,
    e.purpose, e.status, e.source, e.consented_at, e.valid_until, e.department_id
  from crm.consent_event as e
  where e.customer_id is not null and e.address is not null
  order by e.customer_id, e.channel, e.address, e.recipient_type, e.brand_id, e.purpose, e.consented_at desc, e.status desc, e.received_at desc, e.id desc
) as said left join crm.brand as b on b.id = said.brand_id;
comment on view bi.consent_current is 'One row for each customer, address, channel, brand and purpose of which anything was said: the last word. A refusal to the company or of marketing stands in a row of its own and refuses every brand and purpose; before each message the gate decides.';
comment on column bi.consent_current.customer_id is 'The customer.';
comment on column bi.consent_current.contact_id is 'The person at the customer who spoke last.';
comment on column bi.consent_current.channel is 'email, sms, phone (calls), social, chat, letter or web (tracking).';
comment on column bi.consent_current.address is 'The address; only its first letter, unless the login sees personal data.';
comment on column bi.consent_current.recipient_type is 'BIREYSEL (a person) or TACIR (a merchant or craftsman).';
comment on column bi.consent_current.brand is 'Code of the brand; null for the company itself.';
comment on column bi.consent_current.purpose is 'Code of the purpose.';
comment on column bi.consent_current.status is 'ONAY (allowed) or RET (refused).';
comment on column bi.consent_current.holds is 'Whether it is a consent that has not ended.';
comment on column bi.consent_current.source is 'How it was said, in the registry''s words.';
comment on column bi.consent_current.consented_at is 'When it was said.';
comment on column bi.consent_current.valid_until is 'Until when a consent holds; null until it is refused.';
comment on column bi.consent_current.department_id is 'The customer''s department.';

create view bi.outbound_messages with (security_invoker = true) as
select m.id as message_id, m.customer_id, m.contact_id, m.channel, b.code as brand, m.legal_class, m.purpose, m.campaign_id, m.state, m.attempts, m.created_at,
  crm.business_day(m.created_at) as created_on, m.not_before, m.sent_at, m.consent_event_id, m.department_id
from crm.outbound_message as m left join crm.brand as b on b.id = m.brand_id;
comment on view bi.outbound_messages is 'One row a message to a customer that passed the gate when it was queued. What it says is not shown.';
comment on column bi.outbound_messages.message_id is 'Id of the message.';
comment on column bi.outbound_messages.customer_id is 'The customer.';
comment on column bi.outbound_messages.contact_id is 'The person at the customer.';
comment on column bi.outbound_messages.channel is 'By which way.';
comment on column bi.outbound_messages.brand is 'Code of the brand that speaks.';
comment on column bi.outbound_messages.legal_class is 'commercial (needs consent) or transactional.';
comment on column bi.outbound_messages.purpose is 'Code of the purpose.';
comment on column bi.outbound_messages.campaign_id is 'The campaign it belongs to.';
comment on column bi.outbound_messages.state is 'queued, sending, sent, delivered, failed, bounced or refused.';
comment on column bi.outbound_messages.attempts is 'How often it was tried.';
comment on column bi.outbound_messages.created_at is 'When it was queued.';
comment on column bi.outbound_messages.created_on is 'The day it was queued, in Türkiye.';
comment on column bi.outbound_messages.not_before is 'Not to be sent earlier.';
comment on column bi.outbound_messages.sent_at is 'When it went out.';
comment on column bi.outbound_messages.consent_event_id is 'The consent that covers it; null where none is needed.';
comment on column bi.outbound_messages.department_id is 'The department that sends it.';

create view bi.message_refusals with (security_invoker = true) as
select r.id as refusal_id, r.customer_id, r.contact_id, r.channel, b.code as brand, r.legal_class, r.purpose, r.campaign_id, r.stage, r.reason, r.refused_at,
  crm.business_day(r.refused_at) as refused_on, r.consent_event_id, r.suppression_id, r.department_id
from crm.message_refusal as r left join crm.brand as b on b.id = r.brand_id;
comment on view bi.message_refusals is 'One row a message that the gate did not let through, and why. Count them by reason.';
comment on column bi.message_refusals.refusal_id is 'Id of the refusal.';
comment on column bi.message_refusals.customer_id is 'The customer.';
comment on column bi.message_refusals.contact_id is 'The person at the customer.';
comment on column bi.message_refusals.channel is 'By which way it was to go.';
comment on column bi.message_refusals.brand is 'Code of the brand that was to speak.';
comment on column bi.message_refusals.legal_class is 'commercial or transactional.';
comment on column bi.message_refusals.purpose is 'Code of the purpose.';
comment on column bi.message_refusals.campaign_id is 'The campaign it belonged to.';
comment on column bi.message_refusals.stage is 'queueing (it was not stored) or sending (refused when it was to go).';
comment on column bi.message_refusals.reason is 'bad_address, suppressed, refused, no_consent, consent_ended, restricted, not_registered, wrong_sender, no_sender, held_out, frequency_cap, channel_preference or late.';
comment on column bi.message_refusals.refused_at is 'When the gate decided.';
comment on column bi.message_refusals.refused_on is 'The day the gate decided, in Türkiye.';
comment on column bi.message_refusals.consent_event_id is 'What was said that decided.';
comment on column bi.message_refusals.suppression_id is 'The entry of the suppression list that decided.';
comment on column bi.message_refusals.department_id is 'The department that wanted to send it.';

create view bi.campaign_sendings with (security_invoker = true) as
select s.id as sending_id, s.campaign_id, s.channel, b.code as brand, s.purpose, s.arm, s.state, s.members, s.queued, s.refused, s.without_address, s.restricted, s.created_at,
  s.started_at, s.finished_at, s.department_id
from crm.campaign_sending as s left join crm.brand as b on b.id = s.brand_id;
comment on view bi.campaign_sendings is 'One row each time a message was sent to a campaign''s members.';
comment on column bi.campaign_sendings.sending_id is 'Id of the sending.';
comment on column bi.campaign_sendings.campaign_id is 'The campaign.';
comment on column bi.campaign_sendings.channel is 'By which way.';
comment on column bi.campaign_sendings.brand is 'Code of the brand that speaks, where one was named.';
comment on column bi.campaign_sendings.purpose is 'Code of the purpose.';
comment on column bi.campaign_sendings.arm is 'Only members of this arm; null for all who are not held out.';
comment on column bi.campaign_sendings.state is 'queued, running, done or stopped.';
comment on column bi.campaign_sendings.members is 'Members that it was for.';
comment on column bi.campaign_sendings.queued is 'Messages that passed the gate.';
comment on column bi.campaign_sendings.refused is 'Messages that the gate refused.';
comment on column bi.campaign_sendings.without_address is 'Members without an address of the channel.';
comment on column bi.campaign_sendings.restricted is 'Members left out because they objected or had processing restricted.';
comment on column bi.campaign_sendings.created_at is 'When it was asked for.';
comment on column bi.campaign_sendings.started_at is 'When a worker began.';
comment on column bi.campaign_sendings.finished_at is 'When it ended.';
comment on column bi.campaign_sendings.department_id is 'The campaign''s department.';
