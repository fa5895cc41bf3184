-- What a macro writes goes to customers as it is: a place that nobody fills is refused when it is written, and what is filled in is not looked through for places.
set local role crm_owner;

create function crm.macro_placeholders() returns text[] language sql immutable parallel safe
  return array['customer', 'contact', 'number', 'subject', 'agent', 'customer.name', 'contact.name', 'ticket.number', 'ticket.subject', 'agent.name'];
comment on function crm.macro_placeholders() is 'What a macro may leave to be filled in, written {{customer}}; those with a dot are named as in canned answers.';

create function crm.unknown_macro_placeholders(value text) returns text[] language sql immutable parallel safe
  return array(select m[1] from regexp_matches(coalesce(value, ''), '\{\{\s*([^{}]*?)\s*\}\}', 'g') as m where m[1] <> all (crm.macro_placeholders()));
comment on function crm.unknown_macro_placeholders(text) is 'The placeholders of a macro''s text that nobody fills.';

-- What stands there from before keeps standing until it is changed.
alter table crm.macro
  add constraint macro_reply_placeholders check (crm.unknown_macro_placeholders(reply) = '{}') not valid,
  add constraint macro_note_placeholders check (crm.unknown_macro_placeholders(note) = '{}') not valid,
  add constraint macro_status_reason_given check (status <> 'on_hold' or status_reason is not null) not valid;
comment on constraint macro_reply_placeholders on crm.macro is 'en: Only these can be filled in: customer.name, contact.name, ticket.number, ticket.subject, agent.name. | tr: Yalnızca şunlar doldurulabilir: customer.name, contact.name, ticket.number, ticket.subject, agent.name.';
comment on constraint macro_note_placeholders on crm.macro is 'en: Only these can be filled in: customer.name, contact.name, ticket.number, ticket.subject, agent.name. | tr: Yalnızca şunlar doldurulabilir: customer.name, contact.name, ticket.number, ticket.subject, agent.name.';
comment on constraint macro_status_reason_given on crm.macro is 'en: Say in status_reason why tickets are put on hold. | tr: Taleplerin neden on_hold yapıldığını status_reason alanında belirtin.';
comment on column crm.macro.reply is 'What is answered to the customer; {{customer.name}}, {{contact.name}}, {{ticket.number}}, {{ticket.subject}} and {{agent.name}} are filled in.';
comment on column crm.macro.to_team_id is 'The team that gets it; in another team nobody has it until somebody is assigned.';

create or replace function crm.fill_in(template text, customer uuid, ticket uuid) returns text language plpgsql stable as $$
declare
  given jsonb;
  rest text := template;
  filled text := '';
  opening integer;
  closing integer;
begin
  select jsonb_build_object('customer', c.name, 'customer.name', c.name, 'contact', coalesce(k.name, c.name), 'contact.name', coalesce(k.name, c.name), 'number', t.number,
    'ticket.number', t.number, 'subject', t.subject, 'ticket.subject', t.subject, 'agent', coalesce(u.name, ''), 'agent.name', coalesce(u.name, '')) into given
  from crm.ticket as t join crm.customer as c on c.id = t.customer_id
  left join crm.contact as k on k.customer_id = t.customer_id and k.id = t.contact_id left join crm.app_user as u on u.id = crm.caller_id()
  where t.customer_id = fill_in.customer and t.id = fill_in.ticket;
  loop
    opening := strpos(rest, '{{');
    closing := strpos(substr(rest, opening + 2), '}}');
    exit when rest is null or given is null or opening = 0 or closing = 0;
    filled := filled || left(rest, opening - 1) || coalesce(given ->> btrim(substr(rest, opening + 2, closing - 1), E' \t\n\r'), substr(rest, opening, closing + 3));
    rest := substr(rest, opening + closing + 3);
  end loop;
  return case when given is not null then filled || rest end;
end
$$;
comment on function crm.fill_in(text, uuid, uuid) is
  'A text with the names of a ticket''s customer and contact, its number and subject, and the caller''s name filled in; null when the ticket or its customer is not seen.';
