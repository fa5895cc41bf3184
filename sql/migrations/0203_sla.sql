-- What is promised and whether it is kept: policies, each ticket's stays in its statuses, and clocks that follow from them alone.
set local role crm_owner;

alter table crm.ticket add constraint ticket_conversation_id_exists foreign key (customer_id, conversation_id) references crm.conversation (customer_id, id);
comment on constraint ticket_conversation_id_exists on crm.ticket is 'en: The record named in "conversation_id" does not exist or is still in use. | tr: "conversation_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';
alter table crm.conversation add constraint conversation_team_id_exists foreign key (team_id) references crm.team (id);
comment on constraint conversation_team_id_exists on crm.conversation is 'en: The record named in "team_id" does not exist or is still in use. | tr: "team_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';
alter table crm.channel_account add constraint channel_account_ticket_team_id_exists foreign key (ticket_team_id) references crm.team (id);
comment on constraint channel_account_ticket_team_id_exists on crm.channel_account is 'en: The record named in "ticket_team_id" does not exist or is still in use. | tr: "ticket_team_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';
alter table crm.internal_note add constraint internal_note_ticket_id_exists foreign key (customer_id, ticket_id) references crm.ticket (customer_id, id);
comment on constraint internal_note_ticket_id_exists on crm.internal_note is 'en: The record named in "ticket_id" does not exist or is still in use. | tr: "ticket_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';

