import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// To which touches success is laid, by every rule side by side.
  static let attribution = Concept(reads: [.attributionReport])
}

/// What touches are to have led to.
enum AttributedSuccess: String, CaseIterable {
  case orders, invoices
}

private struct AttributionQuestion: OperationInput {
  enum Step: String, CaseIterable {
    case channel, campaign
  }

  let scope: MeasurementScope
  let from, to: CalendarDate
  let success: AttributedSuccess
  let step: Step
  let windowDays: Int
  let halfLifeDays: Double

  init(_ fields: inout InputReader) {
    scope = MeasurementScope(&fields)
    from = fields.day("from", "The first day of the successes.")
    to = fields.day("to", "The last day of the successes.")
    success =
      fields.optionalOption("of", "What is laid to touches: orders (the default) or invoices, whose sum is the turnover.", of: AttributedSuccess.self)
      ?? .orders
    step = fields.optionalOption("by", "Whether success is laid to channels (the default) or to campaigns.", of: Step.self) ?? .channel
    windowDays = fields.optionalInteger("window_days", "How many days before a success a touch still counts; 30 when left out.", in: 1...730) ?? 30
    halfLifeDays =
      fields.optionalDecimal("half_life_days", "For decay: after how many days a touch counts half as much; 7 when left out.", scale: 4, in: 0.01...3650)
      .map { NSDecimalNumber(decimal: $0).doubleValue } ?? 7
    if from.daysSince1970 > to.daysSince1970 {
      fields.refuse("to", code: "range", Phrase("The last day lies before the first.", tr: "Son gün ilk günden önce."))
    }
  }

  var since: SQL { "(\(from)::date::timestamp AT TIME ZONE \(scope.timeZone))" }
  var until: SQL { "least((\(to)::date + 1)::timestamp AT TIME ZONE \(scope.timeZone), \(scope.asOf)::timestamptz)" }
  /// The currency to count in; null when several occur and none was asked for.
  var currency: SQL {
    "coalesce(\(scope.currency), (SELECT min(x.currency) FROM analytics.success(\(success.rawValue), \(since), \(until), \(scope.departmentID)) x HAVING count(DISTINCT x.currency) = 1))"
  }
  var steps: SQL {
    """
    analytics.journey_step(\(success.rawValue), \(since), \(until), \(windowDays), \(halfLifeDays), \(step == .campaign), \(currency), \(scope.departmentID))
    """
  }
}

/// One rule's division of the revenue.
private struct Division {
  let name: String
  let cents: [Int]
}

