import ArgumentParser
import CRMCore
import CollaborativeCRM
import Foundation
import Gateway
import Logging
import PostgresClient

struct WorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Do jobs and imports until SIGTERM or Ctrl-C.",
    discussion: "Several workers share the work. A first signal lets jobs under way end; a second Ctrl-C ends at once.")

  @OptionGroup var options: SettingsOptions

  func run() async throws {
    let settings = try await options.settings(for: .work)
    let stop = StopSignals()
    let logging = JSONLogging(level: settings.logLevel)
    defer { logging.flush() }
    let pool = PostgresPool(settings.database, logger: Logger(label: "postgres"))
    try await UnsafeRole.refuse(in: pool)
    let worker = Worker.ofThisProcess(pool: pool, settings: settings, logger: Logger(label: "worker"))
    async let working: Void = worker.run()
    let following = Work.followChanges(pool: pool, webhooks: settings.webhooks, logger: Logger(label: "live"))
    await stop.wait()
    worker.stop()
    following.cancel()
    await working
    await following.value
    await pool.shutdown()
  }
}

extension Worker {
  /// The worker of this process, with every kind of job.
  static func ofThisProcess(pool: PostgresPool, settings: Settings, logger: Logger) -> Worker {
    let process = ProcessInfo.processInfo
    return Worker(
      database: Database(pool: pool, files: settings.gateway.files, secrets: settings.gateway.secrets),
      handlers: Work.handlers(registry: settings.registry.map { RegistryConnection($0) }), schedules: Work.schedules,
      configuration: Configuration(name: "\(process.hostName)-\(process.processIdentifier)", concurrency: settings.jobConcurrency),
      logger: logger)
  }
}
