-- The register of processing: what is sent with web forms.
set local role crm_owner;

select crm.register_personal('crm.form_submission', 'correspondence', '{answers}');
select crm.register_personal('crm.form_submission', 'device', '{remote_address}');
