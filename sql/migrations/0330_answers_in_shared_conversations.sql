-- Whoever is shared a conversation for writing answers in it, as far and as long as the share goes, and whoever takes part in a private conversation notes
-- things there. docs/adr/0026 says how shares reach.
set local role crm_owner;

-- A conversation's id is among what they read whom it is shared with, from the share's first moment: what is said is seen with it, not only once its own share is known.
-- PostgreSQL asks policies in the reverse order of their names: what is read by its audience is not compared any further.
create policy interaction_of_conversation on crm.interaction for select to crm_app, crm_worker using (conversation_id = any ((select crm.readable('customers'))::uuid[]));
create policy interaction_shared_insert on crm.interaction for insert to crm_app, crm_worker with check (conversation_id = any ((select crm.shared_for_writing())::uuid[]));
create policy attachment_of_conversation on crm.attachment for select to crm_app, crm_worker using (conversation_id = any ((select crm.readable('customers'))::uuid[]));
create policy attachment_shared_insert on crm.attachment for insert to crm_app, crm_worker with check (conversation_id = any ((select crm.shared_for_writing())::uuid[]));
create policy attachment_shared_update on crm.attachment for update to crm_app, crm_worker
  using (conversation_id = any ((select crm.shared_for_writing())::uuid[])) with check (conversation_id = any ((select crm.shared_for_writing())::uuid[]));
create policy attachment_shared_delete on crm.attachment for delete to crm_app, crm_worker
  using (conversation_id = any ((select crm.shared_for_writing())::uuid[]) and interaction_id is null);
-- An answer, nothing commercial, and for nobody else's eyes than the conversation.
create policy outbound_message_shared_insert on crm.outbound_message for insert to crm_app, crm_worker with check (
  conversation_id = any ((select crm.shared_for_writing())::uuid[]) and legal_class = 'transactional' and exists (
    select from crm.conversation as c
    where c.customer_id = outbound_message.customer_id and c.id = outbound_message.conversation_id
      and c.department_id = outbound_message.department_id and c.visibility = outbound_message.visibility));

create or replace function crm.follow_conversation() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  thread crm.conversation;
begin
  select c.* into thread from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id;
  if not found or not (thread.audience = any (coalesce(crm.readable('customers'), '{}')) or coalesce(thread.owner_id = any (crm.readable('customers')), false)
    or thread.id = any (coalesce(crm.readable('customers'), '{}')) or thread.participants && coalesce(crm.readable('customers'), '{}') or crm.reads_all('customers')) then
    perform crm.missing_reference('conversation_id');
  end if;
  new.department_id := thread.department_id;
  new.owner_id := thread.owner_id;
  new.visibility := thread.visibility;
  -- Taking part lasts, a share ends: who answers by a share takes no part, and lets nobody else take part.
  if new.participants <> '{}' and thread.id = any (crm.shared_for_writing()) and not crm.may_write('customers', thread.department_id, thread.owner_id) then
    new.participants := case thread.visibility when 'private' then thread.participants else array(select p from unnest(new.participants) as p where p = any (thread.participants)) end;
  end if;
  return new;
end
$$;

create or replace function crm.follow_interaction() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  about record;
  mine constant uuid[] := coalesce(crm.readable('customers'), '{}');
begin
  if new.interaction_id is not null then
    select i.id, i.occurred_at, i.conversation_id, i.department_id, i.owner_id, i.audience, i.participants into about
    from crm.interaction as i where i.customer_id = new.customer_id and i.id = new.interaction_id;
  else
    select null::uuid as id, null::timestamptz as occurred_at, c.id as conversation_id, c.department_id, c.owner_id, c.audience, c.participants into about
    from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id;
  end if;
  if not found or not (about.audience = any (mine) or coalesce(about.owner_id = any (mine), false) or about.participants && mine
    or coalesce(about.conversation_id = any (mine), false) or coalesce(about.id = any (mine), false) or crm.reads_all('customers')) then
    perform crm.missing_reference(case when new.interaction_id is not null then 'interaction_id' else 'conversation_id' end);
  end if;
  new.interaction_at := about.occurred_at;
  new.conversation_id := about.conversation_id;
  new.department_id := about.department_id;
  new.owner_id := about.owner_id;
  new.audience := about.audience;
  new.participants := about.participants;
  return new;
end
$$;

