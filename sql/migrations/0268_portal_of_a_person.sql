-- A token of the portal belongs to a person: they see their own tickets and conversations. Whoever answers for an organisation is marked so when let in, and sees everybody's.
-- What belongs to the organisation and to nobody in it, orders and invoices, is seen by all who were let in.
set local role crm_owner;

alter table crm.portal_access add column whole_organisation boolean not null default false;
comment on column crm.portal_access.whole_organisation is
  'Whether the person sees the tickets and conversations of everybody at the organisation, too; an access without a person always does.';

create function crm.portal_sees_all() returns boolean language sql stable parallel safe
  return crm.portal_contact() is null or coalesce(current_setting('muhatap.portal_whole', true) = 'on', false);
comment on function crm.portal_sees_all() is 'Whether the token is the customer''s as a whole, or of a person who was marked to see everybody''s tickets and conversations.';
grant execute on function crm.portal_sees_all() to crm_portal;

select crm.offer_to_portal('crm.ticket', '{customer_id,id,number,subject,description,type,status,conversation_id,order_id,contact_id,merged_into_id,opened_at,resolved_at,closed_at,visibility}',
  'customer_id = (select crm.portal_customer()) and visibility <> ''private'' and ((select crm.portal_sees_all()) or contact_id = (select crm.portal_contact()))');
select crm.offer_to_portal('crm.conversation', '{customer_id,id,contact_id,channel,subject,last_interaction_at,created_at}',
  'customer_id = (select crm.portal_customer()) and visibility <> ''private'' and ((select crm.portal_sees_all()) or contact_id = (select crm.portal_contact()))');
