-- Two who change the hours of a calendar at once: the second lays it out with the first one's hours, not without them.
set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;

create or replace function crm.lay_out_calendar(calendar uuid) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  laid_out crm.calendar_span[];
begin
  perform from crm.business_calendar as c where c.id = lay_out_calendar.calendar for no key update;
  laid_out := array(
    select row(lay_out_calendar.calendar, s.starts_at, s.ends_at, coalesce(sum((extract(epoch from s.ends_at - s.starts_at) * 1000000)::bigint)
      over (order by s.starts_at rows between unbounded preceding and 1 preceding), 0))::crm.calendar_span
    from crm.open_spans(lay_out_calendar.calendar) as s order by s.starts_at);
  if laid_out = array(select s from crm.calendar_span as s where s.calendar_id = lay_out_calendar.calendar order by s.starts_at) then
    return false;
  end if;
  delete from crm.calendar_span as s where s.calendar_id = lay_out_calendar.calendar;
  insert into crm.calendar_span (calendar_id, starts_at, ends_at, before) select l.calendar_id, l.starts_at, l.ends_at, l.before from unnest(laid_out) as l;
  update crm.business_calendar as c set revision = c.revision + 1 where c.id = lay_out_calendar.calendar;
  return true;
end
$$;

set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
