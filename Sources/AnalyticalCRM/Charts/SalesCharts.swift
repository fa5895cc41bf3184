import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Metrics as pictures.
  static let charts = Concept(reads: [.pipelineChart, .funnelChart])
}

/// Which pipeline a chart is of.
private struct PipelineChoice: OperationInput {
  let pipelineID: UUID?
  let currency: String

  init(_ fields: inout InputReader) {
    pipelineID = fields.optionalID("pipeline_id", "The pipeline; your department's default one when left out.")
    currency = fields.optionalText("currency", "Currency of the amounts; others are not shown. TRY when left out.", maximum: 3) ?? "TRY"
  }
}

private struct FunnelChoice: OperationInput {
  let pipelineID: UUID?
  let from, to: CalendarDate?

  init(_ fields: inout InputReader) {
    pipelineID = fields.optionalID("pipeline_id", "The pipeline; your department's default one when left out.")
    from = fields.optionalDay("from", "The first day; from the beginning when left out.")
    to = fields.optionalDay("to", "The last day; until today when left out.")
  }
}

extension Request {
  /// The pipeline that was asked for, or the caller's department's own.
  fileprivate func pipeline(_ id: UUID?) -> SQL {
    "coalesce(\(id), (SELECT s.pipeline_id FROM crm.stage AS s WHERE s.id = crm.default_stage(\(caller.departmentID))))"
  }
}

extension ReadOperation {
  static let pipelineChart = ReadOperation(
    "chart_pipeline", "/v1/charts/pipeline.svg", tag: "metrics", access: .read(.sales), "The open pipeline by stage, as a picture",
    description: "The metric open_pipeline, as far as you may see it. The same figures stand in the picture's description for those who cannot see it.",
    input: PipelineChoice.self, answer: svgAnswer, reading: [.sales, .customers, .products], lane: .reports,
    statements: { request, choice in
      [
        """
        SELECT s.stage, coalesce(v.value, 0) AS amount, coalesce(v.facts, 0) AS opportunities, \(choice.currency)::text AS currency
          FROM bi.pipeline_stages AS s
          LEFT JOIN bi.metric_values('open_pipeline', '0001-01-01', '9999-12-31', 'stage') AS v ON v.group_key = s.stage_id::text AND v.currency = \(choice.currency)
         WHERE s.pipeline_id = \(request.pipeline(choice.pipelineID)) ORDER BY s.position
        """
      ]
    },
    respond: { request, results in
      let bars = try results[0].rows.map { row in
        let amount = try row.decode(Decimal.self, "amount")
        let caption =
          "\(amount.written(in: request.language, decimals: 2)) \(try row.decode(String.self, "currency")) (\(try row.decode(Int.self, "opportunities")))"
        return BarChart.Bar(label: try row.decode("stage"), value: NSDecimalNumber(decimal: amount).doubleValue, caption: caption)
      }
      return picture(Phrase("Open pipeline", tr: "Açık fırsatlar"), bars, isFunnel: false, request.language)
    })

  static let funnelChart = ReadOperation(
    "chart_funnel", "/v1/charts/funnel.svg", tag: "metrics", access: .read(.sales), "How many opportunities reached each stage, as a picture",
    description: "The metric stage_entries, as far as you may see it.", input: FunnelChoice.self, answer: svgAnswer, reading: [.sales, .customers, .products],
    lane: .reports,
    statements: { request, choice in
      [
        """
        SELECT s.stage, coalesce(v.value, 0)::bigint AS opportunities
          FROM bi.pipeline_stages AS s
          LEFT JOIN bi.metric_values('stage_entries', coalesce(\(choice.from)::date, '0001-01-01'), coalesce(\(choice.to)::date, '9999-12-31'), 'stage') AS v
            ON v.group_key = s.stage_id::text
         WHERE s.pipeline_id = \(request.pipeline(choice.pipelineID)) ORDER BY s.position
        """
      ]
    },
    respond: { request, results in
      let counts = try results[0].rows.map { (stage: try $0.decode(String.self, "stage"), count: try $0.decode(Int.self, "opportunities")) }
      let most = max(counts.map(\.count).max() ?? 0, 1)
      let bars = counts.map { BarChart.Bar(label: $0.stage, value: Double($0.count), caption: "\($0.count) (%\($0.count * 100 / most))") }
      return picture(Phrase("Opportunities by stage reached", tr: "Ulaşılan aşamaya göre fırsatlar"), bars, isFunnel: true, request.language)
    })

  private static func picture(_ title: Phrase, _ bars: [BarChart.Bar], isFunnel: Bool, _ language: Language) -> Response {
    let chart = BarChart(
      title: title.text(in: language), bars: bars, empty: Phrase("There is nothing to show.", tr: "Gösterilecek bir şey yok."), language: language,
      isFunnel: isFunnel)
    return .picture(chart.svg())
  }
}
