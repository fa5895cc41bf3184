import CRMCore
import Foundation
import PostgresClient

/// How measured values become 0 to 1.
enum Normalisation: String, CaseIterable, PostgresDecodable {
  case percentRank = "percent_rank"
  case minMax = "min_max"
  case zClipped = "z_clipped"
  case log
}

enum Direction: String, CaseIterable {
  case higher, lower
}

/// What is made of customers of whom nothing was measured.
enum MissingRule: String, CaseIterable, PostgresDecodable {
  case zero, lowest, middle
}

/// A key as somebody gives it.
struct ValueKeyInput: OperationInput {
  let metric: String
  let coefficient: Decimal
  let normalisation: Normalisation
  let direction: Direction?
  let cap: Decimal?
  let missing: MissingRule?
  let windowDays: Int?
  let level: Int?

  init(_ fields: inout InputReader) {
    metric = fields.text("metric", "What is measured: a name from /v1/customer_metrics.", maximum: 63)
    coefficient = fields.decimal("coefficient", "How much it weighs against the others; only the proportions matter.", scale: 9, in: 0...1_000_000)
    normalisation = fields.optionalOption("normalisation", "How values become 0 to 1; percent_rank when left out.", of: Normalisation.self) ?? .percentRank
    direction = fields.optionalOption("direction", "Whether higher or lower is worth more; the metric's own direction when left out.", of: Direction.self)
    cap = fields.optionalDecimal("cap", "Values beyond it count as it.", scale: 9, in: -1_000_000_000_000...1_000_000_000_000)
    missing = fields.optionalOption(
      "missing", "What customers without a value get: zero (it counts as 0), lowest or middle; the metric's own rule when left out.", of: MissingRule.self)
    windowDays = fields.optionalInteger("window_days", "How many days of 24 hours back facts count; as the model says when left out.", in: 1...36_500)
    level = fields.optionalInteger("level", "For product_breadth: the level of the category tree, 1 at the top.", in: 1...20)
    if level != nil, metric != "product_breadth" {
      fields.refuse("level", code: "not-applicable", Phrase("Only product_breadth has a level.", tr: "Yalnızca product_breadth ölçüsünün düzeyi vardır."))
    }
  }
}

/// A key of a stored model, as a run uses it.
struct ValueKey: RowDecodable, Sendable {
  let place: Int
  let metric: String
  let coefficient: Double
  let normalisation: Normalisation
  let direction: String
  let cap: Double?
  let missing: MissingRule
  let windowDays: Int?
  let level: Int?

  init(row: PostgresRow) throws {
    place = try row.decode("place")
    metric = try row.decode("metric")
    coefficient = try row.decode("coefficient")
    normalisation = try row.decode("normalisation")
    direction = try row.decode("direction")
    cap = try row.decode("cap")
    missing = try row.decode("missing")
    windowDays = try row.decode("window_days")
    level = try row.decode("level")
  }
}
