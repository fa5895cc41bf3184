-- Where figures come from, as PostgreSQL itself knows it.
set local role crm_owner;

create view bi.lineage with (security_invoker = true) as
with recursive reads as (
  select distinct r.ev_class as reader, d.refobjid as read
  from pg_catalog.pg_depend as d
  join pg_catalog.pg_rewrite as r on r.oid = d.objid
  where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> r.ev_class
), every as (
  select c.oid as view, x.read from pg_catalog.pg_class as c join reads as x on x.reader = c.oid
  where c.relnamespace = 'bi'::pg_catalog.regnamespace and c.relkind = 'v'
  union
  select e.view, x.read from every as e join reads as x on x.reader = e.read
)
select 'bi.' || v.relname as view, array_agg(n.nspname || '.' || t.relname order by n.nspname, t.relname) as tables
from every as e
join pg_catalog.pg_class as v on v.oid = e.view
join pg_catalog.pg_class as t on t.oid = e.read and t.relkind in ('r', 'p')
join pg_catalog.pg_namespace as n on n.oid = t.relnamespace and n.nspname = 'crm'
group by v.relname;
comment on view bi.lineage is 'From which tables each view of this schema comes, through whatever stands between. What a function within a view reads is not seen.';
comment on column bi.lineage.view is 'The view.';
comment on column bi.lineage.tables is 'The tables it comes from.';

grant select on bi.lineage to bi_reader, crm_app, crm_worker;
