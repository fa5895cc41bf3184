-- The change log's trigger pairs the rows of a statement as they were with what they became. Its plan is kept for the session and, made for a single row, would compare
-- each row of a later statement with each: four thousand took twenty seconds. It pairs them by a hash now, however many they are.
set local role crm_owner;
alter function crm.record_change() set enable_nestloop = off;
-- What the switch adds to the estimate would make PostgreSQL compile the plan for a single row.
alter function crm.record_change() set jit = off;
