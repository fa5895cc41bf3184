-- The change log: audit trail, history, change feed and source of every live computation. Append-only, in one table.
set local role crm_owner;

create table crm.change (
  xid         xid8        not null,
  seq         bigint      not null,
  at          timestamptz not null default now(),
  relation    text        not null,
  op          text        not null,
  row_id      uuid,
  row_ids     uuid[],
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
  constraint change_op_known check (op in ('insert', 'update', 'delete')),
  constraint change_row_id_given check ((row_id is null) <> (row_ids is null))
) partition by range (at);
create index change_row_id_index on crm.change (row_id) where row_id is not null;
create index change_row_ids_index on crm.change (relation, customer_id) where row_ids is not null;
alter table crm.change alter column row_ids set storage external;  -- uuids do not compress

comment on table crm.change is
  'Every insert, update and delete of every CRM table: who, when, what before and after. Written by one trigger function, read in commit order by staying behind pg_snapshot_xmin.';
comment on column crm.change.xid is 'The transaction that made the change. A reader takes rows with xid < pg_snapshot_xmin(pg_current_snapshot()) in the order (xid, seq); nothing can appear there later.';
comment on column crm.change.seq is 'Place within the transaction, from 1; of several rows in one entry, the place of the last. Counts anew in each transaction: never read by "seq > last seen".';
comment on column crm.change.at is 'When the transaction began.';
comment on column crm.change.relation is 'The resource that changed, such as orders.';
comment on column crm.change.op is 'insert, update or delete.';
comment on column crm.change.row_id is 'Id of the row that changed; null if row_ids names several.';
comment on column crm.change.row_ids is 'Ids of the rows of one customer that an import inserted in one statement; crm.changes_after and crm.history give them one by one.';
comment on column crm.change.customer_id is 'The customer the row belongs to, if it belongs to one.';
comment on column crm.change.area is 'The permission area that decides who may read this change.';
comment on column crm.change.audience is 'Who could read the row after the change (before it, for a delete): a department, the nil uuid for the company, or a user. Null for rows without a department.';
comment on column crm.change.owner_id is 'The row''s owner after the change (before it, for a delete).';
comment on column crm.change.actor_id is 'The user who made the change; null for the system.';
comment on column crm.change.request_id is 'The request in which the change was made.';
comment on column crm.change.via is 'How the actor came in: api, job, import:<job id>, system:<reason>; direct for a change made in SQL outside the gateway.';
comment on column crm.change.before is 'Update: the changed columns as they were. Delete: the whole row.';
comment on column crm.change.after is 'Insert: the whole row; null for rows inserted by an import. Update: the changed columns as they became.';
comment on constraint change_xid_primary on crm.change is 'en: This change is already in the log. | tr: Bu değişiklik kayıtta zaten var.';
comment on constraint change_row_id_given on crm.change is 'en: An entry names either one row or several. | tr: Bir kayıt ya tek bir satırı ya da birden çok satırı gösterir.';
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
-- The last place used in this transaction travels in a local setting, so that no sequence is needed and an import's entry can stand for many places.
create function crm.record_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  resource constant text := tg_argv[0];
  area constant text := tg_argv[1];
  left_out constant text[] := string_to_array(tg_argv[2], ',');
  actor constant uuid := nullif(current_setting('muhatap.caller', true), '')::uuid;
  request constant uuid := nullif(current_setting('muhatap.request', true), '')::uuid;
  via constant text := coalesce(nullif(current_setting('muhatap.via', true), ''), 'direct');
  tx constant xid8 := pg_current_xact_id();
  place bigint := coalesce(nullif(current_setting('muhatap.change_seq', true), ''), '0')::bigint;
  places bigint;
