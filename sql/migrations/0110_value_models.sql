-- What makes a customer valuable: pyramids and their bands, value models and their keys, what serving a customer costs.
set local role crm_owner;

create table crm.pyramid (
  id          uuid        not null default crm.uuid_v7(),
  code        text        not null,
  name_en     text        not null,
  name_tr     text        not null,
  cut         text        not null default 'rank',
  loss_apart  boolean     not null default false,
  source      text,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint pyramid_id_primary primary key (id),
  constraint pyramid_code_unique unique (code),
  constraint pyramid_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint pyramid_name_en_length check (length(btrim(name_en)) between 1 and 200),
  constraint pyramid_name_tr_length check (length(btrim(name_tr)) between 1 and 200),
  constraint pyramid_cut_known check (cut in ('rank', 'threshold'))
);
comment on table crm.pyramid is 'How customers are cut into tiers by their score.';
comment on column crm.pyramid.code is 'Stable name, unique.';
comment on column crm.pyramid.name_en is 'What people call it, in English.';
comment on column crm.pyramid.name_tr is 'What people call it, in Turkish.';
comment on column crm.pyramid.cut is 'rank: a band holds the customers up to a share of all, by rank. threshold: a band holds the customers from a score on.';
comment on column crm.pyramid.loss_apart is 'Whether customers the company loses money on (profit below 0) are in the lowest band whatever their score.';
comment on column crm.pyramid.source is 'Where the cut is from.';
comment on constraint pyramid_code_unique on crm.pyramid is 'en: Another pyramid already has this code. | tr: Bu kod başka bir piramitte kullanılıyor.';
comment on constraint pyramid_code_shape on crm.pyramid is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint pyramid_name_en_length on crm.pyramid is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint pyramid_name_tr_length on crm.pyramid is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint pyramid_cut_known on crm.pyramid is 'en: A pyramid is cut by rank or threshold. | tr: Piramit rank ya da threshold ile kesilir.';

create table crm.pyramid_band (
  id          uuid             not null default crm.uuid_v7(),
  pyramid_id  uuid             not null,
  place       smallint         not null,
  code        text             not null,
  name_en     text             not null,
  name_tr     text             not null,
  bound       double precision not null,
  created_at  timestamptz      not null default now(),
  updated_at  timestamptz      not null default now(),
  version     integer          not null default 1,
  created_by  uuid             default crm.caller_id(),
  constraint pyramid_band_id_primary primary key (id),
  constraint pyramid_band_place_unique unique (pyramid_id, place),
  constraint pyramid_band_code_unique unique (pyramid_id, code),
  constraint pyramid_band_pyramid_id_exists foreign key (pyramid_id) references crm.pyramid (id) on delete cascade,
  constraint pyramid_band_place_range check (place between 1 and 20),
  constraint pyramid_band_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint pyramid_band_code_free check (code not in ('inactive', 'prospect', 'suspect', 'new', 'lost')),
  constraint pyramid_band_name_en_length check (length(btrim(name_en)) between 1 and 200),
  constraint pyramid_band_name_tr_length check (length(btrim(name_tr)) between 1 and 200),
  constraint pyramid_band_bound_range check (bound between 0 and 100)
);
comment on table crm.pyramid_band is 'One tier of a pyramid.';
comment on column crm.pyramid_band.pyramid_id is 'The pyramid.';
comment on column crm.pyramid_band.place is 'Its place, from 1 at the top.';
comment on column crm.pyramid_band.code is 'Stable name within the pyramid: the tier.';
comment on column crm.pyramid_band.name_en is 'What people call it, in English.';
comment on column crm.pyramid_band.name_tr is 'What people call it, in Turkish.';
comment on column crm.pyramid_band.bound is 'By rank: the share of all customers, from the top to the end of this band, 0 to 1 (the last band: 1). By threshold: the lowest score in it (the last band: 0).';
comment on constraint pyramid_band_place_unique on crm.pyramid_band is 'en: The pyramid already has a band at this place. | tr: Piramidin bu yerinde zaten bir dilim var.';
comment on constraint pyramid_band_code_unique on crm.pyramid_band is 'en: The pyramid already has a band with this code. | tr: Piramidin bu kodlu bir dilimi zaten var.';
comment on constraint pyramid_band_place_range on crm.pyramid_band is 'en: A pyramid has 1 to 20 bands. | tr: Piramidin 1 ile 20 arasında dilimi olur.';
comment on constraint pyramid_band_code_shape on crm.pyramid_band is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint pyramid_band_code_free on crm.pyramid_band is 'en: inactive, prospect, suspect, new and lost mean something else. | tr: inactive, prospect, suspect, new ve lost başka anlamdadır.';
comment on constraint pyramid_band_name_en_length on crm.pyramid_band is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint pyramid_band_name_tr_length on crm.pyramid_band is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint pyramid_band_bound_range on crm.pyramid_band is 'en: A bound is a share from 0 to 1 or a score from 0 to 100. | tr: Sınır 0–1 arası bir pay ya da 0–100 arası bir puandır.';

