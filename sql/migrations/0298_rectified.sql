-- A request to rectify is carried out by correcting records; what was corrected since the person's identity was checked is read from the change log.
set local role crm_owner;

create function crm.rectified(request uuid) returns jsonb language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  s record;
  ids uuid[];
  corrected jsonb;
begin
  select * into s from crm.request_subject(request);
  ids := crm.person_ids(s.root, s.subject);
  with personal as (
    select p.resource, array_agg(f.column_name) as columns from crm.protection as p join crm.personal_field as f on f.relation = p.relation
    where p.resource is not null group by p.resource
  )
  select coalesce(jsonb_object_agg(w.relation, w.fields), '{}') into corrected
  from (
    select c.relation, jsonb_agg(distinct k.field) as fields
    from crm.privacy_request as q
    join crm.change as c on c.row_id = any (ids) and c.at >= q.identity_checked_at and c.relation <> 'privacy_requests'
    join personal as p on p.resource = c.relation
    cross join lateral (select jsonb_object_keys(coalesce(c.after, c.before)) as field) as k
    where q.id = rectified.request and k.field = any (p.columns) and coalesce(c.after, c.before) ->> k.field is distinct from case c.op when 'update' then c.before ->> k.field end
    group by c.relation
  ) as w;
  return corrected;
end
$$;
comment on function crm.rectified(uuid) is 'Which personal fields of a person''s records were changed since their identity was checked: names of fields by resource, without values. {} when none.';
revoke execute on function crm.rectified(uuid) from crm_bulk, crm_access;
set local role none;
grant create on schema crm to crm_steward;
alter function crm.rectified(uuid) owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;
comment on column crm.privacy_step.step is 'received, identified, extended, reminded, overdue, planned, exported, rectified, decided, executing, executed, failed, closed, withdrawn or assigned.';
