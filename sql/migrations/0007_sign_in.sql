-- How users and programs prove who they are, and how a repeated request is recognised.
set local role crm_owner;

create table crm.api_key (
  id           uuid        not null default crm.uuid_v7(),
  user_id      uuid        not null,
  name         text        not null,
  prefix       text        not null,
  key_hash     bytea       not null,
  scopes       text[],
  expires_at   timestamptz,
  revoked_at   timestamptz,
  last_used_on date,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  version      integer     not null default 1,
  created_by   uuid        default crm.caller_id(),
  constraint api_key_id_primary primary key (id),
  constraint api_key_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint api_key_key_hash_unique unique (key_hash),
  constraint api_key_key_hash_length check (octet_length(key_hash) = 32),
  constraint api_key_name_length check (length(btrim(name)) between 1 and 200),
  constraint api_key_scopes_shape check (array_to_string(scopes, ',') ~ '^([a-z]+:(read|write)(,[a-z]+:(read|write))*)?$'),
  constraint api_key_expires_at_finite check (isfinite(expires_at)),
  constraint api_key_revoked_at_finite check (isfinite(revoked_at))
);
comment on table crm.api_key is 'A key with which a program signs in as a user. The key itself is shown once and never stored.';
comment on column crm.api_key.user_id is 'The user it signs in.';
comment on column crm.api_key.name is 'What the key is for.';
comment on column crm.api_key.prefix is 'The first characters of the key, to tell keys apart.';
comment on column crm.api_key.key_hash is 'secret: SHA-256 of the key.';
comment on column crm.api_key.scopes is 'What the key is narrowed to, each area:read or area:write; null for all its user may do.';
comment on column crm.api_key.expires_at is 'From when on it no longer works; null for never.';
comment on column crm.api_key.revoked_at is 'When it was revoked; null while it works.';
comment on column crm.api_key.last_used_on is 'The last day on which it was used, UTC.';
comment on constraint api_key_key_hash_unique on crm.api_key is 'en: This key is already in use. | tr: Bu anahtar zaten kullanılıyor.';
comment on constraint api_key_key_hash_length on crm.api_key is 'en: Keys are stored as SHA-256 hashes only. | tr: Anahtarlar yalnızca SHA-256 özeti olarak saklanır.';
comment on constraint api_key_name_length on crm.api_key is 'en: Say what the key is for in at most 200 characters. | tr: Anahtarın ne için olduğunu en çok 200 karakterle yazın.';
comment on constraint api_key_scopes_shape on crm.api_key is 'en: A scope is an area followed by :read or :write. | tr: Kapsam, alan adı ve ardından :read ya da :write biçimindedir.';
comment on constraint api_key_expires_at_finite on crm.api_key is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint api_key_revoked_at_finite on crm.api_key is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
create index api_key_user_id_index on crm.api_key (user_id);

create table crm.session (
  id         uuid        not null default crm.uuid_v7(),
  user_id    uuid        not null,
  token_hash bytea       not null,
  user_agent text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  constraint session_id_primary primary key (id),
  constraint session_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint session_token_hash_unique unique (token_hash),
  constraint session_token_hash_length check (octet_length(token_hash) = 32),
  constraint session_expires_at_finite check (isfinite(expires_at))
);
comment on table crm.session is 'A person signed in with e-mail and password. The token itself is never stored.';
comment on column crm.session.user_id is 'Who is signed in.';
comment on column crm.session.token_hash is 'secret: SHA-256 of the token.';
comment on column crm.session.user_agent is 'personal: the program the person signed in with, as it named itself.';
comment on column crm.session.expires_at is 'From when on the token no longer works.';
comment on column crm.session.revoked_at is 'When the person signed out or was signed out; null while it works.';
comment on constraint session_token_hash_unique on crm.session is 'en: This token is already in use. | tr: Bu jeton zaten kullanılıyor.';
comment on constraint session_token_hash_length on crm.session is 'en: Tokens are stored as SHA-256 hashes only. | tr: Jetonlar yalnızca SHA-256 özeti olarak saklanır.';
comment on constraint session_expires_at_finite on crm.session is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
create index session_user_id_index on crm.session (user_id);
create index session_expires_at_index on crm.session (expires_at);

create table crm.idempotency_key (
  user_id     uuid        not null default crm.caller_id(),
  key         text        not null,
  method      text        not null,
  path        text        not null,
  fingerprint bytea       not null,
  status      integer,
  headers     jsonb,
  response    bytea,
  created_at  timestamptz not null default now(),
  constraint idempotency_key_user_id_key_primary primary key (user_id, key),
  constraint idempotency_key_key_length check (length(key) between 1 and 255),
  constraint idempotency_key_fingerprint_length check (octet_length(fingerprint) = 32)
);
comment on table crm.idempotency_key is 'The answer to a POST that named an Idempotency-Key, stored in the transaction of its effect, so that a repetition gets the same answer and no second effect.';
comment on column crm.idempotency_key.user_id is 'The caller; each has keys of their own.';
comment on column crm.idempotency_key.key is 'The Idempotency-Key header.';
comment on column crm.idempotency_key.method is 'The request''s method.';
comment on column crm.idempotency_key.path is 'The request''s path and query.';
comment on column crm.idempotency_key.fingerprint is 'SHA-256 of method, path and body; another body with the same key is refused.';
comment on column crm.idempotency_key.status is 'HTTP status of the answer.';
comment on column crm.idempotency_key.headers is 'Headers of the answer that must be repeated, such as Location and ETag.';
comment on column crm.idempotency_key.response is 'secret: body of the answer.';
comment on constraint idempotency_key_user_id_key_primary on crm.idempotency_key is 'en: A request with this Idempotency-Key is being handled or has been answered. | tr: Bu Idempotency-Key ile bir istek işleniyor ya da yanıtlandı.';
comment on constraint idempotency_key_key_length on crm.idempotency_key is 'en: An Idempotency-Key has 1 to 255 characters. | tr: Idempotency-Key 1 ile 255 karakter arasındadır.';
comment on constraint idempotency_key_fingerprint_length on crm.idempotency_key is 'en: The fingerprint is a SHA-256 hash. | tr: Parmak izi bir SHA-256 özetidir.';
create index idempotency_key_created_at_index on crm.idempotency_key using brin (created_at);

create trigger api_key_announce after insert or update of scopes, expires_at, revoked_at or delete on crm.api_key
  for each statement execute function crm.announce('muhatap_access');
create trigger session_announce after update of revoked_at or delete on crm.session
  for each statement execute function crm.announce('muhatap_access');

select crm.protect('crm.api_key', area => 'admin', kind => 'personal', resource => 'api_keys');
select crm.protect('crm.session', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}',
  reason => 'A session is not business data; signing in is logged by the gateway.');
select crm.protect('crm.idempotency_key', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}',
  reason => 'It repeats an answer whose effect is logged already.');
