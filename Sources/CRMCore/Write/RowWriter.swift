import Foundation
import PostgresClient

/// Creates, changes and deletes rows of one resource, as REST, batches and upserts ask for it. The caller says how a statement is run:
/// within a transaction, or as one of its own.
struct RowWriter: Sendable {
  let model: Model
  let entity: Model.Entity
  let customFields: [CustomField]
  /// Told which record an answer shows, and which of its fields the writer gave: whoever changes a note is shown the whole record.
  let noteShown: @Sendable (_ result: PostgresResult, _ record: UUID, _ given: Set<String>) throws(Problem) -> Void

  struct Written: Sendable {
    let id: UUID
    let status: Int
    /// The row as the API shows it; empty after a deletion.
    let json: [UInt8]
    let headers: [(name: String, value: String)]
  }

  static let versionMismatch = Problem(
    412, "version-mismatch",
    Phrase("The record was changed since you read it. Read it again.", tr: "Kayıt, siz okuduktan sonra değişmiş. Yeniden okuyun."))

  typealias Run = @Sendable (SQL) async throws -> PostgresResult

  var compiler: WriteCompiler { WriteCompiler(model: model, entity: entity) }

  func create(_ json: JSON, caller: Caller, pointer: String = "", run: Run) async throws -> Written {
    let input = try RowInput(json, for: entity, purpose: .create, customFields: customFields, pointer: pointer)
    try refuse(input, id: nil, pointer)
    let id = UUID.v7()
    let result = try await refusing(input, id: nil, pointer) { try await run(compiler.insert(input, id: id, caller: caller)) }
    let (bytes, headers) = compiler.answer(result, status: 201)
    return Written(id: id, status: 201, json: bytes, headers: headers + [("location", "/v1/\(entity.name)/\(id.lowercase)")])
  }

  func change(_ json: JSON, id: UUID, version: Int?, pointer: String = "", run: Run) async throws -> Written {
    let input = try RowInput(json, for: entity, purpose: .change, customFields: customFields, pointer: pointer)
    try refuse(input, id: id, pointer)
    let given = json["custom"]?.object ?? [:]
    let stored = customFields.filter { $0.isRequired && given[$0.name] == nil }.map(\.name)
    let result = try await refusing(input, id: id, pointer) { try await run(compiler.update(input, id: id, version: version, stored: stored)) }
    guard result.count == 1 else { throw try await nothingFound(id: id, version: version, stored: stored, pointer: pointer, run) }
    try noteShown(result, id, Set(input.values.map(\.column.name)))
    let (bytes, headers) = compiler.answer(result, status: 200)
    return Written(id: id, status: 200, json: bytes, headers: headers)
  }

  func delete(id: UUID, version: Int?, run: Run) async throws -> Written {
    do {
      guard try await run(compiler.delete(id: id, version: version)).count == 1 else { throw try await nothingFound(id: id, version: version, run) }
    } catch let error as PostgresError where error.sqlState == "23503" {
      throw WriteProblem.inUse
    }
    return Written(id: id, status: 204, json: [], headers: [])
  }

  /// What is wrong with the fields, as far as that can be seen without the database.
  func mistakes(in json: JSON, purpose: RowInput.Purpose, pointer: String) -> [Problem.FieldError] {
    do {
      return try RowInput(json, for: entity, purpose: purpose, customFields: customFields, pointer: pointer).errors
    } catch {
      return error.errors
    }
  }

  private func refuse(_ input: RowInput, id: UUID?, _ pointer: String) throws(RowRefusal) {
    if !input.errors.isEmpty { throw RowRefusal(error: nil, input: input, entity: entity, changedID: id, pointer: pointer) }
  }

  /// Why a change found no row: it is gone or hidden (404), it has another version (412), it lacks a required custom field (422), or it
  /// may only be read (403).
  private func nothingFound(id: UUID, version: Int?, stored: [String] = [], pointer: String = "", _ run: Run) async throws -> Problem {
    let found = try await run(compiler.currentVersion(id: id, stored: stored))
    guard found.count == 1 else {
      return entity.resource.mergeable ? try entity.merged(409, try await run(entity.survivor(of: id))) : .notFound
    }
    if let version, try found[0].decode(Int.self, at: 0) != version { return Self.versionMismatch }
    let missing = Set(try found[0].decode([String].self, at: 1))
    let errors = customFields.filter { missing.contains($0.name) }.map { CustomFieldCheck.required($0, "\(pointer)/custom/\($0.name)") }
    if !errors.isEmpty { return .invalid(errors) }
    return .forbidden(Phrase("You may see this record but not change it.", tr: "Bu kaydı görebilirsiniz ama değiştiremezsiniz."))
  }

  /// Runs a write; what PostgreSQL refuses is thrown with all that is needed to explain it once the transaction is over.
  private func refusing(_ input: RowInput, id: UUID?, _ pointer: String, _ body: () async throws -> PostgresResult) async throws
    -> PostgresResult
  {
    do {
      return try await body()
    } catch let error as PostgresError where WriteProblem.isRefusal(error) {
      throw RowRefusal(error: error, input: input, entity: entity, changedID: id, pointer: pointer)
    }
  }
}
