-- Numbers that people quote, units of measure, and what a product costs and is taxed with.
set local role crm_owner;

create table crm.number_series (
  series      text    not null,
  prefix      text    not null,
  year        integer not null default 2000,
  last_number bigint  not null default 0,
  constraint number_series_series_primary primary key (series),
  constraint number_series_series_shape check (series ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint number_series_prefix_unique unique (prefix),
  constraint number_series_prefix_shape check (prefix ~ '^[A-Z]{1,6}$'),
  constraint number_series_last_number_counted check (last_number >= 0)
);
comment on table crm.number_series is 'The last number given in each series of numbers that people quote, such as S-2026-000017.';
comment on column crm.number_series.series is 'Name of the series, such as order.';
comment on column crm.number_series.prefix is 'What its numbers begin with.';
comment on column crm.number_series.year is 'The year of the last number; a new year begins at 1.';
comment on column crm.number_series.last_number is 'The last number given in that year.';
comment on constraint number_series_series_primary on crm.number_series is 'en: This series of numbers is already there. | tr: Bu numara serisi zaten var.';
comment on constraint number_series_series_shape on crm.number_series is 'en: A series has small letters, digits and underscores. | tr: Seri adı küçük harf, rakam ve alt çizgi içerir.';
comment on constraint number_series_prefix_unique on crm.number_series is 'en: Another series already has this prefix. | tr: Bu ön ek başka bir seride kullanılıyor.';
comment on constraint number_series_prefix_shape on crm.number_series is 'en: A prefix has one to six capital letters. | tr: Ön ek bir ile altı büyük harftir.';
comment on constraint number_series_last_number_counted on crm.number_series is 'en: A series counts from 1. | tr: Seri 1''den başlayarak sayar.';
select crm.protect('crm.number_series', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It counts; what was counted is in the change log itself.');
create policy number_series_keep on crm.number_series to crm_owner using (true) with check (true);

-- Runs as the owner: whoever may make an order may count it, without writing the series otherwise.
create function crm.next_number(series text) returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  this_year constant integer := extract(year from now() at time zone 'Europe/Istanbul');
  given text;
begin
  update crm.number_series as s
  set last_number = case when s.year >= this_year then s.last_number + 1 else 1 end, year = greatest(s.year, this_year)
  where s.series = next_number.series
  returning format('%s-%s-%s', s.prefix, s.year, lpad(s.last_number::text, greatest(6, length(s.last_number::text)), '0')) into given;
  if given is null then
    raise exception 'there is no series of numbers %', series;
  end if;
  return given;
end
$$;
comment on function crm.next_number(text) is
  'The next number of a series, such as S-2026-000017. Locks the series until the transaction ends: take it last. What is rolled back gives its number back.';

insert into crm.number_series (series, prefix) values ('quote', 'Q'), ('order', 'S'), ('shipment', 'D'), ('contract', 'C');

create table crm.unit (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name_en    text        not null,
  name_tr    text        not null,
  decimals   integer     not null default 3,
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint unit_id_primary primary key (id),
  constraint unit_code_unique unique (code),
  constraint unit_code_shape check (code ~ '^[0-9A-Z]{2,3}$'),
  constraint unit_name_en_length check (length(btrim(name_en)) between 1 and 60),
  constraint unit_name_tr_length check (length(btrim(name_tr)) between 1 and 60),
  constraint unit_decimals_range check (decimals between 0 and 3)
);
comment on table crm.unit is 'A unit that quantities are counted in (UN/ECE Recommendation 20 and 21, as invoices name them).';
comment on column crm.unit.code is 'UN/ECE code, such as C62 for one piece or KGM for a kilogram.';
comment on column crm.unit.name_en is 'Name in English.';
comment on column crm.unit.name_tr is 'Name in Turkish.';
comment on column crm.unit.decimals is 'Digits after the decimal point when a quantity is shown.';
comment on column crm.unit.active is 'Whether new products may use it.';
comment on constraint unit_code_unique on crm.unit is 'en: This unit is already there. | tr: Bu birim zaten var.';
comment on constraint unit_code_shape on crm.unit is 'en: A unit''s code has two or three capital letters and digits, such as C62. | tr: Birim kodu iki ya da üç büyük harf ve rakamdır, örneğin C62.';
comment on constraint unit_name_en_length on crm.unit is 'en: Give an English name of at most 60 characters. | tr: En çok 60 karakterlik bir İngilizce ad verin.';
comment on constraint unit_name_tr_length on crm.unit is 'en: Give a Turkish name of at most 60 characters. | tr: En çok 60 karakterlik bir Türkçe ad verin.';
comment on constraint unit_decimals_range on crm.unit is 'en: A quantity has 0 to 3 decimal digits. | tr: Miktarın 0 ile 3 arasında ondalık basamağı olur.';
select crm.protect('crm.unit', area => 'products', kind => 'common', resource => 'units', bi => true);

set local role none;
set local muhatap.via = 'system:migration';
insert into crm.unit (code, name_en, name_tr, decimals) values
  ('C62', 'piece', 'adet', 0), ('PR', 'pair', 'çift', 0), ('DZN', 'dozen', 'düzine', 0), ('SET', 'set', 'takım', 0), ('CEN', 'hundred', 'yüzlük', 0),
  ('MIL', 'thousand', 'binlik', 0), ('BX', 'box', 'kutu', 0), ('PK', 'pack', 'paket', 0), ('CT', 'carton', 'koli', 0), ('BG', 'bag', 'torba', 0),
  ('SA', 'sack', 'çuval', 0), ('BO', 'bottle', 'şişe', 0), ('CA', 'can', 'teneke', 0), ('JR', 'jar', 'kavanoz', 0), ('RO', 'roll', 'rulo', 0),
  ('PF', 'pallet', 'palet', 0), ('CR', 'crate', 'kasa', 0), ('BE', 'bundle', 'demet', 0), ('TU', 'tube', 'tüp', 0),
  ('GRM', 'gram', 'gram', 3), ('MGM', 'milligram', 'miligram', 3), ('KGM', 'kilogram', 'kilogram', 3), ('TNE', 'tonne', 'ton', 3),
  ('LBR', 'pound', 'libre', 3), ('ONZ', 'ounce', 'ons', 3),
  ('MMT', 'millimetre', 'milimetre', 3), ('CMT', 'centimetre', 'santimetre', 3), ('MTR', 'metre', 'metre', 3), ('KMT', 'kilometre', 'kilometre', 3),
  ('INH', 'inch', 'inç', 3), ('FOT', 'foot', 'fit', 3), ('CMK', 'square centimetre', 'santimetrekare', 3), ('MTK', 'square metre', 'metrekare', 3),
  ('MTQ', 'cubic metre', 'metreküp', 3), ('CMQ', 'cubic centimetre', 'santimetreküp', 3), ('MLT', 'millilitre', 'mililitre', 3), ('CLT', 'centilitre', 'santilitre', 3),
  ('LTR', 'litre', 'litre', 3), ('HLT', 'hectolitre', 'hektolitre', 3), ('GLL', 'US gallon', 'ABD galonu', 3),
  ('SEC', 'second', 'saniye', 3), ('MIN', 'minute', 'dakika', 3), ('HUR', 'hour', 'saat', 3), ('DAY', 'day', 'gün', 3), ('WEE', 'week', 'hafta', 3),
  ('MON', 'month', 'ay', 3), ('ANN', 'year', 'yıl', 3), ('KWH', 'kilowatt hour', 'kilovatsaat', 3), ('WHR', 'watt hour', 'vatsaat', 3), ('KWT', 'kilowatt', 'kilovat', 3),
  ('KJO', 'kilojoule', 'kilojul', 3), ('AMP', 'ampere', 'amper', 3), ('SM3', 'standard cubic metre', 'standart metreküp', 3), ('E34', 'gigabyte', 'gigabayt', 3),
  ('LS', 'lump sum', 'götürü', 0);
set local role crm_owner;

alter table crm.product
  add column unit_code text not null default 'C62', add column vat_rate numeric(5,2) not null default 20, add column cost numeric(18,6),
  add column tracked boolean not null default true;
set local role none;
set local muhatap.via = 'system:migration';
update crm.product set unit_code = known.code
from (values
  ('kg', 'KGM'), ('kilogram', 'KGM'), ('g', 'GRM'), ('gr', 'GRM'), ('gram', 'GRM'), ('ton', 'TNE'), ('l', 'LTR'), ('lt', 'LTR'), ('litre', 'LTR'),
  ('liter', 'LTR'), ('m', 'MTR'), ('mt', 'MTR'), ('metre', 'MTR'), ('meter', 'MTR'), ('m2', 'MTK'), ('m3', 'MTQ'), ('hour', 'HUR'), ('saat', 'HUR'),
  ('day', 'DAY'), ('gün', 'DAY'), ('month', 'MON'), ('ay', 'MON'), ('box', 'BX'), ('kutu', 'BX'), ('pack', 'PK'), ('paket', 'PK'), ('koli', 'CT'),
  ('pair', 'PR'), ('çift', 'PR'), ('set', 'SET'), ('takım', 'SET'), ('dozen', 'DZN'), ('düzine', 'DZN')
) as known (name, code) where lower(btrim(unit)) = known.name;
set local role crm_owner;
alter table crm.product drop column unit;
alter table crm.product
  add constraint product_unit_code_exists foreign key (unit_code) references crm.unit (code),
  add constraint product_vat_rate_range check (vat_rate between 0 and 100),
  add constraint product_cost_positive check (cost >= 0 and cost <> 'NaN');
comment on column crm.product.unit_code is 'What a quantity of 1 means (UN/ECE code): C62 is a piece, KGM a kilogram.';
comment on column crm.product.vat_rate is 'VAT in percent, such as 20.';
comment on column crm.product.cost is 'What one unit costs the company, in Turkish lira; null if it is not known.';
comment on column crm.product.tracked is 'Whether stock is kept of it; false for services and the like.';
comment on constraint product_unit_code_exists on crm.product is 'en: There is no such unit; see /v1/units. | tr: Böyle bir birim yok; /v1/units adresine bakın.';
comment on constraint product_vat_rate_range on crm.product is 'en: VAT is 0 to 100 percent. | tr: KDV oranı yüzde 0 ile 100 arasındadır.';
comment on constraint product_cost_positive on crm.product is 'en: A cost is a number and not below zero. | tr: Maliyet bir sayıdır ve sıfırdan küçük olamaz.';
select crm.protect('crm.product', area => 'products', kind => 'reference', resource => 'products', verbs => '{select,insert,update,delete}', bi => true);
