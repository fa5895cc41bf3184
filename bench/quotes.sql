-- Fills an empty, migrated database of the demo company with :quotes sent quotes of five lines each, and with stock for all of them.
-- Run by the superuser with triggers off. Ids are numbers, so that a load can name a quote that nobody has accepted yet:
-- quote n has the id lpad(to_hex(n), 32, '0') and belongs to the customer lpad(to_hex(n % 2000 + 268435456), 32, '0').
set session_replication_role = replica;
set client_min_messages = warning;

insert into crm.customer (id, kind, name, department_id)
select lpad(to_hex(n + 268435456), 32, '0')::uuid, 'organisation', 'Müşteri ' || n, d.id
  from generate_series(0, 1999) as n, crm.department as d where d.code = 'sales';

insert into crm.product (id, sku, name) select lpad(to_hex(n + 536870912), 32, '0')::uuid, 'BENCH-' || n, 'Ürün ' || n from generate_series(0, 999) as n;
insert into crm.warehouse (code, name) values ('BENCH', 'Depo');
insert into crm.stock_level (warehouse_id, product_id, on_hand) select w.id, p.id, 100000000 from crm.warehouse as w, crm.product as p where w.code = 'BENCH';

insert into crm.quote (id, customer_id, number, status, valid_until, net_amount, vat_amount, vat_breakdown, line_count, sent_at, department_id, owner_id)
select lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n % 2000 + 268435456), 32, '0')::uuid, 'B-' || n, 'sent', '2199-12-31', 500, 100,
       '[{"vat_rate": "20.00", "net_amount": "500.00", "vat_amount": "100.00"}]', 5, now(), u.department_id, u.id
  from generate_series(1, :quotes) as n, crm.app_user as u where u.email = 'ayse@carsi.example';

insert into crm.quote_line (customer_id, quote_id, editable, line_number, product_id, description, quantity, unit_code, unit_price, vat_rate, department_id, owner_id, audience)
select q.customer_id, q.id, false, l, lpad(to_hex((n * 7919 + l * 101) % 1000 + 536870912), 32, '0')::uuid, 'Ürün', 1, 'C62', 100, 20, q.department_id, q.owner_id, q.audience
  from generate_series(1, :quotes) as n join crm.quote as q on q.id = lpad(to_hex(n), 32, '0')::uuid cross join generate_series(1, 5) as l;

insert into crm.quote_seal (customer_id, quote_id, digest, department_id, owner_id, audience)
select q.customer_id, q.id, q.sealed_digest, q.department_id, q.owner_id, q.audience from crm.quote as q;

analyze crm.customer, crm.product, crm.quote, crm.quote_line, crm.stock_level;
