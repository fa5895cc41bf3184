-- Merging two records that mean the same, and parting them again exactly. What refers to the merged record is found from PostgreSQL's own foreign keys,
-- moved set-wise, and every value that changes is kept in a ledger. Between a check of the rights and the end the functions of crm_steward work past the policies
-- and without row-by-row foreign-key and follow-the-parent triggers, like a bulk merge (0012): a key and what refers to it cannot change in one statement.
-- CHECK, UNIQUE and the change log hold as ever.
set local role crm_owner;

create table crm.merge (
  id                    uuid        not null default crm.uuid_v7(),
  resource              text        not null,
  survivor_id           uuid        not null,
  merged_id             uuid        not null,
  merged_name           text        not null,
  taken                 text[]      not null default '{}',
  different_identifiers boolean     not null default false,
  reason                text,
  moved                 jsonb       not null default '{}',
  unmerged_at           timestamptz,
  unmerged_by           uuid,
  department_id         uuid        not null,
  owner_id              uuid,
  visibility            text        not null default 'company',
  audience              uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  version               integer     not null default 1,
  created_by            uuid        default crm.caller_id(),
  constraint merge_id_primary primary key (id),
  constraint merge_resource_known check (resource in ('customers', 'contacts', 'leads')),
  constraint merge_merged_id_other check (merged_id <> survivor_id),
  constraint merge_department_id_exists foreign key (department_id) references crm.department (id),
  constraint merge_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint merge_visibility_known check (visibility in ('company', 'department', 'private'))
);
comment on table crm.merge is 'That a record was merged into another one, and whether they were parted again.';
comment on column crm.merge.resource is 'What was merged: customers, contacts or leads.';
comment on column crm.merge.survivor_id is 'The record that stayed.';
comment on column crm.merge.merged_id is 'The record that went into it; its id leads to the survivor.';
comment on column crm.merge.merged_name is 'personal: what the merged record was called.';
comment on column crm.merge.taken is 'The fields whose values came from the merged record.';
comment on column crm.merge.different_identifiers is 'Whether somebody insisted although their tax or identity numbers differed.';
comment on column crm.merge.reason is 'Why they were merged.';
comment on column crm.merge.moved is 'How many records were moved, by table.';
comment on column crm.merge.unmerged_at is 'When they were parted again.';
comment on column crm.merge.unmerged_by is 'The user who parted them.';
comment on column crm.merge.department_id is 'The survivor''s department at the time.';
comment on column crm.merge.owner_id is 'The survivor''s owner at the time.';
comment on column crm.merge.visibility is 'The survivor''s visibility at the time.';
comment on constraint merge_resource_known on crm.merge is 'en: Customers, contacts and leads can be merged. | tr: customers, contacts ve leads birleştirilebilir.';
comment on constraint merge_merged_id_other on crm.merge is 'en: A record cannot be merged with itself. | tr: Bir kayıt kendisiyle birleştirilemez.';
create unique index merge_merged_id_index on crm.merge (resource, merged_id) where unmerged_at is null;
create index merge_survivor_id_index on crm.merge (resource, survivor_id);
select crm.protect('crm.merge', area => 'customers', kind => 'owned', resource => 'merges', verbs => '{select}');

create table crm.merge_row (
  merge_id   uuid        not null,
  position   bigint      not null generated always as identity,
  relation   text        not null,
  op         text        not null,
  key        jsonb,
  before     jsonb       not null,
  after      jsonb,
  created_at timestamptz not null default now(),
  constraint merge_row_position_primary primary key (merge_id, position),
  constraint merge_row_merge_id_exists foreign key (merge_id) references crm.merge (id),
  constraint merge_row_op_known check (op in ('change', 'delete', 'add'))
);
comment on table crm.merge_row is 'The ledger of a merge: every row it changed, removed or added to, so that it can be undone exactly.';
comment on column crm.merge_row.merge_id is 'The merge.';
comment on column crm.merge_row.position is 'Order in which it was done.';
comment on column crm.merge_row.relation is 'The table.';
comment on column crm.merge_row.op is 'change: values were replaced. delete: the row was removed. add: amounts of a removed row were added to this one.';
comment on column crm.merge_row.key is 'Primary key of the row as the merge left it; null for a removed one.';
comment on column crm.merge_row.before is 'personal: the replaced values as they were; the whole row if it was removed; the amounts that were added.';
comment on column crm.merge_row.after is 'personal: the replaced values as the merge left them; of an addition, whether the merge made the row.';
comment on constraint merge_row_op_known on crm.merge_row is 'en: A merge changes, deletes or adds. | tr: Birleştirme change, delete ya da add yapar.';
select crm.protect('crm.merge_row', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'It is the ledger behind crm.merge; the rows themselves are in the change log.');

