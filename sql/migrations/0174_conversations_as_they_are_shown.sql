-- What the interactions tell a conversation is shown and sorted by, under names that no neighbour has; a draft is plain text.
set local role crm_owner;

alter table crm.conversation rename column interactions to interaction_count;
alter table crm.interaction rename column attachments to attachment_count;
comment on column crm.conversation.last_interaction_at is 'When the latest interaction happened; null before the first.';
comment on column crm.conversation.last_direction is 'Whether the latest message came in or went out.';
comment on column crm.conversation.interaction_count is 'How many interactions it has.';
comment on column crm.interaction.attachment_count is 'How many files came with it.';
alter table crm.draft drop column body_html;

create or replace function crm.count_interaction() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.conversation as c set
    interaction_count = c.interaction_count + 1,
    last_interaction_at = greatest(c.last_interaction_at, new.occurred_at),
    last_direction = case when c.last_interaction_at > new.occurred_at then c.last_direction else new.direction end,
    participants = case when new.participants <@ c.participants then c.participants
      else array(select distinct p from unnest(c.participants || new.participants) as p order by p) end,
    state = case
      when new.direction = 'in' and new.kind not in ('auto_reply', 'bounce') and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then 'open'
      when new.direction = 'out' and new.kind not in ('auto_reply', 'bounce') and c.state = 'open' and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then 'waiting'
      else c.state end,
    snoozed_until = case
      when new.direction = 'in' and new.kind not in ('auto_reply', 'bounce') and new.occurred_at >= coalesce(c.last_interaction_at, '-infinity') then null else c.snoozed_until end
  where c.customer_id = new.customer_id and c.id = new.conversation_id;
  return null;
end
$$;

create or replace function crm.count_attachment() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op <> 'DELETE' and new.interaction_id is not null then
    update crm.interaction as i set attachment_count = i.attachment_count + 1
    where i.customer_id = new.customer_id and i.id = new.interaction_id and i.occurred_at = new.interaction_at;
  end if;
  if tg_op <> 'INSERT' and old.interaction_id is not null then
    update crm.interaction as i set attachment_count = i.attachment_count - 1
    where i.customer_id = old.customer_id and i.id = old.interaction_id and i.occurred_at = old.interaction_at;
  end if;
  return null;
end
$$;

-- Functions that look up users, tickets or what a month's rows refer to work past policies that bind the owner itself, after asking what the caller may see.
create or replace function crm.make_interaction_partitions(ahead integer default 3, since date default null) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  made integer := 0;
  edge record;
  first_day date;
  name text;
  this_month constant date := date_trunc('month', now() at time zone 'UTC');
  last_wanted constant date := this_month + make_interval(months => ahead);
begin
  perform pg_advisory_xact_lock(hashtext('crm.make_interaction_partitions'));
  -- The months there are, without a gap: from the first to the day on which the last one ends.
  select min(to_date(right(c.relname, 7), 'YYYY_MM')) as first, (max(to_date(right(c.relname, 7), 'YYYY_MM')) + interval '1 month')::date as "end" into edge
  from pg_inherits as i join pg_class as c on c.oid = i.inhrelid where i.inhparent = 'crm.interaction'::regclass and c.relname ~ '^interaction_[0-9]{4}_[0-9]{2}$';
  if edge."end" <= last_wanted then
    alter table crm.interaction detach partition crm.interaction_later;
  end if;
  if since < edge.first then
    alter table crm.interaction detach partition crm.interaction_earlier;
  end if;
  for first_day in
    select d::date from generate_series(edge."end", last_wanted, interval '1 month') as d
    union all
    select d::date from generate_series(date_trunc('month', since::timestamp), edge.first - interval '1 month', interval '1 month') as d
  loop
    name := 'interaction_' || to_char(first_day, 'YYYY_MM');
    execute format('create table crm.%I (like crm.interaction including defaults including constraints including generated)', name);
    execute format('comment on table crm.%I is %L', name, 'Interactions of ' || to_char(first_day, 'YYYY-MM') || '.');
    execute format('alter table crm.%I enable row level security, force row level security', name);
    execute format('alter table crm.%I owner to crm_owner', name);
    execute format('with late as (delete from crm.%4$I where occurred_at >= %1$L and occurred_at < %2$L returning *) insert into crm.%3$I (%5$s) select %5$s from late',
      first_day::timestamp at time zone 'UTC', (first_day + interval '1 month') at time zone 'UTC', name,
      case when first_day < edge.first then 'interaction_earlier' else 'interaction_later' end,
      (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute as a
       where a.attrelid = 'crm.interaction'::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''));
    execute format('alter table crm.interaction attach partition crm.%I for values from (%L) to (%L)',
      name, first_day::timestamp at time zone 'UTC', (first_day + interval '1 month') at time zone 'UTC');
    made := made + 1;
  end loop;
  if not exists (select from pg_inherits where inhrelid = 'crm.interaction_later'::regclass) then
    execute format('alter table crm.interaction attach partition crm.interaction_later for values from (%L) to (maxvalue)',
      (greatest(edge."end", last_wanted + interval '1 month')::date)::timestamp at time zone 'UTC');
  end if;
  if not exists (select from pg_inherits where inhrelid = 'crm.interaction_earlier'::regclass) then
    execute format('alter table crm.interaction attach partition crm.interaction_earlier for values from (minvalue) to (%L)',
      least(edge.first, date_trunc('month', since::timestamp)::date)::timestamp at time zone 'UTC');
  end if;
  return made;
end
$$;

drop policy interaction_keep on crm.interaction_earlier;
drop policy interaction_keep on crm.interaction_later;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.make_interaction_partitions(integer, date) owner to crm_steward;
alter function crm.notify(uuid, text, text, uuid, text, text) owner to crm_steward;
alter function crm.attend_conversation(uuid, text, timestamptz) owner to crm_steward;
alter function crm.follow_noted() owner to crm_steward;
revoke create on schema crm from crm_steward;
grant execute on function crm.notify(uuid, text, text, uuid, text, text) to crm_owner;
