-- One function makes every table's policies, grants, version trigger and change-log triggers, so that their shape can change in one place.
set local role crm_owner;

create table crm.protection (
  relation text   not null,
  area     text   not null,
  kind     text   not null,
  resource text,
  verbs    text[] not null,
  bi       boolean not null,
  reason   text,
  constraint protection_relation_primary primary key (relation),
  constraint protection_area_known check (area = any (crm.areas())),
  constraint protection_kind_known check (kind in ('owned', 'reference', 'common', 'personal', 'system', 'linked', 'log', 'open')),
  constraint protection_reason_given check (resource is not null or reason is not null)
);
comment on table crm.protection is 'How each table is protected, as crm.protect was told: the source of the access tests, of docs/row-security.md and of /v1/access/explain.';
comment on column crm.protection.relation is 'The table, with its schema.';
comment on column crm.protection.area is 'The permission area whose scopes decide.';
comment on column crm.protection.kind is 'owned: by department, owner and visibility. reference: open to whoever has the area. common: read by everyone signed in, written with the area. personal: a user''s own rows. system: system work only. linked: read by everyone signed in, written by whoever writes anything in the row''s own area. log: the change log, each row by its own area. open: no rows to hide, for the given reason.';
comment on column crm.protection.resource is 'The name under which the change log records its rows; null if it does not.';
comment on column crm.protection.verbs is 'What the gateway and the worker may do: select, insert, update, delete.';
comment on column crm.protection.bi is 'Whether BI logins read it, through the views of schema bi.';
comment on column crm.protection.reason is 'Why a table is not in the change log, or why an open table needs no policies by row.';
comment on constraint protection_relation_primary on crm.protection is 'en: This table is already protected. | tr: Bu tablo zaten korunuyor.';
comment on constraint protection_area_known on crm.protection is 'en: This permission area is not known. | tr: Bu yetki alanı bilinmiyor.';
comment on constraint protection_kind_known on crm.protection is 'en: This kind of protection is not known. | tr: Bu koruma türü bilinmiyor.';
comment on constraint protection_reason_given on crm.protection is 'en: A table that is not in the change log needs a reason. | tr: Değişiklik kaydında olmayan bir tablo için gerekçe gerekir.';

-- Comments that mean the same in every table, given to columns and constraints that have none of their own.
create function crm.comment_what_is_common(target regclass) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  item record;
begin
  for item in
    select a.attname as name, standard.text from pg_attribute as a
    join (values
      ('id', 'UUID version 7 of the record; given by the client or made by the server, never changed.'),
      ('customer_id', 'The customer this belongs to.'),
      ('department_id', 'The department that works with this record; decides who may change it.'),
      ('owner_id', 'The user responsible for the record; always reads it, and changes it from write scope "own" up.'),
      ('visibility', 'Who reads the record: company, department (and those it is shared with), or private (the owner alone).'),
      ('audience', 'Derived: from visibility, the nil uuid for company, the department''s id, or the owner''s id. Row-level security compares it.'),
      ('custom', 'Values of the custom fields defined for this resource, as an object of field name to value.'),
      ('created_at', 'When the record was made.'),
      ('updated_at', 'When the record was last changed.'),
      ('version', 'Counts the record''s changes, from 1; the ETag.'),
      ('created_by', 'The user who made the record; null for the system.')
    ) as standard (name, text) on standard.name = a.attname
    where a.attrelid = target and a.attnum > 0 and not a.attisdropped and col_description(target, a.attnum) is null
  loop
    execute format('comment on column %s.%I is %L', target, item.name, item.text);
  end loop;
  for item in
    select c.conname as name, c.contype as type, (
      select a.attname from pg_attribute as a where a.attrelid = target and a.attnum = c.conkey[cardinality(c.conkey)]) as last_column
    from pg_constraint as c where c.conrelid = target and obj_description(c.oid, 'pg_constraint') is null
  loop
    if item.type = 'p' then
      execute format('comment on constraint %I on %s is %L', item.name, target,
        'en: A record with this id already exists. | tr: Bu kimliğe sahip bir kayıt zaten var.');
    elsif item.type = 'f' then
      execute format('comment on constraint %I on %s is %L', item.name, target, format(
        'en: The record named in "%1$s" does not exist or is still in use. | tr: "%1$s" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.', item.last_column));
    elsif item.name = (select relname from pg_class where oid = target) || '_visibility_known' then
      execute format('comment on constraint %I on %s is %L', item.name, target,
        'en: Visibility is company, department or private. | tr: Görünürlük company, department ya da private olabilir.');
    elsif item.name = (select relname from pg_class where oid = target) || '_owner_id_private' then
      execute format('comment on constraint %I on %s is %L', item.name, target,
        'en: A private record needs an owner. | tr: Özel bir kaydın sahibi olmalıdır.');
    elsif item.name = (select relname from pg_class where oid = target) || '_custom_object' then
      execute format('comment on constraint %I on %s is %L', item.name, target,
        'en: Custom fields are given as an object. | tr: Özel alanlar bir nesne olarak verilir.');
    end if;
  end loop;
