-- What people prefer beyond yes and no: channels, quiet hours, how often; the links by which they say so; and the gate that heeds all of it.
set local role crm_owner;

alter table crm.consent_event add constraint consent_event_brand_id_exists foreign key (brand_id) references crm.brand (id);
alter table crm.suppression add constraint suppression_brand_id_exists foreign key (brand_id) references crm.brand (id);
alter table crm.outbound_message
  add constraint outbound_message_brand_id_exists foreign key (brand_id) references crm.brand (id),
  add constraint outbound_message_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id);
alter table crm.message_refusal add constraint message_refusal_brand_id_exists foreign key (brand_id) references crm.brand (id);
select crm.comment_what_is_common(t) from unnest(array['crm.consent_event', 'crm.suppression', 'crm.outbound_message', 'crm.message_refusal']::regclass[]) as t;
-- Computed by the trigger; the default says that nobody has to give it.
alter table crm.consent_event alter column address_token set default '\x';
create index outbound_message_channel_account_id_index on crm.outbound_message (channel_account_id) where state in ('queued', 'sending');

alter table crm.brand add column link_base text,
  add constraint brand_link_base_shape check (link_base ~ '^https?://[^[:space:]/]{1,253}(/[^[:space:]?#]{0,200})?$' and right(link_base, 1) <> '/');
comment on column crm.brand.link_base is 'The address under which customers reach this program''s public pages, such as https://izin.carsi.example, without a slash at the end; links in the brand''s messages begin with it.';
comment on constraint brand_link_base_shape on crm.brand is 'en: Give an address such as https://izin.carsi.example, without a slash at the end. | tr: Sonunda eğik çizgi olmadan https://izin.carsi.example gibi bir adres verin.';

-- Preferences ---------------------------------------------------------------------------------------------------------------------

create table crm.channel_preference (
  customer_id       uuid        not null,
  id                uuid        not null default crm.uuid_v7(),
  contact_id        uuid,
  preferred_channel text,
  avoided_channels  text[]      not null default '{}',
  time_zone         text,
  department_id     uuid        not null,
  owner_id          uuid,
  audience          uuid,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  version           integer     not null default 1,
  created_by        uuid        default crm.caller_id(),
  constraint channel_preference_id_primary primary key (customer_id, id),
  constraint channel_preference_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint channel_preference_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint channel_preference_contact_id_once unique nulls not distinct (customer_id, contact_id),
  constraint channel_preference_preferred_channel_known check (preferred_channel in ('email', 'sms', 'phone', 'social', 'chat', 'letter')),
  constraint channel_preference_avoided_channels_known check (avoided_channels <@ array['email', 'sms', 'phone', 'social', 'chat', 'letter']),
  constraint channel_preference_preferred_channel_allowed check (preferred_channel <> all (avoided_channels)),
  constraint channel_preference_time_zone_known check ((timestamptz '2000-01-01 00:00:00+00' at time zone time_zone) is not null or time_zone is null)
);
comment on table crm.channel_preference is 'By which way a customer, or a contact, prefers to be reached. Routing and sending follow it; it neither gives nor takes consent.';
comment on column crm.channel_preference.contact_id is 'The contact whose preference it is; null for the customer''s.';
comment on column crm.channel_preference.preferred_channel is 'email, sms, phone, social, chat or letter; null for no preference.';
comment on column crm.channel_preference.avoided_channels is 'By which ways no commercial message shall come.';
comment on column crm.channel_preference.time_zone is 'The zone in which quiet hours are theirs (IANA name); null for the rule''s own.';
comment on constraint channel_preference_contact_id_once on crm.channel_preference is 'en: There is already a preference; change it. | tr: Zaten bir tercih var; onu değiştirin.';
comment on constraint channel_preference_preferred_channel_known on crm.channel_preference is 'en: The channel is email, sms, phone, social, chat or letter. | tr: Kanal email, sms, phone, social, chat ya da letter olabilir.';
comment on constraint channel_preference_avoided_channels_known on crm.channel_preference is 'en: The channels are email, sms, phone, social, chat and letter. | tr: Kanallar email, sms, phone, social, chat ve letter olabilir.';
comment on constraint channel_preference_preferred_channel_allowed on crm.channel_preference is 'en: A channel is either preferred or avoided. | tr: Bir kanal ya tercih edilir ya da istenmez.';
comment on constraint channel_preference_time_zone_known on crm.channel_preference is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
create index channel_preference_id_index on crm.channel_preference (id);
create trigger channel_preference_follow_insert before insert on crm.channel_preference for each row execute function crm.follow_customer();
create trigger channel_preference_follow_update before update on crm.channel_preference for each row
  when ((old.customer_id, old.department_id, old.owner_id, old.audience) is distinct from (new.customer_id, new.department_id, new.owner_id, new.audience))
  execute function crm.follow_customer();
