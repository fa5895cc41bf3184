-- Quotes: versions of an offer with their lines, approvals, and the customer's answer.
set local role crm_owner;

-- How much discount a seller may give -----------------------------------------------------------------------------------------------

alter table crm.role add column discount_cap_percent numeric(5,2),
  add constraint role_discount_cap_percent_range check (discount_cap_percent between 0 and 100 and discount_cap_percent <> 'NaN');
comment on column crm.role.discount_cap_percent is 'The largest discount, in percent of the list price, that people with this role give on a quote without asking; null: the role itself allows none.';
comment on constraint role_discount_cap_percent_range on crm.role is 'en: A discount is 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
grant select (id, discount_cap_percent) on crm.role to crm_access;
create policy role_access on crm.role for select to crm_access using (true);

create function crm.discount_cap("user" uuid, customer uuid) returns numeric
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case
    when exists (
      select from crm.user_role as ur join crm.role_permission as rp on rp.role_id = ur.role_id
      where ur.user_id = "user" and rp.area = 'admin' and rp.write_scope = 'all') then 100
    else coalesce((
      select max(r.discount_cap_percent) from crm.user_role as ur join crm.role as r on r.id = ur.role_id where ur.user_id = "user"), 0)
  end
$$;
comment on function crm.discount_cap(uuid, uuid) is
  'The largest discount in percent that a user gives a customer without asking: the widest of the user''s roles; 100 for administrators, 0 where no role says more. So far it is the same for every customer.';

-- Quotes --------------------------------------------------------------------------------------------------------------------------

create function crm.quote_digest(
  number text, revision integer, currency text, valid_until date, opportunity uuid, contact uuid, terms text, net numeric, vat numeric, lines integer
) returns text language sql immutable parallel safe
  return md5(
    number || E'\x1f' || revision || E'\x1f' || currency || E'\x1f' || (valid_until - date '2000-01-01') || E'\x1f' || coalesce(opportunity::text, '') || E'\x1f'
    || coalesce(contact::text, '') || E'\x1f' || net || E'\x1f' || vat || E'\x1f' || lines || E'\x1f' || coalesce(terms, ''));
comment on function crm.quote_digest(text, integer, text, date, uuid, uuid, text, numeric, numeric, integer) is
  'A digest of what a customer is offered: everything a quote says beside its lines. A sent quote must keep the one it was sealed with.';

