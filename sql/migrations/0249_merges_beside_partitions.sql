-- A place in a partitioned table is a partition and a row pointer: with the pointer alone a merge counted other customers' interactions of other months
-- as its own, wrote them into its ledger, and could not be undone. And comments on a merged record go to the survivor.
set local role crm_owner;

create or replace function crm.move_references(merge uuid, root regclass, from_id uuid, to_id uuid, survivor jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  follows boolean;
  assignments text;
  rows_of text;
begin
  for r in select * from crm.references_to(root) loop
    rows_of := (select string_agg(format('t.%I = $1', c), ' or ') from unnest(r.columns) as c);
    if r.relation = root then
      rows_of := format('(%s) and t.id <> $1', rows_of);
    end if;
    execute format('select from %s as t where %s for update', r.relation, rows_of) using from_id;
    perform crm.resolve_clashes(merge, r.relation, r.columns, from_id, to_id);
    follows := exists (select from pg_trigger as g where g.tgrelid = r.relation and g.tgfoid = case root
      when 'crm.customer'::regclass then 'crm.follow_customer()'::regprocedure when 'crm.lead'::regclass then 'crm.follow_lead()'::regprocedure end);
    assignments := (
      -- A record that had its other half above it has nobody above it now.
      select string_agg(format(case when r.relation = root then '%1$I = case when t.%1$I = $1 then nullif($2, t.id) else t.%1$I end'
        else '%1$I = case when t.%1$I = $1 then $2 else t.%1$I end' end, c), ', ') from unnest(r.columns) as c)
      || case when follows then ', department_id = ($5 ->> ''department_id'')::uuid, owner_id = ($5 ->> ''owner_id'')::uuid, audience = ($5 ->> ''audience'')::uuid' else '' end;
    execute format(
      'with was as materialized (select t.tableoid as part, t.ctid as place, to_jsonb(t) as whole from %1$s as t where %2$s),
       now as (update %1$s as t set %3$s from was where t.tableoid = was.part and t.ctid = was.place returning was.whole as before, to_jsonb(t) as after)
       insert into crm.merge_row (merge_id, relation, op, key, before, after)
       select $3, $4, ''change'', %4$s, d.was, d.became from now cross join lateral crm.differences(%5$L::regclass, now.before, now.after) as d',
      r.relation, rows_of, assignments,
      (select format('jsonb_build_object(%s)', string_agg(format('%1$L, now.after -> %1$L', c), ', ')) from unnest(crm.key_columns(r.relation)) as c), r.relation)
    using from_id, to_id, merge, r.relation::text, survivor;
  end loop;
end
$$;

-- What earlier merges wrote down of records that were not theirs. No record ever changes its id.
delete from crm.merge_row as r where r.op = 'change' and r.relation = 'crm.interaction' and r.before ? 'id';

create or replace function crm.references_to(root regclass) returns table (relation regclass, columns name[]) language sql stable
set search_path = pg_catalog, pg_temp as $$
  with recursive pair as (
    select k.conrelid as child, a.attname as child_column, k.confrelid as parent, b.attname as parent_column
    from pg_constraint as k
    cross join lateral unnest(k.conkey, k.confkey) as u (child, parent)
    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.child
    join pg_attribute as b on b.attrelid = k.confrelid and b.attnum = u.parent
    where k.contype = 'f' and k.conparentid = 0 and (k.conrelid, a.attname) <> (k.confrelid, b.attname)
  ), found as (
    -- Also a table that keeps a customer's id without a foreign key, such as a snapshot, and one that keeps any record's, such as a comment.
    (select root::oid as relation, 'id'::name as "column", 0 as depth
     union all
     select a.attrelid, a.attname, 100 from pg_attribute as a join pg_class as c on c.oid = a.attrelid
     where (root = 'crm.customer'::regclass and a.attname = 'customer_id' and c.relname <> 'change'
         or a.attname = 'record_id' and exists (select from pg_attribute as b where b.attrelid = c.oid and b.attname = 'resource' and not b.attisdropped))
       and c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and a.atttypid = 'uuid'::regtype and not a.attisdropped
       and not exists (select from crm.merge_rule as l where l.relation = c.oid::regclass::text and l.on_clash = 'leave'))
    union
    select p.child, p.child_column, f.depth + 1 from found as f join pair as p on p.parent = f.relation and p.parent_column = f."column" where f.depth < 12
  )
  select per.relation::regclass, array_agg(per."column" order by per."column")
  from (select f.relation, f."column", min(f.depth) as depth from found as f where (f.relation, f."column") <> (root::oid, 'id'::name) group by f.relation, f."column") as per
  group by per.relation
  order by min(per.depth), per.relation::regclass::text
$$;

-- A share opens one record and no other, so it does not go on to the survivor; notices and deliveries tell what was.
insert into crm.merge_rule (relation, on_clash) values ('crm.record_share', 'leave'), ('crm.notice', 'leave'), ('crm.webhook_delivery', 'leave');
