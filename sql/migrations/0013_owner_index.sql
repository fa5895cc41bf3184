-- A caller who reads only records of their own asks by owner: without this, a list would walk past everybody else's orders.
-- Orders from imports have no owner and cost nothing here.
set local role crm_owner;

create index sales_order_owner_id_index on crm.sales_order (owner_id, ordered_at, id) where owner_id is not null;
