-- What references say when they lead nowhere, which making them anew had taken away.
set local role crm_owner;
comment on constraint quote_approval_quote_id_exists on crm.quote_approval is 'en: There is no such quote. | tr: Böyle bir teklif yok.';
comment on constraint registry_transfer_batch_id_exists on crm.registry_transfer is 'en: There is no such batch. | tr: Böyle bir toplu gönderim yok.';
