-- Erasing goes further than the rows that lead to the person: copies and texts that name them are found however names and numbers are written, messages that wait are not sent,
-- and a backup or a file brings nobody back under another of their records.
set local role crm_owner;

-- Patterns --------------------------------------------------------------------------------------------------------------------------

create function crm.identifier_pattern(kind text, value text) returns text language sql immutable strict set search_path = pg_catalog, pg_temp as $$
  with plain as (
    select regexp_replace(btrim(value), '([][\\.^$|?*+(){}])', '\\\1', 'g') as text, right(regexp_replace(value, '[^0-9]', '', 'g'), 10) as digits
  ), loose as (
    -- As people type it: without Turkish letters, in capitals, with several blanks.
    select regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(p.text,
      '[sSşŞ]', '[sSşŞ]', 'g'), '[cCçÇ]', '[cCçÇ]', 'g'), '[gGğĞ]', '[gGğĞ]', 'g'), '[oOöÖ]', '[oOöÖ]', 'g'), '[uUüÜ]', '[uUüÜ]', 'g'), '[aAâÂ]', '[aAâÂ]', 'g'),
      '[iıIİ]', '[iıIİ]' || chr(775) || '?', 'g'), '\s+', '\\s+', 'g') as text from plain as p
  )
  select case kind
    when 'phone' then case when length(p.digits) >= 7 then '(?:\+?[0-9]{1,3}[ ()./-]{0,3})?' || regexp_replace(p.digits, '(.)(?=.)', '\1[ ()./-]{0,3}', 'g') end
    when 'number' then p.text when 'email' then p.text when 'id' then p.text
    else l.text || coalesce('|' || substring(l.text from '\\s\+((?:(?!\\s\+).)+)$') || ',?\s+' || substring(l.text from '^(.*)\\s\+(?:(?!\\s\+).)+$'), '') end
  from plain as p cross join loose as l
$$;
comment on function crm.identifier_pattern(text, text) is
  'A regular expression (for ~*) that finds an identifier in running text however it is written: phone (with blanks, with or without the country''s code), number, email, id; anything else as a name, also with the family name first.';

create function crm.person_needles(root text, subject uuid, ids uuid[]) returns table (kind text, value text) language sql stable set search_path = pg_catalog, pg_temp as $$
  with earlier as (
    select e.key, btrim(e.value) as value from crm.change as c
    cross join lateral (values (c.before), (c.after)) as v (fields) cross join lateral jsonb_each_text(v.fields) as e
    where c.row_id = any (ids) and c.relation in ('customers', 'contacts', 'leads', 'contact_points', 'addresses')
      and e.key in ('name', 'email', 'phone', 'tax_number', 'value', 'street')
  ), found as (
    select i.kind, i.value from crm.identifiers_of(root, subject, ids) as i where i.kind <> 'external'
    union
    select 'name', n.name from (select c.id, c.name from crm.customer as c union all select c.id, c.name from crm.contact as c union all select l.id, l.name from crm.lead as l) as n
    where n.id = any (ids)
    union
    select 'street', a.street from crm.address as a where a.id = any (ids)
    union
    select case when x.key in ('name', 'street', 'email', 'phone') then x.key when x.key = 'tax_number' then 'number' when x.value like '%@%' then 'email' else 'phone' end, x.value
    from earlier as x
  )
  select distinct f.kind, btrim(f.value) from found as f
  where case f.kind
    when 'name' then f.value ~ '\S\s+\S' and f.value !~ '^erased ' when 'street' then length(f.value) >= 8 and f.value ~ '[0-9]'
    when 'email' then f.value ~ '.@.' when 'phone' then f.value ~ '^\+?[0-9 ()./-]{7,}$' when 'number' then length(f.value) >= 5 else false end
    -- What others are named or reached by as well is not theirs alone.
    and not (f.kind in ('email', 'phone') and exists (select from crm.contact_point as p where p.value_key = crm.search_key(f.value) and p.id <> all (ids)))
    and not (f.kind = 'name' and exists (
      select from crm.contact as me join crm.contact as o on o.customer_id = me.customer_id and o.id <> all (ids)
      where me.id = subject and o.search_key = crm.search_key(f.value)))
