-- How an import writes hundreds of thousands of rows. In one transaction, as crm_worker with the context of the user who asked for it:
--   1. COPY into a temporary or unlogged staging table; resolve keys and references there, under the caller's own row-level security.
--   2. Refuse what may not be written: … where not crm.may_write('sales', department_id, owner_id).
--   3. Lock what the new rows refer to, in id order: select … for key share. Only then
--   4. select crm.begin_merge();  insert … select …;  select crm.end_merge();
-- Between begin and end the statements run as crm_bulk: past the policies, and without the row-by-row foreign-key and follow-the-parent triggers, whose work
-- steps 1 to 3 have done set-wise. Every CHECK, UNIQUE and NOT NULL still holds, and the change log still records (its triggers are ENABLE ALWAYS).
-- The rows must bring department_id, owner_id and audience of their parent, and an order its totals.
set local role crm_owner;

create function crm.may_write(area text, department_id uuid, owner_id uuid) returns boolean language sql stable parallel safe
  return coalesce(department_id = any ((select crm.writable(area))::uuid[]), false) or coalesce(owner_id = any ((select crm.writable(area))::uuid[]), false)
    or (select crm.writes_all(area));
comment on function crm.may_write(text, uuid, uuid) is 'Whether the caller may write a row of this department and owner: the same rule as the policies, for checking staged rows set-wise.';

create function crm.begin_merge() returns void language plpgsql as $$
begin
  if session_user <> 'crm_worker' or current_setting('muhatap.via', true) is null or current_setting('muhatap.via', true) not like 'import:%' then
    raise exception using errcode = 'insufficient_privilege', message = 'a bulk merge is made by the worker, in an import';
  end if;
  perform set_config('role', 'crm_bulk', true);
  if has_parameter_privilege('session_replication_role', 'set') then
    perform set_config('session_replication_role', 'replica', true);
  end if;
end
$$;
comment on function crm.begin_merge() is 'From here to crm.end_merge() this transaction writes as crm_bulk; see migration 0012 for what must have been checked before.';

create function crm.end_merge() returns void language plpgsql as $$
begin
  if current_setting('session_replication_role') = 'replica' then
    perform set_config('session_replication_role', 'origin', true);
  end if;
  perform set_config('role', 'crm_worker', true);
end
$$;
comment on function crm.end_merge() is 'Ends what crm.begin_merge() began: policies and row-by-row checks hold again.';
