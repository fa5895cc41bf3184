-- What campaigns brought, and to whom success is laid.
set local role crm_owner;

create function analytics.currencies_between(since timestamptz, until timestamptz, only_department uuid) returns text[] language sql stable as $$
  select coalesce(array_agg(c.code order by c.code), '{}') from crm.currency as c
  where exists (
    select from analytics.purchase as p
    where p.currency = c.code and p.ordered_at >= currencies_between.since and p.ordered_at < currencies_between.until
      and (only_department is null or p.department_id = only_department))
$$;
comment on function analytics.currencies_between(timestamptz, timestamptz, uuid) is 'The currencies of the purchases of a time, of one department or of all.';

create function analytics.measured_currency(asked text, since timestamptz, until timestamptz, only_department uuid) returns text language sql stable as $$
  select coalesce(asked, (select case when cardinality(c.codes) = 1 then c.codes[1] end from analytics.currencies_between(since, until, only_department) as c (codes)))
$$;
comment on function analytics.measured_currency(text, timestamptz, timestamptz, uuid) is 'The currency amounts are told in: the one asked for, or the only one that occurs; null when several do and none was asked for.';

create function analytics.spend_of(customers uuid[], since timestamptz, until timestamptz, to_currency text, only_department uuid)
returns table (customer_id uuid, orders bigint, amount numeric, without_rate bigint) language sql stable as $$
  select d.customer_id, sum(d.orders)::bigint, sum(crm.convert(d.amount, d.currency, to_currency, d.day)),
    coalesce(sum(d.orders) filter (where crm.convert(d.amount, d.currency, to_currency, d.day) is null), 0)::bigint
  from (
    select p.customer_id, p.currency, (p.ordered_at at time zone 'UTC')::date as day, count(*) as orders, sum(p.amount) as amount
    from analytics.purchase as p
    where p.ordered_at >= spend_of.since and p.ordered_at < spend_of.until and (spend_of.customers is null or p.customer_id = any (spend_of.customers))
      and (only_department is null or p.department_id = only_department)
    group by 1, 2, 3
  ) as d
  group by d.customer_id
$$;
comment on function analytics.spend_of(uuid[], timestamptz, timestamptz, text, uuid) is
  'What customers (null: all) bought from an instant until before another, in one currency at the rate of each day; without_rate counts purchases that could not be converted.';

create function analytics.goods_cost_of(customers uuid[], since timestamptz, until timestamptz, to_currency text, only_department uuid)
returns table (customer_id uuid, cost numeric, without_cost bigint, without_rate bigint) language sql stable as $$
  select d.customer_id, coalesce(sum(crm.convert(d.cost, 'TRY', to_currency, d.day)), 0), sum(d.without_cost)::bigint,
    count(*) filter (where d.cost <> 0 and crm.convert(d.cost, 'TRY', to_currency, d.day) is null)
  from (
    select l.customer_id, (l.ordered_at at time zone 'UTC')::date as day, coalesce(sum(l.quantity * l.unit_cost), 0) as cost,
      count(*) filter (where l.unit_cost is null and l.quantity <> 0) as without_cost
    from analytics.purchase_line as l
    where l.ordered_at >= goods_cost_of.since and l.ordered_at < goods_cost_of.until and (goods_cost_of.customers is null or l.customer_id = any (goods_cost_of.customers))
      and (only_department is null or l.department_id = only_department)
    group by 1, 2
  ) as d
  group by d.customer_id
$$;
comment on function analytics.goods_cost_of(uuid[], timestamptz, timestamptz, text, uuid) is
  'What the goods cost that customers bought; without_cost counts lines whose product has no known cost.';

create function analytics.campaign_member_result(
  of_campaign uuid, since timestamptz, until timestamptz, known_until timestamptz, to_currency text, only_department uuid, margin_percent numeric)
