-- Changes to an object are given as a JSON merge patch (RFC 7396).
set local role crm_owner;

create function crm.merge_patch(target jsonb, patch jsonb) returns jsonb language plpgsql immutable parallel safe as $$
declare
  result jsonb := case when jsonb_typeof(target) = 'object' then target else '{}' end;
  member record;
begin
  if jsonb_typeof(patch) <> 'object' then
    return patch;
  end if;
  for member in select p.key, p.value from jsonb_each(patch) as p loop
    if member.value = 'null' then
      result := result - member.key;
    else
      result := result || jsonb_build_object(member.key, crm.merge_patch(result -> member.key, member.value));
    end if;
  end loop;
  return result;
end
$$;
comment on function crm.merge_patch(jsonb, jsonb) is 'A JSON merge patch (RFC 7396): members of the patch replace those of the target, objects member by member; null removes.';
