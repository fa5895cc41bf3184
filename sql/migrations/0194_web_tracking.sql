-- Web tracking on the company's own pages: counts for everybody, visits of one browser only with consent, and whose they are only once that is known for certain.
set local role crm_owner;

create table crm.page_count (
  id           uuid    not null default crm.uuid_v7(),
  site_id      uuid    not null,
  day          date    not null,
  path         text    not null,
  utm_source   text    not null default '',
  utm_medium   text    not null default '',
  utm_campaign text    not null default '',
  views        bigint  not null default 0,
  constraint page_count_site_id_primary primary key (site_id, day, path, utm_source, utm_medium, utm_campaign),
  constraint page_count_site_id_exists foreign key (site_id) references crm.channel_account (id)
);
comment on table crm.page_count is 'How often pages were seen, by day and campaign; nothing of who saw them.';
comment on column crm.page_count.site_id is 'The tracked site (a channel account).';
comment on column crm.page_count.day is 'The day, in UTC.';
comment on column crm.page_count.path is 'The page''s path, without its query.';
comment on column crm.page_count.utm_source is 'utm_source the visitor came with; empty for none.';
comment on column crm.page_count.utm_medium is 'utm_medium; empty for none.';
comment on column crm.page_count.utm_campaign is 'utm_campaign; empty for none.';
comment on column crm.page_count.views is 'How often.';
comment on constraint page_count_site_id_primary on crm.page_count is 'en: This page is already counted. | tr: Bu sayfa zaten sayılıyor.';
select crm.protect('crm.page_count', area => 'marketing', kind => 'reference', verbs => '{select,insert,update}', bi => true, reason => 'A count a page view would fill the change log.');

create table crm.web_visitor (
  id            uuid        not null,
  site_id       uuid        not null,
  consented_at  timestamptz not null default now(),
  last_seen_at  timestamptz not null default now(),
  session_id    uuid        not null default crm.uuid_v7(),
  customer_id   uuid,
  contact_id    uuid,
  known_at      timestamptz,
  known_by      uuid,
  department_id uuid        not null,
  constraint web_visitor_id_primary primary key (id),
  constraint web_visitor_site_id_exists foreign key (site_id) references crm.channel_account (id),
  constraint web_visitor_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint web_visitor_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint web_visitor_known check ((customer_id is null) = (known_at is null))
);
comment on table crm.web_visitor is 'A browser whose user agreed to be recognised.';
comment on column crm.web_visitor.id is 'What the browser''s token names.';
comment on column crm.web_visitor.site_id is 'The tracked site (a channel account).';
comment on column crm.web_visitor.consented_at is 'When its user agreed.';
comment on column crm.web_visitor.last_seen_at is 'When it was last seen.';
comment on column crm.web_visitor.session_id is 'The visit under way; another one begins after half an hour.';
comment on column crm.web_visitor.contact_id is 'The person it is.';
comment on column crm.web_visitor.known_at is 'Since when it is known who it is.';
comment on column crm.web_visitor.known_by is 'The user or integration that vouched for who it is.';
comment on constraint web_visitor_id_primary on crm.web_visitor is 'en: This visitor is already known. | tr: Bu ziyaretçi zaten biliniyor.';
comment on constraint web_visitor_known on crm.web_visitor is 'en: A visitor who is a customer has the time since when that is known. | tr: Müşteri olan ziyaretçinin ne zamandan beri bilindiği yazılır.';
create index web_visitor_customer_id_index on crm.web_visitor (customer_id) where customer_id is not null;
select crm.protect('crm.web_visitor', area => 'marketing', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'Visits appear as interactions, which are in the log.');

create table crm.web_event (
  id            uuid        not null default crm.uuid_v7(),
  visitor_id    uuid        not null,
  session_id    uuid        not null,
  at            timestamptz not null,
  name          text        not null,
  path          text        not null,
  title         text,
  referrer      text,
  utm_source    text,
  utm_medium    text,
  utm_campaign  text,
  utm_term      text,
  utm_content   text,
  department_id uuid        not null,
  constraint web_event_id_primary primary key (id),
  constraint web_event_visitor_id_exists foreign key (visitor_id) references crm.web_visitor (id) on delete cascade,
  constraint web_event_name_length check (length(name) between 1 and 100),
  constraint web_event_path_length check (length(path) between 1 and 2000)
);
comment on table crm.web_event is 'What a browser whose user agreed did on the company''s pages.';
comment on column crm.web_event.visitor_id is 'The visitor.';
comment on column crm.web_event.session_id is 'The visit it belongs to.';
comment on column crm.web_event.at is 'When.';
comment on column crm.web_event.name is 'page, or what the page calls it, such as add_to_cart.';
comment on column crm.web_event.path is 'The page''s path, without its query.';
comment on column crm.web_event.title is 'The page''s title.';
comment on column crm.web_event.referrer is 'The host the visitor came from.';
comment on column crm.web_event.utm_source is 'utm_source of the page.';
comment on column crm.web_event.utm_medium is 'utm_medium.';
comment on column crm.web_event.utm_campaign is 'utm_campaign.';
comment on column crm.web_event.utm_term is 'utm_term.';
comment on column crm.web_event.utm_content is 'utm_content.';
comment on constraint web_event_name_length on crm.web_event is 'en: An event has a name of at most 100 characters. | tr: Olayın en çok 100 karakterlik bir adı olur.';
comment on constraint web_event_path_length on crm.web_event is 'en: A page has a path of at most 2,000 characters. | tr: Sayfanın en çok 2.000 karakterlik bir yolu olur.';
create index web_event_session_id_index on crm.web_event (session_id, at);
create index web_event_visitor_id_index on crm.web_event (visitor_id, at);
select crm.protect('crm.web_event', area => 'marketing', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'Visits appear as interactions, which are in the log.');

