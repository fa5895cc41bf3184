package import Foundation
package import PostgresClient

/// How far an import is, and what came of it.
package struct ImportJob: Sendable {
  package enum Status: String, Sendable {
    case created, uploading, staged, checking, checked, merging, done, failed, undoing, undone
  }

  package let id: UUID
  package let userID: UUID?
  package let resource: String
  package let mapping: JSON
  package let status: Status
  /// What is being done right now.
  package let step: String?
  package let rowsRead: Int
  package let rowsStaged: Int
  /// Records; for lines the rows.
  package let rowsNew: Int
  package let rowsChanged: Int
  package let rowsUnchanged: Int
  package let rowsRefused: Int
  package let summary: JSON?

  static func find(_ id: UUID) -> SQL {
    """
    SELECT id, user_id, resource, mapping, status, step, rows_read, rows_staged, rows_new, rows_changed, rows_unchanged, rows_refused, summary
    FROM crm.import WHERE id = \(id)
    """
  }
}

extension ImportJob: RowDecodable {
  package init(row: PostgresRow) throws {
    func json(_ name: String) throws -> JSON? {
      try row.decode(JSONText?.self, name).map { try JSONDecoder().decode(JSON.self, from: Data($0.text.utf8)) }
    }
    id = try row.decode(UUID.self, "id")
    userID = try row.decode(UUID?.self, "user_id")
    resource = try row.decode(String.self, "resource")
    mapping = try json("mapping") ?? [:]
    status = Status(rawValue: try row.decode(String.self, "status")) ?? .failed
    step = try row.decode(String?.self, "step")
    rowsRead = try row.decode(Int.self, "rows_read")
    rowsStaged = try row.decode(Int.self, "rows_staged")
    rowsNew = try row.decode(Int.self, "rows_new")
    rowsChanged = try row.decode(Int.self, "rows_changed")
    rowsUnchanged = try row.decode(Int.self, "rows_unchanged")
    rowsRefused = try row.decode(Int.self, "rows_refused")
    summary = try json("summary")
  }
}
