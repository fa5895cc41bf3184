-- Lifetime and survival, as their last runs computed them.
set local role crm_owner;

create view bi.customer_lifetime with (security_invoker = true) as
select l.customer_id, c.name as customer, l.as_of, l.frequency, l.recency_days, l.age_days, l.p_alive, l.expected_30_days, l.expected_90_days, l.expected_180_days,
  l.expected_365_days, l.expected_purchases, l.purchase_value, l.expected_value, l.clv, l.currency, c.department_id
from analytics.lifetime_now as l
join bi.customers as c on c.customer_id = l.customer_id;
comment on view bi.customer_lifetime is 'One row a customer: whether they still buy, what they are expected to buy and what that is worth, by the last run of a model of lifetime.';
comment on column bi.customer_lifetime.customer_id is 'The customer.';
comment on column bi.customer_lifetime.customer is 'The customer''s name; only the first letter, unless the login sees personal data.';
comment on column bi.customer_lifetime.as_of is 'Purchases before this instant count.';
comment on column bi.customer_lifetime.frequency is 'Repeat purchases: days with a purchase after the first one.';
comment on column bi.customer_lifetime.recency_days is 'Days from the first purchase to the last.';
comment on column bi.customer_lifetime.age_days is 'Days from the first purchase to as_of.';
comment on column bi.customer_lifetime.p_alive is 'The probability that the customer still buys.';
comment on column bi.customer_lifetime.expected_30_days is 'Purchases expected within 30 days.';
comment on column bi.customer_lifetime.expected_90_days is 'Purchases expected within 90 days.';
comment on column bi.customer_lifetime.expected_180_days is 'Purchases expected within 180 days.';
comment on column bi.customer_lifetime.expected_365_days is 'Purchases expected within 365 days.';
comment on column bi.customer_lifetime.expected_purchases is 'Purchases expected within the months that clv counts.';
comment on column bi.customer_lifetime.purchase_value is 'The mean value of the repeat purchases so far; null without any.';
comment on column bi.customer_lifetime.expected_value is 'What the customer is expected to spend on a purchase.';
comment on column bi.customer_lifetime.clv is 'Customer lifetime value: the discounted margin of the purchases expected within the months of the run.';
comment on column bi.customer_lifetime.currency is 'Currency of the values.';
comment on column bi.customer_lifetime.department_id is 'The department that works with the customer.';

create view bi.lifetime_runs with (security_invoker = true) as
select r.id as run_id, r.as_of, r.method, r.department_id, r.population as customers, r.parameters ->> 'unit' as unit, r.result -> 'parameters' as parameters,
  (r.result ->> 'log_likelihood')::double precision as log_likelihood, (r.result ->> 'alive')::double precision as expected_alive,
  (r.result ->> 'total_clv')::numeric as total_clv, r.result ->> 'currency' as currency, (r.result -> 'drift' ->> 'alarm')::boolean as drift_alarm, r.finished_at
from crm.analysis_run as r
where r.kind = 'lifetime' and r.status = 'done';
comment on view bi.lifetime_runs is 'One row a run of a model of lifetime.';
comment on column bi.lifetime_runs.run_id is 'The run.';
comment on column bi.lifetime_runs.as_of is 'Purchases before this instant count.';
comment on column bi.lifetime_runs.method is 'The model''s name.';
comment on column bi.lifetime_runs.department_id is 'The department whose purchases alone were counted; null for the company''s.';
comment on column bi.lifetime_runs.customers is 'How many customers were counted.';
comment on column bi.lifetime_runs.unit is 'Unit of time of the parameters: days or weeks.';
comment on column bi.lifetime_runs.parameters is 'The fitted parameters, by name.';
comment on column bi.lifetime_runs.log_likelihood is 'How well they explain the purchases.';
comment on column bi.lifetime_runs.expected_alive is 'How many customers are expected to still buy.';
comment on column bi.lifetime_runs.total_clv is 'The sum of the customers'' lifetime values.';
comment on column bi.lifetime_runs.currency is 'Currency of the values.';
comment on column bi.lifetime_runs.drift_alarm is 'Whether the parameters of the run before no longer fit; null where there is none to compare with.';
comment on column bi.lifetime_runs.finished_at is 'When it was done.';

create view bi.survival_curve with (security_invoker = true) as
select r.id as run_id, r.as_of, r.parameters ->> 'subject' as subject, r.parameters ->> 'group_by' as group_by, p.group_key, p.day, p.at_risk, p.ended, p.censored,
  p.survival, p.lower, p.upper
from crm.analysis_run as r
join crm.survival_point as p on p.run_id = r.id
where r.kind = 'survival' and r.status = 'done';
comment on view bi.survival_curve is 'One row a point of a curve of survival (Kaplan-Meier).';
comment on column bi.survival_curve.run_id is 'The run that computed it.';
comment on column bi.survival_curve.as_of is 'What happened before this instant counts; what went on then is censored.';
comment on column bi.survival_curve.subject is 'contracts or customers.';
comment on column bi.survival_curve.group_by is 'What the groups are formed by.';
comment on column bi.survival_curve.group_key is 'The group; empty for everything, and where the field says nothing.';
comment on column bi.survival_curve.day is 'Days since the beginning.';
comment on column bi.survival_curve.at_risk is 'How many were still there just before that day.';
comment on column bi.survival_curve.ended is 'How many ended on that day.';
comment on column bi.survival_curve.censored is 'How many are not known to have lasted longer.';
comment on column bi.survival_curve.survival is 'The share that lasts longer than that day.';
comment on column bi.survival_curve.lower is 'Lower end of the 95 % interval.';
comment on column bi.survival_curve.upper is 'Upper end of the 95 % interval.';
grant select on bi.customer_lifetime, bi.lifetime_runs, bi.survival_curve to bi_reader, crm_app, crm_worker;
