import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// How often customers buy, and who should come again.
  static let purchaseIntervals = Concept(reads: [.purchaseIntervals, .reorderRadar])
}

/// What is counted as one thing that is bought.
struct ItemLevel: OperationInput {
  /// Nil for products themselves.
  let level: Int?

  init(_ fields: inout InputReader) {
    level = fields.optionalInteger("level", "Count categories at this level of the tree, 1 is the top; products themselves when left out.", in: 1...20)
  }
}

struct IntervalsQuestion: OperationInput {
  let asOf: Date
  let timeZone: String
  let level: Int?
  let minimumGaps: Int
  let limit: Int

  init(_ fields: inout InputReader) {
    let time = PurchaseTime(&fields)
    (asOf, timeZone) = (time.asOf, time.timeZone)
    level = ItemLevel(&fields).level
    minimumGaps = fields.optionalInteger("minimum_gaps", "How many gaps between purchases a median needs; 2 when left out.", in: 1...1_000) ?? 2
    limit = fields.optionalInteger("limit", "At most so many; 100 when left out.", in: 1...1_000) ?? 100
  }
}

extension ReadOperation {
  private static let interval: [String: JSON] = [
    "purchase_days": AnswerField.count, "last_on": AnswerField.day, "median_gap_days": AnswerField.optional(AnswerField.number),
    "expected_on": AnswerField.optional(AnswerField.day), "overdue_days": AnswerField.optional(AnswerField.integer),
    "overdue_ratio": AnswerField.optional(AnswerField.number),
  ]

  /// The customer in the path, if the caller may see it.
  static func visibleCustomer(_ request: Request) -> SQL {
    "SELECT 1 FROM crm.customer AS c WHERE c.id = \(request.parameters["id"].flatMap(UUID.init(uuidString:)))"
  }

  static let purchaseIntervals = ReadOperation(
    "read_purchase_intervals", "/v1/customers/{id}/purchase_intervals", tag: "customers", access: .read(.customers),
    "Read how often a customer buys, and what.",
    description:
      "From the purchases you may see. Gaps are the days between different days of purchase in the time zone; expected_on is the last day + the median gap; overdue_ratio is the days since "
      + "the last purchase ÷ the median. overall is null for a customer who never bought; its median and what follows are null with fewer gaps than minimum_gaps. data has one row a thing with enough "
      + "gaps, the most overdue first.",
    input: IntervalsQuestion.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "overall", "data"],
        "properties": .object(
          PurchaseAnswer.heading.merging([
            "time_zone": AnswerField.text, "overall": ["type": ["object", "null"], "properties": .object(interval)],
            "data": PurchaseAnswer.list(interval.merging(["item_id": AnswerField.id, "item": AnswerField.optional(AnswerField.text)]) { $1 }),
          ]) { $1 }),
      ]
    ), refusals: [404], reading: [.customers, .sales], extending: [.products],
    statements: { request, question in
      let customer: SQL = "ARRAY[\(request.parameters["id"].flatMap(UUID.init(uuidString:)))::uuid]"
      return [
        visibleCustomer(request),
        """
        SELECT \(question.asOf)::timestamptz AS as_of, 'median_purchase_interval' AS method, 'purchase_intervals' AS model, 1 AS version, \(question.timeZone)::text AS time_zone,
               (SELECT count(*) FROM analytics.purchase AS p WHERE p.customer_id = ANY (\(customer)) AND p.ordered_at < \(question.asOf)) AS n
        """,
        """
        SELECT i.purchase_days, i.last_on, i.median_gap_days, i.expected_on, i.overdue_days, i.overdue_ratio
          FROM analytics.purchase_intervals(\(question.asOf), \(question.timeZone), NULL, \(customer), \(question.minimumGaps)) AS i
        """,
        """
        SELECT i.item_id, coalesce(p.name, g.name) AS item, i.purchase_days, i.last_on, i.median_gap_days, i.expected_on, i.overdue_days, i.overdue_ratio
          FROM analytics.item_intervals(\(question.asOf), \(question.timeZone), NULL, \(customer), \(question.minimumGaps), \(question.level)) AS i
          LEFT JOIN crm.product AS p ON p.id = i.item_id LEFT JOIN crm.product_category AS g ON g.id = i.item_id
         ORDER BY i.overdue_ratio DESC, i.item_id LIMIT \(question.limit)
        """,
      ]
    },
    respond: { _, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      var writer = JSONWriter(capacity: 4096)
      writer.beginObject()
      writer.writeMembers(results[1], 0)
      writer.key("overall")
      if results[2].count == 1 { writer.writeRow(results[2], 0) } else { writer.null() }
      writer.key("data")
      writer.writeRows(results[3])
      writer.endObject()
      return .json(writer.take())
    })
}
