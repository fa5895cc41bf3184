import CRMCore
package import Crypto
package import Logging
package import PostgresClient

/// The running gateway: the API made from the database, and the server that answers it.
package struct Application: Sendable {
  package let server: GatewayServer
  package let api: API
  private let watching: Task<Void, Never>
  private let recording: Task<Void, Never>
  private let database: Database

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
    return Application(
      server: server, api: api, watching: Task { await follow(api, server, logger) },
      recording: Task { await api.resources.reads.run(writingTo: database, logger: logger) }, database: database)
  }

  /// Keeps custom fields as they are defined, and the description of the API with them. Describing takes much longer than reading the definitions:
  /// it is done beside, once for all changes that came meanwhile, so that a new field is taken at once.
  private static func follow(_ api: API, _ server: GatewayServer, _ logger: Logger) async {
    let (changes, changed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    async let describing: Void = {
      for await _ in changes {
        do { try server.describe(api.endpoints) } catch {
          logger.warning("the API could not be described anew; the description before stays", metadata: ["error": "\(error)"])
        }
      }
    }()
    await api.followCustomFields(logger: logger) { changed.yield() }
    changed.finish()
    await describing
  }

  /// Lets requests under way end, then stops.
  package func stop() async throws {
    watching.cancel()
    try await server.drain()
    recording.cancel()
    await recording.value
    try await api.resources.reads.write(to: database)
  }
}
