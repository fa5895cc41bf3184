-- Quotes: what was offered, and what came of it.
set local role crm_owner;

create view bi.quotes with (security_invoker = true) as
select
  q.id as quote_id, q.customer_id, q.opportunity_id, q.contact_id, q.department_id, q.owner_id as seller_id, q.number, q.revision, q.supersedes_id, q.status,
  q.currency, q.net_amount, q.vat_amount, q.total_amount, q.worst_discount_percent, q.line_count, crm.business_day(q.created_at) as created_on, q.sent_at,
  crm.business_day(q.sent_at) as sent_on, q.valid_until, a.answer, a.via as answered_via, case when (select crm.bi_sees_personal()) then a.reason end as answer_reason, q.answered_at,
  crm.business_day(q.answered_at) as answered_on, extract(epoch from q.answered_at - q.sent_at) / 86400 as days_to_answer,
  q.sent_at is not null and q.status <> 'superseded' as counts
from crm.quote as q
left join crm.quote_answer as a on a.customer_id = q.customer_id and a.quote_id = q.id;
comment on view bi.quotes is 'One row a version of a quote.';
comment on column bi.quotes.quote_id is 'Id of this version.';
comment on column bi.quotes.customer_id is 'Who it is for.';
comment on column bi.quotes.opportunity_id is 'The opportunity it is for.';
comment on column bi.quotes.contact_id is 'The person it is addressed to.';
comment on column bi.quotes.department_id is 'The department that works with it.';
comment on column bi.quotes.seller_id is 'The user responsible for it.';
comment on column bi.quotes.number is 'The number that all versions of a quote have.';
comment on column bi.quotes.revision is 'Counts the versions from 1.';
comment on column bi.quotes.supersedes_id is 'The version before this one.';
comment on column bi.quotes.status is 'draft, awaiting_approval, approved, sent, accepted, declined, expired or superseded.';
comment on column bi.quotes.currency is 'Currency of all amounts.';
comment on column bi.quotes.net_amount is 'What is offered, without VAT.';
comment on column bi.quotes.vat_amount is 'VAT.';
comment on column bi.quotes.total_amount is 'Net and VAT.';
comment on column bi.quotes.worst_discount_percent is 'The largest discount of its lines, in percent of the list price.';
comment on column bi.quotes.line_count is 'How many lines it has.';
comment on column bi.quotes.created_on is 'The day it was drafted, in Türkiye.';
comment on column bi.quotes.sent_at is 'When it was sent first; null if it was not.';
comment on column bi.quotes.sent_on is 'That day, in Türkiye.';
comment on column bi.quotes.valid_until is 'The last day on which it can be accepted.';
comment on column bi.quotes.answer is 'accepted or declined; null without an answer.';
comment on column bi.quotes.answered_via is 'link: by the customer; colleague: on the customer''s behalf.';
comment on column bi.quotes.answer_reason is 'What the customer said about it; empty, unless the login sees personal data.';
comment on column bi.quotes.answered_at is 'When it was answered.';
comment on column bi.quotes.answered_on is 'That day, in Türkiye.';
comment on column bi.quotes.days_to_answer is 'Days from sending to the answer.';
comment on column bi.quotes.counts is 'Whether it was sent and no newer version took its place: the quotes that rates are made of.';

create view bi.quote_lines with (security_invoker = true) as
select
  l.id as quote_line_id, l.quote_id, l.customer_id, l.product_id, l.department_id, l.line_number, l.description, l.quantity, l.unit_code, l.unit_price,
  l.list_price, l.discount_percent, l.effective_discount_percent, l.vat_rate, l.net_amount, l.vat_amount, q.status, q.currency, q.sent_on
from crm.quote_line as l
left join bi.quotes as q on q.customer_id = l.customer_id and q.quote_id = l.quote_id;
comment on view bi.quote_lines is 'One row a product on a version of a quote.';
comment on column bi.quote_lines.quote_line_id is 'Id of the line.';
comment on column bi.quote_lines.quote_id is 'The version of the quote it is on.';
comment on column bi.quote_lines.customer_id is 'Who it was offered to.';
comment on column bi.quote_lines.product_id is 'What was offered.';
comment on column bi.quote_lines.department_id is 'The department that works with the quote.';
comment on column bi.quote_lines.line_number is 'Place on the quote, from 1.';
comment on column bi.quote_lines.description is 'What the customer reads.';
comment on column bi.quote_lines.quantity is 'How many units.';
comment on column bi.quote_lines.unit_code is 'What a quantity of 1 means (UN/ECE code).';
comment on column bi.quote_lines.unit_price is 'Price of one unit before the discount, without VAT.';
comment on column bi.quote_lines.list_price is 'Price of one unit by the price books; null if they had none.';
comment on column bi.quote_lines.discount_percent is 'Discount on the unit price, in percent.';
comment on column bi.quote_lines.effective_discount_percent is 'How far the line is below the list price, in percent.';
comment on column bi.quote_lines.vat_rate is 'VAT in percent.';
comment on column bi.quote_lines.net_amount is 'What the line costs without VAT.';
comment on column bi.quote_lines.vat_amount is 'VAT on the line.';
comment on column bi.quote_lines.status is 'Status of the quote.';
comment on column bi.quote_lines.currency is 'Currency of all amounts.';
comment on column bi.quote_lines.sent_on is 'The day the quote was sent, in Türkiye.';

create view bi.quote_acceptance with (security_invoker = true) as
select
  q.sent_on, q.department_id, q.seller_id, q.currency, count(*) as sent, count(*) filter (where q.status = 'accepted') as accepted,
  count(*) filter (where q.status = 'declined') as declined, count(*) filter (where q.status = 'expired') as expired,
  count(*) filter (where q.status = 'sent') as open, sum(q.net_amount) as sent_amount,
  coalesce(sum(q.net_amount) filter (where q.status = 'accepted'), 0) as accepted_amount,
  round(count(*) filter (where q.status = 'accepted') * 100.0 / nullif(count(*) filter (where q.status <> 'sent'), 0), 2) as acceptance_percent
from bi.quotes as q where q.counts
group by q.sent_on, q.department_id, q.seller_id, q.currency;
comment on view bi.quote_acceptance is 'How many of the quotes sent on a day were accepted, by department, seller and currency. A version that was superseded does not count.';
comment on column bi.quote_acceptance.sent_on is 'The day they were sent, in Türkiye.';
comment on column bi.quote_acceptance.department_id is 'The department that works with them.';
comment on column bi.quote_acceptance.seller_id is 'The user responsible for them.';
comment on column bi.quote_acceptance.currency is 'Currency of the amounts.';
comment on column bi.quote_acceptance.sent is 'How many were sent.';
comment on column bi.quote_acceptance.accepted is 'How many of them were accepted.';
comment on column bi.quote_acceptance.declined is 'How many of them were declined.';
comment on column bi.quote_acceptance.expired is 'How many of them expired without an answer.';
comment on column bi.quote_acceptance.open is 'How many of them still wait for an answer.';
comment on column bi.quote_acceptance.sent_amount is 'What was offered, without VAT.';
comment on column bi.quote_acceptance.accepted_amount is 'What of it was accepted, without VAT.';
comment on column bi.quote_acceptance.acceptance_percent is 'Accepted quotes in percent of those that were answered or expired; null while all are open.';
