-- Checks answer no instead of failing: a regular expression of PostgreSQL repeats at most 255 times, and an unknown time zone is an error where it is used.
set local role crm_owner;
create function crm.is_time_zone(zone text) returns boolean language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return (timestamptz '2000-01-01 00:00:00+00' at time zone zone) is not null;
exception when invalid_parameter_value then
  return false;
end
$$;
comment on function crm.is_time_zone(text) is 'Whether PostgreSQL knows a time zone of this name; null for null.';
alter table crm.brand drop constraint brand_website_shape,
  add constraint brand_website_shape check (website ~ '^https?://[^[:space:]]+$' and length(website) <= 500);
comment on constraint brand_website_shape on crm.brand is 'en: Give the whole web address, such as https://www.carsi.example. | tr: Web adresini bütünüyle verin, örneğin https://www.carsi.example.';
alter table crm.channel_preference drop constraint channel_preference_time_zone_known,
  add constraint channel_preference_time_zone_known check (crm.is_time_zone(time_zone));
comment on constraint channel_preference_time_zone_known on crm.channel_preference is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
alter table crm.quiet_hours drop constraint quiet_hours_time_zone_known, add constraint quiet_hours_time_zone_known check (crm.is_time_zone(time_zone));
comment on constraint quiet_hours_time_zone_known on crm.quiet_hours is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
