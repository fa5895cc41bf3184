-- Messages to be sent, and the gate before them: whichever way a message gets here, a commercial one without consent is not stored but refused with a reason, and
-- every message is asked for again when it is about to be sent.
--
-- Whoever sends takes messages so, and sends what comes back as "sending" and nothing else (the gate may have refused it or moved it out of quiet hours):
--   update crm.outbound_message set state = 'sending', attempts = attempts + 1
--   where (customer_id, id) in (select customer_id, id from crm.outbound_message where state = 'queued' and not_before <= now() … for update skip locked)
--   returning customer_id, id, state, …
set local role crm_owner;

create table crm.outbound_message (
  customer_id        uuid        not null,
  id                 uuid        not null default crm.uuid_v7(),
  contact_id         uuid,
  conversation_id    uuid,
  interaction_id     uuid,
  channel            text        not null,
  channel_account_id uuid,
  brand_id           uuid,
  address            text        not null,
  legal_class        text        not null default 'commercial',
  purpose            text        not null default 'marketing',
  campaign_id        uuid,
  subject            text,
  body_text          text        not null default '',
  body_html          text,
  headers            jsonb       not null default '{}',
  in_reply_to        text,
  not_before         timestamptz not null default now(),
  state              text        not null default 'queued',
  attempts           integer     not null default 0,
  provider_id        text,
  problem            text,
  consent_event_id   uuid,
  sent_at            timestamptz,
  department_id      uuid        not null,
  owner_id           uuid,
  visibility         text        not null default 'company',
  audience           uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  version            integer     not null default 1,
  created_by         uuid        default crm.caller_id(),
  constraint outbound_message_id_primary primary key (customer_id, id),
  constraint outbound_message_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint outbound_message_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint outbound_message_channel_known check (channel in ('email', 'sms', 'phone', 'social', 'chat', 'letter', 'web')),
  constraint outbound_message_address_length check (length(address) between 1 and 320),
  constraint outbound_message_legal_class_known check (legal_class in ('commercial', 'transactional')),
  constraint outbound_message_purpose_exists foreign key (purpose) references crm.consent_purpose (code),
  constraint outbound_message_campaign_id_exists foreign key (campaign_id) references crm.campaign (id),
  constraint outbound_message_subject_length check (length(subject) <= 998),
  constraint outbound_message_headers_object check (jsonb_typeof(headers) = 'object'),
  constraint outbound_message_not_before_finite check (isfinite(not_before)),
  constraint outbound_message_state_known check (state in ('queued', 'sending', 'sent', 'delivered', 'failed', 'bounced', 'refused')),
  constraint outbound_message_state_reached check (state is not null),
  constraint outbound_message_attempts_positive check (attempts >= 0),
  constraint outbound_message_problem_length check (length(problem) <= 1000),
  constraint outbound_message_consent_event_id_exists foreign key (consent_event_id) references crm.consent_event (id),
  constraint outbound_message_sent_at_finite check (isfinite(sent_at)),
  constraint outbound_message_department_id_exists foreign key (department_id) references crm.department (id),
  constraint outbound_message_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint outbound_message_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint outbound_message_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.outbound_message is 'A message to a customer, waiting to be sent or sent. The gate stands here: a commercial message without a covering consent is not stored, whoever inserts it.';
comment on column crm.outbound_message.contact_id is 'The person at the customer it is for.';
comment on column crm.outbound_message.conversation_id is 'The conversation it belongs to.';
comment on column crm.outbound_message.interaction_id is 'The interaction that shows it in the timeline.';
comment on column crm.outbound_message.channel is 'email, sms, phone, social, chat, letter or web.';
comment on column crm.outbound_message.channel_account_id is 'The account it is sent from.';
comment on column crm.outbound_message.brand_id is 'The brand that speaks; null for the company itself.';
comment on column crm.outbound_message.address is 'personal: where it goes, normal: a number in E.164, an e-mail address in small letters.';
comment on column crm.outbound_message.legal_class is 'commercial (advertises, needs consent) or transactional (answers, deliveries, collection: what the law exempts).';
comment on column crm.outbound_message.purpose is 'What a commercial message is for: the code of a purpose.';
comment on column crm.outbound_message.campaign_id is 'The campaign it belongs to.';
comment on column crm.outbound_message.subject is 'personal: the subject.';
comment on column crm.outbound_message.body_text is 'personal: the text.';
comment on column crm.outbound_message.body_html is 'personal: the text as HTML.';
comment on column crm.outbound_message.headers is 'personal: further header fields, as an object of name to value.';
comment on column crm.outbound_message.in_reply_to is 'The Message-ID or provider''s id of what it answers.';
comment on column crm.outbound_message.not_before is 'Not to be sent earlier; quiet hours move it.';
comment on column crm.outbound_message.state is 'queued, sending, sent, delivered, failed, bounced or refused (by the gate, when it was to be sent).';
comment on column crm.outbound_message.attempts is 'How often sending was tried.';
comment on column crm.outbound_message.provider_id is 'What the provider, or the Message-ID, calls it.';
comment on column crm.outbound_message.problem is 'Why it failed, bounced or was refused.';
comment on column crm.outbound_message.consent_event_id is 'The consent it was last found covered by; null for transactional messages and for merchants who did not refuse.';
comment on column crm.outbound_message.sent_at is 'When it was sent.';
comment on constraint outbound_message_channel_known on crm.outbound_message is 'en: The channel is email, sms, phone, social, chat, letter or web. | tr: Kanal email, sms, phone, social, chat, letter ya da web olabilir.';
comment on constraint outbound_message_address_length on crm.outbound_message is 'en: Give an address of at most 320 characters. | tr: En çok 320 karakterlik bir adres verin.';
comment on constraint outbound_message_legal_class_known on crm.outbound_message is 'en: A message is commercial or transactional. | tr: İleti commercial ya da transactional olabilir.';
comment on constraint outbound_message_subject_length on crm.outbound_message is 'en: A subject has at most 998 characters. | tr: Konu en çok 998 karakterdir.';
comment on constraint outbound_message_headers_object on crm.outbound_message is 'en: Header fields are given as an object. | tr: Başlık alanları bir nesne olarak verilir.';
comment on constraint outbound_message_not_before_finite on crm.outbound_message is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint outbound_message_state_known on crm.outbound_message is 'en: A message is queued, sending, sent, delivered, failed, bounced or refused. | tr: İleti queued, sending, sent, delivered, failed, bounced ya da refused olabilir.';
comment on constraint outbound_message_state_reached on crm.outbound_message is 'en: A message begins queued, is sent by way of sending, and a refused or sent one does not begin again. | tr: İleti queued olarak başlar, sending üzerinden gönderilir; reddedilen ya da gönderilen ileti yeniden başlamaz.';
comment on constraint outbound_message_attempts_positive on crm.outbound_message is 'en: Attempts are counted from 0. | tr: Denemeler 0''dan sayılır.';
comment on constraint outbound_message_problem_length on crm.outbound_message is 'en: A problem has at most 1,000 characters. | tr: Sorun en çok 1.000 karakterdir.';
comment on constraint outbound_message_sent_at_finite on crm.outbound_message is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create index outbound_message_id_index on crm.outbound_message (id);
create index outbound_message_queued_index on crm.outbound_message (channel, not_before, id) where state = 'queued';
create index outbound_message_sending_index on crm.outbound_message (updated_at) where state = 'sending';
create index outbound_message_customer_id_index on crm.outbound_message (customer_id, created_at, id);
create index outbound_message_campaign_id_index on crm.outbound_message (campaign_id, state) where campaign_id is not null;
create index outbound_message_conversation_id_index on crm.outbound_message (conversation_id) where conversation_id is not null;
create index outbound_message_interaction_id_index on crm.outbound_message (interaction_id) where interaction_id is not null;
create index outbound_message_provider_id_index on crm.outbound_message (provider_id) where provider_id is not null;
create index outbound_message_created_at_index on crm.outbound_message (created_at, id);

create table crm.message_refusal (
  customer_id      uuid        not null,
  id               uuid        not null default crm.uuid_v7(),
  message_id       uuid        not null,
  contact_id       uuid,
  channel          text        not null,
  address          text,
  brand_id         uuid,
  legal_class      text        not null,
  purpose          text        not null,
  campaign_id      uuid,
  stage            text        not null,
  reason           text        not null,
  consent_event_id uuid,
  suppression_id   uuid,
  refused_at       timestamptz not null,
  department_id    uuid        not null,
  owner_id         uuid,
  visibility       text        not null default 'company',
  audience         uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at       timestamptz not null default now(),
  created_by       uuid        default crm.caller_id(),
  constraint message_refusal_id_primary primary key (customer_id, id),
  constraint message_refusal_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint message_refusal_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint message_refusal_campaign_id_exists foreign key (campaign_id) references crm.campaign (id),
  constraint message_refusal_stage_known check (stage in ('queueing', 'sending')),
  constraint message_refusal_reason_known check (
    reason in ('bad_address', 'suppressed', 'refused', 'no_consent', 'consent_ended', 'held_out', 'frequency_cap', 'channel_preference', 'late')),
  constraint message_refusal_consent_event_id_exists foreign key (consent_event_id) references crm.consent_event (id),
  constraint message_refusal_suppression_id_exists foreign key (suppression_id) references crm.suppression (id),
  constraint message_refusal_visibility_known check (visibility in ('company', 'department', 'private'))
);
comment on table crm.message_refusal is 'A message that the gate did not let through, and why. Written by the gate alone.';
comment on column crm.message_refusal.message_id is 'The id the message had, or would have had.';
comment on column crm.message_refusal.contact_id is 'The person at the customer it was for.';
comment on column crm.message_refusal.channel is 'By which way it was to go.';
comment on column crm.message_refusal.address is 'personal: where it was to go.';
comment on column crm.message_refusal.brand_id is 'The brand that was to speak.';
comment on column crm.message_refusal.legal_class is 'commercial or transactional.';
comment on column crm.message_refusal.purpose is 'What it was for.';
comment on column crm.message_refusal.campaign_id is 'The campaign it belonged to.';
comment on column crm.message_refusal.stage is 'queueing: it was not stored. sending: it was stored, and refused when it was to be sent.';
comment on column crm.message_refusal.reason is 'bad_address, suppressed, refused (RET), no_consent, consent_ended, held_out (of the campaign), frequency_cap, channel_preference or late (past its time).';
comment on column crm.message_refusal.consent_event_id is 'The event that decided, such as the refusal.';
comment on column crm.message_refusal.suppression_id is 'The entry of the suppression list that decided.';
comment on column crm.message_refusal.refused_at is 'When the gate decided.';
comment on constraint message_refusal_stage_known on crm.message_refusal is 'en: A message is refused at queueing or sending. | tr: İleti queueing ya da sending aşamasında reddedilir.';
comment on constraint message_refusal_reason_known on crm.message_refusal is 'en: This reason is not known. | tr: Bu neden bilinmiyor.';
create index message_refusal_id_index on crm.message_refusal (id);
create index message_refusal_message_id_index on crm.message_refusal (message_id);
create index message_refusal_campaign_id_index on crm.message_refusal (campaign_id, reason) where campaign_id is not null;
create index message_refusal_refused_at_index on crm.message_refusal (refused_at, id);

-- The gate --------------------------------------------------------------------------------------------------------------------------

create function crm.is_merchant(
  of_customer uuid, of_channel text, of_token bytea, of_brand uuid, at timestamptz
) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
      select from crm.customer as c
      join crm.contact_point as p on p.customer_id = c.id and p.contact_id is null
      where c.id = of_customer and c.kind = 'organisation' and c.tax_number is not null
        and p.kind = case when of_channel in ('sms', 'phone') then 'phone' when of_channel = 'email' then 'email' end
        and crm.address_token(of_channel, p.value) = of_token)
    or exists (
      select from crm.consent_event as e
      where e.address_token = of_token and e.channel = of_channel and e.recipient_type = 'TACIR' and e.status = 'ONAY' and e.consented_at <= at
        and e.brand_id is not distinct from of_brand and (e.customer_id is null or e.customer_id = of_customer))
