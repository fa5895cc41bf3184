-- Placing customers on the scale of a run: what a run does with all, these do with a few, by the same arithmetic in the same order.
set local role crm_owner;

create function analytics.placed(normalisation text, missing text, value double precision, measured bigint, below bigint, minimum double precision, maximum double precision,
  mean double precision, deviation double precision) returns double precision language sql immutable parallel safe
  return case
    when value is null then case missing when 'middle' then 0.5 else 0 end
    when measured < 2 or not maximum > minimum then 0
    when normalisation = 'percent_rank' then least(below, measured - 1)::double precision / (measured - 1)
    when normalisation = 'min_max' then (least(greatest(value, minimum), maximum) - minimum) / (maximum - minimum)
    when normalisation = 'z_clipped' then (least(greatest((value - mean) / deviation, -3), 3) + 3) / 6
    when normalisation = 'log' then ln(1 + (least(greatest(value, minimum), maximum) - minimum)) / ln(1 + (maximum - minimum)) end;
comment on function analytics.placed(text, text, double precision, bigint, bigint, double precision, double precision, double precision, double precision) is
  'A value of the scale as 0 to 1. below: how many on the scale are below it. A scale on which everybody is equal, or alone, says nothing: 0.';

create function analytics.scale_value(raw double precision, missing text, direction text, cap double precision) returns double precision language sql immutable parallel safe
  -- least would make the cap, or infinity, of nothing.
  return case direction when 'lower' then -1 else 1 end
    * case when coalesce(raw, case missing when 'zero' then 0 end) > cap then cap else coalesce(raw, case missing when 'zero' then 0 end) end;
comment on function analytics.scale_value(double precision, text, text, double precision) is
  'What was measured as it stands on the scale: capped, higher always better; null where nothing was measured and that does not count as 0.';

create function analytics.below(run uuid, place integer, value double precision) returns bigint language sql stable parallel safe as $$
  select case when value = s.points[s.at] then s.below[s.at] else coalesce(s.below[s.at + 1],
    (select n.below[1] from crm.value_scale as n where n.run_id = run and n.place = below.place and n.first > value order by n.first limit 1),
    (select k.measured from crm.value_run_key as k where k.run_id = run and k.place = below.place)) end
  from (
    select x.points, x.below, width_bucket(value, x.points) as at
    from crm.value_scale as x where x.run_id = run and x.place = below.place and x.first <= value order by x.first desc limit 1
  ) as s
$$;
comment on function analytics.below(uuid, integer, double precision) is 'How many on a run''s scale are below a value; null below the whole scale.';

create function analytics.band(run uuid, score double precision, customer uuid) returns smallint language sql stable parallel safe as $$
  select coalesce(
    min(t.place) filter (where band.score > t.last_score or band.score = t.last_score and (t.last_id is null or customer <= t.last_id)), max(t.place))
  from crm.value_run_tier as t where t.run_id = run and t.place <= 20
$$;
comment on function analytics.band(uuid, double precision, uuid) is 'The place of the band a score falls into by the bounds of a run, before hysteresis; the customer''s id decides between equal scores.';

create function analytics.settled(run uuid, score double precision, customer uuid, was smallint, stays boolean, margin double precision) returns smallint language sql stable parallel safe
  return case
    when was is null or analytics.band(run, score, customer) = was then analytics.band(run, score, customer)
    when stays then was
    when analytics.band(run, score, customer) < was then least(analytics.band(run, score - margin, customer), was)
    else greatest(analytics.band(run, score + margin, customer), was) end;
comment on function analytics.settled(uuid, double precision, uuid, smallint, boolean, double precision) is
  'The place of the band a customer goes to who was in the band at the place was: with hysteresis it stays until its time is over, rises only as far as its score less the margin reaches, and sinks only as far as its score plus the margin leaves it.';