create table crm.value_model (
  id                uuid             not null default crm.uuid_v7(),
  code              text             not null,
  revision          integer          not null default 1,
  name_en           text             not null,
  name_tr           text             not null,
  department_id     uuid,
  pyramid_id        uuid             not null,
  valid_from        date             not null default crm.business_day(now()),
  valid_until       date,
  window_days       integer,
  active_days       integer,
  currency          text,
  time_zone         text             not null default 'UTC',
  stay_days         integer          not null default 0,
  stay_margin       double precision not null default 0,
  is_default        boolean          not null default false,
  active            boolean          not null default true,
  created_at        timestamptz      not null default now(),
  updated_at        timestamptz      not null default now(),
  version           integer          not null default 1,
  created_by        uuid             default crm.caller_id(),
  constraint value_model_id_primary primary key (id),
  constraint value_model_revision_unique unique (code, revision),
  constraint value_model_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint value_model_revision_positive check (revision > 0),
  constraint value_model_name_en_length check (length(btrim(name_en)) between 1 and 200),
  constraint value_model_name_tr_length check (length(btrim(name_tr)) between 1 and 200),
  constraint value_model_department_id_exists foreign key (department_id) references crm.department (id),
  constraint value_model_pyramid_id_exists foreign key (pyramid_id) references crm.pyramid (id),
  constraint value_model_valid_until_ordered check (valid_until >= valid_from),
  constraint value_model_valid_until_finite check (isfinite(valid_from) and isfinite(valid_until)),
  constraint value_model_window_days_range check (window_days between 1 and 36500),
  constraint value_model_active_days_range check (active_days between 1 and 36500),
  constraint value_model_currency_exists foreign key (currency) references crm.currency (code),
  constraint value_model_time_zone_length check (length(time_zone) between 1 and 100),
  constraint value_model_stay_days_range check (stay_days between 0 and 3650),
  constraint value_model_stay_margin_range check (stay_margin between 0 and 100)
);
comment on table crm.value_model is 'How the company weighs what makes a customer valuable, in one of its revisions.';
comment on column crm.value_model.code is 'Stable name; revisions of one model share it.';
comment on column crm.value_model.revision is 'Which revision of the model this is, from 1. One that was computed is not changed any more but revised.';
comment on column crm.value_model.name_en is 'What people call it, in English.';
comment on column crm.value_model.name_tr is 'What people call it, in Turkish.';
comment on column crm.value_model.department_id is 'The department whose business alone counts; null for the company''s.';
comment on column crm.value_model.pyramid_id is 'How its scores are cut into tiers.';
comment on column crm.value_model.valid_from is 'The first day it is used.';
comment on column crm.value_model.valid_until is 'The last day it is used; null for ever.';
comment on column crm.value_model.window_days is 'How many days of 24 hours back facts count, for keys that say nothing else and for the amounts of tiers; null for all.';
comment on column crm.value_model.active_days is 'A customer whose last purchase is at most so many days of 24 hours back is active and is scored; null: whoever ever bought is.';
comment on column crm.value_model.currency is 'Currency amounts are compared in; null for the only one that occurs.';
comment on column crm.value_model.time_zone is 'Whose days and months count (IANA).';
comment on column crm.value_model.stay_days is 'Hysteresis: how many days a customer stays in a tier at least; 0 for none.';
comment on column crm.value_model.stay_margin is 'Hysteresis: by how many points of score (of 100) a customer must be beyond a tier''s bound to cross it; 0 for none.';
comment on column crm.value_model.is_default is 'Whether it is the one that answers when nobody names another.';
comment on column crm.value_model.active is 'Whether it is computed every night.';
comment on constraint value_model_revision_unique on crm.value_model is 'en: Another model already has this code and revision. | tr: Bu kod ve sürüm başka bir modelde kullanılıyor.';
comment on constraint value_model_code_shape on crm.value_model is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint value_model_revision_positive on crm.value_model is 'en: Revisions count from 1. | tr: Sürümler 1''den başlar.';
comment on constraint value_model_name_en_length on crm.value_model is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint value_model_name_tr_length on crm.value_model is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint value_model_valid_until_ordered on crm.value_model is 'en: The last day is not before the first. | tr: Son gün ilk günden önce olamaz.';
comment on constraint value_model_valid_until_finite on crm.value_model is 'en: Give real dates. | tr: Gerçek tarihler verin.';
comment on constraint value_model_window_days_range on crm.value_model is 'en: Give 1 to 36500 days. | tr: 1 ile 36500 arasında gün verin.';
comment on constraint value_model_active_days_range on crm.value_model is 'en: Give 1 to 36500 days. | tr: 1 ile 36500 arasında gün verin.';
comment on constraint value_model_currency_exists on crm.value_model is 'en: This currency is not known. | tr: Bu para birimi bilinmiyor.';
comment on constraint value_model_time_zone_length on crm.value_model is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
comment on constraint value_model_stay_days_range on crm.value_model is 'en: Give 0 to 3650 days. | tr: 0 ile 3650 arasında gün verin.';
comment on constraint value_model_stay_margin_range on crm.value_model is 'en: Give 0 to 100 points. | tr: 0 ile 100 arasında puan verin.';
create unique index value_model_is_default_index on crm.value_model (is_default, coalesce(department_id, '00000000-0000-0000-0000-000000000000'), revision) where is_default;

