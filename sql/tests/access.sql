-- The access matrix: every protected table × scope × row × verb, held against a model of its own (access_test.may_read, access_test.may_write).
-- Tables, areas, kinds and verbs come from crm.protection; a new table without a line in access_test.maker is reported as a failure.
-- Loaded as superuser into a database of its own, after the migrations. Then:
--   select * from access_test.failures();          -- nothing, if all is well
--   select * from access_test.survivors();         -- policies whose loss or weakening nobody would notice: none, if all is well
set client_min_messages = warning;
create schema access_test;

-- The people: the subject works in "home", which has "below" under it. "lent" and "open" share with home, for reading and for writing. "other" does not.
create table access_test.id (name text primary key, id uuid not null default gen_random_uuid());
insert into access_test.id (name) values ('home'), ('below'), ('lent'), ('open'), ('other'), ('subject'), ('colleague'), ('role'), ('bare'), ('product'), ('category'), ('warehouse'), ('rule'), ('price book'), ('merge'), ('lead'), ('run'), ('pyramid'), ('model'), ('channel account'), ('portal'), ('portal contact'), ('stranger'), ('thread'), ('privacy request');
create function access_test.id(wanted text) returns uuid language sql stable return (select i.id from access_test.id as i where i.name = wanted);

insert into crm.department (id, code, name, parent_id) values
  (access_test.id('home'), 't_home', 'home', null), (access_test.id('below'), 't_below', 'below', access_test.id('home')),
  (access_test.id('lent'), 't_lent', 'lent', null), (access_test.id('open'), 't_open', 'open', null), (access_test.id('other'), 't_other', 'other', null);
insert into crm.app_user (id, department_id, email, name) values
  (access_test.id('subject'), access_test.id('home'), 'subject@test.example', 'subject'),
  (access_test.id('colleague'), access_test.id('home'), 'colleague@test.example', 'colleague');
insert into crm.role (id, code, name, discount_cap_percent) values (access_test.id('role'), 't_role', 'role', 7), (access_test.id('bare'), 't_bare', 'bare', null);
insert into crm.user_role (user_id, role_id) values (access_test.id('subject'), access_test.id('role'));
insert into crm.role_permission (role_id, area) select access_test.id('role'), a from unnest(crm.areas()) as a;
insert into crm.share_rule (from_department_id, to_department_id, area, access)
select access_test.id('lent'), access_test.id('home'), a, 'read' from unnest(crm.areas()) as a
union all
select access_test.id('open'), access_test.id('home'), a, 'write' from unnest(crm.areas()) as a;
insert into crm.product_category (id, code, name) values (access_test.id('category'), 't_category', 'category');
insert into crm.product (id, sku, name) values (access_test.id('product'), 't_product', 'product');
insert into crm.price_book (id, code, name) values (access_test.id('price book'), 't_book', 'book');
insert into crm.warehouse (id, code, name) values (access_test.id('warehouse'), 't_warehouse', 'warehouse');
insert into crm.assignment_rule (id, name) values (access_test.id('rule'), 'rule');
insert into crm.merge (id, resource, survivor_id, merged_id, merged_name, department_id) values (access_test.id('merge'), 'customers', gen_random_uuid(), gen_random_uuid(), 'x', access_test.id('other'));

insert into crm.pipeline_snapshot (snapshot_on) values ('2100-01-01');
insert into crm.customer (id, kind, name, department_id) values (access_test.id('privacy request'), 'person', 'x', access_test.id('other'));
insert into crm.retention_rule (id, code, title_en, title_tr, relation, action, counts_from, keep_days) values (access_test.id('privacy request'), 't_rule', 'x', 'x', 'crm.x', 'delete', 'x', 1);
insert into crm.privacy_request (id, kind, channel, requester) values (access_test.id('privacy request'), 'access', 'email', 'x');
insert into crm.lead (id, name, department_id) values (access_test.id('lead'), 'lead', access_test.id('other'));
insert into crm.analysis_run (id, kind, method, as_of) values (access_test.id('run'), 'test', 'x', now());
insert into crm.pyramid (id, code, name_en, name_tr) values (access_test.id('pyramid'), 't_pyramid', 'x', 'x');
insert into crm.value_model (id, code, name_en, name_tr, pyramid_id) values (access_test.id('model'), 't_model', 'x', 'x', access_test.id('pyramid'));

