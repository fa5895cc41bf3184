-- Warehouses, the ledger of what comes and goes, and the levels that follow from it.
set local role crm_owner;

create table crm.warehouse (
  id          uuid        not null default crm.uuid_v7(),
  code        text        not null,
  name        text        not null,
  location_id uuid,
  priority    integer     not null default 100,
  active      boolean     not null default true,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint warehouse_id_primary primary key (id),
  constraint warehouse_code_unique unique (code),
  constraint warehouse_code_length check (length(btrim(code)) between 1 and 64),
  constraint warehouse_name_length check (length(btrim(name)) between 1 and 200),
  constraint warehouse_location_id_exists foreign key (location_id) references crm.location (id),
  constraint warehouse_priority_range check (priority between 0 and 10000)
);
comment on table crm.warehouse is 'A place that goods are kept in and sent from.';
comment on column crm.warehouse.code is 'Short stable name.';
comment on column crm.warehouse.name is 'Name as people say it.';
comment on column crm.warehouse.location_id is 'The location it is a part of.';
comment on column crm.warehouse.priority is 'Orders are served from the warehouse with the lowest number that has enough.';
comment on column crm.warehouse.active is 'Whether new orders may be served from it.';
comment on constraint warehouse_code_unique on crm.warehouse is 'en: Another warehouse already has this code. | tr: Bu kod başka bir depoda kullanılıyor.';
comment on constraint warehouse_code_length on crm.warehouse is 'en: Give a code of at most 64 characters. | tr: En çok 64 karakterlik bir kod verin.';
comment on constraint warehouse_name_length on crm.warehouse is 'en: Give the warehouse a name of at most 200 characters. | tr: Depoya en çok 200 karakterlik bir ad verin.';
comment on constraint warehouse_priority_range on crm.warehouse is 'en: A priority is a number from 0 to 10000. | tr: Öncelik 0 ile 10000 arasında bir sayıdır.';

-- Written by nothing but movements: no role may insert, update or delete here.
create table crm.stock_level (
  id           uuid          not null default crm.uuid_v7(),
  warehouse_id uuid          not null,
  product_id   uuid          not null,
  on_hand      numeric(18,3) not null default 0,
  reserved     numeric(18,3) not null default 0,
  available    numeric(18,3) generated always as (on_hand - reserved) stored,
  created_at   timestamptz   not null default now(),
  updated_at   timestamptz   not null default now(),
  version      integer       not null default 1,
  created_by   uuid          default crm.caller_id(),
  constraint stock_level_id_primary primary key (id),
  constraint stock_level_product_id_unique unique (product_id, warehouse_id),
  constraint stock_level_warehouse_id_exists foreign key (warehouse_id) references crm.warehouse (id),
  constraint stock_level_product_id_exists foreign key (product_id) references crm.product (id),
  constraint stock_level_on_hand_positive check (on_hand >= 0 and on_hand <> 'NaN'),
  constraint stock_level_reserved_positive check (reserved >= 0),
  constraint stock_level_reserved_covered check (reserved <= on_hand)
);
comment on table crm.stock_level is 'How much of a product a warehouse has: the sums of its stock movements, kept in the statement that makes a movement.';
comment on column crm.stock_level.warehouse_id is 'The warehouse.';
comment on column crm.stock_level.product_id is 'The product.';
comment on column crm.stock_level.on_hand is 'What lies there, in the product''s unit.';
comment on column crm.stock_level.reserved is 'What of it is promised to orders.';
comment on column crm.stock_level.available is 'On hand less reserved; never below zero.';
comment on constraint stock_level_product_id_unique on crm.stock_level is 'en: The level of this product in this warehouse is already kept. | tr: Bu ürünün bu depodaki seviyesi zaten tutuluyor.';
comment on constraint stock_level_on_hand_positive on crm.stock_level is 'en: The warehouse does not have that much. | tr: Depoda bu kadar yok.';
comment on constraint stock_level_reserved_positive on crm.stock_level is 'en: Less is reserved than should be released. | tr: Serbest bırakılmak istenenden daha azı ayrılmış.';
comment on constraint stock_level_reserved_covered on crm.stock_level is 'en: So much is not available: the rest is reserved for orders. | tr: Bu kadarı kullanılabilir değil: kalanı siparişlere ayrılmış.';

