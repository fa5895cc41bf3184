import CRMCore
import Foundation
import PostgresClient

struct RevenueDay: OperationInput {
  let date: CalendarDate?
  init(_ fields: inout InputReader) {
    date = fields.optionalDay("date", "The day it is counted for; without it, today.")
  }
}

extension ReadOperation {
  /// What a customer pays again and again.
  static let recurringRevenue = ReadOperation(
    "read_recurring_revenue", "/v1/customers/{id}/recurring_revenue", tag: "customers", access: .read(.sales), "Read what a customer pays again and again.",
    description: "One row a currency, of the contracts you may see that count on the day: activated, begun and not over. "
      + "monthly_amount is the MRR, yearly_amount twelve times as much.",
    input: RevenueDay.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["data"],
        "properties": [
          "data": [
            "type": "array",
            "items": [
              "type": "object", "required": ["currency", "contracts", "monthly_amount", "yearly_amount", "renews_next_on"],
              "properties": [
                "currency": AnswerField.text, "contracts": AnswerField.count, "monthly_amount": AnswerField.decimal, "yearly_amount": AnswerField.decimal,
                "renews_next_on": AnswerField.optional(AnswerField.day),
              ],
            ],
          ]
        ],
      ]
    ),
    reading: [.sales, .customers],
    statements: { request, input in
      guard let customer = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
      let day: SQL = "coalesce(\(input.date), crm.business_day(now()))"
      return [
        "SELECT 1 FROM crm.customer WHERE id = \(customer)",
        """
        SELECT c.currency, count(*) AS contracts, sum(c.monthly_amount) AS monthly_amount, 12 * sum(c.monthly_amount) AS yearly_amount,
               min(c.renews_on) FILTER (WHERE c.status = 'active') AS renews_next_on
          FROM crm.contract c
         WHERE c.customer_id = \(customer) AND c.activated_at IS NOT NULL AND c.starts_on <= \(day) AND (c.ended_on IS NULL OR c.ended_on >= \(day))
         GROUP BY c.currency ORDER BY c.currency
        """,
      ]
    },
    respond: { _, results in
      if results[0].count == 0 { throw Problem.notFound }
      var writer = JSONWriter(capacity: 512)
      writer.beginObject()
      writer.key("data")
      writer.writeRows(results[1])
      writer.endObject()
      return .json(writer.take())
    })
}
