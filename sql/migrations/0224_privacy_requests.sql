-- What persons ask of the company about their own data (KVKK art. 11 and 13, GDPR art. 12 to 22): by when it must be answered, who checked that they are who they say,
-- what was decided and why, and every step on the way.
set local role crm_owner;

create table crm.privacy_rule (
  id             uuid        not null default crm.uuid_v7(),
  law            text        not null,
  answer_days    integer     not null,
  extension_days integer     not null,
  remind_days    integer[]   not null default '{10,3,0}',
  breach_hours   integer     not null default 72,
  time_zone      text        not null default 'Europe/Istanbul',
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer     not null default 1,
  created_by     uuid        default crm.caller_id(),
  constraint privacy_rule_id_primary primary key (id),
  constraint privacy_rule_law_unique unique (law),
  constraint privacy_rule_law_known check (law in ('kvkk', 'gdpr')),
  constraint privacy_rule_answer_days_range check (answer_days between 1 and 365),
  constraint privacy_rule_extension_days_range check (extension_days between 0 and 365),
  constraint privacy_rule_remind_days_range check (cardinality(remind_days) <= 10 and 0 <= all (remind_days) and 365 >= all (remind_days)),
  constraint privacy_rule_breach_hours_range check (breach_hours between 1 and 720),
  constraint privacy_rule_time_zone_length check (length(time_zone) between 1 and 60)
);
comment on table crm.privacy_rule is 'The deadlines of a law on personal data, as the company''s lawyers read it.';
comment on column crm.privacy_rule.law is 'kvkk (Türkiye, law 6698) or gdpr (European Union).';
comment on column crm.privacy_rule.answer_days is 'Calendar days from receiving a request to the answer.';
comment on column crm.privacy_rule.extension_days is 'By how many days at most the answer may be put off, when the person is told in time; 0: not at all.';
comment on column crm.privacy_rule.remind_days is 'How many days before it is due those in charge are reminded.';
comment on column crm.privacy_rule.breach_hours is 'Hours from learning of a breach to telling the authority.';
comment on column crm.privacy_rule.time_zone is 'Where days begin and end.';
comment on constraint privacy_rule_law_unique on crm.privacy_rule is 'en: This law has its rule already. | tr: Bu yasanın kuralı zaten var.';
comment on constraint privacy_rule_law_known on crm.privacy_rule is 'en: The law is kvkk or gdpr. | tr: Yasa kvkk ya da gdpr olabilir.';
comment on constraint privacy_rule_answer_days_range on crm.privacy_rule is 'en: Give 1 to 365 days. | tr: 1 ile 365 arasında gün verin.';
comment on constraint privacy_rule_extension_days_range on crm.privacy_rule is 'en: Give 0 to 365 days. | tr: 0 ile 365 arasında gün verin.';
comment on constraint privacy_rule_remind_days_range on crm.privacy_rule is 'en: Give at most ten numbers of days from 0 to 365. | tr: 0 ile 365 arasında en çok on gün sayısı verin.';
comment on constraint privacy_rule_breach_hours_range on crm.privacy_rule is 'en: Give 1 to 720 hours. | tr: 1 ile 720 arasında saat verin.';
comment on constraint privacy_rule_time_zone_length on crm.privacy_rule is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
insert into crm.privacy_rule (law, answer_days, extension_days) values ('kvkk', 30, 30), ('gdpr', 30, 60);
select crm.protect('crm.privacy_rule', area => 'admin', kind => 'reference', resource => 'privacy_rules', verbs => '{select,update}');

