-- Schemas, the caller's context, and the small functions every table builds on.
set local role crm_owner;

create schema crm;
create schema bi;
create schema analytics;
comment on schema crm is 'The operational truth: every table of the CRM, under row-level security.';
comment on schema bi is 'Stable views for BI tools: one per dimension and fact, row-level security by login, personal data masked.';
comment on schema analytics is 'Derived values, segments and models.';

alter default privileges revoke execute on functions from public;
alter default privileges in schema crm grant execute on functions to crm_app, crm_worker, crm_bulk, crm_access;
grant usage on schema crm, analytics to crm_app, crm_worker, crm_bulk, crm_access;
grant usage on schema bi to crm_app, crm_worker, bi_reader;

-- The caller ----------------------------------------------------------------------------------------------------------------------

create function crm.caller_id() returns uuid language sql stable parallel safe
  return nullif(current_setting('muhatap.caller', true), '')::uuid;
comment on function crm.caller_id() is 'The user on whose behalf this transaction runs; null for system work and for nobody.';

create function crm.readable(area text) returns uuid[] language sql stable parallel safe
  return string_to_array(nullif(current_setting('muhatap.read_' || area, true), '*'), ',')::uuid[];
comment on function crm.readable(text) is 'The audiences the caller reads in an area: departments, the nil uuid for company-wide rows, the caller''s own id.';

create function crm.writable(area text) returns uuid[] language sql stable parallel safe
  return string_to_array(nullif(current_setting('muhatap.write_' || area, true), '*'), ',')::uuid[];
comment on function crm.writable(text) is 'The departments the caller writes in an area, and the caller''s own id.';

create function crm.reads_all(area text) returns boolean language sql stable parallel safe
  return coalesce(current_setting('muhatap.read_' || area, true) = '*', false);
comment on function crm.reads_all(text) is 'Whether this is system work that reads every row of an area.';

create function crm.writes_all(area text) returns boolean language sql stable parallel safe
  return coalesce(current_setting('muhatap.write_' || area, true) = '*', false);
comment on function crm.writes_all(text) is 'Whether this is system work that writes every row of an area.';

create function crm.reads(area text) returns boolean language sql stable parallel safe
  return coalesce(current_setting('muhatap.read_' || area, true), '') <> '';
comment on function crm.reads(text) is 'Whether the caller reads anything at all in an area; opens rows that have no department, such as products.';

create function crm.writes(area text) returns boolean language sql stable parallel safe
  return coalesce(current_setting('muhatap.write_' || area, true), '') not in ('', coalesce(current_setting('muhatap.caller', true), ''));
comment on function crm.writes(text) is 'Whether the caller writes for at least one department in an area; opens rows that have no department, such as products.';

create function crm.writes_anything(area text) returns boolean language sql stable parallel safe
  return coalesce(current_setting('muhatap.write_' || area, true), '') <> '';
comment on function crm.writes_anything(text) is 'Whether the caller writes anything at all in an area, be it only records of their own.';

create function crm.signed_in() returns boolean language sql stable parallel safe
  return coalesce(current_setting('muhatap.caller', true), '') <> '' or coalesce(current_setting('muhatap.read_admin', true) = '*', false);
comment on function crm.signed_in() is 'Whether the caller is a known user or the system itself.';

create function crm.areas() returns text[] language sql immutable parallel safe
  return array['customers', 'products', 'sales', 'marketing', 'service', 'finance', 'purchasing', 'analytics', 'admin'];
comment on function crm.areas() is 'The permission areas; roles, share rules and BI logins name them.';

-- Raises CR001 naming the column, so that a hidden row and an absent one are answered alike:
--   coalesce((select id from crm.customer where id = $1), crm.missing_reference('customer_id'))
create function crm.missing_reference("column" text) returns uuid language plpgsql volatile parallel safe as $$
begin
  raise exception using errcode = 'CR001', column = "column", message = format('the record named in %I does not exist or may not be seen', "column");
end
$$;
comment on function crm.missing_reference(text) is 'Raises SQLSTATE CR001 with the column''s name: the record it refers to does not exist, or the caller may not see it.';

-- Ids -----------------------------------------------------------------------------------------------------------------------------

create function crm.uuid_v7() returns uuid language sql volatile parallel safe
  return encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid()) placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid;
comment on function crm.uuid_v7() is 'A new UUID version 7: 48 bits of milliseconds since 1970, then randomness, so that new rows lie together in an index.';

-- The two halves of uuid_v7 for many rows at once: one head a statement, then ascending ids, at half the cost and without scattering an index.
create function crm.uuid_v7_head() returns bytea language sql volatile parallel safe
  return overlay(
    set_byte(substring(uuid_send(gen_random_uuid()) from 1 for 8), 6, 112 + (random() * 15)::integer)
    placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6);
