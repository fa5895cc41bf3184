-- Fills a migrated database of the demo company with :interactions interactions of :customers customers over five years; the first customer has 10,000 of them,
-- and orders, activities and touches of its own. Run by the superuser with triggers off: only what lists and reads look at is made, not the change log.
select crm.make_interaction_partitions(since => (now() - interval '5 years')::date);
set session_replication_role = replica;
set client_min_messages = warning;

insert into crm.customer (id, kind, name, lifecycle_phase, department_id)
select md5('timeline customer ' || n)::uuid, 'person', 'Müşteri ' || n, 'active', d.id
  from generate_series(1, :customers) as n, crm.department as d where d.code = 'sales';

insert into crm.interaction (customer_id, id, occurred_at, channel, direction, kind, sender, subject, body_text, department_id)
select md5('timeline customer ' || case when n <= 10000 then 1 else 2 + n % (:customers - 1) end)::uuid, crm.uuid_v7_member(h.head, n),
       now() - interval '5 years' * (n * 7919 % :interactions)::double precision / :interactions,
       (array['email', 'phone', 'chat', 'sms', 'web'])[1 + n % 5], (array['in', 'out'])[1 + n % 2], (array['message', 'call', 'message', 'message', 'visit'])[1 + n % 5],
       'kisi' || n % :customers || '@ornek.example', 'Konu ' || n, 'Merhaba, siparişim hakkında bilgi almak istiyorum. ' || n, d.id
  from generate_series(1::bigint, :interactions) as n, (select crm.uuid_v7_head() as head) as h, crm.department as d where d.code = 'service';

insert into crm.sales_order (customer_id, id, external_number, status, channel, ordered_at, amount, department_id)
select md5('timeline customer ' || case when n <= 500 then 1 else 2 + n % (:customers - 1) end)::uuid, crm.uuid_v7(), 't' || n, 'completed', 'online',
       now() - n * interval '60 seconds', n % 1000, d.id
  from generate_series(1, :interactions / 20) as n, crm.department as d where d.code = 'sales';

insert into crm.activity (kind, subject, starts_at, customer_id, department_id)
select 'note', 'Not ' || n, now() - n * interval '90 seconds', md5('timeline customer ' || case when n <= 500 then 1 else 2 + n % (:customers - 1) end)::uuid, d.id
  from generate_series(1, :interactions / 50) as n, crm.department as d where d.code = 'sales';

analyze crm.customer, crm.interaction, crm.sales_order, crm.activity;
