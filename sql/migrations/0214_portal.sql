-- The customer portal: what a customer's own token sees. It works as a role of its own, which has no rights but the ones offered here, table by table and
-- column by column: what nobody offered cannot be read, whatever the program asks.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'crm_portal') then
    raise exception 'the role crm_portal is missing' using hint = 'Run sql/bootstrap.sql again as an administrator: it makes what is missing and changes nothing else.';
  end if;
end
$$;
set local role crm_owner;
grant usage on schema crm to crm_portal;

create function crm.portal_customer() returns uuid language sql stable parallel safe
  return nullif(current_setting('muhatap.portal_customer', true), '')::uuid;
comment on function crm.portal_customer() is 'The customer whose token this transaction runs for; null outside of the portal.';
create function crm.portal_contact() returns uuid language sql stable parallel safe
  return nullif(current_setting('muhatap.portal_contact', true), '')::uuid;
comment on function crm.portal_contact() is 'The person at the customer whose token this is; null when it is the customer''s as a whole.';
-- crm.channels stands in a CHECK of the interactions' months, which the planner asks.
grant execute on function crm.portal_customer(), crm.portal_contact(), crm.channels() to crm_portal;

create table crm.portal_offer (
  relation  text   not null,
  columns   text[] not null,
  condition text   not null,
  constraint portal_offer_relation_primary primary key (relation)
);
comment on table crm.portal_offer is 'What customers see of their own in the portal, as crm.offer_to_portal was told: the source of the access tests.';
comment on column crm.portal_offer.relation is 'The table, with its schema.';
comment on column crm.portal_offer.columns is 'The columns that can be read.';
comment on column crm.portal_offer.condition is 'Which rows can be read.';
comment on constraint portal_offer_relation_primary on crm.portal_offer is 'en: This table is already offered. | tr: Bu tablo zaten sunuluyor.';
select crm.protect('crm.portal_offer', area => 'admin', kind => 'open', verbs => '{select}', reason => 'It says what the portal shows and holds no business data.');
create policy portal_offer_keep on crm.portal_offer to crm_owner using (true) with check (true);

create function crm.offer_to_portal(target regclass, columns text[], condition text default 'customer_id = (select crm.portal_customer())')
returns void language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  name constant text := (select relname from pg_class where oid = target);
  secret text;
begin
  if not exists (select from pg_class as c where c.oid = target and c.relrowsecurity and c.relforcerowsecurity) then
    raise exception '% is not protected; call crm.protect first', target;
  end if;
  select string_agg(a.attname, ', ') into secret from pg_attribute as a
  where a.attrelid = target and a.attname = any (offer_to_portal.columns) and col_description(target, a.attnum) like 'secret:%';
  if secret is not null then
    raise exception '% is secret', secret;
  end if;
  insert into crm.portal_offer values (target::text, offer_to_portal.columns, offer_to_portal.condition)
  on conflict on constraint portal_offer_relation_primary do update set columns = excluded.columns, condition = excluded.condition;
  execute format('revoke all on %s from crm_portal', target);
  execute format('grant select (%s) on %s to crm_portal', (select string_agg(quote_ident(c), ', ') from unnest(offer_to_portal.columns) as c), target);
  execute format('drop policy if exists %I on %s', name || '_portal', target);
  execute format('create policy %I on %s for select to crm_portal using (%s)', name || '_portal', target, condition);
end
$$;
comment on function crm.offer_to_portal(regclass, text[], text) is
  'Lets customers read columns of a table in the portal, and of its rows those for which the condition holds: their own. Called in migrations; calling it again replaces what it made.';
revoke execute on function crm.offer_to_portal(regclass, text[], text) from crm_app, crm_worker, crm_bulk, crm_access;

-- Who may come in -----------------------------------------------------------------------------------------------------------------

