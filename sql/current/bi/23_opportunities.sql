-- Facts: opportunities, how long they stood where, what the pipeline looked like, and what is paid again and again.
set local role crm_owner;

create view bi.pipeline_stages with (security_invoker = true) as
select s.id as stage_id, s.pipeline_id, p.name as pipeline, p.department_id, s.position, s.name as stage, s.probability, s.forecast_category, s.rotting_days
from crm.stage as s
join crm.pipeline as p on p.id = s.pipeline_id;
comment on view bi.pipeline_stages is 'One row a stage of a pipeline.';
comment on column bi.pipeline_stages.stage_id is 'Id of the stage.';
comment on column bi.pipeline_stages.pipeline_id is 'Id of the pipeline.';
comment on column bi.pipeline_stages.pipeline is 'Name of the pipeline.';
comment on column bi.pipeline_stages.department_id is 'The department that sells this way; null for the company.';
comment on column bi.pipeline_stages.position is 'Its place in the pipeline; lower comes first.';
comment on column bi.pipeline_stages.stage is 'Name of the stage.';
comment on column bi.pipeline_stages.probability is 'How likely a sale is from here, in percent, as the company judges it.';
comment on column bi.pipeline_stages.forecast_category is 'pipeline, best_case, commit or closed.';
comment on column bi.pipeline_stages.rotting_days is 'After how many days an opportunity is rotting here.';

create view bi.opportunities with (security_invoker = true) as
select
  o.id as opportunity_id, o.customer_id, o.lead_id, case when (select crm.bi_sees_personal()) then o.name else left(o.name, 1) || '***' end as name,
  o.pipeline_id, s.pipeline, o.stage_id, s.stage, s.position as stage_position, o.status, o.amount, o.currency,
  o.probability, round(o.amount * o.probability / 100, 2) as weighted_amount,
  case o.status when 'won' then 'closed' when 'open' then s.forecast_category end as forecast_category,
  crm.business_day(o.created_at) as created_on, o.close_on, o.closed_on,
  round(extract(epoch from coalesce(o.closed_at, now()) - o.created_at) / 86400, 2) as age_days,
  coalesce(o.rots_at <= now(), false) as rotting, r.code as lost_reason, o.department_id, o.owner_id as seller_id
from crm.opportunity as o
join bi.pipeline_stages as s on s.stage_id = o.stage_id
left join crm.lost_reason as r on r.id = o.lost_reason_id;
comment on view bi.opportunities is 'One row an opportunity.';
comment on column bi.opportunities.opportunity_id is 'Id of the opportunity.';
comment on column bi.opportunities.customer_id is 'The customer.';
comment on column bi.opportunities.lead_id is 'The lead it came from.';
comment on column bi.opportunities.name is 'What it is about; only the first letter, unless the login sees personal data.';
comment on column bi.opportunities.pipeline_id is 'The pipeline.';
comment on column bi.opportunities.pipeline is 'Name of the pipeline.';
comment on column bi.opportunities.stage_id is 'The stage; of a closed one, where it stood last.';
comment on column bi.opportunities.stage is 'Name of the stage.';
comment on column bi.opportunities.stage_position is 'Place of the stage in the pipeline.';
comment on column bi.opportunities.status is 'open, won or lost.';
comment on column bi.opportunities.amount is 'What it would bring or has brought; null when nobody knows.';
comment on column bi.opportunities.currency is 'Currency of its amounts.';
comment on column bi.opportunities.probability is 'How likely the sale is, in percent.';
comment on column bi.opportunities.weighted_amount is 'The amount times the probability.';
comment on column bi.opportunities.forecast_category is 'How the forecast counts it: pipeline, best_case, commit or closed; null when it is lost.';
comment on column bi.opportunities.created_on is 'The day it was made.';
comment on column bi.opportunities.close_on is 'The day it is expected to be decided.';
comment on column bi.opportunities.closed_on is 'The day it was won or lost.';
comment on column bi.opportunities.age_days is 'Days from when it was made until it was closed, or until now.';
comment on column bi.opportunities.rotting is 'Whether it has stood too long in its stage.';
comment on column bi.opportunities.lost_reason is 'Why it was lost: code of the reason.';
comment on column bi.opportunities.department_id is 'The department.';
comment on column bi.opportunities.seller_id is 'The seller: its owner.';

create view bi.opportunity_lines with (security_invoker = true) as
select l.id as opportunity_line_id, l.opportunity_id, l.customer_id, l.product_id, l.quantity, l.unit_price, l.discount_percent, l.amount, o.currency, o.status, o.close_on,
  o.closed_on, l.department_id, l.owner_id as seller_id
