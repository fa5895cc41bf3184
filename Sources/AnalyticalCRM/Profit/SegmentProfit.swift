import CRMCore
import Foundation
import PostgresClient

private struct SegmentProfitQuestion: OperationInput {
  let question: ProfitQuestion
  let segment: String?

  init(_ fields: inout InputReader) {
    question = ProfitQuestion(&fields)
    segment = fields.optionalText("segment", "Code of the only segment that is meant; all of them when left out.", maximum: 63)
  }
}

extension ReadOperation {
  /// The statement of each segment.
  static let profitBySegment = ReadOperation(
    "read_profit_by_segment", "/v1/profit/segments", tag: "segments", access: .read(.analytics), "Read what the company really earns with each segment",
    description:
      "One statement a segment, by who is in it now, in the order of their codes. members are all who are in it, customers those of them who bought or were served in the time. A customer "
      + "may be in several segments, or in none: what all segments earn is not what the company earns. \(profitSums)",
    input: SegmentProfitQuestion.self,
    answer: (
      "application/json",
      profitAnswerSchema([
        "segment_id": AnswerField.id, "segment": AnswerField.text, "name": AnswerField.text, "members": AnswerField.count, "customers": AnswerField.count,
      ])
    ),
    refusals: [404, 422], reading: [.analytics], extending: [.sales, .products, .customers, .marketing, .service], lane: .reports,
    statements: { request, asked in
      let question = asked.question
      let currency = question.currency(where: "(\(question.departmentID)::uuid IS NULL OR p.department_id = \(question.departmentID)::uuid)")
      return [
        """
        SELECT coalesce(\(question.asOf)::timestamptz, now()) AS as_of, 'customer profit'::text AS method, 'segments'::text AS model, 1 AS version,
               (SELECT count(DISTINCT k.customer_id) FROM crm.segment_member AS k JOIN crm.segment AS s ON s.id = k.segment_id
                 WHERE k.left_at IS NULL AND (\(asked.segment)::text IS NULL OR s.code = \(asked.segment)::text)) AS n,
               x.currency, \(question.lacksRate) AS lacks_rate,
               \(asked.segment)::text IS NULL OR EXISTS (SELECT FROM crm.segment AS s WHERE s.code = \(asked.segment)::text) AS is_known
          FROM (SELECT \(currency) AS currency OFFSET 0) AS x
        """,
        """
        WITH member AS MATERIALIZED (
          SELECT k.segment_id, k.customer_id FROM crm.segment_member AS k JOIN crm.segment AS s ON s.id = k.segment_id
           WHERE k.left_at IS NULL AND (\(asked.segment)::text IS NULL OR s.code = \(asked.segment)::text)
        )
        SELECT s.id AS segment_id, s.code AS segment, s.name, e.members, coalesce(p.customers, 0) AS customers, coalesce(p.orders, 0) AS orders, coalesce(p.gross_revenue, 0)::numeric(20,2) AS gross_revenue,
               coalesce(p.discounts, 0)::numeric(20,2) AS discounts, coalesce(p.returns, 0)::numeric(20,2) AS returns, coalesce(p.net_revenue, 0)::numeric(20,2) AS net_revenue,
               p.product_cost, coalesce(p.costed_revenue, 0)::numeric(20,2) AS costed_revenue, coalesce(p.margin, 0)::numeric(20,2) AS margin,
               coalesce(p.cost_to_serve, 0)::numeric(20,2) AS cost_to_serve, coalesce(p.unpriced_contacts, 0) AS unpriced_contacts, coalesce(p.profit, 0)::numeric(20,2) AS profit
          FROM crm.segment AS s
          CROSS JOIN LATERAL (SELECT count(*) AS members FROM member AS k WHERE k.segment_id = s.id) AS e
          LEFT JOIN (
            SELECT k.segment_id, \(ProfitQuestion.sums)
              FROM member AS k JOIN \(question.call(customers: "NULL::uuid[]", currency: currency)) AS m ON m.customer_id = k.customer_id GROUP BY k.segment_id
          ) AS p ON p.segment_id = s.id
         WHERE \(asked.segment)::text IS NULL OR s.code = \(asked.segment)::text ORDER BY s.code
        """,
      ]
    },
    respond: { _, results in
      guard try results[0][0].decode(Bool.self, "is_known") else { throw Problem.notFound }
      return try profitAnswer(results)
    })
}
