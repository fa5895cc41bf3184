-- Targets and commissions. What accrues is computed from issued invoices, credit notes and payments, so a preview saves nothing and nothing can drift;
-- a settlement writes down what it pays, once for each source, and is never changed.
set local role crm_owner;

create table crm.commission_plan (
  id          uuid         not null default crm.uuid_v7(),
  code        text         not null,
  name        text         not null,
  basis       text         not null default 'revenue',
  percent     numeric(5,2) not null,
  accrues_on  text         not null default 'issue',
  valid_from  date         not null,
  valid_until date,
  created_at  timestamptz  not null default now(),
  updated_at  timestamptz  not null default now(),
  version     integer      not null default 1,
  created_by  uuid         default crm.caller_id(),
  constraint commission_plan_id_primary primary key (id),
  constraint commission_plan_code_unique unique (code),
  constraint commission_plan_code_shape check (code ~ '^[a-z0-9][a-z0-9_]{0,62}$'),
  constraint commission_plan_name_length check (length(btrim(name)) between 1 and 200),
  constraint commission_plan_basis_known check (basis in ('revenue', 'margin')),
  constraint commission_plan_percent_range check (percent between 0 and 100 and percent <> 'NaN'),
  constraint commission_plan_accrues_on_known check (accrues_on in ('issue', 'payment')),
  constraint commission_plan_valid_range check (isfinite(valid_from) and isfinite(valid_until) and valid_until >= valid_from)
);
comment on table crm.commission_plan is 'How sellers are paid for what they sell.';
comment on column crm.commission_plan.code is 'Short stable name.';
comment on column crm.commission_plan.name is 'Name as people say it.';
comment on column crm.commission_plan.basis is 'revenue: of the amount without VAT. margin: of that less what the goods cost, as far as the cost is known.';
comment on column crm.commission_plan.percent is 'The commission, in percent, unless a tier says otherwise.';
comment on column crm.commission_plan.accrues_on is 'issue: when the invoice is issued. payment: as it is paid.';
comment on column crm.commission_plan.valid_from is 'First day on which it accrues.';
comment on column crm.commission_plan.valid_until is 'Last day; null while it is in force.';
comment on constraint commission_plan_code_unique on crm.commission_plan is 'en: Another plan already has this code. | tr: Bu kod başka bir planda kullanılıyor.';
comment on constraint commission_plan_code_shape on crm.commission_plan is 'en: A code has only small letters a–z, digits and underscores. | tr: Kod yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint commission_plan_name_length on crm.commission_plan is 'en: Give the plan a name of at most 200 characters. | tr: Plana en çok 200 karakterlik bir ad verin.';
comment on constraint commission_plan_basis_known on crm.commission_plan is 'en: The basis is revenue or margin. | tr: Esas revenue ya da margin olabilir.';
comment on constraint commission_plan_percent_range on crm.commission_plan is 'en: Give a percent from 0 to 100. | tr: 0 ile 100 arasında bir yüzde verin.';
comment on constraint commission_plan_accrues_on_known on crm.commission_plan is 'en: A plan accrues on issue or on payment. | tr: Prim issue ya da payment ile tahakkuk eder.';
comment on constraint commission_plan_valid_range on crm.commission_plan is 'en: The last day cannot be before the first. | tr: Son gün ilk günden önce olamaz.';

create table crm.commission_tier (
  id              uuid         not null default crm.uuid_v7(),
  plan_id         uuid         not null,
  from_attainment numeric(7,2) not null,
  percent         numeric(5,2) not null,
  created_at      timestamptz  not null default now(),
  updated_at      timestamptz  not null default now(),
  version         integer      not null default 1,
  created_by      uuid         default crm.caller_id(),
  constraint commission_tier_id_primary primary key (id),
  constraint commission_tier_from_attainment_unique unique (plan_id, from_attainment),
  constraint commission_tier_plan_id_exists foreign key (plan_id) references crm.commission_plan (id),
  constraint commission_tier_numbers check (from_attainment >= 0 and percent between 0 and 100 and 'NaN' <> all (array[from_attainment, percent]))
);
comment on table crm.commission_tier is 'An accelerator: the commission of a plan for months in which a seller attained so much of the target.';
comment on column crm.commission_tier.plan_id is 'The plan.';
comment on column crm.commission_tier.from_attainment is 'From this attainment on, in percent of the month''s target; the highest tier reached holds for the whole month.';
comment on column crm.commission_tier.percent is 'The commission then, in percent.';
comment on constraint commission_tier_from_attainment_unique on crm.commission_tier is 'en: The plan already has a tier from this attainment. | tr: Planda bu gerçekleşmeden başlayan bir basamak zaten var.';
comment on constraint commission_tier_numbers on crm.commission_tier is 'en: Attainment is not negative, a percent is from 0 to 100. | tr: Gerçekleşme eksi olamaz, yüzde 0 ile 100 arasındadır.';

