-- What is measured of a customer: the catalogue of metrics and the functions that measure many of them in one pass over a source. All are one SELECT that
-- PostgreSQL inlines: with customers they go by index, without (null) by one pass and a hash aggregate.
-- as_of: facts at it or later do not count. since: nor do facts before it; null for all. currency: amounts are converted to it at the rate of the day (UTC) of
-- the fact; null leaves them as they are. department: only its business; null for the company's. A customer of whom a source knows nothing has no row.
set local role crm_owner;

create view analytics.customer_metric with (security_invoker = true) as
select m.name, m.label_en, m.label_tr, m.meaning, m.unit, m.direction, m.source, m.missing
from (values
  ('revenue', 'Revenue', 'Ciro', 'What the company received for purchases.', 'currency', 'higher', 'orders', 'zero'),
  ('margin', 'Margin', 'Kâr payı', 'Revenue less the cost of the products sold, as far as that is known; nothing for customers of whose purchases no cost is known.', 'currency', 'higher', 'lines', 'zero'),
  ('orders', 'Orders', 'Sipariş sayısı', 'Purchases, also those of amount zero.', 'count', 'higher', 'orders', 'zero'),
  ('average_order', 'Average order', 'Ortalama sipariş', 'Revenue ÷ orders.', 'currency', 'higher', 'orders', 'zero'),
  ('tenure', 'Length of the relationship', 'İlişki süresi', 'Days from the day of the first purchase in the window to the day of the analysis.', 'days', 'higher', 'orders', 'zero'),
  ('recency', 'Days since the last purchase', 'Son alışverişten bu yana gün', 'Days from the day of the last purchase to the day of the analysis.', 'days', 'lower', 'orders', 'lowest'),
  ('intensity', 'Intensity', 'Yoğunluk', 'Purchases per month with a purchase: high for brief and big, low for long and small.', 'count', 'higher', 'months', 'zero'),
  ('product_breadth', 'Product breadth', 'Ürün çeşitliliği', 'Different product categories bought from, at the given level of the tree (1, the top, if none is given).', 'count', 'higher', 'breadth', 'zero'),
  ('discounts', 'Discounts', 'İndirimler', 'Discounts given on purchases.', 'currency', 'lower', 'orders', 'zero'),
  ('returns', 'Returns', 'İadeler', 'What was given back for returned goods: orders returned whole, lines with a negative amount, and goods that came back of orders shipped here.', 'currency', 'lower', 'lines', 'zero'),
  ('referrals', 'Customers brought', 'Getirdiği müşteri', 'Customers this one brought who are customers at the time of the analysis.', 'count', 'higher', 'referrals', 'zero'),
  ('referred_revenue', 'Revenue of customers brought', 'Getirdiği müşterilerin cirosu', 'Revenue of the customers this one brought.', 'currency', 'higher', 'referrals', 'zero'),
  ('cost_to_serve', 'Cost to serve', 'Hizmet maliyeti', 'Completed activities, time worked on tickets and touches of campaigns, priced by the service rates (touches by what they cost, where that is noted), and the service costs observed.', 'currency', 'lower', 'service', 'zero'),
  ('contacts', 'Contacts', 'Temas sayısı', 'Completed activities.', 'count', 'higher', 'service', 'zero'),
  ('profit', 'Profit', 'Kâr', 'Revenue less returns not in it yet, the cost of the products sold and the cost to serve.', 'currency', 'higher', 'profit', 'zero'),
  ('payment_delay', 'Payment delay', 'Ödeme gecikmesi', 'Days paid after the due day on average, weighted by amount; early is negative, what is overdue counts until the day of the analysis.', 'days', 'lower', 'payments', 'middle')
) as m (name, label_en, label_tr, meaning, unit, direction, source, missing)
union all
select k.code, k.name_en, k.name_tr, 'Observed of customers; in a window the ' || k.aggregate || '.', k.unit, k.direction, 'observations',
  case when k.aggregate in ('sum', 'count') then 'zero' else 'middle' end
from crm.observation_kind as k where k.active;
comment on view analytics.customer_metric is 'What can be measured of a customer: the names that value models, segments and profiles use.';
comment on column analytics.customer_metric.name is 'Stable name.';
comment on column analytics.customer_metric.label_en is 'What people call it, in English.';
comment on column analytics.customer_metric.label_tr is 'What people call it, in Turkish.';
comment on column analytics.customer_metric.meaning is 'What is counted.';
comment on column analytics.customer_metric.unit is 'currency, count, days, points, or the unit of an observation kind.';
comment on column analytics.customer_metric.direction is 'Whether higher or lower is better.';
comment on column analytics.customer_metric.source is 'Which measuring function gives it.';
comment on column analytics.customer_metric.missing is 'What a value model makes of a customer without a value, unless its key says otherwise: zero (the value counts as 0), lowest or middle (the normalised value is 0 or 0.5).';

