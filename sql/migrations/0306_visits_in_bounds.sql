-- A visit is told by its first 200 events, however long it lasts.
set local role crm_owner;

create or replace function crm.note_visit(of_visitor uuid, of_session uuid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
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
  into visit from (
    -- The beginning of a visit says what it was about; what goes on for hours is not read from its start with each page.
    select x.at, x.id, x.title, x.path, x.name, x.utm_campaign, x.utm_source from crm.web_event as x
    where x.session_id = of_session and x.visitor_id = of_visitor order by x.at, x.id limit 200) as e;
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
