-- Analyses: what was computed, of whom, as of when and by which method; and what the company knows of its customers beyond what it sells them.
set local role crm_owner;

create table crm.analysis_run (
  id            uuid        not null default crm.uuid_v7(),
  kind          text        not null,
  status        text        not null default 'queued',
  subject_id    uuid,
  method        text        not null,
  model_version integer     not null default 1,
  as_of         timestamptz not null,
  parameters    jsonb       not null default '{}',
  population    bigint,
  progress      smallint    not null default 0,
  result        jsonb,
  problem       jsonb,
  department_id uuid,
  started_at    timestamptz,
  finished_at   timestamptz,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint analysis_run_id_primary primary key (id),
  constraint analysis_run_kind_shape check (kind ~ '^[a-z][a-z_]{0,62}$'),
  constraint analysis_run_status_known check (status in ('queued', 'running', 'done', 'failed')),
  constraint analysis_run_method_length check (length(btrim(method)) between 1 and 200),
  constraint analysis_run_model_version_positive check (model_version > 0),
  constraint analysis_run_as_of_finite check (isfinite(as_of)),
  constraint analysis_run_parameters_object check (jsonb_typeof(parameters) = 'object'),
  constraint analysis_run_population_positive check (population >= 0),
  constraint analysis_run_progress_range check (progress between 0 and 100),
  constraint analysis_run_problem_given check ((status = 'failed') = (problem is not null)),
  constraint analysis_run_finished_at_given check ((status in ('done', 'failed')) = (finished_at is not null)),
  constraint analysis_run_department_id_exists foreign key (department_id) references crm.department (id)
);
comment on table crm.analysis_run is 'One run of an analysis: asked for, computed by a worker aside, and visible whole or not at all.';
comment on column crm.analysis_run.kind is 'What is computed, such as value, rfm or lifetime.';
comment on column crm.analysis_run.status is 'queued, running, done, or failed (problem says why).';
comment on column crm.analysis_run.subject_id is 'What it is a run of: a value model, a segment; null where the kind says it all.';
comment on column crm.analysis_run.method is 'The method''s name, as docs/methods.md has it.';
comment on column crm.analysis_run.model_version is 'Version of the model''s definition that was computed.';
comment on column crm.analysis_run.as_of is 'The instant up to which facts count; facts at it or later do not.';
comment on column crm.analysis_run.parameters is 'What else was chosen.';
comment on column crm.analysis_run.population is 'How many customers were computed; null before it is known.';
comment on column crm.analysis_run.progress is 'How far it is, in percent.';
comment on column crm.analysis_run.result is 'What came out for the whole: parameters, totals, quality. What came out for each customer stands in tables of its own.';
comment on column crm.analysis_run.problem is 'Why it failed: code, en and tr.';
comment on column crm.analysis_run.department_id is 'The department whose business alone was computed; null for the company''s.';
comment on column crm.analysis_run.started_at is 'When the computing began.';
comment on column crm.analysis_run.finished_at is 'When it was done or had failed.';
comment on constraint analysis_run_kind_shape on crm.analysis_run is 'en: A kind has small letters a–z and underscores. | tr: Tür a–z küçük harflerden ve alt çizgiden oluşur.';
comment on constraint analysis_run_status_known on crm.analysis_run is 'en: A run is queued, running, done or failed. | tr: Çalıştırma queued, running, done ya da failed olabilir.';
comment on constraint analysis_run_method_length on crm.analysis_run is 'en: Give a method of at most 200 characters. | tr: En çok 200 karakterlik bir yöntem verin.';
comment on constraint analysis_run_model_version_positive on crm.analysis_run is 'en: Versions count from 1. | tr: Sürümler 1''den başlar.';
comment on constraint analysis_run_as_of_finite on crm.analysis_run is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint analysis_run_parameters_object on crm.analysis_run is 'en: Parameters are given as an object. | tr: Parametreler bir nesne olarak verilir.';
comment on constraint analysis_run_population_positive on crm.analysis_run is 'en: A population is not negative. | tr: Nüfus eksi olamaz.';
comment on constraint analysis_run_progress_range on crm.analysis_run is 'en: Progress is from 0 to 100. | tr: İlerleme 0 ile 100 arasındadır.';
comment on constraint analysis_run_problem_given on crm.analysis_run is 'en: A failed run says why, no other does. | tr: Yalnızca başarısız çalıştırmanın nedeni olur.';
comment on constraint analysis_run_finished_at_given on crm.analysis_run is 'en: A run that is done or failed has an end, no other has. | tr: Yalnızca biten çalıştırmanın bitiş zamanı olur.';
create index analysis_run_kind_index on crm.analysis_run (kind, subject_id, as_of desc, id desc) where status = 'done';
select crm.protect('crm.analysis_run', area => 'analytics', kind => 'reference', resource => 'analysis_runs', bi => true);

-- Who brought whom.
alter table crm.customer add column referred_by_id uuid,
  add constraint customer_referred_by_id_exists foreign key (referred_by_id) references crm.customer (id),
  add constraint customer_referred_by_id_other check (referred_by_id <> id);
comment on column crm.customer.referred_by_id is 'The customer who brought this one.';
comment on constraint customer_referred_by_id_exists on crm.customer is 'en: The record named in "referred_by_id" does not exist or is still in use. | tr: "referred_by_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';
comment on constraint customer_referred_by_id_other on crm.customer is 'en: A customer cannot be brought by itself. | tr: Bir müşteri kendi kendini getiremez.';
create index customer_referred_by_id_index on crm.customer (referred_by_id) where referred_by_id is not null;
grant select (referred_by_id) on crm.customer to bi_reader;