-- The gate asks for the customer's department only where the message has none; an answer has its conversation's, whose customer need not be shared.
do $$
declare
  said constant text := pg_get_functiondef('crm.guard_message()'::regprocedure);
  meant constant text := replace(said, 'select coalesce(new.department_id, c.department_id) into new.department_id from crm.customer as c where c.id = new.customer_id;
    if not found then', 'if new.department_id is null or not coalesce(new.conversation_id = any (crm.shared_for_writing()), false) then
      select coalesce(new.department_id, c.department_id) into new.department_id from crm.customer as c where c.id = new.customer_id;
    end if;
    if new.department_id is null then');
begin
  if meant = said then
    raise exception 'crm.guard_message no longer asks for the customer as it did';
  end if;
  execute meant;
end
$$;

-- Notes -------------------------------------------------------------------------------------------------------------------------------

alter table crm.internal_note add column participants uuid[] not null default '{}';
comment on column crm.internal_note.participants is 'Of a private conversation, the users who took part in it; they read its notes, as far as they read anything of the service.';
alter table crm.internal_note add constraint internal_note_participants_known check (array_position(participants, null) is null);
comment on constraint internal_note_participants_known on crm.internal_note is 'en: Participants are users. | tr: Katılımcılar kullanıcılardır.';
create policy internal_note_of_conversation on crm.internal_note for select to crm_app, crm_worker
  using (participants && (select crm.readable('service'))::uuid[] or conversation_id = any ((select crm.readable('service'))::uuid[]));
create policy internal_note_shared_insert on crm.internal_note for insert to crm_app, crm_worker
  with check (conversation_id = any ((select crm.shared_for_writing())::uuid[]) and conversation_id = any ((select crm.readable('service'))::uuid[]));

-- Whom a conversation is shared with for writing reads what the service notes about it, where they read anything of the service.
do $$
declare
  said constant text := pg_get_functiondef('crm.reach_of(uuid,uuid,jsonb)'::regprocedure);
  meant constant text := replace(said, 'where ranks.reads >= 1 and r.area = ranks.area
', 'where ranks.reads >= 1 and (r.area = ranks.area or ranks.area = ''service'' and r.resource = ''conversations'' and r.access = ''write'')
');
begin
  if meant = said then
    raise exception 'crm.reach_of no longer says what shares open';
  end if;
  execute meant;
end
$$;
grant select (resource) on crm.record_share to crm_access;

create function crm.reads_notes_of(thread crm.conversation) returns boolean language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(thread.audience = any (crm.readable('service')), false) or coalesce(thread.owner_id = any (crm.readable('service')), false)
    or coalesce(thread.visibility = 'private' and thread.participants && crm.readable('service'), false)
    or coalesce(thread.id = any (crm.readable('service')), false) or crm.reads_all('service')
$$;
comment on function crm.reads_notes_of(crm.conversation) is
  'Whether the caller reads what the service notes about a conversation: who sees it as service does, who takes part in it when it is private, and whom it is shared with for writing.';

create function crm.may_note_on(customer uuid, conversation uuid) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (
    select from crm.conversation as c
    where c.customer_id = may_note_on.customer and c.id = may_note_on.conversation and crm.reads_notes_of(c)
      and (crm.may_write('service', c.department_id, c.owner_id) or coalesce(c.id = any (crm.shared_for_writing()), false)))
$$;
comment on function crm.may_note_on(uuid, uuid) is 'Whether the caller may note something about a conversation among colleagues of the service.';

create or replace function crm.lead_conversation_parts() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if (old.department_id, old.owner_id, old.visibility) is distinct from (new.department_id, new.owner_id, new.visibility) then
    update crm.interaction as x set department_id = new.department_id, owner_id = new.owner_id, visibility = new.visibility
    where x.customer_id = new.customer_id and x.conversation_id = new.id
      and (x.department_id, x.owner_id, x.visibility) is distinct from (new.department_id, new.owner_id, new.visibility);
  end if;
  update crm.internal_note as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience,
    participants = case new.visibility when 'private' then new.participants else '{}' end
  where x.customer_id = new.customer_id and x.conversation_id = new.id
    and (x.department_id, x.owner_id, x.audience, x.participants) is distinct from
      (new.department_id, new.owner_id, new.audience, case new.visibility when 'private' then new.participants else '{}'::uuid[] end);
  return null;
end
$$;
comment on function crm.lead_conversation_parts() is
  'Trigger: when a conversation changes department, owner or visibility, its interactions and notes follow; of a private one, its notes follow who takes part.';
drop trigger conversation_lead on crm.conversation;
create trigger conversation_lead after update on crm.conversation for each row
  when ((old.department_id, old.owner_id, old.visibility) is distinct from (new.department_id, new.owner_id, new.visibility)
    or new.visibility = 'private' and old.participants is distinct from new.participants) execute function crm.lead_conversation_parts();
alter table crm.conversation enable always trigger conversation_lead;

update crm.internal_note as n set participants = c.participants
from crm.conversation as c where c.customer_id = n.customer_id and c.id = n.conversation_id and c.visibility = 'private' and c.participants <> '{}';

set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;
do $$
declare
  said constant text := pg_get_functiondef('crm.is_seen_by(uuid,text,uuid)'::regprocedure);
  meant constant text := replace(said, 'or record = any (a.readable)', 'or record = any (a.readable)
        or of_resource in (''interactions'', ''attachments'', ''internal_notes'') and coalesce((whole ->> ''conversation_id'')::uuid = any (a.readable), false)');
begin
  if meant = said then
    raise exception 'crm.is_seen_by no longer says who sees a record';
  end if;
  execute meant;
end
$$;
create or replace function crm.follow_noted() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  thread crm.conversation;
begin
  if new.conversation_id is not null then
    select * into thread from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id;
    if not found or not crm.reads_notes_of(thread) then
      perform crm.missing_reference('conversation_id');
    end if;
    new.department_id := thread.department_id;
    new.owner_id := thread.owner_id;
    new.audience := thread.audience;
    new.participants := case thread.visibility when 'private' then thread.participants else '{}' end;
    return new;
  end if;
  select t.department_id, t.owner_id, t.audience into new.department_id, new.owner_id, new.audience
  from crm.ticket as t where t.customer_id = new.customer_id and t.id = new.ticket_id;
  if not found or not (coalesce(new.audience = any (crm.readable('service')), false) or coalesce(new.owner_id = any (crm.readable('service')), false)
    or crm.reads_all('service')) then
    perform crm.missing_reference('ticket_id');
  end if;
  return new;
end
$$;
set local role none;
alter function crm.may_note_on(uuid, uuid) owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;