create table crm.privacy_request (
  id                  uuid        not null default crm.uuid_v7(),
  kind                text        not null,
  law                 text        not null default 'kvkk',
  state               text        not null default 'received',
  channel             text        not null,
  requester           text        not null,
  reply_to            text,
  request_text        text,
  received_at         timestamptz not null default now(),
  due_on              date        not null default current_date,
  customer_id         uuid,
  contact_id          uuid,
  lead_id             uuid,
  identity_method     text,
  identity_note       text,
  identity_checked_at timestamptz,
  identity_checked_by uuid,
  extended_by_days    integer,
  extension_reason    text,
  extension_notice_at timestamptz,
  decision            text,
  decision_text       text,
  decided_at          timestamptz,
  decided_by          uuid,
  executed_at         timestamptz,
  executed_by         uuid,
  problem             text,
  closed_at           timestamptz,
  closing_note        text,
  reminded_days       integer,
  assignee_id         uuid,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  version             integer     not null default 1,
  created_by          uuid        default crm.caller_id(),
  constraint privacy_request_id_primary primary key (id),
  constraint privacy_request_kind_known check (kind in ('access', 'export', 'rectify', 'erase', 'object', 'restrict')),
  constraint privacy_request_law_exists foreign key (law) references crm.privacy_rule (law),
  constraint privacy_request_state_known check (state in ('received', 'identified', 'decided', 'executing', 'executed', 'closed', 'withdrawn')),
  constraint privacy_request_channel_known check (channel in ('email', 'kep', 'letter', 'notary', 'in_person', 'phone', 'form', 'chat', 'other')),
  constraint privacy_request_requester_length check (length(btrim(requester)) between 1 and 300),
  constraint privacy_request_reply_to_length check (length(reply_to) <= 500),
  constraint privacy_request_request_text_length check (length(request_text) <= 20000),
  constraint privacy_request_received_at_finite check (isfinite(received_at)),
  constraint privacy_request_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint privacy_request_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint privacy_request_contact_id_customer check (contact_id is null or customer_id is not null),
  constraint privacy_request_lead_id_exists foreign key (lead_id) references crm.lead (id),
  constraint privacy_request_lead_id_alone check (lead_id is null or customer_id is null),
  constraint privacy_request_identity_method_known check (identity_method in ('signed_in', 'id_document', 'secure_e_signature', 'kep', 'registered_address', 'call_back', 'notary', 'other')),
  constraint privacy_request_identity_note_length check (length(identity_note) <= 2000),
  constraint privacy_request_identity_complete check (
    (identity_checked_at is null) = (identity_method is null) and (identity_checked_at is null or num_nonnulls(customer_id, lead_id) = 1)),
  constraint privacy_request_identity_first check (state in ('received', 'withdrawn') or identity_checked_at is not null or decision = 'refused'),
  constraint privacy_request_extended_by_days_positive check (extended_by_days > 0),
  constraint privacy_request_extension_complete check ((extended_by_days is null) = (extension_reason is null) and (extended_by_days is null) = (extension_notice_at is null)),
  constraint privacy_request_decision_known check (decision in ('granted', 'partly', 'refused')),
  constraint privacy_request_decision_complete check ((decision is null) = (decided_at is null) and (decision is null) = (decision_text is null)),
  constraint privacy_request_decision_text_length check (length(btrim(decision_text)) between 1 and 20000),
  constraint privacy_request_decision_first check (state not in ('decided', 'executing', 'executed', 'closed') or decision is not null),
  constraint privacy_request_execution_granted check (state not in ('executing', 'executed') or decision in ('granted', 'partly')),
  constraint privacy_request_executed_at_given check (state <> 'executed' or executed_at is not null),
  constraint privacy_request_closed_at_given check ((closed_at is not null) = (state in ('closed', 'withdrawn'))),
  constraint privacy_request_assignee_id_exists foreign key (assignee_id) references crm.app_user (id)
);
comment on table crm.privacy_request is 'What a person asked about their own data, until it is answered. Kept as the proof of the answer.';
comment on column crm.privacy_request.kind is 'access (what is known and why), export (a copy), rectify, erase, object (to marketing and profiling) or restrict.';
comment on column crm.privacy_request.law is 'Under which law it is answered: kvkk or gdpr.';
comment on column crm.privacy_request.state is 'received, identified, decided, executing, executed, closed (answered) or withdrawn.';
comment on column crm.privacy_request.channel is 'How it came: email, kep, letter, notary, in_person, phone, form, chat or other.';
comment on column crm.privacy_request.requester is 'personal: who asks, as they name themselves.';
comment on column crm.privacy_request.reply_to is 'personal: where the answer goes.';
comment on column crm.privacy_request.request_text is 'personal: what they ask, in their words.';
comment on column crm.privacy_request.received_at is 'When it came; the deadline counts from this day.';
comment on column crm.privacy_request.due_on is 'The last day for the answer.';
comment on column crm.privacy_request.customer_id is 'The customer the person is, or works for.';
comment on column crm.privacy_request.contact_id is 'The person at that customer; null if the person is the customer.';
comment on column crm.privacy_request.lead_id is 'The lead the person is, as long as they are no customer.';
comment on column crm.privacy_request.identity_method is 'How it was checked that they are who they say: signed_in, id_document, secure_e_signature, kep, registered_address, call_back, notary or other.';
comment on column crm.privacy_request.identity_note is 'personal: what was seen, without copying it.';
comment on column crm.privacy_request.identity_checked_at is 'When their identity was checked. Before that nothing is decided in their favour or executed.';
comment on column crm.privacy_request.identity_checked_by is 'Who checked it.';
comment on column crm.privacy_request.extended_by_days is 'By how many days the answer was put off.';
comment on column crm.privacy_request.extension_reason is 'Why it was put off, as the person was told.';
comment on column crm.privacy_request.extension_notice_at is 'When the person was told.';
comment on column crm.privacy_request.decision is 'granted, partly or refused.';
comment on column crm.privacy_request.decision_text is 'The decision with its reasons, as the person gets it.';
comment on column crm.privacy_request.decided_at is 'When it was decided.';
comment on column crm.privacy_request.decided_by is 'Who decided.';
comment on column crm.privacy_request.executed_at is 'When it was carried out.';
comment on column crm.privacy_request.executed_by is 'Who had it carried out.';
comment on column crm.privacy_request.problem is 'Why the last attempt to carry it out failed; nothing of it was kept.';
comment on column crm.privacy_request.closed_at is 'When it was answered or withdrawn.';
comment on column crm.privacy_request.closing_note is 'How it was answered.';
comment on column crm.privacy_request.reminded_days is 'The last reminder: so many days before it was due; negative: so many after.';
comment on column crm.privacy_request.assignee_id is 'Who sees to it; reminders go there.';
comment on constraint privacy_request_kind_known on crm.privacy_request is 'en: A request is access, export, rectify, erase, object or restrict. | tr: Başvuru access, export, rectify, erase, object ya da restrict olabilir.';
comment on constraint privacy_request_law_exists on crm.privacy_request is 'en: The law is kvkk or gdpr. | tr: Yasa kvkk ya da gdpr olabilir.';
comment on constraint privacy_request_state_known on crm.privacy_request is 'en: A request is received, identified, decided, executing, executed, closed or withdrawn. | tr: Başvuru received, identified, decided, executing, executed, closed ya da withdrawn olabilir.';
comment on constraint privacy_request_channel_known on crm.privacy_request is 'en: A request comes by email, kep, letter, notary, in_person, phone, form, chat or other. | tr: Başvuru email, kep, letter, notary, in_person, phone, form, chat ya da other yoluyla gelir.';
comment on constraint privacy_request_requester_length on crm.privacy_request is 'en: Say who asks, in at most 300 characters. | tr: Başvuranı en çok 300 karakterle yazın.';
comment on constraint privacy_request_reply_to_length on crm.privacy_request is 'en: At most 500 characters. | tr: En çok 500 karakter.';
comment on constraint privacy_request_request_text_length on crm.privacy_request is 'en: At most 20,000 characters. | tr: En çok 20.000 karakter.';
comment on constraint privacy_request_received_at_finite on crm.privacy_request is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint privacy_request_contact_id_customer on crm.privacy_request is 'en: A contact is named together with its customer. | tr: Kişi, müşterisiyle birlikte belirtilir.';
comment on constraint privacy_request_lead_id_alone on crm.privacy_request is 'en: Name a lead or a customer, not both. | tr: Bir aday ya da bir müşteri belirtin, ikisini birden değil.';
comment on constraint privacy_request_identity_method_known on crm.privacy_request is 'en: Identity is checked by signed_in, id_document, secure_e_signature, kep, registered_address, call_back, notary or other. | tr: Kimlik signed_in, id_document, secure_e_signature, kep, registered_address, call_back, notary ya da other ile doğrulanır.';
comment on constraint privacy_request_identity_note_length on crm.privacy_request is 'en: At most 2,000 characters. | tr: En çok 2.000 karakter.';
comment on constraint privacy_request_identity_complete on crm.privacy_request is 'en: Say who the person is and how that was checked. | tr: Kişinin kim olduğunu ve bunun nasıl doğrulandığını yazın.';
comment on constraint privacy_request_identity_first on crm.privacy_request is 'en: Check the person''s identity first. | tr: Önce başvuranın kimliğini doğrulayın.';
comment on constraint privacy_request_extended_by_days_positive on crm.privacy_request is 'en: Put it off by at least a day. | tr: En az bir gün erteleyin.';
comment on constraint privacy_request_extension_complete on crm.privacy_request is 'en: Who is put off is told why and when. | tr: Ertelemenin gerekçesi ve bildirim zamanı yazılır.';
comment on constraint privacy_request_decision_known on crm.privacy_request is 'en: The decision is granted, partly or refused. | tr: Karar granted, partly ya da refused olabilir.';
comment on constraint privacy_request_decision_complete on crm.privacy_request is 'en: A decision has its reasons. | tr: Karar gerekçesiyle birlikte yazılır.';
comment on constraint privacy_request_decision_text_length on crm.privacy_request is 'en: Give the reasons in at most 20,000 characters. | tr: Gerekçeyi en çok 20.000 karakterle yazın.';
comment on constraint privacy_request_decision_first on crm.privacy_request is 'en: Decide first. | tr: Önce karar verin.';
comment on constraint privacy_request_execution_granted on crm.privacy_request is 'en: Only what was granted is carried out. | tr: Yalnızca kabul edilen başvuru yerine getirilir.';
comment on constraint privacy_request_executed_at_given on crm.privacy_request is 'en: Say when it was carried out. | tr: Ne zaman yerine getirildiğini yazın.';
comment on constraint privacy_request_closed_at_given on crm.privacy_request is 'en: Say when it was closed. | tr: Ne zaman kapatıldığını yazın.';
create index privacy_request_due_on_index on crm.privacy_request (due_on, id) where closed_at is null;
create index privacy_request_customer_id_index on crm.privacy_request (customer_id) where customer_id is not null;

