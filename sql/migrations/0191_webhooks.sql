-- Webhooks: where programs elsewhere are told of changes, as Standard Webhooks (standardwebhooks.com). Each sees what its owner may see.
set local role crm_owner;

create table crm.webhook (
  id            uuid        not null default crm.uuid_v7(),
  name          text        not null,
  url           text        not null,
  resources     text[]      not null default '{}',
  is_active     boolean     not null default true,
  disabled_why  text,
  department_id uuid        not null,
  owner_id      uuid        not null,
  visibility    text        not null default 'department',
  audience      uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint webhook_id_primary primary key (id),
  constraint webhook_name_length check (length(btrim(name)) between 1 and 200),
  constraint webhook_url_shape check (url ~ '^https?://[^[:space:]@#/?]+([/?][^[:space:]#]*)?$' and length(url) <= 2000),
  constraint webhook_resources_shape check (cardinality(resources) <= 200 and array_to_string(resources, ',', '?') ~ '^([a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*)?$'),
  constraint webhook_disabled_why_given check (not (is_active and disabled_why is not null)),
  constraint webhook_department_id_exists foreign key (department_id) references crm.department (id),
  constraint webhook_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint webhook_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint webhook_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.webhook is 'An address elsewhere that is told of changes, as far as its owner may see them.';
comment on column crm.webhook.name is 'What it is for.';
comment on column crm.webhook.url is 'The address that messages are posted to: https, and no private network.';
comment on column crm.webhook.resources is 'The resources whose changes it is told of; empty for all.';
comment on column crm.webhook.is_active is 'Whether it is told of changes. Turned off by a receiver that answers 410, and when its owner leaves.';
comment on column crm.webhook.disabled_why is 'Why it was turned off, if not by a person: gone (the receiver answered 410) or owner_left.';
comment on column crm.webhook.owner_id is 'The user who made it: it sees what this user may see at the time.';
comment on constraint webhook_name_length on crm.webhook is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint webhook_url_shape on crm.webhook is 'en: Give an address such as https://example.com/hook, without user, password and fragment. | tr: https://example.com/hook gibi bir adres verin; kullanıcı, parola ve # bölümü olmasın.';
comment on constraint webhook_resources_shape on crm.webhook is 'en: Name at most 200 resources, such as customers. | tr: customers gibi en çok 200 kaynak verin.';
comment on constraint webhook_disabled_why_given on crm.webhook is 'en: Only a webhook that is turned off has a reason for it. | tr: Yalnızca kapatılmış bir web kancasının nedeni olur.';
create index webhook_department_id_index on crm.webhook (department_id);
create index webhook_owner_id_index on crm.webhook (owner_id);

create function crm.reopen_webhook() returns trigger language plpgsql as $$
begin
  new.disabled_why := null;
  return new;
end
$$;
comment on function crm.reopen_webhook() is 'Trigger: a webhook turned on again has no reason any more for being off.';
create trigger webhook_reopen before update on crm.webhook for each row when (new.is_active and not old.is_active) execute function crm.reopen_webhook();
select crm.protect('crm.webhook', area => 'admin', kind => 'owned', resource => 'webhooks', verbs => '{select,insert,update,delete}');

-- What only the sender knows: where in the change log a webhook is, what it signs with, and how its receiver has been doing.
create table crm.webhook_state (
  webhook_id       uuid        not null,
  xid              xid8        not null default pg_snapshot_xmin(pg_current_snapshot()),
  seq              bigint      not null default 0,
  secret           bytea       not null,
  previous_secret  bytea,
  previous_until   timestamptz,
  failures         integer     not null default 0,
  closed_until     timestamptz,
  leased_until     timestamptz,
  last_success_at  timestamptz,
  constraint webhook_state_webhook_id_primary primary key (webhook_id),
  constraint webhook_state_webhook_id_exists foreign key (webhook_id) references crm.webhook (id) on delete cascade,
  constraint webhook_state_secret_length check (octet_length(secret) between 24 and 64),
  constraint webhook_state_previous_secret_both check ((previous_secret is null) = (previous_until is null))
);
comment on table crm.webhook_state is 'Where each webhook is in the change log, what its messages are signed with, and how its receiver has been doing. For system work alone.';
comment on column crm.webhook_state.webhook_id is 'The webhook.';
comment on column crm.webhook_state.xid is 'With seq: the place in the change log up to which its messages have been made.';
comment on column crm.webhook_state.seq is 'See xid.';
comment on column crm.webhook_state.secret is 'secret: what messages are signed with; shown to its owner once, when it is made.';
comment on column crm.webhook_state.previous_secret is 'secret: the one before, with which messages are signed too until previous_until.';
comment on column crm.webhook_state.previous_until is 'Until when the receiver may still know only the previous secret.';
comment on column crm.webhook_state.failures is 'Failed attempts since the last that succeeded; from 5 on the receiver is given rest.';
comment on column crm.webhook_state.closed_until is 'Until when the receiver is given rest; then one attempt shows how it is.';
comment on column crm.webhook_state.leased_until is 'Until when a worker has the webhook to itself, so that its messages keep their order.';
comment on column crm.webhook_state.last_success_at is 'When a message was last taken.';
comment on constraint webhook_state_webhook_id_primary on crm.webhook_state is 'en: This webhook already has its state. | tr: Bu web kancasının durumu zaten var.';
comment on constraint webhook_state_secret_length on crm.webhook_state is 'en: A secret has 24 to 64 bytes. | tr: Gizli anahtar 24 ile 64 bayt arasındadır.';
comment on constraint webhook_state_previous_secret_both on crm.webhook_state is 'en: A previous secret comes with the time it ends. | tr: Önceki gizli anahtarın bitiş zamanı olmalıdır.';
select crm.protect('crm.webhook_state', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It holds secrets and the sender''s own bookkeeping.');

create table crm.webhook_delivery (
  webhook_id      uuid        not null,
  xid             xid8        not null,
  seq             bigint      not null,
  resource        text        not null,
  record_id       uuid        not null,
  op              text        not null,
  state           text        not null default 'pending',
  attempts        integer     not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_status     integer,
  last_problem    text,
  last_attempt_at timestamptz,
  department_id   uuid        not null,
  owner_id        uuid,
  audience        uuid        not null,
  created_at      timestamptz not null default now(),
  constraint webhook_delivery_xid_primary primary key (webhook_id, xid, seq),
  constraint webhook_delivery_webhook_id_exists foreign key (webhook_id) references crm.webhook (id) on delete cascade,
  constraint webhook_delivery_state_known check (state in ('pending', 'delivered', 'failed', 'withheld'))
);
comment on table crm.webhook_delivery is 'A message to a webhook, and what became of it. The change itself stands in the change log.';
comment on column crm.webhook_delivery.webhook_id is 'The webhook.';
comment on column crm.webhook_delivery.xid is 'With seq: the place of the change in the log; the message''s id is msg_<xid>_<seq>.';
comment on column crm.webhook_delivery.seq is 'See xid.';
comment on column crm.webhook_delivery.resource is 'The resource that changed.';
comment on column crm.webhook_delivery.record_id is 'The record that changed; messages about one record are sent one after another.';
comment on column crm.webhook_delivery.op is 'insert, update or delete.';
comment on column crm.webhook_delivery.state is 'pending, delivered, failed (given up after three days), or withheld (the owner may no longer see it).';
comment on column crm.webhook_delivery.attempts is 'How often it was tried.';
comment on column crm.webhook_delivery.next_attempt_at is 'When it is tried next.';
comment on column crm.webhook_delivery.last_status is 'What the receiver last answered; null if it did not.';
comment on column crm.webhook_delivery.last_problem is 'What was wrong with the last attempt.';
comment on column crm.webhook_delivery.last_attempt_at is 'When it was last tried.';
comment on constraint webhook_delivery_xid_primary on crm.webhook_delivery is 'en: This message is already in the log. | tr: Bu ileti kayıtta zaten var.';
comment on constraint webhook_delivery_state_known on crm.webhook_delivery is 'en: A message is pending, delivered, failed or withheld. | tr: İleti pending, delivered, failed ya da withheld olabilir.';
create index webhook_delivery_pending_index on crm.webhook_delivery (webhook_id, record_id, xid, seq) where state = 'pending';
create index webhook_delivery_due_index on crm.webhook_delivery (next_attempt_at) where state = 'pending';
create index webhook_delivery_created_at_index on crm.webhook_delivery (created_at);
select crm.protect('crm.webhook_delivery', area => 'admin', kind => 'owned', verbs => '{select,insert,update,delete}',
  reason => 'It would tell webhooks of their own messages without end.');
