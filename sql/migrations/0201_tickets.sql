-- Tickets: something a customer wants answered or put right.
set local role crm_owner;

insert into crm.number_series (series, prefix) values ('ticket', 'T');

create table crm.ticket (
  customer_id         uuid        not null,
  id                  uuid        not null default crm.uuid_v7(),
  number              text        not null default '',
  subject             text        not null,
  search_key          text        collate "C" generated always as (crm.search_key(subject)) stored,
  description         text,
  type                text        not null default 'question',
  priority            text        not null default 'normal',
  status              text        not null default 'new',
  status_reason       text,
  status_since        timestamptz not null default now(),
  channel             text        not null default 'other',
  language            text,
  skills              text[]      not null default '{}',
  tags                text[]      not null default '{}',
  contact_id          uuid,
  product_id          uuid,
  order_id            uuid,
  conversation_id     uuid,
  parent_id           uuid,
  merged_into_id      uuid,
  split_from_id       uuid,
  team_id             uuid,
  assignee_id         uuid,
  assigned_at         timestamptz,
  sla_class           text,
  tier                text,
  sla_policy_id       uuid,
  sla_state           text        not null default 'none',
  next_due_at         timestamptz,
  opened_at           timestamptz not null default now(),
  first_response_at   timestamptz,
  resolved_at         timestamptz,
  closed_at           timestamptz,
  reopened_count      integer     not null default 0,
  seconds_spent       integer     not null default 0,
  custom              jsonb       not null default '{}',
  department_id       uuid        not null,
  owner_id            uuid,
  visibility          text        not null default 'company',
  audience            uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  version             integer     not null default 1,
  created_by          uuid        default crm.caller_id(),
  constraint ticket_id_primary primary key (customer_id, id),
  constraint ticket_number_unique unique (customer_id, number),
  constraint ticket_number_length check (length(number) between 1 and 40),
  constraint ticket_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint ticket_subject_length check (length(btrim(subject)) between 1 and 300),
  constraint ticket_description_length check (length(description) <= 100000),
  constraint ticket_type_known check (type in ('question', 'problem', 'incident', 'request', 'complaint', 'return', 'other')),
  constraint ticket_priority_known check (priority in ('low', 'normal', 'high', 'urgent')),
  constraint ticket_status_known check (status in ('new', 'open', 'pending_customer', 'on_hold', 'resolved', 'closed')),
  constraint ticket_status_reason_length check (length(status_reason) <= 500),
  constraint ticket_status_since_finite check (isfinite(status_since) and isfinite(opened_at)),
  constraint ticket_channel_known check (channel in ('email', 'phone', 'meeting', 'chat', 'sms', 'social', 'web', 'form', 'letter', 'portal', 'other')),
  constraint ticket_language_shape check (language ~ '^[a-z]{2}$'),
  constraint ticket_skills_shape check (cardinality(skills) <= 20 and (skills = '{}' or array_to_string(skills, ',', '?') ~ '^[a-z][a-z0-9_]{0,62}(,[a-z][a-z0-9_]{0,62})*$')),
  constraint ticket_tags_shape check (cardinality(tags) <= 50 and array_position(tags, null) is null and length(array_to_string(tags, ',')) <= 3000),
  constraint ticket_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint ticket_product_id_exists foreign key (product_id) references crm.product (id),
  constraint ticket_order_id_exists foreign key (customer_id, order_id) references crm.sales_order (customer_id, id),
  constraint ticket_parent_id_exists foreign key (customer_id, parent_id) references crm.ticket (customer_id, id),
  constraint ticket_parent_id_other check (parent_id <> id),
  constraint ticket_merged_into_id_exists foreign key (customer_id, merged_into_id) references crm.ticket (customer_id, id),
  constraint ticket_merged_into_id_other check (merged_into_id <> id),
  constraint ticket_merged_into_id_closed check (merged_into_id is null or status = 'closed'),
  constraint ticket_split_from_id_exists foreign key (customer_id, split_from_id) references crm.ticket (customer_id, id),
  constraint ticket_split_from_id_other check (split_from_id <> id),
  constraint ticket_team_id_exists foreign key (team_id) references crm.team (id),
  constraint ticket_assignee_id_exists foreign key (assignee_id) references crm.app_user (id),
  constraint ticket_sla_state_known check (sla_state in ('none', 'running', 'paused', 'warned', 'breached', 'met')),
  constraint ticket_resolved_at_given check (status in ('resolved', 'closed') or resolved_at is null),
  constraint ticket_closed_at_given check ((status = 'closed') = (closed_at is not null)),
  constraint ticket_reopened_count_counted check (reopened_count >= 0),
  constraint ticket_seconds_spent_counted check (seconds_spent >= 0),
  constraint ticket_custom_object check (jsonb_typeof(custom) = 'object'),
  constraint ticket_department_id_exists foreign key (department_id) references crm.department (id),
  constraint ticket_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint ticket_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint ticket_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.ticket is 'Something a customer wants answered or put right, from when it came in until it is closed.';
comment on column crm.ticket.number is 'Number that people quote, such as T-2026-000017.';
comment on column crm.ticket.subject is 'personal: what it is about, in a few words.';
comment on column crm.ticket.search_key is 'personal: derived: the subject as it is searched.';
comment on column crm.ticket.description is 'personal: what the customer said or wants.';
comment on column crm.ticket.type is 'question, problem, incident, request, complaint, return or other.';
comment on column crm.ticket.priority is 'low, normal, high or urgent.';
comment on column crm.ticket.status is 'new, open (being worked on), pending_customer (waiting for the customer), on_hold (waiting for somebody else), resolved or closed; moved by operations.';
comment on column crm.ticket.status_reason is 'Why it is in this status.';
comment on column crm.ticket.status_since is 'Since when it is in this status.';
comment on column crm.ticket.channel is 'How it came: email, phone, meeting, chat, sms, social, web, form, letter, portal or other.';
comment on column crm.ticket.language is 'Language to answer in (ISO 639-1).';
comment on column crm.ticket.skills is 'What somebody must be able to do to answer it.';
comment on column crm.ticket.tags is 'Words that colleagues find it by.';
comment on column crm.ticket.contact_id is 'The person at the customer who asks.';
comment on column crm.ticket.product_id is 'The product it is about.';
comment on column crm.ticket.order_id is 'The customer''s order it is about.';
comment on column crm.ticket.conversation_id is 'The conversation it is answered in.';
comment on column crm.ticket.parent_id is 'The ticket it is a part of.';
comment on column crm.ticket.merged_into_id is 'The ticket that stands for it since they were merged.';
comment on column crm.ticket.split_from_id is 'The ticket it was taken out of.';
comment on column crm.ticket.team_id is 'The team that answers it.';
comment on column crm.ticket.assignee_id is 'Who answers it; also its owner.';
comment on column crm.ticket.assigned_at is 'When the assignee got it.';
comment on column crm.ticket.sla_class is 'derived: class of service of the customer when the ticket came, from the customer''s cell.';
comment on column crm.ticket.tier is 'derived: the customer''s tier when the ticket came.';
comment on column crm.ticket.sla_policy_id is 'derived: the policy its clocks go by.';
comment on column crm.ticket.sla_state is 'derived: none (nothing promised), running, paused, warned (a limit is near), breached (a limit passed) or met.';
comment on column crm.ticket.next_due_at is 'derived: the earliest limit that runs; null while none does.';
comment on column crm.ticket.opened_at is 'When it came in; its clocks count from then.';
comment on column crm.ticket.first_response_at is 'When the customer was first answered.';
comment on column crm.ticket.resolved_at is 'When it was resolved; null again when it is reopened.';
comment on column crm.ticket.closed_at is 'When it was closed.';
comment on column crm.ticket.reopened_count is 'How often it was reopened.';
comment on column crm.ticket.seconds_spent is 'derived: how long colleagues worked on it.';
comment on constraint ticket_number_unique on crm.ticket is 'en: Another ticket already has this number. | tr: Bu numara başka bir talepte kullanılıyor.';
comment on constraint ticket_number_length on crm.ticket is 'en: A number has 1 to 40 characters. | tr: Numara 1 ile 40 karakter arasındadır.';
comment on constraint ticket_subject_length on crm.ticket is 'en: Say in at most 300 characters what it is about. | tr: Konuyu en çok 300 karakterle yazın.';
comment on constraint ticket_description_length on crm.ticket is 'en: A description has at most 100000 characters. | tr: Açıklama en çok 100000 karakterdir.';
comment on constraint ticket_type_known on crm.ticket is 'en: A ticket is a question, problem, incident, request, complaint, return or other. | tr: Talep question, problem, incident, request, complaint, return ya da other olabilir.';
comment on constraint ticket_priority_known on crm.ticket is 'en: A priority is low, normal, high or urgent. | tr: Öncelik low, normal, high ya da urgent olabilir.';
comment on constraint ticket_status_known on crm.ticket is 'en: A ticket is new, open, pending_customer, on_hold, resolved or closed. | tr: Talep new, open, pending_customer, on_hold, resolved ya da closed olabilir.';
comment on constraint ticket_status_reason_length on crm.ticket is 'en: A reason has at most 500 characters. | tr: Gerekçe en çok 500 karakterdir.';
comment on constraint ticket_status_since_finite on crm.ticket is 'en: Give real instants. | tr: Gerçek anlar verin.';
comment on constraint ticket_channel_known on crm.ticket is 'en: A channel is email, phone, meeting, chat, sms, social, web, form, letter, portal or other. | tr: Kanal email, phone, meeting, chat, sms, social, web, form, letter, portal ya da other olabilir.';
comment on constraint ticket_language_shape on crm.ticket is 'en: Give a language by its two letters, such as tr. | tr: Dili tr gibi iki harfle verin.';
comment on constraint ticket_skills_shape on crm.ticket is 'en: Name up to 20 skills with small letters a–z, digits and underscores. | tr: En çok 20 yetkinliği a–z küçük harf, rakam ve alt çizgiyle yazın.';
comment on constraint ticket_tags_shape on crm.ticket is 'en: Give up to 50 tags. | tr: En çok 50 etiket verin.';
comment on constraint ticket_parent_id_other on crm.ticket is 'en: A ticket cannot be a part of itself. | tr: Bir talep kendisinin parçası olamaz.';
comment on constraint ticket_merged_into_id_other on crm.ticket is 'en: A ticket cannot be merged with itself. | tr: Bir talep kendisiyle birleştirilemez.';
comment on constraint ticket_merged_into_id_closed on crm.ticket is 'en: A merged ticket is closed; part it first. | tr: Birleştirilmiş talep kapalıdır; önce ayırın.';
comment on constraint ticket_split_from_id_other on crm.ticket is 'en: A ticket cannot be taken out of itself. | tr: Bir talep kendisinden ayrılamaz.';
comment on constraint ticket_sla_state_known on crm.ticket is 'en: The state of its promises is none, running, paused, warned, breached or met. | tr: Sözlerinin durumu none, running, paused, warned, breached ya da met olabilir.';
comment on constraint ticket_resolved_at_given on crm.ticket is 'en: Only a resolved or closed ticket has the time it was resolved. | tr: Yalnızca çözülen ya da kapanan talebin çözülme zamanı olur.';
comment on constraint ticket_closed_at_given on crm.ticket is 'en: A closed ticket, and no other, has the time it was closed. | tr: Yalnızca kapanan talebin kapanma zamanı olur.';
comment on constraint ticket_reopened_count_counted on crm.ticket is 'en: A count is not negative. | tr: Sayı eksi olamaz.';
comment on constraint ticket_seconds_spent_counted on crm.ticket is 'en: Time spent is not negative. | tr: Harcanan süre eksi olamaz.';
create index ticket_id_index on crm.ticket (id);
create index ticket_number_index on crm.ticket (number);
create index ticket_search_key_index on crm.ticket (search_key, id);
create index ticket_opened_at_index on crm.ticket (opened_at, id);
create index ticket_department_id_index on crm.ticket (department_id, opened_at, id);
create index ticket_assignee_id_index on crm.ticket (assignee_id) where status not in ('resolved', 'closed');
create index ticket_team_id_index on crm.ticket (team_id, opened_at) where status not in ('resolved', 'closed');
create index ticket_next_due_at_index on crm.ticket (next_due_at) where next_due_at is not null;
create index ticket_conversation_id_index on crm.ticket (customer_id, conversation_id) where conversation_id is not null;
create index ticket_parent_id_index on crm.ticket (customer_id, parent_id) where parent_id is not null;
create index ticket_order_id_index on crm.ticket (customer_id, order_id) where order_id is not null;
create index ticket_merged_into_id_index on crm.ticket (customer_id, merged_into_id) where merged_into_id is not null;

-- A reference to what the caller cannot see is a missing one; whoever is assigned owns the ticket; every status knows since when.
create function crm.prepare_ticket() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if not exists (select from crm.customer as c where c.id = new.customer_id) then
      perform crm.missing_reference('customer_id');
    end if;
    new.status_since := new.opened_at;
    if new.assignee_id is not null then
      new.assigned_at := coalesce(new.assigned_at, now());
    end if;
  elsif new.assignee_id is distinct from old.assignee_id then
    new.assigned_at := case when new.assignee_id is not null then now() end;
  end if;
  new.owner_id := coalesce(new.assignee_id, new.owner_id);
  if tg_op = 'INSERT' and new.number = '' then
    new.number := crm.next_number('ticket');
  end if;
  return new;
end
$$;
comment on function crm.prepare_ticket() is 'Trigger: a customer the caller cannot see is a missing reference; the assignee is the owner; a new ticket gets its number.';
create trigger ticket_prepare_insert before insert on crm.ticket for each row execute function crm.prepare_ticket();
create trigger ticket_prepare_update before update on crm.ticket for each row
  when (old.assignee_id is distinct from new.assignee_id) execute function crm.prepare_ticket();
select crm.protect('crm.ticket', area => 'service', kind => 'owned', resource => 'tickets', bi => true);

-- Tickets may have custom fields, beside whatever else may by now.
do $$
declare
  resources text[] := array(
    select m[1] from pg_constraint as c, regexp_matches(pg_get_constraintdef(c.oid), '''([a-z_]+)''', 'g') as m
    where c.conname = 'custom_field_resource_known' and c.conrelid = 'crm.custom_field'::regclass) || 'tickets'::text;
begin
  alter table crm.custom_field drop constraint custom_field_resource_known;
  execute format('alter table crm.custom_field add constraint custom_field_resource_known check (resource in (%s))',
    (select string_agg(quote_literal(r), ', ') from (select distinct r from unnest(resources) as r) as each));
  execute format('comment on constraint custom_field_resource_known on crm.custom_field is %L', format(
    'en: Resources with custom fields are: %1$s. | tr: Özel alan eklenebilen kaynaklar: %1$s.', (select string_agg(distinct r, ', ') from unnest(resources) as r)));
end
$$;
