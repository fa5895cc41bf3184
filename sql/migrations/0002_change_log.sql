-- The change log: audit trail, history, change feed and source of every live computation. Append-only, in one table.
set local role crm_owner;

create sequence crm.change_seq as bigint cache 1;
grant usage on sequence crm.change_seq to crm_owner;

create table crm.change (
  xid         xid8        not null,
  seq         bigint      not null default nextval('crm.change_seq'),
  at          timestamptz not null default now(),
  relation    text        not null,
  op          text        not null,
  row_id      uuid        not null,
  customer_id uuid,
  area        text        not null,
  audience    uuid,
  owner_id    uuid,
  actor_id    uuid,
  request_id  uuid,
  via         text        not null,
  before      jsonb,
  after       jsonb,
  constraint change_xid_primary primary key (xid, seq, at),
  constraint change_op_known check (op in ('insert', 'update', 'delete'))
) partition by range (at);
create index change_row_id_index on crm.change (row_id);

comment on table crm.change is
  'Every insert, update and delete of every CRM table: who, when, what before and after. Written by one trigger function, read in commit order by staying behind pg_snapshot_xmin.';
comment on column crm.change.xid is 'The transaction that made the change. A reader takes rows with xid < pg_snapshot_xmin(pg_current_snapshot()) in the order (xid, seq); nothing can appear there later.';
comment on column crm.change.seq is 'Order within the transaction. Not commit order: never read by "seq > last seen".';
comment on column crm.change.at is 'When the transaction began.';
comment on column crm.change.relation is 'The resource that changed, such as orders.';
comment on column crm.change.op is 'insert, update or delete.';
comment on column crm.change.row_id is 'Id of the row that changed.';
comment on column crm.change.customer_id is 'The customer the row belongs to, if it belongs to one.';
comment on column crm.change.area is 'The permission area that decides who may read this change.';
comment on column crm.change.audience is 'Who could read the row after the change (before it, for a delete): a department, the nil uuid for the company, or a user. Null for rows without a department.';
comment on column crm.change.owner_id is 'The row''s owner after the change (before it, for a delete).';
comment on column crm.change.actor_id is 'The user who made the change; null for the system.';
comment on column crm.change.request_id is 'The request in which the change was made.';
comment on column crm.change.via is 'How the actor came in: api, job, import:<job id>, system:<reason>; direct for a change made in SQL outside the gateway.';
comment on column crm.change.before is 'Update: the changed columns as they were. Delete: the whole row.';
comment on column crm.change.after is 'Insert: the whole row; null for rows written by an import. Update: the changed columns as they became.';
comment on constraint change_xid_primary on crm.change is 'en: This change is already in the log. | tr: Bu değişiklik kayıtta zaten var.';
comment on constraint change_op_known on crm.change is 'en: A change is an insert, an update or a delete. | tr: Değişiklik ekleme, güncelleme ya da silme olabilir.';

-- Partitions ----------------------------------------------------------------------------------------------------------------------

create table crm.change_default partition of crm.change default;
comment on table crm.change_default is 'Changes of months for which no partition had been made; crm.make_change_partitions moves them.';
alter table crm.change_default enable row level security, force row level security;

create function crm.make_change_partitions(ahead integer default 3) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  first_day date;
  name text;
  made integer := 0;
