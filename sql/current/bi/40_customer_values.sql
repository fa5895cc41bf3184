-- What customers are worth, the tiers they are in, and what the company earns with them.
set local role crm_owner;

create view bi.value_models with (security_invoker = true) as
select v.id as value_model_id, v.code, v.revision, v.name_en, v.name_tr, v.department_id, p.code as pyramid, v.valid_from, v.valid_until, v.window_days, v.active_days, v.currency,
  v.time_zone, v.stay_days, v.stay_margin, v.is_default, v.active
from crm.value_model as v join crm.pyramid as p on p.id = v.pyramid_id;
comment on view bi.value_models is 'One row a value model and revision: how the company weighs what makes a customer valuable.';
comment on column bi.value_models.value_model_id is 'Id of the model.';
comment on column bi.value_models.code is 'Stable name; revisions share it.';
comment on column bi.value_models.revision is 'Which revision it is.';
comment on column bi.value_models.name_en is 'What people call it, in English.';
comment on column bi.value_models.name_tr is 'What people call it, in Turkish.';
comment on column bi.value_models.department_id is 'The department whose business alone counts; null for the company''s.';
comment on column bi.value_models.pyramid is 'Code of the pyramid its scores are cut by.';
comment on column bi.value_models.valid_from is 'The first day it is used.';
comment on column bi.value_models.valid_until is 'The last day it is used; null for ever.';
comment on column bi.value_models.window_days is 'How many days back facts count, for keys that say nothing else; null for all.';
comment on column bi.value_models.active_days is 'How far back the last purchase of a customer who is scored may be, in days; null for any.';
comment on column bi.value_models.currency is 'Currency amounts are compared in; null for the only one that occurs.';
comment on column bi.value_models.time_zone is 'Whose days and months count.';
comment on column bi.value_models.stay_days is 'How many days a customer stays in a tier at least.';
comment on column bi.value_models.stay_margin is 'By how many points of score a customer must be beyond a bound to cross it.';
comment on column bi.value_models.is_default is 'Whether it is the one that answers when nobody names another.';
comment on column bi.value_models.active is 'Whether it is computed every night.';

create view bi.value_keys with (security_invoker = true) as
select k.model_id as value_model_id, k.place, k.metric, k.coefficient, k.normalisation, k.direction, k.cap, k.missing, k.window_days, k.level
from crm.value_key as k;
comment on view bi.value_keys is 'One row a key of a value model: what is measured and how much it weighs.';
comment on column bi.value_keys.value_model_id is 'The model.';
comment on column bi.value_keys.place is 'Its place in the model, from 1.';
comment on column bi.value_keys.metric is 'What is measured: a name of bi.customer_metrics.';
comment on column bi.value_keys.coefficient is 'How much it weighs against the others.';
comment on column bi.value_keys.normalisation is 'How values become 0 to 1: percent_rank, min_max, z_clipped or log.';
comment on column bi.value_keys.direction is 'Whether higher or lower is worth more.';
comment on column bi.value_keys.cap is 'Values beyond it count as it; null for none.';
comment on column bi.value_keys.missing is 'What customers without a value get: zero, lowest or middle.';
comment on column bi.value_keys.window_days is 'How many days back facts count; null: as the model says.';
comment on column bi.value_keys.level is 'For product_breadth: the level of the category tree.';

create view bi.customer_metrics with (security_invoker = true) as
select m.name, m.label_en, m.label_tr, m.meaning, m.unit, m.direction from analytics.customer_metric as m;
comment on view bi.customer_metrics is 'One row a thing that can be measured of a customer.';
comment on column bi.customer_metrics.name is 'Stable name.';
comment on column bi.customer_metrics.label_en is 'Label in English.';
comment on column bi.customer_metrics.label_tr is 'Label in Turkish.';
comment on column bi.customer_metrics.meaning is 'What is counted.';
comment on column bi.customer_metrics.unit is 'currency, count, days or points.';
comment on column bi.customer_metrics.direction is 'Whether higher or lower is better.';

