package import Foundation
package import PostgresClient

/// One change of the log, read once for everybody and written as JSON once.
package struct LiveChange: Sendable {
  package let position: ChangePosition
  /// Where a client goes on after it; empty when it was read without a signer.
  package let cursor: String
  package let resource: String
  /// insert, update or delete.
  package let operation: String
  package let rowID: UUID
  package let customerID: UUID?
  package let area: Area
  package let audience: UUID?
  package let ownerID: UUID?
  /// Who made it; nil for the system.
  package let actorID: UUID?
  /// The change as `GET /v1/changes` shows it, but for the values of sensitive fields: those that had one are named in `withheld`.
  package let json: [UInt8]

  /// Of the rows of `crm.changes_told_after`.
  package static let columns: SQL = """
    c.at, c.relation AS resource, c.op, c.row_id AS id, c.customer_id, c.actor_id, c.request_id, c.via, c.before, c.after,
    c.xid::text AS xid, c.seq, c.area, c.audience, c.owner_id, c.withheld
    """
  private static let shownColumns = 0..<10

  package init(_ result: PostgresResult, _ row: Int, signer: CursorSigner? = nil) throws {
    let fields = result[row]
    guard let xid = UInt64(try fields.decode(String.self, at: 10)), let area = Area(rawValue: try fields.decode(String.self, at: 12)) else {
      throw PostgresError(.decoding, "the change log holds an area or a transaction that is not known")
    }
    position = ChangePosition(xid: xid, sequence: try fields.decode(Int64.self, at: 11))
    cursor = try signer.map(position.sealed) ?? ""
    resource = try fields.decode(String.self, at: 1)
    operation = try fields.decode(String.self, at: 2)
    rowID = try fields.decode(UUID.self, at: 3)
    customerID = try fields.decode(UUID?.self, at: 4)
    actorID = try fields.decode(UUID?.self, at: 5)
    self.area = area
    audience = try fields.decode(UUID?.self, at: 13)
    ownerID = try fields.decode(UUID?.self, at: 14)
    var writer = JSONWriter(capacity: 512)
    writer.writeRow(result, row, columns: Self.shownColumns)
    var json = writer.take()
    if let withheld = try fields.decode([String]?.self, at: 15) {
      json.removeLast()
      json += Array(",\"withheld\":[\(withheld.map { "\"\($0)\"" }.joined(separator: ","))]}".utf8)
    }
    self.json = json
  }

  /// Whether row-level security of the change log shows it to a caller: the policy that `crm.protect` makes for kind `log`, word for word.
  package func isLogged(for caller: Caller) -> Bool {
    if caller.isSystem { return true }
    guard let reach = caller.reach[area], !reach.readableSetting.isEmpty else { return false }
    if reach.readableSetting == "*" { return true }
    if let audience { if reach.readable.contains(audience) { return true } } else { return true }
    return ownerID.map(reach.readable.contains) ?? false
  }

  /// Whether the record itself is opened to a caller: a shared record's id is among what they read.
  package func isShared(with caller: Caller) -> Bool { caller.reach[area]?.readable.contains(rowID) ?? false }
}
