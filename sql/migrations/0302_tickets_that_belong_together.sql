-- Parts of tickets: no ticket is a part of its own parts; time spent and notes are read by whom the ticket is read by; and a resolved ticket nobody promised anything
-- for closes by itself as well.
set local role crm_steward;
update crm.ticket as t set opened_at = t.created_at where t.opened_at > t.created_at + interval '5 minutes';
set local role crm_owner;

-- Whoever changes one parent locks those above it, so that two changes at once do not close a circle.
create function crm.check_ticket_parent() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  above uuid := new.parent_id;
begin
  while above is not null loop
    if above = new.id then
      raise exception using errcode = 'check_violation', schema = 'crm', table = 'ticket', constraint = 'ticket_parent_id_other',
        message = 'a ticket cannot be a part of one of its parts';
    end if;
    select t.parent_id into above from crm.ticket as t where t.customer_id = new.customer_id and t.id = above for share;
  end loop;
  return new;
end
$$;
comment on function crm.check_ticket_parent() is 'Trigger: refuses a parent that is a part of the ticket, at whatever remove.';
revoke execute on function crm.check_ticket_parent() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger ticket_parent_update before update on crm.ticket for each row
  when (new.parent_id is not null and new.parent_id is distinct from old.parent_id) execute function crm.check_ticket_parent();
comment on constraint ticket_parent_id_other on crm.ticket is
  'en: A ticket cannot be a part of itself or of one of its parts. | tr: Bir talep kendisinin ya da kendi parçalarından birinin parçası olamaz.';

alter table crm.ticket add constraint ticket_opened_at_past check (opened_at <= created_at + interval '5 minutes');
comment on constraint ticket_opened_at_past on crm.ticket is 'en: A ticket that is written down has come in; give an instant that is not in the future. | tr: Kaydedilen talep gelmiş olmalıdır; gelecekte olmayan bir an verin.';

comment on column crm.sla_policy.closes_after_hours is
  'After how many hours, day and night, a resolved ticket that was not reopened closes by itself; null never closes one. Tickets without a policy close after a week.';

drop index crm.ticket_resolved_index;
create index ticket_resolved_index on crm.ticket (sla_policy_id, status_since) where status = 'resolved';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.check_ticket_parent() owner to crm_steward;
set local role crm_steward;

create or replace function crm.close_resolved(at timestamptz, most integer) returns integer language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with due as materialized (
    select x.customer_id, x.id from crm.sla_policy as p
    cross join lateral (
      select t.customer_id, t.id, t.status_since from crm.ticket as t
      where t.status = 'resolved' and t.sla_policy_id = p.id and t.status_since <= close_resolved.at - make_interval(hours => p.closes_after_hours)
      order by t.status_since limit most) as x
    union all
    (select t.customer_id, t.id from crm.ticket as t
     where t.status = 'resolved' and t.sla_policy_id is null and t.status_since <= close_resolved.at - interval '168 hours' order by t.status_since limit most)
    limit most
  ), locked as materialized (
    select t.customer_id, t.id from due as d join crm.ticket as t on t.customer_id = d.customer_id and t.id = d.id where t.status = 'resolved' for update of t skip locked
  ), closed as (
    update crm.ticket as t set status = 'closed', status_reason = 'not_reopened', status_since = greatest(close_resolved.at, t.status_since)
    from locked as l where t.customer_id = l.customer_id and t.id = l.id and t.status = 'resolved' returning 1
  )
  select count(*)::integer from closed
$$;
comment on function crm.close_resolved(timestamptz, integer) is
  'Closes tickets that were resolved longer ago, at an instant, than their policy waits for the customer, or than a week without a policy; at most so many. Says how many. For system work.';

-- The ticket is locked before its times are added up, so that of two entries at once neither is left out.
create or replace function crm.count_ticket_time() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from crm.ticket as t join (select distinct r.customer_id, r.ticket_id from touched_rows as r) as x on x.customer_id = t.customer_id and x.ticket_id = t.id
  order by t.id for no key update of t;
  update crm.ticket as t set seconds_spent = s.seconds
  from (
    select x.customer_id, x.ticket_id,
      (select least(coalesce(sum(m.seconds), 0), 2147483647)::integer from crm.ticket_time as m where m.customer_id = x.customer_id and m.ticket_id = x.ticket_id) as seconds
    from (select distinct r.customer_id, r.ticket_id from touched_rows as r) as x
  ) as s
  where t.customer_id = s.customer_id and t.id = s.ticket_id and t.seconds_spent <> s.seconds;
  return null;
end
$$;

-- What the clock of a sender says of the future is not when its ticket came.
create or replace function crm.open_ticket(customer uuid, conversation uuid) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  c crm.conversation;
  said record;
  place record;
  made crm.ticket;
begin
  select * into c from crm.conversation as x where x.customer_id = open_ticket.customer and x.id = open_ticket.conversation for update;
  if not found then
    perform crm.missing_reference('conversation_id');
  end if;
  select t.* into made from crm.ticket as t where t.customer_id = c.customer_id and t.conversation_id = c.id and t.status <> 'closed' order by t.opened_at desc limit 1;
  if found then
    return made.id;
  end if;
  select i.subject, i.body_text, i.occurred_at into said from crm.interaction as i
  where i.conversation_id = c.id and i.customer_id = c.customer_id and i.direction = 'in' order by i.occurred_at desc, i.id desc limit 1;
  select a.ticket_team_id, a.department_id into place from crm.channel_account as a where a.id = c.channel_account_id;
  insert into crm.ticket (customer_id, subject, description, priority, channel, contact_id, conversation_id, team_id, opened_at, department_id, visibility)
  values (c.customer_id, left(coalesce(nullif(btrim(c.subject), ''), nullif(btrim(said.subject), ''), left(nullif(btrim(said.body_text), ''), 80), '—'), 300),
    left(said.body_text, 100000), c.priority, c.channel, c.contact_id, c.id, coalesce(c.team_id, place.ticket_team_id), coalesce(least(said.occurred_at, now()), now()),
    c.department_id, case c.visibility when 'private' then 'department' else c.visibility end)
  returning * into made;
  update crm.conversation as x set team_id = made.team_id, assignee_id = made.assignee_id
  where x.customer_id = c.customer_id and x.id = c.id and (x.team_id, x.assignee_id) is distinct from (made.team_id, made.assignee_id);
  return made.id;
end
$$;

create or replace function crm.lead_ticket_parts() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.ticket_stay as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  update crm.ticket_clock as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  update crm.sla_event as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  update crm.routing_decision as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  update crm.ticket_time as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.customer_id and x.ticket_id = new.id;
  update crm.internal_note as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.ticket_id = new.id and x.conversation_id is null;
  return null;
end
$$;
comment on function crm.lead_ticket_parts() is
  'Trigger: when a ticket changes department, owner or visibility, its stays, clocks, events, decisions, times and notes follow; notes about a conversation follow that.';

update crm.ticket_time as x set department_id = t.department_id, owner_id = t.owner_id, audience = t.audience
from crm.ticket as t where t.customer_id = x.customer_id and t.id = x.ticket_id
  and (x.department_id, x.owner_id, x.audience) is distinct from (t.department_id, t.owner_id, t.audience);
update crm.internal_note as x set department_id = t.department_id, owner_id = t.owner_id, audience = t.audience
from crm.ticket as t where t.customer_id = x.customer_id and t.id = x.ticket_id and x.conversation_id is null
  and (x.department_id, x.owner_id, x.audience) is distinct from (t.department_id, t.owner_id, t.audience);

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
