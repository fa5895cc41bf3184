-- Numbers are numbers, and every record has a history: what the migrations of privacy made before the change log watched is written into it, as it is now.
set local role crm_owner;
alter table crm.interaction add constraint interaction_sentiment_number check (sentiment <> 'NaN');
comment on constraint interaction_sentiment_number on crm.interaction is 'en: Sentiment is a number between -1 and 1. | tr: Duygu -1 ile 1 arasında bir sayıdır.';
alter table crm.ticket add constraint ticket_satisfaction_number check (satisfaction <> 'NaN');
comment on constraint ticket_satisfaction_number on crm.ticket is 'en: Satisfaction is a number from 0 to 100. | tr: Memnuniyet 0 ile 100 arasında bir sayıdır.';
alter table crm.ticket_clock add constraint ticket_clock_elapsed_seconds_finite check (elapsed_seconds <> all ('{NaN,Infinity,-Infinity}'));
comment on constraint ticket_clock_elapsed_seconds_finite on crm.ticket_clock is 'en: Time is a number of seconds. | tr: Süre saniye sayısıdır.';

set local role none;
do $$
declare
  seed record;
begin
  for seed in select * from (values ('crm.privacy_rule', 'privacy_rules'), ('crm.retention_rule', 'retention_rules')) as t (relation, resource)
  loop
    execute format(
      'insert into crm.change (xid, seq, relation, op, row_id, area, via, after)
       select pg_current_xact_id(), $1 + row_number() over (order by t.created_at, t.id), %2$L, ''insert'', t.id, %3$L, ''system:migration'', to_jsonb(t) - ''updated_at''
       from %1$s as t where not exists (select from crm.change as c where c.relation = %2$L and c.row_id = t.id)', seed.relation, seed.resource,
      (select p.area from crm.protection as p where p.relation = seed.relation))
    using coalesce(nullif(current_setting('muhatap.change_seq', true), ''), '0')::bigint;
    perform set_config('muhatap.change_seq', (select coalesce(max(c.seq), 0) from crm.change as c where c.xid = pg_current_xact_id())::text, true);
  end loop;
end
$$;
