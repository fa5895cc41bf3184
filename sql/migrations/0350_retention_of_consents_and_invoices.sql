-- The evidence of consents that have ended, and the buyers on issued invoices, are destroyed when their time is over. What people said last, and every amount, stays.
set local role crm_owner;

-- What rules can say beyond "so many days after an instant" --------------------------------------------------------------------------------

alter table crm.retention_rule
  add column ended_function text,
  add column from_year_end boolean not null default false,
  add column replacements jsonb,
  add column marks text,
  add column at_least_days integer,
  add constraint retention_rule_keep_days_least check (keep_days >= at_least_days),
  add constraint retention_rule_replacements_columns check (replacements is null or columns is not null and jsonb_typeof(replacements) = 'object'),
  add constraint retention_rule_marks_anonymise check (marks is null or action = 'anonymise');
comment on column crm.retention_rule.columns is 'The columns that are emptied; null: all personal ones.';
comment on column crm.retention_rule.ended_function is 'The function of a row that says from when the time counts, never earlier than counts_from; null from it: the row is kept. Null: it counts from counts_from.';
comment on column crm.retention_rule.from_year_end is 'Whether the time counts from the end of that year, as the law counts for books and documents.';
comment on column crm.retention_rule.replacements is 'What columns become that are not emptied, by name.';
comment on column crm.retention_rule.marks is 'The column in which the row says when it was done; null: none.';
comment on column crm.retention_rule.at_least_days is 'Fewer days may not be asked for, so that a slip of the hand destroys nothing; null: no bound.';
comment on constraint retention_rule_keep_days_least on crm.retention_rule is
  'en: The law asks for more days than these; see at_least_days. | tr: Yasa bundan uzun bir süre ister; bkz. at_least_days.';
comment on constraint retention_rule_replacements_columns on crm.retention_rule is 'en: Replacements are given for named columns. | tr: Yerine konacak değerler, adı verilen sütunlar içindir.';
comment on constraint retention_rule_marks_anonymise on crm.retention_rule is 'en: Only a row that stays can say when it was emptied. | tr: Yalnızca kalan bir satır ne zaman boşaltıldığını söyleyebilir.';

-- What a rule does is the schema's; how long, and whether, is the company's.
create function crm.keep_retention_rule() returns trigger language plpgsql as $$
begin
  if current_user in ('crm_app', 'crm_worker', 'crm_bulk') then
    raise exception using errcode = 'insufficient_privilege', message = 'of a retention rule only its days and whether it is carried out are changed';
  end if;
  return new;
end
$$;
comment on function crm.keep_retention_rule() is 'Trigger: refuses that who serves or works changes what a retention rule does.';
create trigger retention_rule_keep before update on crm.retention_rule for each row
  when (to_jsonb(old) - '{keep_days,is_active,updated_at,version}'::text[] is distinct from to_jsonb(new) - '{keep_days,is_active,updated_at,version}'::text[])
  execute function crm.keep_retention_rule();
alter table crm.retention_rule enable always trigger retention_rule_keep;

-- Consents -----------------------------------------------------------------------------------------------------------------------------------

create function crm.consent_ended_at(said crm.consent_event) returns timestamptz language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when not crm.awaits_registry(said.id) then least(
    case when said.status = 'RET' then greatest(said.consented_at, said.received_at) end,
    case when said.valid_until is not null then greatest(said.valid_until, said.received_at) end,
    (
      select min(greatest(r.consented_at, r.received_at)) from crm.consent_event as r
      where said.status = 'ONAY' and r.address_token = said.address_token and r.channel = said.channel and r.recipient_type = said.recipient_type
        and r.status = 'RET' and r.consented_at >= said.consented_at and (r.brand_id is null or r.brand_id = said.brand_id) and r.purpose in (said.purpose, 'marketing')
    ),
    (select c.erased_at from crm.customer as c where c.id = said.customer_id),
    (select k.erased_at from crm.contact as k where k.customer_id = said.customer_id and k.id = said.contact_id)) end
$$;
comment on function crm.consent_ended_at(crm.consent_event) is
  'Since when a consent is no consent any more, as far as the company knows: it was refused, it ran out, or its person was erased; of a refusal, since it was known. Null while it holds, or while the registry waits for it.';
revoke execute on function crm.consent_ended_at(crm.consent_event) from crm_app, crm_worker, crm_bulk, crm_access;

-- Invoices -----------------------------------------------------------------------------------------------------------------------------------

