package import Foundation
import PostgresClient

extension Importer {
  /// The longest a merge may take.
  static let patience = Duration.seconds(6 * 3_600)
  /// How long a file that was sent is kept for an import that does not move on.
  static let daysKept = 14
  /// Memory for sets of rows, and no compiling of statements that run once.
  static let room: SQL = "SELECT set_config('work_mem', '320MB', true), set_config('jit', 'off', true), set_config('client_min_messages', 'warning', true)"

  /// Checks a staged file and, unless it is a dry run, merges it in one transaction: after a kill nothing of it is there, and it can be run again.
  /// - Parameter lease: the job that runs it; completed in the same transaction.
  package func run(
    _ id: UUID, dryRun: Bool, as caller: Caller, lease: JobLease? = nil, progress: @escaping @Sendable (Progress) async -> Void = { _ in }
  ) async throws {
    let job = try await findOwn(id, as: caller)
    guard [.staged, .checking, .checked, .merging, .failed].contains(job.status) else { throw Self.notNow(job.status) }
    let importing = caller.importing(id)
    let step: @Sendable (String) async throws -> Void = { name in
      await progress(Progress(step: name, rows: job.rowsRead))
      try await database.transaction(as: caller) { tx in
        try await tx.run(
          "UPDATE crm.import SET status = \(dryRun ? "checking" : "merging"), step = \(name), problem = NULL, updated_at = now() WHERE id = \(id)"
        )
      }
    }
    do {
      try await step("beginning")
      let body: @Sendable (PostgresTransaction) async throws -> Void = { tx in
        try await tx.run(Self.room)
        // One import of a resource at a time: what this one finds missing, no other may be making. The other may take long, so that this waits as long.
        let patience = try await tx.value(String.self, "SELECT current_setting('lock_timeout')")
        _ = try await tx.results([
          "SELECT set_config('lock_timeout', '0', true)", "SELECT pg_advisory_xact_lock(hashtextextended('import/' || \(job.resource), 0))",
          "SELECT set_config('lock_timeout', \(patience), true)",
        ])
        let checked = try await check(job, as: importing, step)
        if !dryRun { try await ImportMerge(checked: checked, database: database, caller: importing, tx: tx).run(step: step) }
        try await tx.run(checked.outcome.save(checked.summary, dryRun: dryRun))
        if !dryRun { try await tx.run("SELECT crm.drop_staging(\(id))") }
      }
      if let lease {
        try await lease.complete(as: importing, deadline: .after(Self.patience), body)
      } else {
        try await database.transaction(as: importing, lane: .jobs, deadline: .after(Self.patience), body)
      }
    } catch let lost as JobLease.Lost {
      throw lost
    } catch {
      try await fail(id, error, as: caller)
      throw error
    }
  }

  /// Checks in a transaction of its own, which writes nothing but staging and the error file: what it has worked out can then be read beside the merge.
  private func check(_ job: ImportJob, as caller: Caller, _ step: @escaping @Sendable (String) async throws -> Void) async throws -> ImportCheck.Result {
    let mapping = try ImportMapping(job.mapping)
    return try await database.transaction(as: caller, lane: .reports, deadline: .after(Self.patience)) { tx in
      try await tx.run(Self.room)
      let (names, mayRepeat) = try await staged(job, tx)
      let tables = try await tx.one(ImportTables.self, ImportTables.names(of: job.id))
      let identifiers = try await tx.result(ImportTables.columns(of: job.id)).rows.map { try $0.decode(Identifier.self, at: 0) }
      guard let names, identifiers.count == names.count, try await tx.value(Int.self, "SELECT count(*) FROM \(tables.file)") == job.rowsStaged
      else { throw Self.noFile }
      let plan = try await plan(job.id, job.resource, mapping, fileColumns: names, identifiers: identifiers, as: caller)
      let expression = SourceExpression(
        columns: Dictionary(zip(names, identifiers), uniquingKeysWith: { first, _ in first }), timeZone: mapping.timeZone,
        decimalComma: mapping.decimalComma)
      var check = ImportCheck(plan: plan, tables: tables, expression: expression, tx: tx, mayRepeat: mayRepeat)
      return try await check.run(step: step)
    }
  }

  /// The names of the file's columns, nil when there is no file; and whether two of its rows may be the same.
  private func staged(_ job: ImportJob, _ tx: PostgresTransaction) async throws -> ([String]?, Bool) {
    let row = try await tx.result("SELECT file_columns, may_repeat FROM crm.import WHERE id = \(job.id)")[0]
    return (try row.decode([String]?.self, at: 0), try row.decode(Bool.self, at: 1))
  }

  /// Takes back what an import wrote; what a person has changed since stays and is counted.
  package func undo(_ id: UUID, as caller: Caller, lease: JobLease? = nil) async throws {
    let job = try await findOwn(id, as: caller)
    guard [.done, .undoing].contains(job.status) else { throw Self.notNow(job.status) }
    let body: @Sendable (PostgresTransaction) async throws -> Void = { tx in
      try await tx.run(Self.room)
      let counts = try await tx.value(JSONText?.self, "SELECT crm.undo_import(\(id))")
      try await tx.run(
        """
        UPDATE crm.import SET status = 'undone', step = NULL, summary = coalesce(summary, '{}') || jsonb_build_object('undo', \(counts)::jsonb),
          finished_at = now(), updated_at = now() WHERE id = \(id)
        """)
    }
    if let lease {
      try await lease.complete(as: caller.importing(id), deadline: .after(Self.patience), body)
    } else {
      try await database.transaction(as: caller.importing(id), lane: .jobs, deadline: .after(Self.patience), body)
    }
  }

  /// The whole way of a file: made, taken in, checked and merged.
  /// - Returns: the import as it ended.
  package func importFile(
    _ source: some AsyncSequence<[UInt8], any Error>, resource: String, mapping: JSON, fileName: String?, dryRun: Bool, as caller: Caller,
    progress: @escaping @Sendable (Progress) async -> Void = { _ in }
  ) async throws -> ImportJob {
    let id = try await create(resource: resource, mapping: mapping, fileName: fileName, as: caller)
    try await upload(id, source, as: caller, progress: progress)
    try await run(id, dryRun: dryRun, as: caller, progress: progress)
    return try await find(id, as: caller)
  }
}
