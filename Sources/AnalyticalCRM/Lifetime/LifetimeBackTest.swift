import CRMCore
import Foundation
import PostgresClient

/// A model fitted to what was known on one day, held against what happened until another.
struct BackTestQuestion: OperationInput {
  let scope: PurchaseScope
  let calibrationEnd: Date
  let method: LifetimeMethod
  let unit: LifetimeUnit
  let grouping: CustomerGrouping

  init(_ fields: inout InputReader) {
    scope = PurchaseScope(&fields)
    calibrationEnd = fields.instant("calibration_end", "The model is fitted to purchases before this instant, and forecasts those from it to as_of.")
    method = fields.optionalOption("model", "How customers buy and stop: bg_nbd when left out.", of: LifetimeMethod.self) ?? .bgNBD
    unit = fields.optionalOption("unit", "The unit of time of the parameters: days when left out.", of: LifetimeUnit.self) ?? .days
    grouping = CustomerGrouping(&fields)
    if calibrationEnd >= scope.asOf {
      fields.refuse("calibration_end", code: "range", Phrase("It has to lie before as_of.", tr: "as_of tarihinden önce olmalı."))
    }
  }
}

extension BusinessOperation {
  static let runLifetimeBackTest = BusinessOperation(
    "run_lifetime_backtest", .post, "/v1/analytics/lifetime/backtests", of: "analysis_runs", access: .write(.analytics),
    "Test a model of lifetime on purchases that it was not fitted to.",
    description: """
      The run's result holds the forecast against the days with purchases that followed, in total, by how often customers had bought, and by a group: error of the sum in \
      percent, mean absolute and root mean square error a customer, correlation, and the same for the naive forecast that everyone goes on at their own pace. It fails as \
      run_lifetime does.
      """, input: BackTestQuestion.self, answer: .record("analysis_runs", status: 202)
  ) { run, question in
    let instant = question.calibrationEnd.formatted(.iso8601.year().month().day().timeZone(separator: .colon).time(includingFractionalSeconds: true))
    let parameters = question.scope.parameters.merging(question.grouping.parameters) { $1 }.merging([
      "model": .string(question.method.rawValue), "unit": .string(question.unit.rawValue), "calibration_end": .string(instant),
    ]) { $1 }
    return .record(
      try await AnalysisRun.request(
        kind: "lifetime_backtest", method: question.method.rawValue, asOf: question.scope.asOf, parameters: .object(parameters),
        department: question.scope.departmentID,
        in: run.tx))
  }
}

extension JobHandler {
  static let lifetimeBackTest = JobHandler.analysis("lifetime_backtest", deadline: 3_600) { run, tx, progress in
    guard let end = run.parameters["calibration_end"]?.string.flatMap({ Date(instant: $0) }) else {
      throw HopelessJob("calibration_end is no instant")
    }
    let currency = try await run.currency(before: end, in: tx)
    let histories = try await LifetimeHistories.gather(run, before: end, currency: currency, in: tx)
    try await progress.reached(40)
    let fit = try await histories.fit(run.method)
    let days = run.asOf.timeIntervalSince(end) / 86_400
    let (groups, unit, type) = (histories.groups, run.unit, run.method.type)
    let expected = try await Calculation.run { checkpoint in
      let model = type.init(parameters: fit.parameters)
      return try groups.enumerated().map { number, group in
        if number % 1_024 == 0 { try checkpoint() }
        return model.expectedPurchases(within: days / unit.inDays, after: group.history(in: unit))
      }
    }
    try await tx.run("CREATE TEMPORARY TABLE lifetime_forecast (frequency integer, recency_days integer, age_days integer, expected float8) ON COMMIT DROP")
    try await tx.run(
      """
      INSERT INTO lifetime_forecast (frequency, recency_days, age_days, expected)
      SELECT g.frequency, g.recency_days, g.age_days, g.expected
        FROM unnest(\(groups.map(\.frequency))::integer[], \(groups.map(\.recencyDays))::integer[], \(groups.map(\.ageDays))::integer[], \(expected)::float8[])
          AS g (frequency, recency_days, age_days, expected)
      """)
    try await tx.run(
      """
      CREATE TEMPORARY TABLE lifetime_outcome (customer_id uuid, frequency integer, expected float8, naive float8, happened integer) ON COMMIT DROP
      """)
    try await tx.run(
      """
      INSERT INTO lifetime_outcome
      SELECT h.customer_id, h.frequency, f.expected, CASE WHEN h.age_days > 0 THEN h.frequency * \(days)::float8 / h.age_days ELSE 0 END, coalesce(b.days, 0)
        FROM lifetime_history AS h
        JOIN lifetime_forecast AS f ON f.frequency = h.frequency AND f.recency_days = h.recency_days AND f.age_days = h.age_days
        LEFT JOIN (
          SELECT p.customer_id, count(DISTINCT (p.ordered_at AT TIME ZONE \(run.timeZone))::date)::integer AS days FROM analytics.purchase AS p
           WHERE p.ordered_at >= \(end) AND p.ordered_at < \(run.asOf) AND (\(run.departmentID)::uuid IS NULL OR p.department_id = \(run.departmentID)) GROUP BY p.customer_id
        ) AS b ON b.customer_id = h.customer_id
      """)
    let measures: SQL = """
      count(*) AS customers, sum(o.expected) AS forecast, sum(o.happened)::bigint AS happened, sum(o.naive) AS naive_forecast,
      CASE WHEN sum(o.happened) > 0 THEN 100 * (sum(o.expected) / sum(o.happened) - 1) END AS error_percent,
      CASE WHEN sum(o.happened) > 0 THEN 100 * (sum(o.naive) / sum(o.happened) - 1) END AS naive_error_percent,
      avg(abs(o.expected - o.happened)) AS mean_absolute_error, avg(abs(o.naive - o.happened)) AS naive_mean_absolute_error,
      sqrt(avg((o.expected - o.happened) ^ 2)) AS root_mean_square_error, corr(o.expected, o.happened) AS correlation
      """
    let total = try await tx.result("SELECT \(measures) FROM lifetime_outcome AS o")
    let byFrequency = try await tx.result("SELECT least(o.frequency, 7) AS repeat_purchases, \(measures) FROM lifetime_outcome AS o GROUP BY 1 ORDER BY 1")
    let grouping = CustomerGrouping(run)
    let byGroup = try await tx.result(
      """
      SELECT g.group_key AS "group", \(measures) FROM lifetime_outcome AS o JOIN analytics.customer_group(\(grouping.arguments)) AS g ON g.customer_id = o.customer_id
       GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100
      """)
    var writer = JSONWriter(capacity: 4_096)
    writer.beginObject()
    writer.writeMembers(total, 0)
    writer.key("by_repeat_purchases")
    writer.writeRows(byFrequency)
    writer.key("by_group")
    writer.writeRows(byGroup)
    writer.endObject()
    let measured = try JSONDecoder().decode(JSON.self, from: Data(writer.take())).object ?? [:]
    let result = fit.described(names: type.parameterNames).merging([
      "model": .string(run.method.rawValue), "unit": .string(run.unit.rawValue), "days": .double(days),
    ]) { $1 }
    return (population: try total[0].decode("customers"), result: .object(result.merging(measured) { $1 }))
  }
}
