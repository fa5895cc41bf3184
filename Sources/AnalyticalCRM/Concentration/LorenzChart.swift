import CRMCore
import Foundation
import PostgresClient

extension ReadOperation {
  static let lorenzChart = ReadOperation(
    "chart_lorenz", "/v1/charts/lorenz.svg", tag: "analysis_runs", access: .read(.analytics), "How concentrated revenue is, as a picture.",
    description:
      "The Lorenz curve and the Gini coefficient of read_concentration. The same figures stand in the picture's description for those who cannot see it.",
    input: PurchaseScope.self, answer: svgAnswer, refusals: [422], reading: [.sales, .finance], extending: [.sales], lane: .reports,
    statements: { _, scope in [scope.currencies, "SELECT c.gini, c.lorenz FROM analytics.concentration(\(scope.arguments)) AS c"] },
    respond: { request, results in
      _ = try PurchaseScope.currency(checking: results[0])
      let points = try results[1][0].decode(JSONText?.self, "lorenz").map { try JSONDecoder().decode([LorenzCurve.Point].self, from: Data($0.text.utf8)) }
      let title = Phrase("Concentration of revenue", tr: "Cironun yoğunlaşması")
      return .picture(
        LorenzCurve(title: title.text(in: request.language), points: points ?? [], gini: try results[1][0].decode("gini"), language: request.language).svg())
    })
}
