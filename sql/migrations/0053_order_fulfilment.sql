-- Orders made here: their numbers, what of each line is reserved, shipped, returned and invoiced, and their shipments.
set local role crm_owner;

-- Orders --------------------------------------------------------------------------------------------------------------------------

alter table crm.sales_order
  add column number text, add column quote_id uuid, add column reorder_of_id uuid, add column status_reason text,
  drop constraint sales_order_status_known,
  add constraint sales_order_status_known check (
    status in ('placed', 'confirmed', 'partly_shipped', 'shipped', 'completed', 'cancelled', 'returned')),
  add constraint sales_order_number_length check (length(number) between 1 and 40),
  add constraint sales_order_reorder_of_id_exists foreign key (customer_id, reorder_of_id) references crm.sales_order (customer_id, id),
  add constraint sales_order_status_reason_length check (length(btrim(status_reason)) between 1 and 500);
comment on column crm.sales_order.status is 'placed, confirmed, partly_shipped, shipped, completed, cancelled or returned; moved by operations alone.';
comment on column crm.sales_order.number is 'The number of an order that was placed here; null for imported history.';
comment on column crm.sales_order.quote_id is 'The accepted quote it came from.';
comment on column crm.sales_order.reorder_of_id is 'The order it repeats.';
comment on column crm.sales_order.status_reason is 'Why it was cancelled or refused.';
comment on constraint sales_order_status_known on crm.sales_order is 'en: An order is placed, confirmed, partly_shipped, shipped, completed, cancelled or returned. | tr: Sipariş placed, confirmed, partly_shipped, shipped, completed, cancelled ya da returned olabilir.';
comment on constraint sales_order_number_length on crm.sales_order is 'en: An order''s number has 1 to 40 characters. | tr: Sipariş numarası 1 ile 40 karakter arasındadır.';
comment on constraint sales_order_reorder_of_id_exists on crm.sales_order is 'en: The order it repeats is not one of this customer''s. | tr: Yinelenen sipariş bu müşterinin değil.';
comment on constraint sales_order_status_reason_length on crm.sales_order is 'en: Give a reason of at most 500 characters. | tr: En çok 500 karakterlik bir gerekçe verin.';
-- Partial, so that imported history pays nothing for them.
create unique index sales_order_quote_id_unique on crm.sales_order (customer_id, quote_id) where quote_id is not null;
create unique index sales_order_number_unique on crm.sales_order (customer_id, number) where number is not null;
create index sales_order_number_index on crm.sales_order (number) where number is not null;

-- Named by crm.refuse_closed_order_line, which alone can break it.
alter table crm.sales_order_line add constraint sales_order_line_order_id_open check (order_id is not null);
comment on constraint sales_order_line_order_id_open on crm.sales_order_line is 'en: The lines of an order that was placed here are moved by its operations: ship, return, cancel, reorder. | tr: Burada verilmiş bir siparişin satırları yalnızca sevk, iade, iptal ve yeniden sipariş işlemleriyle değişir.';

create function crm.refuse_closed_order_line() returns trigger language plpgsql as $$
declare
  line constant record := case tg_op when 'DELETE' then old else new end;
begin
  if exists (select from crm.sales_order as o where o.customer_id = line.customer_id and o.id = line.order_id and o.number is not null) then
    raise exception using errcode = 'check_violation', constraint = 'sales_order_line_order_id_open', table = 'sales_order_line', schema = 'crm',
      message = 'the order was placed and keeps its lines';
  end if;
  return line;
end
$$;
comment on function crm.refuse_closed_order_line() is 'Trigger: an order that has a number keeps its lines; it gets the number last.';
create trigger sales_order_line_closed_insert before insert on crm.sales_order_line for each row execute function crm.refuse_closed_order_line();
create trigger sales_order_line_closed_delete before delete on crm.sales_order_line for each row execute function crm.refuse_closed_order_line();
create trigger sales_order_line_closed_update before update on crm.sales_order_line for each row
  when ((old.order_id, old.line_number, old.product_id, old.quantity, old.unit_price, old.amount, old.loyalty_discount, old.coupon_discount, old.coupon_match_discount)
    is distinct from (new.order_id, new.line_number, new.product_id, new.quantity, new.unit_price, new.amount, new.loyalty_discount, new.coupon_discount, new.coupon_match_discount))
  execute function crm.refuse_closed_order_line();

