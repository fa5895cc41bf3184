-- The grid: customers cut by value into bands, each band by need, sector, region or behaviour into groups. A cell has a strategy, an owner, targets, and the policy
-- that quoting, service and campaigns go by.
set local role crm_owner;

create table crm.grid (
  id            uuid        not null default crm.uuid_v7(),
  code          text        not null,
  name          text        not null,
  note          text,
  bands         jsonb       not null,
  groups        jsonb       not null,
  active_days   integer     not null default 365,
  currency      text,
  steers        boolean     not null default false,
  evaluated_at  timestamptz,
  run_id        uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint grid_id_primary primary key (id),
  constraint grid_code_unique unique (code),
  constraint grid_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint grid_name_length check (length(btrim(name)) between 1 and 200),
  constraint grid_bands_object check (jsonb_typeof(bands) = 'object'),
  constraint grid_groups_object check (jsonb_typeof(groups) = 'object'),
  constraint grid_active_days_range check (active_days between 1 and 36500),
  constraint grid_currency_exists foreign key (currency) references crm.currency (code),
  constraint grid_run_id_exists foreign key (run_id) references crm.analysis_run (id)
);
comment on table crm.grid is 'A grid of cells: bands by value, and within each band groups. Every active customer is in exactly one of its cells.';
comment on column crm.grid.code is 'Stable name, unique.';
comment on column crm.grid.name is 'Name as people say it.';
comment on column crm.grid.note is 'What colleagues should know.';
comment on column crm.grid.bands is 'How customers are cut into bands: by tier, field, quantile or kmeans.';
comment on column crm.grid.groups is 'How each band is cut into groups: in the same ways, within the band.';
comment on column crm.grid.active_days is 'A customer is active with a purchase in this many days of 24 hours before the evaluation.';
comment on column crm.grid.currency is 'Currency of the amounts it is cut by.';
comment on column crm.grid.steers is 'Whether the policies of its cells hold; of one grid at most.';
comment on column crm.grid.evaluated_at is 'The instant as of which customers were last put into cells; null before the first time.';
comment on column crm.grid.run_id is 'The run that did it.';
comment on constraint grid_code_unique on crm.grid is 'en: Another grid already has this code. | tr: Bu kod başka bir ızgarada kullanılıyor.';
comment on constraint grid_code_shape on crm.grid is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint grid_name_length on crm.grid is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint grid_bands_object on crm.grid is 'en: How it is cut is given as an object. | tr: Bölme biçimi bir nesne olarak verilir.';
comment on constraint grid_groups_object on crm.grid is 'en: How it is cut is given as an object. | tr: Bölme biçimi bir nesne olarak verilir.';
comment on constraint grid_active_days_range on crm.grid is 'en: Give 1 to 36500 days. | tr: 1 ile 36500 arasında gün verin.';
comment on constraint grid_currency_exists on crm.grid is 'en: This currency is not known. | tr: Bu para birimi bilinmiyor.';
create unique index grid_steers_index on crm.grid (steers) where steers;
select crm.protect('crm.grid', area => 'analytics', kind => 'common', resource => 'grids', verbs => '{select,insert,update,delete}', bi => true);

