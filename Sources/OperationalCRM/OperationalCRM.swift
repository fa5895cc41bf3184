// OperationalCRM
