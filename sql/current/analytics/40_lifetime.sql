-- Models of lifetime and survival: the sets they are fitted to, and what the last run says.
set local role crm_owner;

create function analytics.purchase_history(as_of timestamptz, time_zone text, currency text, department uuid)
returns table (customer_id uuid, frequency integer, recency_days integer, age_days integer, purchase_value numeric) language sql stable as $$
  select d.customer_id, (count(*) - 1)::integer, max(d.day) - min(d.day), (as_of at time zone time_zone)::date - min(d.day),
    -- The first purchase made the customer; what it was worth says nothing of repeat purchases.
    case when count(*) > 1 then (sum(d.amount) - sum(d.amount) filter (where d.is_first)) / (count(*) - 1) end
  from (
    select p.customer_id, p.day, sum(p.amount) as amount, row_number() over (partition by p.customer_id order by p.day) = 1 as is_first
    from (
      select o.customer_id, (o.ordered_at at time zone purchase_history.time_zone)::date as day,
        case when o.currency = purchase_history.currency then o.amount
          else crm.convert(o.amount, o.currency, purchase_history.currency, (o.ordered_at at time zone purchase_history.time_zone)::date) end as amount
      from analytics.purchase as o
      where o.ordered_at < as_of and (department is null or o.department_id = department)
    ) as p
    group by p.customer_id, p.day
  ) as d
  group by d.customer_id
$$;
comment on function analytics.purchase_history(timestamptz, text, text, uuid) is
  'One row a customer who bought before as_of: days with a purchase after the first, days from the first to the last and to as_of, and the mean value of a repeat purchase.';

create function analytics.customer_group(field text, member text) returns table (customer_id uuid, group_key text) language sql stable as $$
  select c.id, coalesce(case field
    when 'department' then (select d.name from crm.department as d where d.id = c.department_id)
    when 'kind' then c.kind when 'locale' then c.locale when 'lifecycle_phase' then c.lifecycle_phase
    when 'tier' then (
      select s.tier from crm.customer_standing as s join crm.value_model as m on m.id = s.model_id
      where s.customer_id = c.id and m.is_default and m.active and m.department_id is null order by m.revision desc, m.id limit 1)
    when 'profile' then c.profile ->> member when 'custom' then c.custom ->> member end, '')
  from crm.customer as c
$$;
comment on function analytics.customer_group(text, text) is
  'Which group each customer is in: by department, kind, locale or lifecycle_phase, by tier of the company''s default value model, or by a member of profile or custom; an empty text where there is none.';

create function analytics.contract_life(as_of date, department uuid)
returns table (contract_id uuid, customer_id uuid, currency text, term_months integer, days integer, terms integer, has_ended boolean) language sql stable as $$
  select c.id, c.customer_id, c.currency, c.term_months,
    greatest(least(c.ended_on + 1, as_of) - c.starts_on, 0),
    least(c.term_number, (extract(year from x.lasted) * 12 + extract(month from x.lasted))::integer / c.term_months + 1),
    coalesce(c.ended_on < as_of, false)
  from crm.contract as c
  cross join lateral age(least(c.ended_on, as_of)::timestamp, c.starts_on::timestamp) as x (lasted)
  where c.status <> 'draft' and c.starts_on < as_of and (department is null or c.department_id = department)
$$;
comment on function analytics.contract_life(date, uuid) is
  'One row a contract begun before a day: how many days and terms it had lasted, and whether it had ended; otherwise it is censored on that day.';

create function analytics.customer_life(as_of timestamptz, time_zone text, department uuid, gaps numeric)
returns table (customer_id uuid, days integer, has_ended boolean) language sql stable as $$
  with purchase_day as (
    select distinct o.customer_id, (o.ordered_at at time zone customer_life.time_zone)::date as day
    from analytics.purchase as o
    where o.ordered_at < as_of and (department is null or o.department_id = department)
  ), interval_between as (
    select d.customer_id, d.day, d.day - lag(d.day) over (partition by d.customer_id order by d.day) as days from purchase_day as d
  ), typical as (
    select percentile_cont(0.5) within group (order by i.days) as days from interval_between as i where i.days is not null
  ), life as (
    select i.customer_id, min(i.day) as first_day, max(i.day) as last_day,
      case when count(i.days) >= 2 then percentile_cont(0.5) within group (order by i.days) end as typical_days
    from interval_between as i group by i.customer_id
  )
  select l.customer_id,
    case when s.silent_on < s.today then s.silent_on else s.today end - l.first_day,
    coalesce(s.silent_on < s.today, false)
  from life as l
  cross join typical as t
  cross join lateral (
    select (as_of at time zone customer_life.time_zone)::date as today,
      l.last_day + ceil(customer_life.gaps * coalesce(l.typical_days, t.days)::numeric)::integer as silent_on
  ) as s
