-- A record that is moved to fewer readers goes out of the sight of the others: the change log tells them too, so that a copy kept from the feed can drop it.
set local role crm_owner;

create or replace function crm.record_change() returns trigger
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
  told bigint;
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
    -- The offset keeps the row's object from being made again for each of its columns.
    cross join lateral (select id, customer_id, audience, owner_id, to_jsonb(new_rows) - left_out as whole from new_rows offset 0) as row
    join old_rows as was on was.id = row.id
    cross join lateral (
      select jsonb_object_agg(b.key, b.value) as before, jsonb_object_agg(b.key, row.whole -> b.key) as after
      from jsonb_each(to_jsonb(was) - left_out) as b where b.value is distinct from row.whole -> b.key
    ) as difference;
    get diagnostics places = row_count;
    -- Whoever sees a row no longer is told that something about it changed, and nothing else: asked for, it is not there.
    if 'audience' = any (left_out) then
      insert into crm.change (xid, seq, relation, op, row_id, customer_id, area, audience, owner_id, actor_id, request_id, via, before, after)
      select tx, place + places + row_number() over (), resource, 'update', row.id, coalesce(row.customer_id, case when resource = 'customers' then row.id end),
        area, was.audience, was.owner_id, actor, request, via, '{}', '{}'
      from (select null::uuid as customer_id, null::uuid as audience, null::uuid as owner_id) as absent
      cross join lateral (select id, customer_id, audience, owner_id from new_rows) as row
      cross join lateral (select id, audience, owner_id from old_rows where old_rows.id = row.id) as was
      where row.audience <> '00000000-0000-0000-0000-000000000000'::uuid and (was.audience is distinct from row.audience or was.owner_id is distinct from row.owner_id);
      get diagnostics told = row_count;
      places := places + told;
    end if;
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

comment on column crm.change.before is 'Update: the changed columns as they were. Delete: the whole row. Update with {} before and after: told to those who saw the row until then and may not any more.';
comment on column crm.change.after is 'Insert: the whole row; null for rows inserted by an import. Update: the changed columns as they became.';