create function analytics.measures(
  metric text, level integer, as_of timestamptz, since timestamptz, currency text, department uuid, time_zone text, customers uuid[] default null
) returns table (customer_id uuid, value double precision) language sql stable parallel safe as $$
  select m.customer_id, (case metric when 'revenue' then m.revenue when 'orders' then m.orders when 'average_order' then m.revenue / m.orders when 'discounts' then m.discounts
    when 'tenure' then analytics.day(as_of, time_zone) - analytics.day(m.first_at, time_zone)
    when 'recency' then analytics.day(as_of, time_zone) - analytics.day(m.last_at, time_zone) end)::double precision
  from analytics.order_measures(as_of, since, currency, department, customers) as m
  where metric in ('revenue', 'orders', 'average_order', 'discounts', 'tenure', 'recency')
  union all
  select m.customer_id, m.orders::double precision / m.months from analytics.month_measures(as_of, since, department, time_zone, customers) as m where metric = 'intensity'
  union all
  select m.customer_id, m.categories::double precision from analytics.breadth_measures(as_of, since, department, coalesce(level, 1), customers) as m where metric = 'product_breadth'
  union all
  select m.customer_id, (case metric when 'profit' then m.profit when 'margin' then case when m.product_cost is not null then m.margin end end)::double precision
  from analytics.profit_measures(as_of, since, currency, department, customers) as m where metric in ('profit', 'margin')
  union all
  select m.customer_id, (m.booked + m.unbooked)::double precision from analytics.return_measures(as_of, since, currency, department, customers) as m where metric = 'returns'
  union all
  select m.customer_id, (case metric when 'referrals' then m.referrals else m.referred_revenue end)::double precision
  from analytics.referral_measures(as_of, since, currency, department, customers) as m where metric in ('referrals', 'referred_revenue')
  union all
  select m.customer_id, (case metric when 'contacts' then m.contacts else m.cost end)::double precision
  from analytics.service_measures(as_of, since, currency, department, customers) as m where metric in ('contacts', 'cost_to_serve')
  union all
  select m.customer_id, m.payment_delay::double precision from analytics.payment_measures(as_of, since, department, time_zone, customers) as m where metric = 'payment_delay'
  union all
  select m.customer_id, m.value::double precision from analytics.observation_measures(metric, as_of, since, currency, department, customers) as m
  where metric not in ('revenue', 'orders', 'average_order', 'discounts', 'tenure', 'recency', 'intensity', 'product_breadth', 'profit', 'margin', 'returns', 'referrals',
    'referred_revenue', 'contacts', 'cost_to_serve', 'payment_delay')
$$;
comment on function analytics.measures(text, integer, timestamptz, timestamptz, text, uuid, text, uuid[]) is
  'One metric of analytics.customer_metric, by name: one row a customer of whom its source knows something. level: for product_breadth.';

create function analytics.last_run(model uuid, as_of timestamptz default 'infinity') returns uuid language sql stable parallel safe as $$
  select r.id from crm.analysis_run as r
  where r.kind = 'value' and r.status = 'done' and r.subject_id = model and r.as_of <= last_run.as_of order by r.as_of desc, r.id desc limit 1
$$;
comment on function analytics.last_run(uuid, timestamptz) is 'The latest run of a value model that is done, by the instant as of which it counts; null if there is none.';

