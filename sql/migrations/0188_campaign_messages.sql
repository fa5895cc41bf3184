-- A message of a campaign that went out is a touch of the campaign.
set local role crm_owner;

create function crm.touch_by_message() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into crm.campaign_touch (customer_id, campaign_id, channel, touched_at)
  values (new.customer_id, new.campaign_id, case new.channel when 'letter' then 'post' when 'chat' then 'other' else new.channel end, new.sent_at);
  return null;
end
$$;
comment on function crm.touch_by_message() is 'Trigger: a message of a campaign that was sent is a touch of the campaign, which attribution reads.';
revoke execute on function crm.touch_by_message() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger outbound_message_touch_campaign after update on crm.outbound_message for each row
  when (old.sent_at is null and new.sent_at is not null and new.campaign_id is not null) execute function crm.touch_by_message();

set local role none;
grant create on schema crm to crm_steward;
alter function crm.touch_by_message() owner to crm_steward;
revoke create on schema crm from crm_steward;
