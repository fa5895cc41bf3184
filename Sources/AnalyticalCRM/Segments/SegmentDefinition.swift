import CRMCore
import Foundation
import PostgresClient

/// A rule as somebody wrote it, held against what there is, against what they may read, and against what it would cost.
struct SegmentDefinition {
  let rule: SegmentRule
  /// Currency of all amounts; nil when the rule has none.
  let currency: String?
  let compiled: SegmentCompiler.Compiled
  /// What PostgreSQL expects the counting to cost, in its own units: 1 is one page read in sequence.
  let cost: Double

  /// A definition above this cost is refused, unless the setting `muhatap.segment_cost_limit` says otherwise; reading ten million orders costs about a tenth.
  static let costLimit = 10_000_000.0
  /// Up to this cost a segment is evaluated while somebody waits; above, by a worker.
  static let quickCost = 300_000.0

  /// - Throws: a problem when a name is unknown, a value does not fit, the author may not read what the rule reads, currencies are mixed, or the rule costs too much.
  static func check(
    _ json: JSON, currency: String?, author: Caller, _ compiler: QueryCompiler, asOf: Date? = nil, pointer: String = "/definition", in tx: PostgresTransaction
  ) async throws -> SegmentDefinition {
    let rule = try SegmentRule(json: json, pointer: pointer)
    let hasAmounts = try await checkMetrics(rule.measures, in: tx)
    let chosen = hasAmounts ? try await self.currency(given: currency, in: tx) : currency
    let compiled = try SegmentCompiler.compile(rule, compiler, asOf: asOf, currency: chosen)
    try mayRead(compiled.areas, author)
    return SegmentDefinition(rule: rule, currency: chosen, compiled: compiled, cost: try await cost(of: compiled, in: tx))
  }

  /// Refuses a rule about what somebody may not read at all.
  static func mayRead(_ areas: Set<Area>, _ reader: Caller) throws(Problem) {
    let closed = areas.filter { !reader.reads($0) }.map(\.rawValue).sorted()
    guard closed.isEmpty else {
      let list = closed.joined(separator: ", ")
      throw .forbidden(Phrase("The definition reads what you may not: \(list).", tr: "Tanım, okuma yetkiniz olmayan alanları okuyor: \(list)."))
    }
  }

  /// Refuses metrics that are not in the catalogue. Says whether any is an amount of money.
  static func checkMetrics(_ measures: [SegmentMeasure], in tx: PostgresTransaction) async throws -> Bool {
    let wanted = measures.filter(\.isMetric)
    if wanted.isEmpty { return false }
    let catalogue = try await tx.result("SELECT m.name, m.unit = 'currency' AS is_money FROM analytics.customer_metric m")
    let metrics = try Dictionary(catalogue.rows.map { (try $0.decode(String.self, "name"), try $0.decode(Bool.self, "is_money")) }, uniquingKeysWith: { $1 })
    for measure in wanted where metrics[measure.name] == nil {
      throw Problem.unknownField(FieldPath(measure.name), of: "metrics", at: "\(measure.pointer)/metric", candidates: metrics.keys)
    }
    return wanted.contains { metrics[$0.name] == true }
  }

  /// The currency of the amounts: the one that was given, or else the only one among the latest purchases. An older purchase in another one is converted like any other.
  static func currency(given: String?, in tx: PostgresTransaction) async throws -> String? {
    if given != nil { return given }
    let found = try await tx.value(
      [String].self,
      """
      SELECT coalesce(array_agg(DISTINCT p.currency ORDER BY p.currency), '{}')
        FROM (SELECT p.currency FROM analytics.purchase p ORDER BY p.ordered_at DESC LIMIT 10000) p
      """)
    guard found.count < 2 else {
      let list = found.joined(separator: ", ")
      throw Problem.invalid([
        .init(
          "/currency", code: "mixed-currencies",
          Phrase("Purchases are in several currencies (\(list)): choose one.", tr: "Alışverişler birden çok para biriminde (\(list)): birini seçin."))
      ])
    }
    return found.first ?? "TRY"
  }

  private static func cost(of compiled: SegmentCompiler.Compiled, in tx: PostgresTransaction) async throws -> Double {
    let plan = try await tx.value(JSONText.self, "EXPLAIN (FORMAT JSON) \(compiled.count)")
    let parsed = try JSONDecoder().decode(JSON.self, from: Data(plan.text.utf8))
    guard case .number(let total)? = parsed.array?.first?["Plan"]?["Total Cost"], let cost = Double("\(total)") else { return 0 }
    let setting = try await tx.value(String?.self, "SELECT nullif(current_setting('muhatap.segment_cost_limit', true), '')")
    let limit = setting.flatMap(Double.init) ?? costLimit
    guard cost <= limit else {
      let (is_, may) = (Int(cost), Int(limit))
      throw Problem(
        422, "segment-too-expensive", Phrase("This definition would take too long to evaluate.", tr: "Bu tanımın değerlendirilmesi çok uzun sürer."),
        detail: Phrase(
          "Its estimated cost is \(is_), at most \(may) is allowed. Use shorter windows, fewer relations, or eq and in instead of contains.",
          tr: "Tahmini maliyeti \(is_), izin verilen en fazla \(may). Daha kısa pencereler, daha az ilişki ya da contains yerine eq ve in kullanın."),
        errors: [.init("/definition", code: "too-expensive", Phrase("Too expensive.", tr: "Çok maliyetli."))])
    }
    return cost
  }
}
