package import PostgresClient

/// A place in the change log's order: everything up to and including a change. Nothing ever appears before a place that was read.
package struct ChangePosition: Sendable, Hashable, Comparable {
  package let xid: UInt64
  package let sequence: Int64

  package init(xid: UInt64, sequence: Int64) {
    self.xid = xid
    self.sequence = sequence
  }

  /// Behind all changes of transactions before `horizon`, the oldest one that was still running.
  package init(before horizon: UInt64) { self.init(xid: horizon == 0 ? 0 : horizon - 1, sequence: .max) }

  /// From the text of an `xid8` and of a number.
  package init?(xid: String, sequence: String) {
    guard let xid = UInt64(xid), let sequence = Int64(sequence) else { return nil }
    self.init(xid: xid, sequence: sequence)
  }

  package static func < (left: ChangePosition, right: ChangePosition) -> Bool {
    left.xid == right.xid ? left.sequence < right.sequence : left.xid < right.xid
  }

  /// The same cursors as those of `GET /v1/changes`, so that a client may go on there, or here.
  package static let subject = Array("changes".utf8)

  package func sealed(by signer: CursorSigner) throws -> String { try signer.seal(["\(xid)", "\(sequence)"], for: Self.subject) }

  package init(cursor: String, signer: CursorSigner, pointer: String) throws(Problem) {
    let place = try signer.open(cursor, for: Self.subject, pointer: pointer)
    guard place.count == 2, let xid = place[0], let sequence = place[1], let position = ChangePosition(xid: xid, sequence: sequence) else {
      throw .badCursor(pointer)
    }
    self = position
  }

  /// The place as `crm.changes_after` and `crm.changes_told_after` take it.
  package var arguments: SQL { "\("\(xid)")::xid8, \(sequence)::bigint" }

  /// The oldest transaction still running, before which the log is complete.
  package static let horizon: SQL = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon"
}
