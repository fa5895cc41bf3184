-- Tickets, the promises made for them, and the time they took.
set local role crm_owner;

create view bi.teams with (security_invoker = true) as
select t.id as team_id, t.code, t.name, t.department_id, t.active from crm.team as t;
comment on view bi.teams is 'One row a team of colleagues who answer customers.';
comment on column bi.teams.team_id is 'Id of the team.';
comment on column bi.teams.code is 'Short stable name.';
comment on column bi.teams.name is 'Name as people say it.';
comment on column bi.teams.department_id is 'The department it belongs to.';
comment on column bi.teams.active is 'Whether work is routed to it.';

create view bi.tickets with (security_invoker = true) as
select t.id as ticket_id, t.number, case when (select crm.bi_sees_personal()) then t.subject else left(t.subject, 1) || '***' end as subject, t.type, t.priority, t.status,
  case when (select crm.bi_sees_personal()) then t.status_reason end as status_reason,
  t.channel, t.language, t.customer_id, t.product_id, t.order_id, t.parent_id, t.merged_into_id, t.split_from_id, t.team_id, t.assignee_id as agent_id, t.department_id, t.sla_class, t.tier,
  t.sla_state, t.next_due_at, t.opened_at, crm.business_day(t.opened_at) as opened_on, t.first_response_at, t.resolved_at, t.closed_at, t.reopened_count,
  round(t.seconds_spent / 60.0, 2) as minutes_spent,
  round((extract(epoch from coalesce(t.resolved_at, now()) - t.opened_at) / 3600)::numeric, 2) as age_hours, t.resolved_at is null as is_censored
from crm.ticket as t;
comment on view bi.tickets is 'One row a ticket: something a customer wants answered or put right.';
comment on column bi.tickets.ticket_id is 'Id of the ticket.';
comment on column bi.tickets.number is 'Number that people quote.';
comment on column bi.tickets.subject is 'What it is about; only the first letter, unless the login sees personal data.';
comment on column bi.tickets.type is 'question, problem, incident, request, complaint, return or other.';
comment on column bi.tickets.priority is 'low, normal, high or urgent.';
comment on column bi.tickets.status is 'new, open, pending_customer, on_hold, resolved or closed.';
comment on column bi.tickets.status_reason is 'Why it is in this status; empty, unless the login sees personal data.';
comment on column bi.tickets.channel is 'How it came.';
comment on column bi.tickets.language is 'Language to answer in.';
comment on column bi.tickets.customer_id is 'The customer.';
comment on column bi.tickets.product_id is 'The product it is about.';
comment on column bi.tickets.order_id is 'The order it is about.';
comment on column bi.tickets.parent_id is 'The ticket it is a part of.';
comment on column bi.tickets.merged_into_id is 'The ticket that stands for it; such tickets do not count in metrics.';
comment on column bi.tickets.split_from_id is 'The ticket it was taken out of.';
comment on column bi.tickets.team_id is 'The team that answers it.';
comment on column bi.tickets.agent_id is 'The colleague who answers it.';
comment on column bi.tickets.department_id is 'The department that works with it.';
comment on column bi.tickets.sla_class is 'The customer''s class of service when it came.';
comment on column bi.tickets.tier is 'The customer''s tier when it came.';
comment on column bi.tickets.sla_state is 'none, running, paused, warned, breached or met.';
comment on column bi.tickets.next_due_at is 'The earliest limit that runs.';
comment on column bi.tickets.opened_at is 'When it came.';
comment on column bi.tickets.opened_on is 'The day it came, in Türkiye.';
comment on column bi.tickets.first_response_at is 'When the customer was first answered.';
comment on column bi.tickets.resolved_at is 'When it was resolved.';
comment on column bi.tickets.closed_at is 'When it was closed.';
comment on column bi.tickets.reopened_count is 'How often it was reopened.';
comment on column bi.tickets.minutes_spent is 'Minutes that colleagues spent on it.';
comment on column bi.tickets.age_hours is 'Hours from when it came until it was resolved, or until now.';
comment on column bi.tickets.is_censored is 'Whether it is not resolved, so that age_hours still grows: not to be averaged with the others.';

