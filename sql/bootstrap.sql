-- The roles and the rights on the database itself. Run once per cluster and database by an administrator; running it again changes nothing.
--   psql -d muhatap -v ON_ERROR_STOP=1 -f sql/bootstrap.sql
-- It sets no passwords: crm_migrator, crm_app and crm_worker are given theirs (or peer / certificate authentication) by the administrator.

set client_min_messages = warning;

do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('crm_owner',      'nologin'),              -- owns every object; row-level security is forced on it too
      ('crm_access',     'nologin'),              -- owns the functions that look up who may see what; reads only what they need
      ('crm_bulk',       'nologin bypassrls'),    -- set-wise merges of imports, after the rights have been checked
      ('crm_steward',    'nologin bypassrls'),    -- owns the functions that compare, merge and part whole records, after the rights have been checked
      ('crm_role_admin', 'nologin noinherit createrole'),   -- owns the function that makes BI logins, nothing else
      ('crm_migrator',   'login bypassrls'),      -- migrations and administration only
      ('crm_app',        'login noinherit'),      -- the gateway
      ('crm_worker',     'login noinherit'),      -- jobs
      ('crm_portal',     'nologin noinherit'),    -- what the gateway becomes for a customer's own token
      ('bi_reader',      'nologin')               -- what every BI login is a member of
    ) as roles (name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I %s', wanted.name, wanted.attributes);
    end if;
  end loop;
end
$$;

grant crm_owner, crm_access, crm_role_admin, crm_steward to crm_migrator;
grant crm_owner to crm_steward;
grant bi_reader to crm_role_admin with admin option;
grant crm_bulk to crm_worker;                                  -- crm_worker does not inherit: it must SET LOCAL ROLE, in a merge
grant crm_portal to crm_app;                                   -- crm_app does not inherit: it must SET LOCAL ROLE, for a customer's token
grant set on parameter session_replication_role to crm_bulk, crm_steward;   -- a merge that has validated its references set-wise skips the row-by-row checks

do $$
begin
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to crm_migrator, crm_app, crm_worker, bi_reader', current_database());
  execute format('grant create on database %I to crm_owner', current_database());
  execute format('grant temporary on database %I to crm_worker, crm_app', current_database());
end
$$;
revoke create on schema public from public;

alter role crm_migrator set timezone = 'UTC';
alter role crm_migrator set search_path = pg_catalog, pg_temp;

alter role crm_app set timezone = 'UTC';
alter role crm_app set search_path = pg_catalog, pg_temp;
alter role crm_app set idle_in_transaction_session_timeout = '30s';
alter role crm_app set jit = off;

alter role crm_worker set timezone = 'UTC';
alter role crm_worker set search_path = pg_catalog, pg_temp;
alter role crm_worker set idle_in_transaction_session_timeout = '5min';
alter role crm_worker set jit = off;
