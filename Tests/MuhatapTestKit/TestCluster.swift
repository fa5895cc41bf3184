import Foundation
import Logging
import PostgresClient

/// The PostgreSQL server of this test process: started when first asked for, in a temporary directory, on a unix socket, and
/// removed when the process ends, also when it crashes.
package actor TestCluster {
  package static let shared = TestCluster()

  package struct Address: Sendable {
    /// The directory of the unix socket.
    package let host: String
    package let port: String
    package let directory: String
  }

  private var starting: Task<Address, any Error>?
  private var template: Task<String, any Error>?
  private var filled: [String: Task<String, any Error>] = [:]
  private var suites: [String: Task<TestDatabase, any Error>] = [:]
  private var clones = 0

  /// Where the server listens; starts it the first time.
  package func address() async throws -> Address {
    let task =
      starting
      ?? Task {
        let directory = "/tmp/muhatap-test-\(ProcessInfo.processInfo.processIdentifier)"
        let printed = try await Command("scripts/cluster", ["start", directory, "--fast"]).run()
        try await Command("scripts/cluster", ["guard", directory, "\(ProcessInfo.processInfo.processIdentifier)"]).run()
        let parts = printed.split(whereSeparator: \.isWhitespace).map(String.init)
        guard parts.count == 2 else { throw Command.Failure(description: "scripts/cluster printed “\(printed)”") }
        return Address(host: parts[0], port: parts[1], directory: directory)
      }
    starting = task
    return try await task.value
  }

  /// A database of its own with the whole schema and no data.
  func clone() async throws -> TestDatabase {
    try await clone(from: migratedTemplate())
  }

  /// A database of its own with the data of a template that is filled the first time it is asked for.
  func clone(filled name: String, with fill: @escaping @Sendable (TestDatabase) async throws -> Void) async throws -> TestDatabase {
    let task =
      filled[name]
      ?? Task {
        let database = try await clone()
        try await fill(database)
        // PostgreSQL copies only databases that nobody is connected to.
        await database.close()
        return database.name
      }
    filled[name] = task
    return try await clone(from: task.value)
  }

  private func clone(from template: String) async throws -> TestDatabase {
    clones += 1
    let name = "test_\(clones)"
    try await psql("postgres", "CREATE DATABASE \(name) TEMPLATE \(template)")
    return try await TestDatabase(name: name, address: address())
  }

  /// The clone that all tests of a suite share.
  func clone(of suite: String) async throws -> TestDatabase {
    let task = suites[suite] ?? Task { try await clone() }
    suites[suite] = task
    return try await task.value
  }

  private func migratedTemplate() async throws -> String {
    let task =
      template
      ?? Task {
        let name = "muhatap_template"
        let address = try await address()
        try await Command("scripts/database", [address.host, address.port, name]).run()
        try await migrate(name)
        return name
      }
    template = task
    return try await task.value
  }

  private func migrate(_ database: String) async throws {
    let address = try await address()
    try await Migrator(
      connection: "postgresql://crm_migrator@/\(database)?host=\(address.host)&port=\(address.port)",
      directory: Command.repository.appending(path: "sql"), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).run()
  }

  /// Runs a file of SQL in one transaction.
  func run(file: URL, in database: String, as role: String) async throws {
    let address = try await address()
    try await Command(
      "psql", ["-Xq", "-v", "ON_ERROR_STOP=1", "-1", "-h", address.host, "-p", address.port, "-U", role, "-d", database, "-f", file.path]
    ).run()
  }

  /// Runs one statement as the superuser.
  func psql(_ database: String, _ sql: String) async throws {
    let address = try await address()
    try await Command(
      "psql", ["-Xq", "-v", "ON_ERROR_STOP=1", "-h", address.host, "-p", address.port, "-U", "postgres", "-d", database, "-c", sql]
    ).run()
  }
}
