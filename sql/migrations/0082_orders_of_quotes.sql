-- An order knows the quote it came from.
set local role crm_owner;

alter table crm.sales_order
  add constraint sales_order_quote_id_exists foreign key (customer_id, quote_id) references crm.quote (customer_id, id);
comment on constraint sales_order_quote_id_exists on crm.sales_order is 'en: There is no such quote of this customer, or an order came from it. | tr: Bu müşterinin böyle bir teklifi yok ya da bu tekliften sipariş doğmuş.';
