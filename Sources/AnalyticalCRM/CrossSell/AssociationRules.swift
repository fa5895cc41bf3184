import CRMCore
import Foundation
import PostgresClient

struct RulesPage: OperationInput {
  let runID: UUID?
  let itemID: UUID?
  let after: Int
  let limit: Int

  init(_ fields: inout InputReader) {
    runID = fields.optionalID("run_id", "The run; the last one of the whole company when left out.")
    itemID = fields.optionalID("item_id", "Only rules with this product or category on the left.")
    after = fields.optionalInteger("after", "The last position of the page before: next_after of its answer.", in: 0...1_000_000) ?? 0
    limit = fields.optionalInteger("limit", "How many rules; 100 when left out.", in: 1...1_000) ?? 100
  }
}

extension ReadOperation {
  /// The run of association rules that was asked for, or the last one of the whole company.
  static func associationRun(_ id: UUID?) -> SQL {
    """
    SELECT a.id AS run_id, a.as_of, a.method, 'association' AS model, a.model_version AS version, a.population AS n, a.parameters
      FROM crm.analysis_run AS a
     WHERE a.kind = 'association' AND a.subject_id IS NULL AND a.status = 'done' AND (a.id = \(id) OR \(id)::uuid IS NULL AND a.department_id IS NULL)
     ORDER BY a.as_of DESC, a.id DESC LIMIT 1
    """
  }

  static let noAssociationRun = Problem(
    404, "no-run", Phrase("No such rules are kept.", tr: "Böyle saklanmış kural yok."),
    detail: Phrase(
      "Ask for a run first: POST /v1/analytics/association_rules/runs.", tr: "Önce bir çalıştırma isteyin: POST /v1/analytics/association_rules/runs."))

  private static let side = PurchaseAnswer.list(["item_id": AnswerField.id, "item": AnswerField.text])

  static let associationRules = ReadOperation(
    "list_association_rules", "/v1/analytics/association_rules", tag: "analysis_runs", access: .read(.analytics), "List what is bought together.",
    description:
      "The rules of a run (run_association_rules), by lift. n is how many purchases there were. next_after is null on the last page. 404 when there is no such run.",
    input: RulesPage.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "run_id", "parameters", "data", "next_after"],
        "properties": .object(
          PurchaseAnswer.heading.merging([
            "run_id": AnswerField.id, "parameters": ["type": "object"], "next_after": AnswerField.optional(AnswerField.count),
            "data": PurchaseAnswer.list([
              "position": AnswerField.count, "antecedent": side, "consequent": side, "antecedent_count": AnswerField.count,
              "consequent_count": AnswerField.count,
              "both_count": AnswerField.count, "support": AnswerField.number, "confidence": AnswerField.number, "lift": AnswerField.number,
              "leverage": AnswerField.number,
              "conviction": AnswerField.optional(AnswerField.number),
            ]),
          ]) { $1 }),
      ]
    ), refusals: [404], reading: [.analytics], extending: [.products],
    statements: { _, page in
      [
        associationRun(page.runID),
        """
        SELECT r.position,
               (SELECT json_agg(json_build_object('item_id', x.id, 'item', i.name) ORDER BY x.id) FROM unnest(r.antecedent) AS x (id) JOIN analytics.item_name AS i ON i.item_id = x.id)
                 AS antecedent,
               (SELECT json_agg(json_build_object('item_id', x.id, 'item', i.name) ORDER BY x.id) FROM unnest(r.consequent) AS x (id) JOIN analytics.item_name AS i ON i.item_id = x.id)
                 AS consequent,
               r.antecedent_count, r.consequent_count, r.both_count, r.support, r.confidence, r.lift, r.leverage, r.conviction
          FROM crm.association_rule AS r
         WHERE r.run_id = (SELECT chosen.run_id FROM (\(associationRun(page.runID))) AS chosen) AND r.position > \(page.after)::integer
           AND (r.antecedent @> ARRAY[\(page.itemID)::uuid] OR \(page.itemID)::uuid IS NULL)
         ORDER BY r.position LIMIT \(page.limit) + 1
        """,
        "SELECT \(page.limit)::integer AS page",
      ]
    },
    respond: { _, results in
      guard results[0].count == 1 else { throw noAssociationRun }
      let size = min(results[1].count, try results[2][0].decode(Int.self, "page"))
      var writer = JSONWriter(capacity: 4096)
      writer.beginObject()
      writer.writeMembers(results[0], 0)
      writer.key("data")
      writer.writeRows(results[1], rows: 0..<size)
      writer.key("next_after")
      if size < results[1].count { writer.integer(try results[1][size - 1].decode(Int.self, "position")) } else { writer.null() }
      writer.endObject()
      return .json(writer.take())
    })
}
