import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// What becomes of work whose client has gone.
@Suite struct DisconnectTests {
  private static func endpoints(_ database: Database) -> [Endpoint] {
    let context = PostgresPool.Context(readOnly: true)
    return [
      Endpoint(
        .get, "/slow-read", access: .open, documentation: BareServer.documentation("slow_read"),
        handler: .read { _ in Endpoint.Read(["SELECT pg_sleep(61)"], context: context) { _ in .json([]) } }),
      Endpoint(
        .get, "/slow-operation", access: .open, documentation: BareServer.documentation("slow_operation"),
        handler: .operation { request in
          _ = try await database.pool.execute(["SELECT pg_sleep(62)"], context: context, deadline: request.deadline)
          return .json([])
        }),
      Endpoint(
        .post, "/slow-write", access: .open, documentation: BareServer.documentation("slow_write"),
        handler: .operation { request in
          try await database.transaction(as: .system("test"), deadline: request.deadline) { tx in
            try await tx.run("INSERT INTO crm.slow_commit (id) VALUES (1)")
          }
          return Response(status: 204)
        }),
    ]
  }

  /// How many statements whose text begins so PostgreSQL is running.
  private static func running(_ statement: String, _ database: TestDatabase) async throws -> Int {
    try await database.admin.execute(
      [
        """
        SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
          AND query ^@ \(statement)
        """
      ], context: PostgresPool.Context(readOnly: true), deadline: .after(.seconds(30)))[0][0].decode(Int.self, at: 0)
  }

  private static func wait(for count: Int, of statement: String, _ database: TestDatabase, within limit: Duration) async throws -> Duration? {
    let start = ContinuousClock.now
    while ContinuousClock.now - start < limit {
      if try await running(statement, database) == count { return ContinuousClock.now - start }
      try await Task.sleep(for: .milliseconds(20))
    }
    return nil
  }

  @Test(arguments: [("/slow-read", "SELECT pg_sleep(61)"), ("/slow-operation", "SELECT pg_sleep(62)")])
  func `a query whose client hangs up ends within a second`(_ path: String, _ statement: String) async throws {
    let database = try await TestDatabase.suite()
    let door = Database(pool: database.app)
    try await BareServer.run(database: door, endpoints: Self.endpoints(door)) { (server) async throws in
      let connection = try server.connect()
      try await connection.send("GET \(path) HTTP/1.1\r\nHost: t\r\n\r\n")
      #expect(try await Self.wait(for: 1, of: statement, database, within: .seconds(30)) != nil)
      connection.close()
      let took = try await Self.wait(for: 0, of: statement, database, within: .seconds(30))
      #expect(try #require(took) < .seconds(1))
      #expect(try await server.get("/readyz").status == 200)
    }
  }

  @Test func `what is being committed is committed, though its client has gone`() async throws {
    let database = try await TestDatabase.clone()
    // The constraint is checked at COMMIT, and takes its time.
    _ = try await database.admin.execute(
      [
        "CREATE TABLE crm.slow_commit (id integer PRIMARY KEY)", "GRANT SELECT, INSERT ON crm.slow_commit TO crm_app",
        "CREATE FUNCTION crm.take_time() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(5); RETURN NULL; END'",
        """
        CREATE CONSTRAINT TRIGGER slow_commit_take_time AFTER INSERT ON crm.slow_commit DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION crm.take_time()
        """,
      ], context: PostgresPool.Context(readOnly: false), deadline: .after(.seconds(30)))
    let door = Database(pool: database.app)
    try await BareServer.run(database: door, endpoints: Self.endpoints(door)) { (server) async throws in
      let connection = try server.connect()
      try await connection.send("POST /slow-write HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
      #expect(try await Self.wait(for: 1, of: "COMMIT", database, within: .seconds(30)) != nil)
      connection.close()
      #expect(try await Self.wait(for: 0, of: "COMMIT", database, within: .seconds(30)) != nil)
      let rows = try await database.admin.execute(
        ["SELECT id FROM crm.slow_commit"], context: PostgresPool.Context(readOnly: true), deadline: .after(.seconds(30)))[0]
      #expect(rows.count == 1)
    }
  }
}
