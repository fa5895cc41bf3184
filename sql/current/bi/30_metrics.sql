-- The metric catalogue: what each number means, where its facts come from, and the one function that adds them up for REST, SQL and dashboards.
set local role crm_owner;

-- One row a fact of a metric. A metric is written here once; how its rows are added up stands in bi.metric.
create view bi.measurement with (security_invoker = true) as
select 'sales' as metric, o.ordered_on as occurred_on, o.currency, o.amount as numerator, null::numeric as denominator,
  o.customer_id as subject_id, o.customer_id, null::uuid as product_id, o.department_id, o.seller_id, o.channel, null::text as stage
from bi.orders as o where o.status <> 'cancelled'
union all
select 'orders', o.ordered_on, null, 1, null, o.customer_id, o.customer_id, null, o.department_id, o.seller_id, o.channel, null
from bi.orders as o where o.status <> 'cancelled'
union all
select 'customers', o.ordered_on, null, 1, null, o.customer_id, o.customer_id, null, o.department_id, o.seller_id, o.channel, null
from bi.orders as o where o.status <> 'cancelled'
union all
select 'units', l.ordered_on, null, l.quantity, null, l.customer_id, l.customer_id, l.product_id, l.department_id, null, l.channel, null
from bi.order_lines as l where l.status <> 'cancelled'
union all
select 'discounts', o.ordered_on, o.currency, o.discount, null, o.customer_id, o.customer_id, null, o.department_id, o.seller_id, o.channel, null
from bi.orders as o where o.status <> 'cancelled'
union all
select 'average_order', o.ordered_on, o.currency, o.amount, 1, o.customer_id, o.customer_id, null, o.department_id, o.seller_id, o.channel, null
from bi.orders as o where o.status <> 'cancelled'
union all
select 'turnover', t.day, t.currency, t.amount, null, t.customer_id, t.customer_id, t.product_id, t.department_id, t.seller_id, null, null
from bi.turnover as t
union all
select 'open_pipeline', o.created_on, o.currency, o.amount, null, o.opportunity_id, o.customer_id, null, o.department_id, o.seller_id, null, o.stage_id::text
from bi.opportunities as o where o.status = 'open'
union all
select 'stage_entries', crm.business_day(d.entered_at), null, 1, null, d.opportunity_id, d.customer_id, null, d.department_id, d.seller_id, null, d.stage_id::text
from bi.stage_durations as d
union all
select 'win_rate', o.closed_on, null, case o.status when 'won' then 1 else 0 end, 1, o.opportunity_id, o.customer_id, null, o.department_id, o.seller_id, null, o.stage_id::text
from bi.opportunities as o where o.status in ('won', 'lost')
union all
select m.metric, o.closed_on, case m.metric when 'cycle_days' then null else o.currency end, case m.metric when 'cycle_days' then o.age_days else o.amount end,
  case m.metric when 'sales_velocity' then greatest(o.age_days, 1) else 1 end, o.opportunity_id, o.customer_id, null, o.department_id, o.seller_id, null, o.stage_id::text
from bi.opportunities as o cross join (values ('average_deal'), ('cycle_days'), ('sales_velocity')) as m (metric)
where o.status = 'won' and (o.amount is not null or m.metric = 'cycle_days')
union all
select 'quote_acceptance', q.sent_on, null, case q.status when 'accepted' then 1 else 0 end, 1, q.quote_id, q.customer_id, null, q.department_id, q.seller_id, null, null
from bi.quotes as q where q.counts and q.status <> 'sent'
union all
select 'on_time_shipping', f.last_shipped_on, null, case when f.last_shipped_on <= coalesce(f.expected_on, f.ordered_on + 2) then 1 else 0 end, 1, f.order_fulfilment_id, f.customer_id,
  f.product_id, f.department_id, f.seller_id, null, null
from bi.order_fulfilments as f where f.shipped > 0 and f.shipped >= f.ordered - f.cancelled
union all
select 'days_sales_outstanding', i.issued_on, i.currency, i.sign * i.payable_amount, i.sign * i.payable_amount, i.invoice_id, i.customer_id, null, i.department_id, i.seller_id, null, null
from bi.invoices as i
union all
select 'days_sales_outstanding', p.paid_on, p.currency, case p.direction when 'in' then -p.allocated else p.allocated end, null, p.payment_id, p.customer_id, null, p.department_id,
  null, null, null
