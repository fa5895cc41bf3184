-- What was said of a promise that then changed is withdrawn, so that it is said again when the new limit comes; what was noted as broken stays so when something
-- older is written down later; and whoever takes up a ticket that was resolved without an answer is promised one.
set local role crm_owner;

alter table crm.sla_event add column withdrawn_at timestamptz;
comment on column crm.sla_event.withdrawn_at is
  'When it stopped holding, because the promise, its policy or its calendar changed and the limit moved; null while it holds.';
alter table crm.sla_event add constraint sla_event_withdrawn_at_finite check (isfinite(withdrawn_at));
comment on constraint sla_event_withdrawn_at_finite on crm.sla_event is 'en: Give a real instant. | tr: Gerçek bir an verin.';

-- A year and more in seconds, times percent, is more than an integer holds.
create or replace function crm.first_clocks(policy uuid, opened_at timestamptz) returns table (
  kind text, calendar_id uuid, goal_seconds integer, warn_percent smallint, state text, due_at timestamptz, breaches_at timestamptz, warns_at timestamptz, wakes_at timestamptz
) language sql stable as $$
  select k.kind, p.calendar_id, g.seconds, p.warn_percent,
    case when g.seconds is null then 'untimed' when 'new' = any (p.pauses) then 'paused' else 'running' end, t.due_at, t.breaches_at, t.warns_at,
    least(t.warns_at, (
      select min(crm.business_limit(p.calendar_id, c.opens + g.seconds::bigint * s.at_percent * 10000))
      from crm.escalation_step as s where s.policy_id = p.id and s.clock = k.kind and t.due_at is not null))
  from (values ('first_response'), ('resolution')) as k (kind)
  left join crm.sla_policy as p on p.id = first_clocks.policy
  cross join lateral (select crm.sla_goal(p, k.kind) as seconds) as g
  cross join lateral (select case when g.seconds is not null and not 'new' = any (p.pauses) then crm.business_clock(p.calendar_id, first_clocks.opened_at) end as opens) as c
  cross join lateral (
    select crm.not_before(crm.business_instant(p.calendar_id, c.opens + g.seconds * 1000000::bigint), first_clocks.opened_at) as due_at,
      crm.not_before(crm.business_limit(p.calendar_id, c.opens + g.seconds * 1000000::bigint), first_clocks.opened_at) as breaches_at,
      crm.not_before(crm.business_instant(p.calendar_id, c.opens + g.seconds::bigint * p.warn_percent * 10000), first_clocks.opened_at) as warns_at
    where c.opens is not null
    union all
    select null, null, null where c.opens is null
  ) as t
$$;

create function crm.withdraw_sla_events(tickets uuid[], as_of timestamptz) returns uuid[] language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
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
  )
  select array_agg(distinct g.ticket_id) from gone as g
$$;
comment on function crm.withdraw_sla_events(uuid[], timestamptz) is
  'Withdraws what was said of clocks that, as they have just been evaluated at an instant, are not there yet; answers the tickets of which something was withdrawn, null for none.';

create function crm.settle_clocks(customer uuid, ticket uuid, policy uuid, at timestamptz) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- What is written down late is judged no earlier than what was noted already.
  as_of constant timestamptz := greatest(settle_clocks.at, (
    select max(v.at) from crm.sla_event as v where v.customer_id = settle_clocks.customer and v.ticket_id = settle_clocks.ticket and v.withdrawn_at is null));
begin
  perform crm.evaluate_clocks(array[ticket], array[policy], as_of);
  if crm.withdraw_sla_events(array[ticket], as_of) is not null then
    perform crm.evaluate_clocks(array[ticket], array[policy], as_of);
  end if;
end
$$;
comment on function crm.settle_clocks(uuid, uuid, uuid, timestamptz) is
  'Evaluates the clocks of one ticket under a policy, at an instant or at the latest one that something was noted of, and withdraws what no longer holds.';