$$;
comment on function crm.person_needles(text, uuid, uuid[]) is 'By what a person is named in running text: whole names, addresses and numbers, also earlier ones that the change log knows.';

-- What stands before is matched, not looked back at, which would take ten times as long. A line break in JSON is a letter to look at: \n.
create function crm.person_patterns(root text, subject uuid, ids uuid[], out words text, out digits text) language sql stable set search_path = pg_catalog, pg_temp as $$
  select nullif(concat_ws('|',
      '(^|[^[:alnum:]]|\\[nrt])(?:' || string_agg(p.pattern, '|') filter (where n.kind in ('name', 'street')) || ')(?![[:alnum:]])',
      '(^|[^[:alnum:]._%+-]|\\[nrt])(?:' || string_agg(p.pattern, '|') filter (where n.kind = 'email') || ')(?![[:alnum:]]|[.-][[:alnum:]])'), ''),
    '(^|[^0-9+])(?:' || string_agg(p.pattern, '|') filter (where n.kind in ('phone', 'number')) || ')(?![0-9])'
  from crm.person_needles(root, subject, ids) as n cross join lateral (select crm.identifier_pattern(n.kind, n.value)) as p (pattern)
$$;
comment on function crm.person_patterns(text, uuid, uuid[]) is
  'What finds a person in running text: words by names, streets and mail addresses, digits by telephone and identity numbers; null where there are none. Their first two groups are what stands before.';

create function crm.redacted(content text, words text, digits text) returns text language sql immutable set search_path = pg_catalog, pg_temp
  return regexp_replace(regexp_replace(content, coalesce(words, '(?!x)x'), '\1\2erased', 'gi'), coalesce(digits, '(?!x)x'), '\10', 'g');
comment on function crm.redacted(text, text, text) is 'A text without what one of two patterns finds. Numbers become 0, so that JSON stays JSON.';

create function crm.as_text(bytes bytea) returns text language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return convert_from(bytes, 'UTF8');
exception when others then
  return encode(bytes, 'escape');
end
$$;
comment on function crm.as_text(bytea) is 'Bytes as text, to look for something in; what is not UTF-8 is escaped.';

-- Copies --------------------------------------------------------------------------------------------------------------------------------

create function crm.answers_naming(pattern text, ids uuid[]) returns table (user_id uuid, key text) language sql stable set search_path = pg_catalog, pg_temp as $$
  select k.user_id, k.key from crm.idempotency_key as k where concat_ws(chr(1), k.path, crm.as_text(k.response)) ~* pattern
  union
  select k.user_id, k.key from crm.idempotency_key as k
  cross join lateral regexp_matches(concat(k.path, ' ', crm.as_text(k.response)), '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', 'g') as m
  join unnest(ids) as i on i::text = m[1]
$$;
comment on function crm.answers_naming(text, uuid[]) is 'Answers kept for repeated requests that name a person, or one of the records about them.';

drop function crm.sweep_identifiers(text[]);
create function crm.sweep_person(pattern text, keys text[], ids uuid[], dry boolean) returns jsonb language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  counts jsonb := '{}';
  quoted constant text := (select string_agg('"key": "' || crm.identifier_pattern('id', k) || '"', '|') from unnest(keys) as k);
  staged constant text := (select string_agg('"' || crm.identifier_pattern('id', k) || '"', '|') from unnest(keys) as k where length(k) >= 5);
  gone bigint;
  found uuid[];
  r record;
