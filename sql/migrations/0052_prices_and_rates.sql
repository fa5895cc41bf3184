-- Exchange rates of days, and books of prices.
set local role crm_owner;

create table crm.exchange_rate (
  id            uuid          not null default crm.uuid_v7(),
  from_currency text          not null,
  to_currency   text          not null default 'TRY',
  on_day        date          not null,
  rate          numeric(20,8) not null,
  source        text,
  created_at    timestamptz   not null default now(),
  updated_at    timestamptz   not null default now(),
  version       integer       not null default 1,
  created_by    uuid          default crm.caller_id(),
  constraint exchange_rate_id_primary primary key (id),
  constraint exchange_rate_on_day_unique unique (from_currency, to_currency, on_day),
  constraint exchange_rate_from_currency_exists foreign key (from_currency) references crm.currency (code),
  constraint exchange_rate_to_currency_exists foreign key (to_currency) references crm.currency (code),
  constraint exchange_rate_to_currency_other check (from_currency <> to_currency),
  constraint exchange_rate_on_day_finite check (isfinite(on_day)),
  constraint exchange_rate_rate_positive check (rate > 0 and rate <> 'NaN'),
  constraint exchange_rate_source_length check (length(btrim(source)) between 1 and 100)
);
comment on table crm.exchange_rate is 'What one unit of a currency was worth in another on a day.';
comment on column crm.exchange_rate.from_currency is 'The currency that is converted.';
comment on column crm.exchange_rate.to_currency is 'The currency it is converted to.';
comment on column crm.exchange_rate.on_day is 'The day of the rate; it also serves the next ten days as long as they have none of their own.';
comment on column crm.exchange_rate.rate is 'How many units of the second currency one unit of the first is.';
comment on column crm.exchange_rate.source is 'Who published it, such as TCMB.';
comment on constraint exchange_rate_on_day_unique on crm.exchange_rate is 'en: There is already a rate between these currencies on this day. | tr: Bu para birimleri arasında bu gün için zaten bir kur var.';
comment on constraint exchange_rate_from_currency_exists on crm.exchange_rate is 'en: This currency is not known. | tr: Bu para birimi bilinmiyor.';
comment on constraint exchange_rate_to_currency_exists on crm.exchange_rate is 'en: This currency is not known. | tr: Bu para birimi bilinmiyor.';
comment on constraint exchange_rate_to_currency_other on crm.exchange_rate is 'en: A rate is between two currencies. | tr: Kur iki ayrı para birimi arasındadır.';
comment on constraint exchange_rate_on_day_finite on crm.exchange_rate is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint exchange_rate_rate_positive on crm.exchange_rate is 'en: A rate is above zero. | tr: Kur sıfırdan büyük olmalıdır.';
comment on constraint exchange_rate_source_length on crm.exchange_rate is 'en: Give a source of at most 100 characters. | tr: En çok 100 karakterlik bir kaynak verin.';

create function crm.quoted_rate(from_currency text, to_currency text, on_day date) returns numeric language sql stable as $$
  select quoted.rate from (
    select r.on_day, r.rate from crm.exchange_rate as r
    where (r.from_currency, r.to_currency) = (quoted_rate.from_currency, quoted_rate.to_currency)
      and r.on_day between quoted_rate.on_day - 10 and quoted_rate.on_day
    union all
    select r.on_day, 1 / r.rate from crm.exchange_rate as r
    where (r.from_currency, r.to_currency) = (quoted_rate.to_currency, quoted_rate.from_currency)
      and r.on_day between quoted_rate.on_day - 10 and quoted_rate.on_day
  ) as quoted order by quoted.on_day desc limit 1
$$;
comment on function crm.quoted_rate(text, text, date) is 'The latest rate between two currencies that is at most ten days old on a day, quoted in either direction; null if there is none.';

create function crm.rate_on(from_currency text, to_currency text, on_day date) returns numeric language sql stable as $$
  select case when from_currency = to_currency then 1 else coalesce(
    crm.quoted_rate(from_currency, to_currency, on_day),
    crm.quoted_rate(from_currency, 'TRY', on_day) * crm.quoted_rate('TRY', to_currency, on_day)) end
$$;
comment on function crm.rate_on(text, text, date) is 'The rate between two currencies on a day, if need be by way of the Turkish lira; null if there is none.';

create function crm.convert(amount numeric, from_currency text, to_currency text, on_day date) returns numeric language sql stable
  return amount * case when from_currency = to_currency then 1 else crm.rate_on(from_currency, to_currency, on_day) end;
comment on function crm.convert(numeric, text, text, date) is 'An amount in another currency at the rate of a day, not rounded; null if there is no rate.';

