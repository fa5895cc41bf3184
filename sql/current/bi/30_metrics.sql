-- The metric catalogue: what each number means, where its facts come from, and the one function that adds them up for REST, SQL and dashboards.
set local role crm_owner;

-- One row a fact of a metric. A metric is written here once; how its rows are added up stands in bi.metric.
create view bi.measurement with (security_invoker = true) as
select 'sales' as metric, o.ordered_on as occurred_on, o.currency, o.amount as numerator, null::numeric as denominator,
  o.customer_id, null::uuid as product_id, o.department_id, o.seller_id, o.channel, null::text as stage
from bi.orders as o where o.status <> 'cancelled'
union all
select 'orders', o.ordered_on, null, 1, null, o.customer_id, null, o.department_id, o.seller_id, o.channel, null
from bi.orders as o where o.status <> 'cancelled'
union all
select 'customers', o.ordered_on, null, 1, null, o.customer_id, null, o.department_id, o.seller_id, o.channel, null
from bi.orders as o where o.status <> 'cancelled'
union all
select 'units', l.ordered_on, null, l.quantity, null, l.customer_id, l.product_id, l.department_id, null, l.channel, null
from bi.order_lines as l where l.status <> 'cancelled'
union all
select 'discounts', o.ordered_on, o.currency, o.discount, null, o.customer_id, null, o.department_id, o.seller_id, o.channel, null
from bi.orders as o where o.status <> 'cancelled'
union all
select 'average_order', o.ordered_on, o.currency, o.amount, 1, o.customer_id, null, o.department_id, o.seller_id, o.channel, null
from bi.orders as o where o.status <> 'cancelled';
comment on view bi.measurement is 'The facts behind every metric: one row each, with what it counts and by what it can be grouped.';
comment on column bi.measurement.metric is 'The metric, as in bi.metric.';
comment on column bi.measurement.occurred_on is 'The day it counts for.';
comment on column bi.measurement.currency is 'Currency of the numerator; null for counts.';
comment on column bi.measurement.numerator is 'What is added up.';
comment on column bi.measurement.denominator is 'What the sum is divided by, for ratios and averages; null otherwise.';
comment on column bi.measurement.customer_id is 'The customer.';
comment on column bi.measurement.product_id is 'The product, where the fact is about one.';
comment on column bi.measurement.department_id is 'The department.';
comment on column bi.measurement.seller_id is 'The seller: the owner of the record.';
comment on column bi.measurement.channel is 'The channel, where the fact has one.';
comment on column bi.measurement.stage is 'The stage, where the fact has one.';

create view bi.metric with (security_invoker = true) as
select name, label_en, label_tr, meaning, grain, unit, aggregate, owner,
  'select ' || case unit when 'currency' then 'currency, ' else '' end
    || case aggregate
      when 'sum' then 'sum(numerator)' when 'ratio' then 'sum(numerator) / nullif(sum(denominator), 0)' when 'customers' then 'count(distinct customer_id)'
      when 'velocity' then 'sum(numerator) * count(denominator) / nullif(sum(denominator), 0)' end
    || format(' as value from bi.measurement where metric = %L and occurred_on between $1 and $2', name)
    || case unit when 'currency' then ' group by currency' else '' end as sql
