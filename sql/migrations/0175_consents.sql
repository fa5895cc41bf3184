-- Consent: what people allowed and refused, as they said it, and who may not be written to whatever else is known. Events are only ever added; how things stand at
-- an instant is computed from them. Addresses are found by a keyed hash, so that a refusal outlives the erasure of the person who spoke it.
set local role crm_owner;

-- Addresses -----------------------------------------------------------------------------------------------------------------------

create table crm.address_key (
  id        smallint not null default 1,
  inner_pad bytea    not null,
  outer_pad bytea    not null,
  constraint address_key_id_primary primary key (id),
  constraint address_key_id_one check (id = 1),
  constraint address_key_pads_length check (length(inner_pad) = 64 and length(outer_pad) = 64)
);
comment on table crm.address_key is 'The key under which addresses are hashed (HMAC-SHA-256), made with the database. Without it the hashes cannot be tried against lists of known addresses.';
comment on column crm.address_key.id is 'Always 1.';
comment on column crm.address_key.inner_pad is 'secret: the key, xor 0x36 in each byte.';
comment on column crm.address_key.outer_pad is 'secret: the key, xor 0x5c in each byte.';
comment on constraint address_key_id_one on crm.address_key is 'en: There is one key. | tr: Yalnızca bir anahtar vardır.';
comment on constraint address_key_pads_length on crm.address_key is 'en: The key fills two blocks of 64 bytes. | tr: Anahtar 64 baytlık iki bloktur.';
do $$
declare
  key bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
  inner_pad bytea := key;
  outer_pad bytea := key;
