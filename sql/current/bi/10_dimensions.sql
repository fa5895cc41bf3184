-- What BI tools read, from here on all of it made anew: schema bi holds views only. Every view runs with the rights of whoever asks (security_invoker), so
-- row-level security decides for each login; bi_reader may not even name the tables behind them, because it has no USAGE on schema crm.
set local role crm_owner;
set local client_min_messages = warning;
drop schema if exists bi cascade;
create schema bi;
comment on schema bi is 'Stable views for BI tools: one per dimension and fact, row-level security by login, personal data masked.';
grant usage on schema bi to crm_app, crm_worker, bi_reader;

create view bi.departments with (security_invoker = true) as
select d.id as department_id, d.code, d.name, d.parent_id as parent_department_id, d.active
from crm.department as d;
comment on view bi.departments is 'One row a department of the company.';
comment on column bi.departments.department_id is 'Id of the department.';
comment on column bi.departments.code is 'Short stable name.';
comment on column bi.departments.name is 'Name as people say it.';
comment on column bi.departments.parent_department_id is 'The department above; null for the top.';
comment on column bi.departments.active is 'Whether people still work there.';

create view bi.customers with (security_invoker = true) as
select
  c.id as customer_id, c.kind,
  case when c.kind = 'organisation' or (select crm.bi_sees_personal()) then c.name else left(c.name, 1) || '***' end as name,
  c.parent_id as parent_customer_id,
  case when c.kind = 'organisation' or (select crm.bi_sees_personal()) then c.tax_number end as tax_number,
  c.lifecycle_phase, c.locale,
  case when (select crm.bi_sees_personal()) then c.profile end as profile,
  c.department_id, c.created_at
from crm.customer as c;
comment on view bi.customers is 'One row a customer, person or organisation.';
comment on column bi.customers.customer_id is 'Id of the customer.';
comment on column bi.customers.kind is 'person or organisation.';
comment on column bi.customers.name is 'Name; of a person only the first letter, unless the login sees personal data.';
comment on column bi.customers.parent_customer_id is 'The organisation this one belongs to.';
comment on column bi.customers.tax_number is 'Tax or identity number; null for persons, unless the login sees personal data.';
comment on column bi.customers.lifecycle_phase is 'suspect, prospect, lead, active, dormant or lost.';
comment on column bi.customers.locale is 'Language of the customer (ISO 639-1).';
comment on column bi.customers.profile is 'Attributes brought by a source, such as age band; null, unless the login sees personal data.';
comment on column bi.customers.department_id is 'The department that works with the customer.';
comment on column bi.customers.created_at is 'When the record was made.';

create view bi.contacts with (security_invoker = true) as
select
  c.id as contact_id, c.customer_id,
  case when (select crm.bi_sees_personal()) then c.name else left(c.name, 1) || '***' end as name,
  c.job_title, c.active, c.created_at
from crm.contact as c;
comment on view bi.contacts is 'One row a person at a customer.';
comment on column bi.contacts.contact_id is 'Id of the contact.';
comment on column bi.contacts.customer_id is 'The customer.';
comment on column bi.contacts.name is 'Name; only the first letter, unless the login sees personal data.';
comment on column bi.contacts.job_title is 'What the person does at the customer.';
comment on column bi.contacts.active is 'Whether the person is still there.';
comment on column bi.contacts.created_at is 'When the record was made.';

create view bi.addresses with (security_invoker = true) as
select
  a.id as address_id, a.customer_id, a.kind,
  case when (select crm.bi_sees_personal()) then a.street end as street,
  a.district, a.city, a.province_code, p.name as province, a.postal_code, a.country
from crm.address as a
left join crm.province as p on p.code = a.province_code;
comment on view bi.addresses is 'One row a postal address of a customer.';
comment on column bi.addresses.address_id is 'Id of the address.';
comment on column bi.addresses.customer_id is 'The customer.';
comment on column bi.addresses.kind is 'billing, delivery, visit, home or other.';
comment on column bi.addresses.street is 'Street and number; null, unless the login sees personal data.';
comment on column bi.addresses.district is 'District (ilçe) or part of the city.';
comment on column bi.addresses.city is 'City.';
comment on column bi.addresses.province_code is 'Plate code of the Turkish province.';
comment on column bi.addresses.province is 'Name of the Turkish province.';
comment on column bi.addresses.postal_code is 'Postal code.';
comment on column bi.addresses.country is 'ISO 3166-1 letters.';