create function crm.privacy_due(of_law text, received_at timestamptz, extended_by_days integer) returns date language sql stable parallel safe as $$
  select (privacy_due.received_at at time zone r.time_zone)::date + r.answer_days + coalesce(extended_by_days, 0) from crm.privacy_rule as r where r.law = of_law
$$;
comment on function crm.privacy_due(text, timestamptz, integer) is 'The last day for the answer to a request received at an instant, in the law''s time zone.';

create function crm.date_privacy_request() returns trigger language plpgsql as $$
begin
  new.due_on := coalesce(crm.privacy_due(new.law, new.received_at, new.extended_by_days), new.due_on);
  return new;
end
$$;
comment on function crm.date_privacy_request() is 'Trigger: says by when a request must be answered.';
create trigger privacy_request_date before insert or update of law, received_at, extended_by_days on crm.privacy_request
  for each row execute function crm.date_privacy_request();

create table crm.privacy_step (
  id         uuid        not null default crm.uuid_v7(),
  request_id uuid        not null,
  at         timestamptz not null default clock_timestamp(),
  actor_id   uuid        default crm.caller_id(),
  step       text        not null,
  detail     jsonb       not null default '{}',
  constraint privacy_step_id_primary primary key (id),
  constraint privacy_step_request_id_exists foreign key (request_id) references crm.privacy_request (id),
  constraint privacy_step_step_shape check (step ~ '^[a-z_]{1,40}$'),
  constraint privacy_step_detail_object check (jsonb_typeof(detail) = 'object')
);
comment on table crm.privacy_step is 'Each step of a request: what was done, when, by whom. Only ever added to.';
comment on column crm.privacy_step.request_id is 'The request.';
comment on column crm.privacy_step.at is 'When.';
comment on column crm.privacy_step.actor_id is 'The user; null for the system.';
comment on column crm.privacy_step.step is 'received, identified, extended, reminded, overdue, planned, exported, decided, executing, executed, failed, closed, withdrawn or assigned.';
comment on column crm.privacy_step.detail is 'What belongs to it, without personal data.';
comment on constraint privacy_step_step_shape on crm.privacy_step is 'en: A step is a word in small letters. | tr: Adım küçük harfli bir sözcüktür.';
comment on constraint privacy_step_detail_object on crm.privacy_step is 'en: Details are given as an object. | tr: Ayrıntılar bir nesne olarak verilir.';
create index privacy_step_request_id_index on crm.privacy_step (request_id, at);
select crm.protect('crm.privacy_step', area => 'admin', kind => 'reference', verbs => '{select,insert}', reason => 'It is a log itself.');

