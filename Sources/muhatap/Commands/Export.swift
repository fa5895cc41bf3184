import ArgumentParser
import CRMCore
import Foundation
import Gateway
import PostgresClient

struct Export: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a resource's rows as NDJSON or CSV.",
    discussion: "For example: muhatap export orders --as ayse@carsi.example --where status=eq.completed --format csv --output orders.csv")

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case ndjson, csv
  }

  @Argument(help: "The resource, such as customers.") var resource: String
  @Option(name: .customLong("as"), help: "The e-mail address of the user whose rows are written.") var user: String
  @Option(
    name: .customLong("where"), help: ArgumentHelp("A filter as the API takes it; may be repeated.", valueName: "field=operator.value"))
  var filters: [String] = []
  @Option(help: "The fields to write, with commas; all without it.") var select: String?
  @Option var format: Format = .ndjson
  @Option(help: ArgumentHelp("The file to write; standard output without it.", valueName: "file")) var output: String?
  @OptionGroup var options: SettingsOptions

  func run() async throws {
    try await options.withPool(.administer) { pool, settings in
      let database = Database(pool: pool)
      let api = try await API(database: database, cursorKey: settings.cursorKey)
      guard let entity = api.model[resource], let format = ExportFormat(rawValue: format.rawValue) else {
        throw ValidationError("There is no resource \(resource). The resources: \(api.model.entities.keys.sorted().joined(separator: ", "))")
      }
      var parameters = try filters.map { filter in
        guard let equals = filter.firstIndex(of: "=") else { throw ValidationError("Write the filter as field=operator.value: \(filter)") }
        return (name: String(filter[..<equals]), value: String(filter[filter.index(after: equals)...]))
      }
      if let select { parameters.append((name: "select", value: select)) }
      let file = try output.map { path in
        guard FileManager.default.createFile(atPath: path, contents: nil) else { throw ValidationError("\(path) cannot be written.") }
        return try FileHandle(forWritingTo: URL(filePath: path))
      }
      let target = file ?? FileHandle.standardOutput
      do {
        var progress = ProgressBar(resource, total: 0)
        var rows = 0
        rows = try await api.resources.export(try Query(parameters: parameters), entity, format, as: database.caller(of: user), request: UUID.v7()) { piece in
          try target.write(contentsOf: Data(piece))
          rows += piece.count { $0 == UInt8(ascii: "\n") }
          progress.update(rows)
        }
        progress.clear()
        try await api.resources.reads.write(to: database)
      } catch let problem as Problem {
        throw ValidationError(problem.explanation)
      }
      try file?.close()
    }
  }
}
