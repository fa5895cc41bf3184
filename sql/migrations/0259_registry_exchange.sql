-- The registry of consents over a real connection: batches that it answers later, what is wrong with a brand's connection, and holding every address against it.
set local role crm_owner;

create table crm.registry_batch (
  id         uuid        not null default crm.uuid_v7(),
  brand_id   uuid        not null,
  request_id text        not null,
  records    integer     not null,
  sent_at    timestamptz not null,
  settled_at timestamptz,
  constraint registry_batch_id_primary primary key (id),
  constraint registry_batch_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint registry_batch_request_id_once unique (brand_id, request_id),
  constraint registry_batch_request_id_length check (length(request_id) between 1 and 200),
  constraint registry_batch_records_positive check (records > 0),
  constraint registry_batch_sent_at_finite check (isfinite(sent_at))
);
comment on table crm.registry_batch is 'Consents that were passed to the registry together, which it works through by itself and is asked about later.';
comment on column crm.registry_batch.brand_id is 'The brand.';
comment on column crm.registry_batch.request_id is 'What the registry calls it.';
comment on column crm.registry_batch.records is 'How many consents it holds.';
comment on column crm.registry_batch.sent_at is 'When it was passed on.';
comment on column crm.registry_batch.settled_at is 'When everything in it was settled, or it was given up; null while it is asked about.';
comment on constraint registry_batch_request_id_once on crm.registry_batch is 'en: This batch is already known. | tr: Bu toplu istek zaten biliniyor.';
comment on constraint registry_batch_request_id_length on crm.registry_batch is 'en: The registry''s name of a batch has 1 to 200 characters. | tr: İYS''nin istek numarası 1 ile 200 karakter arasındadır.';
comment on constraint registry_batch_records_positive on crm.registry_batch is 'en: A batch holds something. | tr: Toplu istek boş olamaz.';
comment on constraint registry_batch_sent_at_finite on crm.registry_batch is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create index registry_batch_open_index on crm.registry_batch (brand_id, sent_at) where settled_at is null;
select crm.protect('crm.registry_batch', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'It is how far consents are on their way to the registry; the consents themselves are logged.');

alter table crm.registry_transfer
  add column batch_id uuid,
  add column sub_request text,
  add constraint registry_transfer_batch_id_exists foreign key (batch_id) references crm.registry_batch (id) on delete set null,
  add constraint registry_transfer_sub_request_length check (length(sub_request) between 1 and 200);
comment on column crm.registry_transfer.batch_id is 'The batch it was last passed on with; null when it went alone.';
comment on column crm.registry_transfer.sub_request is 'What the registry calls it within the batch.';
comment on constraint registry_transfer_sub_request_length on crm.registry_transfer is 'en: The registry''s name of a record has 1 to 200 characters. | tr: İYS''nin kayıt numarası 1 ile 200 karakter arasındadır.';
create index registry_transfer_batch_id_index on crm.registry_transfer (batch_id) where batch_id is not null and state = 'sending';

alter table crm.registry_cursor
  add column problem text,
  add column problem_at timestamptz,
  add constraint registry_cursor_problem_both check ((problem is null) = (problem_at is null)),
  add constraint registry_cursor_problem_length check (length(problem) <= 500);
comment on column crm.registry_cursor.problem is 'Why the registry could not be reached for this brand; null while all is well.';
comment on column crm.registry_cursor.problem_at is 'Since when that is so.';
comment on constraint registry_cursor_problem_both on crm.registry_cursor is 'en: A problem has the time it was found. | tr: Sorunun bulunduğu zaman da verilir.';
comment on constraint registry_cursor_problem_length on crm.registry_cursor is 'en: A problem has at most 500 characters. | tr: Sorun en çok 500 karakterdir.';

