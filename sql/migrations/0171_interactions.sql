-- Every contact on every channel: conversations, their interactions by month, what colleagues note among themselves, and who a sender is.
set local role crm_owner;

create table crm.conversation (
  customer_id         uuid        not null,
  id                  uuid        not null default crm.uuid_v7(),
  contact_id          uuid,
  channel             text        not null,
  channel_account_id  uuid,
  subject             text,
  state               text        not null default 'open',
  assignee_id         uuid,
  team_id             uuid,
  priority            text        not null default 'normal',
  tags                text[]      not null default '{}',
  snoozed_until       timestamptz,
  last_interaction_at timestamptz,
  last_direction      text,
  interactions        integer     not null default 0,
  participants        uuid[]      not null default '{}',
  department_id       uuid        not null,
  owner_id            uuid,
  visibility          text        not null default 'company',
  audience            uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then coalesce(owner_id, participants[1]) else department_id end) stored,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  version             integer     not null default 1,
  created_by          uuid        default crm.caller_id(),
  constraint conversation_id_primary primary key (customer_id, id),
  constraint conversation_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint conversation_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint conversation_channel_known check (channel = any (crm.channels())),
  constraint conversation_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id),
  constraint conversation_subject_length check (length(subject) <= 1000),
  constraint conversation_state_known check (state in ('open', 'waiting', 'snoozed', 'done')),
  constraint conversation_snoozed_until_given check ((state = 'snoozed') = (snoozed_until is not null) and isfinite(snoozed_until)),
  constraint conversation_assignee_id_exists foreign key (assignee_id) references crm.app_user (id),
  constraint conversation_priority_known check (priority in ('low', 'normal', 'high', 'urgent')),
  constraint conversation_tags_shape check (cardinality(tags) <= 50 and array_position(tags, null) is null and length(array_to_string(tags, ',')) <= 2000),
  constraint conversation_last_interaction_at_finite check (isfinite(last_interaction_at)),
  constraint conversation_last_direction_known check (last_direction in ('in', 'out')),
  constraint conversation_participants_known check (array_position(participants, null) is null),
  constraint conversation_department_id_exists foreign key (department_id) references crm.department (id),
  constraint conversation_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint conversation_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint conversation_owner_id_private check (visibility <> 'private' or owner_id is not null or cardinality(participants) > 0)
);
comment on table crm.conversation is 'A thread with a customer on one channel: what belongs together, and who looks after it.';
comment on column crm.conversation.contact_id is 'The person at the customer it is with; null when that is not known.';
comment on column crm.conversation.channel is 'email, phone, meeting, chat, sms, social, web, form or letter.';
comment on column crm.conversation.channel_account_id is 'The account of ours that it came to or goes out from.';
comment on column crm.conversation.subject is 'personal: what it is about.';
comment on column crm.conversation.state is 'open (we are to answer), waiting (the customer is), snoozed (comes back by itself) or done; moved by operations and by what arrives.';
comment on column crm.conversation.assignee_id is 'The colleague who is to answer.';
comment on column crm.conversation.team_id is 'The team that is to answer.';
comment on column crm.conversation.priority is 'low, normal, high or urgent.';
comment on column crm.conversation.tags is 'Words colleagues sort conversations by.';
comment on column crm.conversation.snoozed_until is 'When a snoozed conversation comes back.';
comment on column crm.conversation.last_interaction_at is 'derived: when the latest interaction happened.';
comment on column crm.conversation.last_direction is 'derived: whether the latest message came in or went out.';
comment on column crm.conversation.interactions is 'derived: how many interactions it has.';
comment on column crm.conversation.participants is 'The users who took part; they read it also when it is private.';
comment on column crm.conversation.visibility is 'Who reads it: company, department (and those it is shared with), or private (the owner and the users who took part).';
comment on constraint conversation_channel_known on crm.conversation is 'en: The channel is email, phone, meeting, chat, sms, social, web, form or letter. | tr: Kanal email, phone, meeting, chat, sms, social, web, form ya da letter olabilir.';
comment on constraint conversation_subject_length on crm.conversation is 'en: A subject has at most 1,000 characters. | tr: Konu en çok 1.000 karakterdir.';
comment on constraint conversation_state_known on crm.conversation is 'en: A conversation is open, waiting, snoozed or done. | tr: Görüşme open, waiting, snoozed ya da done olabilir.';
comment on constraint conversation_snoozed_until_given on crm.conversation is 'en: A snoozed conversation, and no other, has the time it comes back. | tr: Yalnızca ertelenen görüşmenin geri geleceği zaman olur.';
comment on constraint conversation_priority_known on crm.conversation is 'en: The priority is low, normal, high or urgent. | tr: Öncelik low, normal, high ya da urgent olabilir.';
comment on constraint conversation_tags_shape on crm.conversation is 'en: Give at most 50 tags, 2,000 characters together. | tr: En çok 50 etiket verin; toplam 2.000 karakter.';
comment on constraint conversation_last_interaction_at_finite on crm.conversation is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint conversation_last_direction_known on crm.conversation is 'en: A direction is in or out. | tr: Yön in ya da out olabilir.';
comment on constraint conversation_participants_known on crm.conversation is 'en: Participants are users. | tr: Katılımcılar kullanıcılardır.';
comment on constraint conversation_owner_id_private on crm.conversation is 'en: A private conversation needs an owner or a participant. | tr: Özel bir görüşmenin sahibi ya da bir katılımcısı olmalıdır.';
create index conversation_id_index on crm.conversation (id);
create index conversation_last_interaction_at_index on crm.conversation (last_interaction_at, id);
create index conversation_assignee_id_index on crm.conversation (assignee_id, state, last_interaction_at) where assignee_id is not null;
create index conversation_team_id_index on crm.conversation (team_id, state, last_interaction_at) where team_id is not null;
create index conversation_department_id_index on crm.conversation (department_id, id);
create index conversation_owner_id_index on crm.conversation (owner_id) where owner_id is not null;
create index conversation_snoozed_until_index on crm.conversation (snoozed_until) where state = 'snoozed';
create index conversation_of_contact_id_index on crm.conversation (contact_id) where contact_id is not null;
create index conversation_channel_account_id_index on crm.conversation (channel_account_id, state) where channel_account_id is not null;
select crm.protect('crm.conversation', area => 'customers', kind => 'owned', resource => 'conversations');
-- Who took part reads it, whatever its visibility: a caller's own id is among what they read.
create policy conversation_participant on crm.conversation for select to crm_app, crm_worker using (participants && (select crm.readable('customers'))::uuid[]);