alter table crm.invoice add column buyer_destroyed_at timestamptz;
comment on column crm.invoice.buyer_destroyed_at is 'When the buyer was taken out of it because invoices of its year are no longer kept; null: it names the buyer.';
alter table crm.invoice
  drop constraint invoice_buyer_tax_number_valid,
  -- 11111111111 is what the administration has for a buyer whose number is not known; it is nobody's.
  add constraint invoice_buyer_tax_number_valid check (
    crm.valid_vkn(buyer_tax_number) or crm.valid_tckn(buyer_tax_number) or buyer_destroyed_at is not null and buyer_tax_number = '11111111111'),
  add constraint invoice_buyer_destroyed_at_issued check (buyer_destroyed_at is null or status = 'issued');
comment on constraint invoice_buyer_tax_number_valid on crm.invoice is 'en: This is neither a valid tax number (VKN) nor a valid identity number (TCKN). | tr: Geçerli bir VKN ya da TCKN değil.';
comment on constraint invoice_buyer_destroyed_at_issued on crm.invoice is 'en: A draft is deleted, not emptied. | tr: Taslak silinir, boşaltılmaz.';

create function crm.keep_buyer() returns trigger language plpgsql as $$
begin
  if current_user <> 'crm_steward' then
    raise exception using errcode = 'insufficient_privilege', message = 'only the retention of invoices takes a buyer out';
  end if;
  return new;
end
$$;
comment on function crm.keep_buyer() is 'Trigger: refuses that anybody but the destruction of what is no longer kept takes the buyer out of an invoice, or says so.';
create trigger invoice_keep_buyer_insert before insert on crm.invoice for each row when (new.buyer_destroyed_at is not null) execute function crm.keep_buyer();
alter table crm.invoice enable always trigger invoice_keep_buyer_insert;
create trigger invoice_keep_buyer_update before update on crm.invoice for each row
  when (new.buyer_destroyed_at is distinct from old.buyer_destroyed_at) execute function crm.keep_buyer();
alter table crm.invoice enable always trigger invoice_keep_buyer_update;

-- Destroying ---------------------------------------------------------------------------------------------------------------------------------

set local role none;
grant create on schema crm to crm_steward;
set local role crm_steward;
create or replace function crm.apply_retention(rule uuid, at timestamptz, dry_run boolean, most integer default 5000) returns bigint language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  r crm.retention_rule;
  meant text;
  held text := 'false';
  emptied text[];
  assignments text;
  changed text;
  ids uuid[];
  up_to timestamptz;
  touched bigint;
  held_count bigint := 0;
begin
  if not (crm.writes('admin') or crm.writes_all('admin')) then
    raise exception using errcode = 'insufficient_privilege', message = 'retention is administration''s';
  end if;
  select * into r from crm.retention_rule as x where x.id = rule for update;
  if not found then
    perform crm.missing_reference('id');
  end if;
  -- Nothing is destroyed before its time, whatever instant is given.
  up_to := least(at, clock_timestamp()) - make_interval(days => r.keep_days);
  if r.from_year_end then
    up_to := date_trunc('year', up_to, 'Europe/Istanbul');
  end if;
  if exists (select from crm.legal_hold as h where h.relation = r.relation and h.released_at is null) then
    held := 'true';
  elsif exists (select from crm.legal_hold as h where h.customer_id is not null and h.released_at is null) then
    -- What was said at an address concerns everybody who has it.
    select string_agg(format(case a.attname
        when 'customer_id' then 'exists (select from crm.legal_hold as h where h.customer_id = t.%I and h.released_at is null)'
        else 'exists (select from crm.consent_event as e join crm.legal_hold as h on h.customer_id = e.customer_id and h.released_at is null where e.address_token = t.%I)'
      end, a.attname), ' or ')
    into held from pg_attribute as a where a.attrelid = r.relation::regclass and a.attname in ('customer_id', 'address_token') and not a.attisdropped;
    held := coalesce('(' || held || ')', 'false');
  end if;
  meant := format(case when (select a.atttypid from pg_attribute as a where a.attrelid = r.relation::regclass and a.attname = r.counts_from) = 'date'::regtype
      then 't.%I < crm.business_day($1)' else 't.%I < $1' end, r.counts_from)
    || case when r.when_column is null then '' else format(' and t.%I::text = any (%L::text[])', r.when_column, r.when_values) end;
  if r.action = 'anonymise' then
    emptied := coalesce(r.columns, array(select f.column_name from crm.personal_field as f where f.relation = r.relation and not f.is_derived));
    select string_agg(format('%I = %s', v.name, v.value), ', '), string_agg(format('t.%I is distinct from %s', v.name, v.value), ' or ')
    into assignments, changed
    from (
      select c.name, coalesce(quote_literal(r.replacements ->> c.name), crm.emptied(r.relation::regclass, c.name, e.placeholder)) as value
      from unnest(emptied) as c (name) left join crm.processing_entry as e on e.relation = r.relation and e.column_name = c.name
    ) as v;
    if assignments is null then
      return 0;
    end if;
    if r.marks is not null then
      assignments := assignments || format(', %I = clock_timestamp()', r.marks);
      changed := format('t.%I is null', r.marks);
    end if;
    meant := meant || ' and (' || changed || ')';
  end if;
  if r.ended_function is not null then
    meant := meant || format(' and %s(t) < $1', r.ended_function::regproc);
  end if;
  execute format('select count(*) from %s as t where %s and %s', r.relation, meant, held) into held_count using up_to;
  if dry_run then
    execute format('select count(*) from %s as t where %s and not %s', r.relation, meant, held) into touched using up_to;
  else
    perform set_config('session_replication_role', 'replica', true);
    execute format('with chosen as materialized (select t.tableoid, t.ctid from %1$s as t where %2$s and not %3$s limit $2), gone as (%4$s returning t.id) select count(*), array_agg(id) from gone',
      r.relation, meant, held, case r.action
        when 'delete' then format('delete from %s as t using chosen as c where t.tableoid = c.tableoid and t.ctid = c.ctid', r.relation)
        else format('update %s as t set %s from chosen as c where t.tableoid = c.tableoid and t.ctid = c.ctid', r.relation, assignments) end)
    into touched, ids using up_to, most;
    if touched > 0 then
      perform crm.scrub_history(ids);
      if r.action = 'delete' then
        perform crm.check_deleted(array[r.relation::regclass], ids);
      else
        -- Also what is evidence without being personal by itself.
        update crm.change as c set
          before = (select jsonb_object_agg(b.key, case when b.key = any (emptied) then 'null' else b.value end) from jsonb_each(c.before) as b),
          after = (select jsonb_object_agg(b.key, case when b.key = any (emptied) then 'null' else b.value end) from jsonb_each(c.after) as b)
        where c.row_id = any (ids) and c.relation = (select p.resource from crm.protection as p where p.relation = r.relation) and (c.before ?| emptied or c.after ?| emptied);
      end if;
    end if;
    perform set_config('session_replication_role', 'origin', true);
  end if;
  if touched > 0 or dry_run then
    insert into crm.retention_run (rule_id, up_to, dry_run, row_count, held_count) values (rule, up_to, dry_run, touched, held_count);
  end if;
  return touched;