create table crm.price_book (
  id          uuid        not null default crm.uuid_v7(),
  code        text        not null,
  name        text        not null,
  currency    text        not null default 'TRY',
  parent_id   uuid,
  customer_id uuid,
  segment     text,
  priority    integer     not null default 100,
  valid_from  date,
  valid_until date,
  active      boolean     not null default true,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint price_book_id_primary primary key (id),
  constraint price_book_code_unique unique (code),
  constraint price_book_code_length check (length(btrim(code)) between 1 and 64),
  constraint price_book_name_length check (length(btrim(name)) between 1 and 200),
  constraint price_book_currency_exists foreign key (currency) references crm.currency (code),
  constraint price_book_parent_id_exists foreign key (parent_id) references crm.price_book (id),
  constraint price_book_parent_id_other check (parent_id <> id),
  constraint price_book_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint price_book_segment_length check (length(btrim(segment)) between 1 and 100),
  constraint price_book_segment_alone check (num_nonnulls(customer_id, segment) <= 1),
  constraint price_book_priority_range check (priority between 0 and 10000),
  constraint price_book_valid_until_ordered check (valid_until >= valid_from),
  constraint price_book_valid_until_finite check (isfinite(valid_from) and isfinite(valid_until))
);
comment on table crm.price_book is 'A list of prices: for everyone, for a segment, or for one customer. What it does not price itself, it takes from its parent.';
comment on column crm.price_book.code is 'Short stable name.';
comment on column crm.price_book.name is 'Name as people say it.';
comment on column crm.price_book.currency is 'Currency of its prices; those of a parent in another currency are converted at the day''s rate.';
comment on column crm.price_book.parent_id is 'The book that prices what this one does not, and that its percentages start from.';
comment on column crm.price_book.customer_id is 'The one customer it is for.';
comment on column crm.price_book.segment is 'The segment it is for.';
comment on column crm.price_book.priority is 'Of the books that fit a customer equally well, the one with the lowest number that has a price decides.';
comment on column crm.price_book.valid_from is 'Its first day; null for always.';
comment on column crm.price_book.valid_until is 'Its last day; null for ever.';
comment on column crm.price_book.active is 'Whether it may be used.';
comment on constraint price_book_code_unique on crm.price_book is 'en: Another price book already has this code. | tr: Bu kod başka bir fiyat listesinde kullanılıyor.';
comment on constraint price_book_code_length on crm.price_book is 'en: Give a code of at most 64 characters. | tr: En çok 64 karakterlik bir kod verin.';
comment on constraint price_book_name_length on crm.price_book is 'en: Give the price book a name of at most 200 characters. | tr: Fiyat listesine en çok 200 karakterlik bir ad verin.';
comment on constraint price_book_currency_exists on crm.price_book is 'en: This currency is not known. | tr: Bu para birimi bilinmiyor.';
comment on constraint price_book_parent_id_other on crm.price_book is 'en: A price book cannot stand below itself. | tr: Bir fiyat listesi kendi altında yer alamaz.';
comment on constraint price_book_segment_length on crm.price_book is 'en: Give a segment of at most 100 characters. | tr: En çok 100 karakterlik bir segment verin.';
comment on constraint price_book_segment_alone on crm.price_book is 'en: A price book is for a customer or for a segment, not for both. | tr: Fiyat listesi ya bir müşteri ya da bir segment içindir; ikisi birden olamaz.';
comment on constraint price_book_priority_range on crm.price_book is 'en: A priority is a number from 0 to 10000. | tr: Öncelik 0 ile 10000 arasında bir sayıdır.';
comment on constraint price_book_valid_until_ordered on crm.price_book is 'en: The last day is not before the first. | tr: Son gün ilk günden önce olamaz.';
comment on constraint price_book_valid_until_finite on crm.price_book is 'en: Give real dates. | tr: Gerçek tarihler verin.';
create index price_book_parent_id_index on crm.price_book (parent_id) where parent_id is not null;
create index price_book_customer_id_index on crm.price_book (customer_id) where customer_id is not null;

create function crm.refuse_price_book_loop() returns trigger language plpgsql as $$
begin
  if exists (
    with recursive above as (
      select b.id, b.parent_id, 1 as depth from crm.price_book as b where b.id = new.parent_id
      union all
      select b.id, b.parent_id, above.depth + 1 from crm.price_book as b join above on b.id = above.parent_id where above.depth < 100
    ) select from above where id = new.id
  ) then
    raise exception using errcode = 'check_violation', constraint = 'price_book_parent_id_other', table = 'price_book', schema = 'crm',
      message = 'a price book cannot stand below itself';
  end if;
  return new;
