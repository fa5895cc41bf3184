-- Routing: rules are data, and every decision says why. Who takes a ticket need not see the work of colleagues, so the choice runs as crm_steward.
set local role crm_owner;

create table crm.routing_rule (
  id                 uuid        not null default crm.uuid_v7(),
  place              integer     not null default 100,
  name               text        not null,
  channel            text,
  channel_account_id uuid,
  type               text,
  priority           text,
  sla_class          text,
  tier               text,
  language           text,
  product_category_id uuid,
  words              text[]      not null default '{}',
  team_id            uuid        not null,
  skills             text[]      not null default '{}',
  raise_to           text,
  owner_first        boolean     not null default true,
  strategy           text        not null default 'least_loaded',
  active             boolean     not null default true,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  version            integer     not null default 1,
  created_by         uuid        default crm.caller_id(),
  constraint routing_rule_id_primary primary key (id),
  constraint routing_rule_name_length check (length(btrim(name)) between 1 and 200),
  constraint routing_rule_place_range check (place between 0 and 1000000),
  constraint routing_rule_channel_known check (channel in ('email', 'phone', 'meeting', 'chat', 'sms', 'social', 'web', 'form', 'letter', 'portal', 'other')),
  constraint routing_rule_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id),
  constraint routing_rule_type_known check (type in ('question', 'problem', 'incident', 'request', 'complaint', 'return', 'other')),
  constraint routing_rule_priority_known check (priority in ('low', 'normal', 'high', 'urgent')),
  constraint routing_rule_sla_class_length check (length(btrim(sla_class)) between 1 and 100),
  constraint routing_rule_tier_shape check (tier ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint routing_rule_language_shape check (language ~ '^[a-z]{2}$'),
  constraint routing_rule_product_category_id_exists foreign key (product_category_id) references crm.product_category (id),
  constraint routing_rule_words_shape check (cardinality(words) <= 100 and array_position(words, null) is null and not '' = any (words)),
  constraint routing_rule_team_id_exists foreign key (team_id) references crm.team (id),
  constraint routing_rule_skills_shape check (cardinality(skills) <= 20 and (skills = '{}' or array_to_string(skills, ',', '?') ~ '^[a-z][a-z0-9_]{0,62}(,[a-z][a-z0-9_]{0,62})*$')),
  constraint routing_rule_raise_to_known check (raise_to in ('normal', 'high', 'urgent')),
  constraint routing_rule_strategy_known check (strategy in ('least_loaded', 'most_skilled', 'none'))
);
comment on table crm.routing_rule is 'Which team gets what, and how somebody of it is chosen. The first active rule that fits decides.';
comment on column crm.routing_rule.place is 'Its place in the order; of equal places the older rule comes first.';
comment on column crm.routing_rule.name is 'What it is called in the reasons it gives.';
comment on column crm.routing_rule.channel is 'For what came by this channel; null for all.';
comment on column crm.routing_rule.channel_account_id is 'For what came to this account of ours; null for all.';
comment on column crm.routing_rule.type is 'For tickets of this type; null for all.';
comment on column crm.routing_rule.priority is 'For this priority; null for all.';
comment on column crm.routing_rule.sla_class is 'For customers of this class of service; null for all.';
comment on column crm.routing_rule.tier is 'For customers of this tier; null for all.';
comment on column crm.routing_rule.language is 'For this language (ISO 639-1); null for all.';
comment on column crm.routing_rule.product_category_id is 'For products of this category; null for all.';
comment on column crm.routing_rule.words is 'For what has one of these words in its subject or text; none for all.';
comment on column crm.routing_rule.team_id is 'The team that gets it.';
comment on column crm.routing_rule.skills is 'What somebody must be able to do to answer it.';
comment on column crm.routing_rule.raise_to is 'The priority it gets at least.';
comment on column crm.routing_rule.owner_first is 'Whether whoever looks after the customer is asked first, if a member of the team.';
comment on column crm.routing_rule.strategy is 'least_loaded (then the most skilled), most_skilled (then the least loaded) or none (members take work themselves).';
comment on column crm.routing_rule.active is 'Whether it decides.';
comment on constraint routing_rule_name_length on crm.routing_rule is 'en: Give the rule a name of at most 200 characters. | tr: Kurala en çok 200 karakterlik bir ad verin.';
comment on constraint routing_rule_place_range on crm.routing_rule is 'en: Give a place from 0 to 1000000. | tr: 0 ile 1000000 arasında bir sıra verin.';
comment on constraint routing_rule_channel_known on crm.routing_rule is 'en: A channel is email, phone, meeting, chat, sms, social, web, form, letter, portal or other. | tr: Kanal email, phone, meeting, chat, sms, social, web, form, letter, portal ya da other olabilir.';
comment on constraint routing_rule_type_known on crm.routing_rule is 'en: A ticket is a question, problem, incident, request, complaint, return or other. | tr: Talep question, problem, incident, request, complaint, return ya da other olabilir.';
comment on constraint routing_rule_priority_known on crm.routing_rule is 'en: A priority is low, normal, high or urgent. | tr: Öncelik low, normal, high ya da urgent olabilir.';
comment on constraint routing_rule_sla_class_length on crm.routing_rule is 'en: A class has 1 to 100 characters. | tr: Sınıf 1 ile 100 karakter arasındadır.';
comment on constraint routing_rule_tier_shape on crm.routing_rule is 'en: Name a tier by its code, such as gold. | tr: Kademeyi gold gibi koduyla yazın.';
comment on constraint routing_rule_language_shape on crm.routing_rule is 'en: Give a language by its two letters, such as tr. | tr: Dili tr gibi iki harfle verin.';
comment on constraint routing_rule_words_shape on crm.routing_rule is 'en: Give up to 100 words. | tr: En çok 100 sözcük verin.';
comment on constraint routing_rule_skills_shape on crm.routing_rule is 'en: Name up to 20 skills with small letters a–z, digits and underscores. | tr: En çok 20 yetkinliği a–z küçük harf, rakam ve alt çizgiyle yazın.';
comment on constraint routing_rule_raise_to_known on crm.routing_rule is 'en: A rule raises to normal, high or urgent. | tr: Kural önceliği normal, high ya da urgent düzeyine yükseltir.';
comment on constraint routing_rule_strategy_known on crm.routing_rule is 'en: A strategy is least_loaded, most_skilled or none. | tr: Yöntem least_loaded, most_skilled ya da none olabilir.';
select crm.protect('crm.routing_rule', area => 'service', kind => 'common', resource => 'routing_rules', verbs => '{select,insert,update,delete}');