create view bi.customer_values with (security_invoker = true) as
select s.customer_id, s.model as value_model, s.revision, s.model_id as value_model_id, s.is_default, s.score, s.rank, s.tier, s.since as in_tier_since, s.as_of, s.run_id as value_run_id
from analytics.value_now as s
join bi.customers as c on c.customer_id = s.customer_id;
comment on view bi.customer_values is 'One row a customer and value model valid today: where the customer stands now.';
comment on column bi.customer_values.customer_id is 'The customer.';
comment on column bi.customer_values.value_model is 'Code of the value model.';
comment on column bi.customer_values.revision is 'Its revision.';
comment on column bi.customer_values.value_model_id is 'Id of the value model.';
comment on column bi.customer_values.is_default is 'Whether it is the model that answers when nobody names another.';
comment on column bi.customer_values.score is 'Value from 0 to 100; null when inactive.';
comment on column bi.customer_values.rank is 'Place among all, from 1; null when inactive.';
comment on column bi.customer_values.tier is 'The tier, or inactive.';
comment on column bi.customer_values.in_tier_since is 'Since when it has been in the tier.';
comment on column bi.customer_values.as_of is 'The facts before this instant were counted.';
comment on column bi.customer_values.value_run_id is 'The run whose scale it is measured on.';

create view bi.customer_value_runs with (security_invoker = true) as
select v.run_id as value_run_id, r.subject_id as value_model_id, r.as_of, v.customer_id, v.score, v.rank, v.tier, v.orders, v.revenue, v.margin, v.cost as cost_to_serve,
  v.margin - v.cost as profit, r.result ->> 'currency' as currency
from crm.customer_value as v
join crm.analysis_run as r on r.id = v.run_id and r.status = 'done'
join bi.customers as c on c.customer_id = v.customer_id;
comment on view bi.customer_value_runs is 'One row a customer and run of a value model: what it was found to be worth then.';
comment on column bi.customer_value_runs.value_run_id is 'The run.';
comment on column bi.customer_value_runs.value_model_id is 'The value model.';
comment on column bi.customer_value_runs.as_of is 'The facts before this instant were counted.';
comment on column bi.customer_value_runs.customer_id is 'The customer.';
comment on column bi.customer_value_runs.score is 'Value from 0 to 100.';
comment on column bi.customer_value_runs.rank is 'Place among all, from 1.';
comment on column bi.customer_value_runs.tier is 'The tier.';
comment on column bi.customer_value_runs.orders is 'Purchases in the model''s window.';
comment on column bi.customer_value_runs.revenue is 'Revenue in the model''s window.';
comment on column bi.customer_value_runs.margin is 'Revenue less the known cost of the products sold.';
comment on column bi.customer_value_runs.cost_to_serve is 'Cost to serve in the model''s window.';
comment on column bi.customer_value_runs.profit is 'Margin less cost to serve.';
comment on column bi.customer_value_runs.currency is 'Currency of the amounts.';

create view bi.customer_value_parts with (security_invoker = true) as
select v.run_id as value_run_id, v.customer_id, k.metric, k.place, v.raw[k.place] as raw, v.normalised[k.place] as normalised, k.coefficient, v.contribution[k.place] as contribution
from crm.customer_value as v
join crm.analysis_run as r on r.id = v.run_id and r.status = 'done'
join bi.customers as c on c.customer_id = v.customer_id
join crm.value_run_key as k on k.run_id = v.run_id and k.place > 0;
comment on view bi.customer_value_parts is 'One row a customer, run and key: what was measured and what it contributed.';
comment on column bi.customer_value_parts.value_run_id is 'The run.';
comment on column bi.customer_value_parts.customer_id is 'The customer.';
comment on column bi.customer_value_parts.metric is 'What was measured.';
comment on column bi.customer_value_parts.place is 'The key''s place in the model.';
comment on column bi.customer_value_parts.raw is 'What was measured; null where nothing was.';
comment on column bi.customer_value_parts.normalised is 'The same as 0 to 1.';
comment on column bi.customer_value_parts.coefficient is 'How much the key weighs.';
comment on column bi.customer_value_parts.contribution is 'Points of the score.';

create view bi.customer_pyramid with (security_invoker = true) as
select t.run_id as value_run_id, r.subject_id as value_model_id, r.as_of, t.place, t.tier, t.place > 100 as outside, t.customers, t.revenue, t.margin, t.cost as cost_to_serve, t.margin - t.cost as profit,
  case when t.place <= 20 then t.revenue / nullif(sum(t.revenue) over (partition by t.run_id), 0) end as revenue_share, t.min_score, t.max_score, r.result ->> 'currency' as currency
