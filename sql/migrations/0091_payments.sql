-- What an issued invoice makes due, and what is paid: instalments, payments and their allocation, credit notes, ageing.
-- An instalment or a payment cannot be allocated beyond its amount: the allocation adds itself to both, and their CHECKs refuse.
set local role crm_owner;

create table crm.instalment (
  customer_id   uuid          not null,
  id            uuid          not null default crm.uuid_v7(),
  invoice_id    uuid          not null,
  place         integer       not null,
  direction     text          not null,
  currency      text          not null,
  due_on        date          not null,
  amount        numeric(18,2) not null,
  settled       numeric(18,2) not null default 0,
  open          numeric(18,2) generated always as (amount - settled) stored,
  department_id uuid          not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz   not null default now(),
  updated_at    timestamptz   not null default now(),
  version       integer       not null default 1,
  created_by    uuid          default crm.caller_id(),
  constraint instalment_id_primary primary key (customer_id, id),
  constraint instalment_place_unique unique (customer_id, invoice_id, place),
  constraint instalment_currency_direction_unique unique (customer_id, id, currency, direction),
  constraint instalment_invoice_id_exists foreign key (customer_id, invoice_id) references crm.invoice (customer_id, id),
  constraint instalment_place_positive check (place > 0),
  constraint instalment_direction_known check (direction in ('in', 'out')),
  constraint instalment_due_on_finite check (isfinite(due_on)),
  constraint instalment_settled_range check (amount > 0 and settled between 0 and amount and 'NaN' <> all (array[amount, settled, open]))
);
comment on table crm.instalment is 'A part of an issued invoice that is due on one day. Made when the invoice is issued; settled by allocations alone.';
comment on column crm.instalment.invoice_id is 'The invoice it is a part of.';
comment on column crm.instalment.place is 'Its place among the invoice''s instalments, from 1.';
comment on column crm.instalment.direction is 'in: the customer owes it to us. out: we owe it to the customer, from a credit note.';
comment on column crm.instalment.currency is 'Currency of its amounts.';
comment on column crm.instalment.due_on is 'The day by which it is to be paid.';
comment on column crm.instalment.amount is 'What is due; the instalments of an invoice sum to what is payable of it.';
comment on column crm.instalment.settled is 'What payments and credit notes have settled of it.';
comment on column crm.instalment.open is 'What is still to be paid.';
comment on constraint instalment_place_unique on crm.instalment is 'en: The invoice already has this instalment. | tr: Faturanın bu taksidi zaten var.';
comment on constraint instalment_currency_direction_unique on crm.instalment is 'en: A record with this id already exists. | tr: Bu kimliğe sahip bir kayıt zaten var.';
comment on constraint instalment_place_positive on crm.instalment is 'en: Instalments are numbered from 1. | tr: Taksitler 1''den başlayarak numaralanır.';
comment on constraint instalment_direction_known on crm.instalment is 'en: The direction is in or out. | tr: Yön in ya da out olabilir.';
comment on constraint instalment_due_on_finite on crm.instalment is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint instalment_settled_range on crm.instalment is 'en: More cannot be paid on an invoice than is open. | tr: Bir faturaya açık tutarından fazlası ödenemez.';
create index instalment_id_index on crm.instalment (id);
create index instalment_due_on_index on crm.instalment (due_on, id) where open > 0;

