-- The read log: who was shown which persons' sensitive data through the API. Written by the gateway in batches, read by administration.
set local role crm_owner;

comment on column crm.data_category.is_sensitive is 'Whether it is of the kinds that deserve most care: identity numbers, what they stand on. Who is shown them is written down (crm.sensitive_read).';

create table crm.sensitive_read (
  id         uuid        not null default crm.uuid_v7(),
  at         timestamptz not null,
  user_id    uuid,
  via        text        not null,
  request_id uuid        not null,
  resource   text        not null,
  fields     text[]      not null,
  record_ids uuid[]      not null,
  constraint sensitive_read_id_primary primary key (id),
  constraint sensitive_read_record_ids_given check (cardinality(record_ids) > 0)
);
comment on table crm.sensitive_read is 'That somebody was shown sensitive data of persons: who, when, which fields of which records. Records without a value are not in it.';
comment on column crm.sensitive_read.at is 'When it was shown.';
comment on column crm.sensitive_read.user_id is 'Who was shown it.';
comment on column crm.sensitive_read.via is 'How they came in, such as api.';
comment on column crm.sensitive_read.request_id is 'The request, as the gateway''s log names it.';
comment on column crm.sensitive_read.resource is 'The resource the fields are of, such as customers.';
comment on column crm.sensitive_read.fields is 'The fields, such as tax_number.';
comment on column crm.sensitive_read.record_ids is 'The records of which they were shown.';
comment on constraint sensitive_read_record_ids_given on crm.sensitive_read is 'en: An entry names the records that were shown. | tr: Kayıt, gösterilen kayıtları belirtir.';
create index sensitive_read_at_index on crm.sensitive_read (at);
create index sensitive_read_user_id_index on crm.sensitive_read (user_id, at);
create index sensitive_read_record_ids_index on crm.sensitive_read using gin (record_ids);
select crm.protect('crm.sensitive_read', area => 'admin', kind => 'reference', verbs => '{select}', reason => 'It is a log of reads, written by crm.note_sensitive_reads alone.');

create function crm.note_sensitive_reads(
  ats timestamptz[], user_ids uuid[], vias text[], request_ids uuid[], resources text[], fields text[], record_ids text[]
) returns bigint language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with noted as (
    insert into crm.sensitive_read (at, user_id, via, request_id, resource, fields, record_ids)
    select n.at, n.user_id, n.via, n.request_id, n.resource, string_to_array(n.fields, ','), string_to_array(n.ids, ',')::uuid[]
    from unnest(ats, user_ids, vias, request_ids, resources, fields, note_sensitive_reads.record_ids) as n (at, user_id, via, request_id, resource, fields, ids)
    returning 1
  )
  select count(*) from noted
$$;
comment on function crm.note_sensitive_reads(timestamptz[], uuid[], text[], uuid[], text[], text[], text[]) is
  'Writes down what sensitive data was shown to whom, an entry a place of the arrays; fields and ids are joined by commas.';
revoke execute on function crm.note_sensitive_reads(timestamptz[], uuid[], text[], uuid[], text[], text[], text[]) from crm_bulk, crm_access;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.note_sensitive_reads(timestamptz[], uuid[], text[], uuid[], text[], text[], text[]) owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_steward;
insert into crm.retention_rule (code, title_en, title_tr, relation, action, columns, counts_from, keep_days, when_column, when_values, is_active) values
  ('sensitive_reads', 'Who was shown sensitive data', 'Hassas verileri görenler', 'crm.sensitive_read', 'delete', null, 'at', 1096, null, null, true);
set local role none;
set local role crm_owner;
