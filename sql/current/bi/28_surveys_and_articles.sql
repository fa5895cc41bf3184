-- What customers say of us, and what is known.
set local role crm_owner;

create view bi.surveys with (security_invoker = true) as
select s.id as survey_id, s.code, s.name, s.kind, s.status, s.event, s.legal_class, s.channel, s.sampling_percent, s.rest_days, s.activated_at, s.closed_at from crm.survey as s;
comment on view bi.surveys is 'One row a survey.';
comment on column bi.surveys.survey_id is 'Id of the survey.';
comment on column bi.surveys.code is 'Short stable name.';
comment on column bi.surveys.name is 'Name.';
comment on column bi.surveys.kind is 'nps, csat, ces or form.';
comment on column bi.surveys.status is 'draft, active or closed.';
comment on column bi.surveys.event is 'What it is sent upon.';
comment on column bi.surveys.legal_class is 'transactional or commercial.';
comment on column bi.surveys.channel is 'How its link is sent.';
comment on column bi.surveys.sampling_percent is 'How many in a hundred events are asked about.';
comment on column bi.surveys.rest_days is 'Days for which a person who was asked is not asked again.';
comment on column bi.surveys.activated_at is 'When it was first activated.';
comment on column bi.surveys.closed_at is 'When it was closed.';

create view bi.survey_invitations with (security_invoker = true) as
select i.id as survey_invitation_id, i.survey_id, i.customer_id, i.ticket_id, i.order_id, i.agent_id, i.state, i.skipped, i.due_at, i.sent_at, i.answered_at, i.department_id
from crm.survey_invitation as i;
comment on view bi.survey_invitations is 'One row a person to be asked, or not to be asked and why.';
comment on column bi.survey_invitations.survey_invitation_id is 'Id of the invitation.';
comment on column bi.survey_invitations.survey_id is 'The survey.';
comment on column bi.survey_invitations.customer_id is 'The customer.';
comment on column bi.survey_invitations.ticket_id is 'The ticket it is about.';
comment on column bi.survey_invitations.order_id is 'The order it is about.';
comment on column bi.survey_invitations.agent_id is 'The user whose work is asked about.';
comment on column bi.survey_invitations.state is 'due, sent, answered or skipped.';
comment on column bi.survey_invitations.skipped is 'Why nobody was asked.';
comment on column bi.survey_invitations.due_at is 'From when on the message might leave.';
comment on column bi.survey_invitations.sent_at is 'When it was queued.';
comment on column bi.survey_invitations.answered_at is 'When it was answered.';
comment on column bi.survey_invitations.department_id is 'The department.';

create view bi.survey_responses with (security_invoker = true) as
select r.id as survey_response_id, r.survey_id, r.kind, r.customer_id, r.ticket_id, r.order_id, r.agent_id, r.score, r.band, r.points, r.tier, r.language, r.answered_at,
  crm.business_day(r.answered_at) as answered_on, r.activity_id is not null as is_followed_up, r.department_id
from crm.survey_response as r;
comment on view bi.survey_responses is 'One row an answered survey. Show nothing of fewer than five; bi.survey_results keeps to that.';
comment on column bi.survey_responses.survey_response_id is 'Id of the response.';
comment on column bi.survey_responses.survey_id is 'The survey.';
comment on column bi.survey_responses.kind is 'nps, csat, ces or form.';
comment on column bi.survey_responses.customer_id is 'The customer.';
comment on column bi.survey_responses.ticket_id is 'The ticket it is about.';
comment on column bi.survey_responses.order_id is 'The order it is about.';
comment on column bi.survey_responses.agent_id is 'The user whose work was asked about.';
comment on column bi.survey_responses.score is 'The score on the survey''s scale; null for forms.';
comment on column bi.survey_responses.band is 'promoter, passive, detractor; satisfied, neutral, dissatisfied; easy, neutral, difficult.';
comment on column bi.survey_responses.points is 'The score from 0 to 100.';
comment on column bi.survey_responses.tier is 'The customer''s tier when it was answered.';
comment on column bi.survey_responses.language is 'The language it was answered in.';
comment on column bi.survey_responses.answered_at is 'When it was answered.';
comment on column bi.survey_responses.answered_on is 'The day, by the clock of Turkey.';
comment on column bi.survey_responses.is_followed_up is 'Whether it led to a follow-up.';
comment on column bi.survey_responses.department_id is 'The department.';

