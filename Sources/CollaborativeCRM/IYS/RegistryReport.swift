import CRMCore
import Foundation
import PostgresClient

private struct ReportQuestion: OperationInput {
  let brandID: UUID
  let instant: Date?

  init(_ fields: inout InputReader) {
    brandID = fields.id("brand_id", "The brand.")
    instant = fields.optionalInstant("at", "The instant at which it is asked; now when not given.")
  }
}

extension Concept {
  /// The registry of consents (İYS).
  static let registry = Concept(
    resources: [.registryReconciliations], operations: [.reconcileRegistry], reads: [.registryDifferences, .registryState],
    schedules: [.registryExchange, .registryReconciliation])
}

extension ReadOperation {
  /// Where what was said here and what the registry holds differ.
  static let registryDifferences = ReadOperation(
    "get_registry_differences", "/v1/registry/differences", tag: "consent_events", access: .read(.marketing),
    "Where consents here and in the registry (İYS) differ, and what is late",
    description:
      "overdue and on_its_way have not been passed on yet, rejected was not taken, only_here and only_there are known to one side, different to both. "
      + "The most urgent come first, at most 1,000. Needs the right to read customers too.",
    input: ReportQuestion.self,
    row: [
      "kind": AnswerField.text, "channel": AnswerField.text, "recipient_type": AnswerField.text, "address": AnswerField.optional(AnswerField.text),
      "here": AnswerField.optional(AnswerField.text), "there": AnswerField.optional(AnswerField.text), "since": AnswerField.optional(AnswerField.instant),
      "due_at": AnswerField.optional(AnswerField.instant),
    ], reading: [.marketing, .customers], lane: .reports
  ) { _, input in
    """
    SELECT d.kind, d.channel, d.recipient_type, d.address, d.here, d.there, d.since, d.due_at
      FROM crm.registry_differences(\(input.brandID), coalesce(\(input.instant)::timestamptz, now())) d
     ORDER BY d.kind <> 'overdue', d.due_at NULLS LAST, d.since LIMIT 1000
    """
  }
}

extension ReadOperation {
  /// How the exchange with the registry goes.
  static let registryState = ReadOperation(
    "get_registry_state", "/v1/registry/state", tag: "consent_events", access: .read(.marketing),
    "How the exchange with the registry (İYS) stands, brand by brand",
    description: "When the registry was last heard, what is wrong with the connection, how much waits, how much of it is late, and what has to be there next.",
    input: NoInput.self,
    row: [
      "brand_id": AnswerField.id, "code": AnswerField.text, "name": AnswerField.text, "pulled_at": AnswerField.optional(AnswerField.instant),
      "problem": AnswerField.optional(AnswerField.text), "problem_at": AnswerField.optional(AnswerField.instant), "waiting": AnswerField.count,
      "overdue": AnswerField.count, "rejected": AnswerField.count, "next_due_at": AnswerField.optional(AnswerField.instant),
      "open_batches": AnswerField.count,
    ], reading: [.marketing]
  ) { _, _ in
    """
    SELECT s.brand_id, s.code, s.name, s.pulled_at, s.problem, s.problem_at, s.waiting, s.overdue, s.rejected, s.next_due_at, s.open_batches
      FROM crm.registry_state(now()) s
    """
  }
}