create function analytics.since(as_of timestamptz, days integer) returns timestamptz language sql stable parallel safe
  return as_of - days * interval '24 hours';
comment on function analytics.since(timestamptz, integer) is 'When a window of so many days of 24 hours before an instant begins; null for no window.';

create function analytics.day(instant timestamptz, time_zone text) returns date language sql immutable parallel safe
  return (instant at time zone time_zone)::date;
comment on function analytics.day(timestamptz, text) is 'The day of an instant in a time zone.';

create function analytics.in_currency(amount numeric, given text, wanted text, instant timestamptz) returns numeric language sql stable parallel safe
  return case when wanted is null or given = wanted then amount else crm.convert(amount, given, wanted, (instant at time zone 'UTC')::date) end;
comment on function analytics.in_currency(numeric, text, text, timestamptz) is
  'An amount in the wanted currency at the rate of the day (UTC) of an instant; as it is when none is wanted; null if there is no rate.';

create function analytics.order_measures(as_of timestamptz, since timestamptz, currency text, department uuid, customers uuid[] default null)
returns table (customer_id uuid, orders bigint, revenue numeric, discounts numeric, first_at timestamptz, last_at timestamptz) language sql stable parallel safe as $$
  select p.customer_id, count(*), sum(analytics.in_currency(p.amount, p.currency, order_measures.currency, p.ordered_at)),
    sum(analytics.in_currency(p.discount, p.currency, order_measures.currency, p.ordered_at)), min(p.ordered_at), max(p.ordered_at)
  from analytics.purchase as p
  where p.ordered_at < as_of and (since is null or p.ordered_at >= since) and (department is null or p.department_id = department)
    and (customers is null or p.customer_id = any (customers))
  group by p.customer_id
$$;
comment on function analytics.order_measures(timestamptz, timestamptz, text, uuid, uuid[]) is
  'One row a customer with purchases: how many, revenue and discounts, the first and the last.';

create function analytics.month_measures(as_of timestamptz, since timestamptz, department uuid, time_zone text, customers uuid[] default null)
returns table (customer_id uuid, orders bigint, months bigint) language sql stable parallel safe as $$
  select m.customer_id, sum(m.orders)::bigint, count(*)
  from (
    select p.customer_id, date_trunc('month', p.ordered_at at time zone time_zone) as month, count(*) as orders
    from analytics.purchase as p
    where p.ordered_at < as_of and (since is null or p.ordered_at >= since) and (department is null or p.department_id = department)
      and (customers is null or p.customer_id = any (customers))
    group by 1, 2
  ) as m
  group by m.customer_id
$$;
comment on function analytics.month_measures(timestamptz, timestamptz, uuid, text, uuid[]) is
  'One row a customer with purchases: how many, and in how many different months of a time zone.';

create function analytics.breadth_measures(as_of timestamptz, since timestamptz, department uuid, level integer, customers uuid[] default null)
returns table (customer_id uuid, categories bigint) language sql stable parallel safe as $$
  select b.customer_id, count(*)
  from (
    select l.customer_id, x.category_id
    from analytics.purchase_line as l join analytics.product_level as x on x.product_id = l.product_id and x.level = breadth_measures.level
    where l.ordered_at < as_of and (since is null or l.ordered_at >= since) and (department is null or l.department_id = department)
      and (customers is null or l.customer_id = any (customers))
    group by 1, 2
  ) as b
  group by b.customer_id
$$;
comment on function analytics.breadth_measures(timestamptz, timestamptz, uuid, integer, uuid[]) is
  'One row a customer: how many different categories of a level of the tree it bought from. Products without a category do not count.';

create function analytics.cost_measures(as_of timestamptz, since timestamptz, currency text, department uuid, customers uuid[] default null)
returns table (customer_id uuid, product_cost numeric, costed_revenue numeric) language sql stable parallel safe as $$
  select l.customer_id, sum(analytics.in_currency(l.quantity * l.unit_cost, 'TRY', cost_measures.currency, l.ordered_at)),
    sum(analytics.in_currency(l.amount, l.currency, cost_measures.currency, l.ordered_at))
      filter (where analytics.in_currency(l.quantity * l.unit_cost, 'TRY', cost_measures.currency, l.ordered_at) is not null)
  from analytics.purchase_line as l
  where l.unit_cost is not null and exists (select from crm.product as g where g.cost is not null)
    and l.ordered_at < as_of and (since is null or l.ordered_at >= since) and (department is null or l.department_id = department)
    and (customers is null or l.customer_id = any (customers))
  group by l.customer_id
