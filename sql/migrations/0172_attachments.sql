-- Files that come with an interaction. The bytes lie in files named by their hash; here stands what they are and who may see them.
set local role crm_owner;

create table crm.attachment (
  customer_id     uuid        not null,
  id              uuid        not null default crm.uuid_v7(),
  conversation_id uuid,
  interaction_id  uuid,
  interaction_at  timestamptz,
  name            text        not null,
  media_type      text        not null,
  size            bigint      not null,
  sha256          text        not null,
  content_id      text,
  participants    uuid[]      not null default '{}',
  department_id   uuid        not null,
  owner_id        uuid,
  audience        uuid,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint attachment_id_primary primary key (customer_id, id),
  constraint attachment_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint attachment_conversation_id_exists foreign key (customer_id, conversation_id) references crm.conversation (customer_id, id),
  constraint attachment_about check (num_nonnulls(conversation_id, interaction_id) >= 1),
  constraint attachment_interaction_at_given check (interaction_at is null or interaction_id is not null),
  constraint attachment_name_shape check (length(btrim(name)) between 1 and 255 and name !~ '[[:cntrl:]/\\]'),
  constraint attachment_media_type_shape check (media_type ~ '^[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,126}$'),
  constraint attachment_size_positive check (size >= 0),
  constraint attachment_sha256_shape check (sha256 ~ '^[0-9a-f]{64}$'),
  constraint attachment_content_id_length check (length(content_id) between 1 and 1000)
);
comment on table crm.attachment is 'A file that came or goes with an interaction. Its bytes lie in a file named by their SHA-256 below the configured folder, never here.';
comment on column crm.attachment.conversation_id is 'The thread it belongs to; a file that waits to be sent has this alone.';
comment on column crm.attachment.interaction_id is 'The interaction it came or went with.';
comment on column crm.attachment.interaction_at is 'derived: when that interaction happened.';
comment on column crm.attachment.name is 'personal: what the file is called.';
comment on column crm.attachment.media_type is 'What the bytes are, found from the bytes themselves, such as image/png.';
comment on column crm.attachment.size is 'Bytes.';
comment on column crm.attachment.sha256 is 'SHA-256 of the bytes, as 64 hexadecimal digits; the name of the file that holds them.';
comment on column crm.attachment.content_id is 'By what name a mail''s HTML refers to it.';
comment on column crm.attachment.participants is 'The users who took part in the interaction; they read it also when it is private.';
comment on constraint attachment_about on crm.attachment is 'en: A file belongs to a conversation or an interaction. | tr: Dosya bir görüşmeye ya da etkileşime aittir.';
comment on constraint attachment_interaction_at_given on crm.attachment is 'en: Only a file of an interaction has its time. | tr: Yalnızca bir etkileşimin dosyasında zaman olur.';
comment on constraint attachment_name_shape on crm.attachment is 'en: A file name has 1 to 255 characters, without slashes and control characters. | tr: Dosya adı 1 ile 255 karakter arasındadır; eğik çizgi ve denetim karakteri içermez.';
comment on constraint attachment_media_type_shape on crm.attachment is 'en: A media type is like image/png. | tr: Ortam türü image/png gibidir.';
comment on constraint attachment_size_positive on crm.attachment is 'en: A size is not negative. | tr: Boyut eksi olamaz.';
comment on constraint attachment_sha256_shape on crm.attachment is 'en: A hash has 64 hexadecimal digits. | tr: Özet 64 onaltılık rakamdır.';
comment on constraint attachment_content_id_length on crm.attachment is 'en: A content id has 1 to 1,000 characters. | tr: İçerik kimliği 1 ile 1.000 karakter arasındadır.';
create index attachment_id_index on crm.attachment (id);
create index attachment_interaction_id_index on crm.attachment (interaction_id) where interaction_id is not null;
create index attachment_conversation_id_index on crm.attachment (conversation_id) where conversation_id is not null;
create index attachment_sha256_index on crm.attachment (sha256);

create function crm.follow_interaction() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  about record;
  mine constant uuid[] := coalesce(crm.readable('customers'), '{}');
begin
  if new.interaction_id is not null then
    select i.occurred_at, i.conversation_id, i.department_id, i.owner_id, i.audience, i.participants into about
    from crm.interaction as i where i.customer_id = new.customer_id and i.id = new.interaction_id;
  else
    select null::timestamptz as occurred_at, c.id as conversation_id, c.department_id, c.owner_id, c.audience, c.participants into about
    from crm.conversation as c where c.customer_id = new.customer_id and c.id = new.conversation_id;
  end if;
  if not found or not (about.audience = any (mine) or coalesce(about.owner_id = any (mine), false) or about.participants && mine or crm.reads_all('customers')) then
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
comment on function crm.follow_interaction() is
  'Trigger: gives a file the department, owner, audience and participants of its interaction, or of the conversation it waits in; what the caller cannot see is a missing reference.';
revoke execute on function crm.follow_interaction() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger attachment_follow_insert before insert on crm.attachment for each row execute function crm.follow_interaction();
create trigger attachment_follow_update before update on crm.attachment for each row when (old.interaction_id is distinct from new.interaction_id) execute function crm.follow_interaction();

create function crm.count_attachment() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op <> 'DELETE' and new.interaction_id is not null then
    update crm.interaction as i set attachments = i.attachments + 1
    where i.customer_id = new.customer_id and i.id = new.interaction_id and i.occurred_at = new.interaction_at;
  end if;
  if tg_op <> 'INSERT' and old.interaction_id is not null then
    update crm.interaction as i set attachments = i.attachments - 1
    where i.customer_id = old.customer_id and i.id = old.interaction_id and i.occurred_at = old.interaction_at;
  end if;
  return null;
end
$$;
comment on function crm.count_attachment() is 'Trigger: counts an interaction''s files. Runs as the owner, because who may add a file need not be able to change the interaction.';
revoke execute on function crm.count_attachment() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger attachment_count after insert or delete on crm.attachment for each row execute function crm.count_attachment();
create trigger attachment_count_update after update on crm.attachment for each row when (old.interaction_id is distinct from new.interaction_id) execute function crm.count_attachment();

create function crm.lead_interaction_parts() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.attachment as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience, participants = new.participants
  where x.customer_id = new.customer_id and x.interaction_id = new.id;
  return null;
end
$$;
comment on function crm.lead_interaction_parts() is 'Trigger: when an interaction changes department, owner, visibility or participants, its files follow.';
revoke execute on function crm.lead_interaction_parts() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger interaction_lead after update on crm.interaction for each row
  when (new.attachments > 0 and (old.department_id, old.owner_id, old.audience, old.participants) is distinct from (new.department_id, new.owner_id, new.audience, new.participants))
  execute function crm.lead_interaction_parts();

select crm.protect('crm.attachment', area => 'customers', kind => 'owned', resource => 'attachments', verbs => '{select,insert,update,delete}');
create policy attachment_participant on crm.attachment for select to crm_app, crm_worker using (participants && (select crm.readable('customers'))::uuid[]);
create policy attachment_keep on crm.attachment to crm_owner using (true) with check (true);
