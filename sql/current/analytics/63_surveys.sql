-- What surveys found, with how far it can be trusted: 95 % intervals. Below five answers nothing but their number is shown, so that nobody is told apart;
-- below thirty the result is flagged.
set local role crm_owner;

create function analytics.student_quantile(df integer) returns double precision language plpgsql immutable strict parallel safe as $$
declare
  z constant double precision := 1.959963984540054;
  low double precision := z;
  high double precision := 13;
  t double precision;
  theta double precision;
  term double precision;
  total double precision;
  k integer;
begin
  if df < 1 then
    return null;
  elsif df > 100 then
    -- Cornish and Fisher's expansion (Abramowitz and Stegun 26.7.5): right to ten digits here.
    return z + (z ^ 3 + z) / 4 / df + (5 * z ^ 5 + 16 * z ^ 3 + 3 * z) / 96 / df::double precision ^ 2
      + (3 * z ^ 7 + 19 * z ^ 5 + 17 * z ^ 3 - 15 * z) / 384 / df::double precision ^ 3
      + (79 * z ^ 9 + 776 * z ^ 7 + 1482 * z ^ 5 - 1920 * z ^ 3 - 945 * z) / 92160 / df::double precision ^ 4;
  end if;
  -- The share between -t and t is a finite sum for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4); t is found by halving.
  for step in 1..60 loop
    t := (low + high) / 2;
    theta := atan(t / sqrt(df::double precision));
    if df % 2 = 1 then
      total := 0;
      term := sin(theta) * cos(theta);
      k := 3;
      while k <= df loop
        total := total + term;
        term := term * cos(theta) ^ 2 * (k - 1) / k;
        k := k + 2;
      end loop;
      total := 2 / pi() * (theta + total);
    else
      total := 0;
      term := sin(theta);
      k := 2;
      while k <= df loop
        total := total + term;
        term := term * cos(theta) ^ 2 * (k - 1) / k;
        k := k + 2;
      end loop;
    end if;
    if total < 0.95 then low := t; else high := t; end if;
  end loop;
  return (low + high) / 2;
end
$$;
comment on function analytics.student_quantile(integer) is 'Student''s t below which 97.5 % lie, for whole degrees of freedom: half the width of a 95 % interval in standard errors.';

create function analytics.nps_interval(promoters bigint, detractors bigint, answers bigint, out lower double precision, out upper double precision)
language sql immutable parallel safe as $$
  select greatest(-100, 100 * (p.promoting - p.detracting - p.reach)), least(100, 100 * (p.promoting - p.detracting + p.reach))
  from (
    select a.promoting, a.detracting, 1.959963984540054 * sqrt((a.promoting + a.detracting - (a.promoting - a.detracting) ^ 2) / (answers + 3)) as reach
    from (select (promoters + 0.75)::double precision / (answers + 3) as promoting, (detractors + 0.75)::double precision / (answers + 3) as detracting) as a
  ) as p
$$;
comment on function analytics.nps_interval(bigint, bigint, bigint) is
  'The adjusted Wald interval of a net promoter score (Sauro and Lewis): 3/4 promoter, 3/2 passives and 3/4 detractor are added; clipped to -100 … 100.';

create function analytics.share_interval(hits bigint, answers bigint, out lower double precision, out upper double precision)
language sql immutable parallel safe as $$
  select greatest(0, (s.p + s.zz / (2 * s.n) - s.reach) / (1 + s.zz / s.n)), least(1, (s.p + s.zz / (2 * s.n) + s.reach) / (1 + s.zz / s.n))
  from (
    select x.*, sqrt(x.zz) * sqrt(x.p * (1 - x.p) / x.n + x.zz / (4 * x.n * x.n)) as reach
    from (select nullif(answers, 0)::double precision as n, hits::double precision / nullif(answers, 0) as p, 1.959963984540054::double precision ^ 2 as zz) as x
  ) as s
$$;
comment on function analytics.share_interval(bigint, bigint) is 'Wilson''s interval of a share, from 0 to 1; null without answers.';

create function analytics.mean_interval(mean double precision, deviation double precision, answers bigint, lowest double precision, highest double precision,
  out lower double precision, out upper double precision) language sql immutable parallel safe
-- Resolved now: a BI login may call it through a view, and cannot name anything of this schema itself.
begin atomic
  select greatest(lowest, mean - r.reach), least(highest, mean + r.reach)
  from (select analytics.student_quantile((answers - 1)::integer) * deviation / nullif(sqrt(answers::double precision), 0) as reach) as r;
end;
comment on function analytics.mean_interval(double precision, double precision, bigint, double precision, double precision) is
  'Student''s interval of a mean, clipped to its scale; deviation is that of the sample (n - 1). Null below two answers.';

