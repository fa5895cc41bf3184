-- Why somebody sees or changes a record: the counterpart of crm.reach_of, rule by rule.
set local role crm_owner;

create function crm.explain_access("user" uuid, area text, department uuid, owner uuid, audience uuid)
returns table (verb text, rule text, role_id uuid, from_department_id uuid, to_department_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with recursive me as (
    select u.id, u.department_id from crm.app_user as u where u.id = explain_access."user" and u.active
  ), below as (
    select me.department_id as id from me
    union
    select d.id from crm.department as d join below on d.parent_id = below.id
  ), above as (
    select me.department_id as id from me
    union
    select d.parent_id from crm.department as d join above on d.id = above.id where d.parent_id is not null
  ), over_record as (
    select explain_access.department as id
    union
    select d.parent_id from crm.department as d join over_record on d.id = over_record.id where d.parent_id is not null
  ), opened as (
    select s.access, s.from_department_id, s.to_department_id from crm.share_rule as s
    where s.area = explain_access.area and s.to_department_id in (select above.id from above)
      and s.from_department_id in (select over_record.id from over_record)
  ), granted as (
    select ur.role_id, crm.scope_rank(rp.read_scope) as reads, crm.scope_rank(rp.write_scope) as writes
    from me join crm.user_role as ur on ur.user_id = me.id join crm.role_permission as rp on rp.role_id = ur.role_id
    where rp.area = explain_access.area
  ), record as (
    select
      explain_access.audience = '00000000-0000-0000-0000-000000000000' as for_company,
      explain_access.audience = explain_access.department as for_department,
      explain_access.owner = explain_access."user" as is_mine,
      exists (select from below where below.id = explain_access.department) as is_ours
  )
  select 'read', 'owner', g.role_id, null::uuid, null::uuid from granted as g, record as r where r.is_mine and g.reads >= 1
  union all select 'read', 'company', g.role_id, null, null from granted as g, record as r where r.for_company and g.reads >= 2
  union all select 'read', 'department', g.role_id, null, null from granted as g, record as r where r.for_department and r.is_ours and g.reads >= 2
  union all select 'read', 'share_rule', g.role_id, o.from_department_id, o.to_department_id
    from granted as g, record as r, opened as o where r.for_department and g.reads >= 3
  union all select 'read', 'all', g.role_id, null, null from granted as g, record as r where r.for_department and g.reads >= 4
  union all select 'write', 'owner', g.role_id, null, null from granted as g, record as r where r.is_mine and g.writes >= 1
  union all select 'write', 'department', g.role_id, null, null from granted as g, record as r where r.is_ours and g.writes >= 2
  union all select 'write', 'share_rule', g.role_id, o.from_department_id, o.to_department_id
    from granted as g, record as r, opened as o where o.access = 'write' and g.writes >= 3
  union all select 'write', 'all', g.role_id, null, null from granted as g, record as r where g.writes >= 4
$$;
comment on function crm.explain_access(uuid, text, uuid, uuid, uuid) is
  'The rules by which a user reads and writes a record of that area, department, owner and audience: owner, company, department, share_rule or all, each with the role that gives it; empty for none.';

set local role none;
grant create on schema crm to crm_access;
alter function crm.explain_access(uuid, text, uuid, uuid, uuid) owner to crm_access;
revoke create on schema crm from crm_access;
set local role crm_owner;
