import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Numbers people quote, defined once in `bi.metric` and the same in REST, SQL and dashboards.
  static let metrics = Concept(reads: [.metricCatalogue, .metric])
}

/// What a metric may be broken down by.
enum MetricGrouping: String, CaseIterable {
  case day, week, month, quarter, year, department, seller, customer, product, channel, stage
}

/// A span of days, both included.
struct MetricPeriod: OperationInput {
  let from: CalendarDate?
  let to: CalendarDate?
  let groupBy: MetricGrouping?

  init(_ fields: inout InputReader) {
    from = fields.optionalDay("from", "The first day; without it, the first of this month in UTC.")
    to = fields.optionalDay("to", "The last day; without it, today in UTC.")
    groupBy = fields.optionalOption("group_by", "What to break the number down by.", of: MetricGrouping.self)
    if let from, let to, from.daysSince1970 > to.daysSince1970 {
      fields.refuse("to", code: "range", Phrase("The last day lies before the first.", tr: "Son gün ilk günden önce."))
    }
  }
}

extension ReadOperation {
  static let metricCatalogue = ReadOperation(
    "list_metrics", "/v1/metrics", tag: "metrics", access: .signedIn, "List the metrics",
    description: "What each number means, where it comes from and the statement that gives it.",
    input: NoInput.self,
    row: [
      "name": ["type": "string"], "label_en": ["type": "string"], "label_tr": ["type": "string"], "meaning": ["type": "string"],
      "grain": ["type": "string"], "unit": ["type": "string"], "aggregate": ["type": "string"], "owner": ["type": "string"], "source": ["type": "string"],
      "tables": ["type": ["array", "null"], "items": ["type": "string"]], "sql": ["type": "string"],
    ],
    reading: []
  ) { _, _ in
    "SELECT m.name, m.label_en, m.label_tr, m.meaning, m.grain, m.unit, m.aggregate, m.owner, m.source, l.tables, m.sql FROM bi.metric m LEFT JOIN bi.lineage l ON l.view = m.source ORDER BY m.name"
  }

  static let metric = ReadOperation(
    "get_metric", "/v1/metrics/{name}", tag: "metrics", access: .signedIn, "Read a metric",
    description: "Counted from the rows you may see. Amounts come one row a currency and are never added across currencies.", input: MetricPeriod.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["name", "unit", "from", "to", "data"],
        "properties": [
          "name": ["type": "string"], "label": ["type": "string"], "unit": ["type": "string"], "from": ["type": "string", "format": "date"],
          "to": ["type": "string", "format": "date"],
          "data": [
            "type": "array",
            "items": [
              "type": "object",
              "properties": [
                "group_key": ["type": ["string", "null"]], "label": ["type": ["string", "null"]], "currency": ["type": ["string", "null"]],
                "value": ["type": ["string", "null"], "format": "decimal"], "numerator": ["type": ["string", "null"], "format": "decimal"],
                "denominator": ["type": ["string", "null"], "format": "decimal"], "facts": ["type": "integer"],
              ],
            ],
          ],
        ],
      ]
    ),
    reading: Set(Area.allCases), lane: .reports,
    statements: { request, period in
      let name = request.parameters["name"] ?? ""
      return [
        """
        SELECT name, label_en, label_tr, unit, coalesce(\(period.from), date_trunc('month', now() AT TIME ZONE 'UTC')::date)::text AS first_day,
          coalesce(\(period.to), (now() AT TIME ZONE 'UTC')::date)::text AS last_day
          FROM bi.metric WHERE name = \(name)
        """,
        """
        SELECT group_key, label, currency, value, numerator, denominator, facts
          FROM bi.metric_values(\(name), coalesce(\(period.from), date_trunc('month', now() AT TIME ZONE 'UTC')::date),
            coalesce(\(period.to), (now() AT TIME ZONE 'UTC')::date), \(period.groupBy?.rawValue))
         ORDER BY group_key NULLS LAST, currency
        """,
      ]
    },
    respond: { request, results in
      guard results[0].count == 1 else { throw Problem.notFound }
      let metric = results[0][0]
      var writer = JSONWriter(capacity: 1024)
      writer.beginObject()
      for (key, column) in [
        ("name", "name"), ("label", request.language == .turkish ? "label_tr" : "label_en"), ("unit", "unit"), ("from", "first_day"), ("to", "last_day"),
      ] {
        writer.key(key)
        writer.string(try metric.decode(String.self, column))
      }
      writer.key("data")
      writer.writeRows(results[1])
      writer.endObject()
      return .json(writer.take())
    })
}
