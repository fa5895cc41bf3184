-- The ids of one visitor's messages lie beside each other, whatever the order of letters the database was made with.
set local role crm_owner;

alter table crm.interaction_key alter column external_id type text collate "C";
