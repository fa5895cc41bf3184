-- What people are told, what each has read and begun to write, who is at a conversation now, and the ways of looking at the inbox that a department shares.
set local role crm_owner;

create table crm.notice (
  id         uuid        not null default crm.uuid_v7(),
  user_id    uuid        not null,
  kind       text        not null,
  resource   text,
  record_id  uuid,
  text_en    text        not null,
  text_tr    text        not null,
  actor_id   uuid        default crm.caller_id(),
  read_at    timestamptz,
  digest_id  uuid,
  created_at timestamptz not null default now(),
  constraint notice_id_primary primary key (id),
  constraint notice_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint notice_kind_shape check (kind ~ '^[a-z][a-z_]{0,62}$'),
  constraint notice_record_id_given check ((resource is null) = (record_id is null)),
  constraint notice_text_length check (length(text_en) between 1 and 500 and length(text_tr) between 1 and 500)
);
comment on table crm.notice is 'Something a user is told: that they were mentioned, that work was given to them, that a deadline is near.';
comment on column crm.notice.user_id is 'Who is told.';
comment on column crm.notice.kind is 'What sort, such as mention, assigned, shared, sla_warning.';
comment on column crm.notice.resource is 'The resource it is about, such as conversations.';
comment on column crm.notice.record_id is 'The record it is about.';
comment on column crm.notice.text_en is 'personal: what it says, in English.';
comment on column crm.notice.text_tr is 'personal: what it says, in Turkish.';
comment on column crm.notice.actor_id is 'The user who caused it; null for the system.';
comment on column crm.notice.read_at is 'When it was read.';
comment on column crm.notice.digest_id is 'The digest it was mailed in.';
comment on constraint notice_kind_shape on crm.notice is 'en: A kind has small letters and underscores. | tr: Tür küçük harf ve alt çizgiden oluşur.';
comment on constraint notice_record_id_given on crm.notice is 'en: A record is named with its resource. | tr: Kayıt, kaynağıyla birlikte belirtilir.';
comment on constraint notice_text_length on crm.notice is 'en: Say it in 1 to 500 characters. | tr: 1 ile 500 karakter arasında yazın.';
create index notice_user_id_index on crm.notice (user_id, id);
create index notice_unread_index on crm.notice (user_id, id) where read_at is null;
create index notice_undigested_index on crm.notice (created_at) where read_at is null and digest_id is null;
select crm.protect('crm.notice', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}',
  reason => 'It repeats to one person what is in the change log of the record it is about.');
create policy notice_keep on crm.notice to crm_owner using (true) with check (true);

create function crm.notify(person uuid, kind text, resource text, record uuid, text_en text, text_tr text) returns uuid
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  insert into crm.notice (user_id, kind, resource, record_id, text_en, text_tr)
  select person, notify.kind, notify.resource, record, left(notify.text_en, 500), left(notify.text_tr, 500)
  where crm.signed_in() and person is distinct from crm.caller_id() and exists (select from crm.app_user as u where u.id = person and u.active)
  returning id
$$;
comment on function crm.notify(uuid, text, text, uuid, text, text) is
  'Tells a user something, in the caller''s own transaction. Nobody is told what they did themselves. Gives the notice''s id; null when nobody was told.';

