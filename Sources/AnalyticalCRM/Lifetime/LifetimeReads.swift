import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Whether customers still buy, what they will buy and what that is worth.
  static let lifetime = Concept(
    operations: [.runLifetime, .runLifetimeBackTest], reads: [.customerLifetime, .lifetimeSummary, .lifetimeDrift], jobs: [.lifetime, .lifetimeBackTest])
}

private struct RunChoice: OperationInput {
  let runID: UUID?

  init(_ fields: inout InputReader) { runID = fields.optionalID("run_id", "The run; the company's last one when left out.") }
}

private struct SummaryQuestion: OperationInput {
  let runID: UUID?
  let grouping: CustomerGrouping

  init(_ fields: inout InputReader) {
    runID = fields.optionalID("run_id", "The run; the company's last one when left out.")
    grouping = CustomerGrouping(&fields)
  }
}

/// What every answer of a model of lifetime begins with.
private enum Heading {
  static let schema: [String: JSON] = [
    "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count, "n": AnswerField.count,
    "run_id": AnswerField.id,
    "currency": AnswerField.text,
  ]

  static func run(_ id: UUID?) -> SQL {
    """
    SELECT r.as_of, r.method, r.method AS model, r.model_version AS version, r.population AS n, r.id AS run_id, r.result ->> 'currency' AS currency
      FROM crm.analysis_run AS r
     WHERE r.kind = 'lifetime' AND r.status = 'done' AND (r.id = \(id) OR \(id)::uuid IS NULL AND r.department_id IS NULL)
     ORDER BY r.as_of DESC, r.id DESC LIMIT 1
    """
  }

  static func checked(_ result: PostgresResult) throws -> PostgresResult {
    guard result.count == 1 else {
      throw Problem(
        404, "no-run", Phrase("No such lifetimes are kept.", tr: "Böyle saklanmış yaşam boyu değer yok."),
        detail: Phrase("Ask for a run first: POST /v1/analytics/lifetime/runs.", tr: "Önce bir çalıştırma isteyin: POST /v1/analytics/lifetime/runs."))
    }
    return result
  }
}

