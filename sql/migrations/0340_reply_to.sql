-- Who writes a mail may ask that it be answered somewhere else (Reply-To). Whose mail it is follows from its sender alone.
set local role crm_owner;

alter table crm.interaction add column reply_to text,
  add constraint interaction_reply_to_length check (length(reply_to) <= 320);
comment on column crm.interaction.reply_to is
  'personal: where its sender asks to be answered, as an e-mail address, when that is somewhere else (Reply-To); it says nothing of who the sender is. Null for mailing lists, machines and addresses of ours.';
comment on constraint interaction_reply_to_length on crm.interaction is 'en: An address has at most 320 characters. | tr: Adres en çok 320 karakterdir.';
select crm.register_personal('crm.interaction', 'contact_details', '{reply_to}');

create function crm.answer_address(sender text, reply_to text) returns text language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case
    when reply_to is null or not crm.valid_email(btrim(reply_to)) or lower(btrim(reply_to)) is not distinct from lower(btrim(sender)) then sender
    -- With and without what stands behind a plus sign it is the same mailbox.
    when exists (
      select from crm.channel_account as a
      where crm.search_key(a.address) in (crm.search_key(btrim(reply_to)), crm.search_key(regexp_replace(btrim(reply_to), '\+[^@]*@', '@')))) then sender
    else lower(btrim(reply_to))
  end
$$;
comment on function crm.answer_address(text, text) is
  'Where a message is answered: its Reply-To, in small letters, when that is one e-mail address and no account of ours, which would answer itself; else its sender.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.answer_address(text, text) owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;

drop function crm.receive_interaction(uuid, text, text, text[], text, text, text[], text, text, text, timestamptz, text);
create function crm.receive_interaction(
  account uuid, external_id text, in_reply_to text, "references" text[], sender text, sender_name text, recipients text[], subject text, body_text text, body_html text,
  occurred_at timestamptz, kind text default 'message', reply_to text default null,
  out customer_id uuid, out conversation_id uuid, out interaction_id uuid, out is_new boolean
) language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  place record;
  earlier record;
  thread record;
  who record;
  point record;
  is_out boolean;
  people uuid[];
  contact uuid;
  opens boolean := false;
  account_owner uuid;
