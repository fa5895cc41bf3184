-- Choosing who takes a ticket: what is known of a member is found once, not once for every place it is used in, and planned once a connection.
set local role crm_owner;

create or replace function crm.routing_candidates(
  team uuid, skills text[], language text, customer_owner uuid, owner_first boolean, strategy text, excluding uuid[], at timestamptz
) returns table (user_id uuid, name text, obstacle text, load integer, capacity integer, skill integer, is_owner boolean, place bigint) language sql stable as $$
  with team as (
    select t.id, crm.is_open(t.calendar_id, routing_candidates.at) as is_open from crm.team as t where t.id = routing_candidates.team
  ), speaks as (
    select exists (select from crm.team_member as m join crm.agent_skill as s on s.user_id = m.user_id and s.kind = 'language' and s.skill = routing_candidates.language
      where m.team_id = routing_candidates.team and m.active) as somebody
  ), member as materialized (
    select m.user_id, u.name, m.capacity::integer as capacity, crm.agent_load(m.user_id) as load, p.state as presence, t.is_open,
      u.active and m.active as is_active,
      (select count(*) from unnest(routing_candidates.skills) as need (skill)
        where not exists (select from crm.agent_skill as s where s.user_id = m.user_id and s.kind = 'skill' and s.skill = need.skill)) as lacks,
      coalesce((select sum(s.level) from crm.agent_skill as s where s.user_id = m.user_id
        and (s.kind = 'skill' and s.skill = any (routing_candidates.skills) or s.kind = 'language' and s.skill = routing_candidates.language)), 0)::integer as skill,
      routing_candidates.language is null or not speaks.somebody or exists (
        select from crm.agent_skill as s where s.user_id = m.user_id and s.kind = 'language' and s.skill = routing_candidates.language) as speaks,
      exists (select from crm.absence as a where a.user_id = m.user_id and a.starts_at <= routing_candidates.at and routing_candidates.at < a.ends_at) as is_absent,
      m.user_id = any (coalesce(routing_candidates.excluding, '{}')) as is_excluded,
      coalesce(m.user_id = routing_candidates.customer_owner, false) and routing_candidates.owner_first as is_owner
    from team as t cross join speaks join crm.team_member as m on m.team_id = t.id join crm.app_user as u on u.id = m.user_id
    left join crm.presence as p on p.user_id = m.user_id
  ), judged as materialized (
    select x.user_id, x.name, x.load, x.capacity, x.skill, x.is_owner, case
        when not x.is_active then 'inactive' when x.is_excluded then 'excluded' when x.is_absent then 'absent'
        when x.presence in ('busy', 'away', 'offline') then x.presence when not x.is_open and x.presence is distinct from 'available' then 'off_hours'
        when x.lacks > 0 then 'skill' when not x.speaks then 'language' when x.load >= x.capacity then 'full' end as obstacle
    from member as x
  )
  select j.user_id, j.name, j.obstacle, j.load, j.capacity, j.skill, j.is_owner,
    row_number() over (order by j.obstacle is not null, j.is_owner desc, case when routing_candidates.strategy = 'most_skilled' then -j.skill else 0 end,
      j.load::double precision / greatest(j.capacity, 1), -j.skill,
      (select max(d.decided_at) from crm.routing_decision as d where d.assignee_id = j.user_id) nulls first, j.user_id)
  from judged as j
$$;
set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;
create or replace function crm.find_route(
  customer uuid, channel text, account uuid, type text, priority text, sla_class text, tier text, language text, product uuid, words text,
  team uuid, skills text[], excluding uuid[], at timestamptz
) returns crm.route language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  rule crm.routing_rule;
  found crm.route;
  first record;
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
    and (r.words = '{}' or exists (
      select from unnest(r.words) as w where position(' ' || regexp_replace(crm.search_key(w), '[^[:alnum:]]+', ' ', 'g') in text_key) > 0))
  order by r.place, r.created_at, r.id limit 1;
  found.rule_id := rule.id;
  found.team_id := coalesce(rule.team_id, find_route.team);
  found.skills := array(select distinct s from unnest(coalesce(find_route.skills, '{}') || coalesce(rule.skills, '{}')) as s order by s);
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
      order by c.place) filter (where c.place <= 20), '[]'),
    (array_agg(c.user_id order by c.place) filter (where c.obstacle is null))[1] as user_id, (array_agg(c.name order by c.place) filter (where c.obstacle is null))[1] as name,
    (array_agg(c.load order by c.place) filter (where c.obstacle is null))[1] as load, (array_agg(c.capacity order by c.place) filter (where c.obstacle is null))[1] as capacity,
    (array_agg(c.skill order by c.place) filter (where c.obstacle is null))[1] as skill, (array_agg(c.is_owner order by c.place) filter (where c.obstacle is null))[1] as is_owner,
    count(*) as members, count(*) filter (where c.obstacle is null) as fitting
  into first
  from crm.routing_candidates(found.team_id, found.skills, find_route.language, customer_owner,
    coalesce(rule.owner_first, true), coalesce(rule.strategy, 'least_loaded'), find_route.excluding, find_route.at) as c;
  found.candidates := first.coalesce;
  found.assignee_id := first.user_id;
  if first.user_id is null then
    found.reason_en := found.reason_en || format(': none of its %s members can take it now; it waits.', first.members);
    found.reason_tr := found.reason_tr || format(': %s üyesinden hiçbiri şu an alamıyor; bekliyor.', first.members);
  else
    found.reason_en := found.reason_en || format(': %s%s, %s of %s open, skill %s, first of %s who can.', first.name,
      case when first.is_owner then ' looks after the customer' else '' end, first.load, first.capacity, first.skill, first.fitting);
    found.reason_tr := found.reason_tr || format(': %s%s, %s/%s açık iş, yetkinlik %s, uygun %s kişinin ilki.', first.name,
      case when first.is_owner then ' müşteriyle ilgileniyor' else '' end, first.load, first.capacity, first.skill, first.fitting);
  end if;
  return found;
end
$$;
-- It is only called by functions that already see everything; as one of its own it would be planned at every call.
alter function crm.agent_load(uuid) security invoker;
alter function crm.agent_load(uuid) reset all;
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
