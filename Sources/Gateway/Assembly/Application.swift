package import CRMCore
package import Crypto
package import Logging
package import PostgresClient

/// The running gateway: the API made from the database, and the server that answers it.
package struct Application: Sendable {
  package let server: GatewayServer
  package let api: API
  private let watching: Task<Void, Never>

  /// Makes the API and begins to listen.
  ///
  /// - Parameter cursorKey: signs page cursors; the same for all gateways of a deployment.
  /// - Throws: `Model.Mistakes` when declarations and database disagree; `UnsafeRole` when the database's role is above its policies.
  package static func start(
    _ configuration: GatewayConfiguration, pool: PostgresPool, cursorKey: SymmetricKey, logger: Logger
  ) async throws -> Application {
    try await UnsafeRole.refuse(in: pool)
    let database = Database(pool: pool, files: configuration.files, secrets: configuration.secrets)
    let api = try await API(database: database, cursorKey: cursorKey)
    let server = try await GatewayServer(
      configuration: configuration, database: database, endpoints: api.endpoints, live: api.liveFeed(limits: configuration.limits.live, logger: logger),
      logger: logger)
    try await server.start()
    return Application(server: server, api: api, watching: Task { await api.followCustomFields(logger: logger) { try server.describe(api.endpoints) } })
  }

  /// Lets requests under way end, then stops.
  package func stop() async throws {
    watching.cancel()
    try await server.drain()
  }
}