$$;
comment on function analytics.cost_measures(timestamptz, timestamptz, text, uuid, uuid[]) is
  'One row a customer who bought a product of known cost: what those products cost (without a wanted currency in Turkish lira) and what was received for them.';

create function analytics.return_measures(as_of timestamptz, since timestamptz, currency text, department uuid, customers uuid[] default null)
returns table (customer_id uuid, booked numeric, unbooked numeric) language sql stable parallel safe as $$
  select r.customer_id, sum(r.booked), sum(r.unbooked)
  from (
    -- Lines with a negative amount have lowered the revenue of their order already.
    select l.customer_id, -analytics.in_currency(l.amount, o.currency, return_measures.currency, o.ordered_at) as booked, 0::numeric as unbooked
    from crm.sales_order_line as l join crm.sales_order as o on o.customer_id = l.customer_id and o.id = l.order_id
    where l.amount < 0 and o.status not in ('cancelled', 'returned')
      and o.ordered_at < as_of and (since is null or o.ordered_at >= since) and (department is null or o.department_id = department)
      and (customers is null or l.customer_id = any (customers))
    union all
    select o.customer_id, 0, analytics.in_currency(o.amount, o.currency, return_measures.currency, o.ordered_at)
    from crm.sales_order as o
    where o.status = 'returned'
      and o.ordered_at < as_of and (since is null or o.ordered_at >= since) and (department is null or o.department_id = department)
      and (customers is null or o.customer_id = any (customers))
    union all
    select o.customer_id, 0, analytics.in_currency(l.amount * f.returned / nullif(l.quantity, 0), o.currency, return_measures.currency, o.ordered_at)
    from crm.order_line_fulfilment as f
    join crm.sales_order_line as l on l.customer_id = f.customer_id and l.order_id = f.order_id and l.line_number = f.line_number
    join crm.sales_order as o on o.customer_id = f.customer_id and o.id = f.order_id
    where f.returned > 0 and o.status not in ('cancelled', 'returned')
      and o.ordered_at < as_of and (since is null or o.ordered_at >= since) and (department is null or o.department_id = department)
      and (customers is null or f.customer_id = any (customers))
  ) as r
  group by r.customer_id
$$;
comment on function analytics.return_measures(timestamptz, timestamptz, text, uuid, uuid[]) is
  'One row a customer who returned something: what has lowered the revenue already (booked) and what has not (unbooked), by the time of the order.';

create function analytics.referral_measures(as_of timestamptz, since timestamptz, currency text, department uuid, customers uuid[] default null)
returns table (customer_id uuid, referrals bigint, referred_revenue numeric) language sql stable parallel safe as $$
  select c.referred_by_id, count(*) filter (where since is null or least(c.created_at, m.first_at) >= since), coalesce(sum(m.revenue), 0)
  from crm.customer as c
  left join lateral (
    select min(p.ordered_at) as first_at,
      sum(analytics.in_currency(p.amount, p.currency, referral_measures.currency, p.ordered_at)) filter (where since is null or p.ordered_at >= since) as revenue
    from analytics.purchase as p
    where p.customer_id = c.id and p.ordered_at < as_of and (department is null or p.department_id = department)
  ) as m on true
  where c.referred_by_id is not null and least(c.created_at, m.first_at) < as_of and (customers is null or c.referred_by_id = any (customers))
  group by c.referred_by_id
$$;
comment on function analytics.referral_measures(timestamptz, timestamptz, text, uuid, uuid[]) is
  'One row a customer who brought others: how many became customers (by their record or first purchase, whichever is earlier), and what was received from them.';

