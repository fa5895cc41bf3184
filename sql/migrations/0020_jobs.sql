-- Work that is done later, by a worker: at least once started, its effects in the database exactly once.
set local role crm_owner;

create table crm.job (
  id            uuid        not null default crm.uuid_v7(),
  kind          text        not null,
  payload       jsonb       not null default '{}',
  key           text,
  status        text        not null default 'queued',
  run_at        timestamptz not null default now(),
  attempt       integer     not null default 0,
  attempt_limit integer     not null default 5,
  leased_until  timestamptz,
  worker        text,
  last_problem  text,
  created_at    timestamptz not null default now(),
  created_by    uuid        default crm.caller_id(),
  started_at    timestamptz,
  finished_at   timestamptz,
  constraint job_id_primary primary key (id),
  constraint job_key_unique unique (key),
  constraint job_kind_shape check (kind ~ '^[a-z][a-z0-9_.]{0,62}$'),
  constraint job_key_length check (length(key) between 1 and 255),
  constraint job_status_known check (status in ('queued', 'running', 'done', 'dead')),
  constraint job_attempt_range check (attempt between 0 and attempt_limit),
  constraint job_lease_given check ((status = 'running') = (leased_until is not null))
);
comment on table crm.job is 'Work for the workers. A job is leased to one worker at a time; each lease has a number (attempt), and only the holder of the latest one may complete the job.';
comment on column crm.job.kind is 'Which handler does it, such as import.run.';
comment on column crm.job.payload is 'What the handler needs to know, as an object.';
comment on column crm.job.key is 'Names the work, so that asking for it twice makes one job; null when every request counts.';
comment on column crm.job.status is 'queued, running, done, or dead (given up after attempt_limit attempts, kept with its last problem).';
comment on column crm.job.run_at is 'Not before this instant; moved on after every failure.';
comment on column crm.job.attempt is 'Number of the latest lease, from 1; fences off workers that hold an older one.';
comment on column crm.job.attempt_limit is 'After this many attempts the job is dead.';
comment on column crm.job.leased_until is 'Until when the lease holds; a job whose worker stopped renewing it is taken over afterwards.';
comment on column crm.job.worker is 'Which worker holds or held the lease.';
comment on column crm.job.last_problem is 'Why the latest attempt failed.';
comment on column crm.job.started_at is 'When the latest attempt began.';
comment on column crm.job.finished_at is 'When it was done or given up.';
comment on constraint job_key_unique on crm.job is 'en: This work is already in the queue. | tr: Bu iş zaten sırada.';
comment on constraint job_kind_shape on crm.job is 'en: A kind starts with a letter and has only small letters a–z, digits, points and underscores. | tr: Tür bir harfle başlar; yalnızca a–z küçük harf, rakam, nokta ve alt çizgi içerir.';
comment on constraint job_key_length on crm.job is 'en: A key has 1 to 255 characters. | tr: Anahtar 1 ile 255 karakter arasındadır.';
comment on constraint job_status_known on crm.job is 'en: A job is queued, running, done or dead. | tr: İş queued, running, done ya da dead olabilir.';
comment on constraint job_attempt_range on crm.job is 'en: A job has no more attempts than its limit. | tr: İşin deneme sayısı sınırını aşamaz.';
comment on constraint job_lease_given on crm.job is 'en: A running job has a lease, another has none. | tr: Yalnızca çalışan işin süresi olur.';
create index job_run_at_index on crm.job (run_at, id) where status in ('queued', 'running');
create index job_finished_at_index on crm.job (finished_at) where status = 'done';

-- Workers that are idle listen on muhatap_job.
create trigger job_announce after insert on crm.job for each statement execute function crm.announce('muhatap_job');

select crm.protect('crm.job', area => 'admin', kind => 'system', verbs => '{select,insert,update,delete}',
  reason => 'The queue moves all the time; what jobs do is in the change log under their own name.');
create policy job_keep on crm.job to crm_owner using (true) with check (true);

-- Only the system sees the queue, but whoever is signed in may cause work.
create function crm.enqueue(kind text, payload jsonb, key text default null, run_at timestamptz default now(), attempt_limit integer default 5) returns uuid
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  insert into crm.job (kind, payload, key, run_at, attempt_limit)
  select enqueue.kind, enqueue.payload, enqueue.key, enqueue.run_at, enqueue.attempt_limit where crm.signed_in()
  on conflict on constraint job_key_unique do nothing
  returning id
$$;
comment on function crm.enqueue(text, jsonb, text, timestamptz, integer) is
  'Puts work in the queue in the caller''s own transaction, so that it is done if and only if that commits. Gives the job''s id; null when a job of this key is there already.';

-- What a handler does in the database and the completion of its job are one transaction, whoever's behalf it runs on.
create function crm.hold_job(job uuid, attempt integer) returns void language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from crm.job as j where j.id = job and j.attempt = hold_job.attempt and j.status = 'running' for update;
  if not found then
    raise exception using errcode = 'CR002', message = 'the lease of this job was lost: another worker has taken it over';
  end if;
end
$$;
comment on function crm.hold_job(uuid, integer) is 'Locks a job until the transaction ends; raises SQLSTATE CR002 unless this attempt still holds the lease.';

create function crm.complete_job(job uuid, attempt integer) returns void language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.job as j set status = 'done', leased_until = null, finished_at = now(), last_problem = null
  where j.id = job and j.attempt = complete_job.attempt and j.status = 'running';
  if not found then
    raise exception using errcode = 'CR002', message = 'the lease of this job was lost: another worker has taken it over';
  end if;
end
$$;
comment on function crm.complete_job(uuid, integer) is 'Marks a job done; raises SQLSTATE CR002 unless this attempt still holds the lease, so that a late worker''s transaction is rolled back.';
revoke execute on function crm.hold_job(uuid, integer), crm.complete_job(uuid, integer) from crm_app, crm_access;
