-- An order is locked before its lines are added up, as opportunities and contracts are (0074): a sum taken before waiting for somebody else's line would not have it.
set local role crm_owner;

create or replace function crm.total_orders() returns trigger language plpgsql as $$
begin
  perform from crm.sales_order as o
  where (o.customer_id, o.id) in (select t.customer_id, t.order_id from touched_rows as t) order by o.customer_id, o.id for no key update;
  update crm.sales_order as o
  set amount = sums.amount, loyalty_discount = sums.loyalty, coupon_discount = sums.coupon, coupon_match_discount = sums.coupon_match
  from (
    select touched.customer_id, touched.order_id, coalesce(sum(l.amount), 0) as amount, coalesce(sum(l.loyalty_discount), 0) as loyalty,
      coalesce(sum(l.coupon_discount), 0) as coupon, coalesce(sum(l.coupon_match_discount), 0) as coupon_match
    from (select distinct customer_id, order_id from touched_rows) as touched
    left join crm.sales_order_line as l on l.customer_id = touched.customer_id and l.order_id = touched.order_id
    group by touched.customer_id, touched.order_id
  ) as sums
  where o.customer_id = sums.customer_id and o.id = sums.order_id
    and (o.amount, o.loyalty_discount, o.coupon_discount, o.coupon_match_discount) is distinct from (sums.amount, sums.loyalty, sums.coupon, sums.coupon_match);
  return null;
end
$$;