create table crm.value_key (
  id            uuid             not null default crm.uuid_v7(),
  model_id      uuid             not null,
  place         smallint         not null,
  metric        text             not null,
  coefficient   double precision not null,
  normalisation text             not null default 'percent_rank',
  direction     text             not null,
  cap           double precision,
  missing       text             not null default 'zero',
  window_days   integer,
  level         smallint,
  created_at    timestamptz      not null default now(),
  updated_at    timestamptz      not null default now(),
  version       integer          not null default 1,
  created_by    uuid             default crm.caller_id(),
  constraint value_key_id_primary primary key (id),
  constraint value_key_place_unique unique (model_id, place),
  constraint value_key_model_id_exists foreign key (model_id) references crm.value_model (id) on delete cascade,
  constraint value_key_place_range check (place between 1 and 20),
  constraint value_key_metric_shape check (metric ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint value_key_coefficient_positive check (coefficient >= 0 and coefficient < 'Infinity'),
  constraint value_key_normalisation_known check (normalisation in ('percent_rank', 'min_max', 'z_clipped', 'log')),
  constraint value_key_direction_known check (direction in ('higher', 'lower')),
  constraint value_key_cap_number check (cap > '-Infinity' and cap < 'Infinity'),
  constraint value_key_missing_known check (missing in ('zero', 'lowest', 'middle')),
  constraint value_key_window_days_range check (window_days between 1 and 36500),
  constraint value_key_level_range check (level between 1 and 20)
);
comment on table crm.value_key is 'One thing that makes a customer valuable, and how much it weighs in a model.';
comment on column crm.value_key.model_id is 'The value model.';
comment on column crm.value_key.place is 'Its place in the model, from 1.';
comment on column crm.value_key.metric is 'What is measured: a name of analytics.customer_metric.';
comment on column crm.value_key.coefficient is 'How much it weighs against the others; only the proportions matter.';
comment on column crm.value_key.normalisation is 'How the measured values become 0 to 1: percent_rank, min_max, z_clipped or log (docs/methods.md).';
comment on column crm.value_key.direction is 'Whether higher or lower values are worth more.';
comment on column crm.value_key.cap is 'Values beyond it count as it; null for none.';
comment on column crm.value_key.missing is 'What is made of customers without a value: zero (the value counts as 0), lowest or middle (the normalised value is 0 or 0.5).';
comment on column crm.value_key.window_days is 'How many days of 24 hours back facts count; null: as the model says.';
comment on column crm.value_key.level is 'For product_breadth: the level of the category tree, 1 at the top.';
comment on constraint value_key_place_unique on crm.value_key is 'en: The model already has a key at this place. | tr: Modelin bu yerinde zaten bir anahtar var.';
comment on constraint value_key_place_range on crm.value_key is 'en: A model has 1 to 20 keys. | tr: Modelin 1 ile 20 arasında anahtarı olur.';
comment on constraint value_key_metric_shape on crm.value_key is 'en: Name a metric. | tr: Bir ölçü adı verin.';
comment on constraint value_key_coefficient_positive on crm.value_key is 'en: A coefficient is a number from 0 up. | tr: Katsayı 0 ya da daha büyük bir sayıdır.';
comment on constraint value_key_normalisation_known on crm.value_key is 'en: Values are normalised by percent_rank, min_max, z_clipped or log. | tr: Değerler percent_rank, min_max, z_clipped ya da log ile ölçeklenir.';
comment on constraint value_key_direction_known on crm.value_key is 'en: The better direction is higher or lower. | tr: İyi olan yön higher ya da lower olabilir.';
comment on constraint value_key_cap_number on crm.value_key is 'en: A cap is a number. | tr: Üst sınır bir sayıdır.';
comment on constraint value_key_missing_known on crm.value_key is 'en: A missing value counts as zero, lowest or middle. | tr: Eksik değer zero, lowest ya da middle sayılır.';
comment on constraint value_key_window_days_range on crm.value_key is 'en: Give 1 to 36500 days. | tr: 1 ile 36500 arasında gün verin.';
comment on constraint value_key_level_range on crm.value_key is 'en: Levels count from 1 at the top. | tr: Düzeyler en üstte 1''den başlar.';

create table crm.service_rate (
  id            uuid          not null default crm.uuid_v7(),
  kind          text          not null,
  per           text          not null default 'piece',
  amount        numeric(18,4) not null,
  currency      text          not null default 'TRY',
  usual_minutes numeric(8,2)  not null default 30,
  valid_from    date          not null default '1970-01-01',
  created_at    timestamptz   not null default now(),
  updated_at    timestamptz   not null default now(),
  version       integer       not null default 1,
  created_by    uuid          default crm.caller_id(),
  constraint service_rate_id_primary primary key (id),
  constraint service_rate_valid_from_unique unique (kind, valid_from),
  constraint service_rate_kind_shape check (kind ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$' and length(kind) <= 100),
  constraint service_rate_per_known check (per in ('piece', 'hour')),
  constraint service_rate_amount_positive check (amount >= 0 and amount <> 'NaN'),
  constraint service_rate_currency_exists foreign key (currency) references crm.currency (code),
  constraint service_rate_usual_minutes_positive check (usual_minutes > 0 and usual_minutes <> 'NaN'),
  constraint service_rate_valid_from_finite check (isfinite(valid_from))
);
comment on table crm.service_rate is 'What serving a customer costs the company, by what is done and from which day on.';
comment on column crm.service_rate.kind is 'What is done: activity.meeting, activity.call, activity.follow_up, activity.note, touch.email, …';
comment on column crm.service_rate.per is 'Whether the amount is for a piece or for an hour.';
comment on column crm.service_rate.amount is 'What it costs.';
comment on column crm.service_rate.currency is 'Currency of the amount.';
comment on column crm.service_rate.usual_minutes is 'How long it takes where nobody noted that, for rates per hour.';
comment on column crm.service_rate.valid_from is 'The first day of the rate; it holds until the next one of its kind begins.';
comment on constraint service_rate_valid_from_unique on crm.service_rate is 'en: There is already a rate of this kind from this day. | tr: Bu tür için bu günden başlayan bir ücret zaten var.';
comment on constraint service_rate_kind_shape on crm.service_rate is 'en: Name what is done, such as activity.call. | tr: Yapılan işi belirtin, örneğin activity.call.';
comment on constraint service_rate_per_known on crm.service_rate is 'en: A rate is per piece or hour. | tr: Ücret piece ya da hour başınadır.';
comment on constraint service_rate_amount_positive on crm.service_rate is 'en: A rate is not negative. | tr: Ücret eksi olamaz.';
comment on constraint service_rate_currency_exists on crm.service_rate is 'en: This currency is not known. | tr: Bu para birimi bilinmiyor.';
comment on constraint service_rate_usual_minutes_positive on crm.service_rate is 'en: Give more than 0 minutes. | tr: 0''dan büyük bir dakika verin.';
comment on constraint service_rate_valid_from_finite on crm.service_rate is 'en: Give a real date. | tr: Gerçek bir tarih verin.';

-- What is shipped: two pyramids, and a model that any company with orders can begin with.
insert into crm.pyramid (code, name_en, name_tr, cut, loss_apart, source) values
  ('curry', 'Customer pyramid', 'Müşteri piramidi', 'rank', false, 'Curry & Curry 2000, The Customer Marketing Method'),
  ('zeithaml', 'Profitability tiers', 'Kârlılık kademeleri', 'rank', true, 'Zeithaml, Rust & Lemon 2001, California Management Review 43(4) 118–142; the shares are ours');
insert into crm.pyramid_band (pyramid_id, place, code, name_en, name_tr, bound)
select p.id, b.place, b.code, b.name_en, b.name_tr, b.bound
from crm.pyramid as p join (values
  ('curry', 1, 'top', 'Top', 'Zirve', 0.01), ('curry', 2, 'big', 'Big', 'Büyük', 0.05), ('curry', 3, 'medium', 'Medium', 'Orta', 0.2), ('curry', 4, 'small', 'Small', 'Küçük', 1),
  ('zeithaml', 1, 'platinum', 'Platinum', 'Platin', 0.05), ('zeithaml', 2, 'gold', 'Gold', 'Altın', 0.2), ('zeithaml', 3, 'iron', 'Iron', 'Demir', 0.8),
  ('zeithaml', 4, 'lead', 'Lead', 'Kurşun', 1)
) as b (pyramid, place, code, name_en, name_tr, bound) on b.pyramid = p.code;
insert into crm.value_model (code, name_en, name_tr, pyramid_id, valid_from, window_days, active_days, stay_days, stay_margin, is_default)
select v.code, v.name_en, v.name_tr, p.id, '1970-01-01', 365, 365, v.stay_days, v.stay_margin, v.is_default
from crm.pyramid as p join (values
  ('curry', 'customer_value', 'Customer value', 'Müşteri değeri', 30, 1, true), ('zeithaml', 'profitability', 'Profitability', 'Kârlılık', 30, 1, false)
) as v (pyramid, code, name_en, name_tr, stay_days, stay_margin, is_default) on v.pyramid = p.code;
insert into crm.value_key (model_id, place, metric, coefficient, direction, missing, window_days)
select m.id, k.place, k.metric, k.coefficient, k.direction, k.missing, k.window_days
from crm.value_model as m join (values
  ('customer_value', 1, 'revenue', 0.35, 'higher', 'zero', null), ('customer_value', 2, 'orders', 0.15, 'higher', 'zero', null),
  ('customer_value', 3, 'recency', 0.1, 'lower', 'lowest', null), ('customer_value', 4, 'tenure', 0.1, 'higher', 'zero', 36500),
  ('customer_value', 5, 'product_breadth', 0.1, 'higher', 'zero', null), ('customer_value', 6, 'referred_revenue', 0.05, 'higher', 'zero', null),
  ('customer_value', 7, 'cost_to_serve', 0.05, 'lower', 'zero', null), ('customer_value', 8, 'payment_delay', 0.1, 'lower', 'middle', null),
  ('profitability', 1, 'profit', 1, 'higher', 'zero', null)
) as k (model, place, metric, coefficient, direction, missing, window_days) on k.model = m.code;
insert into crm.service_rate (kind, per, amount, usual_minutes) values
  ('activity.meeting', 'hour', 1200, 60), ('activity.call', 'hour', 900, 15), ('activity.follow_up', 'hour', 900, 15), ('activity.note', 'piece', 0, 1);

select crm.protect('crm.pyramid', area => 'analytics', kind => 'reference', resource => 'pyramids', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.pyramid_band', area => 'analytics', kind => 'reference', resource => 'pyramid_bands', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.value_model', area => 'analytics', kind => 'reference', resource => 'value_models', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.value_key', area => 'analytics', kind => 'reference', resource => 'value_keys', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.service_rate', area => 'analytics', kind => 'reference', resource => 'service_rates', verbs => '{select,insert,update,delete}', bi => true);