insert into crm.merge_rule (relation, on_clash) values ('crm.channel_preference', 'drop');
select crm.protect('crm.channel_preference', area => 'customers', kind => 'owned', resource => 'channel_preferences', verbs => '{select,insert,update,delete}', bi => true);

create function crm.preferred_channel(of_customer uuid, of_contact uuid default null) returns text language sql stable return (
  select p.preferred_channel from crm.channel_preference as p
  where p.customer_id = of_customer and (p.contact_id = of_contact or p.contact_id is null) and p.preferred_channel is not null
  order by p.contact_id is null limit 1);
comment on function crm.preferred_channel(uuid, uuid) is 'By which way a contact prefers to be reached, or else its customer; null without a preference.';

create table crm.quiet_hours (
  id         uuid        not null default crm.uuid_v7(),
  channel    text,
  brand_id   uuid,
  starts     time        not null,
  ends       time        not null,
  days       smallint[]  not null default '{1,2,3,4,5,6,7}',
  time_zone  text        not null default 'Europe/Istanbul',
  is_active  boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint quiet_hours_id_primary primary key (id),
  constraint quiet_hours_channel_known check (channel in ('email', 'sms', 'phone', 'social', 'chat', 'letter', 'web')),
  constraint quiet_hours_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint quiet_hours_ends_other check (starts <> ends),
  constraint quiet_hours_days_known check (days <@ '{1,2,3,4,5,6,7}' and cardinality(days) > 0),
  constraint quiet_hours_time_zone_known check ((timestamptz '2000-01-01 00:00:00+00' at time zone time_zone) is not null)
);
comment on table crm.quiet_hours is 'When no commercial message goes out: it waits until they are over.';
comment on column crm.quiet_hours.channel is 'The channel they are for; null for every channel.';
comment on column crm.quiet_hours.brand_id is 'The brand they are for; null for all.';
comment on column crm.quiet_hours.starts is 'From when, by the clocks of the zone, such as 21:00.';
comment on column crm.quiet_hours.ends is 'Until when, not including it; earlier than the beginning means on the next day.';
comment on column crm.quiet_hours.days is 'On which weekdays they begin: 1 Monday to 7 Sunday.';
comment on column crm.quiet_hours.time_zone is 'The zone (IANA name) for people whose own is not known.';
comment on column crm.quiet_hours.is_active is 'Whether they hold.';
comment on constraint quiet_hours_channel_known on crm.quiet_hours is 'en: The channel is email, sms, phone, social, chat, letter or web. | tr: Kanal email, sms, phone, social, chat, letter ya da web olabilir.';
comment on constraint quiet_hours_ends_other on crm.quiet_hours is 'en: Quiet hours end at another time than they begin. | tr: Sessiz saatlerin başlangıcı ve bitişi aynı olamaz.';
comment on constraint quiet_hours_days_known on crm.quiet_hours is 'en: Weekdays are 1 (Monday) to 7 (Sunday); give at least one. | tr: Günler 1 (pazartesi) ile 7 (pazar) arasıdır; en az birini verin.';
comment on constraint quiet_hours_time_zone_known on crm.quiet_hours is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
select crm.protect('crm.quiet_hours', area => 'marketing', kind => 'common', resource => 'quiet_hours', verbs => '{select,insert,update,delete}', bi => true);

