-- Facts: invoices, their lines, what is due and paid, turnover, commissions.
set local role crm_owner;

create view bi.invoices with (security_invoker = true) as
select
  i.id as invoice_id, i.customer_id, i.order_id, i.department_id, i.owner_id as seller_id, i.number, i.type, i.profile, i.issue_date as issued_on, i.due_on,
  i.returned_invoice_id as credited_invoice_id, i.currency, i.exchange_rate, case i.type when 'IADE' then -1 else 1 end as sign, i.discount_amount, i.net_amount, i.vat_amount,
  i.withholding_amount, i.total_amount, i.payable_amount, coalesce(due.open, 0) as open_amount
from crm.invoice as i
left join lateral (
  select sum(x.open) as open from crm.instalment as x where x.customer_id = i.customer_id and x.invoice_id = i.id
) as due on true
where i.status = 'issued';
comment on view bi.invoices is 'One row an issued invoice or credit note. Amounts are positive on both; multiply by sign to add them up.';
comment on column bi.invoices.invoice_id is 'Id of the invoice.';
comment on column bi.invoices.customer_id is 'Who owes it.';
comment on column bi.invoices.order_id is 'The order it invoices.';
comment on column bi.invoices.department_id is 'The department that sold.';
comment on column bi.invoices.seller_id is 'The seller.';
comment on column bi.invoices.number is 'Its number.';
comment on column bi.invoices.type is 'SATIS, IADE (a credit note), TEVKIFAT or ISTISNA.';
comment on column bi.invoices.profile is 'TEMELFATURA, TICARIFATURA or EARSIVFATURA.';
comment on column bi.invoices.issued_on is 'The day it was issued.';
comment on column bi.invoices.due_on is 'The first day on which something of it is due.';
comment on column bi.invoices.credited_invoice_id is 'The invoice that a credit note takes back.';
comment on column bi.invoices.currency is 'Currency of all amounts.';
comment on column bi.invoices.exchange_rate is 'Lira for one unit of the currency on the issue date.';
comment on column bi.invoices.sign is '1 for an invoice, -1 for a credit note.';
comment on column bi.invoices.discount_amount is 'Discounts.';
comment on column bi.invoices.net_amount is 'Without VAT.';
comment on column bi.invoices.vat_amount is 'VAT.';
comment on column bi.invoices.withholding_amount is 'VAT that the buyer pays to the tax office.';
comment on column bi.invoices.total_amount is 'With VAT.';
comment on column bi.invoices.payable_amount is 'What is paid to us: the total without what is withheld.';
comment on column bi.invoices.open_amount is 'What of it is not settled today; of a credit note, what we still owe.';

create view bi.invoice_lines with (security_invoker = true) as
select
  l.id as invoice_line_id, l.invoice_id, l.customer_id, l.product_id, l.department_id, l.owner_id as seller_id, i.issue_date as issued_on, i.type, l.line_number,
  case i.type when 'IADE' then -1 else 1 end as sign, l.description, l.quantity, l.unit_code, l.unit_price, i.currency, l.discount_percent, l.net_amount, l.vat_rate, l.vat_amount,
  l.withholding_code, l.withholding_amount, l.exemption_code, round(l.quantity * l.unit_cost, 2) as cost
from crm.invoice_line as l join crm.invoice as i on i.customer_id = l.customer_id and i.id = l.invoice_id
where l.invoice_status = 'issued';
comment on view bi.invoice_lines is 'One row a line of an issued invoice or credit note; multiply by sign to add up.';
comment on column bi.invoice_lines.invoice_line_id is 'Id of the line.';
comment on column bi.invoice_lines.invoice_id is 'The invoice it is on.';
comment on column bi.invoice_lines.customer_id is 'Who owes it.';
comment on column bi.invoice_lines.product_id is 'The product; null for what is none.';
comment on column bi.invoice_lines.department_id is 'The department that sold.';
comment on column bi.invoice_lines.seller_id is 'The seller.';
comment on column bi.invoice_lines.issued_on is 'The day the invoice was issued.';
comment on column bi.invoice_lines.type is 'SATIS, IADE (a credit note), TEVKIFAT or ISTISNA.';
comment on column bi.invoice_lines.line_number is 'Its place on the invoice.';
comment on column bi.invoice_lines.sign is '1 for an invoice, -1 for a credit note.';
comment on column bi.invoice_lines.description is 'What the invoice calls it.';
comment on column bi.invoice_lines.quantity is 'Units.';
comment on column bi.invoice_lines.unit_code is 'Unit (UN/ECE Rec 20).';
comment on column bi.invoice_lines.unit_price is 'Price of a unit before discount and VAT.';
comment on column bi.invoice_lines.currency is 'Currency of all amounts.';
comment on column bi.invoice_lines.discount_percent is 'Discount in percent.';
comment on column bi.invoice_lines.net_amount is 'Without VAT.';
comment on column bi.invoice_lines.vat_rate is 'VAT rate in percent.';
comment on column bi.invoice_lines.vat_amount is 'VAT.';
comment on column bi.invoice_lines.withholding_code is 'Why VAT is withheld.';
comment on column bi.invoice_lines.withholding_amount is 'VAT that is withheld.';
comment on column bi.invoice_lines.exemption_code is 'Why there is no VAT.';
comment on column bi.invoice_lines.cost is 'What the goods cost us; null if that is not known.';