create table crm.notice_digest (
  id         uuid        not null default crm.uuid_v7(),
  user_id    uuid        not null,
  address    text        not null,
  subject    text        not null,
  body_text  text        not null,
  notices    integer     not null,
  state      text        not null default 'queued',
  attempts   integer     not null default 0,
  problem    text,
  sent_at    timestamptz,
  created_at timestamptz not null default now(),
  constraint notice_digest_id_primary primary key (id),
  constraint notice_digest_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint notice_digest_state_known check (state in ('queued', 'sending', 'sent', 'failed')),
  constraint notice_digest_attempts_positive check (attempts >= 0)
);
comment on table crm.notice_digest is 'A mail to a user with the notices they have not read: the queue of mails to colleagues. Messages to customers go through crm.outbound_message and its gate.';
comment on column crm.notice_digest.user_id is 'Whom it is for.';
comment on column crm.notice_digest.address is 'personal: the user''s address at the time.';
comment on column crm.notice_digest.subject is 'The subject line, in the user''s language.';
comment on column crm.notice_digest.body_text is 'personal: what it says.';
comment on column crm.notice_digest.notices is 'How many notices are in it.';
comment on column crm.notice_digest.state is 'queued, sending, sent or failed.';
comment on column crm.notice_digest.attempts is 'How often it was tried.';
comment on column crm.notice_digest.problem is 'Why the latest attempt failed.';
comment on column crm.notice_digest.sent_at is 'When it was sent.';
comment on constraint notice_digest_state_known on crm.notice_digest is 'en: A digest is queued, sending, sent or failed. | tr: Özet queued, sending, sent ya da failed olabilir.';
comment on constraint notice_digest_attempts_positive on crm.notice_digest is 'en: Attempts are counted from 0. | tr: Denemeler 0''dan sayılır.';
create index notice_digest_user_id_index on crm.notice_digest (user_id, id);
create index notice_digest_queued_index on crm.notice_digest (id) where state in ('queued', 'sending');
select crm.protect('crm.notice_digest', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}',
  reason => 'It is a queue of mails that repeat notices.');
alter table crm.notice add constraint notice_digest_id_exists foreign key (digest_id) references crm.notice_digest (id) on delete set null;
create index notice_of_digest_id_index on crm.notice (digest_id) where digest_id is not null;
select crm.protect('crm.notice', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}',
  reason => 'It repeats to one person what is in the change log of the record it is about.');

create function crm.digest_notices(at timestamptz) returns integer language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  reader record;
  digest uuid;
  made integer := 0;
begin
  for reader in
    select u.id, u.email, u.locale from crm.app_user as u
    where u.active and u.kind = 'person' and exists (
      select from crm.notice as n where n.user_id = u.id and n.read_at is null and n.digest_id is null and n.created_at <= at - interval '1 hour')
    order by u.id
  loop
    digest := crm.uuid_v7();
    insert into crm.notice_digest (id, user_id, address, subject, body_text, notices, created_at)
    select digest, reader.id, reader.email,
      case reader.locale when 'en' then format('%s unread notices', count(*)) else format('Okunmamış %s bildirim', count(*)) end,
      string_agg(format('%s  %s', to_char(n.created_at at time zone 'Europe/Istanbul', 'YYYY-MM-DD HH24:MI'), case reader.locale when 'en' then n.text_en else n.text_tr end),
        e'\n' order by n.id),
      count(*), at
    from (select x.* from crm.notice as x where x.user_id = reader.id and x.read_at is null and x.digest_id is null and x.created_at <= at order by x.id limit 200) as n;
    update crm.notice as n set digest_id = digest where n.id in (
      select x.id from crm.notice as x where x.user_id = reader.id and x.read_at is null and x.digest_id is null and x.created_at <= at order by x.id limit 200);
    made := made + 1;
  end loop;
  return made;
end
$$;
comment on function crm.digest_notices(timestamptz) is
  'Puts the notices that have been unread for an hour into one mail to each user, in their language, and says how many mails it made. For system work.';

-- What each has read, follows and begun to write -------------------------------------------------------------------------------------

create table crm.conversation_reader (
  customer_id     uuid        not null,
  id              uuid        not null default crm.uuid_v7(),
  conversation_id uuid        not null,
  user_id         uuid        not null,
  read_at         timestamptz,
  follows         boolean     not null default false,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint conversation_reader_id_primary primary key (customer_id, id),
  constraint conversation_reader_user_id_once unique (customer_id, conversation_id, user_id),
  constraint conversation_reader_conversation_id_exists foreign key (customer_id, conversation_id) references crm.conversation (customer_id, id) on delete cascade,
  constraint conversation_reader_user_id_exists foreign key (user_id) references crm.app_user (id)
);
comment on table crm.conversation_reader is 'How far a user has read a conversation, and whether they follow it.';
comment on column crm.conversation_reader.conversation_id is 'The conversation.';
comment on column crm.conversation_reader.user_id is 'The user.';
comment on column crm.conversation_reader.read_at is 'Up to which instant they have read; null when they have marked it as unread or never opened it.';
comment on column crm.conversation_reader.follows is 'Whether they are told of what happens in it.';
comment on column crm.conversation_reader.created_at is 'When they first opened or followed it.';
comment on column crm.conversation_reader.version is 'Counts the changes, from 1.';
comment on constraint conversation_reader_user_id_once on crm.conversation_reader is 'en: This user is already a reader of this conversation. | tr: Bu kullanıcı bu görüşmenin zaten okuru.';
create index conversation_reader_user_id_index on crm.conversation_reader (user_id, conversation_id);
create index conversation_reader_conversation_id_index on crm.conversation_reader (conversation_id) where follows;
select crm.protect('crm.conversation_reader', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}',
  reason => 'How far somebody has read is nobody else''s business.');
