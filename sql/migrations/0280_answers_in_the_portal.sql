-- A customer who writes in the portal is answered there: the answer stands in the conversation at once, and nothing is sent.
set local role crm_owner;

create function crm.answer_in_portal(customer uuid, conversation uuid, text text) returns uuid language sql volatile as $$
  insert into crm.interaction (customer_id, contact_id, conversation_id, channel, direction, subject, body_text, participants, status, department_id)
  select c.customer_id, c.contact_id, c.id, 'web', 'out', c.subject, answer_in_portal.text, case when crm.caller_id() is null then '{}' else array[crm.caller_id()] end, 'sent',
    c.department_id
  from crm.conversation as c where c.customer_id = answer_in_portal.customer and c.id = answer_in_portal.conversation and c.channel = 'web'
  returning id
$$;
comment on function crm.answer_in_portal(uuid, uuid, text) is
  'Answers in a conversation of the customer portal, where the customer reads it. Answers the interaction''s id; null when the conversation is on another channel.';

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
    a.id as account_id, a.address as own_address, a.brand_id, i.sender as address, i.external_id into way
  from crm.ticket as t
  join crm.conversation as c on c.customer_id = t.customer_id and c.id = t.conversation_id
  join crm.channel_account as a on a.id = c.channel_account_id and a.is_active
  join lateral (
    select x.sender, x.external_id from crm.interaction as x
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
comment on function crm.answer_ticket(uuid, uuid, text) is
  'Answers the customer in a ticket''s conversation, in the thread, where the last message came from; in the portal, where the customer reads it. Answers the interaction''s id; null when there is nowhere to answer, or the gate refused.';
