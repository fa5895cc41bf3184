-- What was done about an opportunity.
set local role crm_owner;

alter table crm.activity add column opportunity_id uuid;
comment on column crm.activity.opportunity_id is 'The opportunity it is about.';
alter table crm.activity add constraint activity_opportunity_id_exists foreign key (customer_id, opportunity_id) references crm.opportunity (customer_id, id);
comment on constraint activity_opportunity_id_exists on crm.activity is
  'en: The record named in "opportunity_id" does not exist or is still in use. | tr: "opportunity_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';
alter table crm.activity add constraint activity_opportunity_id_customer check (opportunity_id is null or customer_id is not null);
comment on constraint activity_opportunity_id_customer on crm.activity is 'en: An opportunity is named with its customer. | tr: Fırsat, müşterisiyle birlikte belirtilir.';
create index activity_opportunity_id_index on crm.activity (opportunity_id) where opportunity_id is not null;
grant select (opportunity_id) on crm.activity to bi_reader;

-- The views of schema bi count days by it.
grant execute on function crm.business_day(timestamptz) to bi_reader;