create table crm.frequency_cap (
  id         uuid        not null default crm.uuid_v7(),
  channel    text,
  brand_id   uuid,
  messages   integer     not null,
  hours      integer     not null,
  is_active  boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint frequency_cap_id_primary primary key (id),
  constraint frequency_cap_channel_known check (channel in ('email', 'sms', 'phone', 'social', 'chat', 'letter', 'web')),
  constraint frequency_cap_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint frequency_cap_messages_positive check (messages >= 0),
  constraint frequency_cap_hours_positive check (hours between 1 and 8784)
);
comment on table crm.frequency_cap is 'How many commercial messages a customer gets at most within any so many hours.';
comment on column crm.frequency_cap.channel is 'The channel whose messages it counts; null for all channels together.';
comment on column crm.frequency_cap.brand_id is 'The brand whose messages it counts; null for all brands together.';
comment on column crm.frequency_cap.messages is 'So many at most.';
comment on column crm.frequency_cap.hours is 'Within so many hours.';
comment on column crm.frequency_cap.is_active is 'Whether it holds.';
comment on constraint frequency_cap_channel_known on crm.frequency_cap is 'en: The channel is email, sms, phone, social, chat, letter or web. | tr: Kanal email, sms, phone, social, chat, letter ya da web olabilir.';
comment on constraint frequency_cap_messages_positive on crm.frequency_cap is 'en: A number of messages is not negative. | tr: İleti sayısı eksi olamaz.';
comment on constraint frequency_cap_hours_positive on crm.frequency_cap is 'en: Count over 1 to 8,784 hours. | tr: 1 ile 8.784 saat arasında sayın.';
select crm.protect('crm.frequency_cap', area => 'marketing', kind => 'common', resource => 'frequency_caps', verbs => '{select,insert,update,delete}', bi => true);

create function crm.after_quiet_hours(of_channel text, of_brand uuid, at timestamptz, of_zone text default null) returns timestamptz
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  result timestamptz := at;
  moved timestamptz;
begin
  for turn in 1..14 loop
    select max(quiet.until at time zone quiet.zone) into moved
    from crm.quiet_hours as q
    cross join lateral (select coalesce(of_zone, q.time_zone) as zone) as z
    cross join lateral (
      select z.zone, d.day + q.starts as since, case when q.ends > q.starts then d.day else d.day + 1 end + q.ends as until
      from unnest(array[(result at time zone z.zone)::date - 1, (result at time zone z.zone)::date]) as d (day)
      where extract(isodow from d.day)::smallint = any (q.days)
    ) as quiet
    where q.is_active and (q.channel is null or q.channel = of_channel) and (q.brand_id is null or q.brand_id = of_brand)
      and result at time zone quiet.zone >= quiet.since and result at time zone quiet.zone < quiet.until;
    exit when moved is null or moved <= result;
    result := moved;
  end loop;
  return result;
end
$$;
comment on function crm.after_quiet_hours(text, uuid, timestamptz, text) is
  'The first instant from a given one on that lies in no quiet hours of a channel and brand, read in the person''s zone or else the rule''s.';

create function crm.exceeds_cap(of_customer uuid, of_message uuid, of_channel text, of_brand uuid, at timestamptz) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from crm.frequency_cap as f where f.is_active and (f.channel is null or f.channel = of_channel) and (f.brand_id is null or f.brand_id = of_brand)) then
    return false;
  end if;
  -- Two messages asked for at once must not both be the last one allowed.
  perform pg_advisory_xact_lock(hashtext('crm.exceeds_cap'));
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
comment on function crm.exceeds_cap(uuid, uuid, text, uuid, timestamptz) is
  'Whether one more commercial message at an instant would be too many for a customer by any cap. Queued messages count at the time they are to go, sent ones when they went.';

