-- Articles are found by names whatever is added to them: Turkish writes case endings of names behind an apostrophe.
set local role crm_owner;

create or replace function crm.word_query(language text, wanted text, every boolean) returns tsquery language plpgsql immutable strict parallel safe as $$
declare
  word text;
  plain text;
  beginnings text[];
  one tsquery;
  whole tsquery;
  taken integer := 0;
begin
  -- What is added to a name behind an apostrophe (Kapadokya'dan) is not asked for: another article adds something else.
  for word in
    select m[1] from regexp_matches(
      case language when 'tr' then regexp_replace(wanted, '([[:alnum:]]{2})[''’`´][[:alnum:]]+', '\1', 'g') else wanted end, '[[:alnum:]]+', 'g') as m
  loop
    -- Among many words a single letter would find nearly everything.
    continue when not every and length(word) < 2;
    -- A word without meaning (ve, bir, the) has no stem and asks for nothing.
    beginnings := tsvector_to_array(case language
      when 'tr' then to_tsvector('pg_catalog.turkish', lower(translate(word, 'Iİ', 'ıi') collate "und-x-icu")) || to_tsvector('pg_catalog.turkish', crm.search_key(word))
      else to_tsvector('pg_catalog.english', lower(word collate "und-x-icu")) || to_tsvector('pg_catalog.english', crm.search_key(word)) end);
    continue when beginnings = '{}';
    plain := crm.search_key(word);
    if length(plain) > 2 then
      beginnings := beginnings || plain;
    end if;
    if language = 'tr' and length(plain) > 4 then
      -- What the stemmer leaves: the possessive after a vowel (iadesi), and verbs (gönderiyorum, gönderebilirsiniz), which the first five letters bring together
      -- about as well as a lexicon does (Can et al. 2008, Information retrieval on Turkish texts).
      beginnings := beginnings || left(plain, 5);
      if plain ~ '[aeiou]s[iu]$' then
        beginnings := beginnings || left(plain, -2);
      end if;
    end if;
    -- What another beginning finds too costs time and finds no more.
    select string_agg(quote_literal(b) || ':*', '|')::tsquery into one
    from (select distinct b from unnest(beginnings) as b) as d (b) where not exists (select from unnest(beginnings) as s where s <> d.b and starts_with(d.b, s));
    whole := case when whole is null then one when every then whole && one else whole || one end;
    taken := taken + 1;
    exit when taken = 60;
  end loop;
  return whole;
end
$$;
