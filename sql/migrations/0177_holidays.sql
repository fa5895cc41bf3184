-- Public holidays and half days by country, and business days counted with them: the deadlines of the registry of consents, and business calendars that follow a country.
set local role crm_owner;

create table crm.holiday (
  id         uuid        not null default crm.uuid_v7(),
  country    text        not null default 'TR',
  day        date        not null,
  closes_at  time,
  name       text        not null,
  name_tr    text        not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint holiday_id_primary primary key (id),
  constraint holiday_day_unique unique (country, day),
  constraint holiday_country_shape check (country ~ '^[A-Z]{2}$'),
  constraint holiday_day_finite check (isfinite(day)),
  constraint holiday_name_length check (length(btrim(name)) between 1 and 200 and length(btrim(name_tr)) between 1 and 200)
);
comment on table crm.holiday is 'Public holidays and half days. Religious ones follow the moon and are announced: add the years to come. A year that is missing has no holidays, so deadlines fall earlier, never later.';
comment on column crm.holiday.country is 'ISO 3166-1 letters, such as TR.';
comment on column crm.holiday.day is 'The day.';
comment on column crm.holiday.closes_at is 'From when on it is a holiday, on a half day; null for a whole day.';
comment on column crm.holiday.name is 'Name in English.';
comment on column crm.holiday.name_tr is 'Name in Turkish.';
comment on constraint holiday_day_unique on crm.holiday is 'en: This day is already a holiday in this country. | tr: Bu gün bu ülkede zaten tatil.';
comment on constraint holiday_country_shape on crm.holiday is 'en: A country has two capital letters, such as TR. | tr: Ülke iki büyük harftir, örneğin TR.';
comment on constraint holiday_day_finite on crm.holiday is 'en: Give a real day. | tr: Gerçek bir gün verin.';
comment on constraint holiday_name_length on crm.holiday is 'en: Give names of at most 200 characters in both languages. | tr: İki dilde en çok 200 karakterlik adlar verin.';
select crm.protect('crm.holiday', area => 'admin', kind => 'common', resource => 'holidays', verbs => '{select,insert,update,delete}', bi => true);

