-- Imports read times of day.
set local role crm_owner;
create or replace function crm.reads_as(value text, type text, scale integer default null) returns boolean language plpgsql stable parallel safe as $$
begin
  case type
    when 'numeric' then return value::numeric is not null and value::numeric <> 'NaN' and abs(value::numeric) <> 'Infinity' and (scale is null or (scale(value::numeric) <= scale and abs(value::numeric) < 1e15));
    when 'integer' then return value::integer is not null;
    when 'bigint' then return value::bigint is not null;
    when 'float8' then return value::float8 is not null;
    when 'boolean' then return value::boolean is not null;
    when 'date' then return ascii(value) between 48 and 57 and isfinite(value::date);
    when 'time' then return ascii(value) between 48 and 57 and value::time is not null;
    when 'timestamp' then return ascii(value) between 48 and 57 and isfinite(value::timestamp);
    when 'timestamptz' then return ascii(value) between 48 and 57 and isfinite(value::timestamptz);
    when 'uuid' then return value::uuid is not null;
    when 'jsonb' then return value::jsonb is not null;
    else return true;
  end case;
exception when data_exception or invalid_parameter_value or program_limit_exceeded then
  return false;
end
$$;
