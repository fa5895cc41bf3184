-- What of an order is invoiced: kept by the invoice's lines themselves, so that no two drafts can invoice the same goods. A credit note does not free them: what
-- came back is the order's matter, and what was wrong is invoiced anew without it.
set local role crm_owner;

create function crm.count_invoiced() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op <> 'INSERT' and old.order_id is not null and old.returned_line_id is null then
    update crm.order_line_fulfilment as f set invoiced = f.invoiced - old.quantity
    where f.customer_id = old.customer_id and f.order_id = old.order_id and f.line_number = old.order_line_number;
  end if;
  if tg_op <> 'DELETE' and new.order_id is not null and new.returned_line_id is null then
    update crm.order_line_fulfilment as f set invoiced = f.invoiced + new.quantity
    where f.customer_id = new.customer_id and f.order_id = new.order_id and f.line_number = new.order_line_number;
  end if;
  return null;
end
$$;
comment on function crm.count_invoiced() is 'Trigger: adds what an invoice line invoices to its order line, whose CHECK refuses more than was shipped. Runs as the owner: finance invoices orders that it does not write.';
revoke execute on function crm.count_invoiced() from crm_app, crm_worker, crm_bulk, crm_access;
create trigger invoice_line_count_insert after insert on crm.invoice_line for each row when (new.order_id is not null) execute function crm.count_invoiced();
create trigger invoice_line_count_delete after delete on crm.invoice_line for each row when (old.order_id is not null) execute function crm.count_invoiced();
create trigger invoice_line_count_update after update on crm.invoice_line for each row
  when ((old.order_id, old.order_line_number, old.quantity) is distinct from (new.order_id, new.order_line_number, new.quantity)) execute function crm.count_invoiced();
create policy order_line_fulfilment_invoiced on crm.order_line_fulfilment to crm_owner using (true) with check (true);
