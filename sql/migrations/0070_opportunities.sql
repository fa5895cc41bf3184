-- What may become a sale: pipelines and their stages, opportunities with lines, competitors and the history of their stages.
set local role crm_owner;

create function crm.business_day(instant timestamptz) returns date language sql immutable parallel safe
  return (instant at time zone 'Europe/Istanbul')::date;
comment on function crm.business_day(timestamptz) is 'The day on which something happened, as the company''s calendar has it (Europe/Istanbul).';

create table crm.pipeline (
  id            uuid        not null default crm.uuid_v7(),
  name          text        not null,
  department_id uuid,
  is_default    boolean     not null default false,
  default_of    uuid        generated always as (case when is_default then coalesce(department_id, '00000000-0000-0000-0000-000000000000'::uuid) end) stored,
  active        boolean     not null default true,
  note          text,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint pipeline_id_primary primary key (id),
  constraint pipeline_name_length check (length(btrim(name)) between 1 and 200),
  constraint pipeline_department_id_exists foreign key (department_id) references crm.department (id),
  constraint pipeline_default_of_unique unique (default_of),
  constraint pipeline_default_active check (active or not is_default)
);
comment on table crm.pipeline is 'A way of selling: the ordered stages that an opportunity goes through. A department may have several.';
comment on column crm.pipeline.name is 'Name as people say it.';
comment on column crm.pipeline.department_id is 'The department that sells this way, with those below it; null for the whole company.';
comment on column crm.pipeline.is_default is 'Whether new opportunities of the department start here when nobody says otherwise.';
comment on column crm.pipeline.default_of is 'Derived: the department whose default it is, the nil uuid for the company''s; null for others.';
comment on column crm.pipeline.active is 'Whether new opportunities may start here.';
comment on column crm.pipeline.note is 'What colleagues should know.';
comment on constraint pipeline_name_length on crm.pipeline is 'en: Give the pipeline a name of at most 200 characters. | tr: Satış hattına en çok 200 karakterlik bir ad verin.';
comment on constraint pipeline_default_of_unique on crm.pipeline is 'en: The department already has a default pipeline. | tr: Departmanın zaten varsayılan bir satış hattı var.';
comment on constraint pipeline_default_active on crm.pipeline is 'en: A default pipeline is active. | tr: Varsayılan satış hattı etkin olmalıdır.';

create table crm.stage (
  id                uuid         not null default crm.uuid_v7(),
  pipeline_id       uuid         not null,
  position          integer      not null,
  name              text         not null,
  probability       numeric(5,2) not null,
  forecast_category text         not null default 'pipeline',
  exit_criteria     text[]       not null default '{}',
  rotting_days      integer,
  note              text,
  created_at        timestamptz  not null default now(),
  updated_at        timestamptz  not null default now(),
  version           integer      not null default 1,
  created_by        uuid         default crm.caller_id(),
  constraint stage_id_primary primary key (id),
  constraint stage_pipeline_id_exists foreign key (pipeline_id) references crm.pipeline (id),
  constraint stage_pipeline_id_id_unique unique (pipeline_id, id),
  constraint stage_position_unique unique (pipeline_id, position),
  constraint stage_position_positive check (position > 0),
  constraint stage_name_length check (length(btrim(name)) between 1 and 200),
  constraint stage_probability_range check (probability between 0 and 100 and probability <> 'NaN'),
  constraint stage_forecast_category_known check (forecast_category in ('pipeline', 'best_case', 'commit', 'closed')),
  constraint stage_exit_criteria_known check (
    ',' || array_to_string(exit_criteria, ',', '?') || ',' ~ '^,((amount|close_on|contact_id|owner_id|next_step|next_step_on|note|lines|competitors|custom\.[a-z][a-z0-9_]{0,62}),)*,?$'),
  constraint stage_rotting_days_range check (rotting_days between 1 and 3650)
);
comment on table crm.stage is 'A step of a pipeline.';
comment on column crm.stage.pipeline_id is 'The pipeline it is a step of.';
comment on column crm.stage.position is 'Its place in the pipeline; lower comes first.';
comment on column crm.stage.name is 'Name as people say it.';
comment on column crm.stage.probability is 'How likely a sale is from here, in percent, as the company judges it; crm.stage_win_rates says what history says.';
comment on column crm.stage.forecast_category is 'How the forecast counts what stands here: pipeline, best_case, commit, or closed for what is as good as signed.';
comment on column crm.stage.exit_criteria is 'What must be filled in before an opportunity goes on from here: amount, close_on, contact_id, owner_id, next_step, next_step_on, note, lines, competitors, or custom.<field>.';
comment on column crm.stage.rotting_days is 'After how many days here an opportunity is rotting; null for never.';
comment on column crm.stage.note is 'What colleagues should know.';
comment on constraint stage_pipeline_id_id_unique on crm.stage is 'en: A record with this id already exists. | tr: Bu kimliğe sahip bir kayıt zaten var.';
comment on constraint stage_position_unique on crm.stage is 'en: Another stage of the pipeline stands at this position. | tr: Bu sırada başka bir aşama var.';
comment on constraint stage_position_positive on crm.stage is 'en: Positions are numbered from 1. | tr: Sıralar 1''den başlayarak numaralanır.';
comment on constraint stage_name_length on crm.stage is 'en: Give the stage a name of at most 200 characters. | tr: Aşamaya en çok 200 karakterlik bir ad verin.';
comment on constraint stage_probability_range on crm.stage is 'en: A probability is from 0 to 100 percent. | tr: Olasılık yüzde 0 ile 100 arasındadır.';
comment on constraint stage_forecast_category_known on crm.stage is 'en: The category is pipeline, best_case, commit or closed. | tr: Tahmin sınıfı pipeline, best_case, commit ya da closed olabilir.';
comment on constraint stage_exit_criteria_known on crm.stage is 'en: Criteria are amount, close_on, contact_id, owner_id, next_step, next_step_on, note, lines, competitors or custom.<field>. | tr: Ölçütler amount, close_on, contact_id, owner_id, next_step, next_step_on, note, lines, competitors ya da custom.<alan> olabilir.';
comment on constraint stage_rotting_days_range on crm.stage is 'en: Give 1 to 3650 days. | tr: 1 ile 3650 arasında gün verin.';

