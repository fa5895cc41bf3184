-- docs/functions.md: the functions of schema crm as all migrations together have left them.
select E'# Functions\n\nGenerated from the database by `make generated`: the functions of schema `crm` as all migrations together leave them, so that nobody has to look for the one that wrote a '
  || E'function last.\nTo change one, copy it into a new migration. Those of `bi` and `analytics` are in `sql/current/`.\n';
select format(E'## %s\n\n%s\n\n```sql\n%s\n```\n', p.oid::regprocedure, obj_description(p.oid, 'pg_proc'), btrim(pg_get_functiondef(p.oid), E'\n'))
from pg_proc as p
where p.pronamespace = 'crm'::regnamespace and p.prokind <> 'a'
order by p.proname collate "C", p.oid::regprocedure::text collate "C";
