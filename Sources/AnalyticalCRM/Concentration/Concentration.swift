import CRMCore
import PostgresClient

extension Concept {
  /// How unevenly revenue is spread over customers.
  static let concentration = Concept(reads: [.deciles, .concentration, .lorenzChart])
}

extension ReadOperation {
  static let deciles = ReadOperation(
    "read_deciles", "/v1/analytics/deciles", tag: "analysis_runs", access: .read(.analytics), "Read the revenue of the tenths of customers.",
    description:
      "Ten groups of equal size of all customers who ever bought, by revenue; 1 is the best, and where sizes cannot be equal the first groups have one more. Ties by customer id. "
      + "Customers with negative revenue are in the last groups; shares are null when the revenue is zero. Fewer than ten customers make fewer groups. "
      + "Refused: nobody bought, several currencies without a choice, a missing rate, an as_of in the future.",
    input: PurchaseScope.self,
    answer: PurchaseAnswer.schema([
      "revenue": AnswerField.decimal,
      "data": PurchaseAnswer.list([
        "decile": AnswerField.count, "customers": AnswerField.count, "revenue": AnswerField.decimal, "lowest": AnswerField.decimal,
        "highest": AnswerField.decimal,
        "revenue_share": AnswerField.optional(AnswerField.number), "cumulative_share": AnswerField.optional(AnswerField.number),
      ]),
    ]), refusals: [422], reading: [.sales, .finance], extending: [.sales], lane: .reports,
    statements: { _, scope in
      [
        scope.currencies,
        """
        SELECT \(scope.heading(method: "'revenue_deciles'", model: "'deciles'")), coalesce(sum(d.customers), 0)::bigint AS n, sum(d.revenue) AS revenue,
               json_agg(json_build_object('decile', d.decile, 'customers', d.customers, 'revenue', d.revenue::text, 'lowest', d.lowest::text, 'highest', d.highest::text,
                 'revenue_share', d.revenue_share, 'cumulative_share', d.cumulative_share) ORDER BY d.decile) AS data
          FROM analytics.deciles(\(scope.arguments)) AS d
        """,
      ]
    }, respond: { _, results in try PurchaseAnswer.respond(results) })

  static let concentration = ReadOperation(
    "read_concentration", "/v1/analytics/concentration", tag: "analysis_runs", access: .read(.analytics), "Read how concentrated revenue is.",
    description:
      "The share of the top 1, 5, 10, 20 and 50 % of customers (rounded up to whole customers), the Gini coefficient, and at most 101 points of the Lorenz curve from the poorest customer up. "
      + "Customers with negative revenue are left out, counted in excluded, and a note says so. Where the revenue is zero, Gini and shares are null. "
      + "Refused: nobody bought, several currencies without a choice, a missing rate, an as_of in the future.",
    input: PurchaseScope.self,
    answer: PurchaseAnswer.schema([
      "revenue": AnswerField.optional(AnswerField.decimal), "excluded": AnswerField.count, "note": AnswerField.optional(AnswerField.text),
      "gini": AnswerField.optional(AnswerField.number),
      "top": [
        "type": ["array", "null"],
        "items": [
          "type": "object",
          "properties": [
            "customer_share": AnswerField.number, "customers": AnswerField.count, "revenue": AnswerField.decimal,
            "revenue_share": AnswerField.optional(AnswerField.number),
          ],
        ],
      ],
      "data": [
        "type": ["array", "null"],
        "items": ["type": "object", "properties": ["customer_share": AnswerField.number, "revenue_share": AnswerField.optional(AnswerField.number)]],
      ],
    ]), refusals: [422], reading: [.sales, .finance], extending: [.sales], lane: .reports,
    statements: { request, scope in
      let note = Phrase("Customers with negative revenue are left out.", tr: "Cirosu eksi olan müşteriler hesaba katılmadı.").text(in: request.language)
      return [
        scope.currencies,
        """
        SELECT \(scope.heading(method: "'lorenz_gini'", model: "'concentration'")), c.customers AS n, c.revenue, c.excluded,
               CASE WHEN c.excluded > 0 THEN \(note)::text END AS note, c.gini, c.top, c.lorenz AS data
          FROM analytics.concentration(\(scope.arguments)) AS c
        """,
      ]
    }, respond: { _, results in try PurchaseAnswer.respond(results) })
}
