-- Invoices: drafts that people edit, and issued ones that nobody changes any more.
--
-- An issued invoice is out of reach by policy: the restrictive policies at the end let crm_app and crm_worker touch drafts only. Its lines carry the
-- invoice's status through a composite foreign key, so no line can reach, leave or change within an issued invoice either. What happens to an
-- invoice later (payments, credits, its way as an e-invoice) is kept in tables of its own.
set local role crm_owner;

-- Who we are on an invoice ----------------------------------------------------------------------------------------------------------

create table crm.company_profile (
  id           uuid        not null default crm.uuid_v7(),
  code         text        not null,
  name         text        not null,
  tax_number   text        not null,
  tax_office   text        not null,
  trade_number text,
  mersis       text,
  street       text        not null,
  district     text        not null,
  city         text        not null,
  postal_code  text,
  country      text        not null default 'TR',
  phone        text,
  email        text,
  website      text,
  active       boolean     not null default true,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  version      integer     not null default 1,
  created_by   uuid        default crm.caller_id(),
  constraint company_profile_id_primary primary key (id),
  constraint company_profile_code_unique unique (code),
  constraint company_profile_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint company_profile_name_length check (length(btrim(name)) between 1 and 300),
  constraint company_profile_tax_number_valid check (crm.valid_vkn(tax_number) or crm.valid_tckn(tax_number)),
  constraint company_profile_address_given check (length(btrim(tax_office)) > 0 and length(btrim(street)) > 0 and length(btrim(district)) > 0 and length(btrim(city)) > 0),
  constraint company_profile_country_shape check (country ~ '^[A-Z]{2}$'),
  constraint company_profile_email_valid check (crm.valid_email(email))
);
comment on table crm.company_profile is 'A company of ours that invoices: the seller''s identity, copied to every invoice when it is issued.';
comment on column crm.company_profile.code is 'Short stable name, such as main.';
comment on column crm.company_profile.name is 'Registered title.';
comment on column crm.company_profile.tax_number is 'Tax number (VKN), or identity number (TCKN) of a sole trader.';
comment on column crm.company_profile.tax_office is 'Name of the tax office.';
comment on column crm.company_profile.trade_number is 'Number in the trade registry.';
comment on column crm.company_profile.mersis is 'Number in the central registry (MERSİS).';
comment on column crm.company_profile.street is 'Street, number, flat.';
comment on column crm.company_profile.district is 'District (ilçe).';
comment on column crm.company_profile.city is 'City.';
comment on column crm.company_profile.postal_code is 'Postal code.';
comment on column crm.company_profile.country is 'ISO 3166-1 letters, such as TR.';
comment on column crm.company_profile.phone is 'Telephone number.';
comment on column crm.company_profile.email is 'E-mail address.';
comment on column crm.company_profile.website is 'Web address.';
comment on column crm.company_profile.active is 'Whether new invoices may be written in its name.';
comment on constraint company_profile_code_unique on crm.company_profile is 'en: Another company already has this code. | tr: Bu kod başka bir şirkette kullanılıyor.';
comment on constraint company_profile_code_shape on crm.company_profile is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint company_profile_name_length on crm.company_profile is 'en: Give the registered title, at most 300 characters. | tr: En çok 300 karakterlik ticaret unvanını verin.';
comment on constraint company_profile_tax_number_valid on crm.company_profile is 'en: This is neither a valid tax number (VKN) nor a valid identity number (TCKN). | tr: Geçerli bir VKN ya da TCKN değil.';
comment on constraint company_profile_address_given on crm.company_profile is 'en: Tax office, street, district and city must be given. | tr: Vergi dairesi, sokak, ilçe ve şehir verilmelidir.';
comment on constraint company_profile_country_shape on crm.company_profile is 'en: A country has two capital letters, such as TR. | tr: Ülke iki büyük harftir, örneğin TR.';
comment on constraint company_profile_email_valid on crm.company_profile is 'en: This is not a valid e-mail address. | tr: Geçerli bir e-posta adresi değil.';

-- Codes of the revenue administration, with the days they are valid ------------------------------------------------------------------

create table crm.withholding_code (
  id          uuid         not null default crm.uuid_v7(),
  code        text         not null,
  name_en     text         not null,
  name_tr     text         not null,
  percent     numeric(5,2) not null,
  valid_from  date         not null,
  valid_until date,
  created_at  timestamptz  not null default now(),
  updated_at  timestamptz  not null default now(),
  version     integer      not null default 1,
  created_by  uuid         default crm.caller_id(),
  constraint withholding_code_id_primary primary key (id),
  constraint withholding_code_code_valid_from_unique unique (code, valid_from),
  constraint withholding_code_code_shape check (code ~ '^[68][0-9]{2}$'),
  constraint withholding_code_percent_range check (percent > 0 and percent <= 100 and percent <> 'NaN'),
  constraint withholding_code_valid_range check (isfinite(valid_from) and isfinite(valid_until) and valid_until >= valid_from)
);
comment on table crm.withholding_code is 'A kind of work whose buyer pays part of the VAT to the tax office (tevkifat), with the share that is withheld.';
comment on column crm.withholding_code.code is 'Code of the revenue administration, such as 602.';
comment on column crm.withholding_code.name_en is 'Name in English.';
comment on column crm.withholding_code.name_tr is 'Name in Turkish, as the administration lists it.';
comment on column crm.withholding_code.percent is 'The part of the VAT that is withheld, in percent.';
comment on column crm.withholding_code.valid_from is 'First day on which the code has this percent.';
comment on column crm.withholding_code.valid_until is 'Last day; null while it is in force.';
comment on constraint withholding_code_code_valid_from_unique on crm.withholding_code is 'en: This code already has a percent from this day. | tr: Bu kodun bu günden başlayan bir oranı zaten var.';
comment on constraint withholding_code_code_shape on crm.withholding_code is 'en: A withholding code has three digits and starts with 6 or 8. | tr: Tevkifat kodu üç rakamdır, 6 ya da 8 ile başlar.';
comment on constraint withholding_code_percent_range on crm.withholding_code is 'en: Give a percent above 0, at most 100. | tr: 0''dan büyük, en çok 100 olan bir yüzde verin.';
comment on constraint withholding_code_valid_range on crm.withholding_code is 'en: The last day cannot be before the first. | tr: Son gün ilk günden önce olamaz.';

