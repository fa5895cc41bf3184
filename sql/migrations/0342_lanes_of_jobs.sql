-- Work that waits for a server of somebody else names it, so that one that hangs does not hold up what waits for others.
set local role crm_owner;

alter table crm.job add column lane text,
  add constraint job_lane_length check (length(lane) between 1 and 300);
comment on column crm.job.lane is 'Whom it waits for, such as the mail server of an account: a worker does only a few jobs of one lane at a time. Null for work that waits for nobody.';
comment on constraint job_lane_length on crm.job is 'en: A lane has 1 to 300 characters. | tr: Şerit 1 ile 300 karakter arasındadır.';

create function crm.set_job_lane() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account uuid := new.payload ->> 'channel_account_id';
begin
  if new.kind = 'message.send' then
    select m.channel_account_id into account from crm.outbound_message as m
    where m.customer_id = (new.payload ->> 'customer_id')::uuid and m.id = (new.payload ->> 'message_id')::uuid;
  end if;
  -- Several accounts on one server wait for the same.
  new.lane := coalesce((
    select lower(left(coalesce(
      a.settings ->> case new.kind when 'channel.receive' then 'imap_host' else 'smtp_host' end, substring(a.settings ->> 'url' from '^https?://([^/:?#]+)'), a.id::text), 300))
    from crm.channel_account as a where a.id = account), new.kind);
  return new;
end
$$;
comment on function crm.set_job_lane() is 'Trigger: the work of sending and of reading an account waits for the account''s server; messages that have no account yet have a lane of their own.';
revoke execute on function crm.set_job_lane() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger job_lane_insert before insert on crm.job for each row
  when (new.lane is null and new.kind in ('message.send', 'channel.receive')) execute function crm.set_job_lane();

set local role none;
grant create on schema crm to crm_steward;
alter function crm.set_job_lane() owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;
