-- Results are written by the worker alone: a kind of protection of their own, so that nobody who may change how something is computed can change what came of it.
-- And what a merge does with them: what a run found stays with the run, and where a customer stands now goes with the customer.
set local role crm_owner;

alter table crm.protection drop constraint protection_kind_known,
  add constraint protection_kind_known check (kind in ('owned', 'reference', 'computed', 'common', 'personal', 'system', 'linked', 'log', 'open'));
comment on constraint protection_kind_known on crm.protection is 'en: This kind of protection is not known. | tr: Bu koruma türü bilinmiyor.';
comment on column crm.protection.kind is 'owned: by department, owner and visibility. reference: open to whoever has the area. computed: results, open to whoever has the area, written by system work only. common: read by everyone signed in, written with the area. personal: a user''s own rows. system: system work only. linked: read by everyone signed in, written by whoever writes anything in the row''s own area. log: the change log, each row by its own area. open: no rows to hide, for the given reason.';

create or replace function crm.protect(
  target regclass, area text, kind text, resource text default null, verbs text[] default '{select,insert,update}', bi boolean default false, reason text default null
) returns void language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  name constant text := (select relname from pg_class where oid = target);
  read_rule text;
  write_rule text;
  bi_rule text;
  left_out text;
  shown text;
  missing text[];
  verb text;
