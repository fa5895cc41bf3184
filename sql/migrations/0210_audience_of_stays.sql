-- Before a row is stored its generated columns are empty: a stay got no audience, so that only its owner read it.
set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;

create or replace function crm.move_ticket_clocks() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  was_over constant boolean := old.status in ('resolved', 'closed');
  is_over constant boolean := new.status in ('resolved', 'closed');
  as_of timestamptz := now();
begin
  if new.status <> old.status then
    new.status_since := greatest(case when new.status_since is distinct from old.status_since then new.status_since else now() end, old.status_since);
    as_of := new.status_since;
    update crm.ticket_stay as s set ends_at = as_of where s.customer_id = new.customer_id and s.ticket_id = new.id and s.ends_at is null;
    insert into crm.ticket_stay (customer_id, ticket_id, status, reason, starts_at, department_id, owner_id, audience)
    values (new.customer_id, new.id, new.status, new.status_reason, as_of, new.department_id, new.owner_id,
      case new.visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then new.owner_id else new.department_id end);
    if is_over and not was_over then
      new.resolved_at := as_of;
      update crm.ticket_clock as k set stopped_at = greatest(as_of, k.started_at) where k.customer_id = new.customer_id and k.ticket_id = new.id and k.stopped_at is null;
    elsif was_over and not is_over then
      new.resolved_at := null;
      new.reopened_count := old.reopened_count + case when old.merged_into_id is null then 1 else 0 end;
      update crm.ticket_clock as k set stopped_at = null where k.customer_id = new.customer_id and k.ticket_id = new.id and k.kind = 'resolution';
    end if;
    if old.merged_into_id is not null and new.merged_into_id is null then
      -- Parted from the ticket it was merged into: what the merge stopped runs on.
      update crm.ticket_clock as k set stopped_at = null
      where k.customer_id = new.customer_id and k.ticket_id = new.id and k.stopped_at = old.status_since and not is_over
        and (k.kind <> 'first_response' or new.first_response_at is null);
    end if;
    new.closed_at := case when new.status = 'closed' then coalesce(old.closed_at, as_of) end;
  end if;
  if (new.priority, new.type, new.channel, new.sla_class, new.tier) is distinct from (old.priority, old.type, old.channel, old.sla_class, old.tier) then
    new.sla_policy_id := (select p.id from crm.fitting_sla_policies(new.sla_class, new.tier, new.priority, new.type, new.channel) as p limit 1);
  end if;
  perform crm.evaluate_clocks(array[new.id], array[new.sla_policy_id], as_of);
  select s.sla_state, s.next_due_at into new.sla_state, new.next_due_at from crm.sla_summary(array[new.id]) as s;
  new.sla_state := coalesce(new.sla_state, 'none');
  return new;
end
$$;

update crm.ticket_stay as s set department_id = t.department_id, owner_id = t.owner_id, audience = t.audience
from crm.ticket as t where t.customer_id = s.customer_id and t.id = s.ticket_id and s.audience is null and t.audience is not null;
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
