import CRMCore
import Foundation
import PostgresClient

private struct PhaseQuestion: OperationInput {
  let scope: MeasurementScope
  let from, to: CalendarDate

  init(_ fields: inout InputReader) {
    scope = MeasurementScope(&fields)
    from = fields.day("from", "The first day.")
    to = fields.day("to", "The last day.")
    if from.daysSince1970 > to.daysSince1970 {
      fields.refuse("to", code: "range", Phrase("The last day lies before the first.", tr: "Son gün ilk günden önce."))
    }
  }

  var since: SQL { "(\(from)::date::timestamp AT TIME ZONE \(scope.timeZone))" }
  var until: SQL { "least((\(to)::date + 1)::timestamp AT TIME ZONE \(scope.timeZone), \(scope.asOf)::timestamptz)" }

  /// The money, and the phases.
  var statements: [SQL] {
    let found: SQL = """
      (SELECT coalesce(array_agg(DISTINCT c.currency) FILTER (WHERE c.currency IS NOT NULL), '{}') FROM analytics.phase_cost(\(since), \(until), \(scope.departmentID)) c)
      """
    let currency: SQL = "coalesce(\(scope.currency), CASE WHEN cardinality(\(found)) = 1 THEN (\(found))[1] END)"
    return [
      "SELECT \(scope.asOf)::timestamptz AS as_of, \(found) AS currencies, \(currency) AS currency, 0 AS without_rate, \(since) < \(until) AS begun",
      """
      SELECT r.phase, r.at_start, r.entered, r.forward, r.leaked, r.at_end, r.dwell_mean, r.dwell_median, r.cost, r.new_customers, r.won_back, r.kept, r.without_rate
        FROM analytics.phase_report(\(since), \(until), \(currency), \(scope.departmentID)) AS r
      """,
    ]
  }
}

/// What it costs to win a customer, against what it costs to keep one.
struct WinningAndKeeping {
  /// What was spent on customers while in selection or acquisition, by those who came to buy, new or won back.
  let costOfWinning: Double?
  /// What was spent on customers while in retention or deepening, by those who were in them at the beginning and still at the end.
  let costOfKeeping: Double?

  init(spentOnWinning: Double, won: Int, spentOnKeeping: Double, kept: Int) {
    costOfWinning = won > 0 ? spentOnWinning / Double(won) : nil
    costOfKeeping = kept > 0 ? spentOnKeeping / Double(kept) : nil
  }

  /// How many times as much winning costs; null without anybody won or kept, and when keeping cost nothing.
  var ratio: Double? {
    guard let costOfWinning, let costOfKeeping, costOfKeeping > 0 else { return nil }
    return costOfWinning / costOfKeeping
  }
}

