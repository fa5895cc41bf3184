-- RFM, association rules and offers for BI: the last stored run of each, of the customers that the login sees.
set local role crm_owner;

create view bi.customer_rfm with (security_invoker = true) as
select r.customer_id, c.name as customer, a.as_of, a.method, r.last_purchase_at, r.recency_days, r.orders, r.revenue, r.currency,
  r.recency_score, r.frequency_score, r.monetary_score, r.cell, r.rfm_group, g.label_en as group_en, g.label_tr as group_tr
from analytics.rfm_now as r
join bi.customers as c on c.customer_id = r.customer_id
join crm.analysis_run as a on a.id = r.run_id
join analytics.rfm_groups as g on g.name = r.rfm_group;
comment on view bi.customer_rfm is 'One row a customer: recency, frequency and monetary value by the last stored run of the whole company.';
comment on column bi.customer_rfm.customer_id is 'The customer.';
comment on column bi.customer_rfm.customer is 'Name; of a person only the first letter, unless the login sees personal data.';
comment on column bi.customer_rfm.as_of is 'Purchases before this instant counted.';
comment on column bi.customer_rfm.method is 'rfm_cut or rfm_ntile.';
comment on column bi.customer_rfm.last_purchase_at is 'The last purchase.';
comment on column bi.customer_rfm.recency_days is 'Days from the day of the last purchase to that of as_of.';
comment on column bi.customer_rfm.orders is 'How many purchases.';
comment on column bi.customer_rfm.revenue is 'For how much, in currency.';
comment on column bi.customer_rfm.currency is 'Currency of the revenue.';
comment on column bi.customer_rfm.recency_score is 'R, from 1 to 5; 5 is best.';
comment on column bi.customer_rfm.frequency_score is 'F, from 1 to 5; 5 is best.';
comment on column bi.customer_rfm.monetary_score is 'M, from 1 to 5; 5 is best.';
comment on column bi.customer_rfm.cell is '100 R + 10 F + M.';
comment on column bi.customer_rfm.rfm_group is 'Stable name of the group.';
comment on column bi.customer_rfm.group_en is 'The group in English.';
comment on column bi.customer_rfm.group_tr is 'The group in Turkish.';

create view bi.association_rules with (security_invoker = true) as
select r.position, n.as_of, n.level,
  (select string_agg(i.name, ' + ' order by i.name) from unnest(r.antecedent) as x (id) join analytics.item_name as i on i.item_id = x.id) as antecedent,
  (select string_agg(i.name, ' + ' order by i.name) from unnest(r.consequent) as x (id) join analytics.item_name as i on i.item_id = x.id) as consequent,
  r.antecedent_count, r.consequent_count, r.both_count, r.support, r.confidence, r.lift, r.leverage, r.conviction
from crm.association_rule as r join analytics.association_now as n on n.run_id = r.run_id;
comment on view bi.association_rules is 'One row a rule of the last run over the whole company: who buys the antecedent often buys the consequent in the same purchase.';
comment on column bi.association_rules.position is 'Rank by lift, from 1.';
comment on column bi.association_rules.as_of is 'Purchases before this instant counted.';
comment on column bi.association_rules.level is 'The level of the category tree; null for products.';
comment on column bi.association_rules.antecedent is 'What is bought.';
comment on column bi.association_rules.consequent is 'What is bought with it.';
comment on column bi.association_rules.antecedent_count is 'Purchases with the whole antecedent.';
comment on column bi.association_rules.consequent_count is 'Purchases with the whole consequent.';
comment on column bi.association_rules.both_count is 'Purchases with both.';
comment on column bi.association_rules.support is 'Share of all purchases that have both.';
comment on column bi.association_rules.confidence is 'Share of the purchases with the antecedent that have the consequent too.';
comment on column bi.association_rules.lift is 'Confidence ÷ share of all purchases that have the consequent.';
comment on column bi.association_rules.leverage is 'Support less what chance would give.';
comment on column bi.association_rules.conviction is '(1 − share of the consequent) ÷ (1 − confidence); null if the rule always held.';

create view bi.customer_offers with (security_invoker = true) as
select o.customer_id, c.name as customer, o.position, a.as_of, o.item_id, i.name as item, o.because_item_id, b.name as because_item,
  o.confidence, o.lift, o.margin, o.score, o.expected_value, a.result ->> 'currency' as currency, o.channel, o.discount_cap_percent
from crm.customer_offer as o
join crm.analysis_run as a on a.id = o.run_id
join bi.customers as c on c.customer_id = o.customer_id
left join analytics.item_name as i on i.item_id = o.item_id
left join analytics.item_name as b on b.item_id = o.because_item_id
where o.run_id = (
  select n.id from crm.analysis_run as n where n.kind = 'next_offer' and n.subject_id is null and n.status = 'done' and n.department_id is null order by n.as_of desc, n.id desc limit 1);
comment on view bi.customer_offers is 'One row a customer and thing to offer next, by the last stored run.';
comment on column bi.customer_offers.customer_id is 'The customer.';
comment on column bi.customer_offers.customer is 'Name; of a person only the first letter, unless the login sees personal data.';
comment on column bi.customer_offers.position is 'Rank for the customer, from 1.';
comment on column bi.customer_offers.as_of is 'Purchases before this instant counted.';
comment on column bi.customer_offers.item_id is 'What to offer: a product, or a category.';
comment on column bi.customer_offers.item is 'Its name.';
comment on column bi.customer_offers.because_item_id is 'What the customer bought that speaks for it.';
comment on column bi.customer_offers.because_item is 'Its name.';
comment on column bi.customer_offers.confidence is 'How often the two were bought together by those who bought the first.';
comment on column bi.customer_offers.lift is 'How much more often than by chance.';
comment on column bi.customer_offers.margin is 'Margin of it in a purchase, on average.';
comment on column bi.customer_offers.score is 'Confidence × margin.';
comment on column bi.customer_offers.expected_value is 'Score less what a contact costs.';
comment on column bi.customer_offers.currency is 'Currency of margin and expected value.';
comment on column bi.customer_offers.channel is 'The channel to make it on; null where nobody named one.';
comment on column bi.customer_offers.discount_cap_percent is 'The largest discount the policy gives the customer; null where it names none.';

grant select on all tables in schema bi to bi_reader, crm_app, crm_worker;
