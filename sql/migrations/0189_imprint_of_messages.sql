-- Who sends, and how to refuse: every commercial message carries both, whichever way it came here.
set local role crm_owner;

create function crm.imprint_message() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  brand crm.brand;
  turkish boolean;
  link text;
  foot text;
begin
  select * into brand from crm.brand as b where b.id = new.brand_id;
  select coalesce(k.locale, c.locale) = 'tr' into turkish
  from crm.customer as c left join crm.contact as k on k.customer_id = c.id and k.id = new.contact_id where c.id = new.customer_id;
  link := brand.link_base || '/u/' || crm.message_token(new.id);
  foot := concat_ws(E'\n', coalesce(brand.contact_line, brand.name),
    case when turkish then 'İleti almak istemiyorsanız: ' else 'To receive no more messages: ' end || link);
  if foot <> '' and position(foot in new.body_text) = 0 then
    new.body_text := new.body_text || E'\n\n' || foot;
  end if;
  if foot <> '' and new.body_html is not null and (link is null or position(link in new.body_html) = 0) then
    new.body_html := regexp_replace(new.body_html, '(</body>.*)?$',
      replace('<p>' || replace(replace(replace(coalesce(brand.contact_line, brand.name), '&', '&amp;'), '<', '&lt;'), '>', '&gt;') || '</p>'
        || coalesce('<p><a href="' || replace(link, '"', '&quot;') || '">' || case when turkish then 'İleti almak istemiyorum' else 'Unsubscribe' end || '</a></p>', ''), '\', '\\') || '\1', 'i');
  end if;
  if new.channel = 'email' and link is not null then
    new.headers := new.headers || jsonb_build_object('List-Unsubscribe', '<' || link || '>', 'List-Unsubscribe-Post', 'List-Unsubscribe=One-Click');
  end if;
  return new;
end
$$;
comment on function crm.imprint_message() is
  'Trigger: adds to a commercial message, once it passed the gate, the brand''s identity and how to refuse: a link in the foot, and for e-mail the header fields of one-click unsubscribing (RFC 8058).';
revoke execute on function crm.imprint_message() from crm_app, crm_worker, crm_bulk, crm_access;
-- After the gate: triggers of one kind fire in the order of their names.
create trigger outbound_message_imprint before insert on crm.outbound_message for each row when (new.legal_class <> 'transactional') execute function crm.imprint_message();
alter table crm.outbound_message enable always trigger outbound_message_imprint;

set local role none;
grant create on schema crm to crm_steward;
alter function crm.imprint_message() owner to crm_steward;
revoke create on schema crm from crm_steward;
