-- Leads as they were first written down, and what forecasts said against what came.
set local role crm_owner;

create function analytics.lead_as_written(known_until timestamptz, only_department uuid)
returns table (lead_id uuid, created_at timestamptz, outcome text, source text, is_company boolean, has_person boolean, has_job_title boolean, has_email boolean, has_phone boolean,
  has_website boolean, has_tax_number boolean, has_province boolean, has_interest boolean, by_campaign boolean) language sql stable as $$
  select l.id, l.created_at,
    case when l.status = 'converted' and l.converted_at < known_until then 'converted'
      when l.status = 'disqualified' and l.disqualified_at < known_until then 'disqualified' else 'open' end,
    w.written ->> 'source', w.written ->> 'company_name' is not null, w.written ->> 'name' is not null, w.written ->> 'job_title' is not null, w.written ->> 'email' is not null,
    w.written ->> 'phone' is not null, w.written ->> 'website' is not null, w.written ->> 'tax_number' is not null, w.written ->> 'province_code' is not null,
    coalesce(w.written ->> 'product_category_id', w.written ->> 'interest') is not null, w.written ->> 'first_utm_campaign' is not null
  from crm.lead as l
  cross join lateral (
    -- What a change replaced first is what was written in the beginning; what was never changed still stands.
    select to_jsonb(l) || coalesce((
      select jsonb_object_agg(f.key, f.value) from (
        select distinct on (b.key) b.key, b.value
        from crm.change as c cross join lateral jsonb_each(c.before) as b
        where c.row_id = l.id and c.relation = 'leads' and c.op = 'update' order by b.key, c.xid, c.seq
      ) as f), '{}') as written
  ) as w
  where l.created_at < known_until and l.disqualification_reason is distinct from 'duplicate' and (only_department is null or l.department_id = only_department)
$$;
comment on function analytics.lead_as_written(timestamptz, uuid) is
  'Leads made before an instant, with what was known when each was first written down (changes since are undone from the change log) and what had become of it at the instant; duplicates are left out.';

create function analytics.forecast_accuracy(first_month date, last_month date, lead_days integer, only_pipeline uuid, to_currency text, known_until timestamptz)
returns table (month date, snapshot_on date, currency text, opportunities bigint, closed_before numeric, weighted numeric, forecast numeric, closed numeric, closed_of_snapshot numeric,
  closed_new numeric, without_rate bigint) language sql stable as $$
  with month as (
    select m.first::date as first, (m.first + interval '1 month')::date as next, (
        select max(p.snapshot_on) from crm.pipeline_snapshot as p where p.snapshot_on <= m.first::date - 1 - lead_days) as snapshot_on
    from generate_series(first_month::timestamp, last_month::timestamp, interval '1 month') as m (first)
  ), stood as (
    select m.first, e.opportunity_id, e.currency as own, coalesce(to_currency, e.currency) as currency, e.amount * e.probability / 100 as weighted, m.snapshot_on as day
    from month as m join crm.pipeline_snapshot_entry as e on e.first_on <= m.snapshot_on and (e.until_on is null or e.until_on > m.snapshot_on)
    where e.close_on >= m.first and e.close_on < m.next and (only_pipeline is null or e.pipeline_id = only_pipeline)
  ), won as (
    select m.first, o.id, o.currency as own, coalesce(to_currency, o.currency) as currency, o.amount, o.closed_on as day, m.snapshot_on is not null and o.closed_on <= m.snapshot_on as before,
      exists (select from stood as s where s.first = m.first and s.opportunity_id = o.id) as foreseen
    from month as m join crm.opportunity as o on o.status = 'won' and o.closed_on >= m.first and o.closed_on < m.next
    where (only_pipeline is null or o.pipeline_id = only_pipeline) and o.closed_at < known_until
  ), told as (
    select s.first, s.currency, 1 as opportunities, round(crm.convert(s.weighted, s.own, s.currency, s.day), 10) as weighted, null::numeric as closed, false as before, false as foreseen,
      s.weighted is not null and crm.convert(s.weighted, s.own, s.currency, s.day) is null as missing
    from stood as s
    union all
    select w.first, w.currency, 0, null, round(crm.convert(w.amount, w.own, w.currency, w.day), 10), w.before, w.foreseen, w.amount is not null and crm.convert(w.amount, w.own, w.currency, w.day) is null
    from won as w
  )
  select m.first, m.snapshot_on, t.currency, coalesce(sum(t.opportunities), 0)::bigint, coalesce(sum(t.closed) filter (where t.before), 0), coalesce(sum(t.weighted), 0),
    case when m.snapshot_on is not null then coalesce(sum(t.weighted), 0) + coalesce(sum(t.closed) filter (where t.before), 0) end, coalesce(sum(t.closed), 0),
    coalesce(sum(t.closed) filter (where t.foreseen), 0), coalesce(sum(t.closed) filter (where not t.foreseen), 0), count(*) filter (where t.missing)
  from month as m left join told as t on t.first = m.first
  group by m.first, m.snapshot_on, t.currency
$$;
comment on function analytics.forecast_accuracy(date, date, integer, uuid, text, timestamptz) is
  'What the weighted forecast of each month said some days before the month began, by the snapshot of the pipeline of that day, and what was won in it.';

grant execute on all functions in schema analytics to crm_app, crm_worker;
