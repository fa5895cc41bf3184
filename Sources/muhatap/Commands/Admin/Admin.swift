import ArgumentParser
import CRMCore
import Logging
import PostgresClient

struct Admin: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "admin", abstract: "Users, API keys and BI logins, without signing in.",
    discussion: "Whoever may run these commands has the database's connection settings; each change stands in the change log as system work.",
    subcommands: [AdminUser.self, AdminAPIKey.self, AdminBILogin.self, AdminDemoCompany.self, AdminTombstones.self])
}

extension SettingsOptions {
  /// Runs `body` with a connection to the database, which is closed afterwards.
  func withPool<R>(_ purpose: Settings.Purpose, _ body: (PostgresPool, Settings) async throws -> R) async throws -> R {
    let settings = try await settings(for: purpose)
    let pool = PostgresPool(settings.database, logger: Logger(label: "postgres") { _ in SwiftLogNoOpLogHandler() })
    do {
      let result = try await body(pool, settings)
      await pool.shutdown()
      return result
    } catch {
      let refusal: CommandRefusal?
      if let error = error as? PostgresError { refusal = try await CommandRefusal(error, in: pool) } else { refusal = nil }
      await pool.shutdown()
      throw refusal ?? error
    }
  }
}
