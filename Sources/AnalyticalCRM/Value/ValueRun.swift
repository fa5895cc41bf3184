import CRMCore
import Foundation
import PostgresClient

/// What a run needs to know of its model.
private struct ValueModelSettings: RowDecodable {
  let windowDays, activeDays: Int?
  let currency: String?
  let timeZone: String
  let stayDays: Int
  let stayMargin: Double
  let department: UUID?
  let pyramid: UUID

  init(row: PostgresRow) throws {
    windowDays = try row.decode("window_days")
    activeDays = try row.decode("active_days")
    currency = try row.decode("currency")
    timeZone = try row.decode("time_zone")
    stayDays = try row.decode("stay_days")
    stayMargin = try row.decode("stay_margin")
    department = try row.decode("department_id")
    pyramid = try row.decode("pyramid_id")
  }
}

/// Computes a value model for everybody.
enum ValueRun {
  /// The method's name, as docs/methods.md has it.
  static let method = "weighted value keys"

  static func compute(_ run: AnalysisRun, _ tx: PostgresTransaction, _ progress: AnalysisProgress) async throws -> (population: Int, result: JSON) {
    guard let model = run.subjectID,
      let settings = try await tx.first(
        ValueModelSettings.self,
        "SELECT window_days, active_days, currency, time_zone, stay_days, stay_margin, department_id, pyramid_id FROM crm.value_model WHERE id = \(model)")
    else { throw HopelessJob("there is no such value model") }
    let keys = try await tx.all(
      ValueKey.self,
      "SELECT place, metric, coefficient, normalisation, direction, cap, missing, window_days, level FROM crm.value_key WHERE model_id = \(model) ORDER BY place"
    )
    guard keys.contains(where: { $0.coefficient > 0 }) else { throw noKeys }
    let currency = try await currency(settings, run.asOf, tx)

    _ = try await tx.results(ValueScoring.prepare)
    try await tx.run(
      ValueMeasuring(
        asOf: run.asOf, department: settings.department, currency: currency, timeZone: settings.timeZone, windowDays: settings.windowDays,
        activeDays: settings.activeDays, keys: keys
      ).statement())
    let population = try await tx.value(Int.self, "SELECT count(*) FROM pg_temp.value_measured")
    try refuse(population)
    try await tx.run("ANALYZE pg_temp.value_measured")
    try await progress.reached(40)

    let scoring = ValueScoring(run: run.id, model: model, keys: keys, bands: try await bands(settings.pyramid, population, tx))
    try await tx.run(scoring.storeKeys(windowDays: settings.windowDays))
    for key in keys where key.normalisation == .percentRank { try await tx.run(scoring.storeScale(key)) }
    try await progress.reached(55)
    try await tx.run(scoring.storeValues())
    for statement in scoring.storeScoreScale() { try await tx.run(statement) }
    try await tx.run(scoring.storeBounds())
    if settings.stayDays > 0 || settings.stayMargin > 0 {
      try await tx.run(scoring.settle(asOf: run.asOf, stayDays: settings.stayDays, stayMargin: settings.stayMargin))
    }
    try await tx.run(scoring.fillTiers())
    try await tx.run(scoring.countOthers(asOf: run.asOf, department: settings.department))
    try await progress.reached(80)

    let standing = ValueStanding(run: run.id, model: model, asOf: run.asOf)
    let isLatest = try await tx.value(Bool.self, standing.isLatest)
    if isLatest { for statement in standing.statements { try await tx.run(statement) } }
    let notes = try await notes(run.id, tx)
    return (population, ["currency": .string(currency), "notes": .array(notes), "moved_standings": .bool(isLatest)])
  }

  private static let noKeys = Problem(
    422, "no-keys", Phrase("The value model has no key with a coefficient above 0.", tr: "Değer modelinde katsayısı 0'dan büyük bir anahtar yok."))

  private static func refuse(_ population: Int) throws(Problem) {
    if population == 0 {
      throw Problem(
        422, "empty-population",
        Phrase(
          "No customer bought in the time the model looks at, so there is nothing to compare.",
          tr: "Modelin baktığı sürede alışveriş yapan müşteri yok; karşılaştıracak bir şey yok."))
    }
    if population == 1 {
      throw Problem(
        422, "single-customer",
        Phrase(
          "Only one customer bought in the time the model looks at; a value needs others to compare with.",
          tr: "Modelin baktığı sürede yalnızca bir müşteri alışveriş yapmış; değer için karşılaştırılacak başkaları gerekir."))
    }
  }

  /// The currency amounts are compared in: the model's, or the only one that occurs.
  private static func currency(_ settings: ValueModelSettings, _ asOf: Date, _ tx: PostgresTransaction) async throws -> String {
    let found = try await tx.result("SELECT c.currency FROM analytics.currencies(\(asOf)::timestamptz, \(settings.department)::uuid) AS c ORDER BY c.currency")
      .rows.map {
        try $0.decode(String.self, at: 0)
      }
    guard let wanted = settings.currency else {
      if found.count > 1 { throw Problem.mixedCurrencies(found) }
      guard let only = found.first else {
        try refuse(0)
        return "TRY"
      }
      return only
    }
    let others = found.filter { $0 != wanted }
    if !others.isEmpty {
      let missing = try await tx.result(
        """
        SELECT g.currency, g.day::text FROM (
          SELECT DISTINCT p.currency, (p.ordered_at AT TIME ZONE 'UTC')::date AS day FROM analytics.purchase AS p
           WHERE p.currency = ANY (\(others)) AND p.ordered_at < \(asOf)::timestamptz AND (\(settings.department)::uuid IS NULL OR p.department_id = \(settings.department)::uuid)) AS g
         WHERE crm.rate_on(g.currency, \(wanted), g.day) IS NULL ORDER BY g.day, g.currency LIMIT 1
        """)
      if let first = missing.rows.first {
        let (from, day) = (try first.decode(String.self, at: 0), try first.decode(String.self, at: 1))
        throw Problem.noRate(to: wanted, ["\(from) → \(wanted) (\(day))"])
      }
    }
    return wanted
  }