create table crm.lost_reason (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name_en    text        not null,
  name_tr    text        not null,
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint lost_reason_id_primary primary key (id),
  constraint lost_reason_code_unique unique (code),
  constraint lost_reason_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint lost_reason_name_en_length check (length(btrim(name_en)) between 1 and 200),
  constraint lost_reason_name_tr_length check (length(btrim(name_tr)) between 1 and 200)
);
comment on table crm.lost_reason is 'Why an opportunity can be lost.';
comment on column crm.lost_reason.code is 'Short stable name, such as price.';
comment on column crm.lost_reason.name_en is 'Name in English.';
comment on column crm.lost_reason.name_tr is 'Name in Turkish.';
comment on column crm.lost_reason.active is 'Whether it may still be given.';
comment on constraint lost_reason_code_unique on crm.lost_reason is 'en: Another reason already has this code. | tr: Bu kod başka bir nedende kullanılıyor.';
comment on constraint lost_reason_code_shape on crm.lost_reason is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint lost_reason_name_en_length on crm.lost_reason is 'en: Give an English name of at most 200 characters. | tr: En çok 200 karakterlik bir İngilizce ad verin.';
comment on constraint lost_reason_name_tr_length on crm.lost_reason is 'en: Give a Turkish name of at most 200 characters. | tr: En çok 200 karakterlik bir Türkçe ad verin.';

-- A department that has no default pipeline takes the one of the department above it, at last the company's.
create function crm.default_stage(department uuid) returns uuid language sql stable as $$
  with recursive above as (
    select d.id, d.parent_id, 0 as distance from crm.department as d where d.id = department
    union all
    select d.id, d.parent_id, above.distance + 1 from crm.department as d join above on d.id = above.parent_id
  )
  select s.id from crm.pipeline as p left join above on above.id = p.department_id join crm.stage as s on s.pipeline_id = p.id
  where p.is_default and (p.department_id is null or above.id is not null)
  order by above.distance nulls last, s.position limit 1
$$;
comment on function crm.default_stage(uuid) is 'The first stage of the default pipeline of a department, of the nearest one above it, or of the company.';