-- How a row of each table is made: $1 id, $2 customer, $3 order, $4 department, $5 owner or user, $6 visibility, $7 a number never used before.
-- $1 goes into the column that tells the row from others, which is a uuid.
create table access_test.maker (relation text primary key, statement text not null, identity name not null default 'id');
insert into access_test.maker values
  ('crm.customer', 'insert into crm.customer (id, kind, name, department_id, owner_id, visibility) values ($1, ''person'', ''x'', $4, $5, $6)'),
  ('crm.contact', 'insert into crm.contact (customer_id, id, name) values ($2, $1, ''x'')'),
  ('crm.address', 'insert into crm.address (customer_id, id, city) values ($2, $1, ''x'')'),
  ('crm.contact_point', 'insert into crm.contact_point (customer_id, id, kind, value) values ($2, $1, ''other'', ''x'' || $7)'),
  ('crm.sales_order', 'insert into crm.sales_order (customer_id, id, department_id, owner_id, visibility) values ($2, $1, $4, $5, $6)'),
  ('crm.sales_order_line', 'insert into crm.sales_order_line (customer_id, id, order_id, product_id, line_number, quantity, amount) values ($2, $1, $3, access_test.id(''product''), $7, 1, 1)'),
  ('crm.lead', 'insert into crm.lead (id, name, department_id, owner_id, visibility) values ($1, ''x'', $4, $5, $6)'),
  ('crm.lead_assignment', 'insert into crm.lead_assignment (id, lead_id, reason_en, reason_tr) values ($1, $3, ''x'', ''x'')'),
  ('crm.activity', 'insert into crm.activity (id, kind, subject, department_id, owner_id, visibility) values ($1, ''note'', ''x'', $4, $5, $6)'),
  ('crm.activity_participant', 'insert into crm.activity_participant (id, activity_id, name) values ($1, $3, ''x'')'),
  ('crm.calendar_feed', 'insert into crm.calendar_feed (id, user_id, name, token_hash) values ($1, $5, ''x'', sha256($1::text::bytea))'),
  ('crm.merge', 'insert into crm.merge (id, resource, survivor_id, merged_id, merged_name, department_id, owner_id, visibility) values ($1, ''customers'', gen_random_uuid(), $1, ''x'', $4, $5, $6)'),
  ('crm.merge_row', 'insert into crm.merge_row (merge_id, relation, op, before) values (access_test.id(''merge''), ''x'', ''delete'', ''{}'')'),
  ('crm.assignment_rule', 'insert into crm.assignment_rule (id, name) values ($1, ''x'')'),
  ('crm.assignment_seller', 'insert into crm.assignment_seller (id, rule_id, user_id) values ($1, access_test.id(''rule''), access_test.id(''colleague''))'),
  ('crm.analysis_run', 'insert into crm.analysis_run (id, kind, method, as_of) values ($1, ''test'', ''x'', now())'),
  ('crm.observation_kind', 'insert into crm.observation_kind (id, code, name_en, name_tr) values ($1, ''x'' || $7, ''x'', ''x'')'),
  ('crm.customer_observation', 'insert into crm.customer_observation (customer_id, id, kind, value, department_id, owner_id, visibility) values ($2, $1, ''redemptions'', 1, $4, $5, $6)'),
  ('crm.campaign', 'insert into crm.campaign (id, code, name, assignment, starts_on, ends_on, department_id, owner_id, visibility) values ($1, ''x'' || $7, ''x'', ''chosen'', ''2026-01-01'', ''2026-01-31'', $4, $5, $6)'),
  ('crm.campaign_member', 'insert into crm.campaign_member (customer_id, id, campaign_id) values ($2, $1, md5(''campaign'' || $3::text)::uuid)'),
  ('crm.campaign_touch', 'insert into crm.campaign_touch (customer_id, id, campaign_id, channel) values ($2, $1, md5(''campaign'' || $3::text)::uuid, ''email'')'),
  ('crm.campaign_sending', 'insert into crm.campaign_sending (id, campaign_id, channel, body_text, state, finished_at, department_id, owner_id, visibility)
    values ($1, md5(''campaign'' || $3::text)::uuid, ''email'', ''x'', ''done'', now(), $4, $5, $6)'),
  ('crm.campaign_response', 'insert into crm.campaign_response (customer_id, id, campaign_id) values ($2, $1, md5(''campaign'' || $3::text)::uuid)'),
  ('crm.customer_phase', 'insert into crm.customer_phase (customer_id, id, phase, left_at, reason) values ($2, $1, ''selection'', now(), ''x'')'),
  ('crm.lead_score', 'insert into crm.lead_score (id, run_id, lead_id, probability, evidence) values ($1, access_test.id(''run''), access_test.id(''lead''), 0.5, ''[]'')'),
  ('crm.pipeline', 'insert into crm.pipeline (id, name) values ($1, ''x'')'),
  ('crm.stage', 'insert into crm.stage (id, pipeline_id, position, name, probability) select $1, p.id, 1000 + $7, ''x'', 10 from crm.pipeline as p limit 1'),
  ('crm.lost_reason', 'insert into crm.lost_reason (id, code, name_en, name_tr) values ($1, ''x'' || $7, ''x'', ''x'')'),
  ('crm.opportunity', 'insert into crm.opportunity (customer_id, id, name, department_id, owner_id, visibility) values ($2, $1, ''x'', $4, $5, $6)'),
  ('crm.opportunity_stage', 'insert into crm.opportunity_stage (customer_id, id, opportunity_id, pipeline_id, stage_id, status, entered_at, left_at, department_id, owner_id, audience)
    select $2, $1, o.id, o.pipeline_id, o.stage_id, ''open'', now(), now(), o.department_id, o.owner_id, o.audience from crm.opportunity as o where o.customer_id = $2 and o.id = $3'),
  ('crm.opportunity_line', 'insert into crm.opportunity_line (customer_id, id, opportunity_id, product_id, line_number, unit_price) values ($2, $1, $3, access_test.id(''product''), $7, 1)'),
  ('crm.pipeline_snapshot', 'insert into crm.pipeline_snapshot (snapshot_on) values (date ''2000-01-01'' + $7)'),
  ('crm.pipeline_snapshot_entry', 'insert into crm.pipeline_snapshot_entry (customer_id, id, opportunity_id, pipeline_id, stage_id, forecast_category, currency, probability, first_on, until_on, department_id, owner_id, audience)
    select $2, $1, $3, s.pipeline_id, s.id, s.forecast_category, ''TRY'', 10, date ''2100-01-01'', date ''2100-01-02'', $4, $5,
      case $6 when ''company'' then ''00000000-0000-0000-0000-000000000000'' when ''private'' then $5 else $4 end from crm.stage as s limit 1'),
  ('crm.sales_quota', 'insert into crm.sales_quota (id, user_id, month, amount) values ($1, access_test.id(''colleague''), date ''2000-01-01'' + make_interval(months => $7), 1)'),
  ('crm.contract', 'insert into crm.contract (customer_id, id, name, starts_on, department_id, owner_id, visibility) values ($2, $1, ''x'', ''2026-01-01'', $4, $5, $6)'),
  ('crm.contract_line', 'insert into crm.contract_line (customer_id, id, contract_id, product_id, line_number, unit_price) values ($2, $1, $3, access_test.id(''product''), $7, 1)'),
  ('crm.contract_renewal', 'insert into crm.contract_renewal (customer_id, id, contract_id, term_number, opportunity_id) values ($2, $1, $3, $7, $3)'),
  ('crm.opportunity_competitor', 'insert into crm.opportunity_competitor (customer_id, id, opportunity_id, name) values ($2, $1, $3, ''x'')'),
  ('crm.product', 'insert into crm.product (id, sku, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.product_category', 'insert into crm.product_category (id, code, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.location', 'insert into crm.location (id, code, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.department', 'insert into crm.department (id, code, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.app_user', 'insert into crm.app_user (id, department_id, email, name) values ($1, $4, ''x'' || $7 || ''@test.example'', ''x'')'),
  ('crm.role', 'insert into crm.role (id, code, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.role_permission', 'insert into crm.role_permission (id, role_id, area) values ($1, access_test.id(''bare''), ''sales'')'),
  ('crm.user_role', 'insert into crm.user_role (id, user_id, role_id) values ($1, access_test.id(''colleague''), access_test.id(''bare''))'),
  ('crm.share_rule', 'insert into crm.share_rule (id, from_department_id, to_department_id, area, access) values ($1, access_test.id(''other''), access_test.id(''lent''), (crm.areas())[1 + $7 % 9], ''read'')'),
  ('crm.bi_login', 'insert into crm.bi_login (id, login, department_id) values ($1, ''bi_x'' || $7, $4)'),
  ('crm.currency', 'insert into crm.currency (id, code, name_en, name_tr) values ($1, ''X'' || chr(65 + $7 / 26 % 26) || chr(65 + $7 % 26), ''x'', ''x'')'),
  ('crm.province', 'insert into crm.province (id, code, name) values ($1, lpad((82 + $7 % 18)::text, 2, ''0''), ''x'' || $7)'),
  ('crm.number_series', 'insert into crm.number_series (series, prefix) values (''x'' || $7, ''Z'' || chr(65 + $7 / 676 % 26) || chr(65 + $7 / 26 % 26) || chr(65 + $7 % 26))'),
  ('crm.unit', 'insert into crm.unit (id, code, name_en, name_tr) values ($1, ''Z'' || chr(65 + $7 / 26 % 26) || chr(65 + $7 % 26), ''x'', ''x'')'),
  ('crm.warehouse', 'insert into crm.warehouse (id, code, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.stock_level', 'with other as (insert into crm.product (sku, name) values (''level '' || $7, ''x'') returning id)
    insert into crm.stock_level (id, warehouse_id, product_id) select $1, access_test.id(''warehouse''), other.id from other'),
  ('crm.stock_movement', 'insert into crm.stock_movement (id, warehouse_id, product_id, kind, quantity)
    values ($1, access_test.id(''warehouse''), access_test.id(''product''), ''receipt'', 1)'),
  ('crm.expected_receipt', 'insert into crm.expected_receipt (id, warehouse_id, product_id, quantity, expected_on)
    values ($1, access_test.id(''warehouse''), access_test.id(''product''), 1, ''2030-01-01'')'),
  ('crm.exchange_rate', 'insert into crm.exchange_rate (id, from_currency, on_day, rate) values ($1, ''USD'', ''2000-01-01''::date + $7, 1)'),
  ('crm.price_book', 'insert into crm.price_book (id, code, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.price_rule', 'insert into crm.price_rule (id, price_book_id, minimum_quantity, kind, value) values ($1, access_test.id(''price book''), $7, ''percent'', 1)'),
  ('crm.order_line_fulfilment', 'insert into crm.order_line_fulfilment (customer_id, id, order_id, line_number, product_id, unit_code, vat_rate, tracked, ordered, shipped)
    values ($2, $1, $3, 1000000, access_test.id(''product''), ''C62'', 20, true, 1, 1)'),
  ('crm.shipment', 'insert into crm.shipment (customer_id, id, order_id, number) values ($2, $1, $3, ''x'' || $7)'),
  ('crm.shipment_line', 'insert into crm.shipment_line (customer_id, id, shipment_id, order_id, line_number, product_id, quantity)
    values ($2, $1, md5(''shipment'' || $3::text)::uuid, $3, 1000000, access_test.id(''product''), 1)'),
  ('crm.custom_field', 'insert into crm.custom_field (id, resource, name, type, label_en, label_tr) values ($1, ''customers'', ''x'' || $7, ''text'', ''x'', ''x'')'),
  ('crm.external_id', 'insert into crm.external_id (relation, system, key, row_id, area) values (''customers'', ''test'', ''x'' || $7, $1, ''customers'')'),
  ('crm.api_key', 'insert into crm.api_key (id, user_id, name, prefix, key_hash) values ($1, $5, ''x'', ''x'', sha256($1::text::bytea))'),
  ('crm.session', 'insert into crm.session (id, user_id, token_hash, expires_at) values ($1, $5, sha256($1::text::bytea), now())'),
  ('crm.idempotency_key', 'insert into crm.idempotency_key (user_id, key, method, path, fingerprint) values ($5, $1::text, ''POST'', ''/'', sha256($1::text::bytea))'),
  ('crm.user_identity', 'insert into crm.user_identity (id, user_id, issuer, subject) values ($1, $5, ''https://test.example'', $1::text)'),
  ('crm.import', 'insert into crm.import (id, user_id, department_id, resource, mapping) values ($1, $5, $4, ''customers'', ''{}'')'),
  ('crm.import_error', 'insert into crm.import_error (id, import_id, user_id, phase, row_number, code, reason_en, reason_tr)
    select $1, (select i.id from crm.import as i limit 1), $5, ''file'', 1, ''x'', ''x'', ''x'''),
  ('crm.job', 'insert into crm.job (id, kind) values ($1, ''test'')'),
  ('crm.sign_in_attempt', 'insert into crm.sign_in_attempt (email_hash) values (sha256($1::text::bytea))');

-- What pages and programs elsewhere send and are told.
insert into crm.webhook (id, name, url, is_active, department_id) values (access_test.id('product'), 'x', 'https://test.example/', false, access_test.id('other'));
insert into crm.web_form (id, code, name, fields, department_id) values (access_test.id('product'), 't_form', 'x', '[{"name": "name", "type": "text"}]', access_test.id('other'));
insert into crm.channel_account (id, code, name, channel, provider, department_id) values (md5('site')::uuid, 't_site', 'x', 'web', 'web', access_test.id('other'));
insert into crm.web_visitor (id, site_id, department_id) values (access_test.id('product'), md5('site')::uuid, access_test.id('other'));
delete from crm.change where row_id in (access_test.id('product'), md5('site')::uuid) and relation in ('webhooks', 'web_forms', 'channel_accounts');
insert into access_test.maker values
  ('crm.webhook', 'insert into crm.webhook (id, name, url, is_active, department_id, owner_id, visibility) values ($1, ''x'', ''https://test.example/'', $5 is not null, $4, $5, $6)'),
  ('crm.webhook_delivery', 'insert into crm.webhook_delivery (id, webhook_id, xid, seq, resource, record_id, op, department_id, owner_id, audience)
    values ($1, access_test.id(''product''), $7::text::xid8, 1, ''customers'', $1, ''insert'', $4, $5,
      case $6 when ''company'' then ''00000000-0000-0000-0000-000000000000'' when ''private'' then $5 else $4 end)'),
  ('crm.web_form', 'insert into crm.web_form (id, code, name, fields, department_id, owner_id, visibility) values ($1, ''x'' || $7, ''x'', ''[{"name": "name", "type": "text"}]'', $4, $5, $6)'),
  ('crm.form_submission', 'insert into crm.form_submission (id, form_id, state, answers, department_id, owner_id, audience)
    values ($1, access_test.id(''product''), ''spam'', ''{}'', $4, $5, case $6 when ''company'' then ''00000000-0000-0000-0000-000000000000'' when ''private'' then $5 else $4 end)'),
  ('crm.page_count', 'insert into crm.page_count (id, site_id, day, path) values ($1, md5(''site'')::uuid, ''2000-01-01'', ''/'' || $7)'),
  ('crm.web_visitor', 'insert into crm.web_visitor (id, site_id, department_id) values ($1, md5(''site'')::uuid, access_test.id(''other''))'),
  ('crm.web_event', 'insert into crm.web_event (id, visitor_id, session_id, at, name, path, department_id) values ($1, access_test.id(''product''), $1, now(), ''page'', ''/'', access_test.id(''other''))');
insert into access_test.maker values
  ('crm.webhook_state', 'with hook as (insert into crm.webhook (id, name, url, is_active, department_id) values ($1, ''x'', ''https://test.example/'', false, access_test.id(''other'')) returning id)
    insert into crm.webhook_state (webhook_id, secret) select hook.id, sha256(''x'') from hook', 'webhook_id');

insert into crm.company_profile (code, name, tax_number, tax_office, street, district, city) values ('t_company', 'company', '1234567890', 'x', 'x', 'x', 'x');
insert into crm.commission_plan (id, code, name, percent, valid_from) values (access_test.id('product'), 't_plan', 'plan', 1, '2000-01-01');
insert into crm.commission_settlement (id, plan_id, month) values (access_test.id('product'), access_test.id('product'), '2000-01-01');
insert into access_test.maker values
  ('crm.commission_plan', 'insert into crm.commission_plan (id, code, name, percent, valid_from) values ($1, ''x'' || $7, ''x'', 1, ''2000-01-01'')'),
  ('crm.commission_tier', 'insert into crm.commission_tier (id, plan_id, from_attainment, percent) values ($1, access_test.id(''product''), $7, 1)'),
  ('crm.commission_member', 'insert into crm.commission_member (id, plan_id, user_id, valid_from) values ($1, access_test.id(''product''), access_test.id(''subject''), ''2000-01-01'')'),
  ('crm.sales_target', 'insert into crm.sales_target (id, user_id, month, amount) values ($1, access_test.id(''subject''), ''2000-01-01''::date + make_interval(months => $7), 1)'),
  ('crm.invoice_share', 'insert into crm.invoice_share (customer_id, id, invoice_id, user_id, percent) values ($2, $1, md5($3::text)::uuid, access_test.id(''colleague''), 1)'),
  ('crm.commission_settlement', 'insert into crm.commission_settlement (id, plan_id, month) values ($1, access_test.id(''product''), ''2000-01-01''::date + make_interval(months => $7))'),
  ('crm.commission_settlement_line', 'insert into crm.commission_settlement_line (customer_id, id, settlement_id, plan_id, owner_id, invoice_id, source_id, day, currency, base_amount,
     share_percent, percent, amount, department_id, visibility)
   values ($2, $1, access_test.id(''product''), access_test.id(''product''), $5, md5($3::text)::uuid, $1, ''2026-01-01'', ''TRY'', 1, 1, 1, 1, $4, $6)'),
  ('crm.company_profile', 'insert into crm.company_profile (id, code, name, tax_number, tax_office, street, district, city) values ($1, ''x'' || $7, ''x'', ''1234567890'', ''x'', ''x'', ''x'', ''x'')'),
  ('crm.withholding_code', 'insert into crm.withholding_code (id, code, name_en, name_tr, percent, valid_from) values ($1, ''699'', ''x'', ''x'', 10, ''2000-01-01''::date + $7)'),
  ('crm.exemption_code', 'insert into crm.exemption_code (id, code, kind, name_en, name_tr, valid_from) values ($1, ''999'', ''other'', ''x'', ''x'', ''2000-01-01''::date + $7)'),
  ('crm.invoice_series', 'insert into crm.invoice_series (id, code, name) values ($1, ''Z'' || chr(65 + $7 / 26 % 26) || chr(65 + $7 % 26), ''x'')'),
  ('crm.invoice_counter', 'insert into crm.invoice_counter (id, series, year, last_number, last_issued_on, previous_on) values ($1, ''MUH'', 2000 + $7 % 7000, 1, ''2000-01-01'', ''2000-01-01'')'),
  ('crm.payment_term', 'insert into crm.payment_term (id, code, name_en, name_tr) values ($1, ''x'' || $7, ''x'', ''x'')'),
  ('crm.invoice', 'insert into crm.invoice (customer_id, id, company_id, series, department_id, owner_id, visibility)
    select $2, $1, p.id, ''MUH'', $4, $5, $6 from crm.company_profile as p where p.code = ''t_company'''),
  ('crm.invoice_line', 'insert into crm.invoice_line (customer_id, id, invoice_id, line_number, description, quantity, unit_price, vat_rate) values ($2, $1, md5($3::text)::uuid, $7, ''x'', 1, 1, 20)'),
  ('crm.instalment', 'insert into crm.instalment (customer_id, id, invoice_id, place, direction, currency, due_on, amount, department_id, owner_id, audience)
    select $2, $1, i.id, $7, ''in'', ''TRY'', ''2030-01-01'', 1, i.department_id, i.owner_id, i.audience from crm.invoice as i where i.customer_id = $2 and i.id = md5($3::text)::uuid'),
  ('crm.payment', 'insert into crm.payment (customer_id, id, currency, amount, paid_on, department_id, owner_id, visibility) values ($2, $1, ''TRY'', 1000, ''2026-01-01'', $4, $5, $6)'),
  ('crm.payment_allocation', 'insert into crm.payment_allocation (customer_id, id, instalment_id, payment_id, currency, direction, amount, allocated_on)
    select $2, $1, coalesce((select i.id from crm.instalment as i where i.customer_id = $2 and i.invoice_id = md5($3::text)::uuid), crm.missing_reference(''instalment_id'')),
      coalesce((select p.id from crm.payment as p where p.customer_id = $2 limit 1), crm.missing_reference(''payment_id'')), ''TRY'', ''in'', 0.01, ''2026-01-01'''),
  ('crm.turnover', 'insert into crm.turnover (customer_id, id, owner_id, department_id, visibility, day, currency) values ($2, $1, $5, $4, $6, ''2026-01-01'', ''TRY'')');
insert into access_test.maker values
  ('crm.e_invoice', 'insert into crm.e_invoice (customer_id, id, invoice_id, ettn, profile) values ($2, $1, md5($3::text)::uuid, $1, ''TEMELFATURA'')'),
  ('crm.simulated_integrator_document', 'insert into crm.simulated_integrator_document (id, uuid) values ($1, $1)'),
  ('crm.vat_rate', 'insert into crm.vat_rate (id, rate, valid_from) values ($1, 7, ''2000-01-01''::date + $7)');

-- Consent and what it lets through.
insert into crm.team (code, name, department_id) select 'member' || n, 'x', access_test.id('other') from generate_series(0, 1999) as n;
insert into crm.brand (id, code, name) values (access_test.id('product'), 't_brand', 'brand');
insert into crm.brand (code, name, is_active) values ('t_retired', 'retired', false);
insert into crm.consent_event (id, channel, address, status, source) values (access_test.id('product'), 'email', 'x@test.example', 'RET', 'HS_WEB');
delete from crm.change where row_id = access_test.id('product') and relation in ('brands', 'consent_events');
insert into access_test.maker values
  ('crm.address_key', 'insert into crm.address_key select k.* from crm.address_key as k where $1 is null'),
  ('crm.holiday', 'insert into crm.holiday (id, day, name, name_tr) values ($1, date ''2100-01-01'' + $7, ''x'', ''x'')'),
  ('crm.channel_preference', 'insert into crm.channel_preference (customer_id, id) values ($2, $1)'),
  ('crm.quiet_hours', 'insert into crm.quiet_hours (id, starts, ends, is_active) values ($1, ''21:00'', ''09:00'', false)'),
  ('crm.frequency_cap', 'insert into crm.frequency_cap (id, messages, hours, is_active) values ($1, 1, 1, false)'),
  ('crm.preference_link', 'insert into crm.preference_link (id, kind, token_hash, channel, address, expires_at) values ($1, ''opt_in'', sha256($1::text::bytea), ''email'', ''x@test.example'', now())'),
  ('crm.registry_transfer', 'insert into crm.registry_transfer (id, event_id, brand_id, due_at) values ($1, access_test.id(''product''), access_test.id(''product''), now())'),
  ('crm.registry_record', 'insert into crm.registry_record (id, brand_id, address_token, channel, recipient_type, status, consented_at, transaction_id, seen_at)
    values ($1, access_test.id(''product''), sha256($1::text::bytea), ''email'', ''BIREYSEL'', ''RET'', now(), ''x'', now())'),
  ('crm.registry_cursor', 'insert into crm.registry_cursor (id, brand_id) values ($1, access_test.id(''product''))'),
  ('crm.registry_batch', 'insert into crm.registry_batch (id, brand_id, request_id, records, sent_at) values ($1, access_test.id(''product''), $1::text, 1, now())'),
  ('crm.registry_reconciliation', 'insert into crm.registry_reconciliation (id, brand_id, state, finished_at) values ($1, access_test.id(''product''), ''done'', now())'),
  ('crm.consent_purpose', 'insert into crm.consent_purpose (id, code, name, name_tr) values ($1, ''x'' || $7, ''x'', ''x'')'),
  ('crm.consent_event', 'insert into crm.consent_event (id, customer_id, channel, address, status, source) values ($1, $2, ''email'', ''x@test.example'', ''RET'', ''HS_WEB'')'),
  ('crm.privacy_rule', 'insert into crm.privacy_rule (id, law, answer_days, extension_days) select $1, ''gdpr'', 1, 1 where $1 is null'),
  ('crm.privacy_request', 'insert into crm.privacy_request (id, kind, channel, requester) values ($1, ''access'', ''email'', ''x'')'),
  ('crm.privacy_step', 'insert into crm.privacy_step (id, request_id, step) values ($1, access_test.id(''privacy request''), ''x'')'),
  ('crm.legal_hold', 'insert into crm.legal_hold (id, relation, reason) values ($1, ''crm.x'', ''x'')'),
  ('crm.processing_restriction', 'insert into crm.processing_restriction (customer_id, id, kind, request_id) values (access_test.id(''privacy request''), $1, ''object'', access_test.id(''privacy request''))'),
  ('crm.data_breach', 'insert into crm.data_breach (id, title, description, learned_at) values ($1, ''x'', ''x'', now())'),
  ('crm.erasure_certificate', 'insert into crm.erasure_certificate (id, root, subject_id, erased_at, counts, kept, sums, digest) values ($1, ''lead'', $1, now(), ''{}'', ''[]'', ''{}'', ''x'')'),
  ('crm.erasure_tombstone', 'insert into crm.erasure_tombstone (id, kind, token, root, subject_id, erased_at) values (coalesce($1, gen_random_uuid()), ''record'', sha256(gen_random_uuid()::text::bytea), ''lead'', gen_random_uuid(), now())'),
  ('crm.retention_rule', 'insert into crm.retention_rule (id, code, title_en, title_tr, relation, action, counts_from, keep_days) values ($1, ''x'' || $7, ''x'', ''x'', ''crm.x'', ''delete'', ''x'', 1)'),
  ('crm.retention_run', 'insert into crm.retention_run (id, rule_id, up_to, dry_run, row_count, held_count) values ($1, access_test.id(''privacy request''), now(), true, 0, 0)'),
  ('crm.sensitive_read', 'insert into crm.sensitive_read (id, at, via, request_id, resource, fields, record_ids)
    values (coalesce($1, gen_random_uuid()), now(), ''x'', gen_random_uuid(), ''customers'', ''{x}'', array[gen_random_uuid()])'),
  ('crm.file_removal', 'insert into crm.file_removal (id, digest) values (coalesce($1, gen_random_uuid()), encode(sha256(''x''), ''hex''))'),
  ('crm.suppression', 'insert into crm.suppression (id, channel, address_token, reason) values ($1, ''email'', sha256($1::text::bytea), ''manual'')'),
  ('crm.outbound_message', 'insert into crm.outbound_message (customer_id, id, channel, address, legal_class, department_id, owner_id, visibility)
    values ($2, $1, ''email'', ''x@test.example'', ''transactional'', $4, $5, $6)'),
  ('crm.message_refusal', 'insert into crm.message_refusal (customer_id, id, message_id, channel, legal_class, purpose, stage, reason, refused_at, department_id, owner_id, visibility)
    values ($2, $1, $1, ''email'', ''commercial'', ''marketing'', ''queueing'', ''no_consent'', now(), $4, $5, $6)');

insert into crm.segment (id, code, name, kind) values (access_test.id('product'), 't_segment', 'segment', 'static');
insert into crm.grid (id, code, name, bands, groups) values (access_test.id('product'), 't_grid', 'grid', '{}', '{}');
insert into crm.grid_cell (id, grid_id, band, "group") values (access_test.id('product'), access_test.id('product'), 'band', 'group');
insert into crm.customer (id, kind, name, department_id) select access_test.id('product'), 'person', 'member', d.id from crm.department as d limit 1;
delete from crm.change where row_id = access_test.id('product') and relation = 'customers';
insert into access_test.maker values
  ('crm.segment', 'insert into crm.segment (id, code, name, kind) values ($1, ''x'' || $7, ''x'', ''static'')'),
  ('crm.segment_member', 'insert into crm.segment_member (id, segment_id, customer_id, entered_at, left_at, reason, left_reason)
    values ($1, access_test.id(''product''), access_test.id(''product''), now(), now(), ''x'', ''x'')'),
  ('crm.grid', 'insert into crm.grid (id, code, name, bands, groups) values ($1, ''x'' || $7, ''x'', ''{}'', ''{}'')'),
  ('crm.grid_cell', 'insert into crm.grid_cell (id, grid_id, band, "group") values ($1, access_test.id(''product''), ''x'' || $7, ''x'')'),
  ('crm.customer_cell', 'insert into crm.customer_cell (id, grid_id, cell_id, customer_id, entered_at, left_at)
    values ($1, access_test.id(''product''), access_test.id(''product''), access_test.id(''product''), now(), now())'),
  ('crm.change_follower', 'insert into crm.change_follower (id, name, xid) values ($1, ''x'' || $7, ''1'')');

insert into access_test.maker values
  ('crm.quote', 'insert into crm.quote (customer_id, id, number, valid_until, department_id, owner_id, visibility) values ($2, $1, $1::text, ''2030-01-01'', $4, $5, $6)'),
  ('crm.quote_line', 'insert into crm.quote_line (customer_id, id, quote_id, line_number, product_id, description, quantity, unit_code, unit_price, vat_rate)
    values ($2, $1, md5(''quote'' || $3::text)::uuid, $7, access_test.id(''product''), ''x'', 1, ''C62'', 1, 20)'),
  ('crm.quote_seal', 'insert into crm.quote_seal (customer_id, id, quote_id, digest) values ($2, $1, md5(''quote'' || $3::text)::uuid, $1::text)'),
  ('crm.quote_approval', 'insert into crm.quote_approval (customer_id, id, quote_id, discount_percent, requested_by)
    values ($2, $1, md5(''quote'' || $3::text)::uuid, 1, access_test.id(''subject''))'),
  ('crm.quote_answer', 'insert into crm.quote_answer (customer_id, id, quote_id, answer, name, via) values ($2, $1, md5(''quote'' || $3::text)::uuid, ''accepted'', ''x'', ''link'')');

insert into access_test.maker values
  ('crm.pyramid', 'insert into crm.pyramid (id, code, name_en, name_tr) values ($1, ''x'' || $7, ''x'', ''x'')'),
  ('crm.pyramid_band', 'insert into crm.pyramid_band (id, pyramid_id, place, code, name_en, name_tr, bound)
    values ($1, access_test.id(''pyramid''), 1 + $7 % 20, ''x'' || $7, ''x'', ''x'', 50)'),
  ('crm.value_model', 'insert into crm.value_model (id, code, name_en, name_tr, pyramid_id) values ($1, ''x'' || $7, ''x'', ''x'', access_test.id(''pyramid''))'),
  ('crm.value_key', 'insert into crm.value_key (id, model_id, place, metric, coefficient, direction) values ($1, access_test.id(''model''), 1 + $7 % 20, ''orders'', 1, ''higher'')'),
  ('crm.service_rate', 'insert into crm.service_rate (id, kind, amount, valid_from) values ($1, ''x'', 1, ''2000-01-01''::date + $7)');
-- Results, which are told from others by their run or their customer.
insert into access_test.maker values
  ('crm.customer_value', 'insert into crm.customer_value (run_id, customer_id, score, rank, tier, raw, normalised, contribution, orders, revenue, margin, cost)
    values (access_test.id(''run''), $1, 50, 1, ''x'', ''{1}'', ''{1}'', ''{1}'', 1, 1, 1, 1)', 'customer_id'),
  ('crm.customer_standing', 'insert into crm.customer_standing (customer_id, model_id, run_id, score, rank, tier, since, as_of)
    values ($1, access_test.id(''model''), access_test.id(''run''), 50, 1, ''x'', now(), now())', 'customer_id'),
  ('crm.customer_tier_history', 'insert into crm.customer_tier_history (customer_id, model_id, valid_from, tier, run_id)
    values ($1, access_test.id(''model''), now(), ''x'', access_test.id(''run''))', 'customer_id'),
  ('crm.value_run_key', 'insert into crm.value_run_key (run_id, place, metric, coefficient, normalisation, direction, missing, measured)
    select access_test.id(''run''), $7, ''orders'', 1, ''percent_rank'', ''higher'', ''zero'', 1 where $1 is not null', 'run_id'),
  ('crm.value_scale', 'insert into crm.value_scale (run_id, place, first, points, below) select access_test.id(''run''), $7, 1, ''{1}'', ''{0}'' where $1 is not null', 'run_id'),
  ('crm.value_run_tier', 'insert into crm.value_run_tier (run_id, place, tier, customers, revenue, margin, cost)
    select access_test.id(''run''), 1, ''x'' || $7, 1, 1, 1, 1 where $1 is not null', 'run_id'),
  ('crm.customer_lifetime', 'insert into crm.customer_lifetime (run_id, customer_id, frequency, recency_days, age_days, p_alive, expected_purchases, expected_30_days, expected_90_days,
     expected_180_days, expected_365_days, currency) values (access_test.id(''run''), $1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ''TRY'')', 'customer_id'),
  ('crm.survival_point', 'insert into crm.survival_point (run_id, group_key, day, at_risk, ended, censored, survival, lower, upper)
    select access_test.id(''run''), '''', $7, 1, 1, 0, 0.5, 0.4, 0.6 where $1 is not null', 'run_id'),
  ('crm.customer_rfm', 'insert into crm.customer_rfm (run_id, customer_id, last_purchase_at, recency_days, orders, revenue, currency, recency_score, frequency_score, monetary_score,
     cell, rfm_group) values (access_test.id(''run''), $1, now(), 1, 1, 1, ''TRY'', 1, 1, 1, 111, ''lost'')', 'customer_id'),
  ('crm.association_item', 'insert into crm.association_item (run_id, item_id, baskets, revenue, revenue_without_cost) values (access_test.id(''run''), $1, 1, 1, 0)', 'item_id'),
  ('crm.association_rule', 'insert into crm.association_rule (run_id, position, antecedent, consequent, antecedent_count, consequent_count, both_count, support, confidence, lift,
     leverage) select access_test.id(''run''), $7, array[$1], array[$1], 1, 1, 1, 1, 1, 1, 0', 'run_id'),
  ('crm.customer_offer', 'insert into crm.customer_offer (run_id, customer_id, position, item_id, because_item_id, confidence, lift, margin, score, expected_value)
    values (access_test.id(''run''), $1, 1, $1, $1, 1, 1, 1, 1, 1)', 'customer_id');

-- Conversations and what hangs on them. The account is made with the system's own context, like the fixture's other reference data.
insert into crm.channel_account (id, code, name, channel, provider, address, department_id)
values (access_test.id('channel account'), 't_conversations', 'conversations', 'email', 'smtp_imap', 'conversations@test.example', access_test.id('other'));
insert into access_test.maker values
  ('crm.conversation', 'insert into crm.conversation (customer_id, id, channel, department_id, owner_id, visibility) values ($2, $1, ''email'', $4, $5, $6)'),
  ('crm.interaction', 'insert into crm.interaction (customer_id, id, channel, direction, department_id, owner_id, visibility) values ($2, $1, ''email'', ''in'', $4, $5, $6)'),
  ('crm.internal_note', 'insert into crm.internal_note (customer_id, id, conversation_id, text) values ($2, $1, md5(''conversation'' || $3::text)::uuid, ''x'')');
insert into access_test.maker values
  ('crm.sign_of_life', 'insert into crm.sign_of_life (user_id, heard_at) values ($1, now())', 'user_id'),
  ('crm.interaction_key', 'insert into crm.interaction_key (channel_account_id, external_id, customer_id, interaction_id, occurred_at)
    values ($1, $1::text, $1, $1, now())', 'channel_account_id');

-- Accounts and what goes through them.
insert into access_test.maker values
  ('crm.brand', 'insert into crm.brand (id, code, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.channel_account', 'insert into crm.channel_account (id, code, name, channel, provider, department_id) values ($1, ''x'' || $7, ''x'', ''letter'', ''manual'', access_test.id(''other''))');
insert into access_test.maker values
  ('crm.channel_state', 'insert into crm.channel_state (channel_account_id) values ($1)', 'channel_account_id'),
  ('crm.received_message', 'insert into crm.received_message (channel_account_id, external_id, digest, size, interaction_id)
    values (access_test.id(''channel account''), $1::text, repeat(''0'', 64), 1, $1)', 'interaction_id'),
  ('crm.delivery_report', 'insert into crm.delivery_report (channel_account_id, event_id, message_id, outcome, reported_at)
    values (access_test.id(''channel account''), $1::text, $1, ''delivered'', now())', 'message_id');

insert into crm.customer (id, kind, name, department_id) values (access_test.id('thread'), 'person', 'thread', access_test.id('other'));
insert into crm.conversation (customer_id, id, channel, department_id) values (access_test.id('thread'), access_test.id('thread'), 'email', access_test.id('other'));
insert into access_test.maker values
  ('crm.attachment', 'insert into crm.attachment (customer_id, id, conversation_id, name, media_type, size, sha256)
    values ($2, $1, md5(''conversation'' || $3::text)::uuid, ''x'', ''text/plain'', 1, repeat(''0'', 64))'),
  ('crm.notice', 'insert into crm.notice (id, user_id, kind, text_en, text_tr) values ($1, $5, ''test'', ''x'', ''x'')'),
  ('crm.notice_digest', 'insert into crm.notice_digest (id, user_id, address, subject, body_text, notices) values ($1, $5, ''x'', ''x'', ''x'', 1)'),
  ('crm.conversation_reader', 'insert into crm.conversation_reader (customer_id, id, conversation_id, user_id)
    values (access_test.id(''thread''), $1, access_test.id(''thread''), $5)'),
  ('crm.draft', 'insert into crm.draft (customer_id, id, conversation_id, user_id) values (access_test.id(''thread''), $1, access_test.id(''thread''), $5)'),
  ('crm.inbox_view', 'insert into crm.inbox_view (id, name, query, department_id, owner_id, visibility) values ($1, ''x'', '''', $4, $5, $6)');
insert into access_test.maker values
  ('crm.conversation_presence', 'insert into crm.conversation_presence (conversation_id, user_id, activity, since, until)
    values ($1, access_test.id(''colleague''), ''reading'', now(), now())', 'conversation_id');

insert into crm.survey (id, code, name, kind, title_en, title_tr) values (access_test.id('product'), 't_survey', 'x', 'form', 'x', 'x');
insert into access_test.maker values
  ('crm.survey', 'insert into crm.survey (id, code, name, kind, title_en, title_tr) values ($1, ''x'' || $7, ''x'', ''form'', ''x'', ''x'')'),
  ('crm.survey_question', 'insert into crm.survey_question (id, survey_id, place, code, kind, text_en, text_tr) values ($1, access_test.id(''product''), 1 + $7 % 50, ''x'' || $7, ''text'', ''x'', ''x'')'),
  ('crm.survey_invitation', 'insert into crm.survey_invitation (customer_id, id, survey_id, event_id, department_id, owner_id, visibility) values ($2, $1, access_test.id(''product''), $1, $4, $5, $6)'),
  ('crm.survey_response', 'insert into crm.survey_response (customer_id, id, survey_id, invitation_id, kind, department_id, owner_id, visibility)
    values ($2, $1, access_test.id(''product''), md5(''invitation'' || $3::text)::uuid, ''form'', $4, $5, $6)');

-- Service.
insert into access_test.id (name) values ('calendar'), ('team'), ('policy');
insert into crm.business_calendar (id, code, name, covers_from, covers_until) values (access_test.id('calendar'), 't_calendar', 'x', '2026-01-01', '2026-01-31');
insert into crm.team (id, code, name, department_id) values (access_test.id('team'), 't_team', 'x', access_test.id('other'));
insert into crm.app_user (department_id, email, name) select access_test.id('other'), 'presence' || n || '@test.example', 'x' from generate_series(1, 100) as n;
insert into crm.sla_policy (id, code, name) values (access_test.id('policy'), 't_policy', 'x');
insert into access_test.maker values
  ('crm.business_calendar', 'insert into crm.business_calendar (id, code, name, covers_from, covers_until) values ($1, ''x'' || $7, ''x'', ''2026-01-01'', ''2026-01-31'')'),
  ('crm.business_interval', 'insert into crm.business_interval (id, calendar_id, day, opens, closes) values ($1, access_test.id(''calendar''), date ''2100-01-01'' + $7, ''09:00'', ''10:00'')'),
  ('crm.calendar_exception', 'insert into crm.calendar_exception (id, calendar_id, day, name) values ($1, access_test.id(''calendar''), date ''2100-01-01'' + $7, ''x'')'),
  ('crm.team', 'insert into crm.team (id, code, name, department_id) values ($1, ''x'' || $7, ''x'', access_test.id(''other''))'),
  ('crm.team_member', 'insert into crm.team_member (id, team_id, user_id) select $1, t.id, access_test.id(''colleague'') from crm.team as t where t.code = ''member'' || $7 % 2000'),
  ('crm.agent_skill', 'insert into crm.agent_skill (id, user_id, skill) values ($1, access_test.id(''colleague''), ''x'' || $7)'),
  ('crm.presence', 'insert into crm.presence (id, user_id) select $1, u.id from crm.app_user as u
    where u.email ^@ ''presence'' and not exists (select from crm.presence as p where p.user_id = u.id) limit 1'),
  ('crm.absence', 'insert into crm.absence (id, user_id, starts_at, ends_at) values ($1, access_test.id(''colleague''), ''2000-01-01'', ''2000-01-02'')'),
  ('crm.sla_policy', 'insert into crm.sla_policy (id, code, name, active) values ($1, ''x'' || $7, ''x'', false)'),
  ('crm.escalation_step', 'insert into crm.escalation_step (id, policy_id, clock, at_percent, action) values ($1, access_test.id(''policy''), ''resolution'', 1 + $7 % 1000, ''raise_priority'')'),
  ('crm.routing_rule', 'insert into crm.routing_rule (id, name, team_id, active) values ($1, ''x'', access_test.id(''team''), false)'),
  ('crm.macro', 'insert into crm.macro (id, code, name) values ($1, ''x'' || $7, ''x'')'),
  ('crm.ticket', 'insert into crm.ticket (customer_id, id, subject, status, department_id, owner_id, visibility) values ($2, $1, ''x'', ''open'', $4, $5, $6)'),
  ('crm.ticket_stay', 'insert into crm.ticket_stay (customer_id, id, ticket_id, status, starts_at, ends_at, department_id, owner_id, audience)
    select $2, $1, t.id, ''open'', now(), now(), t.department_id, t.owner_id, t.audience from crm.ticket as t where t.customer_id = $2 and t.id = md5(''ticket'' || $3::text)::uuid'),
  ('crm.ticket_clock', 'insert into crm.ticket_clock (customer_id, id, ticket_id, kind, cycle, started_at, department_id, owner_id, audience)
    select $2, $1, t.id, ''next_response'', $7, now(), t.department_id, t.owner_id, t.audience from crm.ticket as t where t.customer_id = $2 and t.id = md5(''ticket'' || $3::text)::uuid'),
  ('crm.sla_event', 'insert into crm.sla_event (customer_id, id, ticket_id, clock_id, kind, clock, at, department_id, owner_id, audience)
    select $2, $1, t.id, k.id, ''warning'', k.kind, now(), t.department_id, t.owner_id, t.audience
    from crm.ticket as t join crm.ticket_clock as k on k.customer_id = t.customer_id and k.ticket_id = t.id and k.kind = ''resolution''
    where t.customer_id = $2 and t.id = md5(''ticket'' || $3::text)::uuid'),
  ('crm.routing_decision', 'insert into crm.routing_decision (customer_id, id, ticket_id, cause, reason_en, reason_tr, department_id, owner_id, audience)
    select $2, $1, t.id, ''asked'', ''x'', ''x'', t.department_id, t.owner_id, t.audience from crm.ticket as t where t.customer_id = $2 and t.id = md5(''ticket'' || $3::text)::uuid'),
  ('crm.ticket_time', 'insert into crm.ticket_time (customer_id, id, ticket_id, user_id, seconds) values ($2, $1, md5(''ticket'' || $3::text)::uuid, access_test.id(''colleague''), 60)');
insert into access_test.maker values
  ('crm.calendar_span', 'insert into crm.calendar_span (calendar_id, starts_at, ends_at, before)
    select access_test.id(''calendar''), timestamptz ''1900-01-01'' + make_interval(days => $7), timestamptz ''1900-01-01 01:00'' + make_interval(days => $7), -$7 where $1 is not null', 'calendar_id');

insert into access_test.maker values
  ('crm.comment', 'insert into crm.comment (id, resource, record_id, author_id, text) values ($1, ''customers'', $1, access_test.id(''subject''), ''x'')'),
  ('crm.record_share', 'insert into crm.record_share (id, resource, record_id, area, user_id, reason)
    values ($1, ''customers'', $1, ''customers'', access_test.id(''colleague''), ''x'')');
insert into access_test.maker values
  ('crm.portal_access', 'insert into crm.portal_access (customer_id, id) values ($2, $1)'),
  ('crm.portal_session', 'insert into crm.portal_session (customer_id, id, access_id, token_hash, expires_at)
    values (access_test.id(''stranger''), $1, access_test.id(''portal''), sha256($1::text::bytea), now())');

insert into crm.article (id, slug, readers) values (access_test.id('product'), 't-article', 'public'), (access_test.id('rule'), 't-customers', 'customers'), (access_test.id('lead'), 't-internal', 'internal');
insert into crm.article_version (id, article_id, title, body, state, published_at) values
  (access_test.id('product'), access_test.id('product'), 'x', 'x', 'published', now()), (access_test.id('rule'), access_test.id('rule'), 'x', 'x', 'published', now()),
  (access_test.id('lead'), access_test.id('lead'), 'x', 'x', 'published', now());
insert into crm.article_version (article_id, title, body) values (access_test.id('product'), 'x', 'x');
insert into access_test.maker values
  ('crm.article', 'insert into crm.article (id, slug) values ($1, ''x'' || $7)'),
  ('crm.article_version', 'insert into crm.article_version (id, article_id, title, body) values ($1, access_test.id(''product''), ''x'', ''x'')'),
  ('crm.article_feedback', 'insert into crm.article_feedback (id, article_id, version_id, helpful) values ($1, access_test.id(''product''), access_test.id(''product''), true)'),
  ('crm.canned_answer', 'insert into crm.canned_answer (id, code, title, body) values ($1, ''x'' || $7, ''x'', ''x'')');

create sequence access_test.number;
create function access_test.make(relation text, new_id uuid, customer uuid, "order" uuid, department uuid, owner uuid, visibility text) returns void language plpgsql as $$
declare
  statement text := (select m.statement from access_test.maker as m where m.relation = make.relation);
begin
  execute statement using new_id, customer, "order", department, owner, visibility, nextval('access_test.number')::integer;
end
$$;

insert into crm.customer (id, kind, name, department_id) values (access_test.id('stranger'), 'person', 'stranger', access_test.id('other'));
insert into crm.portal_access (customer_id, id) values (access_test.id('stranger'), access_test.id('portal'));

-- One row of each owned table for every department × visibility × owner.
create table access_test.row (
  relation text not null, row_id uuid not null, customer_id uuid, order_id uuid, department text not null, owner text, visibility text not null);
do $$
declare
  place record;
  customer uuid;
  "order" uuid;
  table_name text;
  new_id uuid;
begin
  -- Functions that look past the policies ask what the caller may see: here it is the system.
  perform set_config('muhatap.read_' || a, '*', true), set_config('muhatap.write_' || a, '*', true) from unnest(crm.areas()) as a;
  for place in
    select d as department, o as owner, v as visibility
    from unnest(array['home', 'below', 'lent', 'open', 'other']) as d cross join unnest(array['subject', 'colleague', null]) as o
    cross join unnest(array['company', 'department', 'private']) as v where v <> 'private' or o is not null
  loop
    customer := gen_random_uuid();
    "order" := gen_random_uuid();
    foreach table_name in array array['crm.customer', 'crm.contact', 'crm.address', 'crm.contact_point', 'crm.lead', 'crm.lead_assignment',
      'crm.activity', 'crm.activity_participant', 'crm.merge', 'crm.consent_event', 'crm.outbound_message', 'crm.message_refusal', 'crm.channel_preference',
      'crm.sales_order', 'crm.sales_order_line', 'crm.order_line_fulfilment', 'crm.shipment', 'crm.shipment_line',
      'crm.opportunity', 'crm.opportunity_stage', 'crm.opportunity_line', 'crm.opportunity_competitor', 'crm.pipeline_snapshot_entry',
      'crm.contract', 'crm.contract_line', 'crm.contract_renewal',
      'crm.quote', 'crm.quote_line', 'crm.quote_seal', 'crm.quote_approval', 'crm.quote_answer',
      'crm.invoice', 'crm.invoice_line', 'crm.instalment', 'crm.payment', 'crm.payment_allocation', 'crm.turnover',
      'crm.e_invoice', 'crm.invoice_share', 'crm.commission_settlement_line',
      'crm.customer_observation', 'crm.campaign', 'crm.campaign_member', 'crm.campaign_touch', 'crm.campaign_response', 'crm.campaign_sending', 'crm.customer_phase',
      'crm.conversation', 'crm.interaction', 'crm.internal_note', 'crm.attachment', 'crm.inbox_view',
      'crm.survey_invitation', 'crm.survey_response', 'crm.portal_access',
      'crm.ticket', 'crm.ticket_stay', 'crm.ticket_clock', 'crm.sla_event', 'crm.routing_decision', 'crm.ticket_time',
      'crm.webhook', 'crm.webhook_delivery', 'crm.web_form', 'crm.form_submission'] loop
      -- Whatever has parts has the order's id, so that its parts find it.
      new_id := case when table_name = 'crm.customer' then customer when table_name in ('crm.sales_order', 'crm.opportunity', 'crm.lead', 'crm.activity', 'crm.contract') then "order"
        when table_name = 'crm.invoice' then md5("order"::text)::uuid
        when table_name = 'crm.conversation' then md5('conversation' || "order"::text)::uuid
        when table_name = 'crm.survey_invitation' then md5('invitation' || "order"::text)::uuid
        when table_name = 'crm.campaign' then md5('campaign' || "order"::text)::uuid
        when table_name = 'crm.ticket' then md5('ticket' || "order"::text)::uuid
        when table_name = 'crm.shipment' then md5('shipment' || "order"::text)::uuid
        when table_name = 'crm.quote' then md5('quote' || "order"::text)::uuid else gen_random_uuid() end;
      if table_name = 'crm.order_line_fulfilment' then
        insert into crm.sales_order_line (customer_id, order_id, product_id, line_number, quantity, amount) values (customer, "order", access_test.id('product'), 1000000, 1, 1);
      end if;
      perform access_test.make(table_name, new_id, customer, "order", access_test.id(place.department), access_test.id(place.owner), place.visibility);
      insert into access_test.row values (table_name, new_id, customer, "order", place.department, place.owner, place.visibility);
    end loop;
  end loop;
  perform access_test.make(m.relation, gen_random_uuid(), null, null, access_test.id('other'), access_test.id(o), null)
  from access_test.maker as m join crm.protection as p using (relation) cross join unnest(array['subject', 'colleague']) as o
  where p.kind = 'personal' or (p.kind <> 'owned' and o = 'subject') order by m.relation;
end
$$;

-- The model ------------------------------------------------------------------------------------------------------------------------

create function access_test.may_read(scope text, department text, visibility text, owner text) returns boolean language sql immutable return
  case
    when scope = 'none' then false
    when coalesce(owner = 'subject', false) then true
    when scope = 'own' or visibility = 'private' then false
    when visibility = 'company' then true
    when scope = 'department' then department in ('home', 'below')
    when scope = 'shared' then department in ('home', 'below', 'lent', 'open')
    else true
  end;
create function access_test.may_write(scope text, department text, owner text) returns boolean language sql immutable return
  case
    when scope = 'none' then false
    when coalesce(owner = 'subject', false) then true
    when scope = 'own' then false
    when scope = 'department' then department in ('home', 'below')
    when scope = 'shared' then department in ('home', 'below', 'open')
    else true
  end;

-- Acting ---------------------------------------------------------------------------------------------------------------------------

-- Makes the rest of this transaction the subject's, with these scopes in one area and none elsewhere; the reach is what the gateway would be told.
create function access_test.become(in_area text, read_scope text, write_scope text) returns void language plpgsql as $$
declare
  reach record;
begin
  update crm.role_permission as p set
    read_scope = case when p.area = in_area then become.read_scope else 'none' end, write_scope = case when p.area = in_area then become.write_scope else 'none' end
  where p.role_id = access_test.id('role');
  perform set_config('muhatap.read_' || a, '', true), set_config('muhatap.write_' || a, '', true) from unnest(crm.areas()) as a;
  perform set_config('muhatap.caller', access_test.id('subject')::text, true);
  perform set_config('role', 'crm_app', true);
  for reach in select * from crm.access_of(nullif(current_setting('muhatap.caller'), '')::uuid) loop
    perform set_config('muhatap.read_' || reach.area, array_to_string(reach.readable, ','), true);
    perform set_config('muhatap.write_' || reach.area, array_to_string(reach.writable, ','), true);
  end loop;
  perform set_config('role', 'none', true);
end
$$;

-- Whether a statement, run as a role and undone at once, does anything: false if it is refused or touches no row.
create function access_test.works(statement text, one uuid default null) returns boolean language plpgsql as $$
declare
  touched bigint;
begin
  begin
    perform set_config('role', 'crm_app', true);
    execute statement using one;
    get diagnostics touched = row_count;
    raise exception using errcode = 'TEST1', message = case when touched > 0 then 'yes' else 'no' end;
  exception
    when sqlstate 'TEST1' then return sqlerrm = 'yes';
    when insufficient_privilege or sqlstate 'CR001' then return false;
    when foreign_key_violation then return true;  -- the row itself could be changed; something still refers to it
  end;
end
$$;

create function access_test.makes(relation text, at_row access_test.row, owner uuid default null) returns boolean language plpgsql as $$
begin
  begin
    perform set_config('role', 'crm_app', true);
    perform access_test.make(relation, gen_random_uuid(), at_row.customer_id, at_row.order_id, access_test.id(at_row.department),
      coalesce(owner, access_test.id(at_row.owner)), at_row.visibility);
    raise exception using errcode = 'TEST1';
  exception
    when sqlstate 'TEST1' then return true;
    when insufficient_privilege or sqlstate 'CR001' then return false;
    when unique_violation then return true;  -- policies are asked first
  end;
end
$$;
grant usage on schema access_test to crm_app, bi_reader;
grant select on all tables in schema access_test to crm_app;
grant usage on sequence access_test.number to crm_app;
grant execute on all functions in schema access_test to crm_app;

create function access_test.identity(relation text) returns name language sql stable return (select m.identity from access_test.maker as m where m.relation = identity.relation);

-- A column that every row has.
create function access_test.a_column(relation text) returns name language sql stable return (
  select a.attname from pg_attribute as a where a.attrelid = relation::regclass and a.attnum > 0 and a.attnotnull and not a.attisdropped order by a.attnum limit 1);

-- Set while mutations are tried: a few scopes and rows of the matrix are enough to notice one.
create function access_test.quick() returns boolean language sql stable return coalesce(current_setting('access_test.quick', true) = 'on', false);

-- How many rows a statement without WHERE touches, undone at once: it asks no SELECT policy, so it shows UPDATE and DELETE policies alone.
create function access_test.touches(statement text) returns bigint language plpgsql as $$
declare
  touched bigint;
begin
  begin
    perform set_config('role', 'crm_app', true);
    execute statement;
    get diagnostics touched = row_count;
    raise exception using errcode = 'TEST1', message = touched;
  exception
    when sqlstate 'TEST1' then return sqlerrm::bigint;
    when insufficient_privilege then return 0;
  end;
end
$$;

create function access_test.a_default(relation text) returns name language sql stable return (
  select a.attname from pg_attribute as a
  where a.attrelid = relation::regclass and a.atthasdef and a.attgenerated = '' and not a.attisdropped order by a.atttypid <> 'timestamptz'::regtype, a.attnum limit 1);

-- An update that reads nothing: a column becomes its default or, where none has one, some other id.
create function access_test.blind_update(relation text) returns text language sql stable return
  case when access_test.a_default(relation) is null then format('update %s set %I = gen_random_uuid()', relation, access_test.a_column(relation))
    else format('update %s set %I = default', relation, coalesce(access_test.a_default(relation), 'id')) end;

create type access_test.failure as (relation text, who text, verb text, what text, expected boolean, actual boolean);

-- The tables of one kind each ---------------------------------------------------------------------------------------------------------

create function access_test.owned_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  scopes record;
  r access_test.row;
  seen uuid[];
  verb text;
  expected boolean;
  actual boolean;
  who text;
begin
  for scopes in
    select 'none' as reads, 'none' as writes union all select s, 'none' from unnest(array['own', 'department', 'shared', 'all']) as s
    union all select 'all', s from unnest(array['own', 'department', 'shared', 'all']) as s union all values ('own', 'own'), ('own', 'all'), ('department', 'own')
  loop
    continue when access_test.quick() and (scopes.reads, scopes.writes) not in (('none', 'none'), ('own', 'own'), ('all', 'none'), ('all', 'department'));
    perform access_test.become(p.area, scopes.reads, scopes.writes);
    who := format('reads %s, writes %s', scopes.reads, scopes.writes);
    perform set_config('role', 'crm_app', true);
    execute format('select array_agg(%I) from %s', access_test.identity(p.relation), p.relation) into seen;
    perform set_config('role', 'none', true);
    for r in select * from access_test.row as x where x.relation = p.relation and (x.department in ('home', 'other') or not access_test.quick()) loop
      expected := access_test.may_read(scopes.reads, r.department, r.visibility, r.owner);
      actual := coalesce(r.row_id = any (seen), false);
      if actual <> expected then
        return next row (p.relation, who, 'select', concat_ws(' ', r.department, r.visibility, r.owner), expected, actual)::access_test.failure;
      end if;
      foreach verb in array array['insert', 'update', 'delete'] loop
        continue when verb <> all (p.verbs);
        if verb = 'insert' then
          -- What hangs on another row can only be added where that row is seen.
          expected := access_test.may_write(scopes.writes, r.department, r.owner)
            and (p.relation in ('crm.customer', 'crm.sales_order', 'crm.opportunity', 'crm.lead', 'crm.activity', 'crm.pipeline_snapshot_entry', 'crm.contract', 'crm.quote', 'crm.invoice', 'crm.payment', 'crm.commission_settlement_line', 'crm.customer_observation', 'crm.survey_invitation', 'crm.survey_response', 'crm.campaign', 'crm.campaign_sending', 'crm.conversation', 'crm.interaction', 'crm.inbox_view', 'crm.ticket', 'crm.ticket_stay', 'crm.ticket_clock', 'crm.sla_event', 'crm.routing_decision', 'crm.webhook', 'crm.webhook_delivery', 'crm.web_form', 'crm.form_submission') or access_test.may_read(scopes.reads, r.department, r.visibility, r.owner));
          actual := access_test.makes(p.relation, r);
        else
          expected := access_test.may_read(scopes.reads, r.department, r.visibility, r.owner) and access_test.may_write(scopes.writes, r.department, r.owner);
          actual := access_test.works(case verb when 'update' then format('update %s set updated_at = now() where %I = $1', p.relation, access_test.identity(p.relation))
            else format('delete from %s where %I = $1', p.relation, access_test.identity(p.relation)) end, r.row_id);
        end if;
        if actual <> expected then
          return next row (p.relation, who, verb, concat_ws(' ', r.department, r.visibility, r.owner), expected, actual)::access_test.failure;
        end if;
      end loop;
    end loop;
  end loop;
  -- A row shared with the subject is read by whoever reads anything in its area, and written when it is shared for that: by the setting, by nobody else.
  for r in select * from access_test.row as x where x.relation = p.relation and x.department = 'other' and x.owner = 'colleague' and x.visibility = 'private' loop
    continue when access_test.identity(p.relation) <> 'id';
    for scopes in select 'none' as reads, 'none' as writes union all values ('own', 'none'), ('own', 'write') loop
      delete from crm.record_share as s where s.record_id = r.row_id;
      insert into crm.record_share (resource, record_id, area, user_id, access, reason)
      values ('test', r.row_id, p.area, access_test.id('subject'), case scopes.writes when 'write' then 'write' else 'read' end, 'x');
      perform access_test.become(p.area, scopes.reads, 'none');
      perform set_config('muhatap.shared_write', array_to_string(crm.shared_with(access_test.id('subject')), ','), true);
      foreach verb in array array['select', 'update'] loop
        continue when verb <> all (p.verbs);
        expected := scopes.reads = 'own' and (verb = 'select' or scopes.writes = 'write');
        actual := access_test.works(case verb when 'select' then format('select from %s where id = $1', p.relation)
          else format('update %s set updated_at = now() where id = $1', p.relation) end, r.row_id);
        if actual <> expected then
          return next row (p.relation, 'shared, reads ' || scopes.reads, verb, 'for ' || scopes.writes, expected, actual)::access_test.failure;
        end if;
      end loop;
      perform set_config('muhatap.shared_write', '', true);
      delete from crm.record_share as s where s.record_id = r.row_id;
    end loop;
  end loop;
  -- A row may not be given away to a department that the caller cannot write for.
  perform access_test.become(p.area, 'all', 'department');
  for r in select * from access_test.row as x where x.relation = p.relation and x.department = 'home' and x.owner = 'colleague' and x.visibility = 'company' loop
    continue when p.relation not in ('crm.customer', 'crm.sales_order', 'crm.opportunity', 'crm.lead', 'crm.activity', 'crm.invoice', 'crm.campaign');
    actual := access_test.works(
      format('update %s set department_id = access_test.id(''other'') where %I = $1', p.relation, access_test.identity(p.relation)), r.row_id);
    if actual then
      return next row (p.relation, 'reads all, writes department', 'give away', 'home company colleague', false, actual)::access_test.failure;
    end if;
  end loop;
end
$$;

create function access_test.plain_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  scopes record;
  verb text;
  expected boolean;
  actual boolean;
  nowhere access_test.row;
begin
  nowhere.department := 'other';
  for scopes in select r as reads, w as writes from unnest(array['none', 'own', 'department', 'all']) as r cross join unnest(array['none', 'own', 'department', 'all']) as w loop
    perform access_test.become(case p.kind when 'linked' then 'customers' else p.area end, scopes.reads, scopes.writes);
    foreach verb in array p.verbs loop
      expected := case
        when p.kind = 'system' then false
        when verb = 'select' then p.kind in ('common', 'linked', 'open') or scopes.reads <> 'none'
        when p.kind = 'computed' then false
        when p.kind = 'linked' then scopes.writes <> 'none'
        else scopes.writes in ('department', 'all') and (verb = 'insert' or p.kind = 'common' or scopes.reads <> 'none')
      end;
      actual := case verb
        when 'select' then access_test.works(format('select from %s', p.relation))
        when 'insert' then access_test.makes(p.relation, nowhere)
        when 'update' then access_test.works(format('update %s set %I = %2$I where %2$I is not null', p.relation, access_test.a_column(p.relation)))
        else access_test.works(format('delete from %s where %I is not null', p.relation, access_test.a_column(p.relation)))
      end;
      if actual <> expected then
        return next row (p.relation, format('reads %s, writes %s', scopes.reads, scopes.writes), verb, p.kind, expected, actual)::access_test.failure;
      end if;
      if p.kind in ('system', 'computed') and verb in ('update', 'delete') and access_test.touches(case verb
        when 'update' then access_test.blind_update(p.relation) else format('delete from %s', p.relation) end) > 0 then
        return next row (p.relation, format('reads %s, writes %s', scopes.reads, scopes.writes), verb, 'without WHERE', false, true)::access_test.failure;
      end if;
    end loop;
  end loop;
end
$$;
create function access_test.personal_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  owner text;
  verb text;
  expected boolean;
  actual boolean;
  who text;
  blind bigint;
  nowhere access_test.row;
begin
  nowhere.department := 'other';
  foreach who in array array['user', 'administrator', 'system'] loop
    perform access_test.become('admin', case who when 'administrator' then 'all' else 'none' end, case who when 'administrator' then 'all' else 'none' end);
    if who = 'system' then
      perform set_config('muhatap.caller', '', true), set_config('muhatap.read_admin', '*', true), set_config('muhatap.write_admin', '*', true);
    end if;
    foreach owner in array array['subject', 'colleague'] loop
      foreach verb in array p.verbs loop
        -- Whoever reads a department's administration sees what its people import.
        expected := owner = 'subject' or who = 'system' or (p.relation = 'crm.import' and verb = 'select' and who = 'administrator');
        actual := case verb
          when 'select' then access_test.works(format('select from %s where user_id = $1', p.relation), access_test.id(owner))
          when 'insert' then access_test.makes(p.relation, nowhere, access_test.id(owner))
          when 'update' then access_test.works(format('update %s set user_id = user_id where user_id = $1', p.relation), access_test.id(owner))
          else access_test.works(format('delete from %s where user_id = $1', p.relation), access_test.id(owner))
        end;
        if actual <> expected then
          return next row (p.relation, who, verb, 'of the ' || owner, expected, actual)::access_test.failure;
        end if;
      end loop;
    end loop;
    -- The fixture has two rows, one of them the subject's.
    foreach verb in array array['update', 'delete'] loop
      continue when verb <> all (p.verbs);
      blind := access_test.touches(case verb when 'update' then access_test.blind_update(p.relation)
        else format('delete from %s', p.relation) end);
      if blind <> (case who when 'system' then 2 else 1 end) then
        return next row (p.relation, who, verb, format('%s rows without WHERE', blind), who = 'system', blind > 1)::access_test.failure;
      end if;
    end loop;
  end loop;
end
$$;

-- Mail privacy: who took part reads a private row, nobody else does, and taking part gives no right to write it.
insert into crm.customer (id, kind, name, department_id) values (access_test.id('subject'), 'person', 'mail', access_test.id('other'));
do $$
declare
  place record;
begin
  perform set_config('muhatap.read_customers', '*', true), set_config('muhatap.read_service', '*', true);
  for place in select t as relation, p as participant from unnest(array['conversation', 'interaction']) as t cross join unnest(array['subject', 'colleague']) as p loop
    execute format('insert into crm.%I (customer_id, id, channel, %s department_id, visibility, participants) values ($1, md5($2)::uuid, ''email'', %s $3, ''private'', array[access_test.id(''role''), $4])',
      place.relation, case place.relation when 'interaction' then 'direction, ' else '' end, case place.relation when 'interaction' then '''in'', ' else '' end)
    using access_test.id('subject'), 'mail of ' || place.participant, access_test.id('other'), access_test.id(place.participant);
    if place.relation = 'conversation' then
      insert into crm.internal_note (customer_id, id, conversation_id, text)
      values (access_test.id('subject'), md5('mail of ' || place.participant)::uuid, md5('mail of ' || place.participant)::uuid, 'x');
    end if;
    if place.relation = 'interaction' then
      insert into crm.attachment (customer_id, id, interaction_id, name, media_type, size, sha256)
      values (access_test.id('subject'), md5('mail of ' || place.participant)::uuid, md5('mail of ' || place.participant)::uuid, 'x', 'text/plain', 1, repeat('0', 64));
    end if;
  end loop;
end
$$;
-- What is in a conversation that is shared for writing is read, added to and taken back like a member's; of one that is shared for reading it is read; of one that
-- is not shared there is nothing. Notes are the service's: they are read by whom it is shared with for writing.
insert into access_test.id (name) values ('shared thread'), ('closed thread');
do $$
declare
  thread text;
begin
  perform set_config('muhatap.read_customers', '*', true), set_config('muhatap.read_service', '*', true);
  foreach thread in array array['shared thread', 'closed thread'] loop
    insert into crm.conversation (customer_id, id, channel, department_id, owner_id, visibility)
    values (access_test.id('subject'), access_test.id(thread), 'email', access_test.id('other'), access_test.id('colleague'), 'private');
    insert into crm.interaction (customer_id, id, conversation_id, channel, direction, department_id)
    values (access_test.id('subject'), md5(thread)::uuid, access_test.id(thread), 'email', 'in', access_test.id('other'));
    insert into crm.attachment (customer_id, id, conversation_id, name, media_type, size, sha256)
    values (access_test.id('subject'), md5(thread)::uuid, access_test.id(thread), 'x', 'text/plain', 1, repeat('0', 64));
    insert into crm.internal_note (customer_id, id, conversation_id, text) values (access_test.id('subject'), md5(thread)::uuid, access_test.id(thread), 'x');
  end loop;
end
$$;
create function access_test.shared_conversation_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  scopes record;
  thread text;
  verb text;
  expected boolean;
  actual boolean;
begin
  for scopes in select r as reads, g as given from unnest(array['none', 'own']) as r cross join unnest(array['read', 'write']) as g loop
    delete from crm.record_share as s where s.record_id = access_test.id('shared thread');
    insert into crm.record_share (resource, record_id, area, user_id, access, reason)
    values ('conversations', access_test.id('shared thread'), 'customers', access_test.id('subject'), scopes.given, 'x');
    perform access_test.become(p.area, scopes.reads, 'none');
    perform set_config('muhatap.shared_write', array_to_string(crm.shared_with(access_test.id('subject')), ','), true);
    foreach thread in array array['shared thread', 'closed thread'] loop
      foreach verb in array array['select', 'insert', 'update', 'delete', 'advertise', 'give'] loop
        continue when verb in ('advertise', 'give') and p.relation <> 'crm.outbound_message';
        continue when p.relation = 'crm.outbound_message' and verb not in ('insert', 'advertise', 'give');
        -- Of what is said and noted, each is changed by its own share.
        continue when verb in ('update', 'delete') and p.relation <> 'crm.attachment';
        expected := thread = 'shared thread' and scopes.reads = 'own' and verb not in ('advertise', 'give')
          and (scopes.given = 'write' or verb = 'select' and p.relation <> 'crm.internal_note');
        actual := access_test.works(case verb
          when 'select' then format('select from %s where customer_id = access_test.id(''subject'') and id = $1', p.relation)
          when 'update' then format('update %s set name = ''y'' where customer_id = access_test.id(''subject'') and id = $1', p.relation)
          when 'delete' then format('delete from %s where customer_id = access_test.id(''subject'') and id = $1', p.relation)
          else case p.relation
            when 'crm.interaction' then 'insert into crm.interaction (customer_id, conversation_id, channel, direction, department_id)
              values (access_test.id(''subject''), $1, ''email'', ''out'', access_test.id(''other''))'
            when 'crm.attachment' then 'insert into crm.attachment (customer_id, conversation_id, name, media_type, size, sha256)
              values (access_test.id(''subject''), $1, ''x'', ''text/plain'', 1, repeat(''0'', 64))'
            when 'crm.internal_note' then 'insert into crm.internal_note (customer_id, conversation_id, text) values (access_test.id(''subject''), $1, ''x'')'
            else format('insert into crm.outbound_message (customer_id, conversation_id, channel, address, legal_class, body_text, department_id, owner_id, visibility)
              values (access_test.id(''subject''), $1, ''letter'', ''x'', %L, ''x'', access_test.id(%L), access_test.id(''colleague''), ''private'')',
              case verb when 'advertise' then 'commercial' else 'transactional' end, case verb when 'give' then 'home' else 'other' end) end
          end, case when verb in ('select', 'update', 'delete') then md5(thread)::uuid else access_test.id(thread) end);
        if actual is distinct from expected then
          return next row (p.relation, format('shared to %s, reads %s', scopes.given, scopes.reads), verb, thread, expected, actual)::access_test.failure;
        end if;
      end loop;
    end loop;
    perform set_config('muhatap.shared_write', '', true);
    delete from crm.record_share as s where s.record_id = access_test.id('shared thread');
  end loop;
end
$$;

create function access_test.participant_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  scope text;
  participant text;
  actual boolean;
begin
  foreach scope in array array['none', 'own', 'all'] loop
    perform access_test.become(p.area, scope, 'none');
    foreach participant in array array['subject', 'colleague'] loop
      actual := access_test.works(format('select from %s where customer_id = $1 and id = md5(%L)::uuid', p.relation, 'mail of ' || participant), access_test.id('subject'));
      if actual <> (participant = 'subject' and scope <> 'none') then
        return next row (p.relation, 'reads ' || scope, 'select', 'mail of the ' || participant, participant = 'subject' and scope <> 'none', actual)::access_test.failure;
      end if;
    end loop;
  end loop;
end
$$;

-- The log shows a change to whoever reads the row.
create function access_test.log_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  in_area text;
  scope text;
  wrong record;
  seen uuid[];
begin
  foreach in_area in array array['customers', 'sales', 'products'] loop
    foreach scope in array array['none', 'own', 'department', 'shared', 'all'] loop
      perform access_test.become(in_area, scope, 'none');
      perform set_config('role', 'crm_app', true);
      execute format('select array_agg(row_id) from %s where xid < pg_current_xact_id()', p.relation) into seen;
      perform set_config('role', 'none', true);
      for wrong in
        select t.relation, r.department, r.visibility, r.owner, r.row_id,
          t.area = in_area and access_test.may_read(scope, r.department, r.visibility, r.owner) as expected, coalesce(r.row_id = any (seen), false) as actual
        from access_test.row as r join crm.protection as t on t.relation = r.relation and t.resource is not null
        union all
        select 'crm.product', null, null, null, access_test.id('product'), in_area = 'products' and scope <> 'none', coalesce(access_test.id('product') = any (seen), false)
      loop
        if wrong.expected <> wrong.actual then
          return next row (p.relation, format('reads %s %s', scope, in_area), 'select', concat_ws(' ', wrong.relation, wrong.department, wrong.visibility, wrong.owner),
            wrong.expected, wrong.actual)::access_test.failure;
        end if;
      end loop;
    end loop;
  end loop;
end
$$;

-- Nobody, and the system.
create function access_test.extreme_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  actual boolean;
  hidden bigint;
begin
  perform access_test.become(p.area, 'none', 'none');
  perform set_config('muhatap.caller', '', true);
  actual := access_test.works(format('select from %s', p.relation));
  if actual <> (p.kind = 'open') then
    return next row (p.relation, 'nobody', 'select', 'anything', p.kind = 'open', actual)::access_test.failure;
  end if;
  perform set_config('muhatap.read_' || a, '*', true), set_config('muhatap.write_' || a, '*', true) from unnest(crm.areas()) as a;
  execute format('select count(*) from %s', p.relation) into hidden;
  perform set_config('role', 'crm_app', true);
  execute format('select %s - count(*) from %s', hidden, p.relation) into hidden;
  perform set_config('role', 'none', true);
  if hidden <> 0 then
    return next row (p.relation, 'system', 'select', hidden || ' rows hidden', true, false)::access_test.failure;
  end if;
  if p.kind in ('system', 'computed') and 'update' = any (p.verbs)
    and not access_test.works(format('update %s set %I = %2$I', p.relation, access_test.a_column(p.relation))) then
    return next row (p.relation, 'system', 'update', 'everything', true, false)::access_test.failure;
  end if;
  if p.kind in ('system', 'computed') and (not access_test.works(format('delete from %s', p.relation)) or not access_test.makes(p.relation, null)) then
    return next row (p.relation, 'system', 'insert or delete', 'everything', true, false)::access_test.failure;
  end if;
  if 'update' = any (p.verbs) and p.kind = 'owned' and not access_test.works(format('update %s set updated_at = now()', p.relation)) then
    return next row (p.relation, 'system', 'update', 'everything', true, false)::access_test.failure;
  end if;
end
$$;

-- BI logins: what session_user's line in crm.bi_login says, whatever the session sets. They may not name the tables, so a view stands in.
do $$
declare
  p crm.protection;
begin
  for p in select * from crm.protection where bi loop
    execute format('create view access_test.%I with (security_invoker = true) as select %I as id from %s', replace(p.relation, 'crm.', 'bi_'),
      coalesce(access_test.identity(p.relation), 'id'), p.relation);
    execute format('grant select on access_test.%I to bi_reader', replace(p.relation, 'crm.', 'bi_'));
  end loop;
  foreach p.kind in array array['department', 'shared', 'all', 'foreign'] loop
    if not exists (select from pg_roles where rolname = 'bi_test_' || p.kind) then
      execute format('create role %I login', 'bi_test_' || p.kind);
    end if;
    execute format('grant bi_reader to %I', 'bi_test_' || p.kind);
    insert into crm.bi_login (login, department_id, areas, scope)
    values ('bi_test_' || p.kind, access_test.id('home'), case p.kind when 'foreign' then '{admin}' else crm.areas() end, case p.kind when 'foreign' then 'all' else p.kind end);
  end loop;
  if not exists (select from pg_roles where rolname = 'bi_test_unknown') then
    create role bi_test_unknown login;
  end if;
  grant bi_reader to bi_test_unknown;
end
$$;

create function access_test.bi_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  tester constant text := session_user;
  login text;
  seen uuid[];
  wrong record;
  actual boolean;
begin
  foreach login in array array['department', 'shared', 'all', 'foreign', 'unknown'] loop
    perform set_config('muhatap.read_' || a, '*', true), set_config('muhatap.caller', access_test.id('subject')::text, true) from unnest(crm.areas()) as a;
    perform set_config('session_authorization', 'bi_test_' || login, true);
    begin
      execute format('select array_agg(id) from access_test.%I', replace(p.relation, 'crm.', 'bi_')) into seen;
    exception when insufficient_privilege then
      seen := null;
    end;
    begin
      execute format('select from %s', p.relation);
      actual := true;
    exception when insufficient_privilege then
      actual := false;
    end;
    perform set_config('session_authorization', tester, true);
    if actual then
      return next row (p.relation, 'bi ' || login, 'name', 'the table itself', false, true)::access_test.failure;
    end if;
    if p.kind = 'owned' then
      for wrong in
        select r.*, login not in ('foreign', 'unknown') and access_test.may_read(login, r.department, r.visibility, null) as expected, coalesce(r.row_id = any (seen), false) as actual
        from access_test.row as r where r.relation = p.relation
      loop
        if wrong.expected <> wrong.actual then
          return next row (p.relation, 'bi ' || login, 'select', concat_ws(' ', wrong.department, wrong.visibility, wrong.owner), wrong.expected, wrong.actual)::access_test.failure;
        end if;
      end loop;
    elsif (coalesce(cardinality(seen), 0) > 0) <> (p.kind = 'common' or login not in ('foreign', 'unknown')) then
      return next row (p.relation, 'bi ' || login, 'select', p.kind, p.kind = 'common' or login not in ('foreign', 'unknown'), coalesce(cardinality(seen), 0) > 0)::access_test.failure;
    end if;
  end loop;
end
$$;

-- The tables that functions of crm_owner work on, noted before any policy is mutated.
create table access_test.kept as
select y.polrelid::regclass::text as relation from pg_policy as y where 'crm_owner'::regrole = any (y.polroles);

-- Rows that are frozen: what restrictive policies keep even from the system's own work. Each statement would do something without its policy.
create table access_test.frozen as select y.polrelid::regclass::text as relation, y.polname from pg_policy as y where not y.polpermissive;
create table access_test.intrusion (relation text not null, verb text not null, statement text not null);
insert into access_test.intrusion values
  ('crm.invoice', 'insert', 'insert into crm.invoice (customer_id, status, company_id, series, issue_year, sequence, ettn, issue_date, issue_time, due_on, exchange_rate, buyer_name, buyer_tax_number,
     buyer_tax_office, buyer_street, buyer_district, buyer_city, buyer_country, seller_name, seller_tax_number, seller_tax_office, seller_street, seller_district, seller_city, seller_country, department_id)
   select i.customer_id, ''issued'', i.company_id, ''MUH'', 2026, 1 + coalesce(i.sequence, 0), gen_random_uuid(), ''2026-01-01'', ''12:00'', ''2026-01-01'', 1, ''x'', ''1234567890'', ''x'', ''x'', ''x'', ''x'', ''TR'',
     ''x'', ''1234567890'', ''x'', ''x'', ''x'', ''x'', ''TR'', i.department_id from crm.invoice as i order by i.status desc limit 1'),
  ('crm.invoice', 'update', 'update crm.invoice set updated_at = now() where status = ''issued'''),
  ('crm.invoice', 'delete', 'delete from crm.invoice where status = ''issued'''),
  ('crm.invoice_line', 'insert', 'insert into crm.invoice_line (customer_id, invoice_id, invoice_status, line_number, description, quantity, unit_price, vat_rate)
   select i.customer_id, i.id, i.status, 99, ''x'', 1, 1, 20 from crm.invoice as i where i.status = ''issued'''),
  ('crm.invoice_line', 'update', 'update crm.invoice_line set updated_at = now() where invoice_status = ''issued'''),
  ('crm.invoice_line', 'delete', 'delete from crm.invoice_line where invoice_status = ''issued'''),
  ('crm.payment_allocation', 'insert', 'insert into crm.payment_allocation (customer_id, instalment_id, credit_note_id, currency, direction, amount, allocated_on)
   select a.customer_id, a.instalment_id, a.credit_note_id, ''TRY'', ''in'', 0.01, ''2026-01-01'' from crm.payment_allocation as a where a.credit_note_id is not null'),
  ('crm.payment_allocation', 'delete', 'delete from crm.payment_allocation where credit_note_id is not null'),
  ('crm.invoice_share', 'insert', 'insert into crm.invoice_share (customer_id, invoice_id, invoice_status, user_id, percent)
   select i.customer_id, i.id, i.status, access_test.id(''subject''), 1 from crm.invoice as i where i.status = ''issued'''),
  ('crm.invoice_share', 'update', 'update crm.invoice_share set updated_at = now() where invoice_status = ''issued'''),
  ('crm.invoice_share', 'delete', 'delete from crm.invoice_share where invoice_status = ''issued'''),
  ('crm.quote_line', 'insert', 'insert into crm.quote_line (customer_id, quote_id, editable, line_number, product_id, description, quantity, unit_code, unit_price, vat_rate)
   select q.customer_id, q.id, q.editable, 99, access_test.id(''product''), ''x'', 1, ''C62'', 1, 20 from crm.quote as q where not q.editable'),
  ('crm.quote_line', 'update', 'update crm.quote_line set updated_at = now() where not editable'),
  ('crm.quote_line', 'delete', 'delete from crm.quote_line where not editable');
insert into crm.customer (id, kind, name, department_id) values (access_test.id('other'), 'person', 'frozen', access_test.id('other'));
select access_test.make('crm.invoice', access_test.id('other'), access_test.id('other'), null, access_test.id('other'), null, 'company');
do $$ begin execute (select i.statement from access_test.intrusion as i where (i.relation, i.verb) = ('crm.invoice', 'insert')); end $$;
insert into crm.invoice_line (customer_id, invoice_id, invoice_status, line_number, description, quantity, unit_price, vat_rate)
select i.customer_id, i.id, i.status, 1, 'x', 1, 1, 20 from crm.invoice as i where i.status = 'issued';
select access_test.make('crm.quote', access_test.id('other'), access_test.id('other'), null, access_test.id('other'), null, 'company');
insert into crm.quote_line (customer_id, quote_id, line_number, product_id, description, quantity, unit_code, unit_price, vat_rate)
values (access_test.id('other'), access_test.id('other'), 1, access_test.id('product'), 'x', 1, 'C62', 1, 20);
insert into crm.quote_seal (customer_id, quote_id, digest)
select q.customer_id, q.id, crm.quote_digest(q.number, q.revision, q.currency, q.valid_until, q.terms, q.net_amount, q.vat_amount, q.line_count)
from crm.quote as q where q.id = access_test.id('other');
update crm.quote set status = 'sent', sent_at = now() where id = access_test.id('other');
insert into crm.invoice_share (customer_id, invoice_id, invoice_status, user_id, percent)
select i.customer_id, i.id, i.status, access_test.id('colleague'), 1 from crm.invoice as i where i.status = 'issued';
insert into crm.instalment (customer_id, invoice_id, place, direction, currency, due_on, amount, department_id, owner_id, audience)
select i.customer_id, i.id, 1, 'in', 'TRY', '2030-01-01', 1, i.department_id, i.owner_id, i.audience from crm.invoice as i where i.status = 'issued';
insert into crm.payment_allocation (customer_id, instalment_id, credit_note_id, currency, direction, amount, allocated_on)
select i.customer_id, i.id, i.invoice_id, 'TRY', 'in', 0.01, '2026-01-01' from crm.instalment as i join crm.invoice as v on v.customer_id = i.customer_id and v.id = i.invoice_id where v.status = 'issued';

create function access_test.frozen_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  item record;
begin
  for item in select f.polname from access_test.frozen as f where f.relation = p.relation loop
    continue when exists (select from access_test.intrusion as i where i.relation = p.relation);
    return next row (p.relation, 'system', 'test', 'add lines to access_test.intrusion', true, false)::access_test.failure;
  end loop;
  for item in select i.verb, i.statement from access_test.intrusion as i where i.relation = p.relation loop
    perform access_test.become(p.area, 'none', 'none');
    perform set_config('muhatap.caller', '', true);
    perform set_config('muhatap.read_' || a, '*', true), set_config('muhatap.write_' || a, '*', true) from unnest(crm.areas()) as a;
    if access_test.works(item.statement) then
      return next row (p.relation, 'system', item.verb, 'a frozen row', false, true)::access_test.failure;
    end if;
  end loop;
end
$$;

-- The portal: customers with their own token. "other" has an issued invoice above; it and "stranger" have one of everything that is offered.
insert into crm.contact (customer_id, id, name) values (access_test.id('other'), access_test.id('portal contact'), 'x'), (access_test.id('stranger'), gen_random_uuid(), 'x');
do $$
declare
  customer uuid;
  "order" uuid;
  person uuid;
  thread uuid;
  secrecy text;
begin
  perform set_config('muhatap.read_customers', '*', true);
  foreach customer in array array[access_test.id('other'), access_test.id('stranger')] loop
    "order" := gen_random_uuid();
    insert into crm.sales_order (customer_id, id, department_id) values (customer, "order", access_test.id('other'));
    insert into crm.sales_order_line (customer_id, order_id, product_id, line_number, quantity, amount)
    values (customer, "order", case customer when access_test.id('other') then access_test.id('product') else (select p.id from crm.product as p where p.id <> access_test.id('product') limit 1) end, 1, 1, 1);
    insert into crm.shipment (customer_id, order_id, number) values (customer, "order", 'portal');
    foreach secrecy in array array['company', 'private'] loop
      foreach person in array array[null, (select c.id from crm.contact as c where c.customer_id = customer order by c.id limit 1)] loop
        insert into crm.ticket (customer_id, contact_id, subject, department_id, owner_id, visibility)
        values (customer, person, 'x', access_test.id('other'), access_test.id('subject'), secrecy);
        insert into crm.conversation (customer_id, contact_id, channel, department_id, owner_id, visibility)
        values (customer, person, 'email', access_test.id('other'), access_test.id('subject'), secrecy) returning id into thread;
        insert into crm.interaction (customer_id, conversation_id, contact_id, channel, direction, kind, department_id)
        select customer, thread, person, 'email', 'in', k, access_test.id('other') from unnest(array['message', 'call']) as k;
        insert into crm.consent_event (customer_id, contact_id, channel, address, status, source) values (customer, person, 'email', 'portal@test.example', 'ONAY', 'HS_WEB');
      end loop;
    end loop;
  end loop;
end
$$;

-- What a customer ($1), or a person at one ($2) who may be marked to see everybody's ($3), may see. A table that is offered and not here is reported.
create table access_test.portal_model (relation text primary key, condition text not null);
insert into access_test.portal_model values
  ('crm.customer', 'id = $1'), ('crm.contact', 'customer_id = $1 and id = $2'), ('crm.ticket', 'customer_id = $1 and visibility in (''company'', ''department'') and ($2 is null or $3 or contact_id = $2)'),
  ('crm.sales_order', 'customer_id = $1'), ('crm.sales_order_line', 'customer_id = $1'), ('crm.shipment', 'customer_id = $1'),
  ('crm.product', 'exists (select from crm.sales_order_line as l where l.customer_id = $1 and l.product_id = product.id)'),
  ('crm.invoice', 'customer_id = $1 and status = ''issued'''),
  ('crm.invoice_line', 'exists (select from crm.invoice as i where i.customer_id = $1 and i.id = invoice_line.invoice_id and i.status = ''issued'')'),
  ('crm.conversation', 'customer_id = $1 and visibility <> ''private'' and ($2 is null or $3 or contact_id = $2)'),
  ('crm.interaction', 'customer_id = $1 and visibility <> ''private'' and kind = ''message''
    and exists (select from crm.conversation as c where c.id = interaction.conversation_id and c.visibility <> ''private'' and ($2 is null or $3 or c.contact_id = $2))'),
  ('crm.article', 'readers <> ''internal'' and archived_at is null'),
  ('crm.article_version', 'state = ''published'' and exists (select from crm.article as a where a.id = article_version.article_id and a.readers <> ''internal'' and a.archived_at is null)'),
  ('crm.consent_event', 'customer_id = $1 and ($2 is null or contact_id = $2)'), ('crm.consent_purpose', 'is_offered'), ('crm.brand', 'is_active');

create function access_test.portal_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  offered constant text[] := (select o.columns from crm.portal_offer as o where o.relation = p.relation);
  model constant text := (select m.condition from access_test.portal_model as m where m.relation = p.relation);
  who record;
  item record;
  seen uuid[];
  expected uuid[];
  total integer := 0;
begin
  for item in select a.attname as name from pg_attribute as a where a.attrelid = p.relation::regclass and a.attnum > 0 and not a.attisdropped loop
    if has_column_privilege('crm_portal', p.relation, item.name, 'select') <> coalesce(item.name = any (offered), false) then
      return next row (p.relation, 'portal', 'select', 'column ' || item.name, item.name = any (offered), not coalesce(item.name = any (offered), false))::access_test.failure;
    end if;
    if has_column_privilege('crm_portal', p.relation, item.name, 'insert, update, references') then
      return next row (p.relation, 'portal', 'write', 'column ' || item.name, false, true)::access_test.failure;
    end if;
  end loop;
  if has_table_privilege('crm_portal', p.relation, 'delete, truncate, trigger') then
    return next row (p.relation, 'portal', 'delete', 'anything', false, true)::access_test.failure;
  end if;
  if offered is null then
    return;
  elsif model is null then
    return next row (p.relation, 'portal', 'test', 'add a line to access_test.portal_model', true, false)::access_test.failure;
    return;
  end if;
  for who in
    select c as customer, o as contact, w as whole
    from unnest(array[access_test.id('other'), access_test.id('stranger'), (select i.customer_id from crm.invoice as i where i.status = 'issued' limit 1), null]) as c
    cross join unnest(array[null, access_test.id('portal contact')]) as o cross join unnest(array[false, true]) as w where o is null or c is not distinct from access_test.id('other')
  loop
    -- Neither whoever is signed in nor a reach left in a setting counts.
    perform set_config('muhatap.read_' || a, '*', true), set_config('muhatap.caller', access_test.id('subject')::text, true) from unnest(crm.areas()) as a;
    perform set_config('muhatap.portal_customer', coalesce(who.customer::text, ''), true), set_config('muhatap.portal_contact', coalesce(who.contact::text, ''), true),
      set_config('muhatap.portal_whole', case when who.whole then 'on' else '' end, true);
    perform set_config('role', 'crm_portal', true);
    execute format('select coalesce(array_agg(x.id order by x.id), ''{}'') from %s as x', p.relation) into seen;
    perform set_config('role', 'none', true);
    execute format('select coalesce(array_agg(id order by id), ''{}'') from %s where %s', p.relation, model) into expected using who.customer, who.contact, who.whole;
    total := total + cardinality(expected);
    if seen <> expected then
      return next row (p.relation, format('portal %s %s %s', who.customer, who.contact, who.whole), 'select', format('%s rows instead of %s', cardinality(seen), cardinality(expected)), true, false)::access_test.failure;
    end if;
  end loop;
  if total = 0 then
    return next row (p.relation, 'portal', 'test', 'make a row that a customer sees', true, false)::access_test.failure;
  end if;
end
$$;

-- Everything else there is, views and months of the log included: the portal's role is refused, and runs no function that works as its owner.
create function access_test.portal_refusals() returns setof text language plpgsql as $$
declare
  item record;
begin
  for item in
    select c.oid::regclass::text as relation from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'access_test')
      and c.oid::regclass::text not in (select o.relation from crm.portal_offer as o) order by 1
  loop
    begin
      perform set_config('role', 'crm_portal', true);
      execute format('select from %s limit 1', item.relation);
      return next item.relation;
    exception when insufficient_privilege then null;
    end;
    perform set_config('role', 'none', true);
  end loop;
  return query select p.oid::regprocedure::text from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname in ('crm', 'bi', 'analytics') and has_function_privilege('crm_portal', p.oid, 'execute')
      -- find_articles works as its owner; what it shows is tested with the knowledge base.
      and p.oid not in ('crm.portal_customer()'::regprocedure, 'crm.portal_contact()'::regprocedure, 'crm.channels()'::regprocedure, 'crm.portal_sees_all()'::regprocedure,
        'crm.find_articles(text, text, boolean, integer)'::regprocedure);
end
$$;

-- What the other roles need: the recording trigger, crm.protect and the making of BI logins.
create function access_test.upkeep_failures(p crm.protection) returns setof access_test.failure language plpgsql as $$
declare
  kept bigint;
  sent bigint;
  seen bigint;
  discarded bigint;
  lost bigint;
begin
  if exists (select from access_test.kept as k where k.relation = p.relation) then
    perform set_config('role', 'crm_owner', true);
    execute format('select count(*) from %s', p.relation) into kept;
    perform set_config('role', 'none', true);
    if kept = 0 then
      return next row (p.relation, 'crm_owner', 'select', 'its own upkeep', true, false)::access_test.failure;
    end if;
  end if;
  if p.relation = 'crm.role' then
    -- Whoever asks for a discount may not read roles; the function does.
    perform access_test.become(p.area, 'none', 'none');
    perform set_config('role', 'crm_app', true);
    if crm.discount_cap(access_test.id('subject'), null) is distinct from 7 then
      perform set_config('role', 'none', true);
      return next row (p.relation, 'crm_access', 'select', 'the discount cap', true, false)::access_test.failure;
    end if;
    perform set_config('role', 'none', true);
  end if;
  if p.relation = 'crm.quote' then
    -- crm.discard_quote works as the owner, who sees and deletes drafts and nothing else.
    select count(*) into sent from crm.quote as q where q.status <> 'draft';
    begin
      perform set_config('session_replication_role', 'replica', true);
      perform set_config('role', 'crm_owner', true);
      select count(*) into seen from crm.quote as q where q.status <> 'draft';
      delete from crm.quote;
      get diagnostics discarded = row_count;
      perform set_config('role', 'none', true);
      select sent - count(*) into lost from crm.quote as q where q.status <> 'draft';
      raise exception using errcode = 'TEST1';
    exception when sqlstate 'TEST1' then null;
    end;
    if sent = 0 or seen > 0 or lost > 0 or discarded = 0 then
      return next row (p.relation, 'crm_owner', 'delete', 'drafts alone', true, false)::access_test.failure;
    end if;
  end if;
  if p.relation in ('crm.bi_login', 'crm.department') then
    begin
      perform set_config('role', 'crm_migrator', true);
      perform crm.create_bi_login('bi_test_made_' || current_database(), 't_home', 'SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA==');
      perform crm.drop_bi_login('bi_test_made_' || current_database());
      raise exception using errcode = 'TEST1';
    exception
      when sqlstate 'TEST1' then null;
      when others then
        return next row (p.relation, 'crm_migrator', 'manage', sqlerrm, true, false)::access_test.failure;
    end;
  end if;
end
$$;

-- All of it, or what concerns one table --------------------------------------------------------------------------------------------

create function access_test.failures(of_relation text default null) returns setof access_test.failure language plpgsql as $$
declare
  p crm.protection;
begin
  for p in select * from crm.protection as x where of_relation is null or x.relation = of_relation order by x.relation loop
    if p.kind not in ('log', 'open') and not exists (select from access_test.maker as m where m.relation = p.relation) then
      return next row (p.relation, 'nobody', 'test', 'add a line to access_test.maker', true, false)::access_test.failure;
      continue;
    end if;
    if p.kind = 'owned' and not exists (select from access_test.row as r where r.relation = p.relation) then
      return next row (p.relation, 'nobody', 'test', 'add rows to access_test.row', true, false)::access_test.failure;
      continue;
    end if;
    return query select * from access_test.extreme_failures(p);
    case p.kind
      when 'owned' then return query select * from access_test.owned_failures(p);
      when 'personal' then return query select * from access_test.personal_failures(p);
      when 'log' then return query select * from access_test.log_failures(p);
      else return query select * from access_test.plain_failures(p);
    end case;
    if p.bi then
      return query select * from access_test.bi_failures(p);
    end if;
    if p.relation in ('crm.conversation', 'crm.interaction', 'crm.attachment', 'crm.internal_note') then
      return query select * from access_test.participant_failures(p);
    end if;
    if p.relation in ('crm.interaction', 'crm.attachment', 'crm.outbound_message', 'crm.internal_note') then
      return query select * from access_test.shared_conversation_failures(p);
    end if;
    return query select * from access_test.portal_failures(p);
    return query select * from access_test.frozen_failures(p);
    return query select * from access_test.upkeep_failures(p);
  end loop;
end
$$;

-- Drops and weakens each policy in turn, undoes it, and reports those whose change no test above would have noticed.
create function access_test.survivors(of_relation text default null) returns table (policy text, mutation text) language plpgsql as $$
declare
  target record;
  change text;
  noticed text;
begin
  for target in
    select p.polname, c.oid::regclass::text as relation, p.polcmd,
      coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true' and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true' as open
    from pg_policy as p join pg_class as c on c.oid = p.polrelid join crm.protection as t on t.relation = c.oid::regclass::text
    where of_relation is null or t.relation = of_relation
    order by 2, 1
  loop
    foreach change in array array['drop', 'weaken'] loop
      continue when change = 'weaken' and target.open;
      begin
        if change = 'drop' then
          execute format('drop policy %I on %s', target.polname, target.relation);
        elsif target.polcmd = 'a' then
          execute format('alter policy %I on %s with check (true)', target.polname, target.relation);
        elsif target.polcmd = 'w' then
          execute format('alter policy %I on %s using (true) with check (true)', target.polname, target.relation);
        else
          execute format('alter policy %I on %s using (true)', target.polname, target.relation);
        end if;
        begin
          perform set_config('access_test.quick', 'on', true);
          noticed := case when exists (select from access_test.failures(target.relation)) then 'noticed' else 'survived' end;
          -- What access is computed from shows in what others see.
          if noticed = 'survived' then
            noticed := case when exists (select from access_test.failures('crm.customer')) then 'noticed' else 'survived' end;
          end if;
        exception when others then
          noticed := 'noticed';
        end;
        raise exception using errcode = 'TEST2', message = noticed;
      exception when sqlstate 'TEST2' then
        if sqlerrm = 'survived' then
          policy := target.relation || ' ' || target.polname;
          mutation := change;
          return next;
        end if;
      end;
    end loop;
  end loop;
end
$$;
