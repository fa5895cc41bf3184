-- How long things are kept, and destroying them when their time is over: rules as data, a dry run, a log of what was destroyed, holds that stop it.
set local role crm_owner;

update crm.data_category set retention_en = 'As long as the import is kept.', retention_tr = 'İçe aktarma kaydı kadar.' where code = 'import_remains';
comment on column crm.data_category.is_sensitive is 'Whether it is of the kinds that deserve most care: identity numbers, what they stand on.';
comment on column crm.processing_register.is_sensitive is 'Whether it is of the kinds that deserve most care.';

create table crm.retention_rule (
  id          uuid        not null default crm.uuid_v7(),
  code        text        not null,
  title_en    text        not null,
  title_tr    text        not null,
  relation    text        not null,
  action      text        not null,
  columns     text[],
  counts_from text        not null,
  keep_days   integer     not null,
  when_column text,
  when_values text[],
  is_active   boolean     not null default true,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint retention_rule_id_primary primary key (id),
  constraint retention_rule_code_unique unique (code),
  constraint retention_rule_action_known check (action in ('delete', 'anonymise')),
  constraint retention_rule_columns_anonymise check (columns is null or action = 'anonymise'),
  constraint retention_rule_keep_days_range check (keep_days between 1 and 36500),
  constraint retention_rule_when_complete check ((when_column is null) = (when_values is null))
);
comment on table crm.retention_rule is 'For how long rows of a table, or personal columns of them, are kept. Which tables have one is said here; how long, and whether, the company says.';
comment on column crm.retention_rule.code is 'Stable name.';
comment on column crm.retention_rule.title_en is 'What it is about, in English.';
comment on column crm.retention_rule.title_tr is 'What it is about, in Turkish.';
comment on column crm.retention_rule.relation is 'The table.';
comment on column crm.retention_rule.action is 'delete: the rows go. anonymise: their personal columns are emptied.';
comment on column crm.retention_rule.columns is 'The columns that are emptied; null: all personal ones.';
comment on column crm.retention_rule.counts_from is 'The column from which the time counts; a row without it is kept.';
comment on column crm.retention_rule.keep_days is 'How many days a row is kept.';
comment on column crm.retention_rule.when_column is 'The column that decides whether a row is meant; null: every row.';
comment on column crm.retention_rule.when_values is 'The values of that column for which it is.';
comment on column crm.retention_rule.is_active is 'Whether it is carried out.';
comment on constraint retention_rule_code_unique on crm.retention_rule is 'en: Another rule has this code. | tr: Bu kod başka bir kuralda kullanılıyor.';
comment on constraint retention_rule_action_known on crm.retention_rule is 'en: The action is delete or anonymise. | tr: İşlem delete ya da anonymise olabilir.';
comment on constraint retention_rule_columns_anonymise on crm.retention_rule is 'en: Columns are given for anonymising only. | tr: Sütunlar yalnızca anonimleştirme için verilir.';
comment on constraint retention_rule_keep_days_range on crm.retention_rule is 'en: Give 1 to 36,500 days. | tr: 1 ile 36.500 arasında gün verin.';
comment on constraint retention_rule_when_complete on crm.retention_rule is 'en: A column and its values belong together. | tr: Sütun ve değerleri birlikte verilir.';

insert into crm.retention_rule (code, title_en, title_tr, relation, action, columns, counts_from, keep_days, when_column, when_values, is_active) values
  ('quote_devices', 'Devices of who answered quotes', 'Teklif yanıtlayanların cihazları', 'crm.quote_answer', 'anonymise', '{remote_address,user_agent}', 'answered_at', 365, null, null, true),
  ('quote_answers', 'Who accepted offers', 'Teklifleri kabul edenler', 'crm.quote_answer', 'anonymise', null, 'answered_at', 3653, null, null, true),
  ('privacy_requests', 'Answered requests of data subjects', 'Yanıtlanmış ilgili kişi başvuruları', 'crm.privacy_request', 'anonymise', null, 'closed_at', 1096, null, null, true),
  ('preference_links', 'Links to the preference centre', 'Tercih merkezi bağlantıları', 'crm.preference_link', 'delete', null, 'expires_at', 30, null, null, true),
  ('notices', 'Notices to colleagues', 'Çalışanlara bildirimler', 'crm.notice', 'delete', null, 'created_at', 365, null, null, true),
  ('notice_digests', 'Digests of notices', 'Bildirim özetleri', 'crm.notice_digest', 'delete', null, 'created_at', 90, null, null, true),
  ('disqualified_leads', 'Leads that came to nothing', 'Sonuçsuz kalan adaylar', 'crm.lead', 'anonymise', null, 'disqualified_at', 730, 'status', '{disqualified}', false),
  ('survey_answers', 'Names behind opinions', 'Görüşlerin sahipleri', 'crm.survey_response', 'anonymise', null, 'created_at', 730, null, null, false),
  ('interactions', 'Correspondence', 'Yazışmalar', 'crm.interaction', 'anonymise', null, 'occurred_at', 3653, null, null, false);