create table crm.opportunity (
  customer_id      uuid          not null,
  id               uuid          not null default crm.uuid_v7(),
  name             text          not null,
  search_key       text          collate "C" generated always as (crm.search_key(name)) stored,
  pipeline_id      uuid          not null default '00000000-0000-0000-0000-000000000000',
  stage_id         uuid          not null default '00000000-0000-0000-0000-000000000000',
  stage_entered_at timestamptz   not null default clock_timestamp(),
  rots_at          timestamptz,
  status           text          not null default 'open',
  amount           numeric(18,2),
  lines_amount     numeric(18,2),
  currency         text          not null default 'TRY',
  probability      numeric(5,2),
  close_on         date,
  closed_at        timestamptz,
  closed_on        date          generated always as (crm.business_day(closed_at)) stored,
  lost_reason_id   uuid,
  lost_note        text,
  contact_id       uuid,
  lead_id          uuid,
  next_step        text,
  next_step_on     date,
  note             text,
  custom           jsonb         not null default '{}',
  department_id    uuid          not null,
  owner_id         uuid,
  visibility       text          not null default 'company',
  audience         uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at       timestamptz   not null default now(),
  updated_at       timestamptz   not null default now(),
  version          integer       not null default 1,
  created_by       uuid          default crm.caller_id(),
  constraint opportunity_id_primary primary key (customer_id, id),
  constraint opportunity_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint opportunity_name_length check (length(btrim(name)) between 1 and 300),
  constraint opportunity_pipeline_id_exists foreign key (pipeline_id) references crm.pipeline (id),
  constraint opportunity_stage_id_exists foreign key (pipeline_id, stage_id) references crm.stage (pipeline_id, id),
  constraint opportunity_status_known check (status in ('open', 'won', 'lost')),
  constraint opportunity_amount_positive check (amount >= 0 and amount <> 'NaN'),
  constraint opportunity_amount_of_lines check (amount = lines_amount and lines_amount <> 'NaN'),
  constraint opportunity_currency_exists foreign key (currency) references crm.currency (code),
  constraint opportunity_probability_range check (probability between 0 and 100 and probability <> 'NaN'),
  constraint opportunity_close_on_finite check (isfinite(close_on)),
  constraint opportunity_closed_at_given check ((status = 'open') = (closed_at is null)),
  constraint opportunity_lost_reason_id_exists foreign key (lost_reason_id) references crm.lost_reason (id),
  constraint opportunity_lost_reason_id_given check ((status = 'lost') = (lost_reason_id is not null)),
  constraint opportunity_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint opportunity_next_step_length check (length(next_step) <= 500),
  constraint opportunity_next_step_on_finite check (isfinite(next_step_on)),
  constraint opportunity_custom_object check (jsonb_typeof(custom) = 'object'),
  constraint opportunity_department_id_exists foreign key (department_id) references crm.department (id),
  constraint opportunity_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint opportunity_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint opportunity_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.opportunity is 'A sale that may come: what a customer is thinking of buying, how far it has come, and how it ended.';
comment on column crm.opportunity.name is 'What it is about, in a few words.';
comment on column crm.opportunity.search_key is 'Derived: the name as it is searched.';
comment on column crm.opportunity.pipeline_id is 'The way it is sold; follows the stage. Left out, the department''s default.';
comment on column crm.opportunity.stage_id is 'How far it has come; of a closed one, where it stood last. Left out, the first stage of the pipeline.';
comment on column crm.opportunity.stage_entered_at is 'Since when it is open in this stage.';
comment on column crm.opportunity.rots_at is 'From when on it has stood too long in its stage: rotting, when this instant is past. Null if its stage has no such rule, or it is closed.';
comment on column crm.opportunity.status is 'open, won or lost.';
comment on column crm.opportunity.amount is 'What it would bring; the sum of its lines if it has any. Null when nobody knows yet.';
comment on column crm.opportunity.lines_amount is 'Derived: the sum of its lines; null if it has none.';
comment on column crm.opportunity.currency is 'Currency of its amounts.';
comment on column crm.opportunity.probability is 'How likely the sale is, in percent: the stage''s, unless somebody judged otherwise; 100 when won, 0 when lost.';
comment on column crm.opportunity.close_on is 'The day it is expected to be decided.';
comment on column crm.opportunity.closed_at is 'When it was won or lost.';
comment on column crm.opportunity.closed_on is 'The day it was won or lost.';
comment on column crm.opportunity.lost_reason_id is 'Why it was lost.';
comment on column crm.opportunity.lost_note is 'What there is to say about the loss.';
comment on column crm.opportunity.contact_id is 'The person at the customer whom we deal with.';
comment on column crm.opportunity.lead_id is 'The lead it came from.';
comment on column crm.opportunity.next_step is 'What is to be done next.';
comment on column crm.opportunity.next_step_on is 'When it is to be done.';
comment on column crm.opportunity.note is 'What colleagues should know.';
comment on constraint opportunity_name_length on crm.opportunity is 'en: Give the opportunity a name of at most 300 characters. | tr: Fırsata en çok 300 karakterlik bir ad verin.';
comment on constraint opportunity_stage_id_exists on crm.opportunity is 'en: The pipeline has no such stage. | tr: Satış hattında böyle bir aşama yok.';
comment on constraint opportunity_status_known on crm.opportunity is 'en: An opportunity is open, won or lost. | tr: Fırsat open, won ya da lost olabilir.';
comment on constraint opportunity_amount_positive on crm.opportunity is 'en: An amount is not negative. | tr: Tutar eksi olamaz.';
comment on constraint opportunity_amount_of_lines on crm.opportunity is 'en: The amount is the sum of the lines; change the lines. | tr: Tutar satırların toplamıdır; satırları değiştirin.';
comment on constraint opportunity_probability_range on crm.opportunity is 'en: A probability is from 0 to 100 percent. | tr: Olasılık yüzde 0 ile 100 arasındadır.';
comment on constraint opportunity_close_on_finite on crm.opportunity is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint opportunity_closed_at_given on crm.opportunity is 'en: A closed opportunity has the time it was closed, an open one has none. | tr: Kapanan fırsatın kapanış zamanı olur, açık olanın olmaz.';
comment on constraint opportunity_lost_reason_id_given on crm.opportunity is 'en: A lost opportunity has a reason, another has none. | tr: Yalnızca kaybedilen fırsatın bir nedeni olur.';
comment on constraint opportunity_next_step_length on crm.opportunity is 'en: Give the next step in at most 500 characters. | tr: Sonraki adımı en çok 500 karakterle yazın.';
comment on constraint opportunity_next_step_on_finite on crm.opportunity is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
create index opportunity_id_index on crm.opportunity (id);
create index opportunity_open_stage_index on crm.opportunity (stage_id, id) where status = 'open';
create index opportunity_close_on_index on crm.opportunity (close_on, id) where status = 'open';
create index opportunity_closed_on_index on crm.opportunity (closed_on, id) where status <> 'open';
create index opportunity_owner_id_index on crm.opportunity (owner_id, id);
create index opportunity_search_key_index on crm.opportunity (search_key, id);

create function crm.place_opportunity() returns trigger language plpgsql as $$
declare
  nowhere constant uuid := '00000000-0000-0000-0000-000000000000';
  stage record;
begin
  if new.stage_id = nowhere then
    new.stage_id := case when new.pipeline_id = nowhere then crm.default_stage(new.department_id)
      else (select s.id from crm.stage as s where s.pipeline_id = new.pipeline_id order by s.position limit 1) end;
  end if;
  select s.pipeline_id, s.probability, s.rotting_days into stage from crm.stage as s where s.id = new.stage_id;
  if not found then
    perform crm.missing_reference('stage_id');
  end if;
  if tg_op = 'INSERT' then
    if new.pipeline_id = nowhere then
      new.pipeline_id := stage.pipeline_id;
    end if;
    if new.status <> 'open' then
      new.closed_at := coalesce(new.closed_at, greatest(clock_timestamp(), new.stage_entered_at));
    end if;
  else
    if new.pipeline_id = old.pipeline_id then
      new.pipeline_id := stage.pipeline_id;
    end if;
    if new.stage_id <> old.stage_id and new.status = 'open' or new.status = 'open' and old.status <> 'open' then
      -- Not the transaction's time: who waited for the row moves it later than who had it, whenever they began.
      new.stage_entered_at := greatest(clock_timestamp(), old.stage_entered_at, old.closed_at);
    end if;
    if (new.stage_id, new.status) is distinct from (old.stage_id, old.status) and new.probability is not distinct from old.probability then
      new.probability := null;
    end if;
    if new.status <> old.status then
      new.closed_at := case when new.status <> 'open' then greatest(clock_timestamp(), old.stage_entered_at, old.closed_at) end;
    end if;
  end if;
  new.probability := case new.status when 'won' then 100 when 'lost' then 0 else coalesce(new.probability, stage.probability) end;
  new.rots_at := case when new.status = 'open' then new.stage_entered_at + make_interval(hours => 24 * stage.rotting_days) end;
  return new;
end
$$;
comment on function crm.place_opportunity() is 'Trigger: gives an opportunity its default stage, the stage''s pipeline and probability, and the times of its moves.';
create trigger opportunity_place_insert before insert on crm.opportunity for each row execute function crm.place_opportunity();
create trigger opportunity_place_update before update on crm.opportunity for each row
  when ((old.pipeline_id, old.stage_id, old.status, old.probability) is distinct from (new.pipeline_id, new.stage_id, new.status, new.probability))
  execute function crm.place_opportunity();

-- The history of stages: written by the database alone, in the statement that moves the opportunity, so that it has no gaps and cannot be rewritten.
create table crm.opportunity_stage (
  customer_id      uuid          not null,
  id               uuid          not null default crm.uuid_v7(),
  opportunity_id   uuid          not null,
  pipeline_id      uuid          not null,
  stage_id         uuid          not null,
  status           text          not null,
  entered_at       timestamptz   not null,
  left_at          timestamptz,
  duration_seconds numeric(18,6) generated always as (extract(epoch from left_at - entered_at)) stored,
  entered_by       uuid,
  left_by          uuid,
  department_id    uuid          not null,
  owner_id         uuid,
  audience         uuid,
  constraint opportunity_stage_id_primary primary key (customer_id, id),
  constraint opportunity_stage_opportunity_id_exists foreign key (customer_id, opportunity_id) references crm.opportunity (customer_id, id),
  constraint opportunity_stage_pipeline_id_exists foreign key (pipeline_id) references crm.pipeline (id),
  constraint opportunity_stage_stage_id_exists foreign key (pipeline_id, stage_id) references crm.stage (pipeline_id, id),
  constraint opportunity_stage_status_known check (status in ('open', 'won', 'lost')),
  constraint opportunity_stage_left_at_later check (left_at >= entered_at),
  constraint opportunity_stage_duration_seconds_number check (duration_seconds <> 'NaN')
);
comment on table crm.opportunity_stage is 'How long an opportunity was where: one row for each time it stood open in a stage, or closed. The rows of one follow each other without gaps.';
comment on column crm.opportunity_stage.opportunity_id is 'The opportunity.';
comment on column crm.opportunity_stage.pipeline_id is 'The pipeline of the stage.';
comment on column crm.opportunity_stage.stage_id is 'The stage; of a closed opportunity, the one it was closed in.';
comment on column crm.opportunity_stage.status is 'open, won or lost: what it was in this time.';
comment on column crm.opportunity_stage.entered_at is 'When this began.';
comment on column crm.opportunity_stage.left_at is 'When this ended; null while it lasts.';
comment on column crm.opportunity_stage.duration_seconds is 'How long it lasted, in seconds; null while it lasts.';
comment on column crm.opportunity_stage.entered_by is 'The user who brought it here; null for the system.';
comment on column crm.opportunity_stage.left_by is 'The user who moved it on; null for the system.';
comment on constraint opportunity_stage_status_known on crm.opportunity_stage is 'en: An opportunity is open, won or lost. | tr: Fırsat open, won ya da lost olabilir.';
comment on constraint opportunity_stage_duration_seconds_number on crm.opportunity_stage is 'en: A duration must be a number. | tr: Süre bir sayı olmalıdır.';
comment on constraint opportunity_stage_left_at_later on crm.opportunity_stage is 'en: A stage is left after it was entered. | tr: Bir aşamadan girişten sonra çıkılır.';
create unique index opportunity_stage_current_index on crm.opportunity_stage (customer_id, opportunity_id) where left_at is null;
create index opportunity_stage_opportunity_id_index on crm.opportunity_stage (opportunity_id, entered_at);
create index opportunity_stage_stage_id_index on crm.opportunity_stage (stage_id, opportunity_id);
create index opportunity_stage_id_index on crm.opportunity_stage (id);

create function crm.keep_opportunity_stages() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  moment constant timestamptz := coalesce(new.closed_at, new.stage_entered_at);
begin
  if tg_op = 'INSERT' and new.status <> 'open' then
    -- Brought in closed, as an import does: it was open before.
    insert into crm.opportunity_stage (customer_id, opportunity_id, pipeline_id, stage_id, status, entered_at, left_at, entered_by, left_by, department_id, owner_id, audience)
    values (new.customer_id, new.id, new.pipeline_id, new.stage_id, 'open', least(new.stage_entered_at, moment), moment, crm.caller_id(), crm.caller_id(),
      new.department_id, new.owner_id, new.audience);
  elsif tg_op = 'UPDATE' then
    if (old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience) then
      update crm.opportunity_stage as h set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
      where h.customer_id = new.customer_id and h.opportunity_id = new.id;
    end if;
    if (old.stage_id, old.status) is not distinct from (new.stage_id, new.status) then
      return null;
    end if;
    update crm.opportunity_stage as h set left_at = moment, left_by = crm.caller_id()
    where h.customer_id = new.customer_id and h.opportunity_id = new.id and h.left_at is null;
  end if;
  insert into crm.opportunity_stage (customer_id, opportunity_id, pipeline_id, stage_id, status, entered_at, entered_by, department_id, owner_id, audience)
  values (new.customer_id, new.id, new.pipeline_id, new.stage_id, new.status, moment, crm.caller_id(), new.department_id, new.owner_id, new.audience);
  return null;
end
$$;
comment on function crm.keep_opportunity_stages() is 'Trigger: ends the row of the stage that an opportunity leaves and begins that of the one it enters.';
revoke execute on function crm.keep_opportunity_stages() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger opportunity_keep_stages_insert after insert on crm.opportunity for each row execute function crm.keep_opportunity_stages();
create trigger opportunity_keep_stages_update after update on crm.opportunity for each row
  when ((old.stage_id, old.status, old.department_id, old.owner_id, old.audience) is distinct from (new.stage_id, new.status, new.department_id, new.owner_id, new.audience))
  execute function crm.keep_opportunity_stages();
alter table crm.opportunity enable always trigger opportunity_keep_stages_insert;
alter table crm.opportunity enable always trigger opportunity_keep_stages_update;

create table crm.opportunity_line (
  customer_id      uuid          not null,
  id               uuid          not null default crm.uuid_v7(),
  opportunity_id   uuid          not null,
  line_number      integer       not null,
  product_id       uuid          not null,
  description      text,
  quantity         numeric(18,3) not null default 1,
  unit_price       numeric(18,6) not null,
  discount_percent numeric(5,2)  not null default 0,
  amount           numeric(18,2) generated always as (round(quantity * unit_price * (1 - discount_percent / 100), 2)) stored,
  department_id    uuid          not null,
  owner_id         uuid,
  audience         uuid,
  created_at       timestamptz   not null default now(),
  updated_at       timestamptz   not null default now(),
  version          integer       not null default 1,
  created_by       uuid          default crm.caller_id(),
  constraint opportunity_line_line_number_primary primary key (customer_id, opportunity_id, line_number),
  constraint opportunity_line_opportunity_id_exists foreign key (customer_id, opportunity_id) references crm.opportunity (customer_id, id),
  constraint opportunity_line_product_id_exists foreign key (product_id) references crm.product (id),
  constraint opportunity_line_line_number_positive check (line_number > 0),
  constraint opportunity_line_description_length check (length(description) <= 1000),
  constraint opportunity_line_quantity_positive check (quantity > 0 and quantity <> 'NaN'),
  constraint opportunity_line_unit_price_positive check (unit_price >= 0 and unit_price <> 'NaN'),
  constraint opportunity_line_discount_percent_range check (discount_percent between 0 and 100 and discount_percent <> 'NaN'),
  constraint opportunity_line_amount_number check (amount <> 'NaN')
);
comment on table crm.opportunity_line is 'A product that an opportunity is about.';
comment on column crm.opportunity_line.opportunity_id is 'The opportunity it belongs to.';
comment on column crm.opportunity_line.line_number is 'Its place, from 1.';
comment on column crm.opportunity_line.product_id is 'The product.';
comment on column crm.opportunity_line.description is 'What there is to say about it beyond the product''s name.';
comment on column crm.opportunity_line.quantity is 'How many units of the product.';
comment on column crm.opportunity_line.unit_price is 'Price of one unit before the discount and without VAT, in the opportunity''s currency.';
comment on column crm.opportunity_line.discount_percent is 'Discount on the price, in percent.';
comment on column crm.opportunity_line.amount is 'Quantity times price less the discount, rounded to two digits.';
comment on constraint opportunity_line_line_number_primary on crm.opportunity_line is 'en: The opportunity already has a line with this number. | tr: Fırsatta bu numaralı bir satır zaten var.';
comment on constraint opportunity_line_line_number_positive on crm.opportunity_line is 'en: Lines are numbered from 1. | tr: Satırlar 1''den başlayarak numaralanır.';
comment on constraint opportunity_line_description_length on crm.opportunity_line is 'en: Give a description of at most 1000 characters. | tr: En çok 1000 karakterlik bir açıklama verin.';
comment on constraint opportunity_line_quantity_positive on crm.opportunity_line is 'en: A quantity is more than 0. | tr: Miktar 0''dan büyük olmalıdır.';
comment on constraint opportunity_line_unit_price_positive on crm.opportunity_line is 'en: A price is not negative. | tr: Fiyat eksi olamaz.';
comment on constraint opportunity_line_amount_number on crm.opportunity_line is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint opportunity_line_discount_percent_range on crm.opportunity_line is 'en: A discount is from 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
create index opportunity_line_id_index on crm.opportunity_line (id);

create table crm.opportunity_competitor (
  customer_id    uuid        not null,
  id             uuid        not null default crm.uuid_v7(),
  opportunity_id uuid        not null,
  name           text        not null,
  strengths      text,
  weaknesses     text,
  department_id  uuid        not null,
  owner_id       uuid,
  audience       uuid,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer     not null default 1,
  created_by     uuid        default crm.caller_id(),
  constraint opportunity_competitor_id_primary primary key (customer_id, id),
  constraint opportunity_competitor_opportunity_id_exists foreign key (customer_id, opportunity_id) references crm.opportunity (customer_id, id),
  constraint opportunity_competitor_name_length check (length(btrim(name)) between 1 and 200),
  constraint opportunity_competitor_strengths_length check (length(strengths) <= 2000),
  constraint opportunity_competitor_weaknesses_length check (length(weaknesses) <= 2000)
);
comment on table crm.opportunity_competitor is 'Another company that the customer may buy from.';
comment on column crm.opportunity_competitor.opportunity_id is 'The opportunity it competes for.';
comment on column crm.opportunity_competitor.name is 'Name of the company.';
comment on column crm.opportunity_competitor.strengths is 'What speaks for it.';
comment on column crm.opportunity_competitor.weaknesses is 'What speaks against it.';
comment on constraint opportunity_competitor_name_length on crm.opportunity_competitor is 'en: Give the competitor a name of at most 200 characters. | tr: Rakibe en çok 200 karakterlik bir ad verin.';
comment on constraint opportunity_competitor_strengths_length on crm.opportunity_competitor is 'en: At most 2000 characters. | tr: En çok 2000 karakter.';
comment on constraint opportunity_competitor_weaknesses_length on crm.opportunity_competitor is 'en: At most 2000 characters. | tr: En çok 2000 karakter.';
create index opportunity_competitor_id_index on crm.opportunity_competitor (id);
create index opportunity_competitor_opportunity_id_index on crm.opportunity_competitor (opportunity_id);

create function crm.follow_opportunity() returns trigger language plpgsql as $$
begin
  select o.department_id, o.owner_id, o.audience into new.department_id, new.owner_id, new.audience
  from crm.opportunity as o where o.customer_id = new.customer_id and o.id = new.opportunity_id;
  if not found then
    perform crm.missing_reference('opportunity_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_opportunity() is 'Trigger: gives what belongs to an opportunity its department, owner and audience; an opportunity the caller cannot see is a missing reference.';

create function crm.lead_opportunity_parts() returns trigger language plpgsql as $$
begin
  update crm.opportunity_line as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.opportunity_id = new.id;
  update crm.opportunity_competitor as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.opportunity_id = new.id;
  return null;
end
$$;
comment on function crm.lead_opportunity_parts() is 'Trigger: when an opportunity changes department, owner or visibility, its lines and competitors follow.';

do $$
declare
  name text;
begin
  foreach name in array array['opportunity_line', 'opportunity_competitor'] loop
    execute format('create trigger %I before insert on crm.%I for each row execute function crm.follow_opportunity()', name || '_follow_insert', name);
    execute format('create trigger %I before update on crm.%I for each row when ((old.customer_id, old.opportunity_id, old.department_id, old.owner_id, old.audience)'
      || ' is distinct from (new.customer_id, new.opportunity_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_opportunity()', name || '_follow_update', name);
  end loop;
end
$$;
create trigger opportunity_lead after update on crm.opportunity for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_opportunity_parts();
alter table crm.opportunity enable always trigger opportunity_lead;

create function crm.total_opportunities() returns trigger language plpgsql as $$
begin
  update crm.opportunity as o set lines_amount = sums.amount, amount = coalesce(sums.amount, o.amount)
  from (
    select touched.customer_id, touched.opportunity_id, sum(l.amount) as amount
    from (select distinct customer_id, opportunity_id from touched_rows) as touched
    left join crm.opportunity_line as l on l.customer_id = touched.customer_id and l.opportunity_id = touched.opportunity_id
    group by touched.customer_id, touched.opportunity_id
  ) as sums
  where o.customer_id = sums.customer_id and o.id = sums.opportunity_id and o.lines_amount is distinct from sums.amount;
  return null;
end
$$;
comment on function crm.total_opportunities() is 'Trigger, once a statement: writes the sum of the lines to their opportunities; without lines the amount stays as it was, for people to change.';
create trigger opportunity_line_total_insert after insert on crm.opportunity_line referencing new table as touched_rows for each statement execute function crm.total_opportunities();
create trigger opportunity_line_total_update after update on crm.opportunity_line referencing new table as touched_rows for each statement execute function crm.total_opportunities();
create trigger opportunity_line_total_delete after delete on crm.opportunity_line referencing old table as touched_rows for each statement execute function crm.total_opportunities();

select crm.protect('crm.pipeline', area => 'sales', kind => 'common', resource => 'pipelines', bi => true);
select crm.protect('crm.stage', area => 'sales', kind => 'common', resource => 'stages', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.lost_reason', area => 'sales', kind => 'common', resource => 'lost_reasons', bi => true);
select crm.protect('crm.opportunity', area => 'sales', kind => 'owned', resource => 'opportunities', bi => true);
select crm.protect('crm.opportunity_stage', area => 'sales', kind => 'owned', resource => 'opportunity_stages', verbs => '{select}', bi => true);
create policy opportunity_stage_keep on crm.opportunity_stage to crm_owner using (true) with check (true);
select crm.protect('crm.opportunity_line', area => 'sales', kind => 'owned', resource => 'opportunity_lines', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.opportunity_competitor', area => 'sales', kind => 'owned', resource => 'opportunity_competitors', verbs => '{select,insert,update,delete}');

-- Opportunities may have custom fields, beside whatever else may by now.
do $$
declare
  resources text[] := array(
    select m[1] from pg_constraint as c, regexp_matches(pg_get_constraintdef(c.oid), '''([a-z_]+)''', 'g') as m
    where c.conname = 'custom_field_resource_known' and c.conrelid = 'crm.custom_field'::regclass) || 'opportunities'::text;
begin
  alter table crm.custom_field drop constraint custom_field_resource_known;
  execute format('alter table crm.custom_field add constraint custom_field_resource_known check (resource in (%s))',
    (select string_agg(quote_literal(r), ', ') from (select distinct r from unnest(resources) as r) as each));
  execute format('comment on constraint custom_field_resource_known on crm.custom_field is %L', format(
    'en: Resources with custom fields are: %1$s. | tr: Özel alan eklenebilen kaynaklar: %1$s.', (select string_agg(distinct r, ', ') from unnest(resources) as r)));
end
$$;
comment on column crm.custom_field.resource is 'The resource it belongs to.';

set local role none;
set local muhatap.via = 'system:migration';
insert into crm.lost_reason (code, name_en, name_tr) values
  ('price', 'Price', 'Fiyat'), ('competitor', 'Bought from a competitor', 'Rakipten alındı'), ('no_budget', 'No budget', 'Bütçe yok'),
  ('no_decision', 'No decision', 'Karar verilmedi'), ('no_need', 'No need any more', 'İhtiyaç kalmadı'), ('product_fit', 'Product does not fit', 'Ürün uygun değil'),
  ('delivery', 'Delivery or stock', 'Teslimat ya da stok'), ('no_contact', 'Contact was lost', 'İletişim koptu'), ('other', 'Other', 'Diğer');
with made as (
  insert into crm.pipeline (name, is_default, note) values ('Standart satış', true, 'Kendi satış hattı olmayan departmanlar bununla çalışır.') returning id
)
insert into crm.stage (pipeline_id, position, name, probability, forecast_category, exit_criteria, rotting_days)
select made.id, given.position, given.name, given.probability, given.category, given.criteria, given.days from made cross join (values
  (10, 'Ön görüşme', 10, 'pipeline', '{}'::text[], 14),
  (20, 'İhtiyaç analizi', 25, 'pipeline', '{amount}', 21),
  (30, 'Teklif', 50, 'best_case', '{amount,close_on}', 14),
  (40, 'Pazarlık', 75, 'commit', '{amount,close_on}', 10)
) as given (position, name, probability, category, criteria, days);
