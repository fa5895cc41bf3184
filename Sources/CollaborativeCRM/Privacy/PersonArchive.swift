import CRMCore
import Foundation
import PostgresClient

/// Everything about one person in one archive: the export in both its forms, and the files that belong to the person.
struct PersonArchive: Sendable {
  let export: PersonExport
  let request: UUID
  let tables: [PersonExport.Table]
  let caller: Caller

  private struct File: RowDecodable, Sendable {
    let name, sha256: String

    init(row: PostgresRow) throws {
      name = try row.decode("name")
      sha256 = try row.decode("sha256")
    }

    /// Its path in the archive: the beginning of its hash, by which the export's attachments name it, and what it is called, without what some system does not
    /// take in a name.
    var path: String {
      let kept = name.unicodeScalars.map { $0.value < 0x20 || "<>:\"/\\|?*\u{7f}".unicodeScalars.contains($0) ? "_" : Character($0) }
      let dot = kept.lastIndex(of: ".") ?? kept.endIndex
      let suffix = kept.distance(from: dot, to: kept.endIndex) <= 12 ? kept[dot...] : []
      // Names of 255 bytes are what file systems agree on.
      var stem = String(kept[..<(kept.endIndex - suffix.count)])
      while stem.utf8.count > 180 { stem.removeLast() }
      return "files/\(sha256.prefix(16))-\(stem)\(String(suffix))".trimmingCharacters(in: CharacterSet(charactersIn: ". "))
    }
  }

  /// Writes the archive; of what it holds only a piece is in memory at a time.
  func write(_ output: ZIPWriter.Output) async throws {
    var archive = ZIPWriter()
    try await archive.begin("export.json", to: output)
    try await export.writeJSON(request, tables, as: caller) { try await archive.write($0, to: output) }
    try await archive.end(to: output)
    try await archive.begin("export.csv", to: output)
    try await export.writeCSV(request, tables, as: caller) { try await archive.write($0, to: output) }
    try await archive.end(to: output)
    var written: Set<String> = []
    var skip = 0
    while true {
      let files = try await files(skip)
      for file in files where written.insert(file.sha256).inserted {
        if let content = try await export.database.files.open(file.sha256) {
          try await archive.begin(file.path, to: output)
          try await content { try await archive.write($0, to: output) }
        } else {
          let note = "The content of this file is no longer kept.\nBu dosyanın içeriği artık saklanmıyor.\n"
          try await archive.begin("\(file.path).missing.txt", to: output)
          try await archive.write(Array(note.utf8), to: output)
        }
        try await archive.end(to: output)
      }
      guard files.count == PersonExport.rowsAPiece else { break }
      skip += files.count
    }
    try await archive.finish(to: output)
  }

  private func files(_ skip: Int) async throws -> [File] {
    try await export.database.read(
      as: caller, lane: .reports, deadline: .after(.seconds(60)),
      """
      SELECT r.r ->> 'name' AS name, r.r ->> 'sha256' AS sha256
      FROM crm.export_rows(\(request), 'crm.attachment', \(tables.first?.ids ?? []), \(skip), \(PersonExport.rowsAPiece)) AS r (r)
      """
    ).rows.map(File.init(row:))
  }
}
