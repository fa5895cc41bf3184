import AnalyticalCRM
package import CRMCore
package import Crypto
package import Logging
import OperationalCRM
package import PostgresClient

/// The running program: the model read from the database, the endpoints that follow from it, and the server that answers them.
package struct Application: Sendable {
  package let server: GatewayServer
  private let watching: Task<Void, Never>

  /// Every resource the API has.
  package static let resources = OperationalCRM.resources

  /// Reads the catalogue, holds the declarations against it and begins to listen.
  ///
  /// - Parameter cursorKey: signs page cursors; the same for all gateways of a deployment.
  /// - Throws: `Model.Mistakes` when declarations and database disagree; `UnsafeRole` when the database's role is above its policies.
  package static func start(
    _ configuration: GatewayConfiguration, pool: PostgresPool, cursorKey: SymmetricKey, logger: Logger
  ) async throws -> Application {
    try await UnsafeRole.refuse(in: pool)
    let database = Database(pool: pool)
    let model = try Model(resources: resources, catalogue: try await Catalogue.read(from: pool))
    let customFields = CustomFieldCache()
    try await customFields.reload(from: database)
    let api = ResourceAPI(database: database, model: model, customFields: customFields, signer: CursorSigner(key: cursorKey))
    let server = try await GatewayServer(configuration: configuration, database: database, endpoints: api.endpoints(), logger: logger)
    let watching = Task {
      for await _ in pool.notifications(on: ["muhatap_custom_field"]) {
        do {
          try await customFields.reload(from: database)
        } catch {
          logger.warning("the definitions of custom fields could not be read again", error: error)
        }
      }
    }
    try await server.start()
    return Application(server: server, watching: watching)
  }

  /// Lets requests under way end, then stops.
  package func stop() async throws {
    watching.cancel()
    try await server.drain()
  }
}
