-- A draft of a quote that nobody wants any more can be discarded, with what was asked of approvers; what was sent stays. Nobody is granted to delete quotes:
-- this function is the one way, and only drafts are within its reach.
set local role crm_owner;

alter table crm.quote_approval drop constraint quote_approval_quote_id_exists,
  add constraint quote_approval_quote_id_exists foreign key (customer_id, quote_id) references crm.quote (customer_id, id) on delete cascade;
create policy quote_draft_seen on crm.quote for select to crm_owner using (status = 'draft');
create policy quote_draft_gone on crm.quote for delete to crm_owner using (status = 'draft');

create function crm.discard_quote(customer uuid, quote uuid) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  superseded uuid;
begin
  delete from crm.quote as q
  where q.customer_id = customer and q.id = quote and q.status = 'draft' and crm.may_write('sales', q.department_id, q.owner_id)
  returning q.supersedes_id into superseded;
  if not found then
    raise exception using errcode = 'insufficient_privilege', message = 'only a draft of the caller''s own reach is discarded';
  end if;
  return superseded;
end
$$;
comment on function crm.discard_quote(uuid, uuid) is 'Deletes a draft without lines that the caller may change; the version that it was to supersede, if any.';
revoke execute on function crm.discard_quote(uuid, uuid) from crm_bulk, crm_access;
