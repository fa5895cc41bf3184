-- Stock for BI: the levels now, the ledger behind them, and what is on its way.
set local role crm_owner;

create view bi.warehouses with (security_invoker = true) as
select w.id as warehouse_id, w.code, w.name, w.location_id, w.priority, w.active from crm.warehouse as w;
comment on view bi.warehouses is 'One row a warehouse.';
comment on column bi.warehouses.warehouse_id is 'Id of the warehouse.';
comment on column bi.warehouses.code is 'Short stable name.';
comment on column bi.warehouses.name is 'Name.';
comment on column bi.warehouses.location_id is 'The location it is a part of.';
comment on column bi.warehouses.priority is 'Orders are served from the lowest number that has enough.';
comment on column bi.warehouses.active is 'Whether new orders may be served from it.';

create view bi.stock with (security_invoker = true) as
select l.warehouse_id, l.product_id, l.on_hand, l.reserved, l.available, round(l.on_hand * p.cost, 2) as value, l.updated_at as changed_at
from crm.stock_level as l left join crm.product as p on p.id = l.product_id;
comment on view bi.stock is 'One row a product and warehouse: the stock as it is now.';
comment on column bi.stock.warehouse_id is 'The warehouse.';
comment on column bi.stock.product_id is 'The product.';
comment on column bi.stock.on_hand is 'What lies there, in the product''s unit.';
comment on column bi.stock.reserved is 'What of it is promised to orders.';
comment on column bi.stock.available is 'On hand less reserved.';
comment on column bi.stock.value is 'On hand at the product''s cost, in Turkish lira; null if the cost is not known.';
comment on column bi.stock.changed_at is 'When the level last changed.';

create view bi.stock_movements with (security_invoker = true) as
select m.id as stock_movement_id, m.created_at as moved_at, (m.created_at at time zone 'Europe/Istanbul')::date as moved_on, m.warehouse_id, m.product_id, m.kind,
  m.quantity, m.on_hand_change, m.reserved_change, m.customer_id, m.order_id, m.order_line_number, m.created_by as user_id
from crm.stock_movement as m;
comment on view bi.stock_movements is 'One row an entry of the stock ledger.';
comment on column bi.stock_movements.stock_movement_id is 'Id of the entry.';
comment on column bi.stock_movements.moved_at is 'When it happened.';
comment on column bi.stock_movements.moved_on is 'The day it happened, in Istanbul.';
comment on column bi.stock_movements.warehouse_id is 'The warehouse.';
comment on column bi.stock_movements.product_id is 'The product.';
comment on column bi.stock_movements.kind is 'receipt, reserve, release, ship, return or count.';
comment on column bi.stock_movements.quantity is 'How much, in the product''s unit.';
comment on column bi.stock_movements.on_hand_change is 'What it adds to the goods on hand.';
comment on column bi.stock_movements.reserved_change is 'What it adds to the reserved goods.';
comment on column bi.stock_movements.customer_id is 'Whose order it is for.';
comment on column bi.stock_movements.order_id is 'The order it is for.';
comment on column bi.stock_movements.order_line_number is 'The line of that order.';
comment on column bi.stock_movements.user_id is 'Who did it; null for the system.';

create view bi.expected_receipts with (security_invoker = true) as
select e.id as expected_receipt_id, e.warehouse_id, e.product_id, e.quantity, e.received, e.outstanding, e.expected_on, e.reference, e.active
from crm.expected_receipt as e;
comment on view bi.expected_receipts is 'One row a delivery that was bought.';
comment on column bi.expected_receipts.expected_receipt_id is 'Id of the expected receipt.';
comment on column bi.expected_receipts.warehouse_id is 'Where it arrives.';
comment on column bi.expected_receipts.product_id is 'The product.';
comment on column bi.expected_receipts.quantity is 'How much was bought, in the product''s unit.';
comment on column bi.expected_receipts.received is 'How much of it has arrived.';
comment on column bi.expected_receipts.outstanding is 'How much of it is still to arrive.';
comment on column bi.expected_receipts.expected_on is 'The day it should arrive.';
comment on column bi.expected_receipts.reference is 'The purchase order''s number, the supplier, or the like.';
comment on column bi.expected_receipts.active is 'Whether it is still expected.';
