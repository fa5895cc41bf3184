-- What analyses count, defined once: schema analytics holds views and functions only, made anew whole like schema bi, which stands on it.
set local role crm_owner;
set local client_min_messages = warning;
drop schema if exists analytics cascade;
create schema analytics;
comment on schema analytics is 'Derived values, segments and models: what analyses count, read with the rights of whoever asks.';
grant usage on schema analytics to crm_app, crm_worker;

create view analytics.purchase with (security_invoker = true) as
select o.customer_id, o.id as order_id, o.department_id, o.ordered_at, o.currency, o.amount, o.loyalty_discount + o.coupon_discount + o.coupon_match_discount as discount
from crm.sales_order as o
where o.status <> 'cancelled' and not exists (select from crm.erased_customers() as e (id) where e.id = o.customer_id);
comment on view analytics.purchase is 'One row a purchase: an order that was not cancelled, also one of amount zero; the same orders that the metrics sales and orders count, without those of persons who were erased.';
comment on column analytics.purchase.customer_id is 'Who bought.';
comment on column analytics.purchase.order_id is 'The order.';
comment on column analytics.purchase.department_id is 'The department that works with the order.';
comment on column analytics.purchase.ordered_at is 'When it was bought.';
comment on column analytics.purchase.currency is 'Currency of its amounts.';
comment on column analytics.purchase.amount is 'What the company receives.';
comment on column analytics.purchase.discount is 'All discounts together.';

create view analytics.product_level with (security_invoker = true) as
with recursive tree as (
  select c.id as category_id, c.id as ancestor_id, c.parent_id, 0 as up from crm.product_category as c
  union all
  select t.category_id, p.id, p.parent_id, t.up + 1 from tree as t join crm.product_category as p on p.id = t.parent_id
), placed as (
  select t.category_id, t.ancestor_id, max(t.up) over (partition by t.category_id) - t.up + 1 as level from tree as t
)
select p.id as product_id, x.level::int as level, x.ancestor_id as category_id, c.name as category
from crm.product as p
join placed as x on x.category_id = p.category_id
join crm.product_category as c on c.id = x.ancestor_id;
comment on view analytics.product_level is 'One row a product and level of the category tree it is in: 1 is the top.';
comment on column analytics.product_level.product_id is 'The product.';
comment on column analytics.product_level.level is 'How deep in the tree, from 1 at the top.';
comment on column analytics.product_level.category_id is 'The category at that level.';
comment on column analytics.product_level.category is 'Its name.';

create view analytics.purchase_line with (security_invoker = true) as
select l.customer_id, l.order_id, l.line_number, p.department_id, p.ordered_at, l.product_id, p.currency, l.quantity, l.amount,
  l.loyalty_discount + l.coupon_discount + l.coupon_match_discount as discount, g.category_id, g.cost as unit_cost
from crm.sales_order_line as l
join analytics.purchase as p on p.customer_id = l.customer_id and p.order_id = l.order_id
join crm.product as g on g.id = l.product_id;
comment on view analytics.purchase_line is 'One row a product on a purchase.';
comment on column analytics.purchase_line.customer_id is 'Who bought.';
comment on column analytics.purchase_line.order_id is 'The order it is on.';
comment on column analytics.purchase_line.line_number is 'Place on the order, from 1.';
comment on column analytics.purchase_line.department_id is 'The department that works with the order.';
comment on column analytics.purchase_line.ordered_at is 'When it was bought.';
comment on column analytics.purchase_line.product_id is 'What was bought.';
comment on column analytics.purchase_line.currency is 'Currency of the amounts.';
comment on column analytics.purchase_line.quantity is 'Units bought; negative for returns.';
comment on column analytics.purchase_line.amount is 'What the company receives.';
comment on column analytics.purchase_line.discount is 'All discounts together.';
comment on column analytics.purchase_line.category_id is 'The category the product is in.';
comment on column analytics.purchase_line.unit_cost is 'What a unit costs the company, in Turkish lira; null if it is not known.';
grant select on all tables in schema analytics to crm_app, crm_worker, bi_reader;
