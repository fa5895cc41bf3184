-- The way of an issued invoice to the revenue administration and the buyer, through an integrator.
set local role crm_owner;

create table crm.e_invoice (
  customer_id   uuid        not null,
  id            uuid        not null default crm.uuid_v7(),
  invoice_id    uuid        not null,
  ettn          uuid        not null,
  profile       text        not null,
  state         text        not null default 'queued',
  reference     text,
  reason        text,
  sent_at       timestamptz,
  delivered_at  timestamptz,
  answer_due_at timestamptz,
  answered_at   timestamptz,
  cancel_reason text,
  department_id uuid        not null,
  owner_id      uuid,
  audience      uuid,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  version       integer     not null default 1,
  created_by    uuid        default crm.caller_id(),
  constraint e_invoice_id_primary primary key (customer_id, id),
  constraint e_invoice_invoice_id_exists foreign key (customer_id, invoice_id) references crm.invoice (customer_id, id),
  constraint e_invoice_invoice_id_unique unique (customer_id, invoice_id),
  constraint e_invoice_profile_known check (profile in ('TEMELFATURA', 'TICARIFATURA', 'EARSIVFATURA')),
  constraint e_invoice_state_known check (state in ('queued', 'sending', 'sent', 'delivered', 'accepted', 'rejected', 'deemed_accepted', 'refused', 'cancelling', 'cancelled')),
  constraint e_invoice_answer_commercial check (profile = 'TICARIFATURA' or state not in ('accepted', 'rejected', 'deemed_accepted')),
  constraint e_invoice_cancel_archive check (profile = 'EARSIVFATURA' or state not in ('cancelling', 'cancelled')),
  constraint e_invoice_reason_given check (state not in ('refused', 'rejected') or reason is not null)
);
comment on table crm.e_invoice is 'An issued invoice on its way to the buyer as e-Fatura or e-Arşiv.';
comment on column crm.e_invoice.invoice_id is 'The invoice.';
comment on column crm.e_invoice.ettn is 'The document''s own UUID: the key under which an integrator knows it, so that it is never sent twice.';
comment on column crm.e_invoice.profile is 'TEMELFATURA, TICARIFATURA or EARSIVFATURA.';
comment on column crm.e_invoice.state is 'queued; sending (handed over, outcome not known yet); sent; delivered; accepted, rejected or deemed_accepted (TICARIFATURA); refused (by the integrator or the administration); cancelling, cancelled (EARSIVFATURA).';
comment on column crm.e_invoice.reference is 'The integrator''s own name for the document.';
comment on column crm.e_invoice.reason is 'Why it was refused or rejected, in the words of whoever did.';
comment on column crm.e_invoice.sent_at is 'When the integrator had it.';
comment on column crm.e_invoice.delivered_at is 'When the buyer had it.';
comment on column crm.e_invoice.answer_due_at is 'When a TICARIFATURA counts as accepted without an answer: eight days after it was delivered (TTK 21/2).';
comment on column crm.e_invoice.answered_at is 'When the buyer answered.';
comment on column crm.e_invoice.cancel_reason is 'Why we took it back.';
comment on constraint e_invoice_invoice_id_unique on crm.e_invoice is 'en: This invoice was already sent. | tr: Bu fatura zaten gönderildi.';
comment on constraint e_invoice_profile_known on crm.e_invoice is 'en: The profile is TEMELFATURA, TICARIFATURA or EARSIVFATURA. | tr: Senaryo TEMELFATURA, TICARIFATURA ya da EARSIVFATURA olabilir.';
comment on constraint e_invoice_state_known on crm.e_invoice is 'en: There is no such state of an e-invoice. | tr: Böyle bir e-fatura durumu yok.';
comment on constraint e_invoice_answer_commercial on crm.e_invoice is 'en: Only a TICARIFATURA is answered. | tr: Yalnızca TICARIFATURA yanıtlanır.';
comment on constraint e_invoice_cancel_archive on crm.e_invoice is 'en: Only an e-Arşiv invoice can be cancelled; agree on a return with the buyer. | tr: Yalnızca e-Arşiv faturası iptal edilir; alıcıyla iade faturası üzerinde anlaşın.';
comment on constraint e_invoice_reason_given on crm.e_invoice is 'en: A refusal needs its reason. | tr: Ret için gerekçe gerekir.';
create index e_invoice_id_index on crm.e_invoice (id);
create index e_invoice_state_index on crm.e_invoice (state, updated_at) where state in ('queued', 'sending', 'sent', 'delivered', 'cancelling');

create trigger e_invoice_follow_insert before insert on crm.e_invoice for each row execute function crm.follow_invoice();