begin
  perform pg_advisory_xact_lock(hashtext('crm.make_change_partitions'));
  for first_day in
    select distinct m::date from (
      select generate_series(date_trunc('month', now() at time zone 'UTC'), date_trunc('month', now() at time zone 'UTC') + make_interval(months => ahead), '1 month')
      union all
      select date_trunc('month', at at time zone 'UTC') from crm.change_default
    ) as months (m) order by 1
  loop
    name := 'change_' || to_char(first_day, 'YYYY_MM');
    if to_regclass('crm.' || name) is null then
      execute format('create table crm.%I (like crm.change including defaults including constraints)', name);
      execute format('comment on table crm.%I is %L', name, 'Changes of ' || to_char(first_day, 'YYYY-MM') || '.');
      execute format('alter table crm.%I enable row level security, force row level security', name);
      execute format('create policy change_keep on crm.%I to crm_owner using (true) with check (true)', name);
      execute format('with late as (delete from crm.change_default where at >= %1$L and at < %2$L returning *) insert into crm.%3$I select * from late',
        first_day::timestamp at time zone 'UTC', (first_day + interval '1 month') at time zone 'UTC', name);
      execute format('alter table crm.change attach partition crm.%I for values from (%L) to (%L)',
        name, first_day::timestamp at time zone 'UTC', (first_day + interval '1 month') at time zone 'UTC');
      execute format('drop policy change_keep on crm.%I', name);
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;
comment on function crm.make_change_partitions(integer) is
  'Makes the change log''s partitions for this month and the given number of months ahead, moves rows out of the default partition, and says how many it made. Called daily.';
revoke execute on function crm.make_change_partitions(integer) from crm_app, crm_bulk, crm_access;

-- Recording -----------------------------------------------------------------------------------------------------------------------

-- Arguments: the resource's name, its area, and the columns that never enter the log (secret or derived), comma-separated.
-- A column that a table lacks (customer_id, audience, owner_id) is found in "absent" instead: an unqualified name means the innermost table that has it.
create function crm.record_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  resource constant text := tg_argv[0];
  area constant text := tg_argv[1];
  left_out constant text[] := string_to_array(tg_argv[2], ',');
  actor constant uuid := nullif(current_setting('muhatap.caller', true), '')::uuid;
  request constant uuid := nullif(current_setting('muhatap.request', true), '')::uuid;
  via constant text := coalesce(nullif(current_setting('muhatap.via', true), ''), 'direct');
  thin constant boolean := via ^@ 'import:';
  tx constant xid8 := pg_current_xact_id();
begin
  if tg_op = 'INSERT' then
    if thin then
      insert into crm.change (xid, relation, op, row_id, customer_id, area, audience, owner_id, actor_id, request_id, via)
      select tx, resource, 'insert', row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end), area, row.audience, row.owner_id, actor, request, via
      from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
      cross join lateral (select id, customer_id, audience, owner_id from new_rows) as row;
    else
      insert into crm.change (xid, relation, op, row_id, customer_id, area, audience, owner_id, actor_id, request_id, via, after)
      select tx, resource, 'insert', row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end), area, row.audience, row.owner_id, actor, request, via, row.whole - left_out
      from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
      cross join lateral (select id, customer_id, audience, owner_id, to_jsonb(new_rows) as whole from new_rows) as row;
    end if;
  elsif tg_op = 'UPDATE' then
    insert into crm.change (xid, relation, op, row_id, customer_id, area, audience, owner_id, actor_id, request_id, via, before, after)
    select tx, resource, 'update', row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end), area, row.audience, row.owner_id, actor, request, via, difference.before, difference.after
    from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
    cross join lateral (select id, customer_id, audience, owner_id, to_jsonb(new_rows) - left_out as whole from new_rows) as row
    join old_rows as was on was.id = row.id
    cross join lateral (
      select jsonb_object_agg(b.key, b.value) as before, jsonb_object_agg(b.key, row.whole -> b.key) as after
      from jsonb_each(to_jsonb(was) - left_out) as b where b.value is distinct from row.whole -> b.key
    ) as difference;
  else
    insert into crm.change (xid, relation, op, row_id, customer_id, area, audience, owner_id, actor_id, request_id, via, before)
    select tx, resource, 'delete', row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end), area, row.audience, row.owner_id, actor, request, via, row.whole - left_out
    from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
    cross join lateral (select id, customer_id, audience, owner_id, to_jsonb(old_rows) as whole from old_rows) as row;
  end if;
  return null;
end
$$;
comment on function crm.record_change() is 'Trigger, once a statement: writes a row of the change log for every row the statement inserted, updated or deleted.';