create view bi.instalments with (security_invoker = true) as
select i.id as instalment_id, i.invoice_id, i.customer_id, i.department_id, i.owner_id as seller_id, i.direction, i.currency, i.due_on, i.amount, i.settled, i.open
from crm.instalment as i;
comment on view bi.instalments is 'One row a part of an invoice that is due on one day.';
comment on column bi.instalments.instalment_id is 'Id of the instalment.';
comment on column bi.instalments.invoice_id is 'The invoice.';
comment on column bi.instalments.customer_id is 'Who owes it, or is owed.';
comment on column bi.instalments.department_id is 'The department that sold.';
comment on column bi.instalments.seller_id is 'The seller.';
comment on column bi.instalments.direction is 'in: owed to us. out: owed by us.';
comment on column bi.instalments.currency is 'Currency of all amounts.';
comment on column bi.instalments.due_on is 'When it is due.';
comment on column bi.instalments.amount is 'What is due.';
comment on column bi.instalments.settled is 'What is settled.';
comment on column bi.instalments.open is 'What is still open.';

create view bi.payments with (security_invoker = true) as
select p.id as payment_id, p.customer_id, p.department_id, p.direction, p.method, p.paid_on, p.currency, p.amount, p.allocated, p.unallocated
from crm.payment as p;
comment on view bi.payments is 'One row a payment.';
comment on column bi.payments.payment_id is 'Id of the payment.';
comment on column bi.payments.customer_id is 'Who paid, or was paid.';
comment on column bi.payments.department_id is 'The department that recorded it.';
comment on column bi.payments.direction is 'in: from the customer. out: to the customer.';
comment on column bi.payments.method is 'transfer, cash, card, cheque or other.';
comment on column bi.payments.paid_on is 'The day the money moved.';
comment on column bi.payments.currency is 'Currency of all amounts.';
comment on column bi.payments.amount is 'How much.';
comment on column bi.payments.allocated is 'What of it pays invoices.';
comment on column bi.payments.unallocated is 'What of it does not yet.';

create view bi.ageing with (security_invoker = true) as
select due.customer_id, due.currency,
  coalesce(sum(due.open) filter (where due.days <= 0), 0) as not_due, coalesce(sum(due.open) filter (where due.days between 1 and 30), 0) as days_1_30,
  coalesce(sum(due.open) filter (where due.days between 31 and 60), 0) as days_31_60, coalesce(sum(due.open) filter (where due.days between 61 and 90), 0) as days_61_90,
  coalesce(sum(due.open) filter (where due.days > 90), 0) as days_91, sum(due.open) as open
from (
  select i.customer_id, i.currency, i.open, (now() at time zone 'Europe/Istanbul')::date - i.due_on as days from crm.instalment as i where i.direction = 'in' and i.open > 0
) as due
group by due.customer_id, due.currency;
comment on view bi.ageing is 'One row a customer and currency: what is open today, by days past due.';
comment on column bi.ageing.customer_id is 'Who owes.';
comment on column bi.ageing.currency is 'Currency of all amounts.';
comment on column bi.ageing.not_due is 'Not due yet.';
comment on column bi.ageing.days_1_30 is '1 to 30 days past due.';
comment on column bi.ageing.days_31_60 is '31 to 60 days past due.';
comment on column bi.ageing.days_61_90 is '61 to 90 days past due.';
comment on column bi.ageing.days_91 is 'More than 90 days past due.';
comment on column bi.ageing.open is 'All of it.';

