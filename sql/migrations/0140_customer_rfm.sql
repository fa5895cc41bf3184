-- RFM scores as runs store them, for segments and BI.
set local role crm_owner;

-- Without foreign keys: a run writes a row for every customer, and checking a million of them one by one would take longer than computing them.
create table crm.customer_rfm (
  run_id           uuid        not null,
  customer_id      uuid        not null,
  last_purchase_at timestamptz not null,
  recency_days     integer     not null,
  orders           bigint      not null,
  revenue          numeric     not null,
  currency         text        not null,
  recency_score    smallint    not null,
  frequency_score  smallint    not null,
  monetary_score   smallint    not null,
  cell             smallint    not null,
  rfm_group        text        not null,
  constraint customer_rfm_customer_id_primary primary key (run_id, customer_id),
  constraint customer_rfm_scores_range check (recency_score between 1 and 5 and frequency_score between 1 and 5 and monetary_score between 1 and 5),
  constraint customer_rfm_cell_composed check (cell = 100 * recency_score + 10 * frequency_score + monetary_score)
);
comment on table crm.customer_rfm is 'The RFM scores of a customer by a run; of the latest twelve runs.';
comment on column crm.customer_rfm.run_id is 'The run that computed it.';
comment on column crm.customer_rfm.last_purchase_at is 'The last purchase before the run''s as_of.';
comment on column crm.customer_rfm.recency_days is 'Days from the day of the last purchase to that of as_of.';
comment on column crm.customer_rfm.orders is 'How many purchases.';
comment on column crm.customer_rfm.revenue is 'For how much.';
comment on column crm.customer_rfm.currency is 'Currency of the revenue.';
comment on column crm.customer_rfm.recency_score is 'R, from 1 to 5; 5 is best.';
comment on column crm.customer_rfm.frequency_score is 'F, from 1 to 5; 5 is best.';
comment on column crm.customer_rfm.monetary_score is 'M, from 1 to 5; 5 is best.';
comment on column crm.customer_rfm.cell is '100 R + 10 F + M.';
comment on column crm.customer_rfm.rfm_group is 'The named group: champions, loyal, new, promising, at_risk, lost or needs_attention.';
comment on constraint customer_rfm_scores_range on crm.customer_rfm is 'en: Scores are from 1 to 5. | tr: Puanlar 1 ile 5 arasındadır.';
comment on constraint customer_rfm_cell_composed on crm.customer_rfm is 'en: The cell is made of the three scores. | tr: Hücre üç puandan oluşur.';
create index customer_rfm_customer_id_index on crm.customer_rfm (customer_id);
select crm.protect('crm.customer_rfm', area => 'analytics', kind => 'reference', resource => null, verbs => '{select,insert,delete}', bi => true,
  reason => 'It is computed anew from facts that are in the change log.');
