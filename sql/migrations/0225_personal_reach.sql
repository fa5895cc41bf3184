-- Everything the company holds about one person, found from PostgreSQL's own catalogue: the tables that lead to the person by foreign keys or by an id, the columns
-- whose comments mark them as personal. A table made tomorrow is exported, listed and erased without a line of code.
set local role crm_owner;

create type crm.person_table as (relation regclass, depth integer, condition text, by_ids boolean);
comment on type crm.person_table is 'A table with rows about a person, and the condition that finds them as "t": $1 is the person''s id, $2 the ids of all records about them.';

-- root: customer (a person that buys), contact (a person at an organisation) or lead. What an organisation''s contact is named in stays the organisation's: from its
-- opportunities, contracts, orders and invoices nothing further is followed.
create function crm.person_reach(root text) returns setof crm.person_table language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  root_relation constant regclass := ('crm.' || root)::regclass;
  follows_no_further constant regclass[] := case when root = 'customer' then '{}'
    else array['crm.customer', 'crm.opportunity', 'crm.contract', 'crm.sales_order', 'crm.invoice']::regclass[] end;
  base jsonb;
  settled jsonb;
  conditions jsonb;
begin
  -- Directly: a foreign key to the person's row, a column of that name without one, or a column that may hold any record's id.
  select jsonb_object_agg(b.relation::oid, b.condition), jsonb_object_agg(b.relation::oid, b.settled) into base, settled
  from (
    select d.relation, string_agg(distinct d.condition, ' or ') as condition, bool_or(d.settled) as settled from (
      select root_relation as relation, 't.id = $1' as condition, true as settled
      union all
      select k.conrelid, format('t.%I = $1', a.attname), a.attnotnull and root = 'customer'
      from pg_constraint as k cross join lateral unnest(k.conkey, k.confkey) as u (child, parent)
      join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.child
      join pg_attribute as b on b.attrelid = k.confrelid and b.attnum = u.parent
      where k.contype = 'f' and k.conparentid = 0 and k.confrelid = root_relation and k.conrelid <> root_relation and b.attname = 'id'
      union all
      select a.attrelid, format('t.%I = $1', a.attname), a.attnotnull and root = 'customer'
      from pg_attribute as a join pg_class as c on c.oid = a.attrelid
      where c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.oid <> root_relation and c.relname <> 'change'
        and a.attname = root || '_id' and a.atttypid = 'uuid'::regtype and not a.attisdropped
        and not exists (select from pg_constraint as k where k.conrelid = a.attrelid and k.contype = 'f' and k.conkey = array[a.attnum] and k.confrelid <> root_relation)
      union all
      select a.attrelid, format('t.%I = any ($2)', a.attname), false
      from pg_attribute as a join pg_class as c on c.oid = a.attrelid
      where c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and c.oid <> root_relation
        and a.attname in ('record_id', 'row_id', 'survivor_id', 'merged_id') and a.atttypid = 'uuid'::regtype and not a.attisdropped
        and not exists (select from pg_constraint as k where k.conrelid = a.attrelid and k.contype = 'f' and a.attnum = any (k.conkey))
    ) as d group by d.relation
  ) as b;
  -- Further: whatever refers to such a row, three steps deep.
  conditions := base;
  for step in 1..3 loop
    select conditions || coalesce(jsonb_object_agg(n.relation, concat_ws(' or ', base ->> n.relation, n.nested)), '{}') into conditions
    from (
      select k.conrelid::oid::text as relation, string_agg(format('(%s) in (select %s from %s as t where %s)', k.child, k.parent, k.confrelid::regclass,
        conditions ->> k.confrelid::oid::text), ' or ' order by k.conname) as nested
      from (
        select c.conrelid, c.confrelid, c.conname, string_agg(format('t.%I', a.attname), ', ' order by u.place) as child,
          string_agg(format('t.%I', b.attname), ', ' order by u.place) as parent
        from pg_constraint as c cross join lateral unnest(c.conkey, c.confkey) with ordinality as u (child, parent, place)
        join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = u.child
        join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = u.parent
        where c.contype = 'f' and c.conparentid = 0 and c.conrelid <> c.confrelid and c.confrelid <> root_relation and c.conrelid <> root_relation
          and c.connamespace = 'crm'::regnamespace
        group by c.oid, c.conrelid, c.confrelid, c.conname
      ) as k
      where conditions ? k.confrelid::oid::text and k.confrelid::regclass <> all (follows_no_further) and not coalesce((settled ->> k.conrelid::oid::text)::boolean, false)
      group by k.conrelid
    ) as n;
  end loop;
  return query
  select e.key::oid::regclass, case when e.key::oid = root_relation::oid then 0 when base ? e.key then 1 else 2 end, '(' || e.value || ')', e.value ~ '\$2'
  from jsonb_each_text(conditions) as e order by 2, 1;
end
$$;
comment on function crm.person_reach(text) is 'The tables that hold something about a customer, a contact or a lead, the person''s own first.';

create function crm.person_ids(root text, subject uuid) returns uuid[] language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  ids uuid[] := array[subject];
  found uuid[];
