-- Sums of lines that are added at once, and win rates of what is decided.
set local role crm_owner;

-- The parent is locked before its lines are added up: a sum taken before waiting for somebody else's line would not have it. "no key", because a line's
-- foreign key holds a weaker lock on it already, which two who add lines at once would not give up for each other.
create or replace function crm.total_opportunities() returns trigger language plpgsql as $$
begin
  perform from crm.opportunity as o
  where (o.customer_id, o.id) in (select t.customer_id, t.opportunity_id from touched_rows as t) order by o.customer_id, o.id for no key update;
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

create or replace function crm.total_contracts() returns trigger language plpgsql as $$
begin
  perform from crm.contract as c
  where (c.customer_id, c.id) in (select t.customer_id, t.contract_id from touched_rows as t) order by c.customer_id, c.id for no key update;
  update crm.contract as c set monthly_amount = sums.monthly
  from (
    select touched.customer_id, touched.contract_id, coalesce(round(sum(l.monthly_amount), 2), 0) as monthly
    from (select distinct customer_id, contract_id from touched_rows) as touched
    left join crm.contract_line as l on l.customer_id = touched.customer_id and l.contract_id = touched.contract_id
    group by touched.customer_id, touched.contract_id
  ) as sums
  where c.customer_id = sums.customer_id and c.id = sums.contract_id and c.monthly_amount <> sums.monthly;
  return null;
end
$$;

-- A forecast asks only for what is decided, which spares it a quarter of its work.
drop function crm.stage_win_rates();
create function crm.stage_win_rates(decided_only boolean default false) returns table (stage_id uuid, entered bigint, won bigint, lost bigint) language sql stable as $$
  select e.stage_id, sum(o.number)::bigint, coalesce(sum(o.number) filter (where o.status = 'won'), 0)::bigint,
    coalesce(sum(o.number) filter (where o.status = 'lost'), 0)::bigint
  from (
    select stages_entered, status, count(*) as number from crm.opportunity where not decided_only or status <> 'open' group by stages_entered, status
  ) as o
  cross join lateral unnest(o.stages_entered) as e (stage_id)
  group by e.stage_id
$$;
comment on function crm.stage_win_rates(boolean) is
  'For each stage, of the opportunities the caller may read: how many ever entered it, and how many of those were won and lost; asked for decided ones only, "entered" counts those alone. The share won ÷ (won + lost) is the stage''s probability by history; those still open say nothing yet.';
