-- The preference page says what the gate says: a merchant, who may be written to until they refuse, finds boxes to clear, and whoever allows something again lifts what
-- suppressed the address. Routing can go by how a customer prefers to be reached.
set local role crm_owner;

create function crm.lift_suppressions(of_channel text, of_address text, of_brand uuid, why text) returns integer language plpgsql as $$
declare
  lifted integer;
begin
  update crm.suppression as s set lifted_at = greatest(crm.consent_clock(), s.suppressed_at), lifted_reason = why
  where s.address_token = crm.address_token(of_channel, of_address) and s.lifted_at is null and s.reason <> 'manual'
    and (s.brand_id is null or s.brand_id is not distinct from of_brand) and (s.all_channels or s.channel = of_channel);
  get diagnostics lifted = row_count;
  return lifted;
end
$$;
comment on function crm.lift_suppressions(text, text, uuid, text) is
  'Lifts what suppresses an address (except by hand), because somebody there asked for messages again. Says how many entries that were. For system work.';

create or replace function crm.confirm_opt_in(token text, from_address text default null, from_agent text default null) returns uuid language plpgsql as $$
declare
  link crm.preference_link;
  made uuid;
begin
  select * into link from crm.preference_link as l where l.token_hash = sha256(convert_to(token, 'UTF8')) and l.kind = 'opt_in' for update;
  if not found or link.used_at is null and link.expires_at <= crm.consent_clock() then
    return null;
  end if;
  if link.used_at is not null then
    return link.event_id;
  end if;
  insert into crm.consent_event (customer_id, contact_id, channel, address, purpose, brand_id, status, source, text_version, remote_address, user_agent, operator_id, note)
  values (link.customer_id, link.contact_id, link.channel, link.address, link.purpose, link.brand_id, 'ONAY', link.source, link.text_version,
    left(from_address, 100), left(from_agent, 500), null,
    format('double opt-in: asked for at %s from %s', to_char(link.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), coalesce(link.remote_address, 'an unknown address')))
  returning id into made;
  perform crm.lift_suppressions(link.channel, link.address, link.brand_id, 'double opt-in');
  update crm.preference_link set used_at = crm.consent_clock(), event_id = made where id = link.id;
  return made;
end
$$;

create function crm.may_be_sent(
  of_customer uuid, of_contact uuid, of_channel text, of_address text, of_purpose text, of_brand uuid
) returns boolean language sql stable return (
  select case when p.is_commercial
    then (select r.reason is null from crm.refusal_of(of_customer, of_contact, of_channel, of_address, 'commercial', of_purpose, of_brand, crm.consent_clock()) as r)
    else coalesce(crm.consent_at(of_address, of_channel, of_purpose, of_brand, null, of_customer, of_contact) = 'ONAY', false) end
  from crm.consent_purpose as p where p.code = of_purpose);
comment on function crm.may_be_sent(uuid, uuid, text, text, text, uuid) is
  'Whether something may come to an address now, as its preference page shows it: for a commercial purpose what the gate says of consent, suppression and merchants; for others whether it was allowed.';

create or replace function crm.link_target(token text) returns crm.link_target language sql stable as $$
  select row (found.customer_id, found.contact_id, found.channel, found.address, found.purpose, found.brand_id, found.recipient_type,
    coalesce(k.locale, c.locale, 'tr'))::crm.link_target
  from (
    select m.customer_id, m.contact_id, m.channel, m.address, m.purpose, m.brand_id,
      case when m.legal_class = 'commercial' and (e.id is null or e.recipient_type = 'TACIR') then 'TACIR' else 'BIREYSEL' end as recipient_type
    from crm.outbound_message as m left join crm.consent_event as e on e.id = m.consent_event_id
    where m.id = crm.message_of_token(token)
    union all
    select l.customer_id, l.contact_id, l.channel, l.address, l.purpose, l.brand_id,
      case when crm.is_merchant(l.customer_id, l.channel, crm.address_token(l.channel, l.address), l.brand_id, crm.consent_clock()) then 'TACIR' else 'BIREYSEL' end
    from crm.preference_link as l
    where l.kind = 'preferences' and l.token_hash = sha256(convert_to(token, 'UTF8')) and l.expires_at > crm.consent_clock()
  ) as found
  left join crm.customer as c on c.id = found.customer_id
  left join crm.contact as k on k.customer_id = found.customer_id and k.id = found.contact_id
  where c.erased_at is null and k.erased_at is null and crm.normal_address(found.channel, found.address) is not null
  limit 1
$$;
comment on function crm.link_target(text) is 'Whom a link to preferences or to unsubscribe is about; null when it does not open, as once the person was erased.';

-- Routing -------------------------------------------------------------------------------------------------------------------------------

alter table crm.routing_rule
  add column prefers text,
  add constraint routing_rule_prefers_known check (prefers in ('email', 'sms', 'phone', 'social', 'chat', 'letter'));
comment on column crm.routing_rule.prefers is 'For customers who prefer to be reached by this channel; null for all.';
comment on constraint routing_rule_prefers_known on crm.routing_rule is 'en: The channel is email, sms, phone, social, chat or letter. | tr: Kanal email, sms, phone, social, chat ya da letter olabilir.';

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
    and (r.prefers is null or r.prefers = crm.preferred_channel(find_route.customer))
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
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
