-- However many tickets come at once, and however many places are free, nobody is given more than the capacity.
set local role crm_owner;

create function crm.hold_place(agent uuid, seen integer, capacity integer) returns boolean language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  -- How many transactions may give work to one person at once, far from the limit. What they give is not seen by the others before they end.
  most constant integer := 16;
  lock constant bigint := hashtextextended('crm.find_route ' || agent, 0);
begin
  -- Only what a transaction gives first counts as one; what it gives besides is not seen either.
  if seen + most <= capacity and current_setting('muhatap.has_given', true) is distinct from 'on' then
    begin
      if exists (select from generate_series(1, most) as n where pg_try_advisory_xact_lock(lock + 1 + (n + pg_backend_pid()) % most) limit 1) then
        if pg_try_advisory_xact_lock_shared(lock) then
          if crm.agent_load(agent) + most <= capacity then
            perform set_config('muhatap.has_given', 'on', true);
            return true;
          end if;
        end if;
      end if;
      -- Gives back what it holds, so that nobody waits for it.
      raise exception using errcode = 'CR010';
    exception when sqlstate 'CR010' then
      null;
    end;
  end if;
  if not pg_try_advisory_xact_lock(lock) then
    return null;
  end if;
  if crm.agent_load(agent) >= capacity then
    return false;
  end if;
  perform set_config('muhatap.has_given', 'on', true);
  return true;
end
$$;
comment on function crm.hold_place(uuid, integer, integer) is
  'Keeps a place for a piece of work with a colleague of a capacity, who was seen with so much open, until the transaction ends: true when there is one, false when there is none, null when others are giving work to the colleague at this moment. Far from the limit sixteen give at once, near it one at a time, so that together they never give more than there are places.';
revoke execute on function crm.hold_place(uuid, integer, integer) from crm_app, crm_worker, crm_bulk, crm_access;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.hold_place(uuid, integer, integer) owner to crm_steward;
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
  is_held_up boolean;
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
  <<rounds>>
  loop
    is_held_up := false;
    for first in
      select (c ->> 'user_id')::uuid as user_id, (c ->> 'load')::integer as load, (c ->> 'capacity')::integer as capacity, (c ->> 'skill')::integer as skill,
        (c ->> 'is_owner')::boolean as is_owner
      from jsonb_array_elements(team_state.candidates) with ordinality as x (c, place) where c ->> 'obstacle' is null order by x.place
    loop
      has_room := crm.hold_place(first.user_id, first.load, first.capacity);
      if has_room then
        found.assignee_id := first.user_id;
        exit rounds;
      end if;
      is_held_up := is_held_up or has_room is null;
    end loop;
    -- Whoever gives work to the only ones with room is done in a moment. In a transaction that takes longer, it waits for route_waiting instead.
    exit when not is_held_up or clock_timestamp() > now() + interval '2 seconds';
    perform pg_sleep(0.01 + 0.02 * random());
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

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