create policy conversation_reader_keep on crm.conversation_reader to crm_owner using (true) with check (true);

create table crm.draft (
  customer_id     uuid        not null,
  id              uuid        not null default crm.uuid_v7(),
  conversation_id uuid        not null,
  user_id         uuid        not null default crm.caller_id(),
  subject         text,
  body_text       text        not null default '',
  body_html       text,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint draft_id_primary primary key (customer_id, id),
  constraint draft_user_id_once unique (customer_id, conversation_id, user_id),
  constraint draft_conversation_id_exists foreign key (customer_id, conversation_id) references crm.conversation (customer_id, id) on delete cascade,
  constraint draft_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint draft_subject_length check (length(subject) <= 998)
);
comment on table crm.draft is 'An answer that a user has begun to write in a conversation; seen by them alone.';
comment on column crm.draft.conversation_id is 'The conversation.';
comment on column crm.draft.user_id is 'Who writes it.';
comment on column crm.draft.subject is 'personal: the subject, where the channel has one.';
comment on column crm.draft.body_text is 'personal: what it says so far, as plain text.';
comment on column crm.draft.body_html is 'personal: what it says so far, as HTML.';
comment on constraint draft_user_id_once on crm.draft is 'en: There is already a draft of yours in this conversation. | tr: Bu görüşmede zaten bir taslağınız var.';
comment on constraint draft_subject_length on crm.draft is 'en: A subject has at most 998 characters. | tr: Konu en çok 998 karakterdir.';
create index draft_user_id_index on crm.draft (user_id, id);
select crm.protect('crm.draft', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}', reason => 'What somebody has not sent yet is nobody else''s business.');
insert into crm.merge_rule (relation, on_clash) values ('crm.conversation_reader', 'drop'), ('crm.draft', 'drop');

-- Who is at a conversation now: a heartbeat that runs out. Seen by whoever sees the conversation, through crm.attend_conversation alone.
create table crm.conversation_presence (
  conversation_id uuid        not null,
  user_id         uuid        not null,
  activity        text        not null,
  since           timestamptz not null,
  until           timestamptz not null,
  constraint conversation_presence_user_id_primary primary key (conversation_id, user_id),
  constraint conversation_presence_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint conversation_presence_activity_known check (activity in ('reading', 'answering'))
);
comment on table crm.conversation_presence is 'Who has a conversation open or is answering it, until their heartbeat runs out.';
comment on column crm.conversation_presence.conversation_id is 'The conversation.';
comment on column crm.conversation_presence.user_id is 'The user.';
comment on column crm.conversation_presence.activity is 'reading or answering.';
comment on column crm.conversation_presence.since is 'Since when.';
comment on column crm.conversation_presence.until is 'When it ends unless the heartbeat is renewed.';
comment on constraint conversation_presence_activity_known on crm.conversation_presence is 'en: Somebody is reading or answering. | tr: Kişi reading ya da answering durumundadır.';
create index conversation_presence_until_index on crm.conversation_presence (until);
select crm.protect('crm.conversation_presence', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'Heartbeats come every few seconds and mean nothing afterwards.');
create policy conversation_presence_keep on crm.conversation_presence to crm_owner using (true) with check (true);