create view bi.locations with (security_invoker = true) as
select l.id as location_id, l.code, l.name, l.kind, l.time_zone, l.city, l.country, l.active
from crm.location as l;
comment on view bi.locations is 'One row a place where the company sells or works.';
comment on column bi.locations.location_id is 'Id of the location.';
comment on column bi.locations.code is 'Short stable name.';
comment on column bi.locations.name is 'Name as people say it.';
comment on column bi.locations.kind is 'store, warehouse, office, online or other.';
comment on column bi.locations.time_zone is 'Its time zone; the days of its sales are counted in it.';
comment on column bi.locations.city is 'City.';
comment on column bi.locations.country is 'ISO 3166-1 letters.';
comment on column bi.locations.active is 'Whether it is open.';

create view bi.product_categories with (security_invoker = true) as
with recursive tree as (
  select c.id, c.code, c.name, c.parent_id, 1 as depth, c.name as top_name, c.name as path
  from crm.product_category as c where c.parent_id is null
  union all
  select c.id, c.code, c.name, c.parent_id, tree.depth + 1, tree.top_name, tree.path || ' / ' || c.name
  from crm.product_category as c join tree on c.parent_id = tree.id
)
select tree.id as product_category_id, tree.code, tree.name, tree.parent_id as parent_product_category_id, tree.depth, tree.top_name, tree.path
from tree;
comment on view bi.product_categories is 'One row a group of products, with its place in the tree.';
comment on column bi.product_categories.product_category_id is 'Id of the category.';
comment on column bi.product_categories.code is 'Stable name.';
comment on column bi.product_categories.name is 'Name.';
comment on column bi.product_categories.parent_product_category_id is 'The category above; null for the top.';
comment on column bi.product_categories.depth is '1 for the top.';
comment on column bi.product_categories.top_name is 'Name of the topmost category above it.';
comment on column bi.product_categories.path is 'All names from the top, separated by " / ".';

create view bi.products with (security_invoker = true) as
select p.id as product_id, p.sku, p.name, p.brand, p.manufacturer, p.unit_code, u.name_en as unit_name_en, u.name_tr as unit_name_tr, p.vat_rate, p.cost, p.tracked,
  p.package_size, p.active, p.placeholder,
  p.category_id as product_category_id, c.name as category, c.top_name as top_category, c.path as category_path
from crm.product as p
join crm.unit as u on u.code = p.unit_code
left join bi.product_categories as c on c.product_category_id = p.category_id;
comment on view bi.products is 'One row a product.';
comment on column bi.products.product_id is 'Id of the product.';
comment on column bi.products.sku is 'The company''s own number for it.';
comment on column bi.products.name is 'Name.';
comment on column bi.products.brand is 'Brand.';
comment on column bi.products.manufacturer is 'Who makes it.';
comment on column bi.products.unit_code is 'What a quantity of 1 means (UN/ECE code).';
comment on column bi.products.unit_name_en is 'Name of the unit in English.';
comment on column bi.products.unit_name_tr is 'Name of the unit in Turkish.';
comment on column bi.products.vat_rate is 'VAT in percent.';
comment on column bi.products.cost is 'What one unit costs the company, in Turkish lira; null if it is not known.';
comment on column bi.products.tracked is 'Whether stock is kept of it.';
comment on column bi.products.package_size is 'Size of the package as printed on it.';
comment on column bi.products.active is 'Whether it may be sold.';
comment on column bi.products.placeholder is 'Whether an import made it because a sale named a product nobody knew.';
comment on column bi.products.product_category_id is 'Its category.';
comment on column bi.products.category is 'Name of its category.';
comment on column bi.products.top_category is 'Name of the topmost category above it.';
comment on column bi.products.category_path is 'All category names from the top.';

create view bi.dates with (security_invoker = true) as
select
  day::date as date, extract(year from day)::integer as year, extract(quarter from day)::integer as quarter, extract(month from day)::integer as month,
  date_trunc('month', day)::date as month_start, extract(isoyear from day)::integer as iso_year, extract(week from day)::integer as iso_week,
  extract(isodow from day)::integer as weekday, extract(day from day)::integer as day_of_month, extract(isodow from day) > 5 as weekend
from generate_series(timestamp '2010-01-01', timestamp '2039-12-31', interval '1 day') as day;
comment on view bi.dates is 'One row a day from 2010 to 2039.';
comment on column bi.dates.date is 'The day.';
comment on column bi.dates.year is 'Calendar year.';
comment on column bi.dates.quarter is 'Quarter of the year, 1 to 4.';
comment on column bi.dates.month is 'Month of the year, 1 to 12.';
comment on column bi.dates.month_start is 'First day of the month.';
comment on column bi.dates.iso_year is 'Year of the ISO 8601 week.';
comment on column bi.dates.iso_week is 'ISO 8601 week, 1 to 53.';
comment on column bi.dates.weekday is '1 for Monday to 7 for Sunday.';
comment on column bi.dates.day_of_month is 'Day of the month.';
comment on column bi.dates.weekend is 'Whether it is a Saturday or a Sunday.';
