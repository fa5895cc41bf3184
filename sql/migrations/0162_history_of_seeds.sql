-- Every record has a history: what the migrations of value models made before the change log watched is written into it, as made by a migration, as it is now.
do $$
declare
  seed record;
begin
  for seed in select * from (values ('crm.pyramid', 'pyramids'), ('crm.pyramid_band', 'pyramid_bands'), ('crm.value_model', 'value_models'), ('crm.value_key', 'value_keys'),
    ('crm.service_rate', 'service_rates')) as t (relation, resource)
  loop
    execute format(
      'insert into crm.change (xid, seq, relation, op, row_id, area, via, after)
       select pg_current_xact_id(), $1 + row_number() over (order by t.created_at, t.id), %2$L, ''insert'', t.id, ''analytics'', ''system:migration'', to_jsonb(t) - ''updated_at''
       from %1$s as t where not exists (select from crm.change as c where c.relation = %2$L and c.row_id = t.id)', seed.relation, seed.resource)
    using coalesce(nullif(current_setting('muhatap.change_seq', true), ''), '0')::bigint;
    perform set_config('muhatap.change_seq', (select coalesce(max(c.seq), 0) from crm.change as c where c.xid = pg_current_xact_id())::text, true);
  end loop;
end
$$;