begin
  perform crm.comment_what_is_common(target);
  missing := crm.undescribed(target);
  if cardinality(missing) > 0 then
    raise exception '% still needs a COMMENT on: %', target, array_to_string(missing, ', ');
  end if;
  insert into crm.protection values (target::regclass::text, area, kind, resource, verbs, bi, reason)
    on conflict on constraint protection_relation_primary do update
    set area = excluded.area, kind = excluded.kind, resource = excluded.resource, verbs = excluded.verbs, bi = excluded.bi, reason = excluded.reason;

  case kind
    when 'owned' then
      read_rule := format(
        'audience = any ((select crm.readable(%1$L))::uuid[]) or owner_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L))', area);
      write_rule := format(
        'department_id = any ((select crm.writable(%1$L))::uuid[]) or owner_id = any ((select crm.writable(%1$L))::uuid[]) or (select crm.writes_all(%1$L))', area);
      bi_rule := format('audience = any ((select crm.bi_readable(%L))::uuid[])', area);
    when 'reference' then
      read_rule := format('(select crm.reads(%L))', area);
      write_rule := format('(select crm.writes(%L))', area);
      bi_rule := format('(select crm.bi_reads(%L))', area);
    when 'computed' then
      read_rule := format('(select crm.reads(%L))', area);
      write_rule := format('(select crm.writes_all(%L))', area);
      bi_rule := format('(select crm.bi_reads(%L))', area);
    when 'common' then
      read_rule := format('(select crm.signed_in()) or (select crm.reads(%L))', area);
      write_rule := format('(select crm.writes(%L))', area);
      bi_rule := 'true';
    when 'personal' then
      read_rule := format('user_id = (select crm.caller_id()) or (select crm.reads_all(%L))', area);
      write_rule := format('user_id = (select crm.caller_id()) or (select crm.writes_all(%L))', area);
    when 'system' then
      read_rule := format('(select crm.reads_all(%L))', area);
      write_rule := format('(select crm.writes_all(%L))', area);
    when 'linked' then
      read_rule := '(select crm.signed_in())';
      select string_agg(format('area = %1$L and (select crm.writes_anything(%1$L))', a), ' or ' order by a) into write_rule from unnest(crm.areas()) as a;
    when 'log' then
      select string_agg(format('area = %1$L and (audience is null and (select crm.reads(%1$L)) or audience = any ((select crm.readable(%1$L))::uuid[])'
        || ' or owner_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L)))', a), ' or ' order by a)
      into read_rule from unnest(crm.areas()) as a;
      write_rule := 'false';
    when 'open' then
      read_rule := 'true';
      write_rule := 'false';
  end case;

  execute format('alter table %s enable row level security, force row level security', target);
  execute format('revoke all on %s from public, crm_app, crm_worker, crm_bulk, crm_access, bi_reader', target);
  foreach verb in array array['select', 'insert', 'update', 'delete', 'bi'] loop
    execute format('drop policy if exists %I on %s', name || '_' || case verb when 'select' then 'read' else verb end, target);
  end loop;
  if 'select' = any (verbs) then
    execute format('create policy %I on %s for select to crm_app, crm_worker using (%s)', name || '_read', target, read_rule);
  end if;
  if 'insert' = any (verbs) then
    execute format('create policy %I on %s for insert to crm_app, crm_worker with check (%s)', name || '_insert', target, write_rule);
  end if;
  if 'update' = any (verbs) then
    execute format('create policy %I on %s for update to crm_app, crm_worker using (%s) with check (%3$s)', name || '_update', target, write_rule);
  end if;
  if 'delete' = any (verbs) then
    execute format('create policy %I on %s for delete to crm_app, crm_worker using (%s)', name || '_delete', target, write_rule);
  end if;
  execute format('grant %s on %s to crm_app, crm_worker', array_to_string(verbs, ', '), target);
  execute format('grant %s on %s to crm_bulk', array_to_string(verbs, ', '), target);

  if bi then
    select string_agg(quote_ident(attname), ', ') into shown from pg_attribute
    where attrelid = target and attnum > 0 and not attisdropped and col_description(target, attnum) not like 'secret:%';
    execute format('create policy %I on %s for select to bi_reader using (%s)', name || '_bi', target, bi_rule);
    execute format('grant select (%s) on %s to bi_reader', shown, target);
  end if;

  execute format('drop trigger if exists %I on %s', name || '_touch', target);
  if exists (select from pg_attribute where attrelid = target and attname = 'version' and not attisdropped) then
    execute format('create trigger %I before update on %s for each row execute function crm.touch()', name || '_touch', target);
    execute format('alter table %s enable always trigger %I', target, name || '_touch');
  end if;

  foreach verb in array array['insert', 'update', 'delete'] loop
    execute format('drop trigger if exists %I on %s', name || '_record_' || verb, target);
  end loop;
  if resource is not null then
    select string_agg(attname, ',') into left_out from pg_attribute
    where attrelid = target and attnum > 0 and not attisdropped
      and (attname in ('updated_at', 'audience') or attgenerated <> '' or col_description(target, attnum) like 'secret:%');
    foreach verb in array array['insert', 'update', 'delete'] loop
      execute format('create trigger %I after %s on %s referencing %s for each statement execute function crm.record_change(%L, %L, %L)',
        name || '_record_' || verb, verb, target,
        case verb when 'insert' then 'new table as new_rows' when 'update' then 'old table as old_rows new table as new_rows' else 'old table as old_rows' end,
        resource, area, left_out);
      execute format('alter table %s enable always trigger %I', target, name || '_record_' || verb);
    end loop;
  end if;
end
$$;

do $$
declare
  p crm.protection;
begin
  for p in
    select * from crm.protection as x where x.relation in ('crm.customer_value', 'crm.value_run_key', 'crm.value_scale', 'crm.value_run_tier', 'crm.customer_standing',
      'crm.customer_tier_history', 'crm.customer_lifetime', 'crm.survival_point', 'crm.customer_rfm', 'crm.association_item', 'crm.association_rule',
      'crm.customer_offer', 'crm.lead_score')
  loop
    perform crm.protect(p.relation::regclass, area => p.area, kind => 'computed', verbs => p.verbs, bi => p.bi, reason => p.reason);
  end loop;
end
$$;

-- Merging ---------------------------------------------------------------------------------------------------------------------------

alter table crm.merge_rule drop constraint merge_rule_on_clash_known,
  add constraint merge_rule_on_clash_known check (on_clash in ('drop', 'sum', 'discard', 'leave'));