begin
  if dry then
    select count(*) into gone from crm.idempotency_key as k where (k.user_id, k.key) in (select a.user_id, a.key from crm.answers_naming(pattern, ids) as a);
    counts := counts || jsonb_build_object('crm.idempotency_key', gone);
    select count(*) into gone from crm.job as j where j.status <> 'running' and concat_ws(chr(1), j.payload, j.last_problem, j.key) ~* pattern;
  else
    delete from crm.idempotency_key as k where (k.user_id, k.key) in (select a.user_id, a.key from crm.answers_naming(pattern, ids) as a);
    get diagnostics gone = row_count;
    counts := counts || jsonb_build_object('crm.idempotency_key', gone);
    update crm.job as j set payload = '{}', key = null, last_problem = null,
      status = case when j.status in ('done', 'dead') then j.status else 'dead' end, finished_at = coalesce(j.finished_at, now()), leased_until = null
    where j.status <> 'running' and concat_ws(chr(1), j.payload, j.last_problem, j.key) ~* pattern;
    get diagnostics gone = row_count;
  end if;
  counts := counts || jsonb_build_object('crm.job', gone);
  -- Every other table with marked columns that no path leads to.
  for r in
    select f.relation, string_agg(format('%1$I = case when t.%1$I::text ~* $1 then %2$s else t.%1$I end', f.column_name,
        crm.emptied(f.relation::regclass, f.column_name, e.placeholder)), ', ') as assignments,
      string_agg(format('t.%I::text ~* $1', f.column_name), ' or ') as holds,
      exists (select from pg_attribute as i where i.attrelid = f.relation::regclass and i.attname = 'id' and i.atttypid = 'uuid'::regtype and not i.attisdropped) as has_id
    from crm.personal_field as f
    left join crm.processing_entry as e on e.relation = f.relation and e.column_name = f.column_name
    left join crm.data_category as c on c.code = e.category
    where not f.is_derived and coalesce(c.persons, 'customers') = 'customers' and f.relation <> 'crm.change'
      and not exists (select from crm.person_reach('customer') as p where p.relation = f.relation::regclass)
      and not exists (select from crm.erasure_rule as l where l.relation = f.relation and l.action = 'keep')
    group by f.relation
  loop
    if dry then
      execute format('select count(*) from %s as t where %s', r.relation, r.holds) into gone using pattern;
    else
      if r.relation = 'crm.import_error' then
        -- What else is wrong with the same row of the file tells of the same person.
        update crm.import_error as t set value = null where t.value is not null
          and exists (select from crm.import_error as o where o.import_id = t.import_id and o.row_number = t.row_number and (o.value ~* pattern or o.value = any (keys)));
        get diagnostics gone = row_count;
      else
        execute format('with done as (update %s as t set %s where %s returning %s as id) select count(*), array_agg(d.id) from done as d', r.relation, r.assignments, r.holds,
          case when r.has_id then 't.id' else 'null::uuid' end) into gone, found using pattern;
        perform crm.scrub_history(found);
      end if;
    end if;
    counts := counts || jsonb_build_object(r.relation, gone);
  end loop;
  -- Samples of an import know the person by another system's key.
  if quoted is not null then
    if dry then
      select count(*) into gone from crm.import as i where i.summary::text ~ quoted and not (i.summary::text ~* pattern);
    else
      update crm.import as i set summary = i.summary #- '{samples}' where i.summary::text ~ quoted;
      get diagnostics gone = row_count;
    end if;
    counts := counts || jsonb_build_object('crm.import', gone + coalesce((counts ->> 'crm.import')::bigint, 0));
  end if;
  for r in select c.oid::regclass as relation from pg_class as c where c.relnamespace = 'staging'::regnamespace and c.relkind = 'r' loop
    execute format(case when dry then 'select count(*) from %s as t where to_jsonb(t)::text ~* $1' else
      'with gone as (delete from %s as t where to_jsonb(t)::text ~* $1 returning 1) select count(*) from gone' end, r.relation)
      into gone using concat_ws('|', pattern, staged);
    counts := counts || jsonb_build_object('staging', gone + coalesce((counts ->> 'staging')::bigint, 0));
  end loop;
  return (select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(counts) as e where e.value <> '0');
end
$$;
comment on function crm.sweep_person(text, text[], uuid[], boolean) is
  'Removes copies that name a person from where no reference leads: kept answers, jobs, samples and refused rows of imports, staged files. dry: only counts them. Says how many, by table.';

-- Texts ---------------------------------------------------------------------------------------------------------------------------------

