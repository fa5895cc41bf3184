-- Webhooks are held against the access matrix: each message has an id of its own, and a webhook without an owner, who decides what it sees, stands still.
set local role crm_owner;

alter table crm.webhook alter column owner_id drop not null;
alter table crm.webhook add constraint webhook_owner_id_given check (not is_active or owner_id is not null);
comment on constraint webhook_owner_id_given on crm.webhook is 'en: A webhook that is on has an owner, who decides what it sees. | tr: Açık olan bir web kancasının, ne göreceğini belirleyen bir sahibi olur.';

alter table crm.webhook_delivery add column id uuid not null default crm.uuid_v7(), add column updated_at timestamptz not null default now();
comment on column crm.webhook_delivery.id is 'UUID version 7 of the message in this list; receivers know it as msg_<xid>_<seq>.';
comment on column crm.webhook_delivery.updated_at is 'When the message was last changed.';
select crm.protect('crm.webhook_delivery', area => 'admin', kind => 'owned', verbs => '{select,insert,update,delete}',
  reason => 'It would tell webhooks of their own messages without end.');
