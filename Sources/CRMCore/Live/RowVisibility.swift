import Foundation
import PostgresClient

/// Which changes may be shown by what the log says of them, and for which the record itself has to be asked for: those of tables whose readers
/// cannot be told from department, owner and area alone.
package struct RowVisibility: Sendable {
  /// Resources whose records have to be asked for.
  package let asked: Set<String>
  /// Resources whose records have readers beyond those whom the log knows, such as participants: they are asked for when the log says no.
  package let widened: Set<String>

  package static func read(from database: Database) async throws -> RowVisibility {
    let result = try await database.read(
      as: .system("follow changes"), areas: [.admin], "SELECT r.resource, r.widened FROM crm.resources_decided_by_row() AS r")
    var asked: Set<String> = []
    var widened: Set<String> = []
    for row in result.rows {
      let resource = try row.decode(String.self, at: 0)
      if try row.decode(Bool.self, at: 1) { widened.insert(resource) } else { asked.insert(resource) }
    }
    return RowVisibility(asked: asked, widened: widened)
  }

  /// Whether memory may not be enough to decide for everybody.
  func needsDecision(_ change: LiveChange) -> Bool { asked.contains(change.resource) || widened.contains(change.resource) }

  /// The changes among those that memory does not show to the caller whose records they may read now. A deleted record cannot be asked for.
  package func readable(_ changes: [LiveChange], by caller: Caller, in database: Database) async throws -> Set<ChangePosition> {
    if caller.isSystem { return Set(changes.map(\.position)) }
    let open = changes.filter {
      $0.operation != "delete" && (asked.contains($0.resource) || widened.contains($0.resource) && !$0.isLogged(for: caller) && !$0.isShared(with: caller))
    }
    guard !open.isEmpty else { return [] }
    let result = try await database.read(
      as: caller,
      "SELECT r.resource, r.id FROM crm.readable_rows(\(open.map(\.resource))::text[], \(open.map(\.rowID))::uuid[]) AS r (resource, id)")
    var ids: [String: Set<UUID>] = [:]
    for row in result.rows { ids[try row.decode(String.self, at: 0), default: []].insert(try row.decode(UUID.self, at: 1)) }
    return Set(open.filter { ids[$0.resource]?.contains($0.rowID) == true }.map(\.position))
  }

  /// - Parameter decided: what `readable` said.
  package func shows(_ change: LiveChange, to caller: Caller, decided: Set<ChangePosition>) -> Bool {
    if asked.contains(change.resource) { return decided.contains(change.position) }
    return change.isLogged(for: caller) || change.isShared(with: caller) || widened.contains(change.resource) && decided.contains(change.position)
  }
}