create view bi.survey_results with (security_invoker = true) as
select s.id as survey_id, s.code, s.kind, c.month, c.answers, f.is_suppressed, f.is_small, f.score, f.lower, f.upper, f.high, f.middle, f.low
from (
  select a.survey_id, to_char(a.answered_on, 'YYYY-MM') as month, count(*) as answers,
    count(*) filter (where a.band in ('promoter', 'satisfied', 'easy')) as high, count(*) filter (where a.band in ('passive', 'neutral')) as middle,
    count(*) filter (where a.band in ('detractor', 'dissatisfied', 'difficult')) as low,
    avg(a.score::double precision) as mean, stddev_samp(a.score::double precision) as deviation
  from analytics.survey_answer as a group by a.survey_id, month
) as c
join crm.survey as s on s.id = c.survey_id
cross join lateral analytics.survey_figures(s.kind, c.answers, c.high, c.middle, c.low, c.mean, c.deviation) as f;
comment on view bi.survey_results is 'One row a survey and month with answers: the score and its 95 % interval; nothing but the number of answers below five.';
comment on column bi.survey_results.survey_id is 'The survey.';
comment on column bi.survey_results.code is 'Its short name.';
comment on column bi.survey_results.kind is 'nps, csat, ces or form.';
comment on column bi.survey_results.month is 'The month of the answers, by the clock of Turkey.';
comment on column bi.survey_results.answers is 'How many answered.';
comment on column bi.survey_results.is_suppressed is 'Whether there are too few answers (below five) to show more.';
comment on column bi.survey_results.is_small is 'Whether there are fewer than thirty answers.';
comment on column bi.survey_results.score is 'nps: points from -100 to 100; csat: share of 4 and 5; ces: mean from 1 to 7.';
comment on column bi.survey_results.lower is 'Lower end of the interval: adjusted Wald, Wilson or Student.';
comment on column bi.survey_results.upper is 'Upper end of the interval.';
comment on column bi.survey_results.high is 'Promoters, satisfied, or easy.';
comment on column bi.survey_results.middle is 'Those between.';
comment on column bi.survey_results.low is 'Detractors, dissatisfied, or difficult.';

create view bi.articles with (security_invoker = true) as
select a.id as article_id, a.slug, a.category, a.readers, a.review_on, a.review_on < crm.business_day(now()) as is_overdue, a.archived_at, v.languages, v.versions, a.department_id
from crm.article as a
cross join lateral (
  select array_agg(distinct x.language) filter (where x.state = 'published') as languages, count(*) as versions from crm.article_version as x where x.article_id = a.id) as v;
comment on view bi.articles is 'One row an article of the knowledge base.';
comment on column bi.articles.article_id is 'Id of the article.';
comment on column bi.articles.slug is 'Its address.';
comment on column bi.articles.category is 'What it is listed under.';
comment on column bi.articles.readers is 'public, customers or internal.';
comment on column bi.articles.review_on is 'The day by which it is to be reviewed.';
comment on column bi.articles.is_overdue is 'Whether that day is over.';
comment on column bi.articles.archived_at is 'Since when it is no longer shown.';
comment on column bi.articles.languages is 'The languages it is published in.';
comment on column bi.articles.versions is 'How many versions there are.';
comment on column bi.articles.department_id is 'The department that keeps it true.';

create view bi.article_feedback with (security_invoker = true) as
select f.id as article_feedback_id, f.article_id, f.version_id, f.helpful, f.via, f.given_on from crm.article_feedback as f;
comment on view bi.article_feedback is 'One row a time somebody said whether an article helped.';
comment on column bi.article_feedback.article_feedback_id is 'Id of the row.';
comment on column bi.article_feedback.article_id is 'The article.';
comment on column bi.article_feedback.version_id is 'The version that was read.';
comment on column bi.article_feedback.helpful is 'Whether it helped.';
comment on column bi.article_feedback.via is 'public, portal or colleague.';
comment on column bi.article_feedback.given_on is 'The day.';

create view bi.article_helpfulness with (security_invoker = true) as
select a.id as article_id, a.slug, count(*) filter (where f.helpful) as helpful, count(*) as answers, i.lower, i.upper
from crm.article as a join crm.article_feedback as f on f.article_id = a.id
cross join lateral (select count(*) filter (where x.helpful) as hits, count(*) as n from crm.article_feedback as x where x.article_id = a.id) as c
cross join lateral analytics.share_interval(c.hits, c.n) as i
group by a.id, a.slug, i.lower, i.upper;
comment on view bi.article_helpfulness is 'One row an article that was judged: how many it helped, with Wilson''s 95 % interval of the share.';
comment on column bi.article_helpfulness.article_id is 'The article.';
comment on column bi.article_helpfulness.slug is 'Its address.';
comment on column bi.article_helpfulness.helpful is 'How many it helped.';
comment on column bi.article_helpfulness.answers is 'How many said whether.';
comment on column bi.article_helpfulness.lower is 'Lower end of the interval of the share, from 0 to 1.';
comment on column bi.article_helpfulness.upper is 'Upper end.';
