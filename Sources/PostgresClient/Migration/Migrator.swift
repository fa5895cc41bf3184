package import Foundation
package import Logging

/// Brings a database to the state of the project's `sql` folder: `migrations/NNNN_name.sql` forward only, each once, and the
/// schemas of `current/` made anew whenever one of their files changes.
///
/// It runs on a connection and a thread of its own, one migrator at a time in a database. A run that was killed is simply run again.
package struct Migrator: Sendable {
  package enum Event: Sendable, Hashable {
    /// Someone else is migrating; waiting for them.
    case waiting
    case applied(String, Duration)
    case rebuilt([String], Duration)
    /// A lock was not free; trying again.
    case retrying(String)
  }

  private let connection: String
  private let directory: URL
  private let logger: Logger
  private let lockTimeout: Duration
  private let attempts: Int

  /// - Parameters:
  ///   - connection: a libpq connection string, with a role that may migrate.
  ///   - directory: the folder that holds `migrations` and `current`.
  ///   - lockTimeout: how long a statement waits for a lock, so that those who wait behind it do not wait long.
  ///   - attempts: how often a migration that found a lock taken is tried.
  package init(connection: String, directory: URL, logger: Logger, lockTimeout: Duration = .seconds(2), attempts: Int = 30) {
    self.connection = connection
    self.directory = directory
    self.logger = logger
    self.lockTimeout = lockTimeout
    self.attempts = attempts
  }

  /// Compares the database with the files.
  package func status() async throws -> MigrationStatus {
    try await onThread { try open { _ in }.status() }
  }

  /// Applies what is pending and rebuilds `current` if it changed.
  /// - Throws: `MigrationError`, saying what to do, if an applied file was edited or is missing, or a statement failed.
  @discardableResult
  package func run(progress: @escaping @Sendable (Event) -> Void = { _ in }) async throws -> MigrationStatus {
    try await onThread {
      let run = try open(progress)
      try run.run()
      return try run.status()
    }
  }

  private func open(_ progress: @escaping @Sendable (Event) -> Void) throws -> MigrationRun {
    MigrationRun(
      connection: try MigrationConnection(connection, lockTimeout: lockTimeout),
      files: try MigrationFile.all(in: directory.appending(path: "migrations")),
      current: try CurrentSchemas(in: directory.appending(path: "current")),
      attempts: attempts,
      progress: { event in
        logger.debug("migration", metadata: ["event": "\(event)"])
        progress(event)
      })
  }

  /// Waiting for the server must not hold a thread of the cooperative pool.
  private func onThread<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await withCheckedThrowingContinuation { continuation in
      let thread = Thread { continuation.resume(with: Result(catching: body)) }
      thread.name = "postgres-migrate"
      thread.start()
    }
  }
}
