import ArgumentParser
import CRMCore
import Foundation
import Gateway
import PostgresClient

struct Import: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Import a CSV or NDJSON file, plain or gzip. Needs the role crm_worker.",
    discussion: """
      For example: muhatap import transactions.csv.gz --resource orders --mapping demo/mappings/orders.json --as deniz@carsi.example
      A row that cannot be taken is never dropped silently: --errors writes each with its number and reason.
      """)

  @Argument(help: "The file.") var file: String
  @Option(help: "What its rows become, such as customers.") var resource: String
  @Option(help: ArgumentHelp("A JSON file that says how columns become fields.", valueName: "file")) var mapping: String
  @Option(name: .customLong("as"), help: "The e-mail address of the user who imports.") var user: String
  @Flag(help: "Check everything and change nothing.") var dryRun = false
  @Option(help: ArgumentHelp("A file to write the rows that are not taken to, as CSV with number, column, value and reason.", valueName: "file"))
  var errors: String?
  @OptionGroup var options: SettingsOptions

  func run() async throws {
    // Before anything is imported.
    guard FileManager.default.isReadableFile(atPath: file) else { throw CommandRefusal("\(file) cannot be read.") }
    guard let text = FileManager.default.contents(atPath: mapping) else { throw CommandRefusal("\(mapping) cannot be read.") }
    let mapping: JSON
    do { mapping = try JSONDecoder().decode(JSON.self, from: text) } catch { throw CommandRefusal("\(self.mapping) is not valid JSON.") }
    let errorFile = try errors.map { path in
      guard FileManager.default.createFile(atPath: path, contents: nil) else { throw CommandRefusal("\(path) cannot be written.") }
      return try FileHandle(forWritingTo: URL(filePath: path))
    }
    try await options.withPool(.work) { pool, settings in
      let database = Database(pool: pool)
      let api = try await API(database: database, cursorKey: settings.cursorKey)
      let run = ImportRun(importer: Importer(database: database, model: api.model), caller: try await database.caller(of: user))
      do {
        let job = try await run.run(URL(filePath: file), as: resource, mapping: mapping, dryRun: dryRun)
        print(job.outcome)
        print("import \(job.id.lowercase)\(dryRun ? " (dry run: nothing was changed)" : "")")
        if job.rowsRefused > 0 { try await printRefusals(of: job, in: database) }
        if let errorFile {
          try await ImportErrorFile(database: database, id: job.id, language: .english).write { try errorFile.write(contentsOf: Data($0)) }
          try errorFile.close()
        }
      } catch let problem as Problem {
        throw CommandRefusal(problem.explanation)
      }
    }
  }

  private func printRefusals(of job: ImportJob, in database: Database) async throws {
    let reasons = try await database.read(
      as: .system("show an import's refusals"),
      "SELECT code, count(*)::int AS count, min(row_number) AS first FROM crm.import_error WHERE import_id = \(job.id) GROUP BY code ORDER BY 2 DESC")
    for reason in reasons.rows {
      print("  \(try reason.decode(Int.self, "count")) × \(try reason.decode(String.self, "code")), first in row \(try reason.decode(Int.self, "first"))")
    }
  }
}