create table crm.routing_decision (
  customer_id     uuid        not null,
  id              uuid        not null default crm.uuid_v7(),
  ticket_id       uuid,
  conversation_id uuid,
  cause           text        not null,
  rule_id         uuid,
  team_id         uuid,
  assignee_id     uuid,
  reason_en       text        not null,
  reason_tr       text        not null,
  candidates      jsonb       not null default '[]',
  decided_at      timestamptz not null default now(),
  department_id   uuid        not null,
  owner_id        uuid,
  audience        uuid,
  created_at      timestamptz not null default now(),
  created_by      uuid        default crm.caller_id(),
  constraint routing_decision_id_primary primary key (customer_id, id),
  constraint routing_decision_one_subject check (num_nonnulls(ticket_id, conversation_id) = 1),
  constraint routing_decision_ticket_id_exists foreign key (customer_id, ticket_id) references crm.ticket (customer_id, id) deferrable initially deferred,
  constraint routing_decision_conversation_id_exists foreign key (customer_id, conversation_id) references crm.conversation (customer_id, id),
  constraint routing_decision_cause_known check (cause in ('opened', 'waiting', 'absence', 'escalation', 'asked', 'assigned')),
  constraint routing_decision_rule_id_exists foreign key (rule_id) references crm.routing_rule (id) on delete set null,
  constraint routing_decision_team_id_exists foreign key (team_id) references crm.team (id),
  constraint routing_decision_assignee_id_exists foreign key (assignee_id) references crm.app_user (id),
  constraint routing_decision_decided_at_finite check (isfinite(decided_at))
);
comment on table crm.routing_decision is 'Who was given a ticket or a conversation, and why.';
comment on column crm.routing_decision.ticket_id is 'The ticket.';
comment on column crm.routing_decision.conversation_id is 'The conversation, when it is about one without a ticket.';
comment on column crm.routing_decision.cause is 'Why it was decided: opened, waiting (somebody became free), absence, escalation, asked, or assigned (by hand).';
comment on column crm.routing_decision.rule_id is 'The rule that decided.';
comment on column crm.routing_decision.team_id is 'The team that got it.';
comment on column crm.routing_decision.assignee_id is 'Who got it; null when it waits in the team.';
comment on column crm.routing_decision.reason_en is 'Why, in English.';
comment on column crm.routing_decision.reason_tr is 'Why, in Turkish.';
comment on column crm.routing_decision.candidates is 'The members of the team as they were found, the first choice first: user, whether they fit, why not, load, capacity, skill.';
comment on column crm.routing_decision.decided_at is 'When.';
comment on constraint routing_decision_one_subject on crm.routing_decision is 'en: A decision is about a ticket or a conversation. | tr: Karar bir talep ya da bir konuşma hakkındadır.';
comment on constraint routing_decision_cause_known on crm.routing_decision is 'en: A cause is opened, waiting, absence, escalation, asked or assigned. | tr: Neden opened, waiting, absence, escalation, asked ya da assigned olabilir.';
comment on constraint routing_decision_decided_at_finite on crm.routing_decision is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create index routing_decision_ticket_id_index on crm.routing_decision (customer_id, ticket_id, decided_at) where ticket_id is not null;
create index routing_decision_conversation_id_index on crm.routing_decision (customer_id, conversation_id) where conversation_id is not null;
create index routing_decision_assignee_id_index on crm.routing_decision (assignee_id, decided_at) where assignee_id is not null;
create index routing_decision_id_index on crm.routing_decision (id);
select crm.protect('crm.routing_decision', area => 'service', kind => 'owned', resource => 'routing_decisions', verbs => '{select}', bi => true);

