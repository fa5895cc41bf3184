-- The brands under which the company speaks, and the accounts through which customers reach it and it reaches them.
set local role crm_owner;

create table crm.brand (
  id             uuid        not null default crm.uuid_v7(),
  code           text        not null,
  name           text        not null,
  department_id  uuid,
  sender_name    text,
  contact_line   text,
  website        text,
  iys_code       text,
  iys_brand_code text,
  is_active      boolean     not null default true,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer     not null default 1,
  created_by     uuid        default crm.caller_id(),
  constraint brand_id_primary primary key (id),
  constraint brand_code_unique unique (code),
  constraint brand_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint brand_name_length check (length(btrim(name)) between 1 and 200),
  constraint brand_sender_name_shape check (length(btrim(sender_name)) between 1 and 100 and sender_name !~ '[[:cntrl:]]'),
  constraint brand_contact_line_shape check (length(btrim(contact_line)) between 1 and 500 and contact_line !~ '[[:cntrl:]]'),
  constraint brand_website_shape check (website ~ '^https?://[^[:space:]]{1,500}$'),
  constraint brand_iys_code_shape check (iys_code ~ '^[0-9]{1,20}$' and iys_brand_code ~ '^[0-9]{1,20}$'),
  constraint brand_iys_code_both check ((iys_code is null) = (iys_brand_code is null)),
  constraint brand_department_id_exists foreign key (department_id) references crm.department (id)
);
comment on table crm.brand is 'A name under which the company speaks to customers, and for which they allow or refuse messages.';
comment on column crm.brand.code is 'Short stable name for configuration and imports.';
comment on column crm.brand.name is 'Name as customers know it.';
comment on column crm.brand.department_id is 'The department that speaks under it; null when several do.';
comment on column crm.brand.sender_name is 'What stands as the sender of its messages; its name when null.';
comment on column crm.brand.contact_line is 'Who sends and how they are reached, shown in each commercial message: the company''s title or MERSİS number and an address or telephone number.';
comment on column crm.brand.website is 'Its address on the web, beginning with https://.';
comment on column crm.brand.iys_code is 'The sender''s number in İYS, the Turkish registry of consents.';
comment on column crm.brand.iys_brand_code is 'The brand''s number in İYS.';
comment on column crm.brand.is_active is 'Whether the company still speaks under it.';
comment on constraint brand_code_unique on crm.brand is 'en: Another brand already has this code. | tr: Bu kod başka bir markada kullanılıyor.';
comment on constraint brand_code_shape on crm.brand is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint brand_name_length on crm.brand is 'en: Give the brand a name of at most 200 characters. | tr: Markaya en çok 200 karakterlik bir ad verin.';
comment on constraint brand_sender_name_shape on crm.brand is 'en: A sender''s name is one line of at most 100 characters. | tr: Gönderen adı en çok 100 karakterlik tek bir satırdır.';
comment on constraint brand_contact_line_shape on crm.brand is 'en: The line of contact is one line of at most 500 characters. | tr: İletişim bilgisi en çok 500 karakterlik tek bir satırdır.';
comment on constraint brand_website_shape on crm.brand is 'en: Give the whole web address, such as https://www.carsi.example. | tr: Web adresini tam olarak verin, örneğin https://www.carsi.example.';
comment on constraint brand_iys_code_shape on crm.brand is 'en: The numbers in İYS have digits only. | tr: İYS numaraları yalnızca rakamlardan oluşur.';
comment on constraint brand_iys_code_both on crm.brand is 'en: İYS needs both numbers, the sender''s and the brand''s. | tr: İYS için iki numara birlikte gerekir: hizmet sağlayıcının ve markanın numarası.';
select crm.protect('crm.brand', area => 'marketing', kind => 'common', resource => 'brands', bi => true);

create function crm.channels() returns text[] language sql immutable parallel safe
  return array['email', 'phone', 'meeting', 'chat', 'sms', 'social', 'web', 'form', 'letter'];
comment on function crm.channels() is 'The ways in which customers and the company reach each other.';

create function crm.holds_secret(settings jsonb) returns boolean language sql immutable parallel safe
  return exists (
    select from jsonb_object_keys(case jsonb_typeof(settings) when 'object' then settings else '{}' end) as key
    where key ~* '(password|passwd|secret|token|api_?key|credential|private_?key)');
comment on function crm.holds_secret(jsonb) is 'Whether an object has a member whose name is that of a secret.';

