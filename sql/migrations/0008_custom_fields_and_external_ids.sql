-- Fields a company adds without a migration, and the names other systems know our records by.
set local role crm_owner;

create table crm.custom_field (
  id         uuid        not null default crm.uuid_v7(),
  resource   text        not null,
  name       text        not null,
  type       text        not null,
  label_en   text        not null,
  label_tr   text        not null,
  required   boolean     not null default false,
  options    text[],
  active     boolean     not null default true,
  position   integer     not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint custom_field_id_primary primary key (id),
  constraint custom_field_resource_name_unique unique (resource, name),
  constraint custom_field_resource_known check (resource in ('customers', 'contacts', 'products')),
  constraint custom_field_name_shape check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint custom_field_type_known check (type in ('text', 'number', 'boolean', 'date', 'choice', 'choices')),
  constraint custom_field_options_given check ((type in ('choice', 'choices')) = (coalesce(cardinality(options), 0) > 0)),
  constraint custom_field_label_en_length check (length(btrim(label_en)) between 1 and 200),
  constraint custom_field_label_tr_length check (length(btrim(label_tr)) between 1 and 200)
);
comment on table crm.custom_field is 'A field of a resource''s own, added by the company; its values are in the resource''s column "custom".';
comment on column crm.custom_field.resource is 'The resource it belongs to: customers, contacts or products.';
comment on column crm.custom_field.name is 'Its key in "custom" and in filters.';
comment on column crm.custom_field.type is 'text, number, boolean, date (YYYY-MM-DD), choice (one of the options) or choices (any of them).';
comment on column crm.custom_field.label_en is 'Label in English.';
comment on column crm.custom_field.label_tr is 'Label in Turkish.';
comment on column crm.custom_field.required is 'Whether every new or changed record must have it.';
comment on column crm.custom_field.options is 'What a choice may be, in the order to show.';
comment on column crm.custom_field.active is 'Whether it is still in use; values already stored are kept.';
comment on column crm.custom_field.position is 'Order in which fields are shown.';
comment on constraint custom_field_resource_name_unique on crm.custom_field is 'en: This resource already has a custom field of this name. | tr: Bu kaynağın bu adda bir özel alanı zaten var.';
comment on constraint custom_field_resource_known on crm.custom_field is 'en: Customers, contacts and products can have custom fields. | tr: Özel alanlar customers, contacts ve products kaynaklarına eklenebilir.';
comment on constraint custom_field_name_shape on crm.custom_field is 'en: A field''s name starts with a letter and has only small letters a–z, digits and underscores. | tr: Alan adı bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint custom_field_type_known on crm.custom_field is 'en: The type is text, number, boolean, date, choice or choices. | tr: Tür text, number, boolean, date, choice ya da choices olabilir.';
comment on constraint custom_field_options_given on crm.custom_field is 'en: Choices need options, other types have none. | tr: Seçim alanlarına seçenek gerekir, diğer türlerde seçenek olmaz.';
comment on constraint custom_field_label_en_length on crm.custom_field is 'en: Give an English label of at most 200 characters. | tr: En çok 200 karakterlik bir İngilizce etiket verin.';
comment on constraint custom_field_label_tr_length on crm.custom_field is 'en: Give a Turkish label of at most 200 characters. | tr: En çok 200 karakterlik bir Türkçe etiket verin.';

-- Whoever caches the definitions listens on muhatap_custom_field.
create trigger custom_field_announce after insert or update or delete on crm.custom_field
  for each statement execute function crm.announce('muhatap_custom_field');

create table crm.external_id (
  relation   text        not null,
  system     text        not null,
  key        text        not null,
  row_id     uuid        not null,
  area       text        not null,
  created_at timestamptz not null default now(),
  created_by uuid        default crm.caller_id(),
  constraint external_id_relation_system_key_primary primary key (relation, system, key),
  constraint external_id_system_shape check (system ~ '^[a-z][a-z0-9_.-]{0,62}$'),
  constraint external_id_key_length check (length(key) between 1 and 255),
  constraint external_id_area_known check (area = any (crm.areas()))
);
comment on table crm.external_id is 'The key by which another system knows one of our records.';
comment on column crm.external_id.relation is 'The resource of the record, such as customers.';
comment on column crm.external_id.system is 'The other system, such as erp or complete_journey.';
comment on column crm.external_id.key is 'The key there; unique for its resource and system.';
comment on column crm.external_id.row_id is 'Id of our record.';
comment on column crm.external_id.area is 'The permission area of the resource; who writes there may add keys.';
comment on constraint external_id_relation_system_key_primary on crm.external_id is 'en: The other system''s key already names a record. | tr: Diğer sistemin bu anahtarı zaten bir kaydı gösteriyor.';
comment on constraint external_id_system_shape on crm.external_id is 'en: A system''s name starts with a letter and has only small letters a–z, digits, points, dashes and underscores. | tr: Sistem adı bir harfle başlar; yalnızca a–z küçük harf, rakam, nokta, tire ve alt çizgi içerir.';
comment on constraint external_id_key_length on crm.external_id is 'en: A key has 1 to 255 characters. | tr: Anahtar 1 ile 255 karakter arasındadır.';
comment on constraint external_id_area_known on crm.external_id is 'en: This permission area is not known. | tr: Bu yetki alanı bilinmiyor.';
create index external_id_row_id_index on crm.external_id (row_id);

select crm.protect('crm.custom_field', area => 'admin', kind => 'common', resource => 'custom_fields');
select crm.protect('crm.external_id', area => 'admin', kind => 'linked', verbs => '{select,insert,delete}',
  reason => 'A key is written once with its record, whose own change is logged.');