create table crm.merge_rule (
  relation   text   not null,
  on_clash   text   not null,
  columns    text[] not null default '{}',
  constraint merge_rule_relation_primary primary key (relation),
  constraint merge_rule_on_clash_known check (on_clash in ('drop', 'sum'))
);
comment on table crm.merge_rule is 'What a merge does where both records have a row that may be there once: without a rule it is refused. Sums are counted for the survivor and, when the two are parted, taken off again.';
comment on column crm.merge_rule.relation is 'The table, with its schema.';
comment on column crm.merge_rule.on_clash is 'drop: the survivor''s row stays, the other goes. sum: the columns are added up.';
comment on column crm.merge_rule.columns is 'The columns that are added up.';
comment on constraint merge_rule_on_clash_known on crm.merge_rule is 'en: A clash is solved by drop or sum. | tr: Çakışma drop ya da sum ile çözülür.';
insert into crm.merge_rule (relation, on_clash) values ('crm.contact_point', 'drop'), ('crm.activity_participant', 'drop');
insert into crm.merge_rule (relation, on_clash, columns) values ('crm.turnover', 'sum', '{quantity,invoiced,credited,cost}');
select crm.protect('crm.merge_rule', area => 'admin', kind => 'open', verbs => '{select}', reason => 'It says how tables are merged and holds no business data.');
create policy merge_rule_keep on crm.merge_rule to crm_owner using (true) with check (true);

-- A parted row gets its version back, which no other change may do.
create or replace function crm.touch() returns trigger language plpgsql as $$
begin
  if new.id <> old.id then
    raise exception using errcode = 'integrity_constraint_violation', column = 'id', message = 'a record keeps its id';
  end if;
  if current_user = 'crm_steward' and current_setting('muhatap.parting', true) = 'on' then
    return new;
  end if;
  new.version := old.version + 1;
  new.updated_at := now();
  new.created_at := old.created_at;
  new.created_by := old.created_by;
  return new;
end
$$;
comment on function crm.touch() is 'Trigger: counts the row''s version up, stamps updated_at, and keeps id, created_at and created_by as they were. Parting merged records alone puts versions back.';

-- What refers to a record -----------------------------------------------------------------------------------------------------------

create function crm.references_to(root regclass) returns table (relation regclass, columns name[]) language sql stable
set search_path = pg_catalog, pg_temp as $$
  with recursive pair as (
    select k.conrelid as child, a.attname as child_column, k.confrelid as parent, b.attname as parent_column
    from pg_constraint as k
    cross join lateral unnest(k.conkey, k.confkey) as u (child, parent)
    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.child
    join pg_attribute as b on b.attrelid = k.confrelid and b.attnum = u.parent
    where k.contype = 'f' and k.conparentid = 0 and (k.conrelid, a.attname) <> (k.confrelid, b.attname)
  ), found as (
    -- Also a table that keeps a customer's id without a foreign key, such as a snapshot.
    (select root::oid as relation, 'id'::name as "column", 0 as depth
     union all
     select a.attrelid, a.attname, 100 from pg_attribute as a join pg_class as c on c.oid = a.attrelid
     where root = 'crm.customer'::regclass and c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and a.attname = 'customer_id' and a.atttypid = 'uuid'::regtype and not a.attisdropped and c.relname <> 'change')
    union
    select p.child, p.child_column, f.depth + 1 from found as f join pair as p on p.parent = f.relation and p.parent_column = f."column" where f.depth < 12
  )
  select per.relation::regclass, array_agg(per."column" order by per."column")
  from (select f.relation, f."column", min(f.depth) as depth from found as f where (f.relation, f."column") <> (root::oid, 'id'::name) group by f.relation, f."column") as per
  group by per.relation
  order by min(per.depth), per.relation::regclass::text