-- Interactions --------------------------------------------------------------------------------------------------------------------

-- No default partition: without one PostgreSQL reads the months in order and stops at the first page. What is older than the first month or later than the
-- last has a partition without an end on either side instead.
create table crm.interaction (
  customer_id        uuid          not null,
  id                 uuid          not null default crm.uuid_v7(),
  occurred_at        timestamptz   not null default now(),
  contact_id         uuid,
  conversation_id    uuid,
  channel            text          not null,
  direction          text          not null,
  kind               text          not null default 'message',
  channel_account_id uuid,
  external_id        text,
  in_reply_to        text,
  sender             text,
  recipients         text[]        not null default '{}',
  subject            text,
  body_text          text,
  body_html          text,
  participants       uuid[]        not null default '{}',
  sentiment          numeric(4,3),
  cost               numeric(18,4) not null default 0,
  currency           text          not null default 'TRY',
  status             text          not null default 'received',
  attachments        integer       not null default 0,
  department_id      uuid          not null,
  owner_id           uuid,
  visibility         text          not null default 'company',
  audience           uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then coalesce(owner_id, participants[1]) else department_id end) stored,
  created_at         timestamptz   not null default now(),
  updated_at         timestamptz   not null default now(),
  version            integer       not null default 1,
  created_by         uuid          default crm.caller_id(),
  constraint interaction_id_primary primary key (customer_id, id, occurred_at),
  constraint interaction_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint interaction_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint interaction_conversation_id_exists foreign key (customer_id, conversation_id) references crm.conversation (customer_id, id),
  constraint interaction_occurred_at_finite check (isfinite(occurred_at)),
  constraint interaction_channel_known check (channel = any (crm.channels())),
  constraint interaction_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id),
  constraint interaction_direction_known check (direction in ('in', 'out')),
  constraint interaction_kind_known check (kind in ('message', 'auto_reply', 'bounce', 'call', 'voicemail', 'meeting', 'visit', 'submission', 'post', 'letter', 'other')),
  constraint interaction_external_id_length check (length(external_id) between 1 and 1000),
  constraint interaction_in_reply_to_length check (length(in_reply_to) <= 1000),
  constraint interaction_sender_length check (length(sender) <= 1000),
  constraint interaction_recipients_shape check (cardinality(recipients) <= 1000 and array_position(recipients, null) is null),
  constraint interaction_subject_length check (length(subject) <= 1000),
  constraint interaction_participants_known check (array_position(participants, null) is null),
  constraint interaction_sentiment_range check (sentiment between -1 and 1),
  constraint interaction_cost_positive check (cost >= 0 and cost <> 'NaN'),
  constraint interaction_currency_exists foreign key (currency) references crm.currency (code),
  constraint interaction_status_known check (status in ('received', 'queued', 'sent', 'delivered', 'failed', 'bounced')),
  constraint interaction_department_id_exists foreign key (department_id) references crm.department (id),
  constraint interaction_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint interaction_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint interaction_owner_id_private check (visibility <> 'private' or owner_id is not null or cardinality(participants) > 0)
) partition by range (occurred_at);
comment on table crm.interaction is 'One contact with a customer on one channel: a message, a call, a meeting, a visit to a page, a letter. Partitioned by month.';
comment on column crm.interaction.occurred_at is 'When it happened; never changed.';
comment on column crm.interaction.contact_id is 'The person at the customer; null when that is not known.';
comment on column crm.interaction.conversation_id is 'The thread it belongs to.';
comment on column crm.interaction.channel is 'email, phone, meeting, chat, sms, social, web, form or letter.';
comment on column crm.interaction.direction is 'in (from the customer) or out (to the customer).';
comment on column crm.interaction.kind is 'message, auto_reply, bounce, call, voicemail, meeting, visit, submission (of a form), post, letter or other.';
comment on column crm.interaction.channel_account_id is 'The account of ours that it came to or went out from.';
comment on column crm.interaction.external_id is 'What it is known by outside: the Message-ID, or the provider''s id.';
comment on column crm.interaction.in_reply_to is 'The external id of what it answers.';
comment on column crm.interaction.sender is 'personal: who sent it, as an address.';
comment on column crm.interaction.recipients is 'personal: whom it was sent to, as addresses.';
comment on column crm.interaction.subject is 'personal: what it is about.';
comment on column crm.interaction.body_text is 'personal: what it says, as plain text.';
comment on column crm.interaction.body_html is 'personal: what it says, as cleaned HTML.';
comment on column crm.interaction.participants is 'The users who took part, such as those a mail was sent to; they read it also when it is private.';
comment on column crm.interaction.sentiment is 'How it sounds, from -1 (bad) to 1 (good); null before anything judged it.';
comment on column crm.interaction.cost is 'What it cost us.';
comment on column crm.interaction.currency is 'Currency of the cost.';
comment on column crm.interaction.status is 'received, queued, sent, delivered, failed or bounced.';
comment on column crm.interaction.attachments is 'derived: how many files came with it.';
comment on column crm.interaction.visibility is 'Who reads it: company, department (and those it is shared with), or private (the owner and the users who took part). In a conversation, as the conversation.';
comment on constraint interaction_occurred_at_finite on crm.interaction is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint interaction_channel_known on crm.interaction is 'en: The channel is email, phone, meeting, chat, sms, social, web, form or letter. | tr: Kanal email, phone, meeting, chat, sms, social, web, form ya da letter olabilir.';
comment on constraint interaction_direction_known on crm.interaction is 'en: The direction is in or out. | tr: Yön in ya da out olabilir.';
comment on constraint interaction_kind_known on crm.interaction is 'en: An interaction is a message, auto_reply, bounce, call, voicemail, meeting, visit, submission, post, letter or other. | tr: Etkileşim message, auto_reply, bounce, call, voicemail, meeting, visit, submission, post, letter ya da other olabilir.';
comment on constraint interaction_external_id_length on crm.interaction is 'en: An external id has 1 to 1,000 characters. | tr: Dış kimlik 1 ile 1.000 karakter arasındadır.';
comment on constraint interaction_in_reply_to_length on crm.interaction is 'en: An external id has at most 1,000 characters. | tr: Dış kimlik en çok 1.000 karakterdir.';
comment on constraint interaction_sender_length on crm.interaction is 'en: A sender has at most 1,000 characters. | tr: Gönderen en çok 1.000 karakterdir.';
comment on constraint interaction_recipients_shape on crm.interaction is 'en: Give at most 1,000 recipients. | tr: En çok 1.000 alıcı verin.';
comment on constraint interaction_subject_length on crm.interaction is 'en: A subject has at most 1,000 characters. | tr: Konu en çok 1.000 karakterdir.';
comment on constraint interaction_participants_known on crm.interaction is 'en: Participants are users. | tr: Katılımcılar kullanıcılardır.';
comment on constraint interaction_sentiment_range on crm.interaction is 'en: Sentiment is between -1 and 1. | tr: Duygu -1 ile 1 arasındadır.';
comment on constraint interaction_cost_positive on crm.interaction is 'en: A cost is not negative. | tr: Maliyet eksi olamaz.';
comment on constraint interaction_status_known on crm.interaction is 'en: The status is received, queued, sent, delivered, failed or bounced. | tr: Durum received, queued, sent, delivered, failed ya da bounced olabilir.';
comment on constraint interaction_owner_id_private on crm.interaction is 'en: A private interaction needs an owner or a participant. | tr: Özel bir etkileşimin sahibi ya da bir katılımcısı olmalıdır.';
create index interaction_occurred_at_index on crm.interaction (customer_id, occurred_at, id);
create index interaction_id_index on crm.interaction (id);
create index interaction_conversation_id_index on crm.interaction (conversation_id, occurred_at, id) where conversation_id is not null;
create index interaction_of_contact_id_index on crm.interaction (contact_id) where contact_id is not null;