create table crm.stock_movement (
  id                uuid          not null default crm.uuid_v7(),
  warehouse_id      uuid          not null,
  product_id        uuid          not null,
  kind              text          not null,
  quantity          numeric(18,3) not null,
  on_hand_change    numeric(18,3) generated always as (case when kind in ('receipt', 'return', 'count') then quantity when kind = 'ship' then -quantity else 0 end) stored,
  reserved_change   numeric(18,3) generated always as (case when kind = 'reserve' then quantity when kind in ('release', 'ship') then -quantity else 0 end) stored,
  customer_id       uuid,
  order_id          uuid,
  order_line_number integer,
  reason            text,
  created_at        timestamptz   not null default now(),
  created_by        uuid          default crm.caller_id(),
  constraint stock_movement_id_primary primary key (id),
  constraint stock_movement_warehouse_id_exists foreign key (warehouse_id) references crm.warehouse (id),
  constraint stock_movement_product_id_exists foreign key (product_id) references crm.product (id),
  constraint stock_movement_order_id_exists foreign key (customer_id, order_id, order_line_number) references crm.sales_order_line (customer_id, order_id, line_number),
  constraint stock_movement_kind_known check (kind in ('receipt', 'reserve', 'release', 'ship', 'return', 'count')),
  constraint stock_movement_quantity_positive check ((quantity > 0 or kind = 'count') and quantity <> 'NaN'),
  constraint stock_movement_order_id_given check (
    case when kind in ('reserve', 'release', 'ship') then num_nulls(customer_id, order_id, order_line_number) = 0
      when kind in ('receipt', 'count') then num_nonnulls(customer_id, order_id, order_line_number) = 0
      else num_nulls(customer_id, order_id, order_line_number) in (0, 3) end),
  constraint stock_movement_reason_length check (length(btrim(reason)) between 1 and 500)
);
comment on table crm.stock_movement is 'One entry of the stock ledger. Entries are only added: a mistake is put right by another entry.';
comment on column crm.stock_movement.warehouse_id is 'Where it happened.';
comment on column crm.stock_movement.product_id is 'Of which product.';
comment on column crm.stock_movement.kind is 'receipt: goods came. reserve, release: promised to an order, and no longer. ship: reserved goods left. return: goods came back. count: the difference that counting found.';
comment on column crm.stock_movement.quantity is 'How much, in the product''s unit; above zero, only a count may also find less.';
comment on column crm.stock_movement.on_hand_change is 'What the movement adds to the goods on hand.';
comment on column crm.stock_movement.reserved_change is 'What the movement adds to the reserved goods.';
comment on column crm.stock_movement.customer_id is 'Whose order it is for.';
comment on column crm.stock_movement.order_id is 'The order it is for.';
comment on column crm.stock_movement.order_line_number is 'The line of that order.';
comment on column crm.stock_movement.reason is 'What colleagues should know of it.';
comment on column crm.stock_movement.created_at is 'When it happened.';
comment on constraint stock_movement_kind_known on crm.stock_movement is 'en: A movement is a receipt, reserve, release, ship, return or count. | tr: Hareket türü receipt, reserve, release, ship, return ya da count olabilir.';
comment on constraint stock_movement_quantity_positive on crm.stock_movement is 'en: Give a quantity above zero. | tr: Sıfırdan büyük bir miktar verin.';
comment on constraint stock_movement_order_id_given on crm.stock_movement is 'en: Goods are reserved, released and shipped for an order line; received and counted without. | tr: Ayırma, serbest bırakma ve sevk bir sipariş satırı içindir; giriş ve sayım değildir.';
comment on constraint stock_movement_reason_length on crm.stock_movement is 'en: Give a reason of at most 500 characters. | tr: En çok 500 karakterlik bir gerekçe verin.';
create index stock_movement_product_id_index on crm.stock_movement (product_id, warehouse_id, id);
create index stock_movement_order_id_index on crm.stock_movement (customer_id, order_id, order_line_number) where order_id is not null;

create table crm.expected_receipt (
  id           uuid          not null default crm.uuid_v7(),
  warehouse_id uuid          not null,
  product_id   uuid          not null,
  quantity     numeric(18,3) not null,
  received     numeric(18,3) not null default 0,
  outstanding  numeric(18,3) generated always as (greatest(quantity - received, 0)) stored,
  expected_on  date          not null,
  reference    text,
  active       boolean       not null default true,
  created_at   timestamptz   not null default now(),
  updated_at   timestamptz   not null default now(),
  version      integer       not null default 1,
  created_by   uuid          default crm.caller_id(),
  constraint expected_receipt_id_primary primary key (id),
  constraint expected_receipt_warehouse_id_exists foreign key (warehouse_id) references crm.warehouse (id),
  constraint expected_receipt_product_id_exists foreign key (product_id) references crm.product (id),
  constraint expected_receipt_quantity_positive check (quantity > 0 and quantity <> 'NaN'),
  constraint expected_receipt_received_positive check (received >= 0 and received <> 'NaN'),
  constraint expected_receipt_expected_on_finite check (isfinite(expected_on)),
  constraint expected_receipt_reference_length check (length(btrim(reference)) between 1 and 200)
);
comment on table crm.expected_receipt is 'Goods that were bought and are on their way; what back-orders are promised from.';
comment on column crm.expected_receipt.warehouse_id is 'Where they will arrive.';
comment on column crm.expected_receipt.product_id is 'The product.';
comment on column crm.expected_receipt.quantity is 'How much was bought, in the product''s unit.';
comment on column crm.expected_receipt.received is 'How much of it has arrived.';
comment on column crm.expected_receipt.outstanding is 'How much of it is still to arrive.';
comment on column crm.expected_receipt.expected_on is 'The day it should arrive.';
comment on column crm.expected_receipt.reference is 'The purchase order''s number, the supplier, or the like.';
comment on column crm.expected_receipt.active is 'Whether it is still expected.';
comment on constraint expected_receipt_quantity_positive on crm.expected_receipt is 'en: Give a quantity above zero. | tr: Sıfırdan büyük bir miktar verin.';
comment on constraint expected_receipt_received_positive on crm.expected_receipt is 'en: What was received is not below zero. | tr: Gelen miktar sıfırdan küçük olamaz.';
comment on constraint expected_receipt_expected_on_finite on crm.expected_receipt is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint expected_receipt_reference_length on crm.expected_receipt is 'en: Give a reference of at most 200 characters. | tr: En çok 200 karakterlik bir referans verin.';
create index expected_receipt_product_id_index on crm.expected_receipt (product_id, warehouse_id, expected_on) where active;

