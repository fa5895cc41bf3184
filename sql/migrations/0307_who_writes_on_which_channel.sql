-- A text message or a post joins what is open with the same person on the same account, instead of opening a conversation, and a ticket, each. An account
-- without an address, such as a chat, opens its tickets and keeps the names people give. An owner in an account's settings who is not there, or a private account
-- without anybody who took part, stops no message. And a channel shows who somebody is by its own kind of address alone.
set local role crm_owner;

create or replace function crm.contact_point_of(channel text, address text, out kind text, out value text, out verified boolean) language sql immutable parallel safe as $$
  select point.kind, point.value,
    -- A mailbox, a line or an account answers for itself; what is typed into a form or chat is only a claim.
    channel in ('email', 'phone', 'sms', 'social', 'meeting')
  from (values
    -- Each answers for its own kind alone: a profile may be called like anybody's e-mail address.
    (1, 'email', case when channel not in ('phone', 'sms', 'social') and crm.valid_email(btrim(address)) then lower(btrim(address)) end),
    (2, 'phone', case when channel not in ('email', 'social') then crm.e164(address) end),
    (3, case channel when 'social' then 'social' else 'web' end, nullif(left(btrim(address), 320), ''))) as point (place, kind, value)
  where point.value is not null order by point.place limit 1
$$;

create or replace function crm.receive_interaction(
  account uuid, external_id text, in_reply_to text, "references" text[], sender text, sender_name text, recipients text[], subject text, body_text text, body_html text,
  occurred_at timestamptz, kind text default 'message', out customer_id uuid, out conversation_id uuid, out interaction_id uuid, out is_new boolean
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
    sender, recipients, subject, body_text, body_html, participants, status, department_id)
  values (receive_interaction.customer_id, receive_interaction.conversation_id, contact, coalesce(receive_interaction.occurred_at, now()), place.channel,
    case when is_out then 'out' else 'in' end, kind, place.id, receive_interaction.external_id, left(receive_interaction.in_reply_to, 1000),
    left(receive_interaction.sender, 1000), coalesce(receive_interaction.recipients[1:1000], '{}'), left(receive_interaction.subject, 1000),
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
