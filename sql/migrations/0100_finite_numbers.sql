-- Numbers are numbers: NaN is refused where only ranges kept it out.
set local role crm_owner;

alter table crm.product add constraint product_vat_rate_number check (vat_rate <> 'NaN');
comment on constraint product_vat_rate_number on crm.product is 'en: Give a number. | tr: Bir sayı verin.';
alter table crm.stock_level add constraint stock_level_numbers_number check (reserved <> 'NaN' and available <> 'NaN');
comment on constraint stock_level_numbers_number on crm.stock_level is 'en: Give a number. | tr: Bir sayı verin.';
alter table crm.stock_movement add constraint stock_movement_numbers_number check (on_hand_change <> 'NaN' and reserved_change <> 'NaN');
comment on constraint stock_movement_numbers_number on crm.stock_movement is 'en: Give a number. | tr: Bir sayı verin.';
alter table crm.expected_receipt add constraint expected_receipt_outstanding_number check (outstanding <> 'NaN');
comment on constraint expected_receipt_outstanding_number on crm.expected_receipt is 'en: Give a number. | tr: Bir sayı verin.';
alter table crm.order_line_fulfilment add constraint order_line_fulfilment_numbers_number check (vat_rate <> 'NaN' and discount_percent <> 'NaN' and reserved <> 'NaN' and shipped <> 'NaN' and returned <> 'NaN' and cancelled <> 'NaN' and invoiced <> 'NaN' and back_ordered <> 'NaN');
comment on constraint order_line_fulfilment_numbers_number on crm.order_line_fulfilment is 'en: Give a number. | tr: Bir sayı verin.';
