import CRMCore
import Foundation
import PostgresClient

/// A segment whose members follow its rule, as it is stored.
struct RuledSegment: RowDecodable, Sendable {
  let id: UUID
  let code: String
  let definition: JSON
  let currency: String?

  init(row: PostgresRow) throws {
    id = try row.decode("id")
    code = try row.decode("code")
    definition = try JSONDecoder().decode(JSON.self, from: Data(try row.decode(JSONText.self, "definition").text.utf8))
    currency = try row.decode("currency")
  }

  static let columns: SQL = "s.id, s.code, s.definition, s.currency"
}

/// Holds customers against a segment's rule and writes who came and who left.
enum SegmentMembership {
  struct Moved: Sendable, Hashable {
    let entered: Int
    let left: Int
  }

  /// Evaluates a segment for everybody, or for some customers alone, at the transaction's instant. The caller holds the segment's row locked.
  /// - Parameter reason: what is noted with those who come or leave.
  @discardableResult
  static func follow(_ segment: RuledSegment, customers: [UUID]? = nil, reason: String, _ compiler: QueryCompiler, in tx: PostgresTransaction) async throws
    -> Moved
  {
    let rule = try SegmentRule(json: segment.definition, pointer: "/definition")
    let compiled = try SegmentCompiler.compile(rule, compiler, currency: segment.currency, customers: customers)
    let only: SQL = customers.map { "AND m.customer_id = ANY(\($0)::uuid[])" } ?? ""
    // A stay that began in this very transaction was none.
    let result = try await tx.result(
      """
      WITH fits AS MATERIALIZED (SELECT t.id FROM \(compiled.from) WHERE \(compiled.condition)),
      inside AS MATERIALIZED (SELECT m.id, m.customer_id, m.entered_at FROM crm.segment_member m WHERE m.segment_id = \(segment.id) AND m.left_at IS NULL \(only)),
      gone AS (SELECT i.id, i.entered_at FROM inside i WHERE NOT EXISTS (SELECT FROM fits f WHERE f.id = i.customer_id)),
      undone AS (DELETE FROM crm.segment_member m USING gone g WHERE m.id = g.id AND g.entered_at = now()),
      ended AS (
        UPDATE crm.segment_member m SET left_at = now(), left_reason = \(reason) FROM gone g WHERE m.id = g.id AND g.entered_at < now() RETURNING 1
      ), begun AS (
        INSERT INTO crm.segment_member (segment_id, customer_id, reason)
        SELECT \(segment.id)::uuid, f.id, \(reason)::text FROM fits f WHERE NOT EXISTS (SELECT FROM inside i WHERE i.customer_id = f.id) RETURNING 1
      ) SELECT (SELECT count(*) FROM begun) AS entered, (SELECT count(*) FROM ended) AS departed
      """)
    return Moved(entered: try result[0].decode(Int.self, "entered"), left: try result[0].decode(Int.self, "departed"))
  }

  /// Evaluates a segment for everybody and notes when. A definition that no longer fits the model is noted as the segment's problem.
  static func refresh(_ id: UUID, reason: String, _ compiler: QueryCompiler, in tx: PostgresTransaction) async throws {
    guard
      let segment = try await tx.first(
        RuledSegment.self, "SELECT \(RuledSegment.columns) FROM crm.segment s WHERE s.id = \(id) AND s.active AND s.definition IS NOT NULL FOR UPDATE")
    else { return }
    do {
      // Hashing a million customers beats sorting them on disk.
      _ = try await tx.result("SELECT set_config('work_mem', '128MB', true)")
      try await follow(segment, reason: reason, compiler, in: tx)
      try await tx.run("UPDATE crm.segment SET evaluated_at = now(), problem = NULL WHERE id = \(id)")
    } catch let problem as Problem {
      try await note(problem, of: id, in: tx)
    }
  }

  /// Says on the segment why its definition cannot be evaluated any more; its members stay until it is mended.
  static func note(_ problem: Problem, of id: UUID, in tx: PostgresTransaction) async throws {
    let words = problem.detail ?? problem.title
    try await tx.run(
      """
      UPDATE crm.segment SET problem = jsonb_build_object('code', \(problem.code)::text, 'en', \(words.text(in: .english))::text, 'tr', \(words.text(in: .turkish))::text)
       WHERE id = \(id)
      """)
  }

  /// Everybody leaves: the segment is not used any more.
  static func dissolve(_ id: UUID, reason: String, in tx: PostgresTransaction) async throws {
    try await tx.run("UPDATE crm.segment_member SET left_at = now(), left_reason = \(reason) WHERE segment_id = \(id) AND left_at IS NULL")
  }
}