-- In what stays: the person's rows whose columns are not personal by themselves, and for a contact whatever else the organisation's records say. Names of other people, of the
-- organisation and what the law keeps are left alone.
create function crm.redact_person(steps crm.erasure_step[], root text, whose uuid, subject uuid, ids uuid[], words text, digits text) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  counts jsonb := '{}';
  pattern constant text := concat_ws('|', words, digits);
  r record;
  touched integer;
  parts oid[];
  places tid[];
  found uuid[];
  changed uuid[] := ids;
begin
  if pattern = '' then
    return counts;
  end if;
  for r in
    select w.relation, w.condition, c.assignments, c.holds, c.has_id
    from (
      select x.relation, string_agg('(' || x.condition || ')', ' or ') as condition
      from (
        select s.relation, s.condition from unnest(steps) as s where s.action <> 'delete'
        union all
        select a.attrelid::regclass, 't.customer_id = $3' from pg_attribute as a join pg_class as c on c.oid = a.attrelid
        where root = 'contact' and c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and a.attname = 'customer_id' and not a.attisdropped
        union all
        select 'crm.customer'::regclass, 't.id = $3' where root = 'contact'
      ) as x
      where x.relation <> 'crm.change'::regclass
        and not exists (select from crm.erasure_rule as l where l.relation = x.relation::text and l.action = 'keep' and (l.keep_for is not null or l.when_column is not null))
        and (root <> 'contact' or x.relation <> all ('{crm.contact,crm.contact_point,crm.address,crm.external_id}'::regclass[]))
      group by x.relation
    ) as w
    cross join lateral (
      select string_agg(format('%1$I = %2$s', a.attname, case
          when a.atttypid = 'jsonb'::regtype then format('crm.redacted(t.%I::text, $4, $5)::jsonb', a.attname)
          when a.atttypid = 'text[]'::regtype then format('case when t.%1$I is not null then array(select crm.redacted(x, $4, $5) from unnest(t.%1$I) as x) end', a.attname)
          -- What must be an address or a number is emptied.
          when exists (select from pg_constraint as k where k.conrelid = a.attrelid and k.contype = 'c' and a.attnum = any (k.conkey) and pg_get_constraintdef(k.oid) ~ 'valid_')
            then format('case when t.%1$I ~* $6 then null else t.%1$I end', a.attname)
          else format('crm.redacted(t.%I, $4, $5)', a.attname) end), ', ') as assignments,
        format('concat_ws(chr(1), %s) ~* $6', string_agg(format('t.%I::text', a.attname), ', ')) as holds,
        exists (select from pg_attribute as i where i.attrelid = w.relation and i.attname = 'id' and i.atttypid = 'uuid'::regtype and not i.attisdropped) as has_id
      from pg_attribute as a
      where a.attrelid = w.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.atttypid in ('text'::regtype, 'jsonb'::regtype, 'text[]'::regtype)
        and coalesce(col_description(a.attrelid, a.attnum), '') not like 'secret:%'
        and not exists (select from pg_constraint as k where k.conrelid = a.attrelid and k.contype in ('f', 'p', 'u') and a.attnum = any (k.conkey))
        and not exists (select from pg_index as i where i.indrelid = a.attrelid and i.indisunique and a.attnum = any (i.indkey::int2[]))
        and (root <> 'contact' or w.relation <> 'crm.customer'::regclass or a.attname not in ('name', 'tax_number', 'tax_office'))
    ) as c
    where c.assignments is not null
  loop
    execute format('select array_agg(x.tableoid), array_agg(x.ctid) from (select t.tableoid, t.ctid from %s as t where (%s) and %s for update) as x', r.relation, r.condition, r.holds)
    into parts, places using subject, ids, whose, words, digits, pattern;
    touched := coalesce(cardinality(places), 0);
    -- A few at a time: the change log's trigger may compare each row of a statement with each.
    for start in 0..(touched + 499) / 500 - 1 loop
      execute format('with done as (update %s as t set %s from unnest($7, $8) as x (part, place) where t.tableoid = x.part and t.ctid = x.place returning %s as id) select array_agg(d.id) from done as d',
        r.relation, r.assignments, case when r.has_id then 't.id' else 'null::uuid' end)
      into found using subject, ids, whose, words, digits, pattern, parts[start * 500 + 1:start * 500 + 500], places[start * 500 + 1:start * 500 + 500];
      changed := changed || found;
    end loop;
    if touched > 0 then
      counts := counts || jsonb_build_object(r.relation::text, touched);
    end if;
  end loop;
  update crm.change as c set before = crm.redacted(c.before::text, words, digits)::jsonb, after = crm.redacted(c.after::text, words, digits)::jsonb
  where c.row_id = any (changed) and (root <> 'contact' or c.customer_id is distinct from whose or c.relation in ('invoices', 'invoice_lines', 'quotes', 'quote_lines') or c.row_id = whose)
    and concat_ws(chr(1), c.before::text, c.after::text) ~* pattern;
  if root = 'contact' then
    update crm.change as c set before = crm.redacted(c.before::text, words, digits)::jsonb, after = crm.redacted(c.after::text, words, digits)::jsonb
    where c.customer_id = whose and c.relation not in ('invoices', 'invoice_lines', 'quotes', 'quote_lines') and c.row_id <> whose
      and concat_ws(chr(1), c.before::text, c.after::text) ~* pattern;
  end if;
  return counts;
