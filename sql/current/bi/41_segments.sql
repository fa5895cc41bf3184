-- Segments, who was in them when, and the cells of grids.
set local role crm_owner;

create view bi.segments with (security_invoker = true) as
select s.id as segment_id, s.code, s.name, s.kind, s.active, s.evaluated_at, s.created_at
from crm.segment as s;
comment on view bi.segments is 'One row a segment: customers that belong together by a rule (dynamic) or by choice (static).';
comment on column bi.segments.segment_id is 'Id of the segment.';
comment on column bi.segments.code is 'Stable name.';
comment on column bi.segments.name is 'Name as people say it.';
comment on column bi.segments.kind is 'dynamic or static.';
comment on column bi.segments.active is 'Whether it is used.';
comment on column bi.segments.evaluated_at is 'When everybody was last held against its definition; live changes come in between.';
comment on column bi.segments.created_at is 'When it was made.';

create view bi.segment_members with (security_invoker = true) as
select m.segment_id, s.code as segment, m.customer_id, m.entered_at, m.left_at, m.reason, m.left_reason
from crm.segment_member as m
join crm.segment as s on s.id = m.segment_id
join bi.customers as c on c.customer_id = m.customer_id;
comment on view bi.segment_members is 'One row a stay of a customer in a segment; who is in now has no left_at.';
comment on column bi.segment_members.segment_id is 'The segment.';
comment on column bi.segment_members.segment is 'Its code.';
comment on column bi.segment_members.customer_id is 'The customer.';
comment on column bi.segment_members.entered_at is 'The first instant in the segment.';
comment on column bi.segment_members.left_at is 'The first instant out of it; null while the customer is in.';
comment on column bi.segment_members.reason is 'Why the customer came in: defined, refreshed, chosen, or what changed.';
comment on column bi.segment_members.left_reason is 'Why the customer left: the same words.';

create function bi.segment_members_as_of(instant timestamptz) returns table (segment_id uuid, segment text, customer_id uuid, entered_at timestamptz) language sql stable parallel safe as $$
  select m.segment_id, m.segment, m.customer_id, m.entered_at from bi.segment_members as m where m.entered_at <= instant and (m.left_at is null or m.left_at > instant)
$$;
comment on function bi.segment_members_as_of(timestamptz) is 'Who was in which segment at an instant: one row a customer and segment.';

create view bi.grid_cells with (security_invoker = true) as
select c.id as cell_id, g.id as grid_id, g.code as grid, c.band, c."group", c.strategy, c.owner_id, c.target_customers, c.target_revenue, g.currency, c.discount_cap_percent,
  c.discount_cap_binds, c.sla_class, c.contact_cadence_days, c.channel, g.steers, g.evaluated_at
from crm.grid_cell as c join crm.grid as g on g.id = c.grid_id;
comment on view bi.grid_cells is 'One row a cell of a grid: a band by value and a group within it, with what the company means to do there.';
comment on column bi.grid_cells.cell_id is 'Id of the cell.';
comment on column bi.grid_cells.grid_id is 'The grid.';
comment on column bi.grid_cells.grid is 'Its code.';
comment on column bi.grid_cells.band is 'The band, such as a tier.';
comment on column bi.grid_cells."group" is 'The group within the band, such as a sector.';
comment on column bi.grid_cells.strategy is 'keep, grow, cut_cost, win_back or let_go.';
comment on column bi.grid_cells.owner_id is 'Who answers for the cell.';
comment on column bi.grid_cells.target_customers is 'How many customers it shall have.';
comment on column bi.grid_cells.target_revenue is 'Revenue of a year that its customers shall bring.';
comment on column bi.grid_cells.currency is 'Currency of the target; null where the grid has none.';
comment on column bi.grid_cells.discount_cap_percent is 'The largest discount in percent that a seller gives these customers without asking; null leaves it to the seller''s role.';
comment on column bi.grid_cells.discount_cap_binds is 'Whether the cap also lowers that of sellers who may give more elsewhere.';
comment on column bi.grid_cells.sla_class is 'The class of service of these customers.';
comment on column bi.grid_cells.contact_cadence_days is 'After how many days without a contact somebody shall get in touch.';
comment on column bi.grid_cells.channel is 'The channel to reach them by.';
comment on column bi.grid_cells.steers is 'Whether the policies of the grid''s cells hold.';
comment on column bi.grid_cells.evaluated_at is 'The instant as of which customers were last put into cells.';

create view bi.customer_cells with (security_invoker = true) as
select m.customer_id, m.grid_id, g.code as grid, m.cell_id, c.band, c."group", c.strategy, m.entered_at, m.left_at
from crm.customer_cell as m
join crm.grid as g on g.id = m.grid_id
join crm.grid_cell as c on c.id = m.cell_id
join bi.customers as k on k.customer_id = m.customer_id;
comment on view bi.customer_cells is 'One row a stay of a customer in a cell of a grid; where a customer is now has no left_at.';
comment on column bi.customer_cells.customer_id is 'The customer.';
comment on column bi.customer_cells.grid_id is 'The grid.';
comment on column bi.customer_cells.grid is 'Its code.';
comment on column bi.customer_cells.cell_id is 'The cell.';
comment on column bi.customer_cells.band is 'Its band.';
comment on column bi.customer_cells."group" is 'Its group within the band.';
comment on column bi.customer_cells.strategy is 'What the company means to do with its customers now.';
comment on column bi.customer_cells.entered_at is 'The instant as of which the customer was first found there.';
comment on column bi.customer_cells.left_at is 'The instant as of which the customer was found elsewhere or not active any more; null while it is there.';

create function bi.customer_cells_as_of(instant timestamptz) returns table (grid text, customer_id uuid, cell_id uuid, band text, "group" text) language sql stable parallel safe as $$
  select m.grid, m.customer_id, m.cell_id, m.band, m."group" from bi.customer_cells as m where m.entered_at <= instant and (m.left_at is null or m.left_at > instant)
$$;
comment on function bi.customer_cells_as_of(timestamptz) is 'Which cell of which grid each customer was in at an instant: one row a customer and grid.';

grant execute on function bi.segment_members_as_of(timestamptz), bi.customer_cells_as_of(timestamptz) to bi_reader, crm_app, crm_worker;
grant select on bi.segments, bi.segment_members, bi.grid_cells, bi.customer_cells to bi_reader, crm_app, crm_worker;
