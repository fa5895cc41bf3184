-- The knowledge base: articles in versions, found by words as people write them, and judged by who reads them.
set local role crm_owner;

create table crm.article (
  id                uuid        not null default crm.uuid_v7(),
  slug              text        not null,
  category          text,
  readers           text        not null default 'internal',
  review_on         date,
  review_every_days integer     default 365,
  archived_at       timestamptz,
  department_id     uuid,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  version           integer     not null default 1,
  created_by        uuid        default crm.caller_id(),
  constraint article_id_primary primary key (id),
  constraint article_slug_unique unique (slug),
  constraint article_slug_shape check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 120),
  constraint article_category_length check (length(btrim(category)) between 1 and 100),
  constraint article_readers_known check (readers in ('public', 'customers', 'internal')),
  constraint article_review_on_finite check (isfinite(review_on)),
  constraint article_review_every_days_range check (review_every_days between 1 and 3660),
  constraint article_department_id_exists foreign key (department_id) references crm.department (id)
);
comment on table crm.article is 'Something known that answers questions again and again. What it says stands in its versions.';
comment on column crm.article.slug is 'Its address on the public pages.';
comment on column crm.article.category is 'What it is listed under.';
comment on column crm.article.readers is 'Who may read what is published: public (everyone), customers (also in the portal) or internal (colleagues).';
comment on column crm.article.review_on is 'The day by which somebody looks whether it still holds; moved by publishing and reviewing.';
comment on column crm.article.review_every_days is 'Days between reviews; null for none.';
comment on column crm.article.archived_at is 'Since when it is no longer shown; null while it is.';
comment on column crm.article.department_id is 'The department that keeps it true.';
comment on constraint article_slug_unique on crm.article is 'en: Another article already has this address. | tr: Bu adres başka bir makalede kullanılıyor.';
comment on constraint article_slug_shape on crm.article is 'en: An address has small letters a–z, digits and hyphens, at most 120. | tr: Adres a–z küçük harf, rakam ve tireden oluşur; en çok 120 karakter.';
comment on constraint article_category_length on crm.article is 'en: Give a category of at most 100 characters. | tr: En çok 100 karakterlik bir kategori verin.';
comment on constraint article_readers_known on crm.article is 'en: An article is for public, customers or internal. | tr: Makale public, customers ya da internal için olabilir.';
comment on constraint article_review_on_finite on crm.article is 'en: Give a real date. | tr: Gerçek bir tarih verin.';
comment on constraint article_review_every_days_range on crm.article is 'en: Review every 1 to 3660 days. | tr: 1 ile 3660 günde bir gözden geçirin.';
create index article_review_on_index on crm.article (review_on, id) where archived_at is null;
select crm.protect('crm.article', area => 'service', kind => 'reference', resource => 'articles', bi => true);
create policy article_keep on crm.article for select to crm_owner using (true);

-- Words ---------------------------------------------------------------------------------------------------------------------------
-- A text is kept three times over: by the stems of its words as they are written, by the stems of the same words in plain letters, and by the plain words. So
-- "iadesi", "İADE" and "siparisler" (for siparişler) are found, and so is a word whose beginning alone was typed.

create function crm.text_words(language text, value text) returns tsvector language sql immutable strict parallel safe
  return case language
    when 'tr' then to_tsvector('pg_catalog.turkish', lower(translate(value, 'Iİ', 'ıi') collate "und-x-icu")) || to_tsvector('pg_catalog.turkish', crm.search_key(value))
    else to_tsvector('pg_catalog.english', lower(value collate "und-x-icu")) || to_tsvector('pg_catalog.english', crm.search_key(value)) end
    || to_tsvector('pg_catalog.simple', crm.search_key(value));
comment on function crm.text_words(text, text) is 'The words of a text as it is searched: their stems as written and in plain letters, and the plain words. Turkish unless the language is another.';

