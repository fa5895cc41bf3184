-- Whoever objected to offers, or had processing restricted, is in no segment, in no campaign's audience, and gets nothing commercial: the gate asks, whatever asked before.
set local role crm_owner;

create function crm.is_restricted(of_customer uuid, of_contact uuid default null) returns boolean
language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from crm.processing_restriction as r
    where r.customer_id = of_customer and (r.contact_id is null or r.contact_id = of_contact) and (r.lifted_at is null or r.lifted_at > clock_timestamp()))
$$;
comment on function crm.is_restricted(uuid, uuid) is 'Whether a customer, or one of its contacts, objected to offers and profiles or had processing restricted, as a privacy request that was granted has it.';

create function crm.restricted_customers() returns setof uuid language sql stable parallel safe rows 100 security definer set search_path = pg_catalog, pg_temp as $$
  select distinct r.customer_id from crm.processing_restriction as r where r.contact_id is null and (r.lifted_at is null or r.lifted_at > clock_timestamp())
$$;
comment on function crm.restricted_customers() is 'The customers that are in no segment and no campaign, because they objected or had processing restricted.';

alter table crm.message_refusal drop constraint message_refusal_reason_known, add constraint message_refusal_reason_known check (
  reason in ('bad_address', 'suppressed', 'refused', 'no_consent', 'consent_ended', 'restricted', 'not_registered', 'held_out', 'frequency_cap', 'channel_preference', 'late'));
comment on constraint message_refusal_reason_known on crm.message_refusal is 'en: This reason is not known. | tr: Bu neden bilinmiyor.';
comment on column crm.message_refusal.reason is 'bad_address, suppressed, refused (RET), no_consent, consent_ended, restricted (a privacy request ended offers), not_registered (the registry did not take the consent in time), held_out (of the campaign), frequency_cap, channel_preference or late (past its time).';

-- The constraint carries the words; the trigger knows who is restricted.
alter table crm.campaign_member add constraint campaign_member_customer_id_free check (customer_id is not null);
comment on constraint campaign_member_customer_id_free on crm.campaign_member is 'en: This customer objected to offers, or had processing restricted, and is in no campaign. | tr: Bu müşteri tekliflere itiraz etti ya da verilerinin işlenmesini kısıtlattı; hiçbir kampanyaya alınmaz.';
create function crm.refuse_restricted_member() returns trigger language plpgsql as $$
begin
  if crm.is_restricted(new.customer_id) then
    raise exception using errcode = 'check_violation', schema = 'crm', table = 'campaign_member', constraint = 'campaign_member_customer_id_free',
      message = 'the customer is restricted';
  end if;
  return new;
end
$$;
comment on function crm.refuse_restricted_member() is 'Trigger: refuses to put a customer into a campaign who objected or had processing restricted.';
create trigger campaign_member_refuse_restricted before insert on crm.campaign_member for each row execute function crm.refuse_restricted_member();

create function crm.skip_restricted_member() returns trigger language plpgsql as $$
begin
  return case when crm.is_restricted(new.customer_id) then null else new end;
end
$$;
comment on function crm.skip_restricted_member() is 'Trigger: whoever objected or had processing restricted comes into no segment, by rule or by hand.';
create trigger segment_member_skip_restricted before insert on crm.segment_member for each row execute function crm.skip_restricted_member();

create function crm.leave_segments() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.segment_member as m set left_at = greatest(now(), m.entered_at), left_reason = 'restricted'
  where m.customer_id = new.customer_id and m.left_at is null;
  return null;
end
$$;
comment on function crm.leave_segments() is 'Trigger: a customer whose processing is restricted leaves every segment at once.';
revoke execute on function crm.leave_segments() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger processing_restriction_leave_segments after insert on crm.processing_restriction for each row
  when (new.contact_id is null and new.lifted_at is null) execute function crm.leave_segments();

-- Those who are restricted already.
update crm.segment_member as m set left_at = greatest(now(), m.entered_at), left_reason = 'restricted'
where m.left_at is null and m.customer_id in (
  select r.customer_id from crm.processing_restriction as r where r.contact_id is null and (r.lifted_at is null or r.lifted_at > now()));

set local role none;
grant create on schema crm to crm_steward;
alter function crm.is_restricted(uuid, uuid) owner to crm_steward;
alter function crm.restricted_customers() owner to crm_steward;
alter function crm.leave_segments() owner to crm_steward;
set local role crm_steward;
create or replace function crm.commercial_refusal(message crm.outbound_message, at timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when exists (
      select from crm.processing_restriction as r
      where r.customer_id = message.customer_id and (r.contact_id is null or r.contact_id = message.contact_id) and (r.lifted_at is null or r.lifted_at > at))
      then 'restricted'
    when message.consent_event_id is not null and message.brand_id is not null and crm.is_unregistered(message.consent_event_id, message.brand_id, at) then 'not_registered'
    when message.campaign_id is not null
      and exists (select from crm.campaign_member as m where m.campaign_id = message.campaign_id and m.customer_id = message.customer_id and m.held_out) then 'held_out'
    when message.campaign_id is not null
      and exists (select from crm.campaign as c where c.id = message.campaign_id and (c.status in ('finished', 'cancelled') or c.ends_on < crm.business_day(at))) then 'late'
    when exists (
      select from crm.channel_preference as p
      where p.customer_id = message.customer_id and (p.contact_id is null or p.contact_id = message.contact_id) and message.channel = any (p.avoided_channels))
      then 'channel_preference'
    when crm.exceeds_cap(message.customer_id, message.id, message.channel, message.brand_id, greatest(at, message.not_before)) then 'frequency_cap'
  end;
end
$$;
comment on function crm.commercial_refusal(crm.outbound_message, timestamptz) is
  'Why a commercial message that is covered by consent still may not go: restricted, not_registered, held_out (of its campaign), late (the campaign is over), channel_preference or frequency_cap; null if it may.';
set local role none;
revoke create on schema crm from crm_steward;
