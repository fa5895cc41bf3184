package import Foundation
import PostgresClient

/// Makes the endpoints of every declared resource.
package struct ResourceAPI: Sendable {
  let database: Database
  let model: Model
  let customFields: CustomFieldCache
  package let signer: CursorSigner
  /// Where it is written down who was shown sensitive data.
  package let reads = SensitiveReadLog()

  package init(database: Database, model: Model, customFields: CustomFieldCache, signer: CursorSigner) {
    self.database = database
    self.model = model
    self.customFields = customFields
    self.signer = signer
  }

  /// The endpoints of all resources, in the order of their names.
  package func endpoints() -> [Endpoint] {
    let resources = model.entities.values.sorted { $0.name < $1.name }.flatMap { entity in
      readEndpoints(entity) + writeEndpoints(entity) + [aggregateEndpoint(entity), historyEndpoint(entity), exportEndpoint(entity)]
    }
    return resources + [changesEndpoint()]
  }

  func compiler() -> QueryCompiler { QueryCompiler(model: model, customFields: customFields.current) }
}

extension Request {
  /// The id in the path. Whatever is not a UUID names no record.
  package func recordID() throws(Problem) -> UUID {
    guard let id = parameters["id"].flatMap(UUID.init(text:)) else { throw .notFound }
    return id
  }

  /// The row version of `If-Match`; nil when any will do.
  func expectedVersion() throws(Problem) -> Int? {
    guard let tag = headers["if-match"], tag != "*" else { return nil }
    guard tag.hasPrefix("\""), tag.hasSuffix("\""), tag.count > 2, let version = Int(tag.dropFirst().dropLast()) else {
      throw .badRequest(
        "bad-if-match", Phrase("If-Match holds the ETag you were given, such as \"3\".", tr: "If-Match size verilen ETag olmalıdır; örneğin \"3\"."))
    }
    return version
  }
}