create function crm.make_interaction_partitions(ahead integer default 3, since date default null) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  made integer := 0;
  edge record;
  first_day date;
  name text;
  this_month constant date := date_trunc('month', now() at time zone 'UTC');
  last_wanted constant date := this_month + make_interval(months => ahead);
begin
  perform pg_advisory_xact_lock(hashtext('crm.make_interaction_partitions'));
  -- The months there are, without a gap: from the first to the day on which the last one ends.
  select min(to_date(right(c.relname, 7), 'YYYY_MM')) as first, (max(to_date(right(c.relname, 7), 'YYYY_MM')) + interval '1 month')::date as "end" into edge
  from pg_inherits as i join pg_class as c on c.oid = i.inhrelid where i.inhparent = 'crm.interaction'::regclass and c.relname ~ '^interaction_[0-9]{4}_[0-9]{2}$';
  if edge.first is null then
    edge.first := this_month;
    edge."end" := this_month;
    for name in values ('interaction_earlier'), ('interaction_later') loop
      execute format('create table crm.%I (like crm.interaction including defaults including constraints including generated)', name);
      execute format('alter table crm.%I enable row level security, force row level security', name);
      execute format('create policy interaction_keep on crm.%I to crm_owner using (true) with check (true)', name);
    end loop;
    comment on table crm.interaction_earlier is 'Interactions of months before the first that has a partition.';
    comment on table crm.interaction_later is 'Interactions of months after the last that has a partition.';
  else
    if edge."end" <= last_wanted then
      alter table crm.interaction detach partition crm.interaction_later;
    end if;
    if since < edge.first then
      alter table crm.interaction detach partition crm.interaction_earlier;
    end if;
  end if;
  for first_day in
    select d::date from generate_series(edge."end", last_wanted, interval '1 month') as d
    union all
    select d::date from generate_series(date_trunc('month', since::timestamp), edge.first - interval '1 month', interval '1 month') as d
  loop
    name := 'interaction_' || to_char(first_day, 'YYYY_MM');
    execute format('create table crm.%I (like crm.interaction including defaults including constraints including generated)', name);
    execute format('comment on table crm.%I is %L', name, 'Interactions of ' || to_char(first_day, 'YYYY-MM') || '.');
    execute format('alter table crm.%I enable row level security, force row level security', name);
    execute format('create policy interaction_keep on crm.%I to crm_owner using (true) with check (true)', name);
    execute format('with late as (delete from crm.%4$I where occurred_at >= %1$L and occurred_at < %2$L returning *) insert into crm.%3$I (%5$s) select %5$s from late',
      first_day::timestamp at time zone 'UTC', (first_day + interval '1 month') at time zone 'UTC', name,
      case when first_day < edge.first then 'interaction_earlier' else 'interaction_later' end,
      (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute as a
       where a.attrelid = 'crm.interaction'::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''));
    execute format('alter table crm.interaction attach partition crm.%I for values from (%L) to (%L)',
      name, first_day::timestamp at time zone 'UTC', (first_day + interval '1 month') at time zone 'UTC');
    execute format('drop policy interaction_keep on crm.%I', name);
    made := made + 1;
  end loop;
  if not exists (select from pg_inherits where inhrelid = 'crm.interaction_later'::regclass) then
    execute format('alter table crm.interaction attach partition crm.interaction_later for values from (%L) to (maxvalue)',
      (greatest(edge."end", last_wanted + interval '1 month')::date)::timestamp at time zone 'UTC');
  end if;
  if not exists (select from pg_inherits where inhrelid = 'crm.interaction_earlier'::regclass) then
    execute format('alter table crm.interaction attach partition crm.interaction_earlier for values from (minvalue) to (%L)',
      least(edge.first, date_trunc('month', since::timestamp)::date)::timestamp at time zone 'UTC');
  end if;
  return made;