create table crm.quote (
  customer_id            uuid          not null,
  id                     uuid          not null default crm.uuid_v7(),
  number                 text          not null,
  revision               integer       not null default 1,
  supersedes_id          uuid,
  opportunity_id         uuid,
  contact_id             uuid,
  status                 text          not null default 'draft',
  editable               boolean       not null generated always as (status = 'draft') stored,
  currency               text          not null default 'TRY',
  price_book_id          uuid,
  valid_until            date          not null,
  terms                  text,
  note                   text,
  net_amount             numeric(18,2) not null default 0,
  vat_amount             numeric(18,2) not null default 0,
  total_amount           numeric(18,2) not null generated always as (net_amount + vat_amount) stored,
  vat_breakdown          jsonb         not null default '[]',
  line_count             integer       not null default 0,
  worst_discount_percent numeric(5,2)  not null default 0,
  sent_at                timestamptz,
  answered_at            timestamptz,
  link_hash              bytea,
  sealed_digest          text          generated always as (
    case when status in ('draft', 'awaiting_approval', 'approved') then null
    else crm.quote_digest(number, revision, currency, valid_until, opportunity_id, contact_id, terms, net_amount, vat_amount, line_count) end) stored,
  department_id          uuid          not null,
  owner_id               uuid,
  visibility             text          not null default 'company',
  audience               uuid          generated always as (
    case visibility when 'company' then '00000000-0000-0000-0000-000000000000'::uuid when 'private' then owner_id else department_id end) stored,
  created_at             timestamptz   not null default now(),
  updated_at             timestamptz   not null default now(),
  version                integer       not null default 1,
  created_by             uuid          default crm.caller_id(),
  constraint quote_id_primary primary key (customer_id, id),
  constraint quote_customer_id_exists foreign key (customer_id) references crm.customer (id),
  constraint quote_number_unique unique (customer_id, number, revision),
  constraint quote_editable_unique unique (customer_id, editable, id),
  constraint quote_supersedes_id_exists foreign key (customer_id, supersedes_id) references crm.quote (customer_id, id),
  constraint quote_supersedes_id_unique unique (customer_id, supersedes_id),
  constraint quote_contact_id_exists foreign key (customer_id, contact_id) references crm.contact (customer_id, id),
  constraint quote_opportunity_id_exists foreign key (customer_id, opportunity_id) references crm.opportunity (customer_id, id),
  constraint quote_revision_positive check (revision > 0),
  constraint quote_number_length check (length(number) between 1 and 40),
  constraint quote_status_known check (status in ('draft', 'awaiting_approval', 'approved', 'sent', 'accepted', 'declined', 'expired', 'superseded')),
  constraint quote_currency_exists foreign key (currency) references crm.currency (code),
  constraint quote_valid_until_real check (valid_until between '2000-01-01' and '2199-12-31'),
  constraint quote_terms_length check (length(terms) <= 10000),
  constraint quote_net_amount_positive check (net_amount >= 0 and net_amount <> 'NaN'),
  constraint quote_vat_amount_positive check (vat_amount >= 0 and vat_amount <> 'NaN'),
  constraint quote_total_amount_number check (total_amount <> 'NaN'),
  constraint quote_line_count_positive check (line_count > 0 or line_count = 0 and status = 'draft'),
  constraint quote_worst_discount_percent_range check (worst_discount_percent between 0 and 100 and worst_discount_percent <> 'NaN'),
  constraint quote_vat_breakdown_list check (jsonb_typeof(vat_breakdown) = 'array'),
  constraint quote_sent_at_known check ((status in ('draft', 'awaiting_approval', 'approved')) = (sent_at is null)),
  constraint quote_answered_at_known check (status not in ('accepted', 'declined') or answered_at is not null),
  constraint quote_link_hash_length check (length(link_hash) = 32),
  constraint quote_department_id_exists foreign key (department_id) references crm.department (id),
  constraint quote_owner_id_exists foreign key (owner_id) references crm.app_user (id),
  constraint quote_visibility_known check (visibility in ('company', 'department', 'private')),
  constraint quote_owner_id_private check (visibility <> 'private' or owner_id is not null)
);
comment on table crm.quote is 'An offer to a customer in one of its versions. Sent, it cannot be changed any more; a revision supersedes it.';
comment on column crm.quote.number is 'The number that people quote; all revisions of a quote have it.';
comment on column crm.quote.revision is 'Counts the versions of a quote from 1.';
comment on column crm.quote.supersedes_id is 'The version before this one.';
comment on column crm.quote.opportunity_id is 'The opportunity the quote is for.';
comment on column crm.quote.contact_id is 'The person at the customer it is addressed to.';
comment on column crm.quote.status is 'draft, awaiting_approval, approved, sent, accepted, declined, expired or superseded. Moved by operations alone.';
comment on column crm.quote.editable is 'Derived: whether its lines may still be changed.';
comment on column crm.quote.currency is 'Currency of all its amounts.';
comment on column crm.quote.price_book_id is 'The price book that prices are taken from; null for the customer''s own.';
comment on column crm.quote.valid_until is 'The last day on which it can be accepted, as days are counted in Türkiye.';
comment on column crm.quote.terms is 'Delivery, payment and other terms, shown to the customer.';
comment on column crm.quote.note is 'What colleagues should know; never shown to the customer.';
comment on column crm.quote.net_amount is 'Sum of its lines without VAT.';
comment on column crm.quote.vat_amount is 'VAT on its lines.';
comment on column crm.quote.total_amount is 'What the customer pays: net and VAT.';
comment on column crm.quote.vat_breakdown is 'Net amount and VAT by VAT rate, in the order of the rates: a list of {vat_rate, net_amount, vat_amount}, numbers as text.';
comment on column crm.quote.line_count is 'How many lines it has.';
comment on column crm.quote.worst_discount_percent is 'The largest discount of its lines; decides whether sending needs approval.';
comment on column crm.quote.sent_at is 'When it was sent first.';
comment on column crm.quote.answered_at is 'When the customer accepted or declined.';
comment on column crm.quote.link_hash is 'secret: SHA-256 of the token in the link the customer was given; a new link replaces it.';
comment on column crm.quote.sealed_digest is 'secret: derived: the digest of a sent version, which must be the one in its seal.';
comment on constraint quote_number_unique on crm.quote is 'en: This version of the quote is already there. | tr: Teklifin bu sürümü zaten var.';
comment on constraint quote_editable_unique on crm.quote is 'en: This quote is already there. | tr: Bu teklif zaten var.';
comment on constraint quote_supersedes_id_unique on crm.quote is 'en: This version already has a successor; revise that one. | tr: Bu sürümün yerine yenisi geçmiş; onu düzenleyin.';
comment on constraint quote_contact_id_exists on crm.quote is 'en: The contact is not one of this customer''s. | tr: Bu kişi bu müşteride çalışmıyor.';
comment on constraint quote_opportunity_id_exists on crm.quote is 'en: The opportunity is not one of this customer''s. | tr: Bu fırsat bu müşterinin değil.';
comment on constraint quote_revision_positive on crm.quote is 'en: Versions are numbered from 1. | tr: Sürümler 1''den başlayarak numaralanır.';
comment on constraint quote_number_length on crm.quote is 'en: A quote''s number has 1 to 40 characters. | tr: Teklif numarası 1 ile 40 karakter arasındadır.';
comment on constraint quote_status_known on crm.quote is 'en: A quote is draft, awaiting_approval, approved, sent, accepted, declined, expired or superseded. | tr: Teklif draft, awaiting_approval, approved, sent, accepted, declined, expired ya da superseded olabilir.';
comment on constraint quote_valid_until_real on crm.quote is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint quote_terms_length on crm.quote is 'en: Terms have at most 10,000 characters. | tr: Koşullar en çok 10.000 karakterdir.';
comment on constraint quote_net_amount_positive on crm.quote is 'en: A quote cannot be worth less than nothing. | tr: Teklif tutarı sıfırdan küçük olamaz.';
comment on constraint quote_vat_amount_positive on crm.quote is 'en: VAT cannot be less than nothing. | tr: KDV sıfırdan küçük olamaz.';
comment on constraint quote_total_amount_number on crm.quote is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint quote_line_count_positive on crm.quote is 'en: Give the quote at least one line first. | tr: Önce teklife en az bir satır ekleyin.';
comment on constraint quote_worst_discount_percent_range on crm.quote is 'en: A discount is 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
comment on constraint quote_vat_breakdown_list on crm.quote is 'en: The VAT breakdown is a list. | tr: KDV dökümü bir listedir.';
comment on constraint quote_sent_at_known on crm.quote is 'en: A quote that went out says when. | tr: Gönderilmiş bir teklifin gönderim zamanı vardır.';
comment on constraint quote_answered_at_known on crm.quote is 'en: An answered quote says when. | tr: Yanıtlanmış bir teklifin yanıt zamanı vardır.';
comment on constraint quote_link_hash_length on crm.quote is 'en: A link is stored as its hash. | tr: Bağlantı özet olarak saklanır.';
create index quote_id_index on crm.quote (id);
create index quote_status_index on crm.quote (status, valid_until, id);
create index quote_opportunity_id_index on crm.quote (opportunity_id) where opportunity_id is not null;
create index quote_link_hash_index on crm.quote (link_hash) where link_hash is not null;

