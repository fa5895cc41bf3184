import CRMCore
import Foundation
import PostgresClient

struct RadarQuestion: OperationInput {
  let asOf: Date
  let timeZone: String
  let level: Int?
  let days: Int
  let minimumGaps: Int
  let lostAfter: Decimal
  let ownerID: UUID?
  let limit: Int

  init(_ fields: inout InputReader) {
    let time = PurchaseTime(&fields)
    (asOf, timeZone) = (time.asOf, time.timeZone)
    level = ItemLevel(&fields).level
    days = fields.optionalInteger("days", "Due within so many days from as_of; 14 when left out.", in: 0...365) ?? 14
    minimumGaps = fields.optionalInteger("minimum_gaps", "How many gaps between purchases a median needs; 2 when left out.", in: 1...1_000) ?? 2
    lostAfter =
      fields.optionalDecimal(
        "lost_after", "Leave out what has not been bought for so many times its median gap: it is lost rather than due; 3 when left out.", scale: 2,
        in: 1...1_000) ?? 3
    ownerID = fields.optionalID("owner_id", "Only the customers of this colleague.")
    limit = fields.optionalInteger("limit", "At most so many; 100 when left out.", in: 1...1_000) ?? 100
  }
}

extension ReadOperation {
  static let reorderRadar = ReadOperation(
    "list_due_reorders", "/v1/analytics/reorder_radar", tag: "customers", access: .read(.sales), "List what customers should buy again soon.",
    description:
      "Of the customers and purchases you may see: things whose expected next purchase (last day + median gap) is overdue or within the next days, the most overdue first. "
      + "n counts all of them, data has at most limit. On a large company ask for one colleague's customers (owner_id) at a time.",
    input: RadarQuestion.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "data"],
        "properties": .object(
          PurchaseAnswer.heading.merging([
            "time_zone": AnswerField.text,
            "data": PurchaseAnswer.list([
              "customer_id": AnswerField.id, "customer": AnswerField.text, "owner_id": AnswerField.optional(AnswerField.id), "item_id": AnswerField.id,
              "item": AnswerField.optional(AnswerField.text), "purchase_days": AnswerField.count, "last_on": AnswerField.day,
              "median_gap_days": AnswerField.number,
              "expected_on": AnswerField.day, "overdue_days": AnswerField.integer, "overdue_ratio": AnswerField.number,
            ]),
          ]) { $1 }),
      ]
    ), reading: [.customers, .sales], extending: [.products], lane: .reports,
    statements: { _, question in
      let customers: SQL =
        question.ownerID.map { "(SELECT coalesce(array_agg(c.id), '{}') FROM crm.customer AS c WHERE c.owner_id = \($0))" } ?? "NULL::uuid[]"
      return [
        """
        SELECT \(question.asOf)::timestamptz AS as_of, 'median_purchase_interval' AS method, 'reorder_radar' AS model, 1 AS version, \(question.timeZone)::text AS time_zone
        """,
        """
        SELECT i.customer_id, c.name AS customer, c.owner_id, i.item_id, coalesce(p.name, g.name) AS item, i.purchase_days, i.last_on, i.median_gap_days, i.expected_on,
               i.overdue_days, i.overdue_ratio, count(*) OVER () AS due
          FROM analytics.item_intervals(\(question.asOf), \(question.timeZone), NULL, \(customers), \(question.minimumGaps), \(question.level)) AS i
          JOIN crm.customer AS c ON c.id = i.customer_id
          LEFT JOIN crm.product AS p ON p.id = i.item_id LEFT JOIN crm.product_category AS g ON g.id = i.item_id
         WHERE i.overdue_days >= -\(question.days)::integer AND i.overdue_ratio <= \(question.lostAfter)::float8
         ORDER BY i.overdue_ratio DESC, i.customer_id, i.item_id LIMIT \(question.limit)
        """,
      ]
    },
    respond: { _, results in
      var writer = JSONWriter(capacity: 4096)
      writer.beginObject()
      writer.writeMembers(results[0], 0)
      writer.key("n")
      writer.integer(results[1].count == 0 ? 0 : try results[1][0].decode(Int.self, "due"))
      writer.key("data")
      writer.writeRows(results[1], columns: 0..<(results[1].columnCount - 1))
      writer.endObject()
      return .json(writer.take())
    })
}