end
$$;
comment on function crm.redact_person(crm.erasure_step[], text, uuid, uuid, uuid[], text, text) is
  'Takes a person''s names and numbers out of texts that stay, and out of the history of these. Says in how many rows, by table.';

-- Erasing ---------------------------------------------------------------------------------------------------------------------------------

set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;
create or replace function crm.erase(root text, subject uuid, request uuid, at timestamptz) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  root_relation constant regclass := ('crm.' || root)::regclass;
  steps crm.erasure_step[];
  e crm.erasure_step;
  ids uuid[];
  merged uuid[];
  keys text[];
  words text;
  digits text;
  before jsonb;
  after jsonb;
  counts jsonb := '{}';
  kept jsonb := '[]';
  touched bigint;
  until date;
  certificate uuid := crm.uuid_v7();
  last_digest text;
  whose uuid;
  eraser uuid;
begin
  if not (crm.writes('admin') or crm.writes_all('admin')) then
    raise exception using errcode = 'insufficient_privilege', message = 'persons are erased by administration';
  end if;
  perform pg_advisory_xact_lock(hashtext('crm.merge'));
  execute format('select %s from %s as t where t.id = $1 for update', case root when 'customer' then 't.id' when 'contact' then 't.customer_id' else 'null::uuid' end, root_relation)
    into whose using subject;
  get diagnostics touched = row_count;
  if touched = 0 then
    perform crm.missing_reference('id');
  end if;
  if exists (select from crm.legal_hold as h where h.customer_id = whose and h.released_at is null) then
    raise exception using errcode = 'CR007', message = 'a legal hold keeps the data of this person';
  end if;
  if root = 'customer' and exists (select from crm.customer as c where c.id = subject and c.kind <> 'person') then
    raise exception using errcode = 'CR008', message = 'an organisation is no person';
  end if;

  eraser := coalesce(crm.caller_id(), (select q.executed_by from crm.privacy_request as q where q.id = request));
  ids := crm.person_ids(root, subject);
  with recursive gone as (
    select g.merged_id as id from crm.merge as g where g.survivor_id = subject and g.unmerged_at is null
    union
    select g.merged_id from gone as w join crm.merge as g on g.survivor_id = w.id and g.unmerged_at is null
  )
  select coalesce(array_agg(w.id), '{}') into merged from gone as w;
  steps := array(select s from crm.erasure_steps(root) as s order by s.depth, s.relation::text);
  before := crm.person_sums(steps, subject, ids);
  keys := array(select distinct x.key from crm.external_id as x where x.row_id = any (ids));
  select p.words, p.digits into words, digits from crm.person_patterns(root, subject, ids) as p;

  -- What brings the person back is remembered by its keyed hash, unless somebody else shares it: also records that a backup may hold apart from theirs.
  insert into crm.erasure_tombstone (kind, token, root, subject_id, erased_at, certificate_id)
  select i.kind, crm.tombstone_token(i.kind, i.value), root, subject, at, certificate
  from (select * from crm.identifiers_of(root, subject, ids) union all select 'record', subject::text) as i
  where crm.tombstone_token(i.kind, i.value) is not null
    and not (i.kind in ('email', 'phone') and exists (
      select from crm.contact_point as p where p.value_key = crm.search_key(i.value) and p.id <> all (ids)))
  union all
  select 'record', crm.tombstone_token('record', o.id::text), o.root, o.id, at, certificate
  from (select erase.root, m as id from unnest(merged) as m union select 'lead', l.id from crm.lead as l where l.id = any (ids) and l.id <> subject) as o (root, id)
  on conflict on constraint erasure_tombstone_token_unique do nothing;
  insert into crm.suppression (channel, address_token, scope, reason, suppressed_at)
  select distinct i.kind, crm.address_token(i.kind, i.value), 'commercial', 'erased', at
  from crm.identifiers_of(root, subject, ids) as i
  where i.kind in ('email', 'phone') and crm.address_token(i.kind, i.value) is not null
    and not exists (select from crm.contact_point as p where p.value_key = crm.search_key(i.value) and p.id <> all (ids));
  -- Addresses of other channels, and those that are known only because something was consented to.
  insert into crm.suppression (channel, address_token, scope, reason, suppressed_at)
  select distinct on (f.token) f.channel, f.token, 'commercial', 'erased', at
  from (
    select k.channel, crm.address_token(k.channel, p.value) as token, p.value as address from crm.contact_point as p
    join (values ('whatsapp', 'social'), ('social', 'social'), ('other', 'letter')) as k (kind, channel) on k.kind = p.kind where p.id = any (ids)
    union all
    select v.channel, v.address_token, v.address from crm.consent_event as v where v.id = any (ids)
  ) as f
  where f.token is not null
    and not exists (select from crm.consent_event as v where v.address_token = f.token and v.id <> all (ids))
    and not exists (select from crm.contact_point as p where p.value_key = crm.search_key(f.address) and p.id <> all (ids))
    and not exists (select from crm.suppression as s where s.address_token = f.token and s.reason = 'erased' and s.lifted_at is null and s.brand_id is null)
  order by f.token, f.channel;

  perform set_config('session_replication_role', 'replica', true);
  perform crm.ask_file_removal(s.condition, subject, ids) from unnest(steps) as s where s.relation = 'crm.attachment'::regclass and s.action = 'delete';
  -- What waits to be sent is not sent, and colleagues' digests of notices about the person lose their text.
  update crm.outbound_message as m set state = 'refused' where m.id = any (ids) and m.state = 'queued';
  update crm.notice_digest as d set body_text = 'erased' from crm.notice as n where n.digest_id = d.id and n.record_id = any (ids) and d.state <> 'queued';
  foreach e in array steps loop
    if e.action = 'anonymise' then
      execute format('update %s as t set %s where %s and (%s)', e.relation, e.assignments, e.condition, e.changed) using subject, ids;
      get diagnostics touched = row_count;
      if touched > 0 then
        counts := jsonb_set(counts, array[e.relation::text], coalesce(counts -> e.relation::text, '{}') || jsonb_build_object('emptied', touched));
      end if;
    elsif e.action = 'keep' and cardinality(e.columns) > 0 then
      execute format('select count(*), %s from %s as t where %s',
        case when e.counts_from is null then 'null' else format('max(t.%I + %L::interval)::date', e.counts_from, e.keep_for) end, e.relation, e.condition)
      into touched, until using subject, ids;
      if touched > 0 then
        kept := kept || jsonb_build_object('table', e.relation::text, 'rows', touched, 'basis', e.basis_en, 'until', until);
      end if;
    end if;
  end loop;
  select counts || coalesce(jsonb_object_agg(w.key, coalesce(counts -> w.key, '{}') || jsonb_build_object('redacted', w.value)), '{}') into counts
  from jsonb_each(crm.redact_person(steps, root, whose, subject, ids, words, digits)) as w;
  execute format('update %s as t set erased_at = $2 where t.id = $1', root_relation) using subject, at;
  update crm.contact as c set erased_at = at where c.id = any (ids) and c.erased_at is null;
  update crm.lead as l set erased_at = at where l.id = any (ids) and l.erased_at is null;
  -- A sent quote's seal follows what was emptied in it.
  update crm.quote_seal as l set digest = q.sealed_digest from crm.quote as q
  where q.customer_id = l.customer_id and q.id = l.quote_id and q.id = any (ids) and q.sealed_digest is not null and l.digest <> q.sealed_digest;
  -- What refers to other rows goes before these.
  for e in select s.* from unnest(steps) as s where s.action = 'delete' order by s.depth desc, s.relation::text desc loop
    execute format('delete from %s as t where %s', e.relation, e.condition) using subject, ids;
    get diagnostics touched = row_count;
    if touched > 0 then
      counts := jsonb_set(counts, array[e.relation::text], coalesce(counts -> e.relation::text, '{}') || jsonb_build_object('deleted', touched));
    end if;
  end loop;
  select counts || coalesce(jsonb_object_agg(w.key, jsonb_build_object('swept', w.value)), '{}') into counts
  from jsonb_each(crm.sweep_person(concat_ws('|', words, digits, subject::text), keys, ids, false)) as w;
  counts := counts || jsonb_build_object('crm.change', jsonb_build_object('emptied', crm.scrub_history(ids)));
  perform set_config('session_replication_role', 'origin', true);
  perform crm.check_deleted(array(select s.relation from unnest(steps) as s where s.action = 'delete'), ids);

  after := crm.person_sums(steps, subject, ids);
  if after <> before then
    raise exception using errcode = 'CR009', message = format('erasing would change what must stay: %s became %s', before, after);
  end if;

  perform pg_advisory_xact_lock(hashtext('crm.erasure_certificate'));
  select c.digest into last_digest from crm.erasure_certificate as c order by c.created_at desc, c.id desc limit 1;
  insert into crm.erasure_certificate (id, request_id, root, subject_id, erased_at, erased_by, counts, kept, sums, previous, digest)
  values (certificate, request, root, subject, at, eraser, counts, kept, after, last_digest,
    crm.certificate_digest(certificate, request, root, subject, at, eraser, counts, kept, after, last_digest));
  return certificate;
