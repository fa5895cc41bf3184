-- Over the API nobody takes rights from themselves: the last administrator would lock everybody out. The command line still may.
set local role crm_owner;

create function crm.keep_own_access() returns trigger language plpgsql as $$
declare
  affected uuid;
begin
  if crm.caller_id() is null or current_setting('muhatap.via', true) is distinct from 'api' then
    return coalesce(new, old);
  end if;
  case tg_table_name
    when 'app_user' then
      affected := case when old.active and not new.active then old.id end;
    when 'user_role' then
      affected := old.user_id;
    else
      -- A permission of a role that the caller has, taken away or made smaller.
      if tg_op = 'DELETE' or crm.scope_rank(new.read_scope) < crm.scope_rank(old.read_scope) or crm.scope_rank(new.write_scope) < crm.scope_rank(old.write_scope) then
        select ur.user_id into affected from crm.user_role as ur where ur.role_id = old.role_id and ur.user_id = crm.caller_id();
      end if;
  end case;
  if affected = crm.caller_id() then
    raise exception using errcode = 'CR003', message = 'a caller''s own rights are taken by somebody else';
  end if;
  return coalesce(new, old);
end
$$;
comment on function crm.keep_own_access() is 'Trigger: refuses a change over the API by which a caller would lose rights of their own (CR003).';

create trigger app_user_keep_own_access before update of active on crm.app_user for each row execute function crm.keep_own_access();
create trigger user_role_keep_own_access before delete on crm.user_role for each row execute function crm.keep_own_access();
create trigger role_permission_keep_own_access before update or delete on crm.role_permission for each row execute function crm.keep_own_access();
