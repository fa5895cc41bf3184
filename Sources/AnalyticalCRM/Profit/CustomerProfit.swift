package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What is left of a customer's revenue when everything it costs is taken off.
  static let customerProfit = Concept(resources: [.serviceRates], reads: [.customerProfit, .profitByTier, .profitBySegment])
}

extension Resource {
  /// What serving a customer costs, by what is done.
  package static let serviceRates = Resource(
    "service_rates", singular: "service_rate", table: "crm.service_rate", area: .analytics,
    create: ["kind", "per", "amount", "currency", "usual_minutes", "valid_from"], change: ["kind", "per", "amount", "currency", "usual_minutes", "valid_from"],
    deletable: true, order: "kind")
}

/// As of when, for how long back, in which currency and whose business a profit is.
struct ProfitQuestion: OperationInput {
  let asOf: Date?
  let days: Int?
  let currency: String?
  let departmentID: UUID?

  init(_ fields: inout InputReader) {
    asOf = fields.optionalInstant("as_of", "Facts at this instant or later do not count; now when left out.")
    days = fields.optionalInteger("days", "How many days of 24 hours back facts count; all when left out.", in: 1...36_500)
    currency = fields.optionalText(
      "currency", "Currency of all amounts, at the rate of the day of each fact; that of the purchases when they are in one.", maximum: 3)
    departmentID = fields.optionalID("department_id", "Only the business of this department.")
  }
}

private struct TierProfitQuestion: OperationInput {
  let question: ProfitQuestion
  let model: String?

  init(_ fields: inout InputReader) {
    question = ProfitQuestion(&fields)
    model = fields.optionalText("model", "Code of the value model whose tiers are meant; the default one when left out.", maximum: 63)
  }
}

extension ProfitQuestion {
  /// The statements of `analytics.profit_measures` m added up.
  static let sums: SQL = """
    count(*) AS customers, sum(m.orders)::bigint AS orders, sum(m.gross_revenue)::numeric(20,2) AS gross_revenue, sum(m.discounts)::numeric(20,2) AS discounts,
    sum(m.returns)::numeric(20,2) AS returns, sum(m.net_revenue)::numeric(20,2) AS net_revenue, sum(m.product_cost)::numeric(20,2) AS product_cost,
    sum(m.costed_revenue)::numeric(20,2) AS costed_revenue, sum(m.margin)::numeric(20,2) AS margin, sum(m.cost_to_serve)::numeric(20,2) AS cost_to_serve,
    sum(m.unpriced_contacts)::bigint AS unpriced_contacts, sum(m.profit)::numeric(20,2) AS profit
    """

  /// The currency of the answer: the one asked for, or the only one of the purchases; null when there are several.
  /// - Parameter customer: SQL of a condition on analytics.purchase p.
  func currency(where customer: SQL) -> SQL {
    """
    coalesce(\(currency)::text, (SELECT CASE WHEN count(DISTINCT p.currency) = 1 THEN min(p.currency) WHEN count(*) = 0 THEN 'TRY' END
      FROM analytics.purchase AS p WHERE p.ordered_at < coalesce(\(asOf)::timestamptz, now()) AND \(customer)))
    """
  }

  /// Whether a purchase that counts cannot be converted to x.currency.
  var lacksRate: SQL {
    """
    EXISTS (SELECT FROM (
        SELECT DISTINCT p.currency, (p.ordered_at AT TIME ZONE 'UTC')::date AS day FROM analytics.purchase AS p
         WHERE p.currency <> x.currency AND p.ordered_at < coalesce(\(asOf)::timestamptz, now()) AND (\(departmentID)::uuid IS NULL OR p.department_id = \(departmentID)::uuid)
           AND (\(days)::integer IS NULL OR p.ordered_at >= analytics.since(coalesce(\(asOf)::timestamptz, now()), \(days)::integer))) AS g
      WHERE crm.rate_on(g.currency, x.currency, g.day) IS NULL)
    """
  }