begin
  if tg_op = 'INSERT' and via ^@ 'import:' then
    with entry as (
      select row.customer_id, row.audience, row.owner_id, array_agg(row.id) as ids, count(*) as size
      from (
        select row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end) as customer_id, row.audience, row.owner_id,
          case when row.customer_id is null then row_number() over () / 1000 end as portion
        from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
        cross join lateral (select id, customer_id, audience, owner_id from new_rows) as row
      ) as row
      group by row.customer_id, row.audience, row.owner_id, row.portion
    ), written as (
      insert into crm.change (xid, seq, relation, op, row_id, row_ids, customer_id, area, audience, owner_id, actor_id, request_id, via)
      select tx, place + sum(size) over (rows unbounded preceding), resource, 'insert', case when size = 1 then ids[1] end, case when size > 1 then ids end,
        customer_id, area, audience, owner_id, actor, request, via
      from entry
      returning coalesce(cardinality(row_ids), 1) as size
    )
    select sum(size) into places from written;
  elsif tg_op = 'INSERT' then
    insert into crm.change (xid, seq, relation, op, row_id, customer_id, area, audience, owner_id, actor_id, request_id, via, after)
    select tx, place + row_number() over (), resource, 'insert', row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end),
      area, row.audience, row.owner_id, actor, request, via, row.whole - left_out
    from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
    cross join lateral (select id, customer_id, audience, owner_id, to_jsonb(new_rows) as whole from new_rows) as row;
    get diagnostics places = row_count;
  elsif tg_op = 'UPDATE' then
    insert into crm.change (xid, seq, relation, op, row_id, customer_id, area, audience, owner_id, actor_id, request_id, via, before, after)
    select tx, place + row_number() over (), resource, 'update', row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end),
      area, row.audience, row.owner_id, actor, request, via, difference.before, difference.after
    from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
    cross join lateral (select id, customer_id, audience, owner_id, to_jsonb(new_rows) - left_out as whole from new_rows) as row
    join old_rows as was on was.id = row.id
    cross join lateral (
      select jsonb_object_agg(b.key, b.value) as before, jsonb_object_agg(b.key, row.whole -> b.key) as after
      from jsonb_each(to_jsonb(was) - left_out) as b where b.value is distinct from row.whole -> b.key
    ) as difference;
    get diagnostics places = row_count;
  else
    insert into crm.change (xid, seq, relation, op, row_id, customer_id, area, audience, owner_id, actor_id, request_id, via, before)
    select tx, place + row_number() over (), resource, 'delete', row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end),
      area, row.audience, row.owner_id, actor, request, via, row.whole - left_out
    from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
    cross join lateral (select id, customer_id, audience, owner_id, to_jsonb(old_rows) as whole from old_rows) as row;
    get diagnostics places = row_count;
  end if;
  perform set_config('muhatap.change_seq', (place + coalesce(places, 0))::text, true);
  return null;
end
$$;
comment on function crm.record_change() is 'Trigger, once a statement: writes to the change log every row the statement inserted, updated or deleted; rows inserted by an import as one entry a customer, without "after".';
revoke execute on function crm.record_change() from crm_app, crm_worker, crm_bulk, crm_access;

-- Reading -------------------------------------------------------------------------------------------------------------------------

create function crm.changes_after(after_xid xid8, after_seq bigint, most integer, only_relations text[] default null)
returns table (xid xid8, seq bigint, at timestamptz, relation text, op text, row_id uuid, customer_id uuid, area text, audience uuid, owner_id uuid,
  actor_id uuid, request_id uuid, via text, before jsonb, after jsonb)
language sql stable as $$
  select c.xid, item.seq, c.at, c.relation, c.op, item.row_id, c.customer_id, c.area, c.audience, c.owner_id, c.actor_id, c.request_id, c.via, c.before, c.after
  from (
    select * from crm.change as c
    where (c.xid, c.seq) > (after_xid, after_seq) and c.xid < pg_snapshot_xmin(pg_current_snapshot())
      and (only_relations is null or c.relation = any (only_relations))
    order by c.xid, c.seq
    limit most
  ) as c
  cross join lateral (
    select c.seq - coalesce(cardinality(c.row_ids), 1) + member.place as seq, member.id as row_id
    from unnest(coalesce(c.row_ids, array[c.row_id])) with ordinality as member (id, place)
  ) as item
  where (c.xid, item.seq) > (after_xid, after_seq)
  order by c.xid, item.seq
  limit most
$$;
comment on function crm.changes_after(xid8, bigint, integer, text[]) is
  'The next changes the caller may read, in an order to which nothing is ever added before what was read: (xid, seq) behind pg_snapshot_xmin. Start with (0, 0); go on with the last row''s xid and seq.';

create function crm.history(of_relation text, of_row uuid, of_customer uuid default null)
returns table (xid xid8, seq bigint, at timestamptz, relation text, op text, row_id uuid, customer_id uuid, area text, audience uuid, owner_id uuid,
  actor_id uuid, request_id uuid, via text, before jsonb, after jsonb)
language sql stable as $$
  select c.xid, c.seq, c.at, c.relation, c.op, c.row_id, c.customer_id, c.area, c.audience, c.owner_id, c.actor_id, c.request_id, c.via, c.before, c.after
  from crm.change as c where c.row_id = of_row and c.relation = of_relation
  union all
  select c.xid, c.seq - cardinality(c.row_ids) + array_position(c.row_ids, of_row), c.at, c.relation, c.op, of_row, c.customer_id, c.area, c.audience, c.owner_id,
    c.actor_id, c.request_id, c.via, c.before, c.after
  from crm.change as c
  where c.row_ids is not null and c.relation = of_relation and (c.customer_id = of_customer or of_customer is null) and array_position(c.row_ids, of_row) is not null
$$;
comment on function crm.history(text, uuid, uuid) is 'All changes of one record that the caller may read: the resource''s name, the record''s id, and for what belongs to a customer the customer''s id, which makes it quick.';