create function crm.sender_of(of_department uuid, of_channel text, of_brand uuid default null) returns uuid language plpgsql stable as $$
begin
  return (
    with recursive above as (
      select d.id, d.parent_id, 0 as steps from crm.department as d where d.id = of_department
      union all
      select d.id, d.parent_id, a.steps + 1 from crm.department as d join above as a on d.id = a.parent_id
    )
    select c.id from crm.channel_account as c left join above as a on a.id = c.department_id
    where c.is_active and c.channel = of_channel and (of_brand is null or c.brand_id = of_brand)
    order by a.steps is null, a.steps, c.code limit 1);
end
$$;
comment on function crm.sender_of(uuid, text, uuid) is
  'The account from which a department sends on a channel, under a brand if one is given: its own, or the nearest above it, or else any; null without one.';

-- Links -----------------------------------------------------------------------------------------------------------------------------

create table crm.preference_link (
  id             uuid        not null default crm.uuid_v7(),
  kind           text        not null,
  token_hash     bytea       not null,
  customer_id    uuid,
  contact_id     uuid,
  channel        text        not null,
  address        text        not null,
  purpose        text        not null default 'marketing',
  brand_id       uuid,
  source         text        not null default 'HS_WEB',
  text_version   text,
  remote_address text,
  user_agent     text,
  expires_at     timestamptz not null,
  used_at        timestamptz,
  event_id       uuid,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer     not null default 1,
  created_by     uuid        default crm.caller_id(),
  constraint preference_link_id_primary primary key (id),
  constraint preference_link_kind_known check (kind in ('preferences', 'opt_in')),
  constraint preference_link_token_hash_unique unique (token_hash),
  constraint preference_link_token_hash_length check (length(token_hash) = 32),
  constraint preference_link_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint preference_link_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint preference_link_channel_known check (channel in ('email', 'sms', 'phone', 'social', 'chat', 'letter', 'web')),
  constraint preference_link_address_length check (length(address) between 1 and 320),
  constraint preference_link_purpose_exists foreign key (purpose) references crm.consent_purpose (code),
  constraint preference_link_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint preference_link_expires_at_finite check (isfinite(expires_at)),
  constraint preference_link_used_at_finite check (isfinite(used_at)),
  constraint preference_link_event_id_exists foreign key (event_id) references crm.consent_event (id)
);
comment on table crm.preference_link is 'A link that was given to an address: to its preferences, or to confirm that somebody there wants what a form asked for (double opt-in).';
comment on column crm.preference_link.kind is 'preferences or opt_in.';
comment on column crm.preference_link.token_hash is 'secret: SHA-256 of the token in the link.';
comment on column crm.preference_link.customer_id is 'The customer at the address.';
comment on column crm.preference_link.contact_id is 'The contact at the address.';
comment on column crm.preference_link.channel is 'The channel of the address.';
comment on column crm.preference_link.address is 'personal: the address.';
comment on column crm.preference_link.purpose is 'What is to be confirmed: the code of a purpose.';
comment on column crm.preference_link.brand_id is 'The brand; null for the company itself.';
comment on column crm.preference_link.source is 'Where it was asked for, in the registry''s words.';
comment on column crm.preference_link.text_version is 'Which version of the text was shown.';
comment on column crm.preference_link.remote_address is 'personal: network address that asked for it.';
comment on column crm.preference_link.user_agent is 'personal: what the browser that asked said of itself.';
comment on column crm.preference_link.expires_at is 'Until when it opens.';
comment on column crm.preference_link.used_at is 'When it was confirmed.';
comment on column crm.preference_link.event_id is 'The consent it became.';
comment on constraint preference_link_kind_known on crm.preference_link is 'en: A link is for preferences or opt_in. | tr: Bağlantı preferences ya da opt_in içindir.';
comment on constraint preference_link_token_hash_unique on crm.preference_link is 'en: This link is already there. | tr: Bu bağlantı zaten var.';
comment on constraint preference_link_token_hash_length on crm.preference_link is 'en: A hash has 32 bytes. | tr: Özet 32 bayttır.';
comment on constraint preference_link_channel_known on crm.preference_link is 'en: The channel is email, sms, phone, social, chat, letter or web. | tr: Kanal email, sms, phone, social, chat, letter ya da web olabilir.';
comment on constraint preference_link_address_length on crm.preference_link is 'en: Give an address of at most 320 characters. | tr: En çok 320 karakterlik bir adres verin.';
comment on constraint preference_link_expires_at_finite on crm.preference_link is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint preference_link_used_at_finite on crm.preference_link is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create index preference_link_expires_at_index on crm.preference_link (expires_at);
select crm.protect('crm.preference_link', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'It holds keys to public pages; what is done through them becomes consent events, which are logged.');

