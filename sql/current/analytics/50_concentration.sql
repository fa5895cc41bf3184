-- How unevenly revenue is spread over customers: tenths of customers, shares of the top, Lorenz curve and Gini coefficient.
set local role crm_owner;

create function analytics.deciles(as_of timestamptz default now(), time_zone text default 'UTC', currency text default null, department uuid default null)
returns table (decile integer, customers bigint, revenue numeric, lowest numeric, highest numeric, revenue_share double precision, cumulative_share double precision)
language sql stable as $$
  with ranked as (
    select ntile(10) over (order by b.revenue desc, b.customer_id) as decile, b.revenue
    from analytics.buyers(deciles.as_of, deciles.time_zone, deciles.currency, deciles.department) as b
  ), tenth as (
    select r.decile, count(*) as customers, sum(r.revenue) as revenue, min(r.revenue) as lowest, max(r.revenue) as highest from ranked as r group by r.decile
  )
  select t.decile, t.customers, t.revenue, t.lowest, t.highest, (t.revenue / nullif(sum(t.revenue) over (), 0))::float8,
    (sum(t.revenue) over (order by t.decile) / nullif(sum(t.revenue) over (), 0))::float8
  from tenth as t
$$;
comment on function analytics.deciles(timestamptz, text, text, uuid) is
  'Ten groups of customers of equal size by revenue, 1 is the best; where they cannot be equal the first ones have one more. Ties by customer id. Customers with negative revenue are in the last ones.';

create function analytics.concentration(as_of timestamptz default now(), time_zone text default 'UTC', currency text default null, department uuid default null)
returns table (customers bigint, excluded bigint, revenue numeric, gini double precision, top json, lorenz json) language sql stable as $$
  with buyers as (
    select b.customer_id, b.revenue from analytics.buyers(concentration.as_of, concentration.time_zone, concentration.currency, concentration.department) as b
  ), ranked as materialized (
    select b.revenue, row_number() over w as place, sum(b.revenue) over w as cumulative
    from buyers as b where b.revenue >= 0 window w as (order by b.revenue, b.customer_id desc rows unbounded preceding)
  ), whole as (
    select count(*) as n, sum(r.revenue) as total, sum(r.place * r.revenue) as weighted from ranked as r
  )
  select w.n, (select count(*) from buyers as b where b.revenue < 0), w.total,
    ((2 * w.weighted - (w.n + 1) * w.total) / nullif(w.n * w.total, 0))::float8,
    (select json_agg(json_build_object('customer_share', given.share::float8, 'customers', ceil(w.n * given.share)::bigint,
        'revenue', (w.total - coalesce(r.cumulative, 0))::text, 'revenue_share', ((w.total - coalesce(r.cumulative, 0)) / nullif(w.total, 0))::float8) order by given.share)
      from (values (0.01), (0.05), (0.10), (0.20), (0.50)) as given (share) left join ranked as r on r.place = w.n - ceil(w.n * given.share)::bigint),
    (select json_agg(json_build_object('customer_share', p.place::float8 / nullif(w.n, 0), 'revenue_share', coalesce(r.cumulative, 0) / nullif(w.total, 0)) order by p.place)
      from (select distinct ceil(w.n * step / greatest(least(w.n, 100), 1)::numeric)::bigint as place from generate_series(0, least(w.n, 100)) as step) as p
      left join ranked as r on r.place = p.place)
  from whole as w
$$;
comment on function analytics.concentration(timestamptz, text, text, uuid) is
  'One row: customers with revenue of zero or more (those with less are left out and counted in excluded, because their share would mean nothing), their revenue, the Gini coefficient 2 Σ i x_i / (n Σ x) − (n + 1) / n with x ascending, the share of the top 1, 5, 10, 20 and 50 % of customers (rounded up to whole customers), and at most 101 points of the Lorenz curve from the poorest customer up. Gini and shares are null where the revenue is zero.';

grant execute on all functions in schema analytics to crm_app, crm_worker;