$$;
comment on function analytics.customer_life(timestamptz, text, uuid, numeric) is
  'One row a customer who bought before as_of: lost when the last purchase is longer ago than a number of typical gaps (the median of the customer''s own gaps between days with purchases, of everyone''s where there are fewer than two), namely on the day that this time was over; otherwise censored at as_of. Whoever came back was not lost.';

create view analytics.lifetime_run with (security_invoker = true) as
select distinct on (r.department_id) r.id as run_id, r.department_id, r.as_of, r.method, r.model_version as version, r.population as n, r.parameters, r.result
from crm.analysis_run as r
where r.kind = 'lifetime' and r.status = 'done'
order by r.department_id, r.as_of desc, r.id desc;
comment on view analytics.lifetime_run is 'The last run of a model of lifetime, one row for the whole company and each department that had one.';
comment on column analytics.lifetime_run.run_id is 'The run.';
comment on column analytics.lifetime_run.department_id is 'The department whose purchases alone were counted; null for the company''s.';
comment on column analytics.lifetime_run.as_of is 'Purchases before this instant count.';
comment on column analytics.lifetime_run.method is 'The model''s name.';
comment on column analytics.lifetime_run.version is 'Version of the method.';
comment on column analytics.lifetime_run.n is 'How many customers were counted.';
comment on column analytics.lifetime_run.parameters is 'What was chosen.';
comment on column analytics.lifetime_run.result is 'Parameters, log-likelihood and quality of the fit.';

create view analytics.lifetime_now with (security_invoker = true) as
select l.customer_id, l.run_id, r.as_of, l.frequency, l.recency_days, l.age_days, l.p_alive, l.expected_purchases, l.expected_30_days, l.expected_90_days,
  l.expected_180_days, l.expected_365_days, l.purchase_value, l.expected_value, l.clv, l.currency
from analytics.lifetime_run as r
join crm.customer_lifetime as l on l.run_id = r.run_id
where r.department_id is null;
comment on view analytics.lifetime_now is 'What the company''s last run of a model of lifetime says of each customer.';
comment on column analytics.lifetime_now.customer_id is 'The customer.';
comment on column analytics.lifetime_now.run_id is 'The run.';
comment on column analytics.lifetime_now.as_of is 'Purchases before this instant count.';
comment on column analytics.lifetime_now.frequency is 'Repeat purchases: days with a purchase after the first one.';
comment on column analytics.lifetime_now.recency_days is 'Days from the first purchase to the last.';
comment on column analytics.lifetime_now.age_days is 'Days from the first purchase to as_of.';
comment on column analytics.lifetime_now.p_alive is 'The probability that the customer still buys.';
comment on column analytics.lifetime_now.expected_purchases is 'Purchases expected within the months that clv counts.';
comment on column analytics.lifetime_now.expected_30_days is 'Purchases expected within 30 days.';
comment on column analytics.lifetime_now.expected_90_days is 'Purchases expected within 90 days.';
comment on column analytics.lifetime_now.expected_180_days is 'Purchases expected within 180 days.';
comment on column analytics.lifetime_now.expected_365_days is 'Purchases expected within 365 days.';
comment on column analytics.lifetime_now.purchase_value is 'The mean value of the repeat purchases so far.';
comment on column analytics.lifetime_now.expected_value is 'What the customer is expected to spend on a purchase.';
comment on column analytics.lifetime_now.clv is 'Customer lifetime value.';
comment on column analytics.lifetime_now.currency is 'Currency of the values.';
grant select on analytics.lifetime_run, analytics.lifetime_now to crm_app, crm_worker, bi_reader;
grant execute on function analytics.purchase_history(timestamptz, text, text, uuid), analytics.customer_group(text, text),
  analytics.contract_life(date, uuid), analytics.customer_life(timestamptz, text, uuid, numeric) to crm_app, crm_worker;