end
$$;
comment on function crm.make_interaction_partitions(integer, date) is
  'Makes the partitions of interactions for this month, the given number of months ahead and, when a day is given, all months back to it, moves rows into them, and says how many it made. Called daily; never leaves an instant without a partition.';
revoke execute on function crm.make_interaction_partitions(integer, date) from crm_app, crm_bulk, crm_access;
select crm.make_interaction_partitions(since => (now() - interval '1 year')::date);

select crm.protect('crm.interaction', area => 'customers', kind => 'owned', resource => 'interactions');
create policy interaction_participant on crm.interaction for select to crm_app, crm_worker using (participants && (select crm.readable('customers'))::uuid[]);

-- Where an interaction known outside by an id is found: the guard against receiving it twice, and the way from an answer to its thread.
create table crm.interaction_key (
  channel_account_id uuid        not null,
  external_id        text        not null,
  customer_id        uuid        not null,
  interaction_id     uuid        not null,
  occurred_at        timestamptz not null,
  conversation_id    uuid,
  constraint interaction_key_external_id_primary primary key (channel_account_id, external_id)
);
comment on table crm.interaction_key is 'Which interaction an external id of a channel account means.';
comment on column crm.interaction_key.channel_account_id is 'The channel account.';
comment on column crm.interaction_key.external_id is 'The Message-ID, or the provider''s id.';
comment on column crm.interaction_key.interaction_id is 'The interaction.';
comment on column crm.interaction_key.occurred_at is 'When the interaction happened.';
comment on column crm.interaction_key.conversation_id is 'The thread it belongs to.';
comment on constraint interaction_key_external_id_primary on crm.interaction_key is 'en: This account already has an interaction with this external id. | tr: Bu hesapta bu dış kimlikle bir etkileşim zaten var.';
create index interaction_key_customer_id_index on crm.interaction_key (customer_id, interaction_id);
select crm.protect('crm.interaction_key', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'It repeats what is in interactions, so that an external id finds one among all months.');
create policy interaction_key_keep on crm.interaction_key to crm_owner using (true) with check (true);