from crm.value_run_tier as t join crm.analysis_run as r on r.id = t.run_id and r.status = 'done';
comment on view bi.customer_pyramid is 'One row a tier and run of a value model: what was in it, of all customers; and the groups outside of the pyramid.';
comment on column bi.customer_pyramid.value_run_id is 'The run.';
comment on column bi.customer_pyramid.value_model_id is 'The value model.';
comment on column bi.customer_pyramid.as_of is 'The facts before this instant were counted.';
comment on column bi.customer_pyramid.place is 'The tier''s place, from 1 at the top; groups outside of the pyramid from 101.';
comment on column bi.customer_pyramid.tier is 'The tier; or inactive, prospect, suspect.';
comment on column bi.customer_pyramid.outside is 'Whether it is a group outside of the pyramid.';
comment on column bi.customer_pyramid.customers is 'How many customers are in it.';
comment on column bi.customer_pyramid.revenue is 'Their revenue in the model''s window.';
comment on column bi.customer_pyramid.margin is 'Revenue less the known cost of the products sold.';
comment on column bi.customer_pyramid.cost_to_serve is 'Their cost to serve.';
comment on column bi.customer_pyramid.profit is 'Margin less cost to serve.';
comment on column bi.customer_pyramid.revenue_share is 'Share of the revenue of all tiers, 0 to 1.';
comment on column bi.customer_pyramid.min_score is 'The lowest score in it.';
comment on column bi.customer_pyramid.max_score is 'The highest score in it.';
comment on column bi.customer_pyramid.currency is 'Currency of the amounts.';

create view bi.customer_tiers with (security_invoker = true) as
select h.customer_id, h.model_id as value_model_id, v.code as value_model, v.revision, h.tier, h.valid_from, h.valid_until, h.score
from crm.customer_tier_history as h
join crm.value_model as v on v.id = h.model_id
join bi.customers as c on c.customer_id = h.customer_id;
comment on view bi.customer_tiers is 'One row a stay of a customer in a tier.';
comment on column bi.customer_tiers.customer_id is 'The customer.';
comment on column bi.customer_tiers.value_model_id is 'The value model.';
comment on column bi.customer_tiers.value_model is 'Its code.';
comment on column bi.customer_tiers.revision is 'Its revision.';
comment on column bi.customer_tiers.tier is 'The tier, or inactive.';
comment on column bi.customer_tiers.valid_from is 'The instant as of which the customer came into it.';
comment on column bi.customer_tiers.valid_until is 'The instant as of which it left; null while it is there.';
comment on column bi.customer_tiers.score is 'The score with which it came in.';

create function bi.customer_tier_on(value_model text, instant timestamptz) returns table (customer_id uuid, tier text, score double precision, valid_from timestamptz)
language sql stable as $$
  select t.customer_id, t.tier, t.score, t.valid_from from bi.customer_tiers as t
  where t.value_model = customer_tier_on.value_model and t.valid_from <= instant and (t.valid_until is null or t.valid_until > instant)
    and t.revision = (select max(x.revision) from bi.customer_tiers as x where x.value_model = customer_tier_on.value_model and x.customer_id = t.customer_id
      and x.valid_from <= instant and (x.valid_until is null or x.valid_until > instant))
$$;
comment on function bi.customer_tier_on(text, timestamptz) is 'Which tier of a value model, by its code, each customer was in at an instant.';

create function bi.customer_value_on(value_model text, instant timestamptz) returns table (customer_id uuid, score double precision, rank integer, tier text, as_of timestamptz)
language sql stable as $$
  select v.customer_id, v.score, v.rank, v.tier, v.as_of from bi.customer_value_runs as v
  where v.value_run_id = (
    select p.value_run_id from bi.customer_pyramid as p join bi.value_models as m on m.value_model_id = p.value_model_id
    where m.code = customer_value_on.value_model and p.as_of <= instant order by p.as_of desc, p.value_run_id desc limit 1)
$$;
comment on function bi.customer_value_on(text, timestamptz) is 'What each customer was worth at an instant, as the last run of a value model, by its code, found.';

grant execute on function bi.customer_tier_on(text, timestamptz), bi.customer_value_on(text, timestamptz) to bi_reader, crm_app, crm_worker;
grant select on all tables in schema bi to bi_reader, crm_app, crm_worker;