$$;
comment on function crm.is_merchant(uuid, text, bytea, uuid, timestamptz) is
  'Whether an address is a merchant''s or craftsman''s, who may be written to until they refuse: the own address (no contact''s) of an organisation with a tax number, or one recorded as TACIR.';

create function crm.refusal_of(
  of_customer uuid, of_contact uuid, of_channel text, of_address text, of_class text, of_purpose text, of_brand uuid, at timestamptz,
  out reason text, out consent_event_id uuid, out suppression_id uuid
) language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  token constant bytea := crm.address_token(of_channel, of_address);
  person record;
  merchant record;
begin
  if token is null then
    reason := 'bad_address';
    return;
  end if;
  suppression_id := crm.suppression_of(token, of_channel, of_brand, of_class);
  if suppression_id is not null then
    reason := 'suppressed';
    return;
  end if;
  if of_class = 'transactional' then
    return;
  end if;
  select s.status, s.event_id into person from crm.consent_states(token, of_channel, of_purpose, of_brand, at, of_customer, of_contact) as s where s.recipient_type = 'BIREYSEL';
  select s.status, s.event_id into merchant from crm.consent_states(token, of_channel, of_purpose, of_brand, at, of_customer, of_contact) as s where s.recipient_type = 'TACIR';
  consent_event_id := case when person.status = 'RET' or merchant.status is distinct from 'RET' then person.event_id else merchant.event_id end;
  reason := case
    when person.status = 'RET' or merchant.status = 'RET' then 'refused'
    when person.status = 'ONAY' or crm.is_merchant(of_customer, of_channel, token, of_brand, at) then null
    when person.status = 'ended' then 'consent_ended'
    else 'no_consent'
  end;
  if reason is null and person.status is distinct from 'ONAY' then
    consent_event_id := merchant.event_id;
  end if;