comment on constraint merge_rule_on_clash_known on crm.merge_rule is 'en: A clash is solved by drop, sum, discard or leave. | tr: Çakışma drop, sum, discard ya da leave ile çözülür.';
comment on table crm.merge_rule is 'What a merge does where both records have a row that may be there once: without a rule it is refused. Sums are counted for the survivor and, when the two are parted, taken off again. Also which tables a merge does not move.';
comment on column crm.merge_rule.on_clash is 'drop: the survivor''s row stays, the other goes. sum: the columns are added up. discard: the merged record''s rows go, whatever the survivor has, and come back when the two are parted. leave: the rows stay as they are; what a run found is read only together with a customer that is there.';
insert into crm.merge_rule (relation, on_clash) values
  ('crm.customer_value', 'leave'), ('crm.customer_lifetime', 'leave'), ('crm.customer_rfm', 'leave'), ('crm.customer_offer', 'leave'),
  ('crm.customer_standing', 'discard'), ('crm.customer_tier_history', 'discard')
on conflict on constraint merge_rule_relation_primary do update set on_clash = excluded.on_clash;

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
    -- Also a table that keeps a customer's id without a foreign key, such as a snapshot.
    (select root::oid as relation, 'id'::name as "column", 0 as depth
     union all
     select a.attrelid, a.attname, 100 from pg_attribute as a join pg_class as c on c.oid = a.attrelid
     where root = 'crm.customer'::regclass and c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and a.attname = 'customer_id' and a.atttypid = 'uuid'::regtype and not a.attisdropped and c.relname <> 'change'
       and not exists (select from crm.merge_rule as l where l.relation = c.oid::regclass::text and l.on_clash = 'leave'))
    union
    select p.child, p.child_column, f.depth + 1 from found as f join pair as p on p.parent = f.relation and p.parent_column = f."column" where f.depth < 12
  )
  select per.relation::regclass, array_agg(per."column" order by per."column")
  from (select f.relation, f."column", min(f.depth) as depth from found as f where (f.relation, f."column") <> (root::oid, 'id'::name) group by f.relation, f."column") as per
  group by per.relation
  order by min(per.depth), per.relation::regclass::text
$$;

create or replace function crm.resolve_clashes(merge uuid, relation regclass, columns name[], from_id uuid, to_id uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  i record;
  clash record;
  rule crm.merge_rule;
  fresh jsonb;
  rows_of constant text := (select string_agg(format('t.%I = $1', c), ' or ') from unnest(columns) as c);
begin
  select * into rule from crm.merge_rule as r where r.relation = resolve_clashes.relation::text;
  if rule.on_clash = 'discard' then
    execute format(
      'with gone as (delete from %1$s as t where %2$s returning to_jsonb(t) as whole)
       insert into crm.merge_row (merge_id, relation, op, before) select $2, %3$L, ''delete'', (crm.differences(%3$L::regclass, g.whole, ''{}'')).was from gone as g',
      relation, rows_of, relation::text) using from_id, merge;
    return;
  end if;
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

set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;
create or replace function crm.unmerge_records(of_merge uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
         where x.merge_id = $1 and x.relation = %3$L and x.op = ''delete'') as gone%4$s', r.relation, columns, r.relation,
      -- What was computed anew since then is newer than what was put away.
      case when exists (select from crm.merge_rule as l where l.relation = r.relation and l.on_clash = 'discard') then ' on conflict do nothing' else '' end)
    using of_merge;
  end loop;
  perform set_config('muhatap.parting', '', true);
  perform set_config('session_replication_role', 'origin', true);
  perform crm.check_references(root, array[g.survivor_id, g.merged_id]);
  update crm.merge as x set unmerged_at = now(), unmerged_by = crm.caller_id() where x.id = of_merge;
end
$$;
set local role none;
revoke create on schema crm from crm_steward;
