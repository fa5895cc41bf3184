-- Settings that the receiving of messages reads are checked when they are given. What is there already stays until it is changed.
set local role crm_owner;

alter table crm.channel_account
  add constraint channel_account_settings_owner check (not settings ? 'owner_id' or coalesce(settings ->> 'owner_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$', false)) not valid,
  add constraint channel_account_settings_visibility check (not settings ? 'visibility' or coalesce(settings ->> 'visibility' in ('company', 'department', 'private'), false)) not valid,
  add constraint channel_account_settings_origins check (not settings ? 'origins' or jsonb_typeof(settings -> 'origins') = 'array'
    and not jsonb_path_exists(settings, '$.origins[*] ? (!(@ like_regex "^https?://[^ /]+$"))') and not jsonb_path_exists(settings, '$.origins[*] ? (@.type() != "string")')) not valid;
comment on constraint channel_account_settings_owner on crm.channel_account is 'en: owner_id is the id of a user. | tr: owner_id bir kullanıcının kimliğidir.';
comment on constraint channel_account_settings_visibility on crm.channel_account is 'en: visibility is company, department or private. | tr: visibility company, department ya da private olabilir.';
comment on constraint channel_account_settings_origins on crm.channel_account is 'en: origins is a list such as ["https://www.example.com"], without paths. | tr: origins ["https://www.example.com"] gibi, yolsuz bir listedir.';
