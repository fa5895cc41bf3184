-- What the past says: how often a stage ends in a sale, what the pipeline looked like on any past day, and what each person was to sell.
set local role crm_owner;

-- Which stages an opportunity ever stood in. It repeats the history of stages so that all of them are counted in one pass over the opportunities.
alter table crm.opportunity add column stages_entered uuid[] not null default '{}';
comment on column crm.opportunity.stages_entered is 'Derived: every stage it ever stood open in, in the order of first entering.';

create or replace function crm.place_opportunity() returns trigger language plpgsql as $$
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
    new.stages_entered := array[new.stage_id];
  else
    if new.pipeline_id = old.pipeline_id then
      new.pipeline_id := stage.pipeline_id;
    end if;
    if new.status = 'open' and (new.stage_id, new.status) is distinct from (old.stage_id, old.status) then
      -- Not the transaction's time: who waited for the row moves it later than who had it, whenever they began.
      new.stage_entered_at := greatest(clock_timestamp(), old.stage_entered_at, old.closed_at);
      if new.stage_id <> all (old.stages_entered) then
        new.stages_entered := old.stages_entered || new.stage_id;
      end if;
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

create function crm.stage_win_rates() returns table (stage_id uuid, entered bigint, won bigint, lost bigint) language sql stable as $$
  select e.stage_id, sum(o.number)::bigint, coalesce(sum(o.number) filter (where o.status = 'won'), 0)::bigint,
    coalesce(sum(o.number) filter (where o.status = 'lost'), 0)::bigint
  from (select stages_entered, status, count(*) as number from crm.opportunity group by stages_entered, status) as o
  cross join lateral unnest(o.stages_entered) as e (stage_id)
  group by e.stage_id
$$;
comment on function crm.stage_win_rates() is
  'For each stage, of the opportunities the caller may read: how many ever entered it, and how many of those were won and lost. The share won ÷ (won + lost) is the stage''s probability by history; those still open say nothing yet.';

-- Snapshots: an entry stands from its first day until the day it was found changed, so that a quiet opportunity costs one row and not one a night.
create table crm.pipeline_snapshot (
  id          uuid        not null default crm.uuid_v7(),
  snapshot_on date        not null,
  taken_at    timestamptz not null default clock_timestamp(),
  constraint pipeline_snapshot_snapshot_on_primary primary key (snapshot_on),
  constraint pipeline_snapshot_snapshot_on_finite check (isfinite(snapshot_on))
);
comment on table crm.pipeline_snapshot is 'The days whose pipeline was written down.';
comment on column crm.pipeline_snapshot.snapshot_on is 'The day at whose end the pipeline stood as written down.';
comment on column crm.pipeline_snapshot.taken_at is 'When it was written down.';
comment on constraint pipeline_snapshot_snapshot_on_primary on crm.pipeline_snapshot is 'en: This day was already written down. | tr: Bu gün zaten kaydedilmiş.';
comment on constraint pipeline_snapshot_snapshot_on_finite on crm.pipeline_snapshot is 'en: Give a real date. | tr: Gerçek bir tarih verin.';

create table crm.pipeline_snapshot_entry (
  customer_id       uuid          not null,
  id                uuid          not null default crm.uuid_v7(),
  opportunity_id    uuid          not null,
  pipeline_id       uuid          not null,
  stage_id          uuid          not null,
  forecast_category text          not null,
  amount            numeric(18,2),
  currency          text          not null,
  probability       numeric(5,2)  not null,
  close_on          date,
  first_on          date          not null,
  until_on          date,
  department_id     uuid          not null,
  owner_id          uuid,
  audience          uuid,
  updated_at        timestamptz   not null default now(),
  constraint pipeline_snapshot_entry_id_primary primary key (customer_id, id),
  constraint pipeline_snapshot_entry_opportunity_id_exists foreign key (customer_id, opportunity_id) references crm.opportunity (customer_id, id),
  constraint pipeline_snapshot_entry_first_on_exists foreign key (first_on) references crm.pipeline_snapshot (snapshot_on),
  constraint pipeline_snapshot_entry_until_on_later check (until_on > first_on),
  constraint pipeline_snapshot_entry_amount_number check (amount <> 'NaN'),
  constraint pipeline_snapshot_entry_probability_range check (probability between 0 and 100 and probability <> 'NaN')
);
comment on table crm.pipeline_snapshot_entry is 'How an open opportunity stood at the end of every day from first_on until the day before until_on.';
comment on column crm.pipeline_snapshot_entry.opportunity_id is 'The opportunity.';
comment on column crm.pipeline_snapshot_entry.pipeline_id is 'The pipeline it was in.';
comment on column crm.pipeline_snapshot_entry.stage_id is 'The stage it was in.';
comment on column crm.pipeline_snapshot_entry.forecast_category is 'How the forecast counted it.';
comment on column crm.pipeline_snapshot_entry.amount is 'Its amount; null when nobody knew.';
comment on column crm.pipeline_snapshot_entry.currency is 'Currency of the amount.';
comment on column crm.pipeline_snapshot_entry.probability is 'How likely the sale was thought to be, in percent.';
comment on column crm.pipeline_snapshot_entry.close_on is 'The day it was expected to be decided.';
comment on column crm.pipeline_snapshot_entry.first_on is 'The first day at whose end it stood so.';
comment on column crm.pipeline_snapshot_entry.until_on is 'The first day at whose end it no longer stood so; null while it does.';
comment on constraint pipeline_snapshot_entry_until_on_later on crm.pipeline_snapshot_entry is 'en: An entry ends after it began. | tr: Bir kayıt başladıktan sonra biter.';
comment on constraint pipeline_snapshot_entry_amount_number on crm.pipeline_snapshot_entry is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint pipeline_snapshot_entry_probability_range on crm.pipeline_snapshot_entry is 'en: A probability is from 0 to 100 percent. | tr: Olasılık yüzde 0 ile 100 arasındadır.';
create unique index pipeline_snapshot_entry_current_index on crm.pipeline_snapshot_entry (customer_id, opportunity_id) where until_on is null;
create index pipeline_snapshot_entry_pipeline_id_index on crm.pipeline_snapshot_entry (pipeline_id, first_on, until_on);