end
$$;
revoke execute on function crm.comment_what_is_common(regclass) from crm_app, crm_worker, crm_bulk, crm_access;

-- What a table still lacks before it may be protected: comments on it, its columns and its constraints.
create function crm.undescribed(target regclass) returns text[] language sql stable return array(
  select 'table' where obj_description(target, 'pg_class') is null
  union all
  select 'column ' || a.attname from pg_attribute as a
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped and col_description(target, a.attnum) is null
  union all
  select 'constraint ' || c.conname from pg_constraint as c
  where c.conrelid = target and coalesce(obj_description(c.oid, 'pg_constraint'), '') !~ '^en: .+ \| tr: .+');
comment on function crm.undescribed(regclass) is 'The table, columns and constraints that still need a COMMENT (constraints: "en: … | tr: …").';

create function crm.protect(
  target regclass, area text, kind text, resource text default null, verbs text[] default '{select,insert,update}', bi boolean default false, reason text default null
) returns void language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  name constant text := (select relname from pg_class where oid = target);
  read_rule text;
  write_rule text;
  bi_rule text;
  left_out text;
  shown text;
  missing text[];
  verb text;
begin
  perform crm.comment_what_is_common(target);
  missing := crm.undescribed(target);
  if cardinality(missing) > 0 then
    raise exception '% still needs a COMMENT on: %', target, array_to_string(missing, ', ');
  end if;
  insert into crm.protection values (target::regclass::text, area, kind, resource, verbs, bi, reason)
    on conflict on constraint protection_relation_primary do update
    set area = excluded.area, kind = excluded.kind, resource = excluded.resource, verbs = excluded.verbs, bi = excluded.bi, reason = excluded.reason;

  case kind
    when 'owned' then
      read_rule := format(
        'audience = any ((select crm.readable(%1$L))::uuid[]) or owner_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L))', area);
      write_rule := format(
        'department_id = any ((select crm.writable(%1$L))::uuid[]) or owner_id = any ((select crm.writable(%1$L))::uuid[]) or (select crm.writes_all(%1$L))', area);
      bi_rule := format('audience = any ((select crm.bi_readable(%L))::uuid[])', area);
    when 'reference' then
      read_rule := format('(select crm.reads(%L))', area);
      write_rule := format('(select crm.writes(%L))', area);
      bi_rule := format('(select crm.bi_reads(%L))', area);
    when 'common' then
      read_rule := format('(select crm.signed_in()) or (select crm.reads(%L))', area);
      write_rule := format('(select crm.writes(%L))', area);
      bi_rule := 'true';
    when 'personal' then
      read_rule := format('user_id = (select crm.caller_id()) or (select crm.reads_all(%L))', area);
      write_rule := format('user_id = (select crm.caller_id()) or (select crm.writes_all(%L))', area);
    when 'system' then
      read_rule := format('(select crm.reads_all(%L))', area);
      write_rule := format('(select crm.writes_all(%L))', area);
    when 'linked' then
      read_rule := '(select crm.signed_in())';
      select string_agg(format('area = %1$L and (select crm.writes_anything(%1$L))', a), ' or ' order by a) into write_rule from unnest(crm.areas()) as a;
    when 'log' then
      select string_agg(format('area = %1$L and (audience is null and (select crm.reads(%1$L)) or audience = any ((select crm.readable(%1$L))::uuid[])'
        || ' or owner_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L)))', a), ' or ' order by a)
      into read_rule from unnest(crm.areas()) as a;
      write_rule := 'false';
    when 'open' then
      read_rule := 'true';
      write_rule := 'false';
  end case;

  execute format('alter table %s enable row level security, force row level security', target);
  execute format('revoke all on %s from public, crm_app, crm_worker, crm_bulk, crm_access, bi_reader', target);
  foreach verb in array array['select', 'insert', 'update', 'delete', 'bi'] loop
    execute format('drop policy if exists %I on %s', name || '_' || case verb when 'select' then 'read' else verb end, target);
  end loop;
  if 'select' = any (verbs) then
    execute format('create policy %I on %s for select to crm_app, crm_worker using (%s)', name || '_read', target, read_rule);
  end if;
  if 'insert' = any (verbs) then
    execute format('create policy %I on %s for insert to crm_app, crm_worker with check (%s)', name || '_insert', target, write_rule);
  end if;
  if 'update' = any (verbs) then
    execute format('create policy %I on %s for update to crm_app, crm_worker using (%s) with check (%3$s)', name || '_update', target, write_rule);
  end if;
  if 'delete' = any (verbs) then
    execute format('create policy %I on %s for delete to crm_app, crm_worker using (%s)', name || '_delete', target, write_rule);
  end if;
  execute format('grant %s on %s to crm_app, crm_worker', array_to_string(verbs, ', '), target);
  execute format('grant %s on %s to crm_bulk', array_to_string(verbs, ', '), target);

  if bi then
    select string_agg(quote_ident(attname), ', ') into shown from pg_attribute
    where attrelid = target and attnum > 0 and not attisdropped and col_description(target, attnum) not like 'secret:%';
    execute format('create policy %I on %s for select to bi_reader using (%s)', name || '_bi', target, bi_rule);
    execute format('grant select (%s) on %s to bi_reader', shown, target);
  end if;

  execute format('drop trigger if exists %I on %s', name || '_touch', target);
  if exists (select from pg_attribute where attrelid = target and attname = 'version' and not attisdropped) then
    execute format('create trigger %I before update on %s for each row execute function crm.touch()', name || '_touch', target);
    execute format('alter table %s enable always trigger %I', target, name || '_touch');
  end if;

  foreach verb in array array['insert', 'update', 'delete'] loop
    execute format('drop trigger if exists %I on %s', name || '_record_' || verb, target);
  end loop;
  if resource is not null then
    select string_agg(attname, ',') into left_out from pg_attribute
    where attrelid = target and attnum > 0 and not attisdropped
      and (attname in ('updated_at', 'audience') or attgenerated <> '' or col_description(target, attnum) like 'secret:%');
    foreach verb in array array['insert', 'update', 'delete'] loop
      execute format('create trigger %I after %s on %s referencing %s for each statement execute function crm.record_change(%L, %L, %L)',
        name || '_record_' || verb, verb, target,
        case verb when 'insert' then 'new table as new_rows' when 'update' then 'old table as old_rows new table as new_rows' else 'old table as old_rows' end,
        resource, area, left_out);
      execute format('alter table %s enable always trigger %I', target, name || '_record_' || verb);
    end loop;
  end if;
end
$$;
comment on function crm.protect(regclass, text, text, text, text[], boolean, text) is
  'Gives a table its row-level security, its grants, its version trigger and its change-log triggers. Called in the migration that makes the table, after its comments; calling it again replaces what it made.';
revoke execute on function crm.protect(regclass, text, text, text, text[], boolean, text) from crm_app, crm_worker, crm_bulk, crm_access;

select crm.protect('crm.protection', area => 'admin', kind => 'open', verbs => '{select}',
  reason => 'It says how tables are protected and holds no business data.');
create policy protection_keep on crm.protection to crm_owner using (true) with check (true);
select crm.protect('crm.change', area => 'admin', kind => 'log', verbs => '{select}', reason => 'It is the change log.');
-- The log is forced under row-level security like everything else; only the recording trigger and partition upkeep run as the owner.
create policy change_keep on crm.change to crm_owner using (true) with check (true);
create policy change_keep on crm.change_default to crm_owner using (true) with check (true);
select crm.make_change_partitions();