extension ReadOperation {
  static let customerLifetime = ReadOperation(
    "get_customer_lifetime", "/v1/customers/{id}/lifetime", tag: "customers", access: .read(.customers),
    "Read whether a customer still buys, and what that is worth.",
    description:
      "By the company's last run of a model of lifetime, or by another. data is null, with a note, for a customer who had not bought anything; clv is null where "
      + "the value of purchases cannot be told. 404 no-run before the first run.", input: RunChoice.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "run_id", "currency", "data", "note"],
        "properties": .object(
          Heading.schema.merging([
            "note": AnswerField.optional(AnswerField.text),
            "data": [
              "type": ["object", "null"],
              "properties": [
                "frequency": AnswerField.count, "recency_days": AnswerField.count, "age_days": AnswerField.count, "p_alive": AnswerField.number,
                "expected_30_days": AnswerField.number, "expected_90_days": AnswerField.number, "expected_180_days": AnswerField.number,
                "expected_365_days": AnswerField.number, "expected_purchases": AnswerField.number, "months": AnswerField.count,
                "purchase_value": AnswerField.optional(AnswerField.decimal), "expected_value": AnswerField.optional(AnswerField.decimal),
                "clv": AnswerField.optional(AnswerField.decimal),
              ],
            ],
          ]) { $1 }),
      ]
    ), refusals: [404], reading: [.customers], extending: [.analytics],
    statements: { request, choice in
      guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
      let run = Heading.run(choice.runID)
      return [
        "SELECT FROM crm.customer AS c WHERE c.id = \(id)", run,
        """
        SELECT l.frequency, l.recency_days, l.age_days, l.p_alive, l.expected_30_days, l.expected_90_days, l.expected_180_days, l.expected_365_days, l.expected_purchases,
               (r.parameters ->> 'months')::integer AS months, l.purchase_value, l.expected_value, l.clv
          FROM crm.customer_lifetime AS l JOIN crm.analysis_run AS r ON r.id = l.run_id
         WHERE l.customer_id = \(id) AND l.run_id = (SELECT chosen.run_id FROM (\(run)) AS chosen)
        """,
      ]
    },
    respond: { request, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      let run = try Heading.checked(results[1])
      var writer = JSONWriter(capacity: 1_024)
      writer.beginObject()
      writer.writeMembers(run, 0)
      writer.key("data")
      if results[2].count == 1 { writer.writeRow(results[2], 0) } else { writer.null() }
      writer.key("note")
      if results[2].count == 1 {
        writer.null()
      } else {
        writer.string(
          Phrase("The customer had not bought anything before as_of.", tr: "Müşteri as_of tarihinden önce bir şey satın almamış.").text(in: request.language))
      }
      writer.endObject()
      return .json(writer.take())
    })

  static let lifetimeSummary = ReadOperation(
    "summarise_lifetime", "/v1/analytics/lifetime/summary", tag: "analysis_runs", access: .read(.analytics), "Sum up lifetimes by groups of customers.",
    description:
      "Of all customers of a run, the largest lifetime value first: how many are expected to still buy, what they are expected to buy and what that is worth. "
      + "clv is null where no customer's can be told. 404 no-run before the first run.", input: SummaryQuestion.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "run_id", "currency", "data"],
        "properties": .object(
          Heading.schema.merging([
            "data": [
              "type": "array",
              "items": [
                "type": "object",
                "properties": [
                  "group": AnswerField.text, "customers": AnswerField.count, "alive": AnswerField.number, "mean_p_alive": AnswerField.number,
                  "expected_90_days": AnswerField.number, "expected_purchases": AnswerField.number, "with_clv": AnswerField.count,
                  "clv": AnswerField.optional(AnswerField.decimal), "mean_clv": AnswerField.optional(AnswerField.decimal),
                ],
              ],
            ]
          ]) { $1 }),
      ]
    ), refusals: [404], reading: [.analytics], extending: [.customers, .admin], lane: .reports,
    statements: { _, question in
      let run = Heading.run(question.runID)
      return [
        run,
        """
        SELECT g.group_key AS "group", count(*) AS customers, sum(l.p_alive) AS alive, avg(l.p_alive) AS mean_p_alive, sum(l.expected_90_days) AS expected_90_days,
               sum(l.expected_purchases) AS expected_purchases, count(l.clv) AS with_clv, round(sum(l.clv), 2) AS clv, round(avg(l.clv), 2) AS mean_clv
          FROM crm.customer_lifetime AS l JOIN analytics.customer_group(\(question.grouping.arguments)) AS g ON g.customer_id = l.customer_id
         WHERE l.run_id = (SELECT chosen.run_id FROM (\(run)) AS chosen)
         GROUP BY 1 ORDER BY clv DESC NULLS LAST, 1 LIMIT 1000
        """,
      ]
    },
    respond: { _, results in
      let run = try Heading.checked(results[0])
      var writer = JSONWriter(capacity: 4_096)
      writer.beginObject()
      writer.writeMembers(run, 0)
      writer.key("data")
      writer.writeRows(results[1])
      writer.endObject()
      return .json(writer.take())
    })

  static let lifetimeDrift = ReadOperation(
    "list_lifetime_drift", "/v1/analytics/lifetime/drift", tag: "analysis_runs", access: .read(.analytics),
    "List how models of lifetime drifted from run to run.",
    description:
      "The last hundred runs, the newest first. The alarm is raised when the parameters of the run before explain what is known now significantly worse (likelihood "
      + "ratio, 0.1 %) and the purchases expected of a new customer in 90 days changed by more than 10 %. All but the run are null where there is no earlier run of the same "
      + "model, unit and department.", input: NoInput.self,
    row: [
      "run_id": AnswerField.id, "as_of": AnswerField.instant, "method": AnswerField.text, "n": AnswerField.optional(AnswerField.count),
      "against_id": AnswerField.optional(AnswerField.id), "statistic": AnswerField.optional(AnswerField.number),
      "probability": AnswerField.optional(AnswerField.number),
      "expected_90_days_before": AnswerField.optional(AnswerField.number), "expected_90_days_now": AnswerField.optional(AnswerField.number),
      "alarm": AnswerField.optional(AnswerField.flag),
    ], reading: [.analytics]
  ) { _, _ in
    """
    SELECT r.id AS run_id, r.as_of, r.method, r.population AS n, (d.drift ->> 'against')::uuid AS against_id, (d.drift ->> 'statistic')::float8 AS statistic,
           (d.drift ->> 'probability')::float8 AS probability, (d.drift ->> 'expected_90_days_before')::float8 AS expected_90_days_before,
           (d.drift ->> 'expected_90_days_now')::float8 AS expected_90_days_now, (d.drift ->> 'alarm')::boolean AS alarm
      FROM crm.analysis_run AS r CROSS JOIN LATERAL (SELECT r.result -> 'drift') AS d (drift)
     WHERE r.kind = 'lifetime' AND r.status = 'done' ORDER BY r.as_of DESC, r.id DESC LIMIT 100
    """
  }
}
