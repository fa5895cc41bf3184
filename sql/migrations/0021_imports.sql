-- Imports: a file is streamed into staging, checked set-wise, and merged; every row that was not taken is in the error file with its reason.
set local role crm_owner;

create schema staging;
comment on schema staging is 'What an import has read and worked out, in unlogged tables of its own; dropped when it is no longer needed.';
grant usage on schema staging to crm_app, crm_worker, crm_bulk;

create table crm.import (
  id             uuid        not null default crm.uuid_v7(),
  user_id        uuid        default crm.caller_id(),
  resource       text        not null,
  file_name      text,
  mapping        jsonb       not null,
  file_columns   text[],
  status         text        not null default 'created',
  step           text,
  bytes_read     bigint      not null default 0,
  rows_read      bigint      not null default 0,
  rows_staged    bigint      not null default 0,
  rows_new       bigint      not null default 0,
  rows_changed   bigint      not null default 0,
  rows_unchanged bigint      not null default 0,
  rows_refused   bigint      not null default 0,
  summary        jsonb,
  problem        jsonb,
  merge_xid      xid8,
  job_id         uuid,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  finished_at    timestamptz,
  constraint import_id_primary primary key (id),
  constraint import_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint import_resource_shape check (resource ~ '^[a-z][a-z_]{0,62}$'),
  constraint import_file_name_length check (length(file_name) <= 255),
  constraint import_mapping_object check (jsonb_typeof(mapping) = 'object'),
  constraint import_status_known check (status in ('created', 'uploading', 'staged', 'checking', 'checked', 'merging', 'done', 'failed', 'undoing', 'undone'))
);
comment on table crm.import is 'A file that was or is being imported: what it is, how its columns map to fields, how far it is and what came of it.';
comment on column crm.import.user_id is 'Who imports; null for the system.';
comment on column crm.import.resource is 'What a row of the file becomes, such as customers or order_lines.';
comment on column crm.import.file_name is 'Name of the file, as the sender calls it.';
comment on column crm.import.mapping is 'How columns become fields.';
comment on column crm.import.file_columns is 'The names of the file''s columns, in their order.';
comment on column crm.import.status is 'created, uploading, staged (the file is here), checking, checked (a dry run has ended), merging, done, failed, undoing, undone.';
comment on column crm.import.step is 'What is being done right now, in a word or two.';
comment on column crm.import.bytes_read is 'Bytes of the file read so far, after decompression.';
comment on column crm.import.rows_read is 'Rows of the file read so far, without the header.';
comment on column crm.import.rows_staged is 'Rows that could be taken apart; the rest is in the error file.';
comment on column crm.import.rows_new is 'Records that are new.';
comment on column crm.import.rows_changed is 'Records that existed and differ from the file.';
comment on column crm.import.rows_unchanged is 'Records that existed and say the same as the file.';
comment on column crm.import.rows_refused is 'Rows of the file that were not taken; each is in the error file.';
comment on column crm.import.summary is 'Counts by resource, samples of what is new and changed, and what an undo kept.';
comment on column crm.import.problem is 'Why it failed, as a problem (RFC 9457).';
comment on column crm.import.merge_xid is 'The transaction that merged it; its entries in the change log say what was written.';
comment on column crm.import.job_id is 'The job that runs it.';
comment on column crm.import.finished_at is 'When it was done, failed or undone.';
comment on column crm.import.updated_at is 'When it last moved on.';
comment on constraint import_resource_shape on crm.import is 'en: This is not the name of a resource. | tr: Bu bir kaynak adı değil.';
comment on constraint import_file_name_length on crm.import is 'en: A file name has at most 255 characters. | tr: Dosya adı en çok 255 karakterdir.';
comment on constraint import_mapping_object on crm.import is 'en: The mapping is given as an object. | tr: Eşleme bir nesne olarak verilir.';
comment on constraint import_status_known on crm.import is 'en: This state of an import is not known. | tr: İçe aktarmanın bu durumu bilinmiyor.';
create index import_user_id_index on crm.import (user_id, id);

