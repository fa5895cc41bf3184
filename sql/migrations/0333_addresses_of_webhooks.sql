-- A webhook tells what its owner sees: where it is told is said by the owner with all their rights, never with a key that was narrowed.
set local role crm_owner;

alter table crm.webhook add constraint webhook_url_own check (url is not null);
comment on constraint webhook_url_own on crm.webhook is
  'en: A webhook tells what its owner sees: its address is changed by the owner, signed in or with a key that is not narrowed. | tr: Web kancası sahibinin gördüğünü bildirir: adresini yalnızca sahibi, oturum açarak ya da kısıtlanmamış bir anahtarla değiştirir.';

create or replace function crm.check_webhook() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.url <> old.url and (crm.caller_id() is not null and crm.caller_id() is distinct from old.owner_id or current_setting('muhatap.narrowed', true) = 'on') then
    raise exception using errcode = 'insufficient_privilege', schema = 'crm', table = 'webhook', constraint = 'webhook_url_own',
      message = 'a webhook''s address is changed by its owner, with all their rights';
  end if;
  if new.resources <> old.resources and exists (
    select from unnest(new.resources) as n where not exists (select from crm.protection as p where p.resource = n)) then
    perform crm.missing_reference('resources');
  end if;
  return new;
end
$$;