-- A message's own token needs no row: it is the message's id under the key of addresses.
create function crm.message_token(message uuid) returns text language sql stable strict security definer set search_path = pg_catalog, pg_temp as $$
  select translate(encode(uuid_send(message) || substring(sha256(k.outer_pad || sha256(k.inner_pad || convert_to('message:', 'UTF8') || uuid_send(message))) for 17), 'base64'), '+/=', '-_')
  from crm.address_key as k
$$;
comment on function crm.message_token(uuid) is 'The token of a message''s links: /u/{token} unsubscribes with one click (RFC 8058), /p/{token} opens the preferences of its address.';
revoke execute on function crm.message_token(uuid) from crm_bulk, crm_access;

create function crm.message_of_token(token text) returns uuid language plpgsql stable strict as $$
declare
  message uuid;
begin
  if token !~ '^[A-Za-z0-9_-]{44}$' then
    return null;
  end if;
  message := encode(substring(decode(translate(token, '-_', '+/'), 'base64') for 16), 'hex')::uuid;
  return case when crm.message_token(message) = token then message end;
end
$$;
comment on function crm.message_of_token(text) is 'The message whose token this is; null if it is none''s.';

create function crm.unsubscribe_url(message uuid) returns text language sql stable return (
  select b.link_base || '/u/' || crm.message_token(m.id) from crm.outbound_message as m join crm.brand as b on b.id = m.brand_id where m.id = message);
comment on function crm.unsubscribe_url(uuid) is
  'What stands in List-Unsubscribe of a message (with List-Unsubscribe-Post: List-Unsubscribe=One-Click) and in its foot; null where the brand has no link_base.';

create type crm.link_target as (
  customer_id uuid, contact_id uuid, channel text, address text, purpose text, brand_id uuid, recipient_type text, locale text);
comment on type crm.link_target is 'Whom a public link is about.';

create function crm.link_target(token text) returns crm.link_target language sql stable as $$
  select row (found.customer_id, found.contact_id, found.channel, found.address, found.purpose, found.brand_id, found.recipient_type,
    coalesce(k.locale, c.locale, 'tr'))::crm.link_target
  from (
    select m.customer_id, m.contact_id, m.channel, m.address, m.purpose, m.brand_id,
      case when m.legal_class = 'commercial' and (e.id is null or e.recipient_type = 'TACIR') then 'TACIR' else 'BIREYSEL' end as recipient_type
    from crm.outbound_message as m left join crm.consent_event as e on e.id = m.consent_event_id
    where m.id = crm.message_of_token(token)
    union all
    select l.customer_id, l.contact_id, l.channel, l.address, l.purpose, l.brand_id, 'BIREYSEL'
    from crm.preference_link as l
    where l.kind = 'preferences' and l.token_hash = sha256(convert_to(token, 'UTF8')) and l.expires_at > crm.consent_clock()
  ) as found
  left join crm.customer as c on c.id = found.customer_id
  left join crm.contact as k on k.customer_id = found.customer_id and k.id = found.contact_id
  limit 1
$$;
comment on function crm.link_target(text) is 'Whom a link to preferences or to unsubscribe is about; null when it does not open.';

create function crm.make_link_token() returns text language sql volatile
  return translate(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '+/=', '-_');
comment on function crm.make_link_token() is 'A new token for a link, 244 random bits.';

