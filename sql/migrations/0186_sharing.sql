-- Sharing one record with a person or a department. Reading: the record's id is put among what the person reads in its area, beside departments and their own
-- id, which every policy compares anyway. Writing: a setting of its own, because "writes anything in this area" opens tables without departments. docs/adr says why.
set local role crm_owner;

create table crm.record_share (
  id            uuid        not null default crm.uuid_v7(),
  resource      text        not null,
  record_id     uuid        not null,
  area          text        not null,
  part_of       uuid,
  user_id       uuid,
  department_id uuid,
  access        text        not null default 'read',
  reason        text        not null,
  ends_at       timestamptz,
  created_at    timestamptz not null default now(),
  created_by    uuid        default crm.caller_id(),
  constraint record_share_id_primary primary key (id),
  constraint record_share_part_of_exists foreign key (part_of) references crm.record_share (id) on delete cascade,
  constraint record_share_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint record_share_department_id_exists foreign key (department_id) references crm.department (id),
  constraint record_share_with_one check (num_nonnulls(user_id, department_id) = 1),
  constraint record_share_area_known check (area = any (crm.areas())),
  constraint record_share_access_known check (access in ('read', 'write')),
  constraint record_share_reason_length check (length(btrim(reason)) between 1 and 500),
  constraint record_share_ends_at_later check (ends_at > created_at and isfinite(ends_at)),
  constraint record_share_once unique nulls not distinct (record_id, user_id, department_id)
);
comment on table crm.record_share is 'Opens one record, and what it had of its own when it was shared, to a person or a department, with a reason and an end.';
comment on column crm.record_share.resource is 'The resource, such as opportunities.';
comment on column crm.record_share.record_id is 'The record.';
comment on column crm.record_share.area is 'The permission area of the record; only who reads something there reads this.';
comment on column crm.record_share.part_of is 'The share of the record that this is a part of, such as an order''s line.';
comment on column crm.record_share.user_id is 'The person it is opened to.';
comment on column crm.record_share.department_id is 'The department it is opened to, with those below it.';
comment on column crm.record_share.access is 'read, or write (which includes reading).';
comment on column crm.record_share.reason is 'Why it is shared.';
comment on column crm.record_share.ends_at is 'Until when; null for no end.';
comment on constraint record_share_with_one on crm.record_share is 'en: Share with a user or a department. | tr: Bir kullanıcıyla ya da bir departmanla paylaşın.';
comment on constraint record_share_area_known on crm.record_share is 'en: This permission area is not known. | tr: Bu yetki alanı bilinmiyor.';
comment on constraint record_share_access_known on crm.record_share is 'en: Access is read or write. | tr: Erişim read ya da write olabilir.';
comment on constraint record_share_reason_length on crm.record_share is 'en: Say in at most 500 characters why it is shared. | tr: Paylaşma nedenini en çok 500 karakterle yazın.';
comment on constraint record_share_ends_at_later on crm.record_share is 'en: Give an end that is yet to come. | tr: Gelecekte bir bitiş verin.';
comment on constraint record_share_once on crm.record_share is 'en: This record is already shared with them. | tr: Bu kayıt onlarla zaten paylaşılmış.';
create index record_share_user_id_index on crm.record_share (user_id) where user_id is not null;
create index record_share_department_id_index on crm.record_share (department_id) where department_id is not null;
create index record_share_part_of_index on crm.record_share (part_of) where part_of is not null;
select crm.protect('crm.record_share', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'Who may share and see shares is asked of the record, each time, by the functions beside it.');
create policy record_share_access on crm.record_share for select to crm_access using (true);
grant select (record_id, area, user_id, department_id, access, ends_at) on crm.record_share to crm_access;
create trigger record_share_announce after insert or update or delete on crm.record_share for each statement execute function crm.announce('muhatap_access');

create function crm.shared_for_writing() returns uuid[] language sql stable parallel safe
  return string_to_array(nullif(current_setting('muhatap.shared_write', true), ''), ',')::uuid[];
comment on function crm.shared_for_writing() is 'The records that are shared with the caller for writing; null for none.';

