-- In which phase customers are by what they did, and what phases cost.
set local role crm_owner;

create function analytics.phase_fact(known_until timestamptz, customers uuid[] default null)
returns table (customer_id uuid, known_since timestamptz, last_contact_at timestamptz, last_purchase_at timestamptz, orders bigint, categories bigint) language sql stable as $$
  select c.id, least(c.created_at, p.first_at, t.first_at), t.last_at, p.last_at, coalesce(p.orders, 0), coalesce(b.categories, 0)
  from crm.customer as c
  left join (
    select p.customer_id, min(p.ordered_at) as first_at, max(p.ordered_at) as last_at, count(*) filter (where p.ordered_at >= known_until - interval '365 days') as orders
    from analytics.purchase as p where p.ordered_at < known_until and (customers is null or p.customer_id = any (customers)) group by p.customer_id
  ) as p on p.customer_id = c.id
  left join (
    select l.customer_id, count(distinct g.category_id) as categories
    from analytics.purchase_line as l join analytics.product_level as g on g.product_id = l.product_id and g.level = 1
    where l.ordered_at < known_until and l.ordered_at >= known_until - interval '365 days' and (customers is null or l.customer_id = any (customers)) group by l.customer_id
  ) as b on b.customer_id = c.id
  left join (
    select x.customer_id, min(x.at) as first_at, max(x.at) as last_at from (
      select a.customer_id, a.starts_at as at from crm.activity as a where a.status <> 'cancelled' and a.kind <> 'note'
      union all select t.customer_id, t.touched_at from crm.campaign_touch as t where t.delivered
      union all select o.customer_id, o.created_at from crm.opportunity as o
      union all select l.customer_id, l.created_at from crm.lead as l where l.customer_id is not null
    ) as x where x.at < known_until and (customers is null or x.customer_id = any (customers)) group by x.customer_id
  ) as t on t.customer_id = c.id
  where c.erased_at is null and (customers is null or c.id = any (customers)) and least(c.created_at, p.first_at, t.first_at) < known_until
$$;
comment on function analytics.phase_fact(timestamptz, uuid[]) is
  'What decides about phases: the last contact (activity, delivered touch, opportunity, lead), the last purchase, and the purchases and top categories of the last 365 days, of everybody known before an instant.';

create function analytics.phase_by_rule(known_until timestamptz, customers uuid[] default null) returns table (customer_id uuid, phase text, rule text) language sql stable as $$
  select f.customer_id,
    case when f.last_purchase_at >= known_until - interval '365 days' then case when f.orders >= 3 and f.categories >= 2 then 'deepening' else 'retention' end
      when f.last_purchase_at is not null or f.last_contact_at >= known_until - interval '180 days' then 'acquisition' else 'selection' end,
    case when f.last_purchase_at >= known_until - interval '365 days' then case when f.orders >= 3 and f.categories >= 2 then 'buys_often_and_broadly' else 'bought_within_a_year' end
      when f.last_purchase_at is not null then 'no_purchase_for_a_year' when f.last_contact_at >= known_until - interval '180 days' then 'in_contact' else 'not_in_contact' end
  from analytics.phase_fact(known_until, customers) as f
$$;
comment on function analytics.phase_by_rule(timestamptz, uuid[]) is
  'The phase by rule: deepening with a purchase within 365 days, three in all and two top categories in that time; else retention with one; else acquisition with an earlier purchase or a contact within 180 days; else selection.';

create function analytics.phase_change(known_until timestamptz) returns table (customer_id uuid, from_phase text, to_phase text, rule text) language sql stable as $$
  with present as (
    select distinct on (p.customer_id) p.customer_id, p.phase, p.entered_at, p.decided_by from crm.customer_phase as p
    where p.left_at is null or p.left_at = known_until order by p.customer_id, p.left_at nulls first, p.entered_at desc
  )
  -- One step at a time: what may not be reached at once is reached by way of retention.
  select r.customer_id, p.phase, case when m.to_phase is not null or p.phase is null then r.phase else 'retention' end, r.rule
  from analytics.phase_by_rule(known_until) as r
  left join present as p on p.customer_id = r.customer_id
  left join crm.phase_move as m on m.from_phase = p.phase and m.to_phase = r.phase
  where p.phase is distinct from r.phase and (p.entered_at is null or p.entered_at < known_until)
    and (p.decided_by is distinct from 'person' or p.entered_at < known_until - interval '90 days')
$$;
comment on function analytics.phase_change(timestamptz) is
  'Which customers go to another phase by rule. What somebody decided stands for 90 days.';

