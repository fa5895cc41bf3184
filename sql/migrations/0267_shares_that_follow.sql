-- A shared record: its history and the change feed know it, access can be explained, and what is added to it later is opened with it.
set local role crm_owner;

-- The log's policy ------------------------------------------------------------------------------------------------------------------

-- crm.protect says it, too, so that protecting the log again does not lose it.
do $$
declare
  said constant text := pg_get_functiondef((select p.oid from pg_proc as p where p.pronamespace = 'crm'::regnamespace and p.proname = 'protect'));
  meant constant text := replace(said, $t$|| ' or owner_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L)))', a), ' or ' order by a)
      into read_rule$t$, $t$|| ' or owner_id = any ((select crm.readable(%1$L))::uuid[]) or row_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L)))', a), ' or ' order by a)
      into read_rule$t$);
begin
  if meant = said then
    raise exception 'crm.protect no longer says what the log''s policy is';
  end if;
  execute meant;
  execute format('alter policy change_read on crm.change using (%s)', (
    select string_agg(format('area = %1$L and (audience is null and (select crm.reads(%1$L)) or audience = any ((select crm.readable(%1$L))::uuid[])'
      || ' or owner_id = any ((select crm.readable(%1$L))::uuid[]) or row_id = any ((select crm.readable(%1$L))::uuid[]) or (select crm.reads_all(%1$L)))', a), ' or ' order by a)
    from unnest(crm.areas()) as a));
end
$$;

-- Explaining -------------------------------------------------------------------------------------------------------------------------

create function crm.explain_shares("user" uuid, record uuid)
returns table (verb text, to_department_id uuid, reason text, ends_at timestamptz) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive above as (
    select u.department_id as id from crm.app_user as u where u.id = explain_shares."user" and u.active
    union
    select d.parent_id from crm.department as d join above on d.id = above.id where d.parent_id is not null
  )
  select v.verb, r.department_id, r.reason, r.ends_at
  from crm.record_share as r cross join (values ('read'), ('write')) as v (verb)
  where r.record_id = record and (r.user_id = explain_shares."user" or r.department_id in (select above.id from above))
    and (r.ends_at is null or r.ends_at > now()) and (v.verb = 'read' or r.access = 'write') and exists (select from above)
$$;
comment on function crm.explain_shares(uuid, uuid) is
  'The shares by which a user reads or writes one record, its own or those of the record it is a part of: to whom, why and until when.';
revoke execute on function crm.explain_shares(uuid, uuid) from crm_worker, crm_bulk, crm_access;

-- What is added later ----------------------------------------------------------------------------------------------------------------

create function crm.shared_parts() returns table (parent regclass, parent_area text, part regclass, resource text, "column" text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select c.confrelid::regclass, q.area, c.conrelid::regclass, p.resource, a.attname::text
  from pg_constraint as c
  join crm.protection as q on q.relation = c.confrelid::regclass::text and q.kind = 'owned' and q.resource is not null
  join crm.protection as p on p.relation = c.conrelid::regclass::text and p.kind = 'owned' and p.area = q.area and p.resource is not null
  cross join lateral unnest(c.conkey, c.confkey) as k (child, parent)
  join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = k.child
  join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = k.parent and b.attname = 'id'
  where c.contype = 'f' and c.conparentid = 0 and c.conrelid <> c.confrelid
    -- A file follows what it came with, not the customer: that may be a private conversation.
    and not (c.conrelid = 'crm.attachment'::regclass and a.attname = 'customer_id')
    and (c.conrelid = 'crm.interaction'::regclass and a.attname = 'conversation_id'
      or not exists (select from pg_attribute as v where v.attrelid = c.conrelid and v.attname = 'visibility' and not v.attisdropped))
    and (select count(*) from pg_attribute as v where v.attrelid = c.conrelid and v.attname in ('id', 'department_id') and not v.attisdropped) = 2
  union
  -- No constraint leads from a file to its interaction, which lies in a month's table.
  select 'crm.interaction', 'customers', 'crm.attachment', 'attachments', 'interaction_id'
$$;
comment on function crm.shared_parts() is 'The tables whose rows are opened with a shared record of another table, and the column that leads there: those without a visibility of their own, and interactions.';

create function crm.share_parts() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  given boolean;
begin
  if not exists (select from crm.record_share) then
    return null;
  end if;
  -- Most statements touch nothing shared, and an insert of nothing would make every gateway forget its callers.
  execute format('select exists (select from crm.record_share as s join new_rows as n on n.%I = s.record_id)', tg_argv[1]) into given;
  if given then
    execute format(
      'insert into crm.record_share (resource, record_id, area, part_of, user_id, department_id, access, reason, ends_at, created_by)
       select %L, n.id, s.area, coalesce(s.part_of, s.id), s.user_id, s.department_id, s.access, s.reason, s.ends_at, s.created_by
       from new_rows as n join crm.record_share as s on s.record_id = n.%I
       where s.area = %L and (s.ends_at is null or s.ends_at > clock_timestamp())
         and (select count(*) from crm.record_share as x where x.part_of = coalesce(s.part_of, s.id)) < 1000 limit 1000 on conflict on constraint record_share_once do nothing', tg_argv[0], tg_argv[1], tg_argv[2]);
  end if;
  return null;
end
$$;
comment on function crm.share_parts() is 'Trigger: what is added to a shared record is opened to whom the record is, for as long; up to some two thousand parts, because each is among what its readers'' requests name.';
revoke execute on function crm.share_parts() from crm_app, crm_worker, crm_bulk, crm_access;
create index record_share_record_id_index on crm.record_share (record_id);

do $$
declare
  p record;
begin
  for p in select * from crm.shared_parts() order by part::text, "column" loop
    execute format('create trigger %I after insert on %s referencing new table as new_rows for each statement execute function crm.share_parts(%L, %L, %L)',
      left(split_part(p.part::text, '.', 2) || '_share_' || p."column", 63), p.part, p.resource, p."column", p.parent_area);
  end loop;
end
$$;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.explain_shares(uuid, uuid) owner to crm_steward;
alter function crm.share_parts() owner to crm_steward;
set local role crm_steward;
create or replace function crm.share_record(of_resource text, record uuid, with_user uuid, with_department uuid, access text, reason text, ends_at timestamptz) returns uuid
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
  -- What has no visibility of its own follows its record, and goes with it; so do the interactions of a conversation. crm.share_parts opens what comes later.
  for part in select p.part as relation, p.resource, p."column" from crm.shared_parts() as p where p.parent = about.relation and p.parent_area = about.area loop
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
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