end
$$;

-- A dry run tells of copies and texts, too.
create or replace function crm.erasure_plan(request uuid)
returns table (relation text, action text, row_count bigint, columns text[], basis_en text, basis_tr text, keep_until date) language plpgsql stable security definer
set search_path = pg_catalog, pg_temp as $$
declare
  s record;
  e crm.erasure_step;
  ids uuid[];
  pattern text;
begin
  select * into s from crm.request_subject(request);
  ids := crm.person_ids(s.root, s.subject);
  for e in select x.* from crm.erasure_steps(s.root) as x order by x.depth, x.relation::text loop
    relation := e.relation::text;
    action := e.action;
    columns := e.columns;
    basis_en := e.basis_en;
    basis_tr := e.basis_tr;
    execute format('select count(*), %s from %s as t where %s',
      case when e.counts_from is null then 'null' else format('max(t.%I + %L::interval)::date', e.counts_from, e.keep_for) end, e.relation, e.condition)
    into row_count, keep_until using s.subject, ids;
    if row_count > 0 then
      return next;
    end if;
  end loop;
  relation := 'crm.change';
  action := 'anonymise';
  columns := '{before,after}';
  basis_en := 'Earlier values of the person''s records; who changed what and when stays.';
  basis_tr := 'Kişinin kayıtlarının önceki değerleri; kimin neyi ne zaman değiştirdiği kalır.';
  keep_until := null;
  select count(*) into row_count from crm.change as c where c.row_id = any (ids) and (c.before is not null or c.after is not null);
  if row_count > 0 then
    return next;
  end if;
  select concat_ws('|', p.words, p.digits, s.subject::text) into pattern from crm.person_patterns(s.root, s.subject, ids) as p;
  columns := '{}';
  basis_en := 'Copies that name the person.';
  basis_tr := 'Kişiyi adıyla içeren kopyalar.';
  for relation, row_count in
    select w.key, w.value::bigint from jsonb_each_text(crm.sweep_person(pattern, array(select distinct x.key from crm.external_id as x where x.row_id = any (ids)), ids, true)) as w
    order by w.key
  loop
    action := case when relation in ('crm.idempotency_key', 'staging') then 'delete' else 'anonymise' end;
    return next;
  end loop;
