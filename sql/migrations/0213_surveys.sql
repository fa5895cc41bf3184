-- Surveys: what is asked, of whom and when, and what came back.
set local role crm_owner;

create table crm.survey (
  id                 uuid        not null default crm.uuid_v7(),
  code               text        not null,
  name               text        not null,
  kind               text        not null,
  status             text        not null default 'draft',
  event              text        not null default 'by_hand',
  legal_class        text        not null default 'transactional',
  channel            text        not null default 'email',
  channel_account_id uuid,
  brand_id           uuid,
  base_address       text,
  sampling_percent   smallint    not null default 100,
  delay_hours        integer     not null default 0,
  rest_days          integer     not null default 90,
  valid_days         integer     not null default 30,
  title_en           text        not null,
  title_tr           text        not null,
  intro_en           text,
  intro_tr           text,
  thanks_en          text,
  thanks_tr          text,
  follow_up_at_most  smallint,
  follow_up_days     integer     not null default 1,
  activated_at       timestamptz,
  closed_at          timestamptz,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  version            integer     not null default 1,
  created_by         uuid        default crm.caller_id(),
  constraint survey_id_primary primary key (id),
  constraint survey_code_unique unique (code),
  constraint survey_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint survey_name_length check (length(btrim(name)) between 1 and 200),
  constraint survey_kind_known check (kind in ('nps', 'csat', 'ces', 'form')),
  constraint survey_status_known check (status in ('draft', 'active', 'closed')),
  constraint survey_event_known check (event in ('by_hand', 'ticket_closed', 'order_shipped')),
  constraint survey_legal_class_known check (legal_class in ('transactional', 'commercial')),
  constraint survey_channel_known check (channel in ('email', 'sms')),
  constraint survey_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id),
  constraint survey_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint survey_brand_id_given check (legal_class = 'transactional' or brand_id is not null),
  constraint survey_base_address_shape check (base_address ~ '^https?://[^[:space:]/?#]{1,250}(/[^[:space:]?#]{0,200})?$' and base_address !~ '/$'),
  constraint survey_sampling_percent_range check (sampling_percent between 0 and 100),
  constraint survey_delay_hours_range check (delay_hours between 0 and 2160),
  constraint survey_rest_days_range check (rest_days between 0 and 3660),
  constraint survey_valid_days_range check (valid_days between 1 and 366),
  constraint survey_title_length check (length(btrim(title_en)) between 1 and 200 and length(btrim(title_tr)) between 1 and 200),
  constraint survey_intro_length check (length(intro_en) <= 2000 and length(intro_tr) <= 2000),
  constraint survey_thanks_length check (length(thanks_en) <= 2000 and length(thanks_tr) <= 2000),
  constraint survey_follow_up_at_most_range check (follow_up_at_most is null or (follow_up_at_most between 0 and 10 and kind <> 'form')),
  constraint survey_follow_up_days_range check (follow_up_days between 0 and 365),
  constraint survey_activated_at_given check (status = 'draft' or activated_at is not null),
  constraint survey_closed_at_given check ((status = 'closed') = (closed_at is not null))
);
comment on table crm.survey is 'What customers are asked, upon what, how often at most, and what follows when they are not content.';
comment on column crm.survey.code is 'Short stable name.';
comment on column crm.survey.name is 'Name as colleagues say it.';
comment on column crm.survey.kind is 'nps (0 to 10: would you recommend us), csat (1 to 5: how content are you), ces (1 to 7: it was easy) or form (no score).';
comment on column crm.survey.status is 'draft (its questions may change), active (it is sent and answered) or closed (no longer sent; links that are out still work).';
comment on column crm.survey.event is 'What it is sent upon: by_hand, ticket_closed or order_shipped.';
comment on column crm.survey.legal_class is 'transactional: about something the customer has with us. commercial: needs consent.';
comment on column crm.survey.channel is 'How its link is sent: email or sms.';
comment on column crm.survey.channel_account_id is 'The account it is sent from; the channel''s first active one of the brand when null.';
comment on column crm.survey.brand_id is 'The brand in whose name it is asked.';
comment on column crm.survey.base_address is 'Where customers reach this server, such as https://crm.example.com, without a slash at the end: links begin with it.';
comment on column crm.survey.sampling_percent is 'How many in a hundred events are asked about, at random.';
comment on column crm.survey.delay_hours is 'Hours between the event and the message.';
comment on column crm.survey.rest_days is 'A person who was asked anything within so many days is not asked again; 0 for no rest.';
comment on column crm.survey.valid_days is 'Days for which a link can be answered.';
comment on column crm.survey.title_en is 'Title of the page and subject of the message, in English.';
comment on column crm.survey.title_tr is 'Title of the page and subject of the message, in Turkish.';
comment on column crm.survey.intro_en is 'What stands above the questions and the link, in English.';
comment on column crm.survey.intro_tr is 'What stands above the questions and the link, in Turkish.';
comment on column crm.survey.thanks_en is 'What is said after the answer, in English.';
comment on column crm.survey.thanks_tr is 'What is said after the answer, in Turkish.';
comment on column crm.survey.follow_up_at_most is 'A score of at most this makes a follow-up activity for the customer''s owner; null for none.';
comment on column crm.survey.follow_up_days is 'Days the owner has for the follow-up.';
comment on column crm.survey.activated_at is 'When it was first activated.';
comment on column crm.survey.closed_at is 'When it was closed; null while it is not.';
comment on constraint survey_code_unique on crm.survey is 'en: Another survey already has this code. | tr: Bu kod başka bir ankette kullanılıyor.';
comment on constraint survey_code_shape on crm.survey is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint survey_name_length on crm.survey is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint survey_kind_known on crm.survey is 'en: A survey is nps, csat, ces or form. | tr: Anket nps, csat, ces ya da form olabilir.';
comment on constraint survey_status_known on crm.survey is 'en: A survey is draft, active or closed. | tr: Anket draft, active ya da closed olabilir.';
comment on constraint survey_event_known on crm.survey is 'en: A survey is sent by_hand, upon ticket_closed or order_shipped. | tr: Anket by_hand, ticket_closed ya da order_shipped ile gönderilir.';
comment on constraint survey_legal_class_known on crm.survey is 'en: A survey is transactional or commercial. | tr: Anket transactional ya da commercial olabilir.';
comment on constraint survey_channel_known on crm.survey is 'en: A survey is sent by email or sms. | tr: Anket email ya da sms ile gönderilir.';
comment on constraint survey_brand_id_given on crm.survey is 'en: A commercial survey needs a brand, because consent is given to one. | tr: Ticari bir anketin markası olmalıdır; izin markaya verilir.';
comment on constraint survey_base_address_shape on crm.survey is 'en: Give an address such as https://crm.example.com, without a slash at the end. | tr: https://crm.example.com gibi, sonunda eğik çizgi olmayan bir adres verin.';
comment on constraint survey_sampling_percent_range on crm.survey is 'en: Ask about 0 to 100 in a hundred. | tr: Yüzde 0 ile 100 arası verin.';
comment on constraint survey_delay_hours_range on crm.survey is 'en: Wait 0 to 2160 hours. | tr: 0 ile 2160 saat arası bekleyin.';
comment on constraint survey_rest_days_range on crm.survey is 'en: Give 0 to 3660 days. | tr: 0 ile 3660 gün arası verin.';
comment on constraint survey_valid_days_range on crm.survey is 'en: A link works for 1 to 366 days. | tr: Bağlantı 1 ile 366 gün arası geçerlidir.';
comment on constraint survey_title_length on crm.survey is 'en: Give titles of at most 200 characters. | tr: En çok 200 karakterlik başlıklar verin.';
comment on constraint survey_intro_length on crm.survey is 'en: Introduce it in at most 2000 characters. | tr: Girişi en çok 2000 karakterle yazın.';
comment on constraint survey_thanks_length on crm.survey is 'en: Thank in at most 2000 characters. | tr: Teşekkürü en çok 2000 karakterle yazın.';
comment on constraint survey_follow_up_at_most_range on crm.survey is 'en: Give a score from 0 to 10; a form has none. | tr: 0 ile 10 arası bir puan verin; formun puanı yoktur.';
comment on constraint survey_follow_up_days_range on crm.survey is 'en: Give 0 to 365 days. | tr: 0 ile 365 gün arası verin.';
comment on constraint survey_activated_at_given on crm.survey is 'en: A survey is activated before it is sent. | tr: Anket gönderilmeden önce etkinleştirilir.';
comment on constraint survey_closed_at_given on crm.survey is 'en: A closed survey has a time of closing, no other has. | tr: Yalnızca kapanan anketin kapanış zamanı olur.';
select crm.protect('crm.survey', area => 'service', kind => 'reference', resource => 'surveys', bi => true);
create policy survey_keep on crm.survey for select to crm_owner using (true);