-- What a refresh finds: the same arithmetic as of a run, for a few customers.
create function analytics.rescored(model uuid, run uuid, customers uuid[], as_of timestamptz)
returns table (
  customer_id uuid, is_active boolean, score double precision, raw double precision[], normalised double precision[], contribution double precision[], profit numeric
) language sql stable as $$
  with settings as materialized (
    select v.department_id, v.time_zone, v.window_days, v.active_days, y.loss_apart, r.result ->> 'currency' as currency
    from crm.value_model as v join crm.pyramid as y on y.id = v.pyramid_id join crm.analysis_run as r on r.id = run where v.id = model
  ), keys as materialized (
    select k.place, k.metric, k.coefficient, k.normalisation, k.direction, k.cap, k.missing, k.window_days, k.level, k.measured, k.minimum, k.maximum, k.mean, k.deviation,
      (select sum(x.coefficient order by x.place) from crm.value_run_key as x where x.run_id = run and x.place > 0) as weight
    from crm.value_run_key as k where k.run_id = run and k.place > 0
  ), measured as materialized (
    select k.place, m.customer_id, m.value
    from keys as k cross join settings as s
    cross join lateral analytics.measures(k.metric, k.level, as_of, analytics.since(as_of, k.window_days), s.currency, s.department_id, s.time_zone, customers) as m
  ), parts as materialized (
    select c.id as customer_id, k.place, k.coefficient, k.weight, m.value as raw,
      analytics.placed(k.normalisation, k.missing, x.value, k.measured, case when k.normalisation = 'percent_rank' then coalesce(analytics.below(run, k.place, x.value), 0) end,
        k.minimum, k.maximum, k.mean, k.deviation) as normalised
    from keys as k
    cross join unnest(customers) as c (id)
    left join measured as m on m.place = k.place and m.customer_id = c.id
    cross join lateral (select analytics.scale_value(m.value, k.missing, k.direction, k.cap) as value) as x
  ), scored as materialized (
    select p.customer_id, 100 * sum(p.coefficient * p.normalised order by p.place) / max(p.weight) as score, array_agg(p.raw order by p.place) as raw,
      array_agg(p.normalised order by p.place) as normalised, array_agg(100 * (p.coefficient * p.normalised) / p.weight order by p.place) as contribution
    from parts as p group by p.customer_id
  ), active as materialized (
    select o.customer_id from settings as s
    cross join lateral analytics.order_measures(as_of, analytics.since(as_of, s.active_days), null, s.department_id, customers) as o
  ), profits as materialized (
    select m.customer_id, m.profit from settings as s
    cross join lateral analytics.profit_measures(as_of, analytics.since(as_of, s.window_days), s.currency, s.department_id, customers) as m where s.loss_apart
  )
  select x.customer_id, o.customer_id is not null, x.score, x.raw, x.normalised, x.contribution, p.profit
  from scored as x
  left join active as o on o.customer_id = x.customer_id
  left join profits as p on p.customer_id = x.customer_id
$$;
comment on function analytics.rescored(uuid, uuid, uuid[], timestamptz) is
  'Customers scored on the scale of a run: whether each is active, its score with the parts by the place of the key, and its profit where the pyramid sets losses apart.';

create function analytics.refresh_standing(customers uuid[], as_of timestamptz default null) returns integer language plpgsql as $$
declare
  at constant timestamptz := coalesce(as_of, now());
  given constant uuid[] := array(select distinct c from unnest(customers) as c order by c);
  model record;
  scale record;
  part integer;
  touched integer := 0;
begin
  for model in
    select v.id, v.stay_days, v.stay_margin, y.loss_apart
    from crm.value_model as v join crm.pyramid as y on y.id = v.pyramid_id
    where v.active and (v.valid_until is null or v.valid_until >= analytics.day(at, v.time_zone))
    order by v.id
  loop
    -- A run moves all standings of its model at once, and is waited for; two refreshes of the same customers come one after the other.
    perform pg_advisory_xact_lock_shared(hashtextextended(model.id::text, 110));
    select r.id as run_id, (select max(b.place) from crm.value_run_tier as b where b.run_id = r.id and b.place <= 20) as lowest into scale
    from crm.analysis_run as r where r.id = analytics.last_run(model.id) and r.as_of <= at;
    continue when not found;
    perform from crm.customer_standing as s where s.model_id = model.id and s.customer_id = any (given) order by s.customer_id for update;
    with found as materialized (
      select x.customer_id, s.customer_id is not null as is_known, s.tier as was, s.since, s.score as old_score, s.rank as old_rank,
        case when x.is_active then x.score end as score, x.raw, x.normalised, x.contribution,
        case when not x.is_active then null
          when model.loss_apart and x.profit < 0 then scale.lowest
          else analytics.settled(scale.run_id, x.score, x.customer_id, t.place, s.since > at - model.stay_days * interval '24 hours', model.stay_margin) end as place
      from analytics.rescored(model.id, scale.run_id, given, at) as x
      left join crm.customer_standing as s on s.customer_id = x.customer_id and s.model_id = model.id
      left join crm.value_run_tier as t on t.run_id = scale.run_id and t.tier = s.tier and t.place <= 20
      where x.is_active or s.customer_id is not null
    ), placed as materialized (
      select f.*, case when f.score is null then 'inactive' else (select b.tier from crm.value_run_tier as b where b.run_id = scale.run_id and b.place = f.place) end as tier,
        case when f.score = f.old_score then f.old_rank when f.score is not null then (1 + coalesce(analytics.below(scale.run_id, 0, -f.score), 0))::integer end as rank
      from found as f
    ), ended as (
      update crm.customer_tier_history as h set valid_until = at
      from placed as p where h.customer_id = p.customer_id and h.model_id = model.id and h.valid_until is null and h.valid_from < at and p.tier <> p.was
      returning h.customer_id
    ), begun as (
      insert into crm.customer_tier_history as h (customer_id, model_id, valid_from, tier, score, run_id)
      select p.customer_id, model.id, at, p.tier, p.score, scale.run_id from placed as p where p.tier is distinct from p.was
      on conflict on constraint customer_tier_history_valid_from_primary do update set tier = excluded.tier, score = excluded.score, run_id = excluded.run_id
    )
    insert into crm.customer_standing as s (customer_id, model_id, run_id, score, rank, tier, since, as_of, raw, normalised, contribution)
    select p.customer_id, model.id, scale.run_id, p.score, p.rank, p.tier, case when p.tier is distinct from p.was then at else p.since end, at, p.raw, p.normalised, p.contribution
    from placed as p order by p.customer_id
    on conflict on constraint customer_standing_model_id_primary do update
      set run_id = excluded.run_id, score = excluded.score, rank = excluded.rank, tier = excluded.tier, since = excluded.since, as_of = excluded.as_of,
        raw = excluded.raw, normalised = excluded.normalised, contribution = excluded.contribution;
    get diagnostics part = row_count;
    touched := touched + part;
  end loop;
  return touched;
