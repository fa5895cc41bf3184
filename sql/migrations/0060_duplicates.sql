-- Finding records that may mean the same person or organisation. The index of trigrams cannot be used under a policy, because its operators are not
-- LEAKPROOF; so the search runs past the policies, in functions of crm_steward that show nothing but what the caller may read.
set local role crm_owner;

create schema extensions;
comment on schema extensions is 'PostgreSQL''s own extensions: trigrams (pg_trgm) and GiST for plain types (btree_gist).';
create extension pg_trgm with schema extensions;
create extension btree_gist with schema extensions;
grant usage on schema extensions to crm_app, crm_worker, crm_bulk, crm_access, crm_steward;

-- Normalising ---------------------------------------------------------------------------------------------------------------------

create function crm.name_key(value text) returns text language sql immutable strict parallel safe
  return coalesce(
    nullif(btrim(regexp_replace(
      ' ' || translate(crm.search_key(value), '.,;:/\-_&()"''’`+*', '                 ') || ' ',
      ' +(anonim|limited|sirketi|sirket|sti|ltd|as|a +s|san|sanayi|tic|ticaret|ve|the|inc|gmbh|llc|corp|co)(?= )', '', 'g')), ''),
    crm.search_key(value));
comment on function crm.name_key(text) is
  'A name as it is compared for duplicates: its search key without punctuation and legal forms, so that "Yıldız Tekstil A.Ş." and "YILDIZ TEKSTİL SAN. VE TİC. LTD. ŞTİ." meet.';

create function crm.e164(value text) returns text language sql immutable strict parallel safe
  return (
    select case
      when digits ~ '^\+[1-9][0-9]{6,14}$' then digits
      when digits ~ '^00[1-9][0-9]{6,14}$' then '+' || substr(digits, 3)
      when digits ~ '^0[2-5][0-9]{9}$' then '+9' || digits
      when digits ~ '^[2-5][0-9]{9}$' then '+90' || digits
      when digits ~ '^90[2-5][0-9]{9}$' then '+' || digits
    end
    from (select regexp_replace(value, '[\s().\-/]', '', 'g') as digits) as stripped);
comment on function crm.e164(text) is 'A telephone number as people write it (0532 123 45 67, 0090 532 …, +90 (532) …) in E.164; a number without a country code is Turkish. Null if it is none.';

-- What is compared ----------------------------------------------------------------------------------------------------------------

alter table crm.customer add column name_key text collate "C" generated always as (crm.name_key(name)) stored;
comment on column crm.customer.name_key is 'personal: derived: the name as it is compared for duplicates.';
create index customer_name_key_trigrams on crm.customer using gin (name_key extensions.gin_trgm_ops);
create index contact_search_key_trigrams on crm.contact using gin (search_key extensions.gin_trgm_ops);
select crm.protect('crm.customer', area => 'customers', kind => 'owned', resource => 'customers', verbs => '{select,insert,update,delete}', bi => true);

create type crm.duplicate as (id uuid, customer_id uuid, name text, score numeric, rules text[], similarity numeric);
comment on type crm.duplicate is
  'A record that may mean the same: its id, its customer, its name, how sure it is (0 to 1), what speaks for it (identifier, email, phone, name) or against it (other_identifier), and how alike the names are (0 to 1).';

-- Independent hints add up: each leaves only a part of the doubt. Of two different identifiers at most one can be right, so they halve the score.
create function crm.duplicate_score(weights double precision[], other_identifier boolean) returns numeric language sql immutable parallel safe
  return round(((1 - (select exp(sum(ln(1 - least(w, 0.999999)))) from unnest(weights) as w)) * case when other_identifier then 0.5 else 1 end)::numeric, 3);
comment on function crm.duplicate_score(double precision[], boolean) is 'How sure it is that two records mean the same, from 0 to 1, given the weight of each thing they share.';

create function crm.customer_duplicates(
  wanted_name text, wanted_identifier text, wanted_emails text[], wanted_phones text[], other_than uuid default null, most integer default 10
) returns setof crm.duplicate
language plpgsql stable security definer set search_path = pg_catalog, extensions, pg_temp set pg_trgm.similarity_threshold = 0.7 as $$
declare
  audiences constant uuid[] := crm.readable('customers');
  everything constant boolean := crm.reads_all('customers');
  wanted_key constant text := crm.name_key(wanted_name);
  email_keys constant text[] := array(select crm.search_key(e) from unnest(wanted_emails) as e);
  phone_keys constant text[] := array(select crm.e164(n) from unnest(wanted_phones) as n);