create or replace function crm.reach_of(
  subject uuid, department uuid, permissions jsonb  -- area → [read scope, write scope] as ranks 0 none, 1 own, 2 department, 3 shared, 4 all
) returns table (area text, readable uuid[], writable uuid[]) language sql stable as $$
  with recursive below as (
    select department as id
    union
    select d.id from crm.department as d join below on d.parent_id = below.id
  ), above as (
    select department as id
    union
    select d.parent_id from crm.department as d join above on d.id = above.id where d.parent_id is not null
  ), opened as (
    select s.area, s.access, s.from_department_id as id from crm.share_rule as s where s.to_department_id in (select above.id from above)
    union
    select opened.area, opened.access, d.id from crm.department as d join opened on d.parent_id = opened.id
  ), ranks as (
    select p.key as area, (p.value ->> 0)::integer as reads, (p.value ->> 1)::integer as writes from jsonb_each(permissions) as p
  )
  select
    ranks.area,
    array(
      select subject where ranks.reads >= 1 and subject is not null
      union select '00000000-0000-0000-0000-000000000000'::uuid where ranks.reads >= 2
      union select below.id from below where ranks.reads >= 2 and below.id is not null
      union select opened.id from opened where ranks.reads >= 3 and opened.area = ranks.area
      union select d.id from crm.department as d where ranks.reads >= 4
      union select r.record_id from crm.record_share as r where ranks.reads >= 1 and r.area = ranks.area
        and (r.user_id = subject or r.department_id in (select above.id from above)) and (r.ends_at is null or r.ends_at > now())),
    array(
      select subject where ranks.writes >= 1 and subject is not null
      union select below.id from below where ranks.writes >= 2 and below.id is not null
      union select opened.id from opened where ranks.writes >= 3 and opened.area = ranks.area and opened.access = 'write'
      union select d.id from crm.department as d where ranks.writes >= 4)
  from ranks
$$;

create function crm.shared_with("user" uuid) returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive above as (
    select u.department_id as id from crm.app_user as u where u.id = "user" and u.active
    union
    select d.parent_id from crm.department as d join above on d.id = above.id where d.parent_id is not null
  )
  select array(
    select distinct r.record_id from crm.record_share as r
    where r.access = 'write' and (r.user_id = "user" or r.department_id in (select above.id from above)) and (r.ends_at is null or r.ends_at > now())
      and exists (select from above))
$$;
comment on function crm.shared_with(uuid) is 'The records that are shared with a user for writing. Sent by the gateway as muhatap.shared_write.';

create or replace function crm.touch() returns trigger language plpgsql as $$
begin
  if new.id <> old.id then
    raise exception using errcode = 'integrity_constraint_violation', column = 'id', message = 'a record keeps its id';
  end if;
  if current_user = 'crm_steward' and current_setting('muhatap.parting', true) = 'on' then
    return new;
  end if;
  -- Whom a record is merely shared with changes what it says, not whose it is.
  if old.id = any (crm.shared_for_writing()) and to_jsonb(new) ? 'department_id' and
    (to_jsonb(new) -> 'department_id', to_jsonb(new) -> 'owner_id', to_jsonb(new) -> 'visibility') is distinct from
    (to_jsonb(old) -> 'department_id', to_jsonb(old) -> 'owner_id', to_jsonb(old) -> 'visibility')
    and not crm.may_write(coalesce((select p.area from crm.protection as p where p.relation = tg_relid::regclass::text), ''),
      (to_jsonb(old) ->> 'department_id')::uuid, (to_jsonb(old) ->> 'owner_id')::uuid) then
    raise exception using errcode = 'insufficient_privilege', message = 'a shared record keeps its department, owner and visibility';
  end if;
  new.version := old.version + 1;
  new.updated_at := now();
  new.created_at := old.created_at;
  new.created_by := old.created_by;
  return new;
end
$$;

