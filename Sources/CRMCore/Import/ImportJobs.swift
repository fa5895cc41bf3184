import Foundation
import PostgresClient

extension JobHandler {
  static let runImport = "import.run"
  static let undoImport = "import.undo"
  package static let sweepImports = "import.sweep"

  /// What workers do of imports: run them and take them back, on behalf of the user who asked; and drop files that nobody imports.
  package static func imports(of resources: [Resource]) -> [JobHandler] {
    [
      JobHandler(runImport) { lease in
        let (importer, id, caller) = try await prepare(lease, resources)
        let dryRun = lease.job.payload["dry_run"] == .bool(true)
        try await hopelessIfRefused { try await importer.run(id, dryRun: dryRun, as: caller, lease: lease) }
      },
      JobHandler(undoImport) { lease in
        let (importer, id, caller) = try await prepare(lease, resources)
        try await hopelessIfRefused { try await importer.undo(id, as: caller, lease: lease) }
      },
      JobHandler(sweepImports) { lease in
        try await lease.complete(as: .system("sweep staging"), deadline: .after(.seconds(60))) { tx in
          _ = try await tx.run("SELECT crm.sweep_staging(make_interval(days => \(Importer.daysKept)::integer))")
        }
      },
    ]
  }

  private static func prepare(_ lease: JobLease, _ resources: [Resource]) async throws -> (Importer, UUID, Caller) {
    guard let id = lease.job.payload["import"]?.string.flatMap(UUID.init(uuidString:)) else { throw HopelessJob("the payload names no import") }
    let model = try Model(resources: resources, catalogue: try await Catalogue.read(from: lease.database.pool))
    let importer = Importer(database: lease.database, model: model)
    let user: UUID?
    do {
      user = try await importer.find(id, as: .system("find an import")).userID
    } catch let problem as Problem {
      throw HopelessJob(problem.title.english)
    }
    return (importer, id, try await Caller.importing(id, as: user, in: lease.database))
  }

  /// What is wrong with a file or with the caller's rights does not get better by trying again.
  private static func hopelessIfRefused(_ body: () async throws -> Void) async throws {
    do {
      try await body()
    } catch let problem as Problem {
      throw HopelessJob(problem.title.english)
    }
  }
}

extension Importer {
  /// Asks the workers to run a staged import.
  func enqueueRun(_ id: UUID, dryRun: Bool, _ tx: PostgresTransaction) async throws {
    let status = try await tx.result(Self.state(id))
    guard status.count == 1 else { throw Problem.notFound }
    let now = ImportJob.Status(rawValue: try status[0].decode(String.self, at: 0)) ?? .failed
    let isStuck = try status[0].decode(Bool.self, at: 1)
    guard try status[0].decode(Bool.self, at: 2) else { throw Self.noFile }
    guard [.staged, .checked, .failed].contains(now) || isStuck && now != .undoing else { throw Self.notNow(now) }
    let job = try await JobQueue.enqueue(JobHandler.runImport, payload: ["import": .string(id.lowercase), "dry_run": .bool(dryRun)], in: tx)
    try await tx.run(
      """
      UPDATE crm.import SET status = \(dryRun ? "checking" : "merging"), step = 'queued', job_id = \(job), problem = NULL, updated_at = now() WHERE id = \(id)
      """)
  }

  /// Asks the workers to take an import back.
  func enqueueUndo(_ id: UUID, _ tx: PostgresTransaction) async throws {
    let status = try await tx.result(Self.state(id))
    guard status.count == 1 else { throw Problem.notFound }
    let now = ImportJob.Status(rawValue: try status[0].decode(String.self, at: 0)) ?? .failed
    let isStuck = try status[0].decode(Bool.self, at: 1)
    guard now == .done || isStuck && now == .undoing else { throw Self.notNow(now) }
    let job = try await JobQueue.enqueue(JobHandler.undoImport, payload: ["import": .string(id.lowercase)], in: tx)
    try await tx.run("UPDATE crm.import SET status = 'undoing', step = 'queued', job_id = \(job), updated_at = now() WHERE id = \(id)")
  }

  private static func state(_ id: UUID) -> SQL {
    "SELECT status, crm.import_is_stuck(id), file_columns IS NOT NULL FROM crm.import WHERE id = \(id) FOR UPDATE"
  }
}