begin
  select a.id, a.channel, a.address, a.department_id, a.opens_tickets, a.settings into place from crm.channel_account as a where a.id = receive_interaction.account;
  if not found then
    perform crm.missing_reference('channel_account_id');
  end if;
  if receive_interaction.external_id is not null then
    perform pg_advisory_xact_lock(hashtextextended('crm.receive_interaction ' || place.id || ' ' || receive_interaction.external_id, 0));
    select k.customer_id, k.conversation_id, k.interaction_id into earlier from crm.interaction_key as k
    where k.channel_account_id = place.id and k.external_id = receive_interaction.external_id;
    if found then
      receive_interaction.customer_id := earlier.customer_id;
      receive_interaction.conversation_id := earlier.conversation_id;
      receive_interaction.interaction_id := earlier.interaction_id;
      receive_interaction.is_new := false;
      return;
    end if;
  end if;

  -- What our own address sent, such as a copy found in the mailbox, is with whom it was sent to.
  -- An account without an address, or a sender without one, is nobody's copy.
  is_out := coalesce(crm.search_key(place.address) = crm.search_key(receive_interaction.sender), false);
  people := array(
    select u.id from crm.app_user as u
    where u.email_key in (select crm.search_key(a) from unnest(array_append(coalesce(receive_interaction.recipients, '{}'), receive_interaction.sender)) as a) order by u.id);
  -- A user who is not there owns nothing, and does not stop the mail.
  select u.id into account_owner from crm.app_user as u where u.id::text = lower(place.settings ->> 'owner_id');
  if account_owner is not null then
    people := array(select distinct p from unnest(people || account_owner) as p order by p);
  end if;

  select k.customer_id, k.conversation_id, k.interaction_id, k.occurred_at into thread
  from unnest(coalesce(receive_interaction."references", '{}') || receive_interaction.in_reply_to) with ordinality as r (external_id, position)
  join crm.interaction_key as k on k.channel_account_id = place.id and k.external_id = r.external_id
  where k.conversation_id is not null order by r.position desc limit 1;

  select * into point from crm.contact_point_of(place.channel, case when is_out then receive_interaction.recipients[1] else receive_interaction.sender end);
  if thread.conversation_id is not null then
    -- The thread decides the customer, unless the sender is somebody known elsewhere: a forged or forwarded reference leads nobody into another's thread.
    select p.customer_id, (array_agg(p.contact_id) filter (where p.contact_id is not null))[1] as contact_id, p.customer_id = thread.customer_id as fits into who
    from crm.contact_point as p join crm.customer as c on c.id = p.customer_id
    where p.value_key = crm.search_key(point.value) and p.kind = point.kind and p.verified and (not c.provisional or p.customer_id = thread.customer_id)
    group by p.customer_id order by fits desc limit 1;
    if who.customer_id is null or who.fits or kind in ('auto_reply', 'bounce') or is_out then
      receive_interaction.customer_id := thread.customer_id;
      receive_interaction.conversation_id := thread.conversation_id;
      contact := case when who.fits then who.contact_id end;
    end if;
  end if;

  if receive_interaction.conversation_id is null then
    select * into who from crm.identify(
      place.channel, case when is_out then receive_interaction.recipients[1] else coalesce(receive_interaction.sender, 'unknown') end,
      case when not is_out then receive_interaction.sender_name end, place.department_id);
    receive_interaction.customer_id := who.customer_id;
    contact := who.contact_id;
    -- Text messages name nothing they answer: what the same person writes goes on where it stands, until somebody is done with it.
    if place.channel in ('sms', 'social') and kind not in ('auto_reply', 'bounce') then
      select c.id into receive_interaction.conversation_id from crm.conversation as c
      where c.customer_id = who.customer_id and c.channel_account_id = place.id and c.contact_id is not distinct from who.contact_id and c.state <> 'done'
      order by c.last_interaction_at desc nulls last, c.id desc limit 1;
    end if;
  end if;

  if receive_interaction.conversation_id is null then
    insert into crm.conversation (customer_id, contact_id, channel, channel_account_id, subject, participants, department_id, owner_id, visibility)
    values (who.customer_id, who.contact_id, place.channel, place.id, left(receive_interaction.subject, 1000), people, place.department_id,
      account_owner, case when place.settings ->> 'visibility' = 'private' and account_owner is null and people = '{}' then 'department'
        else coalesce(place.settings ->> 'visibility', 'company') end)
    returning id into receive_interaction.conversation_id;
    opens := place.opens_tickets and kind = 'message' and not is_out;
  end if;

  insert into crm.interaction (customer_id, conversation_id, contact_id, occurred_at, channel, direction, kind, channel_account_id, external_id, in_reply_to,
    sender, reply_to, recipients, subject, body_text, body_html, participants, status, department_id)
  values (receive_interaction.customer_id, receive_interaction.conversation_id, contact, coalesce(receive_interaction.occurred_at, now()), place.channel,
    case when is_out then 'out' else 'in' end, kind, place.id, receive_interaction.external_id, left(receive_interaction.in_reply_to, 1000),
    left(receive_interaction.sender, 1000),
    -- Our own copies, machines and what comes by other ways are answered where they come from.
    case when place.channel = 'email' and kind = 'message' and not is_out then
      nullif(crm.answer_address(receive_interaction.sender, receive_interaction.reply_to), receive_interaction.sender) end,
    coalesce(receive_interaction.recipients[1:1000], '{}'), left(receive_interaction.subject, 1000),
    receive_interaction.body_text, receive_interaction.body_html, people, case when is_out then 'sent' else 'received' end, place.department_id)
  returning id into receive_interaction.interaction_id;
  if kind = 'bounce' and thread.interaction_id is not null then
    update crm.interaction as x set status = 'bounced'
    where x.customer_id = thread.customer_id and x.id = thread.interaction_id and x.occurred_at = thread.occurred_at and x.direction = 'out' and x.status <> 'bounced';
  end if;
  if opens then
    perform crm.open_ticket(receive_interaction.customer_id, receive_interaction.conversation_id);
  end if;
  receive_interaction.is_new := true;