extension ReadOperation {
  /// Who is in which phase, who came and went, how long it took, what it cost.
  static let phaseReport = ReadOperation(
    "read_phases", "/v1/analytics/phases", tag: "customer_phases", access: .read(.analytics),
    "Read how customers went through the four phases, and what that cost",
    description:
      "conversion_rate and leak_rate: of those who were there at the start or came, who went forward and who back. dwell: days that stays lasted which ended in the time. cost: touches, campaigns' own cost "
      + "in equal parts to their members, activities by the service rates, service costs observed, by the phase the customer was in. cost_of_winning: cost in selection and acquisition a customer who came to buy, new "
      + "or won back; cost_of_keeping: cost in retention and deepening a customer who was there at the start and still at the end; ratio: the one by the other, the company's own; "
      + "null, with a note, where there is nobody to divide by. Refused (422): mixed-currencies, no-rate; (409) not-begun.",
    input: PhaseQuestion.self,
    answer: (
      "application/json",
      MeasurementSchema.object(
        MeasurementSchema.head.merging([
          "currency": MeasurementSchema.text, "won": AnswerField.count, "won_back": AnswerField.count, "kept": AnswerField.count,
          "cost_of_winning": MeasurementSchema.number, "cost_of_keeping": MeasurementSchema.number, "ratio": MeasurementSchema.number,
          "note": MeasurementSchema.text,
          "data": MeasurementSchema.list(of: [
            "phase": AnswerField.text, "name": AnswerField.text, "at_start": AnswerField.count, "entered": AnswerField.count, "forward": AnswerField.count,
            "leaked": AnswerField.count, "at_end": AnswerField.count, "conversion_rate": MeasurementSchema.number, "leak_rate": MeasurementSchema.number,
            "dwell_mean_days": MeasurementSchema.number, "dwell_median_days": MeasurementSchema.number, "cost": AnswerField.decimal,
          ]),
        ]) { $1 })
    ),
    refusals: [409, 422], reading: [], extending: [.customers, .sales, .marketing, .analytics], lane: .reports,
    statements: { _, question in question.statements },
    respond: { request, results in
      let question = try InputReader.read(PhaseQuestion.self, from: request.query)
      let (money, phases) = (results[0][0], results[1].rows)
      try mustHaveBegun(money)
      try question.scope.mustAddUp(money)
      if try phases.contains(where: { try $0.decode(Int.self, "without_rate") > 0 }) { throw Problem.noRate(to: question.scope.currency) }
      func sum(_ name: String, _ of: ClosedRange<Int>) throws -> Int { try of.reduce(0) { $0 + (try results[1][$1].decode(Int.self, name)) } }
      func cost(_ of: ClosedRange<Int>) throws -> Double { try of.reduce(0) { $0 + (try results[1][$1].decode(Double.self, "cost")) } }
      let (won, back, kept) = (try sum("new_customers", 2...3), try sum("won_back", 2...3), try sum("kept", 2...3))
      let worth = WinningAndKeeping(spentOnWinning: try cost(0...1), won: won + back, spentOnKeeping: try cost(2...3), kept: kept)
      var writer = JSONWriter(capacity: 2048)
      writer.beginObject()
      writer.head(method: "four_phases", asOf: try money.decode(Date.self, "as_of"), n: try sum("at_end", 0...3))
      writer.member("currency", try money.decode(String?.self, "currency"))
      writer.member("won", won)
      writer.member("won_back", back)
      writer.member("kept", kept)
      writer.member("cost_of_winning", worth.costOfWinning)
      writer.member("cost_of_keeping", worth.costOfKeeping)
      writer.member("ratio", worth.ratio)
      writer.member(
        "note",
        worth.ratio == nil
          ? Phrase(
            "There is no ratio: nobody was won or kept, or keeping cost nothing.",
            tr: "Oran yok: kimse kazanılmadı ya da korunmadı, ya da korumanın maliyeti yok."
          ).text(in: request.language) : nil)
      writer.key("data")
      writer.beginArray()
      for row in phases {
        let here = try row.decode(Int.self, "at_start") + row.decode(Int.self, "entered")
        writer.beginObject()
        let phase = try row.decode(Phase.self, "phase")
        writer.member("phase", phase.rawValue)
        writer.member("name", phase.name.text(in: request.language))
        for name in ["at_start", "entered", "forward", "leaked", "at_end"] { writer.member(name, try row.decode(Int.self, name)) }
        writer.member("conversion_rate", here > 0 ? Double(try row.decode(Int.self, "forward")) / Double(here) : nil)
        writer.member("leak_rate", here > 0 ? Double(try row.decode(Int.self, "leaked")) / Double(here) : nil)
        writer.member("dwell_mean_days", try row.decode(Double?.self, "dwell_mean"))
        writer.member("dwell_median_days", try row.decode(Double?.self, "dwell_median"))
        writer.member("cost", try row.decode(Decimal.self, "cost").cents)
        writer.endObject()
      }
      writer.endArray()
      writer.endObject()
      return .json(writer.take())
    })

  private static func mustHaveBegun(_ row: PostgresRow) throws {
    guard try row.decode(Bool.self, "begun") else {
      throw Problem(
        409, "not-begun", Phrase("This time had not begun then; there is nothing to tell.", tr: "Bu dönem o tarihte başlamamıştı; anlatılacak bir şey yok."))
    }
  }

  static let phaseChart = ReadOperation(
    "chart_phases", "/v1/charts/phases.svg", tag: "customer_phases", access: .read(.analytics), "How many customers are in each phase, as a picture",
    description: "At the end of the time, and in brackets the share that went forward in it.", input: PhaseQuestion.self, answer: svgAnswer, refusals: [409],
    reading: [],
    extending: [.customers, .sales, .marketing, .analytics], lane: .reports,
    statements: { _, question in question.statements },
    respond: { request, results in
      try mustHaveBegun(results[0][0])
      let bars = try results[1].rows.map { row in
        let (end, here) = (try row.decode(Int.self, "at_end"), try row.decode(Int.self, "at_start") + row.decode(Int.self, "entered"))
        let share = here > 0 ? " (%\(try row.decode(Int.self, "forward") * 100 / here))" : ""
        return BarChart.Bar(label: try row.decode(Phase.self, "phase").name.text(in: request.language), value: Double(end), caption: "\(end)\(share)")
      }
      return .picture(
        BarChart(
          title: Phrase("Customers by phase", tr: "Evrelere göre müşteriler").text(in: request.language), bars: bars,
          empty: Phrase("There is nothing to show.", tr: "Gösterilecek bir şey yok."),
          language: request.language, isFunnel: true
        ).svg())
    })
}
