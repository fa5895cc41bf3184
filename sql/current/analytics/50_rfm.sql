-- Recency, frequency, monetary value (Hughes 1994): every customer who ever bought gets three scores from 1 to 5, 5 is best.
set local role crm_owner;

create function analytics.rfm_group(recency integer, frequency integer, monetary integer) returns text language sql immutable parallel safe
  return case
    when recency >= 4 and frequency + monetary >= 8 then 'champions'
    when recency >= 3 and frequency + monetary >= 7 then 'loyal'
    when recency >= 4 and frequency = 1 then 'new'
    when recency >= 4 then 'promising'
    when recency <= 2 and frequency + monetary >= 7 then 'at_risk'
    when recency = 1 then 'lost'
    else 'needs_attention' end;
comment on function analytics.rfm_group(integer, integer, integer) is 'The named group of three scores: the first rule of analytics.rfm_groups that holds, so that everybody is in exactly one.';

create view analytics.rfm_groups with (security_invoker = true) as
select * from (values
  (1, 'champions', 'Champions', 'Şampiyonlar', 'R >= 4 and (F + M) / 2 >= 4'),
  (2, 'loyal', 'Loyal', 'Sadıklar', 'R >= 3 and (F + M) / 2 >= 3.5'),
  (3, 'new', 'New', 'Yeniler', 'R >= 4 and F = 1'),
  (4, 'promising', 'Promising', 'Umut verenler', 'R >= 4'),
  (5, 'at_risk', 'At risk', 'Kaybedilebilecekler', 'R <= 2 and (F + M) / 2 >= 3.5'),
  (6, 'lost', 'Lost', 'Kaybedilenler', 'R = 1'),
  (7, 'needs_attention', 'Needs attention', 'İlgi bekleyenler', 'otherwise')
) as rfm_groups (position, name, label_en, label_tr, rule);
comment on view analytics.rfm_groups is 'The named groups of RFM in the order in which their rules are tried; the first that holds decides.';
comment on column analytics.rfm_groups.position is 'Order of the rule.';
comment on column analytics.rfm_groups.name is 'Stable name.';
comment on column analytics.rfm_groups.label_en is 'Label in English.';
comment on column analytics.rfm_groups.label_tr is 'Label in Turkish.';
comment on column analytics.rfm_groups.rule is 'The rule over the scores R, F and M.';

-- Both schemes in one statement; the one that was not asked for is not computed.
create function analytics.rfm(
  as_of timestamptz default now(), scheme text default 'cut', time_zone text default 'UTC', currency text default null, department uuid default null
) returns table (
  customer_id uuid, last_purchase_at timestamptz, recency_days integer, orders bigint, revenue numeric,
  recency_score integer, frequency_score integer, monetary_score integer, cell integer, rfm_group text
) language sql stable as $$
  with buyers as materialized (
    select b.customer_id, b.last_at, (rfm.as_of at time zone rfm.time_zone)::date - (b.last_at at time zone rfm.time_zone)::date as recency, b.orders, b.revenue
    from analytics.buyers(rfm.as_of, rfm.time_zone, rfm.currency, rfm.department) as b
  ), cuts as materialized (
    select percentile_cont(array[0.2, 0.4, 0.6, 0.8]) within group (order by -b.recency) as r,
      percentile_cont(array[0.2, 0.4, 0.6, 0.8]) within group (order by b.orders) as f,
      percentile_cont(array[0.2, 0.4, 0.6, 0.8]) within group (order by b.revenue::float8) as m
    from buyers as b where rfm.scheme = 'cut'
  ), scored as (
    select b.customer_id, b.last_at, b.recency, b.orders, b.revenue,
      1 + (c.r[1] < -b.recency)::integer + (c.r[2] < -b.recency)::integer + (c.r[3] < -b.recency)::integer + (c.r[4] < -b.recency)::integer as r,
      1 + (c.f[1] < b.orders)::integer + (c.f[2] < b.orders)::integer + (c.f[3] < b.orders)::integer + (c.f[4] < b.orders)::integer as f,
      1 + (c.m[1] < b.revenue::float8)::integer + (c.m[2] < b.revenue::float8)::integer + (c.m[3] < b.revenue::float8)::integer + (c.m[4] < b.revenue::float8)::integer as m
    from buyers as b cross join cuts as c where rfm.scheme = 'cut'
    union all
    select b.customer_id, b.last_at, b.recency, b.orders, b.revenue,
      ntile(5) over (order by b.last_at, b.customer_id), ntile(5) over (order by b.orders, b.customer_id), ntile(5) over (order by b.revenue, b.customer_id)
    from buyers as b where rfm.scheme = 'ntile'
  )
  select s.customer_id, s.last_at, s.recency, s.orders, s.revenue, s.r, s.f, s.m, 100 * s.r + 10 * s.f + s.m, analytics.rfm_group(s.r, s.f, s.m) from scored as s
