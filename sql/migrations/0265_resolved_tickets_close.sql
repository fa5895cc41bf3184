-- A resolved ticket that nobody reopens closes by itself after the time that its policy gives.
set local role crm_owner;

alter table crm.sla_policy add column closes_after_hours integer default 168,
  add constraint sla_policy_closes_after_hours_range check (closes_after_hours between 1 and 8760);
comment on column crm.sla_policy.closes_after_hours is
  'After how many hours, day and night, a resolved ticket that was not reopened closes by itself; null never closes one.';
comment on constraint sla_policy_closes_after_hours_range on crm.sla_policy is 'en: Give 1 hour to a year. | tr: 1 saat ile bir yıl arasında verin.';
grant select (closes_after_hours) on crm.sla_policy to bi_reader;
create index ticket_resolved_index on crm.ticket (status_since) where status = 'resolved';

create function crm.close_resolved(at timestamptz, most integer) returns integer language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with due as materialized (
    select t.customer_id, t.id, t.status_since from crm.ticket as t join crm.sla_policy as p on p.id = t.sla_policy_id
    where t.status = 'resolved' and t.status_since <= close_resolved.at - make_interval(hours => p.closes_after_hours)
    order by t.status_since limit most for update of t skip locked
  ), closed as (
    update crm.ticket as t set status = 'closed', status_reason = 'not_reopened', status_since = greatest(close_resolved.at, t.status_since)
    from due as d where t.customer_id = d.customer_id and t.id = d.id and t.status = 'resolved' returning 1
  )
  select count(*)::integer from closed
$$;
comment on function crm.close_resolved(timestamptz, integer) is
  'Closes tickets that were resolved longer ago, at an instant, than their policy waits for the customer; at most so many. Says how many. For system work.';
revoke execute on function crm.close_resolved(timestamptz, integer) from crm_app, crm_worker, crm_bulk, crm_access;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.close_resolved(timestamptz, integer) owner to crm_steward;
grant execute on function crm.close_resolved(timestamptz, integer) to crm_worker;
revoke create on schema crm from crm_steward;
set local role crm_owner;
