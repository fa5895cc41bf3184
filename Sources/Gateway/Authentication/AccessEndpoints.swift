import CRMCore

/// The endpoints that the gateway itself brings: signing in, keys, who one is. Those of the resources are given to it.
func accessEndpoints(database: Database, passwords: Passwords, configuration: AuthenticationConfiguration) -> [Endpoint] {
  SessionEndpoints(database: database, passwords: passwords, sessionFor: configuration.sessionFor).endpoints
    + APIKeyEndpoints(database: database).endpoints + [meEndpoint(), PasswordEndpoint(database: database, passwords: passwords).endpoint]
}
