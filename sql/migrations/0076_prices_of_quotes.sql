-- A quote knows the price book it takes its prices from.
set local role crm_owner;

alter table crm.quote add constraint quote_price_book_id_exists foreign key (price_book_id) references crm.price_book (id);
comment on constraint quote_price_book_id_exists on crm.quote is 'en: There is no such price book. | tr: Böyle bir fiyat listesi yok.';
