package import CRMCore
package import Crypto
package import Logging
import AnalyticalCRM
import CollaborativeCRM
import OperationalCRM
import PostgresClient

/// Which endpoints exist: the resources of all modules, held against the database, and the operations beside them.
package struct API: Sendable {
  package let model: Model
  package let resources: ResourceAPI
  private let customFields: CustomFieldCache
  private let database: Database
  private let beyondResources: [Endpoint]

  /// Reads the catalogue and resolves every declaration. Throws `Model.Mistakes` with all disagreements at once.
  /// - Parameter cursorKey: seals paging cursors; the same for all gateways of a deployment.
  package init(database: Database, cursorKey: SymmetricKey) async throws {
    let catalogue = try await Catalogue.read(from: database.pool)
    let model = try Model(resources: Self.declared, catalogue: catalogue)
    let customFields = CustomFieldCache()
    try await customFields.reload(from: database)
    self.model = model
    self.database = database
    self.customFields = customFields
    let resources = ResourceAPI(database: database, model: model, customFields: customFields, signer: CursorSigner(key: cursorKey))
    self.resources = resources
    beyondResources = try Self.concepts.flatMap(resources.endpoints(of:))
  }

  /// Every address, described with the custom fields as they stand now.
  package var endpoints: [Endpoint] {
    resources.endpoints() + beyondResources + [AccessExplanation(database: database, model: model).endpoint]
      + ImportAPI(database: database, model: model).endpoints
  }

  /// The change log as it grows, with cursors that all gateways of the deployment understand.
  func liveFeed(limits: LiveFeed.Limits, logger: Logger) -> LiveFeed {
    LiveFeed(database: database, signer: resources.signer, resources: Set(model.entities.keys), limits: limits, logger: logger)
  }

  /// What the three modules know.
  package static let concepts = OperationalCRM.concepts + AnalyticalCRM.concepts + CollaborativeCRM.concepts

  /// Every resource the API has.
  package static let declared = Resource.access + concepts.flatMap(\.resources)

  /// Follows changes of custom fields until the task is cancelled; `changed` is told after each and must not take long, because the next change waits for it.
  package func followCustomFields(logger: Logger, changed: @Sendable () -> Void = {}) async {
    for await _ in database.pool.notifications(on: ["muhatap_custom_field"]) {
      do {
        if try await customFields.reload(from: database) { changed() }
      } catch {
        logger.warning("custom fields could not be read again; the ones read before stay in use", metadata: ["error": "\(error)"])
      }
    }
  }
}
