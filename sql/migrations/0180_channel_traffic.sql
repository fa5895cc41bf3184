-- How far each account was read, what came through it, what providers report, and the work of sending.
set local role crm_owner;

create table crm.channel_state (
  channel_account_id uuid        not null,
  uid_validity       bigint,
  uid                bigint,
  marker             text,
  checked_at         timestamptz,
  problem            text,
  problem_at         timestamptz,
  updated_at         timestamptz not null default now(),
  constraint channel_state_channel_account_id_primary primary key (channel_account_id),
  constraint channel_state_uid_both check ((uid_validity is null) = (uid is null)),
  constraint channel_state_problem_both check ((problem is null) = (problem_at is null)),
  constraint channel_state_problem_length check (length(problem) <= 1000)
);
comment on table crm.channel_state is 'How far an account was read, and what is wrong with it.';
comment on column crm.channel_state.channel_account_id is 'The account; accounts are never deleted.';
comment on column crm.channel_state.uid_validity is 'The numbering of the mailbox; another one means that the server numbers its messages anew.';
comment on column crm.channel_state.uid is 'The last message of the mailbox that was read.';
comment on column crm.channel_state.marker is 'Where an HTTP provider''s inbox goes on.';
comment on column crm.channel_state.checked_at is 'When it was last read to its end.';
comment on column crm.channel_state.problem is 'Why it could not be read; null while all is well.';
comment on column crm.channel_state.problem_at is 'When that was found.';
comment on constraint channel_state_uid_both on crm.channel_state is 'en: A message is known by its number and its numbering together. | tr: İleti, numarası ve numaralandırmasıyla birlikte bilinir.';
comment on constraint channel_state_problem_both on crm.channel_state is 'en: A problem has the time it was found. | tr: Sorunun bulunduğu zaman da verilir.';
comment on constraint channel_state_problem_length on crm.channel_state is 'en: A problem has at most 1,000 characters. | tr: Sorun en çok 1.000 karakterdir.';
select crm.protect('crm.channel_state', area => 'admin', kind => 'common', verbs => '{select,insert,update}',
  reason => 'It moves with every message that comes in, and the messages themselves are in the change log.');

create table crm.received_message (
  channel_account_id uuid        not null,
  external_id        text        not null,
  digest             text        not null,
  size               bigint      not null,
  interaction_id     uuid        not null,
  defects            text[]      not null default '{}',
  received_at        timestamptz not null default now(),
  constraint received_message_external_id_primary primary key (channel_account_id, external_id),
  constraint received_message_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id),
  constraint received_message_external_id_length check (length(external_id) between 1 and 1000),
  constraint received_message_digest_shape check (digest ~ '^[0-9a-f]{64}$'),
  constraint received_message_size_positive check (size >= 0)
);
comment on table crm.received_message is 'Each message that came through an account, once: by what it is known, and what could not be read of it.';
comment on column crm.received_message.channel_account_id is 'The account.';
comment on column crm.received_message.external_id is 'The Message-ID or the provider''s id. Of two different messages with one id the later has the beginning of its digest behind it.';
comment on column crm.received_message.digest is 'SHA-256 of what it says, by which a message that comes again is known.';
comment on column crm.received_message.size is 'Bytes as it came.';
comment on column crm.received_message.interaction_id is 'The interaction that shows it.';
comment on column crm.received_message.defects is 'What could not be read as it was meant; the source is then an attachment of the interaction.';
comment on column crm.received_message.received_at is 'When it was taken in.';
comment on constraint received_message_external_id_length on crm.received_message is 'en: An external id has 1 to 1,000 characters. | tr: Dış kimlik 1 ile 1.000 karakter arasındadır.';
comment on constraint received_message_digest_shape on crm.received_message is 'en: A digest has 64 hexadecimal digits. | tr: Özet 64 onaltılık rakamdır.';
comment on constraint received_message_size_positive on crm.received_message is 'en: A size is not negative. | tr: Boyut eksi olamaz.';
create index received_message_interaction_id_index on crm.received_message (interaction_id);
select crm.protect('crm.received_message', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'It is a record of transport; what came in is in the change log as an interaction.');

