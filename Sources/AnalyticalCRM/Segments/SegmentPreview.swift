import CRMCore
import Foundation
import PostgresClient

struct SegmentDraft: OperationInput {
  let definition: JSON
  let currency: String?
  let asOf: Date?

  init(_ fields: inout InputReader) {
    let given = fields.optionalObject("definition", SegmentDefinition.meaning)
    definition = given ?? [:]
    currency = fields.optionalText("currency", "Currency of the amounts in the definition; without it, the only one among the latest purchases.", maximum: 3)
    asOf = fields.optionalInstant("as_of", "Count windows and facts up to this instant; without it, now. Fields are as they are now.")
    if given == nil { fields.refuse("definition", code: "required", Phrase("definition is required.", tr: "definition zorunludur.")) }
  }
}

extension BusinessOperation {
  static let previewSegment = BusinessOperation(
    "preview_segment", .post, "/v1/segments/preview", of: "segments", access: .read(.analytics), "Count who a definition would find, saving nothing",
    description: "Everybody is counted, also those you may not see. A definition that would take too long is refused with its estimated cost.",
    input: SegmentDraft.self,
    answer: .json([
      "type": "object", "required": ["as_of", "method", "customers", "population", "share", "cost", "currency"],
      "properties": [
        "as_of": AnswerField.instant, "method": AnswerField.text, "customers": AnswerField.count, "population": AnswerField.count,
        "share": AnswerField.optional(AnswerField.number), "cost": AnswerField.number, "currency": AnswerField.optional(AnswerField.text),
      ],
    ]), extending: SegmentDefinition.reach
  ) { run, input in
    let definition = try await SegmentDefinition.check(
      input.definition, currency: input.currency, author: run.asker, run.compiler, asOf: input.asOf, in: run.tx)
    let results = try await run.tx.results([
      "SELECT set_config('work_mem', '128MB', true)",
      definition.compiled.count,
      "SELECT count(*) AS everybody, to_char(coalesce(\(input.asOf), now()) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS as_of FROM crm.customer",
    ])
    let (found, everybody) = (try results[1][0].decode(Int.self, at: 0), try results[2][0].decode(Int.self, "everybody"))
    return .json([
      "as_of": .string(try results[2][0].decode("as_of")), "method": "rule segment", "customers": .number(Decimal(found)),
      "population": .number(Decimal(everybody)),
      "share": everybody == 0 ? .null : .number(Decimal(Double(found) / Double(everybody))), "cost": .number(Decimal(definition.cost)),
      "currency": definition.currency.map(JSON.string) ?? .null,
    ])
  }
}
