-- What belongs to a campaign follows it alone, as what belongs to an order does: whoever works with a campaign writes down its members, touches and responses.
set local role crm_owner;

create or replace function crm.follow_campaign() returns trigger language plpgsql as $$
declare
  campaign crm.campaign;
begin
  select * into campaign from crm.campaign as c where c.id = new.campaign_id;
  if not found then
    perform crm.missing_reference('campaign_id');
  end if;
  new.department_id := campaign.department_id;
  new.owner_id := campaign.owner_id;
  new.audience := campaign.audience;
  if tg_table_name = 'campaign_touch' then
    new.held_out := exists (
      select from crm.campaign_member as m where m.campaign_id = new.campaign_id and m.customer_id = new.customer_id and m.held_out);
  elsif tg_table_name = 'campaign_member' and tg_op = 'INSERT' then
    if campaign.assignment = 'hash' then
      new.held_out := crm.campaign_bucket(new.customer_id, new.campaign_id) < campaign.holdout_percent;
      new.arm := case when not new.held_out then crm.campaign_arm(new.customer_id, new.campaign_id, campaign.arms) end;
      new.assigned_at := now();
      new.assigned_in_time := not exists (select from crm.campaign_touch as t where t.campaign_id = new.campaign_id);
    else
      new.arm := case when not new.held_out then coalesce(new.arm, campaign.arms[1]) end;
      new.assigned_in_time := true;
      if new.arm <> all (campaign.arms) then
        perform crm.missing_reference('arm');
      end if;
    end if;
  end if;
  return new;
end
$$;
comment on function crm.follow_campaign() is
  'Trigger: gives what belongs to a campaign the campaign''s department, owner and audience; divides members by the hash; a campaign the caller cannot see is a missing reference.';

-- The parts of a campaign are found by it alone.
create index campaign_member_of_campaign_id_index on crm.campaign_member (campaign_id);
create index lead_score_of_run_id_index on crm.lead_score (run_id);