create view analytics.survey_answer with (security_invoker = true) as
select r.customer_id, r.id as response_id, r.survey_id, r.kind, r.score::integer as score, r.band, r.points, r.tier, r.agent_id, r.department_id, r.answered_at,
  (r.answered_at at time zone 'Europe/Istanbul')::date as answered_on
from crm.survey_response as r;
comment on view analytics.survey_answer is 'The answers to surveys as results count them: one row a response, its day by the clock of Turkey.';

create function analytics.survey_figures(of_kind text, answers bigint, of_high bigint, of_middle bigint, of_low bigint, of_mean double precision, of_deviation double precision)
returns table (is_suppressed boolean, is_small boolean, score double precision, lower double precision, upper double precision, high bigint, middle bigint, low bigint,
  top_share double precision, top_lower double precision, top_upper double precision) language sql immutable parallel safe
-- Resolved now, as above.
begin atomic
  select answers < 5, answers < 30,
    case when answers >= 5 then case of_kind when 'nps' then 100.0 * (of_high - of_low) / answers when 'csat' then of_high::double precision / answers when 'ces' then of_mean end end,
    case when answers >= 5 then case of_kind when 'nps' then nps.lower when 'csat' then top.lower when 'ces' then mean.lower end end,
    case when answers >= 5 then case of_kind when 'nps' then nps.upper when 'csat' then top.upper when 'ces' then mean.upper end end,
    case when answers >= 5 and of_kind <> 'form' then of_high end, case when answers >= 5 and of_kind <> 'form' then of_middle end,
    case when answers >= 5 and of_kind <> 'form' then of_low end,
    case when answers >= 5 and of_kind <> 'form' then of_high::double precision / answers end,
    case when answers >= 5 and of_kind <> 'form' then top.lower end, case when answers >= 5 and of_kind <> 'form' then top.upper end
  from analytics.nps_interval(of_high, of_low, answers) as nps
  cross join lateral analytics.share_interval(of_high, answers) as top
  cross join lateral analytics.mean_interval(of_mean, of_deviation, answers, lower(crm.score_range(of_kind)), upper(crm.score_range(of_kind)) - 1) as mean;
end;
comment on function analytics.survey_figures(text, bigint, bigint, bigint, bigint, double precision, double precision) is
  'What is shown of counted answers: score, 95 % interval and shares; nothing but the number of answers below five.';

create function analytics.survey_answers_by(of_survey uuid, since timestamptz, until timestamptz, group_by text)
returns table (group_key text, label text, customer_id uuid, response_id uuid, score integer, band text) language sql stable as $$
  select g.group_key, g.label, a.customer_id, a.response_id, a.score, a.band
  from analytics.survey_answer as a
  cross join lateral (
    select null::text as group_key, null::text as label where survey_answers_by.group_by is null
    union all
    select a.tier, a.tier where survey_answers_by.group_by = 'tier'
    union all
    select a.agent_id::text, (select u.name from crm.app_user as u where u.id = a.agent_id) where survey_answers_by.group_by = 'agent'
    union all
    select x.period, x.period from (select to_char(a.answered_on, case survey_answers_by.group_by
      when 'month' then 'YYYY-MM' when 'quarter' then 'YYYY-"Q"Q' when 'year' then 'YYYY' end) as period) as x
    where survey_answers_by.group_by in ('month', 'quarter', 'year')
    union all
    select s.code, s.name from crm.segment_member as m join crm.segment as s on s.id = m.segment_id
    where survey_answers_by.group_by = 'segment' and m.customer_id = a.customer_id and m.entered_at <= a.answered_at and (m.left_at is null or m.left_at > a.answered_at)
  ) as g
  where a.survey_id = of_survey and (survey_answers_by.since is null or a.answered_at >= survey_answers_by.since)
    and (survey_answers_by.until is null or a.answered_at < survey_answers_by.until)
$$;
comment on function analytics.survey_answers_by(uuid, timestamptz, timestamptz, text) is
  'The answers to a survey from an instant until before another, each in its group: as a whole or by tier, segment, agent, month, quarter or year. Who was in two segments counts in both.';

