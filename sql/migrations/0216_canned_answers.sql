-- Canned answers: what is written once for a question that comes again.
set local role crm_owner;

create function crm.placeholders() returns text[] language sql immutable parallel safe
  return array['customer.name', 'contact.name', 'ticket.number', 'ticket.subject', 'order.number', 'agent.name', 'team.name', 'today'];
comment on function crm.placeholders() is 'What a canned answer may leave to be filled in, written {{customer.name}}.';

create function crm.unknown_placeholders(value text) returns text[] language sql immutable strict parallel safe
  return array(select m[1] from regexp_matches(value, '\{\{\s*([^{}]*?)\s*\}\}', 'g') as m where m[1] <> all (crm.placeholders()));
comment on function crm.unknown_placeholders(text) is 'The placeholders of a text that nobody fills.';

create table crm.canned_answer (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  language   text        not null default 'tr',
  title      text        not null,
  body       text        not null,
  search_key text        collate "C" generated always as (crm.search_key(title)) stored,
  team_id    uuid,
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint canned_answer_id_primary primary key (id),
  constraint canned_answer_code_once unique nulls not distinct (code, language, team_id),
  constraint canned_answer_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint canned_answer_language_known check (language in ('tr', 'en')),
  constraint canned_answer_title_length check (length(btrim(title)) between 1 and 200),
  constraint canned_answer_body_length check (length(btrim(body)) between 1 and 20000),
  constraint canned_answer_body_placeholders check (crm.unknown_placeholders(body) = '{}'),
  constraint canned_answer_team_id_exists foreign key (team_id) references crm.team (id)
);
comment on table crm.canned_answer is 'An answer written once for a question that comes again, with places that are filled in from the ticket.';
comment on column crm.canned_answer.code is 'What colleagues type to find it.';
comment on column crm.canned_answer.language is 'tr or en.';
comment on column crm.canned_answer.title is 'What it answers.';
comment on column crm.canned_answer.body is 'The text, with placeholders such as {{customer.name}}.';
comment on column crm.canned_answer.search_key is 'derived: the title as it is searched.';
comment on column crm.canned_answer.team_id is 'The team that uses it; null for every team.';
comment on column crm.canned_answer.active is 'Whether it is offered.';
comment on constraint canned_answer_code_once on crm.canned_answer is 'en: The team has an answer with this code in this language. | tr: Takımda bu dilde bu kodla bir yanıt var.';
comment on constraint canned_answer_code_shape on crm.canned_answer is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint canned_answer_language_known on crm.canned_answer is 'en: A language is tr or en. | tr: Dil tr ya da en olabilir.';
comment on constraint canned_answer_title_length on crm.canned_answer is 'en: Give a title of at most 200 characters. | tr: En çok 200 karakterlik bir başlık verin.';
comment on constraint canned_answer_body_length on crm.canned_answer is 'en: Write 1 to 20,000 characters. | tr: 1 ile 20.000 karakter arası yazın.';
comment on constraint canned_answer_body_placeholders on crm.canned_answer is 'en: Only these can be filled in: customer.name, contact.name, ticket.number, ticket.subject, order.number, agent.name, team.name, today. | tr: Yalnızca şunlar doldurulabilir: customer.name, contact.name, ticket.number, ticket.subject, order.number, agent.name, team.name, today.';
create index canned_answer_team_id_index on crm.canned_answer (team_id, code);
select crm.protect('crm.canned_answer', area => 'service', kind => 'reference', resource => 'canned_answers', verbs => '{select,insert,update,delete}');
