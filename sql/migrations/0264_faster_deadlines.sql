-- Deadlines are computed for each consent: a few days are looked at one after another, instead of a month of them at once.
set local role crm_owner;

create or replace function crm.add_business_days(from_day date, days integer, of_country text default 'TR') returns date language plpgsql stable as $$
declare
  candidate date := from_day;
  left_over integer := days;
begin
  if left_over < 1 then
    return null;
  end if;
  while left_over > 0 loop
    candidate := candidate + 1;
    if extract(isodow from candidate) < 6
      and not exists (select from crm.holiday as h where h.country = of_country and h.day = candidate and h.closes_at is null) then
      left_over := left_over - 1;
    end if;
  end loop;
  return candidate;
end
$$;
