-- Since 0077 a quote's seal does not name its contact, so nothing has to follow when contacts are merged.
set local role crm_owner;

drop trigger quote_seal_anew on crm.quote;
drop function crm.seal_quote_anew();