create table crm.grid_cell (
  id                    uuid          not null default crm.uuid_v7(),
  grid_id               uuid          not null,
  band                  text          not null,
  "group"               text          not null,
  strategy              text          not null default 'keep',
  owner_id              uuid,
  target_customers      integer,
  target_revenue        numeric(18,2),
  discount_cap_percent  numeric(5,2),
  discount_cap_binds    boolean       not null default false,
  sla_class             text,
  contact_cadence_days  integer,
  channel               text,
  note                  text,
  created_at            timestamptz   not null default now(),
  updated_at            timestamptz   not null default now(),
  version               integer       not null default 1,
  created_by            uuid          default crm.caller_id(),
  constraint grid_cell_id_primary primary key (id),
  constraint grid_cell_group_unique unique (grid_id, band, "group"),
  constraint grid_cell_grid_id_exists foreign key (grid_id) references crm.grid (id) on delete cascade,
  constraint grid_cell_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint grid_cell_strategy_known check (strategy in ('keep', 'grow', 'cut_cost', 'win_back', 'let_go')),
  constraint grid_cell_target_customers_positive check (target_customers >= 0),
  constraint grid_cell_target_revenue_number check (target_revenue <> 'NaN'),
  constraint grid_cell_discount_cap_percent_range check (discount_cap_percent between 0 and 100 and discount_cap_percent <> 'NaN'),
  constraint grid_cell_discount_cap_binds_given check (not discount_cap_binds or discount_cap_percent is not null),
  constraint grid_cell_sla_class_length check (length(btrim(sla_class)) between 1 and 100),
  constraint grid_cell_contact_cadence_days_range check (contact_cadence_days between 1 and 3650),
  constraint grid_cell_channel_known check (channel in ('email', 'phone', 'sms', 'visit', 'post', 'online'))
);
comment on table crm.grid_cell is 'A cell of a grid: what the company means to do with its customers, who answers for it, and the policy for them.';
comment on column crm.grid_cell.grid_id is 'The grid.';
comment on column crm.grid_cell.band is 'The band, such as a tier.';
comment on column crm.grid_cell."group" is 'The group within the band, such as a sector.';
comment on column crm.grid_cell.strategy is 'keep, grow, cut_cost, win_back or let_go.';
comment on column crm.grid_cell.owner_id is 'Who answers for the cell.';
comment on column crm.grid_cell.target_customers is 'How many customers it shall have.';
comment on column crm.grid_cell.target_revenue is 'Revenue of a year that its customers shall bring, in the grid''s currency.';
comment on column crm.grid_cell.discount_cap_percent is 'The largest discount, in percent of the list price, that a seller gives these customers without asking; null leaves it to the seller''s role.';
comment on column crm.grid_cell.discount_cap_binds is 'Whether the cap also lowers that of sellers who may give more elsewhere.';
comment on column crm.grid_cell.sla_class is 'The class of service that tickets of these customers get.';
comment on column crm.grid_cell.contact_cadence_days is 'After how many days without a contact somebody shall get in touch.';
comment on column crm.grid_cell.channel is 'The channel to reach them by: email, phone, sms, visit, post or online.';
comment on column crm.grid_cell.note is 'What colleagues should know.';
comment on constraint grid_cell_group_unique on crm.grid_cell is 'en: The grid already has this cell. | tr: Izgarada bu hücre zaten var.';
comment on constraint grid_cell_strategy_known on crm.grid_cell is 'en: A strategy is keep, grow, cut_cost, win_back or let_go. | tr: Strateji keep, grow, cut_cost, win_back ya da let_go olabilir.';
comment on constraint grid_cell_target_customers_positive on crm.grid_cell is 'en: A target is not below zero. | tr: Hedef sıfırdan küçük olamaz.';
comment on constraint grid_cell_target_revenue_number on crm.grid_cell is 'en: A target is a number. | tr: Hedef bir sayı olmalıdır.';
comment on constraint grid_cell_discount_cap_percent_range on crm.grid_cell is 'en: A discount is 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
comment on constraint grid_cell_discount_cap_binds_given on crm.grid_cell is 'en: A cap that binds needs a percentage. | tr: Bağlayıcı bir sınırın yüzdesi olmalıdır.';
comment on constraint grid_cell_sla_class_length on crm.grid_cell is 'en: Give a class of at most 100 characters. | tr: En çok 100 karakterlik bir sınıf verin.';
comment on constraint grid_cell_contact_cadence_days_range on crm.grid_cell is 'en: Give 1 to 3650 days. | tr: 1 ile 3650 arasında gün verin.';
comment on constraint grid_cell_channel_known on crm.grid_cell is 'en: A channel is email, phone, sms, visit, post or online. | tr: Kanal email, phone, sms, visit, post ya da online olabilir.';
select crm.protect('crm.grid_cell', area => 'analytics', kind => 'common', resource => 'grid_cells', verbs => '{select,insert,update,delete}', bi => true);