create table crm.channel_account (
  id             uuid        not null default crm.uuid_v7(),
  code           text        not null,
  name           text        not null,
  channel        text        not null,
  provider       text        not null,
  address        text,
  display_name   text,
  brand_id       uuid,
  department_id  uuid        not null,
  settings       jsonb       not null default '{}',
  is_active      boolean     not null default true,
  opens_tickets  boolean     not null default false,
  ticket_team_id uuid,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer     not null default 1,
  created_by     uuid        default crm.caller_id(),
  constraint channel_account_id_primary primary key (id),
  constraint channel_account_code_unique unique (code),
  constraint channel_account_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint channel_account_name_length check (length(btrim(name)) between 1 and 200),
  constraint channel_account_channel_known check (channel = any (crm.channels())),
  constraint channel_account_provider_known check (provider in ('smtp_imap', 'http_sms', 'http_social', 'pbx', 'chat', 'form', 'web', 'manual', 'simulated')),
  constraint channel_account_provider_fits check (case provider
    when 'smtp_imap' then channel = 'email'
    when 'http_sms' then channel = 'sms'
    when 'http_social' then channel = 'social'
    when 'pbx' then channel = 'phone'
    when 'chat' then channel = 'chat'
    when 'form' then channel = 'form'
    when 'web' then channel = 'web'
    else true end),
  constraint channel_account_address_valid check (case when channel = 'email' then crm.valid_email(address) when channel = 'phone' then crm.valid_e164(address)
    else length(btrim(address)) between 1 and 254 and address !~ '[[:cntrl:]]' end),
  constraint channel_account_address_given check (channel <> 'email' or address is not null),
  constraint channel_account_display_name_shape check (length(btrim(display_name)) between 1 and 100 and display_name !~ '[[:cntrl:]]'),
  constraint channel_account_settings_object check (jsonb_typeof(settings) = 'object' and octet_length(settings::text) <= 16384),
  constraint channel_account_settings_open check (not crm.holds_secret(settings)),
  constraint channel_account_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint channel_account_department_id_exists foreign key (department_id) references crm.department (id)
);
comment on table crm.channel_account is 'A mailbox, a telephone number, a profile, a chat or a form through which a department and its customers reach each other.';
comment on column crm.channel_account.code is 'Short stable name; the configuration gives the account''s secrets under it.';
comment on column crm.channel_account.name is 'Name as colleagues say it.';
comment on column crm.channel_account.channel is 'email, phone, meeting, chat, sms, social, web, form or letter.';
comment on column crm.channel_account.provider is 'What it is reached through: smtp_imap, http_sms, http_social, pbx, chat, form, web, manual (people note it down) or simulated.';
comment on column crm.channel_account.address is 'Its own address: the mailbox''s, the number in E.164, the sender''s name of text messages, the profile''s name.';
comment on column crm.channel_account.display_name is 'What stands beside its address as the sender; the brand''s when null.';
comment on column crm.channel_account.brand_id is 'The brand it speaks for.';
comment on column crm.channel_account.department_id is 'The department whose customers write here.';
comment on column crm.channel_account.settings is 'What its provider needs to know beyond the address, such as hosts and folders, as docs/channels.md describes; never a secret.';
comment on column crm.channel_account.is_active is 'Whether messages come and go through it.';
comment on column crm.channel_account.opens_tickets is 'Whether a message that begins a conversation here opens a ticket.';
comment on column crm.channel_account.ticket_team_id is 'The team that gets these tickets; null leaves it to the rules of routing.';
comment on constraint channel_account_code_unique on crm.channel_account is 'en: Another account already has this code. | tr: Bu kod başka bir hesapta kullanılıyor.';
comment on constraint channel_account_code_shape on crm.channel_account is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint channel_account_name_length on crm.channel_account is 'en: Give the account a name of at most 200 characters. | tr: Hesaba en çok 200 karakterlik bir ad verin.';
comment on constraint channel_account_channel_known on crm.channel_account is 'en: A channel is email, phone, meeting, chat, sms, social, web, form or letter. | tr: Kanal email, phone, meeting, chat, sms, social, web, form ya da letter olabilir.';
comment on constraint channel_account_provider_known on crm.channel_account is 'en: A provider is smtp_imap, http_sms, http_social, pbx, chat, form, web, manual or simulated. | tr: Sağlayıcı smtp_imap, http_sms, http_social, pbx, chat, form, web, manual ya da simulated olabilir.';
comment on constraint channel_account_provider_fits on crm.channel_account is 'en: This provider does not serve this channel. | tr: Bu sağlayıcı bu kanala hizmet vermez.';
comment on constraint channel_account_address_valid on crm.channel_account is 'en: Give an address of this channel: an e-mail address, a telephone number such as +902161234567, or a name of at most 254 characters. | tr: Kanala uygun bir adres verin: bir e-posta adresi, +902161234567 gibi bir telefon numarası ya da en çok 254 karakterlik bir ad.';
comment on constraint channel_account_address_given on crm.channel_account is 'en: A mailbox needs its e-mail address. | tr: Bir e-posta hesabının adresi olmalıdır.';
comment on constraint channel_account_display_name_shape on crm.channel_account is 'en: A sender''s name is one line of at most 100 characters. | tr: Gönderen adı en çok 100 karakterlik tek bir satırdır.';
comment on constraint channel_account_settings_object on crm.channel_account is 'en: Settings are an object of at most 16 KB. | tr: Ayarlar en çok 16 KB''lık bir nesnedir.';
comment on constraint channel_account_settings_open on crm.channel_account is 'en: Settings hold no secrets; give passwords and keys in the configuration under the account''s code. | tr: Ayarlarda gizli bilgi bulunmaz; parola ve anahtarları yapılandırmada hesabın koduyla verin.';
create index channel_account_department_id_index on crm.channel_account (department_id);
create index channel_account_brand_id_index on crm.channel_account (brand_id) where brand_id is not null;
select crm.protect('crm.channel_account', area => 'admin', kind => 'common', resource => 'channel_accounts', bi => true);