end
$$;

-- Whoever began anew by writing to the company after the erasure is not taken for somebody whom a backup brought back.
create or replace function crm.revived() returns table (root text, subject uuid) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with held as materialized (select t.kind, t.token, t.root, t.subject_id, t.erased_at from crm.erasure_tombstone as t where t.lifted_at is null),
  back as (
    select h.root, h.subject_id as id, null::timestamptz as erased_at from held as h where h.kind = 'record'
    union
    select case when p.contact_id is null or c.kind = 'person' then 'customer' else 'contact' end, case when p.contact_id is null or c.kind = 'person' then c.id else p.contact_id end, h.erased_at
    from crm.contact_point as p join crm.customer as c on c.id = p.customer_id
    join held as h on h.kind = case p.kind when 'email' then 'email' else 'phone' end
      and h.token = crm.tombstone_token(case p.kind when 'email' then 'email' else 'phone' end, p.value)
    where exists (select from held) and p.kind in ('email', 'phone', 'whatsapp')
    union
    select 'customer', c.id, h.erased_at from crm.customer as c join held as h on h.kind = 'number' and h.token = crm.tombstone_token('number', c.tax_number)
    where c.tax_number is not null and exists (select from held)
    union
    select 'lead', l.id, h.erased_at from crm.lead as l
    cross join lateral (values ('email', l.email), ('phone', l.phone), ('number', l.tax_number)) as v (kind, value)
    join held as h on h.kind = v.kind and h.token = crm.tombstone_token(v.kind, v.value)
    where v.value is not null and exists (select from held)
  )
  select distinct b.root, b.id from back as b
  where case b.root
    when 'customer' then exists (select from crm.customer as c where c.id = b.id and c.erased_at is null and c.kind = 'person')
    when 'contact' then exists (select from crm.contact as c where c.id = b.id and c.erased_at is null)
    else exists (select from crm.lead as l where l.id = b.id and l.erased_at is null) end
    and not exists (
      select from crm.change as c where c.row_id = b.id and c.op = 'insert' and c.at > b.erased_at and c.via ~ '^(system:|job)')
