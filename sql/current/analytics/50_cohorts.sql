-- Cohorts: customers by the month of their first purchase, and what became of them.
set local role crm_owner;

create function analytics.cohorts(as_of timestamptz default now(), time_zone text default 'UTC', currency text default null, department uuid default null)
returns table (
  cohort date, size bigint, month integer, customers bigint, customer_share double precision, revenue numeric, revenue_share double precision, complete boolean
) language sql stable as $$
  with placed as (
    select min(date_trunc('month', p.ordered_at at time zone cohorts.time_zone)::date) over (partition by p.customer_id) as cohort,
      date_trunc('month', p.ordered_at at time zone cohorts.time_zone)::date as month,
      case when cohorts.currency is null then sum(p.amount) else sum(case when p.currency = cohorts.currency then p.amount
        else crm.convert(p.amount, p.currency, cohorts.currency, (p.ordered_at at time zone cohorts.time_zone)::date) end) end as revenue
    from analytics.purchase as p
    where p.ordered_at < cohorts.as_of and (cohorts.department is null or p.department_id = cohorts.department)
    group by p.customer_id, date_trunc('month', p.ordered_at at time zone cohorts.time_zone)::date
  ), added as (
    select p.cohort, p.month, count(*) as customers, sum(p.revenue) as revenue from placed as p group by p.cohort, p.month
  ), cell as (
    select a.cohort, (extract(year from age(a.month, a.cohort)) * 12 + extract(month from age(a.month, a.cohort)))::integer as month, a.customers, a.revenue
    from added as a
  ), span as (
    select date_trunc('month', (cohorts.as_of - interval '1 microsecond') at time zone cohorts.time_zone)::date as last, min(c.cohort) as first from cell as c
  ), place as (
    select c.cohort, c.customers as size, c.revenue as first_revenue, step as month, (c.cohort + make_interval(months => step))::date as calendar_month, s.last
    from span as s
    cross join generate_series(0, (extract(year from age(s.last, s.first)) * 12 + extract(month from age(s.last, s.first)))::integer) as step
    join cell as c on c.month = 0
  )
  select p.cohort, p.size, p.month, case when p.calendar_month <= p.last then coalesce(c.customers, 0) end,
    case when p.calendar_month <= p.last then coalesce(c.customers, 0)::float8 / p.size end,
    case when p.calendar_month <= p.last then coalesce(c.revenue, 0) end,
    case when p.calendar_month <= p.last then (coalesce(c.revenue, 0) / nullif(p.first_revenue, 0))::float8 end,
    (p.calendar_month + interval '1 month') at time zone cohorts.time_zone <= cohorts.as_of
  from place as p left join cell as c on c.cohort = p.cohort and c.month = p.month
$$;
comment on function analytics.cohorts(timestamptz, text, text, uuid) is
  'One row a cohort (first day of the month of the first purchase, in the time zone) and month after it, as wide as the oldest cohort: how many of the cohort bought in that month, for how much, as shares of its size and of its first month''s revenue. Months that have not begun before as_of are null; the month that is under way counts what is known and is not complete. A share of a first month without revenue is null.';

grant execute on all functions in schema analytics to crm_app, crm_worker;