create policy privacy_step_keep on crm.privacy_step to crm_owner using (true) with check (true);

create function crm.record_privacy_step() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into crm.privacy_step (request_id, step, detail) values (new.id, 'received', jsonb_build_object('kind', new.kind, 'law', new.law, 'due_on', new.due_on));
    return null;
  end if;
  if new.extended_by_days is distinct from old.extended_by_days then
    insert into crm.privacy_step (request_id, step, detail) values (new.id, 'extended', jsonb_build_object('days', new.extended_by_days, 'due_on', new.due_on));
  end if;
  if new.reminded_days is distinct from old.reminded_days then
    insert into crm.privacy_step (request_id, step, detail)
    values (new.id, case when new.reminded_days < 0 then 'overdue' else 'reminded' end, jsonb_build_object('days_left', new.reminded_days));
  end if;
  if new.assignee_id is distinct from old.assignee_id then
    insert into crm.privacy_step (request_id, step, detail) values (new.id, 'assigned', jsonb_build_object('assignee_id', new.assignee_id));
  end if;
  if new.problem is not null and new.problem is distinct from old.problem then
    insert into crm.privacy_step (request_id, step) values (new.id, 'failed');
  end if;
  if new.state <> old.state then
    insert into crm.privacy_step (request_id, step, detail) values (new.id, new.state, jsonb_strip_nulls(case new.state
      when 'identified' then jsonb_build_object('method', new.identity_method)
      when 'decided' then jsonb_build_object('decision', new.decision) else '{}' end));
  end if;
  return null;
