-- Another system asks for an order by its own number, without saying whose it is: the same index, in the order that finds it.
set local role crm_owner;

alter table crm.sales_order drop constraint sales_order_external_number_unique;
alter table crm.sales_order add constraint sales_order_external_number_unique unique (external_number, source_system, customer_id);
comment on constraint sales_order_external_number_unique on crm.sales_order is 'en: This customer already has an order with this number from this system. | tr: Bu müşterinin bu sistemden bu numaralı bir siparişi zaten var.';
