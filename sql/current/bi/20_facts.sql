-- Facts: orders and their lines.
set local role crm_owner;

create view bi.orders with (security_invoker = true) as
select
  o.id as order_id, o.customer_id, o.department_id, o.owner_id as seller_id, o.location_id, o.source_system, o.external_number, o.status, o.channel, o.ordered_at,
  (o.ordered_at at time zone coalesce(l.time_zone, 'UTC'))::date as ordered_on, o.currency, o.amount,
  o.loyalty_discount, o.coupon_discount, o.coupon_match_discount,
  o.loyalty_discount + o.coupon_discount + o.coupon_match_discount as discount
from crm.sales_order as o
left join crm.location as l on l.id = o.location_id;
comment on view bi.orders is 'One row an order: what a customer bought at one time.';
comment on column bi.orders.order_id is 'Id of the order.';
comment on column bi.orders.customer_id is 'Who bought.';
comment on column bi.orders.department_id is 'The department that works with the order.';
comment on column bi.orders.seller_id is 'The colleague responsible for the order.';
comment on column bi.orders.location_id is 'Where it was bought.';
comment on column bi.orders.source_system is 'The system the order comes from.';
comment on column bi.orders.external_number is 'The order''s number in that system.';
comment on column bi.orders.status is 'placed, confirmed, partly_shipped, shipped, completed, cancelled or returned.';
comment on column bi.orders.channel is 'store, online, phone, field, partner or other.';
comment on column bi.orders.ordered_at is 'When it was bought.';
comment on column bi.orders.ordered_on is 'The day it was bought, in the time zone of the location (UTC without one).';
comment on column bi.orders.currency is 'Currency of all amounts.';
comment on column bi.orders.amount is 'What the company receives.';
comment on column bi.orders.loyalty_discount is 'Discounts given for loyalty.';
comment on column bi.orders.coupon_discount is 'Discounts by manufacturers'' coupons.';
comment on column bi.orders.coupon_match_discount is 'What the company added to manufacturers'' coupons.';
comment on column bi.orders.discount is 'All discounts together.';

create view bi.order_lines with (security_invoker = true) as
select
  l.id as order_line_id, l.order_id, l.customer_id, l.product_id, l.department_id, l.line_number, o.status, o.channel, o.location_id, o.ordered_at, o.ordered_on,
  l.quantity, l.unit_price, o.currency, l.amount, l.loyalty_discount, l.coupon_discount, l.coupon_match_discount,
  l.loyalty_discount + l.coupon_discount + l.coupon_match_discount as discount
from crm.sales_order_line as l
left join bi.orders as o on o.customer_id = l.customer_id and o.order_id = l.order_id;
comment on view bi.order_lines is 'One row a product on an order: who bought what, when, for how much.';
comment on column bi.order_lines.order_line_id is 'Id of the line.';
comment on column bi.order_lines.order_id is 'The order it is on.';
comment on column bi.order_lines.customer_id is 'Who bought.';
comment on column bi.order_lines.product_id is 'What was bought.';
comment on column bi.order_lines.department_id is 'The department that works with the order.';
comment on column bi.order_lines.line_number is 'Place on the order, from 1.';
comment on column bi.order_lines.status is 'Status of the order.';
comment on column bi.order_lines.channel is 'Channel of the order.';
comment on column bi.order_lines.location_id is 'Where it was bought.';
comment on column bi.order_lines.ordered_at is 'When it was bought.';
comment on column bi.order_lines.ordered_on is 'The day it was bought, in the time zone of the location.';
comment on column bi.order_lines.quantity is 'How many units of the product.';
comment on column bi.order_lines.unit_price is 'Price of one unit before discounts; null when the source does not say.';
comment on column bi.order_lines.currency is 'Currency of all amounts.';
comment on column bi.order_lines.amount is 'What the company receives for the line.';
comment on column bi.order_lines.loyalty_discount is 'Discount given for loyalty.';
comment on column bi.order_lines.coupon_discount is 'Discount by a manufacturer''s coupon.';
comment on column bi.order_lines.coupon_match_discount is 'What the company added to a manufacturer''s coupon.';
comment on column bi.order_lines.discount is 'All discounts together.';
