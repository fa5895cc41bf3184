-- Live events and webhooks tell that a sensitive field had a value, and not which: what they tell goes out many times and is read by programs, so that no log of reads could say
-- who saw it. Whoever needs the value reads the record, which is written down.
set local role crm_owner;

create function crm.sensitive_fields() returns table (resource text, fields text[]) language sql stable as $$
  select p.resource, array_agg(e.column_name order by e.column_name)
  from crm.processing_entry as e join crm.data_category as g on g.code = e.category join crm.protection as p on p.relation = e.relation
  where g.is_sensitive and p.resource is not null group by p.resource
$$;
comment on function crm.sensitive_fields() is 'The fields of each resource whose reading is written down, by the register of processing.';
revoke execute on function crm.sensitive_fields() from crm_bulk, crm_access;

create function crm.changes_told_after(after_xid xid8, after_seq bigint, most integer, only_relations text[] default null)
returns table (xid xid8, seq bigint, at timestamptz, relation text, op text, row_id uuid, customer_id uuid, area text, audience uuid, owner_id uuid,
  actor_id uuid, request_id uuid, via text, before jsonb, after jsonb, withheld text[])
language sql stable as $$
  select c.xid, c.seq, c.at, c.relation, c.op, c.row_id, c.customer_id, c.area, c.audience, c.owner_id, c.actor_id, c.request_id, c.via,
    case when w.fields is null then c.before else c.before - w.fields end, case when w.fields is null then c.after else c.after - w.fields end, w.fields
  from crm.changes_after(after_xid, after_seq, most, only_relations) as c
  left join crm.sensitive_fields() as s on s.resource = c.relation
  cross join lateral (
    select case when s.fields is not null
      then nullif(array(select f from unnest(s.fields) as f where coalesce(c.before ->> f, c.after ->> f) is not null), '{}') end as fields
  ) as w
  order by c.xid, c.seq
$$;
comment on function crm.changes_told_after(xid8, bigint, integer, text[]) is
  'As crm.changes_after, for those to whom changes are sent: sensitive fields that had a value before or after are named in withheld, and their values are left out.';
revoke execute on function crm.changes_told_after(xid8, bigint, integer, text[]) from crm_bulk, crm_access;