create table crm.portal_access (
  customer_id           uuid        not null,
  id                    uuid        not null default crm.uuid_v7(),
  contact_id            uuid,
  invitation_hash       bytea,
  invitation_expires_at timestamptz,
  redeemed_at           timestamptz,
  revoked_at            timestamptz,
  department_id         uuid        not null,
  owner_id              uuid,
  audience              uuid,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  version               integer     not null default 1,
  created_by            uuid        default crm.caller_id(),
  constraint portal_access_id_primary primary key (customer_id, id),
  constraint portal_access_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint portal_access_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint portal_access_invitation_hash_length check (octet_length(invitation_hash) = 32),
  constraint portal_access_invitation_hash_dated check ((invitation_hash is null) = (invitation_expires_at is null)),
  constraint portal_access_invitation_expires_at_finite check (isfinite(invitation_expires_at))
);
comment on table crm.portal_access is 'A customer, or a person at one, who was let into the portal by a colleague.';
comment on column crm.portal_access.contact_id is 'The person; null for the customer as a whole.';
comment on column crm.portal_access.invitation_hash is 'secret: SHA-256 of the one-time link that is out; null once it was used.';
comment on column crm.portal_access.invitation_expires_at is 'From when on the link no longer works; null once it was used.';
comment on column crm.portal_access.redeemed_at is 'When a link was last used; null before.';
comment on column crm.portal_access.revoked_at is 'When it was revoked; null while it works.';
comment on constraint portal_access_invitation_hash_length on crm.portal_access is 'en: Links are stored as SHA-256 hashes only. | tr: Bağlantılar yalnızca SHA-256 özeti olarak saklanır.';
comment on constraint portal_access_invitation_hash_dated on crm.portal_access is 'en: A link has an end. | tr: Bağlantının bir sonu vardır.';
comment on constraint portal_access_invitation_expires_at_finite on crm.portal_access is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create index portal_access_id_index on crm.portal_access (id);
create unique index portal_access_invitation_hash_index on crm.portal_access (invitation_hash) where invitation_hash is not null;
create trigger portal_access_follow_insert before insert on crm.portal_access for each row execute function crm.follow_customer();
create trigger portal_access_follow_update before update on crm.portal_access for each row
  when ((old.customer_id, old.department_id, old.owner_id, old.audience) is distinct from (new.customer_id, new.department_id, new.owner_id, new.audience))
  execute function crm.follow_customer();
create trigger portal_access_announce after update or delete on crm.portal_access for each statement execute function crm.announce('muhatap_access');
select crm.protect('crm.portal_access', area => 'customers', kind => 'owned', resource => 'portal_accesses');

create function crm.lead_customer_portal() returns trigger language plpgsql as $$
begin
  update crm.portal_access as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.id;
  return null;
end
$$;
comment on function crm.lead_customer_portal() is 'Trigger: when a customer changes department, owner or visibility, its accesses to the portal follow.';
create trigger customer_lead_portal after update on crm.customer for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_customer_portal();
alter table crm.customer enable always trigger customer_lead_portal;

