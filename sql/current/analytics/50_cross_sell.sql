-- What is bought together, and what to offer whom.
set local role crm_owner;

create function analytics.baskets(
  as_of timestamptz default now(), since timestamptz default null, department uuid default null, level integer default null
) returns table (customer_id uuid, order_id uuid, ordered_at timestamptz, item_id uuid) language sql stable as $$
  select distinct l.customer_id, l.order_id, l.ordered_at, t.item_id
  from analytics.purchase_line as l join analytics.items(baskets.level) as t on t.product_id = l.product_id
  where l.ordered_at < baskets.as_of and (baskets.since is null or l.ordered_at >= baskets.since) and l.quantity >= 0
    and (baskets.department is null or l.department_id = baskets.department)
$$;
comment on function analytics.baskets(timestamptz, timestamptz, uuid, integer) is
  'One row a purchase and different thing in it: products, or categories at a level of the tree. Returned goods (negative quantities) are not in a basket.';

create function analytics.frequent_items(
  as_of timestamptz, since timestamptz, department uuid, level integer, minimum_support numeric
) returns table (baskets bigint, item_id uuid, places integer[]) language sql stable as $$
  with numbered as materialized (
    select p.customer_id, p.order_id, (row_number() over (order by p.ordered_at, p.order_id) - 1)::integer as place
    from analytics.purchase as p
    where p.ordered_at < frequent_items.as_of and (frequent_items.since is null or p.ordered_at >= frequent_items.since)
      and (frequent_items.department is null or p.department_id = frequent_items.department)
  ), whole as materialized (select count(*) as baskets from numbered)
  select (select w.baskets from whole as w), b.item_id, array_agg(n.place order by n.place)
  from analytics.baskets(frequent_items.as_of, frequent_items.since, frequent_items.department, frequent_items.level) as b
  join numbered as n on n.customer_id = b.customer_id and n.order_id = b.order_id
  group by b.item_id
  having count(*) >= frequent_items.minimum_support * (select w.baskets from whole as w)
$$;
comment on function analytics.frequent_items(timestamptz, timestamptz, uuid, integer, numeric) is
  'One row a thing that is in enough purchases: how many purchases there are (also those without any such thing), and the numbers (from 0) of those it is in, ascending.';

create function analytics.item_margins(
  as_of timestamptz, since timestamptz, time_zone text, currency text, department uuid, level integer
) returns table (item_id uuid, baskets bigint, revenue numeric, margin numeric, revenue_without_cost numeric) language sql stable as $$
  select s.item_id, count(distinct s.order_id), sum(s.amount), sum(s.amount - s.cost), coalesce(sum(s.amount) filter (where s.cost is null), 0)
  from (
    select t.item_id, l.order_id,
      case when item_margins.currency is null or l.currency = item_margins.currency then l.amount
        else crm.convert(l.amount, l.currency, item_margins.currency, (l.ordered_at at time zone item_margins.time_zone)::date) end as amount,
      case when l.unit_cost is not null then crm.convert(l.quantity * l.unit_cost, 'TRY', coalesce(item_margins.currency, l.currency),
        (l.ordered_at at time zone item_margins.time_zone)::date) end as cost
    from analytics.purchase_line as l join analytics.items(item_margins.level) as t on t.product_id = l.product_id
    where l.ordered_at < item_margins.as_of and (item_margins.since is null or l.ordered_at >= item_margins.since) and l.quantity >= 0
      and (item_margins.department is null or l.department_id = item_margins.department)
  ) as s
  group by s.item_id
$$;
comment on function analytics.item_margins(timestamptz, timestamptz, text, text, uuid, integer) is
  'One row a thing bought: in how many purchases, for how much, the margin of the lines whose cost is known (costs are in Turkish lira and converted at the rate of the day), and the revenue of the others.';

create view analytics.offerable_product with (security_invoker = true) as
select p.id as product_id from crm.product as p
where p.active and not p.placeholder
  and (not p.tracked or exists (select from crm.stock_level as s where s.product_id = p.id and s.available > 0)
    or not exists (select from crm.stock_level as s where s.product_id = p.id));
comment on view analytics.offerable_product is 'Products that may be offered: active, known by name, and in stock in some warehouse where stock is kept of them at all.';
comment on column analytics.offerable_product.product_id is 'The product.';

create view analytics.item_name with (security_invoker = true) as
select p.id as item_id, p.name from crm.product as p union all select g.id, g.name from crm.product_category as g;
comment on view analytics.item_name is 'What products and categories are called.';
comment on column analytics.item_name.item_id is 'The product or category.';
comment on column analytics.item_name.name is 'Its name.';

