-- What the company knows of persons, and why: the register of processing, column by column. Which columns hold personal data stands in their comments (personal: …);
-- here stands what each is for, on what legal basis, for how long, and what becomes of it when the person is erased.
set local role crm_owner;

-- Marks that were missing: free text in which people write about people, and what identifies somebody together with the rest.
do $$
declare
  marked record;
begin
  for marked in
    select c.oid as relation, a.attname as name, a.attnum as number from (values
      ('customer', 'website'), ('customer', 'note'), ('customer', 'custom'), ('contact', 'job_title'), ('contact', 'custom'),
      ('address', 'district'), ('address', 'postal_code'), ('contact_point', 'label'),
      ('lead', 'job_title'), ('lead', 'website'), ('lead', 'interest'), ('lead', 'disqualification_note'), ('lead', 'note'), ('lead', 'custom'),
      ('lead', 'first_page'), ('lead', 'last_page'),
      ('activity', 'place'), ('activity', 'next_step'), ('activity', 'cancellation_reason'),
      ('opportunity', 'note'), ('opportunity', 'next_step'), ('opportunity', 'lost_note'), ('opportunity', 'custom'), ('contract', 'note'),
      ('quote', 'note'), ('quote_answer', 'reason'), ('sales_order', 'note'), ('shipment', 'note'), ('payment', 'note'), ('customer_observation', 'note'),
      ('invoice', 'note'), ('invoice', 'buyer_district'), ('invoice', 'buyer_postal_code'), ('merge', 'reason'), ('change', 'before'), ('change', 'after'),
      ('external_id', 'key'), ('campaign_response', 'reference')
    ) as wanted (relation, name)
    join pg_class as c on c.relname = wanted.relation and c.relnamespace = 'crm'::regnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attname = wanted.name
  loop
    execute format('comment on column %s.%I is %L', marked.relation::regclass, marked.name,
      'personal: ' || regexp_replace(col_description(marked.relation, marked.number), '^(.)', lower(substr(col_description(marked.relation, marked.number), 1, 1))));
  end loop;
end
$$;

create view crm.personal_field with (security_invoker = true) as
select c.oid::regclass::text as relation, a.attname::text as column_name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as is_required,
  a.attgenerated <> '' as is_derived, regexp_replace(col_description(c.oid, a.attnum), '^personal: *', '') as meaning
from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'crm'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and col_description(c.oid, a.attnum) like 'personal:%';
comment on view crm.personal_field is 'Every column that its comment marks as holding personal data, from PostgreSQL''s catalogue.';
comment on column crm.personal_field.relation is 'The table, with its schema.';
comment on column crm.personal_field.column_name is 'The column.';
comment on column crm.personal_field.type is 'Its type.';
comment on column crm.personal_field.is_required is 'Whether it may not be empty.';
comment on column crm.personal_field.is_derived is 'Whether PostgreSQL computes it from others.';
comment on column crm.personal_field.meaning is 'What it holds.';
grant select on crm.personal_field to crm_app, crm_worker;

-- The register ----------------------------------------------------------------------------------------------------------------------

create table crm.data_category (
  code          text     not null,
  title_en      text     not null,
  title_tr      text     not null,
  persons       text     not null default 'customers',
  purpose_en    text     not null,
  purpose_tr    text     not null,
  legal_basis   text     not null,
  recipients_en text     not null,
  recipients_tr text     not null,
  retention_en  text     not null,
  retention_tr  text     not null,
  is_sensitive  boolean  not null default false,
  constraint data_category_code_primary primary key (code),
  constraint data_category_persons_known check (persons in ('customers', 'users')),
  constraint data_category_legal_basis_known check (legal_basis in ('contract', 'consent', 'legal_obligation', 'legitimate_interest', 'legal_claims'))
);
comment on table crm.data_category is 'Kinds of personal data: what for, on which legal basis, shown to whom, kept how long. Part of the register of processing (KVKK art. 16, GDPR art. 30).';
comment on column crm.data_category.code is 'Stable name.';
comment on column crm.data_category.title_en is 'What it is, in English.';
comment on column crm.data_category.title_tr is 'What it is, in Turkish.';
comment on column crm.data_category.persons is 'Of whom: customers (and their contacts, leads, anyone who writes), or users (the company''s own people).';
comment on column crm.data_category.purpose_en is 'What it is needed for, in English.';
comment on column crm.data_category.purpose_tr is 'What it is needed for, in Turkish.';
comment on column crm.data_category.legal_basis is 'contract, consent, legal_obligation, legitimate_interest or legal_claims (KVKK art. 5, GDPR art. 6).';
comment on column crm.data_category.recipients_en is 'Who gets it outside of the department, in English.';
comment on column crm.data_category.recipients_tr is 'Who gets it outside of the department, in Turkish.';
comment on column crm.data_category.retention_en is 'How long it is kept, in English.';
comment on column crm.data_category.retention_tr is 'How long it is kept, in Turkish.';
comment on column crm.data_category.is_sensitive is 'Whether each time it is shown is written down (crm.sensitive_read).';
comment on constraint data_category_persons_known on crm.data_category is 'en: Data are of customers or users. | tr: Veriler customers ya da users grubuna aittir.';
comment on constraint data_category_legal_basis_known on crm.data_category is 'en: The legal basis is contract, consent, legal_obligation, legitimate_interest or legal_claims. | tr: Hukuki sebep contract, consent, legal_obligation, legitimate_interest ya da legal_claims olabilir.';