-- What is observed of customers and stands in no order: what they invest with us, what costs they share, how content they are, what a campaign moved them to.
create table crm.observation_kind (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name_en    text        not null,
  name_tr    text        not null,
  unit       text        not null default 'count',
  aggregate  text        not null default 'sum',
  direction  text        not null default 'higher',
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint observation_kind_id_primary primary key (id),
  constraint observation_kind_code_unique unique (code),
  constraint observation_kind_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint observation_kind_name_en_length check (length(btrim(name_en)) between 1 and 200),
  constraint observation_kind_name_tr_length check (length(btrim(name_tr)) between 1 and 200),
  constraint observation_kind_unit_length check (length(btrim(unit)) between 1 and 50),
  constraint observation_kind_aggregate_known check (aggregate in ('sum', 'average', 'latest', 'count')),
  constraint observation_kind_direction_known check (direction in ('higher', 'lower'))
);
comment on table crm.observation_kind is 'What the company observes of its customers; each kind is a metric that value models and segments know by its code.';
comment on column crm.observation_kind.code is 'Stable name, unique: the metric''s name.';
comment on column crm.observation_kind.name_en is 'What people call it, in English.';
comment on column crm.observation_kind.name_tr is 'What people call it, in Turkish.';
comment on column crm.observation_kind.unit is 'Unit of its values: count, points, days, or currency (then every observation has a currency).';
comment on column crm.observation_kind.aggregate is 'How the observations of a window become one number: sum, average, latest or count.';
comment on column crm.observation_kind.direction is 'Whether higher or lower is better.';
comment on column crm.observation_kind.active is 'Whether it is still observed.';
comment on constraint observation_kind_code_unique on crm.observation_kind is 'en: Another kind already has this code. | tr: Bu kod başka bir türde kullanılıyor.';
comment on constraint observation_kind_code_shape on crm.observation_kind is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint observation_kind_name_en_length on crm.observation_kind is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint observation_kind_name_tr_length on crm.observation_kind is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint observation_kind_unit_length on crm.observation_kind is 'en: Give a unit of at most 50 characters. | tr: En çok 50 karakterlik bir birim verin.';
comment on constraint observation_kind_aggregate_known on crm.observation_kind is 'en: Observations are added up by sum, average, latest or count. | tr: Gözlemler sum, average, latest ya da count ile birleştirilir.';
comment on constraint observation_kind_direction_known on crm.observation_kind is 'en: The better direction is higher or lower. | tr: İyi olan yön higher ya da lower olabilir.';
select crm.protect('crm.observation_kind', area => 'analytics', kind => 'reference', resource => 'observation_kinds', bi => true);
set local role none;
set local muhatap.via = 'system:migration';
insert into crm.observation_kind (code, name_en, name_tr, unit, aggregate, direction) values
  ('co_investment', 'Investment made by the customer', 'Müşterinin yaptığı yatırım', 'currency', 'sum', 'higher'),
  ('cost_sharing', 'Share in costs', 'Maliyete katılım', 'currency', 'sum', 'higher'),
  ('service_cost', 'Cost of service not recorded elsewhere', 'Başka yerde kaydedilmeyen hizmet maliyeti', 'currency', 'sum', 'lower'),
  ('satisfaction', 'Satisfaction', 'Memnuniyet', 'points', 'average', 'higher'),
  ('redemptions', 'Coupons redeemed', 'Kullanılan kupon', 'count', 'sum', 'higher');
set local role crm_owner;

create table crm.customer_observation (
  customer_id   uuid          not null,
  id            uuid          not null default crm.uuid_v7(),
  kind          text          not null,
  observed_at   timestamptz   not null default now(),
  value         numeric(18,4) not null,
  currency      text,
  note          text,
  department_id uuid          not null,
  owner_id      uuid,
  visibility    text          not null default 'company',
  audience      uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at    timestamptz   not null default now(),
  updated_at    timestamptz   not null default now(),
  version       integer       not null default 1,
  created_by    uuid          default crm.caller_id(),
  constraint customer_observation_id_primary primary key (customer_id, id),
  constraint customer_observation_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint customer_observation_kind_exists foreign key (kind) references crm.observation_kind (code),
  constraint customer_observation_currency_exists foreign key (currency) references crm.currency (code),
  constraint customer_observation_observed_at_finite check (isfinite(observed_at)),
  constraint customer_observation_value_number check (value <> 'NaN'),
  constraint customer_observation_department_id_exists foreign key (department_id) references crm.department (id),
  constraint customer_observation_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint customer_observation_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint customer_observation_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.customer_observation is 'Something observed of a customer at one time, as a number.';
comment on column crm.customer_observation.kind is 'What was observed: the code of its kind.';
comment on column crm.customer_observation.observed_at is 'When it was so.';
comment on column crm.customer_observation.value is 'The number, in the unit of its kind.';
comment on column crm.customer_observation.currency is 'Currency of the number, for kinds counted in money.';
comment on column crm.customer_observation.note is 'What colleagues should know.';
comment on constraint customer_observation_observed_at_finite on crm.customer_observation is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint customer_observation_value_number on crm.customer_observation is 'en: Give a number. | tr: Bir sayı verin.';
create index customer_observation_id_index on crm.customer_observation (id);
create index customer_observation_kind_index on crm.customer_observation (kind, customer_id, observed_at);
select crm.protect('crm.customer_observation', area => 'customers', kind => 'owned', resource => 'customer_observations', verbs => '{select,insert,update,delete}', bi => true);