create function crm.request_opt_in(
  of_customer uuid, of_contact uuid, of_channel text, of_address text, of_purpose text default 'marketing', of_brand uuid default null,
  of_source text default 'HS_WEB', of_text_version text default null, of_remote_address text default null, of_user_agent text default null,
  link_base text default null
) returns text language plpgsql as $$
declare
  token constant text := crm.make_link_token();
  normal constant text := crm.normal_address(of_channel, of_address);
  link constant text := coalesce(link_base, (select b.link_base from crm.brand as b where b.id = of_brand)) || '/o/' || token;
  brand constant text := (select b.name from crm.brand as b where b.id = of_brand);
  turkish boolean;
begin
  if normal is null then
    raise exception using errcode = 'check_violation', schema = 'crm', table = 'consent_event', constraint = 'consent_event_address_valid',
      message = 'the address does not fit the channel';
  end if;
  insert into crm.preference_link (kind, token_hash, customer_id, contact_id, channel, address, purpose, brand_id, source, text_version, remote_address, user_agent, expires_at)
  values ('opt_in', sha256(convert_to(token, 'UTF8')), of_customer, of_contact, of_channel, normal, of_purpose, of_brand, of_source, of_text_version,
    left(of_remote_address, 100), left(of_user_agent, 500), crm.consent_clock() + interval '7 days');
  if link is not null and of_customer is not null then
    select coalesce(k.locale, c.locale) = 'tr' into turkish
    from crm.customer as c left join crm.contact as k on k.customer_id = c.id and k.id = of_contact where c.id = of_customer;
    insert into crm.outbound_message (customer_id, contact_id, channel, brand_id, address, legal_class, purpose, subject, body_text)
    values (of_customer, of_contact, of_channel, of_brand, normal, 'transactional', of_purpose,
      case when turkish then 'Lütfen onaylayın' else 'Please confirm' end,
      case when turkish
        then format(E'%sbu adrese ileti gönderilmesi istendi. İsteyen sizseniz onaylayın:\n%s\nSiz değilseniz hiçbir şey yapmayın; size bir şey gönderilmeyecek.', coalesce(brand || ': ', ''), link)
        else format(E'%smessages to this address were asked for. If it was you, confirm:\n%s\nIf not, do nothing; nothing will be sent to you.', coalesce(brand || ': ', ''), link) end);
  end if;
  return token;
end
$$;
comment on function crm.request_opt_in(uuid, uuid, text, text, text, uuid, text, text, text, text, text) is
  'First half of a double opt-in, for forms: keeps what was asked for, with its evidence, for seven days, queues the message with the link /o/{token} where a link_base (the argument''s, or the brand''s) and a customer are known, and gives the token. No consent arises yet. For system work.';

create function crm.confirm_opt_in(token text, from_address text default null, from_agent text default null) returns uuid language plpgsql as $$
declare
  link crm.preference_link;
  made uuid;
begin
  select * into link from crm.preference_link as l where l.token_hash = sha256(convert_to(token, 'UTF8')) and l.kind = 'opt_in' for update;
  if not found or link.used_at is null and link.expires_at <= crm.consent_clock() then
    return null;
  end if;
  if link.used_at is not null then
    return link.event_id;
  end if;
  insert into crm.consent_event (customer_id, contact_id, channel, address, purpose, brand_id, status, source, text_version, remote_address, user_agent, operator_id, note)
  values (link.customer_id, link.contact_id, link.channel, link.address, link.purpose, link.brand_id, 'ONAY', link.source, link.text_version,
    left(from_address, 100), left(from_agent, 500), null,
    format('double opt-in: asked for at %s from %s', to_char(link.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), coalesce(link.remote_address, 'an unknown address')))
  returning id into made;
  update crm.suppression as s set lifted_at = greatest(crm.consent_clock(), s.suppressed_at), lifted_reason = 'double opt-in'
  where s.address_token = crm.address_token(link.channel, link.address) and s.lifted_at is null and s.reason <> 'manual'
    and (s.brand_id is null or s.brand_id is not distinct from link.brand_id) and (s.all_channels or s.channel = link.channel);
  update crm.preference_link set used_at = crm.consent_clock(), event_id = made where id = link.id;
  return made;