from bi.payments as p
union all
select 'tickets', t.opened_on, null, 1, null, t.ticket_id, t.customer_id, t.product_id, t.department_id, t.agent_id, t.channel, t.status
from bi.tickets as t where t.merged_into_id is null
union all
select 'sla_attainment', k.outcome_on, null, case k.state when 'met' then 1 else 0 end, 1, k.ticket_id, k.customer_id, null, k.department_id, k.agent_id, k.channel, k.kind
from bi.ticket_sla as k where k.counts
union all
select 'first_response_hours', k.outcome_on, null, k.elapsed_minutes / 60, 1, k.ticket_id, k.customer_id, null, k.department_id, k.agent_id, k.channel, k.kind
from bi.ticket_sla as k where k.counts and k.kind = 'first_response' and not k.is_censored
union all
select r.kind, r.answered_on, null,
  case r.kind when 'nps' then case r.band when 'promoter' then 100 when 'detractor' then -100 else 0 end when 'csat' then case r.band when 'satisfied' then 1 else 0 end else r.score end,
  1, r.survey_response_id, r.customer_id, null, r.department_id, r.agent_id, null, null
from bi.survey_responses as r where r.kind <> 'form'
union all
select 'article_helpfulness', f.given_on, null, case when f.helpful then 1 else 0 end, 1, f.article_id, null, null, null, null, f.via, null
from bi.article_feedback as f;
comment on view bi.measurement is 'The facts behind every metric: one row each, with what it counts and by what it can be grouped.';
comment on column bi.measurement.metric is 'The metric, as in bi.metric.';
comment on column bi.measurement.occurred_on is 'The day it counts for.';
comment on column bi.measurement.currency is 'Currency of the numerator; null for counts.';
comment on column bi.measurement.numerator is 'What is added up.';
comment on column bi.measurement.denominator is 'What the sum is divided by, for ratios and averages; null otherwise.';
comment on column bi.measurement.subject_id is 'What is counted once, for metrics that count different things.';
comment on column bi.measurement.customer_id is 'The customer.';
comment on column bi.measurement.product_id is 'The product, where the fact is about one.';
comment on column bi.measurement.department_id is 'The department.';
comment on column bi.measurement.seller_id is 'The seller: the owner of the record.';
comment on column bi.measurement.channel is 'The channel, where the fact has one.';
comment on column bi.measurement.stage is 'The stage, where the fact has one.';

create view bi.metric with (security_invoker = true) as
select name, label_en, label_tr, meaning, grain, unit, aggregate, owner, source,
  'select ' || case when unit like 'currency%' then 'currency, ' else '' end
    || case aggregate
      when 'sum' then 'sum(numerator)' when 'ratio' then 'sum(numerator) / nullif(sum(denominator), 0)' when 'distinct' then 'count(distinct subject_id)'
      when 'opinion' then 'case when count(*) >= 5 then sum(numerator) / sum(denominator) end'
      when 'velocity' then 'sum(numerator) * count(denominator) / nullif(sum(denominator), 0)'
      when 'outstanding' then 'sum(numerator) * ($2::date - $1::date + 1) / nullif(sum(denominator) filter (where occurred_on >= $1), 0)' end
    || format(' as value from bi.measurement where metric = %L and occurred_on ', name) || case aggregate when 'outstanding' then '<= $2' else 'between $1 and $2' end
    || case when unit like 'currency%' then ' group by currency' else '' end as sql