insert into crm.data_category (code, persons, is_sensitive, legal_basis, title_en, title_tr, purpose_en, purpose_tr, recipients_en, recipients_tr, retention_en, retention_tr) values
  ('identity', 'customers', false, 'contract', 'Identity', 'Kimlik', 'Knowing with whom one deals; concluding and performing contracts.', 'Kiminle görüşüldüğünü bilmek; sözleşme kurmak ve ifa etmek.',
    'Departments with the right to read customers; carriers, for deliveries.', 'Müşterileri okuma yetkisi olan bölümler; teslimat için kargo.', 'While there is a relation, and until the retention rule or an erasure.', 'İlişki sürdükçe; saklama kuralına ya da silme talebine kadar.'),
  ('national_id', 'customers', true, 'legal_obligation', 'Identity or tax number', 'Kimlik ya da vergi numarası', 'Invoices to persons must carry it; telling namesakes apart.', 'Kişilere kesilen faturada zorunludur; adaşları ayırmak.',
    'Revenue administration (e-invoice).', 'Gelir İdaresi Başkanlığı (e-fatura).', 'While there is a relation; on issued invoices as long as these.', 'İlişki sürdükçe; düzenlenen faturalarda fatura kadar.'),
  ('contact_details', 'customers', false, 'contract', 'Ways to reach a person', 'İletişim bilgileri', 'Answering, delivering, and, with consent, offering.', 'Yanıt vermek, teslim etmek ve onay varsa teklif iletmek.',
    'Mail and message providers; carriers; İYS, for consents.', 'E-posta ve mesaj sağlayıcıları; kargo; onaylar için İYS.', 'While there is a relation.', 'İlişki sürdükçe.'),
  ('profile', 'customers', false, 'legitimate_interest', 'Attributes and notes', 'Nitelikler ve notlar', 'Serving a customer as what they are; segments and offers.', 'Müşteriye uygun hizmet; bölümleme ve teklif.',
    'Nobody outside of the company.', 'Şirket dışında kimse.', 'While there is a relation; until objected to.', 'İlişki sürdükçe; itiraz edilene kadar.'),
  ('correspondence', 'customers', false, 'contract', 'What was written and said', 'Yazışma ve görüşmeler', 'Answering in context; proof of what was agreed.', 'Bağlamı bilerek yanıt vermek; kararlaştırılanın kanıtı.',
    'Mail, chat and message providers, on the way.', 'İletim sırasında e-posta, sohbet ve mesaj sağlayıcıları.', 'As the retention rule of interactions says.', 'Etkileşimlerin saklama kuralı kadar.'),
  ('invoice', 'customers', true, 'legal_obligation', 'Buyer on an invoice', 'Faturadaki alıcı', 'Invoices must name the buyer.', 'Faturada alıcının gösterilmesi zorunludur.',
    'Revenue administration, auditors.', 'Gelir İdaresi Başkanlığı, denetçiler.', 'Issued invoices ten years (Commercial Code art. 82; Tax Procedure Law art. 253: five); drafts until deleted.', 'Düzenlenen faturalar on yıl (TTK m.82; VUK m.253: beş); taslaklar silinene kadar.'),
  ('contract_evidence', 'customers', false, 'legal_claims', 'Who accepted an offer', 'Teklifi kabul eden', 'Proof that, when and how an offer was accepted.', 'Teklifin kabul edildiğinin, zamanının ve yolunun kanıtı.',
    'Courts, if there is a dispute.', 'Uyuşmazlıkta mahkemeler.', 'Ten years for accepted offers (Code of Obligations art. 146).', 'Kabul edilen teklifler on yıl (TBK m.146).'),
  ('consent_evidence', 'customers', false, 'legal_obligation', 'Proof of consent', 'Onay kanıtı', 'The sender must prove that a commercial message was allowed.', 'Ticari ileti onayını kanıtlama yükü gönderendedir.',
    'İYS; the ministry on request.', 'İYS; istenirse Bakanlık.', 'Three years after the consent ended.', 'Onayın sona ermesinden itibaren üç yıl.'),
  ('opinion', 'customers', false, 'legitimate_interest', 'Opinions in surveys', 'Anketlerdeki görüşler', 'Measuring and improving service.', 'Hizmeti ölçmek ve iyileştirmek.',
    'Nobody outside of the company.', 'Şirket dışında kimse.', 'Two years with a name, then as numbers only.', 'İki yıl adıyla, sonra yalnızca sayı olarak.'),
  ('device', 'customers', false, 'legitimate_interest', 'Device and network', 'Cihaz ve ağ', 'Protecting public pages from misuse; with consent, following visits.', 'Açık sayfaları kötüye kullanımdan korumak; onay varsa ziyaretleri izlemek.',
    'Nobody outside of the company.', 'Şirket dışında kimse.', 'One year.', 'Bir yıl.'),
  ('history', 'customers', false, 'legitimate_interest', 'Earlier values', 'Önceki değerler', 'Who changed what; undoing merges and mistakes.', 'Kimin neyi değiştirdiği; birleştirmeyi ve hatayı geri almak.',
    'Nobody outside of the company.', 'Şirket dışında kimse.', 'As long as the record; scrubbed when the person is erased.', 'Kayıt kadar; kişi silinince temizlenir.'),
  ('import_remains', 'customers', false, 'legitimate_interest', 'Refused rows of imports', 'İçe aktarmada reddedilen satırlar', 'Telling who imports what to correct.', 'İçe aktarana neyi düzelteceğini göstermek.',
    'Nobody outside of the company.', 'Şirket dışında kimse.', 'Six months.', 'Altı ay.'),
  ('request', 'customers', false, 'legal_obligation', 'Requests of data subjects', 'İlgili kişi başvuruları', 'Answering in time, and proving it.', 'Süresinde yanıtlamak ve bunu kanıtlamak.',
    'The data protection authority on request.', 'İstenirse Kişisel Verileri Koruma Kurulu.', 'Three years after the answer.', 'Yanıttan sonra üç yıl.'),
  ('account', 'users', false, 'contract', 'Accounts of colleagues', 'Çalışan hesapları', 'Signing in; saying who did what.', 'Oturum açmak; kimin ne yaptığını bilmek.',
    'The identity provider.', 'Kimlik sağlayıcı.', 'While employed; names in the change log stay.', 'Çalışma süresince; değişiklik kaydındaki adlar kalır.');