-- Runs as the owner: levels have no other writer. In the order of products and warehouses, so that two statements cannot wait for each other.
create function crm.move_stock() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  moved record;
begin
  for moved in
    select m.product_id, m.warehouse_id, sum(m.on_hand_change) as on_hand, sum(m.reserved_change) as reserved
    from new_rows as m group by m.product_id, m.warehouse_id order by m.product_id, m.warehouse_id
  loop
    update crm.stock_level as l set on_hand = l.on_hand + moved.on_hand, reserved = l.reserved + moved.reserved
    where l.product_id = moved.product_id and l.warehouse_id = moved.warehouse_id;
    if not found then
      insert into crm.stock_level (product_id, warehouse_id) values (moved.product_id, moved.warehouse_id)
        on conflict on constraint stock_level_product_id_unique do nothing;
      update crm.stock_level as l set on_hand = l.on_hand + moved.on_hand, reserved = l.reserved + moved.reserved
      where l.product_id = moved.product_id and l.warehouse_id = moved.warehouse_id;
    end if;
  end loop;
  return null;
end
$$;
comment on function crm.move_stock() is 'Trigger, once a statement: adds the movements to the levels; the levels'' constraints refuse what is not there.';
create trigger stock_movement_move after insert on crm.stock_movement referencing new table as new_rows for each statement execute function crm.move_stock();
alter table crm.stock_movement enable always trigger stock_movement_move;

-- Runs as the owner, because locking asks for the right to update.
create function crm.lock_stock(products uuid[]) returns table (product_id uuid, warehouse_id uuid, on_hand numeric, reserved numeric, available numeric)
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select l.product_id, l.warehouse_id, l.on_hand, l.reserved, l.available from crm.stock_level as l
  where l.product_id = any (products) order by l.product_id, l.warehouse_id for no key update of l
$$;
comment on function crm.lock_stock(uuid[]) is 'The levels of some products in all warehouses, locked until the transaction ends, in the order that all lock them.';

create function crm.today() returns date language sql stable parallel safe return (now() at time zone 'Europe/Istanbul')::date;
comment on function crm.today() is 'The day it is for the company.';

create function crm.availability(product uuid, quantity numeric) returns table (
  warehouse_id uuid, code text, name text, priority integer, on_hand numeric, reserved numeric, available numeric, back_ordered numeric, expected jsonb, promised_on date
) language sql stable as $$
  select w.id, w.code, w.name, w.priority, coalesce(l.on_hand, 0), coalesce(l.reserved, 0), coalesce(l.available, 0), 0::numeric,
    coalesce(arrivals.list, '[]'), case when coalesce(l.available, 0) >= quantity then crm.today() else arrivals.enough_on end
  from crm.warehouse as w
  left join crm.stock_level as l on l.product_id = product and l.warehouse_id = w.id
  cross join lateral (
    select jsonb_agg(jsonb_build_object('expected_on', e.expected_on, 'quantity', e.outstanding::text) order by e.expected_on, e.id) as list,
      min(greatest(e.expected_on, crm.today())) filter (where coalesce(l.available, 0) + e.so_far >= quantity) as enough_on
    from (
      select x.id, x.expected_on, x.outstanding, sum(x.outstanding) over (order by x.expected_on, x.id) as so_far
      from crm.expected_receipt as x where x.product_id = product and x.warehouse_id = w.id and x.active and x.outstanding > 0
    ) as e
  ) as arrivals
  where w.active
$$;
comment on function crm.availability(uuid, numeric) is
  'How much of a product each warehouse has, what is on its way, and from when it could send this quantity: promised_on, null when that cannot be said.';

select crm.protect('crm.warehouse', area => 'purchasing', kind => 'common', resource => 'warehouses', bi => true);
select crm.protect('crm.stock_level', area => 'purchasing', kind => 'common', resource => 'stock_levels', verbs => '{select}', bi => true);
select crm.protect('crm.stock_movement', area => 'purchasing', kind => 'reference', resource => 'stock_movements', verbs => '{select,insert}', bi => true);
select crm.protect('crm.expected_receipt', area => 'purchasing', kind => 'common', resource => 'expected_receipts', bi => true);
create policy stock_level_keep on crm.stock_level to crm_owner using (true) with check (true);