create function crm.word_query(language text, wanted text, every boolean) returns tsquery language plpgsql immutable strict parallel safe as $$
declare
  word text;
  plain text;
  stem text;
  one tsquery;
  whole tsquery;
  taken integer := 0;
begin
  for word in select m[1] from regexp_matches(wanted, '[[:alnum:]]+', 'g') as m loop
    one := null;
    -- A word without meaning (ve, bir, the) has no stem and asks for nothing.
    for stem in
      select w.lexeme from unnest(case language
        when 'tr' then to_tsvector('pg_catalog.turkish', lower(translate(word, 'Iİ', 'ıi') collate "und-x-icu")) || to_tsvector('pg_catalog.turkish', crm.search_key(word))
        else to_tsvector('pg_catalog.english', lower(word collate "und-x-icu")) || to_tsvector('pg_catalog.english', crm.search_key(word)) end) as w
    loop
      one := coalesce(one || (quote_literal(stem) || ':*')::tsquery, (quote_literal(stem) || ':*')::tsquery);
    end loop;
    continue when one is null;
    plain := crm.search_key(word);
    if length(plain) > 2 then
      one := one || (quote_literal(plain) || ':*')::tsquery;
    end if;
    if language = 'tr' and length(plain) > 4 then
      -- What the stemmer leaves: the possessive after a vowel (iadesi), and verbs (gönderiyorum, gönderebilirsiniz), which the first five letters bring together
      -- about as well as a lexicon does (Can et al. 2008, Information retrieval on Turkish texts).
      one := one || (quote_literal(left(plain, 5)) || ':*')::tsquery;
      if plain ~ '[aeiou]s[iu]$' then
        one := one || (quote_literal(left(plain, -2)) || ':*')::tsquery;
      end if;
    end if;
    whole := case when whole is null then one when every then whole && one else whole || one end;
    taken := taken + 1;
    exit when taken = 60;
  end loop;
  return whole;
end
$$;
comment on function crm.word_query(text, text, boolean) is
  'The question for words in crm.text_words: each by the beginning of its stem or of itself; all of them (every) or any. At most sixty words; words without meaning are left out; null when none remains.';