$$;
comment on function crm.references_to(regclass) is
  'Every column that holds the id of a record of a table: directly, or as part of a composite key that is referred to in turn (customer_id in an order''s lines). Parents before what refers to them.';

create function crm.key_columns(of regclass) returns name[] language sql stable set search_path = pg_catalog, pg_temp
  return array(
    select a.attname from pg_index as i cross join lateral unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = "of" and i.indisprimary order by k.place);
comment on function crm.key_columns(regclass) is 'The columns of a table''s primary key.';

-- Values that differ, without what PostgreSQL computes itself.
create function crm.differences(of regclass, before jsonb, after jsonb, out was jsonb, out became jsonb) language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_object_agg(b.key, b.value), '{}'), coalesce(jsonb_object_agg(b.key, after -> b.key), '{}')
  from jsonb_each(before) as b
  join pg_attribute as a on a.attrelid = "of" and a.attname = b.key and a.attgenerated = ''
  where b.value is distinct from after -> b.key
$$;
comment on function crm.differences(regclass, jsonb, jsonb) is 'The values in which two states of a row differ, as they were and as they became.';

create function crm.is_referred_to(relation regclass, whole jsonb) returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  k record;
  found boolean;
begin
  for k in
    select c.conrelid::regclass as child, string_agg(format('t.%I = p.%I', a.attname, b.attname), ' and ') as fits
    from pg_constraint as c
    cross join lateral unnest(c.conkey, c.confkey) as u (child, parent)
    join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = u.child
    join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = u.parent
    where c.contype = 'f' and c.confrelid = relation and c.conparentid = 0 group by c.oid, c.conrelid
  loop
    execute format('select exists (select from %s as t, jsonb_populate_record(null::%s, $1) as p where %s)', k.child, relation, k.fits) into found using whole;
    if found then
      return true;
    end if;
  end loop;
  return false;
end
$$;
comment on function crm.is_referred_to(regclass, jsonb) is 'Whether any row refers to this one.';

-- Merging ---------------------------------------------------------------------------------------------------------------------------

