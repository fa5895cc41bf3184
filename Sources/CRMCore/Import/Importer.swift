package import Foundation
import PostgresClient

/// Imports files: takes one in, checks it, merges it, takes it back. The endpoints and the command line use the same one.
/// Merging and undoing need a pool of the role crm_worker.
package struct Importer: Sendable {
  /// How far an import is.
  package struct Progress: Sendable {
    /// What is being done, in a word or two.
    package let step: String
    /// Rows of the file read so far.
    package let rows: Int
  }

  let database: Database
  let model: Model

  package init(database: Database, model: Model) {
    self.database = database
    self.model = model
  }

  /// Makes an import. The mapping is held against the resource at once; against the file when it comes.
  package func create(resource: String, mapping: JSON, fileName: String?, as caller: Caller) async throws -> UUID {
    let id = UUID.v7()
    try await validate(id, resource: resource, mapping: mapping, as: caller)
    try await database.transaction(as: caller) { tx in try await insert(id, resource: resource, mapping: mapping, fileName: fileName, as: caller, tx) }
    return id
  }

  func validate(_ id: UUID, resource: String, mapping: JSON, as caller: Caller) async throws {
    _ = try await plan(id, resource, try ImportMapping(mapping), fileColumns: nil, identifiers: [], as: caller)
  }

  func insert(_ id: UUID, resource: String, mapping: JSON, fileName: String?, as caller: Caller, _ tx: PostgresTransaction) async throws {
    let text = JSONText(String(decoding: try mapping.encoded(), as: UTF8.self))
    try await tx.run(
      "INSERT INTO crm.import (id, resource, file_name, mapping, department_id) VALUES (\(id), \(resource), \(fileName), \(text)::jsonb, \(caller.departmentID))"
    )
  }

  /// Streams the file of an import into staging, in place of any that came before.
  /// - Parameter source: CSV or NDJSON, plain or gzip.
  package func upload(
    _ id: UUID, _ source: some AsyncSequence<[UInt8], any Error>, as caller: Caller,
    progress: @escaping @Sendable (Progress) async -> Void = { _ in }
  ) async throws {
    let job = try await findOwn(id, as: caller)
    guard ![.checking, .merging, .done, .undoing, .undone].contains(job.status) else { throw Self.notNow(job.status) }
    let mapping = try ImportMapping(job.mapping)
    let staging = ImportStaging(
      database: database, id: id, caller: caller, mapping: mapping,
      check: { names in _ = try await plan(id, job.resource, mapping, fileColumns: names, identifiers: [], as: caller) },
      progress: { rows in await progress(Progress(step: "reading", rows: rows)) })
    let mayRepeat: Bool
    do {
      mayRepeat = try await staging.run(source)
    } catch {
      try await fail(id, error, as: caller, losesFile: true)
      throw error
    }
    try await database.transaction(as: caller) { tx in
      try await tx.run("UPDATE crm.import SET status = 'staged', may_repeat = \(mayRepeat), updated_at = now() WHERE id = \(id)")
    }
  }

  package func find(_ id: UUID, as caller: Caller) async throws -> ImportJob {
    let result = try await database.read(as: caller, ImportJob.find(id))
    guard result.count == 1 else { throw Problem.notFound }
    return try ImportJob(row: result[0])
  }

  /// An import that the caller may send, run and take back: its maker alone, because it is done with the maker's rights. Others may at most see it.
  func findOwn(_ id: UUID, as caller: Caller) async throws -> ImportJob {
    let job = try await find(id, as: caller)
    guard caller.isSystem || job.userID == caller.userID else {
      throw Problem.forbidden(
        Phrase(
          "Only who made an import may send, run or undo it.", tr: "Bir içe aktarmayı yalnızca oluşturan gönderebilir, çalıştırabilir ya da geri alabilir."))
    }
    return job
  }

  /// Holds the mapping against the tables and, when it is known, the file; and the caller's rights against what will be written.
  func plan(_ id: UUID, _ resource: String, _ mapping: ImportMapping, fileColumns: [String]?, identifiers: [Identifier], as caller: Caller)
    async throws
    -> ImportPlan
  {
    var department = caller.departmentID
    if let code = mapping.department {
      let found = try await database.read(as: caller, "SELECT id FROM crm.department WHERE code = \(code)")
      guard found.count == 1 else {
        throw Problem.invalid([
          .init(
            "/mapping/department", code: "not-found",
            Phrase("There is no department with this code.", tr: "Bu koda sahip bir departman yok."))
        ])
      }
      department = try found[0].decode(UUID.self, at: 0)
    }
    let customFields = CustomFieldCache()
    try await customFields.reload(from: database)
    var planner = ImportPlanner(model: model, mapping: mapping, customFields: customFields.current, fileColumns: fileColumns, identifiers: identifiers)
    let plan = try planner.plan(id, resource: resource, department: department, identifiers: identifiers)
    for area in plan.areas where !caller.writes(area) {
      throw Problem.forbidden(
        Phrase(
          "This import writes in the area \(area.rawValue); your role does not allow that.",
          tr: "Bu içe aktarma \(area.rawValue) alanına yazar; rolünüz buna izin vermiyor."))
    }
    let owning = [plan.record.entity] + plan.references.filter { $0.source.absence == .create }.map(\.target)
    for entity in owning where entity.table.column("visibility") != nil {
      guard let department else {
        throw Problem.invalid([
          .init(
            "/mapping/department", code: "required",
            Phrase("Say which department the records go to.", tr: "Kayıtların hangi departmana gideceğini belirtin."))
        ])
      }
      if !caller.isSystem, caller.reach[entity.resource.area]?.writable.contains(department) != true {
        throw Problem.forbidden(
          Phrase("You may not write \(entity.name) for this department.", tr: "Bu departman için \(entity.name) yazma yetkiniz yok."))
      }
    }
    return plan
  }

  /// Writes down why an import failed.
  /// - Parameter losesFile: whether the file did not come whole, so that what is staged of it must not be taken for it.
  func fail(_ id: UUID, _ error: any Error, as caller: Caller, losesFile: Bool = false) async throws {
    var writer = JSONWriter(capacity: 512)
    let problem =
      (error as? Problem) ?? (error as? PostgresError).flatMap { WriteProblem(catalogue: model.catalogue).problem(for: $0) } ?? .unexpected
    problem.write(to: &writer, language: .english)
    let text = JSONText(String(decoding: writer.bytes, as: UTF8.self))
    let database = database
    // Also when the task was cancelled: the import must not look as if it were under way.
    try await Task {
      try await database.transaction(as: caller) { tx in
        _ = try await tx.run(
          """
          UPDATE crm.import SET status = 'failed', step = NULL, problem = \(text)::jsonb, finished_at = now(), updated_at = now(),
            file_columns = CASE WHEN \(losesFile) THEN NULL ELSE file_columns END
          WHERE id = \(id)
          """)
      }
    }.value
  }

  static let noFile = Problem(
    409, "no-file",
    Phrase(
      "The file is not here: it was not sent, did not come whole, waited for more than \(daysKept) days, or was lost in a crash of the database. Send it again.",
      tr: "Dosya burada değil: gönderilmedi, eksik geldi, \(daysKept) günden uzun bekledi ya da veritabanı çökünce kayboldu. Yeniden gönderin."))

  static func notNow(_ status: ImportJob.Status) -> Problem {
    Problem(
      409, "wrong-state",
      Phrase(
        "This cannot be done with an import that is \(status.rawValue).",
        tr: "Durumu \(status.rawValue) olan bir içe aktarmada bu yapılamaz."))
  }
}
