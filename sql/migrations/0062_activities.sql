-- Activities: meetings, calls, follow-ups and notes, who takes part, and the calendars made of them.
set local role crm_owner;

create table crm.activity (
  id                  uuid        not null default crm.uuid_v7(),
  kind                text        not null,
  subject             text        not null,
  search_key          text        collate "C" generated always as (crm.search_key(subject)) stored,
  starts_at           timestamptz not null default now(),
  ends_at             timestamptz,
  place               text,
  agenda              text,
  minutes             text,
  outcome             text,
  next_step           text,
  status              text        not null default 'planned',
  completed_at        timestamptz,
  cancelled_at        timestamptz,
  cancellation_reason text,
  follows_id          uuid,
  customer_id         uuid,
  contact_id          uuid,
  lead_id             uuid,
  department_id       uuid        not null,
  owner_id            uuid,
  visibility          text        not null default 'company',
  audience            uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  version             integer     not null default 1,
  created_by          uuid        default crm.caller_id(),
  constraint activity_id_primary primary key (id),
  constraint activity_kind_known check (kind in ('meeting', 'call', 'follow_up', 'note')),
  constraint activity_subject_length check (length(btrim(subject)) between 1 and 300),
  constraint activity_starts_at_finite check (isfinite(starts_at)),
  constraint activity_ends_at_later check (ends_at > starts_at and ends_at <= starts_at + interval '31 days'),
  constraint activity_ends_at_given check (kind <> 'meeting' or ends_at is not null),
  constraint activity_outcome_known check (outcome in ('successful', 'unsuccessful', 'not_reached', 'postponed', 'information')),
  constraint activity_status_known check (status in ('planned', 'completed', 'cancelled')),
  constraint activity_completed_at_given check ((status = 'completed') = (completed_at is not null)),
  constraint activity_cancelled_at_given check ((status = 'cancelled') = (cancelled_at is not null)),
  constraint activity_follows_id_exists foreign key (follows_id) references crm.activity (id),
  constraint activity_follows_id_other check (follows_id <> id),
  constraint activity_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint activity_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint activity_contact_id_customer check (contact_id is null or customer_id is not null),
  constraint activity_lead_id_exists foreign key (lead_id) references crm.lead (id),
  constraint activity_department_id_exists foreign key (department_id) references crm.department (id),
  constraint activity_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint activity_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint activity_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.activity is 'What was or will be done: a meeting, a call, a follow-up or a note.';
comment on column crm.activity.kind is 'meeting, call, follow_up (something to do until then) or note.';
comment on column crm.activity.subject is 'personal: what it is about, in a few words.';
comment on column crm.activity.search_key is 'personal: derived: the subject as it is searched.';
comment on column crm.activity.starts_at is 'When it begins; of a follow-up, when it is due; of a note, when it was made.';
comment on column crm.activity.ends_at is 'When it ends; meetings have an end.';
comment on column crm.activity.place is 'Where it takes place, or the address of an online meeting.';
comment on column crm.activity.agenda is 'personal: what shall be talked about.';
comment on column crm.activity.minutes is 'personal: what was said; the text of a note.';
comment on column crm.activity.outcome is 'What it came to: successful, unsuccessful, not_reached, postponed or information.';
comment on column crm.activity.next_step is 'What was agreed to be done next.';
comment on column crm.activity.status is 'planned, completed or cancelled; moved by operations.';
comment on column crm.activity.completed_at is 'When it was completed.';
comment on column crm.activity.cancelled_at is 'When it was cancelled.';
comment on column crm.activity.cancellation_reason is 'Why it was cancelled.';
comment on column crm.activity.follows_id is 'The activity whose next step this is.';
comment on column crm.activity.contact_id is 'The person at the customer it is about.';
comment on column crm.activity.lead_id is 'The lead it is about.';
comment on constraint activity_kind_known on crm.activity is 'en: An activity is a meeting, call, follow_up or note. | tr: Etkinlik meeting, call, follow_up ya da note olabilir.';
comment on constraint activity_subject_length on crm.activity is 'en: Say in at most 300 characters what it is about. | tr: Konuyu en çok 300 karakterle yazın.';
comment on constraint activity_starts_at_finite on crm.activity is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint activity_ends_at_later on crm.activity is 'en: It ends after it begins, within 31 days. | tr: Bitiş başlangıçtan sonra ve 31 gün içinde olmalıdır.';
comment on constraint activity_ends_at_given on crm.activity is 'en: A meeting has an end. | tr: Toplantının bitiş zamanı olmalıdır.';
comment on constraint activity_outcome_known on crm.activity is 'en: The outcome is successful, unsuccessful, not_reached, postponed or information. | tr: Sonuç successful, unsuccessful, not_reached, postponed ya da information olabilir.';
comment on constraint activity_status_known on crm.activity is 'en: An activity is planned, completed or cancelled. | tr: Etkinlik planned, completed ya da cancelled olabilir.';
comment on constraint activity_completed_at_given on crm.activity is 'en: A completed activity, and no other, has the time it was completed. | tr: Yalnızca tamamlanan etkinliğin tamamlanma zamanı olur.';
comment on constraint activity_cancelled_at_given on crm.activity is 'en: A cancelled activity, and no other, has the time it was cancelled. | tr: Yalnızca iptal edilen etkinliğin iptal zamanı olur.';
comment on constraint activity_follows_id_other on crm.activity is 'en: An activity cannot follow itself. | tr: Bir etkinlik kendisini izleyemez.';
comment on constraint activity_contact_id_customer on crm.activity is 'en: A contact is named with its customer. | tr: Kişi, müşterisiyle birlikte belirtilir.';
create index activity_starts_at_index on crm.activity (starts_at, id);
create index activity_customer_id_index on crm.activity (customer_id, starts_at, id) where customer_id is not null;
create index activity_lead_id_index on crm.activity (lead_id) where lead_id is not null;
create index activity_follows_id_index on crm.activity (follows_id) where follows_id is not null;
create index activity_owner_id_index on crm.activity (owner_id, starts_at) where owner_id is not null;
create index activity_department_id_index on crm.activity (department_id, starts_at, id);
select crm.protect('crm.activity', area => 'sales', kind => 'owned', resource => 'activities', bi => true);

create table crm.activity_participant (
  id            uuid        not null default crm.uuid_v7(),
  activity_id   uuid        not null,
  user_id       uuid,
  customer_id   uuid,
  contact_id    uuid,
  name          text,
  email         text,
  response      text        not null default 'invited',
  forced        boolean     not null default false,
  busy          tstzrange,
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint activity_participant_id_primary primary key (id),
  constraint activity_participant_activity_id_exists foreign key (activity_id) references crm.activity (id),
  constraint activity_participant_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint activity_participant_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint activity_participant_one_person check (num_nonnulls(user_id, contact_id, name) = 1),
  constraint activity_participant_customer_id_given check ((customer_id is null) = (contact_id is null)),
  constraint activity_participant_name_length check (length(btrim(name)) between 1 and 300),
  constraint activity_participant_email_valid check (crm.valid_email(email)),
  constraint activity_participant_response_known check (response in ('invited', 'accepted', 'declined')),
  constraint activity_participant_user_id_once unique (activity_id, user_id),
  constraint activity_participant_contact_id_once unique (activity_id, contact_id),
  constraint activity_participant_free exclude using gist (user_id with =, busy with &&) where (user_id is not null and not forced and response <> 'declined')
);
comment on table crm.activity_participant is 'Somebody who takes part in an activity: a colleague, a contact, or somebody by name. A colleague is not booked twice at one time unless forced.';
comment on column crm.activity_participant.activity_id is 'The activity.';
comment on column crm.activity_participant.user_id is 'The colleague.';
comment on column crm.activity_participant.customer_id is 'The contact''s customer.';
comment on column crm.activity_participant.contact_id is 'The contact.';
comment on column crm.activity_participant.name is 'personal: the name of somebody who is neither.';
comment on column crm.activity_participant.email is 'personal: e-mail address of somebody who is neither.';
comment on column crm.activity_participant.response is 'invited, accepted or declined.';
comment on column crm.activity_participant.forced is 'Whether the colleague takes part although booked elsewhere at the time.';
comment on column crm.activity_participant.busy is 'derived: the time a planned meeting or call takes.';
comment on constraint activity_participant_one_person on crm.activity_participant is 'en: A participant is either a user, a contact or a name. | tr: Katılımcı ya bir kullanıcı, ya bir kişi, ya da bir addır.';
comment on constraint activity_participant_customer_id_given on crm.activity_participant is 'en: A contact is named with its customer. | tr: Kişi, müşterisiyle birlikte belirtilir.';
comment on constraint activity_participant_name_length on crm.activity_participant is 'en: Give a name of at most 300 characters. | tr: En çok 300 karakterlik bir ad verin.';
comment on constraint activity_participant_email_valid on crm.activity_participant is 'en: This is not a valid e-mail address. | tr: Geçerli bir e-posta adresi değil.';
comment on constraint activity_participant_response_known on crm.activity_participant is 'en: A response is invited, accepted or declined. | tr: Yanıt invited, accepted ya da declined olabilir.';
comment on constraint activity_participant_user_id_once on crm.activity_participant is 'en: This user takes part already. | tr: Bu kullanıcı zaten katılıyor.';
comment on constraint activity_participant_contact_id_once on crm.activity_participant is 'en: This contact takes part already. | tr: Bu kişi zaten katılıyor.';
comment on constraint activity_participant_free on crm.activity_participant is 'en: A participant is booked elsewhere at this time. Choose another time, or force it. | tr: Katılımcılardan biri bu saatte dolu. Başka bir saat seçin ya da zorlayın.';
create index activity_participant_user_id_index on crm.activity_participant (user_id, activity_id) where user_id is not null;
create index activity_participant_contact_id_index on crm.activity_participant (contact_id) where contact_id is not null;

create function crm.busy_during(a crm.activity) returns tstzrange language sql immutable parallel safe
  return case when (a).status = 'planned' and (a).kind in ('meeting', 'call') and (a).ends_at is not null then tstzrange((a).starts_at, (a).ends_at) end;
comment on function crm.busy_during(crm.activity) is 'The time for which an activity books its participants: planned meetings and calls with an end; null for others.';

create function crm.follow_activity() returns trigger language plpgsql as $$
begin
  select a.department_id, a.owner_id, a.audience, crm.busy_during(a) into new.department_id, new.owner_id, new.audience, new.busy
  from crm.activity as a where a.id = new.activity_id;
  if not found then
    perform crm.missing_reference('activity_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_activity() is 'Trigger: gives a participant the activity''s department, owner, audience and time; an activity the caller cannot see is a missing reference.';
create trigger activity_participant_follow_insert before insert on crm.activity_participant for each row execute function crm.follow_activity();
create trigger activity_participant_follow_update before update on crm.activity_participant for each row
  when ((old.activity_id, old.department_id, old.owner_id, old.audience, old.busy) is distinct from (new.activity_id, new.department_id, new.owner_id, new.audience, new.busy))
  execute function crm.follow_activity();

create function crm.lead_activity_parts() returns trigger language plpgsql as $$
begin
  update crm.activity_participant as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience, busy = crm.busy_during(new)
  where x.activity_id = new.id;
  return null;
end
$$;
comment on function crm.lead_activity_parts() is 'Trigger: when an activity changes department, owner, visibility or time, its participants follow.';
create trigger activity_lead after update on crm.activity for each row
  when ((old.department_id, old.owner_id, old.audience, old.status, old.kind, old.starts_at, old.ends_at)
    is distinct from (new.department_id, new.owner_id, new.audience, new.status, new.kind, new.starts_at, new.ends_at)) execute function crm.lead_activity_parts();
alter table crm.activity enable always trigger activity_lead;
select crm.protect('crm.activity_participant', area => 'sales', kind => 'owned', resource => 'activity_participants', verbs => '{select,insert,update,delete}', bi => true);

-- Calendars -----------------------------------------------------------------------------------------------------------------------

create table crm.calendar_feed (
  id            uuid        not null default crm.uuid_v7(),
  user_id       uuid        not null,
  department_id uuid,
  name          text        not null,
  token_hash    bytea       not null,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint calendar_feed_id_primary primary key (id),
  constraint calendar_feed_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint calendar_feed_department_id_exists foreign key (department_id) references crm.department (id),
  constraint calendar_feed_name_length check (length(btrim(name)) between 1 and 200),
  constraint calendar_feed_token_hash_unique unique (token_hash),
  constraint calendar_feed_token_hash_length check (length(token_hash) = 32)
);
comment on table crm.calendar_feed is 'An address at which a calendar program reads the activities of a person or a department, with the rights of whoever made it. Deleting it shuts the address.';
comment on column crm.calendar_feed.user_id is 'Who made it; the calendar shows what this user may read.';
comment on column crm.calendar_feed.department_id is 'The department whose activities it shows; null for the user''s own.';
comment on column crm.calendar_feed.name is 'What the calendar is called.';
comment on column crm.calendar_feed.token_hash is 'secret: SHA-256 of the token in the address.';
comment on constraint calendar_feed_name_length on crm.calendar_feed is 'en: Give the calendar a name of at most 200 characters. | tr: Takvime en çok 200 karakterlik bir ad verin.';
comment on constraint calendar_feed_token_hash_unique on crm.calendar_feed is 'en: This calendar is already there. | tr: Bu takvim zaten var.';
comment on constraint calendar_feed_token_hash_length on crm.calendar_feed is 'en: A hash has 32 bytes. | tr: Özet 32 bayttır.';
create index calendar_feed_user_id_index on crm.calendar_feed (user_id);
select crm.protect('crm.calendar_feed', area => 'admin', kind => 'personal', resource => 'calendar_feeds', verbs => '{select,insert,update,delete}');