create function crm.keep_interaction_key() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' then
    delete from crm.interaction_key as k where k.channel_account_id = old.channel_account_id and k.external_id = old.external_id and k.interaction_id = old.id;
  end if;
  if new.external_id is not null and new.channel_account_id is not null then
    insert into crm.interaction_key (channel_account_id, external_id, customer_id, interaction_id, occurred_at, conversation_id)
    values (new.channel_account_id, new.external_id, new.customer_id, new.id, new.occurred_at, new.conversation_id);
  end if;
  return null;
end
$$;
comment on function crm.keep_interaction_key() is 'Trigger: keeps what an interaction is known by outside. Runs as the owner, who alone writes it.';
revoke execute on function crm.keep_interaction_key() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger interaction_key_insert after insert on crm.interaction for each row when (new.external_id is not null) execute function crm.keep_interaction_key();
create trigger interaction_key_update after update on crm.interaction for each row
  when ((old.external_id, old.channel_account_id, old.customer_id, old.conversation_id) is distinct from (new.external_id, new.channel_account_id, new.customer_id, new.conversation_id))
  execute function crm.keep_interaction_key();

-- An interaction of a conversation is seen by whoever sees the conversation, apart from who took part, which each has of its own.
create function crm.follow_conversation() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  thread crm.conversation;
begin
  select c.* into thread from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id;
  if not found or not (thread.audience = any (coalesce(crm.readable('customers'), '{}')) or coalesce(thread.owner_id = any (crm.readable('customers')), false)
    or thread.participants && coalesce(crm.readable('customers'), '{}') or crm.reads_all('customers')) then
    perform crm.missing_reference('conversation_id');
  end if;
  new.department_id := thread.department_id;
  new.owner_id := thread.owner_id;
  new.visibility := thread.visibility;
  return new;
end
$$;
comment on function crm.follow_conversation() is
  'Trigger: gives an interaction the department, owner and visibility of its conversation; a conversation the caller cannot see is a missing reference.';
create policy conversation_keep on crm.conversation to crm_owner using (true) with check (true);
create policy interaction_keep on crm.interaction to crm_owner using (true) with check (true);
create trigger interaction_follow_insert before insert on crm.interaction for each row when (new.conversation_id is not null) execute function crm.follow_conversation();

create function crm.count_interaction() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.conversation as c set
    interactions = c.interactions + 1,
    last_interaction_at = greatest(c.last_interaction_at, new.occurred_at),
    last_direction = case when c.last_interaction_at > new.occurred_at then c.last_direction else new.direction end,
    participants = case when new.participants <@ c.participants then c.participants
      else array(select distinct p from unnest(c.participants || new.participants) as p order by p) end,
    state = case
      when new.direction = 'in' and new.kind not in ('auto_reply', 'bounce') and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then 'open'
      when new.direction = 'out' and new.kind not in ('auto_reply', 'bounce') and c.state = 'open' and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then 'waiting'
      else c.state end,
    snoozed_until = case
      when new.direction = 'in' and new.kind not in ('auto_reply', 'bounce') and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then null else c.snoozed_until end
  where c.customer_id = new.customer_id and c.id = new.conversation_id;
  return null;
end
$$;
comment on function crm.count_interaction() is
  'Trigger: tells the conversation what happened: a message that comes in opens it again, one that goes out makes it wait; automatic ones change nothing. Runs as the owner, because who may add a message need not be able to change the conversation.';
revoke execute on function crm.follow_conversation(), crm.count_interaction() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger interaction_count after insert on crm.interaction for each row when (new.conversation_id is not null) execute function crm.count_interaction();

create function crm.lead_conversation_parts() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.interaction as x set department_id = new.department_id, owner_id = new.owner_id, visibility = new.visibility
  where x.customer_id = new.customer_id and x.conversation_id = new.id
    and (x.department_id, x.owner_id, x.visibility) is distinct from (new.department_id, new.owner_id, new.visibility);
  update crm.internal_note as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.conversation_id = new.id;
  return null;
end
$$;
comment on function crm.lead_conversation_parts() is 'Trigger: when a conversation changes department, owner or visibility, its interactions and notes follow.';
revoke execute on function crm.lead_conversation_parts() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger conversation_lead after update on crm.conversation for each row
  when ((old.department_id, old.owner_id, old.visibility) is distinct from (new.department_id, new.owner_id, new.visibility)) execute function crm.lead_conversation_parts();
alter table crm.conversation enable always trigger conversation_lead;

-- Internal notes ------------------------------------------------------------------------------------------------------------------