create table crm.commission_member (
  id          uuid        not null default crm.uuid_v7(),
  plan_id     uuid        not null,
  user_id     uuid        not null,
  valid_from  date        not null,
  valid_until date,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint commission_member_id_primary primary key (id),
  constraint commission_member_plan_id_user_id_unique unique (plan_id, user_id),
  constraint commission_member_plan_id_exists foreign key (plan_id) references crm.commission_plan (id),
  constraint commission_member_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint commission_member_valid_range check (isfinite(valid_from) and isfinite(valid_until) and valid_until >= valid_from)
);
comment on table crm.commission_member is 'That a seller is paid by a plan.';
comment on column crm.commission_member.plan_id is 'The plan.';
comment on column crm.commission_member.user_id is 'The seller.';
comment on column crm.commission_member.valid_from is 'First day.';
comment on column crm.commission_member.valid_until is 'Last day; null while it holds.';
comment on constraint commission_member_plan_id_user_id_unique on crm.commission_member is 'en: The seller already has this plan. | tr: Satıcı zaten bu planda.';
comment on constraint commission_member_valid_range on crm.commission_member is 'en: The last day cannot be before the first. | tr: Son gün ilk günden önce olamaz.';

create table crm.sales_target (
  id         uuid          not null default crm.uuid_v7(),
  user_id    uuid          not null,
  month      date          not null,
  currency   text          not null default 'TRY',
  amount     numeric(18,2) not null,
  created_at timestamptz   not null default now(),
  updated_at timestamptz   not null default now(),
  version    integer       not null default 1,
  created_by uuid          default crm.caller_id(),
  constraint sales_target_id_primary primary key (id),
  constraint sales_target_month_unique unique (user_id, month, currency),
  constraint sales_target_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint sales_target_currency_exists foreign key (currency) references crm.currency (code),
  constraint sales_target_month_first check (isfinite(month) and extract(day from month) = 1),
  constraint sales_target_amount_positive check (amount > 0 and amount <> 'NaN')
);
comment on table crm.sales_target is 'What a seller is to invoice in a month, without VAT; accelerators measure by it.';
comment on column crm.sales_target.user_id is 'The seller.';
comment on column crm.sales_target.month is 'The first day of the month.';
comment on column crm.sales_target.currency is 'Currency of the amount; what is invoiced in another does not count.';
comment on column crm.sales_target.amount is 'The target.';
comment on constraint sales_target_month_unique on crm.sales_target is 'en: The seller already has a target for this month. | tr: Satıcının bu ay için zaten bir hedefi var.';
comment on constraint sales_target_month_first on crm.sales_target is 'en: Give the first day of the month. | tr: Ayın ilk gününü verin.';
comment on constraint sales_target_amount_positive on crm.sales_target is 'en: A target is above 0. | tr: Hedef 0''dan büyük olmalıdır.';

-- Who sold an invoice, when it was not its owner alone. Frozen with the invoice.
create table crm.invoice_share (
  customer_id    uuid         not null,
  id             uuid         not null default crm.uuid_v7(),
  invoice_id     uuid         not null,
  invoice_status text         not null default 'draft',
  user_id        uuid         not null,
  percent        numeric(5,2) not null,
  department_id  uuid         not null,
  owner_id       uuid,
  audience       uuid,
  created_at     timestamptz  not null default now(),
  updated_at     timestamptz  not null default now(),
  created_by     uuid         default crm.caller_id(),
  constraint invoice_share_user_id_primary primary key (customer_id, invoice_id, user_id),
  constraint invoice_share_invoice_id_exists foreign key (customer_id, invoice_status, invoice_id) references crm.invoice (customer_id, status, id)
    on update cascade on delete cascade,
  constraint invoice_share_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint invoice_share_percent_range check (percent > 0 and percent <= 100 and percent <> 'NaN')
);
comment on table crm.invoice_share is 'A seller''s share in an invoice, for commissions; an invoice without shares is its owner''s whole.';
comment on column crm.invoice_share.invoice_id is 'The invoice.';
comment on column crm.invoice_share.invoice_status is 'The invoice''s status, kept by the foreign key; only shares of drafts can be changed.';
comment on column crm.invoice_share.user_id is 'The seller.';
comment on column crm.invoice_share.percent is 'The share, in percent; those of an invoice sum to 100.';
comment on constraint invoice_share_user_id_primary on crm.invoice_share is 'en: The seller already has a share in this invoice. | tr: Satıcının bu faturada zaten bir payı var.';
comment on constraint invoice_share_percent_range on crm.invoice_share is 'en: A share is above 0, at most 100 percent. | tr: Pay 0''dan büyük, en çok yüzde 100 olmalıdır.';
create index invoice_share_id_index on crm.invoice_share (id);
create trigger invoice_share_follow_insert before insert on crm.invoice_share for each row execute function crm.follow_invoice();

