import CRMCore
import Foundation
import PostgresClient
import Synchronization

/// Imports one file from this machine and shows how far it is.
struct ImportRun {
  let importer: Importer
  let caller: Caller

  func run(_ file: URL, as resource: String, mapping: JSON, dryRun: Bool = false) async throws -> ImportJob {
    let size = Int((try FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int) ?? 0)
    let bar = Mutex(ProgressBar(resource, total: size))
    let pieces = try FilePieces(file) { bytes in bar.withLock { $0.update(bytes) } }
    defer { bar.withLock { $0.clear() } }
    return try await importer.importFile(
      pieces, resource: resource, mapping: mapping, fileName: file.lastPathComponent, dryRun: dryRun, as: caller
    ) { progress in
      if progress.step != "reading" { bar.withLock { $0.note("\(progress.rows) rows: \(progress.step)") } }
    }
  }
}

extension ImportJob {
  /// What came of it, in one line.
  var outcome: String {
    "\(resource): \(rowsRead) rows read, \(rowsNew) new, \(rowsChanged) changed, \(rowsUnchanged) unchanged, \(rowsRefused) refused"
  }
}