end
$$;
comment on function crm.confirm_opt_in(text, text, text) is
  'Second half of a double opt-in: makes the consent, once, lifts what suppresses the address (except by hand), because somebody there asked for it, and gives the event''s id; null when the link does not open any more. For system work.';

-- A refusal is written once and never changed: it is its own history.
select crm.protect('crm.message_refusal', area => 'customers', kind => 'owned', verbs => '{select}', bi => true, reason => 'It is written once, by the gate, and is its own history.');

-- The gate --------------------------------------------------------------------------------------------------------------------------

create function crm.commercial_refusal(message crm.outbound_message, at timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return case
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
  'Why a commercial message that is covered by consent still may not go: held_out (of its campaign), late (the campaign is over), channel_preference or frequency_cap; null if it may. Caps are counted at its not_before, if that is still to come.';

create or replace function crm.guard_message() returns trigger language plpgsql as $$
declare
  at constant timestamptz := crm.consent_clock();
  queueing constant boolean := tg_op = 'INSERT';
  starts boolean := false;
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
    if new.state in ('sent', 'delivered') and new.sent_at is null then
      new.sent_at := at;
    end if;
    starts := new.state = 'sending' and (old.state <> 'sending' or old.attempts <> new.attempts);
    if not starts and ((old.channel, old.address, old.legal_class, old.purpose, old.brand_id, old.contact_id)
      is not distinct from (new.channel, new.address, new.legal_class, new.purpose, new.brand_id, new.contact_id)
      or current_user = 'crm_steward') and (new.state <> 'queued' or old.state <> 'failed') then
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
        return new;
      end if;
    end if;
  end if;

  verdict := crm.refusal_of(new.customer_id, new.contact_id, new.channel, new.address, new.legal_class, new.purpose, new.brand_id, at);
  if verdict.reason is null and new.legal_class = 'commercial' then
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
  'Trigger, the gate: a message that may not go is recorded as refused and not stored, or turns refused where it was stored; asked again when it is sent, and when address, class, channel, purpose or brand change. A commercial one in quiet hours waits until they are over.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.after_quiet_hours(text, uuid, timestamptz, text) owner to crm_steward;
alter function crm.exceeds_cap(uuid, uuid, text, uuid, timestamptz) owner to crm_steward;
alter function crm.message_token(uuid) owner to crm_steward;
alter function crm.commercial_refusal(crm.outbound_message, timestamptz) owner to crm_steward;
set local role crm_steward;
create or replace function crm.lead_customer_consents() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.consent_event as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.id;
  update crm.channel_preference as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.id;
  return null;
end
$$;
-- What the gate asks for each message is written in plpgsql, whose plans are kept; a function in SQL would be planned anew for every row.
create or replace function crm.address_token(channel text, address text) returns bytea
language plpgsql stable strict security definer set search_path = pg_catalog, pg_temp as $$
declare
  normal constant text := crm.normal_address(channel, address);
  k crm.address_key;
begin
  if normal is null then
    return null;
  end if;
  select * into k from crm.address_key;
  return sha256(k.outer_pad || sha256(k.inner_pad || convert_to(case when channel in ('sms', 'phone') then 'phone' else channel end || ':' || normal, 'UTF8')));
end
$$;

create or replace function crm.consent_states(
  of_token bytea, of_channel text, of_purpose text, of_brand uuid, at timestamptz, of_customer uuid default null, of_contact uuid default null,
  known_at timestamptz default 'infinity'
) returns table (recipient_type text, status text, event_id uuid, consented_at timestamptz, source text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp rows 2 as $$
begin
  return query
  select distinct on (e.recipient_type) e.recipient_type, case when e.valid_until <= at then 'ended' else e.status end, e.id, e.consented_at, e.source
  from crm.consent_event as e
  where e.address_token = of_token and e.channel = of_channel and e.consented_at <= at and e.received_at <= known_at
    and case e.status
      when 'RET' then (e.brand_id is null or e.brand_id = of_brand) and e.purpose in (of_purpose, 'marketing')
      else e.brand_id is not distinct from of_brand and e.purpose = of_purpose
        and (e.customer_id is null or of_customer is null or e.customer_id = of_customer)
        and (e.contact_id is null or of_contact is null or e.contact_id = of_contact)
    end
  order by e.recipient_type, e.consented_at desc, e.status desc, e.received_at desc, e.id desc;
end
$$;

create or replace function crm.suppression_of(of_token bytea, of_channel text, of_brand uuid, of_class text) returns uuid
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select s.id from crm.suppression as s
    where s.address_token = of_token and s.lifted_at is null and (s.all_channels or s.channel = of_channel)
      and (s.brand_id is null or s.brand_id = of_brand) and (s.scope = 'all' or of_class = 'commercial')
    limit 1);
end
$$;

create or replace function crm.is_merchant(
  of_customer uuid, of_channel text, of_token bytea, of_brand uuid, at timestamptz
) returns boolean language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
      select from crm.customer as c
      join crm.contact_point as p on p.customer_id = c.id and p.contact_id is null
      where c.id = of_customer and c.kind = 'organisation' and c.tax_number is not null
        and p.kind = case when of_channel in ('sms', 'phone') then 'phone' when of_channel = 'email' then 'email' end
        and crm.address_token(of_channel, p.value) = of_token)
    or exists (
      select from crm.consent_event as e
      where e.address_token = of_token and e.channel = of_channel and e.recipient_type = 'TACIR' and e.status = 'ONAY' and e.consented_at <= at
        and e.brand_id is not distinct from of_brand and (e.customer_id is null or e.customer_id = of_customer));
