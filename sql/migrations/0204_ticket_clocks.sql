-- How clocks follow from stays, policy and calendar, and the triggers that keep them with their ticket. These functions run as crm_steward, past row-level
-- security: whoever may change a ticket thereby changes what follows from it, and who answers a customer need not have the right to its ticket.
set local role crm_owner;

-- The gateway asks whether a reference may be seen; here it was asked twice.
create or replace function crm.prepare_ticket() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    new.status_since := new.opened_at;
    if new.assignee_id is not null then
      new.assigned_at := coalesce(new.assigned_at, now());
    end if;
  elsif new.assignee_id is distinct from old.assignee_id then
    new.assigned_at := case when new.assignee_id is not null then now() end;
  end if;
  new.owner_id := coalesce(new.assignee_id, new.owner_id);
  if tg_op = 'INSERT' and new.number = '' then
    new.number := crm.next_number('ticket');
  end if;
  return new;
end
$$;
comment on function crm.prepare_ticket() is 'Trigger: the assignee of a ticket is its owner; a new ticket gets its number.';

create function crm.sla_goal(p crm.sla_policy, clock text) returns integer language sql immutable parallel safe
  return 60 * case clock when 'first_response' then (p).first_response_minutes when 'next_response' then (p).next_response_minutes else (p).resolution_minutes end;
comment on function crm.sla_goal(crm.sla_policy, text) is 'What a policy promises for a clock, in seconds of its calendar; null when nothing.';

create function crm.not_before(at timestamptz, floor timestamptz) returns timestamptz language sql immutable strict parallel safe return greatest(at, floor);
comment on function crm.not_before(timestamptz, timestamptz) is 'An instant, or the other if that is later; null when either is.';

create function crm.clock_intervals(tickets uuid[], policies uuid[]) returns table (
  customer_id uuid, ticket_id uuid, clock_id uuid, state text, status text, starts_at timestamptz, ends_at timestamptz
) language sql stable as $$
  select k.customer_id, k.ticket_id, k.id, case when s.status = any (coalesce(p.pauses, '{}') || '{resolved,closed}'::text[]) then 'paused' else 'running' end, s.status,
    greatest(s.starts_at, k.started_at), nullif(least(coalesce(s.ends_at, 'infinity'), coalesce(k.stopped_at, 'infinity')), 'infinity')
  from unnest(tickets, policies) as subject (ticket_id, policy_id)
  join crm.ticket_clock as k on k.ticket_id = subject.ticket_id
  join crm.ticket_stay as s on s.customer_id = k.customer_id and s.ticket_id = k.ticket_id
  left join crm.sla_policy as p on p.id = subject.policy_id
  where greatest(s.starts_at, k.started_at) < least(coalesce(s.ends_at, 'infinity'), coalesce(k.stopped_at, 'infinity'))
$$;
comment on function crm.clock_intervals(uuid[], uuid[]) is 'The intervals in which the clocks of tickets ran or stood still, under the policy given for each.';
create index ticket_clock_ticket_id_index on crm.ticket_clock (ticket_id);

