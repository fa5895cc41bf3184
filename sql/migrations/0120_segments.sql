-- Segments: who belongs together, by which rule, since when and why; and what follows the change log to keep that true.
set local role crm_owner;

create table crm.segment (
  id           uuid        not null default crm.uuid_v7(),
  code         text        not null,
  name         text        not null,
  note         text,
  kind         text        not null default 'dynamic',
  definition   jsonb,
  currency     text,
  active       boolean     not null default true,
  evaluated_at timestamptz,
  problem      jsonb,
  owner_id     uuid        default crm.caller_id(),
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  version      integer     not null default 1,
  created_by   uuid        default crm.caller_id(),
  constraint segment_id_primary primary key (id),
  constraint segment_code_unique unique (code),
  constraint segment_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint segment_name_length check (length(btrim(name)) between 1 and 200),
  constraint segment_kind_known check (kind in ('dynamic', 'static')),
  constraint segment_definition_object check (jsonb_typeof(definition) = 'object'),
  constraint segment_definition_given check (kind = 'static' or definition is not null),
  constraint segment_currency_exists foreign key (currency) references crm.currency (code),
  constraint segment_owner_id_exists foreign key (owner_id) references crm.app_user (id)
);
comment on table crm.segment is 'Customers that belong together: by a rule that is kept true (dynamic), or as somebody chose them (static).';
comment on column crm.segment.code is 'Stable name, unique: what price books and campaigns call it.';
comment on column crm.segment.name is 'Name as people say it.';
comment on column crm.segment.note is 'What colleagues should know.';
comment on column crm.segment.kind is 'dynamic: membership follows the definition. static: the members are chosen, or were once found by the definition.';
comment on column crm.segment.definition is 'The rule, in the filter language: who is in.';
comment on column crm.segment.currency is 'Currency of the amounts in the definition; other currencies are converted at the rate of the day.';
comment on column crm.segment.active is 'Whether it is used; one that is not has no members and is not kept up.';
comment on column crm.segment.evaluated_at is 'When everybody was last held against the definition; live changes come in between. Null before the first time.';
comment on column crm.segment.problem is 'Why the definition can no longer be evaluated: code, en and tr. Null while it can.';
comment on constraint segment_code_unique on crm.segment is 'en: Another segment already has this code. | tr: Bu kod başka bir segmentte kullanılıyor.';
comment on constraint segment_code_shape on crm.segment is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint segment_name_length on crm.segment is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint segment_kind_known on crm.segment is 'en: A segment is dynamic or static. | tr: Segment dynamic ya da static olabilir.';
comment on constraint segment_definition_object on crm.segment is 'en: A definition is given as an object. | tr: Tanım bir nesne olarak verilir.';
comment on constraint segment_definition_given on crm.segment is 'en: A dynamic segment needs a definition. | tr: Dinamik bir segmentin tanımı olmalıdır.';
comment on constraint segment_currency_exists on crm.segment is 'en: This currency is not known. | tr: Bu para birimi bilinmiyor.';
select crm.protect('crm.segment', area => 'analytics', kind => 'common', resource => 'segments', verbs => '{select,insert,update,delete}', bi => true);

create table crm.segment_member (
  id          uuid        not null default crm.uuid_v7(),
  segment_id  uuid        not null,
  customer_id uuid        not null,
  entered_at  timestamptz not null default now(),
  left_at     timestamptz,
  reason      text        not null,
  left_reason text,
  constraint segment_member_id_primary primary key (id),
  constraint segment_member_segment_id_exists foreign key (segment_id) references crm.segment (id) on delete cascade,
  constraint segment_member_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint segment_member_left_at_ordered check (left_at >= entered_at),
  constraint segment_member_left_reason_given check ((left_at is null) = (left_reason is null))
);
comment on table crm.segment_member is 'Who was in a segment, from when to when, and why: one row a stay.';
comment on column crm.segment_member.segment_id is 'The segment.';
comment on column crm.segment_member.entered_at is 'The first instant in the segment.';
comment on column crm.segment_member.left_at is 'The first instant out of it; null while the customer is in.';
comment on column crm.segment_member.reason is 'Why the customer came in: defined (the definition was saved), refreshed (time passed), chosen (by a person), or what changed, such as orders.';
comment on column crm.segment_member.left_reason is 'Why the customer left: the same words.';
comment on constraint segment_member_left_at_ordered on crm.segment_member is 'en: Nobody leaves before coming in. | tr: Giriş tarihinden önce çıkılamaz.';
comment on constraint segment_member_left_reason_given on crm.segment_member is 'en: Whoever has left has a reason, and nobody else. | tr: Yalnızca çıkmış olanın çıkış nedeni vardır.';
create unique index segment_member_customer_id_index on crm.segment_member (customer_id, segment_id) where left_at is null;
create index segment_member_segment_id_index on crm.segment_member (segment_id, customer_id, entered_at);
create index segment_member_stay_index on crm.segment_member (customer_id, entered_at);
insert into crm.merge_rule (relation, on_clash) values ('crm.segment_member', 'drop');
select crm.protect('crm.segment_member', area => 'analytics', kind => 'common', verbs => '{select,insert,update,delete}', bi => true,
  reason => 'Each row is a range of time and says why it began and ended: it is its own history.');

