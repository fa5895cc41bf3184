-- Lines of shipments count their changes as all that has an owner does: they follow their order to another department.
set local role crm_owner;

alter table crm.shipment_line add column updated_at timestamptz not null default now(), add column version integer not null default 1;
select crm.protect('crm.shipment_line', area => 'sales', kind => 'owned', resource => 'shipment_lines', bi => true);
