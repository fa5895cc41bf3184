import CRMCore
import Foundation
import Gateway
import PostgresClient

/// The demo company's year of shopping, imported as anybody would import it. What has been imported before is left alone.
struct DemoYear {
  private static let files = [("products.csv.gz", "products"), ("demographics.csv.gz", "customers"), ("transactions.csv.gz", "orders")]

  let database: Database
  let model: Model
  let folder: URL

  func load() async throws {
    let run = ImportRun(importer: Importer(database: database, model: model), caller: try await database.caller(of: "deniz@carsi.example"))
    for (file, resource) in Self.files where try await !isImported(file) {
      let mapping = try JSONDecoder().decode(JSON.self, from: Data(contentsOf: folder.appending(path: "mappings/\(resource).json")))
      print(try await run.run(folder.appending(path: "data/\(file)"), as: resource, mapping: mapping).outcome)
    }
  }

  private func isImported(_ file: String) async throws -> Bool {
    let found = try await database.read(
      as: .system("look for the demo company's imports"),
      "SELECT EXISTS (SELECT FROM crm.import WHERE file_name = \(file) AND status = 'done') AS done")
    return try found[0].decode(Bool.self, "done")
  }
}
