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
    let display = Mutex(Display(reading: ProgressBar("\(resource): reading", total: size)))
    let pieces = try FilePieces(file) { bytes in display.withLock { $0.reading.update(bytes) } }
    let job = try await importer.importFile(
      pieces, resource: resource, mapping: mapping, fileName: file.lastPathComponent, dryRun: dryRun, as: caller
    ) { progress in
      display.withLock { $0.show(progress, of: resource) }
    }
    display.withLock { $0.finish() }
    return job
  }

  private struct Display {
    var reading: ProgressBar
    var step: (name: String, bar: ProgressBar, rows: Int)?

    mutating func show(_ progress: Importer.Progress, of resource: String) {
      guard progress.step != "reading", progress.step != step?.name else { return }
      finish()
      step = (progress.step, ProgressBar("\(resource): \(progress.step)", total: 0), progress.rows)
      step?.bar.update(progress.rows)
    }

    func finish() {
      if let step { step.bar.finish(step.rows) }
    }
  }
}

extension ImportJob {
  /// What came of it, in one line.
  var outcome: String {
    "\(resource): \(rowsRead) rows read, \(rowsNew) new, \(rowsChanged) changed, \(rowsUnchanged) unchanged, \(rowsRefused) refused"
  }
}
