import CRMCore
import Foundation
import PostgresClient

/// `GET /v1/segments/{id}/why?customer_id=…`: every condition of a segment with a customer's actual value, and whether it holds.
struct SegmentWhy: Sendable {
  let database: Database
  let model: Model

  struct Question: OperationInput {
    let customerID: UUID
    init(_ fields: inout InputReader) { customerID = fields.id("customer_id", "The customer.") }
  }

  var endpoint: Endpoint {
    Endpoint(
      .get, "/v1/segments/{id}/why", access: .read(.customers),
      documentation: .init(
        "explain_segment_membership", tag: "segments", "Explain why a customer is in a segment, or is not",
        description:
          "Each condition as of now, counted from everything, for a customer you may see; a rule that reads areas closed to you is not explained to you.",
        parameters: [.id, .init("customer_id", in: .query, required: true, "The customer.", schema: AnswerField.id)],
        answers: [(200, "The conditions.", "application/json", Self.schema)], refusals: [404, 409]),
      handler: .operation { request in
        let question = try InputReader.read(Question.self, from: request.query)
        let id = try request.segmentID()
        let fields = CustomFieldCache()
        try await fields.reload(from: database)
        let compiler = QueryCompiler(model: model, customFields: fields.current)
        // Who may see the customer sees what is said of it; the figures are those the segment is kept by.
        let visible = try await database.read(as: request.caller, "SELECT 1 FROM crm.customer WHERE id = \(question.customerID)")
        guard visible.count == 1 else { throw Problem.notFound }
        let reader = request.caller.extended(to: SegmentDefinition.reach.union([.analytics]))
        let body = try await database.transaction(as: reader, request: request.id, deadline: request.deadline) { tx in
          try await explain(id, question.customerID, compiler, request.caller, tx)
        }
        return .json(try body.encoded())
      })
  }

  private static let schema: JSON = [
    "type": "object", "required": ["as_of", "method", "member", "entered_at", "reason", "fits", "conditions"],
    "properties": [
      "as_of": AnswerField.instant, "method": AnswerField.text, "member": AnswerField.flag, "entered_at": AnswerField.optional(AnswerField.instant),
      "reason": AnswerField.optional(AnswerField.text), "fits": ["type": ["boolean", "null"]],
      "conditions": [
        "type": "array",
        "items": [
          "type": "object", "required": ["pointer", "name", "op", "wanted", "window_days", "value", "holds"],
          "properties": [
            "pointer": AnswerField.text, "name": AnswerField.text, "op": AnswerField.text, "wanted": ["type": ["string", "array"], "items": AnswerField.text],
            "window_days": AnswerField.optional(AnswerField.integer), "value": AnswerField.optional(AnswerField.text), "holds": ["type": "boolean"],
          ],
        ],
      ],
    ],
  ]

  private func explain(_ id: UUID, _ customer: UUID, _ compiler: QueryCompiler, _ asker: Caller, _ tx: PostgresTransaction) async throws -> JSON {
    let state = try await tx.result(
      """
      SELECT s.definition, s.currency, m.entered_at IS NOT NULL AS member, m.reason,
             to_char(m.entered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS entered_at, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS as_of
        FROM crm.segment s JOIN crm.customer c ON c.id = \(customer)
        LEFT JOIN crm.segment_member m ON m.segment_id = s.id AND m.customer_id = c.id AND m.left_at IS NULL WHERE s.id = \(id)
      """)
    guard state.count == 1 else { throw Problem.notFound }
    let row = state[0]
    var answer: [String: JSON] = [
      "as_of": .string(try row.decode("as_of")), "method": "rule segment", "member": .bool(try row.decode("member")),
      "entered_at": try row.decode(String?.self, "entered_at").map(JSON.string) ?? .null,
      "reason": try row.decode(String?.self, "reason").map(JSON.string) ?? .null,
      "fits": .null, "conditions": [],
    ]
    guard let text = try row.decode(JSONText?.self, "definition")?.text else { return .object(answer) }
    let rule = try SegmentRule(json: try JSONDecoder().decode(JSON.self, from: Data(text.utf8)), pointer: "/definition")
    let compiled: SegmentCompiler.Compiled
    do {
      compiled = try SegmentCompiler.compile(rule, compiler, currency: try row.decode(String?.self, "currency"), customers: [customer])
    } catch let problem as Problem {
      // What once could be compiled no longer can: a field is gone.
      throw Problem(
        409, "segment-definition-outdated", Phrase("The segment's definition no longer fits the data.", tr: "Segmentin tanımı artık verilere uymuyor."),
        detail: problem.detail, errors: problem.errors)
    }
    try SegmentDefinition.mayRead(compiled.areas, asker)
    let columns = compiled.leaves.map { leaf -> SQL in "coalesce(\(leaf.holds), false), \(leaf.value)" }
    let values: SQL = columns.isEmpty ? "" : ", " + columns.joined(separator: ", ")
    let result = try await tx.result("SELECT (\(compiled.condition)) IS TRUE\(values) FROM \(compiled.from) WHERE t.id = \(customer)")
    guard result.count == 1 else { throw Problem.notFound }
    answer["fits"] = .bool(try result[0].decode(Bool.self, at: 0))
    answer["conditions"] = .array(
      try compiled.leaves.enumerated().map { number, leaf in
        let wanted: JSON =
          switch leaf.operand {
          case .value(let value): .string(value)
          case .list(let values): .array(values.map(JSON.string))
          }
        return [
          "pointer": .string(leaf.pointer), "name": .string(leaf.name), "op": .string(leaf.comparison.rawValue), "wanted": wanted,
          "window_days": leaf.windowDays.map { .number(Decimal($0)) } ?? .null,
          "value": try result[0].decode(String?.self, at: 2 * number + 2).map(JSON.string) ?? .null,
          "holds": .bool(try result[0].decode(Bool.self, at: 2 * number + 1)),
        ]
      })
    return .object(answer)
  }
}
