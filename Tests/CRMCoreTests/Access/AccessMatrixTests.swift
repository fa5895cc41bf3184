import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// Every table that crm.protect protects × scope × row × verb, against a model of access of its own, in sql/tests/access.sql.
@Suite(.serialized) struct AccessMatrixTests {
  private static let loaded = Task {
    let database = try await TestDatabase.clone()
    try await database.load("sql/tests/access.sql")
    return database
  }

  /// Asks for one table at a time: a transaction that ran for a minute would hold back every reader of a change log on this server.
  private func ask(_ question: (String) -> SQL) async throws -> [String] {
    let admin = try await Self.loaded.value.admin
    func rows(_ sql: SQL) async throws -> [String] {
      let result = try await admin.execute([sql], context: .init(readOnly: false), lane: .jobs, deadline: .after(.seconds(300)))[0]
      return try (0..<result.count).map { try result[$0].decode(String.self, at: 0) }
    }
    var answers: [String] = []
    for relation in try await rows("SELECT relation FROM crm.protection ORDER BY relation") { answers += try await rows(question(relation)) }
    return answers
  }

  @Test func `every role sees and changes exactly the rows its scopes say`() async throws {
    let failures = try await ask { "SELECT concat_ws(' · ', relation, who, verb, what, 'should be ' || expected) FROM access_test.failures(\($0))" }
    for failure in failures { Issue.record("\(failure)") }
  }

  @Test func `no policy can be lost or weakened unnoticed`() async throws {
    let survivors = try await ask { "SELECT concat_ws(' · ', policy, mutation) FROM access_test.survivors(\($0))" }
    for survivor in survivors { Issue.record("\(survivor)") }
  }
}
