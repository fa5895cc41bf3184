-- Fills a migrated database of the demo company with :drafts invoice drafts of five lines, for 500 customers of the sales department, in one series.
-- Run by the superuser with triggers off: what the triggers would compute is given.
set session_replication_role = replica;
set client_min_messages = warning;

insert into crm.customer (id, kind, name, tax_number, tax_office, department_id)
select crm.uuid_v7(), 'organisation', 'Bench ' || n, '9876543217', 'Kadıköy', d.id from generate_series(1, 500) as n, crm.department as d where d.code = 'sales';
insert into crm.address (customer_id, kind, street, district, city, province_code, department_id, audience)
select c.id, 'billing', 'Moda Caddesi 5', 'Kadıköy', 'İstanbul', '34', c.department_id, c.audience from crm.customer as c;
insert into crm.product (sku, name, cost) select 'bench-' || n, 'Ürün ' || n, 4 from generate_series(1, 200) as n;

create schema bench;
create table bench.draft (n integer primary key, id uuid not null, customer_id uuid not null);
create sequence bench.next;
insert into bench.draft
select n, crm.uuid_v7(), c.ids[1 + n % 500] from generate_series(1, :drafts) as n, (select array_agg(id order by id) as ids from crm.customer) as c;
grant usage on schema bench to crm_app;
grant select on bench.draft to crm_app;
grant usage on sequence bench.next to crm_app;

insert into crm.invoice (customer_id, id, company_id, series, exchange_rate, gross_amount, net_amount, vat_amount, department_id)
select b.customer_id, b.id, p.id, 'MUH', 1, 150, 150, 30, d.id
from bench.draft as b, crm.company_profile as p, crm.department as d where p.code = 'main' and d.code = 'sales';
insert into crm.invoice_line (customer_id, id, invoice_id, line_number, product_id, description, quantity, unit_price, unit_cost, vat_rate, vat_amount, department_id, audience)
select b.customer_id, crm.uuid_v7(), b.id, k, p.ids[1 + (b.n * 7 + k * 31) % 200], 'Ürün', k, 10, 4, 20, k * 2, d.id, '00000000-0000-0000-0000-000000000000'
from bench.draft as b cross join generate_series(1, 5) as k, (select array_agg(id order by id) as ids from crm.product) as p, crm.department as d where d.code = 'sales';

analyze;
