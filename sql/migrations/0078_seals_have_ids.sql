-- A seal is told apart like every other row.
set local role crm_owner;

alter table crm.quote_seal add column id uuid not null default crm.uuid_v7();
comment on column crm.quote_seal.id is 'UUID version 7 of the record; given by the client or made by the server, never changed.';
