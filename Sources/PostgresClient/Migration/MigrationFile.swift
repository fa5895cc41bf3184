import Crypto
import Foundation

/// One `NNNN_name.sql` as it lies on disk.
struct MigrationFile: Sendable {
  let number: Int
  /// `0007_customers`
  let name: String
  let text: String
  /// In hexadecimal.
  let sha256: String
  /// Whether its statements run one by one outside of a transaction: `-- muhatap: no-transaction` among its first comments.
  let isTransactional: Bool
  /// Statements that must return true when it is done: `-- muhatap: ensure SELECT …`, one a line.
  let conditions: [String]

  init(number: Int, name: String, text: String) {
    self.number = number
    self.name = name
    self.text = text
    sha256 = Self.hash([text])
    let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
    let head = lines.prefix { $0.hasPrefix("--") || $0.isEmpty }
    isTransactional = !head.contains("-- muhatap: no-transaction")
    let mark = "-- muhatap: ensure "
    conditions = lines.filter { $0.hasPrefix(mark) }.map { String($0.dropFirst(mark.count)) }
  }

  /// SHA-256 over texts, each told apart from the next.
  static func hash(_ texts: [String]) -> String {
    var hash = SHA256()
    for text in texts {
      hash.update(data: Array(text.utf8))
      hash.update(data: [0])
    }
    return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// All migrations of a folder in the order of their numbers.
  /// - Throws: `MigrationError` if a file is not called `NNNN_name.sql` or a number stands twice.
  static func all(in folder: URL) throws -> [MigrationFile] {
    var files: [MigrationFile] = []
    for url in try sqlFiles(in: folder) {
      let name = url.deletingPathExtension().lastPathComponent
      let parts = name.split(separator: "_", maxSplits: 1)
      guard parts.count == 2, parts[0].utf8.count == 4, let number = Int(parts[0]), number > 0 else {
        throw MigrationError("\(name).sql: call it NNNN_name.sql, with a number of four digits")
      }
      if let twin = files.last, twin.number == number {
        throw MigrationError("\(name).sql and \(twin.name).sql have the same number; give one of them the next free number")
      }
      files.append(MigrationFile(number: number, name: name, text: try String(contentsOf: url, encoding: .utf8)))
    }
    return files
  }

  /// The `.sql` files of a folder by name; none if there is no such folder.
  static func sqlFiles(in folder: URL) throws -> [URL] {
    guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
    return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "sql" }
      .sorted { $0.lastPathComponent < $1.lastPathComponent }
  }
}

/// Everything under `sql/current`: each folder is a schema that is dropped and made anew by its files.
struct CurrentSchemas: Sendable {
  struct Schema: Sendable {
    let name: String
    let files: [(name: String, text: String)]
  }

  /// In the order of their names.
  let schemas: [Schema]
  let sha256: String

  /// - Throws: `MigrationError` if a folder's name cannot be a schema's.
  init(in folder: URL) throws {
    var schemas: [Schema] = []
    let folders =
      FileManager.default.fileExists(atPath: folder.path)
      ? try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: [.isDirectoryKey]) : []
    for url in folders.sorted(by: { $0.lastPathComponent < $1.lastPathComponent }) where url.hasDirectoryPath {
      let name = url.lastPathComponent
      guard name.utf8.allSatisfy({ (97...122).contains($0) || $0 == 95 }), !name.isEmpty else {
        throw MigrationError("sql/current/\(name): a schema's name is of small letters and _")
      }
      let files = try MigrationFile.sqlFiles(in: url).map {
        ("current/\(name)/\($0.lastPathComponent)", try String(contentsOf: $0, encoding: .utf8))
      }
      schemas.append(Schema(name: name, files: files))
    }
    self.schemas = schemas
    sha256 = MigrationFile.hash(schemas.flatMap { $0.files.flatMap { [$0.name, $0.text] } })
  }
}
