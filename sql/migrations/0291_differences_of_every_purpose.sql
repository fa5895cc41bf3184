-- What is held against the registry is what it was told: its record of an address is of every commercial purpose together, and of refusals of the company too. Compared
-- with what was said of "marketing" alone, a consent to the newsletter looked for ever as if only the registry had it, and after a loss a consent was passed on again
-- over a refusal of the whole company.
set local role crm_owner;

create function crm.is_for_registry(said crm.consent_event, of_brand uuid) returns boolean language sql stable
  return said.channel in ('email', 'sms', 'phone') and case said.status
    when 'RET' then said.purpose = 'marketing' and (said.brand_id = of_brand or said.brand_id is null)
    else said.brand_id = of_brand and exists (select from crm.consent_purpose as p where p.code = said.purpose and p.is_commercial) end;
comment on function crm.is_for_registry(crm.consent_event, uuid) is
  'Whether what was said makes a brand''s record in the registry: a consent of any commercial purpose, a refusal of marketing to the brand or the company. Refusing one purpose among several is not the registry''s matter.';

set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;

create or replace function crm.registry_differences(of_brand uuid, at timestamptz) returns table (
  kind text, channel text, recipient_type text, address text, here text, there text, since timestamptz, due_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with here as (
    select distinct on (e.address_token, e.channel, e.recipient_type) e.address_token, e.channel, e.recipient_type, e.address, e.status, e.consented_at, e.id
    from crm.consent_event as e
    where e.consented_at <= at and crm.is_for_registry(e, of_brand)
    order by e.address_token, e.channel, e.recipient_type, e.consented_at desc, e.status desc, e.received_at desc, e.id desc
  )
  select case
      when t.state in ('pending', 'sending') and t.due_at <= at then 'overdue'
      when t.state in ('pending', 'sending') then 'on_its_way'
      when t.state = 'rejected' then 'rejected'
      when r.id is null then 'only_here'
      when h.id is null then 'only_there'
      else 'different'
    end, coalesce(h.channel, r.channel), coalesce(h.recipient_type, r.recipient_type), h.address, h.status, r.status, coalesce(h.consented_at, r.consented_at), t.due_at
  from here as h
  full join (select * from crm.registry_record as r where r.brand_id = of_brand) as r using (address_token, channel, recipient_type)
  left join crm.registry_transfer as t on t.event_id = h.id and t.brand_id = of_brand
  where h.status is distinct from r.status and not (h.status = 'RET' and r.status is null and coalesce(t.state, 'skipped') = 'skipped')
    and (crm.reads_all('customers') or crm.reads('marketing') and crm.reads('customers'))
$$;

create or replace function crm.reconcile_registry_record(
  of_brand uuid, of_recipient text, of_recipient_type text, of_channel text, there_status text, there_source text, there_date timestamptz, there_transaction text, at timestamptz
) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  token constant bytea := crm.address_token(of_channel, of_recipient);
  here crm.registry_record;
  gone boolean;
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system speaks to the registry';
  end if;
  select * into here from crm.registry_record as r
  where r.brand_id = of_brand and r.address_token = token and r.channel = of_channel and r.recipient_type = of_recipient_type for update;
  gone := not found;
  if there_status is null then
    if gone then
      return 'agreed';
    end if;
    delete from crm.registry_record as r where r.id = here.id;
    update crm.registry_transfer as t set state = 'pending', settled_at = null, transaction_id = null, problem = null, not_before = null
    where t.brand_id = of_brand and t.state = 'accepted' and t.event_id = (
      select l.id from crm.consent_event as l
      where l.address_token = token and l.channel = of_channel and l.recipient_type = of_recipient_type and crm.is_for_registry(l, of_brand)
      order by l.consented_at desc, l.status desc, l.received_at desc, l.id desc limit 1);
    return 'missing';
  end if;
  if not gone and here.status = there_status and date_trunc('second', here.consented_at) = date_trunc('second', there_date) then
    update crm.registry_record as r set seen_at = at where r.id = here.id;
    return 'agreed';
  end if;
  if there_source ~ '^IYS_[A-Z_]{1,40}$' and crm.take_registry_change(of_brand, there_transaction, of_recipient, of_recipient_type,
      case of_channel when 'email' then 'EPOSTA' when 'sms' then 'MESAJ' else 'ARAMA' end, there_status, there_source, least(there_date, crm.consent_clock()), at) then
    return 'taken';
  end if;
  insert into crm.registry_record (brand_id, address_token, channel, recipient_type, status, consented_at, transaction_id, seen_at)
  values (of_brand, token, of_channel, of_recipient_type, there_status, there_date, there_transaction, at)
  on conflict on constraint registry_record_address_token_once do update
    set status = excluded.status, consented_at = excluded.consented_at, transaction_id = excluded.transaction_id, seen_at = excluded.seen_at;
  return 'corrected';
end
$$;

-- What was said to the registry comes from the registry, which workers speak to and nobody else.
revoke execute on function crm.next_registry_items(uuid, timestamptz, integer), crm.settle_registry_item(uuid, timestamptz, text, text),
  crm.take_registry_change(uuid, text, text, text, text, text, text, timestamptz, timestamptz), crm.hand_over_registry_batch(uuid, text, jsonb, timestamptz),
  crm.settle_registry_batch(uuid, text, jsonb, timestamptz),
  crm.reconcile_registry_record(uuid, text, text, text, text, text, timestamptz, text, timestamptz) from crm_app, crm_bulk, crm_access;

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;


create or replace function crm.receive_consent() returns trigger language plpgsql as $$
begin
  if new.registry_transaction is not null and current_user <> 'crm_steward' then
    raise exception using errcode = 'check_violation', schema = 'crm', table = 'consent_event', constraint = 'consent_event_source_known',
      message = 'what the registry says is taken over from there';
  end if;
  new.address := crm.normal_address(new.channel, new.address);
  new.address_token := crm.address_token(new.channel, new.address);
  if new.address_token is null then
    raise exception using errcode = 'check_violation', schema = 'crm', table = 'consent_event', constraint = 'consent_event_address_valid',
      message = 'the address does not fit the channel';
  end if;
  new.received_at := crm.consent_clock();
  if new.customer_id is null then
    new.department_id := null;
    new.owner_id := null;
    new.audience := null;
  else
    select c.department_id, c.owner_id, c.audience into new.department_id, new.owner_id, new.audience from crm.customer as c where c.id = new.customer_id;
    if not found then
      perform crm.missing_reference('customer_id');
    end if;
  end if;
  return new;
end
$$;