create table crm.payment (
  customer_id   uuid          not null,
  id            uuid          not null default crm.uuid_v7(),
  direction     text          not null default 'in',
  method        text          not null default 'transfer',
  currency      text          not null,
  amount        numeric(18,2) not null,
  allocated     numeric(18,2) not null default 0,
  unallocated   numeric(18,2) generated always as (amount - allocated) stored,
  paid_on       date          not null,
  reference     text,
  note          text,
  department_id uuid          not null,
  owner_id      uuid,
  visibility    text          not null default 'department',
  audience      uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at    timestamptz   not null default now(),
  updated_at    timestamptz   not null default now(),
  version       integer       not null default 1,
  created_by    uuid          default crm.caller_id(),
  constraint payment_id_primary primary key (customer_id, id),
  constraint payment_currency_direction_unique unique (customer_id, id, currency, direction),
  constraint payment_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint payment_currency_exists foreign key (currency) references crm.currency (code),
  constraint payment_department_id_exists foreign key (department_id) references crm.department (id),
  constraint payment_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint payment_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint payment_owner_id_private check (visibility <> 'private' or owner_id is not null),
  constraint payment_direction_known check (direction in ('in', 'out')),
  constraint payment_method_known check (method in ('transfer', 'cash', 'card', 'cheque', 'other')),
  constraint payment_paid_on_finite check (isfinite(paid_on)),
  constraint payment_reference_length check (length(reference) <= 200),
  constraint payment_allocated_range check (amount > 0 and allocated between 0 and amount and 'NaN' <> all (array[amount, allocated, unallocated]))
);
comment on table crm.payment is 'Money that a customer paid, or that we paid back. A wrong one is deleted and entered anew; the change log keeps it.';
comment on column crm.payment.direction is 'in: from the customer. out: to the customer.';
comment on column crm.payment.method is 'transfer, cash, card, cheque or other.';
comment on column crm.payment.currency is 'Currency of the amount; it pays what is due in the same.';
comment on column crm.payment.amount is 'How much.';
comment on column crm.payment.allocated is 'What of it is allocated to instalments.';
comment on column crm.payment.unallocated is 'What of it is not.';
comment on column crm.payment.paid_on is 'The day the money moved.';
comment on column crm.payment.reference is 'The bank''s or the till''s reference.';
comment on column crm.payment.note is 'What colleagues should know.';
comment on constraint payment_currency_direction_unique on crm.payment is 'en: A record with this id already exists. | tr: Bu kimliğe sahip bir kayıt zaten var.';
comment on constraint payment_direction_known on crm.payment is 'en: The direction is in or out. | tr: Yön in ya da out olabilir.';
comment on constraint payment_method_known on crm.payment is 'en: The method is transfer, cash, card, cheque or other. | tr: Yöntem transfer, cash, card, cheque ya da other olabilir.';
comment on constraint payment_paid_on_finite on crm.payment is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint payment_reference_length on crm.payment is 'en: A reference has at most 200 characters. | tr: Referans en çok 200 karakterdir.';
comment on constraint payment_allocated_range on crm.payment is 'en: More cannot be allocated than was paid. | tr: Ödenenden fazlası dağıtılamaz.';
create index payment_id_index on crm.payment (id);
create index payment_paid_on_index on crm.payment (paid_on, id);

create table crm.payment_allocation (
  customer_id    uuid          not null,
  id             uuid          not null default crm.uuid_v7(),
  instalment_id  uuid          not null,
  payment_id     uuid,
  credit_note_id uuid,
  currency       text          not null,
  direction      text          not null,
  amount         numeric(18,2) not null,
  allocated_on   date          not null,
  department_id  uuid          not null,
  owner_id       uuid,
  audience       uuid,
  created_at     timestamptz   not null default now(),
  updated_at     timestamptz   not null default now(),
  created_by     uuid          default crm.caller_id(),
  constraint payment_allocation_id_primary primary key (customer_id, id),
  constraint payment_allocation_instalment_id_exists foreign key (customer_id, currency, direction, instalment_id)
    references crm.instalment (customer_id, currency, direction, id),
  constraint payment_allocation_payment_id_exists foreign key (customer_id, currency, direction, payment_id)
    references crm.payment (customer_id, currency, direction, id),
  constraint payment_allocation_credit_note_id_exists foreign key (customer_id, credit_note_id) references crm.invoice (customer_id, id),
  constraint payment_allocation_source_given check (num_nonnulls(payment_id, credit_note_id) = 1),
  constraint payment_allocation_amount_positive check (amount > 0 and amount <> 'NaN'),
  constraint payment_allocation_allocated_on_finite check (isfinite(allocated_on))
);
comment on table crm.payment_allocation is 'What of an instalment a payment or a credit note settles: same customer, currency and direction, never more than is open.';
comment on column crm.payment_allocation.instalment_id is 'The instalment that is settled.';
comment on column crm.payment_allocation.payment_id is 'The payment that settles it, or';
comment on column crm.payment_allocation.credit_note_id is 'the credit note that does.';
comment on column crm.payment_allocation.currency is 'Currency of the amount.';
comment on column crm.payment_allocation.direction is 'in or out, as of the instalment.';
comment on column crm.payment_allocation.amount is 'How much it settles.';
comment on column crm.payment_allocation.allocated_on is 'The day from which it counts: that of the payment or credit note.';
comment on constraint payment_allocation_source_given on crm.payment_allocation is 'en: Either a payment or a credit note settles an instalment. | tr: Bir taksidi ya bir ödeme ya da bir iade faturası kapatır.';
comment on constraint payment_allocation_amount_positive on crm.payment_allocation is 'en: Allocate more than 0. | tr: 0''dan büyük bir tutar dağıtın.';
comment on constraint payment_allocation_allocated_on_finite on crm.payment_allocation is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
create index payment_allocation_id_index on crm.payment_allocation (id);
create index payment_allocation_instalment_id_index on crm.payment_allocation (customer_id, instalment_id);
create index payment_allocation_payment_id_index on crm.payment_allocation (customer_id, payment_id) where payment_id is not null;
create index payment_allocation_credit_note_id_index on crm.payment_allocation (customer_id, credit_note_id) where credit_note_id is not null;