end
$$;
comment on function crm.record_privacy_step() is 'Trigger: writes the steps of a request.';
revoke execute on function crm.record_privacy_step() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger privacy_request_step after insert or update on crm.privacy_request for each row execute function crm.record_privacy_step();
select crm.protect('crm.privacy_request', area => 'admin', kind => 'reference', resource => 'privacy_requests');
select crm.register_personal('crm.privacy_request', 'request', '{requester,reply_to,request_text,identity_note}');

-- Holds, restrictions, breaches ----------------------------------------------------------------------------------------------------------

create table crm.legal_hold (
  id          uuid        not null default crm.uuid_v7(),
  customer_id uuid,
  relation    text,
  reason      text        not null,
  released_at timestamptz,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint legal_hold_id_primary primary key (id),
  constraint legal_hold_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint legal_hold_one_target check (num_nonnulls(customer_id, relation) = 1),
  constraint legal_hold_relation_shape check (relation ~ '^crm\.[a-z_]+$'),
  constraint legal_hold_reason_length check (length(btrim(reason)) between 1 and 2000)
);
comment on table crm.legal_hold is 'Nothing of a customer, or nothing in a table, may be destroyed while this holds: a dispute, an audit, an order of a court.';
comment on column crm.legal_hold.customer_id is 'The customer whose data stay.';
comment on column crm.legal_hold.relation is 'The table whose rows stay, such as crm.invoice.';
comment on column crm.legal_hold.reason is 'Why, with the file''s reference.';
comment on column crm.legal_hold.released_at is 'When it ended; null while it holds.';
comment on constraint legal_hold_one_target on crm.legal_hold is 'en: A hold is of a customer or of a table. | tr: Saklama kararı bir müşteri ya da bir tablo içindir.';
comment on constraint legal_hold_relation_shape on crm.legal_hold is 'en: Name a table such as crm.interaction. | tr: crm.interaction gibi bir tablo adı verin.';
comment on constraint legal_hold_reason_length on crm.legal_hold is 'en: Give a reason of at most 2,000 characters. | tr: En çok 2.000 karakterlik bir gerekçe verin.';
create index legal_hold_customer_id_index on crm.legal_hold (customer_id) where released_at is null;
select crm.protect('crm.legal_hold', area => 'admin', kind => 'reference', resource => 'legal_holds');