comment on function crm.uuid_v7_head() is 'The first eight bytes of UUIDs version 7 made now; call it once a statement, in a sub-select.';

create function crm.uuid_v7_member(head bytea, number bigint) returns uuid language sql volatile parallel safe
  return encode(head || int8send(-9223372036854775808 + (number << 32) + (random() * 4294967295)::bigint), 'hex')::uuid;
comment on function crm.uuid_v7_member(bytea, bigint) is 'The UUID version 7 of a row''s number (1 to 2^30) under a head; ascending in the number.';

-- Text ----------------------------------------------------------------------------------------------------------------------------

create function crm.search_key(value text) returns text language sql immutable strict parallel safe
  return btrim(regexp_replace(
    replace(lower(translate(
      regexp_replace(normalize(value, NFKD), '[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]', '', 'g'),
      'Iıς', 'iiσ') collate "und-x-icu"), 'ß', 'ss'),
    '\s+', ' ', 'g'));
comment on function crm.search_key(text) is
  'How a text is searched, made unique and compared for duplicates: compatibility-decomposed, marks stripped, İ I ı i all become i, lower case, spaces collapsed.';

-- Identifiers ---------------------------------------------------------------------------------------------------------------------

create function crm.valid_vkn(value text) returns boolean language sql immutable strict parallel safe
  return value ~ '^[0-9]{10}$' and value <> '0000000000' and (
    select (10 - sum(case when t = 0 then 0 when (t * (1 << p)) % 9 = 0 then 9 else (t * (1 << p)) % 9 end) % 10) % 10
    from (select p, (substr(value, 10 - p, 1)::integer + p) % 10 as t from generate_series(1, 9) as p) as digits
  ) = substr(value, 10, 1)::integer;
comment on function crm.valid_vkn(text) is 'Whether a text is a Turkish tax number (VKN): ten digits with the right check digit.';

create function crm.valid_tckn(value text) returns boolean language sql immutable strict parallel safe
  return value ~ '^[1-9][0-9]{10}$' and (
    select ((odd * 7 - even) % 10 + 10) % 10 = substr(value, 10, 1)::integer
       and (odd + even + substr(value, 10, 1)::integer) % 10 = substr(value, 11, 1)::integer
    from (
      select sum(substr(value, p, 1)::integer) filter (where p % 2 = 1) as odd, sum(substr(value, p, 1)::integer) filter (where p % 2 = 0) as even
      from generate_series(1, 9) as p
    ) as sums);
comment on function crm.valid_tckn(text) is 'Whether a text is a Turkish identity number (TCKN): eleven digits with the right check digits.';

create function crm.valid_iban(value text) returns boolean language sql immutable strict parallel safe
  return value ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$' and (left(value, 2) <> 'TR' or value ~ '^TR[0-9]{24}$') and (
    select string_agg(case when c between '0' and '9' then c else (ascii(c) - 55)::text end, '' order by p)::numeric % 97
    from regexp_split_to_table(substr(value, 5) || left(value, 4), '') with ordinality as letters (c, p)
  ) = 1;
comment on function crm.valid_iban(text) is 'Whether a text is an IBAN written without spaces whose check digits are right; Turkish ones have 26 characters.';

create function crm.valid_e164(value text) returns boolean language sql immutable strict parallel safe
  return value ~ '^\+[1-9][0-9]{6,14}$';
comment on function crm.valid_e164(text) is 'Whether a text is a telephone number in E.164: plus sign, country code, at most fifteen digits.';

create function crm.valid_email(value text) returns boolean language sql immutable strict parallel safe
  return length(value) <= 254 and value ~ '^[^[:space:]@<>",;:\\()\[\]]{1,64}@[^[:space:]@.<>",;:\\()\[\]]+(\.[^[:space:]@.<>",;:\\()\[\]]+)+$';
comment on function crm.valid_email(text) is 'Whether a text looks like an e-mail address: one @, a local part of at most 64 characters, a domain with a dot.';

-- Row versions --------------------------------------------------------------------------------------------------------------------

create function crm.touch() returns trigger language plpgsql as $$
begin
  if new.id <> old.id then
    raise exception using errcode = 'integrity_constraint_violation', column = 'id', message = 'a record keeps its id';
  end if;
  new.version := old.version + 1;
  new.updated_at := now();
  new.created_at := old.created_at;
  new.created_by := old.created_by;
  return new;
end
$$;
comment on function crm.touch() is 'Trigger: counts the row''s version up, stamps updated_at, and keeps id, created_at and created_by as they were.';