  private static func bands(_ pyramid: UUID, _ population: Int, _ tx: PostgresTransaction) async throws -> PyramidBands {
    let rows = try await tx.result(
      """
      SELECT p.cut, p.loss_apart, b.code, CASE p.cut WHEN 'rank' THEN ceil(b.bound::numeric * \(population)::bigint)::double precision ELSE b.bound END AS bound
        FROM crm.pyramid AS p JOIN crm.pyramid_band AS b ON b.pyramid_id = p.id WHERE p.id = \(pyramid) ORDER BY b.place
      """
    ).rows
    guard let first = rows.first else {
      throw Problem(422, "no-bands", Phrase("The model's pyramid has no bands.", tr: "Modelin piramidinin dilimi yok."))
    }
    return PyramidBands(
      byRank: try first.decode(String.self, "cut") == "rank", lossApart: try first.decode(Bool.self, "loss_apart"),
      codes: try rows.map { try $0.decode("code") },
      bounds: try rows.map { try $0.decode("bound") })
  }

  /// What somebody who reads the values should know.
  private static func notes(_ run: UUID, _ tx: PostgresTransaction) async throws -> [JSON] {
    try await tx.result(
      """
      SELECT k.metric, k.measured FROM crm.value_run_key AS k
       WHERE k.run_id = \(run) AND k.place > 0 AND (k.measured < 2 OR NOT k.maximum > k.minimum) ORDER BY k.place
      """
    ).rows.map { row in
      let metric = try row.decode(String.self, "metric")
      return [
        "key": .string(metric), "code": "constant-key", "en": .string("All customers have the same \(metric), so it adds nothing to anybody's value."),
        "tr": .string("Bütün müşterilerde \(metric) aynı; kimsenin değerine bir şey katmıyor."),
      ]
    }
  }
}

extension JobHandler {
  static let valueRun = JobHandler.analysis("value", deadline: 1_800, compute: ValueRun.compute)

  /// Asks for a run of every active model that is valid today, and forgets what no longer needs to be kept of old runs: each customer's values older than five weeks
  /// stay for the last run of a month only. Tiers and totals stay for ever.
  static let nightlyValues = JobHandler("value.nightly") { lease in
    try await lease.complete(as: .system("ask for the nightly values"), deadline: .after(.seconds(300))) { tx in
      let models = try await tx.result(
        """
        SELECT DISTINCT ON (v.code, v.department_id) v.id, v.revision, v.department_id FROM crm.value_model AS v
         WHERE v.active AND crm.business_day(now()) BETWEEN v.valid_from AND coalesce(v.valid_until, 'infinity') ORDER BY v.code, v.department_id, v.revision DESC
        """)
      for row in models.rows {
        _ = try await AnalysisRun.request(
          kind: "value", subject: try row.decode("id"), method: ValueRun.method, modelVersion: try row.decode("revision"), asOf: nil,
          department: try row.decode("department_id"), in: tx)
      }
      let old: SQL = """
        (SELECT r.id FROM crm.analysis_run AS r WHERE r.kind = 'value' AND r.status = 'done' AND r.as_of < now() - interval '35 days'
            AND EXISTS (SELECT FROM crm.analysis_run AS x WHERE x.kind = 'value' AND x.status = 'done' AND x.subject_id = r.subject_id AND (x.as_of, x.id) > (r.as_of, r.id)
              AND date_trunc('month', x.as_of) = date_trunc('month', r.as_of)))
        """
      try await tx.run("DELETE FROM crm.customer_value WHERE run_id IN \(old)")
      try await tx.run("DELETE FROM crm.value_scale WHERE run_id IN \(old)")
    }
  }

  /// Scores those again, on the scale of a run, who were scored as of a later instant while it was computed.
  static let valuesMissed = JobHandler("value.missed") { lease in
    guard let run = lease.job.payload["run_id"]?.string.flatMap(UUID.init(uuidString:)) else { throw HopelessJob("run_id is not an id") }
    try await lease.complete(as: .system("score again who was scored during a run"), deadline: .after(.seconds(300))) { tx in
      _ = try await tx.run(
        """
        SELECT crm.refresh_standing(array_agg(s.customer_id)) FROM crm.customer_standing AS s JOIN crm.analysis_run AS r ON r.id = \(run) AND s.model_id = r.subject_id
         WHERE s.run_id <> r.id AND s.as_of > r.as_of HAVING count(*) > 0
        """)
    }
  }
}

extension Schedule {
  /// Every night: at midnight UTC, which is three in the morning in Türkiye.
  static let nightlyValues = Schedule("nightly_values", kind: "value.nightly", .every(.seconds(86_400)))
}