extension ReadOperation {
  /// Revenue laid to channels or campaigns by seven rules side by side, each adding up to the same total to the cent.
  static let attributionReport = ReadOperation(
    "read_attribution", "/v1/analytics/attribution", tag: "campaigns", access: .read(.analytics), "Read to which touches revenue is laid, by every rule",
    description:
      "Successes are purchases (orders) or issued invoices less credit notes (invoices: their sum is the turnover without VAT); each is laid to the touches that arrived "
      + "within window_days before it, as far as you may see them: all to the first, all to the last, equally (linear), half as much for each half_life_days before the last touch (decay), "
      + "40/20/40 to first, middle and last (position), by the removal effects of a Markov chain of first order (markov), by Shapley's value (shapley). "
      + "Revenue without any touch is in unattributed; data and unattributed add up to total to the cent, by the largest remainder. In the chain every success with "
      + "touches is a conversion, and a customer's touches that led to none are one journey to nothing. Refused (422): mixed-currencies, no-rate.",
    input: AttributionQuestion.self,
    answer: (
      "application/json",
      MeasurementSchema.object(
        MeasurementSchema.head.merging([
          "of": AnswerField.text, "by": AnswerField.text, "currency": MeasurementSchema.text, "total": AnswerField.decimal, "attributed": AnswerField.decimal,
          "unattributed": AnswerField.decimal, "successes": AnswerField.count, "with_touches": AnswerField.count,
          "data": MeasurementSchema.list(of: [
            "step": AnswerField.text, "touches": AnswerField.count, "successes": AnswerField.count, "removal_effect": AnswerField.number,
            "first": AnswerField.decimal, "last": AnswerField.decimal, "linear": AnswerField.decimal, "decay": AnswerField.decimal,
            "position": AnswerField.decimal,
            "markov": AnswerField.decimal, "shapley": AnswerField.decimal,
          ]),
        ]) { $1 })
    ),
    refusals: [409, 422], reading: [.marketing], extending: [.sales, .finance, .customers, .analytics], lane: .reports,
    statements: { _, question in
      [
        """
        SELECT \(question.scope.asOf)::timestamptz AS as_of, \(question.currency) AS currency, coalesce(array_agg(DISTINCT s.currency) FILTER (WHERE s.currency IS NOT NULL), '{}') AS currencies,
               count(*) AS successes, coalesce(round(sum(c.amount), 2), 0) AS total, count(*) FILTER (WHERE s.amount <> 0 AND c.amount IS NULL) AS without_rate
          FROM analytics.success(\(question.success.rawValue), \(question.since), \(question.until), \(question.scope.departmentID)) s
          CROSS JOIN LATERAL (SELECT crm.convert(s.amount, s.currency, \(question.currency), (s.at AT TIME ZONE 'UTC')::date) AS amount) c
        """,
        """
        SELECT j.step, count(*) AS touches, count(DISTINCT j.success_id) AS successes,
               coalesce(sum(j.amount) FILTER (WHERE j.place = 1), 0)::float8 AS first, coalesce(sum(j.amount) FILTER (WHERE j.place = j.steps), 0)::float8 AS last,
               coalesce(sum(j.amount / j.steps), 0)::float8 AS linear, coalesce(sum(j.amount::float8 * j.decay), 0) AS decay,
               coalesce(sum(j.amount * CASE WHEN j.steps = 1 THEN 1 WHEN j.steps = 2 THEN 0.5 WHEN j.place IN (1, j.steps) THEN 0.4 ELSE 0.2 / (j.steps - 2) END), 0)::float8 AS position
          FROM \(question.steps) j GROUP BY j.step ORDER BY j.step
        """,
        """
        SELECT p.path, count(*) AS successes, round(sum(p.amount), 10) AS amount
          FROM (SELECT array_agg(DISTINCT j.step ORDER BY j.step) AS path, min(j.amount) AS amount FROM \(question.steps) j GROUP BY j.customer_id, j.success_id) p
         GROUP BY p.path ORDER BY p.path
        """,
        """
        WITH led AS MATERIALIZED (
          SELECT j.customer_id, j.success_id, j.step, j.place, j.steps, lag(j.step) OVER (PARTITION BY j.customer_id, j.success_id ORDER BY j.place) AS before FROM \(question.steps) j
        ), lost AS (
          SELECT t.customer_id, t.id, t.step, row_number() OVER w AS place, count(*) OVER (PARTITION BY t.customer_id) AS steps, lag(t.step) OVER w AS before
            FROM (
              SELECT t.customer_id, t.id, t.touched_at, CASE WHEN \(question.step == .campaign) THEN c.code ELSE t.channel END AS step
                FROM crm.campaign_touch t JOIN crm.campaign c ON c.id = t.campaign_id
               WHERE t.delivered AND t.touched_at < \(question.until) AND t.touched_at > \(question.since) - make_interval(days => \(question.windowDays))
                 AND NOT EXISTS (
                   SELECT FROM analytics.success(\(question.success.rawValue), \(question.since), \(question.until), \(question.scope.departmentID)) s
                    WHERE s.customer_id = t.customer_id AND s.at >= t.touched_at AND s.at < t.touched_at + make_interval(days => \(question.windowDays)))
            ) t WINDOW w AS (PARTITION BY t.customer_id ORDER BY t.touched_at, t.id)
        )
        SELECT x.origin, x.target, x.ending, count(*) AS steps FROM (
          SELECT l.before AS origin, l.step AS target, 'step' AS ending FROM led l
          UNION ALL SELECT l.step, NULL, 'success' FROM led l WHERE l.place = l.steps
          UNION ALL SELECT l.before, l.step, 'step' FROM lost l
          UNION ALL SELECT l.step, NULL, 'nothing' FROM lost l WHERE l.place = l.steps
        ) x GROUP BY x.origin, x.target, x.ending
        """,
      ]
    },
    respond: { request, results in
      let question = try InputReader.read(AttributionQuestion.self, from: request.query)
      let summary = results[0][0]
      try question.scope.mustAddUp(summary)
      let total = try summary.decode(Decimal.self, "total")
      let coalitions = try results[2].rows.map {
        (path: try $0.decode([String].self, "path"), successes: try $0.decode(Int.self, "successes"), amount: try $0.decode(Decimal.self, "amount"))
      }
      let attributed = coalitions.reduce(Decimal(0)) { $0 + $1.amount }
      let names = try attributionSteps(results)
      let index = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($0.element, $0.offset) })
      let cents = attributed.inCents
      var weights: [(name: String, values: [Double])] = []
      for rule in ["first", "last", "linear", "decay", "position"] {
        var values = [Double](repeating: 0, count: names.count)
        for row in results[1].rows { if let place = index[try row.decode(String.self, "step")] { values[place] = try row.decode(Double.self, rule) } }
        weights.append((rule, values))
      }
      let effects = MarkovChain(channels: names.count, counts: try transitions(results[3], index)).removalEffects()
      weights.append(("markov", effects))
      weights.append(
        (
          "shapley",
          ShapleyValue.values(
            channels: names.count, journeys: coalitions.map { (Set($0.path.compactMap { index[$0] }), NSDecimalNumber(decimal: $0.amount).doubleValue) })
        ))
      let divisions = weights.map { rule in
        Division(name: rule.name, cents: Apportionment.divide(cents, by: rule.values) ?? Apportionment.divide(cents, by: rule.values.map { _ in 1 }) ?? [])
      }
      var reached: [String: (touches: Int, successes: Int)] = [:]
      for row in results[1].rows { reached[try row.decode("step")] = (try row.decode("touches"), try row.decode("successes")) }
      var writer = JSONWriter(capacity: 4096)
      writer.beginObject()
      writer.head(method: "attribution", asOf: try summary.decode(Date.self, "as_of"), n: try summary.decode(Int.self, "successes"))
      writer.member("of", question.success.rawValue)
      writer.member("by", question.step.rawValue)
      writer.member("currency", try summary.decode(String?.self, "currency"))
      writer.member("total", total.cents)
      writer.member("attributed", attributed.cents)
      writer.member("unattributed", (total - Decimal(cents) / 100).cents)
      writer.member("successes", try summary.decode(Int.self, "successes"))
      writer.member("with_touches", coalitions.reduce(0) { $0 + $1.successes })
      writer.key("data")
      writer.beginArray()
      for (place, name) in names.enumerated() {
        writer.beginObject()
        writer.member("step", name)
        writer.member("touches", reached[name]?.touches ?? 0)
        writer.member("successes", reached[name]?.successes ?? 0)
        writer.member("removal_effect", effects[place])
        for division in divisions { writer.member(division.name, (Decimal(division.cents[place]) / 100).cents) }
        writer.endObject()
      }
      writer.endArray()
      writer.endObject()
      return .json(writer.take())
    })
}