-- Price books, and whoever else asks for a customer's segments: those the customer is in now, and the one its source gave it.
create or replace function crm.segments_of(customer uuid) returns text[] language sql stable as $$
  select array(
    select c.profile ->> 'segment' from crm.customer as c where c.id = customer and c.profile ->> 'segment' is not null
    union
    select s.code from crm.segment_member as m join crm.segment as s on s.id = m.segment_id where m.customer_id = customer and m.left_at is null and s.active
    order by 1)
$$;
comment on function crm.segments_of(uuid) is 'The segments a customer is in now, as price books name them: the codes of segments, and the one of the customer''s profile.';

create function crm.segment_dependents(segment uuid) returns table (resource text, id uuid, name text) language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  child record;
begin
  return query select 'price_books', b.id, b.name from crm.price_book as b join crm.segment as s on s.code = b.segment where s.id = segment_dependents.segment;
  for child in
    select k.conrelid::regclass as relation, a.attname as "column", p.resource,
      exists (select from pg_attribute as n where n.attrelid = k.conrelid and n.attname = 'name' and not n.attisdropped) as is_named
    from pg_constraint as k
    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
    join crm.protection as p on p.relation = k.conrelid::regclass::text
    where k.contype = 'f' and k.confrelid = 'crm.segment'::regclass and k.confdeltype <> 'c' and p.resource is not null
    order by 1
  loop
    return query execute format('select %L::text, t.id, %s::text from %s as t where t.%I = $1', child.resource, case when child.is_named then 't.name' else 'null' end, child.relation, child."column")
      using segment_dependents.segment;
  end loop;
end
$$;
comment on function crm.segment_dependents(uuid) is 'What uses a segment: price books by its code, and every record that refers to it by a foreign key. Only what the caller may read.';

-- How far the change log was followed. A segment made later is evaluated when it is made, so everything before counts as followed.
create table crm.change_follower (
  id          uuid        not null default crm.uuid_v7(),
  name        text        not null,
  xid         xid8        not null default pg_current_xact_id(),
  seq         bigint      not null default 0,
  followed_at timestamptz not null default now(),
  constraint change_follower_id_primary primary key (id),
  constraint change_follower_name_unique unique (name)
);
comment on table crm.change_follower is 'What reads the change log in its order, and how far it is.';
comment on column crm.change_follower.name is 'Who follows: live, which keeps values and segments true.';
comment on column crm.change_follower.xid is 'The transaction of the last change that was taken in.';
comment on column crm.change_follower.seq is 'The place of that change in its transaction.';
comment on column crm.change_follower.followed_at is 'When it last took changes in.';
comment on constraint change_follower_name_unique on crm.change_follower is 'en: Another follower already has this name. | tr: Bu ad başka bir takipçide kullanılıyor.';
select crm.protect('crm.change_follower', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It is the place of a reader of the change log.');
set local role none;
insert into crm.change_follower (name) values ('live');
set local role crm_owner;

-- Amounts are converted in parallel too.
alter function crm.quoted_rate(text, text, date) parallel safe;
alter function crm.rate_on(text, text, date) parallel safe;
alter function crm.convert(numeric, text, text, date) parallel safe;
