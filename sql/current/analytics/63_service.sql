-- How long tickets take and whether promises are kept: facts for reports, for bi and for predictions.
set local role crm_owner;

create function analytics.ticket_durations(as_of timestamptz, since timestamptz default null) returns table (
  ticket_id uuid, customer_id uuid, department_id uuid, team_id uuid, assignee_id uuid, type text, priority text, tier text, opened_at timestamptz,
  calendar_id uuid, goal_seconds integer, breaches_at timestamptz, is_resolved boolean, seconds double precision
) language sql stable as $$
  select t.id, t.customer_id, t.department_id, t.team_id, t.assignee_id, t.type, t.priority, t.tier, t.opened_at, k.calendar_id, k.goal_seconds, k.breaches_at,
    k.stopped_at is not null,
    k.elapsed_seconds + case when k.stopped_at is null and s.status <> all (coalesce(p.pauses, '{}') || '{resolved,closed}'::text[])
      then greatest(crm.business_seconds(k.calendar_id, greatest(s.starts_at, k.started_at), greatest(as_of, s.starts_at)), 0) else 0 end
  from crm.ticket as t
  join crm.ticket_clock as k on k.customer_id = t.customer_id and k.ticket_id = t.id and k.kind = 'resolution'
  left join crm.ticket_stay as s on s.customer_id = t.customer_id and s.ticket_id = t.id and s.ends_at is null
  left join crm.sla_policy as p on p.id = t.sla_policy_id
  where t.merged_into_id is null and t.opened_at < as_of and (ticket_durations.since is null or t.opened_at >= ticket_durations.since)
$$;
comment on function analytics.ticket_durations(timestamptz, timestamptz) is
  'One row a ticket opened since an instant: how long its resolution took, or has taken by now, in seconds of its policy''s calendar without pauses. Merged tickets do not count.';

create function analytics.ticket_survival(as_of timestamptz, since timestamptz, team uuid default null, type text default null, priority text default null) returns table (
  seconds double precision, at_risk bigint, resolved bigint, censored bigint, unresolved_share double precision
) language sql stable as $$
  with spell as (
    select d.seconds, count(*) filter (where d.is_resolved) as resolved, count(*) filter (where not d.is_resolved) as censored
    from analytics.ticket_durations(ticket_survival.as_of, ticket_survival.since) as d
    where (ticket_survival.team is null or d.team_id = ticket_survival.team) and (ticket_survival.type is null or d.type = ticket_survival.type)
      and (ticket_survival.priority is null or d.priority = ticket_survival.priority)
    group by d.seconds
  ), risk as (
    select s.seconds, s.resolved, s.censored, sum(s.resolved + s.censored) over (order by s.seconds desc) as at_risk from spell as s
  )
  select r.seconds, r.at_risk::bigint, r.resolved, r.censored,
    case when bool_or(r.resolved = r.at_risk) over (order by r.seconds) then 0
      else exp(sum(case when r.resolved < r.at_risk then ln(1 - r.resolved / r.at_risk::double precision) else 0 end) over (order by r.seconds)) end
  from risk as r
$$;
comment on function analytics.ticket_survival(timestamptz, timestamptz, uuid, text, text) is
  'Which share of tickets is not resolved after so many seconds (Kaplan and Meier): open tickets count as censored, not as missing.';

