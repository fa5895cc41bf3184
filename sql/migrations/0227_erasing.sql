-- The erasing itself. It runs as crm_steward, past the policies and without row-by-row triggers, like a merge (0063); CHECK and UNIQUE rules hold and the change log records
-- as ever, and is scrubbed before the end. Everything is one transaction: whatever fails, nothing of it was done.
set local role crm_owner;

create function crm.person_sums(steps crm.erasure_step[], subject uuid, ids uuid[]) returns jsonb language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  found jsonb;
  sums jsonb := '{}';
begin
  for r in
    select s.relation, min(s.depth) as depth, string_agg(format('(%s)', s.condition), ' or ') as condition, (
      select string_agg(format(', %L, coalesce(sum(t.%I), 0)', a.attname, a.attname), '' order by a.attnum) from pg_attribute as a
      where a.attrelid = s.relation and a.atttypid = 'numeric'::regtype and not a.attisdropped and col_description(a.attrelid, a.attnum) not like 'personal:%') as amounts
    from unnest(steps) as s group by s.relation having bool_and(s.action <> 'delete')
  loop
    execute format('select jsonb_build_object(''rows'', count(*)%s) from %s as t where %s', coalesce(r.amounts, ''), r.relation, r.condition) into found using subject, ids;
    if found ->> 'rows' <> '0' then
      sums := sums || jsonb_build_object(r.relation::text, found);
    end if;
  end loop;
  return sums;
end
$$;
comment on function crm.person_sums(crm.erasure_step[], uuid, uuid[]) is 'How many rows about a person there are in each table whose rows stay, and the sums of their amounts.';

create function crm.identifiers_of(root text, subject uuid, ids uuid[]) returns table (kind text, value text) language sql stable set search_path = pg_catalog, pg_temp as $$
  select distinct i.kind, i.value from (
    select 'number' as kind, c.tax_number as value from crm.customer as c where root = 'customer' and c.id = subject
    union all
    select case p.kind when 'email' then 'email' else 'phone' end, p.value from crm.contact_point as p where p.kind in ('email', 'phone', 'whatsapp') and p.id = any (ids)
    union all
    select u.kind, u.value from crm.lead as l cross join lateral (values ('email', l.email), ('phone', l.phone), ('number', l.tax_number)) as u (kind, value) where l.id = any (ids)
    union all
    select 'external', e.relation || ':' || e.system || ':' || e.key from crm.external_id as e
    where e.row_id = any (ids) and e.relation in ('customers', 'contacts', 'leads')
  ) as i where i.value is not null
$$;
comment on function crm.identifiers_of(text, uuid, uuid[]) is 'What a person can be known by: numbers, addresses, other systems'' keys.';

-- Texts that nothing refers to the person by: answers kept for repeated requests, arguments of jobs, refused rows and staged files of imports.
create function crm.sweep_identifiers(needles text[]) returns jsonb language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  counts jsonb := '{}';
  pattern constant text := (
    select string_agg(regexp_replace(n, '([^[:alnum:] ])', '\\\1', 'g'), '|') from unnest(needles) as n where length(n) >= 5);
  gone bigint;
  r record;