create view analytics.association_now with (security_invoker = true) as
select a.id as run_id, (a.parameters ->> 'level')::integer as level, a.as_of
from crm.analysis_run as a where a.kind = 'association' and a.subject_id is null and a.status = 'done' and a.department_id is null order by a.as_of desc, a.id desc limit 1;
comment on view analytics.association_now is 'The last run of association rules over the whole company, if there is one.';
comment on column analytics.association_now.run_id is 'The run.';
comment on column analytics.association_now.level is 'The level of the category tree it counted; null for products.';
comment on column analytics.association_now.as_of is 'The instant up to which purchases counted.';

create view analytics.policy_now with (security_invoker = true) as
select m.customer_id, c.strategy, c.discount_cap_percent, c.contact_cadence_days, c.channel
from crm.grid as g
join crm.customer_cell as m on m.grid_id = g.id and m.left_at is null
join crm.grid_cell as c on c.id = m.cell_id
where g.steers;
comment on view analytics.policy_now is 'One row a customer in a cell of the grid that steers: what its policy says to those who make offers. The same as crm.customer_policy.';
comment on column analytics.policy_now.customer_id is 'The customer.';
comment on column analytics.policy_now.strategy is 'What the company means to do with the customers of the cell.';
comment on column analytics.policy_now.discount_cap_percent is 'The largest discount that is given without asking; null where the policy names none.';
comment on column analytics.policy_now.contact_cadence_days is 'How many days lie between contacts; null where the policy names none.';
comment on column analytics.policy_now.channel is 'The channel to reach the customer by; null where the policy names none.';

create function analytics.may_be_reached(customer uuid, on_channel text, of_brand uuid, at timestamptz) returns boolean language sql stable as $$
  select exists (
      select from crm.contact_point as p
      cross join lateral crm.refusal_of(p.customer_id, p.contact_id, on_channel, p.value, 'commercial', 'marketing', of_brand, at) as r
      where p.customer_id = customer and p.kind = case on_channel when 'email' then 'email' else 'phone' end and r.reason is null
        and not crm.is_restricted(customer, p.contact_id)
        and not exists (
          select from crm.channel_preference as a
          where a.customer_id = customer and (a.contact_id is null or a.contact_id = p.contact_id) and on_channel = any (a.avoided_channels)))
    and not exists (
      select from crm.frequency_cap as f
      where f.is_active and (f.channel is null or f.channel = on_channel) and (f.brand_id is null or f.brand_id = of_brand)
        and f.messages <= (
          select count(*) from crm.outbound_message as m
          where m.customer_id = customer and m.legal_class = 'commercial' and m.state in ('queued', 'sending', 'sent', 'delivered')
            and (f.channel is null or m.channel = f.channel) and (f.brand_id is null or m.brand_id = f.brand_id)
            and coalesce(m.sent_at, m.not_before) > at - make_interval(hours => f.hours) and coalesce(m.sent_at, m.not_before) <= at))
$$;
comment on function analytics.may_be_reached(uuid, text, uuid, timestamptz) is
  'Whether a commercial message by email, sms or phone may go to some address of a customer: consent or a merchant''s, not suppressed, not avoided by the customer, and no cap on the frequency reached. The gate asks again before anything is sent.';

create function analytics.offer_hindrance(
  customer uuid, as_of timestamptz, contact_gap_days integer, by_policy boolean, on_channel text, of_brand uuid
) returns text language sql stable as $$
  select case
    when p.strategy = 'let_go' then 'let_go'
    -- Whoever objected to offers, or had processing restricted, has not consented to them.
    when crm.is_restricted(customer) then 'consent'
    when exists (
      select from crm.campaign_touch as t
      where t.customer_id = customer and t.delivered and not t.held_out and t.touched_at < as_of
        and t.touched_at >= as_of - make_interval(days => offer_hindrance.contact_gap_days)) then 'contacted'
    when p.contact_cadence_days is not null and (
      exists (
        select from crm.campaign_touch as t
        where t.customer_id = customer and t.delivered and not t.held_out and t.touched_at < as_of and t.touched_at >= as_of - make_interval(days => p.contact_cadence_days))
      or exists (
        select from crm.activity as a
        where a.customer_id = customer and a.status = 'completed' and a.kind <> 'note' and a.completed_at < as_of
          and a.completed_at >= as_of - make_interval(days => p.contact_cadence_days))) then 'cadence'
    when coalesce(on_channel, p.channel) in ('email', 'sms', 'phone')
      and not analytics.may_be_reached(customer, coalesce(on_channel, p.channel), of_brand, crm.consent_clock()) then 'consent'
  end
  from (values (1)) as one (n) left join analytics.policy_now as p on by_policy and p.customer_id = offer_hindrance.customer