create or replace function crm.lead_invoice_lines() returns trigger language plpgsql as $$
begin
  update crm.invoice_line as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.invoice_id = new.id;
  update crm.invoice_share as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.invoice_id = new.id;
  return null;
end
$$;
comment on function crm.lead_invoice_lines() is 'Trigger: when a draft changes department, owner or visibility, its lines and shares follow.';

create table crm.commission_settlement (
  id         uuid        not null default crm.uuid_v7(),
  plan_id    uuid        not null,
  month      date        not null,
  note       text,
  created_at timestamptz not null default now(),
  created_by uuid        default crm.caller_id(),
  constraint commission_settlement_id_primary primary key (id),
  constraint commission_settlement_month_unique unique (plan_id, month),
  constraint commission_settlement_plan_id_exists foreign key (plan_id) references crm.commission_plan (id),
  constraint commission_settlement_month_first check (isfinite(month) and extract(day from month) = 1)
);
comment on table crm.commission_settlement is 'The commissions of a plan paid for a month, with whatever of earlier months was not paid yet. Never changed.';
comment on column crm.commission_settlement.plan_id is 'The plan.';
comment on column crm.commission_settlement.month is 'The first day of the month.';
comment on column crm.commission_settlement.note is 'What colleagues should know.';
comment on constraint commission_settlement_month_unique on crm.commission_settlement is 'en: This plan has been settled for this month already. | tr: Bu plan bu ay için zaten kapatılmış.';
comment on constraint commission_settlement_month_first on crm.commission_settlement is 'en: Give the first day of the month. | tr: Ayın ilk gününü verin.';

create table crm.commission_settlement_line (
  customer_id   uuid          not null,
  id            uuid          not null default crm.uuid_v7(),
  settlement_id uuid          not null,
  plan_id       uuid          not null,
  owner_id      uuid,
  invoice_id    uuid          not null,
  allocation_id uuid,
  source_id     uuid          not null,
  day           date          not null,
  currency      text          not null,
  base_amount   numeric(18,2) not null,
  share_percent numeric(5,2)  not null,
  percent       numeric(5,2)  not null,
  amount        numeric(18,2) not null,
  department_id uuid          not null,
  visibility    text          not null default 'department',
  audience      uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at    timestamptz   not null default now(),
  created_by    uuid          default crm.caller_id(),
  constraint commission_settlement_line_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint commission_settlement_line_id_primary primary key (customer_id, id),
  constraint commission_settlement_line_source_unique unique (customer_id, plan_id, owner_id, source_id),
  constraint commission_settlement_line_settlement_id_exists foreign key (settlement_id) references crm.commission_settlement (id),
  constraint commission_settlement_line_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint commission_settlement_line_invoice_id_exists foreign key (customer_id, invoice_id) references crm.invoice (customer_id, id),
  constraint commission_settlement_line_allocation_id_exists foreign key (customer_id, allocation_id) references crm.payment_allocation (customer_id, id),
  constraint commission_settlement_line_numbers check ('NaN' <> all (array[base_amount, share_percent, percent, amount]))
);
comment on table crm.commission_settlement_line is 'What a settlement pays a seller for one invoice, payment or credit note, or takes back. Never changed, and never twice.';
comment on column crm.commission_settlement_line.settlement_id is 'The settlement.';
comment on column crm.commission_settlement_line.plan_id is 'The plan.';
comment on column crm.commission_settlement_line.owner_id is 'The seller.';
comment on column crm.commission_settlement_line.invoice_id is 'The invoice or credit note.';
comment on column crm.commission_settlement_line.allocation_id is 'The payment''s part that it accrued on, for plans that accrue on payment; it can no longer be released.';
comment on column crm.commission_settlement_line.source_id is 'What it accrued on: the invoice, the allocation, or what we owe from a credit note.';
comment on column crm.commission_settlement_line.day is 'The day it accrued.';
comment on column crm.commission_settlement_line.currency is 'Currency of its amounts.';
comment on column crm.commission_settlement_line.base_amount is 'Revenue or margin that counts, before the share; negative for a credit note.';
comment on column crm.commission_settlement_line.share_percent is 'The seller''s share, in percent.';
comment on column crm.commission_settlement_line.percent is 'The commission, in percent.';
comment on column crm.commission_settlement_line.amount is 'The commission.';
comment on constraint commission_settlement_line_source_unique on crm.commission_settlement_line is 'en: This has been settled already. | tr: Bu zaten kapatılmış.';
comment on constraint commission_settlement_line_numbers on crm.commission_settlement_line is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
create index commission_settlement_line_id_index on crm.commission_settlement_line (id);
create index commission_settlement_line_settlement_id_index on crm.commission_settlement_line (settlement_id);
create index commission_settlement_line_allocation_id_index on crm.commission_settlement_line (customer_id, allocation_id) where allocation_id is not null;

