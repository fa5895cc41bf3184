-- Forms lose nothing and fill nobody's mailbox: the mail that asks for a confirmation goes out also where the form has no brand, under the address of this
-- program, a form without a name makes a lead all the same, and one that is to open a ticket does, whatever its account says.
set local role crm_owner;

drop function crm.submit_form(uuid, jsonb, text, jsonb, text, text, text);
create function crm.submit_form(
  of_form uuid, answers jsonb, key text, utm jsonb, page text, remote_address text, user_agent text, link_base text default null,
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
  select f.id, f.code, f.name, f.target, f.channel_account_id, f.double_opt_in, f.consent_text, f.consent_purpose, f.brand_id, coalesce(b.link_base, submit_form.link_base) as link_base, f.honeypot, f.department_id, f.owner_id, f.audience,
    f.fields into form from crm.web_form as f left join crm.brand as b on b.id = f.brand_id where f.id = of_form and f.is_active;
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
      values (coalesce(lead_name, case when company is null then coalesce(given_email, given_phone, form.name) end), company, nullif(btrim(answers ->> 'job_title'), ''),
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
    if form.target = 'ticket' then
      perform crm.open_ticket(who.customer_id, who.conversation_id);
    end if;
    -- Whoever types in somebody else's address does not fill their mailbox: three in a day are enough. Without an address of ours nobody could confirm.
    if form.double_opt_in and (answers ->> 'consent')::boolean and crm.normal_address('email', given_email) is not null and form.link_base is not null and (
      select count(*) from crm.preference_link as l
      where l.kind = 'opt_in' and l.channel = 'email' and l.address = crm.normal_address('email', given_email) and l.expires_at > crm.consent_clock() + interval '6 days') < 3 then
      perform crm.request_opt_in(who.customer_id, (select i.contact_id from crm.interaction as i where i.customer_id = who.customer_id and i.id = who.interaction_id), 'email', given_email,
        form.consent_purpose, form.brand_id, 'HS_WEB', form.consent_text, remote_address, user_agent, form.link_base);
      asked := now();
    end if;
  end if;

  insert into crm.form_submission (id, form_id, key, state, answers, utm_source, utm_medium, utm_campaign, utm_term, utm_content, page, remote_address, lead_id, customer_id,
    conversation_id, opt_in_asked_at, duplicates, department_id, owner_id, audience)
  values (submit_form.submission_id, form.id, key, submit_form.state, answers, utm ->> 'utm_source', utm ->> 'utm_medium', utm ->> 'utm_campaign', utm ->> 'utm_term',
    utm ->> 'utm_content', page, remote_address, found_lead, who.customer_id, who.conversation_id, asked, alike, form.department_id, form.owner_id, form.audience);
end
$$;
comment on function crm.submit_form(uuid, jsonb, text, jsonb, text, text, text, text) is
  'Takes what was sent with a form: once by its key; touches the open lead of the same address or makes one, noting which others seem to be the same; enters it into a conversation where the form has an account; asks by mail to confirm consent, at most three times a day for an address, with a link that begins with the brand''s link_base or the one given. For system work.';
revoke execute on function crm.submit_form(uuid, jsonb, text, jsonb, text, text, text, text) from crm_bulk, crm_access;