create function analytics.observation_measures(kind text, as_of timestamptz, since timestamptz, currency text, department uuid, customers uuid[] default null)
returns table (customer_id uuid, value numeric, observations bigint) language sql stable parallel safe as $$
  select o.customer_id,
    case k.aggregate
      when 'sum' then sum(analytics.in_currency(o.value, o.currency, case k.unit when 'currency' then observation_measures.currency end, o.observed_at))
      when 'average' then avg(analytics.in_currency(o.value, o.currency, case k.unit when 'currency' then observation_measures.currency end, o.observed_at))
      when 'count' then count(*)
      else (array_agg(analytics.in_currency(o.value, o.currency, case k.unit when 'currency' then observation_measures.currency end, o.observed_at)
        order by o.observed_at desc, o.id desc))[1] end,
    count(*)
  from crm.customer_observation as o join crm.observation_kind as k on k.code = o.kind
  where o.kind = observation_measures.kind
    and o.observed_at < as_of and (since is null or o.observed_at >= since) and (department is null or o.department_id = department)
    and (customers is null or o.customer_id = any (customers))
  group by o.customer_id, k.aggregate, k.unit
$$;
comment on function analytics.observation_measures(text, timestamptz, timestamptz, text, uuid, uuid[]) is
  'One row a customer of whom something of a kind was observed: the observations as one number, as the kind says, and how many there are.';

create view analytics.service_event with (security_invoker = true) as
select a.customer_id, 'activity'::text as source, a.id as source_id, a.department_id, 'activity.' || a.kind as kind, a.completed_at as occurred_at,
  case when a.ends_at is not null then round(extract(epoch from a.ends_at - a.starts_at) / 60, 2) end as minutes, null::numeric as cost, null::text as currency
from crm.activity as a
where a.status = 'completed' and a.customer_id is not null
union all
select x.customer_id, 'ticket_time', x.id, x.department_id, 'ticket.' || x.kind, x.worked_at, round(x.seconds / 60.0, 2), null, null
from crm.ticket_time as x
union all
select t.customer_id, 'touch', t.id, t.department_id, 'touch.' || t.channel, t.touched_at, null, nullif(t.cost, 0), t.currency
from crm.campaign_touch as t
where not t.held_out;
comment on view analytics.service_event is 'One row a time the company served a customer or turned to it; what each costs, the service rates say, unless it was noted.';
comment on column analytics.service_event.customer_id is 'The customer.';
comment on column analytics.service_event.source is 'Where it is recorded: activity, ticket_time or touch.';
comment on column analytics.service_event.source_id is 'Its record there.';
comment on column analytics.service_event.department_id is 'The department that did it.';
comment on column analytics.service_event.kind is 'What it was, as the service rates name it, such as activity.meeting.';
comment on column analytics.service_event.occurred_at is 'When it was done.';
comment on column analytics.service_event.minutes is 'How long it took; null where that is not known.';
comment on column analytics.service_event.cost is 'What it cost, where that was noted: of touches; null where the service rates say it.';
comment on column analytics.service_event.currency is 'Currency of that cost.';

create function analytics.service_measures(as_of timestamptz, since timestamptz, currency text, department uuid, customers uuid[] default null)
returns table (customer_id uuid, contacts bigint, cost numeric, unpriced bigint) language sql stable parallel safe as $$
  select s.customer_id, sum(s.contacts)::bigint, sum(s.cost), sum(s.unpriced)::bigint
  from (
    -- A touch that cost nothing and has no rate is free; it is no contact, because nobody spoke with anybody.
    select e.customer_id, case e.source when 'touch' then 0 else 1 end as contacts, p.price as cost,
      case when p.price is null and (e.source <> 'touch' or e.cost is not null or r.id is not null) then 1 else 0 end as unpriced
    from analytics.service_event as e
    left join lateral (
      select x.* from crm.service_rate as x where x.kind = e.kind and x.valid_from <= (e.occurred_at at time zone 'UTC')::date order by x.valid_from desc limit 1
    ) as r on true
    cross join lateral (
      select case when e.cost is not null then analytics.in_currency(e.cost, e.currency, service_measures.currency, e.occurred_at)
        else analytics.in_currency(r.amount * case r.per when 'hour' then coalesce(e.minutes, r.usual_minutes) / 60 else 1 end, r.currency, service_measures.currency, e.occurred_at) end as price
    ) as p
    where e.occurred_at < as_of and (since is null or e.occurred_at >= since) and (department is null or e.department_id = department)
      and (customers is null or e.customer_id = any (customers))
    union all
    select o.customer_id, 0, analytics.in_currency(o.value, o.currency, service_measures.currency, o.observed_at), 0
    from crm.customer_observation as o
    where o.kind = 'service_cost' and o.observed_at < as_of and (since is null or o.observed_at >= since)
      and (department is null or o.department_id = department) and (customers is null or o.customer_id = any (customers))
  ) as s
  group by s.customer_id
