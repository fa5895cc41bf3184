-- The four phases of a customer relation: selection, acquisition, retention, deepening; who may go where, and who was where when.
set local role crm_owner;

create table crm.phase_move (
  from_phase text    not null,
  to_phase   text    not null,
  forward    boolean not null,
  requires   text    not null,
  constraint phase_move_primary primary key (from_phase, to_phase),
  constraint phase_move_phases_known check (
    from_phase in ('selection', 'acquisition', 'retention', 'deepening') and to_phase in ('selection', 'acquisition', 'retention', 'deepening') and from_phase <> to_phase),
  constraint phase_move_requires_known check (requires in ('nothing', 'never_bought', 'bought_within_a_year', 'bought_twice_within_a_year'))
);
comment on table crm.phase_move is 'From which phase a customer may go to which, and what must hold of the customer.';
comment on column crm.phase_move.from_phase is 'selection, acquisition, retention or deepening.';
comment on column crm.phase_move.to_phase is 'The phase after it.';
comment on column crm.phase_move.forward is 'Whether the relation gets further; a move back is a leak.';
comment on column crm.phase_move.requires is 'What must hold: nothing, never_bought, bought_within_a_year, bought_twice_within_a_year.';
comment on constraint phase_move_phases_known on crm.phase_move is 'en: The phases are selection, acquisition, retention and deepening. | tr: Evreler selection, acquisition, retention ve deepening olabilir.';
comment on constraint phase_move_requires_known on crm.phase_move is 'en: This condition is not known. | tr: Bu koşul bilinmiyor.';
insert into crm.phase_move (from_phase, to_phase, forward, requires) values
  ('selection', 'acquisition', true, 'nothing'), ('selection', 'retention', true, 'bought_within_a_year'), ('acquisition', 'retention', true, 'bought_within_a_year'),
  ('retention', 'deepening', true, 'bought_twice_within_a_year'), ('acquisition', 'selection', false, 'never_bought'), ('retention', 'acquisition', false, 'nothing'),
  ('deepening', 'retention', false, 'bought_within_a_year'), ('deepening', 'acquisition', false, 'nothing');
select crm.protect('crm.phase_move', area => 'customers', kind => 'open', verbs => '{select}', reason => 'It says which phases follow each other and holds no business data.');

create policy phase_move_keep on crm.phase_move to crm_owner using (true) with check (true);

create table crm.customer_phase (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  phase         text        not null,
  entered_at    timestamptz not null default now(),
  left_at       timestamptz,
  decided_by    text        not null default 'rule',
  reason        text        not null,
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint customer_phase_id_primary primary key (customer_id, id),
  constraint customer_phase_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint customer_phase_phase_known check (phase in ('selection', 'acquisition', 'retention', 'deepening')),
  constraint customer_phase_entered_at_finite check (isfinite(entered_at) and isfinite(left_at)),
  constraint customer_phase_left_at_later check (left_at >= entered_at),
  constraint customer_phase_decided_by_known check (decided_by in ('rule', 'person')),
  constraint customer_phase_reason_length check (length(btrim(reason)) between 1 and 500)
);
comment on table crm.customer_phase is 'The phase that a customer was in from an instant until another, and why.';
comment on column crm.customer_phase.phase is 'selection (chosen, not yet addressed), acquisition (being won, or won back), retention (buys), deepening (buys often and broadly).';
comment on column crm.customer_phase.entered_at is 'When it began.';
comment on column crm.customer_phase.left_at is 'When it ended; null while it lasts.';
comment on column crm.customer_phase.decided_by is 'rule: by the nightly derivation. person: by somebody, with a reason.';
comment on column crm.customer_phase.reason is 'Why: of a rule its name, of a person their words.';
comment on constraint customer_phase_phase_known on crm.customer_phase is 'en: The phase is selection, acquisition, retention or deepening. | tr: Evre selection, acquisition, retention ya da deepening olabilir.';
comment on constraint customer_phase_entered_at_finite on crm.customer_phase is 'en: Give real instants. | tr: Gerçek anlar verin.';
comment on constraint customer_phase_left_at_later on crm.customer_phase is 'en: A phase ends after it began. | tr: Bir evre başladıktan sonra biter.';
comment on constraint customer_phase_decided_by_known on crm.customer_phase is 'en: It is decided by rule or person. | tr: Karar rule ya da person tarafından verilir.';
comment on constraint customer_phase_reason_length on crm.customer_phase is 'en: Say why in at most 500 characters. | tr: Nedenini en çok 500 karakterle yazın.';
create unique index customer_phase_current_index on crm.customer_phase (customer_id) where left_at is null;
create index customer_phase_id_index on crm.customer_phase (id);
create index customer_phase_entered_at_index on crm.customer_phase (entered_at, customer_id);
create trigger customer_phase_follow_insert before insert on crm.customer_phase for each row execute function crm.follow_customer();
create trigger customer_phase_follow_update before update on crm.customer_phase for each row
  when ((old.customer_id, old.department_id, old.owner_id, old.audience) is distinct from (new.customer_id, new.department_id, new.owner_id, new.audience))
  execute function crm.follow_customer();

create function crm.lead_customer_phases() returns trigger language plpgsql as $$
begin
  update crm.customer_phase as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience where x.customer_id = new.id;
  return null;
end
$$;
comment on function crm.lead_customer_phases() is 'Trigger: when a customer changes department, owner or visibility, its phases follow.';
create trigger customer_lead_phases after update on crm.customer for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_customer_phases();
alter table crm.customer enable always trigger customer_lead_phases;
insert into crm.merge_rule (relation, on_clash) values ('crm.customer_phase', 'drop');
select crm.protect('crm.customer_phase', area => 'customers', kind => 'owned', resource => 'customer_phases', bi => true);
