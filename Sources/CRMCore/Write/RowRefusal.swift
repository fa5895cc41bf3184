import Foundation
import PostgresClient

/// A row that cannot be written: its values do not fit, or PostgreSQL refused it. PostgreSQL names the first rule that is broken;
/// a person wants to know all of them.
struct RowRefusal: Error {
  /// What PostgreSQL said; nil when it was not even asked, because `input` has errors.
  let error: PostgresError?
  let input: RowInput
  let entity: Model.Entity
  /// The row that was to be changed; nil for a new one.
  let changedID: UUID?
  /// Where the row stands in the body.
  let pointer: String

  /// The problem with every broken rule and every missing reference. `run` reads on the caller's behalf, outside of the failed write.
  func problem(_ model: Model, run: (SQL) async throws -> PostgresResult) async throws -> Problem {
    var problem = Problem.invalid(input.errors)
    if let error {
      guard let refusal = WriteProblem(catalogue: model.catalogue).problem(for: error, pointer: pointer) else { throw error }
      guard error.sqlState == "23514" || error.sqlState == "CR001" else { return refusal }
      problem = refusal
    }
    for name in try await run(failedChecks()).rows.map({ try $0.decode(String.self, at: 0) }) {
      guard let constraint = model.catalogue.constraints[name] else { continue }
      let phrase = constraint.phrase ?? Phrase("This value breaks a rule.", tr: "Bu değer bir kurala aykırı.")
      problem.errors += constraint.columns.map { .init("\(pointer)/\($0)", code: name, phrase) }
    }
    for value in input.values {
      guard let text = value.text, let one = entity.one.values.first(where: { $0.column.name == value.column.name }),
        let target = model[one.target], try await run("SELECT 1 FROM \(target.table.sql) t WHERE t.id = \(text)").count == 0
      else { continue }
      problem.errors.append(WriteProblem.missingReference("\(pointer)/\(value.column.name)"))
    }
    var seen: Set<Problem.FieldError> = []
    problem.errors = problem.errors.filter { seen.insert($0).inserted }
    return problem
  }

  private func failedChecks() throws -> SQL {
    let changes = JSON.object(Dictionary(input.values.map { ($0.column.name, $0.json) }, uniquingKeysWith: { $1 }))
    let text = String(decoding: try changes.encoded(), as: UTF8.self)
    return "SELECT crm.failed_checks(\(entity.table.name)::regclass, \(changedID)::uuid, \(text)::jsonb)"
  }
}
