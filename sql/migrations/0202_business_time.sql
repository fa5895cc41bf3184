-- Business time: each calendar is laid out as spans of open time, so that the time between two instants, and the instant after some time, are two look-ups.
set local role crm_owner;

create table crm.calendar_span (
  calendar_id uuid        not null,
  starts_at   timestamptz not null,
  ends_at     timestamptz not null,
  before      bigint      not null,
  constraint calendar_span_starts_at_primary primary key (calendar_id, starts_at) include (ends_at, before),
  constraint calendar_span_before_unique unique (calendar_id, before) include (starts_at, ends_at),
  constraint calendar_span_calendar_id_exists foreign key (calendar_id) references crm.business_calendar (id) on delete cascade,
  constraint calendar_span_ends_at_later check (ends_at > starts_at)
);
comment on table crm.calendar_span is 'A calendar laid out: every stretch of open time that it covers, with the open time before it.';
comment on column crm.calendar_span.calendar_id is 'The calendar.';
comment on column crm.calendar_span.starts_at is 'When it opens.';
comment on column crm.calendar_span.ends_at is 'When it closes.';
comment on column crm.calendar_span.before is 'Open time of the calendar before this stretch, in microseconds.';
comment on constraint calendar_span_before_unique on crm.calendar_span is 'en: The calendar is laid out already. | tr: Takvim zaten açılmış.';
comment on constraint calendar_span_ends_at_later on crm.calendar_span is 'en: It closes after it opens. | tr: Kapanış açılıştan sonradır.';
select crm.protect('crm.calendar_span', area => 'service', kind => 'computed', verbs => '{select,insert,update,delete}', bi => true,
  reason => 'It is laid out from hours and exceptions that are in the change log.');

-- An instant is open when its clock, read in the calendar's zone, lies in an interval of its local day. On days without a change of the zone's offset that is
-- the interval itself; on the others every minute is asked.
create function crm.open_spans(calendar uuid) returns table (starts_at timestamptz, ends_at timestamptz) language sql stable as $$
  with calendar as (
    select c.id, c.time_zone as zone, c.covers_from, c.covers_until from crm.business_calendar as c where c.id = open_spans.calendar
  ), hours as (
    select i.weekday, i.day, crm.minute_of_day(i.opens) as opens, crm.minute_of_day(i.closes) as closes
    from crm.business_interval as i where i.calendar_id = open_spans.calendar
  ), day as (
    select d::date as day, extract(isodow from d)::integer as weekday, d at time zone c.zone as midnight, (d + interval '1 day') at time zone c.zone as next_midnight, c.zone
    from calendar as c cross join lateral generate_series(c.covers_from::timestamp, c.covers_until::timestamp, interval '1 day') as d
  ), exception as (
    select e.day, crm.minute_of_day(e.closes_at) as closes from crm.calendar_exception as e where e.calendar_id = open_spans.calendar
    union all
    select h.day, (extract(hour from h.closes_at) * 60 + extract(minute from h.closes_at))::integer
    from crm.business_calendar as c join crm.holiday as h on h.country = upper(c.holiday_scope)
    where c.id = open_spans.calendar and not exists (select from crm.calendar_exception as e where e.calendar_id = open_spans.calendar and e.day = h.day)
  ), open as (
    select d.day, d.midnight, d.next_midnight, d.zone, h.opens, case when h.day is null then least(h.closes, e.closes) else h.closes end as closes
    from day as d
    join hours as h on h.day = d.day or h.weekday = d.weekday and not exists (select from hours as own where own.day = d.day)
    left join exception as e on e.day = d.day
    where h.day is not null or e.day is null or e.closes is not null
  ), regular as (
    select o.midnight + make_interval(mins => o.opens) as starts_at, o.midnight + make_interval(mins => o.closes) as ends_at
    from open as o where o.closes > o.opens and o.next_midnight - o.midnight = interval '24 hours'
  ), minute as (
    select distinct m as at
    from open as o
    cross join lateral generate_series(o.midnight - interval '3 hours', o.next_midnight + interval '3 hours', interval '1 minute') as m
    cross join lateral (select m at time zone o.zone as clock) as local
    where o.closes > o.opens and o.next_midnight - o.midnight <> interval '24 hours'
      and local.clock::date = o.day and extract(hour from local.clock) * 60 + extract(minute from local.clock) >= o.opens
      and extract(hour from local.clock) * 60 + extract(minute from local.clock) < o.closes
  ), island as (
    select at, at - row_number() over (order by at) * interval '1 minute' as run from minute
  )
  select r.starts_at, r.ends_at from regular as r
  union all
  select min(i.at), max(i.at) + interval '1 minute' from island as i group by i.run