create table crm.delivery_report (
  channel_account_id uuid        not null,
  event_id           text        not null,
  message_id         uuid,
  provider_id        text,
  outcome            text        not null,
  reason             text,
  reported_at        timestamptz not null,
  received_at        timestamptz not null default now(),
  constraint delivery_report_event_id_primary primary key (channel_account_id, event_id),
  constraint delivery_report_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id),
  constraint delivery_report_event_id_length check (length(event_id) between 1 and 200),
  constraint delivery_report_outcome_known check (outcome in ('delivered', 'failed', 'bounced')),
  constraint delivery_report_reported_at_finite check (isfinite(reported_at))
);
comment on table crm.delivery_report is 'What providers and mail servers reported of messages of ours, each report once.';
comment on column crm.delivery_report.channel_account_id is 'The account the message went out from.';
comment on column crm.delivery_report.event_id is 'By which the provider knows the report.';
comment on column crm.delivery_report.message_id is 'The message; null when none of ours is meant.';
comment on column crm.delivery_report.provider_id is 'What the provider calls the message.';
comment on column crm.delivery_report.outcome is 'delivered, failed or bounced.';
comment on column crm.delivery_report.reason is 'Why it did not arrive.';
comment on column crm.delivery_report.reported_at is 'When it happened, as reported.';
comment on column crm.delivery_report.received_at is 'When the report came.';
comment on constraint delivery_report_event_id_length on crm.delivery_report is 'en: A report''s id has 1 to 200 characters. | tr: Raporun kimliği 1 ile 200 karakter arasındadır.';
comment on constraint delivery_report_outcome_known on crm.delivery_report is 'en: An outcome is delivered, failed or bounced. | tr: Sonuç delivered, failed ya da bounced olabilir.';
comment on constraint delivery_report_reported_at_finite on crm.delivery_report is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create index delivery_report_message_id_index on crm.delivery_report (message_id) where message_id is not null;
select crm.protect('crm.delivery_report', area => 'admin', kind => 'system', verbs => '{select,insert,delete}',
  reason => 'It is a record of transport; what follows from it is in the change log of the message.');

-- Sending ---------------------------------------------------------------------------------------------------------------------------

create function crm.enqueue_message() returns trigger language plpgsql as $$
begin
  -- A day of attempts: mail servers and providers come back.
  perform crm.enqueue('message.send', jsonb_build_object('customer_id', new.customer_id, 'message_id', new.id),
    'message.send:' || new.id || ':' || new.version || ':' || extract(epoch from new.not_before)::bigint, new.not_before, 30);
  return null;
end
$$;
comment on function crm.enqueue_message() is 'Trigger: a message that is queued makes the work of sending it.';
create trigger outbound_message_enqueue_insert after insert on crm.outbound_message for each row
  when (new.state = 'queued' and new.channel in ('email', 'sms', 'social')) execute function crm.enqueue_message();
-- A message that failed and is queued again, or is put off, is new work; one that waits for its next attempt has its job already.
create trigger outbound_message_enqueue_update after update on crm.outbound_message for each row
  when (new.state = 'queued' and new.channel in ('email', 'sms', 'social') and (old.state = 'failed' or old.not_before is distinct from new.not_before))
  execute function crm.enqueue_message();

create function crm.move_message(customer uuid, message uuid, next text, at timestamptz, called text default null, why text default null) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  moved record;
begin
  update crm.outbound_message as m
  set state = next, provider_id = coalesce(called, m.provider_id), problem = case when next in ('sent', 'delivered') then null else left(coalesce(why, m.problem), 1000) end,
    sent_at = case when next in ('sent', 'delivered') then coalesce(m.sent_at, at) else m.sent_at end
  where m.customer_id = move_message.customer and m.id = message and m.state <> next and case next
    when 'sent' then m.state = 'sending'
    when 'delivered' then m.state in ('sending', 'sent')
    when 'failed' then m.state in ('queued', 'sending', 'sent')
    when 'bounced' then m.state in ('sending', 'sent', 'delivered')
    when 'queued' then m.state = 'sending'
    else false end
  returning m.interaction_id, m.state into moved;
  if not found then
    return false;
  end if;
  update crm.interaction as i set status = moved.state where i.customer_id = move_message.customer and i.id = moved.interaction_id and i.status <> moved.state;
  return true;
end
$$;
comment on function crm.move_message(uuid, uuid, text, timestamptz, text, text) is
  'Moves a message and the interaction that shows it: queued (for another attempt), sent, delivered, failed or bounced. What cannot follow its present state, such as a report that comes twice or late, changes nothing; says whether anything changed.';

create function crm.report_delivery(account uuid, event text, message uuid, called text, outcome text, why text, at timestamptz) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  found_message record;
begin
  select m.customer_id, m.id into found_message from crm.outbound_message as m
  where m.channel_account_id = report_delivery.account and (m.id = message or message is null and m.provider_id = called) order by m.id limit 1;
  insert into crm.delivery_report (channel_account_id, event_id, message_id, provider_id, outcome, reason, reported_at)
  values (account, event, found_message.id, left(called, 1000), report_delivery.outcome, left(why, 1000), at)
  on conflict on constraint delivery_report_event_id_primary do nothing;
  if not found or found_message.id is null then
    return false;
  end if;
  return crm.move_message(found_message.customer_id, found_message.id, report_delivery.outcome, at, called, why);
end
$$;
comment on function crm.report_delivery(uuid, text, uuid, text, text, text, timestamptz) is
  'Takes a report on a message of ours (by its id, else by what the provider calls it), each once; a report on nobody''s message is kept. Says whether the message changed.';
