import CRMCore
import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

/// On whose behalf a pooled connection works, and that it forgets.
@Suite struct CallerContextTests {
  private func onePooledConnection(_ database: TestDatabase) -> PostgresPool {
    PostgresPool(
      .init(connection: database.url(), connections: [.interactive: 1]), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private func settings(_ pool: PostgresPool) async throws -> String {
    let result = try await pool.execute(
      [
        """
        SELECT concat(pg_backend_pid(), ': ', (SELECT string_agg(current_setting('muhatap.' || name, true), '')
          FROM unnest(ARRAY['caller', 'request', 'via', 'change_seq'] || ARRAY(SELECT v || a FROM unnest(crm.areas()) a, unnest(ARRAY['read_', 'write_']) v)) name))
        """
      ], context: .init(readOnly: true), deadline: .after(.seconds(60)))
    return try result[0][0].decode(String.self, at: 0)
  }

  @Test func `no caller's setting survives on a pooled connection, however the transaction ended`() async throws {
    struct Thrown: Error {}
    let pool = onePooledConnection(try await TestDatabase.suite())
    let clean = try await settings(pool)
    let system = Caller.system("test")
    let database = Database(pool: pool)

    _ = try await database.read(as: system, "SELECT 1")
    #expect(try await settings(pool) == clean)
    try await database.transaction(as: system) { tx in
      try await tx.run("INSERT INTO crm.product_category (code, name) VALUES (\(UUID().uuidString), 'x')")
    }
    #expect(try await settings(pool) == clean)
    await #expect(throws: Thrown.self) {
      try await database.transaction(as: system) { tx in
        try await tx.run("INSERT INTO crm.product_category (code, name) VALUES (\(UUID().uuidString), 'x')")
        throw Thrown()
      }
    }
    #expect(try await settings(pool) == clean)
    await #expect(throws: PostgresError.self) { _ = try await database.read(as: system, "SELECT 1 / 0") }
    #expect(try await settings(pool) == clean)
    await pool.shutdown()
  }

  @Test func `a caller whose user is not active reaches nothing`() async throws {
    let database = try await TestDatabase.suite()
    try await database.withRollback(as: .system("test")) { tx in
      let department = try await tx.value(UUID.self, "INSERT INTO crm.department (code, name) VALUES ('idle', 'Idle') RETURNING id")
      let user = try await tx.value(
        UUID.self, "INSERT INTO crm.app_user (department_id, email, name) VALUES (\(department), 'idle@test.example', 'Idle') RETURNING id")
      #expect(try await tx.value(Int.self, "SELECT count(*) FROM crm.access_of(\(user))") == Area.allCases.count)
      try await tx.run("UPDATE crm.app_user SET active = false WHERE id = \(user)")
      #expect(try await tx.value(Int.self, "SELECT count(*) FROM crm.access_of(\(user))") == 0)
    }
  }

  @Test func `departments stay a tree`() async throws {
    let database = try await TestDatabase.suite()
    try await database.withRollback(as: .system("test")) { tx in
      let top = try await tx.value(UUID.self, "INSERT INTO crm.department (code, name) VALUES ('top', 'Top') RETURNING id")
      let below = try await tx.value(UUID.self, "INSERT INTO crm.department (code, name, parent_id) VALUES ('low', 'Low', \(top)) RETURNING id")
      let error = await #expect(throws: PostgresError.self) {
        try await tx.savepoint { try await tx.run("UPDATE crm.department SET parent_id = \(below) WHERE id = \(top)") }
      }
      #expect(error?.constraint == "department_parent_id_other")
    }
  }
}