end
$$;
set local role none;
set local role crm_owner;
create or replace function crm.refusal_of(
  of_customer uuid, of_contact uuid, of_channel text, of_address text, of_class text, of_purpose text, of_brand uuid, at timestamptz,
  out reason text, out consent_event_id uuid, out suppression_id uuid
) language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  token constant bytea := crm.address_token(of_channel, of_address);
  state record;
  person_status text;
  person_event uuid;
  merchant_status text;
  merchant_event uuid;
  latest timestamptz;
begin
  if token is null then
    reason := 'bad_address';
    return;
  end if;
  suppression_id := crm.suppression_of(token, of_channel, of_brand, of_class);
  if suppression_id is not null then
    reason := 'suppressed';
    return;
  end if;
  if of_class = 'transactional' then
    return;
  end if;
  -- Nothing that is stored lies ahead (consented_at is never after received_at), so what looks like the future is a clock that was set back.
  select e.consented_at into latest from crm.consent_event as e
  where e.address_token = token and e.channel = of_channel order by e.consented_at desc limit 1;
  at := greatest(at, latest);
  for state in select s.recipient_type, s.status, s.event_id from crm.consent_states(token, of_channel, of_purpose, of_brand, at, of_customer, of_contact) as s loop
    if state.recipient_type = 'BIREYSEL' then
      person_status := state.status;
      person_event := state.event_id;
    else
      merchant_status := state.status;
      merchant_event := state.event_id;
    end if;
  end loop;
  if person_status = 'RET' or merchant_status = 'RET' then
    reason := 'refused';
    consent_event_id := case when person_status = 'RET' then person_event else merchant_event end;
  elsif person_status = 'ONAY' then
    consent_event_id := person_event;
  elsif crm.is_merchant(of_customer, of_channel, token, of_brand, at) then
    consent_event_id := merchant_event;
  else
    reason := case when person_status = 'ended' then 'consent_ended' else 'no_consent' end;
    consent_event_id := person_event;
  end if;
end
$$;
comment on function crm.refusal_of(uuid, uuid, text, text, text, text, uuid, timestamptz) is
  'Why a message may not go to an address at an instant (bad_address, suppressed, refused, consent_ended, no_consent), with what decided; a null reason lets it pass, with the consent that covers it. At the latest of what was said for the address, should the clock have been set back since.';
set local role none;
alter function crm.refusal_of(uuid, uuid, text, text, text, text, uuid, timestamptz) owner to crm_steward;
revoke create on schema crm from crm_steward;