create table crm.processing_restriction (
  id          uuid        not null default crm.uuid_v7(),
  customer_id uuid        not null,
  contact_id  uuid,
  kind        text        not null,
  request_id  uuid        not null,
  since       timestamptz not null default now(),
  lifted_at   timestamptz,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint processing_restriction_id_primary primary key (customer_id, id),
  constraint processing_restriction_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint processing_restriction_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint processing_restriction_request_id_exists foreign key (request_id) references crm.privacy_request (id),
  constraint processing_restriction_kind_known check (kind in ('object', 'restrict'))
);
comment on table crm.processing_restriction is 'Persons whose data are kept but no longer used: for offers and profiles (object), or for anything but storing (restrict).';
comment on column crm.processing_restriction.contact_id is 'The person at the customer; null if the person is the customer.';
comment on column crm.processing_restriction.kind is 'object: no offers, no profile. restrict: stored only, until it is lifted.';
comment on column crm.processing_restriction.request_id is 'The request by which it came.';
comment on column crm.processing_restriction.since is 'Since when.';
comment on column crm.processing_restriction.lifted_at is 'Until when; null while it holds.';
comment on constraint processing_restriction_kind_known on crm.processing_restriction is 'en: A restriction is object or restrict. | tr: Kısıtlama object ya da restrict olabilir.';
create index processing_restriction_request_id_index on crm.processing_restriction (request_id);
select crm.protect('crm.processing_restriction', area => 'admin', kind => 'reference', resource => 'processing_restrictions');

create table crm.data_breach (
  id                  uuid        not null default crm.uuid_v7(),
  law                 text        not null default 'kvkk',
  title               text        not null,
  description         text        not null,
  happened_at         timestamptz,
  learned_at          timestamptz not null,
  due_at              timestamptz not null default now(),
  persons_affected    integer,
  categories          text[]      not null default '{}',
  measures            text,
  authority_told_at   timestamptz,
  persons_told_at     timestamptz,
  not_told_reason     text,
  reminded_hours      integer,
  assignee_id         uuid,
  closed_at           timestamptz,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  version             integer     not null default 1,
  created_by          uuid        default crm.caller_id(),
  constraint data_breach_id_primary primary key (id),
  constraint data_breach_law_exists foreign key (law) references crm.privacy_rule (law),
  constraint data_breach_title_length check (length(btrim(title)) between 1 and 300),
  constraint data_breach_description_length check (length(btrim(description)) between 1 and 20000),
  constraint data_breach_learned_at_later check (learned_at >= happened_at and isfinite(learned_at)),
  constraint data_breach_persons_affected_positive check (persons_affected >= 0),
  constraint data_breach_assignee_id_exists foreign key (assignee_id) references crm.app_user (id),
  constraint data_breach_closed_told check (closed_at is null or authority_told_at is not null or not_told_reason is not null)
);
comment on table crm.data_breach is 'The register of breaches: personal data that got out, were lost or changed, and who was told in time.';
comment on column crm.data_breach.law is 'The law by which the authority is told.';
comment on column crm.data_breach.title is 'What happened, in a few words.';
comment on column crm.data_breach.description is 'What happened, how, and what may follow from it.';
comment on column crm.data_breach.happened_at is 'When it happened, if it is known.';
comment on column crm.data_breach.learned_at is 'When the company learned of it; the deadline counts from here.';
comment on column crm.data_breach.due_at is 'Until when the authority must be told.';
comment on column crm.data_breach.persons_affected is 'How many persons, as far as it is known.';
comment on column crm.data_breach.categories is 'Which kinds of data, as in the register of processing.';
comment on column crm.data_breach.measures is 'What was done against it.';
comment on column crm.data_breach.authority_told_at is 'When the authority was told.';
comment on column crm.data_breach.persons_told_at is 'When the persons were told.';
comment on column crm.data_breach.not_told_reason is 'Why the authority need not be told.';
comment on column crm.data_breach.reminded_hours is 'The last reminder: so many hours before it was due; negative: after.';
comment on column crm.data_breach.assignee_id is 'Who sees to it.';
comment on column crm.data_breach.closed_at is 'When it was closed.';
comment on constraint data_breach_law_exists on crm.data_breach is 'en: The law is kvkk or gdpr. | tr: Yasa kvkk ya da gdpr olabilir.';
comment on constraint data_breach_title_length on crm.data_breach is 'en: Give a title of at most 300 characters. | tr: En çok 300 karakterlik bir başlık verin.';
comment on constraint data_breach_description_length on crm.data_breach is 'en: Describe it in at most 20,000 characters. | tr: En çok 20.000 karakterle açıklayın.';
comment on constraint data_breach_learned_at_later on crm.data_breach is 'en: It is learned of after it happened. | tr: Öğrenme zamanı olaydan önce olamaz.';
comment on constraint data_breach_persons_affected_positive on crm.data_breach is 'en: Give a number of persons from 0 up. | tr: 0 ya da daha büyük bir kişi sayısı verin.';
comment on constraint data_breach_closed_told on crm.data_breach is 'en: Before it is closed the authority is told, or the reason is given why not. | tr: Kapatmadan önce kuruma bildirin ya da bildirmeme gerekçesini yazın.';

