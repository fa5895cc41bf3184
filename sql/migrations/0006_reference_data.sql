-- Currencies and Turkish provinces. Districts and tax offices are not here: their lists change by decree and are imported from the authority's own files.
set local role crm_owner;

create table crm.currency (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name_en    text        not null,
  name_tr    text        not null,
  digits     integer     not null default 2,
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint currency_id_primary primary key (id),
  constraint currency_code_unique unique (code),
  constraint currency_code_shape check (code ~ '^[A-Z]{3}$'),
  constraint currency_digits_range check (digits between 0 and 4)
);
comment on table crm.currency is 'A currency that amounts may be in (ISO 4217).';
comment on column crm.currency.code is 'ISO 4217 letters, such as TRY.';
comment on column crm.currency.name_en is 'Name in English.';
comment on column crm.currency.name_tr is 'Name in Turkish.';
comment on column crm.currency.digits is 'Digits after the decimal point when an amount is shown.';
comment on column crm.currency.active is 'Whether new records may use it.';
comment on constraint currency_code_unique on crm.currency is 'en: This currency is already there. | tr: Bu para birimi zaten var.';
comment on constraint currency_code_shape on crm.currency is 'en: A currency code has three capital letters. | tr: Para birimi kodu üç büyük harftir.';
comment on constraint currency_digits_range on crm.currency is 'en: A currency has 0 to 4 decimal digits. | tr: Para biriminin 0 ile 4 arasında ondalık basamağı olur.';

create table crm.province (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name       text        not null,
  search_key text        collate "C" generated always as (crm.search_key(name)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint province_id_primary primary key (id),
  constraint province_code_unique unique (code),
  constraint province_code_shape check (code ~ '^[0-9]{2}$'),
  constraint province_name_unique unique (search_key)
);
comment on table crm.province is 'A province of Türkiye.';
comment on column crm.province.code is 'Plate code of two digits, such as 34.';
comment on column crm.province.name is 'Official name.';
comment on column crm.province.search_key is 'Derived: the name as it is searched.';
comment on constraint province_code_unique on crm.province is 'en: There is already a province with this plate code. | tr: Bu plaka koduna sahip bir il zaten var.';
comment on constraint province_code_shape on crm.province is 'en: A plate code has two digits. | tr: Plaka kodu iki rakamdır.';
comment on constraint province_name_unique on crm.province is 'en: There is already a province of this name. | tr: Bu adda bir il zaten var.';

select crm.protect('crm.currency', area => 'admin', kind => 'common', resource => 'currencies', bi => true);
select crm.protect('crm.province', area => 'admin', kind => 'common', resource => 'provinces', bi => true);

set local role none;
set local muhatap.via = 'system:migration';
insert into crm.currency (code, name_en, name_tr, digits) values
  ('TRY', 'Turkish lira', 'Türk lirası', 2), ('USD', 'US dollar', 'ABD doları', 2), ('EUR', 'Euro', 'Euro', 2),
  ('GBP', 'Pound sterling', 'İngiliz sterlini', 2), ('CHF', 'Swiss franc', 'İsviçre frangı', 2), ('JPY', 'Yen', 'Japon yeni', 0),
  ('CNY', 'Yuan renminbi', 'Çin yuanı', 2), ('RUB', 'Russian ruble', 'Rus rublesi', 2), ('AED', 'UAE dirham', 'BAE dirhemi', 2),
  ('SAR', 'Saudi riyal', 'Suudi Arabistan riyali', 2), ('QAR', 'Qatari riyal', 'Katar riyali', 2), ('KWD', 'Kuwaiti dinar', 'Kuveyt dinarı', 3),
  ('BHD', 'Bahraini dinar', 'Bahreyn dinarı', 3), ('IQD', 'Iraqi dinar', 'Irak dinarı', 3), ('AZN', 'Azerbaijan manat', 'Azerbaycan manatı', 2),
  ('KZT', 'Tenge', 'Kazakistan tengesi', 2), ('UZS', 'Uzbekistan sum', 'Özbekistan somu', 2), ('GEL', 'Lari', 'Gürcistan larisi', 2),
  ('UAH', 'Hryvnia', 'Ukrayna grivnası', 2), ('BGN', 'Bulgarian lev', 'Bulgar levası', 2), ('RON', 'Romanian leu', 'Romen leyi', 2),
  ('PLN', 'Zloty', 'Polonya zlotisi', 2), ('CZK', 'Czech koruna', 'Çek korunası', 2), ('HUF', 'Forint', 'Macar forinti', 2),
  ('SEK', 'Swedish krona', 'İsveç kronu', 2), ('NOK', 'Norwegian krone', 'Norveç kronu', 2), ('DKK', 'Danish krone', 'Danimarka kronu', 2),
  ('CAD', 'Canadian dollar', 'Kanada doları', 2), ('AUD', 'Australian dollar', 'Avustralya doları', 2), ('INR', 'Indian rupee', 'Hindistan rupisi', 2);
insert into crm.province (code, name)
select lpad(ordinal::text, 2, '0'), name from unnest(array[
  'Adana', 'Adıyaman', 'Afyonkarahisar', 'Ağrı', 'Amasya', 'Ankara', 'Antalya', 'Artvin', 'Aydın', 'Balıkesir', 'Bilecik', 'Bingöl', 'Bitlis', 'Bolu',
  'Burdur', 'Bursa', 'Çanakkale', 'Çankırı', 'Çorum', 'Denizli', 'Diyarbakır', 'Edirne', 'Elazığ', 'Erzincan', 'Erzurum', 'Eskişehir', 'Gaziantep',
  'Giresun', 'Gümüşhane', 'Hakkâri', 'Hatay', 'Isparta', 'Mersin', 'İstanbul', 'İzmir', 'Kars', 'Kastamonu', 'Kayseri', 'Kırklareli', 'Kırşehir',
  'Kocaeli', 'Konya', 'Kütahya', 'Malatya', 'Manisa', 'Kahramanmaraş', 'Mardin', 'Muğla', 'Muş', 'Nevşehir', 'Niğde', 'Ordu', 'Rize', 'Sakarya',
  'Samsun', 'Siirt', 'Sinop', 'Sivas', 'Tekirdağ', 'Tokat', 'Trabzon', 'Tunceli', 'Şanlıurfa', 'Uşak', 'Van', 'Yozgat', 'Zonguldak', 'Aksaray',
  'Bayburt', 'Karaman', 'Kırıkkale', 'Batman', 'Şırnak', 'Bartın', 'Ardahan', 'Iğdır', 'Yalova', 'Karabük', 'Kilis', 'Osmaniye', 'Düzce'
]) with ordinality as provinces (name, ordinal);