end
$$;
comment on function crm.refusal_of(uuid, uuid, text, text, text, text, uuid, timestamptz) is
  'Why a message may not go to an address at an instant (bad_address, suppressed, refused, consent_ended, no_consent), with what decided; a null reason lets it pass, with the consent that covers it.';

create function crm.refuse_message(
  message crm.outbound_message, at_stage text, why text, by_event uuid, by_suppression uuid, at timestamptz
) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into crm.message_refusal (customer_id, message_id, contact_id, channel, address, brand_id, legal_class, purpose, campaign_id, stage, reason,
    consent_event_id, suppression_id, refused_at, department_id, owner_id, visibility)
  values (message.customer_id, message.id, message.contact_id, message.channel, message.address, message.brand_id, message.legal_class, message.purpose,
    message.campaign_id, at_stage, why, by_event, by_suppression, at, message.department_id, message.owner_id, message.visibility);
end
$$;
comment on function crm.refuse_message(crm.outbound_message, text, text, uuid, uuid, timestamptz) is 'Records that the gate did not let a message through.';
revoke execute on function crm.refuse_message(crm.outbound_message, text, text, uuid, uuid, timestamptz) from crm_bulk, crm_access;

create function crm.guard_message() returns trigger language plpgsql as $$
declare
  at constant timestamptz := crm.consent_clock();
  queueing constant boolean := tg_op = 'INSERT';
  starts boolean;
  verdict record;