create function crm.date_data_breach() returns trigger language plpgsql as $$
begin
  new.due_at := coalesce((select new.learned_at + make_interval(hours => r.breach_hours) from crm.privacy_rule as r where r.law = new.law), new.due_at);
  return new;
end
$$;
comment on function crm.date_data_breach() is 'Trigger: says until when the authority must be told.';
create trigger data_breach_date before insert or update of law, learned_at on crm.data_breach for each row execute function crm.date_data_breach();
select crm.protect('crm.data_breach', area => 'admin', kind => 'reference', resource => 'data_breaches');

-- Reminders -----------------------------------------------------------------------------------------------------------------------------

create function crm.privacy_notice(person uuid, kind text, resource text, record uuid, text_en text, text_tr text) returns void language plpgsql as $$
declare
  someone uuid;
begin
  if to_regprocedure('crm.notify(uuid,text,text,uuid,text,text)') is null then
    return;
  end if;
  -- Nobody in charge: everybody who may see to it.
  for someone in
    select person where person is not null
    union
    select r.user_id from crm.user_role as r join crm.role_permission as p on p.role_id = r.role_id join crm.app_user as u on u.id = r.user_id
    where person is null and p.area = 'admin' and p.write_scope <> 'none' and u.active
  loop
    execute 'select crm.notify($1, $2, $3, $4, $5, $6)' using someone, kind, resource, record, text_en, text_tr;
  end loop;
end
$$;
comment on function crm.privacy_notice(uuid, text, text, uuid, text, text) is 'Tells whoever is in charge, or else everybody with the right to write in administration.';

create function crm.watch_privacy_deadlines(at timestamptz) returns integer language plpgsql as $$
declare
  r record;
  told integer := 0;
