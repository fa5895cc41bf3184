-- Numbers are numbers: NaN and infinities are refused, also in results, where a sum over one would be worth nothing.
set local role crm_owner;
alter table crm.pyramid_band add constraint pyramid_band_bound_number check (bound <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint pyramid_band_bound_number on crm.pyramid_band is 'en: A band begins at a number from 0 to 100. | tr: Bir bant 0 ile 100 arasında bir sayıyla başlar.';
alter table crm.value_model add constraint value_model_stay_margin_number check (stay_margin <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint value_model_stay_margin_number on crm.value_model is 'en: The margin is a number from 0 to 100. | tr: Pay 0 ile 100 arasında bir sayıdır.';
alter table crm.value_key add constraint value_key_coefficient_number check (coefficient <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint value_key_coefficient_number on crm.value_key is 'en: A coefficient is a number from 0 up. | tr: Katsayı 0 ya da daha büyük bir sayıdır.';
alter table crm.value_key add constraint value_key_cap_finite check (cap <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint value_key_cap_finite on crm.value_key is 'en: A cap is a number. | tr: Üst sınır bir sayıdır.';
alter table crm.customer_value add constraint customer_value_numbers_number check (
  score <> all ('{NaN,Infinity,-Infinity}') and revenue <> 'NaN' and margin <> 'NaN' and cost <> 'NaN' and
  not raw && '{NaN,Infinity,-Infinity}' and not normalised && '{NaN,Infinity,-Infinity}' and
  not contribution && '{NaN,Infinity,-Infinity}');
comment on constraint customer_value_numbers_number on crm.customer_value is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.value_run_key add constraint value_run_key_numbers_number check (
  coefficient <> all ('{NaN,Infinity,-Infinity}') and cap <> all ('{NaN,Infinity,-Infinity}') and
  minimum <> all ('{NaN,Infinity,-Infinity}') and maximum <> all ('{NaN,Infinity,-Infinity}') and
  mean <> all ('{NaN,Infinity,-Infinity}') and deviation <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint value_run_key_numbers_number on crm.value_run_key is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.value_scale add constraint value_scale_numbers_number check (first <> all ('{NaN,Infinity,-Infinity}') and not points && '{NaN,Infinity,-Infinity}');
comment on constraint value_scale_numbers_number on crm.value_scale is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.value_run_tier add constraint value_run_tier_numbers_number check (
  min_score <> all ('{NaN,Infinity,-Infinity}') and max_score <> all ('{NaN,Infinity,-Infinity}') and
  last_score <> all ('{NaN,Infinity,-Infinity}') and revenue <> 'NaN' and margin <> 'NaN' and cost <> 'NaN');
comment on constraint value_run_tier_numbers_number on crm.value_run_tier is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.customer_standing add constraint customer_standing_numbers_number check (
  score <> all ('{NaN,Infinity,-Infinity}') and not raw && '{NaN,Infinity,-Infinity}' and
  not normalised && '{NaN,Infinity,-Infinity}' and not contribution && '{NaN,Infinity,-Infinity}');
comment on constraint customer_standing_numbers_number on crm.customer_standing is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.customer_tier_history add constraint customer_tier_history_score_number check (score <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint customer_tier_history_score_number on crm.customer_tier_history is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.customer_lifetime add constraint customer_lifetime_numbers_number check (
  p_alive <> all ('{NaN,Infinity,-Infinity}') and expected_purchases <> all ('{NaN,Infinity,-Infinity}') and
  expected_30_days <> all ('{NaN,Infinity,-Infinity}') and expected_90_days <> all ('{NaN,Infinity,-Infinity}') and
  expected_180_days <> all ('{NaN,Infinity,-Infinity}') and expected_365_days <> all ('{NaN,Infinity,-Infinity}') and
  purchase_value <> 'NaN' and expected_value <> 'NaN' and clv <> 'NaN');
comment on constraint customer_lifetime_numbers_number on crm.customer_lifetime is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.survival_point add constraint survival_point_numbers_number check (survival <> all ('{NaN,Infinity,-Infinity}') and lower <> all ('{NaN,Infinity,-Infinity}') and upper <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint survival_point_numbers_number on crm.survival_point is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.customer_rfm add constraint customer_rfm_revenue_number check (revenue <> 'NaN');
comment on constraint customer_rfm_revenue_number on crm.customer_rfm is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.association_item add constraint association_item_numbers_number check (revenue <> 'NaN' and margin <> 'NaN' and revenue_without_cost <> 'NaN');
comment on constraint association_item_numbers_number on crm.association_item is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.association_rule add constraint association_rule_numbers_number check (
  support <> all ('{NaN,Infinity,-Infinity}') and confidence <> all ('{NaN,Infinity,-Infinity}') and
  lift <> all ('{NaN,Infinity,-Infinity}') and leverage <> all ('{NaN,Infinity,-Infinity}') and
  conviction <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint association_rule_numbers_number on crm.association_rule is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
alter table crm.customer_offer add constraint customer_offer_numbers_number check (
  confidence <> all ('{NaN,Infinity,-Infinity}') and lift <> all ('{NaN,Infinity,-Infinity}') and
  score <> all ('{NaN,Infinity,-Infinity}') and margin <> 'NaN' and expected_value <> 'NaN');
comment on constraint customer_offer_numbers_number on crm.customer_offer is 'en: Results are numbers. | tr: Sonuçlar sayıdır.';
