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
  static let registry = Concept(reads: [.registryDifferences])
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
