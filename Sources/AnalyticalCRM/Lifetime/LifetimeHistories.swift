import CRMCore
import Foundation
import PostgresClient

/// The purchases that a run counts, one row a customer in a temporary table, and equal histories together in memory.
struct LifetimeHistories: Sendable {
  /// In days, as they stand in the temporary table.
  struct Group: Sendable {
    let frequency, recencyDays, ageDays, customers: Int

    func history(in unit: LifetimeUnit) -> PurchaseHistory {
      PurchaseHistory(frequency: frequency, recency: Double(recencyDays) / unit.inDays, age: Double(ageDays) / unit.inDays, customers: customers)
    }
  }

  let groups: [Group]
  let unit: LifetimeUnit

  /// Writes the customers' histories to the temporary table `lifetime_history`.
  /// - Throws: a problem when there are too few customers to say anything.
  static func gather(_ run: AnalysisRun, before instant: Date, currency: String, in tx: PostgresTransaction) async throws -> LifetimeHistories {
    try await tx.run(
      """
      CREATE TEMPORARY TABLE lifetime_history (customer_id uuid NOT NULL, frequency integer NOT NULL, recency_days integer NOT NULL, age_days integer NOT NULL, purchase_value numeric)
        ON COMMIT DROP
      """)
    try await tx.run("SELECT set_config('work_mem', '128MB', true)")
    try await tx.run(
      """
      INSERT INTO lifetime_history SELECT h.customer_id, h.frequency, h.recency_days, h.age_days, h.purchase_value
        FROM analytics.purchase_history(\(instant), \(run.timeZone), \(currency), \(run.departmentID)) AS h
      """)
    try await tx.run("ANALYZE lifetime_history")
    let found = try await tx.result(
      "SELECT frequency, recency_days, age_days, count(*)::integer FROM lifetime_history GROUP BY frequency, recency_days, age_days ORDER BY frequency, recency_days, age_days"
    )
    let groups = try found.rows.map { row in
      Group(frequency: try row.decode(at: 0), recencyDays: try row.decode(at: 1), ageDays: try row.decode(at: 2), customers: try row.decode(at: 3))
    }
    let customers = groups.reduce(0) { $0 + $1.customers }
    guard customers > 1 else {
      throw Problem(
        422, "too-few-customers", Phrase("One customer alone says nothing of others.", tr: "Tek bir müşteri başkaları hakkında bir şey söylemez."),
        detail: Phrase(
          "One customer alone says nothing of others: a model needs at least two, and some hundreds to be of use.",
          tr: "Tek bir müşteri başkaları hakkında bir şey söylemez: bir model en az iki, işe yaraması için yüzlerce müşteri ister."))
    }
    guard groups.contains(where: { $0.frequency > 0 }) else {
      throw Problem(
        422, "no-repeat-purchases", Phrase("Nobody bought on a second day.", tr: "Kimse ikinci bir gün alışveriş yapmamış."),
        detail: Phrase(
          "Nobody bought on a second day, so there is no telling how often customers come back.",
          tr: "Kimse ikinci bir gün alışveriş yapmamış; müşterilerin ne sıklıkta döndüğü söylenemez."))
    }
    return LifetimeHistories(groups: groups, unit: run.unit)
  }

  /// - Throws: a problem that says why the model did not converge.
  func fit(_ method: LifetimeMethod) async throws -> ModelFit {
    let histories = groups.map { $0.history(in: unit) }
    do {
      return try await Calculation.run { checkpoint in try method.type.fit(histories, checkpoint: checkpoint) }
    } catch let failure as FitFailure {
      throw Problem.didNotConverge(failure, model: method.rawValue)
    }
  }

  /// What a purchase is worth: Gamma-Gamma over the customers whose repeat purchases are worth more than nothing.
  struct Values: Sendable {
    /// Nil where the model did not converge.
    let fit: ModelFit?
    let customers: Int
    /// Between how often customers buy and for how much; the model takes it for zero.
    let correlation: Double?
    let failure: Problem?

    var described: [String: JSON] {
      var members: [String: JSON] = ["model": "gamma_gamma", "customers": .count(customers), "correlation": correlation.map(JSON.double) ?? .null]
      if let fit { members.merge(fit.described(names: GammaGammaModel.parameterNames)) { $1 } }
      if let reason = failure?.detail {
        members.merge(["converged": false, "note": .object(["en": .string(reason.english), "tr": .string(reason.turkish)])]) { $1 }
      }
      return members
    }
  }

