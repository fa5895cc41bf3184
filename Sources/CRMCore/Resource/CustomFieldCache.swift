import Foundation
import PostgresClient
import Synchronization

/// The custom fields as last read; read again when the database says that a definition changed.
package final class CustomFieldCache: Sendable {
  private let state = Mutex(CustomFields())

  package init() {}

  package var current: CustomFields { state.withLock { $0 } }

  /// Says whether they are others than those read before.
  @discardableResult package func reload(from database: Database) async throws -> Bool {
    let result = try await database.read(
      as: .system("read the definitions of custom fields"),
      "SELECT resource, name, type, label_en, label_tr, required, options FROM crm.custom_field WHERE active ORDER BY resource, position, name")
    var fields: [String: [CustomField]] = [:]
    for row in result.rows {
      guard let kind = CustomField.Kind(rawValue: try row.decode(String.self, "type")) else { continue }
      fields[try row.decode(String.self, "resource"), default: []].append(
        CustomField(
          name: try row.decode(String.self, "name"), kind: kind,
          label: Phrase(try row.decode(String.self, "label_en"), tr: try row.decode(String.self, "label_tr")),
          isRequired: try row.decode(Bool.self, "required"), options: try row.decode([String]?.self, "options") ?? []))
    }
    let fresh = CustomFields(fields)
    return state.withLock { current in
      defer { current = fresh }
      return current != fresh
    }
  }
}
