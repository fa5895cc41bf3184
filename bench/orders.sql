-- Fills an empty, migrated database with :orders orders of :customers customers of the demo company's sales department.
-- Run by the superuser with triggers off: only what lists and reads look at is made, not the change log.
set session_replication_role = replica;
set client_min_messages = warning;

insert into crm.customer (id, kind, name, lifecycle_phase, department_id)
select crm.uuid_v7(), 'person', (array['Ayşe', 'Mehmet', 'Elif', 'Can', 'Zeynep', 'Burak', 'Fatma', 'Emre'])[1 + n % 8] || ' '
       || (array['Yılmaz', 'Demir', 'Kaya', 'Şahin', 'Çelik', 'Öztürk', 'Işık', 'Doğan', 'Aydın'])[1 + n % 9] || ' ' || n,
       (array['active', 'active', 'prospect', 'dormant'])[1 + n % 4], d.id
  from generate_series(1, :customers) as n, crm.department as d where d.code = 'sales';

insert into crm.sales_order (customer_id, id, source_system, external_number, status, channel, ordered_at, currency, amount, department_id)
select c.ids[1 + (n::bigint * 7919) % :customers], crm.uuid_v7(), 'bench', n::text,
       (array['completed', 'completed', 'completed', 'placed'])[1 + n % 4], (array['store', 'online', 'phone'])[1 + n % 3],
       timestamptz '2017-01-01' + n * interval '31 seconds', 'TRY', round((n % 100000) / 100.0, 2), d.id
  from generate_series(1, :orders) as n, crm.department as d, (select array_agg(id order by id) as ids from crm.customer) as c
 where d.code = 'sales';

analyze crm.customer, crm.sales_order;
