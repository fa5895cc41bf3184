-- Identities that other systems vouch for, and failed sign-ins.
set local role crm_owner;

create table crm.user_identity (
  id         uuid        not null default crm.uuid_v7(),
  user_id    uuid        not null,
  issuer     text        not null,
  subject    text        not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint user_identity_id_primary primary key (id),
  constraint user_identity_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint user_identity_issuer_subject_unique unique (issuer, subject),
  constraint user_identity_issuer_length check (length(issuer) between 1 and 500),
  constraint user_identity_subject_length check (length(subject) between 1 and 255)
);
comment on table crm.user_identity is 'Who a user is at an OpenID Connect issuer; learned at the first sign-in with a verified e-mail address, or entered by an administrator.';
comment on column crm.user_identity.user_id is 'The user.';
comment on column crm.user_identity.issuer is 'The issuer''s address (iss).';
comment on column crm.user_identity.subject is 'personal: the user''s id at the issuer (sub).';
comment on constraint user_identity_issuer_subject_unique on crm.user_identity is 'en: This identity belongs to a user already. | tr: Bu kimlik zaten bir kullanıcıya ait.';
comment on constraint user_identity_issuer_length on crm.user_identity is 'en: An issuer has 1 to 500 characters. | tr: Sağlayıcı 1 ile 500 karakter arasındadır.';
comment on constraint user_identity_subject_length on crm.user_identity is 'en: A subject has 1 to 255 characters. | tr: Özne 1 ile 255 karakter arasındadır.';
create index user_identity_user_id_index on crm.user_identity (user_id);

create table crm.sign_in_attempt (
  email_hash    bytea       not null,
  failures      integer     not null default 1,
  last_at       timestamptz not null default now(),
  blocked_until timestamptz not null default now(),
  constraint sign_in_attempt_email_hash_primary primary key (email_hash),
  constraint sign_in_attempt_email_hash_length check (octet_length(email_hash) = 32),
  constraint sign_in_attempt_last_at_finite check (isfinite(last_at)),
  constraint sign_in_attempt_blocked_until_finite check (isfinite(blocked_until))
);
comment on table crm.sign_in_attempt is 'Sign-ins with a wrong password, by address, whether or not it belongs to anybody; makes guessing slow on all gateways together.';
comment on column crm.sign_in_attempt.email_hash is 'SHA-256 of the address as it is compared; the address itself may be a stranger''s.';
comment on column crm.sign_in_attempt.failures is 'Failures in a row; forgotten after a day without one.';
comment on column crm.sign_in_attempt.last_at is 'When the last one was.';
comment on column crm.sign_in_attempt.blocked_until is 'Until when further attempts are refused unseen.';
comment on constraint sign_in_attempt_email_hash_primary on crm.sign_in_attempt is 'en: Attempts are counted once an address. | tr: Denemeler adres başına bir kez sayılır.';
comment on constraint sign_in_attempt_email_hash_length on crm.sign_in_attempt is 'en: The hash is SHA-256. | tr: Özet SHA-256 biçimindedir.';
comment on constraint sign_in_attempt_last_at_finite on crm.sign_in_attempt is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint sign_in_attempt_blocked_until_finite on crm.sign_in_attempt is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
create index sign_in_attempt_last_at_index on crm.sign_in_attempt (last_at);

create trigger user_identity_announce after insert or update or delete on crm.user_identity
  for each statement execute function crm.announce('muhatap_access');

select crm.protect('crm.user_identity', area => 'admin', kind => 'personal', verbs => '{select,insert,update,delete}', resource => 'user_identities');
select crm.protect('crm.sign_in_attempt', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'It counts guesses and holds no business data; sign-ins are logged by the gateway.');
