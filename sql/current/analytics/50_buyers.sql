-- Who bought, until when, how often and for how much, and what: the sets that descriptive analyses begin with. Facts before as_of count; amounts are converted at the rate of the
-- day of the purchase.
set local role crm_owner;

create function analytics.purchase_currencies(as_of timestamptz default now(), time_zone text default 'UTC', currency text default null, department uuid default null)
returns table (currency text, purchases bigint, without_rate bigint) language sql stable as $$
  select p.currency, count(*), count(*) filter (where purchase_currencies.currency is not null and p.currency <> purchase_currencies.currency
    and crm.rate_on(p.currency, purchase_currencies.currency, (p.ordered_at at time zone purchase_currencies.time_zone)::date) is null)
  from analytics.purchase as p
  where p.ordered_at < as_of and (purchase_currencies.department is null or p.department_id = purchase_currencies.department)
  group by p.currency
$$;
comment on function analytics.purchase_currencies(timestamptz, text, text, uuid) is
  'One row a currency of the purchases before an instant: how many there are, and how many could not be converted to the wanted currency. No row: nobody bought.';

create function analytics.buyers(as_of timestamptz default now(), time_zone text default 'UTC', currency text default null, department uuid default null)
returns table (customer_id uuid, first_at timestamptz, last_at timestamptz, orders bigint, revenue numeric) language sql stable as $$
  select p.customer_id, min(p.ordered_at), max(p.ordered_at), count(*),
    case when buyers.currency is null then sum(p.amount)
      when count(*) = count(case when p.currency = buyers.currency then 1 else crm.rate_on(p.currency, buyers.currency, (p.ordered_at at time zone buyers.time_zone)::date) end)
      then sum(case when p.currency = buyers.currency then p.amount
        else crm.convert(p.amount, p.currency, buyers.currency, (p.ordered_at at time zone buyers.time_zone)::date) end) end
  from analytics.purchase as p
  where p.ordered_at < as_of and (buyers.department is null or p.department_id = buyers.department)
  group by p.customer_id
$$;
comment on function analytics.buyers(timestamptz, text, text, uuid) is
  'One row a customer with at least one purchase before an instant: first and last purchase, how many, and for how much in the given currency (null where a rate is missing). Without a currency amounts are added as they are, which makes sense only where there is but one: analytics.purchase_currencies tells.';

create function analytics.items(level integer default null) returns table (product_id uuid, item_id uuid) language sql stable as $$
  select p.id, p.id from crm.product as p where items.level is null
  union all
  select l.product_id, l.category_id from analytics.product_level as l where l.level = items.level
$$;
comment on function analytics.items(integer) is 'What is bought, as an analysis counts it: products themselves, or the categories at a level of the tree (1 is the top); products without such a category are nothing then.';

grant select on all tables in schema analytics to crm_app, crm_worker, bi_reader;
grant execute on all functions in schema analytics to crm_app, crm_worker;