create table crm.quote_line (
  customer_id                uuid          not null,
  id                         uuid          not null default crm.uuid_v7(),
  quote_id                   uuid          not null,
  editable                   boolean       not null default true,
  line_number                integer       not null,
  product_id                 uuid          not null,
  description                text          not null,
  quantity                   numeric(18,3) not null,
  unit_code                  text          not null,
  unit_price                 numeric(18,6) not null,
  list_price                 numeric(18,6),
  discount_percent           numeric(5,2)  not null default 0,
  effective_discount_percent numeric(5,2)  not null generated always as (
    greatest(discount_percent, case when list_price > 0 then round(100 - unit_price * (100 - discount_percent) / list_price, 2) else 0 end)) stored,
  vat_rate                   numeric(5,2)  not null,
  net_amount                 numeric(18,2) not null generated always as (round(quantity * unit_price * (1 - discount_percent / 100), 2)) stored,
  vat_amount                 numeric(18,2) not null generated always as (round(round(quantity * unit_price * (1 - discount_percent / 100), 2) * vat_rate / 100, 2)) stored,
  department_id              uuid          not null,
  owner_id                   uuid,
  audience                   uuid,
  created_at                 timestamptz   not null default now(),
  updated_at                 timestamptz   not null default now(),
  version                    integer       not null default 1,
  created_by                 uuid          default crm.caller_id(),
  constraint quote_line_id_primary primary key (customer_id, id),
  constraint quote_line_quote_id_exists foreign key (customer_id, editable, quote_id) references crm.quote (customer_id, editable, id) on update cascade,
  constraint quote_line_line_number_unique unique (customer_id, quote_id, line_number),
  constraint quote_line_line_number_positive check (line_number > 0),
  constraint quote_line_product_id_exists foreign key (product_id) references crm.product (id),
  constraint quote_line_description_length check (length(btrim(description)) between 1 and 1500),
  constraint quote_line_quantity_positive check (quantity > 0 and quantity <> 'NaN'),
  constraint quote_line_unit_code_exists foreign key (unit_code) references crm.unit (code),
  constraint quote_line_unit_price_positive check (unit_price >= 0 and unit_price <> 'NaN'),
  constraint quote_line_list_price_positive check (list_price >= 0 and list_price <> 'NaN'),
  constraint quote_line_discount_percent_range check (discount_percent between 0 and 100 and discount_percent <> 'NaN'),
  constraint quote_line_effective_discount_percent_number check (effective_discount_percent <> 'NaN'),
  constraint quote_line_net_amount_number check (net_amount <> 'NaN'),
  constraint quote_line_vat_amount_number check (vat_amount <> 'NaN'),
  constraint quote_line_vat_rate_range check (vat_rate between 0 and 100 and vat_rate <> 'NaN')
);
comment on table crm.quote_line is 'One product on a quote.';
comment on column crm.quote_line.quote_id is 'The quote it is on.';
comment on column crm.quote_line.editable is 'Whether the quote is still a draft. The foreign key keeps it equal to the quote''s, and policies let only lines of drafts be written.';
comment on column crm.quote_line.line_number is 'Its place on the quote, from 1.';
comment on column crm.quote_line.product_id is 'The product offered.';
comment on column crm.quote_line.description is 'What the customer reads.';
comment on column crm.quote_line.quantity is 'How many units.';
comment on column crm.quote_line.unit_code is 'What a quantity of 1 means (UN/ECE code).';
comment on column crm.quote_line.unit_price is 'Price of one unit before the discount, without VAT, in the quote''s currency.';
comment on column crm.quote_line.list_price is 'Price of one unit by the price books when the line was made; null if they had none.';
comment on column crm.quote_line.discount_percent is 'Discount on the unit price, in percent.';
comment on column crm.quote_line.effective_discount_percent is 'How far the line is below the list price, in percent; at least its discount.';
comment on column crm.quote_line.vat_rate is 'VAT in percent.';
comment on column crm.quote_line.net_amount is 'What the line costs without VAT: quantity times price less the discount, rounded to the cent.';
comment on column crm.quote_line.vat_amount is 'VAT on the line, rounded to the cent.';
comment on constraint quote_line_quote_id_exists on crm.quote_line is 'en: There is no such quote, or it is no draft any more; revise it to change its lines. | tr: Böyle bir teklif yok ya da artık taslak değil; satırlarını değiştirmek için yeni sürüm açın.';
comment on constraint quote_line_line_number_unique on crm.quote_line is 'en: The quote already has a line with this number. | tr: Teklifte bu numaralı bir satır zaten var.';
comment on constraint quote_line_line_number_positive on crm.quote_line is 'en: Lines are numbered from 1. | tr: Satırlar 1''den başlayarak numaralanır.';
comment on constraint quote_line_description_length on crm.quote_line is 'en: Describe the line in at most 1,500 characters. | tr: Satırı en çok 1.500 karakterle açıklayın.';
comment on constraint quote_line_quantity_positive on crm.quote_line is 'en: A quantity is a number above zero. | tr: Miktar sıfırdan büyük bir sayıdır.';
comment on constraint quote_line_unit_code_exists on crm.quote_line is 'en: There is no such unit; see /v1/units. | tr: Böyle bir birim yok; /v1/units adresine bakın.';
comment on constraint quote_line_unit_price_positive on crm.quote_line is 'en: A price is a number and not below zero. | tr: Fiyat bir sayıdır ve sıfırdan küçük olamaz.';
comment on constraint quote_line_list_price_positive on crm.quote_line is 'en: A price is a number and not below zero. | tr: Fiyat bir sayıdır ve sıfırdan küçük olamaz.';
comment on constraint quote_line_discount_percent_range on crm.quote_line is 'en: A discount is 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
comment on constraint quote_line_effective_discount_percent_number on crm.quote_line is 'en: A discount must be a number. | tr: İndirim bir sayı olmalıdır.';
comment on constraint quote_line_net_amount_number on crm.quote_line is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint quote_line_vat_amount_number on crm.quote_line is 'en: An amount must be a number. | tr: Tutar bir sayı olmalıdır.';
comment on constraint quote_line_vat_rate_range on crm.quote_line is 'en: VAT is 0 to 100 percent. | tr: KDV oranı yüzde 0 ile 100 arasındadır.';
create index quote_line_id_index on crm.quote_line (id);
create index quote_line_product_id_index on crm.quote_line (product_id);

