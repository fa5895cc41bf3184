import CRMCore
import Foundation
import PostgresClient

private struct PyramidPictureChoice: OperationInput {
  let model: String?
  let runID: UUID?

  init(_ fields: inout InputReader) {
    model = fields.optionalText("model", "Code of the value model; the default one when left out.", maximum: 63)
    runID = fields.optionalID("run_id", "A run; the model's last one when left out.")
  }
}

private struct MigrationPictureChoice: OperationInput {
  let from, to: UUID

  init(_ fields: inout InputReader) {
    from = fields.id("from", "The earlier run of a value model.")
    to = fields.id("to", "The later run of the same model.")
  }
}

extension ReadOperation {
  private static let nothing = Phrase("There is nothing to show.", tr: "Gösterilecek bir şey yok.")

  static let pyramidChart = ReadOperation(
    "chart_pyramid", "/v1/charts/pyramid.svg", tag: "metrics", access: .read(.analytics), "The customer pyramid, as a picture",
    description:
      "The tiers of a run of a value model with customers, revenue and its share. The same figures stand in the picture's description for those who cannot see it. "
      + "The widths go with the logarithm of the customers from the top.",
    input: PyramidPictureChoice.self, answer: svgAnswer, reading: [.analytics], lane: .reports,
    statements: { request, choice in
      let run: SQL = """
        (SELECT x.id FROM crm.analysis_run AS x WHERE x.kind = 'value' AND x.status = 'done'
            AND x.id = coalesce(\(choice.runID)::uuid, analytics.last_run(analytics.value_model(\(choice.model)::text, \(request.caller.departmentID)::uuid, crm.business_day(now())))))
        """
      return [.valueHead(of: run), .pyramid(of: run, isTurkish: request.language == .turkish)]
    },
    respond: { request, results in
      let language = request.language
      let currency = results[0].count == 1 ? try results[0][0].decode(String?.self, "currency") ?? "" : ""
      let layers = try results[1].rows.compactMap { row -> PyramidChart.Layer? in
        guard !(try row.decode(Bool.self, "outside")) else { return nil }
        let customers = try row.decode(Int.self, "customers")
        let share = Decimal(100 * (try row.decode(Double?.self, "revenue_share") ?? 0)).written(in: language, decimals: 1)
        let revenue = try row.decode(Decimal.self, "revenue").written(in: language, decimals: 2)
        let count = Decimal(customers).written(in: language, decimals: 0)
        let caption =
          language == .turkish ? "\(count) müşteri, \(revenue) \(currency) ciro (%\(share))" : "\(count) customers, \(revenue) \(currency) revenue (\(share) %)"
        return .init(label: try row.decode("label"), customers: customers, caption: caption)
      }
      let chart = PyramidChart(
        title: Phrase("Customer pyramid", tr: "Müşteri piramidi").text(in: language), layers: layers, empty: nothing, language: language)
      return .picture(chart.svg())
    })

  static let migrationChart = ReadOperation(
    "chart_migration", "/v1/charts/migration.svg", tag: "metrics", access: .read(.analytics), "How customers moved between tiers, as a picture",
    description: "The migration matrix of two runs of a value model; darker the more customers. The same figures stand in the picture's description.",
    input: MigrationPictureChoice.self, answer: svgAnswer, reading: [.analytics], lane: .reports,
    statements: { _, choice in
      let from: SQL = "(SELECT x.id FROM crm.analysis_run AS x WHERE x.kind = 'value' AND x.status = 'done' AND x.id = \(choice.from))"
      let to: SQL = """
        (SELECT x.id FROM crm.analysis_run AS x JOIN crm.analysis_run AS y ON y.id = \(choice.from) AND y.subject_id = x.subject_id
          WHERE x.kind = 'value' AND x.status = 'done' AND x.id = \(choice.to))
        """
      return [
        "SELECT 1 WHERE \(from) IS NOT NULL AND \(to) IS NOT NULL",
        """
        SELECT m.from_tier, m.to_tier, count(*) AS customers FROM (\(SQL.migration(from: from, to: to))) AS m
         GROUP BY m.from_tier, m.to_tier, m.from_place, m.to_place ORDER BY m.from_place, m.to_place
        """,
        "SELECT t.tier FROM crm.value_run_tier AS t WHERE t.run_id = \(to) AND t.place <= 20 ORDER BY t.place",
      ]
    },
    respond: { request, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      let tiers = try results[2].rows.map { try $0.decode(String.self, "tier") }
      let (rows, columns) = (tiers + ["new"], tiers + ["lost"])
      var cells = rows.map { _ in columns.map { _ in Int?.none } }
      for row in results[1].rows {
        guard let from = rows.firstIndex(of: try row.decode("from_tier")), let to = columns.firstIndex(of: try row.decode("to_tier")) else { continue }
        cells[from][to] = try row.decode("customers")
      }
      let chart = MatrixChart(
        title: Phrase("Migration between tiers", tr: "Kademeler arası geçiş").text(in: request.language), rows: rows, columns: columns, cells: cells,
        rowTitle: Phrase("from", tr: "nereden").text(in: request.language), columnTitle: Phrase("to", tr: "nereye").text(in: request.language), empty: nothing,
        language: request.language)
      return .picture(chart.svg())
    })
}