create function analytics.phase_cost(since timestamptz, until timestamptz, only_department uuid)
returns table (customer_id uuid, at timestamptz, source text, cost numeric, currency text) language sql stable as $$
  select m.customer_id, c.starts_on::timestamp at time zone 'UTC', 'campaign', c.cost / count(*) over (partition by c.id), c.currency
  from crm.campaign as c join crm.campaign_member as m on m.campaign_id = c.id and not m.held_out
  where c.cost <> 0 and c.status <> 'cancelled' and c.starts_on::timestamp at time zone 'UTC' >= phase_cost.since and c.starts_on::timestamp at time zone 'UTC' < phase_cost.until
    and (only_department is null or c.department_id = only_department)
  union all
  select e.customer_id, e.occurred_at, case e.source when 'touch' then 'touch' else 'service' end,
    coalesce(e.cost, r.amount * case r.per when 'hour' then coalesce(e.minutes, r.usual_minutes) / 60 else 1 end), case when e.cost is null then r.currency else e.currency end
  from analytics.service_event as e
  left join lateral (
    select x.* from crm.service_rate as x where x.kind = e.kind and x.valid_from <= (e.occurred_at at time zone 'UTC')::date order by x.valid_from desc limit 1) as r on true
  where (e.cost is not null or r.id is not null) and e.occurred_at >= phase_cost.since and e.occurred_at < phase_cost.until and (only_department is null or e.department_id = only_department)
  union all
  select o.customer_id, o.observed_at, 'service_cost', o.value, o.currency from crm.customer_observation as o
  where o.kind = 'service_cost' and o.observed_at >= phase_cost.since and o.observed_at < phase_cost.until and (only_department is null or o.department_id = only_department)
$$;
comment on function analytics.phase_cost(timestamptz, timestamptz, uuid) is
  'What was spent on each customer: touches by what they cost or else by the service rates, the campaigns'' own cost in equal parts to their members on the first day, activities and time on tickets by the service rates, and service costs observed.';

create function analytics.phase_stay(since timestamptz, until timestamptz, only_department uuid)
returns table (customer_id uuid, phase text, entered_at timestamptz, left_at timestamptz, before text, next text, was_customer boolean) language sql stable as $$
  select s.customer_id, s.phase, s.entered_at, s.left_at, s.before, s.next, s.was_customer from (
    select p.customer_id, p.phase, p.entered_at, case when p.left_at < phase_stay.until then p.left_at end as left_at,
      lag(p.phase) over w as before, lead(p.phase) over w as next,
      coalesce(bool_or(p.phase in ('retention', 'deepening')) over (w rows between unbounded preceding and 1 preceding), false) as was_customer
    from crm.customer_phase as p
    where p.entered_at < phase_stay.until and (only_department is null or p.department_id = only_department)
    window w as (partition by p.customer_id order by p.entered_at, p.id)
  ) as s where s.left_at is null or s.left_at >= phase_stay.since
$$;
comment on function analytics.phase_stay(timestamptz, timestamptz, uuid) is
  'The stays in phases that touch a time, as they were known at its end, with the phases before and after, and whether the customer had been in retention or deepening before.';

create function analytics.phase_report(since timestamptz, until timestamptz, to_currency text, only_department uuid)
returns table (phase text, at_start bigint, entered bigint, forward bigint, leaked bigint, at_end bigint, dwell_mean double precision, dwell_median double precision, cost numeric,
  new_customers bigint, won_back bigint, kept bigint, without_rate bigint) language sql stable as $$
  with stay as materialized (
    select s.*, m.forward from analytics.phase_stay(phase_report.since, phase_report.until, only_department) as s
    left join crm.phase_move as m on s.left_at is not null and m.from_phase = s.phase and m.to_phase = s.next
  ), spent as (
    select s.phase, round(sum(crm.convert(c.cost, c.currency, to_currency, (c.at at time zone 'UTC')::date)), 10) as cost,
      count(*) filter (where crm.convert(c.cost, c.currency, to_currency, (c.at at time zone 'UTC')::date) is null) as without_rate
    from analytics.phase_cost(phase_report.since, phase_report.until, only_department) as c
    join stay as s on s.customer_id = c.customer_id and s.entered_at <= c.at and (s.left_at is null or s.left_at > c.at)
    group by s.phase
  )
  select k.phase, count(s.customer_id) filter (where s.entered_at < phase_report.since), count(s.customer_id) filter (where s.entered_at >= phase_report.since),
    count(*) filter (where s.forward), count(*) filter (where not s.forward), count(s.customer_id) filter (where s.left_at is null),
    avg(extract(epoch from s.left_at - s.entered_at) / 86400)::double precision,
    percentile_cont(0.5) within group (order by (extract(epoch from s.left_at - s.entered_at) / 86400)::double precision), coalesce(min(x.cost), 0),
    count(*) filter (where s.entered_at >= phase_report.since and s.before in ('selection', 'acquisition') and s.phase in ('retention', 'deepening') and not s.was_customer),
    count(*) filter (where s.entered_at >= phase_report.since and s.before in ('selection', 'acquisition') and s.phase in ('retention', 'deepening') and s.was_customer),
    (select count(*) from stay as a join stay as z on z.customer_id = a.customer_id and z.left_at is null and z.phase in ('retention', 'deepening')
      where a.phase = k.phase and a.phase in ('retention', 'deepening') and a.entered_at < phase_report.since),
    coalesce(min(x.without_rate), 0)
  from unnest(array['selection', 'acquisition', 'retention', 'deepening']) with ordinality as k (phase, place)
  left join stay as s on s.phase = k.phase left join spent as x on x.phase = k.phase
  group by k.phase, k.place order by k.place
$$;
comment on function analytics.phase_report(timestamptz, timestamptz, text, uuid) is
  'Of each phase in a time: customers at its start and end, who came, who went forward, who leaked back, how long stays that ended had lasted (days), and what was spent.';

grant execute on all functions in schema analytics to crm_app, crm_worker;
