-- The gate, closed for what happens to a message after it was stored: its class is only made stricter, what went out stays as it was, whose it is and which account sends
-- it are asked about like its address, and a text that is changed keeps who sends it and how to refuse. Counting by caps makes a message wait for its customer's alone.
set local role crm_owner;

alter table crm.outbound_message
  add constraint outbound_message_legal_class_kept check (legal_class is not null),
  add constraint outbound_message_address_kept check (address is not null),
  add constraint outbound_message_campaign_id_commercial check (campaign_id is null or legal_class <> 'transactional') not valid;
comment on constraint outbound_message_legal_class_kept on crm.outbound_message is 'en: A commercial message does not become transactional; write another one. | tr: Ticari ileti sonradan bilgilendirme iletisi olamaz; yeni bir ileti yazın.';
comment on constraint outbound_message_address_kept on crm.outbound_message is 'en: A message that went out, or was refused, stays as it was. | tr: Gönderilen ya da reddedilen ileti olduğu gibi kalır.';
comment on constraint outbound_message_campaign_id_commercial on crm.outbound_message is 'en: A campaign''s message is commercial. | tr: Kampanya iletisi ticari iletidir.';

alter table crm.message_refusal drop constraint message_refusal_reason_known, add constraint message_refusal_reason_known check (
  reason in ('bad_address', 'suppressed', 'refused', 'no_consent', 'consent_ended', 'restricted', 'not_registered', 'wrong_sender', 'held_out', 'frequency_cap', 'channel_preference',
    'late'));
comment on constraint message_refusal_reason_known on crm.message_refusal is 'en: This reason is not known. | tr: Bu neden bilinmiyor.';
comment on column crm.message_refusal.reason is 'bad_address, suppressed, refused (RET), no_consent, consent_ended, restricted (a privacy request ended offers), not_registered (the registry did not take the consent in time), wrong_sender (the account speaks for another brand, or on another channel), held_out (of the campaign), frequency_cap, channel_preference or late (past its time).';

-- A sending counts its refusals after each portion, not all of the campaign's before them too.
create index message_refusal_campaign_id_created_at_index on crm.message_refusal (campaign_id, created_at) where campaign_id is not null;

set local role none;
grant create on schema crm to crm_steward;
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
    when exists (
      select from crm.channel_account as a
      where a.id = message.channel_account_id and (a.channel <> message.channel or a.brand_id is not null and a.brand_id is distinct from message.brand_id))
      then 'wrong_sender'
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
  'Why a commercial message that is covered by consent still may not go: restricted, not_registered, wrong_sender, held_out (of its campaign), late (the campaign is over), channel_preference or frequency_cap; null if it may.';

create or replace function crm.exceeds_cap(of_customer uuid, of_message uuid, of_channel text, of_brand uuid, at timestamptz) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from crm.frequency_cap as f where f.is_active and (f.channel is null or f.channel = of_channel) and (f.brand_id is null or f.brand_id = of_brand)) then
    return false;
  end if;
  -- Two messages to a customer asked for at once must not both be the last one allowed. Whoever inserts for many customers does so in the order of their ids,
  -- so that nobody waits in a circle.
  perform pg_advisory_xact_lock(hashtext('crm.exceeds_cap'), hashtext(of_customer::text));
  -- What was stored while this waited lies behind its instant, and counts.
  at := greatest(at, crm.consent_clock());
  return exists (
    select from crm.frequency_cap as f
    where f.is_active and (f.channel is null or f.channel = of_channel) and (f.brand_id is null or f.brand_id = of_brand)
      and f.messages <= (
        select count(*) from crm.outbound_message as m
        where m.customer_id = of_customer and m.id <> of_message and m.legal_class = 'commercial' and m.state in ('queued', 'sending', 'sent', 'delivered')
          and (f.channel is null or m.channel = f.channel) and (f.brand_id is null or m.brand_id = f.brand_id)
          and case when m.state = 'sending' then at else coalesce(m.sent_at, m.not_before) end > at - make_interval(hours => f.hours)
          and case when m.state = 'sending' then at else coalesce(m.sent_at, m.not_before) end <= at));
