import ArgumentParser
import Foundation
import Logging
import PostgresClient

struct Migrate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate", abstract: "Bring the database's schema to this program's version. Needs the role crm_migrator.",
    subcommands: [Up.self, Status.self], defaultSubcommand: Status.self)

  struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "up", abstract: "Apply what is pending.")

    @OptionGroup var options: SettingsOptions

    func run() async throws {
      let status = try await Migrator(try await options.settings(for: .administer)).run(progress: Migrator.Event.show)
      status.explanation.forEach { print($0) }
    }
  }

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "status", abstract: "Say what has been applied and what is pending.", discussion: "The exit code is 1 when there is something to do.")

    @OptionGroup var options: SettingsOptions

    func run() async throws {
      let status = try await Migrator(try await options.settings(for: .administer)).status()
      status.explanation.forEach { print($0) }
      if !status.isUpToDate { throw ExitCode.failure }
    }
  }
}

extension Migrator {
  init(_ settings: Settings) {
    self.init(connection: settings.database.connection, directory: settings.migrations, logger: Logger(label: "migrate") { _ in SwiftLogNoOpLogHandler() })
  }
}

extension Migrator.Event {
  /// Tells the person who waits.
  static func show(_ event: Migrator.Event) {
    switch event {
    case .waiting: print("Someone else is migrating; waiting for them.")
    case .applied(let name, let time): print("applied \(name) (\(time.milliseconds) ms)")
    case .rebuilt(let schemas, let time): print("rebuilt \(schemas.joined(separator: ", ")) (\(time.milliseconds) ms)")
    case .retrying(let name): print("\(name): a lock was not free; trying again.")
    }
  }
}

extension Duration {
  fileprivate var milliseconds: Int { Int(self / .milliseconds(1)) }
}