begin
  if pattern is null then
    return counts;
  end if;
  delete from crm.idempotency_key as k
  where exists (select from unnest(needles) as n where length(n) >= 5 and position(convert_to(n, 'UTF8') in k.response) > 0) or k.path ~* pattern;
  get diagnostics gone = row_count;
  counts := counts || jsonb_build_object('crm.idempotency_key', gone);
  update crm.job as j set payload = '{}', key = null, last_problem = null,
    status = case when j.status in ('done', 'dead') then j.status else 'dead' end, finished_at = coalesce(j.finished_at, now()), leased_until = null
  where j.status <> 'running' and (j.payload::text ~* pattern or j.last_problem ~* pattern or j.key ~* pattern);
  get diagnostics gone = row_count;
  counts := counts || jsonb_build_object('crm.job', gone);
  -- Every other table with marked columns that no path leads to.
  for r in
    select f.relation, string_agg(format('%1$I = case when t.%1$I::text ~* $1 then %2$s else t.%1$I end', f.column_name,
        crm.emptied(f.relation::regclass, f.column_name, e.placeholder)), ', ') as assignments,
      string_agg(format('t.%I::text ~* $1', f.column_name), ' or ') as holds
    from crm.personal_field as f
    left join crm.processing_entry as e on e.relation = f.relation and e.column_name = f.column_name
    left join crm.data_category as c on c.code = e.category
    where not f.is_derived and coalesce(c.persons, 'customers') = 'customers' and f.relation <> 'crm.change'
      and not exists (select from crm.person_reach('customer') as p where p.relation = f.relation::regclass)
    group by f.relation
  loop
    execute format('update %s as t set %s where %s', r.relation, r.assignments, r.holds) using pattern;
    get diagnostics gone = row_count;
    counts := counts || jsonb_build_object(r.relation, gone);
  end loop;
  for r in select c.oid::regclass as relation from pg_class as c where c.relnamespace = 'staging'::regnamespace and c.relkind = 'r' loop
    execute format('delete from %s as t where to_jsonb(t)::text ~* $1', r.relation) using pattern;
    get diagnostics gone = row_count;
    counts := counts || jsonb_build_object('staging', gone + coalesce((counts ->> 'staging')::bigint, 0));
  end loop;
  return (select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(counts) as e where e.value <> '0');
end
$$;
comment on function crm.sweep_identifiers(text[]) is 'Removes texts that contain one of these identifiers from where no reference leads: kept answers, jobs, refused rows, staged files. Says how many, by table.';

create function crm.scrub_history(ids uuid[]) returns bigint language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  scrubbed bigint;
begin
  with personal as (
    select p.resource, array_agg(f.column_name) as columns from crm.protection as p join crm.personal_field as f on f.relation = p.relation
    where p.resource is not null group by p.resource
  ), touched as (
    update crm.change as c set
      before = (select jsonb_object_agg(b.key, case when b.key = any (p.columns) then 'null' else b.value end) from jsonb_each(c.before) as b),
      after = (select jsonb_object_agg(b.key, case when b.key = any (p.columns) then 'null' else b.value end) from jsonb_each(c.after) as b)
    from personal as p
    where p.resource = c.relation and c.row_id = any (ids) and (c.before ?| p.columns or c.after ?| p.columns)
    returning 1
  )
  select count(*) into scrubbed from touched;
  return scrubbed;
end
$$;
comment on function crm.scrub_history(uuid[]) is 'Takes the personal values out of the change log of these records; who changed what and when stays.';

create function crm.check_deleted(relations regclass[], ids uuid[]) returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  k record;
  broken boolean;
begin
  for k in
    select c.conrelid::regclass as relation, c.confrelid::regclass as target, a.attname from pg_constraint as c
    cross join lateral unnest(c.conkey, c.confkey) as u (own, other)
    join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = u.own
    join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = u.other and b.attname = 'id'
    where c.contype = 'f' and c.conparentid = 0 and c.confrelid = any (relations::oid[])
  loop
    execute format('select exists (select from %s as t where t.%I = any ($1) and not exists (select from %s as p where p.id = t.%2$I))', k.relation, k.attname, k.target)
    into broken using ids;
    if broken then
      raise exception using errcode = 'CR009', table = k.relation::text, message = format('%s would refer to what was deleted from %s', k.relation, k.target);
    end if;
  end loop;
end
$$;
comment on function crm.check_deleted(regclass[], uuid[]) is 'Refuses (CR009) when anything still refers to rows that were deleted, because row-by-row checks were off.';

