-- What proves a consent, together with how far the registry knows of it; and consents that come from a file.
set local role crm_owner;

-- Asked of the rows of a file before triggers made the hash of their address: so of the address itself, which is null only once its person was erased.
alter table crm.consent_event drop constraint consent_event_address_valid,
  add constraint consent_event_address_valid check (address is null or crm.normal_address(channel, address) is not null);
comment on constraint consent_event_address_valid on crm.consent_event is 'en: This is not an address of this channel: give an e-mail address, or a number with its country code. | tr: Bu kanal için geçerli bir adres değil: bir e-posta adresi ya da ülke koduyla bir numara verin.';

create function crm.registry_standing(of_event uuid) returns table (brand text, state text, transaction_id text, problem text, settled_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select b.name, t.state, t.transaction_id, t.problem, t.settled_at
  from crm.registry_transfer as t join crm.brand as b on b.id = t.brand_id
  where t.event_id = of_event and (crm.reads('customers') or crm.reads_all('customers'))
  order by b.name
$$;
comment on function crm.registry_standing(uuid) is
  'How far a consent event is with the registry, for each brand it concerns: pending, sending, accepted (with the registry''s number), rejected or skipped (with the reason).';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.registry_standing(uuid) owner to crm_steward;
revoke create on schema crm from crm_steward;