$$;
comment on function analytics.offer_hindrance(uuid, timestamptz, integer, boolean, text, uuid) is
  'Why nothing is offered to a customer: let_go (the strategy of its cell), contacted (a campaign reached it within so many days), cadence (there was a contact within the days of its policy), consent (on the channel asked for, or else that of the policy, no message may go to it now); null if nothing hinders.';

create function analytics.next_offers(
  rules_run uuid, as_of timestamptz default now(), window_days integer default 30, margin_rate numeric default null, contact_cost numeric default 0,
  minimum_lift double precision default 1.1, customers uuid[] default null, most integer default 5, contact_gap_days integer default 0,
  by_policy boolean default true, on_channel text default null, of_brand uuid default null
) returns table (
  customer_id uuid, "position" integer, item_id uuid, because_item_id uuid, confidence double precision, lift double precision, margin numeric,
  score double precision, expected_value numeric, channel text, discount_cap_percent numeric
) language sql stable as $$
  with run as materialized (select (a.parameters ->> 'level')::integer as level from crm.analysis_run as a where a.id = next_offers.rules_run),
  owned as materialized (
    select l.customer_id, t.item_id, max(l.ordered_at) as last_at
    from analytics.purchase_line as l join analytics.items((select r.level from run as r)) as t on t.product_id = l.product_id
    where l.ordered_at < next_offers.as_of and l.quantity > 0 and (next_offers.customers is null or l.customer_id = any (next_offers.customers))
    group by l.customer_id, t.item_id
  ), offerable as materialized (
    select distinct t.item_id from analytics.offerable_product as p join analytics.items((select r.level from run as r)) as t on t.product_id = p.product_id
  ), priced as materialized (
    select i.item_id, (coalesce(i.margin, 0) + coalesce(next_offers.margin_rate, 0) * i.revenue_without_cost) / i.baskets as margin
    from crm.association_item as i join offerable as o on o.item_id = i.item_id
    where i.run_id = next_offers.rules_run and (i.margin is not null or next_offers.margin_rate is not null)
  ), candidate as (
    select o.customer_id, p.item_id, r.antecedent[1] as because_item_id, r.confidence, r.lift, p.margin, r.confidence * p.margin::float8 as score,
      r.both_count * p.margin / r.antecedent_count - next_offers.contact_cost as expected_value,
      row_number() over (partition by o.customer_id, p.item_id order by r.confidence desc, r.lift desc, r.antecedent[1]) as place
    from owned as o
    join crm.association_rule as r on r.run_id = next_offers.rules_run and r.antecedent[1] = o.item_id
      and cardinality(r.antecedent) = 1 and cardinality(r.consequent) = 1 and r.lift >= next_offers.minimum_lift
    join priced as p on p.item_id = r.consequent[1]
    left join owned as had on had.customer_id = o.customer_id and had.item_id = p.item_id and had.last_at >= next_offers.as_of - make_interval(days => next_offers.window_days)
    where had.item_id is null
  ), worthwhile as materialized (
    select c.* from candidate as c where c.place = 1 and c.expected_value > 0
  ), free as materialized (
    select w.customer_id from (select distinct x.customer_id from worthwhile as x) as w
    where analytics.offer_hindrance(w.customer_id, next_offers.as_of, next_offers.contact_gap_days, next_offers.by_policy, next_offers.on_channel, next_offers.of_brand) is null
  ), ranked as (
    select w.*, (row_number() over (partition by w.customer_id order by w.score desc, w.lift desc, w.item_id))::integer as rank
    from worthwhile as w join free as f on f.customer_id = w.customer_id
  )
  select r.customer_id, r.rank, r.item_id, r.because_item_id, r.confidence, r.lift, r.margin, r.score, r.expected_value,
    coalesce(next_offers.on_channel, p.channel), p.discount_cap_percent
  from ranked as r left join analytics.policy_now as p on next_offers.by_policy and p.customer_id = r.customer_id
  where r.rank <= next_offers.most
$$;
comment on function analytics.next_offers(uuid, timestamptz, integer, numeric, numeric, double precision, uuid[], integer, integer, boolean, text, uuid) is
  'What to offer whom by the rules of a run: things not bought within the window of days that may be offered, by their best rule from a thing the customer has bought with enough lift. The score is confidence × margin a purchase; ties go by lift, then id. expected_value is the score less what a contact costs; only offers above zero are there. margin_rate is the margin, as a share of revenue, of what has no known cost; without it such things are not offered. Nothing is offered to customers whom something hinders (analytics.offer_hindrance): a campaign reached them within contact_gap_days, their policy (by_policy) lets them go or rests between contacts, or no message may go to them on the channel. customers null: everybody.';

grant select on all tables in schema analytics to crm_app, crm_worker, bi_reader;
grant execute on all functions in schema analytics to crm_app, crm_worker;
