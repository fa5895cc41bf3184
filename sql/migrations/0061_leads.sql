-- Leads: who asked about our products before they are a customer, where they came from, and which seller they are given to, by rules that are data.
set local role crm_owner;

create table crm.lead (
  id                        uuid        not null default crm.uuid_v7(),
  name                      text,
  search_key                text        collate "C" generated always as (crm.search_key(name)) stored,
  company_name              text,
  company_search_key        text        collate "C" generated always as (crm.search_key(company_name)) stored,
  name_key                  text        collate "C" generated always as (crm.name_key(coalesce(company_name, name))) stored,
  job_title                 text,
  email                     text,
  email_key                 text        collate "C" generated always as (crm.search_key(email)) stored,
  phone                     text,
  tax_number                text,
  website                   text,
  province_code             text,
  city                      text,
  source                    text        not null default 'other',
  rating                    text,
  product_category_id       uuid,
  interest                  text,
  status                    text        not null default 'new',
  qualified_at              timestamptz,
  disqualified_at           timestamptz,
  disqualification_reason   text,
  disqualification_note     text,
  converted_at              timestamptz,
  customer_id               uuid,
  contact_id                uuid,
  first_touch_at            timestamptz not null default now(),
  first_utm_source          text,
  first_utm_medium          text,
  first_utm_campaign        text,
  first_utm_term            text,
  first_utm_content         text,
  first_page                text,
  last_touch_at             timestamptz not null default now(),
  last_utm_source           text,
  last_utm_medium           text,
  last_utm_campaign         text,
  last_utm_term             text,
  last_utm_content          text,
  last_page                 text,
  note                      text,
  custom                    jsonb       not null default '{}',
  department_id             uuid        not null,
  owner_id                  uuid,
  visibility                text        not null default 'company',
  audience                  uuid        generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at                timestamptz not null default now(),
  updated_at                timestamptz not null default now(),
  version                   integer     not null default 1,
  created_by                uuid        default crm.caller_id(),
  constraint lead_id_primary primary key (id),
  constraint lead_name_given check (coalesce(btrim(name), '') <> '' or coalesce(btrim(company_name), '') <> ''),
  constraint lead_name_length check (length(btrim(name)) between 1 and 300),
  constraint lead_company_name_length check (length(btrim(company_name)) between 1 and 300),
  constraint lead_email_valid check (crm.valid_email(email)),
  constraint lead_phone_valid check (crm.valid_e164(phone)),
  constraint lead_tax_number_valid check (crm.valid_vkn(tax_number) or crm.valid_tckn(tax_number)),
  constraint lead_province_code_exists foreign key (province_code) references crm.province (code),
  constraint lead_source_known check (source in ('web', 'phone', 'email', 'referral', 'fair', 'campaign', 'partner', 'social', 'visit', 'other')),
  constraint lead_rating_known check (rating in ('hot', 'warm', 'cold')),
  constraint lead_product_category_id_exists foreign key (product_category_id) references crm.product_category (id),
  constraint lead_status_known check (status in ('new', 'qualified', 'disqualified', 'converted')),
  constraint lead_disqualification_reason_known check (
    disqualification_reason in ('no_need', 'no_budget', 'no_answer', 'no_authority', 'competitor', 'wrong_contact', 'duplicate', 'spam', 'other')),
  constraint lead_disqualified check ((status = 'disqualified') = (disqualification_reason is not null) and (status = 'disqualified') = (disqualified_at is not null)),
  constraint lead_converted check ((status = 'converted') = (customer_id is not null) and (status = 'converted') = (converted_at is not null)),
  constraint lead_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint lead_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint lead_custom_object check (jsonb_typeof(custom) = 'object'),
  constraint lead_department_id_exists foreign key (department_id) references crm.department (id),
  constraint lead_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint lead_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint lead_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.lead is 'Somebody who asked about our products, or whom we want to ask, before they are a customer.';
comment on column crm.lead.name is 'personal: name of the person.';
comment on column crm.lead.search_key is 'personal: derived: the person''s name as it is searched and compared.';
comment on column crm.lead.company_name is 'Name of the organisation.';
comment on column crm.lead.company_search_key is 'derived: the organisation''s name as it is searched and compared.';
comment on column crm.lead.name_key is 'personal: derived: the name as it is compared for duplicates: the organisation''s, or the person''s.';
comment on column crm.lead.job_title is 'What the person does at the organisation.';
comment on column crm.lead.email is 'personal: e-mail address.';
comment on column crm.lead.email_key is 'personal: derived: the address as it is compared.';
comment on column crm.lead.phone is 'personal: telephone number in E.164.';
comment on column crm.lead.tax_number is 'personal: tax number (VKN) or identity number (TCKN).';
comment on column crm.lead.website is 'Web address.';
comment on column crm.lead.province_code is 'Plate code of the Turkish province; territories are made of provinces.';
comment on column crm.lead.city is 'City, as written on an envelope.';
comment on column crm.lead.source is 'How the lead came to us: web, phone, email, referral, fair, campaign, partner, social, visit or other.';
comment on column crm.lead.rating is 'How promising: hot, warm or cold; null before anybody judged.';
comment on column crm.lead.product_category_id is 'What the lead is interested in.';
comment on column crm.lead.interest is 'What the lead is interested in, in words.';
comment on column crm.lead.status is 'new, qualified, disqualified or converted; moved by operations.';
comment on column crm.lead.qualified_at is 'When it was qualified.';
comment on column crm.lead.disqualified_at is 'When it was disqualified.';
comment on column crm.lead.disqualification_reason is 'Why it was disqualified: no_need, no_budget, no_answer, no_authority, competitor, wrong_contact, duplicate, spam or other.';
comment on column crm.lead.disqualification_note is 'More about why it was disqualified.';
comment on column crm.lead.converted_at is 'When it became a customer.';
comment on column crm.lead.customer_id is 'The customer it became.';
comment on column crm.lead.contact_id is 'The contact the person became.';
comment on column crm.lead.first_touch_at is 'When we first met.';
comment on column crm.lead.first_utm_source is 'utm_source of the first touch, such as newsletter.';
comment on column crm.lead.first_utm_medium is 'utm_medium of the first touch, such as email.';
comment on column crm.lead.first_utm_campaign is 'utm_campaign of the first touch.';
comment on column crm.lead.first_utm_term is 'utm_term of the first touch.';
comment on column crm.lead.first_utm_content is 'utm_content of the first touch.';
comment on column crm.lead.first_page is 'Page of the first touch.';
comment on column crm.lead.last_touch_at is 'When we last met.';
comment on column crm.lead.last_utm_source is 'utm_source of the last touch.';
comment on column crm.lead.last_utm_medium is 'utm_medium of the last touch.';
comment on column crm.lead.last_utm_campaign is 'utm_campaign of the last touch.';
comment on column crm.lead.last_utm_term is 'utm_term of the last touch.';
comment on column crm.lead.last_utm_content is 'utm_content of the last touch.';
comment on column crm.lead.last_page is 'Page of the last touch.';
comment on column crm.lead.note is 'What colleagues should know.';
comment on constraint lead_name_given on crm.lead is 'en: Give the name of the person or of the company. | tr: Kişinin ya da şirketin adını verin.';
comment on constraint lead_name_length on crm.lead is 'en: Give a name of at most 300 characters. | tr: En çok 300 karakterlik bir ad verin.';
comment on constraint lead_company_name_length on crm.lead is 'en: Give a company name of at most 300 characters. | tr: En çok 300 karakterlik bir şirket adı verin.';
comment on constraint lead_email_valid on crm.lead is 'en: This is not a valid e-mail address. | tr: Geçerli bir e-posta adresi değil.';
comment on constraint lead_phone_valid on crm.lead is 'en: This is not a telephone number; give it with its area or country code, such as 0532 123 45 67. | tr: Bu bir telefon numarası değil; alan ya da ülke koduyla yazın, örneğin 0532 123 45 67.';
comment on constraint lead_tax_number_valid on crm.lead is 'en: This is neither a valid tax number (VKN) nor a valid identity number (TCKN). | tr: Geçerli bir VKN ya da TCKN değil.';
comment on constraint lead_source_known on crm.lead is 'en: The source is web, phone, email, referral, fair, campaign, partner, social, visit or other. | tr: Kaynak web, phone, email, referral, fair, campaign, partner, social, visit ya da other olabilir.';
comment on constraint lead_rating_known on crm.lead is 'en: The rating is hot, warm or cold. | tr: Derece hot, warm ya da cold olabilir.';
comment on constraint lead_status_known on crm.lead is 'en: A lead is new, qualified, disqualified or converted. | tr: Aday new, qualified, disqualified ya da converted olabilir.';
comment on constraint lead_disqualification_reason_known on crm.lead is 'en: The reason is no_need, no_budget, no_answer, no_authority, competitor, wrong_contact, duplicate, spam or other. | tr: Neden no_need, no_budget, no_answer, no_authority, competitor, wrong_contact, duplicate, spam ya da other olabilir.';
comment on constraint lead_disqualified on crm.lead is 'en: A disqualified lead, and no other, has a reason and a time. | tr: Yalnızca elenen adayın nedeni ve zamanı olur.';
comment on constraint lead_converted on crm.lead is 'en: A converted lead, and no other, has a customer and a time. | tr: Yalnızca dönüştürülen adayın müşterisi ve zamanı olur.';
create index lead_name_key_trigrams on crm.lead using gin (name_key extensions.gin_trgm_ops);
create index lead_email_key_index on crm.lead (email_key) where email_key is not null;
create index lead_phone_index on crm.lead (phone) where phone is not null;
create index lead_tax_number_index on crm.lead (tax_number) where tax_number is not null;
create index lead_status_index on crm.lead (status, id);
create index lead_owner_id_index on crm.lead (owner_id, status) where owner_id is not null;
create index lead_department_id_index on crm.lead (department_id, id);
create index lead_customer_id_index on crm.lead (customer_id) where customer_id is not null;
create index lead_created_at_index on crm.lead (created_at, id);
select crm.protect('crm.lead', area => 'sales', kind => 'owned', resource => 'leads', bi => true);

alter table crm.custom_field drop constraint custom_field_resource_known;
alter table crm.custom_field add constraint custom_field_resource_known check (resource in ('customers', 'contacts', 'products', 'leads'));
comment on column crm.custom_field.resource is 'The resource it belongs to: customers, contacts, products or leads.';
comment on constraint custom_field_resource_known on crm.custom_field is 'en: Customers, contacts, products and leads can have custom fields. | tr: Özel alanlar customers, contacts, products ve leads kaynaklarına eklenebilir.';

-- Who gets a lead -----------------------------------------------------------------------------------------------------------------

create table crm.assignment_rule (
  id                  uuid        not null default crm.uuid_v7(),
  name                text        not null,
  position            integer     not null default 100,
  active              boolean     not null default true,
  province_codes      text[],
  product_category_id uuid,
  sources             text[],
  department_id       uuid,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  version             integer     not null default 1,
  created_by          uuid        default crm.caller_id(),
  constraint assignment_rule_id_primary primary key (id),
  constraint assignment_rule_name_length check (length(btrim(name)) between 1 and 200),
  constraint assignment_rule_province_codes_shape check (cardinality(province_codes) > 0 and array_to_string(province_codes, ',', '?') ~ '^[0-9]{2}(,[0-9]{2})*$'),
  constraint assignment_rule_product_category_id_exists foreign key (product_category_id) references crm.product_category (id),
  constraint assignment_rule_sources_known check (
    cardinality(sources) > 0 and sources <@ array['web', 'phone', 'email', 'referral', 'fair', 'campaign', 'partner', 'social', 'visit', 'other']),
  constraint assignment_rule_department_id_exists foreign key (department_id) references crm.department (id)
);
comment on table crm.assignment_rule is 'Says which sellers get which new leads. The first rule that fits, and has a seller with room, decides; among its sellers the one whose load is lowest for their capacity.';
comment on column crm.assignment_rule.name is 'What people call the rule; stands in the reason of every assignment.';
comment on column crm.assignment_rule.position is 'Rules are asked in this order, small ones first.';
comment on column crm.assignment_rule.active is 'Whether it is in use.';
comment on column crm.assignment_rule.province_codes is 'The territory: plate codes of provinces; null for everywhere.';
comment on column crm.assignment_rule.product_category_id is 'The interest: leads interested in this category or one below it; null for all.';
comment on column crm.assignment_rule.sources is 'Sources of leads it is for; null for all.';
comment on column crm.assignment_rule.department_id is 'The department its leads go to; null for the seller''s own.';
comment on constraint assignment_rule_name_length on crm.assignment_rule is 'en: Give the rule a name of at most 200 characters. | tr: Kurala en çok 200 karakterlik bir ad verin.';
comment on constraint assignment_rule_province_codes_shape on crm.assignment_rule is 'en: Give plate codes of two digits, or null for everywhere. | tr: İki rakamlı plaka kodları verin; her yer için null.';
comment on constraint assignment_rule_sources_known on crm.assignment_rule is 'en: Give known sources of leads, or null for all. | tr: Bilinen aday kaynaklarını verin; hepsi için null.';
create index assignment_rule_position_index on crm.assignment_rule (position, id);
select crm.protect('crm.assignment_rule', area => 'sales', kind => 'reference', resource => 'assignment_rules', verbs => '{select,insert,update,delete}');

create table crm.assignment_seller (
  id         uuid        not null default crm.uuid_v7(),
  rule_id    uuid        not null,
  user_id    uuid        not null,
  capacity   integer     not null default 20,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint assignment_seller_id_primary primary key (id),
  constraint assignment_seller_rule_id_exists foreign key (rule_id) references crm.assignment_rule (id) on delete cascade,
  constraint assignment_seller_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint assignment_seller_user_id_once unique (rule_id, user_id),
  constraint assignment_seller_capacity_range check (capacity between 1 and 100000)
);
comment on table crm.assignment_seller is 'A seller to whom an assignment rule gives leads.';
comment on column crm.assignment_seller.rule_id is 'The rule.';
comment on column crm.assignment_seller.user_id is 'The seller.';
comment on column crm.assignment_seller.capacity is 'How many open leads (new or qualified) the seller may have before this rule passes them over.';
comment on constraint assignment_seller_user_id_once on crm.assignment_seller is 'en: The rule already gives leads to this seller. | tr: Kural bu satıcıya zaten aday veriyor.';
comment on constraint assignment_seller_capacity_range on crm.assignment_seller is 'en: A capacity is at least 1. | tr: Kapasite en az 1 olmalıdır.';
create index assignment_seller_user_id_index on crm.assignment_seller (user_id);
select crm.protect('crm.assignment_seller', area => 'sales', kind => 'reference', resource => 'assignment_sellers', verbs => '{select,insert,update,delete}');

create table crm.lead_assignment (
  id            uuid        not null default crm.uuid_v7(),
  lead_id       uuid        not null,
  seller_id     uuid,
  rule_id       uuid,
  load          integer,
  capacity      integer,
  reason_en     text        not null,
  reason_tr     text        not null,
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint lead_assignment_id_primary primary key (id),
  constraint lead_assignment_lead_id_exists foreign key (lead_id) references crm.lead (id),
  constraint lead_assignment_seller_id_exists foreign key (seller_id) references crm.app_user (id),
  constraint lead_assignment_rule_id_exists foreign key (rule_id) references crm.assignment_rule (id) on delete set null
);
comment on table crm.lead_assignment is 'To whom a lead was given, and why; one row each time.';
comment on column crm.lead_assignment.lead_id is 'The lead.';
comment on column crm.lead_assignment.seller_id is 'The seller it was given to; null for nobody.';
comment on column crm.lead_assignment.rule_id is 'The rule that decided; null when a person did, when no rule fitted, or when the rule is gone.';
comment on column crm.lead_assignment.load is 'Open leads the seller had before.';
comment on column crm.lead_assignment.capacity is 'Open leads the rule lets the seller have.';
comment on column crm.lead_assignment.reason_en is 'Why, in English.';
comment on column crm.lead_assignment.reason_tr is 'Why, in Turkish.';
create index lead_assignment_lead_id_index on crm.lead_assignment (lead_id, id);
create index lead_assignment_seller_id_index on crm.lead_assignment (seller_id, id);

create function crm.follow_lead() returns trigger language plpgsql as $$
begin
  select l.department_id, l.owner_id, l.audience into new.department_id, new.owner_id, new.audience from crm.lead as l where l.id = new.lead_id;
  if not found then
    perform crm.missing_reference('lead_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_lead() is 'Trigger: gives what belongs to a lead the lead''s department, owner and audience; a lead the caller cannot see is a missing reference.';
create trigger lead_assignment_follow_insert before insert on crm.lead_assignment for each row execute function crm.follow_lead();
create trigger lead_assignment_follow_update before update on crm.lead_assignment for each row
  when ((old.lead_id, old.department_id, old.owner_id, old.audience) is distinct from (new.lead_id, new.department_id, new.owner_id, new.audience)) execute function crm.follow_lead();

create function crm.lead_lead_parts() returns trigger language plpgsql as $$
begin
  update crm.lead_assignment as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.lead_id = new.id;
  return null;
end
$$;
comment on function crm.lead_lead_parts() is 'Trigger: when a lead changes department, owner or visibility, what belongs to it follows.';
create trigger lead_lead after update on crm.lead for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_lead_parts();
alter table crm.lead enable always trigger lead_lead;
select crm.protect('crm.lead_assignment', area => 'sales', kind => 'owned', resource => 'lead_assignments', verbs => '{select,update}', bi => true);

create function crm.assign_lead(of_lead uuid, to_seller uuid default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  l crm.lead;
  choice record;
  fitting integer;
  department uuid;
begin
  select * into l from crm.lead as x where x.id = of_lead for update;
  if not found or not crm.may_write('sales', l.department_id, l.owner_id) then
    perform crm.missing_reference('id');
  end if;

  if to_seller is not null then
    select u.department_id into department from crm.app_user as u where u.id = to_seller and u.active;
    if not found then
      perform crm.missing_reference('owner_id');
    end if;
    -- Whoever may write for the lead's department keeps it there; a seller of another department takes it along.
    department := case when exists (
      with recursive above as (
        select department as id
        union
        select d.parent_id from crm.department as d join above on d.id = above.id where d.parent_id is not null
      ) select from above where above.id = l.department_id) then l.department_id else department end;
    if not crm.may_write('sales', department, to_seller) then
      raise exception using errcode = 'insufficient_privilege', message = 'the lead may not be given to this seller';
    end if;
    update crm.lead as x set owner_id = to_seller, department_id = department
    where x.id = of_lead and (x.owner_id, x.department_id) is distinct from (to_seller, department);
    insert into crm.lead_assignment (lead_id, seller_id, reason_en, reason_tr)
    values (of_lead, to_seller, 'A person decided.', 'Bir kişi karar verdi.');
    return;
  end if;

  -- One assignment after the other: each must see the load that the one before made.
  perform pg_advisory_xact_lock(hashtext('crm.assign_lead'));
  with recursive interest as (
    select c.id, c.parent_id from crm.product_category as c where c.id = l.product_category_id
    union
    select c.id, c.parent_id from crm.product_category as c join interest as i on c.id = i.parent_id
  ), rule as (
    select r.id, r.name, r.position, r.department_id, r.province_codes is not null as by_province, r.product_category_id is not null as by_interest
    from crm.assignment_rule as r
    where r.active and (r.province_codes is null or l.province_code = any (r.province_codes))
      and (r.product_category_id is null or r.product_category_id in (select i.id from interest as i))
      and (r.sources is null or l.source = any (r.sources))
  ), seller as (
    select r.id as rule_id, r.name as rule, r.position, r.by_province, r.by_interest, coalesce(r.department_id, u.department_id) as department_id,
      u.id as seller_id, u.name as seller, s.capacity,
      (select count(*) from crm.lead as x where x.owner_id = u.id and x.status in ('new', 'qualified') and x.id <> of_lead)::integer as load,
      (select max(a.created_at) from crm.lead_assignment as a where a.seller_id = u.id) as served_at
    from rule as r join crm.assignment_seller as s on s.rule_id = r.id join crm.app_user as u on u.id = s.user_id and u.active
  )
  select s.*, (select p.name from crm.province as p where p.code = l.province_code) as province,
    (select c.name from crm.product_category as c where c.id = l.product_category_id) as category
  into choice
  from seller as s where s.load < s.capacity
  order by s.position, s.rule_id, s.load::numeric / s.capacity, s.served_at nulls first, s.seller_id limit 1;

  if not found then
    select count(*) into fitting from crm.assignment_rule as r
    where r.active and (r.province_codes is null or l.province_code = any (r.province_codes)) and (r.sources is null or l.source = any (r.sources));
    insert into crm.lead_assignment (lead_id, seller_id, reason_en, reason_tr) values (of_lead, l.owner_id,
      case when fitting = 0 then 'No rule fits; it stays with whoever took it in.' else 'No fitting rule has a seller with room; it stays with whoever took it in.' end,
      case when fitting = 0 then 'Uyan kural yok; adayı alan kişide kalıyor.' else 'Uyan kuralların satıcılarında yer yok; adayı alan kişide kalıyor.' end);
    return;
  end if;
  update crm.lead as x set owner_id = choice.seller_id, department_id = choice.department_id
  where x.id = of_lead and (x.owner_id, x.department_id) is distinct from (choice.seller_id, choice.department_id);
  insert into crm.lead_assignment (lead_id, seller_id, rule_id, load, capacity, reason_en, reason_tr)
  values (of_lead, choice.seller_id, choice.rule_id, choice.load, choice.capacity,
    format('Rule "%s"%s%s: %s had %s of %s open leads, the lowest load.', choice.rule, case when choice.by_province then ', province ' || choice.province else '' end,
      case when choice.by_interest then ', interest ' || choice.category else '' end, choice.seller, choice.load, choice.capacity),
    format('Kural "%s"%s%s: %s, %s açık adayla (kapasite %s) en düşük yüke sahipti.', choice.rule, case when choice.by_province then ', il ' || choice.province else '' end,
      case when choice.by_interest then ', ilgi ' || choice.category else '' end, choice.seller, choice.load, choice.capacity));
end
$$;
comment on function crm.assign_lead(uuid, uuid) is
  'Gives a lead that the caller may change to a seller: the one named, if the caller may write there, or the one the assignment rules choose; records why. A lead for which no rule has a seller with room stays where it is.';

-- Duplicates ----------------------------------------------------------------------------------------------------------------------

do $$ begin perform extensions.show_limit(); end $$;  -- loads pg_trgm, without which PostgreSQL does not know its settings

create function crm.lead_duplicates(
  wanted_name text, wanted_identifier text, wanted_emails text[], wanted_phones text[], other_than uuid default null, most integer default 10
) returns setof crm.duplicate
language plpgsql stable security definer set search_path = pg_catalog, extensions, pg_temp set pg_trgm.similarity_threshold = 0.7 as $$
declare
  audiences constant uuid[] := crm.readable('sales');
  everything constant boolean := crm.reads_all('sales');
  wanted_key constant text := crm.name_key(wanted_name);
  email_keys constant text[] := array(select crm.search_key(e) from unnest(wanted_emails) as e);
  phone_keys constant text[] := array(select crm.e164(n) from unnest(wanted_phones) as n);
begin
  return query
  with hint as (
    select l.id, 'identifier' as rule, 1.0 as weight from crm.lead as l where l.tax_number = wanted_identifier
    union all
    select l.id, 'email', 0.8 from crm.lead as l where l.email_key = any (email_keys)
    union all
    select l.id, 'phone', 0.7 from crm.lead as l where l.phone = any (phone_keys)
    union all
    (select l.id, 'name', 0.8 * similarity(l.name_key, wanted_key) from crm.lead as l
     where l.name_key % wanted_key and l.status <> 'converted' and (everything or l.audience = any (audiences) or l.owner_id = any (audiences))
     order by similarity(l.name_key, wanted_key) desc, l.id limit 50)
  ), candidate as (
    select h.id, array_agg(h.rule order by h.rule) as rules, array_agg(h.weight) as weights from hint as h group by h.id
  )
  select l.id, l.customer_id, concat_ws(' · ', l.company_name, l.name),
    crm.duplicate_score(k.weights::double precision[], coalesce(l.tax_number <> wanted_identifier, false)) as score,
    k.rules || case when l.tax_number <> wanted_identifier then array['other_identifier'] else '{}'::text[] end,
    round(similarity(l.name_key, wanted_key)::numeric, 3)
  from candidate as k join crm.lead as l on l.id = k.id
  where l.status <> 'converted' and l.id is distinct from other_than and (everything or l.audience = any (audiences) or l.owner_id = any (audiences))
  order by score desc, l.id
  limit most;
end
$$;
comment on function crm.lead_duplicates(text, text, text[], text[], uuid, integer) is
  'Leads the caller may read, converted ones aside, that may mean the same as one of this name, tax or identity number, e-mail addresses and telephone numbers, most likely first.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.assign_lead(uuid, uuid) owner to crm_steward;
alter function crm.lead_duplicates(text, text, text[], text[], uuid, integer) owner to crm_steward;
revoke create on schema crm from crm_steward;