create table crm.registry_reconciliation (
  id          uuid        not null default crm.uuid_v7(),
  brand_id    uuid        not null,
  state       text        not null default 'queued',
  checked     integer     not null default 0,
  corrected   integer     not null default 0,
  taken       integer     not null default 0,
  missing     integer     not null default 0,
  place       bytea,
  problem     text,
  started_at  timestamptz,
  finished_at timestamptz,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint registry_reconciliation_id_primary primary key (id),
  constraint registry_reconciliation_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint registry_reconciliation_state_known check (state in ('queued', 'running', 'done', 'failed')),
  constraint registry_reconciliation_counts_positive check (checked >= 0 and corrected >= 0 and taken >= 0 and missing >= 0),
  constraint registry_reconciliation_problem_length check (length(problem) <= 500),
  constraint registry_reconciliation_finished_at_ended check ((finished_at is not null) = (state in ('done', 'failed')))
);
comment on table crm.registry_reconciliation is 'Asking the registry how it has every address of a brand, and putting right what is known of it here.';
comment on column crm.registry_reconciliation.brand_id is 'The brand.';
comment on column crm.registry_reconciliation.state is 'queued, running, done or failed.';
comment on column crm.registry_reconciliation.checked is 'Addresses asked about so far, each channel and recipient type by itself.';
comment on column crm.registry_reconciliation.corrected is 'Of these, where what was known here of the registry was wrong.';
comment on column crm.registry_reconciliation.taken is 'Of these, where somebody had spoken to the registry itself and it was not known here: a consent event now.';
comment on column crm.registry_reconciliation.missing is 'Of these, what the registry should have and does not: passed on again, while its time lasts.';
comment on column crm.registry_reconciliation.place is 'secret: the last address asked about, as its keyed hash; a worker that takes over goes on behind it.';
comment on column crm.registry_reconciliation.problem is 'Why it failed.';
comment on column crm.registry_reconciliation.started_at is 'When a worker began.';
comment on column crm.registry_reconciliation.finished_at is 'When it ended.';
comment on constraint registry_reconciliation_state_known on crm.registry_reconciliation is 'en: A reconciliation is queued, running, done or failed. | tr: Mutabakat queued, running, done ya da failed olabilir.';
comment on constraint registry_reconciliation_counts_positive on crm.registry_reconciliation is 'en: Counts are not negative. | tr: Sayılar eksi olamaz.';
comment on constraint registry_reconciliation_problem_length on crm.registry_reconciliation is 'en: A problem has at most 500 characters. | tr: Sorun en çok 500 karakterdir.';
comment on constraint registry_reconciliation_finished_at_ended on crm.registry_reconciliation is 'en: What has ended has the time it ended. | tr: Bitenin bitiş zamanı olur.';
create unique index registry_reconciliation_brand_id_open on crm.registry_reconciliation (brand_id) where state in ('queued', 'running');
select crm.protect('crm.registry_reconciliation', area => 'marketing', kind => 'reference', resource => 'registry_reconciliations');

-- What the exchange asks of the database -----------------------------------------------------------------------------------------------

create function crm.is_with_registry(of_brand uuid, of_token bytea, of_channel text, of_recipient_type text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from crm.registry_batch as b
    join crm.registry_transfer as t on t.batch_id = b.id and t.state = 'sending'
    join crm.consent_event as e on e.id = t.event_id
    where b.brand_id = of_brand and b.settled_at is null and e.address_token = of_token and e.channel = of_channel and e.recipient_type = of_recipient_type)
$$;
comment on function crm.is_with_registry(uuid, bytea, text, text) is
  'Whether the registry still works on a batch that says something of an address: what comes after it can only be judged once that is answered.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.is_with_registry(uuid, bytea, text, text) owner to crm_steward;
set local role crm_steward;
create or replace function crm.next_registry_items(of_brand uuid, at timestamptz, most integer default 500) returns setof crm.registry_item
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
      where t.brand_id = of_brand and t.state in ('pending', 'sending') and not crm.is_with_registry(of_brand, e.address_token, e.channel, e.recipient_type)
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
      and not crm.is_with_registry(of_brand, e.address_token, e.channel, e.recipient_type)
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
  'What is to be passed to the registry for a brand now, the most urgent first, marked as being sent; what would break one of its rules is skipped with the reason. Sent again when nobody settles it. A refusal that the registry would not take with its own date has the next one it takes. Addresses in a batch that the registry has not answered wait for it.';

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;