revoke execute on function crm.withdraw_sla_events(uuid[], timestamptz), crm.settle_clocks(uuid, uuid, uuid, timestamptz) from crm_app, crm_worker, crm_bulk, crm_access;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.withdraw_sla_events(uuid[], timestamptz) owner to crm_steward;
alter function crm.settle_clocks(uuid, uuid, uuid, timestamptz) owner to crm_steward;
set local role crm_steward;

create or replace function crm.evaluate_clocks(tickets uuid[], policies uuid[], as_of timestamptz) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with clock as materialized (
    select k.customer_id, k.ticket_id, k.id, k.kind, k.stopped_at, p.id as policy_id, p.calendar_id, crm.sla_goal(p, k.kind) as goal_seconds, p.warn_percent,
      crm.sla_goal(p, k.kind) * 1000000::bigint as goal
    from unnest(evaluate_clocks.tickets, evaluate_clocks.policies) as subject (ticket_id, policy_id)
    join crm.ticket_clock as k on k.ticket_id = subject.ticket_id
    left join crm.sla_policy as p on p.id = subject.policy_id
  ), run as materialized (
    select c.id, c.calendar_id, c.goal, i.starts_at, crm.business_clock(c.calendar_id, i.starts_at) as opens,
      case when i.ends_at is not null then crm.business_clock(c.calendar_id, i.ends_at) end as closes
    from crm.clock_intervals(evaluate_clocks.tickets, evaluate_clocks.policies) as i join clock as c on c.id = i.clock_id
    where i.state = 'running'
  ), used as (
    select r.id, r.calendar_id, r.goal, r.starts_at, r.opens, r.closes,
      coalesce(sum(r.closes - r.opens) over (partition by r.id order by r.starts_at rows between unbounded preceding and 1 preceding), 0)::bigint as before,
      coalesce(sum(r.closes - r.opens) over (partition by r.id), 0)::bigint as total
    from run as r
  ), deciding as materialized (
    select distinct on (u.id) u.id, u.calendar_id, u.starts_at, u.opens, u.closes, u.before, u.total, u.closes is null as is_open,
      coalesce(u.closes is not null and u.before + u.closes - u.opens > u.goal, false) as is_passed, u.opens + u.goal - u.before as target
    from used as u
    order by u.id, coalesce(u.before + u.closes - u.opens > u.goal, false) desc, u.closes is null desc,
      case when u.before + u.closes - u.opens > u.goal then u.starts_at end, u.starts_at desc
  ), found as materialized (
    select c.customer_id, c.ticket_id, c.id, c.kind, c.stopped_at, c.policy_id, c.calendar_id, c.goal_seconds, c.warn_percent, c.goal, coalesce(d.total, 0) / 1000000.0 as elapsed_seconds,
      d.opens, d.before, d.starts_at, d.is_open, coalesce(d.is_passed, false) as is_passed,
      case when d.is_open or d.is_passed or c.stopped_at is not null then crm.not_before(crm.business_instant(c.calendar_id, d.target), d.starts_at) end as due_at,
      case when d.is_open or d.is_passed or c.stopped_at is not null then crm.not_before(crm.business_limit(c.calendar_id, d.target), d.starts_at) end as breaches_at,
      case when d.is_open or d.is_passed then crm.not_before(crm.business_instant(c.calendar_id, d.opens + c.goal * c.warn_percent / 100 - d.before), d.starts_at) end as warns_at
    from clock as c left join deciding as d on d.id = c.id
  ), judged as materialized (
    select f.*, case
      when f.goal is null then 'untimed'
      when f.is_passed then 'breached'
      -- Something older that is written down later does not take back what was noted of the same limit.
      when f.is_open and (f.breaches_at < as_of or exists (
        select from crm.sla_event as v
        where v.customer_id = f.customer_id and v.clock_id = f.id and v.kind = 'breach' and v.withdrawn_at is null and v.at = f.breaches_at)) then 'breached'
      when f.stopped_at is not null then 'met'
      when f.is_open then 'running'
      else 'paused' end as state
    from found as f
  ), woken as materialized (
    select j.*, (
      select min(e.at) from (
        select j.warns_at as at where j.stopped_at is null
          and not exists (select from crm.sla_event as v where v.customer_id = j.customer_id and v.clock_id = j.id and v.kind = 'warning' and v.withdrawn_at is null)
        union all
        select j.breaches_at where (j.stopped_at is null or j.state = 'breached')
          and not exists (select from crm.sla_event as v where v.customer_id = j.customer_id and v.clock_id = j.id and v.kind = 'breach' and v.withdrawn_at is null)
        union all
        select crm.not_before(crm.business_limit(j.calendar_id, j.opens + j.goal * s.at_percent / 100 - j.before), j.starts_at)
        from crm.escalation_step as s
        where s.policy_id = j.policy_id and s.clock = j.kind and j.stopped_at is null and j.is_open
          and not exists (select from crm.sla_event as v where v.customer_id = j.customer_id and v.clock_id = j.id and v.step_id = s.id and v.withdrawn_at is null)
      ) as e where j.goal is not null
    ) as wakes_at
    from judged as j
  )
  update crm.ticket_clock as k
  set policy_id = w.policy_id, calendar_id = w.calendar_id, goal_seconds = w.goal_seconds, warn_percent = w.warn_percent, state = w.state, elapsed_seconds = w.elapsed_seconds,
    due_at = w.due_at, breaches_at = w.breaches_at, warns_at = w.warns_at, wakes_at = w.wakes_at,
    warned_at = case when w.goal is not null and (w.warns_at <= as_of or k.warned_at is not null and w.warns_at is null) then coalesce(w.warns_at, k.warned_at) end,
    breached_at = case when w.state = 'breached' then w.breaches_at end
  from woken as w
  where k.customer_id = w.customer_id and k.id = w.id
    and (k.policy_id, k.calendar_id, k.goal_seconds, k.warn_percent, k.state, k.elapsed_seconds, k.due_at, k.breaches_at, k.warns_at, k.wakes_at)
      is distinct from (w.policy_id, w.calendar_id, w.goal_seconds, w.warn_percent, w.state, w.elapsed_seconds, w.due_at, w.breaches_at, w.warns_at, w.wakes_at)