create table crm.exemption_code (
  id          uuid        not null default crm.uuid_v7(),
  code        text        not null,
  kind        text        not null,
  name_en     text        not null,
  name_tr     text        not null,
  valid_from  date        not null,
  valid_until date,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint exemption_code_id_primary primary key (id),
  constraint exemption_code_code_valid_from_unique unique (code, valid_from),
  constraint exemption_code_code_shape check (code ~ '^[0-9]{3}$'),
  constraint exemption_code_kind_known check (kind in ('full', 'partial', 'other')),
  constraint exemption_code_valid_range check (isfinite(valid_from) and isfinite(valid_until) and valid_until >= valid_from)
);
comment on table crm.exemption_code is 'A reason in law for which a line bears no VAT.';
comment on column crm.exemption_code.code is 'Code of the revenue administration, such as 301.';
comment on column crm.exemption_code.kind is 'full: with the right to deduct (3xx). partial: without (2xx). other: no exemption in law, such as 351.';
comment on column crm.exemption_code.name_en is 'Reason in English.';
comment on column crm.exemption_code.name_tr is 'Reason in Turkish, as it stands on the invoice.';
comment on column crm.exemption_code.valid_from is 'First day it may be used.';
comment on column crm.exemption_code.valid_until is 'Last day; null while it is in force.';
comment on constraint exemption_code_code_valid_from_unique on crm.exemption_code is 'en: This code is already there from this day. | tr: Bu kod bu günden başlayarak zaten var.';
comment on constraint exemption_code_code_shape on crm.exemption_code is 'en: An exemption code has three digits. | tr: İstisna kodu üç rakamdır.';
comment on constraint exemption_code_kind_known on crm.exemption_code is 'en: The kind is full, partial or other. | tr: Tür full, partial ya da other olabilir.';
comment on constraint exemption_code_valid_range on crm.exemption_code is 'en: The last day cannot be before the first. | tr: Son gün ilk günden önce olamaz.';

-- Series and their counters ---------------------------------------------------------------------------------------------------------

create table crm.invoice_series (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name       text        not null,
  profiles   text[]      not null default '{TEMELFATURA,TICARIFATURA,EARSIVFATURA}',
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint invoice_series_id_primary primary key (id),
  constraint invoice_series_code_unique unique (code),
  constraint invoice_series_code_shape check (code ~ '^[A-Z0-9]{3}$'),
  constraint invoice_series_name_length check (length(btrim(name)) between 1 and 200),
  constraint invoice_series_profiles_known check (cardinality(profiles) > 0 and profiles <@ '{TEMELFATURA,TICARIFATURA,EARSIVFATURA}')
);
comment on table crm.invoice_series is 'A series of invoice numbers; each counts from 1 every year, without a gap.';
comment on column crm.invoice_series.code is 'The three letters or digits that its numbers begin with.';
comment on column crm.invoice_series.name is 'What it is for.';
comment on column crm.invoice_series.profiles is 'The profiles whose invoices it numbers.';
comment on column crm.invoice_series.active is 'Whether new invoices may be numbered in it.';
comment on constraint invoice_series_code_unique on crm.invoice_series is 'en: This series is already there. | tr: Bu seri zaten var.';
comment on constraint invoice_series_code_shape on crm.invoice_series is 'en: A series has three capital letters A–Z or digits. | tr: Seri, üç büyük harf (A–Z) ya da rakamdır.';
comment on constraint invoice_series_name_length on crm.invoice_series is 'en: Say in at most 200 characters what the series is for. | tr: Serinin ne için olduğunu en çok 200 karakterle yazın.';
comment on constraint invoice_series_profiles_known on crm.invoice_series is 'en: Profiles are TEMELFATURA, TICARIFATURA and EARSIVFATURA. | tr: Senaryolar TEMELFATURA, TICARIFATURA ve EARSIVFATURA olabilir.';

create table crm.invoice_counter (
  id             uuid    not null default crm.uuid_v7(),
  series         text    not null,
  year           integer not null,
  last_number    integer not null,
  last_issued_on date    not null,
  previous_on    date    not null,
  constraint invoice_counter_series_primary primary key (series, year),
  constraint invoice_counter_series_exists foreign key (series) references crm.invoice_series (code),
  constraint invoice_counter_year_range check (year between 2000 and 9999),
  constraint invoice_counter_last_number_range check (last_number between 1 and 999999999),
  constraint invoice_counter_days_ordered check (last_issued_on >= previous_on and isfinite(last_issued_on))
);
comment on table crm.invoice_counter is 'The last number of a series in a year. Only the issue of an invoice counts it up, in its own transaction, so that a number exists exactly when its invoice does.';
comment on column crm.invoice_counter.id is 'UUID version 7 of the record.';
comment on column crm.invoice_counter.series is 'The series.';
comment on column crm.invoice_counter.year is 'The year of the issue date.';
comment on column crm.invoice_counter.last_number is 'The last number given.';
comment on column crm.invoice_counter.last_issued_on is 'The issue date of the invoice that has it.';
comment on column crm.invoice_counter.previous_on is 'The issue date of the invoice before it.';
comment on constraint invoice_counter_series_primary on crm.invoice_counter is 'en: A series has one counter a year. | tr: Bir serinin yılda bir sayacı olur.';
comment on constraint invoice_counter_year_range on crm.invoice_counter is 'en: Give an issue date of this millennium. | tr: Bu binyıldan bir düzenleme tarihi verin.';
comment on constraint invoice_counter_last_number_range on crm.invoice_counter is 'en: This series is full for this year; use another. | tr: Bu seri bu yıl için dolu; başka bir seri kullanın.';
comment on constraint invoice_counter_days_ordered on crm.invoice_counter is 'en: A later invoice of this series has already been issued; its issue date cannot be passed backwards. | tr: Bu seride daha sonraki tarihli bir fatura düzenlenmiş; düzenleme tarihi ondan önce olamaz.';

-- When an invoice is to be paid -----------------------------------------------------------------------------------------------------

create table crm.payment_term (
  id              uuid        not null default crm.uuid_v7(),
  code            text        not null,
  name_en         text        not null,
  name_tr         text        not null,
  first_due_days  integer     not null default 0,
  end_of_month    boolean     not null default false,
  instalments     integer     not null default 1,
  interval_months integer     not null default 1,
  active          boolean     not null default true,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint payment_term_id_primary primary key (id),
  constraint payment_term_code_unique unique (code),
  constraint payment_term_code_shape check (code ~ '^[a-z0-9][a-z0-9_]{0,62}$'),
  constraint payment_term_days_range check (first_due_days between 0 and 720),
  constraint payment_term_instalments_range check (instalments between 1 and 60 and interval_months between 1 and 12)
);
comment on table crm.payment_term is 'How long a customer has to pay, and in how many parts.';
comment on column crm.payment_term.code is 'Short stable name, such as net30.';
comment on column crm.payment_term.name_en is 'Name in English.';
comment on column crm.payment_term.name_tr is 'Name in Turkish.';
comment on column crm.payment_term.first_due_days is 'Days from the issue date to the first due date.';
comment on column crm.payment_term.end_of_month is 'Whether due dates move to the last day of their month.';
comment on column crm.payment_term.instalments is 'In how many parts it is paid.';
comment on column crm.payment_term.interval_months is 'Months between two parts.';
comment on column crm.payment_term.active is 'Whether new invoices may use it.';
comment on constraint payment_term_code_unique on crm.payment_term is 'en: Another payment term already has this code. | tr: Bu kod başka bir ödeme koşulunda kullanılıyor.';
comment on constraint payment_term_code_shape on crm.payment_term is 'en: A code has only small letters a–z, digits and underscores. | tr: Kod yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint payment_term_days_range on crm.payment_term is 'en: The first due date is 0 to 720 days after the issue date. | tr: İlk vade, düzenleme tarihinden 0–720 gün sonradır.';
comment on constraint payment_term_instalments_range on crm.payment_term is 'en: 1 to 60 instalments, 1 to 12 months apart. | tr: 1–60 taksit, aralarında 1–12 ay olabilir.';