from (values
  ('sales', 'Sales', 'Satış', 'What the company receives for orders that were not cancelled.', 'order', 'currency', 'sum', 'sales', 'bi.orders'),
  ('orders', 'Orders', 'Sipariş sayısı', 'Orders that were not cancelled, also those of amount zero.', 'order', 'count', 'sum', 'sales', 'bi.orders'),
  ('customers', 'Buying customers', 'Alışveriş yapan müşteri', 'Customers with at least one order that was not cancelled.', 'customer', 'count', 'distinct', 'sales', 'bi.orders'),
  ('units', 'Units', 'Birim', 'Units of products on orders that were not cancelled; for fuel and the like in the unit of the product.', 'order line', 'units', 'sum', 'sales', 'bi.order_lines'),
  ('discounts', 'Discounts', 'İndirim', 'Loyalty, coupon and coupon-match discounts on orders that were not cancelled.', 'order', 'currency', 'sum', 'marketing', 'bi.orders'),
  ('turnover', 'Turnover', 'Ciro', 'Issued invoices less credit notes, without VAT.', 'invoice line', 'currency', 'sum', 'finance', 'bi.turnover'),
  ('open_pipeline', 'Open pipeline', 'Açık fırsatlar', 'Amount of the opportunities that are open now, by the day they were opened.', 'opportunity', 'currency', 'sum', 'sales', 'bi.opportunities'),
  ('stage_entries', 'Opportunities by stage reached', 'Ulaşılan aşamaya göre fırsatlar', 'Different opportunities that entered a stage.', 'opportunity', 'count', 'distinct', 'sales', 'bi.stage_durations'),
  ('win_rate', 'Win rate', 'Kazanma oranı', 'Won opportunities ÷ won and lost ones, by the day they were closed.', 'opportunity', 'share', 'ratio', 'sales', 'bi.opportunities'),
  ('average_deal', 'Average deal', 'Ortalama satış', 'Amount of a won opportunity, on average.', 'opportunity', 'currency', 'ratio', 'sales', 'bi.opportunities'),
  ('cycle_days', 'Sales cycle', 'Satış süresi', 'Days from opening to winning an opportunity, on average.', 'opportunity', 'days', 'ratio', 'sales', 'bi.opportunities'),
  ('sales_velocity', 'Sales velocity', 'Satış hızı', 'Amount won a day of sales cycle: won opportunities × average deal ÷ average cycle of at least a day.', 'opportunity', 'currency', 'velocity', 'sales', 'bi.opportunities'),
  ('quote_acceptance', 'Quote acceptance', 'Teklif kabul oranı', 'Accepted quotes ÷ quotes that were answered or expired, by the day they were sent; superseded versions do not count.', 'quote', 'share', 'ratio', 'sales', 'bi.quotes'),
  ('on_time_shipping', 'On-time shipping', 'Zamanında sevkiyat', 'Order lines shipped whole by the day they were promised for (two days after the order where the goods were there) ÷ all shipped whole.', 'order line', 'share', 'ratio', 'purchasing', 'bi.order_fulfilments'),
  ('tickets', 'Tickets', 'Talepler', 'Tickets that came in, by day; merged ones do not count.', 'ticket', 'count', 'sum', 'service', 'bi.tickets'),
  ('sla_attainment', 'Promises kept', 'Tutulan sözler', 'Promises of response and resolution kept ÷ kept or broken, by the day they were done or their limit passed.', 'clock', 'share', 'ratio', 'service', 'bi.ticket_sla'),
  ('first_response_hours', 'First response', 'İlk yanıt süresi', 'Hours of the policy''s calendar until a customer was first answered, on average, where a first response was promised and given.', 'clock', 'hours', 'ratio', 'service', 'bi.ticket_sla'),
  ('days_sales_outstanding', 'Days sales outstanding', 'Ortalama tahsilat süresi', 'What is owed to us on the last day ÷ what was invoiced in the period, both with VAT, × the days of the period.', 'invoice', 'currency_days', 'outstanding', 'finance', 'bi.invoices'),
  ('nps', 'Net promoter score', 'Net tavsiye skoru', 'Promoters (9 and 10) less detractors (0 to 6) in a hundred answers to surveys of kind nps; nothing of fewer than five answers.', 'survey response', 'points', 'opinion', 'service', 'bi.survey_responses'),
  ('csat', 'Customer satisfaction', 'Müşteri memnuniyeti', 'Answers 4 and 5 ÷ all answers to surveys of kind csat; nothing of fewer than five answers.', 'survey response', 'share', 'opinion', 'service', 'bi.survey_responses'),
  ('ces', 'Customer effort', 'Müşteri çabası', 'How easy it was, from 1 to 7, on average of the answers to surveys of kind ces; nothing of fewer than five answers.', 'survey response', 'points', 'opinion', 'service', 'bi.survey_responses'),
  ('article_helpfulness', 'Articles that helped', 'Yardımcı olan makaleler', 'Answers that an article helped ÷ all answers whether it did; nothing of fewer than five answers.', 'article feedback', 'share', 'opinion', 'service', 'bi.article_feedback'),
  ('average_order', 'Average order', 'Ortalama sipariş', 'Amount of an order that was not cancelled, on average.', 'order', 'currency', 'ratio', 'sales', 'bi.orders')
) as metric (name, label_en, label_tr, meaning, grain, unit, aggregate, owner, source);
comment on view bi.metric is 'The metrics: what each means and the statement that gives it; $1 and $2 are the first and the last day.';
comment on column bi.metric.name is 'Stable name; also in /v1/metrics/{name}.';
comment on column bi.metric.label_en is 'Label in English.';
comment on column bi.metric.label_tr is 'Label in Turkish.';
comment on column bi.metric.meaning is 'What is counted and what is not.';
comment on column bi.metric.grain is 'What one thing counted is.';
comment on column bi.metric.unit is 'count, units, hours, days, points, share (0 to 1), or currency and currency_days (then one value a currency).';
comment on column bi.metric.aggregate is 'sum: of the numerators. ratio: sum of the numerators ÷ sum of the denominators. distinct: how many different subjects. opinion: as ratio, but nothing below five facts. velocity: sum of the numerators ÷ average of the denominators. outstanding: sum of the numerators to the last day ÷ sum of the denominators in the period × its days.';
comment on column bi.metric.owner is 'The department that answers for the definition.';
comment on column bi.metric.source is 'The view whose rows are counted; bi.lineage says from which tables it comes.';
comment on column bi.metric.sql is 'The statement over schema bi.';