  /// - Throws: a problem when no repeat purchase is worth anything.
  func fitValues(in tx: PostgresTransaction) async throws -> Values {
    let found = try await tx.result(
      "SELECT frequency, purchase_value::float8 FROM lifetime_history WHERE frequency > 0 AND purchase_value > 0 ORDER BY frequency, purchase_value, customer_id"
    )
    guard found.count > 0 else {
      throw Problem(
        422, "negative-amounts", Phrase("No repeat purchase is worth more than nothing.", tr: "Hiçbir yinelenen alışveriş sıfırdan fazla değil."),
        detail: Phrase(
          "The repeat purchases of every customer add up to zero or less, so no value can be told.",
          tr: "Her müşterinin yinelenen alışverişleri sıfır ya da eksi; değer söylenemez."))
    }
    var spending: [GammaGammaModel.Spending] = []
    for row in found.rows {
      let frequency: Int = try row.decode(at: 0)
      if spending.last?.frequency != frequency { spending.append(.init(frequency: frequency, means: [])) }
      spending[spending.count - 1].means.append(try row.decode(at: 1))
    }
    let correlation = try await tx.value(
      Double?.self, "SELECT corr(frequency, purchase_value) FROM lifetime_history WHERE frequency > 0 AND purchase_value > 0")
    let data = spending
    do {
      let fit = try await Calculation.run { checkpoint in try GammaGammaModel.fit(data, checkpoint: checkpoint) }
      return Values(fit: fit, customers: found.count, correlation: correlation, failure: nil)
    } catch let failure as FitFailure {
      return Values(fit: nil, customers: found.count, correlation: correlation, failure: .didNotConverge(failure, model: GammaGammaModel.name))
    }
  }

  /// Writes what the models say of every customer.
  func write(_ run: AnalysisRun, _ purchases: ModelFit, currency: String, values: Values, in tx: PostgresTransaction) async throws {
    let (groups, unit, type) = (groups, unit, run.method.type)
    let months = Int(run.number("months", default: 12))
    let monthly = pow(1 + run.number("annual_discount_percent", default: 10) / 100, 1.0 / 12) - 1
    let bytes = try await Calculation.run { checkpoint in
      let model = type.init(parameters: purchases.parameters)
      var buffer = CopyBuffer()
      for (number, group) in groups.enumerated() {
        if number % 256 == 0 { try checkpoint() }
        let outlook = LifetimeOutlook(model, group.history(in: unit), unit: unit.inDays, months: months, month: unit.month, monthlyDiscount: monthly)
        buffer.integer(group.frequency)
        buffer.field()
        buffer.integer(group.recencyDays)
        buffer.field()
        buffer.integer(group.ageDays)
        for value in [outlook.pAlive] + outlook.expected + [outlook.discounted] {
          buffer.field()
          buffer.text("\(value)")
        }
        buffer.end()
      }
      return buffer.take()
    }
    try await tx.run(
      """
      CREATE TEMPORARY TABLE lifetime_outlook (frequency integer, recency_days integer, age_days integer, p_alive float8, expected_30 float8, expected_90 float8,
        expected_180 float8, expected_365 float8, expected float8, discounted float8) ON COMMIT DROP
      """)
    _ = try await tx.copyIn("COPY lifetime_outlook FROM STDIN") { writer in
      for start in stride(from: 0, to: bytes.count, by: 1 << 16) { try await writer.write(Array(bytes[start..<min(start + (1 << 16), bytes.count)])) }
    }
    try await tx.run("ANALYZE lifetime_outlook")
    let spending = values.fit?.parameters
    let (p, q, gamma): (SQL, SQL, SQL) = ("\(spending?[0])::float8", "\(spending?[1])::float8", "\(spending?[2])::float8")
    try await tx.run(
      """
      INSERT INTO crm.customer_lifetime (run_id, customer_id, frequency, recency_days, age_days, p_alive, expected_purchases, expected_30_days, expected_90_days, expected_180_days,
             expected_365_days, purchase_value, expected_value, clv, currency)
      SELECT \(run.id), h.customer_id, h.frequency, h.recency_days, h.age_days, o.p_alive, o.expected, o.expected_30, o.expected_90, o.expected_180, o.expected_365,
             round(h.purchase_value, 6), round(v.expected::numeric, 6), round((v.expected * o.discounted * \(run.number("margin_percent", default: 100))::float8 / 100)::numeric, 6), \(currency)
        FROM lifetime_history AS h
        JOIN lifetime_outlook AS o ON o.frequency = h.frequency AND o.recency_days = h.recency_days AND o.age_days = h.age_days
       CROSS JOIN LATERAL (SELECT CASE WHEN coalesce(h.purchase_value, 1) > 0 AND \(p) * h.frequency + \(q) - 1 > 0
             THEN \(p) * (\(gamma) + h.frequency * coalesce(h.purchase_value, 0)::float8) / (\(p) * h.frequency + \(q) - 1) END) AS v (expected)
       ORDER BY h.customer_id
      """)
  }
}