from crm.opportunity_line as l
join crm.opportunity as o on o.customer_id = l.customer_id and o.id = l.opportunity_id;
comment on view bi.opportunity_lines is 'One row a product that an opportunity is about.';
comment on column bi.opportunity_lines.opportunity_line_id is 'Id of the line.';
comment on column bi.opportunity_lines.opportunity_id is 'The opportunity.';
comment on column bi.opportunity_lines.customer_id is 'The customer.';
comment on column bi.opportunity_lines.product_id is 'The product.';
comment on column bi.opportunity_lines.quantity is 'How many units.';
comment on column bi.opportunity_lines.unit_price is 'Price of one unit before the discount, without VAT.';
comment on column bi.opportunity_lines.discount_percent is 'Discount in percent.';
comment on column bi.opportunity_lines.amount is 'What the line would bring.';
comment on column bi.opportunity_lines.currency is 'Currency of its amounts.';
comment on column bi.opportunity_lines.status is 'Of the opportunity: open, won or lost.';
comment on column bi.opportunity_lines.close_on is 'The day the opportunity is expected to be decided.';
comment on column bi.opportunity_lines.closed_on is 'The day the opportunity was won or lost.';
comment on column bi.opportunity_lines.department_id is 'The department.';
comment on column bi.opportunity_lines.seller_id is 'The seller: owner of the opportunity.';

create view bi.stage_durations with (security_invoker = true) as
select h.id as stage_duration_id, h.opportunity_id, h.customer_id, h.pipeline_id, h.stage_id, s.stage, s.position as stage_position, h.status, h.entered_at, h.left_at,
  round(coalesce(h.duration_seconds, extract(epoch from now() - h.entered_at)) / 86400, 4) as days, h.left_at is null as lasting, h.department_id, h.owner_id as seller_id
from crm.opportunity_stage as h
join bi.pipeline_stages as s on s.stage_id = h.stage_id;
comment on view bi.stage_durations is 'One row for each time an opportunity stood open in a stage, or closed; the rows of one follow each other without gaps.';
comment on column bi.stage_durations.stage_duration_id is 'Id of the row.';
comment on column bi.stage_durations.opportunity_id is 'The opportunity.';
comment on column bi.stage_durations.customer_id is 'The customer.';
comment on column bi.stage_durations.pipeline_id is 'The pipeline.';
comment on column bi.stage_durations.stage_id is 'The stage.';
comment on column bi.stage_durations.stage is 'Name of the stage.';
comment on column bi.stage_durations.stage_position is 'Place of the stage in the pipeline.';
comment on column bi.stage_durations.status is 'open, won or lost: what it was in this time.';
comment on column bi.stage_durations.entered_at is 'When this began.';
comment on column bi.stage_durations.left_at is 'When this ended; null while it lasts.';
comment on column bi.stage_durations.days is 'How many days it lasted, or has lasted until now.';
comment on column bi.stage_durations.lasting is 'Whether it lasts.';
comment on column bi.stage_durations.department_id is 'The department.';
comment on column bi.stage_durations.seller_id is 'The seller: owner of the opportunity.';

create view bi.stage_win_rates with (security_invoker = true) as
select s.stage_id, s.pipeline_id, s.pipeline, s.position, s.stage, s.probability, coalesce(r.entered, 0) as entered, coalesce(r.won, 0) as won, coalesce(r.lost, 0) as lost,
  round(100.0 * r.won / nullif(r.won + r.lost, 0), 2) as historical_probability
from bi.pipeline_stages as s
left join (
  select e.stage_id, count(*) as entered, count(*) filter (where o.status = 'won') as won, count(*) filter (where o.status = 'lost') as lost
  from crm.opportunity as o cross join lateral unnest(o.stages_entered) as e (stage_id) group by e.stage_id
) as r on r.stage_id = s.stage_id;
comment on view bi.stage_win_rates is 'One row a stage: how often what entered it ended in a sale.';
comment on column bi.stage_win_rates.stage_id is 'Id of the stage.';
comment on column bi.stage_win_rates.pipeline_id is 'Id of the pipeline.';
comment on column bi.stage_win_rates.pipeline is 'Name of the pipeline.';
comment on column bi.stage_win_rates.position is 'Its place in the pipeline.';
comment on column bi.stage_win_rates.stage is 'Name of the stage.';
comment on column bi.stage_win_rates.probability is 'How likely a sale is from here, in percent, as the company judges it.';
comment on column bi.stage_win_rates.entered is 'Opportunities that ever entered it.';
comment on column bi.stage_win_rates.won is 'Of those, the ones won.';
comment on column bi.stage_win_rates.lost is 'Of those, the ones lost.';
comment on column bi.stage_win_rates.historical_probability is 'Share won of those decided, in percent; null when none is.';

create view bi.pipeline_snapshots with (security_invoker = true) as
select p.snapshot_on, e.opportunity_id, e.customer_id, e.pipeline_id, e.stage_id, s.stage, s.position as stage_position, e.forecast_category, e.amount, e.currency,
  e.probability, round(e.amount * e.probability / 100, 2) as weighted_amount, e.close_on, e.department_id, e.owner_id as seller_id
