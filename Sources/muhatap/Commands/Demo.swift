import ArgumentParser
import CRMCore
import Foundation
import Gateway
import Logging
import PostgresClient

struct Demo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Serve the demo company; `make demo` sets up all that this needs.",
    discussion: "Migrates, makes what is missing of the company and its year of shopping, prints how to sign in, and serves until Ctrl-C.")

  @Option(help: "The folder that keeps the demo's API keys.") var folder = ".local"
  @Option(help: "The port on which PostgreSQL listens for BI tools.") var databasePort = 5432
  @OptionGroup var options: SettingsOptions

  func run() async throws {
    let settings = try await options.settings(for: .demonstrate)
    let stop = StopSignals()
    let silent = Logger(label: "demo") { _ in SwiftLogNoOpLogHandler() }
    try await Migrator(connection: settings.migratorURL, directory: settings.migrations, logger: silent).run(progress: Migrator.Event.show)
    // Standard output and the progress on standard error shall come in their order.
    fflush(nil)

    let pool = PostgresPool(settings.database, logger: silent)
    let workerPool = PostgresPool(settings.worker, logger: silent)
    try await DemoCompany.found(in: pool)
    let api = try await API(database: Database(pool: workerPool), cursorKey: settings.cursorKey)
    try await DemoYear(database: Database(pool: workerPool), model: api.model, folder: settings.demoFolder).load()
    let worker = Worker.ofThisProcess(pool: workerPool, settings: settings, logger: silent)
    async let working: Void = worker.run()
    let following = Work.followChanges(pool: workerPool, webhooks: settings.webhooks, logger: silent)
    let application = try await Application.start(settings.gateway, pool: pool, cursorKey: settings.cursorKey, logger: silent)

    let access = try await DemoAccess.load(from: URL(filePath: folder).appending(path: "demo.json"), pool: pool, migratorURL: settings.migratorURL)
    print(access.welcome(address: "http://\(settings.gateway.host):\(application.server.port ?? settings.gateway.port)", databasePort: databasePort))
    // Whoever reads this through a pipe wants it now.
    fflush(nil)

    await stop.wait()
    print("Stopping.")
    worker.stop()
    following.cancel()
    try await application.stop()
    await working
    await following.value
    await pool.shutdown()
    await workerPool.shutdown()
  }
}
