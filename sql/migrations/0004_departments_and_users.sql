-- Departments, the people in them, and their roles.
set local role crm_owner;

create table crm.department (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name       text        not null,
  parent_id  uuid,
  active     boolean     not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint department_id_primary primary key (id),
  constraint department_id_not_nil check (id <> '00000000-0000-0000-0000-000000000000'),
  constraint department_code_unique unique (code),
  constraint department_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint department_name_length check (length(btrim(name)) between 1 and 200),
  constraint department_parent_id_exists foreign key (parent_id) references crm.department (id),
  constraint department_parent_id_other check (parent_id <> id)
);
comment on table crm.department is 'A part of the company. Departments form a tree; who works in one also reaches those below it.';
comment on column crm.department.code is 'Short stable name for configuration and imports, such as sales.';
comment on column crm.department.name is 'Name as people say it.';
comment on column crm.department.parent_id is 'The department above; null for the top.';
comment on column crm.department.active is 'Whether people still work there; a closed department keeps its records.';
comment on constraint department_id_not_nil on crm.department is 'en: The nil uuid stands for the whole company and cannot be a department. | tr: Sıfır uuid tüm şirketi gösterir, departman olamaz.';
comment on constraint department_code_unique on crm.department is 'en: Another department already has this code. | tr: Bu kod başka bir departmanda kullanılıyor.';
comment on constraint department_code_shape on crm.department is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint department_name_length on crm.department is 'en: Give the department a name of at most 200 characters. | tr: Departmana en çok 200 karakterlik bir ad verin.';
comment on constraint department_parent_id_other on crm.department is 'en: A department cannot be its own parent. | tr: Bir departman kendi üst departmanı olamaz.';

create function crm.refuse_department_loop() returns trigger language plpgsql as $$
begin
  if exists (
    with recursive above as (
      select d.id, d.parent_id, 1 as depth from crm.department as d where d.id = new.parent_id
      union all
      select d.id, d.parent_id, above.depth + 1 from crm.department as d join above on d.id = above.parent_id where above.depth < 100
    ) select from above where id = new.id
  ) then
    raise exception using errcode = 'check_violation', constraint = 'department_parent_id_other', table = 'department', schema = 'crm',
      message = 'a department cannot stand below itself';
  end if;
  return new;
end
$$;
comment on function crm.refuse_department_loop() is 'Trigger: keeps the departments a tree.';
create trigger department_parent_id_tree before insert or update of parent_id on crm.department
  for each row when (new.parent_id is not null) execute function crm.refuse_department_loop();

create table crm.app_user (
  id            uuid        not null default crm.uuid_v7(),
  department_id uuid        not null,
  email         text        not null,
  email_key     text        generated always as (crm.search_key(email)) stored,
  name          text        not null,
  locale        text        not null default 'tr',
  kind          text        not null default 'person',
  active        boolean     not null default true,
  password_hash text,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint app_user_id_primary primary key (id),
  constraint app_user_id_not_nil check (id <> '00000000-0000-0000-0000-000000000000'),
  constraint app_user_department_id_exists foreign key (department_id) references crm.department (id),
  constraint app_user_email_unique unique (email_key),
  constraint app_user_email_valid check (crm.valid_email(email)),
  constraint app_user_name_length check (length(btrim(name)) between 1 and 200),
  constraint app_user_locale_known check (locale in ('tr', 'en')),
  constraint app_user_kind_known check (kind in ('person', 'integration')),
  constraint app_user_password_hash_shape check (password_hash ^@ 'scrypt$')
);
comment on table crm.app_user is 'A person of the company, or an integration, that signs in.';
comment on column crm.app_user.department_id is 'The department the user works in.';
comment on column crm.app_user.email is 'E-mail address; signs the user in.';
comment on column crm.app_user.email_key is 'Derived: the address as it is compared.';
comment on column crm.app_user.name is 'Name as colleagues say it.';
comment on column crm.app_user.locale is 'Language of messages when a request names none: tr or en.';
comment on column crm.app_user.kind is 'person or integration (a program with API keys and no password).';
comment on column crm.app_user.active is 'Whether the user may sign in; users are never deleted, because records name them.';
comment on column crm.app_user.password_hash is 'secret: scrypt hash of the password with its parameters and salt; null for users without one.';
comment on constraint app_user_id_not_nil on crm.app_user is 'en: The nil uuid stands for the whole company and cannot be a user. | tr: Sıfır uuid tüm şirketi gösterir, kullanıcı olamaz.';
comment on constraint app_user_email_unique on crm.app_user is 'en: Another user already has this e-mail address. | tr: Bu e-posta adresi başka bir kullanıcıda var.';
comment on constraint app_user_email_valid on crm.app_user is 'en: This is not a valid e-mail address. | tr: Geçerli bir e-posta adresi değil.';
comment on constraint app_user_name_length on crm.app_user is 'en: Give the user a name of at most 200 characters. | tr: Kullanıcıya en çok 200 karakterlik bir ad verin.';
comment on constraint app_user_locale_known on crm.app_user is 'en: The language is tr or en. | tr: Dil tr ya da en olabilir.';
comment on constraint app_user_kind_known on crm.app_user is 'en: A user is a person or an integration. | tr: Kullanıcı person ya da integration olabilir.';
comment on constraint app_user_password_hash_shape on crm.app_user is 'en: Passwords are stored as scrypt hashes only. | tr: Parolalar yalnızca scrypt özeti olarak saklanır.';
create index app_user_department_id_index on crm.app_user (department_id);

