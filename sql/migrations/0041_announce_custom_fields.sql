-- Gateways read the definitions of custom fields once; this tells them to read again.
set local role crm_owner;

create function crm.announce_custom_fields() returns trigger language plpgsql as $$
begin
  perform pg_notify('muhatap_custom_fields', '');
  return null;
end
$$;
comment on function crm.announce_custom_fields() is 'Trigger: tells every gateway that the definitions of custom fields changed.';

create trigger custom_field_announce after insert or update or delete on crm.custom_field
  for each statement execute function crm.announce_custom_fields();
alter table crm.custom_field enable always trigger custom_field_announce;