create function analytics.ticket_prediction(ticket uuid, as_of timestamptz) returns table (
  compared_with text, tickets bigint, resolved bigint, elapsed_seconds double precision, goal_seconds integer, probability_of_breach double precision,
  expected_seconds double precision, expected_at timestamptz, predicted_breach_at timestamptz
) language sql stable as $$
  with subject as (
    select d.* from analytics.ticket_durations(ticket_prediction.as_of, (select t.opened_at from crm.ticket as t where t.id = ticket_prediction.ticket)) as d
    where d.ticket_id = ticket_prediction.ticket
  ), history as (
    select d.ticket_id, d.is_resolved, d.team_id = s.team_id and d.type = s.type and d.priority = s.priority as is_close, d.type = s.type and d.priority = s.priority as is_like
    from subject as s cross join analytics.ticket_durations(ticket_prediction.as_of, ticket_prediction.as_of - interval '365 days') as d
    where d.ticket_id <> s.ticket_id
  ), scope as (
    select case
        when count(*) filter (where is_close and is_resolved) >= 20 then 'team_type_priority'
        when count(*) filter (where is_like and is_resolved) >= 20 then 'type_priority'
        when count(*) filter (where is_resolved) >= 20 then 'all' else 'nothing' end as name
    from history
  ), curve as (
    select c.* from scope, subject as s, analytics.ticket_survival(ticket_prediction.as_of, ticket_prediction.as_of - interval '365 days',
      case when scope.name = 'team_type_priority' then s.team_id end, case when scope.name in ('team_type_priority', 'type_priority') then s.type end,
      case when scope.name in ('team_type_priority', 'type_priority') then s.priority end) as c
    where scope.name <> 'nothing'
  ), known as (
    select s.*, scope.name,
      coalesce((select c.unresolved_share from curve as c where c.seconds <= s.seconds order by c.seconds desc limit 1), 1) as share_now,
      coalesce((select c.unresolved_share from curve as c where c.seconds <= s.goal_seconds order by c.seconds desc limit 1), 1) as share_at_goal
    from subject as s cross join scope
  ), expected as (
    select k.*, (select min(c.seconds) from curve as c where c.seconds > k.seconds and c.unresolved_share <= k.share_now / 2) as expected_seconds from known as k
  )
  select e.name, (select coalesce(sum(c.resolved + c.censored), 0)::bigint from curve as c), (select coalesce(sum(c.resolved), 0)::bigint from curve as c),
    e.seconds, e.goal_seconds,
    case when e.goal_seconds is null or e.name = 'nothing' then null when e.seconds > e.goal_seconds then 1 when e.is_resolved then 0
      when e.share_now = 0 then null else least(e.share_at_goal / e.share_now, 1) end,
    case when e.is_resolved then e.seconds else e.expected_seconds end,
    case when not e.is_resolved then crm.after_business_seconds(e.calendar_id, ticket_prediction.as_of, e.expected_seconds - e.seconds) end,
    case when not e.is_resolved and (e.seconds > e.goal_seconds or e.expected_seconds > e.goal_seconds) then e.breaches_at end
  from expected as e
$$;
comment on function analytics.ticket_prediction(uuid, timestamptz) is
  'When a ticket will probably be resolved: the median of what remained for tickets like it that had taken as long, and the probability that it takes longer than promised.';

create function analytics.sla_outcomes(since timestamptz, until timestamptz) returns table (
  clock_id uuid, ticket_id uuid, customer_id uuid, department_id uuid, team_id uuid, assignee_id uuid, policy_id uuid, kind text, type text, priority text, tier text,
  channel text, is_met boolean, is_open boolean, seconds double precision, goal_seconds integer, outcome_at timestamptz
) language sql stable as $$
  select k.id, t.id, t.customer_id, t.department_id, t.team_id, t.assignee_id, k.policy_id, k.kind, t.type, t.priority, t.tier, t.channel,
    k.state = 'met', k.stopped_at is null, k.elapsed_seconds, k.goal_seconds, case k.state when 'met' then k.stopped_at else k.breached_at end
  from crm.ticket_clock as k join crm.ticket as t on t.customer_id = k.customer_id and t.id = k.ticket_id
  where t.merged_into_id is null and k.goal_seconds is not null and (k.state = 'met' and k.stopped_at is not null or k.state = 'breached')
    and case k.state when 'met' then k.stopped_at else k.breached_at end >= sla_outcomes.since
    and case k.state when 'met' then k.stopped_at else k.breached_at end < sla_outcomes.until
$$;
comment on function analytics.sla_outcomes(timestamptz, timestamptz) is
  'One row a promise whose outcome became known in a time: kept when it was done, broken when its limit passed, be it done by now or not.';

