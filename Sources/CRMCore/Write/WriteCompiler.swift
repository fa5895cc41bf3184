import Foundation
import PostgresClient

/// Turns checked values into one INSERT, UPDATE or DELETE that answers with the row as the API shows it.
struct WriteCompiler {
  let model: Model
  let entity: Model.Entity

  /// The areas a write on this resource needs: its own, and those of the records it refers to.
  var areas: Set<Area> {
    Set(entity.one.values.compactMap { model[$0.target]?.resource.area }).union([entity.resource.area])
  }

  func insert(_ input: RowInput, id: UUID, caller: Caller) -> SQL {
    var columns: [SQL] = ["\(entity.idColumn.identifier)"]
    var values: [SQL] = ["\(id)"]
    for given in input.values {
      columns.append("\(given.column.identifier)")
      values.append(value(of: given.column, given.text))
    }
    for (name, text) in filledIn(from: caller) where !input.values.contains(where: { $0.column.name == name }) {
      guard let column = entity.table.column(name) else { continue }
      columns.append("\(column.identifier)")
      values.append("\(text)")
    }
    return """
      INSERT INTO \(entity.table.sql) AS t (\(columns.joined(separator: ", "))) VALUES (\(values.joined(separator: ", ")))
      RETURNING \(returning)
      """
  }

  /// - Parameters:
  ///   - version: the row version that must still stand (`If-Match`); nil for any.
  ///   - stored: custom fields that the row must have already, because the input does not bring them.
  func update(_ input: RowInput, id: UUID, version: Int?, stored: [String] = []) -> SQL {
    var assignments = input.values.map { given -> SQL in
      let name = given.column.identifier
      return given.column.type == .json && given.text != nil
        ? "\(name) = crm.merge_patch(t.\(name), \(given.text)::jsonb)"
        : "\(name) = \(value(of: given.column, given.text))"
    }
    // An empty change still answers with the row and still obeys If-Match and the policies.
    if assignments.isEmpty { assignments = ["\(entity.idColumn.identifier) = t.\(entity.idColumn.identifier)"] }
    let hasStored: SQL = stored.isEmpty ? "" : " AND t.custom ?& \(stored)"
    return """
      UPDATE \(entity.table.sql) AS t SET \(assignments.joined(separator: ", "))
      WHERE \(identity(id, version))\(hasStored) RETURNING \(returning)
      """
  }

  func delete(id: UUID, version: Int?) -> SQL {
    // Other systems' keys go with the record, so that one of them may name a new record.
    """
    WITH gone AS (DELETE FROM \(entity.table.sql) AS t WHERE \(identity(id, version)) RETURNING t.\(entity.idColumn.identifier) AS id),
    keys AS (DELETE FROM crm.external_id AS e USING gone WHERE e.relation = \(entity.name) AND e.row_id = gone.id)
    SELECT id FROM gone
    """
  }

  /// The row's version and which of `stored` it lacks, if the caller may see the row: tells apart why a change found nothing.
  func currentVersion(id: UUID, stored: [String] = []) -> SQL {
    let version: SQL = entity.versionColumn.map { "t.\($0.identifier)" } ?? "0"
    let missing: SQL = stored.isEmpty ? "'{}'::text[]" : "ARRAY(SELECT n FROM unnest(\(stored)::text[]) n WHERE NOT t.custom ? n)"
    return "SELECT \(version), \(missing) FROM \(entity.table.sql) t WHERE t.\(entity.idColumn.identifier) = \(id)"
  }

  private func identity(_ id: UUID, _ version: Int?) -> SQL {
    let byID: SQL = "t.\(entity.idColumn.identifier) = \(id)"
    guard let version, let column = entity.versionColumn else { return byID }
    // A client may send any number as a version; one too large for the column is just another version.
    return "\(byID) AND t.\(column.identifier)::bigint = \(version)"
  }

  /// An object is stored without its missing members, as a change would leave it. A reference must lead to a record the caller may see: foreign keys themselves do not look at policies.
  private func value(of column: Catalogue.Column, _ text: String?) -> SQL {
    if let text, column.type == .json { return "crm.merge_patch('{}'::jsonb, \(text)::jsonb)" }
    guard let text, let one = entity.one.values.first(where: { $0.column.name == column.name }), let target = model[one.target] else {
      return "\(text)"
    }
    return
      "coalesce((SELECT r.id FROM \(target.table.sql) r WHERE r.id = \(text)), crm.missing_reference(\(column.name)))"
  }

  private func filledIn(from caller: Caller) -> [(name: String, text: String)] {
    // Only rows with a visibility are owned by themselves; parts follow the record they belong to.
    guard entity.table.column("visibility") != nil else { return [] }
    var values: [(name: String, text: String)] = []
    if let department = caller.departmentID { values.append(("department_id", department.lowercase)) }
    if let user = caller.userID { values.append(("owner_id", user.lowercase)) }
    return values
  }

  private var returning: SQL { entity.columns.map { "t.\($0.identifier)" as SQL }.joined(separator: ", ") }

  /// The written row as JSON with its `ETag`.
  func answer(_ result: PostgresResult, status: Int) -> (json: [UInt8], headers: [(name: String, value: String)]) {
    var writer = JSONWriter(capacity: 1024)
    writer.writeRow(result, 0)
    var headers: [(name: String, value: String)] = []
    if let index = entity.columns.firstIndex(where: { $0.name == "version" }), let version = result.text(0, index) {
      headers.append(("etag", "\"\(version)\""))
    }
    return (writer.bytes, headers)
  }
}