create table crm.internal_note (
  customer_id     uuid        not null,
  id              uuid        not null default crm.uuid_v7(),
  conversation_id uuid,
  ticket_id       uuid,
  author_id       uuid        default crm.caller_id(),
  text            text        not null,
  mentions        uuid[]      not null default '{}',
  department_id   uuid        not null,
  owner_id        uuid,
  audience        uuid,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint internal_note_id_primary primary key (customer_id, id),
  constraint internal_note_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint internal_note_conversation_id_exists foreign key (customer_id, conversation_id) references crm.conversation (customer_id, id),
  constraint internal_note_about check (num_nonnulls(conversation_id, ticket_id) >= 1),
  constraint internal_note_author_id_exists foreign key (author_id) references crm.app_user (id),
  constraint internal_note_text_length check (length(btrim(text)) between 1 and 20000),
  constraint internal_note_mentions_known check (cardinality(mentions) <= 100 and array_position(mentions, null) is null)
);
comment on table crm.internal_note is 'What colleagues of the service note among themselves about a conversation or a ticket; never sent to the customer, read with the area service alone.';
comment on column crm.internal_note.conversation_id is 'The conversation it is about.';
comment on column crm.internal_note.ticket_id is 'The ticket it is about.';
comment on column crm.internal_note.author_id is 'Who wrote it.';
comment on column crm.internal_note.text is 'personal: what it says.';
comment on column crm.internal_note.mentions is 'The users named in it, who are told.';
comment on constraint internal_note_about on crm.internal_note is 'en: A note is about a conversation or a ticket. | tr: Not bir görüşme ya da talep hakkındadır.';
comment on constraint internal_note_text_length on crm.internal_note is 'en: A note has 1 to 20,000 characters. | tr: Not 1 ile 20.000 karakter arasındadır.';
comment on constraint internal_note_mentions_known on crm.internal_note is 'en: Name at most 100 users. | tr: En çok 100 kullanıcı anın.';
create index internal_note_id_index on crm.internal_note (id);
create index internal_note_created_at_index on crm.internal_note (customer_id, created_at, id);
create index internal_note_conversation_id_index on crm.internal_note (conversation_id, created_at) where conversation_id is not null;
create index internal_note_ticket_id_index on crm.internal_note (ticket_id, created_at) where ticket_id is not null;

-- The note is read with the area service: whether its conversation may be seen is asked of that area, past the conversation's own policies.
create function crm.follow_noted() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.conversation_id is not null then
    select c.department_id, c.owner_id, c.audience into new.department_id, new.owner_id, new.audience
    from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id;
  else
    select t.department_id, t.owner_id, t.audience into new.department_id, new.owner_id, new.audience
    from crm.ticket as t where t.customer_id = new.customer_id and t.id = new.ticket_id;
  end if;
  if not found or not (coalesce(new.audience = any (crm.readable('service')), false) or coalesce(new.owner_id = any (crm.readable('service')), false)
    or crm.reads_all('service')) then
    perform crm.missing_reference(case when new.conversation_id is not null then 'conversation_id' else 'ticket_id' end);
  end if;
  return new;
end
$$;
comment on function crm.follow_noted() is
  'Trigger: gives a note the department, owner and audience of the conversation or ticket it is about; what the caller cannot see as service is a missing reference.';
revoke execute on function crm.follow_noted() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger internal_note_follow_insert before insert on crm.internal_note for each row execute function crm.follow_noted();
select crm.protect('crm.internal_note', area => 'service', kind => 'owned', resource => 'internal_notes');
create policy internal_note_keep on crm.internal_note to crm_owner using (true) with check (true);

-- Who a sender is -----------------------------------------------------------------------------------------------------------------

alter table crm.customer add column provisional boolean not null default false;
comment on column crm.customer.provisional is 'Whether nobody knows yet who this is: made for an unknown sender, until a colleague confirms it or it is merged into a known customer.';
create index customer_provisional_index on crm.customer (id) where provisional;
select crm.protect('crm.customer', area => 'customers', kind => 'owned', resource => 'customers', verbs => '{select,insert,update,delete}', bi => true);

alter table crm.contact_point add column verified boolean not null default true;
comment on column crm.contact_point.verified is
  'Whether it is known to be the person''s: entered by a colleague, written or called from, or confirmed. What somebody merely typed into a form or chat is not, and recognises nobody.';
alter table crm.contact_point drop constraint contact_point_kind_known;
alter table crm.contact_point add constraint contact_point_kind_known check (kind in ('phone', 'email', 'whatsapp', 'web', 'social', 'other'));
comment on column crm.contact_point.kind is 'phone, email, whatsapp, web, social or other.';
comment on constraint contact_point_kind_known on crm.contact_point is 'en: A contact point is phone, email, whatsapp, web, social or other. | tr: İletişim türü phone, email, whatsapp, web, social ya da other olabilir.';
select crm.protect('crm.contact_point', area => 'customers', kind => 'owned', resource => 'contact_points', verbs => '{select,insert,update,delete}');

create function crm.contact_point_of(channel text, address text, out kind text, out value text, out verified boolean) language sql immutable parallel safe as $$
  select point.kind, point.value,
    -- A mailbox, a line or an account answers for itself; what is typed into a form or chat is only a claim.
    channel in ('email', 'phone', 'sms', 'social', 'meeting')
  from (values (1, 'email', case when crm.valid_email(btrim(address)) then lower(btrim(address)) end), (2, 'phone', case when channel <> 'social' then crm.e164(address) end),
    (3, case channel when 'social' then 'social' else 'web' end, nullif(left(btrim(address), 320), ''))) as point (place, kind, value)
  where point.value is not null order by point.place limit 1
