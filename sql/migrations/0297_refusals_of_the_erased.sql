-- A refusal that the registry does not know of yet must reach it within three business days, also when its person is erased meanwhile: its address stays until then.
set local role crm_owner;

create function crm.awaits_registry(of_event uuid) returns boolean language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from crm.registry_transfer as t where t.event_id = of_event and t.state in ('pending', 'sending'))
$$;
comment on function crm.awaits_registry(uuid) is 'Whether a consent event is still to be passed to the registry.';

alter table crm.erasure_rule add column while_function text;
comment on column crm.erasure_rule.while_function is 'The rule fits as long as this function of the row''s id says so; null: always.';
insert into crm.erasure_rule (relation, action, when_column, when_values, while_function, basis_en, basis_tr, counts_from, keep_for) values
  ('crm.consent_event', 'keep', 'status', '{RET}', 'crm.awaits_registry',
    'A refusal must be passed to the registry (İYS) first; its address goes as soon as the registry has answered.',
    'Ret bildirimi önce İYS''ye iletilmelidir; adres, İYS yanıt verince silinir.', 'received_at', '14 days');

create or replace function crm.erasure_steps(root text) returns setof crm.erasure_step language sql stable set search_path = pg_catalog, pg_temp as $$
  with reached as (
    select r.relation, r.depth, r.condition, h.reason as held from crm.person_reach(root) as r
    left join lateral (select string_agg(l.reason, '; ') as reason from crm.legal_hold as l where l.relation = r.relation::text and l.released_at is null) as h on true
    where r.relation <> 'crm.change'::regclass
  ), ruled as (
    select r.relation, r.depth, l.place::integer as place, case when r.held is not null then 'keep' else l.action end as action,
      coalesce('Held: ' || r.held, l.basis_en) as basis_en, coalesce('Saklama kararı: ' || r.held, l.basis_tr) as basis_tr,
      l.counts_from, l.keep_for, case when l.when_column is null then 'true' else format('coalesce(t.%I::text = any (%L::text[]), false)', l.when_column, l.when_values) end
        || case when l.while_function is null then '' else format(' and %s(t.id)', l.while_function::regproc) end as own,
      r.condition, r.held
    from reached as r join crm.erasure_rule as l on l.relation = r.relation::text and root = any (l.roots)
    union all
    select r.relation, r.depth, 1000, case when r.held is not null then 'keep' else 'anonymise' end, coalesce('Held: ' || r.held, 'No basis is left.'),
      coalesce('Saklama kararı: ' || r.held, 'Saklama sebebi kalmadı.'), null, null, 'true', r.condition, r.held
    from reached as r
  ), ordered as (
    select d.*, coalesce(string_agg('not (' || d.own || ')', ' and ') over (partition by d.relation order by d.place rows between unbounded preceding and 1 preceding), 'true') as none_before
    from ruled as d
  ), personal as (
    select f.relation::regclass as relation, array_agg(f.column_name order by f.column_name) as columns,
      string_agg(format('%I = %s', f.column_name, crm.emptied(f.relation::regclass, f.column_name, e.placeholder)), ', ') filter (where not f.is_derived) as assignments,
      string_agg(format('t.%I is distinct from %s', f.column_name, crm.emptied(f.relation::regclass, f.column_name, e.placeholder)), ' or ') filter (where not f.is_derived) as changed
    from crm.personal_field as f left join crm.processing_entry as e on e.relation = f.relation and e.column_name = f.column_name
    group by f.relation
  )
  select o.relation, o.depth, case when o.action = 'anonymise' and p.assignments is null then 'keep' else o.action end,
    o.condition || ' and ' || o.none_before || ' and (' || o.own || ')', p.assignments, p.changed, coalesce(p.columns, '{}'),
    case when o.action = 'anonymise' and p.assignments is null then 'Holds no personal data by itself: accounts and statistics.' else o.basis_en end,
    case when o.action = 'anonymise' and p.assignments is null then 'Kendi başına kişisel veri içermez: hesap ve istatistik.' else o.basis_tr end,
    o.counts_from, o.keep_for
  from ordered as o left join personal as p on p.relation = o.relation
  where o.none_before !~ 'not \(true\)'
$$;

-- The registry answered: what was kept for it goes.
create function crm.empty_settled_consent() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if crm.awaits_registry(new.event_id) or not exists (
    select from crm.consent_event as e
    left join crm.customer as c on c.id = e.customer_id left join crm.contact as k on k.customer_id = e.customer_id and k.id = e.contact_id
    where e.id = new.event_id and e.address is not null and (c.erased_at is not null or k.erased_at is not null)) then
    return null;
  end if;
  perform set_config('session_replication_role', 'replica', true);
  update crm.consent_event as e set address = null, remote_address = null, user_agent = null, note = null where e.id = new.event_id;
  perform set_config('session_replication_role', 'origin', true);
  perform crm.scrub_history(array[new.event_id]);
  return null;
end
$$;
comment on function crm.empty_settled_consent() is 'Trigger: takes the address out of an erased person''s refusal once the registry has it.';
create trigger registry_transfer_empty_consent after update of state on crm.registry_transfer for each row
  when (old.state in ('pending', 'sending') and new.state in ('accepted', 'rejected', 'skipped')) execute function crm.empty_settled_consent();
revoke execute on function crm.awaits_registry(uuid), crm.empty_settled_consent() from crm_app, crm_worker, crm_bulk, crm_access;
set local role none;
grant create on schema crm to crm_steward;
alter function crm.empty_settled_consent() owner to crm_steward;
revoke create on schema crm from crm_steward;
set local role crm_owner;