-- What accrued in some time, of what the caller may read: one row a plan, seller and source.
create function crm.commission_entries(first_day date, last_day date) returns table (
  plan_id uuid, user_id uuid, customer_id uuid, invoice_id uuid, allocation_id uuid, source_id uuid, day date, currency text, base_amount numeric,
  share_percent numeric, percent numeric, attainment numeric, amount numeric
) language sql stable as $$
  with sold as (
    select i.customer_id, i.id, i.issue_date as day, i.currency, i.payable_amount, case i.type when 'IADE' then -1 else 1 end as sign, i.net_amount as revenue,
      (select coalesce(sum(l.net_amount - round(l.quantity * l.unit_cost, 2)), 0) from crm.invoice_line as l
       where l.customer_id = i.customer_id and l.invoice_id = i.id and l.unit_cost is not null) as margin,
      coalesce(s.user_id, i.owner_id) as user_id, coalesce(s.percent, 100) as share
    from crm.invoice as i
    left join crm.invoice_share as s on s.customer_id = i.customer_id and s.invoice_id = coalesce(i.returned_invoice_id, i.id)
    where i.status = 'issued' and i.issue_date <= last_day and coalesce(s.user_id, i.owner_id) is not null
  ), attained as (
    select t.user_id, t.month, t.currency, round(coalesce(sum(x.sign * x.revenue * x.share / 100), 0) * 100 / t.amount, 2) as percent
    from crm.sales_target as t
    left join sold as x on x.user_id = t.user_id and x.currency = t.currency and x.day >= t.month and x.day < t.month + interval '1 month'
    group by t.user_id, t.month, t.currency, t.amount
  ), events as (
    select 'issue' as accrues_on, x.*, null::uuid as allocation_id, x.id as source_id, x.day as accrued_on, x.sign::numeric as part from sold as x
    union all
    select 'payment', x.*, a.id, a.id, greatest(a.allocated_on, x.day), a.amount / x.payable_amount
    from sold as x join crm.instalment as i on i.customer_id = x.customer_id and i.invoice_id = x.id
    join crm.payment_allocation as a on a.customer_id = i.customer_id and a.instalment_id = i.id
    where x.sign = 1 and a.payment_id is not null
    union all
    select 'payment', x.*, null, i.id, x.day, -i.amount / x.payable_amount
    from sold as x join crm.instalment as i on i.customer_id = x.customer_id and i.invoice_id = x.id
    where x.sign = -1 and i.direction = 'out'
  )
  select p.id, e.user_id, e.customer_id, e.id, e.allocation_id, e.source_id, e.accrued_on, e.currency, base.amount, e.share, rate.percent, t.percent,
    round(base.amount * e.share * rate.percent / 10000, 2)
  from events as e
  join crm.commission_plan as p on p.accrues_on = e.accrues_on and e.accrued_on between p.valid_from and coalesce(p.valid_until, 'infinity')
  join crm.commission_member as m on m.plan_id = p.id and m.user_id = e.user_id and e.accrued_on between m.valid_from and coalesce(m.valid_until, 'infinity')
  left join attained as t on t.user_id = e.user_id and t.currency = e.currency and t.month = date_trunc('month', e.accrued_on)::date
  cross join lateral (select round(e.part * case p.basis when 'margin' then e.margin else e.revenue end, 2) as amount) as base
  cross join lateral (
    select coalesce((select c.percent from crm.commission_tier as c where c.plan_id = p.id and c.from_attainment <= t.percent order by c.from_attainment desc limit 1), p.percent) as percent
  ) as rate
  where e.accrued_on between first_day and last_day
