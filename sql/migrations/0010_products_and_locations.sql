-- What is sold and where.
set local role crm_owner;

create table crm.location (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name       text        not null,
  kind       text        not null default 'store',
  time_zone  text        not null default 'Europe/Istanbul',
  city       text,
  country    text        not null default 'TR',
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint location_id_primary primary key (id),
  constraint location_code_unique unique (code),
  constraint location_code_length check (length(btrim(code)) between 1 and 64),
  constraint location_name_length check (length(btrim(name)) between 1 and 200),
  constraint location_kind_known check (kind in ('store', 'warehouse', 'office', 'online', 'other')),
  constraint location_time_zone_shape check (time_zone ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$'),
  constraint location_country_shape check (country ~ '^[A-Z]{2}$')
);
comment on table crm.location is 'A place where the company sells or works: a store, a warehouse, an office.';
comment on column crm.location.code is 'Short stable name, such as the store''s number.';
comment on column crm.location.name is 'Name as people say it.';
comment on column crm.location.kind is 'store, warehouse, office, online or other.';
comment on column crm.location.time_zone is 'Its time zone (IANA name); days of its sales are counted in it.';
comment on column crm.location.city is 'City it is in.';
comment on column crm.location.country is 'ISO 3166-1 letters, such as TR.';
comment on column crm.location.active is 'Whether it is open.';
comment on constraint location_code_unique on crm.location is 'en: Another location already has this code. | tr: Bu kod başka bir yerde kullanılıyor.';
comment on constraint location_code_length on crm.location is 'en: Give a code of at most 64 characters. | tr: En çok 64 karakterlik bir kod verin.';
comment on constraint location_name_length on crm.location is 'en: Give the location a name of at most 200 characters. | tr: Yere en çok 200 karakterlik bir ad verin.';
comment on constraint location_kind_known on crm.location is 'en: A location is a store, warehouse, office, online or other. | tr: Yer türü store, warehouse, office, online ya da other olabilir.';
comment on constraint location_time_zone_shape on crm.location is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
comment on constraint location_country_shape on crm.location is 'en: A country has two capital letters, such as TR. | tr: Ülke iki büyük harftir, örneğin TR.';

create table crm.product_category (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name       text        not null,
  search_key text        collate "C" generated always as (crm.search_key(name)) stored,
  parent_id  uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint product_category_id_primary primary key (id),
  constraint product_category_code_unique unique (code),
  constraint product_category_code_length check (length(btrim(code)) between 1 and 300),
  constraint product_category_name_length check (length(btrim(name)) between 1 and 300),
  constraint product_category_parent_id_exists foreign key (parent_id) references crm.product_category (id),
  constraint product_category_parent_id_other check (parent_id <> id)
);
comment on table crm.product_category is 'A group of products. Groups form a tree.';
comment on column crm.product_category.code is 'Stable name, unique in the whole tree; imports use the path from the top.';
comment on column crm.product_category.name is 'Name as people say it.';
comment on column crm.product_category.search_key is 'Derived: the name as it is searched.';
comment on column crm.product_category.parent_id is 'The group above; null for the top.';
comment on constraint product_category_code_unique on crm.product_category is 'en: Another category already has this code. | tr: Bu kod başka bir kategoride kullanılıyor.';
comment on constraint product_category_code_length on crm.product_category is 'en: Give a code of at most 300 characters. | tr: En çok 300 karakterlik bir kod verin.';
comment on constraint product_category_name_length on crm.product_category is 'en: Give the category a name of at most 300 characters. | tr: Kategoriye en çok 300 karakterlik bir ad verin.';
comment on constraint product_category_parent_id_other on crm.product_category is 'en: A category cannot be its own parent. | tr: Bir kategori kendi üst kategorisi olamaz.';
create index product_category_parent_id_index on crm.product_category (parent_id) where parent_id is not null;

create table crm.product (
  id           uuid        not null default crm.uuid_v7(),
  sku          text        not null,
  name         text        not null,
  search_key   text        collate "C" generated always as (crm.search_key(name)) stored,
  category_id  uuid,
  brand        text,
  manufacturer text,
  unit         text        not null default 'piece',
  package_size text,
  active       boolean     not null default true,
  placeholder  boolean     not null default false,
  custom       jsonb       not null default '{}',
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  version      integer     not null default 1,
  created_by   uuid        default crm.caller_id(),
  constraint product_id_primary primary key (id),
  constraint product_sku_unique unique (sku),
  constraint product_sku_length check (length(btrim(sku)) between 1 and 100),
  constraint product_name_length check (length(btrim(name)) between 1 and 300),
  constraint product_category_id_exists foreign key (category_id) references crm.product_category (id),
  constraint product_unit_length check (length(btrim(unit)) between 1 and 30),
  constraint product_custom_object check (jsonb_typeof(custom) = 'object')
);
comment on table crm.product is 'Something the company sells.';
comment on column crm.product.sku is 'The company''s own number for it, unique.';
comment on column crm.product.name is 'Name as people say it.';
comment on column crm.product.search_key is 'Derived: the name as it is searched.';
comment on column crm.product.category_id is 'The group it belongs to.';
comment on column crm.product.brand is 'Brand.';
comment on column crm.product.manufacturer is 'Who makes it.';
comment on column crm.product.unit is 'What a quantity of 1 means: piece, kg, litre, …';
comment on column crm.product.package_size is 'Size of the package as printed on it, such as 22 LB.';
comment on column crm.product.active is 'Whether it may be sold.';
comment on column crm.product.placeholder is 'Whether an import made it because a sale named a product nobody knew; its name and category are yet to be found out.';
comment on constraint product_sku_unique on crm.product is 'en: Another product already has this number (SKU). | tr: Bu stok kodu başka bir üründe kullanılıyor.';
comment on constraint product_sku_length on crm.product is 'en: Give a number (SKU) of at most 100 characters. | tr: En çok 100 karakterlik bir stok kodu verin.';
comment on constraint product_name_length on crm.product is 'en: Give the product a name of at most 300 characters. | tr: Ürüne en çok 300 karakterlik bir ad verin.';
comment on constraint product_unit_length on crm.product is 'en: Give a unit of at most 30 characters. | tr: En çok 30 karakterlik bir birim verin.';
create index product_category_id_index on crm.product (category_id, id);
create index product_search_key_index on crm.product (search_key, id);

select crm.protect('crm.location', area => 'products', kind => 'common', resource => 'locations', bi => true);
select crm.protect('crm.product_category', area => 'products', kind => 'reference', resource => 'product_categories', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.product', area => 'products', kind => 'reference', resource => 'products', verbs => '{select,insert,update,delete}', bi => true);