create table crm.import_error (
  id          uuid        not null default gen_random_uuid(),
  import_id   uuid        not null,
  user_id     uuid        default crm.caller_id(),
  phase       text        not null,
  row_number  bigint      not null,
  column_name text,
  value       text,
  code        text        not null,
  reason_en   text        not null,
  reason_tr   text        not null,
  constraint import_error_id_primary primary key (id),
  constraint import_error_import_id_exists foreign key (import_id) references crm.import (id) on delete cascade,
  constraint import_error_phase_known check (phase in ('file', 'check'))
);
comment on table crm.import_error is 'A row of an imported file that was not taken, and why.';
comment on column crm.import_error.id is 'Id of the entry.';
comment on column crm.import_error.import_id is 'The import.';
comment on column crm.import_error.user_id is 'Who imports; null for the system.';
comment on column crm.import_error.phase is 'file: the row could not be taken apart. check: what it says cannot be stored.';
comment on column crm.import_error.row_number is 'The row''s number in the file; a header is row 1, as a spreadsheet shows it.';
comment on column crm.import_error.column_name is 'The column of the file that is at fault, if it is one.';
comment on column crm.import_error.value is 'personal: what the row says there.';
comment on column crm.import_error.code is 'A stable name of the reason.';
comment on column crm.import_error.reason_en is 'The reason in English.';
comment on column crm.import_error.reason_tr is 'The reason in Turkish.';
comment on constraint import_error_phase_known on crm.import_error is 'en: This phase is not known. | tr: Bu aşama bilinmiyor.';
create index import_error_import_id_index on crm.import_error (import_id, row_number);

select crm.protect('crm.import', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}',
  reason => 'It is the record of its own course; what an import writes is in the change log.');
select crm.protect('crm.import_error', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}',
  reason => 'It is made anew by every check.');
create policy import_keep on crm.import for select to crm_owner using (true);

create function crm.import_is_stuck(import uuid) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp
  return exists (select from crm.import as i join crm.job as j on j.id = i.job_id where i.id = import and j.status in ('dead', 'done') and i.status in ('checking', 'merging', 'undoing'));
comment on function crm.import_is_stuck(uuid) is 'Whether the job of an import has ended without it, because every worker that tried vanished: it may be asked for again.';
revoke execute on function crm.import_is_stuck(uuid) from crm_access, crm_bulk;

-- Staging -------------------------------------------------------------------------------------------------------------------------

create function crm.staging_name(part text, import uuid) returns name language sql immutable parallel safe
  return (part || '_' || replace(import::text, '-', ''))::name;
comment on function crm.staging_name(text, uuid) is 'The name of an import''s table in schema staging: file, record, missing or refused.';

create function crm.own_import(import uuid) returns void language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from crm.import as i where i.id = import and (i.user_id = crm.caller_id() or crm.writes_all('admin'));
  if not found then
    raise exception using errcode = 'insufficient_privilege', message = 'this import is not the caller''s';
  end if;
end
$$;
comment on function crm.own_import(uuid) is 'Raises unless the import is the caller''s own or the caller is the system.';