/// Every channel or campaign that a touch came by, also those that led to nothing, in the order of their names.
private func attributionSteps(_ results: [PostgresResult]) throws -> [String] {
  var names: Set<String> = []
  for row in results[1].rows { names.insert(try row.decode("step")) }
  for row in results[3].rows { if let name = try row.decode(String?.self, "target") { names.insert(name) } }
  return names.sorted()
}

private func transitions(_ result: PostgresResult, _ index: [String: Int]) throws -> [(from: MarkovChain.State, to: MarkovChain.State, count: Double)] {
  try result.rows.compactMap { row in
    let origin = try row.decode(String?.self, "origin")
    let target: MarkovChain.State?
    switch try row.decode(String.self, "ending") {
    case "success": target = .conversion
    case "nothing": target = .nothing
    default: target = try row.decode(String?.self, "target").flatMap { index[$0] }.map(MarkovChain.State.channel)
    }
    let from: MarkovChain.State? = if let origin { index[origin].map(MarkovChain.State.channel) } else { .start }
    guard let from, let target else { return nil }
    return (from, target, Double(try row.decode(Int.self, "steps")))
  }
}

extension Decimal {
  /// A hundred times as much, rounded half away from zero.
  fileprivate var inCents: Int {
    var rounded = Decimal()
    var value = self * 100
    NSDecimalRound(&rounded, &value, 0, .plain)
    return NSDecimalNumber(decimal: rounded).intValue
  }
}