create table crm.role (
  id         uuid        not null default crm.uuid_v7(),
  code       text        not null,
  name       text        not null,
  note       text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint role_id_primary primary key (id),
  constraint role_code_unique unique (code),
  constraint role_code_shape check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  constraint role_name_length check (length(btrim(name)) between 1 and 200)
);
comment on table crm.role is 'A set of permissions given to users.';
comment on column crm.role.code is 'Short stable name, such as sales_manager.';
comment on column crm.role.name is 'Name as people say it.';
comment on column crm.role.note is 'What the role is for.';
comment on constraint role_code_unique on crm.role is 'en: Another role already has this code. | tr: Bu kod başka bir rolde kullanılıyor.';
comment on constraint role_code_shape on crm.role is 'en: A code starts with a letter and has only small letters a–z, digits and underscores. | tr: Kod bir harfle başlar; yalnızca a–z küçük harf, rakam ve alt çizgi içerir.';
comment on constraint role_name_length on crm.role is 'en: Give the role a name of at most 200 characters. | tr: Role en çok 200 karakterlik bir ad verin.';

create table crm.role_permission (
  id          uuid        not null default crm.uuid_v7(),
  role_id     uuid        not null,
  area        text        not null,
  read_scope  text        not null default 'none',
  write_scope text        not null default 'none',
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  version     integer     not null default 1,
  created_by  uuid        default crm.caller_id(),
  constraint role_permission_id_primary primary key (id),
  constraint role_permission_role_id_exists foreign key (role_id) references crm.role (id) on delete cascade,
  constraint role_permission_role_id_area_unique unique (role_id, area),
  constraint role_permission_area_known check (area = any (crm.areas())),
  constraint role_permission_read_scope_known check (read_scope in ('none', 'own', 'department', 'shared', 'all')),
  constraint role_permission_write_scope_known check (write_scope in ('none', 'own', 'department', 'shared', 'all'))
);
comment on table crm.role_permission is 'How far a role reads and writes in one area. A user with several roles has the widest scope of each.';
comment on column crm.role_permission.role_id is 'The role.';
comment on column crm.role_permission.area is 'The permission area, such as sales.';
comment on column crm.role_permission.read_scope is 'none; own: records the user owns; department: also the company''s and those of the own department and below; shared: also what share rules open; all: every department. Private records stay their owner''s.';
comment on column crm.role_permission.write_scope is 'The same for changing records; a record of the whole company is changed by the department it belongs to.';
comment on constraint role_permission_role_id_area_unique on crm.role_permission is 'en: This role already has a permission for this area. | tr: Bu rolün bu alanda zaten bir yetkisi var.';
comment on constraint role_permission_area_known on crm.role_permission is 'en: This permission area is not known. | tr: Bu yetki alanı bilinmiyor.';
comment on constraint role_permission_read_scope_known on crm.role_permission is 'en: A scope is none, own, department, shared or all. | tr: Kapsam none, own, department, shared ya da all olabilir.';
comment on constraint role_permission_write_scope_known on crm.role_permission is 'en: A scope is none, own, department, shared or all. | tr: Kapsam none, own, department, shared ya da all olabilir.';

