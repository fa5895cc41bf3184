-- A survey is sent with a whole address or not at all.
set local role crm_owner;

alter table crm.survey_invitation drop constraint survey_invitation_skipped_known,
  add constraint survey_invitation_skipped_known check (skipped in ('sampled_out', 'rested', 'no_address', 'refused', 'closed', 'no_link'));
comment on constraint survey_invitation_skipped_known on crm.survey_invitation is 'en: This reason is not known. | tr: Bu neden bilinmiyor.';
comment on column crm.survey_invitation.skipped is 'sampled_out (not in the sample), rested (the person was asked lately), no_address, no_link (neither the survey nor its brand says where customers reach this server), refused (no consent, or the message was not taken), closed (the survey was closed first).';

-- A survey that is active without an address is not changed by this; it asks nobody until it has one.
alter table crm.survey add constraint survey_base_address_given check (status <> 'active' or base_address is not null or brand_id is not null) not valid;
comment on constraint survey_base_address_given on crm.survey is 'en: Give a base_address, or a brand with a link_base: the links in the messages begin with it. | tr: base_address ya da link_base alanı olan bir marka verin; iletilerdeki bağlantılar onunla başlar.';
comment on column crm.survey.base_address is 'Where customers reach this server, such as https://crm.example.com, without a slash at the end: links begin with it. The brand''s link_base when null.';
