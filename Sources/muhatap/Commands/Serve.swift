import ArgumentParser
import Gateway
import Logging
import PostgresClient

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Answer the API until SIGTERM or Ctrl-C.",
    discussion: "A first signal lets requests under way end; a second Ctrl-C ends at once.")

  @OptionGroup var options: SettingsOptions

  func run() async throws {
    let settings = try await options.settings(for: .serve)
    let stop = StopSignals()
    let logging = JSONLogging(level: settings.logLevel)
    defer { logging.flush() }
    let pool = PostgresPool(settings.database, logger: Logger(label: "postgres"))
    let application = try await Application.start(
      settings.gateway, pool: pool, cursorKey: settings.cursorKey, logger: Logger(label: "gateway"))
    await stop.wait()
    try await application.stop()
    await pool.shutdown()
  }
}
