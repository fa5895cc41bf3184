import CRMCore
import Foundation
import PostgresClient

extension ReadOperation {
  static let cohortChart = ReadOperation(
    "chart_cohorts", "/v1/charts/cohorts.svg", tag: "analysis_runs", access: .read(.analytics), "How many customers of each month came back, as a picture.",
    description: "The customer shares of read_cohorts. The same figures stand in the picture's description for those who cannot see it.",
    input: PurchaseScope.self,
    answer: svgAnswer, refusals: [422], reading: [.sales, .finance], extending: [.sales], lane: .reports,
    statements: { _, scope in
      [
        scope.currencies,
        """
        SELECT json_agg(json_build_object('cohort', to_char(c.cohort, 'YYYY-MM'), 'customers', c.size, 'cells', c.cells) ORDER BY c.cohort) AS data
          FROM (
            SELECT k.cohort, k.size, json_agg(json_build_object('month', k.month, 'customer_share', k.customer_share, 'complete', k.complete) ORDER BY k.month) AS cells
              FROM analytics.cohorts(\(scope.arguments)) AS k GROUP BY k.cohort, k.size
          ) AS c
        """,
      ]
    },
    respond: { request, results in
      _ = try PurchaseScope.currency(checking: results[0])
      let rows = try JSONDecoder().decode([CohortHeatMap.Row].self, from: Data(try results[1][0].decode(JSONText.self, "data").text.utf8))
      let title = Phrase("Customers who came back, by month of first purchase", tr: "İlk alışveriş ayına göre geri gelen müşteriler")
      return .picture(CohortHeatMap(title: title.text(in: request.language), rows: rows, language: request.language).svg())
    })
}
