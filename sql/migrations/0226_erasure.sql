-- Erasing a person: what goes, what loses its name, what the law keeps and until when; all of it in one transaction, with a certificate, and with tombstones so that neither
-- an import nor a restored backup brings anybody back.
set local role crm_owner;

alter table crm.customer add column erased_at timestamptz;
comment on column crm.customer.erased_at is 'When the person was erased: what is left says how much was bought, and of nobody.';
alter table crm.contact add column erased_at timestamptz;
comment on column crm.contact.erased_at is 'When the person was erased.';
alter table crm.lead add column erased_at timestamptz;
comment on column crm.lead.erased_at is 'When the person was erased.';
create index customer_erased_at_index on crm.customer (id) where erased_at is not null;
select crm.protect('crm.customer', area => 'customers', kind => 'owned', resource => 'customers', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.contact', area => 'customers', kind => 'owned', resource => 'contacts', verbs => '{select,insert,update,delete}', bi => true);

-- What becomes of each table ----------------------------------------------------------------------------------------------------------

create table crm.erasure_rule (
  relation    text     not null,
  place       smallint not null default 1,
  action      text     not null,
  roots       text[]   not null default '{customer,contact,lead}',
  when_column text,
  when_values text[],
  basis_en    text     not null,
  basis_tr    text     not null,
  counts_from text,
  keep_for    interval,
  constraint erasure_rule_place_primary primary key (relation, place),
  constraint erasure_rule_action_known check (action in ('delete', 'keep', 'anonymise')),
  constraint erasure_rule_roots_known check (roots <@ '{customer,contact,lead}'),
  constraint erasure_rule_when_complete check ((when_column is null) = (when_values is null)),
  constraint erasure_rule_keep_for_counted check ((counts_from is null) = (keep_for is null))
);
comment on table crm.erasure_rule is 'What erasing a person does with a table; the first rule that fits a row decides. Without one its personal columns are emptied and the row stays.';
comment on column crm.erasure_rule.relation is 'The table, with its schema.';
comment on column crm.erasure_rule.place is 'Order of the rules of one table.';
comment on column crm.erasure_rule.action is 'delete: the row goes. anonymise: its personal columns are emptied. keep: it stays as it is, on the given basis.';
comment on column crm.erasure_rule.roots is 'For whom: a customer, a contact of an organisation, a lead.';
comment on column crm.erasure_rule.when_column is 'The column that decides whether the rule fits; null: it fits every row.';
comment on column crm.erasure_rule.when_values is 'The values of that column for which it fits.';
comment on column crm.erasure_rule.basis_en is 'On what basis, in English.';
comment on column crm.erasure_rule.basis_tr is 'On what basis, in Turkish.';
comment on column crm.erasure_rule.counts_from is 'The column from which the time it is kept counts.';
comment on column crm.erasure_rule.keep_for is 'How long it is kept; then retention takes it.';
comment on constraint erasure_rule_action_known on crm.erasure_rule is 'en: The action is delete, anonymise or keep. | tr: İşlem delete, anonymise ya da keep olabilir.';
comment on constraint erasure_rule_roots_known on crm.erasure_rule is 'en: Persons are customer, contact or lead. | tr: Kişiler customer, contact ya da lead olabilir.';
comment on constraint erasure_rule_when_complete on crm.erasure_rule is 'en: A column and its values belong together. | tr: Sütun ve değerleri birlikte verilir.';
comment on constraint erasure_rule_keep_for_counted on crm.erasure_rule is 'en: A time is counted from a column. | tr: Süre bir sütundan sayılır.';
select crm.protect('crm.erasure_rule', area => 'admin', kind => 'open', verbs => '{select}', reason => 'It says what erasing does and holds no business data.');
create policy erasure_rule_keep on crm.erasure_rule to crm_owner using (true) with check (true);

insert into crm.erasure_rule (relation, action, basis_en, basis_tr)
select 'crm.' || r, 'delete', x.en, x.tr from (values
  ('{contact_point,address,external_id}'::text[], 'Ways to find and reach the person.', 'Kişiyi bulma ve kişiye ulaşma yolları.'),
  ('{merge_row,merge}', 'Copies of merged records.', 'Birleştirilen kayıtların kopyaları.'),
  ('{customer_standing,customer_tier_history,customer_value,customer_lifetime,customer_rfm,customer_offer,segment_member,customer_cell,customer_phase,customer_observation,lead_score}',
    'A profile of the person; the sums of the analyses stay.', 'Kişiye ait profil; analizlerin toplamları kalır.')
) as x (relations, en, tr), unnest(x.relations) as r;
insert into crm.erasure_rule (relation, action, when_column, when_values, basis_en, basis_tr, counts_from, keep_for) values
  ('crm.invoice', 'keep', 'status', '{issued}', 'Issued invoices: Commercial Code art. 82 (ten years), Tax Procedure Law art. 253.', 'Düzenlenmiş fatura: TTK m.82 (on yıl), VUK m.253.', 'issue_date', '10 years'),
  ('crm.quote', 'keep', 'status', '{accepted}', 'Proof of a contract: Code of Obligations art. 146 (ten years).', 'Sözleşmenin kanıtı: TBK m.146 (on yıl).', 'answered_at', '10 years'),
  ('crm.quote_answer', 'keep', 'answer', '{accepted}', 'Proof of a contract: Code of Obligations art. 146 (ten years).', 'Sözleşmenin kanıtı: TBK m.146 (on yıl).', 'answered_at', '10 years'),
  ('crm.privacy_request', 'keep', null, null, 'Proof that the request was answered (KVKK art. 13).', 'Başvurunun yanıtlandığının kanıtı (KVKK m.13).', 'received_at', '3 years');
insert into crm.erasure_rule (relation, place, action, roots, basis_en, basis_tr)
select 'crm.' || r, 0, 'keep', '{contact,lead}', 'The organisation''s own record, in which the person is only named by a reference.', 'Kuruluşun kendi kaydı; kişi yalnızca bir bağlantıyla geçer.'
from unnest('{opportunity,contract,sales_order,invoice,quote,payment,shipment,customer_observation}'::text[]) as r;

-- Values that have to fit a rule of their table.
select crm.register_personal('crm.lead', 'identity', '{name}', 'erased {id}');
select crm.register_personal('crm.activity_participant', 'identity', '{name}', 'erased {id}');
select crm.register_personal('crm.quote_answer', 'contract_evidence', '{name}', 'erased');

create type crm.erasure_step as (
  relation regclass, depth integer, action text, condition text, assignments text, changed text, columns text[], basis_en text, basis_tr text, counts_from text, keep_for interval);
comment on type crm.erasure_step is 'One thing that erasing does with one table: condition finds the rows ("t", $1 and $2 as in crm.person_table), assignments empty them, changed says whether any is not empty yet.';

create function crm.emptied(relation regclass, column_name text, placeholder text) returns text language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when placeholder is not null and a.attnotnull then value.text
    when placeholder is not null then format('case when t.%I is not null then %s end', a.attname, value.text)
    when not a.attnotnull then 'null'
    when format_type(a.atttypid, null) in ('text', 'character varying', 'character') then value.text
    when format_type(a.atttypid, null) in ('jsonb', 'json') then '''{}'''
    when a.atttypid::regtype::text like '%[]' then '''{}'''
    when a.atttypid = 'bytea'::regtype then '''\x'''
    when a.atttypid in ('date'::regtype, 'timestamptz'::regtype) then '''1900-01-01'''
    when a.atttypid in ('integer'::regtype, 'bigint'::regtype, 'smallint'::regtype, 'numeric'::regtype, 'double precision'::regtype) then '0'
    when a.atttypid = 'boolean'::regtype then 'false'
    when a.atttypid = 'inet'::regtype then '''0.0.0.0'''
    end
  from pg_attribute as a
  cross join lateral (
    select case when exists (select from pg_attribute as i where i.attrelid = relation and i.attname = 'id' and i.atttypid = 'uuid'::regtype and not i.attisdropped)
      then format('replace(%L, ''{id}'', right(t.id::text, 8))', coalesce(placeholder, 'erased {id}')) else quote_literal(replace(coalesce(placeholder, 'erased'), '{id}', '')) end as text
  ) as value
  where a.attrelid = relation and a.attname = column_name
$$;
comment on function crm.emptied(regclass, text, text) is 'What a personal column of an erased person becomes, as an expression over the row "t": empty where it may be, else something that says nothing.';

create function crm.erasure_steps(root text) returns setof crm.erasure_step language sql stable set search_path = pg_catalog, pg_temp as $$
  with reached as (
    select r.relation, r.depth, r.condition, h.reason as held from crm.person_reach(root) as r
    left join lateral (select string_agg(l.reason, '; ') as reason from crm.legal_hold as l where l.relation = r.relation::text and l.released_at is null) as h on true
    where r.relation <> 'crm.change'::regclass
  ), ruled as (
    select r.relation, r.depth, l.place::integer as place, case when r.held is not null then 'keep' else l.action end as action,
      coalesce('Held: ' || r.held, l.basis_en) as basis_en, coalesce('Saklama kararı: ' || r.held, l.basis_tr) as basis_tr,
      l.counts_from, l.keep_for, case when l.when_column is null then 'true' else format('coalesce(t.%I::text = any (%L::text[]), false)', l.when_column, l.when_values) end as own,
      r.condition, r.held
    from reached as r join crm.erasure_rule as l on l.relation = r.relation::text and root = any (l.roots)
    union all
    select r.relation, r.depth, 1000, case when r.held is not null then 'keep' else 'anonymise' end, coalesce('Held: ' || r.held, 'No basis is left.'),
      coalesce('Saklama kararı: ' || r.held, 'Saklama sebebi kalmadı.'), null, null, 'true', r.condition, r.held
    from reached as r
  ), ordered as (
    select d.*, coalesce(string_agg('not ' || d.own, ' and ') over (partition by d.relation order by d.place rows between unbounded preceding and 1 preceding), 'true') as none_before
    from ruled as d
  ), personal as (
    select f.relation::regclass as relation, array_agg(f.column_name order by f.column_name) as columns,
      string_agg(format('%I = %s', f.column_name, crm.emptied(f.relation::regclass, f.column_name, e.placeholder)), ', ') filter (where not f.is_derived) as assignments,
      string_agg(format('t.%I is distinct from %s', f.column_name, crm.emptied(f.relation::regclass, f.column_name, e.placeholder)), ' or ') filter (where not f.is_derived) as changed
    from crm.personal_field as f left join crm.processing_entry as e on e.relation = f.relation and e.column_name = f.column_name
    group by f.relation
  )
  select o.relation, o.depth, case when o.action = 'anonymise' and p.assignments is null then 'keep' else o.action end,
    o.condition || ' and ' || o.none_before || ' and ' || o.own, p.assignments, p.changed, coalesce(p.columns, '{}'),
    case when o.action = 'anonymise' and p.assignments is null then 'Holds no personal data by itself: accounts and statistics.' else o.basis_en end,
    case when o.action = 'anonymise' and p.assignments is null then 'Kendi başına kişisel veri içermez: hesap ve istatistik.' else o.basis_tr end,
    o.counts_from, o.keep_for
  from ordered as o left join personal as p on p.relation = o.relation
  where o.none_before !~ 'not true'
$$;
comment on function crm.erasure_steps(text) is 'What erasing a customer, contact or lead does with every table that is reached from them.';

create function crm.erasure_plan(request uuid)
returns table (relation text, action text, row_count bigint, columns text[], basis_en text, basis_tr text, keep_until date) language plpgsql stable security definer
set search_path = pg_catalog, pg_temp as $$
declare
  s record;
  e crm.erasure_step;
  ids uuid[];
begin
  select * into s from crm.request_subject(request);
  ids := crm.person_ids(s.root, s.subject);
  for e in select x.* from crm.erasure_steps(s.root) as x order by x.depth, x.relation::text loop
    relation := e.relation::text;
    action := e.action;
    columns := e.columns;
    basis_en := e.basis_en;
    basis_tr := e.basis_tr;
    execute format('select count(*), %s from %s as t where %s',
      case when e.counts_from is null then 'null' else format('max(t.%I + %L::interval)::date', e.counts_from, e.keep_for) end, e.relation, e.condition)
    into row_count, keep_until using s.subject, ids;
    if row_count > 0 then
      return next;
    end if;
  end loop;
  relation := 'crm.change';
  action := 'anonymise';
  columns := '{before,after}';
  basis_en := 'Earlier values of the person''s records; who changed what and when stays.';
  basis_tr := 'Kişinin kayıtlarının önceki değerleri; kimin neyi ne zaman değiştirdiği kalır.';
  keep_until := null;
  select count(*) into row_count from crm.change as c where c.row_id = any (ids) and (c.before is not null or c.after is not null);
  if row_count > 0 then
    return next;
  end if;
end
$$;
comment on function crm.erasure_plan(uuid) is 'A dry run of a request to erase: per table what would be deleted, emptied or kept, how many rows, on which basis, until when.';

-- Tombstones ------------------------------------------------------------------------------------------------------------------------------

create table crm.erasure_certificate (
  id          uuid        not null default crm.uuid_v7(),
  request_id  uuid,
  root        text        not null,
  subject_id  uuid        not null,
  erased_at   timestamptz not null,
  erased_by   uuid,
  counts      jsonb       not null,
  kept        jsonb       not null,
  sums        jsonb       not null,
  previous    text,
  digest      text        not null,
  created_at  timestamptz not null default now(),
  constraint erasure_certificate_id_primary primary key (id),
  constraint erasure_certificate_request_id_exists foreign key (request_id) references crm.privacy_request (id),
  constraint erasure_certificate_root_known check (root in ('customer', 'contact', 'lead'))
);
comment on table crm.erasure_certificate is 'That a person was erased: when, by whom, how much of what, what stays and why. Each carries the digest of the one before, so that none can be changed or taken out unnoticed.';
comment on column crm.erasure_certificate.request_id is 'The request; null when a tombstone was applied again after a restore.';
comment on column crm.erasure_certificate.root is 'customer, contact or lead.';
comment on column crm.erasure_certificate.subject_id is 'The id of the record that is nobody''s now.';
comment on column crm.erasure_certificate.erased_at is 'When.';
comment on column crm.erasure_certificate.erased_by is 'Who had it done; null for the system.';
comment on column crm.erasure_certificate.counts is 'Rows deleted and emptied, by table.';
comment on column crm.erasure_certificate.kept is 'Tables with rows that stay as they are: how many, on which basis, until when.';
comment on column crm.erasure_certificate.sums is 'Sums of the amounts that stayed, equal before and after.';
comment on column crm.erasure_certificate.previous is 'The digest of the certificate before.';
comment on column crm.erasure_certificate.digest is 'SHA-256, in hexadecimal, of all of this.';
comment on constraint erasure_certificate_root_known on crm.erasure_certificate is 'en: Persons are customer, contact or lead. | tr: Kişiler customer, contact ya da lead olabilir.';
create index erasure_certificate_request_id_index on crm.erasure_certificate (request_id);
select crm.protect('crm.erasure_certificate', area => 'admin', kind => 'reference', resource => 'erasure_certificates', verbs => '{select}');

create table crm.erasure_tombstone (
  id             uuid        not null default crm.uuid_v7(),
  kind           text        not null,
  token          bytea       not null,
  root           text        not null,
  subject_id     uuid        not null,
  erased_at      timestamptz not null,
  certificate_id uuid,
  lifted_at      timestamptz,
  lifted_reason  text,
  constraint erasure_tombstone_id_primary primary key (id),
  constraint erasure_tombstone_token_unique unique (kind, token, subject_id),
  constraint erasure_tombstone_kind_known check (kind in ('record', 'email', 'phone', 'number', 'external')),
  constraint erasure_tombstone_root_known check (root in ('customer', 'contact', 'lead')),
  constraint erasure_tombstone_token_length check (length(token) = 32),
  constraint erasure_tombstone_lifted_reason_given check ((lifted_at is null) = (lifted_reason is null))
);
comment on table crm.erasure_tombstone is 'Keyed hashes of what an erased person could be known by. They cannot be read back; they tell whether something that comes in is of somebody who was erased.';
comment on column crm.erasure_tombstone.kind is 'record (the id itself), email, phone, number (identity or tax number) or external (another system''s key).';
comment on column crm.erasure_tombstone.token is 'secret: the keyed hash (crm.address_key).';
comment on column crm.erasure_tombstone.root is 'customer, contact or lead.';
comment on column crm.erasure_tombstone.subject_id is 'The record that was erased.';
comment on column crm.erasure_tombstone.erased_at is 'When.';
comment on column crm.erasure_tombstone.certificate_id is 'The certificate; null if it came from a file.';
comment on column crm.erasure_tombstone.lifted_at is 'When the person came back of their own will; null while it holds.';
comment on column crm.erasure_tombstone.lifted_reason is 'Why it no longer holds.';
comment on constraint erasure_tombstone_token_unique on crm.erasure_tombstone is 'en: This tombstone is there. | tr: Bu silme izi zaten var.';
comment on constraint erasure_tombstone_kind_known on crm.erasure_tombstone is 'en: A tombstone is of record, email, phone, number or external. | tr: Silme izi record, email, phone, number ya da external türündedir.';
comment on constraint erasure_tombstone_root_known on crm.erasure_tombstone is 'en: Persons are customer, contact or lead. | tr: Kişiler customer, contact ya da lead olabilir.';
comment on constraint erasure_tombstone_token_length on crm.erasure_tombstone is 'en: A hash has 32 bytes. | tr: Özet 32 bayttır.';
comment on constraint erasure_tombstone_lifted_reason_given on crm.erasure_tombstone is 'en: Whoever lifts it says why. | tr: Kaldıran nedenini yazar.';
select crm.protect('crm.erasure_tombstone', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It is written by erasing alone, and names nobody.');

create function crm.tombstone_token(kind text, value text) returns bytea language sql stable strict security definer set search_path = pg_catalog, pg_temp as $$
  select sha256(k.outer_pad || sha256(k.inner_pad || convert_to('erased:' || kind || ':' || case kind
    when 'email' then crm.normal_address('email', value) when 'phone' then crm.e164(value) when 'number' then btrim(value) else value end, 'UTF8')))
  from crm.address_key as k
$$;
comment on function crm.tombstone_token(text, text) is 'The keyed hash of an identifier: email, phone, number, external (resource:system:key) or record (an id). Null if it is none.';

create function crm.is_erased(kind text, value text) returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (select from crm.erasure_tombstone)
    and exists (select from crm.erasure_tombstone as t where t.kind = is_erased.kind and t.token = crm.tombstone_token(is_erased.kind, value) and t.lifted_at is null)
$$;
comment on function crm.is_erased(text, text) is 'Whether an identifier is of somebody who was erased and has not come back.';

-- Whoever writes to the company themselves (system work that receives messages) begins anew; colleagues and files may not bring anybody back.
create function crm.may_revive() returns boolean language sql stable parallel safe
  return current_setting('muhatap.via', true) ~ '^(system:|job)' or current_user = 'crm_steward';
comment on function crm.may_revive() is 'Whether this work may store an erased person''s identifier: receiving what the person sends, not typing or importing it.';

create function crm.refuse_erased() returns trigger language plpgsql as $$
declare
  kind text;
  value text;
begin
  if crm.may_revive() then
    return new;
  end if;
  for kind, value in
    select * from (values
      ('number', case tg_table_name when 'customer' then to_jsonb(new) ->> 'tax_number' when 'lead' then to_jsonb(new) ->> 'tax_number' end),
      ('email', case tg_table_name when 'contact_point' then case when to_jsonb(new) ->> 'kind' = 'email' then to_jsonb(new) ->> 'value' end when 'lead' then to_jsonb(new) ->> 'email' end),
      ('phone', case tg_table_name when 'contact_point' then case when to_jsonb(new) ->> 'kind' in ('phone', 'whatsapp') then to_jsonb(new) ->> 'value' end when 'lead' then to_jsonb(new) ->> 'phone' end)
    ) as given (kind, value) where given.value is not null
  loop
    if crm.is_erased(kind, value) then
      raise exception using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, constraint = tg_argv[0],
        message = 'this person was erased at their own request';
    end if;
  end loop;
  return new;
end
$$;
comment on function crm.refuse_erased() is 'Trigger: refuses identifiers of persons who were erased.';

alter table crm.customer add constraint customer_tax_number_not_erased check (length(tax_number) > 0);
comment on constraint customer_tax_number_not_erased on crm.customer is 'en: This person was erased at their own request and is not entered again. If they came back themselves, lift the tombstone first. | tr: Bu kişi kendi talebiyle silindi, yeniden kaydedilmez. Kendisi geri döndüyse önce silme izini kaldırın.';
alter table crm.contact_point add constraint contact_point_value_not_erased check (length(value) > 0);
comment on constraint contact_point_value_not_erased on crm.contact_point is 'en: This person was erased at their own request and is not entered again. If they came back themselves, lift the tombstone first. | tr: Bu kişi kendi talebiyle silindi, yeniden kaydedilmez. Kendisi geri döndüyse önce silme izini kaldırın.';
alter table crm.lead add constraint lead_not_erased check (erased_at is null or isfinite(erased_at));
comment on constraint lead_not_erased on crm.lead is 'en: This person was erased at their own request and is not entered again. If they came back themselves, lift the tombstone first. | tr: Bu kişi kendi talebiyle silindi, yeniden kaydedilmez. Kendisi geri döndüyse önce silme izini kaldırın.';
create trigger customer_refuse_erased before insert on crm.customer for each row when (new.tax_number is not null) execute function crm.refuse_erased('customer_tax_number_not_erased');
create trigger customer_refuse_erased_update before update on crm.customer for each row
  when (new.tax_number is not null and new.tax_number is distinct from old.tax_number) execute function crm.refuse_erased('customer_tax_number_not_erased');
create trigger contact_point_refuse_erased before insert on crm.contact_point for each row
  when (new.kind in ('email', 'phone', 'whatsapp')) execute function crm.refuse_erased('contact_point_value_not_erased');
create trigger contact_point_refuse_erased_update before update on crm.contact_point for each row
  when (new.value is distinct from old.value) execute function crm.refuse_erased('contact_point_value_not_erased');
create trigger lead_refuse_erased before insert on crm.lead for each row
  when (coalesce(new.email, new.phone, new.tax_number) is not null) execute function crm.refuse_erased('lead_not_erased');
create trigger lead_refuse_erased_update before update on crm.lead for each row
  when ((new.email, new.phone, new.tax_number) is distinct from (old.email, old.phone, old.tax_number)) execute function crm.refuse_erased('lead_not_erased');
alter table crm.customer enable always trigger customer_refuse_erased, enable always trigger customer_refuse_erased_update;
alter table crm.contact_point enable always trigger contact_point_refuse_erased, enable always trigger contact_point_refuse_erased_update;
alter table crm.lead enable always trigger lead_refuse_erased, enable always trigger lead_refuse_erased_update;

create function crm.refuse_erased_key() returns trigger language plpgsql as $$
begin
  if not crm.may_revive() and exists (select from new_rows as n where crm.is_erased('external', n.relation || ':' || n.system || ':' || n.key)) then
    raise exception using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, constraint = 'external_id_key_not_erased',
      message = 'this person was erased at their own request';
  end if;
  return null;
end
$$;
comment on function crm.refuse_erased_key() is 'Trigger, once a statement: refuses other systems'' keys of persons who were erased.';
alter table crm.external_id add constraint external_id_key_not_erased check (length(key) > 0);
comment on constraint external_id_key_not_erased on crm.external_id is 'en: This key is of a person who was erased at their own request. If they came back themselves, lift the tombstone first. | tr: Bu anahtar kendi talebiyle silinen birine ait. Kendisi geri döndüyse önce silme izini kaldırın.';
create trigger external_id_refuse_erased after insert on crm.external_id referencing new table as new_rows for each statement execute function crm.refuse_erased_key();
alter table crm.external_id enable always trigger external_id_refuse_erased;

-- What an import brings of erased persons is refused row by row, before anything is written.
create function crm.check_erased_records(import uuid, target regclass, given text[]) returns void language plpgsql set client_min_messages = warning as $$
declare
  records constant text := format('staging.%I', crm.staging_name('record', import));
  said record;
  rule record;
begin
  for rule in
    select * from (values
      ('crm.customer', 'tax_number', 'number', 'true', 'customer_tax_number_not_erased'),
      ('crm.contact_point', 'value', 'email', 'r.kind = ''email''', 'contact_point_value_not_erased'),
      ('crm.contact_point', 'value', 'phone', 'r.kind in (''phone'', ''whatsapp'')', 'contact_point_value_not_erased'),
      ('crm.lead', 'email', 'email', 'true', 'lead_not_erased'), ('crm.lead', 'phone', 'phone', 'true', 'lead_not_erased'), ('crm.lead', 'tax_number', 'number', 'true', 'lead_not_erased')
    ) as rules (relation, name, kind, condition, constraint_name)
    where rules.relation = target::text and rules.name = any (given)
  loop
    select * into said from crm.explain(rule.constraint_name, target);
    execute format(
      'insert into crm.import_error (import_id, user_id, phase, row_number, column_name, code, reason_en, reason_tr)
       select %1$L, crm.caller_id(), ''check'', r.row_number, %2$L, ''erased'', %3$L, %4$L from %5$s as r where r.action in (''new'', ''changed'') and %6$s and crm.is_erased(%7$L, r.%2$I)',
      import, rule.name, said.reason_en, said.reason_tr, records, rule.condition, rule.kind);
  end loop;
end
$$;
comment on function crm.check_erased_records(uuid, regclass, text[]) is 'Writes an error for every worked-out record of an import that is of a person who was erased.';