-- Where the survivor has a row that only one may be, the merged record's goes, or the two are added up.
create function crm.resolve_clashes(merge uuid, relation regclass, columns name[], from_id uuid, to_id uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  i record;
  clash record;
  rule crm.merge_rule;
  fresh jsonb;
  rows_of constant text := (select string_agg(format('t.%I = $1', c), ' or ') from unnest(columns) as c);
begin
  select * into rule from crm.merge_rule as r where r.relation = resolve_clashes.relation::text;
  for i in
    select x.indexrelid, coalesce(pg_get_expr(x.indpred, x.indrelid), 'true') as condition,
      (select string_agg(case
          when a.attname = any (columns) then format('s.%1$I = case when t.%1$I = $1 then $2 else t.%1$I end', a.attname)
          when x.indnullsnotdistinct then format('s.%1$I is not distinct from t.%1$I', a.attname) else format('s.%1$I = t.%1$I', a.attname) end, ' and ')
        from unnest(x.indkey::smallint[]) as k (attnum) join pg_attribute as a on a.attrelid = x.indrelid and a.attnum = k.attnum) as fits
    from pg_index as x
    where x.indrelid = relation and x.indisunique and x.indexprs is null and exists (
      select from pg_attribute as a where a.attrelid = x.indrelid and a.attnum = any (x.indkey::smallint[]) and a.attname = any (columns))
  loop
    for clash in execute format(
      'select t.ctid as place, to_jsonb(t) as gone, s.ctid as kept_place, to_jsonb(s) as kept from (select ctid, * from %1$s where %2$s) as t join (select ctid, * from %1$s where %2$s) as s on s.ctid <> t.ctid and %3$s where %4$s',
      relation, i.condition, i.fits, rows_of) using from_id, to_id
    loop
      if rule.relation is null or crm.is_referred_to(relation, clash.gone - 'ctid') then
        raise exception using errcode = 'CR003', table = relation::text, message = format('both records have a row in %s that may be there once', relation);
      end if;
      if rule.on_clash = 'sum' then
        execute format(
          'with now as (update %1$s as t set %2$s from jsonb_populate_record(null::%1$s, $1) as g where t.ctid = $2 returning to_jsonb(t) as whole)
           insert into crm.merge_row (merge_id, relation, op, key, before) select $3, $4, ''add'', %3$s, $5 from now',
          relation, (select string_agg(format('%1$I = t.%1$I + g.%1$I', c), ', ') from unnest(rule.columns) as c),
          (select format('jsonb_build_object(%s)', string_agg(format('%1$L, whole -> %1$L', c), ', ')) from unnest(crm.key_columns(relation)) as c))
        using clash.gone, clash.kept_place, merge, relation::text,
          (select jsonb_object_agg(g.key, g.value) from jsonb_each(clash.gone) as g where g.key = any (rule.columns));
      end if;
      execute format('delete from %s where ctid = $1', relation) using clash.place;
      insert into crm.merge_row (merge_id, relation, op, before)
      values (merge, relation::text, 'delete', (crm.differences(relation, clash.gone - 'ctid', '{}')).was);
    end loop;
  end loop;
  -- A sum that only the merged record has becomes one of the survivor's own, so that parting can tell what was counted since.
  if rule.on_clash = 'sum' then
    for clash in execute format('select t.ctid as place, to_jsonb(t) as gone from %s as t where %s', relation, rows_of) using from_id loop
      fresh := clash.gone || (select jsonb_object_agg(c, to_id) from unnest(columns) as c where clash.gone ->> c = from_id::text)
        || case when clash.gone ? 'id' then jsonb_build_object('id', crm.uuid_v7()) else '{}' end;
      execute format('insert into %1$s (%2$s) select %2$s from jsonb_populate_record(null::%1$s, $1)', relation, (
        select string_agg(quote_ident(a.attname), ', ') from pg_attribute as a
        where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '')) using fresh;
      execute format('delete from %s where ctid = $1', relation) using clash.place;
      insert into crm.merge_row (merge_id, relation, op, key, before, after) values (merge, relation::text, 'add',
        (select jsonb_object_agg(c, fresh -> c::text) from unnest(crm.key_columns(relation)) as c),
        (select jsonb_object_agg(c, fresh -> c) from unnest(rule.columns) as c), '{"made": true}');
      insert into crm.merge_row (merge_id, relation, op, before)
      values (merge, relation::text, 'delete', (crm.differences(relation, clash.gone, '{}')).was);
    end loop;
  end if;
end
$$;
comment on function crm.resolve_clashes(uuid, regclass, name[], uuid, uuid) is
  'Before references are moved: handles the rows of a table that would break a unique rule, as crm.merge_rule says, and refuses (CR003) where it says nothing.';

create function crm.move_references(merge uuid, root regclass, from_id uuid, to_id uuid, survivor jsonb) returns void
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
      'with was as materialized (select t.ctid as place, to_jsonb(t) as whole from %1$s as t where %2$s),
       now as (update %1$s as t set %3$s from was where t.ctid = was.place returning was.whole as before, to_jsonb(t) as after)
       insert into crm.merge_row (merge_id, relation, op, key, before, after)
       select $3, $4, ''change'', %4$s, d.was, d.became from now cross join lateral crm.differences(%5$L::regclass, now.before, now.after) as d',
      r.relation, rows_of, assignments,
      (select format('jsonb_build_object(%s)', string_agg(format('%1$L, now.after -> %1$L', c), ', ')) from unnest(crm.key_columns(r.relation)) as c), r.relation)
    using from_id, to_id, merge, r.relation::text, survivor;
  end loop;
end
$$;
comment on function crm.move_references(uuid, regclass, uuid, uuid, jsonb) is 'Gives everything that refers to one record to another, and writes the ledger.';

-- Row-by-row checks were off, so all is checked at once; also what foreign keys on computed columns guard, such as the seal of a sent quote.
create function crm.check_references(root regclass, ids uuid[]) returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  k record;
  broken boolean;
