import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Recency, frequency and monetary value of customers.
  static let rfm = Concept(operations: [.runRFM], reads: [.rfm, .rfmCustomers], jobs: [.rfm])
}

/// How values become scores from 1 to 5.
enum RFMScheme: String, CaseIterable {
  /// By cutpoints, so that equal values share a score.
  case cut
  /// By fifths of equal size.
  case ntile

  var method: String { "rfm_\(rawValue)" }
}

struct RFMQuestion: OperationInput {
  let scope: PurchaseScope
  let scheme: RFMScheme

  init(_ fields: inout InputReader) {
    scope = PurchaseScope(&fields)
    scheme =
      fields.optionalOption(
        "scheme",
        "cut (when left out): scores by cutpoints at 20, 40, 60 and 80 %, equal values share a score. ntile: fifths of equal size, ties by customer id.",
        of: RFMScheme.self) ?? .cut
  }

  /// The arguments of `analytics.rfm` and `analytics.rfm_summary`.
  var arguments: SQL { "\(scope.asOf), \(scheme.rawValue), \(scope.timeZone), \(scope.currency), \(scope.departmentID)" }

  init(_ run: AnalysisRun) {
    scope = PurchaseScope(run)
    scheme = run.parameters["scheme"]?.string.flatMap(RFMScheme.init(rawValue:)) ?? .cut
  }
}

extension ReadOperation {
  private static let cuts: JSON = ["type": "array", "items": AnswerField.number]

  static let rfm = ReadOperation(
    "read_rfm", "/v1/analytics/rfm", tag: "analysis_runs", access: .read(.analytics), "Score customers by recency, frequency and monetary value.",
    description:
      "Counts all customers who ever bought, also those you may not see: the answer has sums only. data has one row a cell that occurs (100 R + 10 F + M, 5 is best), "
      + "groups the seven named groups, of which everybody is in exactly one. cutpoints (scheme cut) are those of the negative of recency, because less is better there. "
      + "Refused: nobody bought, several currencies without a choice, a missing rate, an as_of in the future. Negative revenue counts like any other value. Rows of customers: run_rfm, then list_rfm_customers.",
    input: RFMQuestion.self,
    answer: PurchaseAnswer.schema([
      "scheme": AnswerField.text, "revenue": AnswerField.decimal,
      "cutpoints": [
        "type": ["object", "null"], "required": ["negative_recency_days", "orders", "revenue"],
        "properties": ["negative_recency_days": cuts, "orders": cuts, "revenue": cuts],
      ],
      "groups": PurchaseAnswer.list([
        "name": AnswerField.text, "label_en": AnswerField.text, "label_tr": AnswerField.text, "rule": AnswerField.text, "customers": AnswerField.count,
        "revenue": AnswerField.decimal,
        "customer_share": AnswerField.number, "revenue_share": AnswerField.optional(AnswerField.number),
      ]),
      "data": PurchaseAnswer.list([
        "cell": AnswerField.count, "recency_score": AnswerField.count, "frequency_score": AnswerField.count, "monetary_score": AnswerField.count,
        "group": AnswerField.text,
        "customers": AnswerField.count, "revenue": AnswerField.decimal,
      ]),
    ]), refusals: [422], reading: [.sales, .finance], extending: [.sales], lane: .reports,
    statements: { _, question in
      [
        question.scope.currencies,
        """
        SELECT \(question.scope.heading(method: "\(question.scheme.method)::text", model: "'rfm'")), s.customers AS n, \(question.scheme.rawValue)::text AS scheme, s.revenue, s.cutpoints,
               s.groups, s.cells AS data
          FROM analytics.rfm_summary(\(question.arguments)) AS s
        """,
      ]
    }, respond: { _, results in try PurchaseAnswer.respond(results) })
}
