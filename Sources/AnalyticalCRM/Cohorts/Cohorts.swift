import CRMCore
import PostgresClient

extension Concept {
  /// Customers by the month of their first purchase, and how many came back.
  static let cohorts = Concept(reads: [.cohorts, .cohortChart])
}

extension ReadOperation {
  static let cohorts = ReadOperation(
    "read_cohorts", "/v1/analytics/cohorts", tag: "analysis_runs", access: .read(.analytics), "Read how many customers of each month came back.",
    description:
      "A cohort is the customers whose first purchase was in that month of the time zone. In cell k: how many different ones bought in month + k, their share of the cohort, their "
      + "revenue, and that as a share of the cohort's revenue in month 0. Cells of months that have not begun before as_of are null; the month under way counts what is known, with complete false. "
      + "revenue_share is null where month 0 brought no revenue. Refused: nobody bought, several currencies without a choice, a missing rate, an as_of in the future.",
    input: PurchaseScope.self,
    answer: PurchaseAnswer.schema([
      "data": PurchaseAnswer.list([
        "cohort": AnswerField.text, "customers": AnswerField.count, "revenue": AnswerField.decimal,
        "cells": PurchaseAnswer.list([
          "month": AnswerField.count, "customers": AnswerField.optional(AnswerField.count), "customer_share": AnswerField.optional(AnswerField.number),
          "revenue": AnswerField.optional(AnswerField.decimal), "revenue_share": AnswerField.optional(AnswerField.number), "complete": AnswerField.flag,
        ]),
      ])
    ]), refusals: [422], reading: [.sales, .finance], extending: [.sales], lane: .reports,
    statements: { _, scope in
      [
        scope.currencies,
        """
        SELECT \(scope.heading(method: "'first_purchase_cohorts'", model: "'cohorts'")), coalesce(sum(c.size), 0)::bigint AS n,
               json_agg(json_build_object('cohort', to_char(c.cohort, 'YYYY-MM'), 'customers', c.size, 'revenue', c.revenue::text, 'cells', c.cells) ORDER BY c.cohort) AS data
          FROM (
            SELECT k.cohort, k.size, sum(k.revenue) AS revenue, json_agg(json_build_object('month', k.month, 'customers', k.customers, 'customer_share', k.customer_share,
                     'revenue', k.revenue::text, 'revenue_share', k.revenue_share, 'complete', k.complete) ORDER BY k.month) AS cells
              FROM analytics.cohorts(\(scope.arguments)) AS k GROUP BY k.cohort, k.size
          ) AS c
        """,
      ]
    }, respond: { _, results in try PurchaseAnswer.respond(results) })
}
