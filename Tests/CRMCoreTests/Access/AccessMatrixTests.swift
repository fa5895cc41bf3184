import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// Every table that crm.protect protects × scope × row × verb, against a model of access of its own, in sql/tests/access.sql.
///
/// In parts, each on a database of its own, because mutating policies locks tables.
struct AccessMatrixTests {
  private static let parts = 4
  /// Made one after the other, because roles belong to the whole cluster.
  private static let databases = Task {
    var databases: [TestDatabase] = []
    for _ in 0..<parts {
      let database = try await TestDatabase.clone()
      try await database.load("sql/tests/access.sql")
      databases.append(database)
    }
    return databases
  }

  /// Asks for one table at a time: a transaction that ran for a minute would hold back every reader of a change log on this server.
  private func ask(part: Int, _ question: (String) -> SQL) async throws -> [String] {
    let database = try await Self.databases.value[part]
    func rows(_ sql: SQL) async throws -> [String] {
      // PostgreSQL's own housekeeping may hold a table for longer than statements wait for locks.
      let result = try await database.admin.execute(
        ["SELECT set_config('lock_timeout', '0', true)", sql], context: .init(readOnly: false), lane: .jobs, deadline: .after(.seconds(900)))[1]
      return try (0..<result.count).map { try result[$0].decode(String.self, at: 0) }
    }
    var answers: [String] = []
    let relations = try await rows("SELECT relation FROM crm.protection ORDER BY relation")
    try #require(relations.count > 100)
    for (place, relation) in relations.enumerated() where place % Self.parts == part { answers += try await rows(question(relation)) }
    return answers
  }

  @Test(arguments: 0..<parts) func `every role sees and changes exactly the rows its scopes say, and no policy can be lost or weakened unnoticed`(part: Int)
    async throws
  {
    let failures = try await ask(part: part) { "SELECT concat_ws(' · ', relation, who, verb, what, 'should be ' || expected) FROM access_test.failures(\($0))" }
    for failure in failures { Issue.record("\(failure)") }
    let survivors = try await ask(part: part) { "SELECT concat_ws(' · ', policy, mutation) FROM access_test.survivors(\($0))" }
    for survivor in survivors { Issue.record("\(survivor)") }
  }

  @Test func `a customer in the portal reaches nothing but what the portal offers`() async throws {
    let admin = try await Self.databases.value[0].admin
    // The matrix weakens policies of the same database in a transaction of its own, and tables are locked until it ends.
    let refused = try await admin.execute(
      ["SELECT set_config('lock_timeout', '0', true)", "SELECT r FROM access_test.portal_refusals() AS r"], context: .init(readOnly: false), lane: .jobs,
      deadline: .after(.seconds(900)))[1]
    for row in refused.rows { Issue.record("\(try row.decode(String.self, at: 0))") }
  }
}
