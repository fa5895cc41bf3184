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
    var refusal = Problem.invalid(input.errors)
    if let error {
      guard let problem = WriteProblem(catalogue: model.catalogue).problem(for: error, pointer: pointer), let state = error.sqlState else { throw error }
      // Policies are asked before rules: a value that breaks a rule may look like one that the caller's role does not allow.
      guard ["23514", "23503", "CR001", "42501"].contains(state) else { return problem }
      refusal = problem
    }
    var errors = refusal.errors
    for name in try await run(failedChecks()).rows.map({ try $0.decode(String.self, at: 0) }) {
      guard let constraint = model.catalogue.constraints[name] else { continue }
      let phrase = constraint.phrase ?? Phrase("This value breaks a rule.", tr: "Bu değer bir kurala aykırı.")
      errors += constraint.columns.map { .init("\(pointer)/\($0)", code: name, phrase) }
    }
    for (search, missing) in references(model) where try await run(search).count == 0 { errors.append(missing) }
    if errors.isEmpty { return refusal }
    var seen: Set<Problem.FieldError> = []
    return .invalid(errors.filter { seen.insert($0).inserted })
  }

  /// How to look for each record that the input refers to, and what to say if it is not there.
  private func references(_ model: Model) -> [(search: SQL, missing: Problem.FieldError)] {
    input.values.compactMap { value in
      guard let text = value.text else { return nil }
      let here = "\(pointer)/\(value.column.name)"
      if let one = entity.one.values.first(where: { $0.column.name == value.column.name }), let target = model[one.target] {
        return ("SELECT 1 FROM \(target.table.sql) t WHERE t.id = \(text)", WriteProblem.missingReference(here))
      }
      guard let key = entity.table.foreignKeys.first(where: { $0.columns == [value.column.name] }), let target = model.catalogue.tables[key.target],
        let column = key.targetColumns.first.flatMap(target.column)
      else { return nil }
      return (
        "SELECT 1 FROM \(target.sql) t WHERE t.\(column.identifier) = \(text)",
        WriteProblem.wrongReference(here, model.catalogue.constraints[key.name])
      )
    }
  }

  private func failedChecks() throws -> SQL {
    let changes = JSON.object(Dictionary(input.values.map { ($0.column.name, $0.json) }, uniquingKeysWith: { $1 }))
    let text = String(decoding: try changes.encoded(), as: UTF8.self)
    return "SELECT crm.failed_checks(\(entity.table.name)::regclass, \(changedID)::uuid, \(text)::jsonb)"
  }
}
