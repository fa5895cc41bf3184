-- For the tests of privacy: puts a row about one person into every table that crm.person_reach finds, with a marker of its own in every personal column that is stored.
-- What rows must be like is read from the catalogue, so that a table made tomorrow is planted, too. CHECK rules that markers break are put aside and hold again, for
-- every later change, when all is planted.
create schema plant;
create table plant.planted (relation text primary key, id uuid not null);
create table plant.marker (relation text, column_name text, marker text, primary key (relation, column_name));
create table plant.rule (relation text, name text, definition text, said text);
create table plant.override (relation text, column_name text, expression text, primary key (relation, column_name));
-- Values that the catalogue does not tell: fields that must agree with each other.
insert into plant.override values
  ('crm.change', 'relation', '''customers'''), ('crm.change', 'op', '''update'''), ('crm.change', 'xid', '''1''::xid8'), ('crm.change', 'row_ids', 'null'),
  ('crm.change', 'before', 'jsonb_build_object(''name'', ''MARK.crm.change.before.'')'), ('crm.change', 'after', 'jsonb_build_object(''note'', ''MARK.crm.change.after.'')'),
  ('crm.invoice', 'status', '''draft'''), ('crm.invoice_line', 'invoice_status', '''draft'''), ('crm.invoice_share', 'invoice_status', '''draft'''),
  ('crm.activity', 'kind', '''note'''), ('crm.privacy_request', 'identity_method', 'null'), ('crm.external_id', 'relation', '''customers'''), ('crm.external_id', 'area', '''customers'''),
  ('crm.lead', 'status', '''converted'''), ('crm.lead', 'converted_at', 'now()'), ('crm.conversation', 'channel', '''email'''), ('crm.interaction', 'channel', '''email'''),
  ('crm.ticket', 'number', '''T-1'''), ('crm.internal_note', 'conversation_id', '(select id from plant.planted where relation = ''crm.conversation'')'),
  ('crm.activity_participant', 'customer_id', 'null'), ('crm.survey_response', 'kind', '''nps'''), ('crm.survey_response', 'score', '9'),
  ('crm.survey_invitation', 'state', '''answered'''), ('crm.contract', 'status', '''cancelled'''), ('crm.contract', 'ended_on', '''2026-01-01'''),
  ('crm.record_share', 'resource', '''customers'''), ('crm.record_share', 'area', '''customers'''), ('crm.record_share', 'department_id', 'null'),
  ('crm.legal_hold', 'released_at', 'now()'), ('crm.attachment', 'sha256', 'encode(sha256(''x''), ''hex'')'),
  ('crm.consent_event', 'source', '''HS_WEB'''),
  ('crm.consent_event', 'channel', '''letter'''), ('crm.outbound_message', 'channel', '''letter'''), ('crm.outbound_message', 'legal_class', '''transactional''');

create function plant.value(target regclass, a pg_attribute, person uuid, root text, has_path boolean) returns text language plpgsql as $$
declare
  k record;
  option text;
  name constant text := format_type(a.atttypid, null);
begin
  select expression into option from plant.override where relation = target::text and column_name = a.attname;
  if found then
    return option;
  end if;
  if col_description(target, a.attnum) like 'personal:%' then
    option := 'MARK.' || target || '.' || a.attname || '.';
    case
      when name in ('text', 'character varying') then return quote_literal(option);
      when name in ('jsonb', 'json') then return quote_literal(jsonb_build_object('m', option));
      when name = 'text[]' then return quote_literal(array[option]);
      else option := null;
    end case;
  end if;
  if a.attname = 'id' and name = 'uuid' then
    return quote_literal((select id from plant.planted where relation = target::text));
  end if;
  if root = 'contact' and a.attname = 'customer_id' then
    return quote_literal((select c.customer_id from crm.contact as c where c.id = person));
  end if;
  for k in
    select c.confrelid::regclass as other, b.attname as other_column from pg_constraint as c cross join lateral unnest(c.conkey, c.confkey) as u (own, other)
    join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = u.other
    where c.conrelid = target and c.contype = 'f' and c.conparentid = 0 and u.own = a.attnum order by cardinality(c.conkey)
  loop
    if k.other_column = 'customer_id' then continue; end if;
    if not a.attnotnull and (has_path or a.attname <> root || '_id' and exists (
      select from pg_attribute as o where o.attrelid = target and o.attname = root || '_id' and not o.attisdropped)) then return null; end if;
    if k.other = ('crm.' || root)::regclass then return quote_literal(person); end if;
    if k.other_column = 'id' and exists (select from plant.planted where relation = k.other::text) then
      return quote_literal((select id from plant.planted where relation = k.other::text));
    end if;
    execute format('select quote_literal(min(%I::text)) from %s', k.other_column, k.other) into option;
    if option is not null then return option; end if;
  end loop;
  if name = 'uuid' and a.attname = root || '_id' and (a.attnotnull or not has_path) or a.attname in ('record_id', 'row_id', 'survivor_id') then
    return quote_literal(person);
  end if;
  if a.atthasdef then return 'default'; end if;
  if not a.attnotnull then return null; end if;
  select (regexp_match(pg_get_constraintdef(c.oid), '(?:= ANY \(+ARRAY\[|= )''([^'']+)''::'))[1] into option from pg_constraint as c
  where c.conrelid = target and c.contype = 'c' and c.conkey = array[a.attnum] and pg_get_constraintdef(c.oid) ~ '= ANY \(+ARRAY\[|= ''' limit 1;
  return case
    when name in ('text', 'character varying') then quote_literal(coalesce(option, 'x'))
    when name = 'uuid' then quote_literal(gen_random_uuid())
    when name in ('timestamp with time zone', 'timestamp without time zone', 'date') then 'now()'
    when name in ('jsonb', 'json') then '''{}'''
    when name = 'boolean' then 'false'
    when name = 'bytea' then 'sha256(''x'')'
    when name like '%[]' then '''{}'''
    when name = 'xid8' then 'pg_current_xact_id()'
    else '1' end;
end
$$;

create function plant.row(target regclass, person uuid, root text) returns void language plpgsql as $$
declare
  names text;
  expressions text;
  broken text;
  said text;
  has_path constant boolean := exists (
    select from pg_constraint as c cross join lateral unnest(c.conkey) as u (attnum) join pg_attribute as a on a.attrelid = target and a.attnum = u.attnum
    join plant.planted as p on p.relation = c.confrelid::regclass::text
    where c.conrelid = target and c.contype = 'f' and c.confrelid <> target
      and not exists (select from unnest(c.conkey) as v (attnum) join pg_attribute as n on n.attrelid = target and n.attnum = v.attnum where not n.attnotnull));
begin
  select string_agg(quote_ident(x.attname), ', '), string_agg(x.value, ', ') into names, expressions
  from (select a.attname, plant.value(target, a, person, root, has_path) as value from pg_attribute as a
    where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity = '') as x
  where x.value is not null and x.value <> 'default';
  for attempt in 1..40 loop
    begin
      execute format('insert into %s (%s) values (%s)', target, names, expressions);
      exit;
    exception when check_violation then
      get stacked diagnostics broken = constraint_name, said = message_text;
      if broken = '' or not exists (select from pg_constraint where conrelid = target and conname = broken) then
        raise exception 'planting %: %', target, said;
      end if;
      insert into plant.rule select target, conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') from pg_constraint where conrelid = target and conname = broken;
      execute format('alter table %s drop constraint %I', target, broken);
    when unique_violation then
      -- A trigger of its parent made the row already.
      if exists (select from crm.personal_field where relation = target::text) then raise; end if;
      exit;
    when others then
      get stacked diagnostics said = message_text;
      raise exception 'planting %: % (%) (%)', target, said, names, expressions;
    end;
  end loop;
  insert into plant.marker
  select target, a.attname, 'MARK.' || target || '.' || a.attname || '.' from pg_attribute as a
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and col_description(target, a.attnum) like 'personal:%'
    and format_type(a.atttypid, null) in ('text', 'character varying', 'jsonb', 'json', 'text[]');
end
$$;

-- The person's own row must be there; it gets its markers by an update.
create function plant.person(root text, person uuid) returns integer language plpgsql as $$
declare
  t regclass;
  r record;
begin
  insert into plant.planted select relation::text, gen_random_uuid() from crm.person_reach(root) where depth > 0;
  insert into plant.planted values ('crm.' || root, person);
  perform set_config('session_replication_role', 'replica', true);
  for t in select relation from crm.person_reach(root) where depth > 0 order by depth loop
    perform plant.row(t, person, root);
  end loop;
  perform set_config('session_replication_role', 'origin', true);
  for r in select relation, name, definition, said from plant.rule loop
    execute format('alter table %s add constraint %I %s not valid', r.relation, r.name, regexp_replace(r.definition, ' NOT VALID$', ''));
    execute format('comment on constraint %I on %s is %L', r.name, r.relation, r.said);
  end loop;
  return (select count(*) from plant.marker);
end
$$;