-- The one way a state changes: an answer that comes late, twice or out of order changes nothing.
create function crm.move_e_invoice(e_invoice uuid, next text, at timestamptz default now(), words text default null) returns boolean language sql as $$
  with moved as (
    update crm.e_invoice as e
    set state = next,
      reference = case when next = 'sent' then coalesce(words, e.reference) else e.reference end,
      reason = case when next in ('refused', 'rejected') then coalesce(words, 'unknown') else e.reason end,
      sent_at = case when next in ('sent', 'delivered', 'accepted', 'rejected') then coalesce(e.sent_at, at) else e.sent_at end,
      delivered_at = case when next in ('delivered', 'accepted', 'rejected') then coalesce(e.delivered_at, at) else e.delivered_at end,
      answer_due_at = case when next = 'delivered' and e.profile = 'TICARIFATURA' then at + interval '8 days' else e.answer_due_at end,
      answered_at = case when next in ('accepted', 'rejected') then at else e.answered_at end
    where e.id = e_invoice and next = any (case e.state
      when 'queued' then '{sending,sent,refused}' when 'sending' then '{sent,delivered,accepted,rejected,refused}'
      when 'sent' then '{delivered,accepted,rejected,refused,cancelling}' when 'delivered' then '{accepted,rejected,deemed_accepted,cancelling}'
      when 'cancelling' then '{cancelled,sent,delivered}' else '{}' end::text[])
    returning 1
  )
  select exists (select from moved)
$$;
comment on function crm.move_e_invoice(uuid, text, timestamptz, text) is 'Moves an e-invoice to its next state; false when that state cannot follow the present one.';

create table crm.simulated_integrator_document (
  id         uuid        not null default crm.uuid_v7(),
  uuid       uuid        not null,
  behaviour  text        not null default 'accept',
  received   integer     not null default 0,
  tried      integer     not null default 0,
  asked      integer     not null default 0,
  cancelled  boolean     not null default false,
  updated_at timestamptz not null default now(),
  constraint simulated_integrator_document_uuid_primary primary key (uuid),
  constraint simulated_integrator_document_behaviour_known check (
    behaviour in ('accept', 'delay', 'refuse', 'timeout_after', 'timeout_before', 'buyer_accepts', 'buyer_rejects', 'buyer_answers_twice'))
);
comment on table crm.simulated_integrator_document is 'What the simulated integrator received: the world outside, for trying things out.';
comment on column crm.simulated_integrator_document.uuid is 'The document (ETTN).';
comment on column crm.simulated_integrator_document.behaviour is 'How the integrator behaves with it.';
comment on column crm.simulated_integrator_document.received is 'How often it arrived; more than once is a mistake of ours.';
comment on column crm.simulated_integrator_document.tried is 'How often somebody tried to send it.';
comment on column crm.simulated_integrator_document.asked is 'How often its status was asked.';
comment on column crm.simulated_integrator_document.cancelled is 'Whether it was taken back.';
comment on column crm.simulated_integrator_document.updated_at is 'When it was first heard of.';
comment on constraint simulated_integrator_document_uuid_primary on crm.simulated_integrator_document is 'en: The integrator knows this document. | tr: Entegratör bu belgeyi biliyor.';
comment on constraint simulated_integrator_document_behaviour_known on crm.simulated_integrator_document is 'en: The simulated integrator does not behave like that. | tr: Simülasyonda böyle bir davranış yok.';

create table crm.vat_rate (
  id          uuid         not null default crm.uuid_v7(),
  rate        numeric(5,2) not null,
  valid_from  date         not null,
  valid_until date,
  created_at  timestamptz  not null default now(),
  updated_at  timestamptz  not null default now(),
  version     integer      not null default 1,
  created_by  uuid         default crm.caller_id(),
  constraint vat_rate_id_primary primary key (id),
  constraint vat_rate_rate_unique unique (rate, valid_from),
  constraint vat_rate_rate_range check (rate between 0 and 100 and rate <> 'NaN'),
  constraint vat_rate_valid_range check (isfinite(valid_from) and isfinite(valid_until) and valid_until >= valid_from)
);
comment on table crm.vat_rate is 'The VAT rates of Türkiye, with the days on which they were in force.';
comment on column crm.vat_rate.rate is 'In percent.';
comment on column crm.vat_rate.valid_from is 'The first day.';
comment on column crm.vat_rate.valid_until is 'The last day; null while it is in force.';
comment on constraint vat_rate_rate_unique on crm.vat_rate is 'en: This rate already begins on that day. | tr: Bu oran o gün zaten başlıyor.';
comment on constraint vat_rate_rate_range on crm.vat_rate is 'en: A VAT rate is 0 to 100 percent. | tr: KDV oranı yüzde 0 ile 100 arasındadır.';
comment on constraint vat_rate_valid_range on crm.vat_rate is 'en: The last day cannot be before the first. | tr: Son gün ilk günden önce olamaz.';

select crm.protect('crm.vat_rate', area => 'finance', kind => 'common', resource => 'vat_rates', bi => true);
select crm.protect('crm.e_invoice', area => 'finance', kind => 'owned', resource => 'e_invoices', bi => true);
select crm.protect('crm.simulated_integrator_document', area => 'finance', kind => 'system', verbs => '{select,insert,update,delete}', reason => 'It stands for another company''s memory.');

set local role none;
set local muhatap.via = 'system:migration';
-- Decree 7346 raised 8 and 18 percent to 10 and 20 on 10 July 2023.
insert into crm.vat_rate (rate, valid_from, valid_until) values
  (0, '2005-01-01', null), (1, '2005-01-01', null), (8, '2005-01-01', '2023-07-09'), (18, '2005-01-01', '2023-07-09'), (10, '2023-07-10', null), (20, '2023-07-10', null);