begin
  for i in 0..63 loop
    inner_pad := set_byte(inner_pad, i, get_byte(key, i) # 54);
    outer_pad := set_byte(outer_pad, i, get_byte(key, i) # 92);
  end loop;
  insert into crm.address_key (inner_pad, outer_pad) values (inner_pad, outer_pad);
end
$$;
select crm.protect('crm.address_key', area => 'admin', kind => 'system', verbs => '{select}', reason => 'It is a secret, made once.');

create function crm.normal_address(channel text, address text) returns text language sql immutable strict parallel safe
  return case
    when channel in ('sms', 'phone') then crm.e164(address)
    when channel = 'email' then case when crm.valid_email(btrim(address)) then lower(btrim(address) collate "C") end
    else nullif(btrim(address), '')
  end;
comment on function crm.normal_address(text, text) is
  'An address as it is stored and compared: telephone numbers in E.164, e-mail addresses in small letters, others without spaces around them. Null if it is none.';

create function crm.address_token(channel text, address text) returns bytea
language sql stable strict security definer set search_path = pg_catalog, pg_temp as $$
  select sha256(k.outer_pad || sha256(k.inner_pad
    || convert_to(case when channel in ('sms', 'phone') then 'phone' else channel end || ':' || crm.normal_address(channel, address), 'UTF8')))
  from crm.address_key as k
$$;
comment on function crm.address_token(text, text) is
  'The keyed hash of a normal address; a number has the same for calls and text messages. Null if it is no address of this channel.';

create function crm.consent_clock() returns timestamptz language sql volatile parallel safe return clock_timestamp();
comment on function crm.consent_clock() is 'The instant by which the gate decides and events are received: the clock, not the beginning of the transaction, so that a refusal just stored counts.';

-- Purposes ------------------------------------------------------------------------------------------------------------------------

create table crm.consent_purpose (
  id             uuid        not null default crm.uuid_v7(),
  code           text        not null,
  name           text        not null,
  name_tr        text        not null,
  description    text,
  description_tr text,
  is_commercial  boolean     not null default true,
  is_offered     boolean     not null default true,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer     not null default 1,
  created_by     uuid        default crm.caller_id(),
  constraint consent_purpose_id_primary primary key (id),
  constraint consent_purpose_code_unique unique (code),
  constraint consent_purpose_code_shape check (code ~ '^[a-z][a-z0-9_]{0,39}$'),
  constraint consent_purpose_name_length check (length(btrim(name)) between 1 and 200 and length(btrim(name_tr)) between 1 and 200)
);
comment on table crm.consent_purpose is 'What people can allow or refuse to be contacted for.';
comment on column crm.consent_purpose.code is 'Short name, such as marketing. marketing is commercial messages in general, as the registry (İYS) knows them: refusing it refuses every commercial purpose.';
comment on column crm.consent_purpose.name is 'Name in English.';
comment on column crm.consent_purpose.name_tr is 'Name in Turkish.';
comment on column crm.consent_purpose.description is 'What is done for it, in English, as the preference page says it.';
comment on column crm.consent_purpose.description_tr is 'What is done for it, in Turkish.';
comment on column crm.consent_purpose.is_commercial is 'Whether messages for it are commercial electronic messages (Law 6563).';
comment on column crm.consent_purpose.is_offered is 'Whether the preference page offers it.';
comment on constraint consent_purpose_code_unique on crm.consent_purpose is 'en: There is already a purpose with this code. | tr: Bu kodda bir amaç zaten var.';
comment on constraint consent_purpose_code_shape on crm.consent_purpose is 'en: A code has small letters, digits and _, such as newsletter. | tr: Kod küçük harf, rakam ve _ içerir, örneğin newsletter.';
comment on constraint consent_purpose_name_length on crm.consent_purpose is 'en: Give names of at most 200 characters in both languages. | tr: İki dilde en çok 200 karakterlik adlar verin.';
select crm.protect('crm.consent_purpose', area => 'marketing', kind => 'common', resource => 'consent_purposes', bi => true);
create policy consent_purpose_keep on crm.consent_purpose to crm_owner using (true) with check (true);
insert into crm.consent_purpose (code, name, name_tr, description, description_tr, is_commercial, is_offered) values
  ('marketing', 'Offers and news', 'Kampanya ve duyurular', 'Offers, campaigns and news of our products and services.', 'Ürün ve hizmetlerimize ilişkin kampanya, tanıtım ve duyurular.', true, true),
  ('newsletter', 'Newsletter', 'Bülten', 'Our regular newsletter.', 'Düzenli bültenimiz.', true, true),
  ('survey', 'Surveys', 'Anketler', 'Questions on how content you are with us.', 'Memnuniyetinizle ilgili sorular.', false, true),
  ('tracking', 'Measuring visits', 'Ziyaret ölçümü', 'Recognising you on our web pages.', 'Sizi web sayfalarımızda tanımamız.', false, false),
  ('profiling', 'Personal offers', 'Kişiselleştirme', 'Choosing offers by what you bought.', 'Teklifleri alışverişlerinize göre seçmemiz.', false, true);

-- Events --------------------------------------------------------------------------------------------------------------------------

create table crm.consent_event (
  id                   uuid        not null default crm.uuid_v7(),
  customer_id          uuid,
  contact_id           uuid,
  channel              text        not null,
  address              text,
  address_token        bytea       not null,
  recipient_type       text        not null default 'BIREYSEL',
  brand_id             uuid,
  purpose              text        not null default 'marketing',
  status               text        not null,
  consented_at         timestamptz not null default crm.consent_clock(),
  valid_until          timestamptz,
  source               text        not null,
  text_version         text,
  document_hash        text,
  remote_address       text,
  user_agent           text,
  operator_id          uuid        default crm.caller_id(),
  note                 text,
  registry_transaction text,
  received_at          timestamptz not null default crm.consent_clock(),
  department_id        uuid,
  owner_id             uuid,
  audience             uuid,
  created_at           timestamptz not null default now(),
  created_by           uuid        default crm.caller_id(),
  constraint consent_event_id_primary primary key (id),
  constraint consent_event_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint consent_event_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint consent_event_contact_id_customer check (contact_id is null or customer_id is not null),
  constraint consent_event_channel_known check (channel in ('email', 'sms', 'phone', 'social', 'chat', 'letter', 'web')),
  constraint consent_event_address_valid check (address_token is not null),
  constraint consent_event_recipient_type_known check (recipient_type in ('BIREYSEL', 'TACIR')),
  constraint consent_event_purpose_exists foreign key (purpose) references crm.consent_purpose (code),
  constraint consent_event_status_known check (status in ('ONAY', 'RET')),
  constraint consent_event_consented_at_past check (consented_at >= '2000-01-01 00:00:00+00' and consented_at <= received_at),
  constraint consent_event_valid_until_later check (valid_until is null or status = 'ONAY' and valid_until > consented_at and valid_until < 'infinity'),
  constraint consent_event_source_known check (
    source in ('HS_FIZIKSEL_ORTAM', 'HS_ISLAK_IMZA', 'HS_WEB', 'HS_CAGRI_MERKEZI', 'HS_SOSYAL_MEDYA', 'HS_EPOSTA', 'HS_MESAJ', 'HS_MOBIL', 'HS_EORTAM',
      'HS_ETKINLIK', 'HS_2015', 'HS_ATM', 'HS_KARAR') or (source ~ '^IYS_[A-Z_]{1,40}$' and registry_transaction is not null)),
  constraint consent_event_text_version_length check (length(text_version) between 1 and 100),
  constraint consent_event_document_hash_shape check (document_hash ~ '^[0-9a-f]{64}$'),
  constraint consent_event_remote_address_length check (length(remote_address) <= 100),
  constraint consent_event_user_agent_length check (length(user_agent) <= 500),
  constraint consent_event_operator_id_exists foreign key (operator_id) references crm.app_user (id),
  constraint consent_event_note_length check (length(note) <= 1000),
  constraint consent_event_registry_transaction_unique unique (registry_transaction),
  constraint consent_event_registry_transaction_length check (length(registry_transaction) between 1 and 100)
);
comment on table crm.consent_event is 'What somebody allowed or refused for an address, with its evidence. Never changed: a change of mind is another event.';
comment on column crm.consent_event.customer_id is 'The customer who spoke; null where only the address is known, as in what the registry reports.';
comment on column crm.consent_event.contact_id is 'The person at the customer who spoke.';
comment on column crm.consent_event.channel is 'email, sms, phone (calls), social, chat, letter or web (tracking).';
comment on column crm.consent_event.address is 'personal: the address, normal: a number in E.164, an e-mail address in small letters. Null once the person was erased.';
comment on column crm.consent_event.address_token is 'secret: keyed hash of the address, by which it is found; stays when the person is erased.';
comment on column crm.consent_event.recipient_type is 'In the registry''s words: BIREYSEL (a person) or TACIR (a merchant or craftsman, who is asked only to refuse).';
comment on column crm.consent_event.brand_id is 'The brand to which it was said; null for the company itself. A refusal to the company refuses every brand.';
comment on column crm.consent_event.purpose is 'What it is for: the code of a purpose. Refusing marketing refuses every purpose.';
comment on column crm.consent_event.status is 'In the registry''s words: ONAY (allowed) or RET (refused).';
comment on column crm.consent_event.consented_at is 'When it was said. Of two at the same instant a refusal counts.';
comment on column crm.consent_event.valid_until is 'Until when a consent holds; null until it is refused.';
comment on column crm.consent_event.source is 'How it was said, in the registry''s words: HS_WEB, HS_CAGRI_MERKEZI, …; IYS_… for what was said to the registry itself.';
comment on column crm.consent_event.text_version is 'Which version of the text was shown.';
comment on column crm.consent_event.document_hash is 'SHA-256 of the form, recording or document that proves it, in hexadecimal.';
comment on column crm.consent_event.remote_address is 'personal: network address it came from.';
comment on column crm.consent_event.user_agent is 'personal: what the browser said of itself.';
comment on column crm.consent_event.operator_id is 'The colleague who took it down.';
comment on column crm.consent_event.note is 'personal: anything else that proves it.';
comment on column crm.consent_event.registry_transaction is 'The registry''s number of the change, for what came from there; each is taken over once.';
comment on column crm.consent_event.received_at is 'When it became known here; set by the database.';
comment on column crm.consent_event.department_id is 'The customer''s department.';
comment on column crm.consent_event.owner_id is 'The customer''s owner.';
comment on column crm.consent_event.audience is 'Derived: who reads the customer; null, for nobody but the system, without a customer.';
comment on constraint consent_event_contact_id_customer on crm.consent_event is 'en: A contact is named with its customer. | tr: Kişi, müşterisiyle birlikte belirtilir.';
comment on constraint consent_event_channel_known on crm.consent_event is 'en: The channel is email, sms, phone, social, chat, letter or web. | tr: Kanal email, sms, phone, social, chat, letter ya da web olabilir.';
comment on constraint consent_event_address_valid on crm.consent_event is 'en: This is not an address of this channel: give an e-mail address, or a number with its country code. | tr: Bu kanal için geçerli bir adres değil: bir e-posta adresi ya da ülke koduyla bir numara verin.';
comment on constraint consent_event_recipient_type_known on crm.consent_event is 'en: The recipient is BIREYSEL or TACIR. | tr: Alıcı türü BIREYSEL ya da TACIR olabilir.';
comment on constraint consent_event_status_known on crm.consent_event is 'en: The status is ONAY (allowed) or RET (refused). | tr: Durum ONAY ya da RET olabilir.';
comment on constraint consent_event_consented_at_past on crm.consent_event is 'en: Consent is given neither before the year 2000 nor in the future. | tr: İzin tarihi 2000 yılından önce ya da gelecekte olamaz.';
comment on constraint consent_event_valid_until_later on crm.consent_event is 'en: Only a consent has an end, after its beginning. | tr: Yalnızca onayın bitişi olur ve başlangıcından sonradır.';
comment on constraint consent_event_source_known on crm.consent_event is 'en: The source is one of the registry''s, such as HS_WEB; sources beginning with IYS_ come from the registry alone. | tr: Kaynak İYS kaynaklarından biridir, örneğin HS_WEB; IYS_ ile başlayanlar yalnızca İYS''den gelir.';
comment on constraint consent_event_text_version_length on crm.consent_event is 'en: A version has 1 to 100 characters. | tr: Sürüm 1 ile 100 karakter arasındadır.';
comment on constraint consent_event_document_hash_shape on crm.consent_event is 'en: Give SHA-256 as 64 small hexadecimal digits. | tr: SHA-256 değerini 64 küçük onaltılık basamakla verin.';
comment on constraint consent_event_remote_address_length on crm.consent_event is 'en: A network address has at most 100 characters. | tr: Ağ adresi en çok 100 karakterdir.';
comment on constraint consent_event_user_agent_length on crm.consent_event is 'en: A browser''s name has at most 500 characters. | tr: Tarayıcı adı en çok 500 karakterdir.';
comment on constraint consent_event_note_length on crm.consent_event is 'en: A note has at most 1,000 characters. | tr: Not en çok 1.000 karakterdir.';
comment on constraint consent_event_registry_transaction_unique on crm.consent_event is 'en: This change of the registry was already taken over. | tr: Bu İYS değişikliği zaten alınmış.';
comment on constraint consent_event_registry_transaction_length on crm.consent_event is 'en: A transaction has 1 to 100 characters. | tr: İşlem numarası 1 ile 100 karakter arasındadır.';
create index consent_event_address_token_index on crm.consent_event (address_token, channel, consented_at);
create index consent_event_customer_id_index on crm.consent_event (customer_id, consented_at, id) where customer_id is not null;
create index consent_event_consented_at_index on crm.consent_event (consented_at, id);

create function crm.receive_consent() returns trigger language plpgsql as $$
begin
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
comment on function crm.receive_consent() is 'Trigger: makes the address normal, hashes it, notes when the event became known, and gives it the customer''s department, owner and audience.';
create trigger consent_event_receive before insert on crm.consent_event for each row execute function crm.receive_consent();
alter table crm.consent_event enable always trigger consent_event_receive;

-- Who merges customers moves their events; who erases a person takes the address away. What was said stays as it was said.
create function crm.keep_consent() returns trigger language plpgsql as $$
begin
  if current_user = 'crm_steward' and (tg_op = 'DELETE'
    or (old.channel, old.address_token, old.recipient_type, old.brand_id, old.purpose, old.status, old.consented_at, old.valid_until, old.source, old.received_at)
      is not distinct from (new.channel, new.address_token, new.recipient_type, new.brand_id, new.purpose, new.status, new.consented_at, new.valid_until, new.source, new.received_at)
      and (new.address is null or new.address = old.address)) then
    return case tg_op when 'DELETE' then old else new end;
  end if;
  raise exception using errcode = 'insufficient_privilege', message = 'a consent event is never changed';
end
$$;
comment on function crm.keep_consent() is 'Trigger: refuses to change or remove what was said, except that the keeper of records merges, erases and, when its time is over, removes.';
create trigger consent_event_keep before update or delete on crm.consent_event for each row execute function crm.keep_consent();
alter table crm.consent_event enable always trigger consent_event_keep;

create function crm.lead_customer_consents() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.consent_event as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.id;
  return null;
end
$$;
comment on function crm.lead_customer_consents() is 'Trigger: when a customer changes department, owner or visibility, its consent events follow.';
revoke execute on function crm.lead_customer_consents() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger customer_lead_consents after update on crm.customer for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_customer_consents();
alter table crm.customer enable always trigger customer_lead_consents;

select crm.protect('crm.consent_event', area => 'customers', kind => 'owned', resource => 'consent_events', verbs => '{select,insert}', bi => true);

-- How things stand at an instant -----------------------------------------------------------------------------------------------------

create function crm.consent_states(
  of_token bytea, of_channel text, of_purpose text, of_brand uuid, at timestamptz, of_customer uuid default null, of_contact uuid default null,
  known_at timestamptz default 'infinity'
) returns table (recipient_type text, status text, event_id uuid, consented_at timestamptz, source text)
language sql stable security definer set search_path = pg_catalog, pg_temp rows 2 as $$
  select distinct on (e.recipient_type) e.recipient_type, case when e.valid_until <= at then 'ended' else e.status end, e.id, e.consented_at, e.source
  from crm.consent_event as e
  where e.address_token = of_token and e.channel = of_channel and e.consented_at <= at and e.received_at <= known_at
    and case e.status
      when 'RET' then (e.brand_id is null or e.brand_id = of_brand) and e.purpose in (of_purpose, 'marketing')
      else e.brand_id is not distinct from of_brand and e.purpose = of_purpose
        and (e.customer_id is null or of_customer is null or e.customer_id = of_customer)
        and (e.contact_id is null or of_contact is null or e.contact_id = of_contact)
    end
  order by e.recipient_type, e.consented_at desc, e.status desc, e.received_at desc, e.id desc
$$;
comment on function crm.consent_states(bytea, text, text, uuid, timestamptz, uuid, uuid, timestamptz) is
  'The last word for an address, as a person (BIREYSEL) and as a merchant (TACIR): ONAY, RET or ended. A consent counts for the person who gave it, the purpose and the brand; a refusal for everybody at the address, a refusal of marketing for every purpose, one to the company for every brand. known_at leaves out what became known later.';

create function crm.consent_at(
  of_address text, of_channel text, of_purpose text default 'marketing', of_brand uuid default null, at timestamptz default null,
  of_customer uuid default null, of_contact uuid default null, known_at timestamptz default 'infinity'
) returns text language sql stable
  return (
    select case when bool_or(s.status = 'RET') then 'RET' when bool_or(s.status = 'ONAY') then 'ONAY' end
    from crm.consent_states(crm.address_token(of_channel, of_address), of_channel, of_purpose, of_brand, coalesce(at, crm.consent_clock()), of_customer, of_contact, known_at) as s);
comment on function crm.consent_at(text, text, text, uuid, timestamptz, uuid, uuid, timestamptz) is
  'How consent stands for an address at an instant (now, unless given): ONAY, RET, or null where nothing was said or the consent ended. Only ONAY allows.';

-- Suppression -----------------------------------------------------------------------------------------------------------------------

create table crm.suppression (
  id            uuid        not null default crm.uuid_v7(),
  channel       text        not null,
  all_channels  boolean     not null default true,
  address_token bytea       not null,
  brand_id      uuid,
  scope         text        not null default 'commercial',
  reason        text        not null,
  note          text,
  suppressed_at timestamptz not null default crm.consent_clock(),
  lifted_at     timestamptz,
  lifted_reason text,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint suppression_id_primary primary key (id),
  constraint suppression_channel_known check (channel in ('email', 'sms', 'phone', 'social', 'chat', 'letter', 'web')),
  constraint suppression_address_token_length check (length(address_token) = 32),
  constraint suppression_scope_known check (scope in ('commercial', 'all')),
  constraint suppression_reason_known check (reason in ('unsubscribed', 'complaint', 'hard_bounce', 'erased', 'objection', 'manual')),
  constraint suppression_note_length check (length(note) <= 500),
  constraint suppression_suppressed_at_finite check (isfinite(suppressed_at)),
  constraint suppression_lifted_at_later check (lifted_at >= suppressed_at and isfinite(lifted_at)),
  constraint suppression_lifted_reason_given check ((lifted_at is null) = (lifted_reason is null) and length(btrim(lifted_reason)) between 1 and 500)
);
comment on table crm.suppression is 'Addresses that are not written to, whatever was consented. Only their keyed hashes are kept, so that they survive the erasure of a person and a later import does not revive anybody.';
comment on column crm.suppression.channel is 'The channel it was made for; numbers are the same for sms and phone.';
comment on column crm.suppression.all_channels is 'Whether it holds for every channel of the address (calls and text messages of a number), or for this one alone.';
comment on column crm.suppression.address_token is 'secret: keyed hash of the address.';
comment on column crm.suppression.brand_id is 'The brand that may not write; null for all.';
comment on column crm.suppression.scope is 'commercial, or all: neither commercial nor transactional messages.';
comment on column crm.suppression.reason is 'unsubscribed, complaint, hard_bounce, erased, objection or manual.';
comment on column crm.suppression.note is 'Anything else to know; no address, no name.';
comment on column crm.suppression.suppressed_at is 'Since when.';
comment on column crm.suppression.lifted_at is 'Until when; null while it holds.';
comment on column crm.suppression.lifted_reason is 'Why it was lifted.';
comment on constraint suppression_channel_known on crm.suppression is 'en: The channel is email, sms, phone, social, chat, letter or web. | tr: Kanal email, sms, phone, social, chat, letter ya da web olabilir.';
comment on constraint suppression_address_token_length on crm.suppression is 'en: A hash has 32 bytes. | tr: Özet 32 bayttır.';
comment on constraint suppression_scope_known on crm.suppression is 'en: The scope is commercial or all. | tr: Kapsam commercial ya da all olabilir.';
comment on constraint suppression_reason_known on crm.suppression is 'en: The reason is unsubscribed, complaint, hard_bounce, erased, objection or manual. | tr: Neden unsubscribed, complaint, hard_bounce, erased, objection ya da manual olabilir.';
comment on constraint suppression_note_length on crm.suppression is 'en: A note has at most 500 characters. | tr: Not en çok 500 karakterdir.';
comment on constraint suppression_suppressed_at_finite on crm.suppression is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint suppression_lifted_at_later on crm.suppression is 'en: It is lifted after it began. | tr: Başladıktan sonra kaldırılır.';
comment on constraint suppression_lifted_reason_given on crm.suppression is 'en: Whoever lifts it says why, in at most 500 characters. | tr: Kaldıran, nedenini en çok 500 karakterle yazar.';
create index suppression_address_token_index on crm.suppression (address_token) where lifted_at is null;

-- What is suppressed stays as it was; it can be lifted once.
create function crm.keep_suppression() returns trigger language plpgsql as $$
begin
  if (old.channel, old.all_channels, old.address_token, old.brand_id, old.scope, old.reason, old.suppressed_at)
    is distinct from (new.channel, new.all_channels, new.address_token, new.brand_id, new.scope, new.reason, new.suppressed_at)
    or old.lifted_at is not null and (old.lifted_at, old.lifted_reason) is distinct from (new.lifted_at, new.lifted_reason) then
    raise exception using errcode = 'insufficient_privilege', message = 'a suppression is lifted, not changed';
  end if;
  return new;
end
$$;
comment on function crm.keep_suppression() is 'Trigger: refuses to change a suppression otherwise than by lifting it.';
create trigger suppression_keep before update on crm.suppression for each row execute function crm.keep_suppression();
alter table crm.suppression enable always trigger suppression_keep;
select crm.protect('crm.suppression', area => 'customers', kind => 'reference', resource => 'suppressions', bi => true);

create function crm.suppress(
  of_channel text, of_address text, why text, of_scope text default 'commercial', of_brand uuid default null, every_channel boolean default true, what text default null
) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  token constant bytea := crm.address_token(of_channel, of_address);
  made uuid;
begin
  if token is null then
    return null;
  end if;
  select s.id into made from crm.suppression as s
  where s.address_token = token and s.lifted_at is null and s.reason = why and s.scope = of_scope and s.brand_id is not distinct from of_brand
    and (s.all_channels and every_channel or s.channel = of_channel and s.all_channels = every_channel);
  if made is null then
    insert into crm.suppression (channel, all_channels, address_token, brand_id, scope, reason, note)
    values (of_channel, every_channel, token, of_brand, of_scope, why, what) returning id into made;
  end if;
  return made;
end
$$;
comment on function crm.suppress(text, text, text, text, uuid, boolean, text) is
  'Puts an address on the suppression list, once for each reason, and gives the entry''s id; null if it is no address of this channel.';

create function crm.suppression_of(of_token bytea, of_channel text, of_brand uuid, of_class text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.id from crm.suppression as s
  where s.address_token = of_token and s.lifted_at is null and (s.all_channels or s.channel = of_channel)
    and (s.brand_id is null or s.brand_id = of_brand) and (s.scope = 'all' or of_class = 'commercial')
  limit 1
$$;
comment on function crm.suppression_of(bytea, text, uuid, text) is 'The entry of the suppression list that keeps a message of this class (commercial, transactional) from an address; null if none does.';

create function crm.is_suppressed(of_channel text, of_address text, of_brand uuid default null, of_class text default 'commercial') returns boolean language sql stable
  return crm.suppression_of(crm.address_token(of_channel, of_address), of_channel, of_brand, of_class) is not null;
comment on function crm.is_suppressed(text, text, uuid, text) is 'Whether an address is on the suppression list for messages of this class.';

-- Erasure ---------------------------------------------------------------------------------------------------------------------------

-- Called by the erasure of a person before names and addresses go. What was said stays as proof, under the hash.
create function crm.forget_consents(of_customer uuid, of_contact uuid default null) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  forgotten integer;
begin
  if not crm.writes_all('customers') then
    raise exception using errcode = 'insufficient_privilege', message = 'people are erased by the system';
  end if;
  insert into crm.suppression (channel, address_token, reason)
  select distinct on (found.token) found.channel, found.token, 'erased'
  from (
    select case p.kind when 'email' then 'email' when 'phone' then 'phone' else 'social' end as channel,
      crm.address_token(case p.kind when 'email' then 'email' when 'phone' then 'phone' else 'social' end, p.value) as token
    from crm.contact_point as p
    where p.customer_id = of_customer and p.kind in ('email', 'phone', 'whatsapp') and (of_contact is null or p.contact_id = of_contact)
    union all
    select e.channel, e.address_token from crm.consent_event as e where e.customer_id = of_customer and (of_contact is null or e.contact_id = of_contact)
  ) as found
  where found.token is not null and not exists (
    select from crm.suppression as s where s.address_token = found.token and s.reason = 'erased' and s.lifted_at is null and s.brand_id is null)
  order by found.token, found.channel;
  update crm.consent_event as e set address = null, remote_address = null, user_agent = null, note = null
  where e.customer_id = of_customer and (of_contact is null or e.contact_id = of_contact);
  get diagnostics forgotten = row_count;
  return forgotten;
end
$$;
comment on function crm.forget_consents(uuid, uuid) is
  'Part of erasing a customer or one of its contacts: puts every address of theirs on the suppression list as a keyed hash, and takes addresses and traces out of their consent events. Says how many events it emptied.';
revoke execute on function crm.forget_consents(uuid, uuid) from crm_app, crm_bulk, crm_access;

-- Owning needs the right to create for the moment of the hand-over. The keeper of records reads past the policies: a refusal counts whoever may see it.
set local role none;
grant create on schema crm to crm_steward;
alter function crm.address_token(text, text) owner to crm_steward;
alter function crm.lead_customer_consents() owner to crm_steward;
alter function crm.consent_states(bytea, text, text, uuid, timestamptz, uuid, uuid, timestamptz) owner to crm_steward;
alter function crm.suppress(text, text, text, text, uuid, boolean, text) owner to crm_steward;
alter function crm.suppression_of(bytea, text, uuid, text) owner to crm_steward;
alter function crm.forget_consents(uuid, uuid) owner to crm_steward;
revoke create on schema crm from crm_steward;