create or replace function crm.protect(
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
        'audience = any ((select crm.readable(%1$L))::uuid[]) or owner_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L))'
        || case when exists (select from pg_attribute as a where a.attrelid = target and a.attname = 'id' and not a.attisdropped)
          then ' or id = any ((select crm.readable(%1$L))::uuid[])' else '' end, area);
      write_rule := format(
        'department_id = any ((select crm.writable(%1$L))::uuid[]) or owner_id = any ((select crm.writable(%1$L))::uuid[]) or (select crm.writes_all(%1$L))', area);
      bi_rule := format('audience = any ((select crm.bi_readable(%L))::uuid[])', area);
    when 'reference' then
      read_rule := format('(select crm.reads(%L))', area);
      write_rule := format('(select crm.writes(%L))', area);
      bi_rule := format('(select crm.bi_reads(%L))', area);
    when 'computed' then
      read_rule := format('(select crm.reads(%L))', area);
      write_rule := format('(select crm.writes_all(%L))', area);
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
    execute format('create policy %I on %s for update to crm_app, crm_worker using (%s) with check (%3$s)', name || '_update', target,
      write_rule || case when kind = 'owned' and exists (select from pg_attribute as a where a.attrelid = target and a.attname = 'id' and not a.attisdropped)
        then ' or id = any ((select crm.shared_for_writing())::uuid[])' else '' end);
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

-- The tables there are get the two rules without being made anew.
do $$
declare
  p record;
  name text;
begin
  for p in
    select x.relation, x.area, x.verbs from crm.protection as x where x.kind = 'owned' and exists (
      select from pg_attribute as a where a.attrelid = x.relation::regclass and a.attname = 'id' and not a.attisdropped)
  loop
    name := split_part(p.relation, '.', 2);
    execute format('alter policy %I on %s using (%s)', name || '_read', p.relation, format(
      'audience = any ((select crm.readable(%1$L))::uuid[]) or owner_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L))'
      || ' or id = any ((select crm.readable(%1$L))::uuid[])', p.area));
    if 'update' = any (p.verbs) then
      execute format('alter policy %I on %s using (%s) with check (%3$s)', name || '_update', p.relation, format(
        'department_id = any ((select crm.writable(%1$L))::uuid[]) or owner_id = any ((select crm.writable(%1$L))::uuid[]) or (select crm.writes_all(%1$L))'
        || ' or id = any ((select crm.shared_for_writing())::uuid[])', p.area));
    end if;
  end loop;
end
$$;

-- Sharing and ending ------------------------------------------------------------------------------------------------------------------

create function crm.share_record(of_resource text, record uuid, with_user uuid, with_department uuid, access text, reason text, ends_at timestamptz) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  about record;
  share constant uuid := crm.uuid_v7();
  part record;
begin
  select * into about from crm.seen_record(of_resource, record);
  if about.area is null then
    perform crm.missing_reference('record_id');
  end if;
  if not crm.may_write(about.area, about.department_id, about.owner_id) then
    raise exception using errcode = 'insufficient_privilege', message = 'a record is shared by who may change it';
  end if;
  if with_user is not null and not exists (select from crm.app_user as u where u.id = with_user and u.active) then
    perform crm.missing_reference('user_id');
  end if;
  if with_department is not null and not exists (select from crm.department as d where d.id = with_department) then
    perform crm.missing_reference('department_id');
  end if;
  insert into crm.record_share (id, resource, record_id, area, user_id, department_id, access, reason, ends_at)
  values (share, of_resource, record, about.area, with_user, with_department, share_record.access, share_record.reason, share_record.ends_at);
  -- What has no visibility of its own follows its record, and goes with it; so do the interactions of a conversation.
  for part in
    select c.conrelid::regclass as relation, p.resource, a.attname as "column" from pg_constraint as c
    join crm.protection as p on p.relation = c.conrelid::regclass::text and p.kind = 'owned' and p.area = about.area and p.resource is not null
    cross join lateral unnest(c.conkey, c.confkey) as k (child, parent)
    join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.child
    join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = k.parent and b.attname = 'id'
    where c.contype = 'f' and c.conparentid = 0 and c.confrelid = about.relation and c.conrelid <> c.confrelid
      and (c.conrelid = 'crm.interaction'::regclass and a.attname = 'conversation_id'
        or not exists (select from pg_attribute as v where v.attrelid = c.conrelid and v.attname = 'visibility' and not v.attisdropped))
      and (select count(*) from pg_attribute as v where v.attrelid = c.conrelid and v.attname in ('id', 'department_id') and not v.attisdropped) = 2
  loop
    execute format(
      'insert into crm.record_share (resource, record_id, area, part_of, user_id, department_id, access, reason, ends_at)
       select %L, t.id, $1, $2, $3, $4, $5, $6, $7 from %s as t where t.%I = $8 limit 1000 on conflict on constraint record_share_once do nothing',
      part.resource, part.relation, part."column")
    using about.area, share, with_user, with_department, share_record.access, share_record.reason, share_record.ends_at, record;
  end loop;
  if with_user is not null then
    perform crm.notify(with_user, 'shared', of_resource, record, format('Shared with you: %s (%s)', about.name, left(share_record.reason, 200)),
      format('Sizinle paylaşıldı: %s (%s)', about.name, left(share_record.reason, 200)));
  end if;
  return share;