-- The stretch of running time in which the goal is passed, or else the last one, decides: the limit lies in it, as far in as was left of the goal when it began.
create function crm.evaluate_clocks(tickets uuid[], policies uuid[], as_of timestamptz) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with clock as (
    select k.customer_id, k.ticket_id, k.id, k.kind, k.stopped_at, p.id as policy_id, p.calendar_id, crm.sla_goal(p, k.kind) as goal_seconds, p.warn_percent,
      crm.sla_goal(p, k.kind) * 1000000::bigint as goal
    from unnest(evaluate_clocks.tickets, evaluate_clocks.policies) as subject (ticket_id, policy_id)
    join crm.ticket_clock as k on k.ticket_id = subject.ticket_id
    left join crm.sla_policy as p on p.id = subject.policy_id
  ), run as (
    select c.id, c.calendar_id, c.goal, i.starts_at, crm.business_clock(c.calendar_id, i.starts_at) as opens,
      case when i.ends_at is not null then crm.business_clock(c.calendar_id, i.ends_at) end as closes
    from crm.clock_intervals(evaluate_clocks.tickets, evaluate_clocks.policies) as i join clock as c on c.id = i.clock_id
    where i.state = 'running'
  ), used as (
    select r.id, r.calendar_id, r.goal, r.starts_at, r.opens, r.closes,
      coalesce(sum(r.closes - r.opens) over (partition by r.id order by r.starts_at rows between unbounded preceding and 1 preceding), 0)::bigint as before,
      coalesce(sum(r.closes - r.opens) over (partition by r.id), 0)::bigint as total
    from run as r
  ), deciding as (
    select distinct on (u.id) u.id, u.calendar_id, u.starts_at, u.opens, u.closes, u.before, u.total, u.closes is null as is_open,
      coalesce(u.closes is not null and u.before + u.closes - u.opens > u.goal, false) as is_passed, u.opens + u.goal - u.before as target
    from used as u
    order by u.id, coalesce(u.before + u.closes - u.opens > u.goal, false) desc, u.closes is null desc,
      case when u.before + u.closes - u.opens > u.goal then u.starts_at end, u.starts_at desc
  ), found as (
    select c.customer_id, c.ticket_id, c.id, c.kind, c.stopped_at, c.policy_id, c.calendar_id, c.goal_seconds, c.warn_percent, c.goal, coalesce(d.total, 0) / 1000000.0 as elapsed_seconds,
      d.opens, d.before, d.starts_at, d.is_open, coalesce(d.is_passed, false) as is_passed,
      case when d.is_open or d.is_passed or c.stopped_at is not null then crm.not_before(crm.business_instant(c.calendar_id, d.target), d.starts_at) end as due_at,
      case when d.is_open or d.is_passed or c.stopped_at is not null then crm.not_before(crm.business_limit(c.calendar_id, d.target), d.starts_at) end as breaches_at,
      case when d.is_open or d.is_passed then crm.not_before(crm.business_instant(c.calendar_id, d.opens + c.goal * c.warn_percent / 100 - d.before), d.starts_at) end as warns_at
    from clock as c left join deciding as d on d.id = c.id
  ), judged as (
    select f.*, case
      when f.goal is null then 'untimed'
      when f.is_passed or f.is_open and f.breaches_at < as_of then 'breached'
      when f.stopped_at is not null then 'met'
      when f.is_open then 'running'
      else 'paused' end as state
    from found as f
  ), woken as (
    select j.*, (
      select min(e.at) from (
        select j.warns_at as at where j.stopped_at is null and not exists (select from crm.sla_event as v where v.customer_id = j.customer_id and v.clock_id = j.id and v.kind = 'warning')
        union all
        select j.breaches_at where (j.stopped_at is null or j.state = 'breached')
          and not exists (select from crm.sla_event as v where v.customer_id = j.customer_id and v.clock_id = j.id and v.kind = 'breach')
        union all
        select crm.not_before(crm.business_limit(j.calendar_id, j.opens + j.goal * s.at_percent / 100 - j.before), j.starts_at)
        from crm.escalation_step as s
        where s.policy_id = j.policy_id and s.clock = j.kind and j.stopped_at is null and j.is_open
          and not exists (select from crm.sla_event as v where v.customer_id = j.customer_id and v.clock_id = j.id and v.step_id = s.id)
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
comment on function crm.evaluate_clocks(uuid[], uuid[], timestamptz) is
  'Computes the clocks of tickets anew, each under the policy given for it, as they stand at an instant. A goal is met up to and including the instant at which it is used up.';

create function crm.sla_summary(tickets uuid[]) returns table (ticket_id uuid, sla_state text, next_due_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select k.ticket_id, case
      when bool_or(k.state = 'breached') then 'breached'
      when bool_or(k.state = 'running' and k.warned_at is not null) then 'warned'
      when bool_or(k.state = 'running') then 'running'
      when bool_or(k.state = 'paused') then 'paused'
      when bool_or(k.state = 'met') then 'met'
      else 'none' end,
    min(k.due_at) filter (where k.state = 'running' and k.stopped_at is null)
  from crm.ticket_clock as k where k.ticket_id = any (tickets) group by k.ticket_id
$$;
comment on function crm.sla_summary(uuid[]) is 'What the clocks of tickets come to: the worst state among them, and the earliest limit that runs.';

-- New tickets ---------------------------------------------------------------------------------------------------------------------

create function crm.first_clocks(policy uuid, opened_at timestamptz) returns table (
  kind text, calendar_id uuid, goal_seconds integer, warn_percent smallint, state text, due_at timestamptz, breaches_at timestamptz, warns_at timestamptz, wakes_at timestamptz
) language sql stable as $$
  select k.kind, p.calendar_id, g.seconds, p.warn_percent,
    case when g.seconds is null then 'untimed' when 'new' = any (p.pauses) then 'paused' else 'running' end, t.due_at, t.breaches_at, t.warns_at,
    least(t.warns_at, (
      select min(crm.business_limit(p.calendar_id, c.opens + g.seconds * s.at_percent * 10000::bigint))
      from crm.escalation_step as s where s.policy_id = p.id and s.clock = k.kind and t.due_at is not null))
  from (values ('first_response'), ('resolution')) as k (kind)
  left join crm.sla_policy as p on p.id = first_clocks.policy
  cross join lateral (select crm.sla_goal(p, k.kind) as seconds) as g
  cross join lateral (select case when g.seconds is not null and not 'new' = any (p.pauses) then crm.business_clock(p.calendar_id, first_clocks.opened_at) end as opens) as c
  cross join lateral (
    select crm.not_before(crm.business_instant(p.calendar_id, c.opens + g.seconds * 1000000::bigint), first_clocks.opened_at) as due_at,
      crm.not_before(crm.business_limit(p.calendar_id, c.opens + g.seconds * 1000000::bigint), first_clocks.opened_at) as breaches_at,
      crm.not_before(crm.business_instant(p.calendar_id, c.opens + g.seconds * p.warn_percent * 10000::bigint), first_clocks.opened_at) as warns_at
    where c.opens is not null
    union all
    select null, null, null where c.opens is null
  ) as t
$$;
comment on function crm.first_clocks(uuid, timestamptz) is 'The clocks of a ticket that is opened at an instant under a policy: what evaluating them would say, found faster.';

create function crm.start_ticket() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into crm.ticket_stay (customer_id, ticket_id, status, reason, starts_at, department_id, owner_id, audience)
  values (new.customer_id, new.id, new.status, new.status_reason, new.opened_at, new.department_id, new.owner_id, new.audience);
  insert into crm.ticket_clock (customer_id, ticket_id, kind, started_at, policy_id, calendar_id, goal_seconds, warn_percent, state, due_at, breaches_at, warns_at, wakes_at,
    department_id, owner_id, audience)
  select new.customer_id, new.id, c.kind, new.opened_at, new.sla_policy_id, c.calendar_id, c.goal_seconds, c.warn_percent, c.state, c.due_at, c.breaches_at, c.warns_at, c.wakes_at,
    new.department_id, new.owner_id, new.audience
  from crm.first_clocks(new.sla_policy_id, new.opened_at) as c;
  return null;
end
$$;
comment on function crm.start_ticket() is 'Trigger: a new ticket comes into its first status, and its clocks begin.';
create trigger ticket_start after insert on crm.ticket for each row execute function crm.start_ticket();

-- Tickets that move ---------------------------------------------------------------------------------------------------------------

create function crm.move_ticket_clocks() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
    values (new.customer_id, new.id, new.status, new.status_reason, as_of, new.department_id, new.owner_id, new.audience);
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
comment on function crm.move_ticket_clocks() is
  'Trigger: when a ticket changes status, its stay ends and the next begins; resolved, its clocks stop, reopened, that of its resolution runs on; when what its policy depends on changes, the policy is chosen again.';
create trigger ticket_serve_update before update on crm.ticket for each row
  when ((old.status, old.priority, old.type, old.channel, old.sla_class, old.tier) is distinct from (new.status, new.priority, new.type, new.channel, new.sla_class, new.tier))
  execute function crm.move_ticket_clocks();

-- Answers and what customers write ------------------------------------------------------------------------------------------------

create function crm.note_answer(customer uuid, ticket uuid, at timestamptz) returns void
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
  perform crm.evaluate_clocks(array[t.id], array[t.sla_policy_id], note_answer.at);
  update crm.ticket as x
  set first_response_at = coalesce(x.first_response_at, note_answer.at), sla_state = s.sla_state, next_due_at = s.next_due_at,
    status = case when x.status in ('new', 'open') then 'pending_customer' else x.status end,
    status_reason = case when x.status in ('new', 'open') then 'answered' else x.status_reason end,
    status_since = case when x.status in ('new', 'open') then greatest(note_answer.at, x.status_since) else x.status_since end
  from crm.sla_summary(array[t.id]) as s where x.customer_id = t.customer_id and x.id = t.id;
end
$$;
comment on function crm.note_answer(uuid, uuid, timestamptz) is 'The customer was answered: the clocks of responses stop, and the ticket waits for the customer.';

create function crm.note_question(customer uuid, ticket uuid, at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t crm.ticket;
begin
  select * into t from crm.ticket as x where x.customer_id = note_question.customer and x.id = note_question.ticket for update;
  if t.status in ('pending_customer', 'resolved') then
    update crm.ticket as x set status = 'open', status_reason = 'customer_wrote', status_since = greatest(note_question.at, x.status_since)
    where x.customer_id = t.customer_id and x.id = t.id;
  end if;
  if t.first_response_at is not null and not exists (
    select from crm.ticket_clock as k where k.customer_id = t.customer_id and k.ticket_id = t.id and k.kind in ('first_response', 'next_response') and k.stopped_at is null)
  then
    insert into crm.ticket_clock (customer_id, ticket_id, kind, cycle, started_at, department_id, owner_id, audience)
    select t.customer_id, t.id, 'next_response', count(*) + 1, greatest(note_question.at, t.first_response_at), t.department_id, t.owner_id, t.audience
    from crm.ticket_clock as k where k.customer_id = t.customer_id and k.ticket_id = t.id and k.kind = 'next_response';
    perform crm.evaluate_clocks(array[t.id], array[t.sla_policy_id], note_question.at);
    update crm.ticket as x set sla_state = s.sla_state, next_due_at = s.next_due_at
    from crm.sla_summary(array[t.id]) as s
    where x.customer_id = t.customer_id and x.id = t.id and (x.sla_state, x.next_due_at) is distinct from (s.sla_state, s.next_due_at);
  end if;
end
$$;
comment on function crm.note_question(uuid, uuid, timestamptz) is
  'The customer wrote again: a ticket that waited goes on, a resolved one is reopened, and the clock of the next response begins.';

create function crm.note_interaction() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  item record;
  found_one boolean := false;
begin
  for item in
    with recursive standing as (
      select t.customer_id, t.id, t.merged_into_id from crm.ticket as t where t.customer_id = new.customer_id and t.conversation_id = new.conversation_id
      union
      select t.customer_id, t.id, t.merged_into_id from standing as s join crm.ticket as t on t.customer_id = s.customer_id and t.id = s.merged_into_id
    )
    select t.customer_id, t.id, t.status from standing as s join crm.ticket as t on t.customer_id = s.customer_id and t.id = s.id
    where t.merged_into_id is null and t.status <> 'closed' and t.opened_at <= new.occurred_at
    order by t.status = 'resolved', t.opened_at desc
  loop
    -- What comes in reopens a resolved ticket only when no other is open.
    exit when found_one and item.status = 'resolved';
    found_one := true;
    if new.direction = 'out' then
      perform crm.note_answer(item.customer_id, item.id, new.occurred_at);
    else
      perform crm.note_question(item.customer_id, item.id, new.occurred_at);
    end if;
  end loop;
  return null;
end
$$;
comment on function crm.note_interaction() is 'Trigger: what is said in a ticket''s conversation, or in that of a ticket merged into it, stops or begins its clocks of response, and ends or begins its waiting.';
create trigger interaction_note_ticket after insert on crm.interaction for each row
  when (new.conversation_id is not null and new.kind in ('message', 'call', 'voicemail', 'meeting', 'submission', 'post', 'letter')) execute function crm.note_interaction();

-- Recomputing ---------------------------------------------------------------------------------------------------------------------

create function crm.recompute_sla(tickets uuid[], as_of timestamptz) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  ids uuid[];
  policies uuid[];
  changed integer;
begin
  select array_agg(t.id), array_agg(p.id) into ids, policies
  from crm.ticket as t
  left join lateral (select f.id from crm.fitting_sla_policies(t.sla_class, t.tier, t.priority, t.type, t.channel) as f limit 1) as p on true
  where t.id = any (recompute_sla.tickets);
  perform crm.evaluate_clocks(ids, policies, as_of);
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
comment on function crm.recompute_sla(uuid[], timestamptz) is 'Chooses the policies of tickets and computes their clocks anew, as they stand at an instant; answers how many tickets that changed.';

set local role none;
grant create on schema crm to crm_steward;
do $$
declare
  name text;
begin
  foreach name in array array[
    'service_standing(uuid)', 'evaluate_clocks(uuid[], uuid[], timestamptz)', 'sla_summary(uuid[])', 'start_ticket()', 'move_ticket_clocks()',
    'note_answer(uuid, uuid, timestamptz)', 'note_question(uuid, uuid, timestamptz)', 'note_interaction()', 'recompute_sla(uuid[], timestamptz)'
  ] loop
    execute format('revoke execute on function crm.%s from crm_app, crm_worker, crm_bulk, crm_access', name);
    execute format('alter function crm.%s owner to crm_steward', name);
  end loop;
end
$$;
grant execute on function crm.recompute_sla(uuid[], timestamptz) to crm_worker;
revoke create on schema crm from crm_steward;
set local role crm_owner;
