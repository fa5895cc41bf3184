-- Turnover: what was invoiced less what was credited, by customer, product, seller, department, day and currency, in the transaction that issues or credits.
-- Only the issue of an invoice writes it, so it cannot drift from the invoices; crm.turnover_invariants() says where it would.
set local role crm_owner;

create table crm.turnover (
  customer_id   uuid          not null,
  id            uuid          not null default crm.uuid_v7(),
  product_id    uuid,
  owner_id      uuid,
  department_id uuid          not null,
  visibility    text          not null,
  audience      uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  day           date          not null,
  currency      text          not null,
  quantity      numeric(18,3) not null default 0,
  invoiced      numeric(18,2) not null default 0,
  credited      numeric(18,2) not null default 0,
  amount        numeric(18,2) generated always as (invoiced - credited) stored,
  cost          numeric(18,2) not null default 0,
  constraint turnover_id_primary primary key (customer_id, id),
  constraint turnover_key_unique unique nulls not distinct (customer_id, product_id, owner_id, department_id, visibility, day, currency),
  constraint turnover_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint turnover_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint turnover_numbers check ('NaN' <> all (array[quantity, invoiced, credited, amount, cost]) and invoiced >= 0 and credited >= 0)
);
comment on table crm.turnover is 'Turnover without VAT by customer, product, seller, department, day and currency: issued invoices less credit notes. Kept by the issue of invoices alone.';
comment on column crm.turnover.product_id is 'The product; null for lines without one.';
comment on column crm.turnover.owner_id is 'The seller: the owner of the invoice; null for none.';
comment on column crm.turnover.visibility is 'Who reads it: as of its invoices.';
comment on column crm.turnover.day is 'The issue date.';
comment on column crm.turnover.currency is 'Currency of its amounts.';
comment on column crm.turnover.quantity is 'Units invoiced less units taken back.';
comment on column crm.turnover.invoiced is 'What was invoiced, without VAT.';
comment on column crm.turnover.credited is 'What was credited, without VAT.';
comment on column crm.turnover.amount is 'Invoiced less credited.';
comment on column crm.turnover.cost is 'What the goods cost us, as far as that is known.';
comment on constraint turnover_key_unique on crm.turnover is 'en: There is one row for each customer, product, seller, department, day and currency. | tr: Her müşteri, ürün, satıcı, departman, gün ve para birimi için tek satır vardır.';
comment on constraint turnover_visibility_known on crm.turnover is 'en: Visibility is company, department or private. | tr: Görünürlük company, department ya da private olabilir.';
comment on constraint turnover_numbers on crm.turnover is 'en: An amount must be a number, and not negative. | tr: Tutar bir sayı olmalı ve eksi olmamalıdır.';
create index turnover_id_index on crm.turnover (id);
create index turnover_day_index on crm.turnover (day, id);

create function crm.count_turnover() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sign constant integer := case new.type when 'IADE' then -1 else 1 end;
begin
  insert into crm.turnover as t (customer_id, product_id, owner_id, department_id, visibility, day, currency, quantity, invoiced, credited, cost)
  select new.customer_id, l.product_id, new.owner_id, new.department_id, new.visibility, new.issue_date, new.currency, sign * sum(l.quantity),
    case sign when 1 then sum(l.net_amount) else 0 end, case sign when -1 then sum(l.net_amount) else 0 end, sign * round(coalesce(sum(l.quantity * l.unit_cost), 0), 2)
  from crm.invoice_line as l where l.customer_id = new.customer_id and l.invoice_id = new.id
  group by l.product_id order by l.product_id
  on conflict on constraint turnover_key_unique do update
    set quantity = t.quantity + excluded.quantity, invoiced = t.invoiced + excluded.invoiced, credited = t.credited + excluded.credited, cost = t.cost + excluded.cost;
  return new;
end
$$;
comment on function crm.count_turnover() is 'Trigger: adds an invoice that is being issued to the turnover. Runs as the owner, who alone writes it; products in order, so that two never wait for each other.';
revoke execute on function crm.count_turnover() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger invoice_count before update of status on crm.invoice for each row
  when (old.status = 'draft' and new.status = 'issued') execute function crm.count_turnover();

create function crm.turnover_invariants() returns table (
  customer_id uuid, product_id uuid, owner_id uuid, department_id uuid, visibility text, day date, currency text, issued numeric, counted numeric
) language sql stable as $$
  select k.customer_id, k.product_id, k.owner_id, k.department_id, k.visibility, k.day, k.currency, sum(k.issued), sum(k.counted)
  from (
    select i.customer_id, l.product_id, i.owner_id, i.department_id, i.visibility, i.issue_date as day, i.currency,
      case i.type when 'IADE' then -l.net_amount else l.net_amount end as issued, 0 as counted,
      case i.type when 'IADE' then -l.quantity else l.quantity end as units
    from crm.invoice as i join crm.invoice_line as l on l.customer_id = i.customer_id and l.invoice_id = i.id
    where i.status = 'issued'
    union all
    select t.customer_id, t.product_id, t.owner_id, t.department_id, t.visibility, t.day, t.currency, 0, t.amount, -t.quantity from crm.turnover as t
  ) as k
  group by k.customer_id, k.product_id, k.owner_id, k.department_id, k.visibility, k.day, k.currency
  having sum(k.issued) <> sum(k.counted) or sum(k.units) <> 0
$$;
comment on function crm.turnover_invariants() is 'Where turnover differs from issued invoices less credit notes: nowhere, ever. Must be asked by somebody who reads every invoice.';

select crm.protect('crm.turnover', area => 'sales', kind => 'owned', verbs => '{select}', bi => true,
  reason => 'It sums invoices, whose own changes are recorded.');
create policy turnover_keep on crm.turnover to crm_owner using (true) with check (true);