create function crm.make_file_staging(import uuid, width integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
begin
  perform crm.own_import(import);
  if width not between 1 and 1000 then
    raise exception using errcode = 'program_limit_exceeded', message = 'a file has 1 to 1,000 columns';
  end if;
  perform crm.drop_staging(import);
  execute format('create unlogged table staging.%I (row_number bigint not null, %s)', crm.staging_name('file', import),
    (select string_agg('c' || n || ' text', ', ' order by n) from generate_series(1, width) as n));
  execute format('create unlogged table staging.%I (row_number bigint not null)', crm.staging_name('refused', import));
  execute format('create unlogged table staging.%I (reference integer not null, level integer not null, key text not null, parent text, row_number bigint not null, id uuid not null)',
    crm.staging_name('missing', import));
  execute format('grant insert on staging.%I to crm_app', crm.staging_name('file', import));
  execute format('grant select, insert, update, delete, truncate on staging.%I, staging.%I, staging.%I to crm_worker', crm.staging_name('file', import),
    crm.staging_name('refused', import), crm.staging_name('missing', import));
  execute format('grant select on staging.%I, staging.%I, staging.%I to crm_bulk', crm.staging_name('file', import),
    crm.staging_name('refused', import), crm.staging_name('missing', import));
end
$$;
-- The planner knows nothing of a new table; a small sample is enough for it.
create function crm.analyse_staging(import uuid, part text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set default_statistics_target = 10 as $$
begin
  perform crm.own_import(import);
  execute format('analyze staging.%I', crm.staging_name(part, import));
end
$$;
comment on function crm.analyse_staging(uuid, text) is 'Tells the planner what is in one of an import''s staging tables.';

comment on function crm.make_file_staging(uuid, integer) is 'Makes an import''s staging tables anew: the file''s rows as text, the refused rows, the references that are missing.';

-- The target's columns without its rules, beside what the import knows of the record.
create function crm.make_record_staging(import uuid, part text, target regclass) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  name constant name := crm.staging_name(part, import);
begin
  perform crm.own_import(import);
  if part not in ('record', 'line') then
    raise exception using errcode = 'invalid_parameter_value', message = 'a part is record or line';
  end if;
  execute format('drop table if exists staging.%I', name);
  execute format('create unlogged table staging.%I as select %s from %s with no data', name,
    (select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
     where attrelid = target and attnum > 0 and not attisdropped and attgenerated = '' and attname not in ('row_number', 'last_row', 'size', 'place', 'key', 'action')), target);
  execute format('alter table staging.%I add row_number bigint, add last_row bigint, add size bigint, add place bigint, add key text, add action text', name);
  execute format('grant select, insert, update, delete on staging.%I to crm_worker', name);
  execute format('grant select on staging.%I to crm_bulk', name);
end
$$;
comment on function crm.make_record_staging(uuid, text, regclass) is 'Makes the table in which an import works out the records (part: record) or the lines (part: line) of a table.';

create function crm.drop_staging(import uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
begin
  perform crm.own_import(import);
  execute format('drop table if exists staging.%I, staging.%I, staging.%I, staging.%I, staging.%I', crm.staging_name('file', import), crm.staging_name('record', import),
    crm.staging_name('missing', import), crm.staging_name('refused', import), crm.staging_name('line', import));
end
$$;
comment on function crm.drop_staging(uuid) is 'Drops an import''s staging tables.';
revoke execute on function crm.analyse_staging(uuid, text), crm.own_import(uuid), crm.make_record_staging(uuid, text, regclass) from crm_bulk, crm_access;
revoke execute on function crm.make_file_staging(uuid, integer), crm.drop_staging(uuid) from crm_bulk, crm_access;

-- Ids of version 7 for many rows: the counter fills the 12 bits after the time and then moves the time on, so that the ids ascend with it.
create function crm.bulk_id(milliseconds bigint, counter bigint, tail text) returns uuid language sql immutable strict parallel safe
  return (encode(int8send(((milliseconds + (counter >> 12)) << 16) | 28672 | (counter & 4095)), 'hex') || tail)::uuid;
comment on function crm.bulk_id(bigint, bigint, text) is 'A UUID version 7 from a time, a counter and 16 hexadecimal digits that begin with 8 to b.';

-- Checks --------------------------------------------------------------------------------------------------------------------------

-- Words that PostgreSQL takes for dates, such as yesterday, are not dates in a file: a date begins with a digit.
create function crm.reads_as(value text, type text, scale integer default null) returns boolean language plpgsql stable parallel safe as $$
begin
  case type
    when 'numeric' then return value::numeric is not null and value::numeric <> 'NaN' and abs(value::numeric) <> 'Infinity' and (scale is null or (scale(value::numeric) <= scale and abs(value::numeric) < 1e15));
    when 'integer' then return value::integer is not null;
    when 'bigint' then return value::bigint is not null;
    when 'float8' then return value::float8 is not null;
    when 'boolean' then return value::boolean is not null;
    when 'date' then return ascii(value) between 48 and 57 and isfinite(value::date);
    when 'timestamp' then return ascii(value) between 48 and 57 and isfinite(value::timestamp);
    when 'timestamptz' then return ascii(value) between 48 and 57 and isfinite(value::timestamptz);
    when 'uuid' then return value::uuid is not null;
    when 'jsonb' then return value::jsonb is not null;
    else return true;
  end case;
exception when data_exception or invalid_parameter_value or program_limit_exceeded then
  return false;
end
$$;
comment on function crm.reads_as(text, text, integer) is 'Whether a text reads as a value of a type; numbers with no more decimals than given.';

create function crm.explain(constraint_name text, target regclass) returns table (reason_en text, reason_tr text) language sql stable as $$
  select coalesce(substring(said from '^en: (.+) \| tr: '), 'This value breaks a rule.'), coalesce(substring(said from ' \| tr: (.+)$'), 'Bu değer bir kurala aykırı.')
  from (select (select obj_description(c.oid, 'pg_constraint') from pg_constraint as c where c.conrelid = target and c.conname = constraint_name) as said) as comments
$$;
comment on function crm.explain(text, regclass) is 'A constraint''s explanation for people, in English and Turkish.';

-- Every rule of the target, held against the worked-out records before they are written. Runs as the caller, so that what is hidden is not found.
--   given: the columns that the import sets; resolved: those of them that are references it has looked up itself; matched: those that records are recognised by.
create function crm.check_records(import uuid, target regclass, given text[], resolved text[], matched text[]) returns void
language plpgsql volatile set client_min_messages = warning as $$
declare
  records constant text := format('staging.%I', crm.staging_name('record', import));
  refuse constant text := 'insert into crm.import_error (import_id, user_id, phase, row_number, column_name, code, reason_en, reason_tr) '
    || 'select %1$L, crm.caller_id(), ''check'', r.row_number, %2$L, %3$L, %4$L, %5$L from %6$s as r where r.action in (''new'', ''changed'') and (%7$s)';
  everything constant text := (
    select string_agg(format('coalesce(%s, true)', pg_get_expr(c.conbin, c.conrelid)), ' and ') from pg_constraint as c
    where c.conrelid = target and c.contype = 'c'
      and not exists (select from pg_attribute as a where a.attrelid = target and a.attnum = any (c.conkey) and a.attgenerated <> ''));
  rule record;
  said record;
  broken boolean;
begin
  -- All CHECKs in one pass; only when one is broken each is looked at.
  execute format('select exists (select from %s as r where r.action in (''new'', ''changed'') and not (%s))', records, coalesce(everything, 'true')) into broken;
  if broken then
    for rule in
      select c.conname, pg_get_expr(c.conbin, c.conrelid) as expression, (select a.attname from pg_attribute as a where a.attrelid = target and a.attnum = c.conkey[1]) as attname
      from pg_constraint as c where c.conrelid = target and c.contype = 'c'
        and not exists (select from pg_attribute as a where a.attrelid = target and a.attnum = any (c.conkey) and a.attgenerated <> '')
      order by c.conname
    loop
      select * into said from crm.explain(rule.conname, target);
      execute format(refuse, import, rule.attname, rule.conname, said.reason_en, said.reason_tr, records, format('not coalesce(%s, true)', rule.expression));
    end loop;
  end if;

  for rule in
    select a.attname from pg_attribute as a
    where a.attrelid = target and a.attnum > 0 and a.attnotnull and a.attgenerated = '' and a.attname = any (given)
  loop
    execute format(refuse, import, rule.attname, 'required', format('%s is required.', rule.attname), format('%s zorunludur.', rule.attname), records, format('r.%I is null', rule.attname));
  end loop;

  for rule in
    select c.conname, c.contype, c.confrelid::regclass as referred, array_agg(a.attname::text order by k.place) as own, array_agg(f.attname::text order by k.place) as other
    from pg_constraint as c cross join unnest(c.conkey, c.confkey) with ordinality as k (own, other, place)
    join pg_attribute as a on a.attrelid = target and a.attnum = k.own
    left join pg_attribute as f on f.attrelid = c.confrelid and f.attnum = k.other
    where c.conrelid = target and c.contype in ('u', 'f')
    group by c.oid, c.conname, c.contype, c.confrelid order by c.conname
  loop
    continue when not rule.own && given or rule.own <@ resolved or rule.contype = 'u' and rule.own = matched;
    select * into said from crm.explain(rule.conname, target);
    if rule.contype = 'u' then
      -- Twice in the file, or taken by a record other than the one this row belongs to.
      execute format(refuse, import, rule.own[cardinality(rule.own)], rule.conname, said.reason_en, said.reason_tr, records, format(
        'r.row_number in (select d.row_number from (select o.row_number, row_number() over (partition by %1$s order by o.row_number) as turn from %2$s as o '
        || 'where o.action in (''new'', ''changed'') and %3$s) as d where d.turn > 1) or exists (select from %4$s as t where %5$s and t.id <> r.id)',
        (select string_agg(format('o.%I', n), ', ') from unnest(rule.own) as n), records, (select string_agg(format('o.%I is not null', n), ' and ') from unnest(rule.own) as n),
        target, (select string_agg(format('t.%1$I = r.%1$I', n), ' and ') from unnest(rule.own) as n)));
    else
      execute format(refuse, import, rule.own[cardinality(rule.own)], rule.conname, said.reason_en, said.reason_tr, records, format(
        '%s and not exists (select from %s as t where %s)', (select string_agg(format('r.%I is not null', n), ' and ') from unnest(rule.own) as n), rule.referred,
        (select string_agg(format('t.%I = r.%I', o, n), ' and ') from unnest(rule.own, rule.other) as pair (n, o))));
    end if;
  end loop;
end
$$;
comment on function crm.check_records(uuid, regclass, text[], text[], text[]) is 'Writes an error for every worked-out record that breaks a rule of its table.';