create table crm.survey_question (
  id         uuid        not null default crm.uuid_v7(),
  survey_id  uuid        not null,
  place      smallint    not null,
  code       text        not null,
  kind       text        not null,
  text_en    text        not null,
  text_tr    text        not null,
  low_en     text,
  low_tr     text,
  high_en    text,
  high_tr    text,
  options    jsonb       not null default '[]',
  required   boolean     not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint survey_question_id_primary primary key (id),
  constraint survey_question_survey_id_exists foreign key (survey_id) references crm.survey (id),
  constraint survey_question_place_once unique (survey_id, place),
  constraint survey_question_code_once unique (survey_id, code),
  constraint survey_question_place_range check (place between 1 and 50),
  constraint survey_question_code_shape check (code ~ '^[a-z][a-z0-9_]{0,40}$'),
  constraint survey_question_kind_known check (kind in ('score', 'rating', 'choice', 'choices', 'yes_no', 'text')),
  constraint survey_question_text_length check (length(btrim(text_en)) between 1 and 500 and length(btrim(text_tr)) between 1 and 500),
  constraint survey_question_ends_length check (length(low_en) <= 100 and length(low_tr) <= 100 and length(high_en) <= 100 and length(high_tr) <= 100),
  constraint survey_question_options_shape check (
    jsonb_typeof(options) = 'array' and octet_length(options::text) <= 8192 and jsonb_array_length(options) <= 30
    and (kind in ('choice', 'choices')) = (jsonb_array_length(options) > 0)
    and not jsonb_path_exists(options, '$[*] ? (!(@.code.type() == "string" && @.en.type() == "string" && @.tr.type() == "string"))')),
  constraint survey_question_required_score check (kind <> 'score' or required)
);
comment on table crm.survey_question is 'A question of a survey. Questions change only while the survey is a draft.';
comment on column crm.survey_question.survey_id is 'The survey.';
comment on column crm.survey_question.place is 'Its place on the page, from 1.';
comment on column crm.survey_question.code is 'The name of its answer.';
comment on column crm.survey_question.kind is 'score (the survey''s own scale), rating (1 to 5), choice (one option), choices (any), yes_no or text.';
comment on column crm.survey_question.text_en is 'What is asked, in English.';
comment on column crm.survey_question.text_tr is 'What is asked, in Turkish.';
comment on column crm.survey_question.low_en is 'What the lowest number means, in English.';
comment on column crm.survey_question.low_tr is 'What the lowest number means, in Turkish.';
comment on column crm.survey_question.high_en is 'What the highest number means, in English.';
comment on column crm.survey_question.high_tr is 'What the highest number means, in Turkish.';
comment on column crm.survey_question.options is 'What can be chosen: objects with code, en and tr.';
comment on column crm.survey_question.required is 'Whether it has to be answered; a score always has to.';
comment on constraint survey_question_place_once on crm.survey_question is 'en: Another question has this place. | tr: Bu sırada başka bir soru var.';
comment on constraint survey_question_code_once on crm.survey_question is 'en: Another question of the survey has this code. | tr: Ankette bu kodla başka bir soru var.';
comment on constraint survey_question_place_range on crm.survey_question is 'en: Places go from 1 to 50. | tr: Sıra 1 ile 50 arasındadır.';
comment on constraint survey_question_code_shape on crm.survey_question is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint survey_question_kind_known on crm.survey_question is 'en: A question is score, rating, choice, choices, yes_no or text. | tr: Soru score, rating, choice, choices, yes_no ya da text olabilir.';
comment on constraint survey_question_text_length on crm.survey_question is 'en: Ask in at most 500 characters. | tr: Soruyu en çok 500 karakterle yazın.';
comment on constraint survey_question_ends_length on crm.survey_question is 'en: Name the ends in at most 100 characters. | tr: Uçları en çok 100 karakterle adlandırın.';
comment on constraint survey_question_options_shape on crm.survey_question is 'en: A choice has 1 to 30 options, each with code, en and tr; other questions have none. | tr: Seçmeli soruda code, en ve tr içeren 1–30 seçenek olur; diğerlerinde olmaz.';
comment on constraint survey_question_required_score on crm.survey_question is 'en: A score has to be answered. | tr: Puan sorusu zorunludur.';
select crm.protect('crm.survey_question', area => 'service', kind => 'reference', resource => 'survey_questions', verbs => '{select,insert,update,delete}', bi => true);

