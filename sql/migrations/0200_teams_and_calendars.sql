-- Who serves customers and when: business calendars with holidays and half days, teams, what their members can do, who is there.
set local role crm_owner;

create table crm.business_calendar (
  id            uuid        not null default crm.uuid_v7(),
  code          text        not null,
  name          text        not null,
  time_zone     text        not null default 'Europe/Istanbul',
  covers_from   date        not null default '2015-01-01',
  covers_until  date        not null default '2034-12-31',
  holiday_scope text,
  note          text,
  revision      bigint      not null default 0,
  active        boolean     not null default true,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint business_calendar_id_primary primary key (id),
  constraint business_calendar_code_unique unique (code),
  constraint business_calendar_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint business_calendar_name_length check (length(btrim(name)) between 1 and 200),
  constraint business_calendar_time_zone_shape check (time_zone ~ '^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$'),
  constraint business_calendar_covers_finite check (isfinite(covers_from) and isfinite(covers_until)),
  constraint business_calendar_covers_ordered check (covers_until >= covers_from and covers_until - covers_from <= 18300),
  constraint business_calendar_holiday_scope_shape check (holiday_scope ~ '^[A-Za-z]{2}$')
);
comment on table crm.business_calendar is 'When a team or a promise counts time: weekly hours, holidays and half days, in one time zone.';
comment on column crm.business_calendar.code is 'Short stable name.';
comment on column crm.business_calendar.name is 'Name as people say it.';
comment on column crm.business_calendar.time_zone is 'The zone whose clocks its hours are read from (IANA name).';
comment on column crm.business_calendar.covers_from is 'The first day that is laid out; before it no business time passes.';
comment on column crm.business_calendar.covers_until is 'The last day that is laid out; after it no business time passes.';
comment on column crm.business_calendar.holiday_scope is 'The country (ISO 3166-1) whose public holidays and half days count besides its own; null for none.';
comment on column crm.business_calendar.note is 'What colleagues should know.';
comment on column crm.business_calendar.revision is 'Counted up whenever its hours are laid out anew; clocks that were computed with an older one are computed again.';
comment on column crm.business_calendar.active is 'Whether new policies and teams may use it.';
comment on constraint business_calendar_code_unique on crm.business_calendar is 'en: Another calendar already has this code. | tr: Bu kod başka bir takvimde kullanılıyor.';
comment on constraint business_calendar_code_shape on crm.business_calendar is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint business_calendar_name_length on crm.business_calendar is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint business_calendar_time_zone_shape on crm.business_calendar is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
comment on constraint business_calendar_covers_finite on crm.business_calendar is 'en: Give real dates. | tr: Gerçek tarihler verin.';
comment on constraint business_calendar_covers_ordered on crm.business_calendar is 'en: A calendar covers up to fifty years, from its first day to its last. | tr: Takvim, ilk gününden son gününe en çok elli yılı kapsar.';
comment on constraint business_calendar_holiday_scope_shape on crm.business_calendar is 'en: Give a country of two letters, such as TR. | tr: TR gibi iki harfli bir ülke kodu verin.';
select crm.protect('crm.business_calendar', area => 'service', kind => 'common', resource => 'business_calendars', bi => true);

create function crm.minute_of_day(clock text) returns integer language sql immutable strict parallel safe
  return case when clock ~ '^[0-9]{2}:[0-9]{2}$' then substr(clock, 1, 2)::integer * 60 + substr(clock, 4, 2)::integer else 0 end;
comment on function crm.minute_of_day(text) is 'Minutes since midnight of a time such as 09:30 as clocks show it; 24:00 is 1440.';