begin
  new.address := coalesce(crm.normal_address(new.channel, new.address), new.address);
  if queueing then
    if new.state <> 'queued' then
      raise exception using errcode = 'check_violation', schema = 'crm', table = 'outbound_message', constraint = 'outbound_message_state_reached',
        message = 'a message begins queued';
    end if;
    select coalesce(new.department_id, c.department_id) into new.department_id from crm.customer as c where c.id = new.customer_id;
    if not found then
      perform crm.missing_reference('customer_id');
    end if;
    new.consent_event_id := null;
    new.sent_at := null;
  else
    if old.state <> new.state and not (case old.state
      when 'queued' then new.state in ('sending', 'failed', 'refused')
      when 'sending' then new.state in ('queued', 'sent', 'delivered', 'failed', 'bounced', 'refused')
      when 'sent' then new.state in ('delivered', 'failed', 'bounced')
      when 'delivered' then new.state = 'bounced'
      when 'failed' then new.state = 'queued'
      else false end) then
      raise exception using errcode = 'check_violation', schema = 'crm', table = 'outbound_message', constraint = 'outbound_message_state_reached',
        message = format('a message that is %s does not become %s', old.state, new.state);
    end if;
    if new.state in ('sent', 'delivered') and new.sent_at is null then
      new.sent_at := at;
    end if;
    starts := new.state = 'sending' and (old.state <> 'sending' or old.attempts <> new.attempts);
    if not starts and ((old.channel, old.address, old.legal_class, old.purpose, old.brand_id, old.contact_id)
      is not distinct from (new.channel, new.address, new.legal_class, new.purpose, new.brand_id, new.contact_id)
      or current_user = 'crm_steward') and (new.state <> 'queued' or old.state <> 'failed') then
      return new;
    end if;
  end if;

  verdict := crm.refusal_of(new.customer_id, new.contact_id, new.channel, new.address, new.legal_class, new.purpose, new.brand_id, at);
  if verdict.reason is null and new.campaign_id is not null
    and exists (select from crm.campaign_member as m where m.campaign_id = new.campaign_id and m.customer_id = new.customer_id and m.held_out) then
    verdict.reason := 'held_out';
  end if;
  if verdict.reason is not null then
    perform crm.refuse_message(new, case when queueing then 'queueing' else 'sending' end, verdict.reason, verdict.consent_event_id, verdict.suppression_id, at);
    if queueing then
      return null;
    end if;
    new.state := 'refused';
    new.problem := verdict.reason;
    return new;
  end if;
  new.consent_event_id := verdict.consent_event_id;
  return new;
end
$$;
comment on function crm.guard_message() is
  'Trigger, the gate: a message that may not go is recorded as refused and not stored, or turns refused where it was stored; asked again when it is sent, and when address, class, channel, purpose or brand change.';
create trigger outbound_message_guard_insert before insert on crm.outbound_message for each row execute function crm.guard_message();
create trigger outbound_message_guard_update before update on crm.outbound_message for each row execute function crm.guard_message();
alter table crm.outbound_message enable always trigger outbound_message_guard_insert, enable always trigger outbound_message_guard_update;

select crm.protect('crm.outbound_message', area => 'customers', kind => 'owned', resource => 'outbound_messages', bi => true);
select crm.protect('crm.message_refusal', area => 'customers', kind => 'owned', resource => 'message_refusals', verbs => '{select}', bi => true);

set local role none;
grant create on schema crm to crm_steward;
alter function crm.is_merchant(uuid, text, bytea, uuid, timestamptz) owner to crm_steward;
alter function crm.refuse_message(crm.outbound_message, text, text, uuid, uuid, timestamptz) owner to crm_steward;
revoke create on schema crm from crm_steward;