create view bi.turnover with (security_invoker = true) as
select t.id as turnover_id, t.customer_id, t.product_id, t.owner_id as seller_id, t.department_id, t.day, t.currency, t.quantity, t.invoiced, t.credited, t.amount, t.cost
from crm.turnover as t;
comment on view bi.turnover is 'One row a customer, product, seller, department, day and currency: turnover without VAT.';
comment on column bi.turnover.turnover_id is 'Id of the row.';
comment on column bi.turnover.customer_id is 'The customer.';
comment on column bi.turnover.product_id is 'The product; null for lines without one.';
comment on column bi.turnover.seller_id is 'The seller.';
comment on column bi.turnover.department_id is 'The department that sold.';
comment on column bi.turnover.day is 'The day of issue.';
comment on column bi.turnover.currency is 'Currency of all amounts.';
comment on column bi.turnover.quantity is 'Units invoiced less units taken back.';
comment on column bi.turnover.invoiced is 'What was invoiced.';
comment on column bi.turnover.credited is 'What was credited.';
comment on column bi.turnover.amount is 'Invoiced less credited.';
comment on column bi.turnover.cost is 'What the goods cost us, as far as that is known.';

-- Days sales outstanding at the end of each month: receivables ÷ what was invoiced in that month and the two before × 90.
create view bi.days_sales_outstanding with (security_invoker = true) as
select s.month, s.currency, s.receivable, s.invoiced, round(s.receivable / nullif(s.invoiced, 0) * 90, 1) as days
from (
  select m.month, m.currency, sum(coalesce(f.billed, 0) - coalesce(f.settled, 0)) over (partition by m.currency order by m.month) as receivable,
    sum(coalesce(f.billed, 0)) over (partition by m.currency order by m.month rows between 2 preceding and current row) as invoiced
  from (
    select c.currency, g.month::date as month
    from (select i.currency, min(v.issue_date) as first from crm.instalment as i join crm.invoice as v on v.customer_id = i.customer_id and v.id = i.invoice_id group by i.currency) as c
    cross join lateral generate_series(date_trunc('month', c.first), date_trunc('month', now() at time zone 'Europe/Istanbul'), '1 month') as g (month)
  ) as m
  left join (
    select x.currency, date_trunc('month', x.day)::date as month, sum(x.billed) as billed, sum(x.settled) as settled
    from (
      select i.currency, v.issue_date as day, i.amount as billed, 0 as settled
      from crm.instalment as i join crm.invoice as v on v.customer_id = i.customer_id and v.id = i.invoice_id where i.direction = 'in'
      union all
      select a.currency, greatest(a.allocated_on, v.issue_date), 0, a.amount
      from crm.payment_allocation as a join crm.instalment as i on i.customer_id = a.customer_id and i.id = a.instalment_id
      join crm.invoice as v on v.customer_id = i.customer_id and v.id = i.invoice_id where a.direction = 'in'
    ) as x group by 1, 2
  ) as f on f.currency = m.currency and f.month = m.month
) as s;
comment on view bi.days_sales_outstanding is 'One row a month and currency: how many days of invoicing are not paid at the end of the month (DSO).';
comment on column bi.days_sales_outstanding.month is 'The first day of the month.';
comment on column bi.days_sales_outstanding.currency is 'Currency of all amounts.';
comment on column bi.days_sales_outstanding.receivable is 'What customers owed at its end.';
comment on column bi.days_sales_outstanding.invoiced is 'What was invoiced in it and the two months before, with VAT and without what is withheld.';
comment on column bi.days_sales_outstanding.days is 'Receivable ÷ invoiced × 90; null when nothing was invoiced.';

create view bi.commissions with (security_invoker = true) as
select l.id as commission_id, l.owner_id as seller_id, l.department_id, p.code as plan, s.month as settled_month, l.day as accrued_on, l.customer_id, l.invoice_id, l.currency,
  l.base_amount, l.share_percent, l.percent, l.amount
from crm.commission_settlement_line as l
join crm.commission_settlement as s on s.id = l.settlement_id
join crm.commission_plan as p on p.id = s.plan_id;
comment on view bi.commissions is 'One row a settled commission of a seller for an invoice, a payment or a credit note.';
comment on column bi.commissions.commission_id is 'Id of the settlement''s line.';
comment on column bi.commissions.seller_id is 'The seller.';
comment on column bi.commissions.department_id is 'The seller''s department.';
comment on column bi.commissions.plan is 'Code of the plan.';
comment on column bi.commissions.settled_month is 'The month it was settled for.';
comment on column bi.commissions.accrued_on is 'The day it accrued.';
comment on column bi.commissions.customer_id is 'The customer.';
comment on column bi.commissions.invoice_id is 'The invoice or credit note.';
comment on column bi.commissions.currency is 'Currency of all amounts.';
comment on column bi.commissions.base_amount is 'Revenue or margin that counts, before the share.';
comment on column bi.commissions.share_percent is 'The seller''s share, in percent.';
comment on column bi.commissions.percent is 'The commission, in percent.';
comment on column bi.commissions.amount is 'The commission.';