create table crm.article_version (
  id           uuid        not null default crm.uuid_v7(),
  article_id   uuid        not null,
  language     text        not null default 'tr',
  number       integer     not null default 0,
  state        text        not null default 'draft',
  title        text        not null,
  summary      text,
  body         text        not null,
  words        tsvector    generated always as (
    setweight(crm.text_words(language, title), 'A') || setweight(crm.text_words(language, coalesce(summary, '')), 'B') || setweight(crm.text_words(language, body), 'C')) stored,
  published_at timestamptz,
  published_by uuid,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  version      integer     not null default 1,
  created_by   uuid        default crm.caller_id(),
  constraint article_version_id_primary primary key (id),
  constraint article_version_article_id_exists foreign key (article_id) references crm.article (id),
  constraint article_version_language_known check (language in ('tr', 'en')),
  constraint article_version_number_once unique (article_id, language, number),
  constraint article_version_state_known check (state in ('draft', 'published', 'replaced', 'withdrawn')),
  constraint article_version_title_length check (length(btrim(title)) between 1 and 200),
  constraint article_version_summary_length check (length(summary) <= 1000),
  constraint article_version_body_length check (length(btrim(body)) between 1 and 100000),
  constraint article_version_published_at_given check ((state = 'draft') = (published_at is null)),
  constraint article_version_published_by_exists foreign key (published_by) references crm.app_user (id),
  constraint article_version_state_draft check (state is not null)
);
comment on table crm.article_version is 'What an article says in a language. A draft changes; what was published stays as it was and is replaced by a later version.';
comment on column crm.article_version.article_id is 'The article.';
comment on column crm.article_version.language is 'tr or en.';
comment on column crm.article_version.number is 'Counts the versions of the article in the language from 1; given by the database.';
comment on column crm.article_version.state is 'draft, published (the one that is shown), replaced or withdrawn.';
comment on column crm.article_version.title is 'Its title.';
comment on column crm.article_version.summary is 'The answer in a sentence or two.';
comment on column crm.article_version.body is 'The text: paragraphs apart by an empty line; lines beginning with "# " are headings, with "- " items of a list.';
comment on column crm.article_version.words is 'secret: the words it is found by.';
comment on column crm.article_version.published_at is 'When it was published; null for a draft.';
comment on column crm.article_version.published_by is 'Who published it.';
comment on constraint article_version_number_once on crm.article_version is 'en: Another version has this number. | tr: Bu numara başka bir sürümde kullanılıyor.';
comment on constraint article_version_language_known on crm.article_version is 'en: A language is tr or en. | tr: Dil tr ya da en olabilir.';
comment on constraint article_version_state_known on crm.article_version is 'en: A version is draft, published, replaced or withdrawn. | tr: Sürüm draft, published, replaced ya da withdrawn olabilir.';
comment on constraint article_version_title_length on crm.article_version is 'en: Give a title of at most 200 characters. | tr: En çok 200 karakterlik bir başlık verin.';
comment on constraint article_version_summary_length on crm.article_version is 'en: Sum it up in at most 1000 characters. | tr: Özeti en çok 1000 karakterle yazın.';
comment on constraint article_version_body_length on crm.article_version is 'en: Write 1 to 100,000 characters. | tr: 1 ile 100.000 karakter arası yazın.';
comment on constraint article_version_published_at_given on crm.article_version is 'en: What was published has a time, a draft has none. | tr: Yayımlananın zamanı olur, taslağın olmaz.';
comment on constraint article_version_state_draft on crm.article_version is 'en: What was published stays as it was. Write a new version. | tr: Yayımlanan olduğu gibi kalır. Yeni bir sürüm yazın.';
create index article_version_words_index on crm.article_version using gin (words) where state = 'published';
create unique index article_version_published_index on crm.article_version (article_id, language) where state = 'published';
create index article_version_article_id_index on crm.article_version (article_id, language, number);

create function crm.keep_article_version() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    perform pg_advisory_xact_lock(hashtext('crm.article_version'), hashtext(new.article_id::text));
    select coalesce(max(v.number), 0) + 1 into new.number from crm.article_version as v where v.article_id = new.article_id and v.language = new.language;
    return new;
  elsif tg_op = 'UPDATE' and (old.id, old.article_id, old.language, old.number) is not distinct from (new.id, new.article_id, new.language, new.number)
    and (old.state = 'draft' and new.state in ('draft', 'published')
      or old.state = 'published' and new.state in ('replaced', 'withdrawn')
        and (old.title, old.summary, old.body, old.published_at, old.published_by) is not distinct from (new.title, new.summary, new.body, new.published_at, new.published_by)
      -- Changes nothing that is said.
      or old.state = new.state
        and (old.title, old.summary, old.body, old.published_at, old.published_by) is not distinct from (new.title, new.summary, new.body, new.published_at, new.published_by)) then
    return new;
  end if;
  raise exception using errcode = 'check_violation', constraint = 'article_version_state_draft', table = 'article_version', schema = 'crm',
    message = 'what was published stays as it was';
end
$$;
comment on function crm.keep_article_version() is 'Trigger: numbers the versions, and refuses to change what was published otherwise than by replacing or withdrawing it.';
revoke execute on function crm.keep_article_version() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger article_version_keep before insert or update on crm.article_version for each row execute function crm.keep_article_version();
alter table crm.article_version enable always trigger article_version_keep;
select crm.protect('crm.article_version', area => 'service', kind => 'reference', resource => 'article_versions', bi => true);
create policy article_version_keep on crm.article_version for select to crm_owner using (true);