create function analytics.survey_result(of_survey uuid, since timestamptz default null, until timestamptz default null, group_by text default null)
returns table (group_key text, label text, answers bigint, is_suppressed boolean, is_small boolean, score double precision, lower double precision, upper double precision,
  high bigint, middle bigint, low bigint, top_share double precision, top_lower double precision, top_upper double precision) language sql stable as $$
  with survey as (
    select s.kind from crm.survey as s where s.id = of_survey
  ), answer as (
    select a.* from analytics.survey_answers_by(of_survey, survey_result.since, survey_result.until, survey_result.group_by) as a
  ), counted as (
    select a.group_key, max(a.label) as label, count(a.response_id) as n,
      count(*) filter (where a.band in ('promoter', 'satisfied', 'easy')) as high, count(*) filter (where a.band in ('passive', 'neutral')) as middle,
      count(*) filter (where a.band in ('detractor', 'dissatisfied', 'difficult')) as low, avg(a.score::double precision) as mean, stddev_samp(a.score::double precision) as deviation
    from answer as a group by a.group_key
    union all
    select null, null, 0, 0, 0, 0, null, null where survey_result.group_by is null and not exists (select from answer)
  )
  select c.group_key, c.label, c.n, f.is_suppressed, f.is_small, f.score, f.lower, f.upper, f.high, f.middle, f.low, f.top_share, f.top_lower, f.top_upper
  from survey as s cross join counted as c
  cross join lateral analytics.survey_figures(s.kind, c.n, c.high, c.middle, c.low, c.mean, c.deviation) as f
  order by c.group_key nulls last
$$;
comment on function analytics.survey_result(uuid, timestamptz, timestamptz, text) is
  'What a survey found among the answers from an instant until before another, as a whole or by tier, segment, agent, month, quarter or year. score: nps in points from -100 to 100, csat the share of 4 and 5, ces the mean from 1 to 7; lower and upper its 95 % interval (adjusted Wald, Wilson, Student). high, middle, low: how many answered so; top_share the share of high with Wilson''s interval. Nothing but the number of answers below five.';

create function analytics.survey_choices(of_survey uuid, since timestamptz default null, until timestamptz default null, group_by text default null)
returns table (group_key text, label text, question text, kind text, choice text, answers bigint, is_suppressed boolean, is_small boolean, chosen bigint, share double precision,
  lower double precision, upper double precision) language sql stable as $$
  with answer as materialized (
    select a.group_key, a.label, r.answers
    from analytics.survey_answers_by(of_survey, survey_choices.since, survey_choices.until, survey_choices.group_by) as a
    join crm.survey_response as r on r.customer_id = a.customer_id and r.id = a.response_id
  ), grouped as (
    select a.group_key, max(a.label) as label from answer as a group by a.group_key
  ), offered as (
    select q.code as question, q.kind, q.place, o.choice, o.position
    from crm.survey as s join crm.survey_question as q on q.survey_id = s.id
    cross join lateral (
      select n::text as choice, n::bigint as position from generate_series(lower(crm.score_range(s.kind)), upper(crm.score_range(s.kind)) - 1) as n where q.kind = 'score'
      union all
      select n::text, n from generate_series(1, 5) as n where q.kind = 'rating'
      union all
      select x.option ->> 'code', x.position from jsonb_array_elements(q.options) with ordinality as x (option, position) where q.kind in ('choice', 'choices')
      union all
      select x.choice, x.position from (values ('true', 1), ('false', 2)) as x (choice, position) where q.kind = 'yes_no'
      union all
      select null, 1 where q.kind = 'text'
    ) as o
    where s.id = of_survey
  ), counted as (
    select g.group_key, g.label, o.question, o.kind, o.place, o.choice, o.position, count(*) filter (where a.answers ? o.question) as n,
      count(*) filter (where case o.kind when 'choices' then a.answers -> o.question ? o.choice else a.answers ->> o.question = o.choice end) as chosen
    from grouped as g cross join offered as o join answer as a on a.group_key is not distinct from g.group_key
    group by g.group_key, g.label, o.question, o.kind, o.place, o.choice, o.position
  )
  select c.group_key, c.label, c.question, c.kind, c.choice, c.n, c.n < 5, c.n < 30, case when t.is_told then c.chosen end, case when t.is_told then c.chosen::double precision / c.n end,
    case when t.is_told then i.lower end, case when t.is_told then i.upper end
  from counted as c cross join lateral (select c.n >= 5 and c.kind <> 'text' as is_told) as t cross join lateral analytics.share_interval(c.chosen, c.n) as i
  order by c.group_key nulls last, c.place, c.position
$$;
comment on function analytics.survey_choices(uuid, timestamptz, timestamptz, text) is
  'How the answers to each question of a survey are spread, grouped as in survey_result: one row a choice, its share among those who answered the question with Wilson''s 95 % interval. What was written is only counted. Nothing but the number of answers below five.';

grant execute on function analytics.student_quantile(integer), analytics.nps_interval(bigint, bigint, bigint), analytics.share_interval(bigint, bigint),
  analytics.mean_interval(double precision, double precision, bigint, double precision, double precision),
  analytics.survey_figures(text, bigint, bigint, bigint, bigint, double precision, double precision),
  analytics.survey_answers_by(uuid, timestamptz, timestamptz, text), analytics.survey_result(uuid, timestamptz, timestamptz, text),
  analytics.survey_choices(uuid, timestamptz, timestamptz, text) to crm_app, crm_worker, bi_reader;
grant select on analytics.survey_answer to crm_app, crm_worker, bi_reader;
