-- Leads and what is done about customers.
set local role crm_owner;

create view bi.leads with (security_invoker = true) as
select
  l.id as lead_id,
  case when (select crm.bi_sees_personal()) then l.name else left(l.name, 1) || '***' end as name,
  l.company_name, l.province_code, p.name as province, l.city, l.source, l.rating, l.product_category_id, l.status, l.disqualification_reason,
  l.first_touch_at, l.first_utm_source, l.first_utm_medium, l.first_utm_campaign, l.first_utm_term, l.first_utm_content,
  l.last_touch_at, l.last_utm_source, l.last_utm_medium, l.last_utm_campaign, l.last_utm_term, l.last_utm_content,
  l.created_at, l.qualified_at, l.disqualified_at, l.converted_at,
  round(extract(epoch from l.converted_at - l.created_at) / 86400, 2) as days_to_conversion,
  l.customer_id, l.owner_id as seller_id, l.department_id
from crm.lead as l
left join crm.province as p on p.code = l.province_code;
comment on view bi.leads is 'One row a lead: somebody who asked about our products before being a customer.';
comment on column bi.leads.lead_id is 'Id of the lead.';
comment on column bi.leads.name is 'Name of the person; only the first letter, unless the login sees personal data.';
comment on column bi.leads.company_name is 'Name of the organisation.';
comment on column bi.leads.province_code is 'Plate code of the Turkish province.';
comment on column bi.leads.province is 'Name of the Turkish province.';
comment on column bi.leads.city is 'City.';
comment on column bi.leads.source is 'web, phone, email, referral, fair, campaign, partner, social, visit or other.';
comment on column bi.leads.rating is 'hot, warm or cold; null before anybody judged.';
comment on column bi.leads.product_category_id is 'What the lead is interested in.';
comment on column bi.leads.status is 'new, qualified, disqualified or converted.';
comment on column bi.leads.disqualification_reason is 'Why it was disqualified.';
comment on column bi.leads.first_touch_at is 'When we first met.';
comment on column bi.leads.first_utm_source is 'utm_source of the first touch.';
comment on column bi.leads.first_utm_medium is 'utm_medium of the first touch.';
comment on column bi.leads.first_utm_campaign is 'utm_campaign of the first touch.';
comment on column bi.leads.first_utm_term is 'utm_term of the first touch.';
comment on column bi.leads.first_utm_content is 'utm_content of the first touch.';
comment on column bi.leads.last_touch_at is 'When we last met.';
comment on column bi.leads.last_utm_source is 'utm_source of the last touch.';
comment on column bi.leads.last_utm_medium is 'utm_medium of the last touch.';
comment on column bi.leads.last_utm_campaign is 'utm_campaign of the last touch.';
comment on column bi.leads.last_utm_term is 'utm_term of the last touch.';
comment on column bi.leads.last_utm_content is 'utm_content of the last touch.';
comment on column bi.leads.created_at is 'When it was taken in.';
comment on column bi.leads.qualified_at is 'When it was qualified.';
comment on column bi.leads.disqualified_at is 'When it was disqualified.';
comment on column bi.leads.converted_at is 'When it became a customer.';
comment on column bi.leads.days_to_conversion is 'Days from taking it in to its conversion; null before.';
comment on column bi.leads.customer_id is 'The customer it became.';
comment on column bi.leads.seller_id is 'The user who takes care of it.';
comment on column bi.leads.department_id is 'The department that works with it.';

create view bi.lead_assignments with (security_invoker = true) as
select a.id as lead_assignment_id, a.lead_id, a.seller_id, a.rule_id, a.load, a.capacity, a.reason_en, a.reason_tr, a.created_at as assigned_at
from crm.lead_assignment as a;
comment on view bi.lead_assignments is 'One row each time a lead was given to a seller, with the reason.';
comment on column bi.lead_assignments.lead_assignment_id is 'Id of the assignment.';
comment on column bi.lead_assignments.lead_id is 'The lead.';
comment on column bi.lead_assignments.seller_id is 'The user who got it.';
comment on column bi.lead_assignments.rule_id is 'The rule that decided; null for a person.';
comment on column bi.lead_assignments.load is 'Open leads the seller had before.';
comment on column bi.lead_assignments.capacity is 'Open leads the rule lets the seller have.';
comment on column bi.lead_assignments.reason_en is 'Why, in English.';
comment on column bi.lead_assignments.reason_tr is 'Why, in Turkish.';
comment on column bi.lead_assignments.assigned_at is 'When it was given.';

create view bi.activities with (security_invoker = true) as
select
  a.id as activity_id, a.kind, a.status, a.outcome, a.starts_at, a.ends_at, (a.starts_at at time zone 'Europe/Istanbul')::date as starts_on,
  round(extract(epoch from a.ends_at - a.starts_at) / 60, 2) as duration_minutes, a.completed_at, a.cancelled_at,
  case when (select crm.bi_sees_personal()) then a.subject end as subject,
  (select count(*) from crm.activity_participant as p where p.activity_id = a.id)::integer as participants,
  a.follows_id as follows_activity_id, a.customer_id, a.contact_id, a.lead_id, a.opportunity_id, a.owner_id, a.department_id, a.created_at
from crm.activity as a;
comment on view bi.activities is 'One row an activity: a meeting, call, follow-up or note.';
comment on column bi.activities.activity_id is 'Id of the activity.';
comment on column bi.activities.kind is 'meeting, call, follow_up or note.';
comment on column bi.activities.status is 'planned, completed or cancelled.';
comment on column bi.activities.outcome is 'successful, unsuccessful, not_reached, postponed or information.';
comment on column bi.activities.starts_at is 'When it begins, is due, or was noted.';
comment on column bi.activities.ends_at is 'When it ends.';
comment on column bi.activities.starts_on is 'The day it begins, in Europe/Istanbul.';
comment on column bi.activities.duration_minutes is 'How long it takes, in minutes; null without an end.';
comment on column bi.activities.completed_at is 'When it was completed.';
comment on column bi.activities.cancelled_at is 'When it was cancelled.';
comment on column bi.activities.subject is 'What it is about; null, unless the login sees personal data.';
comment on column bi.activities.participants is 'How many people take part.';
comment on column bi.activities.follows_activity_id is 'The activity whose next step it is.';
comment on column bi.activities.customer_id is 'The customer it is about.';
comment on column bi.activities.contact_id is 'The contact it is about.';
comment on column bi.activities.lead_id is 'The lead it is about.';
comment on column bi.activities.opportunity_id is 'The opportunity it is about.';
comment on column bi.activities.owner_id is 'The user whose activity it is.';
comment on column bi.activities.department_id is 'The department that works with it.';
comment on column bi.activities.created_at is 'When the record was made.';
