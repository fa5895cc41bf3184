-- How often customers buy, as a whole and each thing, and when they should come again.
set local role crm_owner;

create function analytics.next_purchase(as_of_day date, last_on date, median_gap_days double precision) returns table (
  expected_on date, overdue_days integer, overdue_ratio double precision
) language sql immutable as $$
  select last_on + round(median_gap_days::numeric)::integer, as_of_day - (last_on + round(median_gap_days::numeric)::integer), (as_of_day - last_on) / median_gap_days
$$;
comment on function analytics.next_purchase(date, date, double precision) is
  'When the next purchase should be (last day + median gap, rounded to whole days), by how many days that is over, and the ratio of the days since the last purchase to the median. Null without a median.';

create function analytics.purchase_intervals(
  as_of timestamptz default now(), time_zone text default 'UTC', department uuid default null, customers uuid[] default null, minimum_gaps integer default 2
) returns table (
  customer_id uuid, purchase_days integer, last_on date, median_gap_days double precision, expected_on date, overdue_days integer, overdue_ratio double precision
) language sql stable as $$
  select m.customer_id, m.purchase_days, m.last_on, m.median_gap_days, n.expected_on, n.overdue_days, n.overdue_ratio
  from (
    select g.customer_id, count(*)::integer as purchase_days, max(g.day) as last_on,
      case when count(g.gap) >= purchase_intervals.minimum_gaps then percentile_cont(0.5) within group (order by g.gap) end as median_gap_days
    from (
      select d.customer_id, d.day, d.day - lag(d.day) over (partition by d.customer_id order by d.day) as gap
      from (
        select distinct p.customer_id, (p.ordered_at at time zone purchase_intervals.time_zone)::date as day
        from analytics.purchase as p
        where p.ordered_at < purchase_intervals.as_of and (purchase_intervals.department is null or p.department_id = purchase_intervals.department)
          and (purchase_intervals.customers is null or p.customer_id = any (purchase_intervals.customers))
      ) as d
    ) as g
    group by g.customer_id
  ) as m
  cross join lateral analytics.next_purchase((purchase_intervals.as_of at time zone purchase_intervals.time_zone)::date, m.last_on, m.median_gap_days) as n
$$;
comment on function analytics.purchase_intervals(timestamptz, text, uuid, uuid[], integer) is
  'One row a customer: the intervals between different days of purchase before an instant. The median and what follows from it are null with fewer gaps than asked for. customers null: everybody.';

create function analytics.item_intervals(
  as_of timestamptz default now(), time_zone text default 'UTC', department uuid default null, customers uuid[] default null, minimum_gaps integer default 2,
  level integer default null
) returns table (
  customer_id uuid, item_id uuid, purchase_days integer, last_on date, median_gap_days double precision, expected_on date, overdue_days integer, overdue_ratio double precision
) language sql stable as $$
  select m.customer_id, m.item_id, m.purchase_days, m.last_on, m.median_gap_days, n.expected_on, n.overdue_days, n.overdue_ratio
  from (
    select g.customer_id, g.item_id, count(*)::integer as purchase_days, max(g.day) as last_on, percentile_cont(0.5) within group (order by g.gap) as median_gap_days
    from (
      select d.customer_id, d.item_id, s.day, s.day - lag(s.day) over (partition by d.customer_id, d.item_id order by s.day) as gap
      from (
        -- Most things are bought once or twice: days are gathered first, by parallel workers, and only of what was bought often enough sorted again.
        select l.customer_id, t.item_id, array_agg(distinct (l.ordered_at at time zone item_intervals.time_zone)::date) as days
        from analytics.purchase_line as l join analytics.items(item_intervals.level) as t on t.product_id = l.product_id
        where l.ordered_at < item_intervals.as_of and l.quantity >= 0 and (item_intervals.department is null or l.department_id = item_intervals.department)
          and (item_intervals.customers is null or l.customer_id = any (item_intervals.customers))
        group by l.customer_id, t.item_id
        having count(*) > item_intervals.minimum_gaps
      ) as d
      cross join lateral unnest(d.days) as s (day)
      where cardinality(d.days) > item_intervals.minimum_gaps
    ) as g
    group by g.customer_id, g.item_id
  ) as m
  cross join lateral analytics.next_purchase((item_intervals.as_of at time zone item_intervals.time_zone)::date, m.last_on, m.median_gap_days) as n
$$;
comment on function analytics.item_intervals(timestamptz, text, uuid, uuid[], integer, integer) is
  'One row a customer and product (or category at a level of the tree) bought on enough different days: the intervals between them. Returned goods (negative quantities) are no purchase. customers null: everybody.';

grant execute on all functions in schema analytics to crm_app, crm_worker;