begin
  for r in
    select q.id, q.kind, q.assignee_id, q.due_on, d.left_days
    from crm.privacy_request as q join crm.privacy_rule as l on l.law = q.law
    cross join lateral (select q.due_on - (at at time zone l.time_zone)::date) as d (left_days)
    where q.closed_at is null and (
      d.left_days < 0 and (q.reminded_days is null or q.reminded_days > d.left_days)
      or d.left_days >= 0 and exists (select from unnest(l.remind_days) as x where x >= d.left_days and (q.reminded_days is null or q.reminded_days > x)))
    for update of q skip locked
  loop
    update crm.privacy_request as q set reminded_days = r.left_days where q.id = r.id;
    perform crm.privacy_notice(case when r.left_days >= 0 then r.assignee_id end, case when r.left_days < 0 then 'privacy_request_overdue' else 'privacy_request_due' end,
      'privacy_requests', r.id,
      case when r.left_days < 0 then format('A data subject''s request (%s) is overdue since %s.', r.kind, r.due_on)
        else format('A data subject''s request (%s) must be answered by %s: %s days left.', r.kind, r.due_on, r.left_days) end,
      case when r.left_days < 0 then format('İlgili kişi başvurusunun (%s) süresi %s tarihinde doldu.', r.kind, r.due_on)
        else format('İlgili kişi başvurusu (%s) %s tarihine kadar yanıtlanmalı: %s gün kaldı.', r.kind, r.due_on, r.left_days) end);
    told := told + 1;
  end loop;
  for r in
    select b.id, b.title, b.assignee_id, b.due_at, h.left_hours
    from crm.data_breach as b cross join lateral (select floor(extract(epoch from b.due_at - at) / 3600)::integer) as h (left_hours)
    where b.closed_at is null and b.authority_told_at is null and b.not_told_reason is null
      and exists (select from unnest('{48,24,6,-1}'::integer[]) as x where x >= h.left_hours and (b.reminded_hours is null or b.reminded_hours > x))
    for update of b skip locked
  loop
    update crm.data_breach as b set reminded_hours = r.left_hours where b.id = r.id;
    perform crm.privacy_notice(case when r.left_hours >= 0 then r.assignee_id end, 'data_breach_due', 'data_breaches', r.id,
      format('The authority must be told of a breach by %s UTC.', to_char(r.due_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')),
      format('Veri ihlali %s UTC saatine kadar kuruma bildirilmeli.', to_char(r.due_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')));
    told := told + 1;
  end loop;
  return told;
end
$$;
comment on function crm.watch_privacy_deadlines(timestamptz) is
  'Reminds those in charge of requests and breaches whose deadline comes near, each step once; what is overdue goes to everybody who may see to it, every day. Says how many.';
revoke execute on function crm.watch_privacy_deadlines(timestamptz), crm.privacy_notice(uuid, text, text, uuid, text, text) from crm_app, crm_bulk, crm_access;

-- Finding the person ----------------------------------------------------------------------------------------------------------------------

create function crm.find_persons(wanted_name text, wanted_email text, wanted_phone text, wanted_number text, most integer default 50)
returns table (customer_id uuid, contact_id uuid, lead_id uuid, kind text, name text, matched text[]) language sql stable as $$
  with hit as (
    select p.customer_id, p.contact_id, null::uuid as lead_id, p.kind as matched from crm.contact_point as p
    where p.kind = 'email' and p.value_key = crm.search_key(wanted_email) or p.kind in ('phone', 'whatsapp') and p.value_key = crm.search_key(crm.e164(wanted_phone))
    union all
    select c.id, null, null, 'tax_number' from crm.customer as c where c.tax_number = wanted_number
    union all
    select c.id, null, null, 'name' from crm.customer as c where c.search_key = crm.search_key(wanted_name)
    union all
    select c.customer_id, c.id, null, 'name' from crm.contact as c where c.search_key = crm.search_key(wanted_name)
    union all
    select l.customer_id, l.contact_id, l.id, 'lead' from crm.lead as l
    where l.email_key = crm.search_key(wanted_email) or l.phone = crm.e164(wanted_phone) or l.tax_number = wanted_number
  )
  select h.customer_id, h.contact_id, h.lead_id, case when h.contact_id is not null then 'contact' when h.customer_id is not null then c.kind else 'lead' end,
    coalesce(x.name, c.name, l.name), array_agg(distinct h.matched order by h.matched)
  from hit as h
  left join crm.customer as c on c.id = h.customer_id
  left join crm.contact as x on x.customer_id = h.customer_id and x.id = h.contact_id
  left join crm.lead as l on l.id = h.lead_id
  group by 1, 2, 3, 4, 5
  order by cardinality(array_agg(distinct h.matched)) desc, 5, 1, 2, 3
  limit most
$$;
comment on function crm.find_persons(text, text, text, text, integer) is
  'Customers, contacts and leads the caller may read that have this name, e-mail address, telephone number or identity number; those with most in common first.';
