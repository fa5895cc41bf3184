-- No commercial message without who sends it and how to refuse, also where the company itself speaks and no brand. What names neither is refused at the gate.
set local role crm_owner;

alter table crm.company_profile add column link_base text,
  add constraint company_profile_link_base_shape check (link_base ~ '^https?://[^[:space:]/]{1,253}(/[^[:space:]?#]{0,200})?$' and right(link_base, 1) <> '/');
comment on column crm.company_profile.link_base is 'The address under which customers reach this program''s public pages, such as https://izin.carsi.example, without a slash at the end; links in messages begin with it where the brand has none of its own.';
comment on constraint company_profile_link_base_shape on crm.company_profile is 'en: Give an address such as https://izin.carsi.example, without a slash at the end. | tr: Sonunda eğik çizgi olmadan https://izin.carsi.example gibi bir adres verin.';

alter table crm.message_refusal drop constraint message_refusal_reason_known, add constraint message_refusal_reason_known check (
  reason in ('bad_address', 'suppressed', 'refused', 'no_consent', 'consent_ended', 'restricted', 'not_registered', 'wrong_sender', 'no_sender', 'held_out', 'frequency_cap',
    'channel_preference', 'late'));
comment on constraint message_refusal_reason_known on crm.message_refusal is 'en: This reason is not known. | tr: Bu neden bilinmiyor.';
comment on column crm.message_refusal.reason is 'bad_address, suppressed, refused (RET), no_consent, consent_ended, restricted (a privacy request ended offers), not_registered (the registry did not take the consent in time), wrong_sender (the account speaks for another brand, or on another channel), no_sender (neither the brand nor the company''s profile says who sends, or has a link_base for refusing), held_out (of the campaign), frequency_cap, channel_preference or late (past its time).';

create function crm.speaker(of_brand uuid, out identity text, out link_base text) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case
      when of_brand is not null then (select coalesce(b.contact_line, b.name) from crm.brand as b where b.id = of_brand)
      when c.id is not null then concat_ws(', ', c.name, 'MERSİS ' || c.mersis, coalesce(c.phone, c.email, c.website, concat_ws(' ', c.street, c.district, c.city)))
    end,
    coalesce((select b.link_base from crm.brand as b where b.id = of_brand), c.link_base)
  from (select) as one left join lateral (select p.* from crm.company_profile as p where p.active order by p.code limit 1) as c on true
$$;
comment on function crm.speaker(uuid) is
  'Who speaks in a commercial message, and where its links begin: the brand, or without one the company in whose name invoices are written where nothing else is said (the first active profile by code). A brand without a link_base uses the company''s. Null where it is not known.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.speaker(uuid) owner to crm_steward;
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
    when not exists (
      select from crm.speaker(message.brand_id) as s where s.identity is not null and (s.link_base is not null or message.channel in ('phone', 'letter')))
      then 'no_sender'
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
  'Why a commercial message that is covered by consent still may not go: restricted, not_registered, wrong_sender, no_sender (of which nobody could tell who wrote, or refuse), held_out (of its campaign), late (the campaign is over), channel_preference or frequency_cap; null if it may.';

create or replace function crm.imprint_message() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  speaker record;
  turkish boolean;
  link text;
  foot text;
  fields jsonb;
begin
  select * into speaker from crm.speaker(new.brand_id);
  select coalesce(k.locale, c.locale) = 'tr' into turkish
  from crm.customer as c left join crm.contact as k on k.customer_id = c.id and k.id = new.contact_id where c.id = new.customer_id;
  link := speaker.link_base || '/u/' || crm.message_token(new.id);
  foot := concat_ws(E'\n', speaker.identity, case when turkish then 'İleti almak istemiyorsanız: ' else 'To receive no more messages: ' end || link);
  if foot <> '' and position(foot in new.body_text) = 0 then
    new.body_text := new.body_text || E'\n\n' || foot;
  end if;
  if foot <> '' and new.body_html is not null and position(coalesce(link, replace(replace(replace(speaker.identity, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')) in new.body_html) = 0 then
    new.body_html := regexp_replace(new.body_html, '(</body>.*)?$',
      replace('<p>' || replace(replace(replace(speaker.identity, '&', '&amp;'), '<', '&lt;'), '>', '&gt;') || '</p>'
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
  'Trigger: adds to a commercial message, once it passed the gate, who sends it and how to refuse: a link in the foot, and for e-mail the header fields of one-click unsubscribing (RFC 8058). Adds them again to what is changed before it is sent.';

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
create or replace function crm.unsubscribe_url(message uuid) returns text language sql stable return (
  select (crm.speaker(m.brand_id)).link_base || '/u/' || crm.message_token(m.id) from crm.outbound_message as m where m.id = message);
comment on function crm.unsubscribe_url(uuid) is
  'What stands in List-Unsubscribe of a message (with List-Unsubscribe-Post: List-Unsubscribe=One-Click) and in its foot; null where nobody has a link_base.';