-- Fulfilment ----------------------------------------------------------------------------------------------------------------------

create table crm.order_line_fulfilment (
  customer_id      uuid          not null,
  id               uuid          not null default crm.uuid_v7(),
  order_id         uuid          not null,
  line_number      integer       not null,
  product_id       uuid          not null,
  warehouse_id     uuid,
  description      text,
  unit_code        text          not null,
  vat_rate         numeric(5,2)  not null,
  discount_percent numeric(5,2)  not null default 0,
  tracked          boolean       not null,
  ordered          numeric(18,3) not null,
  reserved         numeric(18,3) not null default 0,
  shipped          numeric(18,3) not null default 0,
  returned         numeric(18,3) not null default 0,
  cancelled        numeric(18,3) not null default 0,
  invoiced         numeric(18,3) not null default 0,
  back_ordered     numeric(18,3) generated always as (case when tracked then ordered - cancelled - reserved - shipped else 0 end) stored,
  expected_on      date,
  department_id    uuid          not null,
  owner_id         uuid,
  audience         uuid,
  created_at       timestamptz   not null default now(),
  updated_at       timestamptz   not null default now(),
  version          integer       not null default 1,
  created_by       uuid          default crm.caller_id(),
  constraint order_line_fulfilment_line_number_primary primary key (customer_id, order_id, line_number),
  constraint order_line_fulfilment_line_number_exists foreign key (customer_id, order_id, line_number) references crm.sales_order_line (customer_id, order_id, line_number),
  constraint order_line_fulfilment_product_id_exists foreign key (product_id) references crm.product (id),
  constraint order_line_fulfilment_warehouse_id_exists foreign key (warehouse_id) references crm.warehouse (id),
  constraint order_line_fulfilment_warehouse_id_known check (reserved = 0 or warehouse_id is not null),
  constraint order_line_fulfilment_unit_code_exists foreign key (unit_code) references crm.unit (code),
  constraint order_line_fulfilment_description_length check (length(btrim(description)) between 1 and 1500),
  constraint order_line_fulfilment_vat_rate_range check (vat_rate between 0 and 100),
  constraint order_line_fulfilment_discount_percent_range check (discount_percent between 0 and 100),
  constraint order_line_fulfilment_ordered_positive check (ordered > 0 and ordered <> 'NaN'),
  constraint order_line_fulfilment_reserved_positive check (reserved >= 0 and (tracked or reserved = 0)),
  constraint order_line_fulfilment_shipped_positive check (shipped >= 0),
  constraint order_line_fulfilment_cancelled_positive check (cancelled >= 0),
  constraint order_line_fulfilment_ordered_enough check (reserved + shipped + cancelled <= ordered),
  constraint order_line_fulfilment_returned_range check (returned >= 0 and returned <= shipped),
  constraint order_line_fulfilment_invoiced_range check (invoiced >= 0 and invoiced <= shipped)
);
comment on table crm.order_line_fulfilment is 'How far a line of an order made here has come. Imported history has none.';
comment on column crm.order_line_fulfilment.order_id is 'The order.';
comment on column crm.order_line_fulfilment.line_number is 'The line of the order.';
comment on column crm.order_line_fulfilment.product_id is 'The product.';
comment on column crm.order_line_fulfilment.warehouse_id is 'The warehouse that serves the line.';
comment on column crm.order_line_fulfilment.description is 'What the customer was told it is; null for the product''s name.';
comment on column crm.order_line_fulfilment.unit_code is 'What a quantity of 1 means (UN/ECE code).';
comment on column crm.order_line_fulfilment.vat_rate is 'VAT in percent, as it was when the order was placed.';
comment on column crm.order_line_fulfilment.discount_percent is 'Discount on the unit price, in percent; the line''s amount is after it.';
comment on column crm.order_line_fulfilment.tracked is 'Whether it is served from stock; false for services.';
comment on column crm.order_line_fulfilment.ordered is 'How much was ordered.';
comment on column crm.order_line_fulfilment.reserved is 'How much of it lies reserved in the warehouse.';
comment on column crm.order_line_fulfilment.shipped is 'How much of it has left.';
comment on column crm.order_line_fulfilment.returned is 'How much of what was shipped came back.';
comment on column crm.order_line_fulfilment.cancelled is 'How much of it will never be shipped.';
comment on column crm.order_line_fulfilment.invoiced is 'How much of what was shipped is on issued invoices.';
comment on column crm.order_line_fulfilment.back_ordered is 'How much of it waits for goods.';
comment on column crm.order_line_fulfilment.expected_on is 'The day on which the waiting goods should be there; null when that cannot be said, or nothing waits.';
comment on constraint order_line_fulfilment_line_number_primary on crm.order_line_fulfilment is 'en: The order already has a line with this number. | tr: Siparişte bu numaralı bir satır zaten var.';
comment on constraint order_line_fulfilment_warehouse_id_known on crm.order_line_fulfilment is 'en: Reserved goods lie in a warehouse. | tr: Ayrılan mallar bir depodadır.';
comment on constraint order_line_fulfilment_unit_code_exists on crm.order_line_fulfilment is 'en: There is no such unit; see /v1/units. | tr: Böyle bir birim yok; /v1/units adresine bakın.';
comment on constraint order_line_fulfilment_description_length on crm.order_line_fulfilment is 'en: Describe the line in at most 1,500 characters. | tr: Satırı en çok 1.500 karakterle açıklayın.';
comment on constraint order_line_fulfilment_vat_rate_range on crm.order_line_fulfilment is 'en: VAT is 0 to 100 percent. | tr: KDV oranı yüzde 0 ile 100 arasındadır.';
comment on constraint order_line_fulfilment_discount_percent_range on crm.order_line_fulfilment is 'en: A discount is 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
comment on constraint order_line_fulfilment_ordered_positive on crm.order_line_fulfilment is 'en: Order a quantity above zero. | tr: Sıfırdan büyük bir miktar sipariş edin.';
comment on constraint order_line_fulfilment_reserved_positive on crm.order_line_fulfilment is 'en: Less is reserved than should be released. | tr: Serbest bırakılmak istenenden daha azı ayrılmış.';
comment on constraint order_line_fulfilment_shipped_positive on crm.order_line_fulfilment is 'en: What was shipped is not below zero. | tr: Sevk edilen miktar sıfırdan küçük olamaz.';
comment on constraint order_line_fulfilment_cancelled_positive on crm.order_line_fulfilment is 'en: What was cancelled is not below zero. | tr: İptal edilen miktar sıfırdan küçük olamaz.';
comment on constraint order_line_fulfilment_ordered_enough on crm.order_line_fulfilment is 'en: No more can be reserved, shipped and cancelled than was ordered. | tr: Sipariş edilenden fazlası ayrılamaz, sevk ya da iptal edilemez.';
comment on constraint order_line_fulfilment_returned_range on crm.order_line_fulfilment is 'en: No more can come back than was shipped. | tr: Sevk edilenden fazlası iade alınamaz.';
comment on constraint order_line_fulfilment_invoiced_range on crm.order_line_fulfilment is 'en: No more can be invoiced than was shipped. | tr: Sevk edilenden fazlası faturalanamaz.';
create index order_line_fulfilment_id_index on crm.order_line_fulfilment (id);
create index order_line_fulfilment_product_id_index on crm.order_line_fulfilment (product_id, warehouse_id, created_at) where back_ordered > 0;
create trigger order_line_fulfilment_follow_insert before insert on crm.order_line_fulfilment for each row execute function crm.follow_order();
create trigger order_line_fulfilment_follow_update before update on crm.order_line_fulfilment for each row
  when ((old.customer_id, old.order_id, old.department_id, old.owner_id, old.audience)
    is distinct from (new.customer_id, new.order_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_order();

-- Shipments -----------------------------------------------------------------------------------------------------------------------

create table crm.shipment (
  customer_id     uuid        not null,
  id              uuid        not null default crm.uuid_v7(),
  order_id        uuid        not null,
  number          text        not null,
  shipped_on      date        not null default crm.today(),
  carrier         text,
  tracking_number text,
  note            text,
  department_id   uuid        not null,
  owner_id        uuid,
  audience        uuid,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint shipment_id_primary primary key (customer_id, id),
  constraint shipment_number_unique unique (customer_id, number),
  constraint shipment_order_id_exists foreign key (customer_id, order_id) references crm.sales_order (customer_id, id),
  constraint shipment_shipped_on_finite check (isfinite(shipped_on)),
  constraint shipment_carrier_length check (length(btrim(carrier)) between 1 and 200),
  constraint shipment_tracking_number_length check (length(btrim(tracking_number)) between 1 and 200)
);
comment on table crm.shipment is 'Goods of an order that left together.';
comment on column crm.shipment.order_id is 'The order.';
comment on column crm.shipment.number is 'The number that people quote.';
comment on column crm.shipment.shipped_on is 'The day it left.';
comment on column crm.shipment.carrier is 'Who carries it.';
comment on column crm.shipment.tracking_number is 'The carrier''s number for it.';
comment on column crm.shipment.note is 'What colleagues should know.';
comment on constraint shipment_number_unique on crm.shipment is 'en: A shipment with this number already exists. | tr: Bu numaralı bir sevkiyat zaten var.';
comment on constraint shipment_shipped_on_finite on crm.shipment is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint shipment_carrier_length on crm.shipment is 'en: Give a carrier of at most 200 characters. | tr: En çok 200 karakterlik bir taşıyıcı verin.';
comment on constraint shipment_tracking_number_length on crm.shipment is 'en: Give a number of at most 200 characters. | tr: En çok 200 karakterlik bir numara verin.';
create index shipment_id_index on crm.shipment (id);
create index shipment_order_id_index on crm.shipment (customer_id, order_id);

create table crm.shipment_line (
  customer_id   uuid          not null,
  id            uuid          not null default crm.uuid_v7(),
  shipment_id   uuid          not null,
  order_id      uuid          not null,
  line_number   integer       not null,
  product_id    uuid          not null,
  warehouse_id  uuid,
  quantity      numeric(18,3) not null,
  department_id uuid          not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz   not null default now(),
  created_by    uuid          default crm.caller_id(),
  constraint shipment_line_line_number_primary primary key (customer_id, shipment_id, line_number),
  constraint shipment_line_shipment_id_exists foreign key (customer_id, shipment_id) references crm.shipment (customer_id, id),
  constraint shipment_line_line_number_exists foreign key (customer_id, order_id, line_number) references crm.order_line_fulfilment (customer_id, order_id, line_number),
  constraint shipment_line_product_id_exists foreign key (product_id) references crm.product (id),
  constraint shipment_line_warehouse_id_exists foreign key (warehouse_id) references crm.warehouse (id),
  constraint shipment_line_quantity_positive check (quantity > 0 and quantity <> 'NaN')
);
comment on table crm.shipment_line is 'What of an order''s line is in a shipment.';
comment on column crm.shipment_line.shipment_id is 'The shipment.';
comment on column crm.shipment_line.order_id is 'The order.';
comment on column crm.shipment_line.line_number is 'The line of the order.';
comment on column crm.shipment_line.product_id is 'The product.';
comment on column crm.shipment_line.warehouse_id is 'The warehouse it left; null for what is not kept in stock.';
comment on column crm.shipment_line.quantity is 'How much of it, in the line''s unit.';
comment on constraint shipment_line_line_number_primary on crm.shipment_line is 'en: The shipment already has this line. | tr: Bu satır sevkiyatta zaten var.';
comment on constraint shipment_line_quantity_positive on crm.shipment_line is 'en: Ship a quantity above zero. | tr: Sıfırdan büyük bir miktar sevk edin.';
create index shipment_line_id_index on crm.shipment_line (id);
create index shipment_line_order_id_index on crm.shipment_line (customer_id, order_id, line_number);

create trigger shipment_follow_insert before insert on crm.shipment for each row execute function crm.follow_order();
create trigger shipment_follow_update before update on crm.shipment for each row
  when ((old.customer_id, old.order_id, old.department_id, old.owner_id, old.audience)
    is distinct from (new.customer_id, new.order_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_order();
create trigger shipment_line_follow_insert before insert on crm.shipment_line for each row execute function crm.follow_order();

-- Its lines' rows carry the order's department, owner and audience too.
create or replace function crm.lead_order_parts() returns trigger language plpgsql as $$
begin
  update crm.sales_order_line as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.order_id = new.id;
  update crm.order_line_fulfilment as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.order_id = new.id;
  update crm.shipment as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.order_id = new.id;
  update crm.shipment_line as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.order_id = new.id;
  return null;
end
$$;

select crm.protect('crm.sales_order', area => 'sales', kind => 'owned', resource => 'orders', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.sales_order_line', area => 'sales', kind => 'owned', resource => 'order_lines', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.order_line_fulfilment', area => 'sales', kind => 'owned', resource => 'order_fulfilments', bi => true);
select crm.protect('crm.shipment', area => 'sales', kind => 'owned', resource => 'shipments', bi => true);
select crm.protect('crm.shipment_line', area => 'sales', kind => 'owned', resource => 'shipment_lines', bi => true);

-- Stock for orders ------------------------------------------------------------------------------------------------------------------
-- These work for whoever was let into the operation: goods of one product are shared out among the orders of all departments. All of them lock levels by
-- crm.lock_stock, and lines of other orders with SKIP LOCKED, so that none waits for an order while it holds a level.

create function crm.widen_reach() returns text[] language plpgsql as $$
declare
  was constant text[] := array[
    coalesce(current_setting('muhatap.read_sales', true), ''), coalesce(current_setting('muhatap.write_sales', true), ''),
    coalesce(current_setting('muhatap.read_purchasing', true), ''), coalesce(current_setting('muhatap.write_purchasing', true), '')];
begin
  perform set_config('muhatap.read_sales', '*', true), set_config('muhatap.write_sales', '*', true),
    set_config('muhatap.read_purchasing', '*', true), set_config('muhatap.write_purchasing', '*', true);
  return was;
end
$$;
comment on function crm.widen_reach() is 'Lets the statements up to crm.restore_reach reach all of sales and purchasing, as the functions that share stock out must; answers what the reach was.';

create function crm.restore_reach(was text[]) returns void language plpgsql as $$
begin
  perform set_config('muhatap.read_sales', was[1], true), set_config('muhatap.write_sales', was[2], true),
    set_config('muhatap.read_purchasing', was[3], true), set_config('muhatap.write_purchasing', was[4], true);
end
$$;
comment on function crm.restore_reach(text[]) is 'Gives the caller the reach back that crm.widen_reach answered. An error undoes the widening by itself.';

create or replace function crm.availability(product uuid, quantity numeric) returns table (
  warehouse_id uuid, code text, name text, priority integer, on_hand numeric, reserved numeric, available numeric, back_ordered numeric, expected jsonb, promised_on date
) language sql stable as $$
  select w.id, w.code, w.name, w.priority, coalesce(l.on_hand, 0), coalesce(l.reserved, 0), coalesce(l.available, 0), waiting.back_ordered,
    coalesce(arrivals.list, '[]'), case when coalesce(l.available, 0) - waiting.back_ordered >= quantity then crm.today() else arrivals.enough_on end
  from crm.warehouse as w
  left join crm.stock_level as l on l.product_id = product and l.warehouse_id = w.id
  cross join lateral (
    select coalesce(sum(f.back_ordered), 0) as back_ordered from crm.order_line_fulfilment as f
    where f.product_id = product and f.warehouse_id = w.id and f.back_ordered > 0
  ) as waiting
  cross join lateral (
    select jsonb_agg(jsonb_build_object('expected_on', e.expected_on, 'quantity', e.outstanding::text) order by e.expected_on, e.id) as list,
      min(greatest(e.expected_on, crm.today())) filter (where coalesce(l.available, 0) + e.so_far - waiting.back_ordered >= quantity) as enough_on
    from (
      select x.id, x.expected_on, x.outstanding, sum(x.outstanding) over (order by x.expected_on, x.id) as so_far
      from crm.expected_receipt as x where x.product_id = product and x.warehouse_id = w.id and x.active and x.outstanding > 0
    ) as e
  ) as arrivals
  where w.active
$$;
comment on function crm.availability(uuid, numeric) is
  'How much of a product each warehouse has, what waits for it, what is on its way, and from when it could send this quantity beyond what waits: promised_on, null when that cannot be said.';

create function crm.reserve_order(customer uuid, "order" uuid) returns void language plpgsql as $$
declare
  was constant text[] := crm.widen_reach();
  line record;
  source record;
  taken numeric;
begin
  perform crm.lock_stock(array(
    select f.product_id from crm.order_line_fulfilment as f where f.customer_id = customer and f.order_id = "order" and f.back_ordered > 0));
  for line in
    select f.line_number, f.product_id, f.warehouse_id, f.back_ordered, f.reserved + f.shipped > 0 as is_bound from crm.order_line_fulfilment as f
    where f.customer_id = customer and f.order_id = "order" and f.back_ordered > 0 order by f.product_id, f.line_number
  loop
    select l.warehouse_id, l.available into source
    from crm.stock_level as l join crm.warehouse as w on w.id = l.warehouse_id
    where l.product_id = line.product_id and l.available > 0 and case when line.is_bound then l.warehouse_id = line.warehouse_id else w.active end
    order by l.available >= line.back_ordered desc, case when l.available >= line.back_ordered then w.priority end, l.available desc, w.priority, w.id limit 1;
    taken := case when found then least(line.back_ordered, source.available) else 0 end;
    if taken > 0 then
      insert into crm.stock_movement (warehouse_id, product_id, kind, quantity, customer_id, order_id, order_line_number)
      values (source.warehouse_id, line.product_id, 'reserve', taken, customer, "order", line.line_number);
      update crm.order_line_fulfilment as f set reserved = f.reserved + taken, warehouse_id = source.warehouse_id, expected_on = null
      where f.customer_id = customer and f.order_id = "order" and f.line_number = line.line_number;
    end if;
    if taken < line.back_ordered then
      update crm.order_line_fulfilment as f set warehouse_id = promise.warehouse_id, expected_on = promise.promised_on
      from (
        select w.id as warehouse_id, case when f2.warehouse_id = w.id then own.promised_on else beyond.promised_on end as promised_on
        from crm.order_line_fulfilment as f2 cross join crm.warehouse as w
        left join crm.availability(line.product_id, 0) as own on own.warehouse_id = w.id
        left join crm.availability(line.product_id, line.back_ordered - taken) as beyond on beyond.warehouse_id = w.id
        where f2.customer_id = customer and f2.order_id = "order" and f2.line_number = line.line_number
          and case when f2.reserved + f2.shipped > 0 then w.id = f2.warehouse_id else w.active end
        order by promised_on nulls last, w.priority, w.id limit 1
      ) as promise
      where f.customer_id = customer and f.order_id = "order" and f.line_number = line.line_number;
    end if;
  end loop;
  perform crm.restore_reach(was);
end
$$;
comment on function crm.reserve_order(uuid, uuid) is
  'Reserves for every line of an order what is there, in the warehouse that has enough, or else in the one that has most; the rest waits, with the day it is expected.';

create function crm.reserve_back_orders(product uuid, warehouse uuid) returns integer language plpgsql as $$
declare
  was text[];
  left_over numeric;
  taken numeric;
  served integer := 0;
  line record;
begin
  select l.available into left_over from crm.lock_stock(array[product]) as l where l.warehouse_id = warehouse;
  if coalesce(left_over, 0) <= 0 then
    return 0;
  end if;
  was := crm.widen_reach();
  for line in
    select f.customer_id, f.order_id, f.line_number, f.back_ordered from crm.order_line_fulfilment as f
    where f.product_id = product and f.back_ordered > 0 and (f.warehouse_id = warehouse or f.reserved = 0 and f.shipped = 0)
    order by f.warehouse_id is distinct from warehouse, f.created_at, f.id for no key update of f skip locked
  loop
    exit when left_over <= 0;
    taken := least(left_over, line.back_ordered);
    insert into crm.stock_movement (warehouse_id, product_id, kind, quantity, customer_id, order_id, order_line_number)
    values (warehouse, product, 'reserve', taken, line.customer_id, line.order_id, line.line_number);
    update crm.order_line_fulfilment as f set reserved = f.reserved + taken, warehouse_id = warehouse, expected_on = case when taken < f.back_ordered then f.expected_on end
    where f.customer_id = line.customer_id and f.order_id = line.order_id and f.line_number = line.line_number;
    left_over := left_over - taken;
    served := served + 1;
  end loop;
  perform crm.restore_reach(was);
  return served;
end
$$;
comment on function crm.reserve_back_orders(uuid, uuid) is
  'Shares what a warehouse has of a product out among the lines that wait for it, the oldest first, and says how many it served. A line that somebody holds is left to the job.';

create function crm.release_order(customer uuid, "order" uuid, why text) returns void language plpgsql as $$
declare
  was constant text[] := crm.widen_reach();
  freed record;
begin
  perform from crm.order_line_fulfilment as f where f.customer_id = customer and f.order_id = "order" order by f.product_id, f.line_number for no key update of f;
  perform crm.lock_stock(array(
    select f.product_id from crm.order_line_fulfilment as f where f.customer_id = customer and f.order_id = "order" and f.reserved > 0));
  insert into crm.stock_movement (warehouse_id, product_id, kind, quantity, customer_id, order_id, order_line_number, reason)
  select f.warehouse_id, f.product_id, 'release', f.reserved, f.customer_id, f.order_id, f.line_number, why
  from crm.order_line_fulfilment as f where f.customer_id = customer and f.order_id = "order" and f.reserved > 0;
  for freed in
    select f.product_id, f.warehouse_id from crm.order_line_fulfilment as f
    where f.customer_id = customer and f.order_id = "order" and f.reserved > 0 group by f.product_id, f.warehouse_id
    order by f.product_id, f.warehouse_id
  loop
    update crm.order_line_fulfilment as f set reserved = 0, cancelled = f.ordered - f.shipped, expected_on = null
    where f.customer_id = customer and f.order_id = "order" and f.product_id = freed.product_id and f.warehouse_id = freed.warehouse_id;
    perform crm.reserve_back_orders(freed.product_id, freed.warehouse_id);
  end loop;
  update crm.order_line_fulfilment as f set cancelled = f.ordered - f.shipped, expected_on = null
  where f.customer_id = customer and f.order_id = "order" and f.shipped + f.cancelled < f.ordered;
  perform crm.restore_reach(was);
end
$$;
comment on function crm.release_order(uuid, uuid, text) is 'Gives up everything of an order that has not left: reserved goods are released and go to whoever waits for them.';

-- What must always hold ---------------------------------------------------------------------------------------------------------------

create function crm.sales_invariants() returns table (name text, detail text) language sql stable as $$
  select 'reserved goods are the reservations of open lines', format('product %s, warehouse %s: level %s, lines %s', product_id, warehouse_id, l.reserved, f.reserved)
  from (select x.product_id, x.warehouse_id, sum(x.reserved) as reserved from crm.order_line_fulfilment as x where x.reserved <> 0 group by 1, 2) as f
  full join (select x.product_id, x.warehouse_id, x.reserved from crm.stock_level as x where x.reserved <> 0) as l using (product_id, warehouse_id)
  where f.reserved is distinct from l.reserved
  union all
  select 'levels are the sums of their movements', format('product %s, warehouse %s: level %s/%s, movements %s/%s', product_id, warehouse_id, l.on_hand, l.reserved, m.on_hand, m.reserved)
  from (select x.product_id, x.warehouse_id, sum(x.on_hand_change) as on_hand, sum(x.reserved_change) as reserved from crm.stock_movement as x group by 1, 2) as m
  full join (select x.product_id, x.warehouse_id, x.on_hand, x.reserved from crm.stock_level as x) as l using (product_id, warehouse_id)
  where (m.on_hand, m.reserved) is distinct from (l.on_hand, l.reserved)
  union all
  select 'no more is promised than there is', format('product %s, warehouse %s: available %s', x.product_id, x.warehouse_id, x.available) from crm.stock_level as x where x.available < 0
  union all
  select 'lines are the sums of their movements', format('order %s, line %s: reserved %s/%s, shipped %s/%s, returned %s/%s', f.order_id, f.line_number,
    f.reserved, coalesce(m.reserved, 0), f.shipped, coalesce(m.shipped, 0), f.returned, coalesce(m.returned, 0))
  from crm.order_line_fulfilment as f
  left join (
    select x.customer_id, x.order_id, x.order_line_number as line_number, sum(x.reserved_change) as reserved, coalesce(sum(x.quantity) filter (where x.kind = 'ship'), 0) as shipped,
      coalesce(sum(x.quantity) filter (where x.kind = 'return'), 0) as returned
    from crm.stock_movement as x where x.order_id is not null group by 1, 2, 3
  ) as m using (customer_id, order_id, line_number)
  where f.tracked and (f.reserved, f.shipped, f.returned) is distinct from (coalesce(m.reserved, 0), coalesce(m.shipped, 0), coalesce(m.returned, 0))
  union all
  select 'shipped goods are on shipments', format('order %s, line %s: shipped %s, on shipments %s', f.order_id, f.line_number, f.shipped, coalesce(s.quantity, 0))
  from crm.order_line_fulfilment as f
  left join (select x.customer_id, x.order_id, x.line_number, sum(x.quantity) as quantity from crm.shipment_line as x group by 1, 2, 3) as s using (customer_id, order_id, line_number)
  where f.shipped <> coalesce(s.quantity, 0)
  union all
  select 'an order made here is whole', format('order %s (%s): %s lines, %s fulfilments, amount %s, lines %s', o.id, o.number, l.lines, coalesce(f.lines, 0), o.amount, l.amount)
  from crm.sales_order as o
  left join (select x.customer_id, x.order_id, count(*) as lines from crm.order_line_fulfilment as x group by 1, 2) as f on (f.customer_id, f.order_id) = (o.customer_id, o.id)
  cross join lateral (
    select count(*) as lines, coalesce(sum(x.amount), 0) as amount from crm.sales_order_line as x where x.customer_id = o.customer_id and x.order_id = o.id) as l
  where (o.number is not null or f.lines is not null) and (o.number is null or l.lines <> coalesce(f.lines, 0) or l.lines = 0 or o.amount <> l.amount)
  union all
  select 'an order''s status says what happened to its lines', format('order %s (%s): %s, open %s, reserved %s, shipped %s', o.id, o.number, o.status, f.open, f.reserved, f.shipped)
  from crm.sales_order as o
  join (
    select x.customer_id, x.order_id, sum(x.ordered - x.cancelled - x.shipped) as open, sum(x.reserved) as reserved, sum(x.shipped) as shipped, sum(x.returned) as returned
    from crm.order_line_fulfilment as x group by 1, 2) as f on (f.customer_id, f.order_id) = (o.customer_id, o.id)
  where not case o.status
    when 'placed' then f.shipped = 0 and f.open > 0
    when 'confirmed' then f.shipped = 0 and f.open > 0
    when 'partly_shipped' then f.shipped > 0 and f.open > 0
    when 'shipped' then f.shipped > 0 and f.open = 0
    when 'completed' then f.shipped > 0 and f.open = 0
    when 'cancelled' then f.shipped = 0 and f.open = 0
    when 'returned' then f.returned = f.shipped and f.open = 0
  end
$$;
comment on function crm.sales_invariants() is 'What must always hold of orders and stock, and where it does not: no rows. For tests, probes and doctors; asked as the system, which sees everything.';
