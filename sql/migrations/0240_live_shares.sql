-- Records shared one by one are among what a caller reads, by their ids: a change of such a record can still be decided without asking for it.
set local role crm_owner;

create or replace function crm.resources_decided_by_row() returns table (resource text, widened boolean) language sql stable set search_path = pg_catalog, pg_temp as $$
  select p.resource, rules.has_own and not rules.is_narrowed
  from crm.protection as p
  cross join lateral (
    select count(*) as rules,
      coalesce(bool_or(l.qual = any (case p.kind
        when 'owned' then array[
          format('((audience = ANY (( SELECT crm.readable(%1$L::text) AS readable)::uuid[])) OR (owner_id = ANY (( SELECT crm.readable(%1$L::text) AS readable)::uuid[])) OR ( SELECT crm.reads_all(%1$L::text) AS reads_all))', p.area),
          format('((audience = ANY (( SELECT crm.readable(%1$L::text) AS readable)::uuid[])) OR (owner_id = ANY (( SELECT crm.readable(%1$L::text) AS readable)::uuid[])) OR ( SELECT crm.reads_all(%1$L::text) AS reads_all) OR (id = ANY (( SELECT crm.readable(%1$L::text) AS readable)::uuid[])))', p.area)]
        when 'reference' then array[format('( SELECT crm.reads(%L::text) AS reads)', p.area)]
        when 'common' then array[format('(( SELECT crm.signed_in() AS signed_in) OR ( SELECT crm.reads(%L::text) AS reads))', p.area)]
      end)), false) as has_own,
      coalesce(bool_or(l.permissive <> 'PERMISSIVE'), false) as is_narrowed
    from pg_policies as l
    where format('%I.%I', l.schemaname, l.tablename) = p.relation and l.cmd in ('SELECT', 'ALL') and l.roles && array['crm_app', 'public']::name[]
  ) as rules
  where p.resource is not null and not (rules.rules = 1 and rules.has_own and not rules.is_narrowed)
$$;
