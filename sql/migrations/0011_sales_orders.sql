-- The history of sales: orders and their lines.
set local role crm_owner;

create table crm.sales_order (
  customer_id           uuid          not null,
  id                    uuid          not null default crm.uuid_v7(),
  source_system         text          not null default 'muhatap',
  external_number       text,
  status                text          not null default 'placed',
  channel               text          not null default 'other',
  location_id           uuid,
  ordered_at            timestamptz   not null default now(),
  currency              text          not null default 'TRY',
  amount                numeric(18,2) not null default 0,
  loyalty_discount      numeric(18,2) not null default 0,
  coupon_discount       numeric(18,2) not null default 0,
  coupon_match_discount numeric(18,2) not null default 0,
  note                  text,
  department_id         uuid          not null,
  owner_id              uuid,
  visibility            text          not null default 'company',
  audience              uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at            timestamptz   not null default now(),
  updated_at            timestamptz   not null default now(),
  version               integer       not null default 1,
  created_by            uuid          default crm.caller_id(),
  constraint sales_order_id_primary primary key (customer_id, id),
  constraint sales_order_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint sales_order_external_number_unique unique (customer_id, source_system, external_number),
  constraint sales_order_source_system_length check (length(source_system) between 1 and 63),
  constraint sales_order_external_number_length check (length(external_number) between 1 and 100),
  constraint sales_order_status_known check (status in ('placed', 'completed', 'cancelled', 'returned')),
  constraint sales_order_channel_known check (channel in ('store', 'online', 'phone', 'field', 'partner', 'other')),
  constraint sales_order_location_id_exists foreign key (location_id) references crm.location (id),
  constraint sales_order_ordered_at_finite check (isfinite(ordered_at)),
  constraint sales_order_currency_exists foreign key (currency) references crm.currency (code),
  constraint sales_order_amount_number check (amount <> 'NaN'),
  constraint sales_order_loyalty_discount_number check (loyalty_discount <> 'NaN'),
  constraint sales_order_coupon_discount_number check (coupon_discount <> 'NaN'),
  constraint sales_order_coupon_match_discount_number check (coupon_match_discount <> 'NaN'),
  constraint sales_order_department_id_exists foreign key (department_id) references crm.department (id),
  constraint sales_order_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint sales_order_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint sales_order_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.sales_order is 'Something a customer bought at one time: a receipt, a web order, an order taken by a colleague.';
comment on column crm.sales_order.source_system is 'The system the order comes from; muhatap for orders taken here.';
comment on column crm.sales_order.external_number is 'The order''s number in that system.';
comment on column crm.sales_order.status is 'placed, completed, cancelled or returned.';
comment on column crm.sales_order.channel is 'Where it was bought: store, online, phone, field, partner or other.';
comment on column crm.sales_order.location_id is 'The location it was bought at.';
comment on column crm.sales_order.ordered_at is 'When it was bought.';
comment on column crm.sales_order.currency is 'Currency of all its amounts.';
comment on column crm.sales_order.amount is 'What the company receives: the sum of its lines'' amounts.';
comment on column crm.sales_order.loyalty_discount is 'Discounts given for loyalty: the sum of its lines.';
comment on column crm.sales_order.coupon_discount is 'Discounts by manufacturers'' coupons: the sum of its lines.';
comment on column crm.sales_order.coupon_match_discount is 'What the company added to manufacturers'' coupons: the sum of its lines.';
comment on column crm.sales_order.note is 'What colleagues should know.';
comment on constraint sales_order_external_number_unique on crm.sales_order is 'en: This customer already has an order with this number from this system. | tr: Bu müşterinin bu sistemden bu numaralı bir siparişi zaten var.';
comment on constraint sales_order_source_system_length on crm.sales_order is 'en: A system''s name has 1 to 63 characters. | tr: Sistem adı 1 ile 63 karakter arasındadır.';
comment on constraint sales_order_external_number_length on crm.sales_order is 'en: An order number has 1 to 100 characters. | tr: Sipariş numarası 1 ile 100 karakter arasındadır.';
comment on constraint sales_order_status_known on crm.sales_order is 'en: An order is placed, completed, cancelled or returned. | tr: Sipariş placed, completed, cancelled ya da returned olabilir.';
comment on constraint sales_order_channel_known on crm.sales_order is 'en: The channel is store, online, phone, field, partner or other. | tr: Kanal store, online, phone, field, partner ya da other olabilir.';
comment on constraint sales_order_ordered_at_finite on crm.sales_order is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint sales_order_amount_number on crm.sales_order is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint sales_order_loyalty_discount_number on crm.sales_order is 'en: A discount must be a number. | tr: İndirim bir sayı olmalıdır.';
comment on constraint sales_order_coupon_discount_number on crm.sales_order is 'en: A discount must be a number. | tr: İndirim bir sayı olmalıdır.';
comment on constraint sales_order_coupon_match_discount_number on crm.sales_order is 'en: A discount must be a number. | tr: İndirim bir sayı olmalıdır.';
create index sales_order_id_index on crm.sales_order (id);
create index sales_order_ordered_at_index on crm.sales_order (ordered_at, id);
create index sales_order_customer_id_index on crm.sales_order (customer_id, ordered_at, id);
create index sales_order_status_index on crm.sales_order (status, ordered_at, id);

-- The largest table: each index costs a bulk load 0.4–0.6 s per 726,740 lines, so it has two, the key by order and the one by id.
create table crm.sales_order_line (
  customer_id           uuid          not null,
  id                    uuid          not null default crm.uuid_v7(),
  order_id              uuid          not null,
  product_id            uuid          not null,
  department_id         uuid          not null,
  owner_id              uuid,
  audience              uuid,
  created_by            uuid          default crm.caller_id(),
  created_at            timestamptz   not null default now(),
  updated_at            timestamptz   not null default now(),
  version               integer       not null default 1,
  line_number           integer       not null,
  quantity              numeric(18,3) not null,
  unit_price            numeric(18,6),
  amount                numeric(18,2) not null,
  loyalty_discount      numeric(18,2) not null default 0,
  coupon_discount       numeric(18,2) not null default 0,
  coupon_match_discount numeric(18,2) not null default 0,
  constraint sales_order_line_line_number_primary primary key (customer_id, order_id, line_number),
  constraint sales_order_line_order_id_exists foreign key (customer_id, order_id) references crm.sales_order (customer_id, id),
  constraint sales_order_line_product_id_exists foreign key (product_id) references crm.product (id),
  constraint sales_order_line_line_number_positive check (line_number > 0),
  constraint sales_order_line_quantity_number check (quantity <> 'NaN'),
  constraint sales_order_line_unit_price_number check (unit_price <> 'NaN'),
  constraint sales_order_line_amount_number check (amount <> 'NaN'),
  constraint sales_order_line_loyalty_discount_number check (loyalty_discount <> 'NaN'),
  constraint sales_order_line_coupon_discount_number check (coupon_discount <> 'NaN'),
  constraint sales_order_line_coupon_match_discount_number check (coupon_match_discount <> 'NaN')
);
comment on table crm.sales_order_line is 'One product on an order. Returns are negative; a quantity or an amount of 0 happens and is kept.';
comment on column crm.sales_order_line.order_id is 'The order it is on.';
comment on column crm.sales_order_line.product_id is 'The product bought.';
comment on column crm.sales_order_line.line_number is 'Its place on the order, from 1.';
comment on column crm.sales_order_line.quantity is 'How many units of the product.';
comment on column crm.sales_order_line.unit_price is 'Price of one unit before discounts, in the order''s currency; null when the source does not say.';
comment on column crm.sales_order_line.amount is 'What the company receives for the line, in the order''s currency.';
comment on column crm.sales_order_line.loyalty_discount is 'Discount given for loyalty.';
comment on column crm.sales_order_line.coupon_discount is 'Discount by a manufacturer''s coupon.';
comment on column crm.sales_order_line.coupon_match_discount is 'What the company added to a manufacturer''s coupon.';
comment on constraint sales_order_line_line_number_primary on crm.sales_order_line is 'en: The order already has a line with this number. | tr: Siparişte bu numaralı bir satır zaten var.';
comment on constraint sales_order_line_line_number_positive on crm.sales_order_line is 'en: Lines are numbered from 1. | tr: Satırlar 1''den başlayarak numaralanır.';
comment on constraint sales_order_line_quantity_number on crm.sales_order_line is 'en: A quantity must be a number. | tr: Miktar bir sayı olmalıdır.';
comment on constraint sales_order_line_unit_price_number on crm.sales_order_line is 'en: A price must be a number. | tr: Fiyat bir sayı olmalıdır.';
comment on constraint sales_order_line_amount_number on crm.sales_order_line is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint sales_order_line_loyalty_discount_number on crm.sales_order_line is 'en: A discount must be a number. | tr: İndirim bir sayı olmalıdır.';
comment on constraint sales_order_line_coupon_discount_number on crm.sales_order_line is 'en: A discount must be a number. | tr: İndirim bir sayı olmalıdır.';
comment on constraint sales_order_line_coupon_match_discount_number on crm.sales_order_line is 'en: A discount must be a number. | tr: İndirim bir sayı olmalıdır.';
create index sales_order_line_id_index on crm.sales_order_line (id);

create function crm.follow_order() returns trigger language plpgsql as $$
begin
  select o.department_id, o.owner_id, o.audience into new.department_id, new.owner_id, new.audience
  from crm.sales_order as o where o.customer_id = new.customer_id and o.id = new.order_id;
  if not found then
    perform crm.missing_reference('order_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_order() is 'Trigger: gives an order line its order''s department, owner and audience; an order the caller cannot see is a missing reference.';
create trigger sales_order_line_follow_insert before insert on crm.sales_order_line for each row execute function crm.follow_order();
create trigger sales_order_line_follow_update before update on crm.sales_order_line for each row
  when ((old.customer_id, old.order_id, old.department_id, old.owner_id, old.audience)
    is distinct from (new.customer_id, new.order_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_order();

create function crm.lead_order_parts() returns trigger language plpgsql as $$
begin
  update crm.sales_order_line as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.order_id = new.id;
  return null;
end
$$;
comment on function crm.lead_order_parts() is 'Trigger: when an order changes department, owner or visibility, its lines follow.';
create trigger sales_order_lead after update on crm.sales_order for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_order_parts();
alter table crm.sales_order enable always trigger sales_order_lead;

-- An order's totals are the sums of its lines. A bulk merge, which brings whole orders, writes both itself.
create function crm.total_orders() returns trigger language plpgsql as $$
begin
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
comment on function crm.total_orders() is 'Trigger, once a statement: writes the sums of the lines to their orders.';
create trigger sales_order_line_total_insert after insert on crm.sales_order_line referencing new table as touched_rows for each statement execute function crm.total_orders();
create trigger sales_order_line_total_update after update on crm.sales_order_line referencing new table as touched_rows for each statement execute function crm.total_orders();
create trigger sales_order_line_total_delete after delete on crm.sales_order_line referencing old table as touched_rows for each statement execute function crm.total_orders();

select crm.protect('crm.sales_order', area => 'sales', kind => 'owned', resource => 'orders', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.sales_order_line', area => 'sales', kind => 'owned', resource => 'order_lines', verbs => '{select,insert,update,delete}', bi => true);
