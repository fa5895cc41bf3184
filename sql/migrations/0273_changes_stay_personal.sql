-- What changes hold of persons keeps its mark, which writing down their meaning anew (0244) had taken away.
set local role crm_owner;
comment on column crm.change.before is 'personal: Update: the changed columns as they were. Delete: the whole row. Update with {} before and after: told to those who saw the row until then and may not any more.';
comment on column crm.change.after is 'personal: Insert: the whole row; null for rows inserted by an import. Update: the changed columns as they became.';