create table crm.user_role (
  id         uuid        not null default crm.uuid_v7(),
  user_id    uuid        not null,
  role_id    uuid        not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version    integer     not null default 1,
  created_by uuid        default crm.caller_id(),
  constraint user_role_id_primary primary key (id),
  constraint user_role_user_id_exists foreign key (user_id) references crm.app_user (id),
  constraint user_role_role_id_exists foreign key (role_id) references crm.role (id),
  constraint user_role_user_id_role_id_unique unique (user_id, role_id)
);
comment on table crm.user_role is 'That a user has a role.';
comment on column crm.user_role.user_id is 'The user.';
comment on column crm.user_role.role_id is 'The role.';
comment on constraint user_role_user_id_role_id_unique on crm.user_role is 'en: The user already has this role. | tr: Kullanıcının bu rolü zaten var.';
create index user_role_role_id_index on crm.user_role (role_id);

create table crm.share_rule (
  id                 uuid        not null default crm.uuid_v7(),
  from_department_id uuid        not null,
  to_department_id   uuid        not null,
  area               text        not null,
  access             text        not null,
  note               text,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  version            integer     not null default 1,
  created_by         uuid        default crm.caller_id(),
  constraint share_rule_id_primary primary key (id),
  constraint share_rule_from_department_id_exists foreign key (from_department_id) references crm.department (id),
  constraint share_rule_to_department_id_exists foreign key (to_department_id) references crm.department (id),
  constraint share_rule_departments_area_unique unique (from_department_id, to_department_id, area),
  constraint share_rule_to_department_id_other check (from_department_id <> to_department_id),
  constraint share_rule_area_known check (area = any (crm.areas())),
  constraint share_rule_access_known check (access in ('read', 'write'))
);
comment on table crm.share_rule is 'Opens one department''s records of an area to another department, to users whose scope is shared.';
comment on column crm.share_rule.from_department_id is 'The department whose records are opened, with those below it.';
comment on column crm.share_rule.to_department_id is 'The department they are opened to, with those below it.';
comment on column crm.share_rule.area is 'The permission area, such as service.';
comment on column crm.share_rule.access is 'read, or write (which includes reading).';
comment on column crm.share_rule.note is 'Why it is shared.';
comment on constraint share_rule_departments_area_unique on crm.share_rule is 'en: There is already a share rule between these departments for this area. | tr: Bu departmanlar arasında bu alan için zaten bir paylaşım kuralı var.';
comment on constraint share_rule_to_department_id_other on crm.share_rule is 'en: A department need not share with itself. | tr: Bir departmanın kendisiyle paylaşması gerekmez.';
comment on constraint share_rule_area_known on crm.share_rule is 'en: This permission area is not known. | tr: Bu yetki alanı bilinmiyor.';
comment on constraint share_rule_access_known on crm.share_rule is 'en: Access is read or write. | tr: Erişim read ya da write olabilir.';
create index share_rule_to_department_id_index on crm.share_rule (to_department_id);

-- What a user reaches --------------------------------------------------------------------------------------------------------------

-- One row an area. The roles of crm_access are looked up past row-level security, because the caller is not known before this has answered.
create function crm.reach_of(
  subject uuid, department uuid, permissions jsonb  -- area → [read scope, write scope] as ranks 0 none, 1 own, 2 department, 3 shared, 4 all
) returns table (area text, readable uuid[], writable uuid[]) language sql stable as $$
  with recursive below as (
    select department as id
    union
    select d.id from crm.department as d join below on d.parent_id = below.id
  ), above as (
    select department as id
    union
    select d.parent_id from crm.department as d join above on d.id = above.id where d.parent_id is not null
  ), opened as (
    select s.area, s.access, s.from_department_id as id from crm.share_rule as s where s.to_department_id in (select above.id from above)
    union
    select opened.area, opened.access, d.id from crm.department as d join opened on d.parent_id = opened.id
  ), ranks as (
    select p.key as area, (p.value ->> 0)::integer as reads, (p.value ->> 1)::integer as writes from jsonb_each(permissions) as p
  )
  select
    ranks.area,
    array(
      select subject where ranks.reads >= 1 and subject is not null
      union select '00000000-0000-0000-0000-000000000000'::uuid where ranks.reads >= 2
      union select below.id from below where ranks.reads >= 2 and below.id is not null
      union select opened.id from opened where ranks.reads >= 3 and opened.area = ranks.area
      union select d.id from crm.department as d where ranks.reads >= 4),
    array(
      select subject where ranks.writes >= 1 and subject is not null
      union select below.id from below where ranks.writes >= 2 and below.id is not null
      union select opened.id from opened where ranks.writes >= 3 and opened.area = ranks.area and opened.access = 'write'
      union select d.id from crm.department as d where ranks.writes >= 4)
  from ranks