end
$$;
comment on function crm.share_record(text, uuid, uuid, uuid, text, text, timestamptz) is
  'Opens a record that the caller may change to a person or a department, with what it has of its own, and tells the person. Gives the share''s id.';

create function crm.shares_of(of_resource text, record uuid)
returns table (id uuid, user_id uuid, department_id uuid, shared_with text, access text, reason text, ends_at timestamptz, created_at timestamptz, created_by uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select r.id, r.user_id, r.department_id, coalesce(u.name, d.name), r.access, r.reason, r.ends_at, r.created_at, r.created_by
  from crm.seen_record(of_resource, record) as about
  join crm.record_share as r on r.resource = of_resource and r.record_id = record and (r.ends_at is null or r.ends_at > now())
  left join crm.app_user as u on u.id = r.user_id left join crm.department as d on d.id = r.department_id
  where about.area is not null order by r.id
$$;
comment on function crm.shares_of(text, uuid) is 'With whom a record is shared, as far as the caller sees the record.';

create function crm.end_share(share uuid) returns boolean language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  about record;
begin
  select * into r from crm.record_share as x where x.id = share and x.part_of is null;
  if not found then
    return false;
  end if;
  select * into about from crm.seen_record(r.resource, r.record_id);
  if about.area is null then
    return false;
  end if;
  if not crm.may_write(about.area, about.department_id, about.owner_id) and r.user_id is distinct from crm.caller_id() then
    raise exception using errcode = 'insufficient_privilege', message = 'a share is ended by who may change the record, or by whom it is for';
  end if;
  delete from crm.record_share as x where x.id = share;
  return true;
end
$$;
comment on function crm.end_share(uuid) is 'Ends a share: for who may change the record, and for the person it is for. False when there is none that the caller sees.';

create function crm.shared_with_me() returns table (id uuid, resource text, record_id uuid, access text, reason text, ends_at timestamptz, created_at timestamptz, created_by uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive above as (
    select u.department_id as id from crm.app_user as u where u.id = crm.caller_id() and u.active
    union
    select d.parent_id from crm.department as d join above on d.id = above.id where d.parent_id is not null
  )
  select r.id, r.resource, r.record_id, r.access, r.reason, r.ends_at, r.created_at, r.created_by from crm.record_share as r
  where r.part_of is null and (r.user_id = crm.caller_id() or r.department_id in (select above.id from above)) and (r.ends_at is null or r.ends_at > now())
  order by r.id desc limit 500
$$;
comment on function crm.shared_with_me() is 'What is shared with the caller or their department, latest first.';

set local role none;
grant create on schema crm to crm_access, crm_steward;
alter function crm.shared_with(uuid) owner to crm_access;
alter function crm.share_record(text, uuid, uuid, uuid, text, text, timestamptz) owner to crm_steward;
alter function crm.shares_of(text, uuid) owner to crm_steward;
alter function crm.end_share(uuid) owner to crm_steward;
alter function crm.shared_with_me() owner to crm_steward;
revoke create on schema crm from crm_access, crm_steward;
set local role crm_owner;
