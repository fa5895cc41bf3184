-- The metric catalogue: what each number means, and the statement that gives it from the views.
set local role crm_owner;

create view bi.metric with (security_invoker = true) as
select name, label_en, label_tr, meaning, grain, unit, sql, owner
from (values
  ('sales', 'Sales', 'Satış', 'What the company receives for orders that were not cancelled.', 'order', 'currency',
   'select currency, sum(amount) as value from bi.orders where status <> ''cancelled'' and ordered_on between $1 and $2 group by currency', 'sales'),
  ('orders', 'Orders', 'Sipariş sayısı', 'Orders that were not cancelled, also those of amount zero.', 'order', 'count',
   'select count(*) as value from bi.orders where status <> ''cancelled'' and ordered_on between $1 and $2', 'sales'),
  ('customers', 'Buying customers', 'Alışveriş yapan müşteri', 'Customers with at least one order that was not cancelled.', 'customer', 'count',
   'select count(distinct customer_id) as value from bi.orders where status <> ''cancelled'' and ordered_on between $1 and $2', 'sales'),
  ('units', 'Units', 'Birim', 'Units of products on orders that were not cancelled; for fuel and the like in the unit of the product.', 'order line', 'units',
   'select sum(quantity) as value from bi.order_lines where status <> ''cancelled'' and ordered_on between $1 and $2', 'sales'),
  ('discounts', 'Discounts', 'İndirim', 'Loyalty, coupon and coupon-match discounts on orders that were not cancelled.', 'order', 'currency',
   'select currency, sum(discount) as value from bi.orders where status <> ''cancelled'' and ordered_on between $1 and $2 group by currency', 'marketing')
) as metric (name, label_en, label_tr, meaning, grain, unit, sql, owner);
comment on view bi.metric is 'The metrics: what each means and the statement that gives it; $1 and $2 are the first and the last day.';
comment on column bi.metric.name is 'Stable name; also in /v1/metrics/{name}.';
comment on column bi.metric.label_en is 'Label in English.';
comment on column bi.metric.label_tr is 'Label in Turkish.';
comment on column bi.metric.meaning is 'What is counted and what is not.';
comment on column bi.metric.grain is 'What one thing counted is.';
comment on column bi.metric.unit is 'count, units, or currency (then one value a currency).';
comment on column bi.metric.sql is 'The statement over schema bi.';
comment on column bi.metric.owner is 'The department that answers for the definition.';

-- The same statements for callers that cannot run text: one row, or one a currency.
create function bi.metric_values(metric text, first_day date, last_day date) returns table (currency text, value numeric) language sql stable as $$
  select o.currency, sum(o.amount) from bi.orders as o
  where metric = 'sales' and o.status <> 'cancelled' and o.ordered_on between first_day and last_day group by o.currency
  union all
  select null, count(*) from bi.orders as o
  where metric = 'orders' and o.status <> 'cancelled' and o.ordered_on between first_day and last_day having metric = 'orders'
  union all
  select null, count(distinct o.customer_id) from bi.orders as o
  where metric = 'customers' and o.status <> 'cancelled' and o.ordered_on between first_day and last_day having metric = 'customers'
  union all
  select null, coalesce(sum(l.quantity), 0) from bi.order_lines as l
  where metric = 'units' and l.status <> 'cancelled' and l.ordered_on between first_day and last_day having metric = 'units'
  union all
  select o.currency, sum(o.discount) from bi.orders as o
  where metric = 'discounts' and o.status <> 'cancelled' and o.ordered_on between first_day and last_day group by o.currency
$$;
comment on function bi.metric_values(text, date, date) is 'A metric of bi.metric between two days, both included: one row, or one a currency; nothing for an unknown name.';

grant execute on function bi.metric_values(text, date, date) to bi_reader, crm_app, crm_worker;
grant select on all tables in schema bi to bi_reader, crm_app, crm_worker;
