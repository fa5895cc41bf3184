-- The review of unknown senders in pages: whoever has many finds the older ones, too.
set local role crm_owner;

drop function crm.identity_candidates(integer);
create function crm.identity_candidates(most integer default 50, before uuid default null)
returns table (customer_id uuid, name text, since timestamptz, candidate_id uuid, candidate_name text, score numeric, rules text[]) language sql stable as $$
  select c.id, c.name, c.created_at, d.id, d.name, d.score, d.rules
  from (
    select x.id, x.name, x.created_at from crm.customer as x
    where x.provisional and (x.id < identity_candidates.before or identity_candidates.before is null)
    order by x.id desc limit most
  ) as c
  left join lateral (
    select f.id, f.name, f.score, f.rules from crm.customer_duplicates(c.name, null,
      array(select p.value from crm.contact_point as p where p.customer_id = c.id and p.kind = 'email'),
      array(select p.value from crm.contact_point as p where p.customer_id = c.id and p.kind = 'phone'), c.id, 5) as f
  ) as d on true
  order by c.id desc, d.score desc, d.id
$$;
comment on function crm.identity_candidates(integer, uuid) is
  'The provisional customers the caller may read, newest first, behind the one given, each with the known ones they may be: what a colleague decides by merging or confirming.';
