import CRMCore
import Foundation
import PostgresClient

struct SimulatedCoefficient: OperationInput {
  let metric: String
  let coefficient: Decimal

  init(_ fields: inout InputReader) {
    metric = fields.text("metric", "One of the model's keys.", maximum: 63)
    coefficient = fields.decimal("coefficient", "How much it would weigh.", scale: 9, in: 0...1_000_000)
  }
}

struct ValueSimulation: OperationInput {
  let runID: UUID?
  let coefficients: [SimulatedCoefficient]
  let limit: Int

  init(_ fields: inout InputReader) {
    runID = fields.optionalID("run_id", "The run whose measures are weighed anew; the model's last one when left out.")
    coefficients = fields.list(
      "coefficients", "The coefficients that would change; other keys keep theirs.", of: SimulatedCoefficient.self, minimum: 1, maximum: 20)
    limit = fields.optionalInteger("limit", "How many of the customers who would change tier are listed, by revenue; 50 when left out.", in: 0...1_000) ?? 50
  }
}

extension BusinessOperation {
  static let simulateValueModel = BusinessOperation(
    "simulate_value_model", .post, "/v1/value_models/{id}/simulate", of: "value_models", access: .read(.analytics), "See what other coefficients would change",
    description: """
      Weighs the measures of a run anew and cuts the same pyramid: who would rise or sink, and the revenue at stake. Nothing is saved. Both sides are cut without hysteresis, so that only the \
      coefficients make the difference. Customers are listed as far as you may see them; counts and amounts are of all.
      """,
    input: ValueSimulation.self,
    answer: .json([
      "type": "object", "required": ["as_of", "method", "model", "version", "n", "currency", "data"],
      "properties": [
        "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count, "n": AnswerField.count,
        "currency": AnswerField.text,
        "data": [
          "type": "object", "required": ["changed", "up", "down", "revenue_up", "revenue_down", "cells", "customers"],
          "properties": [
            "changed": AnswerField.count, "up": AnswerField.count, "down": AnswerField.count, "revenue_up": AnswerField.decimal,
            "revenue_down": AnswerField.decimal,
            "cells": ["type": "array", "items": ["type": "object"]], "customers": ["type": "array", "items": ["type": "object"]],
          ],
        ],
      ],
    ])
  ) { run, input in
    let model = try run.id()
    let runID = try await run.tx.first(
      IdentifiedRun.self,
      """
      SELECT r.id FROM crm.value_model AS v JOIN crm.analysis_run AS r ON r.subject_id = v.id AND r.kind = 'value' AND r.status = 'done'
       WHERE v.id = \(model) AND r.id = coalesce(\(input.runID)::uuid, analytics.last_run(v.id))
      """)
    guard let runID = runID?.id else { throw Problem.notFound }
    let keys = try await run.tx.all(
      ValueKey.self,
      "SELECT place, metric, coefficient, normalisation, direction, cap, missing, window_days, level FROM crm.value_run_key WHERE run_id = \(runID) AND place > 0 ORDER BY place"
    )
    let weights = try simulated(keys, input.coefficients)
    let result = try await run.tx.value(JSONText.self, statement(runID, keys.map(\.coefficient), weights, input.limit))
    return .json(try JSONDecoder().decode(JSON.self, from: Data(result.text.utf8)))
  }

  private struct IdentifiedRun: RowDecodable {
    let id: UUID
    init(row: PostgresRow) throws { id = try row.decode("id") }
  }

  /// The coefficients by place, as they would be.
  private static func simulated(_ keys: [ValueKey], _ changes: [SimulatedCoefficient]) throws(Problem) -> [Double] {
    var weights = keys.map(\.coefficient)
    var errors: [Problem.FieldError] = []
    for (number, change) in changes.enumerated() {
      let places = keys.indices.filter { keys[$0].metric == change.metric }
      if places.isEmpty {
        let near = nearestName(to: change.metric, in: keys.map(\.metric))
        errors.append(
          .init(
            "/coefficients/\(number)/metric", code: "unknown-metric",
            Phrase(
              "The model has no key \"\(change.metric)\"." + (near.map { " Did you mean \"\($0)\"?" } ?? ""),
              tr: "Modelin \"\(change.metric)\" adlı bir anahtarı yok." + (near.map { " \"\($0)\" mı demek istediniz?" } ?? ""))))
      }
      for place in places { weights[place] = Double("\(change.coefficient)") ?? 0 }
    }
    if errors.isEmpty, weights.allSatisfy({ $0 == 0 }) {
      errors.append(
        .init(
          "/coefficients", code: "no-weight", Phrase("At least one key needs a coefficient above 0.", tr: "En az bir anahtarın katsayısı 0'dan büyük olmalı.")))
    }
    guard errors.isEmpty else { throw .invalid(errors) }
    return weights
  }

