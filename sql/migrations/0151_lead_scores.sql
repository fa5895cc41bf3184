-- How likely each open lead is to become a customer, as the runs of lead scoring found it, and why.
set local role crm_owner;

create table crm.lead_score (
  id          uuid             not null default crm.uuid_v7(),
  run_id      uuid             not null,
  lead_id     uuid             not null,
  probability double precision not null,
  evidence    jsonb            not null,
  constraint lead_score_id_primary primary key (id),
  constraint lead_score_lead_id_once unique (run_id, lead_id),
  constraint lead_score_run_id_exists foreign key (run_id) references crm.analysis_run (id),
  constraint lead_score_lead_id_exists foreign key (lead_id) references crm.lead (id),
  constraint lead_score_probability_range check (probability between 0 and 1 and probability <> 'NaN'),
  constraint lead_score_evidence_list check (jsonb_typeof(evidence) = 'array')
);
comment on table crm.lead_score is 'How likely a lead that was open is to become a customer, as one run found it.';
comment on column crm.lead_score.run_id is 'The run.';
comment on column crm.lead_score.lead_id is 'The lead.';
comment on column crm.lead_score.probability is 'How likely, from 0 to 1.';
comment on column crm.lead_score.evidence is 'What speaks for and against it: feature, value, and the contribution to the log-odds against the average lead, the largest first.';
comment on constraint lead_score_lead_id_once on crm.lead_score is 'en: The run already has a score of this lead. | tr: Çalıştırmanın bu aday için zaten bir puanı var.';
comment on constraint lead_score_probability_range on crm.lead_score is 'en: A probability is from 0 to 1. | tr: Olasılık 0 ile 1 arasındadır.';
comment on constraint lead_score_evidence_list on crm.lead_score is 'en: Evidence is given as a list. | tr: Kanıt bir liste olarak verilir.';
create index lead_score_lead_id_index on crm.lead_score (lead_id, run_id);
insert into crm.merge_rule (relation, on_clash) values ('crm.lead_score', 'drop');
select crm.protect('crm.lead_score', area => 'analytics', kind => 'reference', verbs => '{select,insert,update,delete}',
  reason => 'It is computed anew from facts that are in the change log.', bi => true);
