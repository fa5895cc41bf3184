-- An opportunity's lead is a lead.
set local role crm_owner;

alter table crm.opportunity add constraint opportunity_lead_id_exists foreign key (lead_id) references crm.lead (id);
comment on constraint opportunity_lead_id_exists on crm.opportunity is
  'en: The record named in "lead_id" does not exist or is still in use. | tr: "lead_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';
create index opportunity_lead_id_index on crm.opportunity (lead_id) where lead_id is not null;