  private static func statement(_ run: UUID, _ old: [Double], _ new: [Double], _ limit: Int) -> SQL {
    func score(_ weights: [Double]) -> SQL {
      let sum = weights.indices.map { "\(weights[$0])::double precision * v.normalised[\($0 + 1)]" as SQL }.joined(separator: " + ")
      return "100 * (\(sum)) / \(weights.reduce(0, +))::double precision"
    }
    func place(_ rank: SQL, _ score: SQL) -> SQL {
      """
      CASE WHEN b.loss_apart AND x.profit < 0 THEN b.n WHEN b.by_rank THEN least(1 + width_bucket(\(rank) - 0.5, b.bounds), b.n)
           ELSE least(1 + b.n - width_bucket(\(score), b.bounds), b.n) END
      """
    }
    return """
      WITH r AS (
        SELECT r.id, r.as_of, r.method, r.population, r.result ->> 'currency' AS currency, v.code, v.revision, v.pyramid_id
          FROM crm.analysis_run AS r JOIN crm.value_model AS v ON v.id = r.subject_id WHERE r.id = \(run)
      ), b AS (
        SELECT p.cut = 'rank' AS by_rank, p.loss_apart, count(*)::integer AS n, array_agg(d.code ORDER BY d.place) AS codes,
               CASE p.cut WHEN 'rank' THEN array_agg(ceil(d.bound::numeric * r.population)::double precision ORDER BY d.place) ELSE array_agg(d.bound ORDER BY d.place DESC) END AS bounds
          FROM r JOIN crm.pyramid AS p ON p.id = r.pyramid_id JOIN crm.pyramid_band AS d ON d.pyramid_id = p.id GROUP BY p.cut, p.loss_apart, r.population
      ), x AS (
        SELECT s.*, row_number() OVER (ORDER BY s.old_score DESC, s.customer_id) AS old_rank, row_number() OVER (ORDER BY s.new_score DESC, s.customer_id) AS new_rank
          FROM (SELECT v.customer_id, v.revenue, v.margin - v.cost AS profit, \(score(old)) AS old_score, \(score(new)) AS new_score
                  FROM crm.customer_value AS v WHERE v.run_id = \(run)) AS s
      ), moved AS (
        SELECT x.*, \(place("x.old_rank", "x.old_score")) AS old_place, \(place("x.new_rank", "x.new_score")) AS new_place FROM x CROSS JOIN b
      ), cells AS (
        SELECT m.old_place, m.new_place, count(*) AS customers, sum(m.revenue) AS revenue FROM moved AS m GROUP BY 1, 2
      )
      SELECT jsonb_build_object(
        'as_of', to_char(r.as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'method', r.method, 'model', r.code, 'version', r.revision, 'n', r.population, 'currency', r.currency,
        'data', jsonb_build_object(
          'changed', (SELECT coalesce(sum(c.customers), 0) FROM cells AS c WHERE c.old_place <> c.new_place), 'up', (SELECT coalesce(sum(c.customers), 0) FROM cells AS c WHERE c.new_place < c.old_place),
          'down', (SELECT coalesce(sum(c.customers), 0) FROM cells AS c WHERE c.new_place > c.old_place),
          'revenue_up', (SELECT coalesce(sum(c.revenue), 0.00)::text FROM cells AS c WHERE c.new_place < c.old_place),
          'revenue_down', (SELECT coalesce(sum(c.revenue), 0.00)::text FROM cells AS c WHERE c.new_place > c.old_place),
          'cells', (SELECT coalesce(jsonb_agg(jsonb_build_object('from', b.codes[c.old_place], 'to', b.codes[c.new_place], 'customers', c.customers, 'revenue', c.revenue::text)
                      ORDER BY c.old_place, c.new_place), '[]') FROM cells AS c),
          'customers', (SELECT coalesce(jsonb_agg(jsonb_build_object('customer_id', y.customer_id, 'name', y.name, 'from', b.codes[y.old_place], 'to', b.codes[y.new_place],
                          'old_score', y.old_score, 'new_score', y.new_score, 'revenue', y.revenue::text) ORDER BY y.revenue DESC, y.customer_id), '[]')
                          FROM (SELECT m.*, k.name FROM moved AS m JOIN crm.customer AS k ON k.id = m.customer_id WHERE m.old_place <> m.new_place
                                 ORDER BY m.revenue DESC, m.customer_id LIMIT \(limit)) AS y)))
        FROM r CROSS JOIN b
      """
  }
}
