import CRMCore
import Foundation
import PostgresClient

/// What is to be fitted, and what its lifetime value counts.
struct LifetimeQuestion: OperationInput {
  let scope: PurchaseScope
  let method: LifetimeMethod
  let unit: LifetimeUnit
  let months: Int
  let marginPercent: Decimal
  let annualDiscountPercent: Decimal

  init(_ fields: inout InputReader) {
    scope = PurchaseScope(&fields)
    method = fields.optionalOption("model", "How customers buy and stop: bg_nbd when left out.", of: LifetimeMethod.self) ?? .bgNBD
    unit = fields.optionalOption("unit", "The unit of time of the parameters: days when left out.", of: LifetimeUnit.self) ?? .days
    months = fields.optionalInteger("months", "How many months of the future the lifetime value counts; 12 when left out.", in: 1...120) ?? 12
    marginPercent = fields.optionalDecimal("margin_percent", "What of the revenue is margin; 100 when left out.", scale: 4, in: 0...100) ?? 100
    annualDiscountPercent =
      fields.optionalDecimal("annual_discount_percent", "What money is worth less a year later; 10 when left out.", scale: 4, in: 0...1_000) ?? 10
  }

  var parameters: JSON {
    .object(
      scope.parameters.merging([
        "model": .string(method.rawValue), "unit": .string(unit.rawValue), "months": .count(months), "margin_percent": .number(marginPercent),
        "annual_discount_percent": .number(annualDiscountPercent),
      ]) { $1 })
  }
}

extension AnalysisRun {
  var method: LifetimeMethod { parameters["model"]?.string.flatMap(LifetimeMethod.init) ?? .bgNBD }
  var unit: LifetimeUnit { parameters["unit"]?.string.flatMap(LifetimeUnit.init) ?? .days }

  func number(_ name: String, default value: Double) -> Double {
    if case .number(let number) = parameters[name] { NSDecimalNumber(decimal: number).doubleValue } else { value }
  }
}

extension BusinessOperation {
  static let runLifetime = BusinessOperation(
    "run_lifetime", .post, "/v1/analytics/lifetime/runs", of: "analysis_runs", access: .write(.analytics),
    "Fit a model of lifetime and value every customer by it.",
    description: """
      BG/NBD or Pareto/NBD for purchases and Gamma-Gamma for their value, by maximum likelihood over days with purchases; a worker computes it. The run's result has the \
      parameters with standard errors of their logarithms, log-likelihood, sample, and drift against the run before. A run fails with empty-population, too-few-customers, \
      no-repeat-purchases, negative-amounts, mixed-currencies, no-rate, or did-not-converge with the reason. The rows of the latest twelve runs of a department, and of the company, are kept.
      """, input: LifetimeQuestion.self, answer: .record("analysis_runs", status: 202)
  ) { run, question in
    .record(
      try await AnalysisRun.request(
        kind: "lifetime", method: question.method.rawValue, asOf: question.scope.asOf, parameters: question.parameters, department: question.scope.departmentID,
        in: run.tx))
  }
}

extension JobHandler {
  static let lifetime = JobHandler.analysis("lifetime", deadline: 3_600) { run, tx, progress in
    let clock = ContinuousClock()
    let begun = clock.now
    let currency = try await run.currency(before: run.asOf, in: tx)
    let histories = try await LifetimeHistories.gather(run, before: run.asOf, currency: currency, in: tx)
    try await progress.reached(25)
    let gathered = clock.now
    let purchases = try await histories.fit(run.method)
    let fitted = clock.now
    let values = try await histories.fitValues(in: tx)
    try await progress.reached(50)
    try await histories.write(run, purchases, currency: currency, values: values, in: tx)
    try await tx.run(
      """
      DELETE FROM crm.customer_lifetime WHERE run_id IN (
        SELECT a.id FROM crm.analysis_run AS a WHERE a.kind = 'lifetime' AND a.status = 'done' AND a.department_id IS NOT DISTINCT FROM \(run.departmentID)
         ORDER BY a.finished_at DESC OFFSET 11)
      """)
    let totals = try await tx.result(
      """
      SELECT count(*) AS customers, count(*) FILTER (WHERE l.frequency > 0) AS repeaters, count(*) FILTER (WHERE l.clv IS NULL) AS without_value,
        sum(l.p_alive) AS alive, sum(l.expected_30_days) AS expected_30, sum(l.expected_90_days) AS expected_90, sum(l.expected_purchases) AS expected, sum(l.clv)::text AS clv
        FROM crm.customer_lifetime AS l WHERE l.run_id = \(run.id)
      """)[0]
    let result = purchases.described(names: run.method.type.parameterNames).merging([
      "model": .string(run.method.rawValue), "unit": .string(run.unit.rawValue), "currency": .string(currency),
      "customers": .count(try totals.decode("customers")),
      "repeat_customers": .count(try totals.decode("repeaters")), "different_histories": .count(histories.groups.count),
      "value": .object(values.described), "without_value": .count(try totals.decode("without_value")), "alive": .double(try totals.decode("alive")),
      "expected_30_days": .double(try totals.decode("expected_30")), "expected_90_days": .double(try totals.decode("expected_90")),
      "expected_purchases": .double(try totals.decode("expected")), "total_clv": try totals.decode(String?.self, "clv").map(JSON.string) ?? .null,
      "seconds": [
        "gathering": .double((gathered - begun) / .seconds(1)), "fitting": .double((fitted - gathered) / .seconds(1)),
        "writing": .double((clock.now - fitted) / .seconds(1)),
      ],
      "drift": try await histories.drift(of: purchases, from: run, in: tx),
    ]) { $1 }
    return (population: try totals.decode("customers"), result: .object(result))
  }
}