-- Invoices --------------------------------------------------------------------------------------------------------------------------

create table crm.invoice (
  customer_id          uuid          not null,
  id                   uuid          not null default crm.uuid_v7(),
  status               text          not null default 'draft',
  type                 text          not null default 'SATIS',
  profile              text          not null default 'EARSIVFATURA',
  company_id           uuid          not null,
  order_id             uuid,
  series               text          not null,
  issue_year           integer,
  sequence             integer,
  number               text          generated always as (series || lpad(issue_year::text, 4, '0') || lpad(sequence::text, 9, '0')) stored,
  ettn                 uuid,
  issue_date           date,
  issue_time           time(0),
  currency             text          not null default 'TRY',
  exchange_rate        numeric(18,6),
  payment_term_id      uuid,
  due_on               date,
  returned_invoice_id  uuid,
  returned_number      text,
  returned_on          date,
  note                 text,
  buyer_name           text,
  buyer_first_name     text,
  buyer_family_name    text,
  buyer_tax_number     text,
  buyer_tax_office     text,
  buyer_street         text,
  buyer_district       text,
  buyer_city           text,
  buyer_postal_code    text,
  buyer_country        text,
  buyer_email          text,
  seller_name          text,
  seller_tax_number    text,
  seller_tax_office    text,
  seller_trade_number  text,
  seller_mersis        text,
  seller_street        text,
  seller_district      text,
  seller_city          text,
  seller_postal_code   text,
  seller_country       text,
  gross_amount         numeric(18,2) not null default 0,
  discount_amount      numeric(18,2) not null default 0,
  net_amount           numeric(18,2) not null default 0,
  vat_amount           numeric(18,2) not null default 0,
  withholding_amount   numeric(18,2) not null default 0,
  total_amount         numeric(18,2) generated always as (net_amount + vat_amount) stored,
  payable_amount       numeric(18,2) generated always as (net_amount + vat_amount - withholding_amount) stored,
  department_id        uuid          not null,
  owner_id             uuid,
  visibility           text          not null default 'company',
  audience             uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at           timestamptz   not null default now(),
  updated_at           timestamptz   not null default now(),
  version              integer       not null default 1,
  created_by           uuid          default crm.caller_id(),
  constraint invoice_id_primary primary key (customer_id, id),
  constraint invoice_id_status_unique unique (customer_id, id, status),
  constraint invoice_number_unique unique (customer_id, number),
  constraint invoice_ettn_unique unique (customer_id, ettn),
  constraint invoice_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint invoice_company_id_exists foreign key (company_id) references crm.company_profile (id),
  constraint invoice_order_id_exists foreign key (customer_id, order_id) references crm.sales_order (customer_id, id),
  constraint invoice_series_exists foreign key (series) references crm.invoice_series (code),
  constraint invoice_currency_exists foreign key (currency) references crm.currency (code),
  constraint invoice_payment_term_id_exists foreign key (payment_term_id) references crm.payment_term (id),
  constraint invoice_returned_invoice_id_exists foreign key (customer_id, returned_invoice_id) references crm.invoice (customer_id, id),
  constraint invoice_department_id_exists foreign key (department_id) references crm.department (id),
  constraint invoice_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint invoice_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint invoice_owner_id_private check (visibility <> 'private' or owner_id is not null),
  constraint invoice_status_known check (status in ('draft', 'issued')),
  constraint invoice_type_known check (type in ('SATIS', 'IADE', 'TEVKIFAT', 'ISTISNA')),
  constraint invoice_profile_known check (profile in ('TEMELFATURA', 'TICARIFATURA', 'EARSIVFATURA')),
  constraint invoice_return_profile check (type <> 'IADE' or profile <> 'TICARIFATURA'),
  constraint invoice_return_reference check ((type = 'IADE') = (returned_number is not null) and (returned_number is null) = (returned_on is null)),
  constraint invoice_returned_number_shape check (returned_number ~ '^[A-Z0-9]{3}[0-9]{13}$'),
  constraint invoice_exchange_rate_given check (exchange_rate > 0 and exchange_rate <> 'NaN' and (currency <> 'TRY' or exchange_rate = 1)),
  constraint invoice_amounts_number check ('NaN' <> all (array[gross_amount, discount_amount, net_amount, vat_amount, withholding_amount, total_amount, payable_amount])),
  constraint invoice_amounts_positive check (net_amount >= 0 and vat_amount >= 0 and withholding_amount between 0 and net_amount + vat_amount and gross_amount = net_amount + discount_amount),
  constraint invoice_note_length check (length(note) <= 4000),
  constraint invoice_buyer_tax_number_valid check (crm.valid_vkn(buyer_tax_number) or crm.valid_tckn(buyer_tax_number)),
  constraint invoice_draft_unnumbered check (status = 'issued' or num_nonnulls(issue_year, sequence, ettn, issue_date, issue_time, due_on, seller_name) = 0),
  constraint invoice_issued_complete check (status = 'draft' or num_nulls(issue_year, sequence, ettn, issue_date, issue_time, due_on, exchange_rate,
    buyer_name, buyer_tax_number, buyer_street, buyer_district, buyer_city, buyer_country,
    seller_name, seller_tax_number, seller_tax_office, seller_street, seller_district, seller_city, seller_country) = 0),
  constraint invoice_buyer_identified check (status = 'draft'
    or length(buyer_tax_number) = 10 and buyer_tax_office is not null or length(buyer_tax_number) = 11 and num_nulls(buyer_first_name, buyer_family_name) = 0)
);
comment on table crm.invoice is 'What a customer owes for what was sold. A draft is edited; once issued it has a number and nobody changes it any more. A credit note is an invoice of type IADE.';
comment on column crm.invoice.status is 'draft or issued.';
comment on column crm.invoice.type is 'SATIS: a sale. IADE: a return, which credits another invoice. TEVKIFAT: the buyer withholds part of the VAT. ISTISNA: exempt from VAT.';
comment on column crm.invoice.profile is 'TEMELFATURA or TICARIFATURA for registered e-Fatura users, EARSIVFATURA for everybody else.';
comment on column crm.invoice.company_id is 'The company of ours in whose name it is written.';
comment on column crm.invoice.order_id is 'The order it invoices.';
comment on column crm.invoice.series is 'The series it is numbered in.';
comment on column crm.invoice.issue_year is 'Year of the issue date, part of the number.';
comment on column crm.invoice.sequence is 'Its place in the series and year, from 1, without gaps.';
comment on column crm.invoice.number is 'Series, year and nine digits, such as MUH2026000000001; null on a draft.';
comment on column crm.invoice.ettn is 'The document''s universal identifier, given when it is issued and never again.';
comment on column crm.invoice.issue_date is 'The day it was issued, in Türkiye.';
comment on column crm.invoice.issue_time is 'The time it was issued, in Türkiye.';
comment on column crm.invoice.currency is 'Currency of all its amounts.';
comment on column crm.invoice.exchange_rate is 'Lira for one unit of its currency on the issue date; 1 for lira.';
comment on column crm.invoice.payment_term_id is 'When it is to be paid; null: at once.';
comment on column crm.invoice.due_on is 'The first day on which something of it is due.';
comment on column crm.invoice.returned_invoice_id is 'The invoice that this credit note takes back, if it was issued here.';
comment on column crm.invoice.returned_number is 'Its number.';
comment on column crm.invoice.returned_on is 'Its issue date.';
comment on column crm.invoice.note is 'What the customer reads on it.';
comment on column crm.invoice.buyer_name is 'personal: the buyer''s title or full name; on a draft only what differs from the customer''s, as for all that follows.';
comment on column crm.invoice.buyer_first_name is 'personal: first name of a person.';
comment on column crm.invoice.buyer_family_name is 'personal: family name of a person.';
comment on column crm.invoice.buyer_tax_number is 'personal: tax number (VKN) or identity number (TCKN).';
comment on column crm.invoice.buyer_tax_office is 'Name of the tax office.';
comment on column crm.invoice.buyer_street is 'personal: street, number, flat.';
comment on column crm.invoice.buyer_district is 'District (ilçe).';
comment on column crm.invoice.buyer_city is 'City.';
comment on column crm.invoice.buyer_postal_code is 'Postal code.';
comment on column crm.invoice.buyer_country is 'ISO 3166-1 letters, such as TR.';
comment on column crm.invoice.buyer_email is 'personal: where an e-Arşiv invoice is sent.';
comment on column crm.invoice.seller_name is 'Our registered title when it was issued, as all that follows.';
comment on column crm.invoice.seller_tax_number is 'Our tax number.';
comment on column crm.invoice.seller_tax_office is 'Our tax office.';
comment on column crm.invoice.seller_trade_number is 'Our number in the trade registry.';
comment on column crm.invoice.seller_mersis is 'Our number in the central registry.';
comment on column crm.invoice.seller_street is 'Our street, number, flat.';
comment on column crm.invoice.seller_district is 'Our district.';
comment on column crm.invoice.seller_city is 'Our city.';
comment on column crm.invoice.seller_postal_code is 'Our postal code.';
comment on column crm.invoice.seller_country is 'Our country.';
comment on column crm.invoice.gross_amount is 'Sum of its lines before discounts, without VAT.';
comment on column crm.invoice.discount_amount is 'Sum of the discounts of its lines.';
comment on column crm.invoice.net_amount is 'Sum of its lines, without VAT.';
comment on column crm.invoice.vat_amount is 'VAT: for each rate the rate of the sum of its lines, rounded half up.';
comment on column crm.invoice.withholding_amount is 'The part of the VAT that the buyer pays to the tax office.';
comment on column crm.invoice.total_amount is 'Net amount and VAT.';
comment on column crm.invoice.payable_amount is 'What the buyer pays us: the total without what is withheld.';
comment on constraint invoice_id_status_unique on crm.invoice is 'en: An invoice has one status. | tr: Bir faturanın tek bir durumu olur.';
comment on constraint invoice_number_unique on crm.invoice is 'en: This invoice number is already in use. | tr: Bu fatura numarası zaten kullanılıyor.';
comment on constraint invoice_ettn_unique on crm.invoice is 'en: This ETTN is already in use. | tr: Bu ETTN zaten kullanılıyor.';
comment on constraint invoice_status_known on crm.invoice is 'en: An invoice is a draft or issued. | tr: Fatura draft ya da issued olabilir.';
comment on constraint invoice_type_known on crm.invoice is 'en: The type is SATIS, IADE, TEVKIFAT or ISTISNA. | tr: Tip SATIS, IADE, TEVKIFAT ya da ISTISNA olabilir.';
comment on constraint invoice_profile_known on crm.invoice is 'en: The profile is TEMELFATURA, TICARIFATURA or EARSIVFATURA. | tr: Senaryo TEMELFATURA, TICARIFATURA ya da EARSIVFATURA olabilir.';
comment on constraint invoice_return_profile on crm.invoice is 'en: A return cannot be a TICARIFATURA; use TEMELFATURA or EARSIVFATURA. | tr: İade faturası TICARIFATURA olamaz; TEMELFATURA ya da EARSIVFATURA kullanın.';
comment on constraint invoice_return_reference on crm.invoice is 'en: A return, and nothing else, names the number and date of the invoice it takes back. | tr: Yalnızca iade faturası, iade edilen faturanın numarasını ve tarihini taşır.';
comment on constraint invoice_returned_number_shape on crm.invoice is 'en: An invoice number has three capital letters or digits, the year and nine digits. | tr: Fatura numarası üç büyük harf ya da rakam, yıl ve dokuz rakamdır.';
comment on constraint invoice_exchange_rate_given on crm.invoice is 'en: Give an exchange rate above 0; for TRY it is 1. | tr: 0''dan büyük bir kur verin; TRY için kur 1''dir.';
comment on constraint invoice_amounts_number on crm.invoice is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint invoice_amounts_positive on crm.invoice is 'en: Amounts are not negative and agree with each other. | tr: Tutarlar eksi olamaz ve birbirini tutmalıdır.';
comment on constraint invoice_note_length on crm.invoice is 'en: A note has at most 4,000 characters. | tr: Not en çok 4.000 karakterdir.';
comment on constraint invoice_buyer_tax_number_valid on crm.invoice is 'en: This is neither a valid tax number (VKN) nor a valid identity number (TCKN). | tr: Geçerli bir VKN ya da TCKN değil.';
comment on constraint invoice_draft_unnumbered on crm.invoice is 'en: A draft has no number yet. | tr: Taslağın henüz numarası olmaz.';
comment on constraint invoice_issued_complete on crm.invoice is 'en: An issued invoice needs number, date, rate, buyer and seller. | tr: Düzenlenen faturada numara, tarih, kur, alıcı ve satıcı bilgileri bulunmalıdır.';
comment on constraint invoice_buyer_identified on crm.invoice is 'en: A buyer has a tax number and a tax office, or an identity number with first and family name. | tr: Alıcının vergi numarası ve vergi dairesi ya da kimlik numarası ile adı ve soyadı bulunmalıdır.';
create index invoice_id_index on crm.invoice (id);
create index invoice_issue_date_index on crm.invoice (issue_date, id);
create index invoice_order_id_index on crm.invoice (customer_id, order_id) where order_id is not null;
create index invoice_returned_invoice_id_index on crm.invoice (customer_id, returned_invoice_id) where returned_invoice_id is not null;
create index invoice_series_index on crm.invoice (series, issue_year, sequence);