$$;

create or replace function crm.recompute_sla(tickets uuid[], as_of timestamptz) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  ids uuid[];
  policies uuid[];
  again uuid[];
  changed integer;
begin
  -- The ticket is locked before its clocks, as whoever moves it does.
  perform from crm.ticket as t where t.id = any (recompute_sla.tickets) order by t.id for no key update;
  select array_agg(t.id), array_agg(p.id) into ids, policies
  from crm.ticket as t
  left join lateral (select f.id from crm.fitting_sla_policies(t.sla_class, t.tier, t.priority, t.type, t.channel) as f limit 1) as p on true
  where t.id = any (recompute_sla.tickets);
  perform crm.evaluate_clocks(ids, policies, as_of);
  again := crm.withdraw_sla_events(ids, as_of);
  if again is not null then
    perform crm.evaluate_clocks(array_agg(s.ticket_id), array_agg(s.policy_id), as_of)
    from unnest(ids, policies) as s (ticket_id, policy_id) where s.ticket_id = any (again);
  end if;
  update crm.ticket as t set sla_policy_id = w.policy_id, sla_state = w.sla_state, next_due_at = w.next_due_at
  from (
    select subject.ticket_id, subject.policy_id, s.sla_state, s.next_due_at
    from unnest(ids, policies) as subject (ticket_id, policy_id) join crm.sla_summary(ids) as s on s.ticket_id = subject.ticket_id
  ) as w
  where t.id = w.ticket_id and (t.sla_policy_id, t.sla_state, t.next_due_at) is distinct from (w.policy_id, w.sla_state, w.next_due_at);
  get diagnostics changed = row_count;
  return changed;
end
$$;

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
  perform crm.settle_clocks(new.customer_id, new.id, new.sla_policy_id, as_of);
  select s.sla_state, s.next_due_at into new.sla_state, new.next_due_at from crm.sla_summary(array[new.id]) as s;
  new.sla_state := coalesce(new.sla_state, 'none');
  return new;