$$;
comment on function analytics.rfm(timestamptz, text, text, text, uuid) is
  'RFM of everybody who bought before an instant. Scheme cut: one more than the number of cutpoints (20, 40, 60, 80 %, interpolated) strictly below the value, so that equal values share a score. Scheme ntile: fifths of equal size, ties by customer id. recency_days counts from the day of the last purchase to that of as_of, in the time zone. cell is 100 R + 10 F + M.';

create function analytics.rfm_summary(
  as_of timestamptz default now(), scheme text default 'cut', time_zone text default 'UTC', currency text default null, department uuid default null
) returns table (customers bigint, revenue numeric, cutpoints json, groups json, cells json) language sql stable as $$
  with scored as materialized (
    select s.* from analytics.rfm(rfm_summary.as_of, rfm_summary.scheme, rfm_summary.time_zone, rfm_summary.currency, rfm_summary.department) as s
  ), whole as (
    select count(*) as customers, sum(s.revenue) as revenue, percentile_cont(array[0.2, 0.4, 0.6, 0.8]) within group (order by -s.recency_days) as recency,
      percentile_cont(array[0.2, 0.4, 0.6, 0.8]) within group (order by s.orders) as orders,
      percentile_cont(array[0.2, 0.4, 0.6, 0.8]) within group (order by s.revenue::float8) as revenue_cuts
    from scored as s
  ), cell as (
    select s.cell, s.rfm_group, min(s.recency_score) as r, min(s.frequency_score) as f, min(s.monetary_score) as m, count(*) as customers, sum(s.revenue) as revenue
    from scored as s group by s.cell, s.rfm_group
  ), part as (
    select g.position, g.name, g.label_en, g.label_tr, g.rule, coalesce(sum(c.customers), 0)::bigint as customers, coalesce(sum(c.revenue), 0) as revenue
    from analytics.rfm_groups as g left join cell as c on c.rfm_group = g.name group by g.position, g.name, g.label_en, g.label_tr, g.rule
  )
  select w.customers, w.revenue,
    case when rfm_summary.scheme = 'cut' then json_build_object('negative_recency_days', w.recency, 'orders', w.orders, 'revenue', w.revenue_cuts) end,
    (select json_agg(json_build_object('name', p.name, 'label_en', p.label_en, 'label_tr', p.label_tr, 'rule', p.rule, 'customers', p.customers, 'revenue', p.revenue::text,
      'customer_share', p.customers::float8 / nullif(w.customers, 0), 'revenue_share', (p.revenue / nullif(w.revenue, 0))::float8) order by p.position) from part as p),
    (select coalesce(json_agg(json_build_object('cell', c.cell, 'recency_score', c.r, 'frequency_score', c.f, 'monetary_score', c.m, 'group', c.rfm_group,
      'customers', c.customers, 'revenue', c.revenue::text) order by c.cell), '[]') from cell as c)
  from whole as w
$$;
comment on function analytics.rfm_summary(timestamptz, text, text, text, uuid) is
  'analytics.rfm in one row: how many customers and for how much, the cutpoints (of the negative of recency, because less is better; null for ntile), the named groups and the cells.';

create view analytics.rfm_now with (security_invoker = true) as
select r.* from crm.customer_rfm as r
where r.run_id = (
  select a.id from crm.analysis_run as a where a.kind = 'rfm' and a.subject_id is null and a.status = 'done' and a.department_id is null order by a.as_of desc, a.id desc limit 1);
comment on view analytics.rfm_now is 'One row a customer of the last stored RFM of the whole company.';
comment on column analytics.rfm_now.run_id is 'The run that computed it.';
comment on column analytics.rfm_now.customer_id is 'The customer.';
comment on column analytics.rfm_now.last_purchase_at is 'The last purchase before the run''s as_of.';
comment on column analytics.rfm_now.recency_days is 'Days from the day of the last purchase to that of as_of.';
comment on column analytics.rfm_now.orders is 'How many purchases.';
comment on column analytics.rfm_now.revenue is 'For how much, in currency.';
comment on column analytics.rfm_now.currency is 'Currency of the revenue.';
comment on column analytics.rfm_now.recency_score is 'R, from 1 to 5; 5 is best.';
comment on column analytics.rfm_now.frequency_score is 'F, from 1 to 5; 5 is best.';
comment on column analytics.rfm_now.monetary_score is 'M, from 1 to 5; 5 is best.';
comment on column analytics.rfm_now.cell is '100 R + 10 F + M.';
comment on column analytics.rfm_now.rfm_group is 'The named group.';

grant select on all tables in schema analytics to crm_app, crm_worker, bi_reader;
grant execute on all functions in schema analytics to crm_app, crm_worker;
