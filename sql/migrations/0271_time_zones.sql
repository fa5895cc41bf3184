-- A time zone that PostgreSQL does not know is refused where it is set: every report that counts days in it would fail later.
set local role crm_owner;
drop trigger business_calendar_check_insert on crm.business_calendar;
drop trigger business_calendar_check_update on crm.business_calendar;
drop function crm.check_calendar();
alter table crm.location add constraint location_time_zone_known check (crm.is_time_zone(time_zone));
comment on constraint location_time_zone_known on crm.location is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
alter table crm.business_calendar add constraint business_calendar_time_zone_known check (crm.is_time_zone(time_zone));
comment on constraint business_calendar_time_zone_known on crm.business_calendar is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
alter table crm.privacy_rule add constraint privacy_rule_time_zone_known check (crm.is_time_zone(time_zone));
comment on constraint privacy_rule_time_zone_known on crm.privacy_rule is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
alter table crm.value_model add constraint value_model_time_zone_known check (crm.is_time_zone(time_zone));
comment on constraint value_model_time_zone_known on crm.value_model is 'en: Give a time zone such as Europe/Istanbul. | tr: Europe/Istanbul gibi bir saat dilimi verin.';