  func call(customers: SQL, currency: SQL) -> SQL {
    """
    analytics.profit_measures(coalesce(\(asOf)::timestamptz, now()), analytics.since(coalesce(\(asOf)::timestamptz, now()), \(days)::integer), \(currency), \(departmentID)::uuid, \(customers))
    """
  }
}

extension ReadOperation {
  /// The members of a statement of profit.
  static let profitStatement: [String: JSON] = [
    "gross_revenue": AnswerField.decimal, "discounts": AnswerField.decimal, "returns": AnswerField.decimal, "net_revenue": AnswerField.decimal,
    "product_cost": AnswerField.optional(AnswerField.decimal), "costed_revenue": AnswerField.decimal, "margin": AnswerField.decimal,
    "cost_to_serve": AnswerField.decimal,
    "unpriced_contacts": AnswerField.count, "profit": AnswerField.decimal, "orders": AnswerField.count,
  ]
  /// What they mean.
  static let profitSums =
    "gross revenue − discounts − returns = net revenue; − product cost = margin; − cost to serve = profit. product_cost is what is known of it (null: nothing is), "
    + "costed_revenue the revenue it belongs to, unpriced_contacts the contacts that no service rate, or no rate of exchange, prices."

  /// One customer's profit as a statement.
  static let customerProfit = ReadOperation(
    "read_customer_profit", "/v1/customers/{id}/profit", tag: "value_models", access: .read(.customers), "Read what the company really earns with a customer",
    description:
      "A statement: \(profitSums) Completed activities, time on tickets and touches of campaigns are priced by the service rates of their days (touches by what they cost, where noted); observed service costs are added. Of everything about the customer, also what you may "
      + "not see one by one.",
    input: ProfitQuestion.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "currency", "data"],
        "properties": [
          "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count, "n": AnswerField.count,
          "currency": AnswerField.text,
          "data": ["type": "object", "required": .array(profitStatement.keys.sorted().map(JSON.string)), "properties": .object(profitStatement)],
        ],
      ]
    ),
    refusals: [404, 422], reading: [.customers], extending: [.analytics, .sales, .products, .marketing, .service],
    statements: { request, question in
      guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
      let currency = question.currency(where: "p.customer_id = \(id)")
      return [
        """
        SELECT coalesce(\(question.asOf)::timestamptz, now()) AS as_of, 'customer profit'::text AS method, 'service_rates'::text AS model, 1 AS version, 1 AS n, x.currency,
               EXISTS (SELECT FROM analytics.purchase AS p WHERE p.customer_id = c.id AND p.ordered_at < coalesce(\(question.asOf)::timestamptz, now()) AND p.currency <> x.currency
                         AND crm.rate_on(p.currency, x.currency, (p.ordered_at AT TIME ZONE 'UTC')::date) IS NULL) AS lacks_rate
          FROM crm.customer AS c CROSS JOIN (SELECT \(currency) AS currency OFFSET 0) AS x WHERE c.id = \(id)
        """,
        """
        SELECT coalesce(m.orders, 0) AS orders, coalesce(m.gross_revenue, 0)::numeric(18,2) AS gross_revenue, coalesce(m.discounts, 0)::numeric(18,2) AS discounts,
               coalesce(m.returns, 0)::numeric(18,2) AS returns, coalesce(m.net_revenue, 0)::numeric(18,2) AS net_revenue, m.product_cost::numeric(18,2) AS product_cost,
               coalesce(m.costed_revenue, 0)::numeric(18,2) AS costed_revenue, coalesce(m.margin, 0)::numeric(18,2) AS margin, coalesce(m.cost_to_serve, 0)::numeric(18,2) AS cost_to_serve,
               coalesce(m.unpriced_contacts, 0) AS unpriced_contacts, coalesce(m.profit, 0)::numeric(18,2) AS profit
          FROM crm.customer AS c CROSS JOIN (SELECT \(currency) AS currency OFFSET 0) AS x LEFT JOIN \(question.call(customers: "ARRAY[\(id)]::uuid[]", currency: currency)) AS m ON m.customer_id = c.id
         WHERE c.id = \(id)
        """,
      ]
    },
    respond: { _, results in
      guard results[0].count == 1, results[1].count == 1 else { throw Problem.notFound }
      guard try results[0][0].decode(String?.self, "currency") != nil else { throw Problem.mixedCurrencies() }
      if try results[0][0].decode(Bool.self, "lacks_rate") { throw Problem.noRate(to: nil) }
      var writer = JSONWriter(capacity: 512)
      writer.beginObject()
      writer.writeMembers(results[0], 0, columns: 0..<6)
      writer.key("data")
      writer.writeRow(results[1], 0)
      writer.endObject()
      return .json(writer.take())
    })

  /// The statement of each tier.
  static let profitByTier = ReadOperation(
    "read_profit_by_tier", "/v1/profit/tiers", tag: "value_models", access: .read(.analytics), "Read what the company really earns with each tier",
    description: "One statement a tier of the value model, by where customers stand now, from the top; customers without a tier come last. \(profitSums)",
    input: TierProfitQuestion.self,
    answer: (
      "application/json",
      profitAnswerSchema(["tier": AnswerField.optional(AnswerField.text), "customers": AnswerField.count])
    ),
    refusals: [422], reading: [.analytics], extending: [.sales, .products, .customers, .marketing, .service], lane: .reports,
    statements: { request, asked in
      let question = asked.question
      let currency = question.currency(where: "(\(question.departmentID)::uuid IS NULL OR p.department_id = \(question.departmentID)::uuid)")
      let model: SQL = "analytics.value_model(\(asked.model)::text, \(question.departmentID)::uuid, crm.business_day(now()))"
      return [
        """
        SELECT coalesce(\(question.asOf)::timestamptz, now()) AS as_of, 'customer profit'::text AS method, v.code AS model, v.revision AS version,
               (SELECT count(*) FROM crm.customer_standing AS s WHERE s.model_id = v.id) AS n, x.currency,
               \(question.lacksRate) AS lacks_rate
          FROM crm.value_model AS v CROSS JOIN (SELECT \(currency) AS currency OFFSET 0) AS x WHERE v.id = \(model)
        """,
        """
        SELECT s.tier, \(ProfitQuestion.sums)
          FROM \(question.call(customers: "NULL::uuid[]", currency: currency)) AS m
          LEFT JOIN crm.customer_standing AS s ON s.customer_id = m.customer_id AND s.model_id = \(model)
          LEFT JOIN crm.value_run_tier AS t ON t.run_id = s.run_id AND t.tier = s.tier
         GROUP BY s.tier ORDER BY min(t.place) NULLS LAST, s.tier
        """,
      ]
    },
    respond: { _, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      return try profitAnswer(results)
    })

  /// The head and the statements of several, once amounts can be told in one currency.
  static func profitAnswer(_ results: [PostgresResult]) throws -> Response {
    guard try results[0][0].decode(String?.self, "currency") != nil else { throw Problem.mixedCurrencies() }
    if try results[0][0].decode(Bool.self, "lacks_rate") { throw Problem.noRate(to: nil) }
    var writer = JSONWriter(capacity: 2048)
    writer.beginObject()
    writer.writeMembers(results[0], 0, columns: 0..<6)
    writer.key("data")
    writer.writeRows(results[1])
    writer.endObject()
    return .json(writer.take())
  }

  /// The schema of such an answer.
  /// - Parameter members: what tells one statement from the others.
  static func profitAnswerSchema(_ members: [String: JSON]) -> JSON {
    [
      "type": "object", "required": ["as_of", "method", "model", "version", "n", "currency", "data"],
      "properties": [
        "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count, "n": AnswerField.count,
        "currency": AnswerField.text,
        "data": ["type": "array", "items": ["type": "object", "properties": .object(profitStatement.merging(members) { $1 })]],
      ],
    ]
  }
}