returns table (customer_id uuid, held_out boolean, arm text, delivered boolean, opened boolean, clicked boolean, responses bigint, orders bigint, amount numeric, margin numeric,
  without_rate bigint, without_cost bigint) language sql stable as $$
  with member as materialized (
    select m.customer_id, m.held_out, m.arm from crm.campaign_member as m where m.campaign_id = of_campaign and m.assigned_at < known_until
  ), reached as (
    select t.customer_id, bool_or(t.delivered) as delivered, bool_or(t.opened_at < campaign_member_result.until) as opened, bool_or(t.clicked_at < campaign_member_result.until) as clicked
    from crm.campaign_touch as t where t.campaign_id = of_campaign and t.touched_at < campaign_member_result.until group by t.customer_id
  ), response as (
    select r.customer_id, count(*) as responses from crm.campaign_response as r
    where r.campaign_id = of_campaign and r.responded_at >= campaign_member_result.since and r.responded_at < campaign_member_result.until group by r.customer_id
  ), bought as materialized (
    select * from analytics.spend_of((select array_agg(m.customer_id) from member as m), campaign_member_result.since, campaign_member_result.until, to_currency, only_department)
  ), goods as materialized (
    select * from analytics.goods_cost_of((select array_agg(m.customer_id) from member as m where margin_percent is null), campaign_member_result.since, campaign_member_result.until,
      to_currency, only_department) as g where margin_percent is null
  )
  select m.customer_id, m.held_out, m.arm, coalesce(t.delivered, false), coalesce(t.opened, false), coalesce(t.clicked, false), coalesce(r.responses, 0), coalesce(b.orders, 0),
    coalesce(b.amount, 0), case when margin_percent is null then coalesce(b.amount, 0) - coalesce(g.cost, 0) else coalesce(b.amount, 0) * margin_percent / 100 end,
    coalesce(b.without_rate, 0) + coalesce(g.without_rate, 0), coalesce(g.without_cost, 0)
  from member as m
  left join reached as t using (customer_id) left join response as r using (customer_id) left join bought as b using (customer_id) left join goods as g using (customer_id)
$$;
comment on function analytics.campaign_member_result(uuid, timestamptz, timestamptz, timestamptz, text, uuid, numeric) is
  'One row a member of a campaign: what reached the customer, how often the customer responded, and what was bought in a time, whatever led to it; margin by the known cost of goods or by a percentage.';

create function analytics.campaign_cost(of_campaign uuid, until timestamptz, to_currency text)
returns table (arm text, touches bigint, cost numeric, without_rate bigint) language sql stable as $$
  -- Sums of converted amounts have more digits than anybody reads, or can: ten after the point are kept.
  select m.arm, sum(d.touches)::bigint, coalesce(round(sum(crm.convert(d.cost, d.currency, to_currency, d.day)), 10), 0),
    coalesce(sum(d.touches) filter (where d.cost <> 0 and crm.convert(d.cost, d.currency, to_currency, d.day) is null), 0)::bigint
  from (
    select t.customer_id, t.currency, (t.touched_at at time zone 'UTC')::date as day, count(*) as touches, sum(t.cost) as cost
    from crm.campaign_touch as t where t.campaign_id = of_campaign and t.touched_at < campaign_cost.until group by 1, 2, 3
  ) as d
  left join crm.campaign_member as m on m.campaign_id = of_campaign and m.customer_id = d.customer_id
  group by m.arm
$$;
comment on function analytics.campaign_cost(uuid, timestamptz, text) is 'What the touches of a campaign cost, by arm.';

create function analytics.campaign_difference(
  of_campaign uuid, since timestamptz, middle timestamptz, until timestamptz, known_until timestamptz, to_currency text, only_department uuid)
returns table (customer_id uuid, targeted boolean, during numeric, before numeric, without_rate bigint) language sql stable as $$
  with member as materialized (
    select m.customer_id from crm.campaign_member as m where m.campaign_id = of_campaign and not m.held_out and m.assigned_at < known_until
  ), population as (
    select m.customer_id, true as targeted from member as m
    union all
    select distinct p.customer_id, false from analytics.purchase as p
    where p.ordered_at < known_until and (only_department is null or p.department_id = only_department) and p.customer_id not in (select m.customer_id from member as m)
  ), during as materialized (
    select * from analytics.spend_of(null, middle, campaign_difference.until, to_currency, only_department)
  ), before as materialized (
    select * from analytics.spend_of(null, campaign_difference.since, middle, to_currency, only_department)
  )
  select p.customer_id, p.targeted, coalesce(d.amount, 0), coalesce(b.amount, 0), coalesce(d.without_rate, 0) + coalesce(b.without_rate, 0)
  from population as p left join during as d using (customer_id) left join before as b using (customer_id)
