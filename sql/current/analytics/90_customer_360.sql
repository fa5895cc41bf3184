-- One customer at a glance, in one statement. Everything is found by the customer's id, so that it takes the same time among a million; every part obeys the
-- policies of whoever asks, so that what a caller may not see is empty.
set local role crm_owner;

create function analytics.instant(at timestamptz) returns text language sql stable parallel safe
  return replace((at at time zone 'UTC')::text, ' ', 'T') || 'Z';
comment on function analytics.instant(timestamptz) is 'An instant within JSON, spelled as the API spells it everywhere.';

create function analytics.next_action(customer uuid, language text)
returns table (kind text, reason text, record text, record_id uuid, expected_value numeric, currency text) language sql stable as $$
  select a.kind, case language when 'tr' then a.tr else a.en end, a.record, a.record_id, a.expected_value, a.currency
  from (
    select 1 as place, 'collect' as kind, 'instalments' as record, i.id as record_id, i.open as expected_value, i.currency, i.due_on::timestamptz as due,
      format('An instalment of %s %s has been overdue since %s.', i.open, i.currency, i.due_on) as en,
      format('%s %s tutarındaki taksitin vadesi %s tarihinde geçti.', i.open, i.currency, i.due_on) as tr
    from crm.instalment as i where i.customer_id = customer and i.direction = 'in' and i.open > 0 and i.due_on < crm.business_day(now())
    union all
    select 2, 'follow_up_quote', 'quotes', q.id, q.total_amount, q.currency, q.valid_until::timestamptz,
      format('Quote %s is valid until %s and has no answer.', q.number, q.valid_until), format('%s numaralı teklif %s tarihine kadar geçerli ve yanıtlanmadı.', q.number, q.valid_until)
    from crm.quote as q where q.customer_id = customer and q.status = 'sent' and q.valid_until between crm.business_day(now()) and crm.business_day(now()) + 7
    union all
    select 3, 'move_opportunity', 'opportunities', o.id, o.amount, o.currency, o.rots_at,
      format('Opportunity "%s" has stood still for longer than its stage allows.', o.name), format('"%s" fırsatı, aşamasının izin verdiğinden uzun süredir bekliyor.', o.name)
    from crm.opportunity as o where o.customer_id = customer and o.status = 'open' and o.rots_at <= now()
    union all
    select 4, 'win_back', 'customers', customer, l.clv, l.currency, v.since,
      format('A customer of tier %s is still buying with a probability of only %s %%.', v.tier, round(100 * l.p_alive)),
      format('%s kademesindeki müşterinin hâlâ alışveriş yapıyor olma olasılığı yalnızca %% %s.', v.tier, round(100 * l.p_alive))
    from analytics.value_now as v join analytics.lifetime_now as l on l.customer_id = v.customer_id
    where v.customer_id = customer and v.is_default and v.model_department_id is null and l.p_alive < 0.5 and v.tier in (
      select b.code from crm.value_model as m join crm.pyramid_band as b on b.pyramid_id = m.pyramid_id
      where m.id = v.model_id and b.place < (select max(x.place) from crm.pyramid_band as x where x.pyramid_id = m.pyramid_id))
    union all
    select 5, 'offer', 'offers', f.item_id, f.expected_value, null, now(),
      format('Offer %s: bought with %s.', i.name, b.name), format('%s önerin: %s alanlar bunu da alıyor.', i.name, b.name)
    from crm.customer_offer as f
    join analytics.item_name as i on i.item_id = f.item_id
    join analytics.item_name as b on b.item_id = f.because_item_id
    where f.customer_id = customer and f.position = 1 and f.run_id = (
      select r.id from crm.analysis_run as r where r.kind = 'next_offer' and r.status = 'done' and r.department_id is null order by r.as_of desc, r.id desc limit 1)
  ) as a
  order by a.place, a.due, a.record_id
  limit 1
$$;
comment on function analytics.next_action(uuid, text) is
  'What to do next for a customer, by the first of these rules that applies: collect what is overdue; follow up a quote that expires within a week; move an opportunity that rots; win back a customer above the lowest tier who buys with a probability below one half; make the best offer. No row when none does.';