-- A visit of a known visitor is an interaction: made at its first page, told anew with each further one.
create function crm.note_visit(of_visitor uuid, of_session uuid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  visitor record;
  visit record;
  place record;
begin
  select v.customer_id, v.contact_id, v.site_id, v.department_id into visitor from crm.web_visitor as v where v.id = of_visitor and v.customer_id is not null;
  if not found then
    return;
  end if;
  select min(e.at) as at, left((array_agg(coalesce(e.title, e.path) order by e.at))[1], 1000) as subject,
    left(string_agg(case when e.name = 'page' then e.path else e.name || ' ' || e.path end, E'\n' order by e.at, e.id)
      || coalesce(E'\nutm_campaign: ' || max(e.utm_campaign), '') || coalesce(E'\nutm_source: ' || max(e.utm_source), ''), 20000) as pages
  into visit from crm.web_event as e where e.session_id = of_session and e.visitor_id = of_visitor;
  if visit.at is null then
    return;
  end if;
  select k.interaction_id, k.occurred_at into place from crm.interaction_key as k where k.channel_account_id = visitor.site_id and k.external_id = 'visit:' || of_session;
  if found then
    update crm.interaction as i set body_text = visit.pages
    where i.customer_id = visitor.customer_id and i.id = place.interaction_id and i.occurred_at = place.occurred_at and i.body_text is distinct from visit.pages;
  else
    insert into crm.interaction (customer_id, contact_id, channel, direction, kind, channel_account_id, external_id, subject, body_text, occurred_at, department_id)
    values (visitor.customer_id, visitor.contact_id, 'web', 'in', 'visit', visitor.site_id, 'visit:' || of_session, visit.subject, visit.pages, visit.at, visitor.department_id);
  end if;
end
$$;
comment on function crm.note_visit(uuid, uuid) is 'Makes or renews the interaction that shows a visit of a known visitor. For system work.';

create function crm.track(of_site uuid, of_visitor uuid, events jsonb) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  place record;
  visitor record;
  event record;
  session uuid;
begin
  select a.department_id into place from crm.channel_account as a where a.id = of_site and a.provider = 'web';
  if not found then
    perform crm.missing_reference('site_id');
  end if;
  insert into crm.page_count as c (site_id, day, path, utm_source, utm_medium, utm_campaign, views)
  select of_site, (now() at time zone 'UTC')::date, e.path, coalesce(e.utm_source, ''), coalesce(e.utm_medium, ''), coalesce(e.utm_campaign, ''), count(*)
  from jsonb_to_recordset(events) as e (name text, path text, utm_source text, utm_medium text, utm_campaign text)
  where e.name = 'page' group by e.path, 4, 5, 6 order by e.path, 4, 5, 6
  on conflict on constraint page_count_site_id_primary do update set views = c.views + excluded.views;
  if of_visitor is null then
    return;
  end if;
  insert into crm.web_visitor as v (id, site_id, department_id) values (of_visitor, of_site, place.department_id)
  on conflict on constraint web_visitor_id_primary do update set
    session_id = case when v.last_seen_at < now() - interval '30 minutes' then crm.uuid_v7() else v.session_id end, last_seen_at = now()
  returning v.session_id into session;
  insert into crm.web_event (visitor_id, session_id, at, name, path, title, referrer, utm_source, utm_medium, utm_campaign, utm_term, utm_content, department_id)
  select of_visitor, session, now() + e.place * interval '1 microsecond', e.name, e.path, e.title, e.referrer, e.utm_source, e.utm_medium, e.utm_campaign, e.utm_term, e.utm_content,
    place.department_id
  from rows from (jsonb_to_recordset(events) as (name text, path text, title text, referrer text, utm_source text, utm_medium text, utm_campaign text, utm_term text, utm_content text))
    with ordinality as e (name, path, title, referrer, utm_source, utm_medium, utm_campaign, utm_term, utm_content, place);
  perform crm.note_visit(of_visitor, session);
end
$$;
comment on function crm.track(uuid, uuid, jsonb) is
  'Takes in what a page reports: counts pages, and only for a visitor who agreed (not null) keeps what the browser did. For system work.';

create function crm.know_visitor(of_visitor uuid, of_customer uuid, of_contact uuid, voucher uuid) returns boolean language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  session uuid;
begin
  -- Two known people who use one browser are never taken for one: the first stays.
  update crm.web_visitor as v set customer_id = of_customer, contact_id = of_contact, known_at = now(), known_by = voucher
  where v.id = of_visitor and v.customer_id is null;
  if not found then
    return exists (select from crm.web_visitor as v where v.id = of_visitor and v.customer_id = of_customer and v.contact_id is not distinct from of_contact);
  end if;
  for session in select distinct e.session_id from crm.web_event as e where e.visitor_id = of_visitor loop
    perform crm.note_visit(of_visitor, session);
  end loop;
  return true;
end
$$;
comment on function crm.know_visitor(uuid, uuid, uuid, uuid) is
  'Says who a visitor is, as somebody vouches who knows it for certain; earlier visits then appear in the timeline. False when the visitor is somebody else already, or is not there. For system work.';
revoke execute on function crm.note_visit(uuid, uuid), crm.track(uuid, uuid, jsonb), crm.know_visitor(uuid, uuid, uuid, uuid) from crm_bulk, crm_access;
