-- Work that comes back to somebody who is absent goes to the others too, and so do conversations; and what waits is looked for by what it needs, not ticket by ticket,
-- so that a full team or one that takes work itself keeps nobody else's tickets waiting.
set local role crm_owner;

create index ticket_waiting_index on crm.ticket (team_id) where assignee_id is null and status in ('new', 'open');
create index conversation_taken_index on crm.conversation (assignee_id) where state = 'open' and assignee_id is not null;

set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;

create or replace function crm.route_waiting(at timestamptz, most integer) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  item record;
  routed integer := 0;
begin
  -- Whoever is absent from now on gives up the open work, and later what was given before the absence and comes back in it. What is given by hand meanwhile stays.
  for item in
    select distinct t.customer_id, t.id, t.assignee_id, t.opened_at from crm.absence as a join crm.ticket as t on t.assignee_id = a.user_id and t.status in ('new', 'open')
    where a.starts_at <= route_waiting.at and a.ends_at > route_waiting.at
      and (a.handled_at is null or t.status_since > a.handled_at and coalesce(t.assigned_at, t.opened_at) < a.starts_at)
    order by t.opened_at limit most
  loop
    -- Somebody may have taken it since.
    perform from crm.ticket as t where t.customer_id = item.customer_id and t.id = item.id and t.assignee_id = item.assignee_id and t.status in ('new', 'open') for update;
    continue when not found;
    perform crm.route_ticket(item.customer_id, item.id, 'absence', array[item.assignee_id], route_waiting.at);
    routed := routed + 1;
  end loop;
  for item in
    select distinct c.customer_id, c.id, c.assignee_id, c.created_at from crm.absence as a join crm.conversation as c on c.assignee_id = a.user_id and c.state = 'open'
    where a.handled_at is null and a.starts_at <= route_waiting.at and a.ends_at > route_waiting.at
      and not exists (select from crm.ticket as t where t.customer_id = c.customer_id and t.conversation_id = c.id and t.status not in ('resolved', 'closed'))
    order by c.created_at limit greatest(most - routed, 0)
  loop
    perform crm.route_conversation(item.customer_id, item.id, 'absence', array[item.assignee_id], route_waiting.at);
    routed := routed + 1;
  end loop;
  if routed < most then
    update crm.absence as a set handled_at = route_waiting.at where a.handled_at is null and a.starts_at <= route_waiting.at;
  end if;
  -- What waits goes to whoever has become free, the earliest limit first. Whether somebody is, is asked once for all tickets that need the same.
  for item in
    with need as materialized (
      select t.team_id, t.skills, t.language from crm.ticket as t
      where t.assignee_id is null and t.status in ('new', 'open') and t.team_id is not null group by t.team_id, t.skills, t.language
    ), free as materialized (
      select n.team_id, n.skills, n.language from need as n
      where exists (
        select from crm.routing_candidates(n.team_id, n.skills, n.language, null, false, 'least_loaded', null, route_waiting.at) as c where c.obstacle is null)
    )
    select t.customer_id, t.id
    from crm.ticket as t join free as f on f.team_id = t.team_id and f.skills = t.skills and f.language is not distinct from t.language
    where t.assignee_id is null and t.status in ('new', 'open') and (
      select r.strategy from crm.routing_decision as d join crm.routing_rule as r on r.id = d.rule_id
      where d.customer_id = t.customer_id and d.ticket_id = t.id order by d.decided_at desc, d.id desc limit 1) is distinct from 'none'
    order by t.next_due_at nulls last, t.opened_at limit greatest(most - routed, 0) * 5
  loop
    exit when routed >= most;
    perform from crm.ticket as t where t.customer_id = item.customer_id and t.id = item.id and t.assignee_id is null and t.status in ('new', 'open') for update skip locked;
    continue when not found;
    if crm.route_ticket(item.customer_id, item.id, 'waiting', null, route_waiting.at, true) is not null then
      routed := routed + 1;
    end if;
  end loop;
  return routed;
end
$$;
comment on function crm.route_waiting(timestamptz, integer) is
  'Routes again, at an instant, the open tickets and conversations of colleagues who are absent, and tickets that wait in a team whose members can take some; answers how many. For system work.';

-- Also that somebody was named when the ticket was opened is a decision.
create or replace function crm.serve_new_ticket() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  standing record;
  way crm.route;
begin
  select * into standing from crm.service_standing(new.customer_id);
  new.sla_class := standing.sla_class;
  new.tier := standing.tier;
  new.language := coalesce(new.language, standing.locale);
  if new.status = 'new' and new.assignee_id is null then
    way := crm.find_route(new.customer_id, new.channel, (select c.channel_account_id from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id),
      new.type, new.priority, new.sla_class, new.tier, new.language, new.product_id, concat_ws(' ', new.subject, new.description), new.team_id, new.skills, null, now());
    new.team_id := way.team_id;
    new.assignee_id := way.assignee_id;
    new.owner_id := coalesce(new.assignee_id, new.owner_id);
    new.skills := way.skills;
    new.priority := crm.higher_priority(new.priority, way.raise_to);
    insert into crm.routing_decision (customer_id, ticket_id, cause, rule_id, team_id, assignee_id, reason_en, reason_tr, candidates, department_id, owner_id, audience)
    values (new.customer_id, new.id, 'opened', way.rule_id, way.team_id, way.assignee_id, way.reason_en, way.reason_tr, way.candidates, new.department_id, new.owner_id,
      case new.visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then new.owner_id else new.department_id end);
  elsif new.assignee_id is not null then
    insert into crm.routing_decision (customer_id, ticket_id, cause, team_id, assignee_id, reason_en, reason_tr, department_id, owner_id, audience)
    values (new.customer_id, new.id, 'assigned', new.team_id, new.assignee_id, 'Given by hand when it was opened.', 'Açılırken elle verildi.', new.department_id, new.assignee_id,
      case new.visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then new.assignee_id else new.department_id end);
  end if;
  new.sla_policy_id := (select p.id from crm.fitting_sla_policies(new.sla_class, new.tier, new.priority, new.type, new.channel) as p limit 1);
  new.sla_state := 'none';
  new.next_due_at := null;
  if new.sla_policy_id is not null then
    select coalesce((array_agg(c.state order by c.state desc) filter (where c.state <> 'untimed'))[1], 'none'), min(c.due_at) into new.sla_state, new.next_due_at
    from crm.first_clocks(new.sla_policy_id, new.opened_at) as c;
  end if;
  return new;
end
$$;
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
