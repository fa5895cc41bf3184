package import CRMCore
import Foundation
import Logging
package import PostgresClient
import Synchronization

/// A database of the shared test server, cloned from the migrated template.
package final class TestDatabase: Sendable {
  package let name: String
  package let address: TestCluster.Address
  private let pools = Mutex<[String: PostgresPool]>([:])

  init(name: String, address: TestCluster.Address) {
    self.name = name
    self.address = address
  }

  /// The database that all tests of one file share: cheap, but others' committed rows are in it.
  package static func suite(_ file: String = #fileID) async throws -> TestDatabase {
    try await TestCluster.shared.clone(of: file)
  }

  /// A database of its own (about a quarter of a second), for tests that count rows or change the schema.
  package static func clone() async throws -> TestDatabase {
    try await TestCluster.shared.clone()
  }

  /// A database with the whole schema on a server of the test's own, such as one that is killed.
  package static func migrated(_ name: String, host: String, port: String) async throws -> TestDatabase {
    try await Command("scripts/database", [host, port, name]).run()
    try await Migrator(
      connection: "postgresql://crm_migrator@/\(name)?host=\(host)&port=\(port)", directory: Command.repository.appending(path: "sql"),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).run()
    return TestDatabase(name: name, address: .init(host: host, port: port, directory: ""))
  }

  /// How libpq reaches it as a role: `crm_app` as the gateway does, `crm_worker`, `crm_migrator`, or `postgres` to look behind the policies.
  package func url(as role: String = "crm_app") -> String {
    "postgresql://\(role)@/\(name)?host=\(address.host)&port=\(address.port)"
  }

  /// The gateway's role, under row-level security.
  package var app: PostgresPool { pool(as: "crm_app") }
  package var worker: PostgresPool { pool(as: "crm_worker") }
  package var migrator: PostgresPool { pool(as: "crm_migrator") }
  /// The superuser, who sees and may do everything.
  package var admin: PostgresPool { pool(as: "postgres") }

  private func pool(as role: String) -> PostgresPool {
    pools.withLock { pools in
      if let pool = pools[role] { return pool }
      let pool = PostgresPool(
        // How long requests wait for a lock is not what these tests are about; a busy machine shall not fail them. Workers wait as long as the program's do.
        PostgresPool.Configuration(
          connection: url(as: role), connections: [.interactive: 4, .jobs: 2, .reports: 1, .health: 1],
          lockTimeout: role == "crm_worker" ? .seconds(2) : .seconds(50), connectTimeout: .seconds(30), applicationName: "test"),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      pools[role] = pool
      return pool
    }
  }

  /// Ends all its connections; whoever asks for a pool later gets a new one.
  package func close() async {
    let open = pools.withLock { pools in
      defer { pools = [:] }
      return Array(pools.values)
    }
    for pool in open { await pool.shutdown() }
  }

  /// Runs a file of SQL, named from the repository's folder, in one transaction as the superuser.
  package func load(_ path: String) async throws {
    try await TestCluster.shared.run(file: Command.repository.appending(path: path), in: name, as: "postgres")
  }

  /// Runs `body` in a transaction on somebody's behalf that is rolled back whatever happens: nothing of it stays.
  package func withRollback(as caller: Caller, _ body: @escaping @Sendable (PostgresTransaction) async throws -> Void) async throws {
    struct RolledBack: Error {}
    do {
      try await Database(pool: app).transaction(as: caller) { tx in
        try await body(tx)
        throw RolledBack()
      }
    } catch is RolledBack {}
  }
}
