-- A contact that is merged into another is named anew in quotes that were sent: who it is has not changed, only how we call the record.
set local role crm_owner;

create function crm.seal_quote_anew() returns trigger language plpgsql as $$
begin
  if current_user = 'crm_steward' then
    update crm.quote_seal as s set digest = new.sealed_digest
    where s.customer_id = new.customer_id and s.quote_id = new.id and s.digest = old.sealed_digest;
  end if;
  return null;
end
$$;
comment on function crm.seal_quote_anew() is 'Trigger: when a merge of contacts, and nothing else, names another contact in a sent quote, its seal follows.';
create trigger quote_seal_anew after update on crm.quote for each row
  when (old.contact_id is distinct from new.contact_id and new.sealed_digest is not null) execute function crm.seal_quote_anew();
alter table crm.quote enable always trigger quote_seal_anew;
