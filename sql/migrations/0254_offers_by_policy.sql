-- Offers follow the policy of the customer's cell: on which channel, and what may be given away with them.
set local role crm_owner;

alter table crm.customer_offer add column channel text, add column discount_cap_percent numeric(5,2),
  add constraint customer_offer_channel_known check (channel in ('email', 'phone', 'sms', 'visit', 'post', 'online')),
  add constraint customer_offer_discount_cap_percent_range check (discount_cap_percent between 0 and 100 and discount_cap_percent <> 'NaN');
comment on column crm.customer_offer.channel is 'The channel to make it on; null where neither the question nor the policy names one.';
comment on column crm.customer_offer.discount_cap_percent is 'The largest discount the policy gives the customer; null where it names none.';
comment on constraint customer_offer_channel_known on crm.customer_offer is 'en: A channel is email, phone, sms, visit, post or online. | tr: Kanal email, phone, sms, visit, post ya da online olabilir.';
comment on constraint customer_offer_discount_cap_percent_range on crm.customer_offer is 'en: A discount is 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
grant select (channel, discount_cap_percent) on crm.customer_offer to bi_reader;
