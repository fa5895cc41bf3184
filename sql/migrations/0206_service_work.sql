-- The work on tickets: watching promises, time spent, macros, merging, splitting.
set local role crm_owner;

-- Watching --------------------------------------------------------------------------------------------------------------------------

create function crm.escalate(step crm.escalation_step, clock crm.ticket_clock, ticket crm.ticket, at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  told uuid;
  done text;
  due timestamptz := crm.not_before(crm.business_limit(clock.calendar_id, crm.business_clock(clock.calendar_id, clock.breaches_at)
    + clock.goal_seconds * (step.at_percent - 100) * 10000::bigint), clock.started_at);
begin
  if step.action = 'notify' then
    told := case step.notify when 'assignee' then ticket.assignee_id when 'user' then step.user_id else (select t.lead_id from crm.team as t where t.id = ticket.team_id) end;
    if told is not null then
      perform crm.notify(told, 'sla_escalation', 'tickets', ticket.id,
        format('%s: %s%% of the time for %s has gone.', ticket.number, step.at_percent, case clock.kind when 'first_response' then 'the first response' when 'next_response' then 'the next response' else 'the resolution' end),
        format('%s: %s için sürenin %%%s kadarı geçti.', ticket.number, case clock.kind when 'first_response' then 'ilk yanıt' when 'next_response' then 'sonraki yanıt' else 'çözüm' end, step.at_percent));
    end if;
    done := case when told is null then 'nobody to tell' end;
  elsif step.action = 'raise_priority' then
    done := case ticket.priority when 'low' then 'normal' when 'normal' then 'high' else 'urgent' end;
    update crm.ticket as t set priority = done where t.customer_id = ticket.customer_id and t.id = ticket.id and t.priority <> done;
  elsif step.user_id is not null then
    told := step.user_id;
    update crm.ticket as t set assignee_id = told, team_id = coalesce(step.team_id, t.team_id) where t.customer_id = ticket.customer_id and t.id = ticket.id;
    insert into crm.routing_decision (customer_id, ticket_id, cause, team_id, assignee_id, reason_en, reason_tr, decided_at, department_id, owner_id, audience)
    select t.customer_id, t.id, 'escalation', t.team_id, told, 'A step of escalation names the user.', 'Yükseltme adımı bu kullanıcıyı belirtiyor.', escalate.at, t.department_id, t.owner_id, t.audience
    from crm.ticket as t where t.customer_id = ticket.customer_id and t.id = ticket.id;
  else
    if step.team_id is not null then
      update crm.ticket as t set team_id = step.team_id where t.customer_id = ticket.customer_id and t.id = ticket.id;
    end if;
    told := crm.route_ticket(ticket.customer_id, ticket.id, 'escalation', array_remove(array[ticket.assignee_id], null), escalate.at, true);
    done := case when told is null then 'nobody else can take it' end;
  end if;
  insert into crm.sla_event (customer_id, ticket_id, clock_id, kind, clock, step_id, action, at, user_id, note, department_id, owner_id, audience)
  values (ticket.customer_id, ticket.id, clock.id, 'escalation', clock.kind, step.id, step.action, least(coalesce(due, escalate.at), escalate.at), told, done,
    ticket.department_id, ticket.owner_id, ticket.audience);
end
$$;
comment on function crm.escalate(crm.escalation_step, crm.ticket_clock, crm.ticket, timestamptz) is 'Takes a step of escalation and writes down what came of it.';

create function crm.watch_sla(at timestamptz, most integer) returns timestamptz language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  k crm.ticket_clock;
  t crm.ticket;
  s crm.escalation_step;
  handled integer := 0;
begin
  for k in select x.* from crm.ticket_clock as x where x.wakes_at <= watch_sla.at order by x.wakes_at limit most for update skip locked loop
    select x.* into t from crm.ticket as x where x.customer_id = k.customer_id and x.id = k.ticket_id for update;
    if k.stopped_at is null and k.warns_at <= watch_sla.at
      and not exists (select from crm.sla_event as v where v.customer_id = k.customer_id and v.clock_id = k.id and v.kind = 'warning')
    then
      insert into crm.sla_event (customer_id, ticket_id, clock_id, kind, clock, at, user_id, department_id, owner_id, audience)
      values (t.customer_id, t.id, k.id, 'warning', k.kind, k.warns_at, t.assignee_id, t.department_id, t.owner_id, t.audience);
      perform crm.notify(coalesce(t.assignee_id, (select x.lead_id from crm.team as x where x.id = t.team_id)), 'sla_warning', 'tickets', t.id,
        format('%s is due soon: %s', t.number, t.subject), format('%s için süre doluyor: %s', t.number, t.subject))
      where t.assignee_id is not null or t.team_id is not null;
    end if;
    -- At the limit itself the promise is still kept.
    if (k.breaches_at < watch_sla.at or k.state = 'breached')
      and not exists (select from crm.sla_event as v where v.customer_id = k.customer_id and v.clock_id = k.id and v.kind = 'breach')
    then
      insert into crm.sla_event (customer_id, ticket_id, clock_id, kind, clock, at, user_id, department_id, owner_id, audience)
      values (t.customer_id, t.id, k.id, 'breach', k.kind, k.breaches_at, t.assignee_id, t.department_id, t.owner_id, t.audience);
      perform crm.notify(x.person, 'sla_breach', 'tickets', t.id, format('%s is overdue: %s', t.number, t.subject), format('%s süresini aştı: %s', t.number, t.subject))
      from (select t.assignee_id as person union select x.lead_id from crm.team as x where x.id = t.team_id) as x where x.person is not null;
    end if;
    if k.stopped_at is null then
      for s in
        select x.* from crm.escalation_step as x
        where x.policy_id = k.policy_id and x.clock = k.kind
          and not exists (select from crm.sla_event as v where v.customer_id = k.customer_id and v.clock_id = k.id and v.step_id = x.id)
          and crm.business_clock(k.calendar_id, watch_sla.at) >= crm.business_clock(k.calendar_id, k.breaches_at) + k.goal_seconds * (x.at_percent - 100) * 10000::bigint
        order by x.at_percent, x.id
      loop
        perform crm.escalate(s, k, t, watch_sla.at);
        select x.* into t from crm.ticket as x where x.customer_id = k.customer_id and x.id = k.ticket_id;
      end loop;
    end if;
    perform crm.evaluate_clocks(array[t.id], array[t.sla_policy_id], watch_sla.at);
    -- Whatever could not be done now is not asked for again at once.
    update crm.ticket_clock as x set wakes_at = case when x.breaches_at >= watch_sla.at and x.state <> 'breached' then x.breaches_at + interval '1 millisecond' end
    where x.customer_id = k.customer_id and x.id = k.id and x.wakes_at <= watch_sla.at;
    update crm.ticket as x set sla_state = y.sla_state, next_due_at = y.next_due_at from crm.sla_summary(array[t.id]) as y
    where x.customer_id = t.customer_id and x.id = t.id and (x.sla_state, x.next_due_at) is distinct from (y.sla_state, y.next_due_at);
    handled := handled + 1;
  end loop;
  return case when handled = most then watch_sla.at else (select min(x.wakes_at) from crm.ticket_clock as x where x.wakes_at is not null) end;
end
$$;
comment on function crm.watch_sla(timestamptz, integer) is
  'Gives the warnings, notes the breaches and takes the steps of escalation that are due at an instant; answers when something is due next. For system work.';

create function crm.recompute_after() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform crm.enqueue('service.sla_recompute', '{}', format('service.sla_recompute:%s', pg_current_xact_id()));
  return null;
end
$$;
comment on function crm.recompute_after() is 'Trigger, once a statement: has the clocks of open tickets computed anew after policies, steps of escalation or calendars changed.';
create trigger sla_policy_recompute after insert or update on crm.sla_policy for each statement execute function crm.recompute_after();
create trigger escalation_step_recompute after insert or update or delete on crm.escalation_step for each statement execute function crm.recompute_after();
create trigger calendar_span_recompute after insert or delete on crm.calendar_span for each statement execute function crm.recompute_after();

-- Time spent ------------------------------------------------------------------------------------------------------------------------

create table crm.ticket_time (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  ticket_id     uuid        not null,
  user_id       uuid        not null default crm.caller_id(),
  kind          text        not null default 'work',
  worked_at     timestamptz not null default now(),
  seconds       integer     not null,
  note          text,
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint ticket_time_id_primary primary key (customer_id, id),
  constraint ticket_time_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint ticket_time_ticket_id_exists foreign key (customer_id, ticket_id) references crm.ticket (customer_id, id),
  constraint ticket_time_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint ticket_time_kind_known check (kind in ('work', 'call', 'visit', 'travel')),
  constraint ticket_time_worked_at_finite check (isfinite(worked_at)),
  constraint ticket_time_seconds_range check (seconds between 1 and 86400),
  constraint ticket_time_note_length check (length(note) <= 500)
);
comment on table crm.ticket_time is 'Time that a colleague spent on a ticket; it counts as cost to serve by the service rate ticket.<kind>.';
comment on column crm.ticket_time.ticket_id is 'The ticket.';
comment on column crm.ticket_time.user_id is 'The colleague.';
comment on column crm.ticket_time.kind is 'work, call, visit or travel.';
comment on column crm.ticket_time.worked_at is 'When it began.';
comment on column crm.ticket_time.seconds is 'How long, in seconds.';
comment on column crm.ticket_time.note is 'What was done.';
comment on constraint ticket_time_kind_known on crm.ticket_time is 'en: Time is spent on work, call, visit or travel. | tr: Süre work, call, visit ya da travel için harcanır.';
comment on constraint ticket_time_worked_at_finite on crm.ticket_time is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint ticket_time_seconds_range on crm.ticket_time is 'en: Give 1 second to a day. | tr: 1 saniye ile bir gün arasında verin.';
comment on constraint ticket_time_note_length on crm.ticket_time is 'en: A note has at most 500 characters. | tr: Not en çok 500 karakterdir.';
create index ticket_time_id_index on crm.ticket_time (id);
create index ticket_time_ticket_id_index on crm.ticket_time (customer_id, ticket_id);
create index ticket_time_worked_at_index on crm.ticket_time (worked_at, id);
create index ticket_time_user_id_index on crm.ticket_time (user_id, worked_at);

create function crm.follow_ticket() returns trigger language plpgsql as $$
begin
  select t.department_id, t.owner_id, t.audience into new.department_id, new.owner_id, new.audience
  from crm.ticket as t where t.customer_id = new.customer_id and t.id = new.ticket_id;
  if not found then
    perform crm.missing_reference('ticket_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_ticket() is 'Trigger: gives what belongs to a ticket the ticket''s department, owner and audience; a ticket the caller cannot see is a missing reference.';
create trigger ticket_time_follow_insert before insert on crm.ticket_time for each row execute function crm.follow_ticket();

create function crm.count_ticket_time() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.ticket as t set seconds_spent = s.seconds
  from (
    select x.customer_id, x.ticket_id, (select coalesce(sum(m.seconds), 0)::integer from crm.ticket_time as m where m.customer_id = x.customer_id and m.ticket_id = x.ticket_id) as seconds
    from (select distinct r.customer_id, r.ticket_id from touched_rows as r) as x
  ) as s
  where t.customer_id = s.customer_id and t.id = s.ticket_id and t.seconds_spent <> s.seconds;
  return null;
end
$$;
comment on function crm.count_ticket_time() is 'Trigger, once a statement: writes the sum of the time spent to the tickets.';
create trigger ticket_time_count_insert after insert on crm.ticket_time referencing new table as touched_rows for each statement execute function crm.count_ticket_time();
create trigger ticket_time_count_update after update on crm.ticket_time referencing new table as touched_rows for each statement execute function crm.count_ticket_time();
create trigger ticket_time_count_delete after delete on crm.ticket_time referencing old table as touched_rows for each statement execute function crm.count_ticket_time();
select crm.protect('crm.ticket_time', area => 'service', kind => 'owned', resource => 'ticket_times', verbs => '{select,insert,update,delete}', bi => true);

set local role none;
set local muhatap.via = 'system:migration';
insert into crm.service_rate (kind, per, amount, usual_minutes) values
  ('ticket.work', 'hour', 900, 15), ('ticket.call', 'hour', 900, 10), ('ticket.visit', 'hour', 1200, 60), ('ticket.travel', 'hour', 600, 60);
set local role crm_owner;

-- Macros ------------------------------------------------------------------------------------------------------------------------------

create table crm.macro (
  id            uuid        not null default crm.uuid_v7(),
  code          text        not null,
  name          text        not null,
  team_id       uuid,
  status        text,
  status_reason text,
  priority      text,
  type          text,
  add_tags      text[]      not null default '{}',
  remove_tags   text[]      not null default '{}',
  assign        text,
  to_team_id    uuid,
  reply         text,
  note          text,
  seconds_spent integer,
  active        boolean     not null default true,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint macro_id_primary primary key (id),
  constraint macro_code_unique unique (code),
  constraint macro_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint macro_name_length check (length(btrim(name)) between 1 and 200),
  constraint macro_team_id_exists foreign key (team_id) references crm.team (id),
  constraint macro_status_known check (status in ('open', 'pending_customer', 'on_hold', 'resolved', 'closed')),
  constraint macro_status_reason_length check (length(status_reason) <= 500),
  constraint macro_priority_known check (priority in ('low', 'normal', 'high', 'urgent')),
  constraint macro_type_known check (type in ('question', 'problem', 'incident', 'request', 'complaint', 'return', 'other')),
  constraint macro_add_tags_shape check (cardinality(add_tags) <= 20 and array_position(add_tags, null) is null),
  constraint macro_remove_tags_shape check (cardinality(remove_tags) <= 20 and array_position(remove_tags, null) is null),
  constraint macro_assign_known check (assign in ('me', 'nobody', 'route')),
  constraint macro_to_team_id_exists foreign key (to_team_id) references crm.team (id),
  constraint macro_reply_length check (length(btrim(reply)) between 1 and 20000),
  constraint macro_note_length check (length(btrim(note)) between 1 and 20000),
  constraint macro_seconds_spent_range check (seconds_spent between 1 and 86400)
);
comment on table crm.macro is 'Several changes to a ticket, a reply and a note, done at once.';
comment on column crm.macro.code is 'Short stable name.';
comment on column crm.macro.name is 'Name as people say it.';
comment on column crm.macro.team_id is 'The team it is for; null for all.';
comment on column crm.macro.status is 'The status the ticket gets.';
comment on column crm.macro.status_reason is 'Why.';
comment on column crm.macro.priority is 'The priority it gets.';
comment on column crm.macro.type is 'The type it gets.';
comment on column crm.macro.add_tags is 'Tags it gets.';
comment on column crm.macro.remove_tags is 'Tags it loses.';
comment on column crm.macro.assign is 'Who gets it: me (who applies the macro), nobody, or whoever routing chooses.';
comment on column crm.macro.to_team_id is 'The team that gets it.';
comment on column crm.macro.reply is 'What is answered to the customer; {{customer}}, {{contact}}, {{number}}, {{subject}} and {{agent}} are filled in.';
comment on column crm.macro.note is 'What is noted among colleagues, filled in likewise.';
comment on column crm.macro.seconds_spent is 'Time that it counts as spent, in seconds.';
comment on column crm.macro.active is 'Whether it is offered.';
comment on constraint macro_code_unique on crm.macro is 'en: Another macro already has this code. | tr: Bu kod başka bir makroda kullanılıyor.';
comment on constraint macro_code_shape on crm.macro is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint macro_name_length on crm.macro is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint macro_status_known on crm.macro is 'en: A macro moves a ticket to open, pending_customer, on_hold, resolved or closed. | tr: Makro talebi open, pending_customer, on_hold, resolved ya da closed durumuna getirir.';
comment on constraint macro_status_reason_length on crm.macro is 'en: A reason has at most 500 characters. | tr: Gerekçe en çok 500 karakterdir.';
comment on constraint macro_priority_known on crm.macro is 'en: A priority is low, normal, high or urgent. | tr: Öncelik low, normal, high ya da urgent olabilir.';
comment on constraint macro_type_known on crm.macro is 'en: A ticket is a question, problem, incident, request, complaint, return or other. | tr: Talep question, problem, incident, request, complaint, return ya da other olabilir.';
comment on constraint macro_add_tags_shape on crm.macro is 'en: Give up to 20 tags. | tr: En çok 20 etiket verin.';
comment on constraint macro_remove_tags_shape on crm.macro is 'en: Give up to 20 tags. | tr: En çok 20 etiket verin.';
comment on constraint macro_assign_known on crm.macro is 'en: A macro assigns to me, to nobody, or by route. | tr: Makro me, nobody ya da route ile atar.';
comment on constraint macro_reply_length on crm.macro is 'en: A reply has 1 to 20000 characters. | tr: Yanıt 1 ile 20000 karakter arasındadır.';
comment on constraint macro_note_length on crm.macro is 'en: A note has 1 to 20000 characters. | tr: Not 1 ile 20000 karakter arasındadır.';
comment on constraint macro_seconds_spent_range on crm.macro is 'en: Give 1 second to a day. | tr: 1 saniye ile bir gün arasında verin.';
select crm.protect('crm.macro', area => 'service', kind => 'common', resource => 'macros', verbs => '{select,insert,update,delete}');

create function crm.fill_in(template text, customer uuid, ticket uuid) returns text language sql stable as $$
  select replace(replace(replace(replace(replace(template, '{{customer}}', c.name), '{{contact}}', coalesce(k.name, c.name)), '{{number}}', t.number), '{{subject}}', t.subject),
    '{{agent}}', coalesce(u.name, ''))
  from crm.ticket as t join crm.customer as c on c.id = t.customer_id
  left join crm.contact as k on k.customer_id = t.customer_id and k.id = t.contact_id left join crm.app_user as u on u.id = crm.caller_id()
  where t.customer_id = fill_in.customer and t.id = fill_in.ticket
$$;
comment on function crm.fill_in(text, uuid, uuid) is 'A text with the names of a ticket''s customer and contact, its number and subject, and the caller''s name filled in.';

create function crm.note_assignment(customer uuid, ticket uuid, reason text) returns void language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  insert into crm.routing_decision (customer_id, ticket_id, cause, team_id, assignee_id, reason_en, reason_tr, department_id, owner_id, audience)
  select t.customer_id, t.id, 'assigned', t.team_id, t.assignee_id, coalesce('By hand: ' || note_assignment.reason, 'By hand.'), coalesce('Elle: ' || note_assignment.reason, 'Elle.'),
    t.department_id, t.owner_id, t.audience
  from crm.ticket as t where t.customer_id = note_assignment.customer and t.id = note_assignment.ticket
$$;
comment on function crm.note_assignment(uuid, uuid, text) is 'Writes down that a ticket was given to somebody by hand.';

-- As /v1/conversations/{id}/reply does it for a text that stands in a macro.
create function crm.answer_ticket(customer uuid, ticket uuid, text text) returns uuid language plpgsql as $$
declare
  way record;
  message constant uuid := crm.uuid_v7();
  said constant uuid := crm.uuid_v7();
begin
  select c.id as conversation_id, c.contact_id, case c.channel when 'form' then 'email' else c.channel end as channel, c.department_id, c.owner_id, c.visibility, c.subject,
    a.id as account_id, a.address as own_address, a.brand_id, i.sender as address, i.external_id into way
  from crm.ticket as t
  join crm.conversation as c on c.customer_id = t.customer_id and c.id = t.conversation_id
  join crm.channel_account as a on a.id = c.channel_account_id and a.is_active
  join lateral (
    select x.sender, x.external_id from crm.interaction as x
    where x.customer_id = c.customer_id and x.conversation_id = c.id and x.direction = 'in' and x.kind not in ('auto_reply', 'bounce') and x.sender is not null
    order by x.occurred_at desc, x.id desc limit 1) as i on true
  where t.customer_id = answer_ticket.customer and t.id = answer_ticket.ticket and c.channel in ('email', 'sms', 'social', 'chat', 'form');
  if not found then
    return null;
  end if;
  insert into crm.outbound_message (customer_id, id, contact_id, conversation_id, interaction_id, channel, channel_account_id, brand_id, address, legal_class, subject, body_text,
    headers, in_reply_to, department_id, owner_id, visibility)
  values (answer_ticket.customer, message, way.contact_id, way.conversation_id, said, way.channel, way.account_id, way.brand_id, way.address, 'transactional',
    case when way.subject !~* '^(re|ynt|yan|aw|sv):' then 'Re: ' else '' end || way.subject, answer_ticket.text,
    case when way.external_id is null then '{}' else jsonb_build_object('References', way.external_id) end, way.external_id, way.department_id, way.owner_id, way.visibility);
  if not found then
    return null;
  end if;
  insert into crm.interaction (customer_id, id, contact_id, conversation_id, channel, direction, channel_account_id, in_reply_to, sender, recipients, subject, body_text, participants,
    status, department_id)
  values (answer_ticket.customer, said, way.contact_id, way.conversation_id, way.channel, 'out', way.account_id, way.external_id, way.own_address, array[way.address],
    case when way.subject !~* '^(re|ynt|yan|aw|sv):' then 'Re: ' else '' end || way.subject, answer_ticket.text,
    case when crm.caller_id() is null then '{}' else array[crm.caller_id()] end, 'queued', way.department_id);
  update crm.conversation as c set state = 'waiting', snoozed_until = null where c.customer_id = answer_ticket.customer and c.id = way.conversation_id and c.state <> 'waiting';
  return said;
end
$$;
comment on function crm.answer_ticket(uuid, uuid, text) is
  'Answers the customer in a ticket''s conversation, in the thread, where the last message came from. Answers the interaction''s id; null when there is nowhere to answer, or the gate refused.';

set local role none;
grant create on schema crm to crm_steward;
do $$
declare
  name text;
begin
  foreach name in array array['escalate(crm.escalation_step, crm.ticket_clock, crm.ticket, timestamptz)', 'watch_sla(timestamptz, integer)', 'recompute_after()', 'count_ticket_time()', 'note_assignment(uuid, uuid, text)'] loop
    execute format('revoke execute on function crm.%s from crm_app, crm_worker, crm_bulk, crm_access', name);
    execute format('alter function crm.%s owner to crm_steward', name);
  end loop;
end
$$;
grant execute on function crm.watch_sla(timestamptz, integer) to crm_worker;
-- The gateway calls these after it has checked that the caller may change the ticket.
grant execute on function crm.note_assignment(uuid, uuid, text), crm.route_ticket(uuid, uuid, text, uuid[], timestamptz, boolean),
  crm.route_conversation(uuid, uuid, text, uuid[], timestamptz) to crm_app, crm_worker;
revoke create on schema crm from crm_steward;
set local role crm_owner;

-- crm.notify runs as crm_owner and asks whether the person is active: without this it sees nobody and tells nobody.
create policy app_user_told on crm.app_user for select to crm_owner using (true);
