-- Who said that they take work and is not heard of any more counts as away: at the end of the working day, and soon after the connection of whoever had one was lost.
set local role crm_owner;

alter table crm.presence add column until timestamptz;
alter table crm.presence add column lapsed_from text;
alter table crm.presence add column lapsed_why text;
comment on column crm.presence.until is
  'Until when available or busy holds. If it is not given: the end of the working day by the calendars of the user''s teams, and outside of it eight hours; at least an hour.';
comment on column crm.presence.lapsed_from is 'What it was before it lapsed to away by itself; null when somebody said what it is.';
comment on column crm.presence.lapsed_why is 'Why it lapsed: ended (its time had come) or unheard (the connection was lost, and no request came since). What was unheard comes back with the next sign of life.';
comment on column crm.presence.state is
  'available (takes new work), busy (keeps own work, takes no new), away (back soon) or offline. available and busy lapse to away by themselves.';
alter table crm.presence add constraint presence_lapsed_why_known
  check ((lapsed_from is null) = (lapsed_why is null) and lapsed_from in ('available', 'busy') and lapsed_why in ('ended', 'unheard') and (lapsed_why is null or state = 'away'));
alter table crm.presence add constraint presence_until_later check (until > since and isfinite(until) or lapsed_why is not null);
alter table crm.presence add constraint presence_until_state check (until is null or state in ('available', 'busy') or lapsed_why is not null);
comment on constraint presence_lapsed_why_known on crm.presence is 'en: Only what was available or busy lapses, to away. | tr: Yalnızca available ya da busy durumu kendiliğinden away olur.';
comment on constraint presence_until_later on crm.presence is 'en: Give an end that is yet to come. | tr: Gelecekte bir bitiş verin.';
comment on constraint presence_until_state on crm.presence is 'en: Only available and busy have an end. | tr: Yalnızca available ve busy durumlarının bitişi olur.';

alter table crm.team add column silence_minutes smallint not null default 15;
comment on column crm.team.silence_minutes is 'After how many minutes without a sign of life a member whose connection was lost counts as away; of several teams the most.';
alter table crm.team add constraint team_silence_minutes_range check (silence_minutes between 1 and 1440);
comment on constraint team_silence_minutes_range on crm.team is 'en: Give 1 to 1440 minutes. | tr: 1 ile 1440 dakika arasında verin.';

create table crm.sign_of_life (
  user_id      uuid        not null,
  heard_at     timestamptz not null,
  connected_at timestamptz,
  constraint sign_of_life_user_id_primary primary key (user_id)
);
comment on table crm.sign_of_life is 'When somebody whose presence is known was last heard of.';
comment on column crm.sign_of_life.user_id is 'The user.';
comment on column crm.sign_of_life.heard_at is 'The last request, or the last moment a live connection was seen to be open.';
comment on column crm.sign_of_life.connected_at is 'The last moment a live connection was seen to be open; null when there never was one.';
select crm.protect('crm.sign_of_life', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'It changes every half minute; what follows from it stands in presences.');

create function crm.presence_end(person uuid, at timestamptz) returns timestamptz language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select greatest(at + interval '1 hour', coalesce((
    select max(s.ends_at) from crm.team_member as m join crm.team as t on t.id = m.team_id and t.active join crm.business_calendar as c on c.id = t.calendar_id
    join crm.calendar_span as s on s.calendar_id = c.id and s.ends_at > at and s.starts_at > at - interval '2 days'
      and s.starts_at < ((at at time zone c.time_zone)::date + 1)::timestamp at time zone c.time_zone
    where m.user_id = person and m.active), at + interval '8 hours'))
$$;
comment on function crm.presence_end(uuid, timestamptz) is
  'Until when somebody who says at an instant that they are there is taken to be: the end of that day''s last hours by the calendars of their teams, outside of them eight hours, at least one.';

create function crm.keep_presence() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and new.lapsed_why is not null and (new.state = old.state or old.lapsed_why is null) then
    return new;
  end if;
  if new.state in ('available', 'busy') then
    -- What comes back keeps its end; what is said anew has a new one unless one is given.
    if new.until is null or tg_op = 'UPDATE' and new.until = old.until and (new.until <= now() or new.state <> coalesce(old.lapsed_from, old.state)) then
      new.until := crm.presence_end(new.user_id, now());
    end if;
  elsif tg_op = 'UPDATE' and new.until = old.until then
    new.until := null;
  end if;
  new.lapsed_from := null;
  new.lapsed_why := null;
  return new;
end
$$;
comment on function crm.keep_presence() is 'Trigger: gives what holds for a while its end, and forgets why it lapsed once somebody says what it is.';
create trigger presence_keep before insert or update on crm.presence for each row execute function crm.keep_presence();