create view bi.ticket_sla with (security_invoker = true) as
select k.id as clock_id, k.ticket_id, k.customer_id, k.kind, k.cycle, p.code as policy, t.team_id, t.assignee_id as agent_id, t.department_id, t.type, t.priority, t.tier, t.channel,
  k.started_at, k.stopped_at, round(k.goal_seconds / 60.0, 2) as goal_minutes, round(k.elapsed_seconds::numeric / 60, 2) as elapsed_minutes, k.state, k.due_at, k.warned_at, k.breached_at,
  k.stopped_at is null as is_censored, t.merged_into_id is null and k.goal_seconds is not null and (k.state = 'met' or k.state = 'breached') as counts,
  crm.business_day(case k.state when 'met' then k.stopped_at when 'breached' then k.breached_at end) as outcome_on
from crm.ticket_clock as k
join crm.ticket as t on t.customer_id = k.customer_id and t.id = k.ticket_id
left join crm.sla_policy as p on p.id = k.policy_id;
comment on view bi.ticket_sla is 'One row a clock of a ticket: what was promised, how long it took in the time that counts, and whether it was kept. Attainment is the share of met among those that count.';
comment on column bi.ticket_sla.clock_id is 'Id of the clock.';
comment on column bi.ticket_sla.ticket_id is 'The ticket.';
comment on column bi.ticket_sla.customer_id is 'The customer.';
comment on column bi.ticket_sla.kind is 'first_response, next_response or resolution.';
comment on column bi.ticket_sla.cycle is 'Which one of its kind.';
comment on column bi.ticket_sla.policy is 'Code of the policy.';
comment on column bi.ticket_sla.team_id is 'The team that answers the ticket.';
comment on column bi.ticket_sla.agent_id is 'The colleague who answers it.';
comment on column bi.ticket_sla.department_id is 'The department that works with it.';
comment on column bi.ticket_sla.type is 'Type of the ticket.';
comment on column bi.ticket_sla.priority is 'Priority of the ticket.';
comment on column bi.ticket_sla.tier is 'The customer''s tier when it came.';
comment on column bi.ticket_sla.channel is 'How it came.';
comment on column bi.ticket_sla.started_at is 'When the clock began.';
comment on column bi.ticket_sla.stopped_at is 'When it was done; null while it is not.';
comment on column bi.ticket_sla.goal_minutes is 'Minutes that were promised, of the policy''s calendar.';
comment on column bi.ticket_sla.elapsed_minutes is 'Minutes of that calendar that it took without pauses; of an open one, until it last came into its present status.';
comment on column bi.ticket_sla.state is 'untimed, running, paused, met or breached.';
comment on column bi.ticket_sla.due_at is 'When the goal is used up.';
comment on column bi.ticket_sla.warned_at is 'When a warning was given.';
comment on column bi.ticket_sla.breached_at is 'When the promise was broken.';
comment on column bi.ticket_sla.is_censored is 'Whether it is not done yet.';
comment on column bi.ticket_sla.counts is 'Whether it counts for attainment: kept, or broken (be it done by now or not).';
comment on column bi.ticket_sla.outcome_on is 'The day it counts for, in Türkiye: of a kept promise when it was done, of a broken one when its limit passed.';

create view bi.ticket_times with (security_invoker = true) as
select x.id as ticket_time_id, x.ticket_id, x.customer_id, x.user_id as agent_id, x.kind, x.worked_at, crm.business_day(x.worked_at) as worked_on, round(x.seconds / 60.0, 2) as minutes,
  x.department_id
from crm.ticket_time as x;
comment on view bi.ticket_times is 'One row a time that a colleague spent on a ticket.';
comment on column bi.ticket_times.ticket_time_id is 'Id of the entry.';
comment on column bi.ticket_times.ticket_id is 'The ticket.';
comment on column bi.ticket_times.customer_id is 'The customer.';
comment on column bi.ticket_times.agent_id is 'The colleague.';
comment on column bi.ticket_times.kind is 'work, call, visit or travel.';
comment on column bi.ticket_times.worked_at is 'When it began.';
comment on column bi.ticket_times.worked_on is 'The day, in Türkiye.';
comment on column bi.ticket_times.minutes is 'How long, in minutes.';
comment on column bi.ticket_times.department_id is 'The department that works with the ticket.';