$$;

create or replace function crm.reapply_tombstones(at timestamptz) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  is_here boolean;
  erased integer := 0;
begin
  if not crm.writes_all('admin') then
    raise exception using errcode = 'insufficient_privilege', message = 'tombstones are applied by administration';
  end if;
  for r in select * from crm.revived() as v order by array_position('{customer,contact,lead}'::text[], v.root), v.subject loop
    -- One erasure may have taken another record of the same person along.
    execute format('select t.erased_at is null from crm.%I as t where t.id = $1', r.root) into is_here using r.subject;
    if is_here then
      perform crm.erase(r.root, r.subject, null, at);
      erased := erased + 1;
    end if;
  end loop;
  return erased;
end
$$;
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;

revoke execute on function crm.identifier_pattern(text, text), crm.person_patterns(text, uuid, uuid[]), crm.person_needles(text, uuid, uuid[]), crm.redacted(text, text, text), crm.as_text(bytea),
  crm.answers_naming(text, uuid[]), crm.sweep_person(text, text[], uuid[], boolean), crm.redact_person(crm.erasure_step[], text, uuid, uuid, uuid[], text, text) from crm_app, crm_worker, crm_bulk, crm_access;

-- Another kind makes the same value an address.
drop trigger contact_point_refuse_erased_update on crm.contact_point;
create trigger contact_point_refuse_erased_update before update on crm.contact_point for each row
  when ((new.value, new.kind) is distinct from (old.value, old.kind)) execute function crm.refuse_erased('contact_point_value_not_erased');
alter table crm.contact_point enable always trigger contact_point_refuse_erased_update;
