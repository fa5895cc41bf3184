-- Prints docs/row-security.md from the catalogue:  psql -XqAt -f sql/generate/row-security.sql
\pset format unaligned
\pset tuples_only on
\pset recordsep '\n'
select '# Row-level security

Generated from the database by `make generated`; the tests in `sql/tests/access.sql` hold every line of it against a model.

A caller''s context is sent with each transaction: `muhatap.read_<area>` and `muhatap.write_<area>` list the audiences the caller reaches (departments, the nil uuid for the whole company,
the caller''s own id), `*` stands for system work, and a missing setting for nothing. BI logins go by `session_user` and `crm.bi_login`, whatever they set.
Every table is `FORCE ROW LEVEL SECURITY`; migrations alone run above it, and bulk merges of imports as `crm_bulk` after their rights have been checked (migration 0012).

## Kinds of protection

| kind | who reads | who writes |
|---|---|---|
| owned | whoever''s audiences in the area hold the row''s audience or owner | whoever writes for the row''s department, or its owner |
| reference | whoever reads anything in the area | whoever writes for a department in the area |
| computed | whoever reads anything in the area | system work |
| common | everyone signed in | whoever writes for a department in the area |
| personal | the user it belongs to | the same |
| system | system work | system work |
| linked | everyone signed in | whoever writes anything in the row''s own area |
| log | each row: whoever reads its area and audience | nobody; a trigger records |
| open | everyone | nobody |

## Tables

| table | kind | area | change log | gateway and worker may | BI |
|---|---|---|---|---|---|';
select format('| `%s` | %s | %s | %s | %s | %s |', p.relation, p.kind, p.area, coalesce('`' || p.resource || '`', 'no: ' || p.reason), array_to_string(p.verbs, ', '),
  case when p.bi then 'yes' else '' end)
from crm.protection as p order by p.relation;
select '
## Policies
';
select case when row_number() over (partition by c.oid order by p.polcmd, p.polname) = 1 then format(E'### %s\n\n', c.oid::regclass) else '' end
  || format(E'- `%s`: %s to %s\n%s%s', p.polname, case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
    (select string_agg(r::regrole::text, ', ' order by r::regrole::text) from unnest(p.polroles) as r),
    case when p.polqual is null then '' else format(E'  - sees rows where `%s`\n', pg_get_expr(p.polqual, p.polrelid)) end,
    case when p.polwithcheck is null then '' else format(E'  - writes rows where `%s`\n', pg_get_expr(p.polwithcheck, p.polrelid)) end)
from pg_policy as p join pg_class as c on c.oid = p.polrelid where c.relnamespace = 'crm'::regnamespace
order by c.oid::regclass::text, p.polcmd, p.polname;
select '
## Functions that run as their owner

| function | owner | may be called by | what |
|---|---|---|---|';
select format('| `%s` | %s | %s | %s |', p.oid::regprocedure, p.proowner::regrole,
  coalesce((select string_agg(g.grantee::regrole::text, ', ' order by g.grantee::regrole::text) from aclexplode(p.proacl) as g where g.grantee <> p.proowner), 'triggers'),
  obj_description(p.oid, 'pg_proc'))
from pg_proc as p where p.pronamespace in ('crm'::regnamespace, 'bi'::regnamespace) and p.prosecdef order by p.oid::regprocedure::text;