end
$$;
comment on function crm.refuse_price_book_loop() is 'Trigger: keeps the price books a forest.';
create trigger price_book_parent_id_tree before insert or update of parent_id on crm.price_book
  for each row when (new.parent_id is not null) execute function crm.refuse_price_book_loop();

create table crm.price_rule (
  id               uuid          not null default crm.uuid_v7(),
  price_book_id    uuid          not null,
  product_id       uuid,
  category_id      uuid,
  minimum_quantity numeric(18,3) not null default 0,
  kind             text          not null,
  value            numeric(18,6) not null,
  valid_from       date,
  valid_until      date,
  created_at       timestamptz   not null default now(),
  updated_at       timestamptz   not null default now(),
  version          integer       not null default 1,
  created_by       uuid          default crm.caller_id(),
  constraint price_rule_id_primary primary key (id),
  constraint price_rule_price_book_id_exists foreign key (price_book_id) references crm.price_book (id) on delete cascade,
  constraint price_rule_product_id_exists foreign key (product_id) references crm.product (id) on delete cascade,
  constraint price_rule_category_id_exists foreign key (category_id) references crm.product_category (id),
  constraint price_rule_minimum_quantity_unique unique nulls not distinct (price_book_id, product_id, category_id, minimum_quantity, valid_from),
  constraint price_rule_category_id_alone check (num_nonnulls(product_id, category_id) <= 1),
  constraint price_rule_minimum_quantity_positive check (minimum_quantity >= 0 and minimum_quantity <> 'NaN'),
  constraint price_rule_kind_known check (kind in ('amount', 'percent')),
  constraint price_rule_value_range check (value <> 'NaN' and case kind when 'amount' then value >= 0 and product_id is not null else value between -100 and 1000 end),
  constraint price_rule_valid_until_ordered check (valid_until >= valid_from),
  constraint price_rule_valid_until_finite check (isfinite(valid_from) and isfinite(valid_until))
);
comment on table crm.price_rule is 'What a price book says of a product, of a category, or of everything: an amount, or a percentage on its parent''s price.';
comment on column crm.price_rule.price_book_id is 'The price book.';
comment on column crm.price_rule.product_id is 'The product it prices.';
comment on column crm.price_rule.category_id is 'The category it prices, with those below it; without product and category, everything.';
comment on column crm.price_rule.minimum_quantity is 'It holds from this quantity on; of several rules the one with the largest holds.';
comment on column crm.price_rule.kind is 'amount: the value is the price of one unit. percent: the value is added to the parent''s price, in percent; -10 is a tenth less.';
comment on column crm.price_rule.value is 'The price of one unit in the book''s currency, or the percentage.';
comment on column crm.price_rule.valid_from is 'Its first day; null for always.';
comment on column crm.price_rule.valid_until is 'Its last day; null for ever.';
comment on constraint price_rule_minimum_quantity_unique on crm.price_rule is 'en: The price book already has a rule for this from this quantity and day on. | tr: Fiyat listesinde bu miktar ve günden başlayan böyle bir kural zaten var.';
comment on constraint price_rule_category_id_alone on crm.price_rule is 'en: A rule prices a product or a category, not both. | tr: Kural ya bir ürünü ya da bir kategoriyi fiyatlar; ikisini birden değil.';
comment on constraint price_rule_minimum_quantity_positive on crm.price_rule is 'en: A quantity is not below zero. | tr: Miktar sıfırdan küçük olamaz.';
comment on constraint price_rule_kind_known on crm.price_rule is 'en: A rule is an amount or a percent. | tr: Kural türü amount ya da percent olabilir.';
comment on constraint price_rule_value_range on crm.price_rule is 'en: An amount is not below zero and names its product; a percentage is between -100 and 1000. | tr: Tutar sıfırdan küçük olamaz ve ürününü belirtir; yüzde -100 ile 1000 arasındadır.';
comment on constraint price_rule_valid_until_ordered on crm.price_rule is 'en: The last day is not before the first. | tr: Son gün ilk günden önce olamaz.';
comment on constraint price_rule_valid_until_finite on crm.price_rule is 'en: Give real dates. | tr: Gerçek tarihler verin.';
create index price_rule_product_id_index on crm.price_rule (product_id) where product_id is not null;

create function crm.segments_of(customer uuid) returns text[] language sql stable as $$
  select array_remove(array[(select c.profile ->> 'segment' from crm.customer as c where c.id = customer)], null)
$$;
comment on function crm.segments_of(uuid) is 'The segments a customer is in, as price books name them.';

-- Calls itself for the parent; crm.refuse_price_book_loop keeps that from going round.
create function crm.book_price(book uuid, product uuid, quantity numeric, on_day date) returns table (unit_price numeric, currency text, steps jsonb) language plpgsql stable as $$
declare
  own crm.price_book;
  above record;
  rule record;
