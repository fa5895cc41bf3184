import CRMCore
import Foundation
import PostgresClient

/// Two runs of a model.
struct ComparedRuns: Sendable {
  let from: UUID
  let to: UUID?

  init(_ fields: inout InputReader) {
    from = fields.id("from", "The earlier run.")
    to = fields.optionalID("to", "The later run; the model's last one when left out.")
  }
}

private struct ComparisonQuestion: OperationInput {
  let runs: ComparedRuns
  init(_ fields: inout InputReader) { runs = ComparedRuns(&fields) }
}

private struct CellQuestion: OperationInput {
  let runs: ComparedRuns
  let fromTier, toTier: String?
  let after: UUID?
  let limit: Int

  init(_ fields: inout InputReader) {
    runs = ComparedRuns(&fields)
    fromTier = fields.optionalText("from_tier", "The tier in the earlier run; new for those who were not in it; any when left out.", maximum: 63)
    toTier = fields.optionalText("to_tier", "The tier in the later run; lost for those who are not in it; any when left out.", maximum: 63)
    after = fields.optionalID("after", "Go on behind this customer.")
    limit = fields.optionalInteger("limit", "How many; 50 when left out.", in: 1...1_000) ?? 50
  }
}

extension SQL {
  /// Everybody in either of two runs: the tier and its place in both, `new` and `lost` where there is none.
  /// - Parameters: SQL of the runs' ids.
  static func migration(from old: SQL, to new: SQL) -> SQL {
    """
    SELECT coalesce(o.customer_id, n.customer_id) AS customer_id, coalesce(o.tier, 'new') AS from_tier, coalesce(n.tier, 'lost') AS to_tier, ot.place AS from_place, nt.place AS to_place,
           CASE WHEN o.tier IS NULL THEN 'new' WHEN n.tier IS NULL THEN 'lost' WHEN nt.place < ot.place THEN 'up' WHEN nt.place > ot.place THEN 'down' ELSE 'same' END AS movement,
           o.score AS from_score, n.score AS to_score, coalesce(o.revenue, 0) AS from_revenue, coalesce(n.revenue, 0) AS to_revenue
      FROM (SELECT v.customer_id, v.tier, v.score, v.revenue FROM crm.customer_value AS v WHERE v.run_id = \(old)) AS o
      FULL JOIN (SELECT v.customer_id, v.tier, v.score, v.revenue FROM crm.customer_value AS v WHERE v.run_id = \(new)) AS n ON n.customer_id = o.customer_id
      LEFT JOIN crm.value_run_tier AS ot ON ot.run_id = \(old) AND ot.tier = o.tier
      LEFT JOIN crm.value_run_tier AS nt ON nt.run_id = \(new) AND nt.tier = n.tier
    """
  }
}

extension ReadOperation {
  /// Who moved between the tiers of two runs.
  static let compareValueRuns = ReadOperation(
    "compare_value_runs", "/v1/value_models/{id}/compare", tag: "value_models", access: .read(.analytics), "Compare two runs: the migration matrix",
    description: """
      One row a pair of tiers: how many customers went from one to the other, and their revenue in both runs. movement is up, same, down, new (not scored in the earlier run: from_tier is new) \
      or lost (not scored in the later one: to_tier is lost). The head is of the later run.
      """,
    input: ComparisonQuestion.self,
    answer: (
      "application/json",
      AnswerField.ofRun([
        "from_tier": AnswerField.text, "to_tier": AnswerField.text, "movement": AnswerField.text, "customers": AnswerField.count,
        "from_revenue": AnswerField.decimal,
        "to_revenue": AnswerField.decimal, "mean_change": AnswerField.optional(AnswerField.number),
      ])
    ),
    reading: [.analytics], lane: .reports,
    statements: { request, question in
      let (old, new) = (try request.valueRun(question.runs.from), try request.valueRun(question.runs.to))
      return [
        "\(SQL.valueHead(of: new)) AND \(old) IS NOT NULL",
        """
        SELECT m.from_tier, m.to_tier, m.movement, count(*) AS customers, sum(m.from_revenue) AS from_revenue, sum(m.to_revenue) AS to_revenue, avg(m.to_score - m.from_score) AS mean_change
          FROM (\(SQL.migration(from: old, to: new))) AS m GROUP BY m.from_tier, m.to_tier, m.movement, m.from_place, m.to_place ORDER BY m.from_place, m.to_place
        """,
      ]
    },
    respond: { _, results in try .ofRun(results[0], results[1]) })

  /// The customers behind a cell of the matrix.
  static let comparedCustomers = ReadOperation(
    "list_compared_customers", "/v1/value_models/{id}/compare/customers", tag: "value_models", access: .read(.analytics),
    "List the customers behind a cell of the migration matrix",
    description: "The customers you may see, in the order of their ids. Go on with after=<the last customer_id>.", input: CellQuestion.self,
    answer: (
      "application/json",
      AnswerField.ofRun([
        "customer_id": AnswerField.id, "name": AnswerField.text, "from_tier": AnswerField.text, "to_tier": AnswerField.text, "movement": AnswerField.text,
        "from_score": AnswerField.optional(AnswerField.number), "to_score": AnswerField.optional(AnswerField.number), "from_revenue": AnswerField.decimal,
        "to_revenue": AnswerField.decimal,
      ])
    ),
    reading: [.analytics, .customers], lane: .reports,
    statements: { request, question in
      let (old, new) = (try request.valueRun(question.runs.from), try request.valueRun(question.runs.to))
      return [
        "\(SQL.valueHead(of: new)) AND \(old) IS NOT NULL",
        """
        SELECT m.customer_id, c.name, m.from_tier, m.to_tier, m.movement, m.from_score, m.to_score, m.from_revenue, m.to_revenue
          FROM (\(SQL.migration(from: old, to: new))) AS m JOIN crm.customer AS c ON c.id = m.customer_id
         WHERE (\(question.fromTier)::text IS NULL OR m.from_tier = \(question.fromTier)::text) AND (\(question.toTier)::text IS NULL OR m.to_tier = \(question.toTier)::text)
           AND (\(question.after)::uuid IS NULL OR m.customer_id > \(question.after)::uuid)
         ORDER BY m.customer_id LIMIT \(question.limit)
        """,
      ]
    },
    respond: { _, results in try .ofRun(results[0], results[1]) })
}
