-- Whoever is told of a record sees it at that moment: following, being given and being named outlast the right to see. Records of any kind can be commented on.
set local role crm_owner;

create function crm.is_seen_by(person uuid, of_resource text, record uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  about record;
  whole jsonb;
begin
  select p.area, p.relation::regclass as relation, p.kind into about from crm.protection as p
  where p.resource = of_resource and p.kind in ('owned', 'reference', 'computed', 'common');
  if not found then
    return false;
  end if;
  execute format('select to_jsonb(t) from %s as t where t.id = $1', about.relation) into whole using record;
  return whole is not null and exists (
    select from crm.access_of(person) as a
    where about.kind = 'common' or a.area = about.area and case about.kind
      when 'owned' then coalesce((whole ->> 'audience')::uuid = any (a.readable), false) or coalesce((whole ->> 'owner_id')::uuid = any (a.readable), false)
        or record = any (a.readable)
        or a.readable && coalesce(array(select p::uuid from jsonb_array_elements_text(case jsonb_typeof(whole -> 'participants') when 'array' then whole -> 'participants' else '[]' end) as p), '{}')
      else cardinality(a.readable) > 0 end);
end
$$;
comment on function crm.is_seen_by(uuid, text, uuid) is
  'Whether a user sees a record, by the name of its resource and its id: asks for them what the policies ask for the caller. False for an inactive user.';

create or replace function crm.tell_followers() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  subject text;
begin
  select left(coalesce(c.subject, '–'), 200) into subject from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id;
  perform crm.notify(r.user_id, 'message', 'conversations', new.conversation_id, format('New message: %s', subject), format('Yeni mesaj: %s', subject))
  from crm.conversation_reader as r
  where r.customer_id = new.customer_id and r.conversation_id = new.conversation_id and r.follows and crm.is_seen_by(r.user_id, 'conversations', new.conversation_id);
  return null;
end
$$;
comment on function crm.tell_followers() is
  'Trigger: tells who follows a conversation, and sees it still, that a message came in. Runs as the owner, because readers are nobody else''s business.';

create or replace function crm.wake_conversations(at timestamptz) returns integer language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  woken integer;
begin
  with awake as (
    update crm.conversation as c set state = 'open', snoozed_until = null
    where c.state = 'snoozed' and c.snoozed_until <= at
    returning c.id, c.assignee_id, c.subject
  ), told as (
    select crm.notify(a.assignee_id, 'woken', 'conversations', a.id, format('Back from snooze: %s', left(coalesce(a.subject, '–'), 200)),
      format('Ertelenen görüşme geri geldi: %s', left(coalesce(a.subject, '–'), 200)))
    from awake as a where a.assignee_id is not null and crm.is_seen_by(a.assignee_id, 'conversations', a.id)
  )
  select count(*) into woken from awake left join (select count(*) from told) as t on true;
  return woken;
end
$$;

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
  return new;
end
$$;

-- What was said in private is not read in a ticket either: it has the subject, and who took part reads the rest in the conversation.
create function crm.keep_private_words() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id and c.visibility = 'private')
    and exists (select from crm.interaction as i where i.customer_id = new.customer_id and i.conversation_id = new.conversation_id and left(i.body_text, 100000) = new.description) then
    new.description := null;
  end if;
  return new;
end
$$;
comment on function crm.keep_private_words() is 'Trigger: a ticket does not repeat what was said in a private conversation; what a colleague writes into it stays.';
revoke execute on function crm.keep_private_words() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger ticket_private_insert before insert on crm.ticket for each row when (new.conversation_id is not null and new.description is not null)
  execute function crm.keep_private_words();

-- Who took part reads a private interaction: only colleagues take part, not departments, whose ids are among what people read, too.
create function crm.know_participants() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from unnest(new.participants) as p where not exists (select from crm.app_user as u where u.id = p)) then
    perform crm.missing_reference('participants');
  end if;
  return new;
end
$$;
comment on function crm.know_participants() is 'Trigger: who took part in an interaction are users.';
revoke execute on function crm.know_participants() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger interaction_participants_insert before insert on crm.interaction for each row when (new.participants <> '{}' and crm.caller_id() is not null) execute function crm.know_participants();
create trigger interaction_participants_update before update on crm.interaction for each row
  when (new.participants <> '{}' and new.participants <> old.participants and crm.caller_id() is not null) execute function crm.know_participants();