create function crm.follow_instalment() returns trigger language plpgsql as $$
begin
  select i.department_id, i.owner_id, i.audience, i.currency, i.direction into new.department_id, new.owner_id, new.audience, new.currency, new.direction
  from crm.instalment as i where i.customer_id = new.customer_id and i.id = new.instalment_id;
  if not found then
    perform crm.missing_reference('instalment_id');
  end if;
  if new.payment_id is not null then
    select p.paid_on into new.allocated_on from crm.payment as p where p.customer_id = new.customer_id and p.id = new.payment_id;
    if not found then
      perform crm.missing_reference('payment_id');
    end if;
  end if;
  return new;
end
$$;
comment on function crm.follow_instalment() is 'Trigger: gives an allocation its instalment''s department, owner, audience, currency and direction, and its payment''s day.';
create trigger payment_allocation_follow_insert before insert on crm.payment_allocation for each row execute function crm.follow_instalment();

create function crm.settle_instalments() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sign constant integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
  update crm.payment as p set allocated = p.allocated + sign * sums.amount
  from (select t.customer_id, t.payment_id, sum(t.amount) as amount from touched_rows as t where t.payment_id is not null group by t.customer_id, t.payment_id) as sums
  where p.customer_id = sums.customer_id and p.id = sums.payment_id;
  update crm.instalment as i set settled = i.settled + sign * sums.amount
  from (select t.customer_id, t.instalment_id, sum(t.amount) as amount from touched_rows as t group by t.customer_id, t.instalment_id) as sums
  where i.customer_id = sums.customer_id and i.id = sums.instalment_id;
  return null;
end
$$;
comment on function crm.settle_instalments() is 'Trigger, once a statement: adds allocations to the instalments they settle and the payments they use, whose CHECKs refuse too much. Runs as the owner, who alone writes those sums.';
revoke execute on function crm.settle_instalments() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger payment_allocation_settle_insert after insert on crm.payment_allocation referencing new table as touched_rows
  for each statement execute function crm.settle_instalments();
create trigger payment_allocation_settle_delete after delete on crm.payment_allocation referencing old table as touched_rows
  for each statement execute function crm.settle_instalments();

-- Issuing makes instalments; a credit note settles what is open of the invoice it takes back, and what is left over is owed to the customer.
create function crm.bill_invoice() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  term record;
  audience constant uuid := case new.visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then new.owner_id else new.department_id end;
  credit numeric := new.net_amount + new.vat_amount - new.withholding_amount;
begin
  if new.type = 'IADE' then
    new.due_on := new.issue_date;
    if new.returned_invoice_id is not null then
      perform from crm.invoice as i where i.customer_id = new.customer_id and i.id = new.returned_invoice_id and i.status = 'issued' for update;
      if not found or exists (
        select from crm.invoice_line as own join crm.invoice_line as l on l.customer_id = own.customer_id and l.id = own.returned_line_id
        where own.customer_id = new.customer_id and own.invoice_id = new.id
        group by l.id, l.quantity, l.invoice_id
        having l.invoice_id <> new.returned_invoice_id or l.quantity < sum(own.quantity) + coalesce((
          select sum(other.quantity) from crm.invoice_line as other
          where other.customer_id = new.customer_id and other.returned_line_id = l.id and other.invoice_status = 'issued'), 0)
      ) then
        raise exception using errcode = 'check_violation', schema = 'crm', table = 'invoice_line', constraint = 'invoice_line_quantity_positive',
          message = 'no more can be taken back than was invoiced';
      end if;
      perform from crm.instalment as i where i.customer_id = new.customer_id and i.invoice_id = new.returned_invoice_id order by i.place for update;
      with due as (
        select i.id, i.place, i.open, sum(i.open) over (order by i.place) - i.open as before
        from crm.instalment as i where i.customer_id = new.customer_id and i.invoice_id = new.returned_invoice_id and i.open > 0
      ), made as (
        insert into crm.payment_allocation (customer_id, instalment_id, credit_note_id, currency, direction, amount, allocated_on)
        select new.customer_id, d.id, new.id, new.currency, 'in', least(d.open, credit - d.before), new.issue_date
        from due as d where d.before < credit
        returning amount
      )
      select credit - coalesce(sum(m.amount), 0) into credit from made as m;
    end if;
    if credit > 0 then
      insert into crm.instalment (customer_id, invoice_id, place, direction, currency, due_on, amount, department_id, owner_id, audience)
      values (new.customer_id, new.id, 1, 'out', new.currency, new.due_on, credit, new.department_id, new.owner_id, audience);
    end if;
    return new;
  end if;
  select coalesce(max(t.first_due_days), 0) as days, coalesce(bool_or(t.end_of_month), false) as whole_month, coalesce(max(t.instalments), 1) as parts,
    coalesce(max(t.interval_months), 1) as months
  into term from crm.payment_term as t where t.id = new.payment_term_id;
  with part as (
    select k, round(credit * k / term.parts, 2) - round(credit * (k - 1) / term.parts, 2) as amount,
      (new.issue_date + term.days + make_interval(months => (k - 1) * term.months))::date as day
    from generate_series(1, term.parts) as k
  ), due as (
    select k, amount, case when term.whole_month then (date_trunc('month', day) + interval '1 month - 1 day')::date else day end as day from part
  ), made as (
    insert into crm.instalment (customer_id, id, invoice_id, place, direction, currency, due_on, amount, department_id, owner_id, audience)
    select new.customer_id, crm.uuid_v7_member((select crm.uuid_v7_head()), d.k), new.id, d.k, 'in', new.currency, d.day, d.amount, new.department_id, new.owner_id, audience
    from due as d where d.amount > 0
  )
  select min(d.day) into new.due_on from due as d;
  return new;
