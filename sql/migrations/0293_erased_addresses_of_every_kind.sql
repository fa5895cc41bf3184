-- Erasing puts every address of a person on the suppression list, those of social networks and of letters too, which were known only where something had been consented.
set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;
create or replace function crm.forget_consents(of_customer uuid, of_contact uuid default null) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  forgotten integer;
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'people are erased by the system';
  end if;
  insert into crm.suppression (channel, address_token, reason)
  select distinct on (found.token) found.channel, found.token, 'erased'
  from (
    select k.channel, crm.address_token(k.channel, p.value) as token
    from crm.contact_point as p
    join (values ('email', 'email'), ('phone', 'phone'), ('whatsapp', 'social'), ('social', 'social'), ('other', 'letter')) as k (kind, channel) on k.kind = p.kind
    where p.customer_id = of_customer and (of_contact is null or p.contact_id = of_contact)
    union all
    select e.channel, e.address_token from crm.consent_event as e where e.customer_id = of_customer and (of_contact is null or e.contact_id = of_contact)
  ) as found
  where found.token is not null and not exists (
    select from crm.suppression as s where s.address_token = found.token and s.reason = 'erased' and s.lifted_at is null and s.brand_id is null)
  order by found.token, found.channel;
  update crm.consent_event as e set address = null, remote_address = null, user_agent = null, note = null
  where e.customer_id = of_customer and (of_contact is null or e.contact_id = of_contact);
  get diagnostics forgotten = row_count;
  return forgotten;
end
$$;
set local role none;
revoke create on schema crm from crm_steward;
