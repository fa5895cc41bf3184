-- Comments on any record, seen by whoever sees the record; and what becomes of people who wrote before anybody knew them.
set local role crm_owner;

create function crm.seen_record(
  of_resource text, record uuid,
  out area text, out relation regclass, out customer_id uuid, out department_id uuid, out owner_id uuid, out audience uuid, out participants uuid[], out name text
) language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  whole jsonb;
  mine uuid[];
begin
  select p.area, p.relation::regclass into area, relation from crm.protection as p where p.resource = of_resource and p.kind = 'owned';
  if not found then
    return;
  end if;
  execute format('select to_jsonb(t) from %s as t where t.id = $1', relation) into whole using record;
  customer_id := coalesce((whole ->> 'customer_id')::uuid, case when of_resource = 'customers' then record end);
  department_id := (whole ->> 'department_id')::uuid;
  owner_id := (whole ->> 'owner_id')::uuid;
  audience := (whole ->> 'audience')::uuid;
  participants := coalesce(array(select p::uuid from jsonb_array_elements_text(case jsonb_typeof(whole -> 'participants') when 'array' then whole -> 'participants' else '[]' end) as p), '{}');
  name := left(coalesce(whole ->> 'name', whole ->> 'subject', whole ->> 'number', whole ->> 'company_name', whole ->> 'code', '–'), 200);
  mine := coalesce(crm.readable(area), '{}');
  if whole is null or not (coalesce(audience = any (mine), false) or coalesce(owner_id = any (mine), false) or record = any (mine) or participants && mine or crm.reads_all(area)) then
    area := null;
  end if;
end
$$;
comment on function crm.seen_record(text, uuid) is
  'Whose a record is, by the name of its resource and its id, as far as the caller sees it: area is null when they do not, or when there is none. Asks what the policies ask.';

create table crm.comment (
  id          uuid        not null default crm.uuid_v7(),
  resource    text        not null,
  record_id   uuid        not null,
  customer_id uuid,
  author_id   uuid        not null,
  text        text        not null,
  mentions    uuid[]      not null default '{}',
  created_at  timestamptz not null default now(),
  constraint comment_id_primary primary key (id),
  constraint comment_author_id_exists foreign key (author_id) references crm.app_user (id),
  constraint comment_text_length check (length(btrim(text)) between 1 and 20000),
  constraint comment_mentions_known check (cardinality(mentions) <= 100 and array_position(mentions, null) is null)
);
comment on table crm.comment is 'What a colleague says about a record to whoever sees it.';
comment on column crm.comment.resource is 'The resource it is about, such as opportunities.';
comment on column crm.comment.record_id is 'The record it is about.';
comment on column crm.comment.customer_id is 'The customer that record belongs to, if it belongs to one.';
comment on column crm.comment.author_id is 'Who says it.';
comment on column crm.comment.text is 'personal: what is said.';
comment on column crm.comment.mentions is 'The users named in it, who are told.';
comment on constraint comment_text_length on crm.comment is 'en: A comment has 1 to 20,000 characters. | tr: Yorum 1 ile 20.000 karakter arasındadır.';
comment on constraint comment_mentions_known on crm.comment is 'en: Name at most 100 users. | tr: En çok 100 kullanıcı anın.';
create index comment_record_id_index on crm.comment (record_id, resource, id);
create index comment_author_id_index on crm.comment (author_id);
create index comment_customer_id_index on crm.comment (customer_id) where customer_id is not null;
select crm.protect('crm.comment', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'Whose it is is asked of the record it is about, each time, by crm.comments_on and crm.add_comment; nobody else reaches it.');

create function crm.add_comment(of_resource text, record uuid, text text, mentions uuid[]) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  about record;
  person uuid;
  id constant uuid := crm.uuid_v7();
begin
  select * into about from crm.seen_record(of_resource, record);
  if about.area is null or crm.caller_id() is null then
    perform crm.missing_reference('record_id');
  end if;
  insert into crm.comment (id, resource, record_id, customer_id, author_id, text, mentions)
  values (id, of_resource, record, about.customer_id, crm.caller_id(), add_comment.text, add_comment.mentions);
  foreach person in array add_comment.mentions loop
    if not exists (
      select from crm.access_of(person) as a where a.area = about.area
        and (about.audience = any (a.readable) or about.owner_id = any (a.readable) or record = any (a.readable) or about.participants && a.readable)) then
      perform crm.missing_reference('mentions');
    end if;
    perform crm.notify(person, 'mention', of_resource, record, format('You were mentioned: %s', about.name), format('Sizden söz edildi: %s', about.name));
  end loop;
  return id;
