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

-- Owning needs the right to create for the moment of the hand-over; only the migrator is a member of both roles.
set local role none;
grant create on schema crm to crm_access;
alter function crm.bi_readable(text) owner to crm_access;
alter function crm.bi_reads(text) owner to crm_access;
alter function crm.bi_sees_personal() owner to crm_access;
revoke create on schema crm from crm_access;
set local role crm_owner;