create function crm.attend_conversation(conversation uuid, activity text, at timestamptz) returns table (user_id uuid, name text, doing text, since timestamptz)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  mine constant uuid[] := coalesce(crm.readable('customers'), '{}');
begin
  if not exists (
    select from crm.conversation as c where c.id = attend_conversation.conversation
      and (c.audience = any (mine) or c.owner_id = any (mine) or c.participants && mine or crm.reads_all('customers'))) then
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
comment on function crm.attend_conversation(uuid, text, timestamptz) is
  'Says that the caller is reading or answering a conversation for the next 45 seconds, or, with null, that they have left, and gives who else is there.';

-- Shared views of the inbox ----------------------------------------------------------------------------------------------------------

create table crm.inbox_view (
  id            uuid        not null default crm.uuid_v7(),
  name          text        not null,
  query         text        not null,
  position      integer     not null default 100,
  department_id uuid        not null,
  owner_id      uuid,
  visibility    text        not null default 'department',
  audience      uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint inbox_view_id_primary primary key (id),
  constraint inbox_view_name_length check (length(btrim(name)) between 1 and 200),
  constraint inbox_view_query_length check (length(query) <= 4000 and query !~ '[[:cntrl:]]'),
  constraint inbox_view_department_id_exists foreign key (department_id) references crm.department (id),
  constraint inbox_view_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint inbox_view_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint inbox_view_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.inbox_view is 'A way of looking at the inbox that people share: a name for a query over conversations. What it shows each is what they may see.';
comment on column crm.inbox_view.name is 'Name as people say it.';
comment on column crm.inbox_view.query is 'The query string for /v1/conversations, such as state=eq.open&priority=eq.urgent&order=last_interaction_at.';
comment on column crm.inbox_view.position is 'Views are shown in this order, small ones first.';
comment on constraint inbox_view_name_length on crm.inbox_view is 'en: Give the view a name of at most 200 characters. | tr: Görünüme en çok 200 karakterlik bir ad verin.';
comment on constraint inbox_view_query_length on crm.inbox_view is 'en: Give a query string of at most 4,000 characters. | tr: En çok 4.000 karakterlik bir sorgu verin.';
create index inbox_view_department_id_index on crm.inbox_view (department_id, position, id);
create index inbox_view_owner_id_index on crm.inbox_view (owner_id) where owner_id is not null;
select crm.protect('crm.inbox_view', area => 'customers', kind => 'owned', resource => 'inbox_views', verbs => '{select,insert,update,delete}');

-- Waking and telling -----------------------------------------------------------------------------------------------------------------

create function crm.wake_conversations(at timestamptz) returns integer language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  woken integer;
begin
  with awake as (
    update crm.conversation as c set state = 'open', snoozed_until = null
    where c.state = 'snoozed' and c.snoozed_until <= at
    returning c.id, c.assignee_id, c.subject
  ), told as (
    select crm.notify(a.assignee_id, 'woken', 'conversations', a.id, format('Back from snooze: %s', left(coalesce(a.subject, '–'), 200)),
      format('Ertelenen görüşme geri geldi: %s', left(coalesce(a.subject, '–'), 200))) from awake as a where a.assignee_id is not null
  )
  select count(*) into woken from awake left join (select count(*) from told) as t on true;
  return woken;
end
$$;
comment on function crm.wake_conversations(timestamptz) is 'Opens the snoozed conversations whose time has come and tells who is to answer them. Says how many. For system work.';

create function crm.tell_followers() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  subject text;
begin
  select left(coalesce(c.subject, '–'), 200) into subject from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id;
  perform crm.notify(r.user_id, 'message', 'conversations', new.conversation_id, format('New message: %s', subject), format('Yeni mesaj: %s', subject))
  from crm.conversation_reader as r where r.customer_id = new.customer_id and r.conversation_id = new.conversation_id and r.follows;
  return null;
end
$$;
comment on function crm.tell_followers() is 'Trigger: tells who follows a conversation that a message came in. Runs as the owner, because readers are nobody else''s business.';
revoke execute on function crm.tell_followers() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger interaction_tell after insert on crm.interaction for each row
  when (new.conversation_id is not null and new.direction = 'in' and new.kind not in ('auto_reply', 'bounce')) execute function crm.tell_followers();