create function analytics.sla_report(since timestamptz, until timestamptz, kind text, group_by text) returns table (
  group_key text, label text, met bigint, breached bigint, still_open bigint, attainment double precision,
  median_seconds double precision, p90_seconds double precision, median_ticket_seconds double precision, p90_ticket_seconds double precision
) language sql stable as $$
  select g.key,
    case sla_report.group_by when 'team' then (select x.name from crm.team as x where x.id::text = g.key) when 'agent' then (select x.name from crm.app_user as x where x.id::text = g.key)
      when 'policy' then (select x.name from crm.sla_policy as x where x.id::text = g.key) else g.key end,
    count(*) filter (where o.is_met), count(*) filter (where not o.is_met), count(*) filter (where o.is_open), avg(case when o.is_met then 1.0 else 0.0 end)::double precision,
    percentile_cont(0.5) within group (order by o.seconds) filter (where not o.is_open), percentile_cont(0.9) within group (order by o.seconds) filter (where not o.is_open),
    percentile_disc(0.5) within group (order by o.seconds) filter (where not o.is_open), percentile_disc(0.9) within group (order by o.seconds) filter (where not o.is_open)
  from analytics.sla_outcomes(sla_report.since, sla_report.until) as o
  cross join lateral (select case sla_report.group_by when 'team' then o.team_id::text when 'agent' then o.assignee_id::text when 'policy' then o.policy_id::text
    when 'type' then o.type when 'priority' then o.priority when 'tier' then o.tier when 'channel' then o.channel end as key) as g
  where o.kind = sla_report.kind
  group by g.key
$$;
comment on function analytics.sla_report(timestamptz, timestamptz, text, text) is
  'Promises of a kind by team, agent, policy, type, priority, tier, channel or together: attainment is kept ÷ (done within the goal or broken). Percentiles are of what is done: continuous (type 7) and of an actual ticket.';

create function analytics.ticket_ageing(as_of timestamptz, group_by text) returns table (
  group_key text, label text, tickets bigint, breached bigint, hours_0_24 bigint, days_1_3 bigint, days_3_7 bigint, days_7_30 bigint, days_30 bigint, oldest_opened_at timestamptz
) language sql stable as $$
  select g.key,
    case ticket_ageing.group_by when 'team' then (select x.name from crm.team as x where x.id::text = g.key) when 'agent' then (select x.name from crm.app_user as x where x.id::text = g.key)
      when 'policy' then (select x.name from crm.sla_policy as x where x.id::text = g.key) else g.key end,
    count(*), count(*) filter (where t.sla_state = 'breached'),
    count(*) filter (where t.opened_at > as_of - interval '24 hours'), count(*) filter (where t.opened_at <= as_of - interval '24 hours' and t.opened_at > as_of - interval '72 hours'),
    count(*) filter (where t.opened_at <= as_of - interval '72 hours' and t.opened_at > as_of - interval '168 hours'),
    count(*) filter (where t.opened_at <= as_of - interval '168 hours' and t.opened_at > as_of - interval '720 hours'),
    count(*) filter (where t.opened_at <= as_of - interval '720 hours'), min(t.opened_at)
  from crm.ticket as t
  cross join lateral (select case ticket_ageing.group_by when 'team' then t.team_id::text when 'agent' then t.assignee_id::text when 'policy' then t.sla_policy_id::text
    when 'type' then t.type when 'priority' then t.priority when 'tier' then t.tier when 'channel' then t.channel end as key) as g
  where t.status not in ('resolved', 'closed') and t.opened_at <= as_of
  group by g.key
$$;
comment on function analytics.ticket_ageing(timestamptz, text) is 'Tickets that are not resolved, by how long ago they came: open durations are censored, so they are shown by age and not averaged.';

grant execute on function analytics.ticket_durations(timestamptz, timestamptz), analytics.ticket_survival(timestamptz, timestamptz, uuid, text, text),
  analytics.ticket_prediction(uuid, timestamptz), analytics.sla_outcomes(timestamptz, timestamptz), analytics.sla_report(timestamptz, timestamptz, text, text),
  analytics.ticket_ageing(timestamptz, text) to crm_app, crm_worker;