create table crm.quote_seal (
  customer_id   uuid not null,
  quote_id      uuid not null,
  digest        text not null,
  department_id uuid not null,
  owner_id      uuid,
  audience      uuid,
  constraint quote_seal_quote_id_primary primary key (customer_id, quote_id),
  constraint quote_seal_quote_id_exists foreign key (customer_id, quote_id) references crm.quote (customer_id, id),
  constraint quote_seal_digest_unique unique (customer_id, quote_id, digest)
);
comment on table crm.quote_seal is 'What a quote said when it was sent. Written once and never changed: a sent quote refers to it by its own digest, so that changing the quote breaks the reference.';
comment on column crm.quote_seal.quote_id is 'The quote that was sent.';
comment on column crm.quote_seal.digest is 'What crm.quote_digest said of it when it was sent.';
comment on constraint quote_seal_quote_id_primary on crm.quote_seal is 'en: This quote was already sent. | tr: Bu teklif zaten gönderilmiş.';
comment on constraint quote_seal_digest_unique on crm.quote_seal is 'en: This quote was already sent. | tr: Bu teklif zaten gönderilmiş.';

alter table crm.quote add constraint quote_sealed_digest_exists
  foreign key (customer_id, id, sealed_digest) references crm.quote_seal (customer_id, quote_id, digest);
