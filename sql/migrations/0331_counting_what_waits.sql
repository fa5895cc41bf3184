-- Counting what nobody took yet reads an index of what the reader may see, not the conversations.
set local role crm_owner;

create index conversation_waiting_index on crm.conversation (audience, id) include (customer_id, owner_id, last_direction, last_arrived_at, last_interaction_at)
  where assignee_id is null and state = 'open';
-- Participants may be many, too many for an entry above.
create index conversation_waiting_participants_index on crm.conversation using gin (participants) where assignee_id is null and state = 'open' and participants <> '{}';

create function crm.count_unassigned(out unassigned bigint, out unread bigint) language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  mine constant uuid[] := coalesce(crm.readable('customers'), '{}');
  others constant uuid[] := array(
    select o.id from crm.conversation as o where o.assignee_id is null and o.state = 'open' and o.owner_id = any (mine) and o.audience <> all (mine)
    union
    select o.id from crm.conversation as o where o.assignee_id is null and o.state = 'open' and o.id = any (mine) and o.audience <> all (mine)
    union
    select o.id from crm.conversation as o
    where o.assignee_id is null and o.state = 'open' and o.participants <> '{}' and o.participants && mine and o.audience <> all (mine));
begin
  -- As the policies of conversations say: by audience, and besides as owner, by a share, and as participant.
  select count(*), count(*) filter (where w.last_direction = 'in' and (r.read_at is null or w.arrived_at > r.read_at)) into unassigned, unread
  from (
    select c.customer_id, c.id, c.last_direction, coalesce(c.last_arrived_at, c.last_interaction_at) as arrived_at
    from crm.conversation as c where c.assignee_id is null and c.state = 'open' and c.audience = any (mine)
    union all
    select c.customer_id, c.id, c.last_direction, coalesce(c.last_arrived_at, c.last_interaction_at)
    from crm.conversation as c where c.id = any (others)
    union all
    select c.customer_id, c.id, c.last_direction, coalesce(c.last_arrived_at, c.last_interaction_at)
    from crm.conversation as c where crm.reads_all('customers') and c.assignee_id is null and c.state = 'open'
  ) as w
  left join crm.conversation_reader as r on r.customer_id = w.customer_id and r.conversation_id = w.id and r.user_id = crm.caller_id();
end
$$;
comment on function crm.count_unassigned() is
  'How many open conversations that the caller may see are nobody''s to answer, and how many of them the caller has not read. Counts as the policies show, without looking at the rows.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.count_unassigned() owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;
