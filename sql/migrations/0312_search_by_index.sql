-- Searching among a million customers reads those that fit, not all. Indexes of trigrams cannot be used under a policy, because LIKE is not LEAKPROOF; so a function of
-- crm_steward names what fits, past the policies, and the list that asked shows of it what its policies let it.
set local role crm_owner;

create index customer_search_key_trigrams on crm.customer using gin (search_key extensions.gin_trgm_ops);
create index customer_tax_number_trigrams on crm.customer using gin (tax_number extensions.gin_trgm_ops) where tax_number is not null;

create function crm.containing(key text) returns text language sql immutable strict parallel safe
  return '%' || regexp_replace(key, '([\\%_])', '\\\1', 'g') || '%';
comment on function crm.containing(text) is 'The pattern of LIKE for texts that have this one somewhere in them.';

create function crm.found() returns uuid[] language sql stable parallel safe
  return nullif(current_setting('muhatap.found', true), '')::uuid[];
comment on function crm.found() is 'The ids that a search of this transaction found by an index; null when it is to look at every row.';

-- What they look in is what the resources declare as search. Planned for the very term, and always by the index: how rare a term is cannot be guessed from its length.
create function crm.search_customer(term text) returns uuid[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
set enable_seqscan = off set enable_indexscan = off set enable_indexonlyscan = off as $$
declare
  key constant text := crm.search_key(term);
  pattern constant text := crm.containing(key);
  ids uuid[];
begin
  if length(key) < 3 then
    return null;
  end if;
  ids := array(select c.id from crm.customer as c where c.search_key like pattern limit 1001);
  if cardinality(ids) <= 1000 and key ~ '^[0-9]+$' then
    ids := ids || array(select c.id from crm.customer as c where c.tax_number like pattern limit 1001);
  end if;
  return case when cardinality(ids) <= 1000 then ids end;
end
$$;
comment on function crm.search_customer(text) is
  'The ids of the customers that a search for a text finds, whoever may see them; null when they are more than a thousand, or the text is too short for the index: then walking through the rows is as fast.';

create function crm.search_contact(term text) returns uuid[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
set enable_seqscan = off set enable_indexscan = off set enable_indexonlyscan = off as $$
declare
  key constant text := crm.search_key(term);
  pattern constant text := crm.containing(key);
  customers uuid[];
  ids uuid[];
begin
  if length(key) < 3 then
    return null;
  end if;
  customers := array(select c.id from crm.customer as c where c.search_key like pattern limit 1001);
  if cardinality(customers) <= 1000 then
    ids := array(select k.id from crm.contact as k where k.search_key like pattern limit 1001)
      || array(select k.id from crm.contact as k where k.customer_id = any (customers) limit 1001);
  end if;
  return case when cardinality(ids) <= 1000 then ids end;
end
$$;
comment on function crm.search_contact(text) is
  'The ids of the contacts that a search for a text finds, in their own names or their customers'', whoever may see them; null when they are more than a thousand or the text is too short for the index.';

revoke execute on function crm.search_customer(text), crm.search_contact(text) from crm_access, crm_bulk;
set local role none;
grant create on schema crm to crm_steward;
alter function crm.search_customer(text) owner to crm_steward;
alter function crm.search_contact(text) owner to crm_steward;
revoke create on schema crm from crm_steward;
