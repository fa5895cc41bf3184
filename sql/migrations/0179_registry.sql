-- The registry of consents (İYS): what has to be passed to it and by when, what it holds, what it reports, and where the two differ.
-- Its rules for one brand, recipient, recipient type and channel: a date later than the stored one, not in the future and not before May 2015; no ONAY upon ONAY and no
-- RET upon RET; nothing begins with RET; nothing older than three business days. What would break one is not sent, and why is kept.
set local role crm_owner;

create table crm.registry_transfer (
  id              uuid        not null default crm.uuid_v7(),
  event_id        uuid        not null,
  brand_id        uuid        not null,
  due_at          timestamptz not null,
  state           text        not null default 'pending',
  attempts        integer     not null default 0,
  not_before      timestamptz,
  passed_date     timestamptz,
  transaction_id  text,
  problem         text,
  settled_at      timestamptz,
  escalated_at    timestamptz,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint registry_transfer_id_primary primary key (id),
  constraint registry_transfer_event_id_exists foreign key (event_id) references crm.consent_event (id) on delete cascade,
  constraint registry_transfer_event_id_once unique (event_id, brand_id),
  constraint registry_transfer_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint registry_transfer_due_at_finite check (isfinite(due_at)),
  constraint registry_transfer_state_known check (state in ('pending', 'sending', 'accepted', 'rejected', 'skipped')),
  constraint registry_transfer_attempts_positive check (attempts >= 0),
  constraint registry_transfer_problem_length check (length(problem) <= 500)
);
comment on table crm.registry_transfer is 'That a consent event has to be known to the registry, and how far that is.';
comment on column crm.registry_transfer.event_id is 'The event.';
comment on column crm.registry_transfer.brand_id is 'The brand for which it is registered.';
comment on column crm.registry_transfer.due_at is 'By when it has to be there: the end of the third business day after it was said.';
comment on column crm.registry_transfer.state is 'pending, sending, accepted, rejected (by the registry) or skipped (there was nothing to pass on, or it would break a rule).';
comment on column crm.registry_transfer.attempts is 'How often it was sent.';
comment on column crm.registry_transfer.not_before is 'Not to be sent again earlier, after the registry could not be reached.';
comment on column crm.registry_transfer.passed_date is 'The date that was passed on. A refusal''s is moved where the registry would not take its own, because a refusal must get there.';
comment on column crm.registry_transfer.transaction_id is 'The registry''s number of it.';
comment on column crm.registry_transfer.problem is 'Why it was rejected (the registry''s code) or skipped: superseded, unchanged, nothing_to_refuse, not_later, late or erased.';
comment on column crm.registry_transfer.settled_at is 'When it was accepted, rejected or skipped.';
comment on column crm.registry_transfer.escalated_at is 'When people were told that its deadline comes near.';
comment on constraint registry_transfer_event_id_once on crm.registry_transfer is 'en: This event is already being passed on. | tr: Bu izin kaydı zaten aktarılıyor.';
comment on constraint registry_transfer_due_at_finite on crm.registry_transfer is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint registry_transfer_state_known on crm.registry_transfer is 'en: A transfer is pending, sending, accepted, rejected or skipped. | tr: Aktarım pending, sending, accepted, rejected ya da skipped olabilir.';
comment on constraint registry_transfer_attempts_positive on crm.registry_transfer is 'en: Attempts are counted from 0. | tr: Denemeler 0''dan sayılır.';
comment on constraint registry_transfer_problem_length on crm.registry_transfer is 'en: A problem has at most 500 characters. | tr: Sorun en çok 500 karakterdir.';
create index registry_transfer_open_index on crm.registry_transfer (brand_id, due_at) where state in ('pending', 'sending');
select crm.protect('crm.registry_transfer', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'It is how far a consent event is on its way to the registry; the event itself is logged.');

