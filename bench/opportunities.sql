-- Fills an empty, migrated database with :opportunities opportunities of the demo company's sales department, each with 1 to 4 stages in its
-- history. Three in five are open and due this month, one in five was won this month, one in five lost: a forecast of the month reads them all.
-- Run by the superuser with triggers off: only what forecasts and win rates look at is made, not the change log.
set session_replication_role = replica;
set client_min_messages = warning;

insert into crm.customer (id, kind, name, lifecycle_phase, department_id)
select crm.uuid_v7(), 'organisation', 'Müşteri ' || n, 'active', d.id from generate_series(1, 2000) as n, crm.department as d where d.code = 'sales';

with stages as (
  select s.pipeline_id, array_agg(s.id order by s.position) as ids, array_agg(s.probability order by s.position) as probabilities
  from crm.stage as s join crm.pipeline as p on p.id = s.pipeline_id where p.is_default and p.department_id is null group by s.pipeline_id
)
insert into crm.opportunity (customer_id, name, pipeline_id, stage_id, stages_entered, status, amount, currency, probability, close_on, closed_at, lost_reason_id,
  department_id, owner_id)
select c.ids[1 + n % 2000], 'Fırsat ' || n, stages.pipeline_id, stages.ids[1 + n % 4], stages.ids[1 : 1 + n % 4], state.status, (n % 100000) / 7.0,
  case when n % 9 = 0 then 'EUR' else 'TRY' end, case state.status when 'won' then 100 when 'lost' then 0 else stages.probabilities[1 + n % 4] end,
  crm.business_day(now()), case when state.status <> 'open' then now() end, case when state.status = 'lost' then (select r.id from crm.lost_reason as r where r.code = 'price') end,
  people.department_id, people.ids[1 + n % cardinality(people.ids)]
from generate_series(1, :opportunities) as n
cross join lateral (select (array['open', 'open', 'open', 'won', 'lost'])[1 + n / 4 % 5] as status) as state
cross join stages
cross join (select array_agg(id order by id) as ids from crm.customer) as c
cross join (select u.department_id, array_agg(u.id order by u.id) as ids from crm.app_user as u join crm.department as d on d.id = u.department_id where d.code = 'sales'
  group by u.department_id) as people;

vacuum analyze crm.customer, crm.opportunity;
