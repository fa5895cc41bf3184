-- What is bought together, as runs find it, and what to offer whom by it.
set local role crm_owner;

create table crm.association_item (
  run_id               uuid    not null,
  item_id              uuid    not null,
  baskets              bigint  not null,
  revenue              numeric not null,
  margin               numeric,
  revenue_without_cost numeric not null,
  constraint association_item_item_id_primary primary key (run_id, item_id),
  constraint association_item_run_id_exists foreign key (run_id) references crm.analysis_run (id),
  constraint association_item_baskets_positive check (baskets > 0)
);
comment on table crm.association_item is 'A product or category that is in enough purchases to have rules, and what it brings.';
comment on column crm.association_item.run_id is 'The run that counted it.';
comment on column crm.association_item.item_id is 'The product, or the category at the run''s level.';
comment on column crm.association_item.baskets is 'In how many purchases it is.';
comment on column crm.association_item.revenue is 'For how much it was bought, in the run''s currency.';
comment on column crm.association_item.margin is 'Revenue less cost of what has a known cost; null if nothing has.';
comment on column crm.association_item.revenue_without_cost is 'Revenue of what has no known cost.';
comment on constraint association_item_baskets_positive on crm.association_item is 'en: It is in at least one purchase. | tr: En az bir alışverişte bulunur.';
select crm.protect('crm.association_item', area => 'analytics', kind => 'reference', resource => null, verbs => '{select,insert,delete}', bi => true,
  reason => 'It is computed anew from facts that are in the change log.');

create table crm.association_rule (
  run_id           uuid             not null,
  position         integer          not null,
  antecedent       uuid[]           not null,
  consequent       uuid[]           not null,
  antecedent_count bigint           not null,
  consequent_count bigint           not null,
  both_count       bigint           not null,
  support          double precision not null,
  confidence       double precision not null,
  lift             double precision not null,
  leverage         double precision not null,
  conviction       double precision,
  constraint association_rule_position_primary primary key (run_id, position),
  constraint association_rule_run_id_exists foreign key (run_id) references crm.analysis_run (id),
  constraint association_rule_sides_given check (cardinality(antecedent) > 0 and cardinality(consequent) > 0),
  constraint association_rule_counts_ordered check (both_count > 0 and both_count <= antecedent_count and both_count <= consequent_count)
);
comment on table crm.association_rule is 'Who buys the antecedent often buys the consequent in the same purchase.';
comment on column crm.association_rule.run_id is 'The run that found it.';
comment on column crm.association_rule.position is 'Rank in the run by lift, confidence, support, then ids; from 1.';
comment on column crm.association_rule.antecedent is 'What is bought: products, or categories at the run''s level, ascending.';
comment on column crm.association_rule.consequent is 'What is bought with it, ascending.';
comment on column crm.association_rule.antecedent_count is 'Purchases with the whole antecedent.';
comment on column crm.association_rule.consequent_count is 'Purchases with the whole consequent.';
comment on column crm.association_rule.both_count is 'Purchases with both.';
comment on column crm.association_rule.support is 'Share of all purchases that have both.';
comment on column crm.association_rule.confidence is 'Share of the purchases with the antecedent that have the consequent too.';
comment on column crm.association_rule.lift is 'Confidence ÷ share of all purchases that have the consequent; 1 is chance.';
comment on column crm.association_rule.leverage is 'Support less what chance would give.';
comment on column crm.association_rule.conviction is '(1 − share of the consequent) ÷ (1 − confidence); null if the rule always held.';
comment on constraint association_rule_sides_given on crm.association_rule is 'en: A rule has two sides. | tr: Bir kuralın iki yanı vardır.';
comment on constraint association_rule_counts_ordered on crm.association_rule is 'en: Both sides together are not in more purchases than one. | tr: İki yan birlikte, tek bir yandan daha çok alışverişte olamaz.';
create index association_rule_antecedent_index on crm.association_rule (run_id, (antecedent[1])) where cardinality(antecedent) = 1 and cardinality(consequent) = 1;
select crm.protect('crm.association_rule', area => 'analytics', kind => 'reference', resource => null, verbs => '{select,insert,delete}', bi => true,
  reason => 'It is computed anew from facts that are in the change log.');

-- Without foreign keys, like crm.customer_rfm.
create table crm.customer_offer (
  run_id          uuid             not null,
  customer_id     uuid             not null,
  position        smallint         not null,
  item_id         uuid             not null,
  because_item_id uuid             not null,
  confidence      double precision not null,
  lift            double precision not null,
  margin          numeric          not null,
  score           double precision not null,
  expected_value  numeric          not null,
  constraint customer_offer_position_primary primary key (run_id, customer_id, position),
  constraint customer_offer_expected_value_positive check (expected_value > 0)
);
comment on table crm.customer_offer is 'What to offer a customer by a run, the best first; of the latest three runs.';
comment on column crm.customer_offer.run_id is 'The run that computed it.';
comment on column crm.customer_offer.position is 'Rank for the customer, from 1.';
comment on column crm.customer_offer.item_id is 'What to offer: a product, or a category.';
comment on column crm.customer_offer.because_item_id is 'What the customer bought that speaks for it.';
comment on column crm.customer_offer.confidence is 'How often the two were bought together by those who bought the first.';
comment on column crm.customer_offer.lift is 'How much more often than by chance.';
comment on column crm.customer_offer.margin is 'Margin of it in a purchase, on average, in the run''s currency.';
comment on column crm.customer_offer.score is 'Confidence × margin.';
comment on column crm.customer_offer.expected_value is 'Score less what a contact costs.';
comment on constraint customer_offer_expected_value_positive on crm.customer_offer is 'en: Only what is worth a contact is offered. | tr: Yalnızca temas maliyetine değen şey önerilir.';
create index customer_offer_customer_id_index on crm.customer_offer (customer_id);
select crm.protect('crm.customer_offer', area => 'analytics', kind => 'reference', resource => null, verbs => '{select,insert,delete}', bi => true,
  reason => 'It is computed anew from facts that are in the change log.');
