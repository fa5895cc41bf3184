-- Customers and what belongs to them: contacts, addresses, contact points.
set local role crm_owner;

create table crm.customer (
  id              uuid        not null default crm.uuid_v7(),
  kind            text        not null,
  name            text        not null,
  search_key      text        collate "C" generated always as (crm.search_key(name)) stored,
  parent_id       uuid,
  tax_number      text,
  tax_office      text,
  lifecycle_phase text        not null default 'prospect',
  locale          text        not null default 'tr',
  website         text,
  note            text,
  profile         jsonb       not null default '{}',
  custom          jsonb       not null default '{}',
  department_id   uuid        not null,
  owner_id        uuid,
  visibility      text        not null default 'company',
  audience        uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint customer_id_primary primary key (id),
  constraint customer_kind_known check (kind in ('person', 'organisation')),
  constraint customer_name_length check (length(btrim(name)) between 1 and 300),
  constraint customer_parent_id_exists foreign key (parent_id) references crm.customer (id),
  constraint customer_parent_id_other check (parent_id <> id),
  constraint customer_tax_number_valid check (crm.valid_vkn(tax_number) or crm.valid_tckn(tax_number)),
  constraint customer_lifecycle_phase_known check (lifecycle_phase in ('suspect', 'prospect', 'lead', 'active', 'dormant', 'lost')),
  constraint customer_locale_shape check (locale ~ '^[a-z]{2}$'),
  constraint customer_profile_object check (jsonb_typeof(profile) = 'object'),
  constraint customer_custom_object check (jsonb_typeof(custom) = 'object'),
  constraint customer_department_id_exists foreign key (department_id) references crm.department (id),
  constraint customer_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint customer_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint customer_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.customer is 'A person or an organisation that buys, bought or may buy.';
comment on column crm.customer.kind is 'person or organisation.';
comment on column crm.customer.name is 'personal: full name of the person, or the organisation''s name.';
comment on column crm.customer.search_key is 'personal: derived: the name as it is searched and compared.';
comment on column crm.customer.parent_id is 'The organisation this one belongs to.';
comment on column crm.customer.tax_number is 'personal: tax number (VKN, ten digits) or identity number (TCKN, eleven digits).';
comment on column crm.customer.tax_office is 'Name of the tax office.';
comment on column crm.customer.lifecycle_phase is 'Where the relation stands: suspect, prospect, lead, active, dormant, lost.';
comment on column crm.customer.locale is 'Language to write to the customer in (ISO 639-1).';
comment on column crm.customer.website is 'Web address.';
comment on column crm.customer.note is 'What colleagues should know.';
comment on column crm.customer.profile is 'personal: attributes brought by a source, such as age band or household size, as an object.';
comment on constraint customer_kind_known on crm.customer is 'en: A customer is a person or an organisation. | tr: Müşteri person ya da organisation olabilir.';
comment on constraint customer_name_length on crm.customer is 'en: Give the customer a name of at most 300 characters. | tr: Müşteriye en çok 300 karakterlik bir ad verin.';
comment on constraint customer_parent_id_other on crm.customer is 'en: A customer cannot be its own parent. | tr: Bir müşteri kendi üst kuruluşu olamaz.';
comment on constraint customer_tax_number_valid on crm.customer is 'en: This is neither a valid tax number (VKN) nor a valid identity number (TCKN). | tr: Geçerli bir VKN ya da TCKN değil.';
comment on constraint customer_lifecycle_phase_known on crm.customer is 'en: The phase is suspect, prospect, lead, active, dormant or lost. | tr: Aşama suspect, prospect, lead, active, dormant ya da lost olabilir.';
comment on constraint customer_locale_shape on crm.customer is 'en: A language has two small letters, such as tr. | tr: Dil iki küçük harftir, örneğin tr.';
comment on constraint customer_profile_object on crm.customer is 'en: The profile is given as an object. | tr: Profil bir nesne olarak verilir.';
create index customer_search_key_index on crm.customer (search_key, id);
create index customer_created_at_index on crm.customer (created_at, id);
create index customer_parent_id_index on crm.customer (parent_id) where parent_id is not null;
create index customer_tax_number_index on crm.customer (tax_number) where tax_number is not null;
create index customer_owner_id_index on crm.customer (owner_id) where owner_id is not null;
create index customer_department_id_index on crm.customer (department_id, id);

create table crm.contact (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  name          text        not null,
  search_key    text        collate "C" generated always as (crm.search_key(name)) stored,
  job_title     text,
  locale        text        not null default 'tr',
  active        boolean     not null default true,
  note          text,
  custom        jsonb       not null default '{}',
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint contact_id_primary primary key (customer_id, id),
  constraint contact_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint contact_name_length check (length(btrim(name)) between 1 and 300),
  constraint contact_locale_shape check (locale ~ '^[a-z]{2}$'),
  constraint contact_custom_object check (jsonb_typeof(custom) = 'object')
);
comment on table crm.contact is 'A person at a customer.';
comment on column crm.contact.name is 'personal: full name.';
comment on column crm.contact.search_key is 'personal: derived: the name as it is searched and compared.';
comment on column crm.contact.job_title is 'What the person does at the customer.';
comment on column crm.contact.locale is 'Language to write to the person in (ISO 639-1).';
comment on column crm.contact.active is 'Whether the person is still there.';
comment on column crm.contact.note is 'personal: what colleagues should know.';
comment on constraint contact_name_length on crm.contact is 'en: Give the contact a name of at most 300 characters. | tr: Kişiye en çok 300 karakterlik bir ad verin.';
comment on constraint contact_locale_shape on crm.contact is 'en: A language has two small letters, such as tr. | tr: Dil iki küçük harftir, örneğin tr.';
create index contact_id_index on crm.contact (id);
create index contact_search_key_index on crm.contact (search_key, id);

create table crm.address (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  contact_id    uuid,
  kind          text        not null default 'other',
  street        text,
  district      text,
  province_code text,
  city          text,
  postal_code   text,
  country       text        not null default 'TR',
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint address_id_primary primary key (customer_id, id),
  constraint address_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint address_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint address_kind_known check (kind in ('billing', 'delivery', 'visit', 'home', 'other')),
  constraint address_province_code_exists foreign key (province_code) references crm.province (code),
  constraint address_province_code_country check (province_code is null or country = 'TR'),
  constraint address_country_shape check (country ~ '^[A-Z]{2}$'),
  constraint address_city_length check (length(city) <= 200)
);
comment on table crm.address is 'A postal address of a customer.';
comment on column crm.address.contact_id is 'The contact whose address it is; null for the customer''s own.';
comment on column crm.address.kind is 'What it is for: billing, delivery, visit, home or other.';
comment on column crm.address.street is 'personal: street, number, flat.';
comment on column crm.address.district is 'District (ilçe) or part of the city.';
comment on column crm.address.province_code is 'Plate code of the Turkish province; null abroad.';
comment on column crm.address.city is 'City, as written on an envelope.';
comment on column crm.address.postal_code is 'Postal code.';
comment on column crm.address.country is 'ISO 3166-1 letters, such as TR.';
comment on constraint address_kind_known on crm.address is 'en: An address is for billing, delivery, visit, home or other. | tr: Adres türü billing, delivery, visit, home ya da other olabilir.';
comment on constraint address_province_code_country on crm.address is 'en: Only an address in Türkiye has a province. | tr: Yalnızca Türkiye''deki adreslerin ili olur.';
comment on constraint address_country_shape on crm.address is 'en: A country has two capital letters, such as TR. | tr: Ülke iki büyük harftir, örneğin TR.';
comment on constraint address_city_length on crm.address is 'en: A city''s name has at most 200 characters. | tr: Şehir adı en çok 200 karakterdir.';
create index address_id_index on crm.address (id);
create index address_city_index on crm.address (city, customer_id);

create table crm.contact_point (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  contact_id    uuid,
  kind          text        not null,
  value         text        not null,
  value_key     text        collate "C" generated always as (crm.search_key(value)) stored,
  label         text,
  is_primary    boolean     not null default false,
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint contact_point_id_primary primary key (customer_id, id),
  constraint contact_point_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint contact_point_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint contact_point_kind_known check (kind in ('phone', 'email', 'whatsapp', 'web', 'other')),
  constraint contact_point_value_length check (length(btrim(value)) between 1 and 320),
  constraint contact_point_value_phone check (kind not in ('phone', 'whatsapp') or crm.valid_e164(value)),
  constraint contact_point_value_email check (kind <> 'email' or crm.valid_email(value)),
  constraint contact_point_value_unique unique nulls not distinct (customer_id, contact_id, kind, value_key)
);
comment on table crm.contact_point is 'A way to reach a customer or a contact: a telephone number, an e-mail address, …';
comment on column crm.contact_point.contact_id is 'The contact it reaches; null for the customer itself.';
comment on column crm.contact_point.kind is 'phone, email, whatsapp, web or other.';
comment on column crm.contact_point.value is 'personal: the number in E.164 (+905321234567), the address, or the name.';
comment on column crm.contact_point.value_key is 'personal: derived: the value as it is searched and compared.';
comment on column crm.contact_point.label is 'What it is, such as work or mobile.';
comment on column crm.contact_point.is_primary is 'Whether it is the one to use first among its kind.';
comment on constraint contact_point_kind_known on crm.contact_point is 'en: A contact point is phone, email, whatsapp, web or other. | tr: İletişim türü phone, email, whatsapp, web ya da other olabilir.';
comment on constraint contact_point_value_length on crm.contact_point is 'en: Give a value of at most 320 characters. | tr: En çok 320 karakterlik bir değer verin.';
comment on constraint contact_point_value_phone on crm.contact_point is 'en: Give the number with its country code, such as +905321234567. | tr: Numarayı ülke koduyla yazın, örneğin +905321234567.';
comment on constraint contact_point_value_email on crm.contact_point is 'en: This is not a valid e-mail address. | tr: Geçerli bir e-posta adresi değil.';
comment on constraint contact_point_value_unique on crm.contact_point is 'en: This contact point is already there. | tr: Bu iletişim bilgisi zaten var.';
create index contact_point_id_index on crm.contact_point (id);
create index contact_point_value_key_index on crm.contact_point (value_key, kind);

-- What belongs to a customer is seen and changed by whoever sees and changes the customer: children carry its department, owner and audience.

create function crm.follow_customer() returns trigger language plpgsql as $$
begin
  select c.department_id, c.owner_id, c.audience into new.department_id, new.owner_id, new.audience from crm.customer as c where c.id = new.customer_id;
  if not found then
    perform crm.missing_reference('customer_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_customer() is 'Trigger: gives what belongs to a customer the customer''s department, owner and audience; a customer the caller cannot see is a missing reference.';

create function crm.lead_customer_parts() returns trigger language plpgsql as $$
begin
  update crm.contact as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.id;
  update crm.address as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.id;
  update crm.contact_point as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.id;
  return null;
end
$$;
comment on function crm.lead_customer_parts() is 'Trigger: when a customer changes department, owner or visibility, what belongs to it follows.';

do $$
declare
  name text;
begin
  foreach name in array array['contact', 'address', 'contact_point'] loop
    execute format('create trigger %I before insert on crm.%I for each row execute function crm.follow_customer()', name || '_follow_insert', name);
    execute format('create trigger %I before update on crm.%I for each row when ((old.customer_id, old.department_id, old.owner_id, old.audience)'
      || ' is distinct from (new.customer_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_customer()', name || '_follow_update', name);
  end loop;
end
$$;
create trigger customer_lead after update on crm.customer for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_customer_parts();
alter table crm.customer enable always trigger customer_lead;

select crm.protect('crm.customer', area => 'customers', kind => 'owned', resource => 'customers', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.contact', area => 'customers', kind => 'owned', resource => 'contacts', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.address', area => 'customers', kind => 'owned', resource => 'addresses', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.contact_point', area => 'customers', kind => 'owned', resource => 'contact_points', verbs => '{select,insert,update,delete}');