from crm.pipeline_snapshot as p
join crm.pipeline_snapshot_entry as e on e.first_on <= p.snapshot_on and (e.until_on is null or e.until_on > p.snapshot_on)
join bi.pipeline_stages as s on s.stage_id = e.stage_id;
comment on view bi.pipeline_snapshots is 'One row an opportunity and day: how what was open stood at the end of each day. Filter by snapshot_on.';
comment on column bi.pipeline_snapshots.snapshot_on is 'The day.';
comment on column bi.pipeline_snapshots.opportunity_id is 'The opportunity.';
comment on column bi.pipeline_snapshots.customer_id is 'The customer.';
comment on column bi.pipeline_snapshots.pipeline_id is 'The pipeline it was in.';
comment on column bi.pipeline_snapshots.stage_id is 'The stage it was in.';
comment on column bi.pipeline_snapshots.stage is 'Name of the stage, as it is now.';
comment on column bi.pipeline_snapshots.stage_position is 'Place of the stage in the pipeline, as it is now.';
comment on column bi.pipeline_snapshots.forecast_category is 'How the forecast counted it.';
comment on column bi.pipeline_snapshots.amount is 'Its amount.';
comment on column bi.pipeline_snapshots.currency is 'Currency of the amount.';
comment on column bi.pipeline_snapshots.probability is 'How likely the sale was thought to be, in percent.';
comment on column bi.pipeline_snapshots.weighted_amount is 'The amount times the probability.';
comment on column bi.pipeline_snapshots.close_on is 'The day it was expected to be decided.';
comment on column bi.pipeline_snapshots.department_id is 'The department.';
comment on column bi.pipeline_snapshots.seller_id is 'The seller at that time.';

create view bi.sales_quotas with (security_invoker = true) as
select q.id as sales_quota_id, q.user_id as seller_id, q.month, q.currency, q.amount
from crm.sales_quota as q;
comment on view bi.sales_quotas is 'One row a quota: what a person is to sell in a month.';
comment on column bi.sales_quotas.sales_quota_id is 'Id of the quota.';
comment on column bi.sales_quotas.seller_id is 'The person.';
comment on column bi.sales_quotas.month is 'First day of the month.';
comment on column bi.sales_quotas.currency is 'Currency of the amount.';
comment on column bi.sales_quotas.amount is 'What is to be won in the month.';

create view bi.contracts with (security_invoker = true) as
select c.id as contract_id, c.customer_id, c.number, case when (select crm.bi_sees_personal()) then c.name else left(c.name, 1) || '***' end as name,
  c.status, c.currency, c.monthly_amount, c.starts_on, c.term_number, c.term_starts_on, c.term_ends_on, c.renews_on,
  c.auto_renew, c.ended_on, c.department_id, c.owner_id as seller_id
from crm.contract as c;
comment on view bi.contracts is 'One row a contract that is paid for again and again.';
comment on column bi.contracts.contract_id is 'Id of the contract.';
comment on column bi.contracts.customer_id is 'The customer.';
comment on column bi.contracts.number is 'The number people quote; null for a draft.';
comment on column bi.contracts.name is 'What it is about; only the first letter, unless the login sees personal data.';
comment on column bi.contracts.status is 'draft, active, cancelled or expired.';
comment on column bi.contracts.currency is 'Currency of its amounts.';
comment on column bi.contracts.monthly_amount is 'What it brings a month.';
comment on column bi.contracts.starts_on is 'The first day it counts.';
comment on column bi.contracts.term_number is 'Which term it is in.';
comment on column bi.contracts.term_starts_on is 'First day of the present term.';
comment on column bi.contracts.term_ends_on is 'Last day of the present term.';
comment on column bi.contracts.renews_on is 'The day the next term would begin.';
comment on column bi.contracts.auto_renew is 'Whether it goes on unless it is cancelled.';
comment on column bi.contracts.ended_on is 'The last day it counts, once it was cancelled or has expired.';
comment on column bi.contracts.department_id is 'The department.';
comment on column bi.contracts.seller_id is 'The seller: its owner.';

create view bi.recurring_revenue with (security_invoker = true) as
select month.first::date as month, c.id as contract_id, c.customer_id, c.currency, c.monthly_amount, 12 * c.monthly_amount as yearly_amount, c.department_id, c.owner_id as seller_id
from crm.contract as c
cross join lateral generate_series(date_trunc('month', c.starts_on::timestamp), date_trunc('month', least(c.ended_on, crm.business_day(now()))::timestamp), interval '1 month') as month (first)
where c.activated_at is not null and c.starts_on <= crm.business_day(now())
  and (c.ended_on is null or c.ended_on >= least((month.first + interval '1 month')::date - 1, crm.business_day(now())));
comment on view bi.recurring_revenue is 'One row a contract and month at whose end it counts (the present month: today); MRR of a month is the sum of monthly_amount. Amounts are those the contract has now.';
comment on column bi.recurring_revenue.month is 'First day of the month.';
comment on column bi.recurring_revenue.contract_id is 'The contract.';
comment on column bi.recurring_revenue.customer_id is 'The customer.';
comment on column bi.recurring_revenue.currency is 'Currency of the amounts.';
comment on column bi.recurring_revenue.monthly_amount is 'What the contract brings a month (MRR).';
comment on column bi.recurring_revenue.yearly_amount is 'Twelve times as much (ARR).';
comment on column bi.recurring_revenue.department_id is 'The department.';
comment on column bi.recurring_revenue.seller_id is 'The seller: owner of the contract.';
