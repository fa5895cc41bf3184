-- Prints docs/processing-register.md from the catalogue:  psql -XqAt -f sql/generate/processing-register.sql
\pset format unaligned
\pset tuples_only on
select '# Register of processing

Generated from the database by `make generated`. Which columns hold personal data stands in their comments; what each is for stands in `crm.data_category` and `crm.processing_entry`.
`GET /v1/processing_register` answers the same.

## Kinds of data

| kind | of | purpose | basis | recipients | kept |
|---|---|---|---|---|---|';
select format('| **%s** / %s (`%s`)%s | %s | %s | %s | %s | %s |', title_en, title_tr, code, case when is_sensitive then ', sensitive' else '' end, persons, purpose_en,
  replace(legal_basis, '_', ' '), recipients_en, retention_en)
from crm.data_category order by persons, code;
select '
## Columns

| column | kind | what it holds |
|---|---|---|';
select format('| `%s.%s` | `%s` | %s |', relation, column_name, category, replace(meaning, '|', '\|')) from crm.processing_register order by relation, column_name;
select '
## What erasing a person does

Personal columns are emptied and the row stays, except:

| table | when | what | for | basis | kept |
|---|---|---|---|---|---|';
select format('| `%s` | %s | %s | %s | %s | %s |', relation, coalesce(format('%s: %s', when_column, array_to_string(when_values, ', ')), 'always'), action,
  array_to_string(roots, ', '), basis_en, coalesce(format('%s from %s', keep_for, counts_from), ''))
from crm.erasure_rule order by relation, place;