comment on constraint quote_sealed_digest_exists on crm.quote is
  'en: A quote that was sent cannot be changed; revise it. | tr: Gönderilmiş bir teklif değiştirilemez; yeni sürüm açın.';

create table crm.quote_approval (
  customer_id      uuid         not null,
  id               uuid         not null default crm.uuid_v7(),
  quote_id         uuid         not null,
  discount_percent numeric(5,2) not null,
  requested_by     uuid         not null,
  requested_at     timestamptz  not null default now(),
  request_note     text,
  author_id        uuid,
  decision         text,
  decided_by       uuid,
  decided_at       timestamptz,
  decision_note    text,
  department_id    uuid         not null,
  owner_id         uuid,
  audience         uuid,
  created_at       timestamptz  not null default now(),
  updated_at       timestamptz  not null default now(),
  version          integer      not null default 1,
  created_by       uuid         default crm.caller_id(),
  constraint quote_approval_id_primary primary key (customer_id, id),
  constraint quote_approval_quote_id_exists foreign key (customer_id, quote_id) references crm.quote (customer_id, id),
  constraint quote_approval_requested_by_exists foreign key (requested_by) references crm.app_user (id),
  constraint quote_approval_author_id_exists foreign key (author_id) references crm.app_user (id),
  constraint quote_approval_decided_by_exists foreign key (decided_by) references crm.app_user (id),
  constraint quote_approval_discount_percent_range check (discount_percent between 0 and 100 and discount_percent <> 'NaN'),
  constraint quote_approval_decision_known check (decision in ('approved', 'rejected', 'withdrawn')),
  constraint quote_approval_decision_whole check (num_nulls(decision, decided_by, decided_at) in (0, 3)),
  constraint quote_approval_decided_by_other check (decision = 'withdrawn' or decided_by <> requested_by and decided_by <> coalesce(author_id, requested_by)),
  constraint quote_approval_request_note_length check (length(request_note) <= 2000),
  constraint quote_approval_decision_note_length check (length(decision_note) <= 2000)
);
comment on table crm.quote_approval is 'A request to give more discount than the seller may, and what came of it.';
comment on column crm.quote_approval.quote_id is 'The quote.';
comment on column crm.quote_approval.discount_percent is 'The largest discount on the quote when approval was asked for.';
comment on column crm.quote_approval.requested_by is 'Who asked.';
comment on column crm.quote_approval.requested_at is 'When.';
comment on column crm.quote_approval.request_note is 'Why the discount should be given.';
comment on column crm.quote_approval.author_id is 'Who made the quote.';
comment on column crm.quote_approval.decision is 'approved, rejected, or withdrawn by who asked; null while it is open.';
comment on column crm.quote_approval.decided_by is 'Who decided; approving and rejecting is for somebody else.';
comment on column crm.quote_approval.decided_at is 'When.';
comment on column crm.quote_approval.decision_note is 'Why.';
comment on constraint quote_approval_discount_percent_range on crm.quote_approval is 'en: A discount is 0 to 100 percent. | tr: İndirim yüzde 0 ile 100 arasındadır.';
comment on constraint quote_approval_decision_known on crm.quote_approval is 'en: A decision is approved, rejected or withdrawn. | tr: Karar approved, rejected ya da withdrawn olabilir.';
comment on constraint quote_approval_decision_whole on crm.quote_approval is 'en: A decision says who made it and when. | tr: Kararı kimin ne zaman verdiği belirtilir.';
comment on constraint quote_approval_decided_by_other on crm.quote_approval is 'en: Nobody approves or rejects a quote of their own. | tr: Kimse kendi teklifini onaylayamaz ya da reddedemez.';
comment on constraint quote_approval_request_note_length on crm.quote_approval is 'en: A note has at most 2,000 characters. | tr: Not en çok 2.000 karakterdir.';
comment on constraint quote_approval_decision_note_length on crm.quote_approval is 'en: A note has at most 2,000 characters. | tr: Not en çok 2.000 karakterdir.';
create index quote_approval_id_index on crm.quote_approval (id);
create index quote_approval_quote_id_index on crm.quote_approval (quote_id);
create unique index quote_approval_open on crm.quote_approval (customer_id, quote_id) where decision is null;

