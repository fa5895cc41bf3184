-- At which message a mailbox stands still is a fact of its own, not a turn of phrase in the problem.
set local role crm_owner;

alter table crm.channel_state add column stuck_uid bigint, add column stuck_since timestamptz,
  add constraint channel_state_stuck_since_both check ((stuck_uid is null) = (stuck_since is null));
comment on column crm.channel_state.stuck_uid is 'The message of the mailbox that the server does not give away; null while it gives all.';
comment on column crm.channel_state.stuck_since is 'Since when it does not. After an hour the message is passed over.';
comment on constraint channel_state_stuck_since_both on crm.channel_state is 'en: A message that stands in the way has the time since when. | tr: Yolu tıkayan iletinin ne zamandan beri tıkadığı da verilir.';

update crm.channel_state set stuck_uid = substring(problem from 'at the message number ([0-9]{1,18})')::bigint, stuck_since = problem_at
where problem ~ ', at the message number [0-9]{1,18}';

drop function crm.note_channel_check(uuid, text, timestamptz);
create function crm.note_channel_check(account uuid, what text, at timestamptz, at_uid bigint default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  stopped record;
begin
  if not crm.writes_all('admin') then
    raise exception using errcode = 'insufficient_privilege', message = 'the system watches accounts';
  end if;
  update crm.channel_state as s
  set problem = what, problem_at = case when what is not null then coalesce(s.problem_at, at) end, told_at = case when what is not null then s.told_at end,
    stuck_uid = at_uid, stuck_since = case when at_uid is not null then case when s.stuck_uid = at_uid then s.stuck_since else at end end,
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
comment on function crm.note_channel_check(uuid, text, timestamptz, bigint) is
  'Notes that an account was read, or why not, and at which message of the mailbox it stood still. After a quarter of an hour without success everybody who administers is told, once.';
revoke execute on function crm.note_channel_check(uuid, text, timestamptz, bigint) from crm_app, crm_bulk, crm_access;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.note_channel_check(uuid, text, timestamptz, bigint) owner to crm_steward;
revoke create on schema crm from crm_steward;
