-- Following changes live: which of them the log itself shows to the right people, and which only the record's own policies can decide.
set local role crm_owner;

-- The log keeps department, owner and area of a change. That decides for tables protected as crm.protect does by itself; where a table's own policies say more
-- (a user's own rows, participants, shares of one record), the row has to be asked for.
create function crm.resources_decided_by_row() returns table (resource text, widened boolean) language sql stable set search_path = pg_catalog, pg_temp as $$
  select p.resource, rules.has_own and not rules.is_narrowed
  from crm.protection as p
  cross join lateral (
    select count(*) as rules,
      coalesce(bool_or(l.qual = case p.kind
        when 'owned' then format('((audience = ANY (( SELECT crm.readable(%1$L::text) AS readable)::uuid[])) OR (owner_id = ANY (( SELECT crm.readable(%1$L::text) AS readable)::uuid[])) OR ( SELECT crm.reads_all(%1$L::text) AS reads_all))', p.area)
        when 'reference' then format('( SELECT crm.reads(%L::text) AS reads)', p.area)
        when 'common' then format('(( SELECT crm.signed_in() AS signed_in) OR ( SELECT crm.reads(%L::text) AS reads))', p.area)
      end), false) as has_own,
      coalesce(bool_or(l.permissive <> 'PERMISSIVE'), false) as is_narrowed
    from pg_policies as l
    where format('%I.%I', l.schemaname, l.tablename) = p.relation and l.cmd in ('SELECT', 'ALL') and l.roles && array['crm_app', 'public']::name[]
  ) as rules
  where p.resource is not null and not (rules.rules = 1 and rules.has_own and not rules.is_narrowed)
$$;
comment on function crm.resources_decided_by_row() is
  'The resources whose readers the change log cannot tell. widened: their policies only add readers to those whom the log knows.';

create function crm.readable_rows(resources text[], ids uuid[]) returns table (resource text, id uuid) language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  part record;
begin
  for part in
    select p.resource, p.relation::regclass as relation, array_agg(distinct a.id) as ids
    from unnest(resources, ids) as a (resource, id) join crm.protection as p on p.resource = a.resource group by 1, 2
  loop
    return query execute format('select %L::text, t.id from %s as t where t.id = any ($1)', part.resource, part.relation) using part.ids;
  end loop;
end
$$;
comment on function crm.readable_rows(text[], uuid[]) is 'Which of the named records the caller may read: resource and id at the same place of the two lists.';
