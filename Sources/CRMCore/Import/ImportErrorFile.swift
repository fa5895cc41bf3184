package import Foundation
import PostgresClient

/// The rows that an import did not take, as CSV in the reader's language. For whoever has found the import: the rows themselves know only its maker.
package struct ImportErrorFile: Sendable {
  private static let rowsAPiece = 5_000

  let database: Database
  let id: UUID
  let language: Language

  package init(database: Database, id: UUID, language: Language) {
    self.database = database
    self.id = id
    self.language = language
  }

  /// Writes all of it, piece by piece; each piece is a read of its own.
  package func write(to write: (_ piece: [UInt8]) async throws -> Void) async throws {
    var after: (row: Int, id: UUID)?
    while true {
      let result = try await database.read(
        as: .system("show an import's refusals"), areas: [.admin], lane: .reports, deadline: .after(.seconds(60)),
        """
        SELECT e.row_number, e.column_name, e.value, e.code, CASE WHEN \(language == .turkish) THEN e.reason_tr ELSE e.reason_en END AS reason, e.id
        FROM crm.import_error e WHERE e.import_id = \(id) AND (e.row_number, e.id) > (\(after?.row ?? -1)::bigint, \(after?.id ?? Self.first)::uuid)
        ORDER BY e.row_number, e.id LIMIT \(Self.rowsAPiece)
        """)
      var csv = CSVWriter()
      if after == nil { csv.header(["row", "column", "value", "code", "reason"]) }
      for row in 0..<result.count { csv.row(result, row, columns: 5) }
      try await write(csv.bytes)
      guard result.count == Self.rowsAPiece else { return }
      let last = result[result.count - 1]
      after = (try last.decode(Int.self, "row_number"), try last.decode(UUID.self, "id"))
    }
  }

  private static let first = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
}