create table crm.invoice_line (
  customer_id         uuid          not null,
  id                  uuid          not null default crm.uuid_v7(),
  invoice_id          uuid          not null,
  invoice_status      text          not null default 'draft',
  line_number         integer       not null,
  product_id          uuid,
  order_id            uuid,
  order_line_number   integer,
  returned_line_id    uuid,
  description         text          not null,
  quantity            numeric(18,3) not null,
  unit_code           text          not null default 'C62',
  unit_price          numeric(18,6) not null,
  unit_cost           numeric(18,6),
  discount_percent    numeric(5,2)  not null default 0,
  vat_rate            numeric(5,2)  not null,
  withholding_code    text,
  withholding_percent numeric(5,2),
  exemption_code      text,
  exemption_reason    text,
  gross_amount        numeric(18,2) generated always as (round(quantity * unit_price, 2)) stored,
  net_amount          numeric(18,2) generated always as (round(quantity * unit_price * (1 - discount_percent / 100), 2)) stored,
  vat_amount          numeric(18,2) not null default 0,
  withholding_amount  numeric(18,2) not null default 0,
  department_id       uuid          not null,
  owner_id            uuid,
  audience            uuid,
  created_at          timestamptz   not null default now(),
  updated_at          timestamptz   not null default now(),
  created_by          uuid          default crm.caller_id(),
  constraint invoice_line_line_number_primary primary key (customer_id, invoice_id, line_number),
  constraint invoice_line_id_unique unique (customer_id, id),
  constraint invoice_line_invoice_id_exists foreign key (customer_id, invoice_status, invoice_id) references crm.invoice (customer_id, status, id)
    on update cascade on delete cascade,
  constraint invoice_line_product_id_exists foreign key (product_id) references crm.product (id),
  constraint invoice_line_order_line_exists foreign key (customer_id, order_id, order_line_number) references crm.sales_order_line (customer_id, order_id, line_number),
  constraint invoice_line_returned_line_id_exists foreign key (customer_id, returned_line_id) references crm.invoice_line (customer_id, id),
  constraint invoice_line_order_line_given check ((order_id is null) = (order_line_number is null)),
  constraint invoice_line_line_number_positive check (line_number > 0),
  constraint invoice_line_description_length check (length(btrim(description)) between 1 and 500),
  constraint invoice_line_quantity_positive check (quantity > 0 and quantity <> 'NaN'),
  constraint invoice_line_unit_code_exists foreign key (unit_code) references crm.unit (code),
  constraint invoice_line_unit_price_positive check (unit_price >= 0 and unit_price <> 'NaN'),
  constraint invoice_line_unit_cost_positive check (unit_cost >= 0 and unit_cost <> 'NaN'),
  constraint invoice_line_discount_percent_range check (discount_percent between 0 and 100 and discount_percent <> 'NaN'),
  constraint invoice_line_vat_rate_range check (vat_rate between 0 and 100 and vat_rate <> 'NaN'),
  constraint invoice_line_withholding_whole check ((withholding_code is null) = (withholding_percent is null)
    and (withholding_percent is null or withholding_percent between 0 and 100 and withholding_percent <> 'NaN' and vat_rate > 0)),
  constraint invoice_line_exemption_whole check ((exemption_code is null) = (exemption_reason is null) and (exemption_code is null or vat_rate = 0)),
  constraint invoice_line_amounts_number check ('NaN' <> all (array[gross_amount, net_amount, vat_amount, withholding_amount])),
  constraint invoice_line_amounts_range check (vat_amount >= 0 and withholding_amount >= 0)
);
comment on table crm.invoice_line is 'Something sold, on an invoice.';
comment on column crm.invoice_line.invoice_id is 'The invoice it is on.';
comment on column crm.invoice_line.invoice_status is 'The invoice''s status, kept by the foreign key; only lines of drafts can be changed.';
comment on column crm.invoice_line.line_number is 'Its place on the invoice.';
comment on column crm.invoice_line.product_id is 'The product sold; null for what is no product of ours, such as carriage.';
comment on column crm.invoice_line.order_id is 'The order of the order line it invoices.';
comment on column crm.invoice_line.order_line_number is 'The order line it invoices.';
comment on column crm.invoice_line.returned_line_id is 'On a credit note: the line it takes back.';
comment on column crm.invoice_line.description is 'What the invoice calls it.';
comment on column crm.invoice_line.quantity is 'How many units.';
comment on column crm.invoice_line.unit_code is 'Unit as UN/ECE Recommendation 20 codes it, such as C62 for a piece.';
comment on column crm.invoice_line.unit_price is 'Price of one unit before discount and VAT, in the invoice''s currency.';
comment on column crm.invoice_line.unit_cost is 'What a unit costs us, in the invoice''s currency; null if that is not known.';
comment on column crm.invoice_line.discount_percent is 'Discount in percent.';
comment on column crm.invoice_line.vat_rate is 'VAT rate in percent.';
comment on column crm.invoice_line.withholding_code is 'Why the buyer withholds part of the VAT: a code of crm.withholding_code.';
comment on column crm.invoice_line.withholding_percent is 'The part of the VAT that is withheld, in percent, as the code had it on the day.';
comment on column crm.invoice_line.exemption_code is 'Why there is no VAT: a code of crm.exemption_code.';
comment on column crm.invoice_line.exemption_reason is 'The same in words, as they stand on the invoice.';
comment on column crm.invoice_line.gross_amount is 'Quantity times price.';
comment on column crm.invoice_line.net_amount is 'The same less the discount, without VAT.';
comment on column crm.invoice_line.vat_amount is 'VAT. The lines of one rate share the rounding, so that they sum to the rate of their sum; a line may differ by 0.01 from its own.';
comment on column crm.invoice_line.withholding_amount is 'The part of the VAT that is withheld, rounded in the same way.';
comment on constraint invoice_line_line_number_primary on crm.invoice_line is 'en: The invoice already has a line with this number. | tr: Faturada bu numaralı bir satır zaten var.';
comment on constraint invoice_line_id_unique on crm.invoice_line is 'en: A record with this id already exists. | tr: Bu kimliğe sahip bir kayıt zaten var.';
comment on constraint invoice_line_order_line_given on crm.invoice_line is 'en: An order line is named by its order and its number. | tr: Sipariş satırı, siparişi ve numarası ile gösterilir.';
comment on constraint invoice_line_line_number_positive on crm.invoice_line is 'en: Lines are numbered from 1. | tr: Satırlar 1''den başlayarak numaralanır.';
comment on constraint invoice_line_description_length on crm.invoice_line is 'en: Describe it in at most 500 characters. | tr: En çok 500 karakterle tanımlayın.';
comment on constraint invoice_line_quantity_positive on crm.invoice_line is 'en: A quantity is above 0. | tr: Miktar 0''dan büyük olmalıdır.';
comment on constraint invoice_line_unit_code_exists on crm.invoice_line is 'en: A unit is a code of UN/ECE Recommendation 20, such as C62; see /v1/units. | tr: Birim, UN/ECE Rec 20 kodudur, örneğin C62; bkz. /v1/units.';
comment on constraint invoice_line_unit_price_positive on crm.invoice_line is 'en: A price is not negative. | tr: Fiyat eksi olamaz.';
comment on constraint invoice_line_unit_cost_positive on crm.invoice_line is 'en: A cost is not negative. | tr: Maliyet eksi olamaz.';
comment on constraint invoice_line_discount_percent_range on crm.invoice_line is 'en: A discount is 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
comment on constraint invoice_line_vat_rate_range on crm.invoice_line is 'en: A VAT rate is 0 to 100 percent. | tr: KDV oranı yüzde 0 ile 100 arasındadır.';
comment on constraint invoice_line_withholding_whole on crm.invoice_line is 'en: VAT is withheld with a code and its percent, on a line that bears VAT. | tr: Tevkifat, KDV''li bir satırda kod ve oranla uygulanır.';
comment on constraint invoice_line_exemption_whole on crm.invoice_line is 'en: An exemption has a code and a reason, on a line whose VAT rate is 0. | tr: İstisna, KDV oranı 0 olan bir satırda kod ve gerekçeyle uygulanır.';
comment on constraint invoice_line_amounts_number on crm.invoice_line is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint invoice_line_amounts_range on crm.invoice_line is 'en: Amounts are not negative. | tr: Tutarlar eksi olamaz.';
create index invoice_line_id_index on crm.invoice_line (id);
create index invoice_line_order_line_index on crm.invoice_line (customer_id, order_id, order_line_number) where order_id is not null;
create index invoice_line_returned_line_id_index on crm.invoice_line (customer_id, returned_line_id) where returned_line_id is not null;