create policy holiday_keep on crm.holiday to crm_owner using (true) with check (true);
insert into crm.holiday (country, day, closes_at, name, name_tr) values
  ('TR', '2023-01-01', null, 'New Year''s Day', 'Yılbaşı'),
  ('TR', '2023-04-20', '13:00', 'Eve of Ramadan Feast', 'Ramazan Bayramı arifesi'),
  ('TR', '2023-04-21', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2023-04-22', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2023-04-23', null, 'Ramadan Feast; National Sovereignty and Children''s Day', 'Ramazan Bayramı; Ulusal Egemenlik ve Çocuk Bayramı'),
  ('TR', '2023-05-01', null, 'Labour and Solidarity Day', 'Emek ve Dayanışma Günü'),
  ('TR', '2023-05-19', null, 'Commemoration of Atatürk, Youth and Sports Day', 'Atatürk''ü Anma, Gençlik ve Spor Bayramı'),
  ('TR', '2023-06-27', '13:00', 'Eve of Feast of Sacrifice', 'Kurban Bayramı arifesi'),
  ('TR', '2023-06-28', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2023-06-29', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2023-06-30', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2023-07-01', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2023-07-15', null, 'Democracy and National Unity Day', 'Demokrasi ve Millî Birlik Günü'),
  ('TR', '2023-08-30', null, 'Victory Day', 'Zafer Bayramı'),
  ('TR', '2023-10-28', '13:00', 'Eve of Republic Day', 'Cumhuriyet Bayramı arifesi'),
  ('TR', '2023-10-29', null, 'Republic Day', 'Cumhuriyet Bayramı'),
  ('TR', '2024-01-01', null, 'New Year''s Day', 'Yılbaşı'),
  ('TR', '2024-04-09', '13:00', 'Eve of Ramadan Feast', 'Ramazan Bayramı arifesi'),
  ('TR', '2024-04-10', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2024-04-11', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2024-04-12', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2024-04-23', null, 'National Sovereignty and Children''s Day', 'Ulusal Egemenlik ve Çocuk Bayramı'),
  ('TR', '2024-05-01', null, 'Labour and Solidarity Day', 'Emek ve Dayanışma Günü'),
  ('TR', '2024-05-19', null, 'Commemoration of Atatürk, Youth and Sports Day', 'Atatürk''ü Anma, Gençlik ve Spor Bayramı'),
  ('TR', '2024-06-15', '13:00', 'Eve of Feast of Sacrifice', 'Kurban Bayramı arifesi'),
  ('TR', '2024-06-16', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2024-06-17', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2024-06-18', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2024-06-19', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2024-07-15', null, 'Democracy and National Unity Day', 'Demokrasi ve Millî Birlik Günü'),
  ('TR', '2024-08-30', null, 'Victory Day', 'Zafer Bayramı'),
  ('TR', '2024-10-28', '13:00', 'Eve of Republic Day', 'Cumhuriyet Bayramı arifesi'),
  ('TR', '2024-10-29', null, 'Republic Day', 'Cumhuriyet Bayramı'),
  ('TR', '2025-01-01', null, 'New Year''s Day', 'Yılbaşı'),
  ('TR', '2025-03-29', '13:00', 'Eve of Ramadan Feast', 'Ramazan Bayramı arifesi'),
  ('TR', '2025-03-30', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2025-03-31', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2025-04-01', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2025-04-23', null, 'National Sovereignty and Children''s Day', 'Ulusal Egemenlik ve Çocuk Bayramı'),
  ('TR', '2025-05-01', null, 'Labour and Solidarity Day', 'Emek ve Dayanışma Günü'),
  ('TR', '2025-05-19', null, 'Commemoration of Atatürk, Youth and Sports Day', 'Atatürk''ü Anma, Gençlik ve Spor Bayramı'),
  ('TR', '2025-06-05', '13:00', 'Eve of Feast of Sacrifice', 'Kurban Bayramı arifesi'),
  ('TR', '2025-06-06', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2025-06-07', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2025-06-08', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2025-06-09', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2025-07-15', null, 'Democracy and National Unity Day', 'Demokrasi ve Millî Birlik Günü'),
  ('TR', '2025-08-30', null, 'Victory Day', 'Zafer Bayramı'),
  ('TR', '2025-10-28', '13:00', 'Eve of Republic Day', 'Cumhuriyet Bayramı arifesi'),
  ('TR', '2025-10-29', null, 'Republic Day', 'Cumhuriyet Bayramı'),
  ('TR', '2026-01-01', null, 'New Year''s Day', 'Yılbaşı'),
  ('TR', '2026-03-19', '13:00', 'Eve of Ramadan Feast', 'Ramazan Bayramı arifesi'),
  ('TR', '2026-03-20', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2026-03-21', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2026-03-22', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2026-04-23', null, 'National Sovereignty and Children''s Day', 'Ulusal Egemenlik ve Çocuk Bayramı'),
  ('TR', '2026-05-01', null, 'Labour and Solidarity Day', 'Emek ve Dayanışma Günü'),
  ('TR', '2026-05-19', null, 'Commemoration of Atatürk, Youth and Sports Day', 'Atatürk''ü Anma, Gençlik ve Spor Bayramı'),
  ('TR', '2026-05-26', '13:00', 'Eve of Feast of Sacrifice', 'Kurban Bayramı arifesi'),
  ('TR', '2026-05-27', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2026-05-28', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2026-05-29', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2026-05-30', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2026-07-15', null, 'Democracy and National Unity Day', 'Demokrasi ve Millî Birlik Günü'),
  ('TR', '2026-08-30', null, 'Victory Day', 'Zafer Bayramı'),
  ('TR', '2026-10-28', '13:00', 'Eve of Republic Day', 'Cumhuriyet Bayramı arifesi'),
  ('TR', '2026-10-29', null, 'Republic Day', 'Cumhuriyet Bayramı'),
  ('TR', '2027-01-01', null, 'New Year''s Day', 'Yılbaşı'),
  ('TR', '2027-03-08', '13:00', 'Eve of Ramadan Feast', 'Ramazan Bayramı arifesi'),
  ('TR', '2027-03-09', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2027-03-10', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2027-03-11', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2027-04-23', null, 'National Sovereignty and Children''s Day', 'Ulusal Egemenlik ve Çocuk Bayramı'),
  ('TR', '2027-05-01', null, 'Labour and Solidarity Day', 'Emek ve Dayanışma Günü'),
  ('TR', '2027-05-15', '13:00', 'Eve of Feast of Sacrifice', 'Kurban Bayramı arifesi'),
  ('TR', '2027-05-16', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2027-05-17', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2027-05-18', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2027-05-19', null, 'Commemoration of Atatürk, Youth and Sports Day; Feast of Sacrifice', 'Atatürk''ü Anma, Gençlik ve Spor Bayramı; Kurban Bayramı'),
  ('TR', '2027-07-15', null, 'Democracy and National Unity Day', 'Demokrasi ve Millî Birlik Günü'),
  ('TR', '2027-08-30', null, 'Victory Day', 'Zafer Bayramı'),
  ('TR', '2027-10-28', '13:00', 'Eve of Republic Day', 'Cumhuriyet Bayramı arifesi'),
  ('TR', '2027-10-29', null, 'Republic Day', 'Cumhuriyet Bayramı'),
  ('TR', '2028-01-01', null, 'New Year''s Day', 'Yılbaşı'),
  ('TR', '2028-02-25', '13:00', 'Eve of Ramadan Feast', 'Ramazan Bayramı arifesi'),
  ('TR', '2028-02-26', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2028-02-27', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2028-02-28', null, 'Ramadan Feast', 'Ramazan Bayramı'),
  ('TR', '2028-04-23', null, 'National Sovereignty and Children''s Day', 'Ulusal Egemenlik ve Çocuk Bayramı'),
  ('TR', '2028-05-01', null, 'Labour and Solidarity Day', 'Emek ve Dayanışma Günü'),
  ('TR', '2028-05-04', '13:00', 'Eve of Feast of Sacrifice', 'Kurban Bayramı arifesi'),
  ('TR', '2028-05-05', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2028-05-06', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2028-05-07', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2028-05-08', null, 'Feast of Sacrifice', 'Kurban Bayramı'),
  ('TR', '2028-05-19', null, 'Commemoration of Atatürk, Youth and Sports Day', 'Atatürk''ü Anma, Gençlik ve Spor Bayramı'),
  ('TR', '2028-07-15', null, 'Democracy and National Unity Day', 'Demokrasi ve Millî Birlik Günü'),
  ('TR', '2028-08-30', null, 'Victory Day', 'Zafer Bayramı'),
  ('TR', '2028-10-28', '13:00', 'Eve of Republic Day', 'Cumhuriyet Bayramı arifesi'),
  ('TR', '2028-10-29', null, 'Republic Day', 'Cumhuriyet Bayramı');

create function crm.is_business_day(day date, of_country text default 'TR') returns boolean language sql stable
  return extract(isodow from day) < 6 and not exists (select from crm.holiday as h where h.country = of_country and h.day = is_business_day.day and h.closes_at is null);
comment on function crm.is_business_day(date, text) is 'Whether a day is neither Saturday, Sunday nor a whole holiday; half days are business days.';

create function crm.add_business_days(from_day date, days integer, of_country text default 'TR') returns date language sql stable return (
  select d.day from (
    select from_day + n as day, row_number() over (order by n) as place from generate_series(1, days * 2 + 30) as n where crm.is_business_day(from_day + n, of_country)
  ) as d where d.place = days);
comment on function crm.add_business_days(date, integer, text) is 'The day so many business days (1 and more) after a day, which is not counted itself.';

create function crm.business_deadline(instant timestamptz, days integer) returns timestamptz language sql stable
  return (crm.add_business_days(crm.business_day(instant), days) + 1)::timestamp at time zone 'Europe/Istanbul';
comment on function crm.business_deadline(timestamptz, integer) is 'The end, in Türkiye, of the day so many Turkish business days after an instant: by then it must have been done.';

-- The key is made once and never changed, not even by the system.
select crm.protect('crm.address_key', area => 'admin', kind => 'reference', verbs => '{select}', reason => 'It is a secret, made once.');