$$;
comment on function crm.reach_of(uuid, uuid, jsonb) is 'Turns scopes by area into the departments and ids they reach, from the department tree and the share rules.';

create function crm.scope_rank(scope text) returns integer language sql immutable parallel safe
  return array_position(array['none', 'own', 'department', 'shared', 'all'], scope) - 1;
comment on function crm.scope_rank(text) is 'Scopes in order of width: none 0, own 1, department 2, shared 3, all 4.';

create function crm.access_of("user" uuid) returns table (area text, readable uuid[], writable uuid[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select reach.area, reach.readable, reach.writable
  from (
    select u.id, u.department_id, jsonb_object_agg(a, jsonb_build_array(coalesce(p.reads, 0), coalesce(p.writes, 0))) as permissions
    from crm.app_user as u
    cross join unnest(crm.areas()) as a
    left join lateral (
      select max(crm.scope_rank(rp.read_scope)) as reads, max(crm.scope_rank(rp.write_scope)) as writes
      from crm.user_role as ur join crm.role_permission as rp on rp.role_id = ur.role_id
      where ur.user_id = u.id and rp.area = a
    ) as p on true
    where u.id = "user" and u.active
    group by u.id, u.department_id
  ) as who
  cross join lateral crm.reach_of(who.id, who.department_id, who.permissions) as reach
$$;
comment on function crm.access_of(uuid) is 'What a user reads and writes: one row an area, or none at all for an unknown or inactive user. Sent by the gateway as muhatap.read_<area> and muhatap.write_<area>.';

-- Whoever caches access listens on muhatap_access.
create function crm.announce() returns trigger language plpgsql as $$
begin
  perform pg_notify(tg_argv[0], '');
  return null;
end
$$;
comment on function crm.announce() is 'Trigger: tells every listener on the channel given as argument, at commit, that what it cached is out of date.';

do $$
declare
  name text;
begin
  foreach name in array array['department', 'app_user', 'role', 'role_permission', 'user_role', 'share_rule'] loop
    execute format('create trigger %I after insert or update or delete on crm.%I for each statement execute function crm.announce(%L)', name || '_announce', name, 'muhatap_access');
  end loop;
end
$$;

select crm.protect('crm.department', area => 'admin', kind => 'common', resource => 'departments', bi => true);
select crm.protect('crm.app_user', area => 'admin', kind => 'common', resource => 'users');
select crm.protect('crm.role', area => 'admin', kind => 'reference', resource => 'roles', verbs => '{select,insert,update,delete}');
select crm.protect('crm.role_permission', area => 'admin', kind => 'reference', resource => 'role_permissions', verbs => '{select,insert,update,delete}');
select crm.protect('crm.user_role', area => 'admin', kind => 'reference', resource => 'user_roles', verbs => '{select,insert,update,delete}');
select crm.protect('crm.share_rule', area => 'admin', kind => 'reference', resource => 'share_rules', verbs => '{select,insert,update,delete}');

-- crm_access reads exactly what access is computed from.
do $$
declare
  item record;
begin
  for item in
    select * from (values
      ('department', 'id, parent_id'), ('app_user', 'id, department_id, active'), ('role_permission', 'role_id, area, read_scope, write_scope'),
      ('user_role', 'user_id, role_id'), ('share_rule', 'from_department_id, to_department_id, area, access')
    ) as needed (name, columns)
  loop
    execute format('grant select (%s) on crm.%I to crm_access', item.columns, item.name);
    execute format('create policy %I on crm.%I for select to crm_access using (true)', item.name || '_access', item.name);
  end loop;
end
$$;

-- Owning needs the right to create for the moment of the hand-over; only the migrator is a member of both roles.
set local role none;
grant create on schema crm to crm_access;
alter function crm.access_of(uuid) owner to crm_access;
revoke create on schema crm from crm_access;
set local role crm_owner;