begin
  for k in
    select r.relation, c.confrelid::regclass as target, (select string_agg(format('t.%I = any ($1)', x), ' or ') from unnest(r.columns) as x) as concerned,
      string_agg(format('t.%I is not null', a.attname), ' and ') as given, string_agg(format('p.%I = t.%I', b.attname, a.attname), ' and ') as fits
    from crm.references_to(root) as r
    join pg_constraint as c on c.conrelid = r.relation and c.contype = 'f' and c.conparentid = 0
    cross join lateral unnest(c.conkey, c.confkey) as u (child, parent)
    join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = u.child
    join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = u.parent
    group by r.relation, r.columns, c.oid, c.confrelid
  loop
    execute format('select exists (select from %s as t where (%s) and %s and not exists (select from %s as p where %s))',
      k.relation, k.concerned, k.given, k.target, k.fits) into broken using ids;
    if broken then
      raise exception using errcode = 'CR003', table = k.relation::text, message = format('%s would refer to nothing', k.relation);
    end if;
  end loop;
end
$$;
comment on function crm.check_references(regclass, uuid[]) is 'Refuses (CR003) when anything that refers to these records, or used to, has a foreign key that leads nowhere.';

create function crm.stewarded(of_resource text, out root regclass, out area text) language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case of_resource when 'customers' then 'crm.customer'::regclass when 'contacts' then 'crm.contact'::regclass when 'leads' then 'crm.lead'::regclass end,
    case of_resource when 'leads' then 'sales' else 'customers' end
$$;
comment on function crm.stewarded(text) is 'The table and the permission area of a resource whose records can be merged.';

create function crm.may_steward(area text, whole jsonb) returns boolean language sql stable set search_path = pg_catalog, pg_temp
  return crm.may_write(area, (whole ->> 'department_id')::uuid, (whole ->> 'owner_id')::uuid);
comment on function crm.may_steward(text, jsonb) is 'Whether the caller may change a row, given as an object.';

create function crm.merge_records(
  of_resource text, survivor uuid, merged uuid, take text[], keep text[], fillable text[], insist boolean, why text
) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  root regclass;
  area text;
  s jsonb;
  m jsonb;
  changes jsonb;
  merge uuid := crm.uuid_v7();
begin
  select x.root, x.area into root, area from crm.stewarded(of_resource) as x;
  perform pg_advisory_xact_lock(hashtext('crm.merge'));
  execute format('select from %s as t where t.id in ($1, $2) order by t.id for update', root) using survivor, merged;
  execute format('select to_jsonb(t) from %s as t where t.id = $1', root) into s using survivor;
  execute format('select to_jsonb(t) from %s as t where t.id = $1', root) into m using merged;
  if s is null or m is null then
    perform crm.missing_reference('merged_id');
  end if;
  if not crm.may_steward(area, s) or not crm.may_steward(area, m) then
    raise exception using errcode = 'insufficient_privilege', message = 'both records must be the caller''s to change';
  end if;
  if s ->> 'tax_number' <> m ->> 'tax_number' and not insist or of_resource = 'contacts' and s -> 'customer_id' <> m -> 'customer_id' then
    raise exception using errcode = 'CR003', table = root::text, message = 'these records are not merged';
  end if;

  -- Taken: what was asked for, and what the survivor lacks. Objects are put together, the survivor's members before the other's.
  select coalesce(jsonb_object_agg(f, case when jsonb_typeof(s -> f) = 'object' and f <> all (take) then (m -> f) || (s -> f) else m -> f end), '{}') into changes
  from unnest(fillable) as f
  where f <> all (keep) and m -> f is distinct from s -> f
    and (f = any (take) or s -> f = 'null' or jsonb_typeof(s -> f) = 'object' and jsonb_typeof(m -> f) = 'object' and (m -> f) || (s -> f) <> s -> f);
  if changes ->> 'parent_id' = survivor::text then
    changes := changes - 'parent_id';
  end if;

  insert into crm.merge (id, resource, survivor_id, merged_id, merged_name, taken, different_identifiers, reason, department_id, owner_id, visibility)
  values (merge, of_resource, survivor, merged, coalesce(m ->> 'company_name', m ->> 'name'), array(select jsonb_object_keys(changes) order by 1),
    coalesce(s ->> 'tax_number' <> m ->> 'tax_number', false), why,
    (s ->> 'department_id')::uuid, (s ->> 'owner_id')::uuid, coalesce(s ->> 'visibility',
      case s ->> 'audience' when '00000000-0000-0000-0000-000000000000' then 'company' when s ->> 'department_id' then 'department' else 'private' end));

  perform set_config('session_replication_role', 'replica', true);
  perform crm.move_references(merge, root, merged, survivor, s);
  with moved as (
    update crm.external_id as e set row_id = survivor where e.relation = of_resource and e.row_id = merged returning e.relation, e.system, e.key
  )
  insert into crm.merge_row (merge_id, relation, op, key, before, after)
  select merge, 'crm.external_id', 'change', jsonb_build_object('relation', v.relation, 'system', v.system, 'key', v.key),
    jsonb_build_object('row_id', merged), jsonb_build_object('row_id', survivor) from moved as v;

  execute format('delete from %s as t where t.id = $1', root) using merged;
  insert into crm.merge_row (merge_id, relation, op, before) values (merge, root::text, 'delete', (crm.differences(root, m, '{}')).was);
  if changes <> '{}' then
    execute format(
      'with was as materialized (select to_jsonb(t) as whole from %1$s as t where t.id = $1),
       now as (update %1$s as t set (%2$s) = (select %2$s from jsonb_populate_record(t, $2)) where t.id = $1 returning to_jsonb(t) as whole)
       insert into crm.merge_row (merge_id, relation, op, key, before, after)
       select $3, $4, ''change'', %3$s, d.was, d.became from was, now cross join lateral crm.differences(%5$L::regclass, (select w.whole from was as w), now.whole) as d',
      root, (select string_agg(quote_ident(k), ', ' order by k) from jsonb_object_keys(changes) as k),
      (select format('jsonb_build_object(%s)', string_agg(format('%1$L, now.whole -> %1$L', c), ', ')) from unnest(crm.key_columns(root)) as c), null, root)
    using survivor, changes, merge, root::text;
  end if;
  perform set_config('session_replication_role', 'origin', true);
  perform crm.check_references(root, array[survivor, merged]);

  update crm.merge as g set moved = coalesce((
    select jsonb_object_agg(split_part(n.relation, '.', 2), n.count) from (
      select r.relation, count(*) from crm.merge_row as r where r.merge_id = merge and r.op = 'change' and r.relation <> root::text group by r.relation) as n), '{}')
  where g.id = merge;
  return merge;
