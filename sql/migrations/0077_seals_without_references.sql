-- What a quote is sealed with is what its customer reads. Whom it is addressed to and which opportunity it is for are references:
-- merging two contacts moves them, also those of sent quotes.
set local role crm_owner;

alter table crm.quote drop constraint quote_sealed_digest_exists;
alter table crm.quote drop column sealed_digest;
drop function crm.quote_digest(text, integer, text, date, uuid, uuid, text, numeric, numeric, integer);

create function crm.quote_digest(
  number text, revision integer, currency text, valid_until date, terms text, net numeric, vat numeric, lines integer
) returns text language sql immutable parallel safe
  return md5(
    number || E'\x1f' || revision || E'\x1f' || currency || E'\x1f' || (valid_until - date '2000-01-01') || E'\x1f' || net || E'\x1f' || vat || E'\x1f' || lines
    || E'\x1f' || coalesce(terms, ''));
comment on function crm.quote_digest(text, integer, text, date, text, numeric, numeric, integer) is
  'A digest of what a customer is offered: everything a quote says beside its lines.';

alter table crm.quote add column sealed_digest text generated always as (
  case when status in ('draft', 'awaiting_approval', 'approved') then null
  else crm.quote_digest(number, revision, currency, valid_until, terms, net_amount, vat_amount, line_count) end) stored;
comment on column crm.quote.sealed_digest is 'secret: derived: the digest of a sent version, which must be the one in its seal.';

set local role none;
update crm.quote_seal as s set digest = q.sealed_digest from crm.quote as q where q.customer_id = s.customer_id and q.id = s.quote_id;
set local role crm_owner;

alter table crm.quote add constraint quote_sealed_digest_exists
  foreign key (customer_id, id, sealed_digest) references crm.quote_seal (customer_id, quote_id, digest);
comment on constraint quote_sealed_digest_exists on crm.quote is
  'en: A quote that was sent cannot be changed; revise it. | tr: Gönderilmiş bir teklif değiştirilemez; yeni sürüm açın.';

select crm.protect('crm.quote', area => 'sales', kind => 'owned', resource => 'quotes', bi => true);