end
$$;
comment on function crm.add_comment(text, uuid, text, uuid[]) is
  'Says something about a record that the caller sees, and tells whoever is named in it, all of whom must see it too. Gives the comment''s id.';

create function crm.comments_on(of_resource text, record uuid, before uuid default null, most integer default 50)
returns table (id uuid, author_id uuid, author text, text text, mentions uuid[], created_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select c.id, c.author_id, u.name, c.text, c.mentions, c.created_at
  from crm.seen_record(of_resource, record) as about
  join crm.comment as c on c.resource = of_resource and c.record_id = record and (c.id < before or before is null)
  join crm.app_user as u on u.id = c.author_id
  where about.area is not null
  order by c.id desc limit most
$$;
comment on function crm.comments_on(text, uuid, uuid, integer) is 'The comments on a record, newest first, as far as the caller sees the record.';

create function crm.remove_comment(of_comment uuid) returns boolean language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with gone as (delete from crm.comment as c where c.id = of_comment and c.author_id = crm.caller_id() returning 1)
  select exists (select from gone)
$$;
comment on function crm.remove_comment(uuid) is 'Takes back a comment of the caller''s own; false when there is none.';

-- People who wrote before anybody knew them ------------------------------------------------------------------------------------------

create function crm.verify_contact_point(of_customer uuid, of_kind text, address text) returns uuid language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  wanted_key constant text := crm.search_key(address);
  unknown record;
  known uuid[];
begin
  update crm.contact_point as p set verified = true where p.customer_id = of_customer and p.kind = of_kind and p.value_key = wanted_key and not p.verified;
  select c.id into unknown from crm.customer as c where c.id = of_customer and c.provisional;
  if not found then
    return of_customer;
  end if;
  known := array(
    select distinct p.customer_id from crm.contact_point as p join crm.customer as c on c.id = p.customer_id
    where p.kind = of_kind and p.value_key = wanted_key and p.verified and not c.provisional);
  if cardinality(known) <> 1 then
    return of_customer;
  end if;
  perform crm.merge_records('customers', known[1], of_customer, '{}', '{}', '{}', false, 'The address was confirmed: ' || of_kind);
  return known[1];
end
$$;
comment on function crm.verify_contact_point(uuid, text, text) is
  'Notes that somebody has shown that an address is theirs, such as by following a link sent to it. A provisional customer is then joined to the one known customer who holds that address; two known people never are. Gives the customer it is now. For system work.';

create function crm.identity_candidates(most integer default 50)
returns table (customer_id uuid, name text, since timestamptz, candidate_id uuid, candidate_name text, score numeric, rules text[]) language sql stable as $$
  select c.id, c.name, c.created_at, d.id, d.name, d.score, d.rules
  from (select x.id, x.name, x.created_at from crm.customer as x where x.provisional order by x.created_at desc, x.id desc limit most) as c
  left join lateral (
    select f.id, f.name, f.score, f.rules from crm.customer_duplicates(c.name, null,
      array(select p.value from crm.contact_point as p where p.customer_id = c.id and p.kind = 'email'),
      array(select p.value from crm.contact_point as p where p.customer_id = c.id and p.kind = 'phone'), c.id, 5) as f
  ) as d on true
  order by c.created_at desc, c.id desc, d.score desc, d.id
$$;
comment on function crm.identity_candidates(integer) is
  'The provisional customers the caller may read, newest first, each with the known ones they may be: what a colleague decides by merging or confirming.';

set local role none;
grant create on schema crm to crm_steward;
alter function crm.seen_record(text, uuid) owner to crm_steward;
alter function crm.add_comment(text, uuid, text, uuid[]) owner to crm_steward;
alter function crm.comments_on(text, uuid, uuid, integer) owner to crm_steward;
alter function crm.remove_comment(uuid) owner to crm_steward;
revoke create on schema crm from crm_steward;
grant execute on function crm.access_of(uuid) to crm_steward;
set local role crm_owner;