end
$$;
comment on function crm.merge_records(text, uuid, uuid, text[], text[], text[], boolean, text) is
  'Merges one record into another that the caller may both change: moves all that refers to it, takes the fields asked for and those the survivor lacks, removes the merged one, and writes the ledger. Answers the merge''s id.';

create function crm.unmerge_records(of_merge uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  g crm.merge;
  root regclass;
  area text;
  s jsonb;
  r record;
  columns text;
begin
  perform pg_advisory_xact_lock(hashtext('crm.merge'));
  select * into g from crm.merge as x where x.id = of_merge for update;
  if not found or g.unmerged_at is not null then
    perform crm.missing_reference('id');
  end if;
  select x.root, x.area into root, area from crm.stewarded(g.resource) as x;
  execute format('select to_jsonb(t) from %s as t where t.id = $1 for update', root) into s using g.survivor_id;
  if s is null then
    raise exception using errcode = 'CR003', table = root::text, message = 'the survivor is gone';
  end if;
  if not crm.may_steward(area, s) then
    raise exception using errcode = 'insufficient_privilege', message = 'the survivor must be the caller''s to change';
  end if;

  perform set_config('session_replication_role', 'replica', true);
  perform set_config('muhatap.parting', 'on', true);
  -- Values go back where they still are as the merge left them; a row that nothing else has changed gets its version back, too.
  -- A row that was changed twice goes back twice, the last change first.
  for r in
    select x.relation, x.pass, array_agg(distinct k order by k) as names, array_agg(distinct x.position) as positions
    from (select w.*, row_number() over (partition by w.relation, w.key order by w.position desc) as pass from crm.merge_row as w
      where w.merge_id = of_merge and w.op = 'change') as x
    cross join lateral jsonb_object_keys(x.before) as k
    group by x.relation, x.pass order by x.pass, max(x.position) desc
  loop
    columns := (select string_agg(quote_ident(n), ', ') from unnest(r.names) as n);
    execute format(
      'update %1$s as t set (%2$s) = (
         select %2$s from jsonb_populate_record(t, (
           select case when to_jsonb(t) @> x.after then x.before else coalesce(jsonb_object_agg(b.key, b.value), ''{}'') %3$s end
           from jsonb_each(x.before) as b where b.key not in (''version'', ''updated_at'') and to_jsonb(t) -> b.key is not distinct from x.after -> b.key)))
       from crm.merge_row as x cross join lateral jsonb_populate_record(null::%1$s, x.key) as k
       where x.merge_id = $1 and x.position = any ($2) and (%4$s)',
      r.relation, columns,
      case when 'version' = any (r.names) then '|| jsonb_build_object(''version'', t.version + 1, ''updated_at'', now())' else '' end,
      (select string_agg(format('t.%1$I = k.%1$I', c), ' and ') from unnest(crm.key_columns(r.relation::regclass)) as c))
    using of_merge, r.positions;
  end loop;
  for r in select x.relation, x.key, x.before, x.after from crm.merge_row as x where x.merge_id = of_merge and x.op = 'add' order by x.position desc loop
    execute format('update %1$s as t set %2$s from jsonb_populate_record(null::%1$s, $1) as k, jsonb_populate_record(null::%1$s, $2) as g where %3$s', r.relation,
      (select string_agg(format('%1$I = t.%1$I - g.%1$I', c), ', ') from jsonb_object_keys(r.before) as c),
      (select string_agg(format('t.%1$I = k.%1$I', c), ' and ') from unnest(crm.key_columns(r.relation::regclass)) as c)) using r.key, r.before;
    if r.after is not null then
      execute format('delete from %1$s as t using jsonb_populate_record(null::%1$s, $1) as k where %2$s and %3$s', r.relation,
        (select string_agg(format('t.%1$I = k.%1$I', c), ' and ') from unnest(crm.key_columns(r.relation::regclass)) as c),
        (select string_agg(format('t.%I = 0', c), ' and ') from jsonb_object_keys(r.before) as c)) using r.key;
    end if;
  end loop;
  for r in select distinct x.relation from crm.merge_row as x where x.merge_id = of_merge and x.op = 'delete' loop
    columns := (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute as a
      where a.attrelid = r.relation::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = '');
    execute format(
      'insert into %1$s (%2$s) overriding system value select %2$s from (
         select k.* from crm.merge_row as x cross join lateral jsonb_populate_record(null::%1$s, x.before) as k
         where x.merge_id = $1 and x.relation = %3$L and x.op = ''delete'') as gone', r.relation, columns, r.relation) using of_merge;
  end loop;
  perform set_config('muhatap.parting', '', true);
  perform set_config('session_replication_role', 'origin', true);
  perform crm.check_references(root, array[g.survivor_id, g.merged_id]);
  update crm.merge as x set unmerged_at = now(), unmerged_by = crm.caller_id() where x.id = of_merge;