set local role none;
grant create on schema crm to crm_steward;
alter function crm.keep_private_words() owner to crm_steward;
alter function crm.know_participants() owner to crm_steward;
alter function crm.is_seen_by(uuid, text, uuid) owner to crm_steward;
revoke execute on function crm.is_seen_by(uuid, text, uuid) from crm_bulk, crm_access;
grant execute on function crm.is_seen_by(uuid, text, uuid) to crm_owner;

set local role crm_steward;

create or replace function crm.seen_record(
  of_resource text, record uuid,
  out area text, out relation regclass, out customer_id uuid, out department_id uuid, out owner_id uuid, out audience uuid, out participants uuid[], out name text
) language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  whole jsonb;
  mine uuid[];
  manner text;
begin
  select p.area, p.relation::regclass, p.kind into area, relation, manner from crm.protection as p
  where p.resource = of_resource and p.kind in ('owned', 'reference', 'computed', 'common');
  if not found or not exists (select from pg_attribute as a where a.attrelid = relation and a.attname = 'id' and a.atttypid = 'uuid'::regtype and not a.attisdropped) then
    area := null;
    return;
  end if;
  execute format('select to_jsonb(t) from %s as t where t.id = $1', relation) into whole using record;
  customer_id := coalesce((whole ->> 'customer_id')::uuid, case when of_resource = 'customers' then record end);
  department_id := (whole ->> 'department_id')::uuid;
  owner_id := (whole ->> 'owner_id')::uuid;
  audience := (whole ->> 'audience')::uuid;
  participants := coalesce(array(select p::uuid from jsonb_array_elements_text(case jsonb_typeof(whole -> 'participants') when 'array' then whole -> 'participants' else '[]' end) as p), '{}');
  name := left(coalesce(whole ->> 'name', whole ->> 'title', whole ->> 'subject', whole ->> 'number', whole ->> 'company_name', whole ->> 'code', '–'), 200);
  mine := coalesce(crm.readable(area), '{}');
  if whole is null or not (case manner
    when 'owned' then coalesce(audience = any (mine), false) or coalesce(owner_id = any (mine), false) or record = any (mine) or participants && mine or crm.reads_all(area)
    when 'common' then crm.signed_in() or crm.reads(area)
    else crm.reads(area) end)
  then
    area := null;
  end if;
end
$$;

create or replace function crm.add_comment(of_resource text, record uuid, text text, mentions uuid[]) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  about record;
  person uuid;
  id constant uuid := crm.uuid_v7();
begin
  select * into about from crm.seen_record(of_resource, record);
  if about.area is null or crm.caller_id() is null then
    perform crm.missing_reference('record_id');
  end if;
  insert into crm.comment (id, resource, record_id, customer_id, author_id, text, mentions)
  values (id, of_resource, record, about.customer_id, crm.caller_id(), add_comment.text, add_comment.mentions);
  foreach person in array add_comment.mentions loop
    if not crm.is_seen_by(person, of_resource, record) then
      perform crm.missing_reference('mentions');
    end if;
    perform crm.notify(person, 'mention', of_resource, record, format('You were mentioned: %s', about.name), format('Sizden söz edildi: %s', about.name));
  end loop;
  return id;
end
$$;

-- Being at a conversation is for whom it is shared with, too.
create or replace function crm.attend_conversation(conversation uuid, activity text, at timestamptz) returns table (user_id uuid, name text, doing text, since timestamptz)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  if not exists (select from crm.seen_record('conversations', attend_conversation.conversation) as s where s.area is not null) then
    perform crm.missing_reference('id');
  end if;
  if attend_conversation.activity is null then
    delete from crm.conversation_presence as p where p.conversation_id = attend_conversation.conversation and p.user_id = crm.caller_id();
  else
    insert into crm.conversation_presence as p (conversation_id, user_id, activity, since, until)
    values (attend_conversation.conversation, crm.caller_id(), attend_conversation.activity, at, at + interval '45 seconds')
    on conflict on constraint conversation_presence_user_id_primary do update
      set activity = excluded.activity, until = excluded.until, since = case when p.until < at or p.activity <> excluded.activity then at else p.since end;
  end if;
  return query
  select p.user_id, u.name, p.activity, p.since from crm.conversation_presence as p join crm.app_user as u on u.id = p.user_id
  where p.conversation_id = attend_conversation.conversation and p.until >= at and p.user_id is distinct from crm.caller_id() order by p.since, p.user_id;
end
$$;

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