-- The same for callers that cannot run text.
create function bi.metric_values(metric text, first_day date, last_day date, group_by text default null)
returns table (group_key text, label text, currency text, value numeric, numerator numeric, denominator numeric, facts bigint) language sql stable as $$
  with grouped as (
    select case metric_values.group_by
        when 'day' then m.occurred_on::text when 'week' then to_char(m.occurred_on, 'IYYY-"W"IW') when 'month' then to_char(m.occurred_on, 'YYYY-MM')
        when 'quarter' then to_char(m.occurred_on, 'YYYY-"Q"Q') when 'year' then to_char(m.occurred_on, 'YYYY')
        when 'department' then m.department_id::text when 'seller' then m.seller_id::text when 'customer' then m.customer_id::text
        when 'product' then m.product_id::text when 'channel' then m.channel when 'stage' then m.stage end as group_key,
      m.currency, sum(m.numerator) as numerator, sum(m.denominator) filter (where m.occurred_on >= first_day) as denominator, count(m.denominator) as denominators,
      count(distinct m.subject_id) as subjects, count(*) as facts
    from bi.measurement as m
    where m.metric = metric_values.metric and m.occurred_on <= last_day
      and (m.occurred_on >= first_day or (select c.aggregate = 'outstanding' from bi.metric as c where c.name = metric_values.metric))
    group by 1, 2
  )
  select g.group_key,
    case metric_values.group_by
      when 'department' then (select d.name from bi.departments as d where d.department_id::text = g.group_key)
      when 'customer' then (select c.name from bi.customers as c where c.customer_id::text = g.group_key)
      when 'product' then (select p.name from bi.products as p where p.product_id::text = g.group_key)
      when 'stage' then (select p.stage from bi.pipeline_stages as p where p.stage_id::text = g.group_key) else g.group_key end,
    g.currency,
    case c.aggregate
      when 'sum' then coalesce(g.numerator, 0) when 'distinct' then coalesce(g.subjects, 0) when 'ratio' then g.numerator / nullif(g.denominator, 0)
      -- What people say is not told of fewer than five.
      when 'opinion' then case when g.facts >= 5 then g.numerator / g.denominator end
      when 'velocity' then g.numerator * g.denominators / nullif(g.denominator, 0)
      when 'outstanding' then g.numerator * (last_day - first_day + 1) / nullif(g.denominator, 0) end,
    case when c.aggregate <> 'opinion' or g.facts >= 5 then g.numerator end, g.denominator, coalesce(g.facts, 0)
  from bi.metric as c left join grouped as g on true
  where c.name = metric_values.metric and (g.facts is not null or metric_values.group_by is null and c.unit not like 'currency%' and c.aggregate in ('sum', 'distinct'))
$$;
comment on function bi.metric_values(text, date, date, text) is
  'A metric of bi.metric between two days, both included, as a whole or by day, week, month, quarter, year, department, seller, customer, product, channel or stage: one row a group and currency; nothing for an unknown name.';

grant execute on function bi.metric_values(text, date, date, text) to bi_reader, crm_app, crm_worker;
grant select on all tables in schema bi to bi_reader, crm_app, crm_worker;
