-- BI logins: PostgreSQL logins of their own that read schema bi. What they see goes by session_user, because a BI login can SET anything.
set local role crm_owner;

create table crm.bi_login (
  id             uuid        not null default crm.uuid_v7(),
  login          text        not null,
  department_id  uuid        not null,
  areas          text[]      not null default '{customers,products,sales}',
  scope          text        not null default 'department',
  sees_personal  boolean     not null default false,
  note           text,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer     not null default 1,
  created_by     uuid        default crm.caller_id(),
  constraint bi_login_id_primary primary key (id),
  constraint bi_login_login_unique unique (login),
  constraint bi_login_login_shape check (login ~ '^bi_[a-z0-9_]{1,50}$'),
  constraint bi_login_department_id_exists foreign key (department_id) references crm.department (id),
  constraint bi_login_areas_known check (areas <@ crm.areas()),
  constraint bi_login_scope_known check (scope in ('department', 'shared', 'all'))
);
comment on table crm.bi_login is 'A PostgreSQL login for a BI tool and what it reads.';
comment on column crm.bi_login.login is 'Name of the PostgreSQL login; starts with bi_.';
comment on column crm.bi_login.department_id is 'The department for which it reads.';
comment on column crm.bi_login.areas is 'The permission areas it reads.';
comment on column crm.bi_login.scope is 'department: rows of the company, of the department and of those below it; shared: also what share rules open; all: every department. Never private rows.';
comment on column crm.bi_login.sees_personal is 'Whether the views show personal data to it instead of masking them.';
comment on column crm.bi_login.note is 'What the login is for.';
comment on constraint bi_login_login_unique on crm.bi_login is 'en: There is already a BI login of this name. | tr: Bu adda bir BI oturumu zaten var.';
comment on constraint bi_login_login_shape on crm.bi_login is 'en: The name of a BI login starts with bi_ and has only small letters a–z, digits and underscores. | tr: BI oturumunun adı bi_ ile başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint bi_login_areas_known on crm.bi_login is 'en: One of the permission areas is not known. | tr: Yetki alanlarından biri bilinmiyor.';
comment on constraint bi_login_scope_known on crm.bi_login is 'en: The scope is department, shared or all. | tr: Kapsam department, shared ya da all olabilir.';

create function crm.bi_readable(area text) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce((
    select reach.readable
    from crm.bi_login as l
    cross join lateral crm.reach_of(null, l.department_id, jsonb_build_object(area, jsonb_build_array(crm.scope_rank(l.scope), 0))) as reach
    where l.login = session_user and area = any (l.areas)
  ), '{}')
$$;
comment on function crm.bi_readable(text) is 'The audiences the BI login of this session reads in an area; empty for any other login.';