create table crm.business_interval (
  id          uuid        not null default crm.uuid_v7(),
  calendar_id uuid        not null,
  weekday     smallint,
  day         date,
  opens       text        not null,
  closes      text        not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint business_interval_id_primary primary key (id),
  constraint business_interval_calendar_id_exists foreign key (calendar_id) references crm.business_calendar (id) on delete cascade,
  constraint business_interval_one_kind check (num_nonnulls(weekday, day) = 1),
  constraint business_interval_weekday_range check (weekday between 1 and 7),
  constraint business_interval_day_finite check (isfinite(day)),
  constraint business_interval_opens_shape check (opens ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
  constraint business_interval_closes_shape check (closes ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'),
  constraint business_interval_closes_later check (closes collate "C" > opens),
  constraint business_interval_apart exclude using gist (
    calendar_id with =, (coalesce(weekday, 0)) with =, (coalesce(day, '1970-01-01'::date)) with =,
    (int4range(crm.minute_of_day(opens), greatest(crm.minute_of_day(opens), crm.minute_of_day(closes)))) with &&)
);
comment on table crm.business_interval is 'Hours in which a calendar''s time counts: every week on a weekday, or on one day in place of that weekday''s. Any number a day.';
comment on column crm.business_interval.calendar_id is 'The calendar.';
comment on column crm.business_interval.weekday is '1 Monday to 7 Sunday, for hours of every week.';
comment on column crm.business_interval.day is 'The day, for hours of one day only; they replace the weekday''s and stand against holidays.';
comment on column crm.business_interval.opens is 'From when, as the clocks of the calendar''s zone show it, such as 09:00.';
comment on column crm.business_interval.closes is 'Until when, exclusive; 24:00 is the end of the day.';
comment on constraint business_interval_one_kind on crm.business_interval is 'en: Give either a weekday or a day. | tr: Ya haftanın gününü ya da bir tarih verin.';
comment on constraint business_interval_weekday_range on crm.business_interval is 'en: A weekday is 1 (Monday) to 7 (Sunday). | tr: Haftanın günü 1 (pazartesi) ile 7 (pazar) arasındadır.';
comment on constraint business_interval_day_finite on crm.business_interval is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint business_interval_closes_later on crm.business_interval is 'en: It closes after it opens, on the same day; 24:00 is the end of the day. | tr: Kapanış, açılıştan sonra ve aynı gün içindedir; 24:00 gün sonudur.';
comment on constraint business_interval_opens_shape on crm.business_interval is 'en: Give a time such as 09:00. | tr: 09:00 gibi bir saat verin.';
comment on constraint business_interval_closes_shape on crm.business_interval is 'en: Give a time such as 18:00; 24:00 is the end of the day. | tr: 18:00 gibi bir saat verin; 24:00 gün sonudur.';
comment on constraint business_interval_apart on crm.business_interval is 'en: These hours overlap others of the same day. | tr: Bu saatler aynı günün başka saatleriyle çakışıyor.';
select crm.protect('crm.business_interval', area => 'service', kind => 'common', resource => 'business_intervals', verbs => '{select,insert,update,delete}', bi => true);

create table crm.calendar_exception (
  id          uuid        not null default crm.uuid_v7(),
  calendar_id uuid        not null,
  day         date        not null,
  name        text        not null,
  closes_at   text,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint calendar_exception_id_primary primary key (id),
  constraint calendar_exception_day_unique unique (calendar_id, day),
  constraint calendar_exception_calendar_id_exists foreign key (calendar_id) references crm.business_calendar (id) on delete cascade,
  constraint calendar_exception_day_finite check (isfinite(day)),
  constraint calendar_exception_name_length check (length(btrim(name)) between 1 and 200),
  constraint calendar_exception_closes_at_shape check (closes_at ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$')
);
comment on table crm.calendar_exception is 'A holiday or a half day of a calendar.';
comment on column crm.calendar_exception.calendar_id is 'The calendar.';
comment on column crm.calendar_exception.day is 'The day.';
comment on column crm.calendar_exception.name is 'What it is, such as Cumhuriyet Bayramı.';
comment on column crm.calendar_exception.closes_at is 'From when on it is closed, such as 13:00 on a half day; null when it is closed all day.';
comment on constraint calendar_exception_day_unique on crm.calendar_exception is 'en: This calendar already has an exception on that day. | tr: Bu takvimin o gün için zaten bir istisnası var.';
comment on constraint calendar_exception_day_finite on crm.calendar_exception is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint calendar_exception_name_length on crm.calendar_exception is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint calendar_exception_closes_at_shape on crm.calendar_exception is 'en: Give a time such as 13:00. | tr: 13:00 gibi bir saat verin.';
select crm.protect('crm.calendar_exception', area => 'service', kind => 'common', resource => 'calendar_exceptions', verbs => '{select,insert,update,delete}', bi => true);

-- Teams ---------------------------------------------------------------------------------------------------------------------------

create table crm.team (
  id            uuid        not null default crm.uuid_v7(),
  code          text        not null,
  name          text        not null,
  department_id uuid        not null,
  calendar_id   uuid,
  lead_id       uuid,
  note          text,
  active        boolean     not null default true,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint team_id_primary primary key (id),
  constraint team_code_unique unique (code),
  constraint team_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint team_name_length check (length(btrim(name)) between 1 and 200),
  constraint team_department_id_exists foreign key (department_id) references crm.department (id),
  constraint team_calendar_id_exists foreign key (calendar_id) references crm.business_calendar (id),
  constraint team_lead_id_exists foreign key (lead_id) references crm.app_user (id)
);
comment on table crm.team is 'Colleagues who answer customers together.';
comment on column crm.team.code is 'Short stable name.';
comment on column crm.team.name is 'Name as people say it.';
comment on column crm.team.calendar_id is 'Its working hours; null for around the clock.';
comment on column crm.team.lead_id is 'Who answers for the team, and hears when a promise is about to be broken.';
comment on column crm.team.note is 'What colleagues should know.';
comment on column crm.team.active is 'Whether work is routed to it.';
comment on constraint team_code_unique on crm.team is 'en: Another team already has this code. | tr: Bu kod başka bir ekipte kullanılıyor.';
comment on constraint team_code_shape on crm.team is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint team_name_length on crm.team is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
create index team_department_id_index on crm.team (department_id);
select crm.protect('crm.team', area => 'service', kind => 'common', resource => 'teams', bi => true);

create table crm.team_member (
  id         uuid        not null default crm.uuid_v7(),
  team_id    uuid        not null,
  user_id    uuid        not null,
  capacity   smallint    not null default 20,
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint team_member_id_primary primary key (id),
  constraint team_member_user_id_unique unique (team_id, user_id),
  constraint team_member_team_id_exists foreign key (team_id) references crm.team (id) on delete cascade,
  constraint team_member_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint team_member_capacity_range check (capacity between 0 and 1000)
);
comment on table crm.team_member is 'That a colleague works in a team.';
comment on column crm.team_member.team_id is 'The team.';
comment on column crm.team_member.user_id is 'The colleague.';
comment on column crm.team_member.capacity is 'How many open tickets and conversations are routed to the colleague at most; 0 for none.';
comment on column crm.team_member.active is 'Whether work is routed to the colleague in this team.';
comment on constraint team_member_user_id_unique on crm.team_member is 'en: This colleague is already in the team. | tr: Bu kişi zaten ekipte.';
comment on constraint team_member_capacity_range on crm.team_member is 'en: Give a capacity from 0 to 1000. | tr: 0 ile 1000 arasında bir kapasite verin.';
create index team_member_user_id_index on crm.team_member (user_id);
select crm.protect('crm.team_member', area => 'service', kind => 'common', resource => 'team_members', verbs => '{select,insert,update,delete}', bi => true);

create table crm.agent_skill (
  id         uuid        not null default crm.uuid_v7(),
  user_id    uuid        not null,
  kind       text        not null default 'skill',
  skill      text        not null,
  level      smallint    not null default 3,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint agent_skill_id_primary primary key (id),
  constraint agent_skill_skill_unique unique (user_id, kind, skill),
  constraint agent_skill_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint agent_skill_kind_known check (kind in ('skill', 'language')),
  constraint agent_skill_skill_shape check (case kind when 'language' then skill ~ '^[a-z]{2}$' else skill ~ '^[a-z][a-z0-9_]{0,62}$' end),
  constraint agent_skill_level_range check (level between 1 and 5)
);
comment on table crm.agent_skill is 'What a colleague can do, and which languages he or she speaks: what routing goes by.';
comment on column crm.agent_skill.user_id is 'The colleague.';
comment on column crm.agent_skill.kind is 'skill or language.';
comment on column crm.agent_skill.skill is 'The skill, such as returns; of a language its two letters (ISO 639-1).';
comment on column crm.agent_skill.level is '1 (a little) to 5 (best).';
comment on constraint agent_skill_skill_unique on crm.agent_skill is 'en: The colleague already has this skill. | tr: Bu kişide bu yetkinlik zaten kayıtlı.';
comment on constraint agent_skill_kind_known on crm.agent_skill is 'en: It is a skill or a language. | tr: skill ya da language olabilir.';
comment on constraint agent_skill_skill_shape on crm.agent_skill is 'en: Name a skill with small letters a–z, digits and underscores; a language with its two letters. | tr: Yetkinliği a–z küçük harf, rakam ve alt çizgiyle; dili iki harfiyle yazın.';
comment on constraint agent_skill_level_range on crm.agent_skill is 'en: A level is 1 to 5. | tr: Düzey 1 ile 5 arasındadır.';
select crm.protect('crm.agent_skill', area => 'service', kind => 'common', resource => 'agent_skills', verbs => '{select,insert,update,delete}', bi => true);

create table crm.presence (
  id         uuid        not null default crm.uuid_v7(),
  user_id    uuid        not null,
  state      text        not null default 'available',
  since      timestamptz not null default now(),
  note       text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint presence_id_primary primary key (id),
  constraint presence_user_id_unique unique (user_id),
  constraint presence_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint presence_state_known check (state in ('available', 'busy', 'away', 'offline')),
  constraint presence_since_finite check (isfinite(since)),
  constraint presence_note_length check (length(note) <= 200)
);
comment on table crm.presence is 'Whether a colleague is there to take work. Without a row nobody knows, and work is routed by working hours alone.';
comment on column crm.presence.user_id is 'The colleague.';
comment on column crm.presence.state is 'available (takes new work), busy (keeps own work, takes no new), away (back soon) or offline.';
comment on column crm.presence.since is 'Since when.';
comment on column crm.presence.note is 'What colleagues see beside it.';
comment on constraint presence_user_id_unique on crm.presence is 'en: This colleague''s presence is already known; change it. | tr: Bu kişinin durumu zaten kayıtlı; onu değiştirin.';
comment on constraint presence_state_known on crm.presence is 'en: Presence is available, busy, away or offline. | tr: Durum available, busy, away ya da offline olabilir.';
comment on constraint presence_since_finite on crm.presence is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint presence_note_length on crm.presence is 'en: A note has at most 200 characters. | tr: Not en çok 200 karakterdir.';
select crm.protect('crm.presence', area => 'service', kind => 'common', resource => 'presences', bi => true);

create table crm.absence (
  id         uuid        not null default crm.uuid_v7(),
  user_id    uuid        not null,
  starts_at  timestamptz not null,
  ends_at    timestamptz not null,
  reason     text,
  handled_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint absence_id_primary primary key (id),
  constraint absence_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint absence_ends_at_later check (isfinite(starts_at) and isfinite(ends_at) and ends_at > starts_at and ends_at <= starts_at + interval '400 days'),
  constraint absence_reason_length check (length(reason) <= 200)
);
comment on table crm.absence is 'A time in which a colleague is not there, known beforehand: nothing is routed to him or her, and open work is routed again.';
comment on column crm.absence.user_id is 'The colleague.';
comment on column crm.absence.starts_at is 'From when.';
comment on column crm.absence.ends_at is 'Until when.';
comment on column crm.absence.reason is 'Why, such as leave.';
comment on column crm.absence.handled_at is 'When the colleague''s open work was routed again; null before.';
comment on constraint absence_ends_at_later on crm.absence is 'en: An absence ends after it begins, within 400 days. | tr: Yokluk, başladıktan sonra ve 400 gün içinde biter.';
comment on constraint absence_reason_length on crm.absence is 'en: A reason has at most 200 characters. | tr: Gerekçe en çok 200 karakterdir.';
create index absence_user_id_index on crm.absence (user_id, ends_at);
create index absence_starts_at_index on crm.absence (starts_at) where handled_at is null;
select crm.protect('crm.absence', area => 'service', kind => 'common', resource => 'absences', verbs => '{select,insert,update,delete}');
