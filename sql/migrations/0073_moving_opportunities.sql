-- An opportunity or a contract may move to another customer, as when two customers are merged: what belongs to it goes with it, and references
-- across may wait for the end of the transaction (set constraints all deferred).
set local role crm_owner;

do $$
declare
  item record;
begin
  for item in
    select c.conname as name, c.conrelid::regclass as source, c.confrelid::regclass as target, pg_get_constraintdef(c.oid) as definition,
      obj_description(c.oid, 'pg_constraint') as words,
      (c.conrelid::regclass::text, c.confrelid::regclass::text) in (
        ('crm.opportunity_line', 'crm.opportunity'), ('crm.opportunity_competitor', 'crm.opportunity'), ('crm.opportunity_stage', 'crm.opportunity'),
        ('crm.pipeline_snapshot_entry', 'crm.opportunity'), ('crm.contract_line', 'crm.contract'), ('crm.contract_renewal', 'crm.contract')) as is_part
    from pg_constraint as c
    where c.contype = 'f' and cardinality(c.conkey) = 2 and pg_get_constraintdef(c.oid) ^@ 'FOREIGN KEY (customer_id, '
      and c.conrelid = any (array['crm.opportunity', 'crm.opportunity_line', 'crm.opportunity_competitor', 'crm.opportunity_stage', 'crm.pipeline_snapshot_entry',
        'crm.contract', 'crm.contract_line', 'crm.contract_renewal']::regclass[])
  loop
    execute format('alter table %s drop constraint %I', item.source, item.name);
    execute format('alter table %s add constraint %I %s%s deferrable initially immediate', item.source, item.name, item.definition,
      case when item.is_part then ' on update cascade' else '' end);
    execute format('comment on constraint %I on %s is %L', item.name, item.source, item.words);
  end loop;
end
$$;

comment on column crm.pipeline.active is 'Whether it is still offered for new opportunities; a default one is.';
