-- Fills an empty, migrated database with :customers customers of the demo company's sales department, named as people and companies in Türkiye are:
-- two thirds persons, common names common; one third organisations of a family name or a place, a trade and a legal form. Every tenth has an identifier,
-- every third a telephone number and an e-mail address. Run by the superuser with triggers off.
set session_replication_role = replica;
set client_min_messages = warning;
select setseed(0.42);

create temporary table word (kind text, place integer, text text);
insert into word select 'first', n, w from unnest(string_to_array('Mehmet Mustafa Ahmet Ali Hüseyin Hasan İbrahim İsmail Osman Yusuf Murat Ömer Ramazan Halil Süleyman Abdullah Mahmut Recep Salih Fatih Kadir Emre Hakan Adem Kemal Yaşar Bekir Musa Metin Orhan Bayram Serkan Furkan Uğur Gökhan Cemal Yunus Burak Arif Can Fatma Ayşe Emine Hatice Zeynep Elif Meryem Şerife Zehra Sultan Hanife Merve Havva Zeliha Esra Fadime Özlem Hacer Yasemin Hülya Cemile Sevim Gülsüm Leyla Dilek Büşra Aysel Songül Kübra Halime Esma Aynur Hayriye Kadriye Sibel Rabia Sevgi Tuğba Derya Filiz Gül Işıl Irmak Ilgın İpek İrem Çağla Çiğdem Özge Şule Ümit Ünal Oğuz Tolga Barış Deniz Ege Kaan Kerem Arda Mert Onur Cem Tuna Alp Bora Ece Selin Naz Defne Nil Pınar Seda Gizem Gamze Begüm Tülay Nurhan Şükran Nilgün Zerrin Doğan Taner Volkan Ferhat Sinan Levent Erdem Engin Ercan Cengiz Selçuk', ' ')) with ordinality as w (w, n);
insert into word select 'last', n, w from unnest(string_to_array('Yılmaz Kaya Demir Çelik Şahin Yıldız Yıldırım Öztürk Aydın Özdemir Arslan Doğan Kılıç Aslan Çetin Kara Koç Kurt Özkan Şimşek Polat Özcan Korkmaz Çakır Erdoğan Yavuz Can Acar Şen Aktaş Güler Yalçın Güneş Bozkurt Bulut Keskin Ünal Turan Gül Özer Işık Kaplan Avcı Sarı Tekin Taş Köse Yüksel Ateş Aksoy Çiftçi Tunç Duman Güven Şeker Uçar Sönmez Karataş Özen Bayram Karaca Uysal Ceylan Akın Durmaz Erol Toprak Soylu Albayrak Balcı Karakaş Altun Coşkun Esen Ekinci Ergün Gündüz Karadağ Kahraman Sezer Uzun Yaman Zengin Akgün Bilgin Dinç Eroğlu Gök Ilgaz Irmak Işıklar Iğdır İnan İnce İpek Küçük Levent Mutlu Oral Öner Pehlivan Sağlam Tan Uslu Vural Yazıcı Ertürk Demirci Kocabaş Karabulut Çalışkan Günay Akbaş Demirtaş Topal Baran Genç Ay Er Sever Turgut Alkan Başaran Cengiz Dağ Ersoy Gökçe Hancı İlhan Kalkan', ' ')) with ordinality as w (w, n);
insert into word select 'trade', n, w from unnest(string_to_array('Tekstil|Gıda|İnşaat|Otomotiv|Turizm|Lojistik|Mobilya|Elektrik|Makine|Kimya|Plastik|Yazılım|Danışmanlık|Reklam|Tarım|Hayvancılık|Mermer|Ambalaj|Kağıt|Matbaa|Kuyumculuk|Ayakkabı|Deri|Cam|Seramik|Enerji|Madencilik|Nakliyat|Petrol|Eczane|Sağlık|Eğitim|Bilişim|Elektronik|Döküm|Metal|Orman Ürünleri|Su Ürünleri|Temizlik|Güvenlik|Dış Ticaret|Yapı Malzemeleri|Isıtma Soğutma|İplik|Halı|Süt Ürünleri|Unlu Mamuller|Fındık', '|')) with ordinality as w (w, n);
insert into word select 'form', n, w from unnest(array['A.Ş.', 'Ltd. Şti.', 'San. ve Tic. Ltd. Şti.', 'San. ve Tic. A.Ş.', 'Sanayi ve Ticaret Limited Şirketi', 'Sanayi ve Ticaret Anonim Şirketi', 'Pazarlama Ltd. Şti.', 'Ticaret', '', 'Grup A.Ş.']) with ordinality as w (w, n);

-- Family names are made of more than a list: Karaoğlu, Demirtaş, Aydınsoy.
insert into word
select 'family', row_number() over (order by s.place, r.place), r.text || s.text
  from word as r, (values (1, 'oğlu'), (2, 'soy'), (3, 'taş'), (4, 'er'), (5, 'tekin'), (6, 'türk'), (7, 'kan'), (8, 'alp'), (9, 'han'), (10, 'gil'), (11, 'ay'), (12, 'öz')) as s (place, text)
 where r.kind = 'last' and length(r.text) <= 7;

-- A common name's place in its list is drawn with a density that falls like 1 / place, as names do; of 1,000,000 customers some 500 are called Mehmet Yılmaz.
create temporary table given as
select kind, array_agg(text order by place) as words, count(*)::integer as size from word group by kind;
create function pg_temp.draw(wanted text, evenly boolean default false) returns text language plpgsql volatile as $$
declare
  list record;
begin
  select * into list from given where kind = wanted;
  return list.words[1 + least(list.size - 1, case when evenly then floor(random() * list.size) else floor(exp(random() * ln(list.size + 1)) - 1) end::integer)];
end
$$;

insert into crm.customer (id, kind, name, tax_number, lifecycle_phase, department_id)
select crm.uuid_v7(), case when n % 3 = 0 then 'organisation' else 'person' end,
       case
         when n % 3 = 0 then concat_ws(' ', case when n % 2 = 0 then pg_temp.draw('first', true) end,
           case when n % 4 = 1 then pg_temp.draw('family', true) else pg_temp.draw('last', true) end, pg_temp.draw('trade', true),
           case when n % 5 = 0 then pg_temp.draw('trade', true) end, nullif(pg_temp.draw('form', true), ''))
         else concat_ws(' ', pg_temp.draw('first', n % 4 <> 1), case when n % 7 = 1 then pg_temp.draw('first', true) end,
           case when n % 5 < 3 then pg_temp.draw('family', true) else pg_temp.draw('last', n % 5 = 3) end)
       end,
       case when n % 10 = 0 then (select t from (select n::bigint * 6661 % 1000000000 as base) b, lateral (
         select lpad(b.base::text, 9, '0') || d as t from generate_series(0, 9) d) v where crm.valid_vkn(t) limit 1) end,
       'active', d.id
  from generate_series(1, :customers) as n, crm.department as d where d.code = 'sales';

insert into crm.contact_point (customer_id, id, kind, value, department_id, audience)
select c.id, crm.uuid_v7(), p.kind, case p.kind when 'phone' then '+905' || lpad((30000000 + c.number * 7)::text, 9, '0') else 'm' || c.number || '@ornek.example' end,
       c.department_id, c.audience
  from (select id, department_id, audience, row_number() over (order by id) as number from crm.customer) as c, (values ('phone'), ('email')) as p (kind)
 where c.number % 3 = 0;

vacuum analyze crm.customer;
analyze crm.contact_point;
