-- What tickets and messages hold of persons in free text was not marked yet.
set local role crm_owner;

do $$
declare
  marked record;
begin
  for marked in
    select c.oid as relation, a.attname as name, col_description(c.oid, a.attnum) as said from (values
      ('ticket', 'status_reason'), ('ticket', 'custom'), ('ticket_stay', 'reason'), ('ticket_time', 'note'), ('outbound_message', 'problem')
    ) as wanted (relation, name)
    join pg_class as c on c.relname = wanted.relation and c.relnamespace = 'crm'::regnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attname = wanted.name
    where col_description(c.oid, a.attnum) not like 'personal:%'
  loop
    execute format('comment on column %s.%I is %L', marked.relation::regclass, marked.name, 'personal: ' || lower(left(marked.said, 1)) || substr(marked.said, 2));
  end loop;
end
$$;
select crm.register_personal(relation, 'correspondence', columns) from (values
  ('crm.ticket', '{status_reason,custom}'::text[]), ('crm.ticket_stay', '{reason}'), ('crm.ticket_time', '{note}'), ('crm.outbound_message', '{problem}')
) as entries (relation, columns);

-- They are few, and the analyses read them with every purchase.
set local role none;
alter function crm.erased_customers() rows 20;