create function crm.take_pipeline_snapshot(day date) returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('crm.take_pipeline_snapshot'));
  if exists (select from crm.pipeline_snapshot as p where p.snapshot_on >= day) then
    return false;
  end if;
  insert into crm.pipeline_snapshot (snapshot_on) values (day);
  update crm.pipeline_snapshot_entry as e set until_on = day, updated_at = now()
  where e.until_on is null and not exists (
    select from crm.opportunity as o join crm.stage as s on s.id = o.stage_id
    where o.customer_id = e.customer_id and o.id = e.opportunity_id and o.status = 'open'
      and (o.pipeline_id, o.stage_id, s.forecast_category, o.amount, o.currency, o.probability, o.close_on, o.department_id, o.owner_id, o.audience)
        is not distinct from (e.pipeline_id, e.stage_id, e.forecast_category, e.amount, e.currency, e.probability, e.close_on, e.department_id, e.owner_id, e.audience));
  insert into crm.pipeline_snapshot_entry (customer_id, opportunity_id, pipeline_id, stage_id, forecast_category, amount, currency, probability, close_on,
    first_on, department_id, owner_id, audience)
  select o.customer_id, o.id, o.pipeline_id, o.stage_id, s.forecast_category, o.amount, o.currency, o.probability, o.close_on,
    day, o.department_id, o.owner_id, o.audience
  from crm.opportunity as o join crm.stage as s on s.id = o.stage_id
  where o.status = 'open' and not exists (
    select from crm.pipeline_snapshot_entry as e where e.customer_id = o.customer_id and e.opportunity_id = o.id and e.until_on is null);
  return true;
end
$$;
comment on function crm.take_pipeline_snapshot(date) is
  'Writes down how the pipeline stands now, as the end of the given day. Says false, and does nothing, when that day or a later one was written down before.';

create table crm.sales_quota (
  id         uuid          not null default crm.uuid_v7(),
  user_id    uuid          not null,
  month      date          not null,
  currency   text          not null default 'TRY',
  amount     numeric(18,2) not null,
  created_at timestamptz   not null default now(),
  updated_at timestamptz   not null default now(),
  version    integer       not null default 1,
  created_by uuid          default crm.caller_id(),
  constraint sales_quota_id_primary primary key (id),
  constraint sales_quota_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint sales_quota_user_id_month_currency_unique unique (user_id, month, currency),
  constraint sales_quota_month_first check (isfinite(month) and extract(day from month) = 1),
  constraint sales_quota_currency_exists foreign key (currency) references crm.currency (code),
  constraint sales_quota_amount_positive check (amount > 0 and amount <> 'NaN')
);
comment on table crm.sales_quota is 'What a person is to sell in a month.';
comment on column crm.sales_quota.user_id is 'The person.';
comment on column crm.sales_quota.month is 'The month, as its first day.';
comment on column crm.sales_quota.currency is 'Currency of the amount.';
comment on column crm.sales_quota.amount is 'What the opportunities won in the month are to add up to.';
comment on constraint sales_quota_user_id_month_currency_unique on crm.sales_quota is 'en: This person already has a quota for the month in this currency. | tr: Bu kişinin bu ay için bu para biriminde zaten bir kotası var.';
comment on constraint sales_quota_month_first on crm.sales_quota is 'en: A month is given as its first day, such as 2026-11-01. | tr: Ay ilk günüyle verilir, örneğin 2026-11-01.';
comment on constraint sales_quota_amount_positive on crm.sales_quota is 'en: A quota is more than 0. | tr: Kota 0''dan büyük olmalıdır.';
create index sales_quota_month_index on crm.sales_quota (month, user_id);

select crm.protect('crm.opportunity', area => 'sales', kind => 'owned', resource => 'opportunities', bi => true);
select crm.protect('crm.pipeline_snapshot', area => 'sales', kind => 'common', verbs => '{select,insert}', bi => true, reason => 'The calendar of what a nightly job wrote down.');
select crm.protect('crm.pipeline_snapshot_entry', area => 'sales', kind => 'owned', bi => true, reason => 'Written down every night from opportunities, whose changes are in the log.');
select crm.protect('crm.sales_quota', area => 'sales', kind => 'reference', resource => 'sales_quotas', verbs => '{select,insert,update,delete}', bi => true);

set local role none;
set local muhatap.via = 'system:migration';
update crm.opportunity as o set stages_entered = array(
  select h.stage_id from crm.opportunity_stage as h where h.customer_id = o.customer_id and h.opportunity_id = o.id and h.status = 'open'
  group by h.stage_id order by min(h.entered_at));
