package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// How long things are kept, and destroying them when their time is over.
  static let retention = Concept(
    resources: [.retentionRules, .retentionRuns], operations: [.tryRetention], jobs: [.retention], schedules: [.retention])
}

extension Resource {
  /// How long rows of a table are kept. Which tables have a rule, the schema says; how long, and whether, the company does.
  package static let retentionRules = Resource(
    "retention_rules", singular: "retention_rule", table: "crm.retention_rule", area: .admin, change: ["keep_days", "is_active"], order: "code")

  /// The log of destruction.
  package static let retentionRuns = Resource(
    "retention_runs", singular: "retention_run", table: "crm.retention_run", area: .admin, expand: ["rule"], order: "-ran_at")
}

private struct NoInput: OperationInput { init(_ fields: inout InputReader) {} }

extension BusinessOperation {
  static let tryRetention = BusinessOperation(
    "try_retention", .post, "/v1/retention_rules/{id}/try", of: "retention_rules", access: .write(.admin), "What a rule would destroy now (a dry run)",
    description: "Counted and written to the log as a dry run, also for a rule that is not active.", input: NoInput.self,
    answer: .json(["type": "object", "required": ["rows"], "properties": ["rows": AnswerField.count]])
  ) { run, _ in
    let rows = try await run.tx.value(Int.self, "SELECT crm.try_retention(\(run.id()))")
    return .json(["rows": .number(Decimal(rows))])
  }
}

extension JobHandler {
  /// Destroys what the active rules no longer keep, in short transactions: one that was stopped goes on where it was. The payload may name an instant that has passed (`at`).
  static let retention = JobHandler("privacy.retention") { lease in
    let at = lease.job.payload["at"]?.string
    let rules = try await lease.transaction(as: .system("retention"), deadline: .after(.seconds(30))) { tx in
      try await tx.result("SELECT r.id FROM crm.retention_rule r WHERE r.is_active ORDER BY r.code").rows.map { try $0.decode(UUID.self, at: 0) }
    }
    for rule in rules {
      var touched = 1
      while touched > 0 {
        touched = try await lease.transaction(as: .system("retention"), deadline: .after(.seconds(300))) { tx in
          try await tx.value(Int.self, "SELECT crm.apply_retention(\(rule), coalesce(\(at)::timestamptz, now()), false)")
        }
      }
    }
  }
}

extension Schedule {
  static let retention = Schedule("retention", kind: "privacy.retention", .every(.seconds(86_400)))
}
