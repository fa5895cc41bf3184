-- What belongs to something is found by that alone: "the lines of this order" names no customer, by which the keys begin.
set local role crm_owner;

create index sales_order_of_quote_id_index on crm.sales_order (quote_id) where quote_id is not null;
create index sales_order_of_reorder_of_id_index on crm.sales_order (reorder_of_id) where reorder_of_id is not null;
create index sales_order_line_of_order_id_index on crm.sales_order_line (order_id);
create index shipment_of_order_id_index on crm.shipment (order_id);
create index shipment_line_of_shipment_id_index on crm.shipment_line (shipment_id);
create index opportunity_line_of_opportunity_id_index on crm.opportunity_line (opportunity_id);
create index pipeline_snapshot_entry_of_opportunity_id_index on crm.pipeline_snapshot_entry (opportunity_id);
create index contract_of_opportunity_id_index on crm.contract (opportunity_id) where opportunity_id is not null;
create index contract_line_of_contract_id_index on crm.contract_line (contract_id);
create index quote_of_supersedes_id_index on crm.quote (supersedes_id) where supersedes_id is not null;
create index quote_answer_of_quote_id_index on crm.quote_answer (quote_id);
create index invoice_of_order_id_index on crm.invoice (order_id) where order_id is not null;
create index invoice_of_returned_invoice_id_index on crm.invoice (returned_invoice_id) where returned_invoice_id is not null;
create index invoice_line_of_invoice_id_index on crm.invoice_line (invoice_id);
create index instalment_of_invoice_id_index on crm.instalment (invoice_id);
create index payment_allocation_of_credit_note_id_index on crm.payment_allocation (credit_note_id) where credit_note_id is not null;
create index commission_settlement_line_of_invoice_id_index on crm.commission_settlement_line (invoice_id) where invoice_id is not null;
create index e_invoice_of_invoice_id_index on crm.e_invoice (invoice_id);
create index address_of_contact_id_index on crm.address (contact_id) where contact_id is not null;
create index contact_point_of_contact_id_index on crm.contact_point (contact_id) where contact_id is not null;
create index activity_of_contact_id_index on crm.activity (contact_id) where contact_id is not null;
create index opportunity_of_contact_id_index on crm.opportunity (contact_id) where contact_id is not null;
create index contract_of_contact_id_index on crm.contract (contact_id) where contact_id is not null;
create index quote_of_contact_id_index on crm.quote (contact_id) where contact_id is not null;
