import CRMCore
import Foundation
import PostgresClient

/// Some changes after the last one that was taken in, and what follows from them for the customers they touch.
enum LiveBatch {
  /// PostgreSQL refused to evaluate a segment because of a value.
  struct SegmentFailure: Error {
    let segment: UUID
    let cause: PostgresError
  }

  /// Changes behind every running transaction, after the follower's place. A change with a smaller number may still be uncommitted; reading on would skip it for ever.
  private static let ahead: SQL = "(c.xid, c.seq) > (f.xid, f.seq) AND c.xid < pg_snapshot_xmin(pg_current_snapshot())"

  static func isWaiting(_ database: Database) async throws -> Bool {
    let result = try await database.read(
      as: .system("follow changes"),
      "SELECT EXISTS (SELECT FROM crm.change_follower f CROSS JOIN LATERAL (SELECT FROM crm.change c WHERE \(ahead) LIMIT 1) c WHERE f.name = 'live')")
    return try result[0].decode(Bool.self, at: 0)
  }

  /// Takes in at most `most` changes. False when another follower is at it, or when there was nothing.
  static func take(_ most: Int, _ compiler: QueryCompiler, in tx: PostgresTransaction) async throws -> Bool {
    guard
      let place = try await tx.first(
        Place.self, "SELECT f.xid::text AS xid, f.seq FROM crm.change_follower f WHERE f.name = 'live' FOR UPDATE SKIP LOCKED")
    else { return false }
    let read = try await tx.result(
      """
      WITH taken AS MATERIALIZED (
        SELECT c.xid, c.seq, c.relation, c.customer_id, c.before FROM crm.change c
         WHERE (c.xid, c.seq) > (\(place.xid)::xid8, \(place.sequence)::bigint) AND c.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY c.xid, c.seq LIMIT \(most)
      ), touched AS (
        SELECT t.customer_id AS id FROM taken t WHERE t.customer_id IS NOT NULL
        UNION SELECT (t.before ->> 'referred_by_id')::uuid FROM taken t WHERE t.relation = 'customers' AND t.before ->> 'referred_by_id' IS NOT NULL
      ), concerned AS (
        SELECT id FROM touched
        UNION SELECT c.referred_by_id FROM crm.customer c JOIN touched t ON t.id = c.id WHERE c.referred_by_id IS NOT NULL
        UNION SELECT c.id FROM crm.customer c JOIN touched t ON c.parent_id = t.id
      )
      SELECT (SELECT count(*) FROM taken) AS changes, (SELECT t.xid::text FROM taken t ORDER BY t.xid DESC, t.seq DESC LIMIT 1) AS xid,
             (SELECT t.seq FROM taken t ORDER BY t.xid DESC, t.seq DESC LIMIT 1) AS seq,
             ARRAY(SELECT c.id FROM concerned c JOIN crm.customer x ON x.id = c.id ORDER BY c.id) AS customers,
             coalesce((SELECT string_agg(DISTINCT t.relation, ', ' ORDER BY t.relation) FROM taken t WHERE t.customer_id IS NOT NULL), '') AS relations,
             EXISTS (SELECT FROM taken t WHERE t.customer_id IS NOT NULL AND t.relation <> 'customer_phases') AS moves_values
      """)
    guard try read[0].decode(Int.self, "changes") > 0 else { return false }
    let customers = try read[0].decode([UUID].self, "customers")
    if !customers.isEmpty {
      // No metric counts phases, of which a nightly run may move a million.
      if try read[0].decode(Bool.self, "moves_values") { _ = try await tx.result("SELECT crm.refresh_standing(\(customers)::uuid[])") }
      try await keepTrue(customers, reason: try read[0].decode(String.self, "relations"), compiler, in: tx)
    }
    try await tx.run(
      """
      UPDATE crm.change_follower SET xid = \(try read[0].decode(String.self, "xid"))::xid8, seq = \(try read[0].decode(Int64.self, "seq")), followed_at = now() WHERE name = 'live'
      """)
    return true
  }

  /// Holds the segments against customers whose values are true already, because segments ask for tiers.
  private static func keepTrue(_ customers: [UUID], reason: String, _ compiler: QueryCompiler, in tx: PostgresTransaction) async throws {
    let segments = try await tx.all(
      RuledSegment.self,
      "SELECT \(RuledSegment.columns) FROM crm.segment s WHERE s.active AND s.kind = 'dynamic' AND s.problem IS NULL ORDER BY s.id FOR UPDATE")
    for segment in segments {
      do {
        try await SegmentMembership.follow(segment, customers: customers, reason: String(reason.prefix(200)), compiler, in: tx)
      } catch let problem as Problem {
        try await SegmentMembership.note(problem, of: segment.id, in: tx)
      } catch let error as PostgresError where error.sqlState?.hasPrefix("22") == true {
        throw SegmentFailure(segment: segment.id, cause: error)
      }
    }
  }

  private struct Place: RowDecodable {
    let xid: String
    let sequence: Int64

    init(row: PostgresRow) throws {
      xid = try row.decode("xid")
      sequence = try row.decode("seq")
    }
  }
}
