-- Who sees an import besides its maker, and what becomes of a file that was sent and never imported.
set local role crm_owner;

alter table crm.import add column department_id uuid;
alter table crm.import add constraint import_department_id_exists foreign key (department_id) references crm.department (id);
update crm.import as i set department_id = u.department_id from crm.app_user as u where u.id = i.user_id;
comment on column crm.import.department_id is 'The department of who imports: whoever reads its administration sees the import. Null for the system.';
comment on constraint import_department_id_exists on crm.import is
  'en: The record named in "department_id" does not exist or is still in use. | tr: "department_id" alanında gösterilen kayıt yok ya da hâlâ kullanılıyor.';
create policy import_department on crm.import for select to crm_app, crm_worker using (department_id = any ((select crm.readable('admin'))::uuid[]));

create function crm.sweep_staging(idle interval) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  item record;
  swept integer := 0;
begin
  for item in
    select c.relname, i.id from pg_class as c
    left join crm.import as i on i.id = substring(c.relname from '_([0-9a-f]{32})$')::uuid
    where c.relnamespace = 'staging'::regnamespace and c.relkind = 'r' and (i.id is null or i.updated_at < now() - idle)
    order by c.relname
  loop
    execute format('drop table if exists staging.%I', item.relname);
    swept := swept + 1;
  end loop;
  return swept;
end
$$;
comment on function crm.sweep_staging(interval) is
  'Drops the staging tables of imports that have not moved on for so long, and of those that are gone; says how many tables. Called daily.';
revoke execute on function crm.sweep_staging(interval) from crm_app, crm_access, crm_bulk;
