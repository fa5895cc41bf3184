import Foundation
import Logging
import MuhatapTestKit
import PostgresClient

/// The empty database these tests share on the test process's server. They know nothing of the CRM's schema.
actor Server {
  static let shared = Server()
  private var making: Task<String, any Error>?

  /// How libpq reaches the database, as the superuser.
  func url() async throws -> String {
    let task =
      making
      ?? Task {
        let address = try await TestCluster.shared.address()
        try await Command("createdb", ["-h", address.host, "-p", address.port, "-U", "postgres", "client"]).run()
        return "postgresql://postgres@/client?host=\(address.host)&port=\(address.port)"
      }
    making = task
    return try await task.value
  }

  /// A pool of its own for one test; shuts it down afterwards.
  static func withPool<R: Sendable>(
    connections: [PostgresPool.Lane: Int] = [.interactive: 4, .jobs: 2, .reports: 1, .health: 1],
    queueLimit: Int = 1_000, preparedStatements: Int = 256, _ body: (PostgresPool) async throws -> R
  ) async throws -> R {
    let pool = PostgresPool(
      .init(connection: try await shared.url(), connections: connections, queueLimit: queueLimit, preparedStatements: preparedStatements),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let result: Result<R, any Error>
    do { result = .success(try await body(pool)) } catch { result = .failure(error) }
    await pool.shutdown(deadline: .after(.seconds(5)))
    return try result.get()
  }
}

extension PostgresPool {
  /// One read, with a minute.
  func read(_ statements: SQL..., settings: [Context.Setting] = []) async throws -> [PostgresResult] {
    try await execute(statements, context: .init(settings: settings, readOnly: true), deadline: .after(.seconds(60)))
  }

  /// One write, with a minute.
  @discardableResult
  func write(_ statements: SQL..., settings: [Context.Setting] = []) async throws -> [PostgresResult] {
    try await execute(statements, context: .init(settings: settings, readOnly: false), deadline: .after(.seconds(60)))
  }

  /// A transaction with a minute and no settings.
  func transact<R: Sendable>(
    deadline: Deadline = .after(.seconds(60)), isolation: Isolation = .readCommitted, retries: Bool = false,
    _ body: @Sendable (PostgresTransaction) async throws -> R
  ) async throws -> R {
    try await transaction(context: .init(readOnly: false), deadline: deadline, isolation: isolation, retries: retries, body)
  }
}
