-- Web chat: what an agent writes is at the visitor's as soon as it is stored, so nothing waits to be sent.
set local role crm_owner;

create function crm.hand_over_chat() returns trigger language plpgsql as $$
begin
  if exists (select from crm.channel_account as a where a.id = new.channel_account_id and a.provider = 'chat') then
    if tg_table_name = 'outbound_message' then
      new.state := 'sent';
      new.sent_at := crm.consent_clock();
    else
      new.status := 'sent';
    end if;
  end if;
  return new;
end
$$;
comment on function crm.hand_over_chat() is 'Trigger, behind the gate: a message on a chat of our own is sent by being stored, because the visitor''s page listens for it.';
revoke execute on function crm.hand_over_chat() from crm_bulk, crm_access;
create trigger outbound_message_hand_over before insert on crm.outbound_message for each row when (new.channel = 'chat') execute function crm.hand_over_chat();
create trigger interaction_hand_over before insert on crm.interaction for each row
  when (new.channel = 'chat' and new.direction = 'out' and new.status = 'queued') execute function crm.hand_over_chat();
