-- Taking an import back looks at what refers to its records through the tables themselves: partitions have the same rows and no grants of their own. BI reads scores of surveys.
set local role crm_owner;
grant execute on function crm.score_range(text) to bi_reader;

create or replace function crm.undo_import(import uuid)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET client_min_messages TO 'warning'
AS $function$
declare
  tx constant xid8 := (select i.merge_xid from crm.import as i where i.id = import);
  said_via constant text := 'import:' || import;
  part record;
  link record;
  columns text;
  count_now bigint;
  moved boolean;
begin
  if tx is null then
    raise exception using errcode = 'invalid_parameter_value', message = 'this import has written nothing';
  end if;
  create temporary table import_undo (relation text, target regclass, row_id uuid, verdict text) on commit drop;
  grant select on import_undo to crm_bulk;
  insert into import_undo
  select c.relation, p.relation::regclass, item.id, case when 'delete' = any (p.verbs) then 'removed' else 'not_removable' end
  from crm.change as c join crm.protection as p on p.resource = c.relation
  cross join lateral unnest(coalesce(c.row_ids, array[c.row_id])) as item (id)
  where c.xid = tx and c.via = said_via and c.op = 'insert';
  create index on import_undo (row_id);
  analyze import_undo;

  -- Nobody may begin to refer to what is about to go.
  perform crm.begin_merge();
  for part in select distinct u.target from import_undo as u where exists (select from pg_constraint as k where k.confrelid = u.target and k.contype = 'f') order by 1 loop
    execute format('select count(*) from (select t.id from %s as t where t.id in (select u.row_id from pg_temp.import_undo as u where u.target = %L::regclass) order by t.id for update) as l',
      part.target, part.target) into count_now;
  end loop;
  perform crm.end_merge();

  for part in select distinct u.target from import_undo as u order by 1 loop
    execute format('update import_undo as u set verdict = ''gone'' where u.target = %1$L::regclass and not exists (select from %1$s as t where t.id = u.row_id)', part.target);
    execute format('update import_undo as u set verdict = ''edited'' from %1$s as t where u.target = %1$L::regclass and u.verdict = ''removed'' and t.id = u.row_id and t.version > 1', part.target);
  end loop;
  loop
    moved := false;
    for link in
      select k.conrelid::regclass as child, k.confrelid::regclass as parent, a.attname as name
      from pg_constraint as k join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[cardinality(k.conkey)]
      join pg_attribute as f on f.attrelid = k.confrelid and f.attnum = k.confkey[cardinality(k.confkey)] and f.attname = 'id'
      where k.contype = 'f' and k.conparentid = 0 and k.confrelid in (select u.target from import_undo as u) order by 1, 2, 3
    loop
      execute format('update import_undo as u set verdict = ''referred'' where u.target = %1$L::regclass and u.verdict = ''removed'' and u.row_id in ('
        || 'select c.%2$I from %3$s as c where not exists (select from import_undo as v where v.target = %3$L::regclass and v.row_id = c.id and v.verdict = ''removed''))',
        link.parent, link.name, link.child);
      get diagnostics count_now = row_count;
      moved := moved or count_now > 0;
    end loop;
    -- An order stays whole.
    update import_undo as u set verdict = 'order_kept' from crm.sales_order_line as l join import_undo as o on o.row_id = l.order_id and o.verdict <> 'removed'
    where u.target = 'crm.sales_order_line'::regclass and u.verdict = 'removed' and l.id = u.row_id;
    get diagnostics count_now = row_count;
    moved := moved or count_now > 0;
    exit when not moved;
  end loop;

  -- Lines that were added to orders of others: triggers add these up again.
  delete from crm.sales_order_line as l using import_undo as u
  where u.target = 'crm.sales_order_line'::regclass and u.verdict = 'removed' and l.id = u.row_id
    and not exists (select from import_undo as o where o.row_id = l.order_id and o.verdict = 'removed');

  -- What it changed, as it was before: the earliest entry of a column says so. Only where nobody has changed the record since.
  for part in
    select p.relation::regclass as target, c.relation, max(case when a.attname is null then 0 else 1 end) as owned
    from crm.change as c join crm.protection as p on p.resource = c.relation
    left join pg_attribute as a on a.attrelid = p.relation::regclass and a.attname = 'visibility'
    where c.xid = tx and c.via = said_via and c.op = 'update' group by 1, 2 order by 3 desc, 2
  loop
    select string_agg(quote_ident(attname), ', ' order by attnum) into columns from pg_attribute
    where attrelid = part.target and attnum > 0 and not attisdropped and attgenerated = '' and attname not in ('id', 'version', 'created_at', 'updated_at', 'created_by', 'customer_id');
    execute format('with was as (select c.row_id, max((c.after ->> ''version'')::integer) as version, (select jsonb_object_agg(e.key, e.value order by d.seq desc) from crm.change as d '
      || 'cross join lateral jsonb_each(d.before) as e where d.xid = %1$L and d.via = %2$L and d.op = ''update'' and d.row_id = c.row_id) as before '
      || 'from crm.change as c where c.xid = %1$L and c.via = %2$L and c.op = ''update'' and c.relation = %3$L '
      || 'and not exists (select from import_undo as u where u.row_id = c.row_id) group by c.row_id), '
      || 'restored as (update %4$s as t set (%5$s) = (select %5$s from jsonb_populate_record(t, was.before)) from was where t.id = was.row_id and t.version = was.version returning t.id) '
      || 'insert into import_undo select %3$L, %4$L::regclass, was.row_id, case when restored.id is null then ''change_kept'' else ''restored'' end from was left join restored on restored.id = was.row_id',
      tx, said_via, part.relation, part.target, columns);
  end loop;

  delete from crm.external_id as x using import_undo as u where u.verdict = 'removed' and x.row_id = u.row_id and x.relation = u.relation;
  perform crm.begin_merge();
  for part in select distinct u.target from pg_temp.import_undo as u where u.verdict = 'removed' order by 1 loop
    execute format('delete from %1$s as t using pg_temp.import_undo as u where u.target = %1$L::regclass and u.verdict = ''removed'' and t.id = u.row_id', part.target);
  end loop;
  perform crm.end_merge();
  return (
    select jsonb_object_agg(by_relation.relation, by_relation.counts) from (
      select u.relation, jsonb_object_agg(u.verdict, u.size) as counts
      from (select relation, verdict, count(*) as size from import_undo group by relation, verdict) as u group by u.relation) as by_relation);
end
$function$;