create function crm.bi_reads(area text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (select from crm.bi_login as l where l.login = session_user and area = any (l.areas))
$$;
comment on function crm.bi_reads(text) is 'Whether the BI login of this session reads an area at all.';

create function crm.bi_sees_personal() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce((select l.sees_personal from crm.bi_login as l where l.login = session_user), false)
$$;
comment on function crm.bi_sees_personal() is 'Whether the views of schema bi show personal data to this session.';

select crm.protect('crm.bi_login', area => 'admin', kind => 'reference', resource => 'bi_logins', verbs => '{select}');
grant select (login, department_id, areas, scope, sees_personal) on crm.bi_login to crm_access;
create policy bi_login_access on crm.bi_login for select to crm_access using (true);
grant execute on function crm.bi_readable(text), crm.bi_reads(text), crm.bi_sees_personal() to bi_reader;

-- Makes the PostgreSQL login and says what it reads, in one transaction. Nobody who logs in has CREATEROLE: this function is owned by the role that has,
-- takes only names of the form bi_…, only SCRAM verifiers (a password in plain text never reaches the server), and is called by the administration alone.
create function crm.create_bi_login(
  new_login text, department text, verifier text, new_areas text[] default '{customers,products,sales}', new_scope text default 'department',
  personal boolean default false, new_note text default null
) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  home uuid;
begin
  select d.id into home from crm.department as d where d.code = department;
  if home is null then
    raise exception using errcode = 'CR001', column = 'department', message = format('there is no department with the code %I', department);
  end if;
  if verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$' then
    raise exception using errcode = 'invalid_parameter_value', column = 'verifier', message = 'give the password as a SCRAM-SHA-256 verifier';
  end if;
  insert into crm.bi_login (login, department_id, areas, scope, sees_personal, note) values (new_login, home, new_areas, new_scope, personal, new_note);
  execute format('create role %I login inherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit 10 password %L', new_login, verifier);
  execute format('grant bi_reader to %I', new_login);
  execute format('alter role %I set search_path = bi, pg_catalog', new_login);
  execute format('alter role %I set timezone = %L', new_login, 'UTC');
  execute format('alter role %I set statement_timeout = %L', new_login, '5min');
  execute format('alter role %I set idle_in_transaction_session_timeout = %L', new_login, '5min');
  execute format('alter role %I set default_transaction_read_only = on', new_login);
end
$$;
comment on function crm.create_bi_login(text, text, text, text[], text, boolean, text) is
  'Makes a BI login: its name (bi_…), the code of its department, its SCRAM-SHA-256 verifier, the areas and scope it reads, and whether it sees personal data.';

create function crm.change_bi_login_password(known_login text, verifier text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from crm.bi_login as l where l.login = known_login) then
    raise exception using errcode = 'CR001', column = 'login', message = format('there is no BI login %I', known_login);
  end if;
  if verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$' then
    raise exception using errcode = 'invalid_parameter_value', column = 'verifier', message = 'give the password as a SCRAM-SHA-256 verifier';
  end if;
  execute format('alter role %I password %L', known_login, verifier);
end
$$;
comment on function crm.change_bi_login_password(text, text) is 'Gives a BI login a new password, as a SCRAM-SHA-256 verifier.';

create function crm.drop_bi_login(known_login text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from crm.bi_login as l where l.login = known_login;
  if not found then
    raise exception using errcode = 'CR001', column = 'login', message = format('there is no BI login %I', known_login);
  end if;
  execute format('drop role %I', known_login);
end
$$;
comment on function crm.drop_bi_login(text) is 'Removes a BI login.';

-- Owning needs the right to create for the moment of the hand-over; only the migrator is a member of all these roles.
grant usage on schema crm to crm_role_admin;
grant execute on function crm.uuid_v7(), crm.caller_id(), crm.areas() to crm_role_admin;
grant select (id, code) on crm.department to crm_role_admin;
grant select, insert, delete on crm.bi_login to crm_role_admin;
create policy bi_login_manage on crm.bi_login to crm_role_admin using (true) with check (true);
create policy department_manage on crm.department for select to crm_role_admin using (true);
set local role none;
grant create on schema crm to crm_access, crm_role_admin;
alter function crm.bi_readable(text) owner to crm_access;
alter function crm.bi_reads(text) owner to crm_access;
alter function crm.bi_sees_personal() owner to crm_access;
alter function crm.create_bi_login(text, text, text, text[], text, boolean, text) owner to crm_role_admin;
alter function crm.change_bi_login_password(text, text) owner to crm_role_admin;
alter function crm.drop_bi_login(text) owner to crm_role_admin;
revoke create on schema crm from crm_access, crm_role_admin;
revoke execute on function crm.create_bi_login(text, text, text, text[], text, boolean, text), crm.change_bi_login_password(text, text), crm.drop_bi_login(text)
  from public, crm_app, crm_worker, crm_bulk, crm_access;
grant execute on function crm.create_bi_login(text, text, text, text[], text, boolean, text), crm.change_bi_login_password(text, text), crm.drop_bi_login(text)
  to crm_migrator;
set local role crm_owner;