create function analytics.customer_360(customer uuid, language text) returns table (
  as_of timestamptz, method text, customer_record json, contacts json, purchases json, value json, rfm json, lifetime json, profit json, segments json, cell json, phase json,
  open_business json, last_contacts json, campaigns json, next_best_action json
) language sql stable as $$
  select now(), 'customer_360',
    json_build_object('id', c.id, 'kind', c.kind, 'name', c.name, 'lifecycle_phase', c.lifecycle_phase, 'locale', c.locale, 'tax_number', c.tax_number, 'website', c.website,
      'parent_id', c.parent_id, 'referred_by_id', c.referred_by_id, 'department_id', c.department_id, 'department', (select d.name from crm.department as d where d.id = c.department_id),
      'owner_id', c.owner_id, 'owner', (select u.name from crm.app_user as u where u.id = c.owner_id), 'created_at', analytics.instant(c.created_at)),
    (select coalesce(json_agg(json_build_object('id', k.id, 'name', k.name, 'job_title', k.job_title, 'points', k.points)), '[]')
     from (
       select x.id, x.name, x.job_title, (
         select coalesce(json_agg(json_build_object('kind', p.kind, 'value', p.value) order by p.id), '[]') from crm.contact_point as p where p.customer_id = x.customer_id and p.contact_id = x.id) as points
       from crm.contact as x where x.customer_id = c.id and x.active order by x.created_at, x.id limit 10) as k),
    (select coalesce(json_agg(json_build_object('currency', p.currency, 'orders', p.orders, 'revenue', p.revenue::text, 'first_at', analytics.instant(p.first_at), 'last_at', analytics.instant(p.last_at)) order by p.currency), '[]')
     from (
       select o.currency, count(*) as orders, sum(o.amount) as revenue, min(o.ordered_at) as first_at, max(o.ordered_at) as last_at
       from analytics.purchase as o where o.customer_id = c.id group by o.currency) as p),
    (select json_build_object('model', v.code, 'version', v.revision, 'as_of', analytics.instant(t.as_of), 'score', t.score, 'rank', t.rank, 'n', r.population, 'tier', t.tier,
       'since', analytics.instant(t.since), 'keys', (
         select coalesce(json_agg(json_build_object('metric', k.metric, 'label', case language when 'tr' then m.label_tr else m.label_en end, 'raw', (coalesce(t.raw, w.raw))[k.place],
           'normalised', (coalesce(t.normalised, w.normalised))[k.place], 'contribution', (coalesce(t.contribution, w.contribution))[k.place])
           order by (coalesce(t.contribution, w.contribution))[k.place] desc nulls last, k.place), '[]')
         from crm.value_run_key as k left join analytics.customer_metric as m on m.name = k.metric
         where k.run_id = t.run_id and k.place > 0))
     from crm.customer_standing as t
     join crm.value_model as v on v.id = t.model_id
     join crm.analysis_run as r on r.id = t.run_id
     left join crm.customer_value as w on w.run_id = t.run_id and w.customer_id = t.customer_id
     where t.customer_id = c.id and t.model_id = analytics.value_model(null, c.department_id, crm.business_day(now()))),
    (select json_build_object('cell', f.cell, 'group', f.rfm_group, 'recency_days', f.recency_days, 'orders', f.orders, 'revenue', f.revenue::text, 'currency', f.currency)
     from analytics.rfm_now as f where f.customer_id = c.id limit 1),
    (select json_build_object('as_of', analytics.instant(l.as_of), 'p_alive', l.p_alive, 'expected_purchases_365_days', l.expected_365_days, 'clv', l.clv::text, 'currency', l.currency)
     from analytics.lifetime_now as l where l.customer_id = c.id limit 1),
    (select json_build_object('as_of', analytics.instant(r.as_of), 'revenue', w.revenue::text, 'margin', w.margin::text, 'cost_to_serve', w.cost::text, 'profit', (w.margin - w.cost)::text,
       'currency', coalesce(r.result ->> 'currency', r.parameters ->> 'currency'))
     from crm.customer_standing as t
     join crm.analysis_run as r on r.id = t.run_id
     join crm.customer_value as w on w.run_id = t.run_id and w.customer_id = t.customer_id
     where t.customer_id = c.id and t.model_id = analytics.value_model(null, c.department_id, crm.business_day(now()))),
    (select coalesce(json_agg(json_build_object('code', s.code, 'name', s.name, 'since', analytics.instant(m.entered_at)) order by s.code), '[]')
     from crm.segment_member as m join crm.segment as s on s.id = m.segment_id where m.customer_id = c.id and m.left_at is null),
    (select json_build_object('grid', p.grid, 'band', p.band, 'group', p."group", 'strategy', p.strategy, 'owner_id', p.owner_id, 'discount_cap_percent', p.discount_cap_percent::text,
       'sla_class', p.sla_class, 'contact_cadence_days', p.contact_cadence_days, 'channel', p.channel)
     from crm.customer_policy(c.id) as p limit 1),
    (select json_build_object('phase', h.phase, 'since', analytics.instant(h.entered_at), 'reason', h.reason) from crm.customer_phase as h where h.customer_id = c.id and h.left_at is null),
    json_build_object(
      'opportunities', (
        select coalesce(json_agg(json_build_object('id', o.id, 'name', o.name, 'amount', o.amount::text, 'currency', o.currency, 'probability', o.probability::text, 'close_on', o.close_on,
          'next_step', o.next_step) order by o.close_on nulls last, o.id), '[]')
        from (select * from crm.opportunity as x where x.customer_id = c.id and x.status = 'open' order by x.close_on nulls last, x.id limit 20) as o),
      'quotes', (
        select coalesce(json_agg(json_build_object('id', q.id, 'number', q.number, 'status', q.status, 'total_amount', q.total_amount::text, 'currency', q.currency, 'valid_until', q.valid_until)
          order by q.valid_until, q.id), '[]')
        from (select * from crm.quote as x where x.customer_id = c.id and x.status in ('draft', 'awaiting_approval', 'approved', 'sent') order by x.valid_until, x.id limit 20) as q),
      'orders', (
        select coalesce(json_agg(json_build_object('id', o.id, 'number', o.number, 'status', o.status, 'amount', o.amount::text, 'currency', o.currency, 'ordered_at', analytics.instant(o.ordered_at))
          order by o.ordered_at desc, o.id), '[]')
        from (
          select * from crm.sales_order as x where x.customer_id = c.id and x.status in ('placed', 'confirmed', 'partly_shipped') order by x.ordered_at desc, x.id limit 20) as o),
      'contracts', (
        select coalesce(json_agg(json_build_object('id', k.id, 'number', k.number, 'name', k.name, 'monthly_amount', k.monthly_amount::text, 'currency', k.currency, 'renews_on', k.renews_on)
          order by k.renews_on, k.id), '[]')
        from crm.contract as k where k.customer_id = c.id and k.status = 'active'),
      'receivables', (
        select coalesce(json_agg(json_build_object('currency', i.currency, 'open', i.open::text, 'overdue', i.overdue::text) order by i.currency), '[]')
        from (
          select x.currency, sum(case x.direction when 'in' then x.open else -x.open end) as open,
            coalesce(sum(x.open) filter (where x.direction = 'in' and x.due_on < crm.business_day(now())), 0) as overdue
          from crm.instalment as x where x.customer_id = c.id and x.open > 0 group by x.currency) as i)),
    (select coalesce(json_agg(json_build_object('id', a.id, 'kind', a.kind, 'subject', a.subject, 'starts_at', analytics.instant(a.starts_at), 'status', a.status, 'outcome', a.outcome,
       'next_step', a.next_step) order by a.starts_at desc, a.id), '[]')
     from (select * from crm.activity as x where x.customer_id = c.id and x.status <> 'cancelled' order by x.starts_at desc, x.id desc limit 5) as a),
    (select coalesce(json_agg(json_build_object('campaign', t.name, 'channel', t.channel, 'touched_at', analytics.instant(t.touched_at)) order by t.touched_at desc, t.id), '[]')
     from (
       select x.id, x.channel, x.touched_at, g.name from crm.campaign_touch as x join crm.campaign as g on g.id = x.campaign_id
       where x.customer_id = c.id and not x.held_out order by x.touched_at desc, x.id desc limit 5) as t),
    (select json_build_object('kind', n.kind, 'reason', n.reason, 'record', n.record, 'record_id', n.record_id, 'expected_value', n.expected_value::text, 'currency', n.currency)
     from analytics.next_action(c.id, language) as n)
  from crm.customer as c
  where c.id = customer
$$;
comment on function analytics.customer_360(uuid, text) is
  'One customer at a glance, as far as the caller may see it: who it is, what it is worth and why, where it stands, what is open, what was last spoken about, and what to do next. No row for a customer that the caller does not see.';

grant execute on function analytics.instant(timestamptz), analytics.next_action(uuid, text), analytics.customer_360(uuid, text) to crm_app, crm_worker;