$$;
comment on function crm.open_spans(uuid) is
  'The stretches of open time of a calendar, over the days that it covers. A day''s own hours replace its weekday''s and stand against holidays; on a half day the hours end when it closes; its own exceptions go before the country''s holidays; changes of the zone''s offset count as clocks show them.';

create function crm.lay_out_calendar(calendar uuid) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  laid_out constant crm.calendar_span[] := array(
    select row(lay_out_calendar.calendar, s.starts_at, s.ends_at, coalesce(sum((extract(epoch from s.ends_at - s.starts_at) * 1000000)::bigint)
      over (order by s.starts_at rows between unbounded preceding and 1 preceding), 0))::crm.calendar_span
    from crm.open_spans(lay_out_calendar.calendar) as s order by s.starts_at);
begin
  if laid_out = array(select s from crm.calendar_span as s where s.calendar_id = lay_out_calendar.calendar order by s.starts_at) then
    return false;
  end if;
  delete from crm.calendar_span as s where s.calendar_id = lay_out_calendar.calendar;
  insert into crm.calendar_span (calendar_id, starts_at, ends_at, before) select l.calendar_id, l.starts_at, l.ends_at, l.before from unnest(laid_out) as l;
  update crm.business_calendar as c set revision = c.revision + 1 where c.id = lay_out_calendar.calendar;
  return true;
end
$$;
comment on function crm.lay_out_calendar(uuid) is 'Lays a calendar out as its hours and exceptions now say; says whether anything changed, and counts its revision up if so.';

create function crm.lay_out_touched_calendars() returns trigger language plpgsql as $$
begin
  perform crm.lay_out_calendar(c.id)
  from (select distinct t.calendar_id as id from touched as t) as c
  where exists (select from crm.business_calendar as b where b.id = c.id);
  return null;
end
$$;
comment on function crm.lay_out_touched_calendars() is 'Trigger, once a statement: lays out anew the calendars whose hours or exceptions changed.';
do $$
declare
  name text;
begin
  foreach name in array array['business_interval', 'calendar_exception'] loop
    execute format('create trigger %I after insert on crm.%I referencing new table as touched for each statement execute function crm.lay_out_touched_calendars()', name || '_lay_out_insert', name);
    execute format('create trigger %I after update on crm.%I referencing new table as touched for each statement execute function crm.lay_out_touched_calendars()', name || '_lay_out_update', name);
    execute format('create trigger %I after delete on crm.%I referencing old table as touched for each statement execute function crm.lay_out_touched_calendars()', name || '_lay_out_delete', name);
  end loop;
end
$$;

create function crm.lay_out_calendars_of_countries() returns trigger language plpgsql as $$
begin
  perform crm.lay_out_calendar(c.id) from crm.business_calendar as c where upper(c.holiday_scope) in (select t.country from touched as t);
  return null;
end
$$;
comment on function crm.lay_out_calendars_of_countries() is 'Trigger, once a statement: lays out anew the calendars that follow a country whose holidays changed.';
create trigger holiday_lay_out_insert after insert on crm.holiday referencing new table as touched for each statement execute function crm.lay_out_calendars_of_countries();
create trigger holiday_lay_out_update after update on crm.holiday referencing new table as touched for each statement execute function crm.lay_out_calendars_of_countries();
create trigger holiday_lay_out_delete after delete on crm.holiday referencing old table as touched for each statement execute function crm.lay_out_calendars_of_countries();

create function crm.check_calendar() returns trigger language plpgsql as $$
begin
  if not exists (select from pg_timezone_names as z where z.name = new.time_zone) then
    raise exception using errcode = 'check_violation', schema = 'crm', table = 'business_calendar', constraint = 'business_calendar_time_zone_shape',
      message = 'there is no such time zone';
  end if;
  return new;