end
$$;
comment on function crm.receive_interaction(uuid, text, text, text[], text, text, text[], text, text, text, timestamptz, text, text) is
  'Stores what came in by a channel account: once by its external id; in the thread that it answers, else in a new conversation with whoever sent it; opens a ticket with a new conversation where the account does. Where a person asks to be answered is kept beside the sender. For system work.';

create or replace function crm.answer_ticket(customer uuid, ticket uuid, text text) returns uuid language plpgsql as $$
declare
  way record;
  message constant uuid := crm.uuid_v7();
  said uuid;
begin
  select crm.answer_in_portal(c.customer_id, c.id, answer_ticket.text) into said
  from crm.ticket as t join crm.conversation as c on c.customer_id = t.customer_id and c.id = t.conversation_id
  where t.customer_id = answer_ticket.customer and t.id = answer_ticket.ticket and c.channel = 'web';
  if found then
    update crm.conversation as c set state = 'waiting', snoozed_until = null from crm.ticket as t
    where t.customer_id = answer_ticket.customer and t.id = answer_ticket.ticket and c.customer_id = t.customer_id and c.id = t.conversation_id and c.state <> 'waiting';
    return said;
  end if;
  said := crm.uuid_v7();
  select c.id as conversation_id, c.contact_id, case c.channel when 'form' then 'email' else c.channel end as channel, c.department_id, c.owner_id, c.visibility, c.subject,
    a.id as account_id, a.address as own_address, a.brand_id, crm.answer_address(i.sender, i.reply_to) as address, i.external_id into way
  from crm.ticket as t
  join crm.conversation as c on c.customer_id = t.customer_id and c.id = t.conversation_id
  join crm.channel_account as a on a.id = c.channel_account_id and a.is_active
  join lateral (
    select x.sender, x.reply_to, x.external_id from crm.interaction as x
    where x.customer_id = c.customer_id and x.conversation_id = c.id and x.direction = 'in' and x.kind not in ('auto_reply', 'bounce') and x.sender is not null
    order by x.occurred_at desc, x.id desc limit 1) as i on true
  where t.customer_id = answer_ticket.customer and t.id = answer_ticket.ticket and c.channel in ('email', 'sms', 'social', 'chat', 'form');
  if not found then
    return null;
  end if;
  insert into crm.outbound_message (customer_id, id, contact_id, conversation_id, interaction_id, channel, channel_account_id, brand_id, address, legal_class, subject, body_text,
    headers, in_reply_to, department_id, owner_id, visibility)
  values (answer_ticket.customer, message, way.contact_id, way.conversation_id, said, way.channel, way.account_id, way.brand_id, way.address, 'transactional',
    case when way.subject !~* '^(re|ynt|yan|aw|sv):' then 'Re: ' else '' end || way.subject, answer_ticket.text,
    case when way.external_id is null then '{}' else jsonb_build_object('References', way.external_id) end, way.external_id, way.department_id, way.owner_id, way.visibility);
  if not found then
    return null;
  end if;
  insert into crm.interaction (customer_id, id, contact_id, conversation_id, channel, direction, channel_account_id, in_reply_to, sender, recipients, subject, body_text, participants,
    status, department_id)
  values (answer_ticket.customer, said, way.contact_id, way.conversation_id, way.channel, 'out', way.account_id, way.external_id, way.own_address, array[way.address],
    case when way.subject !~* '^(re|ynt|yan|aw|sv):' then 'Re: ' else '' end || way.subject, answer_ticket.text,
    case when crm.caller_id() is null then '{}' else array[crm.caller_id()] end, 'queued', way.department_id);
  update crm.conversation as c set state = 'waiting', snoozed_until = null where c.customer_id = answer_ticket.customer and c.id = way.conversation_id and c.state <> 'waiting';
  return said;
end
$$;