begin
  return query
  with hint as (
    select c.id, 'identifier' as rule, 1.0 as weight from crm.customer as c where c.tax_number = wanted_identifier
    union all
    select p.customer_id, p.kind, case p.kind when 'email' then 0.8 else 0.7 end from crm.contact_point as p
    where p.kind = 'email' and p.value_key = any (email_keys)
      or p.kind = 'phone' and p.value_key = any (phone_keys)
    union all
    (select c.id, 'name', 0.8 * similarity(c.name_key, wanted_key) from crm.customer as c
     where c.name_key % wanted_key and (everything or c.audience = any (audiences) or c.owner_id = any (audiences))
     order by similarity(c.name_key, wanted_key) desc, c.id limit 50)
  ), candidate as (
    select h.id, array_agg(distinct h.rule) as rules, array_agg(h.weight) filter (where h.first) as weights
    from (select x.id, x.rule, x.weight, row_number() over (partition by x.id, x.rule order by x.weight desc) = 1 as first from hint as x) as h
    group by h.id
  )
  select c.id, c.id, c.name,
    crm.duplicate_score(k.weights::double precision[], coalesce(c.tax_number <> wanted_identifier, false)) as score,
    k.rules || case when c.tax_number <> wanted_identifier then array['other_identifier'] else '{}'::text[] end,
    round(similarity(c.name_key, wanted_key)::numeric, 3)
  from candidate as k join crm.customer as c on c.id = k.id
  where c.id is distinct from other_than and (everything or c.audience = any (audiences) or c.owner_id = any (audiences))
  order by score desc, c.id
  limit most;
end
$$;
comment on function crm.customer_duplicates(text, text, text[], text[], uuid, integer) is
  'Customers the caller may read that may mean the same as one of this name, tax or identity number, e-mail addresses and telephone numbers, most likely first.';

create function crm.contact_duplicates(
  wanted_name text, wanted_emails text[], wanted_phones text[], at_customer uuid default null, other_than uuid default null, most integer default 10
) returns setof crm.duplicate
language plpgsql stable security definer set search_path = pg_catalog, extensions, pg_temp set pg_trgm.similarity_threshold = 0.7 as $$
declare
  audiences constant uuid[] := crm.readable('customers');
  everything constant boolean := crm.reads_all('customers');
  wanted_key constant text := crm.search_key(wanted_name);
  email_keys constant text[] := array(select crm.search_key(e) from unnest(wanted_emails) as e);
  phone_keys constant text[] := array(select crm.e164(n) from unnest(wanted_phones) as n);
begin
  return query
  with hint as (
    select p.contact_id as id, p.kind as rule, case p.kind when 'email' then 0.8 else 0.7 end as weight from crm.contact_point as p
    where p.contact_id is not null and (p.kind = 'email' and p.value_key = any (email_keys)
      or p.kind = 'phone' and p.value_key = any (phone_keys))
    union all
    -- Namesakes are many: a name alone says little, unless they are at the same customer.
    (select c.id, 'name', case when c.customer_id = at_customer then 0.8 else 0.5 end * similarity(c.search_key, wanted_key) from crm.contact as c
     where c.search_key % wanted_key and (everything or c.audience = any (audiences) or c.owner_id = any (audiences))
     order by (c.customer_id = at_customer) desc nulls last, similarity(c.search_key, wanted_key) desc, c.id limit 50)
  ), candidate as (
    select h.id, array_agg(distinct h.rule) as rules, array_agg(h.weight) filter (where h.first) as weights
    from (select x.id, x.rule, x.weight, row_number() over (partition by x.id, x.rule order by x.weight desc) = 1 as first from hint as x) as h
    group by h.id
  )
  select c.id, c.customer_id, c.name, crm.duplicate_score(k.weights::double precision[], false) as score, k.rules,
    round(similarity(c.search_key, wanted_key)::numeric, 3)
  from candidate as k join crm.contact as c on c.id = k.id
  where c.id is distinct from other_than and (everything or c.audience = any (audiences) or c.owner_id = any (audiences))
  order by score desc, c.id
  limit most;
end
$$;
comment on function crm.contact_duplicates(text, text[], text[], uuid, uuid, integer) is
  'Contacts the caller may read that may be the same person as one of this name, e-mail addresses and telephone numbers; a namesake at the given customer weighs more.';

-- Owning needs the right to create for the moment of the hand-over; only the migrator is a member of both roles.
set local role none;
grant create on schema crm to crm_steward;
alter function crm.customer_duplicates(text, text, text[], text[], uuid, integer) owner to crm_steward;
alter function crm.contact_duplicates(text, text[], text[], uuid, uuid, integer) owner to crm_steward;
revoke create on schema crm from crm_steward;
