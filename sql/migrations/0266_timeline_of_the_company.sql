-- Who reads a customer sees in its timeline that there is a ticket, what it is about and how it stands, and how content the customer said to be, also without rights in
-- service. What the customer described, notes and clocks are read with such rights alone; tickets that are not the whole company's stay with their department or owner.
set local role crm_owner;

create function crm.tickets_in_timeline(of_customer uuid)
returns table (customer_id uuid, id uuid, opened_at timestamptz, type text, channel text, status text, title text, description text, assignee_id uuid, contact_id uuid,
  conversation_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp rows 20 as $$
  select t.customer_id, t.id, t.opened_at, t.type, t.channel, t.status, t.number || ' · ' || t.subject, case when x.is_read then t.description end,
    t.assignee_id, t.contact_id, t.conversation_id
  from crm.seen_record('customers', of_customer) as c
  join crm.ticket as t on t.customer_id = of_customer
  cross join lateral (
    select crm.reads_all('service') or coalesce(t.audience = any (crm.readable('service')), false) or coalesce(t.owner_id = any (crm.readable('service')), false)
      or coalesce(t.id = any (crm.readable('service')), false) as is_read
  ) as x
  where c.area is not null and (x.is_read or t.visibility = 'company')
$$;
comment on function crm.tickets_in_timeline(uuid) is
  'The tickets of a customer that the caller reads, as its timeline shows them; the description only for who reads the ticket itself.';

create function crm.survey_responses_in_timeline(of_customer uuid)
returns table (customer_id uuid, id uuid, answered_at timestamptz, kind text, band text, score smallint, agent_id uuid, contact_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp rows 20 as $$
  select r.customer_id, r.id, r.answered_at, r.kind, r.band, r.score, r.agent_id, r.contact_id
  from crm.seen_record('customers', of_customer) as c
  join crm.survey_response as r on r.customer_id = of_customer
  where c.area is not null and (r.visibility = 'company' or crm.reads_all('service') or coalesce(r.audience = any (crm.readable('service')), false)
    or coalesce(r.owner_id = any (crm.readable('service')), false) or coalesce(r.id = any (crm.readable('service')), false))
$$;
comment on function crm.survey_responses_in_timeline(uuid) is
  'The scores that a customer whom the caller reads gave in surveys, as its timeline shows them; never what was written.';

revoke execute on function crm.tickets_in_timeline(uuid), crm.survey_responses_in_timeline(uuid) from crm_bulk, crm_access;
set local role none;
grant create on schema crm to crm_steward;
alter function crm.tickets_in_timeline(uuid) owner to crm_steward;
alter function crm.survey_responses_in_timeline(uuid) owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;
