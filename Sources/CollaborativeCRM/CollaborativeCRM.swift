// CollaborativeCRM