create table crm.quote_answer (
  customer_id    uuid        not null,
  id             uuid        not null default crm.uuid_v7(),
  quote_id       uuid        not null,
  answer         text        not null,
  name           text        not null,
  reason         text,
  via            text        not null,
  answered_at    timestamptz not null default now(),
  remote_address text,
  user_agent     text,
  department_id  uuid        not null,
  owner_id       uuid,
  audience       uuid,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  version        integer     not null default 1,
  created_by     uuid        default crm.caller_id(),
  constraint quote_answer_id_primary primary key (customer_id, id),
  constraint quote_answer_quote_id_exists foreign key (customer_id, quote_id) references crm.quote (customer_id, id),
  constraint quote_answer_quote_id_unique unique (customer_id, quote_id),
  constraint quote_answer_answer_known check (answer in ('accepted', 'declined')),
  constraint quote_answer_name_length check (length(btrim(name)) between 1 and 200),
  constraint quote_answer_reason_length check (length(reason) <= 2000),
  constraint quote_answer_via_known check (via in ('link', 'colleague')),
  constraint quote_answer_remote_address_length check (length(remote_address) <= 100),
  constraint quote_answer_user_agent_length check (length(user_agent) <= 500)
);
comment on table crm.quote_answer is 'How a customer answered a quote: once.';
comment on column crm.quote_answer.quote_id is 'The quote that was answered.';
comment on column crm.quote_answer.answer is 'accepted or declined.';
comment on column crm.quote_answer.name is 'personal: who answered at the customer, as they wrote it.';
comment on column crm.quote_answer.reason is 'What they said about it.';
comment on column crm.quote_answer.via is 'link: the customer, through the link; colleague: somebody here on the customer''s behalf.';
comment on column crm.quote_answer.answered_at is 'When.';
comment on column crm.quote_answer.remote_address is 'personal: network address the answer came from.';
comment on column crm.quote_answer.user_agent is 'personal: what the browser said of itself.';
comment on constraint quote_answer_quote_id_unique on crm.quote_answer is 'en: This quote was already answered. | tr: Bu teklif zaten yanıtlanmış.';
comment on constraint quote_answer_answer_known on crm.quote_answer is 'en: An answer is accepted or declined. | tr: Yanıt accepted ya da declined olabilir.';
comment on constraint quote_answer_name_length on crm.quote_answer is 'en: Give a name of at most 200 characters. | tr: En çok 200 karakterlik bir ad verin.';
comment on constraint quote_answer_reason_length on crm.quote_answer is 'en: A reason has at most 2,000 characters. | tr: Gerekçe en çok 2.000 karakterdir.';
comment on constraint quote_answer_via_known on crm.quote_answer is 'en: A quote is answered through its link or by a colleague. | tr: Teklif bağlantısından ya da bir çalışan tarafından yanıtlanır.';
comment on constraint quote_answer_remote_address_length on crm.quote_answer is 'en: A network address has at most 100 characters. | tr: Ağ adresi en çok 100 karakterdir.';
comment on constraint quote_answer_user_agent_length on crm.quote_answer is 'en: A browser''s name has at most 500 characters. | tr: Tarayıcı adı en çok 500 karakterdir.';
create index quote_answer_id_index on crm.quote_answer (id);

