-- Why a customer stands where it does, also after it was scored again between two runs.
set local role crm_owner;

alter table crm.customer_standing add column raw double precision[], add column normalised double precision[], add column contribution double precision[];
-- Checked row by row, a million rows would wait ten seconds for keys that the run itself guarantees.
alter table crm.customer_value drop constraint customer_value_run_id_exists;
alter table crm.customer_standing drop constraint customer_standing_model_id_exists, drop constraint customer_standing_run_id_exists;
alter table crm.customer_tier_history drop constraint customer_tier_history_model_id_exists, drop constraint customer_tier_history_run_id_exists;
comment on column crm.customer_standing.raw is 'What was measured when the customer was scored again since the run, by the place of the key; null: as the run has it.';
comment on column crm.customer_standing.normalised is 'The same as 0 to 1; null: as the run has it.';
comment on column crm.customer_standing.contribution is 'Points of the score; null: as the run has it.';
select crm.protect('crm.customer_standing', area => 'analytics', kind => 'reference', verbs => '{select,insert,update,delete}', bi => true,
  reason => 'It is computed anew from facts that are in the change log.');