end
$$;

create or replace function crm.imprint_message() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  brand crm.brand;
  turkish boolean;
  link text;
  foot text;
  fields jsonb;
begin
  select * into brand from crm.brand as b where b.id = new.brand_id;
  select coalesce(k.locale, c.locale) = 'tr' into turkish
  from crm.customer as c left join crm.contact as k on k.customer_id = c.id and k.id = new.contact_id where c.id = new.customer_id;
  link := brand.link_base || '/u/' || crm.message_token(new.id);
  foot := concat_ws(E'\n', coalesce(brand.contact_line, brand.name),
    case when turkish then 'İleti almak istemiyorsanız: ' else 'To receive no more messages: ' end || link);
  if foot <> '' and position(foot in new.body_text) = 0 then
    new.body_text := new.body_text || E'\n\n' || foot;
  end if;
  if foot <> '' and new.body_html is not null and position(coalesce(link, replace(replace(replace(coalesce(brand.contact_line, brand.name), '&', '&amp;'), '<', '&lt;'), '>', '&gt;')) in new.body_html) = 0 then
    new.body_html := regexp_replace(new.body_html, '(</body>.*)?$',
      replace('<p>' || replace(replace(replace(coalesce(brand.contact_line, brand.name), '&', '&amp;'), '<', '&lt;'), '>', '&gt;') || '</p>'
        || coalesce('<p><a href="' || replace(link, '"', '&quot;') || '">' || case when turkish then 'İleti almak istemiyorum' else 'Unsubscribe' end || '</a></p>', ''), '\', '\\') || '\1', 'i');
  end if;
  if new.channel = 'email' and link is not null then
    fields := jsonb_build_object('List-Unsubscribe', '<' || link || '>');
    -- One click is promised over HTTPS alone (RFC 8058, 3.1).
    if link ^@ 'https://' then
      fields := fields || '{"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}';
    end if;
    new.headers := case tg_op when 'INSERT' then new.headers || fields else fields || new.headers end;
  end if;
  return new;
end
$$;
comment on function crm.imprint_message() is
  'Trigger: adds to a commercial message, once it passed the gate, the brand''s identity and how to refuse: a link in the foot, and for e-mail the header fields of one-click unsubscribing (RFC 8058). Adds them again to what is changed before it is sent.';
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;

create or replace function crm.guard_message() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  at constant timestamptz := crm.consent_clock();
  queueing constant boolean := tg_op = 'INSERT';
  -- Who merges customers moves their messages, and who erases a person empties them.
  keeps_records constant boolean := current_user = 'crm_steward';
  starts boolean := false;
  changes boolean;
  verdict record;
  calm timestamptz;
begin
  new.address := coalesce(crm.normal_address(new.channel, new.address), new.address);
  if queueing then
    if new.state <> 'queued' then
      raise exception using errcode = 'check_violation', schema = 'crm', table = 'outbound_message', constraint = 'outbound_message_state_reached',
        message = 'a message begins queued';
    end if;
    select coalesce(new.department_id, c.department_id) into new.department_id from crm.customer as c where c.id = new.customer_id;
    if not found then
      perform crm.missing_reference('customer_id');
    end if;
    new.channel_account_id := coalesce(new.channel_account_id, crm.sender_of(new.department_id, new.channel, new.brand_id));
    new.brand_id := coalesce(new.brand_id, (select a.brand_id from crm.channel_account as a where a.id = new.channel_account_id));
    new.consent_event_id := null;
    new.sent_at := null;
  else
    if old.state <> new.state and not (case old.state
      when 'queued' then new.state in ('sending', 'failed', 'refused')
      when 'sending' then new.state in ('queued', 'sent', 'delivered', 'failed', 'bounced', 'refused')
      when 'sent' then new.state in ('delivered', 'failed', 'bounced')
      when 'delivered' then new.state = 'bounced'
      when 'failed' then new.state = 'queued'
      else false end) then
      raise exception using errcode = 'check_violation', schema = 'crm', table = 'outbound_message', constraint = 'outbound_message_state_reached',
        message = format('a message that is %s does not become %s', old.state, new.state);
    end if;
    changes := (old.customer_id, old.id, old.contact_id, old.channel, old.channel_account_id, old.address, old.legal_class, old.purpose, old.brand_id, old.campaign_id)
      is distinct from (new.customer_id, new.id, new.contact_id, new.channel, new.channel_account_id, new.address, new.legal_class, new.purpose, new.brand_id, new.campaign_id);
    if not keeps_records then
      if old.legal_class <> 'transactional' and new.legal_class = 'transactional' then
        raise exception using errcode = 'check_violation', schema = 'crm', table = 'outbound_message', constraint = 'outbound_message_legal_class_kept',
          message = 'a commercial message does not become transactional';
      end if;
      if changes and old.state in ('sent', 'delivered', 'bounced', 'refused') then
        raise exception using errcode = 'check_violation', schema = 'crm', table = 'outbound_message', constraint = 'outbound_message_address_kept',
          message = format('a message that is %s stays as it was', old.state);
      end if;
      new.consent_event_id := old.consent_event_id;
    end if;
    if new.state in ('sent', 'delivered') and new.sent_at is null then
      new.sent_at := at;
    end if;
    starts := new.state = 'sending' and (old.state <> 'sending' or old.attempts <> new.attempts);
    if not starts and (not changes or keeps_records) and (new.state <> 'queued' or old.state <> 'failed') then
      return new;
    end if;
  end if;

  -- Quiet hours come first, because what is moved is asked for again at its time, and caps count there.
  if new.legal_class = 'commercial' and (queueing or starts) then
    calm := crm.after_quiet_hours(new.channel, new.brand_id, greatest(at, new.not_before), (
      select p.time_zone from crm.channel_preference as p
      where p.customer_id = new.customer_id and (p.contact_id = new.contact_id or p.contact_id is null) and p.time_zone is not null order by p.contact_id is null limit 1));
    if calm > greatest(at, new.not_before) then
      new.not_before := calm;
      if starts then
        new.state := 'queued';
        new.attempts := old.attempts;
        if not changes then
          return new;
        end if;
      end if;
    end if;
  end if;

  verdict := crm.refusal_of(new.customer_id, new.contact_id, new.channel, new.address, new.legal_class, new.purpose, new.brand_id, at);
  if verdict.reason is null and new.legal_class = 'commercial' then
    new.consent_event_id := verdict.consent_event_id;
    verdict.reason := crm.commercial_refusal(new, at);
  end if;
  if verdict.reason is not null then
    perform crm.refuse_message(new, case when queueing then 'queueing' else 'sending' end, verdict.reason, verdict.consent_event_id, verdict.suppression_id, at);
    if queueing then
      return null;
    end if;
    new.state := 'refused';
    new.problem := verdict.reason;
    return new;
  end if;
  new.consent_event_id := verdict.consent_event_id;
  return new;
end
$$;
comment on function crm.guard_message() is
  'Trigger, the gate: a message that may not go is recorded as refused and not stored, or turns refused where it was stored; asked again when it is sent, and when whose it is, address, class, channel, account, purpose, brand or campaign change. A commercial one in quiet hours waits until they are over, and does not become transactional.';

-- Behind the gate, by its name. The keeper of records empties what it erases.
set local role none;
set local role crm_steward;
create trigger outbound_message_imprint_update before update on crm.outbound_message for each row
  when (new.legal_class <> 'transactional' and new.state in ('queued', 'sending') and current_user <> 'crm_steward'
    and (old.legal_class, old.brand_id, old.body_text, old.body_html, old.headers) is distinct from (new.legal_class, new.brand_id, new.body_text, new.body_html, new.headers))
  execute function crm.imprint_message();
alter table crm.outbound_message enable always trigger outbound_message_imprint_update;
set local role none;
set local role crm_owner;