select crm.protect('crm.data_category', area => 'admin', kind => 'open', verbs => '{select}', reason => 'It says what kinds of data there are and holds no business data.');
create policy data_category_keep on crm.data_category to crm_owner using (true) with check (true);

create table crm.processing_entry (
  relation    text not null,
  column_name text not null,
  category    text not null,
  placeholder text,
  constraint processing_entry_column_primary primary key (relation, column_name),
  constraint processing_entry_category_exists foreign key (category) references crm.data_category (code)
);
comment on table crm.processing_entry is 'The register of processing: the category of every column that holds personal data.';
comment on column crm.processing_entry.relation is 'The table, with its schema.';
comment on column crm.processing_entry.column_name is 'The column.';
comment on column crm.processing_entry.category is 'The kind of data: its purpose, basis and retention stand there.';
comment on column crm.processing_entry.placeholder is 'What an erased person''s value becomes where it may not be empty and "erased …" does not fit; null for the usual.';
select crm.protect('crm.processing_entry', area => 'admin', kind => 'open', verbs => '{select}', reason => 'It says which columns hold personal data and holds none.');
create policy processing_entry_keep on crm.processing_entry to crm_owner using (true) with check (true);

create function crm.register_personal(relation text, category text, columns text[], placeholder text default null) returns void language sql as $$
  insert into crm.processing_entry (relation, column_name, category, placeholder)
  select register_personal.relation, c, register_personal.category, register_personal.placeholder from unnest(columns) as c
  on conflict on constraint processing_entry_column_primary do update set category = excluded.category, placeholder = excluded.placeholder
