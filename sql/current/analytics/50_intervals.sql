-- How often customers buy, as a whole and each thing, and when they should come again.
set local role crm_owner;

create function analytics.intervals_of_days(as_of_day date, minimum_gaps integer, days date[]) returns table (
  purchase_days integer, last_on date, median_gap_days double precision, expected_on date, overdue_days integer, overdue_ratio double precision
) language sql immutable as $$
  select d.number, d.last_on, d.median, d.last_on + round(d.median::numeric)::integer, as_of_day - (d.last_on + round(d.median::numeric)::integer),
    (as_of_day - d.last_on) / d.median
  from (
    select count(*)::integer as number, max(g.day) as last_on,
      case when count(g.gap) >= minimum_gaps then percentile_cont(0.5) within group (order by g.gap) end as median
    from (select s.day, s.day - lag(s.day) over (order by s.day) as gap from unnest(days) as s (day)) as g
  ) as d
$$;
comment on function analytics.intervals_of_days(date, integer, date[]) is
  'The intervals between different days of purchase: their median, when the next one should be (last day + median, rounded to whole days), by how many days that is over, and the ratio of the days since the last purchase to the median. Median and what follows from it are null with fewer gaps than asked for.';

create function analytics.purchase_intervals(
  as_of timestamptz default now(), time_zone text default 'UTC', department uuid default null, customers uuid[] default null, minimum_gaps integer default 2
) returns table (
  customer_id uuid, purchase_days integer, last_on date, median_gap_days double precision, expected_on date, overdue_days integer, overdue_ratio double precision
) language sql stable as $$
  select d.customer_id, i.*
  from (
    select p.customer_id, array_agg(distinct (p.ordered_at at time zone purchase_intervals.time_zone)::date) as days
    from analytics.purchase as p
    where p.ordered_at < purchase_intervals.as_of and (purchase_intervals.department is null or p.department_id = purchase_intervals.department)
      and (purchase_intervals.customers is null or p.customer_id = any (purchase_intervals.customers))
    group by p.customer_id
  ) as d
  cross join lateral analytics.intervals_of_days(
    (purchase_intervals.as_of at time zone purchase_intervals.time_zone)::date, purchase_intervals.minimum_gaps, d.days) as i
$$;
comment on function analytics.purchase_intervals(timestamptz, text, uuid, uuid[], integer) is 'One row a customer: the intervals between the days of purchase before an instant. customers null: everybody.';

create function analytics.item_intervals(
  as_of timestamptz default now(), time_zone text default 'UTC', department uuid default null, customers uuid[] default null, minimum_gaps integer default 2,
  level integer default null
) returns table (
  customer_id uuid, item_id uuid, purchase_days integer, last_on date, median_gap_days double precision, expected_on date, overdue_days integer, overdue_ratio double precision
) language sql stable as $$
  select d.customer_id, d.item_id, i.*
  from (
    select l.customer_id, t.item_id, array_agg(distinct (l.ordered_at at time zone item_intervals.time_zone)::date) as days
    from analytics.purchase_line as l join analytics.items(item_intervals.level) as t on t.product_id = l.product_id
    where l.ordered_at < item_intervals.as_of and l.quantity >= 0 and (item_intervals.department is null or l.department_id = item_intervals.department)
      and (item_intervals.customers is null or l.customer_id = any (item_intervals.customers))
    group by l.customer_id, t.item_id
    having count(*) > item_intervals.minimum_gaps
  ) as d
  cross join lateral analytics.intervals_of_days((item_intervals.as_of at time zone item_intervals.time_zone)::date, item_intervals.minimum_gaps, d.days) as i
  where i.median_gap_days is not null
$$;
comment on function analytics.item_intervals(timestamptz, text, uuid, uuid[], integer, integer) is
  'One row a customer and product (or category at a level of the tree) bought on enough different days: the intervals between them. Returned goods (negative quantities) are no purchase. customers null: everybody.';

grant execute on all functions in schema analytics to crm_app, crm_worker;