select crm.protect('crm.retention_rule', area => 'admin', kind => 'reference', resource => 'retention_rules', verbs => '{select,update}');

create table crm.retention_run (
  id         uuid        not null default crm.uuid_v7(),
  rule_id    uuid        not null,
  ran_at     timestamptz not null default clock_timestamp(),
  up_to      timestamptz not null,
  dry_run    boolean     not null,
  row_count  bigint      not null,
  held_count bigint      not null,
  actor_id   uuid        default crm.caller_id(),
  created_at timestamptz not null default now(),
  constraint retention_run_id_primary primary key (id),
  constraint retention_run_rule_id_exists foreign key (rule_id) references crm.retention_rule (id),
  constraint retention_run_row_count_positive check (row_count >= 0 and held_count >= 0)
);
comment on table crm.retention_run is 'The log of destruction: what was destroyed by which rule, and when. Kept three years at least.';
comment on column crm.retention_run.rule_id is 'The rule.';
comment on column crm.retention_run.ran_at is 'When it was carried out.';
comment on column crm.retention_run.up_to is 'Rows from before this instant were meant.';
comment on column crm.retention_run.dry_run is 'Whether it was only counted.';
comment on column crm.retention_run.row_count is 'How many rows were destroyed or emptied.';
comment on column crm.retention_run.held_count is 'How many stayed because of a legal hold.';
comment on column crm.retention_run.actor_id is 'Who had it done; null for the nightly job.';
comment on constraint retention_run_row_count_positive on crm.retention_run is 'en: Counts are 0 or more. | tr: Sayılar 0 ya da daha büyüktür.';
create index retention_run_rule_id_index on crm.retention_run (rule_id, ran_at);
select crm.protect('crm.retention_run', area => 'admin', kind => 'reference', resource => 'retention_runs', verbs => '{select}');

-- At most "most" rows at a time, so that each transaction is short and a run that was stopped goes on where it was.
create function crm.apply_retention(rule uuid, at timestamptz, dry_run boolean, most integer default 5000) returns bigint language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  r crm.retention_rule;
  meant text;
  held text := 'false';
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
  up_to := at - make_interval(days => r.keep_days);
  if exists (select from crm.legal_hold as h where h.relation = r.relation and h.released_at is null) then
    held := 'true';
  elsif exists (select from pg_attribute as a where a.attrelid = r.relation::regclass and a.attname = 'customer_id' and not a.attisdropped) then
    held := 'exists (select from crm.legal_hold as h where h.customer_id = t.customer_id and h.released_at is null)';
  end if;
  meant := format('t.%I < $1', r.counts_from)
    || case when r.when_column is null then '' else format(' and t.%I::text = any (%L::text[])', r.when_column, r.when_values) end;
  if r.action = 'anonymise' then
    select string_agg(format('%I = %s', f.column_name, crm.emptied(r.relation::regclass, f.column_name, e.placeholder)), ', '),
      string_agg(format('t.%I is distinct from %s', f.column_name, crm.emptied(r.relation::regclass, f.column_name, e.placeholder)), ' or ')
    into assignments, changed
    from crm.personal_field as f left join crm.processing_entry as e on e.relation = f.relation and e.column_name = f.column_name
    where f.relation = r.relation and not f.is_derived and (r.columns is null or f.column_name = any (r.columns));
    if assignments is null then
      return 0;
    end if;
    meant := meant || ' and (' || changed || ')';
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
  'Destroys what a rule no longer keeps at an instant, at most so many rows, and writes the log of destruction; a dry run only counts. What a legal hold keeps stays. Says how many rows.';
revoke execute on function crm.apply_retention(uuid, timestamptz, boolean, integer) from crm_bulk, crm_access;
set local role none;
grant create on schema crm to crm_steward;
alter function crm.apply_retention(uuid, timestamptz, boolean, integer) owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;

-- Erased persons leave the analyses --------------------------------------------------------------------------------------------------------

create function crm.erased_customers() returns setof uuid language sql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
  select c.id from crm.customer as c where c.erased_at is not null
$$;
comment on function crm.erased_customers() is 'Customers who were erased: their purchases stay in the accounts and leave the analyses.';
set local role none;
grant create on schema crm to crm_steward;
alter function crm.erased_customers() owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;

-- Who says nothing of how they came in, such as a statement in psql, may not.
create or replace function crm.may_revive() returns boolean language sql stable parallel safe
  return coalesce(current_setting('muhatap.via', true) ~ '^(system:|job)', false) or current_user = 'crm_steward';