$$;
comment on function crm.register_personal(text, text, text[], text) is
  'Enters columns of a table into the register of processing; called in the migration that makes or marks them.';
revoke execute on function crm.register_personal(text, text, text[], text) from crm_app, crm_worker, crm_bulk, crm_access;

select crm.register_personal(relation, category, columns) from (values
  ('crm.customer', 'identity', '{name,search_key,name_key}'::text[]), ('crm.customer', 'national_id', '{tax_number}'), ('crm.customer', 'profile', '{profile,custom,note}'),
  ('crm.customer', 'contact_details', '{website}'),
  ('crm.contact', 'identity', '{name,search_key,job_title}'), ('crm.contact', 'profile', '{note,custom}'),
  ('crm.address', 'contact_details', '{street,district,postal_code}'), ('crm.contact_point', 'contact_details', '{value,value_key,label}'),
  ('crm.lead', 'identity', '{name,search_key,name_key,job_title}'), ('crm.lead', 'contact_details', '{email,email_key,phone,website}'), ('crm.lead', 'national_id', '{tax_number}'),
  ('crm.lead', 'profile', '{interest,disqualification_note,note,custom}'), ('crm.lead', 'device', '{first_page,last_page}'),
  ('crm.activity', 'correspondence', '{subject,search_key,agenda,minutes,place,next_step,cancellation_reason}'),
  ('crm.activity_participant', 'identity', '{name}'), ('crm.activity_participant', 'contact_details', '{email}'),
  ('crm.opportunity', 'profile', '{note,next_step,lost_note,custom}'), ('crm.contract', 'profile', '{note}'), ('crm.quote', 'profile', '{note}'),
  ('crm.sales_order', 'profile', '{note}'), ('crm.shipment', 'profile', '{note}'), ('crm.payment', 'profile', '{note}'), ('crm.customer_observation', 'profile', '{note}'),
  ('crm.campaign_response', 'profile', '{reference}'), ('crm.external_id', 'identity', '{key}'),
  ('crm.quote_answer', 'contract_evidence', '{name,reason}'), ('crm.quote_answer', 'device', '{remote_address,user_agent}'),
  ('crm.invoice', 'invoice', '{buyer_name,buyer_first_name,buyer_family_name,buyer_tax_number,buyer_street,buyer_district,buyer_postal_code,buyer_email,note}'),
  ('crm.merge', 'history', '{merged_name,reason}'), ('crm.merge_row', 'history', '{before,after}'), ('crm.change', 'history', '{before,after}'),
  ('crm.import_error', 'import_remains', '{value}'), ('crm.session', 'account', '{user_agent}'), ('crm.user_identity', 'account', '{subject}')
) as entries (relation, category, columns);

create view crm.processing_register with (security_invoker = true) as
select f.relation, f.column_name, f.meaning, c.code as category, c.title_en, c.title_tr, c.persons, c.purpose_en, c.purpose_tr, c.legal_basis, c.recipients_en, c.recipients_tr,
  c.retention_en, c.retention_tr, c.is_sensitive
from crm.personal_field as f
left join crm.processing_entry as e on e.relation = f.relation and e.column_name = f.column_name
left join crm.data_category as c on c.code = e.category;
comment on view crm.processing_register is 'The register of processing: one row a column that holds personal data. A category that is null is missing.';
comment on column crm.processing_register.relation is 'The table, with its schema.';
comment on column crm.processing_register.column_name is 'The column.';
comment on column crm.processing_register.meaning is 'What it holds.';
comment on column crm.processing_register.category is 'The kind of data.';
comment on column crm.processing_register.title_en is 'The kind of data, in English.';
comment on column crm.processing_register.title_tr is 'The kind of data, in Turkish.';
comment on column crm.processing_register.persons is 'Of whom: customers or users.';
comment on column crm.processing_register.purpose_en is 'What for, in English.';
comment on column crm.processing_register.purpose_tr is 'What for, in Turkish.';
comment on column crm.processing_register.legal_basis is 'On which legal basis.';
comment on column crm.processing_register.recipients_en is 'Who gets it, in English.';
comment on column crm.processing_register.recipients_tr is 'Who gets it, in Turkish.';
comment on column crm.processing_register.retention_en is 'How long it is kept, in English.';
comment on column crm.processing_register.retention_tr is 'How long it is kept, in Turkish.';
comment on column crm.processing_register.is_sensitive is 'Whether each time it is shown is written down.';
grant select on crm.processing_register to crm_app, crm_worker;