end
$$;

create or replace function crm.note_answer(customer uuid, ticket uuid, at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t crm.ticket;
begin
  select * into t from crm.ticket as x where x.customer_id = note_answer.customer and x.id = note_answer.ticket for update;
  update crm.ticket_clock as k set stopped_at = greatest(note_answer.at, k.started_at)
  where k.customer_id = t.customer_id and k.ticket_id = t.id and k.kind in ('first_response', 'next_response') and k.stopped_at is null;
  if not found and t.first_response_at is not null and t.status not in ('new', 'open') then
    return;
  end if;
  perform crm.settle_clocks(t.customer_id, t.id, t.sla_policy_id, note_answer.at);
  update crm.ticket as x
  set first_response_at = coalesce(x.first_response_at, note_answer.at), sla_state = s.sla_state, next_due_at = s.next_due_at,
    status = case when x.status in ('new', 'open') then 'pending_customer' else x.status end,
    status_reason = case when x.status in ('new', 'open') then 'answered' else x.status_reason end,
    status_since = case when x.status in ('new', 'open') then greatest(note_answer.at, x.status_since) else x.status_since end
  from crm.sla_summary(array[t.id]) as s where x.customer_id = t.customer_id and x.id = t.id;
end
$$;

create or replace function crm.note_question(customer uuid, ticket uuid, at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t crm.ticket;
begin
  select * into t from crm.ticket as x where x.customer_id = note_question.customer and x.id = note_question.ticket for update;
  if t.status in ('pending_customer', 'resolved') then
    update crm.ticket as x set status = 'open', status_reason = 'customer_wrote', status_since = greatest(note_question.at, x.status_since)
    where x.customer_id = t.customer_id and x.id = t.id;
  end if;
  -- Also after a ticket was resolved without an answer: then no clock of a response runs any more.
  if not exists (
    select from crm.ticket_clock as k where k.customer_id = t.customer_id and k.ticket_id = t.id and k.kind in ('first_response', 'next_response') and k.stopped_at is null)
  then
    insert into crm.ticket_clock (customer_id, ticket_id, kind, cycle, started_at, department_id, owner_id, audience)
    select t.customer_id, t.id, 'next_response', count(*) + 1, greatest(note_question.at, t.first_response_at, t.opened_at), t.department_id, t.owner_id, t.audience
    from crm.ticket_clock as k where k.customer_id = t.customer_id and k.ticket_id = t.id and k.kind = 'next_response';
    perform crm.settle_clocks(t.customer_id, t.id, t.sla_policy_id, note_question.at);
    update crm.ticket as x set sla_state = s.sla_state, next_due_at = s.next_due_at
    from crm.sla_summary(array[t.id]) as s
    where x.customer_id = t.customer_id and x.id = t.id and (x.sla_state, x.next_due_at) is distinct from (s.sla_state, s.next_due_at);
  end if;
end
$$;

create or replace function crm.note_interaction() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  item record;
  found_one boolean := false;
  -- Whatever the sender's clock says, nothing was said after now.
  at constant timestamptz := least(new.occurred_at, clock_timestamp());
begin
  for item in
    with recursive standing as (
      select t.customer_id, t.id, t.merged_into_id from crm.ticket as t where t.customer_id = new.customer_id and t.conversation_id = new.conversation_id
      union
      select t.customer_id, t.id, t.merged_into_id from standing as s join crm.ticket as t on t.customer_id = s.customer_id and t.id = s.merged_into_id
    )
    select t.customer_id, t.id, t.status from standing as s join crm.ticket as t on t.customer_id = s.customer_id and t.id = s.id
    where t.merged_into_id is null and t.status <> 'closed' and t.opened_at <= at
    order by t.status = 'resolved', t.opened_at desc
  loop
    -- What comes in reopens a resolved ticket only when no other is open.
    exit when found_one and item.status = 'resolved';
    found_one := true;
    if new.direction = 'out' then
      perform crm.note_answer(item.customer_id, item.id, at);
    else
      perform crm.note_question(item.customer_id, item.id, at);
    end if;
  end loop;
  -- Whoever writes again after everything was closed has something new to say.
  if not found_one and new.direction = 'in' and new.kind = 'message'
    and exists (select from crm.ticket as t where t.customer_id = new.customer_id and t.conversation_id = new.conversation_id and t.status = 'closed' and t.opened_at <= at)
    and exists (select from crm.channel_account as a where a.id = new.channel_account_id and a.opens_tickets)
  then
    perform crm.open_ticket(new.customer_id, new.conversation_id);
  end if;
  return null;
end
$$;

create or replace function crm.escalate(step crm.escalation_step, clock crm.ticket_clock, ticket crm.ticket, at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  told uuid;
  done text;
  due timestamptz := crm.not_before(crm.business_limit(clock.calendar_id, crm.business_clock(clock.calendar_id, clock.breaches_at)
    + clock.goal_seconds::bigint * (step.at_percent - 100) * 10000), clock.started_at);
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
  elsif exists (select from crm.app_user as u where u.id = step.user_id and u.active) then
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

create or replace function crm.watch_sla(at timestamptz, most integer) returns timestamptz language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  due record;
  k crm.ticket_clock;
  t crm.ticket;
  s crm.escalation_step;
  handled integer := 0;
  taken integer := 0;
begin
  for due in select x.customer_id, x.id, x.ticket_id from crm.ticket_clock as x where x.wakes_at <= watch_sla.at order by x.wakes_at, x.id limit most loop
    -- The ticket is locked before its clock, as whoever moves it does; one that is being worked on now is looked at a moment later.
    select x.* into t from crm.ticket as x where x.customer_id = due.customer_id and x.id = due.ticket_id for update skip locked;
    if not found then
      taken := taken + 1;
      continue;
    end if;
    select x.* into k from crm.ticket_clock as x where x.customer_id = due.customer_id and x.id = due.id for update;
    continue when k.wakes_at is null or k.wakes_at > watch_sla.at;
    if k.stopped_at is null and k.warns_at <= watch_sla.at
      and not exists (select from crm.sla_event as v where v.customer_id = k.customer_id and v.clock_id = k.id and v.kind = 'warning' and v.withdrawn_at is null)
    then
      insert into crm.sla_event (customer_id, ticket_id, clock_id, kind, clock, at, user_id, department_id, owner_id, audience)
      values (t.customer_id, t.id, k.id, 'warning', k.kind, k.warns_at, t.assignee_id, t.department_id, t.owner_id, t.audience);
      perform crm.notify(coalesce(t.assignee_id, (select x.lead_id from crm.team as x where x.id = t.team_id)), 'sla_warning', 'tickets', t.id,
        format('%s is due soon: %s', t.number, t.subject), format('%s için süre doluyor: %s', t.number, t.subject))
      where t.assignee_id is not null or t.team_id is not null;
    end if;
    -- At the limit itself the promise is still kept.
    if (k.breaches_at < watch_sla.at or k.state = 'breached')
      and not exists (select from crm.sla_event as v where v.customer_id = k.customer_id and v.clock_id = k.id and v.kind = 'breach' and v.withdrawn_at is null)
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
          and not exists (select from crm.sla_event as v where v.customer_id = k.customer_id and v.clock_id = k.id and v.step_id = x.id and v.withdrawn_at is null)
          and crm.business_clock(k.calendar_id, watch_sla.at) >= crm.business_clock(k.calendar_id, k.breaches_at) + k.goal_seconds::bigint * (x.at_percent - 100) * 10000
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
  if handled + taken = most and handled > 0 then
    return watch_sla.at;
  end if;
  return least((select min(x.wakes_at) from crm.ticket_clock as x where x.wakes_at > watch_sla.at), case when taken > 0 then watch_sla.at + interval '1 second' end);
end
$$;

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