$$;
comment on function crm.contact_point_of(text, text) is
  'An address on a channel as a contact point: its kind, its value as it is stored, and whether the channel shows that the sender holds it (mail, phone, SMS, social) or the sender only says so (form, chat, web).';

create function crm.identify(channel text, address text, display_name text, department uuid, out customer_id uuid, out contact_id uuid, out is_provisional boolean)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  point record;
  wanted_key text;
  known record;
begin
  select * into point from crm.contact_point_of(channel, address);
  if point.value is null then
    raise exception using errcode = 'invalid_parameter_value', message = 'an address is needed to identify somebody';
  end if;
  wanted_key := crm.search_key(point.value);
  -- Two messages at once from one unknown sender make one customer.
  perform pg_advisory_xact_lock(hashtextextended('crm.identify ' || point.kind || ' ' || wanted_key, 0));

  -- A claim recognises nobody but who claimed it before.
  select count(distinct p.customer_id) as customers, count(distinct (p.customer_id, p.contact_id)) filter (where p.contact_id is not null) as contacts,
    (array_agg(p.customer_id))[1] as customer_id, (array_agg(p.contact_id) filter (where p.contact_id is not null))[1] as contact_id into known
  from crm.contact_point as p join crm.customer as c on c.id = p.customer_id
  where p.value_key = wanted_key and (p.kind = point.kind or point.kind = 'phone' and p.kind = 'whatsapp') and not c.provisional and p.verified and point.verified;

  if known.customers > 1 or known.contacts > 1 then
    -- Several hold this address: the one whose name the sender gives, if that is one; they are never taken for each other.
    select count(*) as people, (array_agg(p.customer_id))[1] as customer_id, (array_agg(p.contact_id))[1] as contact_id, true as named into known
    from (
      select distinct p.customer_id, p.contact_id from crm.contact_point as p
      join crm.customer as c on c.id = p.customer_id left join crm.contact as k on k.customer_id = p.customer_id and k.id = p.contact_id
      where p.value_key = wanted_key and (p.kind = point.kind or point.kind = 'phone' and p.kind = 'whatsapp') and not c.provisional and p.verified
        and coalesce(k.search_key, c.search_key) = crm.search_key(nullif(btrim(display_name), ''))
    ) as p;
    if known.people <> 1 then
      select count(distinct p.customer_id) as customers, (array_agg(p.customer_id))[1] as customer_id, null::uuid as contact_id into known
      from crm.contact_point as p join crm.customer as c on c.id = p.customer_id
      where p.value_key = wanted_key and (p.kind = point.kind or point.kind = 'phone' and p.kind = 'whatsapp') and not c.provisional and p.verified;
      if known.customers <> 1 then
        known.customer_id := null;
      end if;
    end if;
  end if;

  if known.customer_id is not null then
    identify.customer_id := known.customer_id;
    identify.contact_id := known.contact_id;
    identify.is_provisional := false;
    return;
  end if;

  select p.customer_id, p.contact_id into known
  from crm.contact_point as p join crm.customer as c on c.id = p.customer_id
  where p.value_key = wanted_key and p.kind = point.kind and c.provisional and p.verified = point.verified
  order by p.created_at, p.id limit 1;
  if found then
    identify.customer_id := known.customer_id;
    identify.contact_id := known.contact_id;
    identify.is_provisional := true;
    return;
  end if;

  insert into crm.customer (kind, name, lifecycle_phase, provisional, department_id)
  values ('person', left(coalesce(nullif(btrim(display_name), ''), point.value), 300), 'suspect', true, department) returning id into identify.customer_id;
  insert into crm.contact (customer_id, name, department_id)
  values (identify.customer_id, left(coalesce(nullif(btrim(display_name), ''), point.value), 300), department) returning id into identify.contact_id;
  insert into crm.contact_point (customer_id, contact_id, kind, value, is_primary, verified, department_id)
  values (identify.customer_id, identify.contact_id, point.kind, point.value, true, point.verified, department);
  identify.is_provisional := true;
end
$$;
comment on function crm.identify(text, text, text, uuid) is
  'Who writes from an address: the contact that holds it, verified; the customer alone when several of its people share it; otherwise a provisional customer and contact, made at the first message. Never takes two known people for one. For system work, which sees everybody.';

-- Receiving -----------------------------------------------------------------------------------------------------------------------

create function crm.receive_interaction(
  account uuid, external_id text, in_reply_to text, "references" text[], sender text, sender_name text, recipients text[], subject text, body_text text, body_html text,
  occurred_at timestamptz, kind text default 'message', out customer_id uuid, out conversation_id uuid, out interaction_id uuid, out is_new boolean
) language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  place record;
  earlier record;
  thread record;
  who record;
  point record;
  is_out boolean;
  people uuid[];
  contact uuid;
  opens boolean := false;
