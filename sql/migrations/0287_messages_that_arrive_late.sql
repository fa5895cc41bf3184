-- A message is unread by when it arrived here, not by when it was sent: a mailbox is looked at once in a while, and providers deliver late. What arrives behind a
-- later answer opens its conversation all the same.
set local role crm_owner;

alter table crm.conversation add column last_arrived_at timestamptz;
comment on column crm.conversation.last_arrived_at is
  'When the latest message from the customer was taken in, which may be after it was sent; each person''s unread counts go by it. Null before the first.';
alter table crm.conversation add constraint conversation_last_arrived_at_finite check (isfinite(last_arrived_at));
comment on constraint conversation_last_arrived_at_finite on crm.conversation is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create index conversation_unassigned_index on crm.conversation (last_interaction_at, id) where assignee_id is null and state = 'open';

create or replace function crm.count_interaction() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  is_said constant boolean := new.kind not in ('auto_reply', 'bounce');
  -- What a channel takes in is news whenever it was sent; what a colleague writes down of the past is not.
  is_received constant boolean := is_said and new.direction = 'in' and new.created_by is null;
begin
  update crm.conversation as c set
    interaction_count = c.interaction_count + 1,
    last_interaction_at = greatest(c.last_interaction_at, new.occurred_at),
    last_direction = case when is_received then 'in' when c.last_interaction_at > new.occurred_at then c.last_direction else new.direction end,
    -- Always later than before, so that nobody has read up to it who has not seen it.
    last_arrived_at = case
      when is_said and new.direction = 'in' and (is_received or new.occurred_at >= coalesce(c.last_interaction_at, '-infinity'))
      then greatest(clock_timestamp(), c.last_arrived_at + interval '1 microsecond') else c.last_arrived_at end,
    participants = case when new.participants <@ c.participants then c.participants
      else array(select distinct p from unnest(c.participants || new.participants) as p order by p) end,
    state = case
      when is_received or is_said and new.direction = 'in' and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then 'open'
      when is_said and new.direction = 'out' and c.state = 'open' and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then 'waiting'
      else c.state end,
    snoozed_until = case
      when is_received or is_said and new.direction = 'in' and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then null else c.snoozed_until end
  where c.customer_id = new.customer_id and c.id = new.conversation_id;
  return null;
end
$$;