create function crm.presence_lapse(p crm.presence, at timestamptz) returns text language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when p.lapsed_why is not null then p.lapsed_why
    when p.state is null or p.state not in ('available', 'busy') then null
    when p.until <= at then 'ended'
    -- Who never had a connection, such as a program that says it for somebody, is not missed.
    when exists (
      select from crm.sign_of_life as s
      where s.user_id = p.user_id and s.connected_at > p.updated_at - interval '2 minutes' and greatest(s.heard_at, s.connected_at) <= at - make_interval(mins => coalesce((
        select max(t.silence_minutes) from crm.team_member as m join crm.team as t on t.id = m.team_id and t.active where m.user_id = p.user_id and m.active), 15)))
      then 'unheard'
    end
$$;
comment on function crm.presence_lapse(crm.presence, timestamptz) is
  'Why a presence does not hold at an instant: ended when its time has come, unheard when the connection its user had since was lost and nothing was heard for the time that the user''s teams allow; null while it holds. For system work.';

create function crm.lapse_presences(at timestamptz) returns integer language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  lapsed integer;
begin
  update crm.presence as p set state = 'away', lapsed_from = p.state, lapsed_why = crm.presence_lapse(p, lapse_presences.at), since = lapse_presences.at
  where p.state in ('available', 'busy') and crm.presence_lapse(p, lapse_presences.at) is not null;
  get diagnostics lapsed = row_count;
  return lapsed;
end
$$;
comment on function crm.lapse_presences(timestamptz) is 'Writes down whose presence has lapsed at an instant, and answers how many. For system work.';

create function crm.hear_of(people uuid[], connected uuid[], at timestamptz) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if crm.caller_id() is not null or not crm.writes_all('admin') then
    raise exception using errcode = 'insufficient_privilege', message = 'signs of life are written by the system';
  end if;
  insert into crm.sign_of_life as s (user_id, heard_at, connected_at)
  select p.user_id, hear_of.at, case when p.user_id = any (hear_of.connected) then hear_of.at end
  from crm.presence as p where p.user_id = any (hear_of.people || hear_of.connected) order by p.user_id
  on conflict on constraint sign_of_life_user_id_primary do update
    set heard_at = greatest(s.heard_at, excluded.heard_at), connected_at = greatest(s.connected_at, excluded.connected_at);
  update crm.presence as p set state = p.lapsed_from, lapsed_from = null, lapsed_why = null, since = hear_of.at
  where p.user_id = any (hear_of.people || hear_of.connected) and p.lapsed_why = 'unheard' and p.until > hear_of.at;
end
$$;
comment on function crm.hear_of(uuid[], uuid[], timestamptz) is
  'Notes that users were heard of at an instant, by a request or by an open live connection, and brings back presences that lapsed because they were not. For system work.';

do $$
declare
  said constant text := pg_get_functiondef('crm.routing_candidates(uuid,text[],text,uuid,boolean,text,uuid[],timestamptz)'::regprocedure);
  meant text := replace(said, 'p.state as presence,', 'case when crm.presence_lapse(p, routing_candidates.at) is null then p.state else ''lapsed'' end as presence,');
begin
  meant := replace(meant, 'x.presence in (''busy'', ''away'', ''offline'')', 'x.presence in (''busy'', ''away'', ''offline'', ''lapsed'')');
  if length(meant) < length(said) + 80 then
    raise exception 'crm.routing_candidates no longer asks for presence as it did';
  end if;
  execute meant;
end
$$;
comment on function crm.routing_candidates(uuid, text[], text, uuid, boolean, text, uuid[], timestamptz) is
  'The members of a team in the order in which something would be given to them, and what stands against each: inactive, excluded, absent, busy, away, offline, lapsed (said to be there and not heard of any more), off_hours, skill, language or full. A language that nobody in the team speaks is asked of nobody; outside the team''s hours only those take work who say that they are available. Of equals, whoever got something longest ago comes first.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.presence_end(uuid, timestamptz) owner to crm_steward;
alter function crm.lapse_presences(timestamptz) owner to crm_steward;
alter function crm.hear_of(uuid[], uuid[], timestamptz) owner to crm_steward;
revoke create on schema crm from crm_steward;
revoke execute on function crm.lapse_presences(timestamptz) from crm_app, crm_bulk, crm_access;
-- What was said before there was an end holds until then, too.
set local role crm_steward;
update crm.presence as p set until = crm.presence_end(p.user_id, now()) where p.state in ('available', 'busy');
set local role none;
set local role crm_owner;
