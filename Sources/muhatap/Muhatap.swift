import ArgumentParser

@main
struct Muhatap: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "muhatap",
    abstract: "A PostgreSQL-native CRM backend for several departments of one company.",
    subcommands: [Serve.self, WorkerCommand.self, Migrate.self, Demo.self, Import.self, Export.self, Simulate.self, Admin.self, Doctor.self, Config.self])
}