create table crm.file_removal (
  id         uuid        not null default crm.uuid_v7(),
  digest     text        not null,
  asked_at   timestamptz not null default now(),
  removed_at timestamptz,
  constraint file_removal_id_primary primary key (id),
  constraint file_removal_digest_shape check (digest ~ '^[0-9a-f]{64}$')
);
comment on table crm.file_removal is 'Files of attachments that an erasure or the retention left without a row; a job removes them from the folder after the transaction.';
comment on column crm.file_removal.digest is 'SHA-256 of the file, which is its name.';
comment on column crm.file_removal.asked_at is 'Since when.';
comment on column crm.file_removal.removed_at is 'When it was removed, or found to be needed by another attachment.';
comment on constraint file_removal_digest_shape on crm.file_removal is 'en: A digest has 64 small hexadecimal digits. | tr: Özet 64 küçük onaltılık basamaktır.';
create index file_removal_asked_at_index on crm.file_removal (asked_at) where removed_at is null;
select crm.protect('crm.file_removal', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It is a list of work, without content.');

create function crm.erase(root text, subject uuid, request uuid, at timestamptz) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  root_relation constant regclass := ('crm.' || root)::regclass;
  steps crm.erasure_step[];
  e crm.erasure_step;
  ids uuid[];
  needles text[];
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
  steps := array(select s from crm.erasure_steps(root) as s order by s.depth, s.relation::text);
  before := crm.person_sums(steps, subject, ids);
  needles := array(select i.value from crm.identifiers_of(root, subject, ids) as i where i.kind <> 'external')
    || array(select x.key from crm.external_id as x where x.row_id = any (ids)) || subject::text
    || array(select n.name from (select c.name from crm.customer as c where c.id = any (ids) union select c.name from crm.contact as c where c.id = any (ids)
        union select l.name from crm.lead as l where l.id = any (ids)) as n where n.name ~ '\S\s+\S');

  -- What brings the person back is remembered by its keyed hash, unless somebody else shares it.
  insert into crm.erasure_tombstone (kind, token, root, subject_id, erased_at, certificate_id)
  select i.kind, crm.tombstone_token(i.kind, i.value), root, subject, at, certificate
  from (select * from crm.identifiers_of(root, subject, ids) union all select 'record', subject::text) as i
  where crm.tombstone_token(i.kind, i.value) is not null
    and not (i.kind in ('email', 'phone') and exists (
      select from crm.contact_point as p where p.value_key = crm.search_key(i.value) and p.id <> all (ids)))
  on conflict on constraint erasure_tombstone_token_unique do nothing;
  insert into crm.suppression (channel, address_token, scope, reason, suppressed_at)
  select distinct i.kind, crm.address_token(i.kind, i.value), 'commercial', 'erased', at
  from crm.identifiers_of(root, subject, ids) as i
  where i.kind in ('email', 'phone') and crm.address_token(i.kind, i.value) is not null
    and not exists (select from crm.contact_point as p where p.value_key = crm.search_key(i.value) and p.id <> all (ids));

  perform set_config('session_replication_role', 'replica', true);
  if to_regclass('crm.attachment') is not null then
    perform crm.ask_file_removal(s.condition, subject, ids) from unnest(steps) as s where s.relation = to_regclass('crm.attachment') and s.action = 'delete';
  end if;
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
  execute format('update %s as t set erased_at = $2 where t.id = $1', root_relation) using subject, at;
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
  select counts || coalesce(jsonb_object_agg(w.key, jsonb_build_object('swept', w.value)), '{}') into counts from jsonb_each(crm.sweep_identifiers(needles)) as w;
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
comment on function crm.erase(text, uuid, uuid, timestamptz) is
  'Erases a customer (a person), a contact or a lead in this transaction and answers the certificate''s id. Refuses while a legal hold stands (CR007), of an organisation (CR008), and if any amount would change (CR009).';

create function crm.certificate_digest(
  id uuid, request uuid, root text, subject uuid, at timestamptz, by_user uuid, counts jsonb, kept jsonb, sums jsonb, previous text
) returns text language sql stable set search_path = pg_catalog, pg_temp
  return encode(sha256(convert_to(jsonb_build_object('id', id, 'request', request, 'root', root, 'subject', subject, 'at', extract(epoch from at), 'by', by_user,
    'counts', counts, 'kept', kept, 'sums', sums, 'previous', previous)::text, 'UTF8')), 'hex');
comment on function crm.certificate_digest(uuid, uuid, text, uuid, timestamptz, uuid, jsonb, jsonb, jsonb, text) is 'The digest that a certificate with this content carries.';

create function crm.ask_file_removal(condition text, subject uuid, ids uuid[]) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('insert into crm.file_removal (digest) select distinct t.sha256 from crm.attachment as t where %s and t.sha256 is not null', condition) using subject, ids;
end
$$;
comment on function crm.ask_file_removal(text, uuid, uuid[]) is 'Puts the files of attachments that are about to be deleted on the list of files to remove.';

create function crm.erase_request(of_request uuid, at timestamptz) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  q crm.privacy_request;
  s record;
  certificate uuid;
begin
  select * into q from crm.privacy_request as x where x.id = of_request for update;
  select * into s from crm.request_subject(of_request);
  if q.kind <> 'erase' or q.state <> 'executing' then
    raise exception using errcode = 'CR006', message = 'only a granted request to erase is carried out';
  end if;
  certificate := crm.erase(s.root, s.subject, of_request, at);
  update crm.privacy_request as x set state = 'executed', executed_at = at, problem = null where x.id = of_request;
  return certificate;
end
$$;
comment on function crm.erase_request(uuid, timestamptz) is 'Carries out a granted request to erase, in this transaction; answers the certificate''s id.';

create function crm.restrict_request(of_request uuid, at timestamptz) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  q crm.privacy_request;
  s record;
begin
  select * into q from crm.privacy_request as x where x.id = of_request for update;
  select * into s from crm.request_subject(of_request);
  if q.kind not in ('object', 'restrict') or q.state <> 'decided' or q.decision = 'refused' then
    raise exception using errcode = 'CR006', message = 'only a granted request to object or restrict is carried out';
  end if;
  if q.customer_id is not null then
    insert into crm.processing_restriction (customer_id, contact_id, kind, request_id, since) values (q.customer_id, q.contact_id, q.kind, q.id, at);
  end if;
  insert into crm.suppression (channel, address_token, scope, reason, suppressed_at)
  select distinct i.kind, crm.address_token(i.kind, i.value), 'commercial', 'objection', at
  from crm.identifiers_of(s.root, s.subject, crm.person_ids(s.root, s.subject)) as i
  where i.kind in ('email', 'phone') and crm.address_token(i.kind, i.value) is not null;
  update crm.privacy_request as x set state = 'executed', executed_at = at, executed_by = crm.caller_id() where x.id = of_request;
end
$$;
comment on function crm.restrict_request(uuid, timestamptz) is 'Carries out a granted request to object or to restrict: notes the restriction and puts the person''s addresses on the suppression list.';

-- After a restore: whoever was erased since the backup is erased again. p: lines of crm.tombstone_lines, kept outside of the database.
create function crm.tombstone_lines() returns setof jsonb language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('kind', t.kind, 'token', encode(t.token, 'hex'), 'root', t.root, 'subject_id', t.subject_id, 'erased_at', t.erased_at,
    'key', (select encode(sha256(k.inner_pad), 'hex') from crm.address_key as k))
  from crm.erasure_tombstone as t where t.lifted_at is null and (crm.reads('admin') or crm.reads_all('admin')) order by t.erased_at, t.id
$$;
comment on function crm.tombstone_lines() is 'All tombstones that hold, as objects: to be kept where backups are kept, and applied after a restore. They hold hashes and ids, no personal data.';

create function crm.take_tombstones(lines jsonb) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  taken integer;
begin
  if not crm.writes_all('admin') then
    raise exception using errcode = 'insufficient_privilege', message = 'tombstones are taken by administration';
  end if;
  if exists (select from jsonb_array_elements(lines) as l where l ->> 'key' <> (select encode(sha256(k.inner_pad), 'hex') from crm.address_key as k)) then
    raise exception using errcode = 'CR006', message = 'these tombstones were made with the key of another database';
  end if;
  insert into crm.erasure_tombstone (kind, token, root, subject_id, erased_at)
  select l ->> 'kind', decode(l ->> 'token', 'hex'), l ->> 'root', (l ->> 'subject_id')::uuid, (l ->> 'erased_at')::timestamptz from jsonb_array_elements(lines) as l
  on conflict on constraint erasure_tombstone_token_unique do nothing;
  get diagnostics taken = row_count;
  return taken;
end
$$;
comment on function crm.take_tombstones(jsonb) is 'Adds tombstones from a file (an array of crm.tombstone_lines) that this database lacks; says how many.';

create function crm.revived() returns table (root text, subject uuid) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with held as materialized (select t.kind, t.token, t.root, t.subject_id from crm.erasure_tombstone as t where t.lifted_at is null),
  back as (
    select h.root, h.subject_id as id from held as h where h.kind = 'record'
    union
    select case when p.contact_id is null or c.kind = 'person' then 'customer' else 'contact' end, case when p.contact_id is null or c.kind = 'person' then c.id else p.contact_id end
    from crm.contact_point as p join crm.customer as c on c.id = p.customer_id
    where exists (select from held) and p.kind in ('email', 'phone', 'whatsapp')
      and exists (select from held as h where h.kind = case p.kind when 'email' then 'email' else 'phone' end
        and h.token = crm.tombstone_token(case p.kind when 'email' then 'email' else 'phone' end, p.value))
    union
    select 'customer', c.id from crm.customer as c
    where c.tax_number is not null and exists (select from held as h where h.kind = 'number' and h.token = crm.tombstone_token('number', c.tax_number))
    union
    select 'lead', l.id from crm.lead as l
    where exists (select from held as h where h.token in (crm.tombstone_token('email', l.email), crm.tombstone_token('phone', l.phone), crm.tombstone_token('number', l.tax_number)))
  )
  select distinct b.root, b.id from back as b
  where case b.root
    when 'customer' then exists (select from crm.customer as c where c.id = b.id and c.erased_at is null and c.kind = 'person')
    when 'contact' then exists (select from crm.contact as c where c.id = b.id and c.erased_at is null)
    else exists (select from crm.lead as l where l.id = b.id and l.erased_at is null) end
$$;
comment on function crm.revived() is 'Persons who are here although a tombstone says that they were erased, such as after a restore.';

create function crm.reapply_tombstones(at timestamptz) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  erased integer := 0;
begin
  if not crm.writes_all('admin') then
    raise exception using errcode = 'insufficient_privilege', message = 'tombstones are applied by administration';
  end if;
  for r in select * from crm.revived() loop
    perform crm.erase(r.root, r.subject, null, at);
    erased := erased + 1;
  end loop;
  return erased;
end
$$;
comment on function crm.reapply_tombstones(timestamptz) is 'Erases again whoever came back although a tombstone says that they were erased; says how many.';

create function crm.lift_tombstone(kind text, value text, reason text, at timestamptz) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  lifted integer;
begin
  if not (crm.writes('admin') or crm.writes_all('admin')) then
    raise exception using errcode = 'insufficient_privilege', message = 'tombstones are lifted by administration';
  end if;
  update crm.erasure_tombstone as t set lifted_at = at, lifted_reason = reason
  where t.kind = lift_tombstone.kind and t.token = crm.tombstone_token(lift_tombstone.kind, value) and t.lifted_at is null;
  get diagnostics lifted = row_count;
  return lifted;
end
$$;
comment on function crm.lift_tombstone(text, text, text, timestamptz) is 'Lets an identifier be entered again, because the person came back of their own will; says how many tombstones were lifted.';

revoke execute on function crm.person_sums(crm.erasure_step[], uuid, uuid[]), crm.identifiers_of(text, uuid, uuid[]), crm.sweep_identifiers(text[]), crm.scrub_history(uuid[]),
  crm.ask_file_removal(text, uuid, uuid[]), crm.check_deleted(regclass[], uuid[]) from crm_app, crm_worker, crm_bulk, crm_access;
revoke execute on function crm.erase(text, uuid, uuid, timestamptz), crm.erase_request(uuid, timestamptz), crm.restrict_request(uuid, timestamptz), crm.take_tombstones(jsonb), crm.revived(),
  crm.reapply_tombstones(timestamptz), crm.lift_tombstone(text, text, text, timestamptz), crm.tombstone_lines(), crm.erasure_plan(uuid) from crm_bulk, crm_access;
set local role none;
grant create on schema crm to crm_steward;
alter function crm.erasure_plan(uuid) owner to crm_steward;
alter function crm.tombstone_token(text, text) owner to crm_steward;
alter function crm.is_erased(text, text) owner to crm_steward;
alter function crm.erase(text, uuid, uuid, timestamptz) owner to crm_steward;
alter function crm.erase_request(uuid, timestamptz) owner to crm_steward;
alter function crm.restrict_request(uuid, timestamptz) owner to crm_steward;
alter function crm.tombstone_lines() owner to crm_steward;
alter function crm.take_tombstones(jsonb) owner to crm_steward;
alter function crm.revived() owner to crm_steward;
alter function crm.reapply_tombstones(timestamptz) owner to crm_steward;
alter function crm.lift_tombstone(text, text, text, timestamptz) owner to crm_steward;
revoke create on schema crm from crm_steward;