-- What keeps the parts with their quote ----------------------------------------------------------------------------------------------

create function crm.follow_quote() returns trigger language plpgsql as $$
begin
  select q.department_id, q.owner_id, q.audience into new.department_id, new.owner_id, new.audience
  from crm.quote as q where q.customer_id = new.customer_id and q.id = new.quote_id;
  if not found then
    perform crm.missing_reference('quote_id');
  end if;
  return new;
end
$$;
comment on function crm.follow_quote() is 'Trigger: gives a part of a quote the quote''s department, owner and audience; a quote the caller cannot see is a missing reference.';
create trigger quote_line_follow before insert on crm.quote_line for each row execute function crm.follow_quote();
create trigger quote_seal_follow before insert on crm.quote_seal for each row execute function crm.follow_quote();
create trigger quote_approval_follow before insert on crm.quote_approval for each row execute function crm.follow_quote();
create trigger quote_answer_follow before insert on crm.quote_answer for each row execute function crm.follow_quote();

-- Runs as the owner, because the lines of a sent quote, its seal and its answer are closed to everybody else.
create function crm.lead_quote_parts() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update crm.quote_line as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.quote_id = new.id;
  update crm.quote_seal as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.quote_id = new.id;
  update crm.quote_approval as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.quote_id = new.id;
  update crm.quote_answer as x set department_id = new.department_id, owner_id = new.owner_id, audience = new.audience
  where x.customer_id = new.customer_id and x.quote_id = new.id;
  return null;
end
$$;
comment on function crm.lead_quote_parts() is 'Trigger: when a quote changes department, owner or visibility, its lines, seal, approvals and answer follow.';
revoke execute on function crm.lead_quote_parts() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger quote_lead after update on crm.quote for each row
  when ((old.department_id, old.owner_id, old.audience) is distinct from (new.department_id, new.owner_id, new.audience)) execute function crm.lead_quote_parts();