from (values
  ('sales', 'Sales', 'Satış', 'What the company receives for orders that were not cancelled.', 'order', 'currency', 'sum', 'sales'),
  ('orders', 'Orders', 'Sipariş sayısı', 'Orders that were not cancelled, also those of amount zero.', 'order', 'count', 'sum', 'sales'),
  ('customers', 'Buying customers', 'Alışveriş yapan müşteri', 'Customers with at least one order that was not cancelled.', 'customer', 'count', 'customers', 'sales'),
  ('units', 'Units', 'Birim', 'Units of products on orders that were not cancelled; for fuel and the like in the unit of the product.', 'order line', 'units', 'sum', 'sales'),
  ('discounts', 'Discounts', 'İndirim', 'Loyalty, coupon and coupon-match discounts on orders that were not cancelled.', 'order', 'currency', 'sum', 'marketing'),
  ('average_order', 'Average order', 'Ortalama sipariş', 'Amount of an order that was not cancelled, on average.', 'order', 'currency', 'ratio', 'sales')
) as metric (name, label_en, label_tr, meaning, grain, unit, aggregate, owner);
comment on view bi.metric is 'The metrics: what each means and the statement that gives it; $1 and $2 are the first and the last day.';
comment on column bi.metric.name is 'Stable name; also in /v1/metrics/{name}.';
comment on column bi.metric.label_en is 'Label in English.';
comment on column bi.metric.label_tr is 'Label in Turkish.';
comment on column bi.metric.meaning is 'What is counted and what is not.';
comment on column bi.metric.grain is 'What one thing counted is.';
comment on column bi.metric.unit is 'count, units, days, share (0 to 1), or currency (then one value a currency).';
comment on column bi.metric.aggregate is 'sum: of the numerators. ratio: sum of the numerators ÷ sum of the denominators. customers: how many different customers. velocity: sum of the numerators ÷ average of the denominators.';
comment on column bi.metric.owner is 'The department that answers for the definition.';
comment on column bi.metric.sql is 'The statement over schema bi.';

-- The same for callers that cannot run text.
create function bi.metric_values(metric text, first_day date, last_day date, group_by text default null)
returns table (group_key text, label text, currency text, value numeric, numerator numeric, denominator numeric, facts bigint) language sql stable as $$
  with grouped as (
    select case metric_values.group_by
        when 'day' then m.occurred_on::text when 'week' then to_char(m.occurred_on, 'IYYY-"W"IW') when 'month' then to_char(m.occurred_on, 'YYYY-MM')
        when 'quarter' then to_char(m.occurred_on, 'YYYY-"Q"Q') when 'year' then to_char(m.occurred_on, 'YYYY')
        when 'department' then m.department_id::text when 'seller' then m.seller_id::text when 'customer' then m.customer_id::text
        when 'product' then m.product_id::text when 'channel' then m.channel when 'stage' then m.stage end as group_key,
      m.currency, sum(m.numerator) as numerator, sum(m.denominator) as denominator, count(m.denominator) as denominators,
      count(distinct m.customer_id) as customers, count(*) as facts
    from bi.measurement as m
    where m.metric = metric_values.metric and m.occurred_on between first_day and last_day
    group by 1, 2
  )
  select g.group_key,
    case metric_values.group_by
      when 'department' then (select d.name from bi.departments as d where d.department_id::text = g.group_key)
      when 'customer' then (select c.name from bi.customers as c where c.customer_id::text = g.group_key)
      when 'product' then (select p.name from bi.products as p where p.product_id::text = g.group_key) else g.group_key end,
    g.currency,
    case c.aggregate
      when 'sum' then coalesce(g.numerator, 0) when 'customers' then coalesce(g.customers, 0) when 'ratio' then g.numerator / nullif(g.denominator, 0)
      when 'velocity' then g.numerator * g.denominators / nullif(g.denominator, 0) end,
    g.numerator, g.denominator, coalesce(g.facts, 0)
  from bi.metric as c left join grouped as g on true
  where c.name = metric_values.metric and (g.facts is not null or metric_values.group_by is null and c.unit <> 'currency' and c.aggregate in ('sum', 'customers'))
$$;
comment on function bi.metric_values(text, date, date, text) is
  'A metric of bi.metric between two days, both included, as a whole or by day, week, month, quarter, year, department, seller, customer, product, channel or stage: one row a group and currency; nothing for an unknown name.';

grant execute on function bi.metric_values(text, date, date, text) to bi_reader, crm_app, crm_worker;
grant select on all tables in schema bi to bi_reader, crm_app, crm_worker;