begin
  select a.id, a.channel, a.address, a.department_id, a.opens_tickets, a.settings into place from crm.channel_account as a where a.id = receive_interaction.account;
  if not found then
    perform crm.missing_reference('channel_account_id');
  end if;
  if receive_interaction.external_id is not null then
    perform pg_advisory_xact_lock(hashtextextended('crm.receive_interaction ' || place.id || ' ' || receive_interaction.external_id, 0));
    select k.customer_id, k.conversation_id, k.interaction_id into earlier from crm.interaction_key as k
    where k.channel_account_id = place.id and k.external_id = receive_interaction.external_id;
    if found then
      receive_interaction.customer_id := earlier.customer_id;
      receive_interaction.conversation_id := earlier.conversation_id;
      receive_interaction.interaction_id := earlier.interaction_id;
      receive_interaction.is_new := false;
      return;
    end if;
  end if;

  -- What our own address sent, such as a copy found in the mailbox, is with whom it was sent to.
  is_out := crm.search_key(place.address) = crm.search_key(receive_interaction.sender);
  people := array(
    select u.id from crm.app_user as u
    where u.email_key in (select crm.search_key(a) from unnest(array_append(coalesce(receive_interaction.recipients, '{}'), receive_interaction.sender)) as a) order by u.id);
  if place.settings ->> 'owner_id' is not null then
    people := array(select distinct p from unnest(people || (place.settings ->> 'owner_id')::uuid) as p order by p);
  end if;

  select k.customer_id, k.conversation_id, k.interaction_id, k.occurred_at into thread
  from unnest(coalesce(receive_interaction."references", '{}') || receive_interaction.in_reply_to) with ordinality as r (external_id, position)
  join crm.interaction_key as k on k.channel_account_id = place.id and k.external_id = r.external_id
  where k.conversation_id is not null order by r.position desc limit 1;

  select * into point from crm.contact_point_of(place.channel, case when is_out then receive_interaction.recipients[1] else receive_interaction.sender end);
  if thread.conversation_id is not null then
    -- The thread decides the customer, unless the sender is somebody known elsewhere: a forged or forwarded reference leads nobody into another's thread.
    select p.customer_id, (array_agg(p.contact_id) filter (where p.contact_id is not null))[1] as contact_id, p.customer_id = thread.customer_id as fits into who
    from crm.contact_point as p join crm.customer as c on c.id = p.customer_id
    where p.value_key = crm.search_key(point.value) and p.kind = point.kind and p.verified and (not c.provisional or p.customer_id = thread.customer_id)
    group by p.customer_id order by fits desc limit 1;
    if who.customer_id is null or who.fits or kind in ('auto_reply', 'bounce') or is_out then
      receive_interaction.customer_id := thread.customer_id;
      receive_interaction.conversation_id := thread.conversation_id;
      contact := case when who.fits then who.contact_id end;
    end if;
  end if;

  if receive_interaction.conversation_id is null then
    select * into who from crm.identify(
      place.channel, case when is_out then receive_interaction.recipients[1] else coalesce(receive_interaction.sender, 'unknown') end,
      case when not is_out then receive_interaction.sender_name end, place.department_id);
    receive_interaction.customer_id := who.customer_id;
    contact := who.contact_id;
    insert into crm.conversation (customer_id, contact_id, channel, channel_account_id, subject, participants, department_id, owner_id, visibility)
    values (who.customer_id, who.contact_id, place.channel, place.id, left(receive_interaction.subject, 1000), people, place.department_id,
      (place.settings ->> 'owner_id')::uuid, coalesce(place.settings ->> 'visibility', 'company'))
    returning id into receive_interaction.conversation_id;
    opens := place.opens_tickets and kind = 'message' and not is_out;
  end if;

  insert into crm.interaction (customer_id, conversation_id, contact_id, occurred_at, channel, direction, kind, channel_account_id, external_id, in_reply_to,
    sender, recipients, subject, body_text, body_html, participants, status, department_id)
  values (receive_interaction.customer_id, receive_interaction.conversation_id, contact, coalesce(receive_interaction.occurred_at, now()), place.channel,
    case when is_out then 'out' else 'in' end, kind, place.id, receive_interaction.external_id, left(receive_interaction.in_reply_to, 1000),
    left(receive_interaction.sender, 1000), coalesce(receive_interaction.recipients[1:1000], '{}'), left(receive_interaction.subject, 1000),
    receive_interaction.body_text, receive_interaction.body_html, people, case when is_out then 'sent' else 'received' end, place.department_id)
  returning id into receive_interaction.interaction_id;
  if kind = 'bounce' and thread.interaction_id is not null then
    update crm.interaction as x set status = 'bounced'
    where x.customer_id = thread.customer_id and x.id = thread.interaction_id and x.occurred_at = thread.occurred_at and x.direction = 'out' and x.status <> 'bounced';
  end if;
  if opens then
    perform crm.open_ticket(receive_interaction.customer_id, receive_interaction.conversation_id);
  end if;
  receive_interaction.is_new := true;
end
$$;
comment on function crm.receive_interaction(uuid, text, text, text[], text, text, text[], text, text, text, timestamptz, text) is
  'Stores what came in by a channel account: once by its external id; in the thread that it answers, else in a new conversation with whoever sent it; opens a ticket with a new conversation where the account does. For system work.';