create function crm.keep_survey_questions() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from crm.survey as s where s.id in (new.survey_id, old.survey_id) and s.status <> 'draft') then
    raise exception using errcode = 'check_violation', constraint = 'survey_question_draft', table = 'survey_question', schema = 'crm',
      message = 'questions change only while the survey is a draft';
  end if;
  return coalesce(new, old);
end
$$;
comment on function crm.keep_survey_questions() is 'Trigger: the questions of a survey that was activated stay as they are, so that all answers are to the same questions.';
revoke execute on function crm.keep_survey_questions() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger survey_question_keep before insert or update or delete on crm.survey_question for each row execute function crm.keep_survey_questions();
-- The name under which the trigger refuses, and its words.
alter table crm.survey_question add constraint survey_question_draft check (survey_id is not null);
comment on constraint survey_question_draft on crm.survey_question is 'en: The survey was activated: its questions can no longer change. Copy it into a new one. | tr: Anket etkinleştirildi; soruları artık değişmez. Yeni bir ankete kopyalayın.';

create function crm.score_range(kind text) returns int4range language sql immutable parallel safe
  return case kind when 'nps' then int4range(0, 10, '[]') when 'csat' then int4range(1, 5, '[]') when 'ces' then int4range(1, 7, '[]') end;
comment on function crm.score_range(text) is 'The scale of a kind of survey; null for forms.';