create function crm.hand_over_registry_batch(of_brand uuid, request text, handed jsonb, at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  batch uuid;
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system speaks to the registry';
  end if;
  insert into crm.registry_batch (brand_id, request_id, records, sent_at) values (of_brand, request, jsonb_array_length(handed), at)
  on conflict on constraint registry_batch_request_id_once do update set settled_at = null returning id into batch;
  update crm.registry_transfer as t set batch_id = batch, sub_request = h.sub
  from jsonb_to_recordset(handed) as h (id uuid, sub text)
  where t.id = h.id and t.state = 'sending';
end
$$;
comment on function crm.hand_over_registry_batch(uuid, text, jsonb, timestamptz) is
  'Notes that transfers (id) are with the registry as a batch, each under its own name there (sub).';

create function crm.settle_registry_batch(of_brand uuid, request text, answers jsonb, at timestamptz) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  batch crm.registry_batch;
  still integer;
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system speaks to the registry';
  end if;
  select * into batch from crm.registry_batch as b where b.brand_id = of_brand and b.request_id = request for update;
  if not found then
    return 0;
  end if;
  perform crm.settle_registry_item(t.id, at, a.transaction, a.code)
  from jsonb_to_recordset(answers) as a (sub text, transaction text, code text)
  join crm.registry_transfer as t on t.batch_id = batch.id and t.sub_request = a.sub and t.state = 'sending';
  select count(*) into still from crm.registry_transfer as t where t.batch_id = batch.id and t.state = 'sending';
  -- After six hours nobody asks any more: what was not settled is passed on again.
  if still = 0 or batch.sent_at <= at - interval '6 hours' then
    update crm.registry_batch as b set settled_at = at where b.id = batch.id;
    update crm.registry_transfer as t set not_before = null where t.batch_id = batch.id and t.state = 'sending';
  end if;
  return still;
end
$$;
comment on function crm.settle_registry_batch(uuid, text, jsonb, timestamptz) is
  'Notes what the registry answered of a batch: for each of its names (sub) a transaction, or the code with which it was rejected. Gives how many are still open.';

create function crm.registry_addresses(of_brand uuid, after bytea, most integer) returns table (address_token bytea, address text, channel text, recipient_type text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system speaks to the registry';
  end if;
  return query
  with tokens as (
    select distinct e.address_token from crm.consent_event as e
    where e.brand_id = of_brand and e.channel in ('email', 'sms', 'phone') and e.address is not null and (after is null or e.address_token > after)
    order by e.address_token limit most
  )
  select distinct on (e.address_token, e.channel, e.recipient_type) e.address_token, e.address, e.channel, e.recipient_type
  from crm.consent_event as e join tokens as t on t.address_token = e.address_token
  where e.brand_id = of_brand and e.channel in ('email', 'sms', 'phone') and e.address is not null
  order by e.address_token, e.channel, e.recipient_type, e.consented_at desc;
end
$$;
comment on function crm.registry_addresses(uuid, bytea, integer) is
  'The addresses of which anything was said to a brand that the registry may hold, of so many different ones after a keyed hash, in its order.';

create function crm.reconcile_registry_record(
  of_brand uuid, of_recipient text, of_recipient_type text, of_channel text, there_status text, there_source text, there_date timestamptz, there_transaction text, at timestamptz
) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  token constant bytea := crm.address_token(of_channel, of_recipient);
  here crm.registry_record;
  gone boolean;
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system speaks to the registry';
  end if;
  select * into here from crm.registry_record as r
  where r.brand_id = of_brand and r.address_token = token and r.channel = of_channel and r.recipient_type = of_recipient_type for update;
  gone := not found;
  if there_status is null then
    if gone then
      return 'agreed';
    end if;
    delete from crm.registry_record as r where r.id = here.id;
    update crm.registry_transfer as t set state = 'pending', settled_at = null, transaction_id = null, problem = null, not_before = null
    from crm.consent_event as e
    where e.id = t.event_id and t.brand_id = of_brand and t.state = 'accepted' and e.address_token = token and e.channel = of_channel and e.recipient_type = of_recipient_type
      and e.id = (select l.id from crm.consent_event as l
        where l.address_token = token and l.channel = of_channel and l.recipient_type = of_recipient_type and l.brand_id = of_brand
        order by l.consented_at desc, l.status desc, l.received_at desc, l.id desc limit 1);
    return 'missing';
  end if;
  if not gone and here.status = there_status and date_trunc('second', here.consented_at) = date_trunc('second', there_date) then
    update crm.registry_record as r set seen_at = at where r.id = here.id;
    return 'agreed';
  end if;
  if there_source ~ '^IYS_[A-Z_]{1,40}$' and crm.take_registry_change(of_brand, there_transaction, of_recipient, of_recipient_type,
      case of_channel when 'email' then 'EPOSTA' when 'sms' then 'MESAJ' else 'ARAMA' end, there_status, there_source, least(there_date, crm.consent_clock()), at) then
    return 'taken';
  end if;
  insert into crm.registry_record (brand_id, address_token, channel, recipient_type, status, consented_at, transaction_id, seen_at)
  values (of_brand, token, of_channel, of_recipient_type, there_status, there_date, there_transaction, at)
  on conflict on constraint registry_record_address_token_once do update
    set status = excluded.status, consented_at = excluded.consented_at, transaction_id = excluded.transaction_id, seen_at = excluded.seen_at;
  return 'corrected';
end
$$;
comment on function crm.reconcile_registry_record(uuid, text, text, text, text, text, timestamptz, text, timestamptz) is
  'Holds what the registry says of an address (null where it has none) against what is known here of it: agreed, corrected, taken (somebody spoke to the registry itself) or missing (it is passed on again).';

create function crm.registry_state(at timestamptz) returns table (
  brand_id uuid, code text, name text, pulled_at timestamptz, problem text, problem_at timestamptz, waiting bigint, overdue bigint, rejected bigint, next_due_at timestamptz, open_batches bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select b.id, b.code, b.name, c.pulled_at, c.problem, c.problem_at,
    (select count(*) from crm.registry_transfer as t where t.brand_id = b.id and t.state in ('pending', 'sending')),
    (select count(*) from crm.registry_transfer as t where t.brand_id = b.id and t.state in ('pending', 'sending') and t.due_at <= at),
    (select count(*) from crm.registry_transfer as t where t.brand_id = b.id and t.state = 'rejected'),
    (select min(t.due_at) from crm.registry_transfer as t where t.brand_id = b.id and t.state in ('pending', 'sending')),
    (select count(*) from crm.registry_batch as k where k.brand_id = b.id and k.settled_at is null)
  from crm.brand as b left join crm.registry_cursor as c on c.brand_id = b.id
  where b.iys_code is not null and (crm.reads_all('customers') or crm.reads('marketing'))
  order by b.code
$$;
comment on function crm.registry_state(timestamptz) is 'How the exchange with the registry stands for each brand that is in it: when it was last heard, what is wrong, what waits and until when.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.hand_over_registry_batch(uuid, text, jsonb, timestamptz) owner to crm_steward;
alter function crm.settle_registry_batch(uuid, text, jsonb, timestamptz) owner to crm_steward;
alter function crm.registry_addresses(uuid, bytea, integer) owner to crm_steward;
alter function crm.reconcile_registry_record(uuid, text, text, text, text, text, timestamptz, text, timestamptz) owner to crm_steward;
alter function crm.registry_state(timestamptz) owner to crm_steward;
revoke create on schema crm from crm_steward;
