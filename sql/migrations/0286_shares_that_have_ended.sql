-- A share that has ended stands in the way of no later one, and what is opened with two shared records stays open until both have ended.
set local role crm_owner;

alter table crm.record_share drop constraint record_share_once;
alter table crm.record_share add constraint record_share_once unique nulls not distinct (record_id, user_id, department_id, part_of);
comment on constraint record_share_once on crm.record_share is 'en: This record is already shared with them. | tr: Bu kayıt onlarla zaten paylaşılmış.';

create function crm.shares_end_at("user" uuid) returns timestamptz language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive above as (
    select u.department_id as id from crm.app_user as u where u.id = "user"
    union
    select d.parent_id from crm.department as d join above on d.id = above.id where d.parent_id is not null
  )
  select min(r.ends_at) from crm.record_share as r where (r.user_id = "user" or r.department_id in (select above.id from above)) and r.ends_at > now()
$$;
comment on function crm.shares_end_at(uuid) is 'When the next of the shares with a user or their departments ends: until then what they may do holds by itself. Null when none ends.';

set local role none;
grant create on schema crm to crm_access, crm_steward;
alter function crm.shares_end_at(uuid) owner to crm_access;
do $$
declare
  said constant text := pg_get_functiondef('crm.share_record(text,uuid,uuid,uuid,text,text,timestamptz)'::regprocedure);
  meant text := replace(said, '  insert into crm.record_share (id, resource,', '  delete from crm.record_share as r
  where r.record_id = record and r.part_of is null and r.user_id is not distinct from with_user and r.department_id is not distinct from with_department and r.ends_at <= now();
  insert into crm.record_share (id, resource,');
begin
  meant := replace(meant, '  if not crm.may_write(about.area,', '  if not exists (select from crm.protection as p where p.resource = of_resource and p.kind = ''owned'') then
    perform crm.missing_reference(''resource'');
  end if;
  if not crm.may_write(about.area,');
  if length(meant) < length(said) + 300 then
    raise exception 'crm.share_record no longer says how a record is shared';
  end if;
  set local role crm_steward;
  execute meant;
end
$$;
set local role none;
revoke create on schema crm from crm_access, crm_steward;
set local role crm_owner;
