-- What models of lifetime say of each customer, and curves of survival, as runs store them.
set local role crm_owner;

-- Without foreign keys: a run writes a row for every customer, and checking a million of them one by one would take longer than computing them.
create table crm.customer_lifetime (
  run_id             uuid             not null,
  customer_id        uuid             not null,
  frequency          integer          not null,
  recency_days       integer          not null,
  age_days           integer          not null,
  p_alive            double precision not null,
  expected_purchases double precision not null,
  expected_30_days   double precision not null,
  expected_90_days   double precision not null,
  expected_180_days  double precision not null,
  expected_365_days  double precision not null,
  purchase_value     numeric(20,6),
  expected_value     numeric(20,6),
  clv                numeric(20,6),
  currency           text             not null,
  constraint customer_lifetime_customer_id_primary primary key (run_id, customer_id),
  constraint customer_lifetime_history_ordered check (frequency >= 0 and recency_days >= 0 and recency_days <= age_days),
  constraint customer_lifetime_p_alive_range check (p_alive between 0 and 1)
);
comment on table crm.customer_lifetime is 'What a run of a model of lifetime says of a customer; of the latest twelve runs.';
comment on column crm.customer_lifetime.run_id is 'The run that computed it.';
comment on column crm.customer_lifetime.frequency is 'Repeat purchases: days with a purchase after the first one.';
comment on column crm.customer_lifetime.recency_days is 'Days from the first purchase to the last.';
comment on column crm.customer_lifetime.age_days is 'Days from the first purchase to as_of.';
comment on column crm.customer_lifetime.p_alive is 'The probability that the customer still buys.';
comment on column crm.customer_lifetime.expected_purchases is 'Purchases expected within the months that clv counts.';
comment on column crm.customer_lifetime.expected_30_days is 'Purchases expected within 30 days.';
comment on column crm.customer_lifetime.expected_90_days is 'Purchases expected within 90 days.';
comment on column crm.customer_lifetime.expected_180_days is 'Purchases expected within 180 days.';
comment on column crm.customer_lifetime.expected_365_days is 'Purchases expected within 365 days.';
comment on column crm.customer_lifetime.purchase_value is 'The mean value of the repeat purchases so far; null without any.';
comment on column crm.customer_lifetime.expected_value is 'What the customer is expected to spend on a purchase; null where it cannot be told.';
comment on column crm.customer_lifetime.clv is 'Customer lifetime value: the margin of the purchases expected within the months of the run, discounted; null where it cannot be told.';
comment on column crm.customer_lifetime.currency is 'Currency of the values.';
comment on constraint customer_lifetime_history_ordered on crm.customer_lifetime is 'en: The last purchase lies between the first one and as_of. | tr: Son alışveriş, ilkiyle as_of arasındadır.';
comment on constraint customer_lifetime_p_alive_range on crm.customer_lifetime is 'en: A probability is from 0 to 1. | tr: Olasılık 0 ile 1 arasındadır.';
create index customer_lifetime_customer_id_index on crm.customer_lifetime (customer_id);
select crm.protect('crm.customer_lifetime', area => 'analytics', kind => 'reference', resource => null, verbs => '{select,insert,delete}', bi => true,
  reason => 'It is computed anew from facts that are in the change log.');
insert into crm.merge_rule (relation, on_clash) values ('crm.customer_lifetime', 'drop');

create table crm.survival_point (
  run_id    uuid             not null,
  group_key text             not null,
  day       integer          not null,
  at_risk   bigint           not null,
  ended     bigint           not null,
  censored  bigint           not null,
  survival  double precision not null,
  lower     double precision not null,
  upper     double precision not null,
  constraint survival_point_day_primary primary key (run_id, group_key, day),
  constraint survival_point_run_id_exists foreign key (run_id) references crm.analysis_run (id),
  constraint survival_point_counts_positive check (at_risk >= 0 and ended >= 0 and censored >= 0),
  constraint survival_point_shares_range check (lower between 0 and survival and survival <= upper and upper <= 1)
);
comment on table crm.survival_point is 'Points of a curve of survival (Kaplan-Meier) that a run computed.';
comment on column crm.survival_point.run_id is 'The run that computed it.';
comment on column crm.survival_point.group_key is 'The group whose curve it is; empty for everything, and where the field says nothing.';
comment on column crm.survival_point.day is 'Days since the beginning: of the contract, or of the customer''s first purchase.';
comment on column crm.survival_point.at_risk is 'How many were still there just before that day.';
comment on column crm.survival_point.ended is 'How many ended on that day.';
comment on column crm.survival_point.censored is 'How many are not known to have lasted longer.';
comment on column crm.survival_point.survival is 'The share that lasts longer than that day.';
comment on column crm.survival_point.lower is 'Lower end of the 95 % interval (log-log).';
comment on column crm.survival_point.upper is 'Upper end of the 95 % interval (log-log).';
comment on constraint survival_point_counts_positive on crm.survival_point is 'en: A count is not negative. | tr: Sayı eksi olamaz.';
comment on constraint survival_point_shares_range on crm.survival_point is 'en: The interval holds the share; both are from 0 to 1. | tr: Aralık, payı içerir; ikisi de 0 ile 1 arasındadır.';
select crm.protect('crm.survival_point', area => 'analytics', kind => 'reference', resource => null, verbs => '{select,insert,delete}', bi => true,
  reason => 'It is computed anew from facts that are in the change log.');
