-- What follows from messages that did not arrive: an address that does not exist is not written to again, what is only put off is tried again, and whoever
-- complains gets nothing commercial any more.
set local role crm_owner;

alter table crm.delivery_report
  drop constraint delivery_report_outcome_known,
  add constraint delivery_report_outcome_known check (outcome in ('delivered', 'failed', 'bounced', 'complained')),
  add column cause text,
  add constraint delivery_report_cause_known check (cause in ('recipient', 'temporary'));
comment on column crm.delivery_report.outcome is 'delivered, failed, bounced or complained (the recipient called it unwanted).';
comment on column crm.delivery_report.cause is 'recipient (there is no such address, for good) or temporary (the same message may arrive later); null for anything else.';
comment on constraint delivery_report_outcome_known on crm.delivery_report is 'en: An outcome is delivered, failed, bounced or complained. | tr: Sonuç delivered, failed, bounced ya da complained olabilir.';
comment on constraint delivery_report_cause_known on crm.delivery_report is 'en: A cause is recipient or temporary. | tr: Neden recipient ya da temporary olabilir.';

create function crm.suppress_recipient(customer uuid, message uuid) returns uuid language sql volatile set search_path = pg_catalog, pg_temp as $$
  -- A number that takes no text messages may still be called.
  select crm.suppress(m.channel, m.address, 'hard_bounce', 'all', null, m.channel = 'email')
  from crm.outbound_message as m where m.customer_id = customer and m.id = message
$$;
comment on function crm.suppress_recipient(uuid, uuid) is
  'Puts the address of a message on the suppression list for every class of message, because it does not exist. People lift it when the address is right after all.';

create function crm.retry_message(customer uuid, message uuid, at timestamptz, why text) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  failures integer;
  moved record;
begin
  if not crm.move_message(customer, message, 'failed', at, null, why) then
    return false;
  end if;
  select count(*) into failures from crm.delivery_report as r where r.message_id = message and r.cause = 'temporary';
  if failures > 3 then
    return true;
  end if;
  update crm.outbound_message as m set state = 'queued', not_before = at + interval '1 hour' * 4 ^ (greatest(failures, 1) - 1)
  where m.customer_id = customer and m.id = message and m.state = 'failed'
  returning m.interaction_id, m.state into moved;
  update crm.interaction as i set status = 'queued' where moved.state = 'queued' and i.customer_id = customer and i.id = moved.interaction_id;
  return true;
end
$$;
comment on function crm.retry_message(uuid, uuid, timestamptz, text) is
  'A message that was put off by its recipient''s server or provider is sent again after one, four and sixteen hours, if the gate still lets it; then it stays failed. False when its state does not allow it.';

drop function crm.report_delivery(uuid, text, uuid, text, text, text, timestamptz);
create function crm.report_delivery(
  account uuid, event text, message uuid, called text, outcome text, why text, at timestamptz, cause text default null
) returns boolean language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  m record;
begin
  select o.customer_id, o.id, o.channel, o.address into m from crm.outbound_message as o
  where o.channel_account_id = report_delivery.account and (o.id = message or message is null and o.provider_id = called) order by o.id limit 1;
  insert into crm.delivery_report (channel_account_id, event_id, message_id, provider_id, outcome, reason, reported_at, cause)
  values (account, event, m.id, left(called, 1000), report_delivery.outcome, left(why, 1000), at, report_delivery.cause)
  on conflict on constraint delivery_report_event_id_primary do nothing;
  if not found or m.id is null then
    return false;
  end if;
  if outcome = 'complained' then
    perform crm.suppress(m.channel, m.address, 'complaint');
    -- Whoever complains has got it.
    return crm.move_message(m.customer_id, m.id, 'delivered', at, called);
  end if;
  if cause = 'temporary' and outcome <> 'delivered' then
    return crm.retry_message(m.customer_id, m.id, at, why);
  end if;
  if cause = 'recipient' and outcome <> 'delivered' then
    perform crm.suppress_recipient(m.customer_id, m.id);
  end if;
  return crm.move_message(m.customer_id, m.id, report_delivery.outcome, at, called, why);
end
$$;
comment on function crm.report_delivery(uuid, text, uuid, text, text, text, timestamptz, text) is
  'Takes a report on a message of ours (by its id, else by what the provider calls it), each once; a report on nobody''s message is kept. An address that does not exist is suppressed, a complaint suppresses commercial messages, what is only put off is tried again. Says whether the message changed.';

-- An operator sees a mailbox that stopped ------------------------------------------------------------------------------------------------

alter table crm.channel_state add column told_at timestamptz;
comment on column crm.channel_state.told_at is 'When people were told of the problem; null while there is none, or it is young.';

create function crm.note_channel_check(account uuid, what text, at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  stopped record;
begin
  if not crm.writes_all('admin') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system watches accounts';
  end if;
  update crm.channel_state as s
  set problem = what, problem_at = case when what is not null then coalesce(s.problem_at, at) end, told_at = case when what is not null then s.told_at end,
    checked_at = case when what is null then at else s.checked_at end, updated_at = now()
  where s.channel_account_id = account;
  -- Whoever comes back within a quarter of an hour is not worth a word.
  update crm.channel_state as s set told_at = at
  from crm.channel_account as a
  where s.channel_account_id = account and a.id = account and s.problem is not null and s.told_at is null and s.problem_at <= at - interval '15 minutes'
  returning a.id, a.name, s.problem into stopped;
  if found then
    perform crm.notify(p.user_id, 'channel_stopped', 'channel_accounts', stopped.id,
      format('The account %s has not been read for a while: %s', stopped.name, stopped.problem),
      format('%s hesabı bir süredir okunamıyor: %s', stopped.name, stopped.problem))
    from (
      select distinct ur.user_id from crm.user_role as ur join crm.role_permission as rp on rp.role_id = ur.role_id
      where rp.area = 'admin' and rp.write_scope = 'all'
    ) as p;
  end if;
end
$$;
comment on function crm.note_channel_check(uuid, text, timestamptz) is
  'Notes that an account was read, or why not. After a quarter of an hour without success everybody who administers is told, once.';
revoke execute on function crm.note_channel_check(uuid, text, timestamptz) from crm_app, crm_bulk, crm_access;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.note_channel_check(uuid, text, timestamptz) owner to crm_steward;
revoke create on schema crm from crm_steward;