$$;
comment on function crm.commission_entries(date, date) is 'The commissions that accrued between two days, of what the caller may read; credit notes take theirs back with the seller and shares of the invoice they credit.';

create function crm.commission_due(last_day date) returns table (
  plan_id uuid, user_id uuid, customer_id uuid, invoice_id uuid, allocation_id uuid, source_id uuid, day date, currency text, base_amount numeric,
  share_percent numeric, percent numeric, attainment numeric, amount numeric
) language sql stable as $$
  select e.plan_id, e.user_id, e.customer_id, e.invoice_id, e.allocation_id, e.source_id, e.day, e.currency, e.base_amount, e.share_percent, e.percent, e.attainment, e.amount
  from crm.commission_entries('2000-01-01', last_day) as e
  where not exists (
    select from crm.commission_settlement_line as l
    where l.customer_id = e.customer_id and l.plan_id = e.plan_id and l.owner_id = e.user_id and l.source_id = e.source_id)
$$;
comment on function crm.commission_due(date) is 'The commissions that accrued up to a day and have not been settled.';

select crm.protect('crm.commission_plan', area => 'finance', kind => 'reference', resource => 'commission_plans', bi => true);
select crm.protect('crm.commission_tier', area => 'finance', kind => 'reference', resource => 'commission_tiers', verbs => '{select,insert,update,delete}');
select crm.protect('crm.commission_member', area => 'finance', kind => 'reference', resource => 'commission_members');
select crm.protect('crm.sales_target', area => 'finance', kind => 'reference', resource => 'sales_targets', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.invoice_share', area => 'finance', kind => 'owned', resource => 'invoice_shares', verbs => '{select,insert,update,delete}');
select crm.protect('crm.commission_settlement', area => 'finance', kind => 'reference', resource => 'commission_settlements', verbs => '{select,insert}', bi => true);
select crm.protect('crm.commission_settlement_line', area => 'finance', kind => 'owned', resource => 'commission_settlement_lines', verbs => '{select,insert}', bi => true);
create policy invoice_share_made_as_draft on crm.invoice_share as restrictive for insert to crm_app, crm_worker with check (invoice_status = 'draft');
create policy invoice_share_changed_as_draft on crm.invoice_share as restrictive for update to crm_app, crm_worker using (invoice_status = 'draft') with check (invoice_status = 'draft');
create policy invoice_share_deleted_as_draft on crm.invoice_share as restrictive for delete to crm_app, crm_worker using (invoice_status = 'draft');
revoke insert, update, delete on crm.invoice_share from crm_bulk;
revoke insert on crm.commission_settlement, crm.commission_settlement_line from crm_bulk;

-- Lines and shares follow their invoice: when its status, department or owner changes them, its own entry in the change log says so. To say it again of each
-- line took 40 % of the work of issuing an invoice of five. What people change of a draft's lines is recorded as ever.
drop trigger invoice_line_record_update on crm.invoice_line;
create trigger invoice_line_record_update after update on crm.invoice_line referencing old table as old_rows new table as new_rows
  for each statement when (pg_trigger_depth() = 0) execute function crm.record_change('invoice_lines', 'finance', 'gross_amount,net_amount,audience,updated_at');
alter table crm.invoice_line enable always trigger invoice_line_record_update;
drop trigger invoice_share_record_update on crm.invoice_share;
create trigger invoice_share_record_update after update on crm.invoice_share referencing old table as old_rows new table as new_rows
  for each statement when (pg_trigger_depth() = 0) execute function crm.record_change('invoice_shares', 'finance', 'audience,updated_at');
alter table crm.invoice_share enable always trigger invoice_share_record_update;

-- Many who issue in one series stand in a queue; that is no conflict to be told of. They wait as long as their request's deadline lets them.
alter function crm.number_invoice() set lock_timeout = 0;
alter function crm.count_turnover() set lock_timeout = 0;