end
$$;
comment on function crm.apply_retention(uuid, timestamptz, boolean, integer) is
  'Destroys what a rule no longer keeps at an instant that is not in the future, at most so many rows, and writes the log of destruction; a dry run only counts. What a legal hold keeps stays. Says how many rows.';

create function crm.try_retention(rule uuid) returns bigint language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select crm.apply_retention(rule, clock_timestamp(), true)
$$;
comment on function crm.try_retention(uuid) is 'Counts what a rule would destroy now, and writes that to the log as a dry run.';
-- Whoever serves requests counts; workers destroy.
revoke execute on function crm.apply_retention(uuid, timestamptz, boolean, integer) from crm_app;
revoke execute on function crm.try_retention(uuid) from public;
grant execute on function crm.try_retention(uuid) to crm_app, crm_worker;

-- The periods are the company's to verify and to change. Three years after a consent ended: the regulation on commercial messages (RG 29417) art. 13 as amended in 2020,
-- which had one year before. Ten years after the year of issue: Commercial Code art. 82; the Tax Procedure Law art. 253 has five.
insert into crm.retention_rule
  (code, title_en, title_tr, relation, action, columns, counts_from, keep_days, when_column, when_values, is_active, ended_function, from_year_end, replacements, marks, at_least_days)
values
  ('consent_evidence', 'Evidence of consents that have ended', 'Sona ermiş onayların kanıtları', 'crm.consent_event', 'anonymise',
    '{address,remote_address,user_agent,note,document_hash}', 'consented_at', 1096, null, null, true, 'crm.consent_ended_at', false, null, null, 365),
  ('invoice_buyers', 'Buyers on issued invoices', 'Düzenlenmiş faturalardaki alıcılar', 'crm.invoice', 'anonymise',
    '{buyer_name,buyer_first_name,buyer_family_name,buyer_tax_number,buyer_tax_office,buyer_street,buyer_district,buyer_postal_code,buyer_email,note}',
    'issue_date', 3653, 'status', '{issued}', true, null, true,
    '{"buyer_name": "erased", "buyer_first_name": "erased", "buyer_family_name": "erased", "buyer_tax_number": "11111111111", "buyer_tax_office": "erased", "buyer_street": "erased", "buyer_district": "erased"}',
    'buyer_destroyed_at', 1827);
set local role none;
revoke create on schema crm from crm_steward;
set local role crm_owner;