create table crm.sla_policy (
  id                     uuid        not null default crm.uuid_v7(),
  code                   text        not null,
  name                   text        not null,
  sla_class              text,
  tier                   text,
  priority               text,
  type                   text,
  channel                text,
  calendar_id            uuid,
  first_response_minutes integer,
  next_response_minutes  integer,
  resolution_minutes     integer,
  pauses                 text[]      not null default '{pending_customer}',
  warn_percent           smallint    not null default 80,
  active                 boolean     not null default true,
  note                   text,
  created_at             timestamptz not null default now(),
  updated_at             timestamptz not null default now(),
  version                integer     not null default 1,
  created_by             uuid        default crm.caller_id(),
  constraint sla_policy_id_primary primary key (id),
  constraint sla_policy_code_unique unique (code),
  constraint sla_policy_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint sla_policy_name_length check (length(btrim(name)) between 1 and 200),
  constraint sla_policy_sla_class_length check (length(btrim(sla_class)) between 1 and 100),
  constraint sla_policy_tier_shape check (tier ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint sla_policy_priority_known check (priority in ('low', 'normal', 'high', 'urgent')),
  constraint sla_policy_type_known check (type in ('question', 'problem', 'incident', 'request', 'complaint', 'return', 'other')),
  constraint sla_policy_channel_known check (channel in ('email', 'phone', 'meeting', 'chat', 'sms', 'social', 'web', 'form', 'letter', 'portal', 'other')),
  constraint sla_policy_calendar_id_exists foreign key (calendar_id) references crm.business_calendar (id),
  constraint sla_policy_first_response_minutes_range check (first_response_minutes between 1 and 525600),
  constraint sla_policy_next_response_minutes_range check (next_response_minutes between 1 and 525600),
  constraint sla_policy_resolution_minutes_range check (resolution_minutes between 1 and 5256000),
  constraint sla_policy_pauses_known check (pauses <@ array['new', 'open', 'pending_customer', 'on_hold']),
  constraint sla_policy_warn_percent_range check (warn_percent between 1 and 100)
);
comment on table crm.sla_policy is 'What is promised to which tickets. Of the active policies that fit a ticket the most specific one holds.';
comment on column crm.sla_policy.code is 'Short stable name.';
comment on column crm.sla_policy.name is 'Name as people say it.';
comment on column crm.sla_policy.sla_class is 'For customers of this class of service, as the cell of the grid that steers says; null for all.';
comment on column crm.sla_policy.tier is 'For customers of this tier of the default value model; null for all.';
comment on column crm.sla_policy.priority is 'For tickets of this priority; null for all.';
comment on column crm.sla_policy.type is 'For tickets of this type; null for all.';
comment on column crm.sla_policy.channel is 'For tickets that came by this channel; null for all.';
comment on column crm.sla_policy.calendar_id is 'The calendar whose time counts; null counts around the clock.';
comment on column crm.sla_policy.first_response_minutes is 'Within how many minutes of that calendar the customer is answered first; null promises nothing.';
comment on column crm.sla_policy.next_response_minutes is 'Within how many the customer is answered who wrote again.';
comment on column crm.sla_policy.resolution_minutes is 'Within how many it is resolved.';
comment on column crm.sla_policy.pauses is 'The statuses in which its clocks stand still; resolved and closed always do.';
comment on column crm.sla_policy.warn_percent is 'How much of the time has gone when a warning is given, in percent.';
comment on column crm.sla_policy.active is 'Whether it holds.';
comment on column crm.sla_policy.note is 'What colleagues should know.';
comment on constraint sla_policy_code_unique on crm.sla_policy is 'en: Another policy already has this code. | tr: Bu kod başka bir politikada kullanılıyor.';
comment on constraint sla_policy_code_shape on crm.sla_policy is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint sla_policy_name_length on crm.sla_policy is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint sla_policy_sla_class_length on crm.sla_policy is 'en: A class has 1 to 100 characters. | tr: Sınıf 1 ile 100 karakter arasındadır.';
comment on constraint sla_policy_tier_shape on crm.sla_policy is 'en: Name a tier by its code, such as gold. | tr: Kademeyi gold gibi koduyla yazın.';
comment on constraint sla_policy_priority_known on crm.sla_policy is 'en: A priority is low, normal, high or urgent. | tr: Öncelik low, normal, high ya da urgent olabilir.';
comment on constraint sla_policy_type_known on crm.sla_policy is 'en: A ticket is a question, problem, incident, request, complaint, return or other. | tr: Talep question, problem, incident, request, complaint, return ya da other olabilir.';
comment on constraint sla_policy_channel_known on crm.sla_policy is 'en: A channel is email, phone, meeting, chat, sms, social, web, form, letter, portal or other. | tr: Kanal email, phone, meeting, chat, sms, social, web, form, letter, portal ya da other olabilir.';
comment on constraint sla_policy_first_response_minutes_range on crm.sla_policy is 'en: Give 1 minute to a year. | tr: 1 dakika ile bir yıl arasında verin.';
comment on constraint sla_policy_next_response_minutes_range on crm.sla_policy is 'en: Give 1 minute to a year. | tr: 1 dakika ile bir yıl arasında verin.';
comment on constraint sla_policy_resolution_minutes_range on crm.sla_policy is 'en: Give 1 minute to ten years. | tr: 1 dakika ile on yıl arasında verin.';
comment on constraint sla_policy_pauses_known on crm.sla_policy is 'en: Clocks can stand still while a ticket is new, open, pending_customer or on_hold. | tr: Saatler talep new, open, pending_customer ya da on_hold iken durabilir.';
comment on constraint sla_policy_warn_percent_range on crm.sla_policy is 'en: Give 1 to 100 percent. | tr: Yüzde 1 ile 100 arasında verin.';
select crm.protect('crm.sla_policy', area => 'service', kind => 'common', resource => 'sla_policies', bi => true);

alter table crm.ticket add constraint ticket_sla_policy_id_exists foreign key (sla_policy_id) references crm.sla_policy (id);
comment on constraint ticket_sla_policy_id_exists on crm.ticket is 'en: The record named in "sla_policy_id" does not exist or is still in use. | tr: "sla_policy_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';
create index ticket_sla_policy_id_index on crm.ticket (sla_policy_id) where sla_policy_id is not null;

create table crm.ticket_stay (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  ticket_id     uuid        not null,
  status        text        not null,
  reason        text,
  starts_at     timestamptz not null,
  ends_at       timestamptz,
  by_id         uuid        default crm.caller_id(),
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  constraint ticket_stay_id_primary primary key (customer_id, id),
  constraint ticket_stay_ticket_id_exists foreign key (customer_id, ticket_id) references crm.ticket (customer_id, id),
  constraint ticket_stay_status_known check (status in ('new', 'open', 'pending_customer', 'on_hold', 'resolved', 'closed')),
  constraint ticket_stay_starts_at_finite check (isfinite(starts_at) and isfinite(ends_at)),
  constraint ticket_stay_ends_at_ordered check (ends_at >= starts_at),
  constraint ticket_stay_by_id_exists foreign key (by_id) references crm.app_user (id)
);
comment on table crm.ticket_stay is 'How long a ticket was in which status: the intervals that its clocks run or stand still in.';
comment on column crm.ticket_stay.ticket_id is 'The ticket.';
comment on column crm.ticket_stay.status is 'The status.';
comment on column crm.ticket_stay.reason is 'Why it came into this status.';
comment on column crm.ticket_stay.starts_at is 'From when.';
comment on column crm.ticket_stay.ends_at is 'Until when; null while it is in it.';
comment on column crm.ticket_stay.by_id is 'Who moved it; null for the system.';
comment on constraint ticket_stay_status_known on crm.ticket_stay is 'en: A ticket is new, open, pending_customer, on_hold, resolved or closed. | tr: Talep new, open, pending_customer, on_hold, resolved ya da closed olabilir.';
comment on constraint ticket_stay_starts_at_finite on crm.ticket_stay is 'en: Give real instants. | tr: Gerçek anlar verin.';
comment on constraint ticket_stay_ends_at_ordered on crm.ticket_stay is 'en: A ticket leaves a status after it came into it. | tr: Talep bir duruma girdikten sonra ondan çıkar.';
create index ticket_stay_ticket_id_index on crm.ticket_stay (customer_id, ticket_id, starts_at);
create unique index ticket_stay_open_index on crm.ticket_stay (customer_id, ticket_id) where ends_at is null;
select crm.protect('crm.ticket_stay', area => 'service', kind => 'owned', verbs => '{select}', bi => true, reason => 'Each row is a range of time: it is its own history.');

create table crm.ticket_clock (
  customer_id     uuid             not null,
  id              uuid             not null default crm.uuid_v7(),
  ticket_id       uuid             not null,
  kind            text             not null,
  cycle           integer          not null default 1,
  started_at      timestamptz      not null,
  stopped_at      timestamptz,
  policy_id       uuid,
  calendar_id     uuid,
  goal_seconds    integer,
  warn_percent    smallint,
  state           text             not null default 'untimed',
  elapsed_seconds double precision not null default 0,
  due_at          timestamptz,
  breaches_at     timestamptz,
  warns_at        timestamptz,
  wakes_at        timestamptz,
  warned_at       timestamptz,
  breached_at     timestamptz,
  department_id   uuid             not null,
  owner_id        uuid,
  audience        uuid,
  created_at      timestamptz      not null default now(),
  constraint ticket_clock_id_primary primary key (customer_id, id),
  constraint ticket_clock_cycle_unique unique (customer_id, ticket_id, kind, cycle),
  constraint ticket_clock_ticket_id_exists foreign key (customer_id, ticket_id) references crm.ticket (customer_id, id),
  constraint ticket_clock_kind_known check (kind in ('first_response', 'next_response', 'resolution')),
  constraint ticket_clock_cycle_positive check (cycle > 0),
  constraint ticket_clock_started_at_finite check (isfinite(started_at) and isfinite(stopped_at)),
  constraint ticket_clock_stopped_at_ordered check (stopped_at >= started_at),
  constraint ticket_clock_policy_id_exists foreign key (policy_id) references crm.sla_policy (id),
  constraint ticket_clock_calendar_id_exists foreign key (calendar_id) references crm.business_calendar (id),
  constraint ticket_clock_goal_seconds_positive check (goal_seconds > 0),
  constraint ticket_clock_state_known check (state in ('untimed', 'running', 'paused', 'met', 'breached')),
  constraint ticket_clock_elapsed_seconds_number check (elapsed_seconds >= 0 and elapsed_seconds < 'Infinity')
) with (fillfactor = 80);
comment on table crm.ticket_clock is 'How long something takes that was promised: when it began and ended is a fact, all else follows from the ticket''s stays, the policy and its calendar, and is computed again when they change.';
comment on column crm.ticket_clock.ticket_id is 'The ticket.';
comment on column crm.ticket_clock.kind is 'first_response, next_response or resolution.';
comment on column crm.ticket_clock.cycle is 'Which one of its kind, from 1: each time that the customer writes again begins a next_response.';
comment on column crm.ticket_clock.started_at is 'When it began.';
comment on column crm.ticket_clock.stopped_at is 'When it was done; null while it is not.';
comment on column crm.ticket_clock.policy_id is 'The policy it goes by.';
comment on column crm.ticket_clock.calendar_id is 'The calendar it goes by; null counts around the clock.';
comment on column crm.ticket_clock.goal_seconds is 'Within how many seconds of that calendar it is to be done; null when nothing is promised.';
comment on column crm.ticket_clock.warn_percent is 'How much of the goal has gone when a warning is given.';
comment on column crm.ticket_clock.state is 'untimed (nothing promised), running, paused, met (done within the goal, or exactly at it) or breached (not done within it, be it done by now or not).';
comment on column crm.ticket_clock.elapsed_seconds is 'Seconds of the calendar while it ran: until it was done; of an open one, until it last came into its present status.';
comment on column crm.ticket_clock.due_at is 'The first instant at which the goal is used up; null while it stands still.';
comment on column crm.ticket_clock.breaches_at is 'The last instant at which the goal is still met: later than due_at when that is the end of a working day.';
comment on column crm.ticket_clock.warns_at is 'When the warning is due.';
comment on column crm.ticket_clock.wakes_at is 'When something is to be done about it next: a warning, a breach, a step of escalation.';
comment on column crm.ticket_clock.warned_at is 'When the warning was given.';
comment on column crm.ticket_clock.breached_at is 'When the goal was missed, once that was noted.';
comment on constraint ticket_clock_cycle_unique on crm.ticket_clock is 'en: This clock runs already. | tr: Bu saat zaten işliyor.';
comment on constraint ticket_clock_kind_known on crm.ticket_clock is 'en: A clock is first_response, next_response or resolution. | tr: Saat first_response, next_response ya da resolution olabilir.';
comment on constraint ticket_clock_cycle_positive on crm.ticket_clock is 'en: Cycles are counted from 1. | tr: Turlar 1''den sayılır.';
comment on constraint ticket_clock_started_at_finite on crm.ticket_clock is 'en: Give real instants. | tr: Gerçek anlar verin.';
comment on constraint ticket_clock_stopped_at_ordered on crm.ticket_clock is 'en: It is done after it began. | tr: Bitiş başlangıçtan sonradır.';
comment on constraint ticket_clock_goal_seconds_positive on crm.ticket_clock is 'en: A goal is positive. | tr: Hedef pozitiftir.';
comment on constraint ticket_clock_state_known on crm.ticket_clock is 'en: A clock is untimed, running, paused, met or breached. | tr: Saat untimed, running, paused, met ya da breached olabilir.';
comment on constraint ticket_clock_elapsed_seconds_number on crm.ticket_clock is 'en: Time is not negative. | tr: Süre eksi olamaz.';
create index ticket_clock_wakes_at_index on crm.ticket_clock (wakes_at) where wakes_at is not null;
create index ticket_clock_started_at_index on crm.ticket_clock (kind, started_at);
select crm.protect('crm.ticket_clock', area => 'service', kind => 'owned', verbs => '{select}', bi => true, reason => 'It follows from the ticket, its stays and its policy.');

create table crm.escalation_step (
  id           uuid        not null default crm.uuid_v7(),
  policy_id    uuid        not null,
  clock        text        not null,
  at_percent   integer     not null,
  action       text        not null,
  notify       text,
  user_id      uuid,
  team_id      uuid,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  version      integer     not null default 1,
  created_by   uuid        default crm.caller_id(),
  constraint escalation_step_id_primary primary key (id),
  constraint escalation_step_at_percent_unique unique nulls not distinct (policy_id, clock, at_percent, action, notify, user_id, team_id),
  constraint escalation_step_policy_id_exists foreign key (policy_id) references crm.sla_policy (id) on delete cascade,
  constraint escalation_step_clock_known check (clock in ('first_response', 'next_response', 'resolution')),
  constraint escalation_step_at_percent_range check (at_percent between 1 and 1000),
  constraint escalation_step_action_known check (action in ('notify', 'reassign', 'raise_priority')),
  constraint escalation_step_notify_known check (notify in ('assignee', 'team_lead', 'user')),
  constraint escalation_step_notify_given check ((action = 'notify') = (notify is not null)),
  constraint escalation_step_user_id_given check (user_id is null or action = 'reassign' or notify = 'user'),
  constraint escalation_step_user_id_needed check (notify <> 'user' or user_id is not null),
  constraint escalation_step_team_id_given check (team_id is null or action = 'reassign'),
  constraint escalation_step_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint escalation_step_team_id_exists foreign key (team_id) references crm.team (id)
);
comment on table crm.escalation_step is 'What happens when so much of a promise''s time has gone: a link of a policy''s chain of escalation.';
comment on column crm.escalation_step.policy_id is 'The policy.';
comment on column crm.escalation_step.clock is 'Of which clock: first_response, next_response or resolution.';
comment on column crm.escalation_step.at_percent is 'When this much of the goal has gone, in percent; over 100 after it was missed.';
comment on column crm.escalation_step.action is 'notify (tell somebody), reassign (to a user, to a team, or to somebody else of the team) or raise_priority (by one).';
comment on column crm.escalation_step.notify is 'Whom to tell: assignee, team_lead or user.';
comment on column crm.escalation_step.user_id is 'The user to tell, or to give the ticket to.';
comment on column crm.escalation_step.team_id is 'The team to give the ticket to.';
comment on constraint escalation_step_at_percent_unique on crm.escalation_step is 'en: The policy already has this step. | tr: Politikada bu adım zaten var.';
comment on constraint escalation_step_clock_known on crm.escalation_step is 'en: A clock is first_response, next_response or resolution. | tr: Saat first_response, next_response ya da resolution olabilir.';
comment on constraint escalation_step_at_percent_range on crm.escalation_step is 'en: Give 1 to 1000 percent. | tr: Yüzde 1 ile 1000 arasında verin.';
comment on constraint escalation_step_action_known on crm.escalation_step is 'en: A step does notify, reassign or raise_priority. | tr: Adım notify, reassign ya da raise_priority olabilir.';
comment on constraint escalation_step_notify_known on crm.escalation_step is 'en: Told is the assignee, the team_lead or a user. | tr: assignee, team_lead ya da user bilgilendirilir.';
comment on constraint escalation_step_notify_given on crm.escalation_step is 'en: A step that notifies, and no other, says whom. | tr: Yalnızca bilgilendiren adım kimi bilgilendireceğini söyler.';
comment on constraint escalation_step_user_id_given on crm.escalation_step is 'en: A user is named to tell or to give the ticket to. | tr: Kullanıcı, bilgilendirmek ya da talebi vermek için belirtilir.';
comment on constraint escalation_step_user_id_needed on crm.escalation_step is 'en: Name the user to tell. | tr: Bilgilendirilecek kullanıcıyı belirtin.';
comment on constraint escalation_step_team_id_given on crm.escalation_step is 'en: A team is named to give the ticket to. | tr: Ekip, talebi vermek için belirtilir.';
select crm.protect('crm.escalation_step', area => 'service', kind => 'common', resource => 'escalation_steps', verbs => '{select,insert,update,delete}');

create table crm.sla_event (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  ticket_id     uuid        not null,
  clock_id      uuid        not null,
  kind          text        not null,
  clock         text        not null,
  step_id       uuid,
  action        text,
  at            timestamptz not null,
  user_id       uuid,
  note          text,
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  constraint sla_event_id_primary primary key (customer_id, id),
  constraint sla_event_ticket_id_exists foreign key (customer_id, ticket_id) references crm.ticket (customer_id, id),
  constraint sla_event_clock_id_exists foreign key (customer_id, clock_id) references crm.ticket_clock (customer_id, id),
  constraint sla_event_kind_known check (kind in ('warning', 'breach', 'escalation')),
  constraint sla_event_step_id_exists foreign key (step_id) references crm.escalation_step (id) on delete set null,
  constraint sla_event_user_id_exists foreign key (user_id) references crm.app_user (id)
);
comment on table crm.sla_event is 'That a promise was about to be broken, was broken, or was escalated.';
comment on column crm.sla_event.ticket_id is 'The ticket.';
comment on column crm.sla_event.clock_id is 'The clock.';
comment on column crm.sla_event.kind is 'warning, breach or escalation.';
comment on column crm.sla_event.clock is 'first_response, next_response or resolution.';
comment on column crm.sla_event.step_id is 'The step of escalation.';
comment on column crm.sla_event.action is 'What the step did.';
comment on column crm.sla_event.at is 'The instant it was due, by the clock.';
comment on column crm.sla_event.user_id is 'Who was told, or got the ticket.';
comment on column crm.sla_event.note is 'What came of it.';
comment on constraint sla_event_kind_known on crm.sla_event is 'en: An event is a warning, a breach or an escalation. | tr: Olay warning, breach ya da escalation olabilir.';
create index sla_event_ticket_id_index on crm.sla_event (customer_id, ticket_id, at);
create index sla_event_clock_id_index on crm.sla_event (customer_id, clock_id);
create index sla_event_at_index on crm.sla_event (at, id);
create index sla_event_id_index on crm.sla_event (id);
select crm.protect('crm.sla_event', area => 'service', kind => 'owned', resource => 'sla_events', verbs => '{select}', bi => true);

-- Which policy holds --------------------------------------------------------------------------------------------------------------

create function crm.sla_specificity(p crm.sla_policy) returns integer language sql immutable parallel safe
  return num_nonnulls((p).sla_class, (p).tier, (p).priority, (p).type, (p).channel) * 100
    + case when (p).sla_class is not null then 16 else 0 end + case when (p).tier is not null then 8 else 0 end + case when (p).priority is not null then 4 else 0 end
    + case when (p).type is not null then 2 else 0 end + case when (p).channel is not null then 1 else 0 end;
comment on function crm.sla_specificity(crm.sla_policy) is
  'How specific a policy is: the more conditions, the more; of as many, class weighs more than tier, tier than priority, priority than type, type than channel.';

create function crm.fitting_sla_policies(sla_class text, tier text, priority text, type text, channel text) returns setof crm.sla_policy language sql stable as $$
  select p.* from crm.sla_policy as p
  where p.active and (p.sla_class is null or p.sla_class = fitting_sla_policies.sla_class) and (p.tier is null or p.tier = fitting_sla_policies.tier)
    and (p.priority is null or p.priority = fitting_sla_policies.priority) and (p.type is null or p.type = fitting_sla_policies.type)
    and (p.channel is null or p.channel = fitting_sla_policies.channel)
  order by crm.sla_specificity(p) desc, p.code
$$;
comment on function crm.fitting_sla_policies(text, text, text, text, text) is 'The active policies that fit, the one that holds first: the most specific, of equally specific ones the first by code.';

create function crm.service_standing(customer uuid, out sla_class text, out tier text, out owner_id uuid, out locale text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select
    (select p.sla_class from crm.customer_policy(customer) as p limit 1),
    (select s.tier from crm.customer_standing as s join crm.value_model as m on m.id = s.model_id and m.is_default and m.active
      where s.customer_id = customer order by m.department_id nulls first, m.revision desc limit 1),
    (select c.owner_id from crm.customer as c where c.id = customer),
    (select c.locale from crm.customer as c where c.id = customer)
$$;
comment on function crm.service_standing(uuid) is
  'How a customer is served: the class of service of the cell it is in, its tier in the default value model, who looks after it, its language. Runs past row-level security, because whoever takes a ticket needs no right to analyses.';
