-- Gives an empty, migrated database with the demo company a service desk of twenty agents with skills and languages, a calendar of Turkish working hours with
-- holidays, ten policies and ten rules, 2,000 customers, and :tickets open tickets of the last half year with five stays and two or three clocks each.
-- Run by the superuser; the tickets are made with triggers off, so that only computing them is measured.
set client_min_messages = warning;
set session_replication_role = replica;
insert into crm.customer (id, kind, name, lifecycle_phase, department_id)
select crm.uuid_v7(), 'organisation', 'Müşteri ' || n, 'active', d.id from generate_series(1, 2000) as n, crm.department as d where d.code = 'sales';
insert into crm.app_user (id, department_id, email, name)
select crm.uuid_v7(), d.id, 'agent' || n || '@carsi.example', 'Temsilci ' || n from generate_series(1, 20) as n, crm.department as d where d.code = 'service';
set session_replication_role = origin;
insert into crm.business_calendar (code, name, holiday_scope) values ('week', 'Hafta içi', 'TR');
insert into crm.business_interval (calendar_id, weekday, opens, closes)
select c.id, w, h.opens, h.closes from crm.business_calendar as c, generate_series(1, 5) as w, (values ('09:00', '12:30'), ('13:30', '18:00')) as h (opens, closes);
insert into crm.team (code, name, department_id) select 'support', 'Destek', d.id from crm.department as d where d.code = 'service';
insert into crm.team_member (team_id, user_id, capacity) select t.id, u.id, 40 from crm.team as t, crm.app_user as u where u.email ^@ 'agent';
insert into crm.agent_skill (user_id, kind, skill, level)
select u.id, s.kind, s.skill, s.level from crm.app_user as u, (values ('language', 'tr', 5), ('skill', 'machines', 3)) as s (kind, skill, level) where u.email ^@ 'agent';
insert into crm.routing_rule (place, name, words, team_id, skills)
select n, 'Kural ' || n, case when n < 10 then array['sözcük' || n] else array['makine'] end, t.id, '{machines}' from generate_series(1, 10) as n, crm.team as t;
insert into crm.sla_policy (code, name, calendar_id, priority, type, first_response_minutes, next_response_minutes, resolution_minutes)
select 'policy_' || row_number() over (), 'Söz', c.id, p.priority, t.type, 60, 120, 960
from crm.business_calendar as c, (values ('low'), ('normal'), ('high'), ('urgent'), (null)) as p (priority), (values ('problem'), (null)) as t (type);

set session_replication_role = replica;
insert into crm.ticket (customer_id, number, subject, type, priority, status, opened_at, status_since, department_id)
select c.ids[1 + n % 2000], 'B-' || n, 'Kahve makinesi ' || n, (array['problem', 'question'])[1 + n % 2], (array['low', 'normal', 'high', 'urgent'])[1 + n / 2 % 4], 'open',
  now() - (n % 180) * interval '1 day' - (n % 1440) * interval '1 minute', now() - (n % 180) * interval '1 day' - (n % 1440) * interval '1 minute' + interval '30 hours', d.id
from generate_series(1, :tickets) as n, crm.department as d, (select array_agg(id order by id) as ids from crm.customer) as c where d.code = 'service';
insert into crm.ticket_stay (customer_id, ticket_id, status, starts_at, ends_at, department_id, audience)
select t.customer_id, t.id, v.status, t.opened_at + make_interval(hours => v.since), t.opened_at + make_interval(hours => v.until), t.department_id, t.audience
from crm.ticket as t, (values ('new', 0, 5), ('pending_customer', 5, 20), ('open', 20, 25), ('on_hold', 25, 30), ('open', 30, null)) as v (status, since, until);
insert into crm.ticket_clock (customer_id, ticket_id, kind, started_at, stopped_at, department_id, audience)
select t.customer_id, t.id, v.kind, t.opened_at + make_interval(hours => v.since), t.opened_at + make_interval(hours => v.until), t.department_id, t.audience
from crm.ticket as t, (values ('first_response', 0, 5), ('next_response', 20, 24), ('resolution', 0, null)) as v (kind, since, until);
set session_replication_role = origin;
vacuum analyze;
