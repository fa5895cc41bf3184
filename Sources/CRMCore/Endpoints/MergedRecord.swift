import Foundation
import PostgresClient

extension Model.Entity {
  /// The id of the record into which another was merged, if the caller may read it.
  func survivor(of id: UUID) -> SQL {
    "SELECT t.\(idColumn.identifier) FROM \(table.sql) AS t WHERE t.\(idColumn.identifier) = crm.survivor_of(\(name), \(id))"
  }

  /// The problem that names the survivor; 404 if there is none.
  /// - Parameter status: 301 where following is harmless; 409 for a change, which was meant for another record.
  func merged(_ status: Int, _ found: PostgresResult) throws -> Problem {
    guard found.count == 1 else { return .notFound }
    let survivor = try found[0].decode(UUID.self, at: 0).lowercase
    return Problem(
      status, "merged", Phrase("This record was merged into another one.", tr: "Bu kayıt başka bir kayıtla birleştirildi."),
      location: "/v1/\(name)/\(survivor)", extensions: [("survivor_id", "\"\(survivor)\"")])
  }
}