create function crm.score_band(kind text, score integer) returns text language sql immutable parallel safe
  return case kind
    when 'nps' then case when score >= 9 then 'promoter' when score >= 7 then 'passive' when score >= 0 then 'detractor' end
    when 'csat' then case when score >= 4 then 'satisfied' when score = 3 then 'neutral' when score >= 1 then 'dissatisfied' end
    when 'ces' then case when score >= 6 then 'easy' when score >= 4 then 'neutral' when score >= 1 then 'difficult' end end;
comment on function crm.score_band(text, integer) is
  'What a score means. nps: promoter 9–10, passive 7–8, detractor 0–6 (Reichheld 2003). csat: satisfied 4–5, neutral 3, dissatisfied 1–2. ces: easy 6–7, neutral 4–5, difficult 1–3 (Dixon et al. 2010: the two top boxes).';

create table crm.survey_invitation (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  survey_id     uuid        not null,
  contact_id    uuid,
  event_id      uuid        not null,
  ticket_id     uuid,
  order_id      uuid,
  agent_id      uuid,
  state         text        not null default 'due',
  skipped       text,
  due_at        timestamptz not null default now(),
  token_hash    bytea,
  expires_at    timestamptz,
  sent_at       timestamptz,
  answered_at   timestamptz,
  message_id    uuid,
  department_id uuid        not null,
  owner_id      uuid,
  visibility    text        not null default 'company',
  audience      uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint survey_invitation_id_primary primary key (customer_id, id),
  constraint survey_invitation_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint survey_invitation_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint survey_invitation_survey_id_exists foreign key (survey_id) references crm.survey (id),
  constraint survey_invitation_ticket_id_exists foreign key (customer_id, ticket_id) references crm.ticket (customer_id, id),
  constraint survey_invitation_order_id_exists foreign key (customer_id, order_id) references crm.sales_order (customer_id, id),
  constraint survey_invitation_agent_id_exists foreign key (agent_id) references crm.app_user (id),
  constraint survey_invitation_event_once unique (customer_id, survey_id, event_id),
  constraint survey_invitation_state_known check (state in ('due', 'sent', 'answered', 'skipped')),
  constraint survey_invitation_skipped_known check (skipped in ('sampled_out', 'rested', 'no_address', 'refused', 'closed')),
  constraint survey_invitation_skipped_given check ((state = 'skipped') = (skipped is not null)),
  constraint survey_invitation_due_at_finite check (isfinite(due_at) and isfinite(expires_at)),
  constraint survey_invitation_token_hash_length check (octet_length(token_hash) = 32),
  constraint survey_invitation_token_hash_given check ((state in ('sent', 'answered')) = (token_hash is not null and expires_at is not null and sent_at is not null)),
  constraint survey_invitation_answered_at_given check ((state = 'answered') = (answered_at is not null)),
  constraint survey_invitation_department_id_exists foreign key (department_id) references crm.department (id),
  constraint survey_invitation_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint survey_invitation_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint survey_invitation_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.survey_invitation is 'A person to be asked, or not to be asked and why: one row for each survey and event.';
comment on column crm.survey_invitation.survey_id is 'The survey.';
comment on column crm.survey_invitation.contact_id is 'The person; null for the customer itself.';
comment on column crm.survey_invitation.event_id is 'What it is about: the ticket''s or order''s id; an id of its own when sent by hand.';
comment on column crm.survey_invitation.ticket_id is 'The ticket it is about.';
comment on column crm.survey_invitation.order_id is 'The order it is about.';
comment on column crm.survey_invitation.agent_id is 'The colleague whose work is asked about.';
comment on column crm.survey_invitation.state is 'due, sent, answered or skipped (skipped says why).';
comment on column crm.survey_invitation.skipped is 'sampled_out (not in the sample), rested (the person was asked lately), no_address, refused (no consent, or the message was not taken), closed (the survey was closed first).';
comment on column crm.survey_invitation.due_at is 'From when on the message may leave.';
comment on column crm.survey_invitation.token_hash is 'secret: SHA-256 of the link''s token; the token itself stands in the message alone.';
comment on column crm.survey_invitation.expires_at is 'From when on the link no longer works.';
comment on column crm.survey_invitation.sent_at is 'When the message was queued.';
comment on column crm.survey_invitation.answered_at is 'When it was answered.';
comment on column crm.survey_invitation.message_id is 'The outbound message with the link.';
comment on constraint survey_invitation_event_once on crm.survey_invitation is 'en: This survey already asks about it. | tr: Bu anket zaten bunun hakkında soruyor.';
comment on constraint survey_invitation_state_known on crm.survey_invitation is 'en: An invitation is due, sent, answered or skipped. | tr: Davet due, sent, answered ya da skipped olabilir.';
comment on constraint survey_invitation_skipped_known on crm.survey_invitation is 'en: This reason is not known. | tr: Bu neden bilinmiyor.';
comment on constraint survey_invitation_skipped_given on crm.survey_invitation is 'en: A skipped invitation says why, no other does. | tr: Yalnızca atlanan davetin nedeni olur.';
comment on constraint survey_invitation_due_at_finite on crm.survey_invitation is 'en: Give real instants. | tr: Gerçek anlar verin.';
comment on constraint survey_invitation_token_hash_length on crm.survey_invitation is 'en: Tokens are stored as SHA-256 hashes only. | tr: Jetonlar yalnızca SHA-256 özeti olarak saklanır.';
comment on constraint survey_invitation_token_hash_given on crm.survey_invitation is 'en: An invitation that was sent has a link with an end. | tr: Gönderilen davetin süreli bir bağlantısı olur.';
comment on constraint survey_invitation_answered_at_given on crm.survey_invitation is 'en: An answered invitation has a time of answering. | tr: Yanıtlanan davetin yanıt zamanı olur.';
create index survey_invitation_id_index on crm.survey_invitation (id);
create unique index survey_invitation_token_hash_index on crm.survey_invitation (token_hash) where token_hash is not null;
create index survey_invitation_due_at_index on crm.survey_invitation (due_at, id) where state = 'due';
create index survey_invitation_sent_at_index on crm.survey_invitation (customer_id, sent_at) where sent_at is not null;
create index survey_invitation_survey_id_index on crm.survey_invitation (survey_id, id);
select crm.protect('crm.survey_invitation', area => 'service', kind => 'owned', resource => 'survey_invitations', bi => true);
create policy survey_invitation_keep on crm.survey_invitation to crm_owner using (true) with check (true);

create table crm.survey_response (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  survey_id     uuid        not null,
  invitation_id uuid        not null,
  kind          text        not null,
  contact_id    uuid,
  ticket_id     uuid,
  order_id      uuid,
  agent_id      uuid,
  score         smallint,
  band          text        generated always as (crm.score_band(kind, score)) stored,
  points        numeric(6,3) generated always as (
    round(100.0 * (score - lower(crm.score_range(kind))) / nullif(upper(crm.score_range(kind)) - 1 - lower(crm.score_range(kind)), 0), 3)) stored,
  answers       jsonb       not null default '{}',
  language      text        not null default 'tr',
  tier          text,
  answered_at   timestamptz not null default now(),
  activity_id   uuid,
  department_id uuid        not null,
  owner_id      uuid,
  visibility    text        not null default 'company',
  audience      uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint survey_response_id_primary primary key (customer_id, id),
  constraint survey_response_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint survey_response_survey_id_exists foreign key (survey_id) references crm.survey (id),
  constraint survey_response_invitation_id_exists foreign key (customer_id, invitation_id) references crm.survey_invitation (customer_id, id),
  constraint survey_response_invitation_id_once unique (customer_id, invitation_id),
  constraint survey_response_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint survey_response_ticket_id_exists foreign key (customer_id, ticket_id) references crm.ticket (customer_id, id),
  constraint survey_response_order_id_exists foreign key (customer_id, order_id) references crm.sales_order (customer_id, id),
  constraint survey_response_agent_id_exists foreign key (agent_id) references crm.app_user (id),
  constraint survey_response_activity_id_exists foreign key (activity_id) references crm.activity (id),
  constraint survey_response_kind_known check (kind in ('nps', 'csat', 'ces', 'form')),
  constraint survey_response_score_range check ((kind = 'form') = (score is null) and (score is null or crm.score_range(kind) @> score::integer)),
  constraint survey_response_points_number check (points <> 'NaN'),
  constraint survey_response_answers_object check (jsonb_typeof(answers) = 'object' and octet_length(answers::text) <= 65536),
  constraint survey_response_language_known check (language in ('en', 'tr')),
  constraint survey_response_answered_at_finite check (isfinite(answered_at)),
  constraint survey_response_department_id_exists foreign key (department_id) references crm.department (id),
  constraint survey_response_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint survey_response_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint survey_response_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.survey_response is 'What a person answered to a survey: once an invitation, never changed.';
comment on column crm.survey_response.survey_id is 'The survey.';
comment on column crm.survey_response.invitation_id is 'The invitation that was answered.';
comment on column crm.survey_response.kind is 'The survey''s kind: nps, csat, ces or form.';
comment on column crm.survey_response.contact_id is 'The person; null for the customer itself.';
comment on column crm.survey_response.ticket_id is 'The ticket it is about.';
comment on column crm.survey_response.order_id is 'The order it is about.';
comment on column crm.survey_response.agent_id is 'The colleague whose work was asked about.';
comment on column crm.survey_response.score is 'The score on the survey''s scale; null for forms.';
comment on column crm.survey_response.band is 'What the score means: promoter, passive, detractor; satisfied, neutral, dissatisfied; easy, neutral, difficult.';
comment on column crm.survey_response.points is 'The score stretched to 0 … 100, as the observation kind satisfaction counts it.';
comment on column crm.survey_response.answers is 'personal: the answers by the codes of the questions.';
comment on column crm.survey_response.language is 'The language it was answered in.';
comment on column crm.survey_response.tier is 'The customer''s tier in the company''s value model when it was answered.';
comment on column crm.survey_response.answered_at is 'When it was answered.';
comment on column crm.survey_response.activity_id is 'The follow-up it led to.';
comment on constraint survey_response_invitation_id_once on crm.survey_response is 'en: This survey was answered already. | tr: Bu anket zaten yanıtlanmış.';
comment on constraint survey_response_kind_known on crm.survey_response is 'en: A survey is nps, csat, ces or form. | tr: Anket nps, csat, ces ya da form olabilir.';
comment on constraint survey_response_score_range on crm.survey_response is 'en: Give a score on the survey''s scale. | tr: Anketin ölçeğinde bir puan verin.';
comment on constraint survey_response_points_number on crm.survey_response is 'en: Points must be a number. | tr: Puan bir sayı olmalıdır.';
comment on constraint survey_response_answers_object on crm.survey_response is 'en: Answers are an object of at most 64 KiB. | tr: Yanıtlar en çok 64 KiB''lik bir nesnedir.';
comment on constraint survey_response_language_known on crm.survey_response is 'en: A language is en or tr. | tr: Dil en ya da tr olabilir.';
comment on constraint survey_response_answered_at_finite on crm.survey_response is 'en: Give a real instant. | tr: Gerçek bir an verin.';
create index survey_response_id_index on crm.survey_response (id);
create index survey_response_survey_id_index on crm.survey_response (survey_id, answered_at);
create index survey_response_ticket_id_index on crm.survey_response (ticket_id) where ticket_id is not null;
create index survey_response_agent_id_index on crm.survey_response (agent_id, answered_at) where agent_id is not null;
select crm.protect('crm.survey_response', area => 'service', kind => 'owned', resource => 'survey_responses', verbs => '{select,insert}', bi => true);

create function crm.in_sample(event_id uuid, survey_id uuid, percent integer) returns boolean language sql immutable parallel safe
  return (('x' || substr(encode(sha256(convert_to(event_id::text || ':' || survey_id::text, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint % 100)::integer < percent;
comment on function crm.in_sample(uuid, uuid, integer) is
  'Whether a survey asks about an event, always the same: the first 60 bits of SHA-256 of "event:survey", modulo 100, are below the percentage.';

create function crm.plan_surveys(
  event text, customer uuid, contact uuid, event_id uuid, ticket uuid, "order" uuid, agent uuid, at timestamptz, department uuid, owner uuid, visibility text
) returns void language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  insert into crm.survey_invitation (customer_id, survey_id, contact_id, event_id, ticket_id, order_id, agent_id, state, skipped, due_at, department_id, owner_id, visibility)
  select customer, s.id, contact, plan_surveys.event_id, ticket, "order", agent, case when x.asks then 'due' else 'skipped' end, case when not x.asks then 'sampled_out' end,
    at + make_interval(hours => s.delay_hours), department, owner, plan_surveys.visibility
  from crm.survey as s cross join lateral (select crm.in_sample(plan_surveys.event_id, s.id, s.sampling_percent) as asks) as x
  where s.status = 'active' and s.event = plan_surveys.event
  on conflict on constraint survey_invitation_event_once do nothing
$$;
comment on function crm.plan_surveys(text, uuid, uuid, uuid, uuid, uuid, uuid, timestamptz, uuid, uuid, text) is
  'Notes for every active survey of an event whom it asks, or that the event is not in its sample. Called by the triggers of what happens; an event counts once.';
revoke execute on function crm.plan_surveys(text, uuid, uuid, uuid, uuid, uuid, uuid, timestamptz, uuid, uuid, text) from crm_app, crm_worker, crm_bulk, crm_access;

create function crm.survey_shipment() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform crm.plan_surveys('order_shipped', new.customer_id, null, new.order_id, null, new.order_id, null, now(), new.department_id, new.owner_id,
    case new.audience when '00000000-0000-0000-0000-000000000000' then 'company' when new.department_id then 'department' else 'private' end);
  return null;
end
$$;
comment on function crm.survey_shipment() is 'Trigger: the first shipment of an order is what surveys upon order_shipped ask about.';
revoke execute on function crm.survey_shipment() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger shipment_survey after insert on crm.shipment for each row execute function crm.survey_shipment();

create function crm.survey_ticket() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform crm.plan_surveys('ticket_closed', new.customer_id, new.contact_id, new.id, new.id, new.order_id, new.assignee_id, new.closed_at, new.department_id, new.owner_id,
    new.visibility);
  return null;
end
$$;
comment on function crm.survey_ticket() is 'Trigger: a ticket that is closed is what surveys upon ticket_closed ask about; not one that another ticket stands for.';
revoke execute on function crm.survey_ticket() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger ticket_survey after update on crm.ticket for each row
  when (new.status = 'closed' and old.status <> 'closed' and new.merged_into_id is null) execute function crm.survey_ticket();

-- What the customer said of it stands with the ticket.
alter table crm.ticket add column satisfaction numeric(6,3), add constraint ticket_satisfaction_range check (satisfaction between 0 and 100);
comment on column crm.ticket.satisfaction is 'How content the customer was with it, from 0 to 100, as the last survey about it found.';
comment on constraint ticket_satisfaction_range on crm.ticket is 'en: Satisfaction is from 0 to 100. | tr: Memnuniyet 0 ile 100 arasındadır.';
grant select (satisfaction) on crm.ticket to bi_reader;