end
$$;
comment on function crm.unmerge_records(uuid) is
  'Parts two merged records again: everything that was moved, changed, added up or removed goes back. What was changed since the merge keeps that change; what was added since stays with the survivor.';

create function crm.survivor_of(of_resource text, id uuid) returns uuid language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive way as (
    select g.survivor_id, 1 as step from crm.merge as g where g.resource = of_resource and g.merged_id = survivor_of.id and g.unmerged_at is null
    union all
    select g.survivor_id, w.step + 1 from way as w join crm.merge as g on g.resource = of_resource and g.merged_id = w.survivor_id and g.unmerged_at is null
    where w.step < 100
  )
  select w.survivor_id from way as w order by w.step desc limit 1
$$;
comment on function crm.survivor_of(text, uuid) is 'The record into which another was merged, however often that was merged on; null for a record that was not merged.';

revoke execute on function crm.resolve_clashes(uuid, regclass, name[], uuid, uuid), crm.move_references(uuid, regclass, uuid, uuid, jsonb)
  from crm_app, crm_worker, crm_bulk, crm_access;
set local role none;
grant create on schema crm to crm_steward;
alter function crm.merge_records(text, uuid, uuid, text[], text[], text[], boolean, text) owner to crm_steward;
alter function crm.unmerge_records(uuid) owner to crm_steward;
alter function crm.survivor_of(text, uuid) owner to crm_steward;
revoke create on schema crm from crm_steward;
