-- Web forms: what visitors of the company's pages fill in. A form is data; what is sent becomes a lead, a conversation or a ticket, once.
set local role crm_owner;

create table crm.web_form (
  id                 uuid        not null default crm.uuid_v7(),
  code               text        not null,
  name               text        not null,
  target             text        not null default 'lead',
  fields             jsonb       not null,
  origins            text[]      not null default '{}',
  channel_account_id uuid,
  double_opt_in      boolean     not null default false,
  consent_text       text,
  consent_purpose    text        not null default 'marketing',
  brand_id           uuid,
  honeypot           text        not null default 'fax_number',
  hourly_limit       integer     not null default 10,
  is_active          boolean     not null default true,
  department_id      uuid        not null,
  owner_id           uuid,
  visibility         text        not null default 'company',
  audience           uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  version            integer     not null default 1,
  created_by         uuid        default crm.caller_id(),
  constraint web_form_id_primary primary key (id),
  constraint web_form_code_unique unique (code),
  constraint web_form_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint web_form_name_length check (length(btrim(name)) between 1 and 200),
  constraint web_form_target_known check (target in ('lead', 'conversation', 'ticket')),
  constraint web_form_fields_shape check (jsonb_typeof(fields) = 'array' and jsonb_array_length(fields) between 1 and 50 and octet_length(fields::text) <= 32768
    and not jsonb_path_exists(fields, '$[*] ? (!(@.name like_regex "^[a-z][a-z0-9_]{0,62}$"))')
    and not jsonb_path_exists(fields, '$[*] ? (!(@.type == "text" || @.type == "email" || @.type == "phone" || @.type == "long_text" || @.type == "choice" || @.type == "flag"))')),
  constraint web_form_origins_shape check (cardinality(origins) <= 50 and array_to_string(origins, ' ', '?') ~ '^(https?://[^ /]+( https?://[^ /]+)*)?$'),
  constraint web_form_channel_account_id_exists foreign key (channel_account_id) references crm.channel_account (id),
  constraint web_form_channel_account_id_given check (channel_account_id is not null or (target = 'lead' and not double_opt_in)),
  constraint web_form_consent_text_given check (not double_opt_in or length(btrim(consent_text)) between 1 and 2000),
  constraint web_form_consent_purpose_exists foreign key (consent_purpose) references crm.consent_purpose (code),
  constraint web_form_brand_id_exists foreign key (brand_id) references crm.brand (id),
  constraint web_form_honeypot_shape check (honeypot ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint web_form_hourly_limit_range check (hourly_limit between 1 and 10000),
  constraint web_form_department_id_exists foreign key (department_id) references crm.department (id),
  constraint web_form_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint web_form_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint web_form_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.web_form is 'A form on the company''s pages: its fields, where it may stand, and what becomes of what is sent.';
comment on column crm.web_form.code is 'Short stable name, part of its address.';
comment on column crm.web_form.name is 'What it is called.';
comment on column crm.web_form.target is 'What a submission becomes: lead, conversation or ticket.';
comment on column crm.web_form.fields is 'Its fields in order: objects of name, type (text, email, phone, long_text, choice, flag), label_en, label_tr, required, options. A lead takes name, company_name, job_title, email, phone, tax_number, website, city and message; others are kept in the submission. consent is the box for messages.';
comment on column crm.web_form.origins is 'Origins of the pages that may send it from a browser, such as https://www.example.com.';
comment on column crm.web_form.channel_account_id is 'The account (provider form) by which a submission enters a conversation.';
comment on column crm.web_form.double_opt_in is 'Whether the box "consent" asks, by mail, to confirm that messages are wanted.';
comment on column crm.web_form.consent_text is 'What stands beside that box, kept as evidence.';
comment on column crm.web_form.consent_purpose is 'What the consent is for.';
comment on column crm.web_form.brand_id is 'The brand that speaks.';
comment on column crm.web_form.honeypot is 'A field that people do not see: whoever fills it in is a program, and nothing becomes of what it sends.';
comment on column crm.web_form.hourly_limit is 'How often one network address may send it in an hour.';
comment on column crm.web_form.is_active is 'Whether it takes submissions.';
comment on constraint web_form_code_unique on crm.web_form is 'en: Another form already has this code. | tr: Bu kod başka bir formda kullanılıyor.';
comment on constraint web_form_code_shape on crm.web_form is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint web_form_name_length on crm.web_form is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint web_form_target_known on crm.web_form is 'en: A submission becomes a lead, conversation or ticket. | tr: Gönderim lead, conversation ya da ticket olabilir.';
comment on constraint web_form_fields_shape on crm.web_form is 'en: Give 1 to 50 fields, each with a name of small letters and one of the types text, email, phone, long_text, choice, flag. | tr: 1 ile 50 arası alan verin; her birinin küçük harfli bir adı ve text, email, phone, long_text, choice, flag türlerinden biri olsun.';
comment on constraint web_form_origins_shape on crm.web_form is 'en: Give at most 50 origins such as https://www.example.com, without a path. | tr: https://www.example.com gibi, yolsuz en çok 50 kaynak verin.';
comment on constraint web_form_channel_account_id_given on crm.web_form is 'en: A form that opens conversations or tickets, or asks for confirmation by mail, needs a channel account. | tr: Görüşme ya da talep açan veya e-postayla onay isteyen formun bir kanal hesabı olmalıdır.';
comment on constraint web_form_consent_text_given on crm.web_form is 'en: Give the text that stands beside the box for messages. | tr: İleti onayı kutusunun yanındaki metni verin.';
comment on constraint web_form_honeypot_shape on crm.web_form is 'en: The hidden field has a name of small letters a–z, digits and underscores. | tr: Gizli alanın adı a–z küçük harf, rakam ve alt çizgiden oluşur.';
comment on constraint web_form_hourly_limit_range on crm.web_form is 'en: Give a limit from 1 to 10,000. | tr: 1 ile 10.000 arası bir sınır verin.';
create index web_form_department_id_index on crm.web_form (department_id);
create index web_form_owner_id_index on crm.web_form (owner_id) where owner_id is not null;
create index web_form_channel_account_id_index on crm.web_form (channel_account_id) where channel_account_id is not null;
select crm.protect('crm.web_form', area => 'marketing', kind => 'owned', resource => 'web_forms');

create table crm.form_submission (
  id              uuid        not null default crm.uuid_v7(),
  form_id         uuid        not null,
  key             text,
  state           text        not null,
  answers         jsonb       not null,
  utm_source      text,
  utm_medium      text,
  utm_campaign    text,
  utm_term        text,
  utm_content     text,
  page            text,
  remote_address  text,
  lead_id         uuid,
  customer_id     uuid,
  conversation_id uuid,
  opt_in_asked_at timestamptz,
  duplicates      jsonb       not null default '[]',
  department_id   uuid        not null,
  owner_id        uuid,
  audience        uuid        not null,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  version         integer     not null default 1,
  created_by      uuid        default crm.caller_id(),
  constraint form_submission_id_primary primary key (id),
  constraint form_submission_form_id_exists foreign key (form_id) references crm.web_form (id),
  constraint form_submission_key_unique unique (form_id, key),
  constraint form_submission_state_known check (state in ('taken', 'known', 'spam')),
  constraint form_submission_answers_object check (jsonb_typeof(answers) = 'object' and octet_length(answers::text) <= 65536),
  constraint form_submission_lead_id_exists foreign key (lead_id) references crm.lead (id),
  constraint form_submission_customer_id_exists foreign key (customer_id) references crm.customer (id)
);
comment on table crm.form_submission is 'What somebody sent with a form, and what became of it.';
comment on column crm.form_submission.form_id is 'The form.';
comment on column crm.form_submission.key is 'Names the submission, so that sending it again makes no second one.';
comment on column crm.form_submission.state is 'taken (something new was made), known (an open lead was touched again) or spam (the hidden field was filled in).';
comment on column crm.form_submission.answers is 'personal: the fields as they were filled in.';
comment on column crm.form_submission.utm_source is 'utm_source of the page.';
comment on column crm.form_submission.utm_medium is 'utm_medium.';
comment on column crm.form_submission.utm_campaign is 'utm_campaign.';
comment on column crm.form_submission.utm_term is 'utm_term.';
comment on column crm.form_submission.utm_content is 'utm_content.';
comment on column crm.form_submission.page is 'The page it was sent from.';
comment on column crm.form_submission.remote_address is 'personal: the network address it came from.';
comment on column crm.form_submission.lead_id is 'The lead it became or touched.';
comment on column crm.form_submission.customer_id is 'The customer whose conversation it entered.';
comment on column crm.form_submission.conversation_id is 'The conversation it entered.';
comment on column crm.form_submission.opt_in_asked_at is 'When the confirmation that messages are wanted was asked for.';
comment on column crm.form_submission.duplicates is 'Leads that may mean the same, for a colleague to look at: objects of id and score.';
comment on constraint form_submission_key_unique on crm.form_submission is 'en: This submission was sent already. | tr: Bu gönderim zaten alındı.';
comment on constraint form_submission_state_known on crm.form_submission is 'en: A submission is taken, known or spam. | tr: Gönderim taken, known ya da spam olabilir.';
comment on constraint form_submission_answers_object on crm.form_submission is 'en: Send the fields as an object. | tr: Alanları bir nesne olarak gönderin.';
create index form_submission_form_id_index on crm.form_submission (form_id, created_at, id);
create index form_submission_recent_index on crm.form_submission (form_id, remote_address, created_at);
create index form_submission_lead_id_index on crm.form_submission (lead_id) where lead_id is not null;
create index form_submission_customer_id_index on crm.form_submission (customer_id) where customer_id is not null;
select crm.protect('crm.form_submission', area => 'marketing', kind => 'owned', resource => 'form_submissions', bi => true);

create function crm.submit_form(
  of_form uuid, answers jsonb, key text, utm jsonb, page text, remote_address text, user_agent text,
  out submission_id uuid, out state text
) language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  form record;
  -- A program that fills in what nobody sees is answered as everybody, and nothing becomes of it.
  spam boolean;
  lead_name constant text := nullif(btrim(answers ->> 'name'), '');
  company constant text := nullif(btrim(answers ->> 'company_name'), '');
  given_email constant text := nullif(lower(btrim(answers ->> 'email')), '');
  given_phone constant text := crm.e164(answers ->> 'phone');
  tax constant text := nullif(btrim(answers ->> 'tax_number'), '');
  found_lead uuid;
  alike jsonb := '[]';
  who record;
  asked timestamptz;
begin
  select f.id, f.code, f.name, f.target, f.channel_account_id, f.double_opt_in, f.consent_text, f.consent_purpose, f.brand_id, f.honeypot, f.department_id, f.owner_id, f.audience,
    f.fields into form from crm.web_form as f where f.id = of_form and f.is_active;
  if not found then
    perform crm.missing_reference('form_id');
  end if;
  if key is not null then
    perform pg_advisory_xact_lock(hashtextextended('crm.submit_form ' || form.id || ' ' || key, 0));
    select s.id, s.state into submit_form.submission_id, submit_form.state from crm.form_submission as s where s.form_id = form.id and s.key = submit_form.key;
    if found then
      return;
    end if;
  end if;
  submit_form.submission_id := crm.uuid_v7();
  spam := coalesce(answers ->> form.honeypot, '') <> '';
  select null::uuid as customer_id, null::uuid as conversation_id, null::uuid as interaction_id into who;
  submit_form.state := case when spam then 'spam' else 'taken' end;

  if not spam and form.target = 'lead' then
    perform pg_advisory_xact_lock(hashtextextended('crm.submit_form lead ' || coalesce(given_email, given_phone, lead_name, company, ''), 0));
    -- The same person asking again is the same lead, when the address is the same; whoever only seems to be is for a colleague to decide.
    select l.id into found_lead from crm.lead as l
    where l.status in ('new', 'qualified') and l.department_id = form.department_id and given_email is not null and l.email_key = crm.search_key(given_email)
    order by l.created_at desc, l.id desc limit 1;
    if found_lead is not null then
      submit_form.state := 'known';
      update crm.lead as l set last_touch_at = now(), last_utm_source = utm ->> 'utm_source', last_utm_medium = utm ->> 'utm_medium', last_utm_campaign = utm ->> 'utm_campaign',
        last_utm_term = utm ->> 'utm_term', last_utm_content = utm ->> 'utm_content', last_page = page
      where l.id = found_lead;
    else
      select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'score', round(d.score::numeric, 3)) order by d.score desc), '[]') into alike
      from crm.lead_duplicates(coalesce(company, lead_name), tax, case when given_email is null then '{}' else array[given_email] end, case when given_phone is null then '{}' else array[given_phone] end) as d
      where d.score >= 0.5;
      insert into crm.lead (name, company_name, job_title, email, phone, tax_number, website, city, source, interest, department_id, visibility,
        first_utm_source, first_utm_medium, first_utm_campaign, first_utm_term, first_utm_content, first_page,
        last_utm_source, last_utm_medium, last_utm_campaign, last_utm_term, last_utm_content, last_page)
      values (coalesce(lead_name, case when company is null then coalesce(given_email, given_phone) end), company, nullif(btrim(answers ->> 'job_title'), ''),
        case when crm.valid_email(given_email) then given_email end, given_phone, case when crm.valid_vkn(tax) or crm.valid_tckn(tax) then tax end, nullif(btrim(answers ->> 'website'), ''),
        nullif(btrim(answers ->> 'city'), ''), 'web', nullif(btrim(answers ->> 'message'), ''), form.department_id, 'company',
        utm ->> 'utm_source', utm ->> 'utm_medium', utm ->> 'utm_campaign', utm ->> 'utm_term', utm ->> 'utm_content', page,
        utm ->> 'utm_source', utm ->> 'utm_medium', utm ->> 'utm_campaign', utm ->> 'utm_term', utm ->> 'utm_content', page)
      returning id into found_lead;
      perform crm.assign_lead(found_lead, null);
    end if;
  end if;

  if not spam and form.channel_account_id is not null then
    select * into who from crm.receive_interaction(
      form.channel_account_id, 'form:' || submit_form.submission_id, null, null, coalesce(given_email, given_phone, 'form:' || submit_form.submission_id), coalesce(lead_name, company), null,
      form.name,
      (select string_agg(coalesce(f.field ->> 'label_tr', f.field ->> 'label_en', f.field ->> 'name') || ': ' || (answers ->> (f.field ->> 'name')), E'\n' order by f.place)
       from jsonb_array_elements(form.fields) with ordinality as f (field, place) where coalesce(answers ->> (f.field ->> 'name'), '') <> ''),
      null, now(), case form.target when 'ticket' then 'message' else 'submission' end);
    if form.double_opt_in and (answers ->> 'consent')::boolean and given_email is not null then
      perform crm.request_opt_in(who.customer_id, (select i.contact_id from crm.interaction as i where i.customer_id = who.customer_id and i.id = who.interaction_id), 'email', given_email,
        form.consent_purpose, form.brand_id, 'HS_WEB', form.consent_text, remote_address, user_agent);
      asked := now();
    end if;
  end if;

  insert into crm.form_submission (id, form_id, key, state, answers, utm_source, utm_medium, utm_campaign, utm_term, utm_content, page, remote_address, lead_id, customer_id,
    conversation_id, opt_in_asked_at, duplicates, department_id, owner_id, audience)
  values (submit_form.submission_id, form.id, key, submit_form.state, answers, utm ->> 'utm_source', utm ->> 'utm_medium', utm ->> 'utm_campaign', utm ->> 'utm_term',
    utm ->> 'utm_content', page, remote_address, found_lead, who.customer_id, who.conversation_id, asked, alike, form.department_id, form.owner_id, form.audience);
end
$$;
comment on function crm.submit_form(uuid, jsonb, text, jsonb, text, text, text) is
  'Takes what was sent with a form: once by its key; touches the open lead of the same address or makes one, noting which others seem to be the same; enters it into a conversation where the form has an account; asks by mail to confirm consent. For system work.';
revoke execute on function crm.submit_form(uuid, jsonb, text, jsonb, text, text, text) from crm_bulk, crm_access;
