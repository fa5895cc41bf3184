-- Every broken rule at once: PostgreSQL itself reports only the first.
set local role crm_owner;

create function crm.failed_checks(relation regclass, row_id uuid, changes jsonb) returns setof text language plpgsql stable as $$
declare
  candidate jsonb := '{}';
  rule record;
  broken boolean;
begin
  if row_id is not null then
    execute format('select to_jsonb(t) from %s t where t.id = $1', relation) into candidate using row_id;
  end if;
  candidate := coalesce(candidate, '{}') || changes;
  for rule in select conname, pg_get_expr(conbin, conrelid) as expression from pg_constraint where conrelid = relation and contype = 'c' order by conname loop
    execute format('select not coalesce(%s, true) from jsonb_populate_record(null::%s, $1)', rule.expression, relation) into broken using candidate;
    if broken then
      return next rule.conname;
    end if;
  end loop;
end
$$;
comment on function crm.failed_checks(regclass, uuid, jsonb) is
  'The names of all CHECK constraints that a new row (row_id null) or a changed one would break; answers a refused write with every mistake at once.';
