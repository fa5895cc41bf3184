import CRMCore
import Foundation
import PostgresClient

extension BusinessOperation {
  /// Asks for scores that stay: for segments, BI, and rows of customers.
  static let runRFM = BusinessOperation(
    "run_rfm", .post, "/v1/analytics/rfm/runs", of: "analysis_runs", access: .write(.analytics), "Score all customers by RFM and keep the scores.",
    description: "A worker computes it; the run shows progress, what came out, or why it failed. The rows of the latest twelve runs are kept.",
    input: RFMQuestion.self,
    answer: .record("analysis_runs", status: 202)
  ) { run, question in
    .record(
      try await AnalysisRun.request(
        kind: "rfm", method: question.scheme.method, asOf: question.scope.asOf,
        parameters: .object(question.scope.parameters.merging(["scheme": .string(question.scheme.rawValue)]) { $1 }), department: question.scope.departmentID,
        in: run.tx))
  }
}

extension JobHandler {
  static let rfm = JobHandler.analysis("rfm") { run, tx, _ in
    let question = RFMQuestion(run)
    let currency = try PurchaseScope.currency(checking: await tx.result(question.scope.currencies))
    try await tx.run(
      """
      INSERT INTO crm.customer_rfm (run_id, customer_id, last_purchase_at, recency_days, orders, revenue, currency, recency_score, frequency_score, monetary_score, cell, rfm_group)
      SELECT \(run.id), r.customer_id, r.last_purchase_at, r.recency_days, r.orders, r.revenue, \(currency), r.recency_score, r.frequency_score, r.monetary_score, r.cell, r.rfm_group
        FROM analytics.rfm(\(question.arguments)) AS r
      """)
    let summary = try await tx.result("SELECT s.customers, s.revenue, s.cutpoints, s.groups, s.cells FROM analytics.rfm_summary(\(question.arguments)) AS s")
    // The rows of older runs go; what they came to stays in the runs.
    try await tx.run(
      """
      DELETE FROM crm.customer_rfm WHERE run_id IN (
        SELECT a.id FROM crm.analysis_run AS a WHERE a.kind = 'rfm' AND a.status = 'done' AND a.department_id IS NOT DISTINCT FROM \(run.departmentID)
         ORDER BY a.finished_at DESC OFFSET 11)
      """)
    var writer = JSONWriter(capacity: 4096)
    writer.beginObject()
    writer.key("currency")
    writer.string(currency)
    writer.writeMembers(summary, 0)
    writer.endObject()
    return (population: try summary[0].decode(Int.self, "customers"), result: try JSONDecoder().decode(JSON.self, from: Data(writer.take())))
  }
}

struct RFMCustomers: OperationInput {
  let runID: UUID?
  let cell: Int?
  let group: String?
  let after: UUID?
  let limit: Int

  init(_ fields: inout InputReader) {
    runID = fields.optionalID("run_id", "The run; the last one of the whole company when left out.")
    cell = fields.optionalInteger("cell", "Only this cell, 100 R + 10 F + M.", in: 111...555)
    group = fields.optionalText("group", "Only this named group.", maximum: 30)
    after = fields.optionalID("after", "The last customer of the page before: next_after of its answer.")
    limit = fields.optionalInteger("limit", "How many customers; 100 when left out.", in: 1...1_000) ?? 100
  }
}

extension ReadOperation {
  static let rfmCustomers = ReadOperation(
    "list_rfm_customers", "/v1/analytics/rfm/customers", tag: "analysis_runs", access: .read(.analytics), "List the RFM scores of customers.",
    description:
      "Of the customers you may see, by a run that was kept (run_rfm); n counts all of the run. next_after is null on the last page. 404 when there is no such run.",
    input: RFMCustomers.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "run_id", "data", "next_after"],
        "properties": .object(
          PurchaseAnswer.heading.merging([
            "run_id": AnswerField.id, "next_after": AnswerField.optional(AnswerField.id),
            "data": PurchaseAnswer.list([
              "customer_id": AnswerField.id, "name": AnswerField.text, "last_purchase_at": AnswerField.instant, "recency_days": AnswerField.integer,
              "orders": AnswerField.count,
              "revenue": AnswerField.decimal, "currency": AnswerField.text, "recency_score": AnswerField.count, "frequency_score": AnswerField.count,
              "monetary_score": AnswerField.count, "cell": AnswerField.count, "group": AnswerField.text,
            ]),
          ]) { $1 }),
      ]
    ), refusals: [404], reading: [.customers, .analytics],
    statements: { _, page in
      let run: SQL =
        """
        SELECT a.id AS run_id, a.as_of, a.method, 'rfm' AS model, a.model_version AS version, a.population AS n, \(page.limit)::integer AS page
          FROM crm.analysis_run AS a
         WHERE a.kind = 'rfm' AND a.subject_id IS NULL AND a.status = 'done' AND (a.id = \(page.runID) OR \(page.runID)::uuid IS NULL AND a.department_id IS NULL)
         ORDER BY a.as_of DESC, a.id DESC LIMIT 1
        """
      return [
        run,
        """
        SELECT r.customer_id, c.name, r.last_purchase_at, r.recency_days, r.orders, r.revenue, r.currency, r.recency_score, r.frequency_score, r.monetary_score, r.cell,
               r.rfm_group AS "group"
          FROM crm.customer_rfm AS r JOIN crm.customer AS c ON c.id = r.customer_id
         WHERE r.run_id = (SELECT chosen.run_id FROM (\(run)) AS chosen) AND (r.customer_id > \(page.after) OR \(page.after)::uuid IS NULL)
           AND (r.cell = \(page.cell)::integer OR \(page.cell)::integer IS NULL) AND (r.rfm_group = \(page.group)::text OR \(page.group)::text IS NULL)
         ORDER BY r.customer_id LIMIT \(page.limit) + 1
        """,
      ]
    },
    respond: { _, results in
      guard results[0].count == 1 else {
        throw Problem(
          404, "no-run", Phrase("No such scores are kept.", tr: "Böyle saklanmış puan yok."),
          detail: Phrase("Ask for a run first: POST /v1/analytics/rfm/runs.", tr: "Önce bir çalıştırma isteyin: POST /v1/analytics/rfm/runs."))
      }
      let size = min(results[1].count, try results[0][0].decode(Int.self, "page"))
      var writer = JSONWriter(capacity: 4096)
      writer.beginObject()
      writer.writeMembers(results[0], 0, columns: 0..<6)
      writer.key("data")
      writer.writeRows(results[1], rows: 0..<size)
      writer.key("next_after")
      if size < results[1].count { writer.string(try results[1][size - 1].decode(UUID.self, "customer_id").lowercase) } else { writer.null() }
      writer.endObject()
      return .json(writer.take())
    })
}
