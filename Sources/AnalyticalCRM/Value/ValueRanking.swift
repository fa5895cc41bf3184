import CRMCore
import Foundation
import PostgresClient

/// A run of a model, and a part of it.
private struct RankingQuestion: OperationInput {
  let runID: UUID?
  let tier: String?
  let after: Int
  let limit: Int

  init(_ fields: inout InputReader) {
    runID = fields.optionalID("run_id", "A run of the model; its last one when left out.")
    tier = fields.optionalText("tier", "Only this tier.", maximum: 63)
    after = fields.optionalInteger("after", "Go on behind this rank.", in: 0...2_000_000_000) ?? 0
    limit = fields.optionalInteger("limit", "How many; 50 when left out.", in: 1...1_000) ?? 50
  }
}

extension Request {
  /// The run that was asked for, or the model's last one. Whatever is not a run of the model that is done names nothing.
  func valueRun(_ run: UUID?) throws(Problem) -> SQL {
    guard let model = parameters["id"].flatMap(UUID.init(uuidString:)) else { throw .notFound }
    return
      "(SELECT x.id FROM crm.analysis_run AS x WHERE x.kind = 'value' AND x.status = 'done' AND x.subject_id = \(model) AND x.id = coalesce(\(run)::uuid, analytics.last_run(\(model))))"
  }
}

extension SQL {
  /// What every answer about a run of a value model begins with.
  static func valueHead(of run: SQL) -> SQL {
    """
    SELECT r.as_of, r.method, v.code AS model, v.revision AS version, r.population AS n, r.id AS run_id, r.result ->> 'currency' AS currency, r.result -> 'notes' AS notes
      FROM crm.analysis_run AS r JOIN crm.value_model AS v ON v.id = r.subject_id WHERE r.id = \(run)
    """
  }
}

extension AnswerField {
  /// An answer about a run: what was computed as of when, then one row each.
  static func ofRun(_ row: [String: JSON]) -> JSON {
    [
      "type": "object", "required": ["as_of", "method", "model", "version", "n", "data"],
      "properties": [
        "as_of": instant, "method": text, "model": text, "version": count, "n": count, "run_id": id, "currency": optional(text),
        "notes": ["type": ["array", "null"], "items": ["type": "object"]],
        "data": ["type": "array", "items": ["type": "object", "required": .array(row.keys.sorted().map(JSON.string)), "properties": .object(row)]],
      ],
    ]
  }
}

extension Problem {
  /// Nothing was computed yet of what is asked about.
  static let noValueRun = Problem(
    404, "no-run", Phrase("No such values are kept.", tr: "Böyle saklanmış değer yok."),
    detail: Phrase("Ask for a run first: POST /v1/value_models/{id}/run.", tr: "Önce bir çalıştırma isteyin: POST /v1/value_models/{id}/run."))
}

extension Response {
  /// The head of an answer about a run with the rows below it; without a head 404 no-run.
  static func ofRun(_ head: PostgresResult, _ rows: PostgresResult) throws(Problem) -> Response {
    guard head.count == 1 else { throw .noValueRun }
    var writer = JSONWriter(capacity: 4096)
    writer.beginObject()
    writer.writeMembers(head, 0)
    writer.key("data")
    writer.writeRows(rows)
    writer.endObject()
    return .json(writer.take())
  }
}

extension ReadOperation {
  /// Everybody a run scored, from the top.
  static let valueRanking = ReadOperation(
    "list_customer_values", "/v1/value_models/{id}/customers", tag: "value_models", access: .read(.analytics), "List customers by value",
    description: "The customers you may see, as a run of the model ranked them. Go on with after=<the last rank>.", input: RankingQuestion.self,
    answer: (
      "application/json",
      AnswerField.ofRun([
        "customer_id": AnswerField.id, "name": AnswerField.text, "score": AnswerField.number, "rank": AnswerField.count, "tier": AnswerField.text,
        "orders": AnswerField.count,
        "revenue": AnswerField.decimal, "margin": AnswerField.decimal, "cost": AnswerField.decimal,
      ])
    ),
    reading: [.analytics, .customers], lane: .reports,
    statements: { request, question in
      let run = try request.valueRun(question.runID)
      return [
        .valueHead(of: run),
        """
        SELECT v.customer_id, c.name, v.score, v.rank, v.tier, v.orders, v.revenue, v.margin, v.cost
          FROM crm.customer_value AS v JOIN crm.customer AS c ON c.id = v.customer_id
         WHERE v.run_id = \(run) AND v.rank > \(question.after) AND (\(question.tier)::text IS NULL OR v.tier = \(question.tier)::text) ORDER BY v.rank LIMIT \(question.limit)
        """,
      ]
    },
    respond: { _, results in try .ofRun(results[0], results[1]) })
}