alter table crm.quote enable always trigger quote_lead;

create function crm.total_quotes() returns trigger language plpgsql as $$
begin
  update crm.quote as q
  set net_amount = sums.net, vat_amount = sums.vat, vat_breakdown = sums.breakdown, line_count = sums.lines, worst_discount_percent = sums.worst
  from (
    select touched.customer_id, touched.quote_id, coalesce(sum(rates.net), 0) as net, coalesce(sum(rates.vat), 0) as vat, coalesce(sum(rates.lines), 0) as lines,
      coalesce(max(rates.worst), 0) as worst,
      coalesce(jsonb_agg(jsonb_build_object('vat_rate', rates.vat_rate::text, 'net_amount', rates.net::text, 'vat_amount', rates.vat::text) order by rates.vat_rate)
        filter (where rates.vat_rate is not null), '[]') as breakdown
    from (select distinct customer_id, quote_id from touched_rows) as touched
    left join lateral (
      select l.vat_rate, sum(l.net_amount) as net, sum(l.vat_amount) as vat, count(*) as lines, max(l.effective_discount_percent) as worst
      from crm.quote_line as l where l.customer_id = touched.customer_id and l.quote_id = touched.quote_id
      group by l.vat_rate
    ) as rates on true
    group by touched.customer_id, touched.quote_id
  ) as sums
  where q.customer_id = sums.customer_id and q.id = sums.quote_id
    and (q.net_amount, q.vat_amount, q.vat_breakdown, q.line_count, q.worst_discount_percent)
      is distinct from (sums.net, sums.vat, sums.breakdown, sums.lines, sums.worst);
  return null;
end
$$;
comment on function crm.total_quotes() is 'Trigger, once a statement: writes the sums of the lines, the VAT by rate and the largest discount to their quotes.';
create trigger quote_line_total_insert after insert on crm.quote_line referencing new table as touched_rows for each statement execute function crm.total_quotes();
create trigger quote_line_total_update after update on crm.quote_line referencing new table as touched_rows for each statement execute function crm.total_quotes();
create trigger quote_line_total_delete after delete on crm.quote_line referencing old table as touched_rows for each statement execute function crm.total_quotes();

select crm.protect('crm.quote', area => 'sales', kind => 'owned', resource => 'quotes', bi => true);
select crm.protect('crm.quote_line', area => 'sales', kind => 'owned', resource => 'quote_lines', verbs => '{select,insert,update,delete}', bi => true);
select crm.protect('crm.quote_seal', area => 'sales', kind => 'owned', verbs => '{select,insert}', reason => 'It repeats a digest of the quote, whose changes are logged.');
select crm.protect('crm.quote_approval', area => 'sales', kind => 'owned', resource => 'quote_approvals', bi => true);
select crm.protect('crm.quote_answer', area => 'sales', kind => 'owned', resource => 'quote_answers', verbs => '{select,insert}', bi => true);

-- Lines of a quote that is no draft any more are nobody's to write; the foreign key tells them apart.
create policy quote_line_draft_insert on crm.quote_line as restrictive for insert to crm_app, crm_worker with check (editable);
create policy quote_line_draft_update on crm.quote_line as restrictive for update to crm_app, crm_worker using (editable) with check (editable);
create policy quote_line_draft_delete on crm.quote_line as restrictive for delete to crm_app, crm_worker using (editable);
create policy quote_line_keep on crm.quote_line to crm_owner using (true) with check (true);
create policy quote_seal_keep on crm.quote_seal to crm_owner using (true) with check (true);
create policy quote_approval_keep on crm.quote_approval to crm_owner using (true) with check (true);
create policy quote_answer_keep on crm.quote_answer to crm_owner using (true) with check (true);

-- Owning needs the right to create for the moment of the hand-over; only the migrator is a member of both roles.
set local role none;
grant create on schema crm to crm_access;
alter function crm.discount_cap(uuid, uuid) owner to crm_access;
revoke create on schema crm from crm_access;