create table crm.customer_cell (
  id          uuid        not null default crm.uuid_v7(),
  grid_id     uuid        not null,
  cell_id     uuid        not null,
  customer_id uuid        not null,
  entered_at  timestamptz not null,
  left_at     timestamptz,
  constraint customer_cell_id_primary primary key (id),
  constraint customer_cell_grid_id_exists foreign key (grid_id) references crm.grid (id) on delete cascade,
  constraint customer_cell_cell_id_exists foreign key (cell_id) references crm.grid_cell (id) on delete cascade,
  constraint customer_cell_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint customer_cell_left_at_ordered check (left_at >= entered_at)
);
comment on table crm.customer_cell is 'Which cell of a grid a customer was in, from when to when: one row a stay.';
comment on column crm.customer_cell.grid_id is 'The grid.';
comment on column crm.customer_cell.cell_id is 'The cell.';
comment on column crm.customer_cell.entered_at is 'The instant as of which the customer was first found there.';
comment on column crm.customer_cell.left_at is 'The instant as of which the customer was found elsewhere, or no longer active; null while it is there.';
comment on constraint customer_cell_left_at_ordered on crm.customer_cell is 'en: Nobody leaves before coming in. | tr: Giriş tarihinden önce çıkılamaz.';
create unique index customer_cell_customer_id_index on crm.customer_cell (customer_id, grid_id) where left_at is null;
create index customer_cell_cell_id_index on crm.customer_cell (cell_id, customer_id);
create index customer_cell_stay_index on crm.customer_cell (grid_id, customer_id, entered_at);
insert into crm.merge_rule (relation, on_clash) values ('crm.customer_cell', 'drop');
select crm.protect('crm.customer_cell', area => 'analytics', kind => 'common', verbs => '{select,insert,update,delete}', bi => true,
  reason => 'Each row is a range of time, written by a run: it is its own history.');

create function crm.customer_policy(customer uuid) returns table (
  discount_cap_percent numeric, discount_cap_binds boolean, sla_class text, contact_cadence_days integer, channel text, grid text, cell uuid, band text, "group" text, strategy text, owner_id uuid
) language sql stable as $$
  select c.discount_cap_percent, c.discount_cap_binds, c.sla_class, c.contact_cadence_days, c.channel, g.code, c.id, c.band, c."group", c.strategy, c.owner_id
  from crm.grid as g
  join crm.customer_cell as m on m.grid_id = g.id and m.customer_id = customer_policy.customer and m.left_at is null
  join crm.grid_cell as c on c.id = m.cell_id
  where g.steers
$$;
comment on function crm.customer_policy(uuid) is 'The policy for a customer: that of the cell it is in now, of the grid that steers. No row without one.';

-- What a quote or an order may give away: what the seller''s roles say, raised to the cell''s cap where that is higher, and lowered to it where the cell says that it
-- binds. Whoever may give everything away, such as an administrator, is not bound.
set local role none;
alter function crm.discount_cap(uuid, uuid) rename to role_discount_cap;
comment on function crm.role_discount_cap(uuid, uuid) is
  'The largest discount in percent that a user''s roles allow, whoever the customer is: the widest of the roles; 100 for administrators, 0 where no role says more.';
set local role crm_owner;
create function crm.discount_cap("user" uuid, customer uuid) returns numeric language sql stable as $$
  select case
    when own.cap >= 100 or cell.discount_cap_percent is null then own.cap
    when cell.discount_cap_binds then cell.discount_cap_percent
    else greatest(own.cap, cell.discount_cap_percent) end
  from (select crm.role_discount_cap("user", customer) as cap) as own left join crm.customer_policy(customer) as cell on true
$$;
comment on function crm.discount_cap(uuid, uuid) is
  'The largest discount in percent that a user gives a customer without asking: what the user''s roles allow, raised to the cap of the customer''s cell where that is higher, and lowered to it where the cell binds; 100 for those who may give everything away.';
