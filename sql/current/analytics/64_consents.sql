-- What customers allowed, one row a customer, so that segments can ask for consent.email as for a field.
create view analytics.consent_now with (security_invoker = true) as
select said.customer_id,
  case when bool_or(said.status = 'ONAY') filter (where said.channel = 'email') then 'ONAY' when bool_or(said.channel = 'email') then 'RET' end as email,
  case when bool_or(said.status = 'ONAY') filter (where said.channel = 'sms') then 'ONAY' when bool_or(said.channel = 'sms') then 'RET' end as sms,
  case when bool_or(said.status = 'ONAY') filter (where said.channel = 'phone') then 'ONAY' when bool_or(said.channel = 'phone') then 'RET' end as phone,
  case when bool_or(said.status = 'ONAY') filter (where said.channel = 'social') then 'ONAY' when bool_or(said.channel = 'social') then 'RET' end as social,
  max(said.consented_at) as said_at
from (
  select distinct on (e.customer_id, e.channel, e.address_token, e.brand_id, e.recipient_type) e.customer_id, e.channel, e.consented_at,
    case when e.status = 'ONAY' and (e.valid_until <= now() or exists (
      select from crm.consent_event as r
      where r.address_token = e.address_token and r.channel = e.channel and r.status = 'RET' and r.purpose = 'marketing' and r.brand_id is null and r.consented_at >= e.consented_at))
      then 'RET' else e.status end as status
  from crm.consent_event as e
  where e.customer_id is not null and e.purpose = 'marketing'
  order by e.customer_id, e.channel, e.address_token, e.brand_id, e.recipient_type, e.consented_at desc, e.status desc, e.received_at desc, e.id desc
) as said
group by said.customer_id;
comment on view analytics.consent_now is 'Whether a customer allows marketing on a channel, by what is known of the customer: at any of its addresses, to any brand. Before each message the gate asks for its own address and brand.';
comment on column analytics.consent_now.customer_id is 'The customer.';
comment on column analytics.consent_now.email is 'ONAY (allowed) or RET (refused, or ended) for e-mail; null where nothing was said.';
comment on column analytics.consent_now.sms is 'ONAY or RET for text messages; null where nothing was said.';
comment on column analytics.consent_now.phone is 'ONAY or RET for calls; null where nothing was said.';
comment on column analytics.consent_now.social is 'ONAY or RET for social media; null where nothing was said.';
comment on column analytics.consent_now.said_at is 'When the last of it was said.';
grant select on analytics.consent_now to crm_app, crm_worker;