create table crm.portal_session (
  customer_id uuid        not null,
  id          uuid        not null default crm.uuid_v7(),
  access_id   uuid        not null,
  token_hash  bytea       not null,
  expires_at  timestamptz not null,
  revoked_at  timestamptz,
  created_at  timestamptz not null default now(),
  constraint portal_session_id_primary primary key (customer_id, id),
  constraint portal_session_access_id_exists foreign key (customer_id, access_id) references crm.portal_access (customer_id, id),
  constraint portal_session_token_hash_length check (octet_length(token_hash) = 32),
  constraint portal_session_expires_at_finite check (isfinite(expires_at))
);
comment on table crm.portal_session is 'A customer signed in to the portal. The token itself is never stored.';
comment on column crm.portal_session.access_id is 'The access whose link was used.';
comment on column crm.portal_session.token_hash is 'secret: SHA-256 of the token.';
comment on column crm.portal_session.expires_at is 'From when on the token no longer works.';
comment on column crm.portal_session.revoked_at is 'When the customer signed out; null while it works.';
comment on constraint portal_session_token_hash_length on crm.portal_session is 'en: Tokens are stored as SHA-256 hashes only. | tr: Jetonlar yalnızca SHA-256 özeti olarak saklanır.';
comment on constraint portal_session_expires_at_finite on crm.portal_session is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create unique index portal_session_token_hash_index on crm.portal_session (token_hash);
create index portal_session_access_id_index on crm.portal_session (customer_id, access_id);
create index portal_session_expires_at_index on crm.portal_session (expires_at);
create trigger portal_session_announce after update or delete on crm.portal_session for each statement execute function crm.announce('muhatap_access');
select crm.protect('crm.portal_session', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It holds credentials; the access says who came in.');

-- What they see -------------------------------------------------------------------------------------------------------------------
-- What belongs to the customer (tickets, orders, invoices) is seen by everyone let in for the customer; what was said to a person (conversations, consents)
-- by that person, or by whoever was let in for the customer as a whole. What colleagues keep private, their notes and drafts are not offered.

select crm.offer_to_portal('crm.customer', '{id,kind,name,locale}', 'id = (select crm.portal_customer())');
select crm.offer_to_portal('crm.contact', '{customer_id,id,name,job_title,locale}', 'customer_id = (select crm.portal_customer()) and id = (select crm.portal_contact())');
select crm.offer_to_portal('crm.ticket', '{customer_id,id,number,subject,description,type,status,conversation_id,order_id,contact_id,merged_into_id,opened_at,resolved_at,closed_at,visibility}',
  'customer_id = (select crm.portal_customer()) and visibility <> ''private''');
select crm.offer_to_portal('crm.sales_order', '{customer_id,id,number,external_number,status,ordered_at,currency,amount}');
select crm.offer_to_portal('crm.sales_order_line', '{customer_id,id,order_id,product_id,line_number,quantity,unit_price,amount}');
select crm.offer_to_portal('crm.shipment', '{customer_id,id,order_id,number,shipped_on,carrier,tracking_number}');
select crm.offer_to_portal('crm.product', '{id,sku,name,unit_code}', 'id in (select l.product_id from crm.sales_order_line as l)');
select crm.offer_to_portal('crm.invoice', '{customer_id,id,number,type,status,order_id,issue_date,due_on,currency,net_amount,vat_amount,total_amount,payable_amount}',
  'customer_id = (select crm.portal_customer()) and status = ''issued''');
select crm.offer_to_portal('crm.invoice_line', '{customer_id,id,invoice_id,line_number,description,quantity,unit_code,unit_price,discount_percent,vat_rate,net_amount,vat_amount}',
  'customer_id = (select crm.portal_customer()) and invoice_status = ''issued''');
select crm.offer_to_portal('crm.conversation', '{customer_id,id,contact_id,channel,subject,last_interaction_at,created_at}',
  'customer_id = (select crm.portal_customer()) and visibility <> ''private'' and coalesce(contact_id = (select crm.portal_contact()), (select crm.portal_contact()) is null)');
select crm.offer_to_portal('crm.interaction', '{customer_id,id,occurred_at,conversation_id,contact_id,channel,direction,kind,subject,body_text}',
  'customer_id = (select crm.portal_customer()) and visibility <> ''private'' and kind in (''message'', ''submission'', ''post'')
   and conversation_id in (select c.id from crm.conversation as c)');
select crm.offer_to_portal('crm.consent_event', '{customer_id,id,contact_id,channel,address,brand_id,purpose,status,consented_at,valid_until,source}',
  'customer_id = (select crm.portal_customer()) and coalesce(contact_id = (select crm.portal_contact()), (select crm.portal_contact()) is null)');
select crm.offer_to_portal('crm.consent_purpose', '{id,code,name,name_tr,description,description_tr,is_offered}', 'is_offered');
select crm.offer_to_portal('crm.brand', '{id,name}', 'is_active');