create function crm.follow_invoice() returns trigger language plpgsql as $$
begin
  select i.department_id, i.owner_id, i.audience into new.department_id, new.owner_id, new.audience
  from crm.invoice as i where i.customer_id = new.customer_id and i.id = new.invoice_id;
  if not found then
    perform crm.missing_reference('invoice_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_invoice() is 'Trigger: gives what is on an invoice the invoice''s department, owner and audience; an invoice the caller cannot see is a missing reference.';
create trigger invoice_line_follow_insert before insert on crm.invoice_line for each row execute function crm.follow_invoice();
create trigger invoice_line_follow_update before update on crm.invoice_line for each row
  when ((old.customer_id, old.invoice_id, old.department_id, old.owner_id, old.audience)
    is distinct from (new.customer_id, new.invoice_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_invoice();

create function crm.lead_invoice_lines() returns trigger language plpgsql as $$
begin
  update crm.invoice_line as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.invoice_id = new.id;
  return null;
end
$$;
comment on function crm.lead_invoice_lines() is 'Trigger: when a draft changes department, owner or visibility, its lines follow.';
create trigger invoice_lead after update on crm.invoice for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_invoice_lines();

-- Amounts ---------------------------------------------------------------------------------------------------------------------------

-- The lines of a rate share one rounding: each bears the rounded VAT up to and with itself less that before it. So VAT is what the law wants of the document
-- (the rate of the sum) and the lines sum to it exactly. What is withheld is the legal part of the VAT of the lines with that code, shared in the same way.
create function crm.price_invoice(customer uuid, invoice uuid) returns void language sql as $$
  with taxed as (
    select l.id, l.line_number, l.gross_amount, l.net_amount, l.withholding_code, l.withholding_percent, l.exemption_code,
      round(sum(l.net_amount) over upto * l.vat_rate / 100, 2) - round((sum(l.net_amount) over upto - l.net_amount) * l.vat_rate / 100, 2) as vat_amount,
      round(sum(l.net_amount) over coded * l.vat_rate / 100, 2) - round((sum(l.net_amount) over coded - l.net_amount) * l.vat_rate / 100, 2) as coded_vat
    from crm.invoice_line as l where l.customer_id = customer and l.invoice_id = invoice
    window upto as (partition by l.vat_rate order by l.line_number),
      coded as (partition by l.vat_rate, l.withholding_code, l.withholding_percent order by l.line_number)
  ), withheld as (
    select t.*, case when t.withholding_code is null then 0
      else round(sum(t.coded_vat) over upto * t.withholding_percent / 100, 2) - round((sum(t.coded_vat) over upto - t.coded_vat) * t.withholding_percent / 100, 2)
      end as withholding_amount
    from taxed as t
    window upto as (partition by t.withholding_code, t.withholding_percent order by t.line_number)
  ), lines as (
    update crm.invoice_line as l set vat_amount = w.vat_amount, withholding_amount = w.withholding_amount, updated_at = now()
    from withheld as w
    where l.customer_id = customer and l.id = w.id and (l.vat_amount, l.withholding_amount) is distinct from (w.vat_amount, w.withholding_amount)
  )
  update crm.invoice as i
  set gross_amount = sums.gross, discount_amount = sums.gross - sums.net, net_amount = sums.net, vat_amount = sums.vat, withholding_amount = sums.withholding,
    type = case when i.type = 'IADE' then 'IADE' when sums.withheld then 'TEVKIFAT' when sums.exempt then 'ISTISNA' else 'SATIS' end
  from (
    select coalesce(sum(w.gross_amount), 0) as gross, coalesce(sum(w.net_amount), 0) as net, coalesce(sum(w.vat_amount), 0) as vat,
      coalesce(sum(w.withholding_amount), 0) as withholding, coalesce(bool_or(w.withholding_code is not null), false) as withheld,
      coalesce(bool_and(e.kind in ('full', 'partial')), false) as exempt
    from withheld as w left join (select distinct x.code, x.kind from crm.exemption_code as x) as e on e.code = w.exemption_code
  ) as sums
  where i.customer_id = customer and i.id = invoice
$$;
comment on function crm.price_invoice(uuid, uuid) is 'Computes VAT, withholding, totals and type of a draft anew; to be called after its lines changed.';

create function crm.invoice_vat(customer uuid, invoice uuid) returns table (
  vat_rate numeric, exemption_code text, exemption_reason text, taxable_amount numeric, vat_amount numeric, withholding_code text, withholding_percent numeric, withholding_amount numeric
) language sql stable as $$
  select l.vat_rate, l.exemption_code, l.exemption_reason, sum(l.net_amount), sum(l.vat_amount), l.withholding_code, l.withholding_percent, sum(l.withholding_amount)
  from crm.invoice_line as l where l.customer_id = customer and l.invoice_id = invoice
  group by l.vat_rate, l.exemption_code, l.exemption_reason, l.withholding_code, l.withholding_percent
  order by l.vat_rate desc, l.exemption_code nulls first, l.withholding_code nulls first
$$;
comment on function crm.invoice_vat(uuid, uuid) is 'An invoice''s VAT by rate, exemption and withholding code.';

create function crm.invoice_buyer(customer uuid, invoice uuid) returns table (
  name text, first_name text, family_name text, tax_number text, tax_office text, street text, district text, city text, postal_code text, country text, email text
) language sql stable as $$
  select coalesce(i.buyer_name, c.name),
    coalesce(i.buyer_first_name, case length(coalesce(i.buyer_tax_number, c.tax_number)) when 11 then substring(c.name from '^(.*\S)\s+\S+\s*$') end),
    coalesce(i.buyer_family_name, case length(coalesce(i.buyer_tax_number, c.tax_number)) when 11 then substring(c.name from '\s(\S+)\s*$') end),
    coalesce(i.buyer_tax_number, c.tax_number), coalesce(i.buyer_tax_office, c.tax_office), coalesce(i.buyer_street, a.street), coalesce(i.buyer_district, a.district),
    coalesce(i.buyer_city, a.city), coalesce(i.buyer_postal_code, a.postal_code), coalesce(i.buyer_country, a.country), i.buyer_email
  from crm.invoice as i
  join crm.customer as c on c.id = i.customer_id
  left join lateral (
    select a.street, a.district, coalesce(a.city, p.name) as city, a.postal_code, a.country
    from crm.address as a left join crm.province as p on p.code = a.province_code
    where a.customer_id = i.customer_id and a.contact_id is null order by a.kind <> 'billing', a.created_at limit 1
  ) as a on i.status = 'draft'
  where i.customer_id = customer and i.id = invoice
$$;
comment on function crm.invoice_buyer(uuid, uuid) is 'The buyer as he stands on an invoice, or would if the draft were issued now: what the draft says, and otherwise the customer with its billing address.';

-- Issuing ---------------------------------------------------------------------------------------------------------------------------

-- The counter is locked last, by the update that issues the invoice, so that it is held as shortly as can be; the number comes into being with the invoice or not at all.
create function crm.number_invoice() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sums record;
begin
  select count(*) as lines, coalesce(sum(l.gross_amount), 0) as gross, coalesce(sum(l.net_amount), 0) as net, coalesce(sum(l.vat_amount), 0) as vat,
    coalesce(sum(l.withholding_amount), 0) as withholding
  into sums from crm.invoice_line as l where l.customer_id = new.customer_id and l.invoice_id = new.id;
  if sums.lines = 0 or (sums.gross, sums.net, sums.vat, sums.withholding) is distinct from (new.gross_amount, new.net_amount, new.vat_amount, new.withholding_amount) then
    raise exception using errcode = 'check_violation', schema = 'crm', table = 'invoice', constraint = 'invoice_amounts_positive',
      message = 'an invoice is issued with lines, and with their totals';
  end if;
  new.issue_year := extract(year from new.issue_date);
  insert into crm.invoice_counter as c (series, year, last_number, last_issued_on, previous_on) values (new.series, new.issue_year, 1, new.issue_date, new.issue_date)
  on conflict on constraint invoice_counter_series_primary do update
    set last_number = c.last_number + 1, previous_on = c.last_issued_on, last_issued_on = excluded.last_issued_on
  returning c.last_number into new.sequence;
  return new;
end
$$;
comment on function crm.number_invoice() is 'Trigger: gives an invoice that is being issued the next number of its series and year. Runs as the owner, who alone counts.';
revoke execute on function crm.number_invoice() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger invoice_number before update of status on crm.invoice for each row
  when (old.status = 'draft' and new.status = 'issued') execute function crm.number_invoice();

create function crm.invoice_number_violations() returns table (series text, year integer, issued bigint, last_number integer, violation text) language sql stable as $$
  select coalesce(c.series, i.series), coalesce(c.year, i.issue_year), coalesce(i.issued, 0), c.last_number,
    case when i.numbers <> i.issued then 'a number was given twice' else 'numbers and invoices differ' end
  from crm.invoice_counter as c
  full join (
    select x.series, x.issue_year, count(*) as issued, count(distinct x.sequence) as numbers, min(x.sequence) as first, max(x.sequence) as last
    from crm.invoice as x where x.status = 'issued' group by x.series, x.issue_year
  ) as i on i.series = c.series and i.issue_year = c.year
  where (i.issued, i.numbers, i.first, i.last) is distinct from (c.last_number::bigint, c.last_number::bigint, 1, c.last_number)
$$;
comment on function crm.invoice_number_violations() is 'Series and years whose invoice numbers have a gap or a double: none, ever. Must be asked by somebody who reads every invoice.';

-- Protection ------------------------------------------------------------------------------------------------------------------------

select crm.protect('crm.company_profile', area => 'finance', kind => 'common', resource => 'company_profiles', bi => true);
select crm.protect('crm.withholding_code', area => 'finance', kind => 'common', resource => 'withholding_codes', bi => true);
select crm.protect('crm.exemption_code', area => 'finance', kind => 'common', resource => 'exemption_codes', bi => true);
select crm.protect('crm.invoice_series', area => 'finance', kind => 'common', resource => 'invoice_series');
select crm.protect('crm.invoice_counter', area => 'finance', kind => 'reference', verbs => '{select}', reason => 'It counts invoices, whose own changes are recorded.');
select crm.protect('crm.payment_term', area => 'finance', kind => 'common', resource => 'payment_terms', bi => true);
select crm.protect('crm.invoice', area => 'finance', kind => 'owned', resource => 'invoices', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.invoice_line', area => 'finance', kind => 'owned', resource => 'invoice_lines', verbs => '{select,insert,update,delete}', bi => true);

-- Only drafts can be touched, by whomever: these policies narrow those above, also for the system's own work.
create policy invoice_made_as_draft on crm.invoice as restrictive for insert to crm_app, crm_worker with check (status = 'draft');
create policy invoice_changed_as_draft on crm.invoice as restrictive for update to crm_app, crm_worker using (status = 'draft') with check (true);
create policy invoice_deleted_as_draft on crm.invoice as restrictive for delete to crm_app, crm_worker using (status = 'draft');
create policy invoice_line_made_as_draft on crm.invoice_line as restrictive for insert to crm_app, crm_worker with check (invoice_status = 'draft');
create policy invoice_line_changed_as_draft on crm.invoice_line as restrictive for update to crm_app, crm_worker using (invoice_status = 'draft') with check (invoice_status = 'draft');
create policy invoice_line_deleted_as_draft on crm.invoice_line as restrictive for delete to crm_app, crm_worker using (invoice_status = 'draft');
-- Bulk merges run past the policies and have no business here.
revoke insert, update, delete on crm.invoice, crm.invoice_line from crm_bulk;

-- What the owner's triggers work on.
create policy invoice_keep on crm.invoice to crm_owner using (true) with check (true);
create policy invoice_line_keep on crm.invoice_line to crm_owner using (true) with check (true);
create policy invoice_counter_keep on crm.invoice_counter to crm_owner using (true) with check (true);

-- Data ------------------------------------------------------------------------------------------------------------------------------
set local role none;
set local muhatap.via = 'system:migration';
insert into crm.invoice_series (code, name) values ('MUH', 'Genel / General');
insert into crm.payment_term (code, name_en, name_tr, first_due_days, instalments) values
  ('cash', 'Due at once', 'Peşin', 0, 1), ('net15', '15 days', '15 gün vadeli', 15, 1), ('net30', '30 days', '30 gün vadeli', 30, 1),
  ('net60', '60 days', '60 gün vadeli', 60, 1), ('net90', '90 days', '90 gün vadeli', 90, 1),
  ('three_instalments', 'Three monthly instalments', '3 eşit taksit', 30, 3), ('six_instalments', 'Six monthly instalments', '6 eşit taksit', 30, 6);
insert into crm.withholding_code (code, percent, name_en, name_tr, valid_from, valid_until) values
  ('601', 30, 'Construction works', 'Yapım işleri ile bu işlerle birlikte ifa edilen mühendislik-mimarlık ve etüt-proje hizmetleri', '2012-05-01', '2021-02-28'),
  ('601', 40, 'Construction works', 'Yapım işleri ile bu işlerle birlikte ifa edilen mühendislik-mimarlık ve etüt-proje hizmetleri', '2021-03-01', null),
  ('602', 90, 'Surveys, planning, consulting, audit', 'Etüt, plan-proje, danışmanlık, denetim ve benzeri hizmetler', '2012-05-01', null),
  ('603', 50, 'Alteration, maintenance and repair of machinery', 'Makine, teçhizat, demirbaş ve taşıtlara ait tadil, bakım ve onarım hizmetleri', '2012-05-01', '2021-02-28'),
  ('603', 70, 'Alteration, maintenance and repair of machinery', 'Makine, teçhizat, demirbaş ve taşıtlara ait tadil, bakım ve onarım hizmetleri', '2021-03-01', null),
  ('604', 50, 'Catering', 'Yemek servis hizmeti', '2012-05-01', null),
  ('605', 50, 'Organisation services', 'Organizasyon hizmeti', '2012-05-01', null),
  ('606', 90, 'Labour supply', 'İşgücü temin hizmetleri', '2012-05-01', null),
  ('607', 90, 'Private security', 'Özel güvenlik hizmeti', '2012-05-01', null),
  ('608', 90, 'Building inspection', 'Yapı denetim hizmetleri', '2012-05-01', null),
  ('609', 50, 'Contract textile, clothing and bag making', 'Fason olarak yaptırılan tekstil ve konfeksiyon işleri, çanta ve ayakkabı dikim işleri', '2012-05-01', '2021-02-28'),
  ('609', 70, 'Contract textile, clothing and bag making', 'Fason olarak yaptırılan tekstil ve konfeksiyon işleri, çanta ve ayakkabı dikim işleri', '2021-03-01', null),
  ('610', 90, 'Bringing customers to tourist shops', 'Turistik mağazalara verilen müşteri bulma / götürme hizmetleri', '2012-05-01', null),
  ('611', 90, 'Broadcasting, advertising and naming rights of sports clubs', 'Spor kulüplerinin yayın, reklam ve isim hakkı gelirlerine konu işlemleri', '2012-05-01', null),
  ('612', 70, 'Cleaning', 'Temizlik hizmeti', '2012-05-01', '2021-02-28'),
  ('612', 90, 'Cleaning', 'Temizlik hizmeti', '2021-03-01', null),
  ('613', 70, 'Environment and garden care', 'Çevre ve bahçe bakım hizmetleri', '2012-05-01', '2021-02-28'),
  ('613', 90, 'Environment and garden care', 'Çevre ve bahçe bakım hizmetleri', '2021-03-01', null),
  ('614', 50, 'Shuttle transport', 'Servis taşımacılığı hizmeti', '2012-05-01', null),
  ('615', 50, 'Printing', 'Her türlü baskı ve basım hizmetleri', '2012-05-01', '2021-02-28'),
  ('615', 70, 'Printing', 'Her türlü baskı ve basım hizmetleri', '2021-03-01', null),
  ('616', 50, 'Other services', 'Diğer hizmetler', '2012-05-01', null),
  ('617', 70, 'Ingots from scrap metal', 'Hurda metalden elde edilen külçe teslimleri', '2012-05-01', null),
  ('618', 70, 'Copper, zinc and aluminium ingots not from scrap', 'Hurda metalden elde edilenler dışındaki bakır, çinko ve alüminyum külçe teslimleri', '2012-05-01', null),
  ('619', 70, 'Copper, zinc and aluminium products', 'Bakır, çinko ve alüminyum ürünlerinin teslimi', '2012-05-01', null),
  ('620', 70, 'Scrap and waste of those who waived the exemption', 'İstisnadan vazgeçenlerin hurda ve atık teslimi', '2012-05-01', null),
  ('621', 90, 'Raw material from scrap of metal, plastic, rubber, paper and glass', 'Metal, plastik, lastik, kauçuk, kâğıt ve cam hurda ve atıklardan elde edilen hammadde teslimi', '2012-05-01', null),
  ('622', 90, 'Cotton, mohair, wool, hides', 'Pamuk, tiftik, yün ve yapağı ile ham post ve deri teslimleri', '2012-05-01', null),
  ('623', 50, 'Wood and forest products', 'Ağaç ve orman ürünleri teslimi', '2012-05-01', null),
  ('624', 20, 'Freight', 'Yük taşımacılığı hizmeti', '2021-03-01', null),
  ('625', 30, 'Commercial advertising', 'Ticari reklam hizmetleri', '2021-03-01', null),
  ('626', 20, 'Other deliveries', 'Diğer teslimler', '2021-03-01', null),
  ('627', 50, 'Iron and steel products', 'Demir-çelik ürünlerinin teslimi', '2022-05-01', null);
insert into crm.exemption_code (code, kind, name_en, name_tr, valid_from) values
  ('201', 'partial', '17/1 Deliveries for culture and education', '17/1 Kültür ve eğitim amacı taşıyan işlemler', '2012-01-01'),
  ('202', 'partial', '17/2-a Health, environment and social aid', '17/2-a Sağlık, çevre ve sosyal yardım amaçlı işlemler', '2012-01-01'),
  ('213', 'partial', '17/4-ı Free zones', '17/4-ı Serbest bölgelerde verilen hizmetler', '2012-01-01'),
  ('223', 'partial', '17/4-ş Deliveries under certain laws', '17/4-ş Bazı kanunlar kapsamındaki teslimler', '2012-01-01'),
  ('301', 'full', '11/1-a Export of goods', '11/1-a Mal ihracatı', '2012-01-01'),
  ('302', 'full', '11/1-a Export of services', '11/1-a Hizmet ihracatı', '2012-01-01'),
  ('303', 'full', '11/1-a Roaming', '11/1-a Roaming hizmetleri', '2012-01-01'),
  ('304', 'full', '13/a Sea, air and rail transport vehicles', '13/a Deniz, hava ve demiryolu taşıma araçlarının teslimi ile inşa, tadil, bakım ve onarımları', '2012-01-01'),
  ('305', 'full', '13/b Services at ports and airports', '13/b Deniz ve hava taşıma araçları için liman ve hava meydanlarında yapılan hizmetler', '2012-01-01'),
  ('310', 'full', '13/f National security', '13/f Ulusal güvenlik amaçlı teslim ve hizmetler', '2012-01-01'),
  ('311', 'full', '14/1 International transport', '14/1 Uluslararası taşımacılık', '2012-01-01'),
  ('350', 'full', 'Other full exemptions', 'Diğerleri', '2012-01-01'),
  ('351', 'other', 'No VAT, for a reason that is not an exemption', 'KDV - İstisna olmayan diğer', '2012-01-01');
