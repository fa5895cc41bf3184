import CRMCore
import Foundation
import PostgresClient

private struct AccuracyQuestion: OperationInput {
  let from, to: CalendarDate
  let leadDays: Int
  let pipelineID: UUID?
  let currency: String?

  init(_ fields: inout InputReader) {
    let blank = CalendarDate(daysSince1970: 0)
    from = fields.optionalMonth("from", "The first month, such as 2026-01; required.") ?? blank
    to = fields.optionalMonth("to", "The last month; required.") ?? blank
    leadDays = fields.optionalInteger("lead_days", "How many days before the month's eve the forecast was made; 0, its eve, when left out.", in: 0...366) ?? 0
    pipelineID = fields.optionalID("pipeline_id", "Only this pipeline.")
    currency = fields.optionalText("convert_to", "Give all amounts in this currency, at the rate of the day.", maximum: 3)
    if from == blank { fields.refuse("from", code: "required", Phrase("from is required.", tr: "from zorunludur.")) }
    if to == blank { fields.refuse("to", code: "required", Phrase("to is required.", tr: "to zorunludur.")) }
    if from.daysSince1970 > to.daysSince1970 {
      fields.refuse("to", code: "range", Phrase("The last month lies before the first.", tr: "Son ay ilk aydan önce."))
    }
    if to.daysSince1970 - from.daysSince1970 > 3_660 { fields.refuse("to", code: "range", Phrase("Ask for ten years at most.", tr: "En fazla on yıl sorun.")) }
    // A month begins where the company is, three hours before it does in UTC.
    let now = Date()
    let ahead = TimeZone(identifier: "Europe/Istanbul")?.secondsFromGMT(for: now) ?? 10_800
    if to > CalendarDate(daysSince1970: (Int(now.timeIntervalSince1970) + ahead) / 86_400) {
      fields.refuse("to", code: "future", Phrase("Nothing is known of the future.", tr: "Gelecek bilinmez."))
    }
  }
}

extension ReadOperation {
  /// What forecasts said, what came, and how far apart they were.
  static let forecastAccuracy = ReadOperation(
    "read_forecast_accuracy", "/v1/analytics/forecast_accuracy", tag: "opportunities", access: .read(.analytics), "Read what forecasts said, and what came",
    description:
      "One row a month and currency. forecast: the weighted amounts of what stood open in the snapshot of the pipeline lead_days before the month's eve and was due in the month, plus what was "
      + "won in it by then; closed: what was won in the month, by what the snapshot foresaw and what it did not; error is forecast - closed. snapshot_on is the day written down: the one "
      + "asked for or the last before it; without any there is no forecast. wape is the sum of absolute errors over the sum closed, bias the sum of errors over it, by currency.",
    input: AccuracyQuestion.self,
    answer: (
      "application/json",
      MeasurementSchema.object(
        MeasurementSchema.head.merging([
          "data": MeasurementSchema.list(of: [
            "month": AnswerField.day, "snapshot_on": AnswerField.optional(AnswerField.day), "currency": MeasurementSchema.text,
            "opportunities": AnswerField.count,
            "weighted": AnswerField.decimal, "closed_before": AnswerField.decimal, "forecast": MeasurementSchema.money, "closed": AnswerField.decimal,
            "closed_of_snapshot": AnswerField.decimal, "closed_new": AnswerField.decimal, "error": MeasurementSchema.money,
            "percentage_error": MeasurementSchema.number,
          ]),
          "totals": MeasurementSchema.list(of: [
            "currency": MeasurementSchema.text, "months": AnswerField.count, "wape": MeasurementSchema.number, "bias": MeasurementSchema.number,
          ]),
        ]) { $1 })
    ),
    refusals: [409, 422], reading: [], extending: [.sales, .analytics], lane: .reports,
    statements: { _, question in
      [
        """
        SELECT f.month::text AS month, f.snapshot_on::text AS snapshot_on, f.currency, f.opportunities, f.weighted, f.closed_before, f.forecast, f.closed, f.closed_of_snapshot, f.closed_new,
               f.without_rate, now() AS as_of
          FROM analytics.forecast_accuracy(\(question.from), \(question.to), \(question.leadDays), \(question.pipelineID), \(question.currency), now()) f
         ORDER BY f.month, f.currency
        """
      ]
    },
    respond: { request, results in
      let question = try InputReader.read(AccuracyQuestion.self, from: request.query)
      if try results[0].rows.contains(where: { try $0.decode(Int.self, "without_rate") > 0 }) {
        throw Problem.noRate(to: question.currency)
      }
      var totals: [String: (months: Int, closed: Decimal, error: Decimal, absolute: Decimal)] = [:]
      var writer = JSONWriter(capacity: 4096)
      writer.beginObject()
      writer.head(
        method: "forecast_accuracy", asOf: try results[0].rows.first?.decode(Date.self, "as_of") ?? Date(),
        n: try results[0].rows.reduce(0) { $0 + (try $1.decode(Int.self, "opportunities")) })
      writer.key("data")
      writer.beginArray()
      for row in results[0].rows {
        let currency = try row.decode(String?.self, "currency")
        let (forecast, closed) = (try row.decode(Decimal?.self, "forecast"), try row.decode(Decimal.self, "closed"))
        let error = forecast.map { $0 - closed }
        if let error, let currency {
          let known = totals[currency] ?? (0, 0, 0, 0)
          totals[currency] = (known.months + 1, known.closed + closed, known.error + error, known.absolute + abs(error))
        }
        writer.beginObject()
        writer.member("month", try row.decode(String.self, "month"))
        writer.member("snapshot_on", try row.decode(String?.self, "snapshot_on"))
        writer.member("currency", currency)
        writer.member("opportunities", try row.decode(Int.self, "opportunities"))
        for name in ["weighted", "closed_before"] { writer.member(name, try row.decode(Decimal.self, name).cents) }
        writer.member("forecast", forecast?.cents)
        for name in ["closed", "closed_of_snapshot", "closed_new"] { writer.member(name, try row.decode(Decimal.self, name).cents) }
        writer.member("error", error?.cents)
        writer.member("percentage_error", error.flatMap { closed != 0 ? NSDecimalNumber(decimal: $0 / closed).doubleValue : nil })
        writer.endObject()
      }
      writer.endArray()
      writer.key("totals")
      writer.beginArray()
      for (currency, total) in totals.sorted(by: { $0.key < $1.key }) {
        writer.beginObject()
        writer.member("currency", currency)
        writer.member("months", total.months)
        writer.member("wape", total.closed != 0 ? NSDecimalNumber(decimal: total.absolute / total.closed).doubleValue : nil)
        writer.member("bias", total.closed != 0 ? NSDecimalNumber(decimal: total.error / total.closed).doubleValue : nil)
        writer.endObject()
      }
      writer.endArray()
      writer.endObject()
      return .json(writer.take())
    })
}
