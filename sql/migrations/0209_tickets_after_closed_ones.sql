-- A customer who writes in a conversation whose tickets are closed gets a new one.
set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;

create or replace function crm.note_interaction() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  item record;
  found_one boolean := false;
begin
  for item in
    with recursive standing as (
      select t.customer_id, t.id, t.merged_into_id from crm.ticket as t where t.customer_id = new.customer_id and t.conversation_id = new.conversation_id
      union
      select t.customer_id, t.id, t.merged_into_id from standing as s join crm.ticket as t on t.customer_id = s.customer_id and t.id = s.merged_into_id
    )
    select t.customer_id, t.id, t.status from standing as s join crm.ticket as t on t.customer_id = s.customer_id and t.id = s.id
    where t.merged_into_id is null and t.status <> 'closed' and t.opened_at <= new.occurred_at
    order by t.status = 'resolved', t.opened_at desc
  loop
    -- What comes in reopens a resolved ticket only when no other is open.
    exit when found_one and item.status = 'resolved';
    found_one := true;
    if new.direction = 'out' then
      perform crm.note_answer(item.customer_id, item.id, new.occurred_at);
    else
      perform crm.note_question(item.customer_id, item.id, new.occurred_at);
    end if;
  end loop;
  -- Whoever writes again after everything was closed has something new to say.
  if not found_one and new.direction = 'in' and new.kind = 'message'
    and exists (select from crm.ticket as t where t.customer_id = new.customer_id and t.conversation_id = new.conversation_id and t.status = 'closed' and t.opened_at <= new.occurred_at)
    and exists (select from crm.channel_account as a where a.id = new.channel_account_id and a.opens_tickets)
  then
    perform crm.open_ticket(new.customer_id, new.conversation_id);
  end if;
  return null;
end
$$;
comment on function crm.note_interaction() is 'Trigger: what is said in a ticket''s conversation, or in that of a ticket merged into it, stops or begins its clocks of response, and ends or begins its waiting; what a customer writes after everything was closed opens a ticket where the account does.';

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;

-- The gateway calls it after it has checked that the caller sees the conversation and writes tickets.
set local role none;
grant execute on function crm.open_ticket(uuid, uuid) to crm_app;
set local role crm_owner;
