import ArgumentParser
import Gateway

struct AdminDemoCompany: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo-company", abstract: "Make the demo company's departments, people and roles; what is there stays.")

  @OptionGroup var options: SettingsOptions

  func run() async throws {
    try await options.withPool(.administer) { pool, _ in try await DemoCompany.found(in: pool) }
  }
}