$$;
comment on function analytics.service_measures(timestamptz, timestamptz, text, uuid, uuid[]) is
  'One row a customer who was served or turned to: how often it was served, what all of it cost by the service rates of the days, by what touches cost and by the service costs observed, and how often there was no rate, or none of exchange.';

create function analytics.payment_measures(as_of timestamptz, since timestamptz, department uuid, time_zone text, customers uuid[] default null)
returns table (customer_id uuid, payment_delay numeric, overdue bigint) language sql stable parallel safe as $$
  select d.customer_id, sum(d.days * d.amount) / nullif(sum(d.amount), 0), count(*) filter (where d.is_open)
  from (
    select i.customer_id, i.due_on, (a.allocated_on - i.due_on)::numeric as days, a.amount, false as is_open
    from crm.payment_allocation as a join crm.instalment as i on i.customer_id = a.customer_id and i.id = a.instalment_id
    where i.direction = 'in' and a.payment_id is not null and a.allocated_on < analytics.day(as_of, time_zone)
      and (since is null or i.due_on >= analytics.day(since, time_zone)) and (department is null or i.department_id = department)
      and (customers is null or i.customer_id = any (customers))
    union all
    select i.customer_id, i.due_on, analytics.day(as_of, time_zone) - i.due_on, i.amount - coalesce(a.amount, 0), true
    from crm.instalment as i
    left join lateral (
      select sum(x.amount) as amount from crm.payment_allocation as x
      where x.customer_id = i.customer_id and x.instalment_id = i.id and x.allocated_on < analytics.day(as_of, time_zone)
    ) as a on true
    where i.direction = 'in' and i.due_on < analytics.day(as_of, time_zone) and i.amount > coalesce(a.amount, 0)
      and (since is null or i.due_on >= analytics.day(since, time_zone)) and (department is null or i.department_id = department)
      and (customers is null or i.customer_id = any (customers))
  ) as d
  group by d.customer_id
$$;
comment on function analytics.payment_measures(timestamptz, timestamptz, uuid, text, uuid[]) is
  'One row a customer who paid or owes: days after the due day on average, weighted by amount (as of its own currency), and how many instalments are overdue.';

create function analytics.profit_measures(as_of timestamptz, since timestamptz, currency text, department uuid, customers uuid[] default null)
returns table (
  customer_id uuid, orders bigint, gross_revenue numeric, discounts numeric, returns numeric, net_revenue numeric, product_cost numeric, costed_revenue numeric,
  margin numeric, cost_to_serve numeric, unpriced_contacts bigint, profit numeric
) language sql stable parallel safe as $$
  select coalesce(o.customer_id, s.customer_id), coalesce(o.orders, 0),
    coalesce(o.revenue + o.discounts + coalesce(r.booked, 0), 0), coalesce(o.discounts, 0), coalesce(r.booked + r.unbooked, 0),
    coalesce(o.revenue - coalesce(r.unbooked, 0), 0), c.product_cost, coalesce(c.costed_revenue, 0),
    coalesce(o.revenue - coalesce(r.unbooked, 0), 0) - coalesce(c.product_cost, 0), coalesce(s.cost, 0), coalesce(s.unpriced, 0),
    coalesce(o.revenue - coalesce(r.unbooked, 0), 0) - coalesce(c.product_cost, 0) - coalesce(s.cost, 0)
  from analytics.order_measures(as_of, since, currency, department, customers) as o
  full join analytics.service_measures(as_of, since, currency, department, customers) as s on s.customer_id = o.customer_id
  left join analytics.return_measures(as_of, since, currency, department, customers) as r on r.customer_id = o.customer_id
  left join analytics.cost_measures(as_of, since, currency, department, customers) as c on c.customer_id = o.customer_id
$$;
comment on function analytics.profit_measures(timestamptz, timestamptz, text, uuid, uuid[]) is
  'One row a customer who bought or was served, as a statement: gross revenue − discounts − returns = net revenue; − product cost = margin; − cost to serve = profit. product_cost is null where no cost is known; costed_revenue is the revenue whose cost is known.';

create function analytics.currencies(as_of timestamptz, department uuid) returns table (currency text) language sql stable parallel safe as $$
  select distinct p.currency from analytics.purchase as p where p.ordered_at < as_of and (department is null or p.department_id = department)
$$;
comment on function analytics.currencies(timestamptz, uuid) is 'The currencies that purchases before an instant are in.';

grant execute on all functions in schema analytics to crm_app, crm_worker, bi_reader;
grant select on all tables in schema analytics to crm_app, crm_worker, bi_reader;
