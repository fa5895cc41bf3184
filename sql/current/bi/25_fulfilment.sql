-- Fulfilment for BI: how far the lines of orders made here have come, and what left when.
set local role crm_owner;

create view bi.order_fulfilments with (security_invoker = true) as
select
  f.id as order_fulfilment_id, f.customer_id, f.order_id, f.line_number, o.number as order_number, o.status as order_status, o.quote_id, f.product_id, f.warehouse_id,
  f.department_id, f.owner_id as seller_id, o.ordered_at, (o.ordered_at at time zone 'Europe/Istanbul')::date as ordered_on, f.unit_code, f.ordered, f.reserved,
  f.shipped, f.returned, f.cancelled, f.back_ordered, f.invoiced, f.expected_on, o.currency, l.amount as net_amount, f.vat_rate, f.discount_percent,
  case when f.shipped > 0 then round(l.amount * f.shipped / f.ordered, 2) else 0 end as shipped_amount, left_on.first_shipped_on, left_on.last_shipped_on
from crm.order_line_fulfilment as f
join crm.sales_order as o on o.customer_id = f.customer_id and o.id = f.order_id
join crm.sales_order_line as l on l.customer_id = f.customer_id and l.order_id = f.order_id and l.line_number = f.line_number
left join lateral (
  select min(s.shipped_on) as first_shipped_on, max(s.shipped_on) as last_shipped_on
  from crm.shipment_line as x join crm.shipment as s on s.customer_id = x.customer_id and s.id = x.shipment_id
  where x.customer_id = f.customer_id and x.order_id = f.order_id and x.line_number = f.line_number
) as left_on on true;
comment on view bi.order_fulfilments is 'One row a line of an order made here: how far it has come. Imported history has none.';
comment on column bi.order_fulfilments.order_fulfilment_id is 'Id of the row.';
comment on column bi.order_fulfilments.customer_id is 'Who ordered.';
comment on column bi.order_fulfilments.order_id is 'The order.';
comment on column bi.order_fulfilments.line_number is 'The line of the order.';
comment on column bi.order_fulfilments.order_number is 'Number of the order.';
comment on column bi.order_fulfilments.order_status is 'placed, confirmed, partly_shipped, shipped, completed, cancelled or returned.';
comment on column bi.order_fulfilments.quote_id is 'The accepted quote it came from.';
comment on column bi.order_fulfilments.product_id is 'The product.';
comment on column bi.order_fulfilments.warehouse_id is 'The warehouse that serves the line.';
comment on column bi.order_fulfilments.department_id is 'The department that works with the order.';
comment on column bi.order_fulfilments.seller_id is 'The colleague responsible for the order.';
comment on column bi.order_fulfilments.ordered_at is 'When it was ordered.';
comment on column bi.order_fulfilments.ordered_on is 'The day it was ordered, in Istanbul.';
comment on column bi.order_fulfilments.unit_code is 'What a quantity of 1 means (UN/ECE code).';
comment on column bi.order_fulfilments.ordered is 'How much was ordered.';
comment on column bi.order_fulfilments.reserved is 'How much lies reserved.';
comment on column bi.order_fulfilments.shipped is 'How much has left.';
comment on column bi.order_fulfilments.returned is 'How much of that came back.';
comment on column bi.order_fulfilments.cancelled is 'How much will never be shipped.';
comment on column bi.order_fulfilments.back_ordered is 'How much waits for goods.';
comment on column bi.order_fulfilments.invoiced is 'How much is on issued invoices.';
comment on column bi.order_fulfilments.expected_on is 'The day on which the waiting goods should be there.';
comment on column bi.order_fulfilments.currency is 'Currency of the amounts.';
comment on column bi.order_fulfilments.net_amount is 'Amount of the whole line without VAT.';
comment on column bi.order_fulfilments.vat_rate is 'VAT in percent.';
comment on column bi.order_fulfilments.discount_percent is 'Discount on the unit price, in percent.';
comment on column bi.order_fulfilments.shipped_amount is 'The part of the net amount that was shipped.';
comment on column bi.order_fulfilments.first_shipped_on is 'The day its first goods left.';
comment on column bi.order_fulfilments.last_shipped_on is 'The day its last goods left.';

create view bi.shipments with (security_invoker = true) as
select
  x.id as shipment_line_id, s.id as shipment_id, s.number as shipment_number, s.customer_id, s.order_id, x.line_number, x.product_id, x.warehouse_id, x.quantity,
  s.shipped_on, s.carrier, s.department_id, s.owner_id as seller_id, o.ordered_at, (o.ordered_at at time zone 'Europe/Istanbul')::date as ordered_on,
  s.shipped_on - (o.ordered_at at time zone 'Europe/Istanbul')::date as days_to_ship
from crm.shipment as s
join crm.shipment_line as x on x.customer_id = s.customer_id and x.shipment_id = s.id
join crm.sales_order as o on o.customer_id = s.customer_id and o.id = s.order_id;
comment on view bi.shipments is 'One row a product in a shipment: what left when.';
comment on column bi.shipments.shipment_line_id is 'Id of the row.';
comment on column bi.shipments.shipment_id is 'The shipment.';
comment on column bi.shipments.shipment_number is 'Number of the shipment.';
comment on column bi.shipments.customer_id is 'Who gets it.';
comment on column bi.shipments.order_id is 'The order.';
comment on column bi.shipments.line_number is 'The line of the order.';
comment on column bi.shipments.product_id is 'The product.';
comment on column bi.shipments.warehouse_id is 'The warehouse it left.';
comment on column bi.shipments.quantity is 'How much of it.';
comment on column bi.shipments.shipped_on is 'The day it left.';
comment on column bi.shipments.carrier is 'Who carries it.';
comment on column bi.shipments.department_id is 'The department that works with the order.';
comment on column bi.shipments.seller_id is 'The colleague responsible for the order.';
comment on column bi.shipments.ordered_at is 'When it was ordered.';
comment on column bi.shipments.ordered_on is 'The day it was ordered, in Istanbul.';
comment on column bi.shipments.days_to_ship is 'Days from the order to the shipment.';