$$;
comment on function analytics.campaign_difference(uuid, timestamptz, timestamptz, timestamptz, timestamptz, text, uuid) is
  'What the members of a campaign and all other customers who ever bought spent during it and in as many days before it; who bought nothing spent 0.';

-- Attribution ---------------------------------------------------------------------------------------------------------------------

create function analytics.success(kind text, since timestamptz, until timestamptz, only_department uuid)
returns table (customer_id uuid, id uuid, at timestamptz, currency text, amount numeric) language sql stable as $$
  select p.customer_id, p.order_id, p.ordered_at, p.currency, p.amount from analytics.purchase as p
  where success.kind = 'orders' and p.ordered_at >= success.since and p.ordered_at < success.until and (only_department is null or p.department_id = only_department)
  union all
  select i.customer_id, i.id, x.at, i.currency, case i.type when 'IADE' then -i.net_amount else i.net_amount end
  from crm.invoice as i
  -- The time of issue is rounded to the second: half a second earlier it is never later than it was, and never on another day.
  cross join lateral (select greatest(
    i.issue_date::timestamp at time zone 'Europe/Istanbul', (i.issue_date + i.issue_time) at time zone 'Europe/Istanbul' - interval '0.5 seconds') as at) as x
  where success.kind = 'invoices' and i.status = 'issued' and i.issue_date >= (success.since at time zone 'Europe/Istanbul')::date
    and i.issue_date <= (success.until at time zone 'Europe/Istanbul')::date and x.at >= success.since and x.at < success.until
    and (only_department is null or i.department_id = only_department)
$$;
comment on function analytics.success(text, timestamptz, timestamptz, uuid) is
  'What touches are to have led to: purchases (orders), or issued invoices less credit notes, without VAT (invoices), whose sum is the turnover.';

create function analytics.journey_step(
  kind text, since timestamptz, until timestamptz, window_days integer, half_life_days double precision, by_campaign boolean, to_currency text, only_department uuid)
returns table (customer_id uuid, success_id uuid, at timestamptz, step text, place bigint, steps bigint, decay double precision, amount numeric) language sql stable as $$
  with success as materialized (
    select s.* from analytics.success(journey_step.kind, journey_step.since, journey_step.until, only_department) as s
  ), touch as materialized (
    select t.customer_id, t.id, t.touched_at, case when by_campaign then c.code else t.channel end as step
    from crm.campaign_touch as t join crm.campaign as c on c.id = t.campaign_id
    where t.delivered and t.touched_at < journey_step.until and t.touched_at > journey_step.since - make_interval(days => window_days)
  ), led as (
    select s.customer_id, s.id, s.at, s.currency, s.amount, t.step, row_number() over (w order by t.touched_at, t.id) as place, count(*) over w as steps,
      -- Measured from the last touch, so that touches long ago do not all become 0.
      power(2::double precision, -extract(epoch from max(t.touched_at) over w - t.touched_at)::double precision / 86400 / half_life_days) as decay
    from success as s
    join touch as t on t.customer_id = s.customer_id and t.touched_at <= s.at and t.touched_at > s.at - make_interval(days => window_days)
    window w as (partition by s.customer_id, s.id)
  )
  select l.customer_id, l.id, l.at, l.step, l.place, l.steps, l.decay / nullif(sum(l.decay) over (partition by l.customer_id, l.id), 0),
    crm.convert(l.amount, l.currency, to_currency, (l.at at time zone 'UTC')::date)
  from led as l
$$;
comment on function analytics.journey_step(text, timestamptz, timestamptz, integer, double precision, boolean, text, uuid) is
  'The touches that arrived within some days before each success, in their order, with their share by age: half as much for each half-life.';

grant execute on all functions in schema analytics to crm_app, crm_worker;