create table crm.registry_record (
  id             uuid        not null default crm.uuid_v7(),
  brand_id       uuid        not null,
  address_token  bytea       not null,
  channel        text        not null,
  recipient_type text        not null,
  status         text        not null,
  consented_at   timestamptz not null,
  transaction_id text        not null,
  seen_at        timestamptz not null,
  constraint registry_record_id_primary primary key (id),
  constraint registry_record_address_token_once unique (brand_id, address_token, channel, recipient_type),
  constraint registry_record_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint registry_record_status_known check (status in ('ONAY', 'RET')),
  constraint registry_record_consented_at_finite check (isfinite(consented_at) and isfinite(seen_at))
);
comment on table crm.registry_record is 'What the registry holds for an address, as far as it was told to it or heard from it.';
comment on column crm.registry_record.brand_id is 'The brand.';
comment on column crm.registry_record.address_token is 'secret: keyed hash of the address.';
comment on column crm.registry_record.channel is 'email (EPOSTA), sms (MESAJ) or phone (ARAMA).';
comment on column crm.registry_record.recipient_type is 'BIREYSEL or TACIR.';
comment on column crm.registry_record.status is 'ONAY or RET.';
comment on column crm.registry_record.consented_at is 'The date it has there.';
comment on column crm.registry_record.transaction_id is 'The registry''s number of the last change.';
comment on column crm.registry_record.seen_at is 'When this became known.';
comment on constraint registry_record_address_token_once on crm.registry_record is 'en: The registry has one record for each address. | tr: İYS''de her adres için tek kayıt vardır.';
comment on constraint registry_record_status_known on crm.registry_record is 'en: The status is ONAY or RET. | tr: Durum ONAY ya da RET olabilir.';
comment on constraint registry_record_consented_at_finite on crm.registry_record is 'en: Give real instants. | tr: Gerçek anlar verin.';
select crm.protect('crm.registry_record', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It mirrors what another system holds.');

create table crm.registry_cursor (
  id        uuid        not null default crm.uuid_v7(),
  brand_id  uuid        not null,
  "after"   text,
  pulled_at timestamptz not null default now(),
  constraint registry_cursor_id_primary primary key (id),
  constraint registry_cursor_brand_id_once unique (brand_id),
  constraint registry_cursor_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint registry_cursor_after_length check (length("after") <= 500)
);
comment on table crm.registry_cursor is 'How far the registry''s changes were read.';
comment on column crm.registry_cursor.brand_id is 'The brand.';
comment on column crm.registry_cursor."after" is 'The registry''s own mark of the place; null for the beginning.';
comment on column crm.registry_cursor.pulled_at is 'When they were last read.';
comment on constraint registry_cursor_brand_id_once on crm.registry_cursor is 'en: A brand has one place. | tr: Her markanın tek bir yeri vardır.';
comment on constraint registry_cursor_after_length on crm.registry_cursor is 'en: A mark has at most 500 characters. | tr: İşaret en çok 500 karakterdir.';
select crm.protect('crm.registry_cursor', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It is the place of a reader of another system''s log.');

-- What has to be passed on -----------------------------------------------------------------------------------------------------------

create function crm.owe_registry() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into crm.registry_transfer (event_id, brand_id, due_at)
  select new.id, b.id, crm.business_deadline(new.consented_at, 3)
  from crm.brand as b
  where b.iys_code is not null and (b.id = new.brand_id or new.brand_id is null and new.status = 'RET')
    and exists (select from crm.consent_purpose as p where p.code = new.purpose and p.is_commercial)
    and (new.status = 'ONAY' or new.purpose = 'marketing');
  return null;
end
$$;
comment on function crm.owe_registry() is
  'Trigger: what is said for a brand that is in the registry, on a channel the registry knows, has to be passed on; refusing one purpose among several is not the registry''s matter.';
create trigger consent_event_owe after insert on crm.consent_event for each row
  when (new.channel in ('email', 'sms', 'phone') and new.registry_transaction is null and (new.brand_id is not null or new.status = 'RET')) execute function crm.owe_registry();
alter table crm.consent_event enable always trigger consent_event_owe;

create type crm.registry_item as (
  transfer_id uuid, recipient text, recipient_type text, type text, status text, source text, consent_date timestamptz);
comment on type crm.registry_item is 'One record as the registry takes it: type ARAMA, MESAJ or EPOSTA.';

create function crm.next_registry_items(of_brand uuid, at timestamptz, most integer default 500) returns setof crm.registry_item
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system speaks to the registry';
  end if;
  perform pg_advisory_xact_lock(hashtext('crm.registry'), hashtext(of_brand::text));
  -- Of several for one record the last word alone is passed on.
  update crm.registry_transfer as t set state = 'skipped', problem = verdict.problem, settled_at = at
  from (
    select w.id, case
        when w.place > 1 then 'superseded'
        when w.address is null then 'erased'
        when w.status = r.status then 'unchanged'
        when w.status = 'RET' and r.status is null then 'nothing_to_refuse'
        when w.status = 'ONAY' and crm.business_deadline(w.consented_at, 3) <= at then 'late'
        when w.status = 'ONAY' and date_trunc('second', w.consented_at) <= r.consented_at then 'not_later'
        when w.status = 'ONAY' and w.consented_at < '2015-04-30 21:00:00+00' then 'late'
        when w.status = 'RET' and w.consented_at < r.consented_at then 'not_later'
      end as problem
    from (
      select t.id, e.*, row_number() over (partition by e.address_token, e.channel, e.recipient_type
        order by e.consented_at desc, e.status desc, e.received_at desc, e.id desc) as place
      from crm.registry_transfer as t join crm.consent_event as e on e.id = t.event_id
      where t.brand_id = of_brand and t.state in ('pending', 'sending')
    ) as w (id, event_id, customer_id, contact_id, channel, address, address_token, recipient_type, brand_id, purpose, status, consented_at, valid_until, source)
    left join crm.registry_record as r on r.brand_id = of_brand and r.address_token = w.address_token and r.channel = w.channel and r.recipient_type = w.recipient_type
  ) as verdict
  where verdict.problem is not null and t.id = verdict.id;

  return query
  with due as (
    select t.id, e.address, e.recipient_type, e.channel, e.status, e.source,
      case when e.status = 'ONAY' then date_trunc('second', e.consented_at)
        when crm.business_deadline(e.consented_at, 3) <= at then date_trunc('second', at)
        else greatest(date_trunc('second', e.consented_at), r.consented_at + interval '1 second') end as passed
    from crm.registry_transfer as t join crm.consent_event as e on e.id = t.event_id
    left join crm.registry_record as r on r.brand_id = of_brand and r.address_token = e.address_token and r.channel = e.channel and r.recipient_type = e.recipient_type
    where t.brand_id = of_brand and t.state in ('pending', 'sending') and (t.not_before is null or t.not_before <= at)
    order by t.due_at, t.id
    limit most
  ), taken as (
    update crm.registry_transfer as t set state = 'sending', attempts = t.attempts + 1, passed_date = due.passed,
      not_before = at + least(interval '1 minute' * 2 ^ least(t.attempts, 6), interval '1 hour')
    from due where t.id = due.id and due.passed <= at
    returning t.id
  )
  select due.id, due.address, due.recipient_type, case due.channel when 'email' then 'EPOSTA' when 'sms' then 'MESAJ' else 'ARAMA' end, due.status,
    case when due.source = 'HS_2015' and due.passed <> '2015-04-30 21:00:00+00' then 'HS_EORTAM' else due.source end, due.passed
  from due join taken on taken.id = due.id;
end
$$;
comment on function crm.next_registry_items(uuid, timestamptz, integer) is
  'What is to be passed to the registry for a brand now, the most urgent first, marked as being sent; what would break one of its rules is skipped with the reason. Sent again when nobody settles it. A refusal that the registry would not take with its own date has the next one it takes.';

create function crm.settle_registry_item(transfer uuid, at timestamptz, given_transaction text, code text default null) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t crm.registry_transfer;
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system speaks to the registry';
  end if;
  update crm.registry_transfer as x set state = case when code is null then 'accepted' else 'rejected' end, transaction_id = given_transaction, problem = code, settled_at = at
  where x.id = transfer and x.state = 'sending' returning * into t;
  if not found then
    return false;
  end if;
  if code is null then
    insert into crm.registry_record (brand_id, address_token, channel, recipient_type, status, consented_at, transaction_id, seen_at)
    select t.brand_id, e.address_token, e.channel, e.recipient_type, e.status, t.passed_date, given_transaction, at from crm.consent_event as e where e.id = t.event_id
    on conflict on constraint registry_record_address_token_once do update
      set status = excluded.status, consented_at = excluded.consented_at, transaction_id = excluded.transaction_id, seen_at = excluded.seen_at
      where registry_record.consented_at < excluded.consented_at;
  end if;
  return true;
end
$$;
comment on function crm.settle_registry_item(uuid, timestamptz, text, text) is 'Notes what the registry answered: its transaction, or the code with which it rejected. False when it was settled before.';

-- What the registry reports ------------------------------------------------------------------------------------------------------------

create function crm.take_registry_change(
  of_brand uuid, change_transaction text, recipient text, of_recipient_type text, type text, of_status text, of_source text, consent_date timestamptz, at timestamptz
) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  of_channel constant text := case type when 'EPOSTA' then 'email' when 'MESAJ' then 'sms' when 'ARAMA' then 'phone' end;
  token constant bytea := crm.address_token(of_channel, recipient);
  known uuid[];
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system speaks to the registry';
  end if;
  if token is null or of_source !~ '^IYS_[A-Z_]{1,40}$' or exists (select from crm.consent_event as e where e.registry_transaction = change_transaction) then
    return false;
  end if;
  -- Where one customer alone has the address, it is theirs.
  known := array(
    select distinct p.customer_id from crm.contact_point as p
    where p.value_key = crm.search_key(crm.normal_address(of_channel, recipient)) and p.kind = case of_channel when 'email' then 'email' else 'phone' end limit 2);
  insert into crm.consent_event (customer_id, channel, address, recipient_type, brand_id, status, consented_at, source, registry_transaction, operator_id)
  values (case when cardinality(known) = 1 then known[1] end, of_channel, recipient, of_recipient_type, of_brand, of_status, least(consent_date, at), of_source, change_transaction, null)
  on conflict on constraint consent_event_registry_transaction_unique do nothing;
  if not found then
    return false;
  end if;
  insert into crm.registry_record (brand_id, address_token, channel, recipient_type, status, consented_at, transaction_id, seen_at)
  values (of_brand, token, of_channel, of_recipient_type, of_status, consent_date, change_transaction, at)
  on conflict on constraint registry_record_address_token_once do update
    set status = excluded.status, consented_at = excluded.consented_at, transaction_id = excluded.transaction_id, seen_at = excluded.seen_at
    where registry_record.consented_at <= excluded.consented_at;
  return true;
end
$$;
comment on function crm.take_registry_change(uuid, text, text, text, text, text, text, timestamptz, timestamptz) is
  'Takes over what somebody said to the registry itself, once for each of its transactions: a consent event like any other, and the mirror. False when it was known, or is none of the registry''s own.';

-- Where the two differ, and what is late -------------------------------------------------------------------------------------------------

create function crm.registry_differences(of_brand uuid, at timestamptz) returns table (
  kind text, channel text, recipient_type text, address text, here text, there text, since timestamptz, due_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with here as (
    select distinct on (e.address_token, e.channel, e.recipient_type) e.address_token, e.channel, e.recipient_type, e.address, e.status, e.consented_at, e.id
    from crm.consent_event as e
    where e.channel in ('email', 'sms', 'phone') and e.purpose = 'marketing' and (e.brand_id = of_brand or e.brand_id is null and e.status = 'RET') and e.consented_at <= at
    order by e.address_token, e.channel, e.recipient_type, e.consented_at desc, e.status desc, e.received_at desc, e.id desc
  )
  select case
      when t.state in ('pending', 'sending') and t.due_at <= at then 'overdue'
      when t.state in ('pending', 'sending') then 'on_its_way'
      when t.state = 'rejected' then 'rejected'
      when r.id is null then 'only_here'
      when h.id is null then 'only_there'
      else 'different'
    end, coalesce(h.channel, r.channel), coalesce(h.recipient_type, r.recipient_type), h.address, h.status, r.status, coalesce(h.consented_at, r.consented_at), t.due_at
  from here as h
  full join (select * from crm.registry_record as r where r.brand_id = of_brand) as r using (address_token, channel, recipient_type)
  left join crm.registry_transfer as t on t.event_id = h.id and t.brand_id = of_brand
  where h.status is distinct from r.status and not (h.status = 'RET' and r.status is null and coalesce(t.state, 'skipped') = 'skipped')
    and (crm.reads_all('customers') or crm.reads('marketing') and crm.reads('customers'))
$$;
comment on function crm.registry_differences(uuid, timestamptz) is
  'Where what was said here and what the registry holds differ for a brand: overdue, on_its_way, rejected, only_here, only_there or different. A refusal of what the registry never knew is no difference.';

create function crm.escalate_registry(at timestamptz) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  of_brand record;
  told integer := 0;
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system watches deadlines';
  end if;
  for of_brand in
    with urgent as (
      update crm.registry_transfer as t set escalated_at = at
      where t.state in ('pending', 'sending') and t.escalated_at is null and t.due_at <= crm.business_deadline(at, 1)
      returning t.brand_id, t.due_at
    )
    select u.brand_id, count(*) as transfers, min(u.due_at) as due_at, b.name from urgent as u join crm.brand as b on b.id = u.brand_id group by u.brand_id, b.name
  loop
    told := told + of_brand.transfers;
    perform crm.notify(p.user_id, 'registry_deadline', 'brands', of_brand.brand_id,
      format('%s consents of %s must reach İYS by %s', of_brand.transfers, of_brand.name, to_char(of_brand.due_at at time zone 'Europe/Istanbul', 'YYYY-MM-DD HH24:MI')),
      format('%s markasının %s izni en geç %s tarihinde İYS''ye aktarılmalı', of_brand.name, of_brand.transfers, to_char(of_brand.due_at at time zone 'Europe/Istanbul', 'DD.MM.YYYY HH24:MI')))
    from (
      select distinct ur.user_id from crm.user_role as ur join crm.role_permission as rp on rp.role_id = ur.role_id
      where rp.area = 'marketing' and rp.write_scope in ('department', 'shared', 'all')
    ) as p;
  end loop;
  return told;
end
$$;
comment on function crm.escalate_registry(timestamptz) is
  'Tells everybody who writes in marketing, once, of what has to reach the registry by the end of the next business day and is not there. Gives how many transfers that are.';

-- Nobody may be written to whose consent the registry did not take -----------------------------------------------------------------------

alter table crm.message_refusal drop constraint message_refusal_reason_known, add constraint message_refusal_reason_known check (
  reason in ('bad_address', 'suppressed', 'refused', 'no_consent', 'consent_ended', 'not_registered', 'held_out', 'frequency_cap', 'channel_preference', 'late'));
comment on constraint message_refusal_reason_known on crm.message_refusal is 'en: This reason is not known. | tr: Bu neden bilinmiyor.';
comment on column crm.message_refusal.reason is 'bad_address, suppressed, refused (RET), no_consent, consent_ended, not_registered (the registry did not take the consent in time), held_out (of the campaign), frequency_cap, channel_preference or late (past its time).';

create function crm.is_unregistered(of_event uuid, of_brand uuid, at timestamptz) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from crm.registry_transfer as t
    where t.event_id = of_event and t.brand_id = of_brand
      and (t.state = 'rejected' or t.state in ('pending', 'sending') and t.due_at <= at or t.state = 'skipped' and t.problem = 'late'));
end
$$;
comment on function crm.is_unregistered(uuid, uuid, timestamptz) is 'Whether a consent should be in the registry by now and is not: rejected, too late, or never passed on.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.owe_registry() owner to crm_steward;
alter function crm.next_registry_items(uuid, timestamptz, integer) owner to crm_steward;
alter function crm.settle_registry_item(uuid, timestamptz, text, text) owner to crm_steward;
alter function crm.take_registry_change(uuid, text, text, text, text, text, text, timestamptz, timestamptz) owner to crm_steward;
alter function crm.registry_differences(uuid, timestamptz) owner to crm_steward;
alter function crm.escalate_registry(timestamptz) owner to crm_steward;
alter function crm.is_unregistered(uuid, uuid, timestamptz) owner to crm_steward;
set local role crm_steward;
create or replace function crm.commercial_refusal(message crm.outbound_message, at timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when message.consent_event_id is not null and message.brand_id is not null and crm.is_unregistered(message.consent_event_id, message.brand_id, at) then 'not_registered'
    when message.campaign_id is not null
      and exists (select from crm.campaign_member as m where m.campaign_id = message.campaign_id and m.customer_id = message.customer_id and m.held_out) then 'held_out'
    when message.campaign_id is not null
      and exists (select from crm.campaign as c where c.id = message.campaign_id and (c.status in ('finished', 'cancelled') or c.ends_on < crm.business_day(at))) then 'late'
    when exists (
      select from crm.channel_preference as p
      where p.customer_id = message.customer_id and (p.contact_id is null or p.contact_id = message.contact_id) and message.channel = any (p.avoided_channels))
      then 'channel_preference'
    when crm.exceeds_cap(message.customer_id, message.id, message.channel, message.brand_id, greatest(at, message.not_before)) then 'frequency_cap'
  end;
end
$$;
comment on function crm.commercial_refusal(crm.outbound_message, timestamptz) is
  'Why a commercial message that is covered by consent still may not go: not_registered, held_out (of its campaign), late (the campaign is over), channel_preference or frequency_cap; null if it may.';
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;

create or replace function crm.guard_message() returns trigger language plpgsql as $$
declare
  at constant timestamptz := crm.consent_clock();
  queueing constant boolean := tg_op = 'INSERT';
  starts boolean := false;
  verdict record;
  calm timestamptz;
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
    new.channel_account_id := coalesce(new.channel_account_id, crm.sender_of(new.department_id, new.channel, new.brand_id));
    new.brand_id := coalesce(new.brand_id, (select a.brand_id from crm.channel_account as a where a.id = new.channel_account_id));
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

  -- Quiet hours come first, because what is moved is asked for again at its time, and caps count there.
  if new.legal_class = 'commercial' and (queueing or starts) then
    calm := crm.after_quiet_hours(new.channel, new.brand_id, greatest(at, new.not_before), (
      select p.time_zone from crm.channel_preference as p
      where p.customer_id = new.customer_id and (p.contact_id = new.contact_id or p.contact_id is null) and p.time_zone is not null order by p.contact_id is null limit 1));
    if calm > greatest(at, new.not_before) then
      new.not_before := calm;
      if starts then
        new.state := 'queued';
        new.attempts := old.attempts;
        return new;
      end if;
    end if;
  end if;

  verdict := crm.refusal_of(new.customer_id, new.contact_id, new.channel, new.address, new.legal_class, new.purpose, new.brand_id, at);
  if verdict.reason is null and new.legal_class = 'commercial' then
    new.consent_event_id := verdict.consent_event_id;
    verdict.reason := crm.commercial_refusal(new, at);
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
