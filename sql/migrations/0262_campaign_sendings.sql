-- A campaign is sent by a worker, a piece at a time: what is to be sent, how far it is, and why members were not reached.
set local role crm_owner;

create table crm.campaign_sending (
  id                 uuid        not null default crm.uuid_v7(),
  campaign_id        uuid        not null,
  channel            text        not null,
  channel_account_id uuid,
  brand_id           uuid,
  purpose            text        not null default 'marketing',
  arm                text,
  subject            text,
  body_text          text        not null,
  body_html          text,
  not_before         timestamptz not null default now(),
  state              text        not null default 'queued',
  members            integer     not null default 0,
  queued             integer     not null default 0,
  refused            integer     not null default 0,
  reasons            jsonb       not null default '{}',
  without_address    integer     not null default 0,
  restricted         integer     not null default 0,
  problem            text,
  started_at         timestamptz,
  finished_at        timestamptz,
  department_id      uuid        not null,
  owner_id           uuid,
  visibility         text        not null default 'company',
  audience           uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  version            integer     not null default 1,
  created_by         uuid        default crm.caller_id(),
  constraint campaign_sending_id_primary primary key (id),
  constraint campaign_sending_campaign_id_exists foreign key (campaign_id) references crm.campaign (id),
  constraint campaign_sending_channel_known check (channel in ('email', 'sms', 'phone', 'social', 'letter')),
  constraint campaign_sending_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id),
  constraint campaign_sending_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint campaign_sending_purpose_exists foreign key (purpose) references crm.consent_purpose (code),
  constraint campaign_sending_subject_length check (length(subject) <= 998),
  constraint campaign_sending_body_text_length check (length(body_text) between 1 and 100000 and length(body_html) <= 500000),
  constraint campaign_sending_not_before_finite check (isfinite(not_before)),
  constraint campaign_sending_state_known check (state in ('queued', 'running', 'done', 'stopped')),
  constraint campaign_sending_members_positive check (members >= 0 and queued >= 0 and refused >= 0 and without_address >= 0 and restricted >= 0),
  constraint campaign_sending_finished_at_ended check ((finished_at is not null) = (state in ('done', 'stopped'))),
  constraint campaign_sending_problem_length check (length(problem) <= 200),
  constraint campaign_sending_department_id_exists foreign key (department_id) references crm.department (id),
  constraint campaign_sending_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint campaign_sending_visibility_known check (visibility in ('company', 'department', 'private'))
);
comment on table crm.campaign_sending is 'One message sent to a campaign''s members by a worker, and how far that is.';
comment on column crm.campaign_sending.campaign_id is 'The campaign.';
comment on column crm.campaign_sending.channel is 'email, sms, phone, social or letter.';
comment on column crm.campaign_sending.channel_account_id is 'The account to send from; null for the department''s.';
comment on column crm.campaign_sending.brand_id is 'The brand that speaks; null for the account''s.';
comment on column crm.campaign_sending.purpose is 'What it is for: the code of a purpose.';
comment on column crm.campaign_sending.arm is 'Only members of this arm; null for all who are not held out.';
comment on column crm.campaign_sending.subject is 'The subject.';
comment on column crm.campaign_sending.body_text is 'The text.';
comment on column crm.campaign_sending.body_html is 'The text as HTML.';
comment on column crm.campaign_sending.not_before is 'Not to be sent earlier.';
comment on column crm.campaign_sending.state is 'queued, running, done or stopped (by a person, or because the campaign does not run any more).';
comment on column crm.campaign_sending.members is 'Members that it is for: of the arm, and not held out.';
comment on column crm.campaign_sending.queued is 'Messages that passed the gate so far.';
comment on column crm.campaign_sending.refused is 'Messages that the gate refused so far; each is in message_refusals.';
comment on column crm.campaign_sending.reasons is 'How many were refused for which reason.';
comment on column crm.campaign_sending.without_address is 'Members without an address of the channel.';
comment on column crm.campaign_sending.restricted is 'Members who objected to offers or had processing restricted since they came into the campaign, and are left out.';
comment on column crm.campaign_sending.problem is 'Why it was stopped: by_hand, or campaign_not_running.';
comment on column crm.campaign_sending.started_at is 'When a worker began.';
comment on column crm.campaign_sending.finished_at is 'When it ended.';
comment on constraint campaign_sending_channel_known on crm.campaign_sending is 'en: A campaign is sent by email, sms, phone, social or letter. | tr: Kampanya email, sms, phone, social ya da letter ile gönderilir.';
comment on constraint campaign_sending_subject_length on crm.campaign_sending is 'en: A subject has at most 998 characters. | tr: Konu en çok 998 karakterdir.';
comment on constraint campaign_sending_body_text_length on crm.campaign_sending is 'en: A text has 1 to 100,000 characters, as HTML at most 500,000. | tr: Metin 1 ile 100.000, HTML en çok 500.000 karakterdir.';
comment on constraint campaign_sending_not_before_finite on crm.campaign_sending is 'en: Give a real instant. | tr: Gerçek bir an verin.';
comment on constraint campaign_sending_state_known on crm.campaign_sending is 'en: A sending is queued, running, done or stopped. | tr: Gönderim queued, running, done ya da stopped olabilir.';
comment on constraint campaign_sending_members_positive on crm.campaign_sending is 'en: Counts are not negative. | tr: Sayılar eksi olamaz.';
comment on constraint campaign_sending_finished_at_ended on crm.campaign_sending is 'en: What has ended has the time it ended. | tr: Bitenin bitiş zamanı olur.';
comment on constraint campaign_sending_problem_length on crm.campaign_sending is 'en: A problem has at most 200 characters. | tr: Sorun en çok 200 karakterdir.';
create unique index campaign_sending_campaign_id_open on crm.campaign_sending (campaign_id, channel) where state in ('queued', 'running');
create index campaign_sending_campaign_id_index on crm.campaign_sending (campaign_id, created_at);
select crm.protect('crm.campaign_sending', area => 'marketing', kind => 'owned', resource => 'campaign_sendings', bi => true);