end
$$;
comment on function crm.bill_invoice() is 'Trigger: makes the instalments of an invoice that is being issued, by its payment term; a credit note settles what it takes back. Runs as the owner, who alone makes instalments.';
revoke execute on function crm.bill_invoice() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger invoice_bill before update of status on crm.invoice for each row
  when (old.status = 'draft' and new.status = 'issued') execute function crm.bill_invoice();

-- Ageing ----------------------------------------------------------------------------------------------------------------------------

create function crm.ageing(as_of date) returns table (
  customer_id uuid, currency text, not_due numeric, days_1_30 numeric, days_31_60 numeric, days_61_90 numeric, days_91 numeric, open numeric, credit numeric
) language sql stable as $$
  with due as (
    select i.customer_id, i.currency, i.direction, as_of - i.due_on as days, i.amount - coalesce((
      select sum(a.amount) from crm.payment_allocation as a
      where a.customer_id = i.customer_id and a.instalment_id = i.id and a.allocated_on <= as_of), 0) as open
    from crm.instalment as i join crm.invoice as v on v.customer_id = i.customer_id and v.id = i.invoice_id
    where v.issue_date <= as_of
  ), paid as (
    select p.customer_id, p.currency, p.direction, p.amount - coalesce((
      select sum(a.amount) from crm.payment_allocation as a
      join crm.instalment as i on i.customer_id = a.customer_id and i.id = a.instalment_id
      join crm.invoice as v on v.customer_id = i.customer_id and v.id = i.invoice_id
      where a.customer_id = p.customer_id and a.payment_id = p.id and v.issue_date <= as_of), 0) as unallocated
    from crm.payment as p where p.paid_on <= as_of
  ), parts as (
    select d.customer_id, d.currency, d.days, case d.direction when 'in' then d.open end as open, case d.direction when 'out' then d.open end as credit from due as d where d.open <> 0
    union all
    select p.customer_id, p.currency, null, null, case p.direction when 'in' then p.unallocated else -p.unallocated end from paid as p where p.unallocated <> 0
  )
  select x.customer_id, x.currency,
    coalesce(sum(x.open) filter (where x.days <= 0), 0.00), coalesce(sum(x.open) filter (where x.days between 1 and 30), 0.00),
    coalesce(sum(x.open) filter (where x.days between 31 and 60), 0.00), coalesce(sum(x.open) filter (where x.days between 61 and 90), 0.00),
    coalesce(sum(x.open) filter (where x.days > 90), 0.00), coalesce(sum(x.open), 0.00), coalesce(sum(x.credit), 0.00)
  from parts as x group by x.customer_id, x.currency
$$;
comment on function crm.ageing(date) is 'What each customer owed on a day, by days past due, and what we owed the customer (credit: credit notes not yet settled and payments not allocated); of the invoices and payments that the caller may read.';

select crm.protect('crm.instalment', area => 'finance', kind => 'owned', resource => 'instalments', verbs => '{select}', bi => true);
select crm.protect('crm.payment', area => 'finance', kind => 'owned', resource => 'payments', verbs => '{select,insert,delete}', bi => true);
select crm.protect('crm.payment_allocation', area => 'finance', kind => 'owned', resource => 'payment_allocations', verbs => '{select,insert,delete}', bi => true);
create policy instalment_keep on crm.instalment to crm_owner using (true) with check (true);
create policy payment_keep on crm.payment to crm_owner using (true) with check (true);
create policy payment_allocation_keep on crm.payment_allocation to crm_owner using (true) with check (true);
create policy payment_term_keep on crm.payment_term for select to crm_owner using (true);
-- What a credit note settles stays settled.
create policy payment_allocation_made_of_payment on crm.payment_allocation as restrictive for insert to crm_app, crm_worker with check (credit_note_id is null);
create policy payment_allocation_deleted_of_payment on crm.payment_allocation as restrictive for delete to crm_app, crm_worker using (credit_note_id is null);
revoke insert, delete on crm.payment, crm.payment_allocation from crm_bulk;
