-- What comes at once does not go to somebody beyond his or her capacity: near it, work is given one at a time; who cannot be asked now is asked by route_waiting.
-- And a promise that is still broken after its limit moved was broken at the new one.
set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;

create or replace function crm.find_route(
  customer uuid, channel text, account uuid, type text, priority text, sla_class text, tier text, language text, product uuid, words text,
  team uuid, skills text[], excluding uuid[], at timestamptz
) returns crm.route language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  rule crm.routing_rule;
  found crm.route;
  first record;
  team_state record;
  has_room boolean;
  team_name text;
  -- A sub-select among the arguments would keep the candidates from being planned once for all.
  customer_owner uuid;
  text_key constant text := ' ' || regexp_replace(coalesce(crm.search_key(left(words, 20000)), ''), '[^[:alnum:]]+', ' ', 'g') || ' ';
begin
  select r.* into rule from crm.routing_rule as r join crm.team as t on t.id = r.team_id and t.active
  where r.active and (find_route.team is null or r.team_id = find_route.team)
    and (r.channel is null or r.channel = find_route.channel) and (r.channel_account_id is null or r.channel_account_id = find_route.account)
    and (r.type is null or r.type = find_route.type) and (r.priority is null or r.priority = find_route.priority)
    and (r.sla_class is null or r.sla_class = find_route.sla_class) and (r.tier is null or r.tier = find_route.tier)
    and (r.language is null or r.language = find_route.language)
    and (r.product_category_id is null or r.product_category_id = (select p.category_id from crm.product as p where p.id = find_route.product))
    and (r.prefers is null or r.prefers = crm.preferred_channel(find_route.customer))
    and (r.words = '{}' or exists (
      select from unnest(r.words) as w where position(' ' || regexp_replace(crm.search_key(w), '[^[:alnum:]]+', ' ', 'g') in text_key) > 0))
  order by r.place, r.created_at, r.id limit 1;
  found.rule_id := rule.id;
  found.team_id := coalesce(rule.team_id, find_route.team);
  -- A ticket names at most twenty.
  found.skills := (array(select distinct s from unnest(coalesce(find_route.skills, '{}') || coalesce(rule.skills, '{}')) as s order by s))[1:20];
  found.raise_to := rule.raise_to;
  found.candidates := '[]';
  if found.team_id is null then
    found.reason_en := 'No rule fits; it waits for somebody to take it.';
    found.reason_tr := 'Uyan kural yok; birinin üstlenmesini bekliyor.';
    return found;
  end if;
  select k.owner_id into customer_owner from crm.customer as k where k.id = find_route.customer;
  select t.name into team_name from crm.team as t where t.id = found.team_id;
  found.reason_en := case when rule.id is null then format('Team "%s"', team_name) else format('Rule "%s", team "%s"', rule.name, team_name) end;
  found.reason_tr := case when rule.id is null then format('"%s" ekibi', team_name) else format('"%s" kuralı, "%s" ekibi', rule.name, team_name) end;
  if rule.strategy = 'none' then
    found.reason_en := found.reason_en || ': its members take work themselves.';
    found.reason_tr := found.reason_tr || ': üyeleri işi kendileri alır.';
    return found;
  end if;
  select coalesce(jsonb_agg(jsonb_build_object('user_id', c.user_id, 'obstacle', c.obstacle, 'load', c.load, 'capacity', c.capacity, 'skill', c.skill, 'is_owner', c.is_owner)
      order by c.place) filter (where c.place <= 20), '[]') as candidates,
    count(*) as members, count(*) filter (where c.obstacle is null) as fitting
  into team_state
  from crm.routing_candidates(found.team_id, found.skills, find_route.language, customer_owner,
    coalesce(rule.owner_first, true), coalesce(rule.strategy, 'least_loaded'), find_route.excluding, find_route.at) as c;
  found.candidates := team_state.candidates;
  for first in
    select (c ->> 'user_id')::uuid as user_id, (c ->> 'load')::integer as load, (c ->> 'capacity')::integer as capacity, (c ->> 'skill')::integer as skill,
      (c ->> 'is_owner')::boolean as is_owner
    from jsonb_array_elements(team_state.candidates) with ordinality as x (c, place) where c ->> 'obstacle' is null order by x.place
  loop
    -- Near the limit only one at a time gives somebody work, and counts again; far from it nobody waits for anybody.
    has_room := first.load + 16 <= first.capacity;
    if not has_room and pg_try_advisory_xact_lock(hashtextextended('crm.find_route ' || first.user_id, 0)) then
      has_room := crm.agent_load(first.user_id) < first.capacity;
    end if;
    if has_room then
      found.assignee_id := first.user_id;
      exit;
    end if;
  end loop;
  if found.assignee_id is null then
    found.reason_en := found.reason_en || format(': none of its %s members can take it now; it waits.', team_state.members);
    found.reason_tr := found.reason_tr || format(': %s üyesinden hiçbiri şu an alamıyor; bekliyor.', team_state.members);
  else
    found.reason_en := found.reason_en || format(': %s%s, %s of %s open, skill %s, first of %s who can.', (select u.name from crm.app_user as u where u.id = first.user_id),
      case when first.is_owner then ' looks after the customer' else '' end, first.load, first.capacity, first.skill, team_state.fitting);
    found.reason_tr := found.reason_tr || format(': %s%s, %s/%s açık iş, yetkinlik %s, uygun %s kişinin ilki.', (select u.name from crm.app_user as u where u.id = first.user_id),
      case when first.is_owner then ' müşteriyle ilgileniyor' else '' end, first.load, first.capacity, first.skill, team_state.fitting);
  end if;
  return found;
end
$$;

create or replace function crm.withdraw_sla_events(tickets uuid[], as_of timestamptz) returns uuid[] language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with gone as (
    update crm.sla_event as v set withdrawn_at = greatest(as_of, v.at)
    from crm.ticket_clock as k
    where k.ticket_id = any (tickets) and v.customer_id = k.customer_id and v.clock_id = k.id and v.withdrawn_at is null
      and case v.kind
        when 'breach' then k.state <> 'breached'
        when 'warning' then k.stopped_at is null and case k.state
          when 'running' then coalesce(k.warns_at > as_of, true) when 'paused' then k.elapsed_seconds * 100 < k.goal_seconds::bigint * k.warn_percent else k.state = 'untimed' end
        else k.stopped_at is null and exists (
          select from crm.escalation_step as s
          where s.id = v.step_id and s.policy_id = k.policy_id and case k.state
            when 'paused' then k.elapsed_seconds * 100 < k.goal_seconds::bigint * s.at_percent
            when 'untimed' then false
            else coalesce(crm.business_clock(k.calendar_id, as_of) < crm.business_clock(k.calendar_id, k.breaches_at) + k.goal_seconds::bigint * (s.at_percent - 100) * 10000, true) end)
        end
    returning v.ticket_id
  ), moved as (
    update crm.sla_event as v set at = k.breached_at
    from crm.ticket_clock as k
    where k.ticket_id = any (tickets) and v.customer_id = k.customer_id and v.clock_id = k.id and v.withdrawn_at is null
      and v.kind = 'breach' and k.state = 'breached' and k.breached_at is not null and v.at <> k.breached_at
  )
  select array_agg(distinct g.ticket_id) from gone as g
$$;
comment on function crm.withdraw_sla_events(uuid[], timestamptz) is
  'Withdraws what was said of clocks that, as they have just been evaluated at an instant, are not there yet, and dates breaches by the limit as it is now; answers the tickets of which something was withdrawn, null for none.';

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