begin
  -- Records that were merged into the person, and those merged into these.
  with recursive gone as (
    select g.merged_id as id from crm.merge as g where g.survivor_id = subject and g.unmerged_at is null
    union
    select g.merged_id from gone as w join crm.merge as g on g.survivor_id = w.id and g.unmerged_at is null
  )
  select ids || coalesce(array_agg(w.id), '{}') into ids from gone as w;
  execute (
    select 'select array_agg(distinct x.id) from (' || string_agg(format('select t.id from %s as t where %s', r.relation, r.condition), ' union all ') || ') as x'
    from crm.person_reach(root) as r
    where not r.by_ids and exists (
      select from pg_attribute as a where a.attrelid = r.relation and a.attname = 'id' and a.atttypid = 'uuid'::regtype and not a.attisdropped))
  into found using subject, ids;
  ids := ids || coalesce(found, '{}');
  -- What was deleted left its whole row in the change log.
  select ids || coalesce(array_agg(distinct c.row_id), '{}') into ids from crm.change as c
  where c.op = 'delete' and (c.customer_id = any (case when root = 'customer' then ids[1:1] else '{}' end)
    or root <> 'customer' and c.before ->> (root || '_id') = subject::text);
  ids := array(select distinct i from unnest(ids) as i where i is not null);
  -- What names any of these by an id alone, such as a merge.
  execute (
    select 'select array_agg(distinct x.id) from (' || string_agg(format('select t.id from %s as t where %s', r.relation, r.condition), ' union all ') || ') as x'
    from crm.person_reach(root) as r
    where r.by_ids and exists (
      select from pg_attribute as a where a.attrelid = r.relation and a.attname = 'id' and a.atttypid = 'uuid'::regtype and not a.attisdropped))
  into found using subject, ids;
  return array(select distinct i from unnest(ids || found) as i);
end
$$;
comment on function crm.person_ids(text, uuid) is 'The ids of all records about a person: their own, what was merged into it, what refers to it, and what of that was deleted.';
create index change_deleted_index on crm.change (customer_id) where op = 'delete';

create function crm.personal_rows(root text, subject uuid, ids uuid[], of_relation regclass, skip bigint, most integer) returns setof jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  r crm.person_table;
begin
  select * into strict r from crm.person_reach(root) as x where x.relation = of_relation;
  return query execute format(
    'select to_jsonb(t) - $3 from %s as t where %s order by %s offset $4 limit $5', r.relation, r.condition,
    coalesce((select string_agg(format('t.%I', k), ', ') from unnest(crm.key_columns(r.relation)) as k), 't.ctid'))
  using subject, ids, array(
    select a.attname::text from pg_attribute as a where a.attrelid = r.relation and a.attnum > 0 and not a.attisdropped and col_description(a.attrelid, a.attnum) like 'secret:%'),
    skip, most;
end
$$;
comment on function crm.personal_rows(text, uuid, uuid[], regclass, bigint, integer) is 'The rows of one table about a person, as objects without secret columns, in the order of their keys.';

-- The export of a request: only of a person whose identity was checked, only for administration (the endpoint asks for the right to write).
create function crm.request_subject(request uuid, out root text, out subject uuid) language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  q crm.privacy_request;
begin
  select * into q from crm.privacy_request as x where x.id = request;
  if not found or not (crm.reads('admin') or crm.reads_all('admin')) then
    perform crm.missing_reference('id');
  end if;
  root := case when q.lead_id is not null then 'lead' when q.contact_id is not null then 'contact' when q.customer_id is not null then 'customer' end;
  subject := coalesce(q.lead_id, q.contact_id, q.customer_id);
  if q.identity_checked_at is null or subject is null then
    raise exception using errcode = 'CR006', message = 'the identity of the person was not checked';
  end if;
end
$$;
comment on function crm.request_subject(uuid) is 'Whom a request is about: customer, contact or lead, and the id. Refuses (CR006) until the person''s identity was checked.';

create function crm.export_tables(request uuid) returns table (relation text, meaning text, columns jsonb, ids uuid[]) language plpgsql stable security definer
set search_path = pg_catalog, pg_temp as $$
declare
  s record;
  found uuid[];
begin
  select * into s from crm.request_subject(request);
  found := crm.person_ids(s.root, s.subject);
  return query
  select r.relation::text, obj_description(r.relation, 'pg_class'), (
      select jsonb_object_agg(a.attname, regexp_replace(col_description(a.attrelid, a.attnum), '^personal: *', '')) from pg_attribute as a
      where a.attrelid = r.relation and a.attnum > 0 and not a.attisdropped and col_description(a.attrelid, a.attnum) not like 'secret:%'),
    case when row_number() over (order by r.depth, r.relation::text) = 1 then found end
  from crm.person_reach(s.root) as r order by r.depth, r.relation::text;
end
$$;
comment on function crm.export_tables(uuid) is 'The tables that the export of a request goes through, with the meaning of each column; the first row also has the ids of all records about the person.';

create function crm.export_rows(request uuid, of_relation text, ids uuid[], skip bigint, most integer) returns setof jsonb language plpgsql stable security definer
set search_path = pg_catalog, pg_temp as $$
declare
  s record;
begin
  select * into s from crm.request_subject(request);
  return query select x from crm.personal_rows(s.root, s.subject, ids, of_relation::regclass, skip, most) as x;
end
$$;
comment on function crm.export_rows(uuid, text, uuid[], bigint, integer) is 'A piece of the rows that the export of a request has from one table.';

revoke execute on function crm.person_ids(text, uuid), crm.personal_rows(text, uuid, uuid[], regclass, bigint, integer) from crm_app, crm_worker, crm_bulk, crm_access;
revoke execute on function crm.request_subject(uuid), crm.export_tables(uuid), crm.export_rows(uuid, text, uuid[], bigint, integer) from crm_bulk, crm_access;
set local role none;
grant create on schema crm to crm_steward;
alter function crm.person_ids(text, uuid) owner to crm_steward;
alter function crm.personal_rows(text, uuid, uuid[], regclass, bigint, integer) owner to crm_steward;
alter function crm.request_subject(uuid) owner to crm_steward;
alter function crm.export_tables(uuid) owner to crm_steward;
alter function crm.export_rows(uuid, text, uuid[], bigint, integer) owner to crm_steward;
revoke create on schema crm from crm_steward;
