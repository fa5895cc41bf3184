-- What customers pay again and again: contracts with recurring lines, their terms and the opportunities to renew them.
set local role crm_owner;

create table crm.contract (
  customer_id         uuid          not null,
  id                  uuid          not null default crm.uuid_v7(),
  number              text,
  name                text          not null,
  search_key          text          collate "C" generated always as (crm.search_key(name)) stored,
  status              text          not null default 'draft',
  opportunity_id      uuid,
  contact_id          uuid,
  currency            text          not null default 'TRY',
  starts_on           date          not null,
  term_months         integer       not null default 12,
  term_number         integer       not null default 1,
  term_starts_on      date          not null default current_date,
  term_ends_on        date          generated always as ((term_starts_on + make_interval(months => term_months))::date - 1) stored,
  renews_on           date          generated always as ((term_starts_on + make_interval(months => term_months))::date) stored,
  auto_renew          boolean       not null default false,
  renewal_notice_days integer       not null default 60,
  monthly_amount      numeric(18,2) not null default 0,
  activated_at        timestamptz,
  ended_on            date,
  cancel_reason       text,
  note                text,
  department_id       uuid          not null,
  owner_id            uuid,
  visibility          text          not null default 'company',
  audience            uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at          timestamptz   not null default now(),
  updated_at          timestamptz   not null default now(),
  version             integer       not null default 1,
  created_by          uuid          default crm.caller_id(),
  constraint contract_id_primary primary key (customer_id, id),
  constraint contract_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint contract_number_unique unique (number),
  constraint contract_name_length check (length(btrim(name)) between 1 and 300),
  constraint contract_status_known check (status in ('draft', 'active', 'cancelled', 'expired')),
  constraint contract_opportunity_id_exists foreign key (customer_id, opportunity_id) references crm.opportunity (customer_id, id),
  constraint contract_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint contract_currency_exists foreign key (currency) references crm.currency (code),
  constraint contract_starts_on_range check (starts_on between '1900-01-01' and '2999-12-31'),
  constraint contract_term_months_range check (term_months between 1 and 120),
  constraint contract_term_number_positive check (term_number > 0),
  constraint contract_renewal_notice_days_range check (renewal_notice_days between 0 and 730),
  constraint contract_monthly_amount_number check (monthly_amount >= 0 and monthly_amount <> 'NaN'),
  constraint contract_activated_at_given check (status not in ('active', 'expired') or activated_at is not null and number is not null),
  constraint contract_ended_on_given check ((status in ('cancelled', 'expired')) = (ended_on is not null)),
  constraint contract_cancel_reason_given check ((status = 'cancelled') = (cancel_reason is not null)),
  constraint contract_department_id_exists foreign key (department_id) references crm.department (id),
  constraint contract_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint contract_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint contract_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.contract is 'An agreement by which a customer pays for something again and again: a subscription, maintenance, a rent.';
comment on column crm.contract.number is 'The number people quote, given when it is activated.';
comment on column crm.contract.name is 'What it is about, in a few words.';
comment on column crm.contract.search_key is 'Derived: the name as it is searched.';
comment on column crm.contract.status is 'draft, active, cancelled, or expired: over without having been renewed.';
comment on column crm.contract.opportunity_id is 'The opportunity that led to it.';
comment on column crm.contract.contact_id is 'The person at the customer whom we deal with.';
comment on column crm.contract.currency is 'Currency of all its amounts.';
comment on column crm.contract.starts_on is 'The first day it counts.';
comment on column crm.contract.term_months is 'How many months the present term lasts.';
comment on column crm.contract.term_number is 'Which term it is in, from 1.';
comment on column crm.contract.term_starts_on is 'The first day of the present term.';
comment on column crm.contract.term_ends_on is 'The last day of the present term.';
comment on column crm.contract.renews_on is 'The day on which the next term would begin.';
comment on column crm.contract.auto_renew is 'Whether it goes on for another term of the same length unless it is cancelled.';
comment on column crm.contract.renewal_notice_days is 'How many days before the end of a term its renewal becomes an opportunity.';
comment on column crm.contract.monthly_amount is 'What it brings a month (MRR): the sum of its lines, those by the quarter or year spread over their months.';
comment on column crm.contract.activated_at is 'When it was activated.';
comment on column crm.contract.ended_on is 'The last day it counts, once it was cancelled or has expired.';
comment on column crm.contract.cancel_reason is 'Why it was cancelled.';
comment on column crm.contract.note is 'What colleagues should know.';
comment on constraint contract_number_unique on crm.contract is 'en: Another contract already has this number. | tr: Bu numara başka bir sözleşmede kullanılıyor.';
comment on constraint contract_name_length on crm.contract is 'en: Give the contract a name of at most 300 characters. | tr: Sözleşmeye en çok 300 karakterlik bir ad verin.';
comment on constraint contract_status_known on crm.contract is 'en: A contract is draft, active, cancelled or expired. | tr: Sözleşme draft, active, cancelled ya da expired olabilir.';
comment on constraint contract_starts_on_range on crm.contract is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint contract_term_months_range on crm.contract is 'en: A term lasts 1 to 120 months. | tr: Dönem 1 ile 120 ay arasındadır.';
comment on constraint contract_term_number_positive on crm.contract is 'en: Terms are numbered from 1. | tr: Dönemler 1''den başlayarak numaralanır.';
comment on constraint contract_renewal_notice_days_range on crm.contract is 'en: Give 0 to 730 days. | tr: 0 ile 730 arasında gün verin.';
comment on constraint contract_monthly_amount_number on crm.contract is 'en: An amount is not negative. | tr: Tutar eksi olamaz.';
comment on constraint contract_activated_at_given on crm.contract is 'en: An active contract has a number and the time it was activated. | tr: Etkin sözleşmenin numarası ve etkinleşme zamanı olur.';
comment on constraint contract_ended_on_given on crm.contract is 'en: A contract that is over has a last day, another has none. | tr: Yalnızca biten sözleşmenin son günü olur.';
comment on constraint contract_cancel_reason_given on crm.contract is 'en: A cancelled contract has a reason, another has none. | tr: Yalnızca iptal edilen sözleşmenin bir nedeni olur.';
create index contract_id_index on crm.contract (id);
create index contract_renews_on_index on crm.contract (renews_on, id) where status = 'active';
create index contract_search_key_index on crm.contract (search_key, id);

create function crm.begin_contract_term() returns trigger language plpgsql as $$
begin
  if new.term_number = 1 then
    new.term_starts_on := new.starts_on;
  end if;
  return new;
end
$$;
comment on function crm.begin_contract_term() is 'Trigger: the first term of a contract begins with it.';
create trigger contract_begin_term before insert or update on crm.contract for each row execute function crm.begin_contract_term();

create table crm.contract_line (
  customer_id      uuid          not null,
  id               uuid          not null default crm.uuid_v7(),
  contract_id      uuid          not null,
  line_number      integer       not null,
  product_id       uuid          not null,
  description      text,
  quantity         numeric(18,3) not null default 1,
  unit_price       numeric(18,6) not null,
  discount_percent numeric(5,2)  not null default 0,
  period           text          not null default 'month',
  amount           numeric(18,2) generated always as (round(quantity * unit_price * (1 - discount_percent / 100), 2)) stored,
  monthly_amount   numeric(18,6) generated always as (
    round(quantity * unit_price * (1 - discount_percent / 100) / case period when 'year' then 12 when 'quarter' then 3 else 1 end, 6)) stored,
  department_id    uuid          not null,
  owner_id         uuid,
  audience         uuid,
  created_at       timestamptz   not null default now(),
  updated_at       timestamptz   not null default now(),
  version          integer       not null default 1,
  created_by       uuid          default crm.caller_id(),
  constraint contract_line_line_number_primary primary key (customer_id, contract_id, line_number),
  constraint contract_line_contract_id_exists foreign key (customer_id, contract_id) references crm.contract (customer_id, id),
  constraint contract_line_product_id_exists foreign key (product_id) references crm.product (id),
  constraint contract_line_line_number_positive check (line_number > 0),
  constraint contract_line_description_length check (length(description) <= 1000),
  constraint contract_line_quantity_positive check (quantity > 0 and quantity <> 'NaN'),
  constraint contract_line_unit_price_positive check (unit_price >= 0 and unit_price <> 'NaN'),
  constraint contract_line_discount_percent_range check (discount_percent between 0 and 100 and discount_percent <> 'NaN'),
  constraint contract_line_period_known check (period in ('month', 'quarter', 'year')),
  constraint contract_line_amount_number check (amount <> 'NaN'),
  constraint contract_line_monthly_amount_number check (monthly_amount <> 'NaN')
);
comment on table crm.contract_line is 'Something that a contract is paid for again and again.';
comment on column crm.contract_line.contract_id is 'The contract it belongs to.';
comment on column crm.contract_line.line_number is 'Its place, from 1.';
comment on column crm.contract_line.product_id is 'The product.';
comment on column crm.contract_line.description is 'What there is to say about it beyond the product''s name.';
comment on column crm.contract_line.quantity is 'How many units of the product.';
comment on column crm.contract_line.unit_price is 'Price of one unit for one period, before the discount and without VAT, in the contract''s currency.';
comment on column crm.contract_line.discount_percent is 'Discount on the price, in percent.';
comment on column crm.contract_line.period is 'How often it is paid: each month, quarter or year.';
comment on column crm.contract_line.amount is 'What it brings a period: quantity times price less the discount, rounded to two digits.';
comment on column crm.contract_line.monthly_amount is 'What it brings a month.';
comment on constraint contract_line_line_number_primary on crm.contract_line is 'en: The contract already has a line with this number. | tr: Sözleşmede bu numaralı bir satır zaten var.';
comment on constraint contract_line_line_number_positive on crm.contract_line is 'en: Lines are numbered from 1. | tr: Satırlar 1''den başlayarak numaralanır.';
comment on constraint contract_line_description_length on crm.contract_line is 'en: Give a description of at most 1000 characters. | tr: En çok 1000 karakterlik bir açıklama verin.';
comment on constraint contract_line_quantity_positive on crm.contract_line is 'en: A quantity is more than 0. | tr: Miktar 0''dan büyük olmalıdır.';
comment on constraint contract_line_unit_price_positive on crm.contract_line is 'en: A price is not negative. | tr: Fiyat eksi olamaz.';
comment on constraint contract_line_discount_percent_range on crm.contract_line is 'en: A discount is from 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
comment on constraint contract_line_period_known on crm.contract_line is 'en: A line is paid each month, quarter or year. | tr: Satır month, quarter ya da year olarak ödenir.';
comment on constraint contract_line_amount_number on crm.contract_line is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint contract_line_monthly_amount_number on crm.contract_line is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
create index contract_line_id_index on crm.contract_line (id);

create table crm.contract_renewal (
  customer_id    uuid        not null,
  id             uuid        not null default crm.uuid_v7(),
  contract_id    uuid        not null,
  term_number    integer     not null,
  opportunity_id uuid        not null,
  department_id  uuid        not null,
  owner_id       uuid,
  audience       uuid,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  constraint contract_renewal_id_primary primary key (customer_id, id),
  constraint contract_renewal_contract_id_exists foreign key (customer_id, contract_id) references crm.contract (customer_id, id),
  constraint contract_renewal_opportunity_id_exists foreign key (customer_id, opportunity_id) references crm.opportunity (customer_id, id),
  constraint contract_renewal_contract_id_term_number_unique unique (contract_id, term_number),
  constraint contract_renewal_term_number_positive check (term_number > 0)
);
comment on table crm.contract_renewal is 'The opportunity to renew a contract at the end of a term; one a term.';
comment on column crm.contract_renewal.contract_id is 'The contract.';
comment on column crm.contract_renewal.term_number is 'The term that ends.';
comment on column crm.contract_renewal.opportunity_id is 'The opportunity to go on for another term.';
comment on constraint contract_renewal_contract_id_term_number_unique on crm.contract_renewal is 'en: The renewal of this term is already an opportunity. | tr: Bu dönemin yenilemesi için zaten bir fırsat var.';
comment on constraint contract_renewal_term_number_positive on crm.contract_renewal is 'en: Terms are numbered from 1. | tr: Dönemler 1''den başlayarak numaralanır.';
create index contract_renewal_id_index on crm.contract_renewal (id);
create index contract_renewal_opportunity_id_index on crm.contract_renewal (opportunity_id);

create function crm.follow_contract() returns trigger language plpgsql as $$
begin
  select c.department_id, c.owner_id, c.audience into new.department_id, new.owner_id, new.audience
  from crm.contract as c where c.customer_id = new.customer_id and c.id = new.contract_id;
  if not found then
    perform crm.missing_reference('contract_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_contract() is 'Trigger: gives what belongs to a contract its department, owner and audience; a contract the caller cannot see is a missing reference.';

create function crm.lead_contract_parts() returns trigger language plpgsql as $$
begin
  update crm.contract_line as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.contract_id = new.id;
  update crm.contract_renewal as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.contract_id = new.id;
  return null;
end
$$;
comment on function crm.lead_contract_parts() is 'Trigger: when a contract changes department, owner or visibility, its lines and renewals follow.';

do $$
declare
  name text;
begin
  foreach name in array array['contract_line', 'contract_renewal'] loop
    execute format('create trigger %I before insert on crm.%I for each row execute function crm.follow_contract()', name || '_follow_insert', name);
    execute format('create trigger %I before update on crm.%I for each row when ((old.customer_id, old.contract_id, old.department_id, old.owner_id, old.audience)'
      || ' is distinct from (new.customer_id, new.contract_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_contract()', name || '_follow_update', name);
  end loop;
end
$$;
create trigger contract_lead after update on crm.contract for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_contract_parts();
alter table crm.contract enable always trigger contract_lead;

create function crm.total_contracts() returns trigger language plpgsql as $$
begin
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
comment on function crm.total_contracts() is 'Trigger, once a statement: writes what the lines bring a month to their contracts.';
create trigger contract_line_total_insert after insert on crm.contract_line referencing new table as touched_rows for each statement execute function crm.total_contracts();
create trigger contract_line_total_update after update on crm.contract_line referencing new table as touched_rows for each statement execute function crm.total_contracts();
create trigger contract_line_total_delete after delete on crm.contract_line referencing old table as touched_rows for each statement execute function crm.total_contracts();

select crm.protect('crm.contract', area => 'sales', kind => 'owned', resource => 'contracts', bi => true);
select crm.protect('crm.contract_line', area => 'sales', kind => 'owned', resource => 'contract_lines', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.contract_renewal', area => 'sales', kind => 'owned', resource => 'contract_renewals', bi => true);

-- Views of schema bi count days as the company does.
grant execute on function crm.business_day(timestamptz) to bi_reader;
