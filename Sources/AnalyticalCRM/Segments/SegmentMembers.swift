import CRMCore
import Foundation
import PostgresClient

struct MembersQuestion: OperationInput {
  let asOf: Date?
  let after: UUID?
  let limit: Int

  init(_ fields: inout InputReader) {
    asOf = fields.optionalInstant("as_of", "Who was in at this instant; without it, who is in now.")
    after = fields.optionalID("after", "next_after of the page before.")
    limit = fields.optionalInteger("limit", "Rows a page, 50 if not given.", in: 1...1_000) ?? 50
  }

  /// Whether a stay `m` lasts at the instant.
  var lasts: SQL { "m.entered_at <= coalesce(\(asOf), now()) AND (m.left_at IS NULL OR m.left_at > coalesce(\(asOf), now()))" }
}

extension ReadOperation {
  static let segmentMembers = ReadOperation(
    "list_segment_members", "/v1/segments/{id}/members", tag: "segments", access: .read(.analytics), "List who is, or was, in a segment",
    description: "total counts everybody; data names the customers you may see, in the order of their ids.", input: MembersQuestion.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "total", "data", "next_after"],
        "properties": [
          "as_of": AnswerField.instant, "total": AnswerField.count, "next_after": AnswerField.optional(AnswerField.id),
          "data": [
            "type": "array",
            "items": [
              "type": "object", "required": ["customer_id", "name", "entered_at", "reason"],
              "properties": [
                "customer_id": AnswerField.id, "name": AnswerField.text, "entered_at": AnswerField.instant,
                "left_at": AnswerField.optional(AnswerField.instant),
                "reason": AnswerField.text, "left_reason": AnswerField.optional(AnswerField.text),
              ],
            ],
          ],
        ],
      ]
    ), refusals: [404], reading: [.analytics, .customers],
    statements: { request, question in
      let id = try request.segmentID()
      return [
        """
        SELECT to_char(coalesce(\(question.asOf), now()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS as_of,
               (SELECT count(*) FROM crm.segment_member m WHERE m.segment_id = s.id AND \(question.lasts)) AS total FROM crm.segment s WHERE s.id = \(id)
        """,
        """
        SELECT m.customer_id, c.name, m.entered_at, m.left_at, m.reason, m.left_reason
          FROM crm.segment_member m JOIN crm.customer c ON c.id = m.customer_id
         WHERE m.segment_id = \(id) AND \(question.lasts) AND m.customer_id > coalesce(\(question.after)::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
         ORDER BY m.customer_id LIMIT \(question.limit)
        """,
      ]
    },
    respond: { request, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      let limit = try InputReader.read(MembersQuestion.self, from: request.query).limit
      var writer = JSONWriter(capacity: 256 + results[1].count * 160)
      writer.beginObject()
      writer.key("as_of")
      writer.string(try results[0][0].decode(String.self, "as_of"))
      writer.key("total")
      writer.integer(try results[0][0].decode(Int.self, "total"))
      writer.key("data")
      writer.writeRows(results[1])
      writer.key("next_after")
      if results[1].count == limit {
        writer.string(try results[1][limit - 1].decode(UUID.self, "customer_id").lowercase)
      } else {
        writer.null()
      }
      writer.endObject()
      return .json(writer.take())
    })

  static let segmentDependents = ReadOperation(
    "list_segment_dependents", "/v1/segments/{id}/dependents", tag: "segments", access: .read(.analytics), "List what uses a segment",
    description: "Price books by its code, and every record that refers to it.", input: NoInput.self,
    row: ["resource": AnswerField.text, "id": AnswerField.id, "name": AnswerField.optional(AnswerField.text)], reading: Set(Area.allCases),
    extending: [.products],
    mustExist: { request in "SELECT 1 FROM crm.segment WHERE id = \(try request.segmentID())" }
  ) { request, _ in
    "SELECT d.resource, d.id, d.name FROM crm.segment_dependents(\(try request.segmentID())) d ORDER BY 1, 3, 2"
  }

  struct Instant: OperationInput {
    let asOf: Date?
    init(_ fields: inout InputReader) { asOf = fields.optionalInstant("as_of", "The stays that lasted at this instant; without it, those that last now.") }
  }

  static let segmentsOfCustomer = ReadOperation(
    "list_segments_of_customer", "/v1/customers/{id}/segments", tag: "customers", access: .read(.customers), "List the segments a customer is, or was, in",
    input: Instant.self,
    row: [
      "segment_id": AnswerField.id, "code": AnswerField.text, "name": AnswerField.text, "entered_at": AnswerField.instant,
      "left_at": AnswerField.optional(AnswerField.instant),
      "reason": AnswerField.text,
    ], reading: [.customers],
    mustExist: { request in "SELECT 1 FROM crm.customer WHERE id = \(try request.segmentID())" }
  ) { request, question in
    """
    SELECT s.id AS segment_id, s.code, s.name, m.entered_at, m.left_at, m.reason FROM crm.segment_member m JOIN crm.segment s ON s.id = m.segment_id
     WHERE m.customer_id = \(try request.segmentID()) AND m.entered_at <= coalesce(\(question.asOf), now()) AND (m.left_at IS NULL OR m.left_at > coalesce(\(question.asOf), now()))
     ORDER BY s.code
    """
  }
}

extension Request {
  /// The id in the path. Whatever is not a UUID names no record.
  func segmentID() throws(Problem) -> UUID {
    guard let id = parameters["id"].flatMap(UUID.init(uuidString:)) else { throw .notFound }
    return id
  }
}
