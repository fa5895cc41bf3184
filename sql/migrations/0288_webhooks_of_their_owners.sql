-- A webhook tells what its owner may see: only the owner says where to. What it is told of are resources that there are.
set local role crm_owner;

create function crm.check_webhook() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.url <> old.url and crm.caller_id() is not null and crm.caller_id() is distinct from old.owner_id then
    raise exception using errcode = 'insufficient_privilege', message = 'a webhook''s address is changed by its owner';
  end if;
  if new.resources <> old.resources and exists (
    select from unnest(new.resources) as n where not exists (select from crm.protection as p where p.resource = n)) then
    perform crm.missing_reference('resources');
  end if;
  return new;
end
$$;
comment on function crm.check_webhook() is
  'Trigger: whoever else administers webhooks renames one and turns it off and on; its address is its owner''s to change, because it is sent what the owner sees.';
create trigger webhook_check before update on crm.webhook for each row when (new.url <> old.url or new.resources <> old.resources) execute function crm.check_webhook();