-- Who of a team takes it ------------------------------------------------------------------------------------------------------------

create function crm.agent_load(agent uuid) returns integer language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select ((select count(*) from crm.ticket as t where t.assignee_id = agent and t.status not in ('resolved', 'closed'))
    + (select count(*) from crm.conversation as c where c.assignee_id = agent and c.state = 'open'
        and not exists (select from crm.ticket as t where t.customer_id = c.customer_id and t.conversation_id = c.id and t.status not in ('resolved', 'closed'))))::integer
$$;
comment on function crm.agent_load(uuid) is 'How many tickets and conversations without one a colleague has open.';

create function crm.routing_candidates(
  team uuid, skills text[], language text, customer_owner uuid, owner_first boolean, strategy text, excluding uuid[], at timestamptz
) returns table (user_id uuid, name text, obstacle text, load integer, capacity integer, skill integer, is_owner boolean, place bigint) language sql stable as $$
  with team as (
    select t.id, crm.is_open(t.calendar_id, routing_candidates.at) as is_open from crm.team as t where t.id = routing_candidates.team
  ), speaks as (
    select exists (select from crm.team_member as m join crm.agent_skill as s on s.user_id = m.user_id and s.kind = 'language' and s.skill = routing_candidates.language
      where m.team_id = routing_candidates.team and m.active) as somebody
  ), member as (
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
  ), judged as (
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
comment on function crm.routing_candidates(uuid, text[], text, uuid, boolean, text, uuid[], timestamptz) is
  'The members of a team in the order in which something would be given to them, and what stands against each: inactive, excluded, absent, busy, away, offline, off_hours, skill, language or full. A language that nobody in the team speaks is asked of nobody; outside the team''s hours only those take work who say that they are available. Of equals, whoever got something longest ago comes first.';

create type crm.route as (rule_id uuid, team_id uuid, assignee_id uuid, skills text[], raise_to text, reason_en text, reason_tr text, candidates jsonb);
comment on type crm.route is 'A decision of routing that is not written down yet.';

create function crm.find_route(
  customer uuid, channel text, account uuid, type text, priority text, sla_class text, tier text, language text, product uuid, words text,
  team uuid, skills text[], excluding uuid[], at timestamptz
) returns crm.route language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  rule crm.routing_rule;
  found crm.route;
  first record;
  team_name text;
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
  from crm.routing_candidates(found.team_id, found.skills, find_route.language, (select k.owner_id from crm.customer as k where k.id = find_route.customer),
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
comment on function crm.find_route(uuid, text, uuid, text, text, text, text, text, uuid, text, uuid, text[], uuid[], timestamptz) is
  'Where something belongs at an instant, and why: the first rule that fits decides the team (a team given beforehand stays), the team''s first candidate gets it.';

create function crm.higher_priority(one text, other text) returns text language sql immutable parallel safe
  return case when other is not null and array_position(array['low', 'normal', 'high', 'urgent'], other) > array_position(array['low', 'normal', 'high', 'urgent'], one) then other else one end;
comment on function crm.higher_priority(text, text) is 'The higher of two priorities.';

-- A new ticket is routed before it is stored, so that it is written once; its decision waits for it until the transaction ends.
create function crm.serve_new_ticket() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
comment on function crm.serve_new_ticket() is 'Trigger: a new ticket gets its customer''s class and tier as they are now, its team and assignee, its policy, and what its clocks come to.';
-- By its name it comes before ticket_prepare_insert, so that the series of numbers is locked last.
create trigger ticket_accept_insert before insert on crm.ticket for each row execute function crm.serve_new_ticket();

create function crm.route_ticket(customer uuid, ticket uuid, cause text, excluding uuid[], at timestamptz, only_if_found boolean default false) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t crm.ticket;
  way crm.route;
begin
  select * into t from crm.ticket as x where x.customer_id = route_ticket.customer and x.id = route_ticket.ticket for update;
  way := crm.find_route(t.customer_id, t.channel, (select c.channel_account_id from crm.conversation as c where c.customer_id = t.customer_id and c.id = t.conversation_id),
    t.type, t.priority, t.sla_class, t.tier, t.language, t.product_id, concat_ws(' ', t.subject, t.description), t.team_id, t.skills, route_ticket.excluding, route_ticket.at);
  if way.assignee_id is null and only_if_found then
    return null;
  end if;
  update crm.ticket as x set team_id = way.team_id, assignee_id = way.assignee_id, skills = way.skills, priority = crm.higher_priority(x.priority, way.raise_to)
  where x.customer_id = t.customer_id and x.id = t.id;
  insert into crm.routing_decision (customer_id, ticket_id, cause, rule_id, team_id, assignee_id, reason_en, reason_tr, candidates, decided_at, department_id, owner_id, audience)
  select t.customer_id, t.id, route_ticket.cause, way.rule_id, way.team_id, way.assignee_id, way.reason_en, way.reason_tr, way.candidates, route_ticket.at, x.department_id, x.owner_id, x.audience
  from crm.ticket as x where x.customer_id = t.customer_id and x.id = t.id;
  return way.assignee_id;
end
$$;
comment on function crm.route_ticket(uuid, uuid, text, uuid[], timestamptz, boolean) is
  'Routes a ticket again within its team, or by the rules when it has none; records why. Answers who got it; with only_if_found nothing changes when nobody can take it.';

create function crm.route_conversation(customer uuid, conversation uuid, cause text, excluding uuid[], at timestamptz) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  c crm.conversation;
  standing record;
  way crm.route;
  said text;
begin
  select * into c from crm.conversation as x where x.customer_id = route_conversation.customer and x.id = route_conversation.conversation for update;
  if not found then
    perform crm.missing_reference('conversation_id');
  end if;
  select * into standing from crm.service_standing(c.customer_id);
  select left(string_agg(i.body_text, ' '), 20000) into said from (
    select x.body_text from crm.interaction as x where x.conversation_id = c.id and x.direction = 'in' order by x.occurred_at limit 3) as i;
  way := crm.find_route(c.customer_id, c.channel, c.channel_account_id, null, c.priority, standing.sla_class, standing.tier, standing.locale, null, concat_ws(' ', c.subject, said),
    c.team_id, '{}', route_conversation.excluding, route_conversation.at);
  update crm.conversation as x set team_id = way.team_id, assignee_id = way.assignee_id, priority = crm.higher_priority(x.priority, way.raise_to)
  where x.customer_id = c.customer_id and x.id = c.id and (x.team_id, x.assignee_id, x.priority) is distinct from (way.team_id, way.assignee_id, crm.higher_priority(x.priority, way.raise_to));
  insert into crm.routing_decision (customer_id, conversation_id, cause, rule_id, team_id, assignee_id, reason_en, reason_tr, candidates, decided_at, department_id, owner_id, audience)
  values (c.customer_id, c.id, route_conversation.cause, way.rule_id, way.team_id, way.assignee_id, way.reason_en, way.reason_tr, way.candidates, route_conversation.at,
    c.department_id, c.owner_id, c.audience);
  return way.assignee_id;
end
$$;
comment on function crm.route_conversation(uuid, uuid, text, uuid[], timestamptz) is 'Routes a conversation as tickets are routed, by what was said first in it; records why. Answers who got it.';

create function crm.route_waiting(at timestamptz, most integer) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  item record;
  routed integer := 0;
begin
  -- Whoever is absent from now on gives up the open work.
  for item in
    select t.customer_id, t.id, t.assignee_id from crm.absence as a join crm.ticket as t on t.assignee_id = a.user_id and t.status in ('new', 'open')
    where a.handled_at is null and a.starts_at <= route_waiting.at and a.ends_at > route_waiting.at order by t.opened_at limit most
  loop
    perform crm.route_ticket(item.customer_id, item.id, 'absence', array[item.assignee_id], route_waiting.at);
    routed := routed + 1;
  end loop;
  if routed < most then
    update crm.absence as a set handled_at = route_waiting.at where a.handled_at is null and a.starts_at <= route_waiting.at;
  end if;
  -- What waits goes to whoever has become free, the earliest limit first.
  for item in
    select t.customer_id, t.id from crm.ticket as t
    where t.assignee_id is null and t.status in ('new', 'open') and t.team_id is not null and exists (
      select from crm.routing_candidates(t.team_id, t.skills, t.language, null, false, 'least_loaded', null, route_waiting.at) as c where c.obstacle is null)
    order by t.next_due_at nulls last, t.opened_at limit greatest(most - routed, 0)
  loop
    if crm.route_ticket(item.customer_id, item.id, 'waiting', null, route_waiting.at, true) is not null then
      routed := routed + 1;
    end if;
  end loop;
  return routed;
end
$$;
comment on function crm.route_waiting(timestamptz, integer) is
  'Routes again, at an instant, the open tickets of colleagues who are absent, and tickets that wait in a team whose members can take some; answers how many. For system work.';

create function crm.lead_ticket_parts() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.ticket_stay as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  update crm.ticket_clock as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  update crm.sla_event as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  update crm.routing_decision as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  return null;
end
$$;
comment on function crm.lead_ticket_parts() is 'Trigger: when a ticket changes department, owner or visibility, its stays, clocks, events and decisions follow.';
create trigger ticket_lead after update on crm.ticket for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_ticket_parts();
alter table crm.ticket enable always trigger ticket_lead;

-- Opening a ticket from a conversation ------------------------------------------------------------------------------------------------

create function crm.open_ticket(customer uuid, conversation uuid) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  c crm.conversation;
  said record;
  place record;
  made crm.ticket;
begin
  select * into c from crm.conversation as x where x.customer_id = open_ticket.customer and x.id = open_ticket.conversation for update;
  if not found then
    perform crm.missing_reference('conversation_id');
  end if;
  select t.* into made from crm.ticket as t where t.customer_id = c.customer_id and t.conversation_id = c.id and t.status <> 'closed' order by t.opened_at desc limit 1;
  if found then
    return made.id;
  end if;
  select i.subject, i.body_text, i.occurred_at into said from crm.interaction as i
  where i.conversation_id = c.id and i.customer_id = c.customer_id and i.direction = 'in' order by i.occurred_at desc, i.id desc limit 1;
  select a.ticket_team_id, a.department_id into place from crm.channel_account as a where a.id = c.channel_account_id;
  insert into crm.ticket (customer_id, subject, description, priority, channel, contact_id, conversation_id, team_id, opened_at, department_id, visibility)
  values (c.customer_id, left(coalesce(nullif(btrim(c.subject), ''), nullif(btrim(said.subject), ''), left(nullif(btrim(said.body_text), ''), 80), '—'), 300),
    left(said.body_text, 100000), c.priority, c.channel, c.contact_id, c.id, coalesce(c.team_id, place.ticket_team_id), coalesce(said.occurred_at, now()),
    c.department_id, case c.visibility when 'private' then 'department' else c.visibility end)
  returning * into made;
  update crm.conversation as x set team_id = made.team_id, assignee_id = made.assignee_id
  where x.customer_id = c.customer_id and x.id = c.id and (x.team_id, x.assignee_id) is distinct from (made.team_id, made.assignee_id);
  return made.id;
end
$$;
comment on function crm.open_ticket(uuid, uuid) is
  'Opens a ticket for a conversation, by what the customer said last in it, unless one is open; it is routed and its clocks count from then. Answers its id.';

set local role none;
grant create on schema crm to crm_steward;
do $$
declare
  name text;
begin
  foreach name in array array[
    'serve_new_ticket()', 'lead_ticket_parts()', 'agent_load(uuid)', 'find_route(uuid, text, uuid, text, text, text, text, text, uuid, text, uuid, text[], uuid[], timestamptz)',
    'route_ticket(uuid, uuid, text, uuid[], timestamptz, boolean)', 'route_conversation(uuid, uuid, text, uuid[], timestamptz)', 'route_waiting(timestamptz, integer)', 'open_ticket(uuid, uuid)'
  ] loop
    execute format('revoke execute on function crm.%s from crm_app, crm_worker, crm_bulk, crm_access', name);
    execute format('alter function crm.%s owner to crm_steward', name);
  end loop;
end
$$;
grant execute on function crm.open_ticket(uuid, uuid), crm.route_waiting(timestamptz, integer), crm.route_conversation(uuid, uuid, text, uuid[], timestamptz) to crm_worker;
revoke create on schema crm from crm_steward;
set local role crm_owner;