end
$$;
comment on function crm.check_calendar() is 'Trigger: a calendar''s time zone is one that PostgreSQL knows.';
create trigger business_calendar_check_insert before insert on crm.business_calendar for each row execute function crm.check_calendar();
create trigger business_calendar_check_update before update on crm.business_calendar for each row
  when (old.time_zone is distinct from new.time_zone) execute function crm.check_calendar();

create function crm.lay_out_changed_calendar() returns trigger language plpgsql as $$
begin
  perform crm.lay_out_calendar(new.id);
  return null;
end
$$;
comment on function crm.lay_out_changed_calendar() is 'Trigger: lays a calendar out anew whose zone or days changed.';
create trigger business_calendar_lay_out after update on crm.business_calendar for each row
  when ((old.time_zone, old.covers_from, old.covers_until, old.holiday_scope) is distinct from (new.time_zone, new.covers_from, new.covers_until, new.holiday_scope))
  execute function crm.lay_out_changed_calendar();

-- Reading a calendar like a clock that stands still while it is closed ----------------------------------------------------------------

create function crm.business_clock(calendar uuid, at timestamptz) returns bigint language sql stable parallel safe
  return case when calendar is null then (extract(epoch from at) * 1000000)::bigint else coalesce((
    select s.before + (extract(epoch from least(business_clock.at, s.ends_at) - s.starts_at) * 1000000)::bigint
    from crm.calendar_span as s where s.calendar_id = business_clock.calendar and s.starts_at <= business_clock.at
    order by s.starts_at desc limit 1), 0) end;
comment on function crm.business_clock(uuid, timestamptz) is
  'Open time of a calendar up to an instant, in microseconds: the difference of two is the business time between them. Without a calendar all time counts.';

create function crm.business_instant(calendar uuid, clock bigint) returns timestamptz language sql stable parallel safe
  return case when calendar is null then timestamptz 'epoch' + clock * interval '1 microsecond' else (
    select case when s.starts_at + (business_instant.clock - s.before) * interval '1 microsecond' <= s.ends_at
      then s.starts_at + (business_instant.clock - s.before) * interval '1 microsecond' end
    from crm.calendar_span as s where s.calendar_id = business_instant.calendar and s.before < greatest(business_instant.clock, 1)
    order by s.before desc limit 1) end;
comment on function crm.business_instant(uuid, bigint) is
  'The first instant at which a calendar''s open time reaches this, in microseconds: 18:00 rather than the next morning. Null after what the calendar covers.';

create function crm.business_limit(calendar uuid, clock bigint) returns timestamptz language sql stable parallel safe
  return case when calendar is null then timestamptz 'epoch' + clock * interval '1 microsecond' else (
    select case when s.starts_at + (business_limit.clock - s.before) * interval '1 microsecond' <= s.ends_at
      then s.starts_at + (business_limit.clock - s.before) * interval '1 microsecond' end
    from crm.calendar_span as s where s.calendar_id = business_limit.calendar and s.before <= business_limit.clock
    order by s.before desc limit 1) end;
comment on function crm.business_limit(uuid, bigint) is
  'The last instant at which a calendar''s open time has not passed this, in microseconds: the next morning rather than 18:00. Null after what the calendar covers.';

create function crm.business_seconds(calendar uuid, since timestamptz, until timestamptz) returns double precision language sql stable parallel safe
  return (crm.business_clock(calendar, until) - crm.business_clock(calendar, since)) / 1000000.0::double precision;
comment on function crm.business_seconds(uuid, timestamptz, timestamptz) is 'Open time of a calendar between two instants, in seconds.';

create function crm.after_business_seconds(calendar uuid, since timestamptz, seconds double precision) returns timestamptz language sql stable parallel safe
  return crm.business_instant(calendar, crm.business_clock(calendar, since) + (seconds * 1000000)::bigint);
comment on function crm.after_business_seconds(uuid, timestamptz, double precision) is 'The first instant at which so much open time of a calendar has passed since another; null after what it covers.';

create function crm.is_open(calendar uuid, at timestamptz) returns boolean language sql stable parallel safe
  return calendar is null or exists (select from crm.calendar_span as s where s.calendar_id = is_open.calendar and s.starts_at <= is_open.at
    and is_open.at < s.ends_at and s.starts_at > is_open.at - interval '2 days');
comment on function crm.is_open(uuid, timestamptz) is 'Whether a calendar is open at an instant; without a calendar it always is.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.lay_out_calendar(uuid) owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;