create table crm.article_feedback (
  id         uuid        not null default crm.uuid_v7(),
  article_id uuid        not null,
  version_id uuid        not null,
  helpful    boolean     not null,
  comment    text,
  via        text        not null default 'public',
  visitor    bytea,
  given_on   date        not null default crm.business_day(now()),
  created_at timestamptz not null default now(),
  created_by uuid        default crm.caller_id(),
  constraint article_feedback_id_primary primary key (id),
  constraint article_feedback_article_id_exists foreign key (article_id) references crm.article (id),
  constraint article_feedback_version_id_exists foreign key (version_id) references crm.article_version (id),
  constraint article_feedback_comment_length check (length(comment) <= 2000),
  constraint article_feedback_via_known check (via in ('public', 'portal', 'colleague')),
  constraint article_feedback_visitor_length check (octet_length(visitor) = 32),
  constraint article_feedback_visitor_once unique (version_id, given_on, visitor)
);
comment on table crm.article_feedback is 'Whether somebody was helped by a version of an article.';
comment on column crm.article_feedback.article_id is 'The article.';
comment on column crm.article_feedback.version_id is 'The version that was read.';
comment on column crm.article_feedback.helpful is 'Whether it helped.';
comment on column crm.article_feedback.comment is 'What was said about it; it is not asked who says it.';
comment on column crm.article_feedback.via is 'public (the page), portal or colleague.';
comment on column crm.article_feedback.visitor is 'secret: hash of who said it and the day, so that one says it once a day.';
comment on column crm.article_feedback.given_on is 'The day.';
comment on constraint article_feedback_comment_length on crm.article_feedback is 'en: Write at most 2000 characters. | tr: En çok 2000 karakter yazın.';
comment on constraint article_feedback_via_known on crm.article_feedback is 'en: Feedback comes via public, portal or colleague. | tr: Geri bildirim public, portal ya da colleague yoluyla gelir.';
comment on constraint article_feedback_visitor_length on crm.article_feedback is 'en: Visitors are stored as SHA-256 hashes only. | tr: Ziyaretçiler yalnızca SHA-256 özeti olarak saklanır.';
comment on constraint article_feedback_visitor_once on crm.article_feedback is 'en: You said so today already. | tr: Bugün zaten belirttiniz.';
create index article_feedback_article_id_index on crm.article_feedback (article_id, created_at);
select crm.protect('crm.article_feedback', area => 'service', kind => 'reference', resource => 'article_feedback', verbs => '{select,insert}', bi => true);

-- Row-level security lets no index answer @@ (it is not leakproof), so this function looks for the caller, and shows what the caller may read: colleagues with
-- service everything published, a customer in the portal what is for customers, everyone else what is public.
create function crm.find_articles(wanted text, wanted_language text, every boolean, most integer)
returns table (article_id uuid, version_id uuid, rank real) language sql stable security definer set search_path = pg_catalog, pg_temp rows 10 as $$
  select v.article_id, v.id, ts_rank('{0.05, 0.1, 0.4, 1}', v.words, q.query, 1) as rank
  from (select crm.word_query(wanted_language, wanted, every) as query) as q
  join crm.article_version as v on v.words @@ q.query
  join crm.article as a on a.id = v.article_id
  where v.state = 'published' and v.language = wanted_language and a.archived_at is null
    and (a.readers = 'public' or a.readers = 'customers' and crm.portal_customer() is not null or crm.reads('service') and crm.portal_customer() is null)
  order by rank desc, v.id desc limit least(most, 100)
$$;
comment on function crm.find_articles(text, text, boolean, integer) is
  'The published articles in a language that have all (every) or any of the words, best first, of those the caller may read: everything for who reads service, what is for customers in the portal, else what is public.';
grant execute on function crm.find_articles(text, text, boolean, integer) to crm_portal;

select crm.offer_to_portal('crm.article', '{id,slug,category,readers}', 'readers in (''public'', ''customers'') and archived_at is null');
select crm.offer_to_portal('crm.article_version', '{id,article_id,language,number,title,summary,body,published_at,state}',
  'state = ''published'' and article_id in (select a.id from crm.article as a)');