begin
  select * into own from crm.price_book as b
  where b.id = book and b.active and on_day >= coalesce(b.valid_from, on_day) and on_day <= coalesce(b.valid_until, on_day);
  if not found then
    return;
  end if;
  with recursive category as (
    select p.category_id as id, 1 as depth from crm.product as p where p.id = product and p.category_id is not null
    union all
    select c.parent_id, category.depth + 1 from crm.product_category as c join category on c.id = category.id where c.parent_id is not null and category.depth < 100
  )
  select r.id, r.kind, r.value, r.minimum_quantity into rule
  from crm.price_rule as r left join category on category.id = r.category_id
  where r.price_book_id = book and r.minimum_quantity <= quantity and on_day >= coalesce(r.valid_from, on_day) and on_day <= coalesce(r.valid_until, on_day)
    and (r.product_id = product or r.product_id is null and (r.category_id is null or category.id is not null))
  order by r.product_id is null, category.depth nulls last, r.minimum_quantity desc, r.valid_from desc nulls last, r.id limit 1;
  currency := own.currency;
  steps := '[]';
  if rule.kind = 'amount' then
    unit_price := rule.value;
  elsif own.parent_id is not null then
    select * into above from crm.book_price(own.parent_id, product, quantity, on_day);
    unit_price := round(crm.convert(above.unit_price, above.currency, own.currency, on_day) * (1 + coalesce(rule.value, 0) / 100), 6);
    steps := above.steps;
  end if;
  if unit_price is not null then
    steps := steps || jsonb_build_object('price_book_id', own.id, 'price_book', own.code, 'rule_id', rule.id, 'kind', rule.kind, 'value', rule.value::text,
      'minimum_quantity', rule.minimum_quantity::text, 'unit_price', unit_price::numeric(18,6)::text, 'currency', own.currency);
    return next;
  end if;
end
$$;
comment on function crm.book_price(uuid, uuid, numeric, date) is 'What a price book, or what stands above it, asks for one unit; no row if it has no price. The steps tell each book and rule from the top.';

create function crm.price_explained(
  product uuid, customer uuid, quantity numeric, in_currency text, on_day date, price_book uuid default null
) returns table (unit_price numeric, currency text, price_book_id uuid, steps jsonb) language plpgsql stable as $$
#variable_conflict use_column
declare
  wanted constant text := in_currency;
  segments constant text[] := crm.segments_of(customer);
  book record;
  found_price record;
begin
  for book in
    select b.id, b.currency from crm.price_book as b
    where b.active and on_day >= coalesce(b.valid_from, on_day) and on_day <= coalesce(b.valid_until, on_day)
      and (price_book is null or b.id = price_book) and (b.customer_id is null or b.customer_id = customer) and (b.segment is null or b.segment = any (segments))
    order by b.customer_id is null, b.segment is null, b.currency <> coalesce(wanted, b.currency), b.priority, b.code
  loop
    select p.unit_price, p.currency, p.steps into found_price from crm.book_price(book.id, product, quantity, on_day) as p;
    if found_price.unit_price is not null then
      price_explained.currency := coalesce(wanted, found_price.currency);
      price_explained.unit_price := round(crm.convert(found_price.unit_price, found_price.currency, price_explained.currency, on_day), 6);
      if price_explained.unit_price is not null then
        price_explained.price_book_id := book.id;
        price_explained.steps := found_price.steps;
        return next;
        return;
      end if;
    end if;
  end loop;
end
$$;
comment on function crm.price_explained(uuid, uuid, numeric, text, date, uuid) is
  'The price of one unit for a customer, with the books and rules that gave it: a book for the customer before one for a segment before one for everyone, a book in the currency asked before one that is converted. No row if there is no price; any currency if none is asked.';

create function crm.price_of(
  product uuid, customer uuid, quantity numeric, in_currency text, on_day date, price_book uuid default null
) returns table (unit_price numeric, currency text, price_book_id uuid) language sql stable as $$
  select p.unit_price, p.currency, p.price_book_id from crm.price_explained($1, $2, $3, $4, $5, $6) as p
$$;
comment on function crm.price_of(uuid, uuid, numeric, text, date, uuid) is 'The price of one unit for a customer on a day; no row if there is no price. See crm.price_explained.';

select crm.protect('crm.exchange_rate', area => 'finance', kind => 'common', resource => 'exchange_rates', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.price_book', area => 'products', kind => 'reference', resource => 'price_books', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.price_rule', area => 'products', kind => 'reference', resource => 'price_rules', verbs => '{select,insert,update,delete}', bi => true);
