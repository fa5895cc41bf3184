-- Campaigns, their members, touches and responses; phases of customers; scores of leads; how good forecasts were.
set local role crm_owner;

create view bi.campaigns with (security_invoker = true) as
select c.id as campaign_id, c.code, c.name, c.kind, c.status, c.starts_on, c.ends_on, c.budget, c.cost, c.currency, c.assignment, c.holdout_percent, c.arms, c.department_id, c.owner_id
from crm.campaign as c;
comment on view bi.campaigns is 'One row a campaign.';
comment on column bi.campaigns.campaign_id is 'Id of the campaign.';
comment on column bi.campaigns.code is 'Short stable name.';
comment on column bi.campaigns.name is 'Name.';
comment on column bi.campaigns.kind is 'How it mainly reaches people.';
comment on column bi.campaigns.status is 'draft, running, finished or cancelled.';
comment on column bi.campaigns.starts_on is 'Its first day.';
comment on column bi.campaigns.ends_on is 'Its last day.';
comment on column bi.campaigns.budget is 'What it may cost.';
comment on column bi.campaigns.cost is 'What it costs beyond its touches.';
comment on column bi.campaigns.currency is 'Currency of budget and cost.';
comment on column bi.campaigns.assignment is 'How customers are divided: hash, given (both at random) or chosen (not at random).';
comment on column bi.campaigns.holdout_percent is 'How many in a hundred are held out.';
comment on column bi.campaigns.arms is 'What is tried against each other.';
comment on column bi.campaigns.department_id is 'The department.';
comment on column bi.campaigns.owner_id is 'Whoever is responsible.';

create view bi.campaign_members with (security_invoker = true) as
select m.id as campaign_member_id, m.campaign_id, m.customer_id, m.held_out, m.arm, m.assigned_at, m.department_id from crm.campaign_member as m;
comment on view bi.campaign_members is 'One row a customer and campaign: whom it is to reach, or holds out to compare with.';
comment on column bi.campaign_members.campaign_member_id is 'Id of the row.';
comment on column bi.campaign_members.campaign_id is 'The campaign.';
comment on column bi.campaign_members.customer_id is 'The customer.';
comment on column bi.campaign_members.held_out is 'Whether the customer is left out, to compare with.';
comment on column bi.campaign_members.arm is 'What the customer gets; null for who is held out.';
comment on column bi.campaign_members.assigned_at is 'When it was decided.';
comment on column bi.campaign_members.department_id is 'The department of the campaign.';

create view bi.campaign_touches with (security_invoker = true) as
select t.id as campaign_touch_id, t.campaign_id, t.customer_id, t.channel, t.touched_at, t.delivered, t.opened_at, t.clicked_at, t.cost, t.currency, t.department_id from crm.campaign_touch as t;
comment on view bi.campaign_touches is 'One row a time a campaign reached for a customer: the ledger that attribution reads.';
comment on column bi.campaign_touches.campaign_touch_id is 'Id of the touch.';
comment on column bi.campaign_touches.campaign_id is 'The campaign.';
comment on column bi.campaign_touches.customer_id is 'The customer.';
comment on column bi.campaign_touches.channel is 'By which way.';
comment on column bi.campaign_touches.touched_at is 'When.';
comment on column bi.campaign_touches.delivered is 'Whether it arrived.';
comment on column bi.campaign_touches.opened_at is 'When it was first opened.';
comment on column bi.campaign_touches.clicked_at is 'When it was first followed.';
comment on column bi.campaign_touches.cost is 'What it cost.';
comment on column bi.campaign_touches.currency is 'Currency of the cost.';
comment on column bi.campaign_touches.department_id is 'The department of the campaign.';

create view bi.campaign_responses with (security_invoker = true) as
select r.id as campaign_response_id, r.campaign_id, r.customer_id, r.kind, r.responded_at, r.reference, r.department_id from crm.campaign_response as r;
comment on view bi.campaign_responses is 'One row a response to a campaign.';
comment on column bi.campaign_responses.campaign_response_id is 'Id of the response.';
comment on column bi.campaign_responses.campaign_id is 'The campaign.';
comment on column bi.campaign_responses.customer_id is 'The customer.';
comment on column bi.campaign_responses.kind is 'reply, redemption, visit, signup, order or other.';
comment on column bi.campaign_responses.responded_at is 'When.';
comment on column bi.campaign_responses.reference is 'What it is known by, such as the number of a coupon.';
comment on column bi.campaign_responses.department_id is 'The department of the campaign.';

create view bi.customer_phases with (security_invoker = true) as
select p.id as customer_phase_id, p.customer_id, p.phase, p.entered_at, p.left_at, round(extract(epoch from coalesce(p.left_at, now()) - p.entered_at) / 86400, 4) as days, p.left_at is null as lasting,
  lead(p.phase) over (partition by p.customer_id order by p.entered_at, p.id) as next_phase, p.decided_by,
  case when p.decided_by = 'rule' or (select crm.bi_sees_personal()) then p.reason end as reason, p.department_id, p.owner_id as seller_id
from crm.customer_phase as p;
comment on view bi.customer_phases is 'One row a stay of a customer in a phase; as of an instant: entered_at <= it and (left_at is null or left_at > it).';
comment on column bi.customer_phases.customer_phase_id is 'Id of the stay.';
comment on column bi.customer_phases.customer_id is 'The customer.';
comment on column bi.customer_phases.phase is 'selection, acquisition, retention or deepening.';
comment on column bi.customer_phases.entered_at is 'When it began.';
comment on column bi.customer_phases.left_at is 'When it ended; null while it lasts.';
comment on column bi.customer_phases.days is 'How many days it lasted, or has lasted until now.';
comment on column bi.customer_phases.lasting is 'Whether it lasts.';
comment on column bi.customer_phases.next_phase is 'The phase that followed.';
comment on column bi.customer_phases.decided_by is 'rule or person.';
comment on column bi.customer_phases.reason is 'Why; of a person only for logins that see personal data.';
comment on column bi.customer_phases.department_id is 'The department of the customer.';
comment on column bi.customer_phases.seller_id is 'The customer''s owner.';

create view bi.lead_scores with (security_invoker = true) as
select s.lead_id, s.run_id, r.as_of, s.probability, s.evidence
from crm.lead_score as s join crm.analysis_run as r on r.id = s.run_id and r.status = 'done' join crm.lead as l on l.id = s.lead_id;
comment on view bi.lead_scores is 'One row a lead and run of lead scoring: how likely the lead was to become a customer.';
comment on column bi.lead_scores.lead_id is 'The lead.';
comment on column bi.lead_scores.run_id is 'The run.';
comment on column bi.lead_scores.as_of is 'The instant up to which facts counted.';
comment on column bi.lead_scores.probability is 'How likely, from 0 to 1.';
comment on column bi.lead_scores.evidence is 'What speaks for and against it, the largest first.';

grant select on all tables in schema bi to bi_reader, crm_app, crm_worker;