end
$$;
comment on function analytics.refresh_standing(uuid[], timestamptz) is
  'Scores customers again, as of now or another instant, on the scale of each active model''s last run, and moves them between tiers; answers how many standings there are of them. Called as crm.refresh_standing.';

create function analytics.value_model(code text, department uuid, on_day date) returns uuid language sql stable parallel safe as $$
  select v.id from crm.value_model as v
  where v.active and v.valid_from <= on_day and (v.valid_until is null or v.valid_until >= on_day) and (v.department_id is null or v.department_id = department)
    and case when value_model.code is null then v.is_default else v.code = value_model.code end
  order by v.department_id is null, v.revision desc, v.id limit 1
$$;
comment on function analytics.value_model(text, uuid, date) is
  'The value model with a code (null: the default one) that is valid on a day, in its latest revision; a model of the department goes before the company''s.';

create view analytics.value_now with (security_invoker = true) as
select s.customer_id, s.model_id, v.code as model, v.revision, v.is_default, v.department_id as model_department_id, s.run_id, s.score, s.rank, s.tier, s.since, s.as_of
from crm.customer_standing as s
join crm.value_model as v on v.id = s.model_id
where v.active and crm.business_day(now()) between v.valid_from and coalesce(v.valid_until, 'infinity')
  and v.revision = (
    select max(x.revision) from crm.value_model as x
    where x.code = v.code and x.active and crm.business_day(now()) between x.valid_from and coalesce(x.valid_until, 'infinity'));
comment on view analytics.value_now is 'One row a customer and value model valid today: where the customer stands.';
comment on column analytics.value_now.customer_id is 'The customer.';
comment on column analytics.value_now.model_id is 'The value model.';
comment on column analytics.value_now.model is 'Its code.';
comment on column analytics.value_now.revision is 'Its revision.';
comment on column analytics.value_now.is_default is 'Whether it is the one that answers when nobody names another.';
comment on column analytics.value_now.model_department_id is 'The department whose business alone it counts; null for the company''s.';
comment on column analytics.value_now.run_id is 'The run whose scale the customer is measured on.';
comment on column analytics.value_now.score is 'Value from 0 to 100; null when inactive.';
comment on column analytics.value_now.rank is 'Place among all, from 1; null when inactive.';
comment on column analytics.value_now.tier is 'The tier, or inactive.';
comment on column analytics.value_now.since is 'Since when it has been in the tier.';
comment on column analytics.value_now.as_of is 'The facts before this instant were counted.';

grant execute on all functions in schema analytics to crm_app, crm_worker, bi_reader;
grant select on all tables in schema analytics to crm_app, crm_worker, bi_reader;
