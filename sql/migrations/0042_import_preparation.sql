-- What an import works out in tables of its own is made by the worker itself, with CREATE TABLE … AS, which PostgreSQL may do on several cores; an
-- INSERT … SELECT it does on one. Autovacuum leaves the tables alone: they are gone soon, and dropping one would wait for it.
set local role crm_owner;

grant create on schema staging to crm_worker;

alter table crm.import add column may_repeat boolean not null default true;
comment on column crm.import.may_repeat is 'False when no two rows of the file are the same; known from reading it, so that nobody need compare them.';

create or replace function crm.make_file_staging(import uuid, width integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
begin
  perform crm.own_import(import);
  if width not between 1 and 1000 then
    raise exception using errcode = 'program_limit_exceeded', message = 'a file has 1 to 1,000 columns';
  end if;
  perform crm.drop_staging(import);
  execute format('create unlogged table staging.%I (row_number bigint not null, %s) with (autovacuum_enabled = false)', crm.staging_name('file', import),
    (select string_agg('c' || n || ' text', ', ' order by n) from generate_series(1, width) as n));
  execute format('create unlogged table staging.%I (row_number bigint not null) with (autovacuum_enabled = false)', crm.staging_name('refused', import));
  execute format('grant insert on staging.%I to crm_app', crm.staging_name('file', import));
  execute format('grant select, insert, update, delete, truncate on staging.%I, staging.%I to crm_worker', crm.staging_name('file', import),
    crm.staging_name('refused', import));
  execute format('grant select on staging.%I, staging.%I to crm_bulk', crm.staging_name('file', import), crm.staging_name('refused', import));
end
$$;
comment on function crm.make_file_staging(uuid, integer) is 'Makes an import''s staging tables anew: the file''s rows as text and the refused rows.';
comment on function crm.staging_name(text, uuid) is
  'The name of an import''s table in schema staging: file, refused, reference (what the rows refer to), gathered (rows of one record together), record, line, new_line.';

-- With the record's audience, so that its lines need not wait until it is written.
create or replace function crm.make_record_staging(import uuid, part text, target regclass) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  name constant name := crm.staging_name(part, import);
  derived text;
begin
  perform crm.own_import(import);
  if part not in ('record', 'line') then
    raise exception using errcode = 'invalid_parameter_value', message = 'a part is record or line';
  end if;
  execute format('drop table if exists staging.%I', name);
  execute format('create unlogged table staging.%I with (autovacuum_enabled = false) as select %s from %s with no data', name,
    (select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
     where attrelid = target and attnum > 0 and not attisdropped and attgenerated = '' and attname not in ('row_number', 'last_row', 'size', 'place', 'key', 'action')), target);
  execute format('alter table staging.%I add row_number bigint, add last_row bigint, add size bigint, add place bigint, add key text, add action text', name);
  select format('alter table staging.%I alter visibility set default %s, add audience uuid generated always as (%s) stored', name, pg_get_expr(standard.adbin, target),
    pg_get_expr(audience.adbin, target)) into derived
  from pg_attribute as a join pg_attrdef as audience on audience.adrelid = target and audience.adnum = a.attnum
  join pg_attribute as v on v.attrelid = target and v.attname = 'visibility' join pg_attrdef as standard on standard.adrelid = target and standard.adnum = v.attnum
  where a.attrelid = target and a.attname = 'audience' and a.attgenerated <> '';
  if derived is not null then
    execute derived;
  end if;
  execute format('grant select, insert, update, delete on staging.%I to crm_worker', name);
  execute format('grant select on staging.%I to crm_bulk', name);
end
$$;

create or replace function crm.drop_staging(import uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  part text;
begin
  perform crm.own_import(import);
  foreach part in array array['file', 'record', 'missing', 'refused', 'line', 'reference', 'gathered', 'new_line'] loop
    execute format('drop table if exists staging.%I', crm.staging_name(part, import));
  end loop;
end
$$;

-- uuids do not compress: a partition is made with the storage that says so, which it did not take from its parent.
do $$
declare
  partition record;
begin
  for partition in select i.inhrelid::regclass as name from pg_inherits as i where i.inhparent = 'crm.change'::regclass loop
    execute format('alter table %s alter column row_ids set storage external', partition.name);
  end loop;
end
$$;
create or replace function crm.make_change_partitions(ahead integer default 3) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  first_day date;
  name text;
  made integer := 0;
begin
  perform pg_advisory_xact_lock(hashtext('crm.make_change_partitions'));
  for first_day in
    select distinct m::date from (
      select generate_series(date_trunc('month', now() at time zone 'UTC'), date_trunc('month', now() at time zone 'UTC') + make_interval(months => ahead), '1 month')
      union all
      select date_trunc('month', at at time zone 'UTC') from crm.change_default
    ) as months (m) order by 1
  loop
    name := 'change_' || to_char(first_day, 'YYYY_MM');
    if to_regclass('crm.' || name) is null then
      execute format('create table crm.%I (like crm.change including defaults including constraints including storage)', name);
      execute format('comment on table crm.%I is %L', name, 'Changes of ' || to_char(first_day, 'YYYY-MM') || '.');
      execute format('alter table crm.%I enable row level security, force row level security', name);
      execute format('create policy change_keep on crm.%I to crm_owner using (true) with check (true)', name);
      execute format('with late as (delete from crm.change_default where at >= %1$L and at < %2$L returning *) insert into crm.%3$I select * from late',
        first_day::timestamp at time zone 'UTC', (first_day + interval '1 month') at time zone 'UTC', name);
      execute format('alter table crm.change attach partition crm.%I for values from (%L) to (%L)',
        name, first_day::timestamp at time zone 'UTC', (first_day + interval '1 month') at time zone 'UTC');
      execute format('drop policy change_keep on crm.%I', name);
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;
