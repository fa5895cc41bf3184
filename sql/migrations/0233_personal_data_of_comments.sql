-- What colleagues say about a record may name the person it is about: entered into the register of processing, and gone with the person.
set local role crm_owner;

select crm.register_personal('crm.comment', 'correspondence', '{text}');
insert into crm.erasure_rule (relation, action, basis_en, basis_tr)
values ('crm.comment', 'delete', 'Said among colleagues about the person.', 'Çalışanların kişi hakkında yazdığı.');
