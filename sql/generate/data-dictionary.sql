-- Prints docs/data-dictionary.md from the catalogue:  psql -XqAt -f sql/generate/data-dictionary.sql
\pset format unaligned
\pset tuples_only on
select '# Data dictionary

Generated from the database by `make generated`.

## Metrics

The same statement gives the number to a dashboard, to SQL (`select * from bi.metric_values(''sales'', ''2017-01-01'', ''2017-12-31'')`) and to the API.

| metric | label | what is counted | grain | unit | owner |
|---|---|---|---|---|---|';
select format('| `%s` | %s / %s | %s | %s | %s | %s |', name, label_en, label_tr, meaning, grain, unit, owner) from bi.metric order by name;
select E'\n' || format(E'- `%s`: `%s`', name, sql) from bi.metric order by name;
select '
## Views for BI (schema `bi`)
';
select format(E'### %s\n\n%s\n\n| column | type | meaning |\n|---|---|---|\n%s\n', c.oid::regclass, obj_description(c.oid, 'pg_class'),
  string_agg(format('| `%s` | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)), E'\n' order by a.attnum))
from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'bi'::regnamespace and c.relkind = 'v' group by c.oid order by c.oid::regclass::text;
select '## Tables (schema `crm`)

Columns marked *personal* hold personal data and are masked for BI; columns marked *secret* are never shown.
';
select format(E'### %s\n\n%s\n\n| column | type | required | meaning |\n|---|---|---|---|\n%s\n%s', c.oid::regclass, obj_description(c.oid, 'pg_class'),
  string_agg(format('| `%s` | %s | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'yes' else '' end,
    replace(regexp_replace(col_description(c.oid, a.attnum), '^(personal|secret): ', '*\1* '), '|', '\|')), E'\n' order by a.attnum),
  coalesce((select E'\n' || string_agg(format('- `%s`: %s', k.conname, split_part(substr(obj_description(k.oid, 'pg_constraint'), 5), ' | tr: ', 1)), E'\n' order by k.conname) || E'\n'
    from pg_constraint as k where k.conrelid = c.oid and k.contype in ('c', 'u') and k.coninhcount = 0), ''))
from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition group by c.oid order by c.oid::regclass::text;
