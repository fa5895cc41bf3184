import CRMCore
import Foundation
import PostgresClient

private struct CustomerValueQuestion: OperationInput {
  let model: String?
  let asOf: Date?

  init(_ fields: inout InputReader) {
    model = fields.optionalText("model", "Code of the value model; the default one when left out.", maximum: 63)
    asOf = fields.optionalInstant("as_of", "As the last run as of this instant or earlier found it; where the customer stands now when left out.")
  }
}

extension AnswerField {
  /// A key of a value with what it contributes.
  static let valuePart: JSON = [
    "type": "object", "required": ["key", "label", "unit", "raw", "normalised", "coefficient", "contribution", "most"],
    "properties": [
      "key": text, "label": text, "unit": text, "direction": text, "raw": optional(number), "normalised": number, "coefficient": number, "contribution": number,
      "most": number,
      "normalisation": text,
    ],
  ]
}

extension ReadOperation {
  /// What a customer is worth, and why.
  static let customerValue = ReadOperation(
    "read_customer_value", "/v1/customers/{id}/value", tag: "value_models", access: .read(.customers), "Read what a customer is worth, and why",
    description: """
      Score (0 to 100), rank among all that were scored and tier in a value model; for each key what was measured (null: nothing), the same as 0 to 1, and its contribution in points, of which \
      the score is the sum; and one sentence that says why, in the language asked for. Customers with the same score are ranked by id. Somebody who bought nothing in the time the \
      model looks at has no score: group then says inactive, prospect or suspect. 404 no-run when there is no such model, or no run of it yet.
      """,
    input: CustomerValueQuestion.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["as_of", "method", "model", "version", "n", "data"],
        "properties": [
          "as_of": AnswerField.instant, "method": AnswerField.text, "model": AnswerField.text, "version": AnswerField.count, "n": AnswerField.count,
          "run_id": AnswerField.id,
          "currency": AnswerField.text,
          "data": [
            "type": "object", "required": ["customer_id", "group", "score", "rank", "tier", "keys", "sentence"],
            "properties": [
              "customer_id": AnswerField.id, "group": AnswerField.text, "score": AnswerField.optional(AnswerField.number),
              "rank": AnswerField.optional(AnswerField.count),
              "tier": AnswerField.optional(AnswerField.text), "tier_name": AnswerField.optional(AnswerField.text),
              "since": AnswerField.optional(AnswerField.instant),
              "keys": ["type": "array", "items": AnswerField.valuePart], "sentence": AnswerField.text,
            ],
          ],
        ],
      ]
    ),
    reading: [.customers], extending: [.analytics],
    statements: { request, question in
      guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
      let isTurkish = request.language == .turkish
      let model: SQL =
        "analytics.value_model(\(question.model)::text, c.department_id, crm.business_day(coalesce(\(question.asOf)::timestamptz, now())))"
      return [
        """
        SELECT r.as_of, r.method, v.code AS model, v.revision AS version, coalesce(r.population, 0) AS n, r.id AS run_id, coalesce(r.result ->> 'currency', '') AS currency, c.id AS customer_id,
               CASE WHEN x.score IS NOT NULL THEN 'scored' WHEN s.customer_id IS NOT NULL THEN 'inactive' WHEN c.lifecycle_phase IN ('active', 'dormant', 'lost') THEN 'inactive'
                    WHEN c.lifecycle_phase = 'suspect' THEN 'suspect' ELSE 'prospect' END AS "group",
               x.score, x.rank, x.tier, CASE WHEN \(isTurkish) THEN b.name_tr ELSE b.name_en END AS tier_name, x.since,
               coalesce(x.seen, r.as_of) AS seen, x.raw, x.normalised, x.contribution
          FROM crm.customer AS c
          JOIN crm.value_model AS v ON v.id = \(model)
          JOIN crm.analysis_run AS r ON r.id = analytics.last_run(v.id, coalesce(\(question.asOf)::timestamptz, 'infinity'))
          LEFT JOIN crm.customer_standing AS s ON s.customer_id = c.id AND s.model_id = v.id AND \(question.asOf)::timestamptz IS NULL
          LEFT JOIN crm.customer_value AS w ON w.run_id = coalesce(s.run_id, r.id) AND w.customer_id = c.id
          LEFT JOIN LATERAL (
            SELECT s.score, s.rank, s.tier, s.since, s.as_of AS seen, coalesce(s.raw, w.raw) AS raw, coalesce(s.normalised, w.normalised) AS normalised,
                   coalesce(s.contribution, w.contribution) AS contribution WHERE s.score IS NOT NULL
            UNION ALL
            SELECT w.score, w.rank, w.tier, h.valid_from, r.as_of, w.raw, w.normalised, w.contribution
              FROM (SELECT max(t.valid_from) AS valid_from FROM crm.customer_tier_history AS t
                     WHERE t.customer_id = c.id AND t.model_id = v.id AND t.valid_from <= r.as_of AND (t.valid_until IS NULL OR t.valid_until > r.as_of)) AS h
             WHERE s.customer_id IS NULL AND w.customer_id IS NOT NULL
          ) AS x ON true
          LEFT JOIN crm.pyramid_band AS b ON b.pyramid_id = v.pyramid_id AND b.code = x.tier
         WHERE c.id = \(id)
        """,
        """
        SELECT k.place, k.metric, coalesce(CASE WHEN \(isTurkish) THEN m.label_tr ELSE m.label_en END, k.metric) AS label, coalesce(m.unit, '') AS unit, k.coefficient, k.direction, k.normalisation,
               k.measured < 2 OR NOT k.maximum > k.minimum AS is_constant
          FROM crm.customer AS c
          JOIN crm.value_model AS v ON v.id = \(model)
          JOIN crm.value_run_key AS k ON k.run_id = analytics.last_run(v.id, coalesce(\(question.asOf)::timestamptz, 'infinity')) AND k.place > 0
          LEFT JOIN analytics.customer_metric AS m ON m.name = k.metric
         WHERE c.id = \(id) ORDER BY k.place
        """,
        "SELECT 1 FROM crm.customer WHERE id = \(id)",
      ]
    },
    respond: { request, results in
      guard results[2].count == 1 else { throw Problem.notFound }
      guard results[0].count == 1 else { throw Problem.noValueRun }
      let row = results[0][0]
      let raw = try row.decode([Double?]?.self, "raw") ?? []
      let normalised = try row.decode([Double]?.self, "normalised") ?? []
      let contribution = try row.decode([Double]?.self, "contribution") ?? []
      let weight = try results[1].rows.reduce(0) { $0 + (try $1.decode(Double.self, "coefficient")) }
      let parts = try results[1].rows.enumerated().compactMap { place, key -> ValuePart? in
        guard place < contribution.count, place < raw.count, place < normalised.count else { return nil }
        let coefficient = try key.decode(Double.self, "coefficient")
        return ValuePart(
          metric: try key.decode("metric"), label: try key.decode("label"), unit: try key.decode("unit"), direction: try key.decode("direction"),
          normalisation: try key.decode("normalisation"), raw: raw[place], normalised: normalised[place], coefficient: coefficient,
          contribution: contribution[place],
          most: 100 * coefficient / weight, isConstant: try key.decode("is_constant"))
      }
      let explanation = ValueExplanation(
        rank: try row.decode("rank"), population: try row.decode("n"), tier: try row.decode("tier_name"), currency: try row.decode("currency"),
        group: try row.decode("group"), parts: parts)
      var writer = JSONWriter(capacity: 2048)
      writer.beginObject()
      for (name, column) in [
        ("as_of", "seen"), ("method", "method"), ("model", "model"), ("version", "version"), ("n", "n"), ("run_id", "run_id"), ("currency", "currency"),
      ] {
        writer.key(name)
        writer.writeColumn(column, of: results[0])
      }
      writer.key("data")
      writer.beginObject()
      for name in ["customer_id", "group", "score", "rank", "tier", "tier_name", "since"] {
        writer.key(name)
        writer.writeColumn(name, of: results[0])
      }
      writer.key("keys")
      writer.beginArray()
      for part in parts { part.write(to: &writer) }
      writer.endArray()
      writer.key("sentence")
      writer.string(explanation.sentence(in: request.language))
      writer.endObject()
      writer.endObject()
      return .json(writer.take())
    })
}

extension JSONWriter {
  /// The value of a column of a result's first row; null where there is none.
  fileprivate mutating func writeColumn(_ name: String, of result: PostgresResult) {
    if let column = result.column(named: name) { writeValue(result, 0, column) } else { null() }
  }
}

extension ValuePart {
  fileprivate func write(to writer: inout JSONWriter) {
    writer.beginObject()
    for (name, text) in [("key", metric), ("label", label), ("unit", unit), ("direction", direction), ("normalisation", normalisation)] {
      writer.key(name)
      writer.string(text)
    }
    writer.key("raw")
    if let raw { writer.double(raw) } else { writer.null() }
    for (name, number) in [("normalised", normalised), ("coefficient", coefficient), ("contribution", contribution), ("most", most)] {
      writer.key(name)
      writer.double(number)
    }
    writer.endObject()
  }
}
