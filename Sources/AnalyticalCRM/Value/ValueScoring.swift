import Foundation
import PostgresClient

/// The bands a run cuts its customers into.
struct PyramidBands: Sendable {
  let byRank: Bool
  let lossApart: Bool
  let codes: [String]
  /// By rank: the last rank of each band; by threshold: the lowest score of each.
  let bounds: [Double]

  /// The code of a customer's band before hysteresis.
  /// - Parameters: SQL of the customer's rank, score and profit.
  func tier(rank: SQL, score: SQL, profit: SQL) -> SQL {
    let place: SQL =
      byRank
      ? "1 + width_bucket(\(rank) - 0.5, \(bounds)::double precision[])"
      : "1 + \(codes.count) - width_bucket(\(score), \(Array(bounds.reversed()))::double precision[])"
    let tier: SQL = "(\(codes)::text[])[least(\(place), \(codes.count))]"
    return lossApart ? "CASE WHEN \(profit) < 0 THEN \(codes.last ?? "") ELSE \(tier) END" : tier
  }
}

/// The statements of a run after the measuring. What they do with everybody, `analytics.rescored` does with a few, by the same arithmetic in the same order.
struct ValueScoring {
  let run: UUID
  let model: UUID
  let keys: [ValueKey]
  let bands: PyramidBands

  static let prepare: [SQL] = [
    """
    CREATE TEMPORARY TABLE value_measured (
      customer_id uuid, orders bigint, revenue numeric, margin numeric, cost numeric, raw double precision[], scale double precision[]) ON COMMIT DROP
    """,
    // Millions of rows are joined and sorted here once, not looked up one by one.
    "SELECT set_config('work_mem', '128MB', true), set_config('enable_nestloop', 'off', true)",
  ]

  /// The keys as they were used, with the measures of each scale.
  func storeKeys(windowDays: Int?) -> SQL {
    func each(_ column: (SQL) -> SQL) -> SQL { keys.map { column("m.scale[\($0.place)]") }.joined(separator: ", ") }
    return """
      INSERT INTO crm.value_run_key (run_id, place, metric, coefficient, normalisation, direction, cap, missing, window_days, level, measured, minimum, maximum, mean, deviation)
      SELECT \(run), k.place, k.metric, k.coefficient, k.normalisation, k.direction, k.cap, k.missing, coalesce(k.window_days, \(windowDays)::integer), k.level,
             s.measured[k.place], s.minimum[k.place], s.maximum[k.place], s.mean[k.place], s.deviation[k.place]
        FROM crm.value_key AS k
        CROSS JOIN (SELECT ARRAY[\(each { "count(\($0))" })] AS measured, ARRAY[\(each { "min(\($0))" })] AS minimum, ARRAY[\(each { "max(\($0))" })] AS maximum,
                           ARRAY[\(each { "avg(\($0))" })] AS mean, ARRAY[\(each { "stddev_pop(\($0))" })] AS deviation FROM pg_temp.value_measured AS m) AS s
       WHERE k.model_id = \(model)
      """
  }

  /// The values of one key's scale, in pieces of a thousand.
  func storeScale(_ key: ValueKey) -> SQL { Self.storeScale(run, key.place, of: "SELECT m.scale[\(key.place)] AS value FROM pg_temp.value_measured AS m") }

  /// The scores turned round, so that a score's place among them is how many are above it.
  func storeScoreScale() -> [SQL] {
    [
      """
      INSERT INTO crm.value_run_key (run_id, place, metric, coefficient, normalisation, direction, missing, measured, minimum, maximum)
      SELECT \(run), 0, 'score', 0, 'percent_rank', 'lower', 'zero', count(*), min(-v.score), max(-v.score) FROM crm.customer_value AS v WHERE v.run_id = \(run)
      """,
      Self.storeScale(run, 0, of: "SELECT -v.score AS value FROM crm.customer_value AS v WHERE v.run_id = \(run)"),
    ]
  }

  private static func storeScale(_ run: UUID, _ place: Int, of values: SQL) -> SQL {
    """
    INSERT INTO crm.value_scale (run_id, place, first, points, below)
    SELECT \(run), \(place)::smallint, min(c.value), array_agg(c.value ORDER BY c.value), array_agg(c.below ORDER BY c.value)
      FROM (SELECT g.value, (sum(g.n) OVER w - g.n)::bigint AS below, (row_number() OVER w - 1) / 1000 AS piece
              FROM (SELECT x.value, count(*) AS n FROM (\(values)) AS x WHERE x.value IS NOT NULL GROUP BY x.value) AS g WINDOW w AS (ORDER BY g.value)) AS c
     GROUP BY c.piece
    """
  }

  private static let points: [SQL] = [
    "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15", "p16", "p17", "p18", "p19", "p20",
  ]

  /// Everybody's score, rank and tier before hysteresis.
  func storeValues() -> SQL {
    let ranked = keys.filter { $0.normalisation == .percentRank }
    let scales = ranked.map { key -> SQL in
      """
      LEFT JOIN (SELECT u.value, u.below FROM crm.value_scale AS s CROSS JOIN LATERAL unnest(s.points, s.below) AS u (value, below) WHERE s.run_id = \(run) AND s.place = \(key.place)) \
      AS \(Self.points[key.place - 1]) ON \(Self.points[key.place - 1]).value = m.scale[\(key.place)]
      """
    }.joined(separator: " ")
    let normalised = keys.map { key -> SQL in
      let below: SQL = key.normalisation == .percentRank ? "\(Self.points[key.place - 1]).below" : "NULL::bigint"
      let place: SQL = "[\(key.place)]"
      return """
        analytics.placed(\(key.normalisation.rawValue), \(key.missing.rawValue), m.scale\(place), k.measured\(place), \(below), k.minimum\(place), k.maximum\(place), k.mean\(place), \
        k.deviation\(place))
        """
    }.joined(separator: ", ")
    let sum = keys.map { "\($0.coefficient)::double precision * n.normalised[\($0.place)]" as SQL }.joined(separator: " + ")
    let weight = keys.reduce(0) { $0 + $1.coefficient }
    let contributions = keys.map { "100 * (\($0.coefficient)::double precision * n.normalised[\($0.place)]) / \(weight)::double precision" as SQL }.joined(
      separator: ", ")
    return """
      INSERT INTO crm.customer_value (run_id, customer_id, score, rank, tier, raw, normalised, contribution, orders, revenue, margin, cost)
      SELECT \(run), r.customer_id, r.score, r.rank, \(bands.tier(rank: "r.rank", score: "r.score", profit: "(r.margin - r.cost)")), r.raw, r.normalised, r.contribution,
             r.orders, r.revenue, r.margin, r.cost
        FROM (SELECT x.*, row_number() OVER (ORDER BY x.score DESC, x.customer_id) AS rank
                FROM (SELECT n.*, 100 * (\(sum)) / \(weight)::double precision AS score, ARRAY[\(contributions)] AS contribution
                        FROM (SELECT m.customer_id, m.raw, m.orders, m.revenue, m.margin, m.cost, ARRAY[\(normalised)] AS normalised
                                FROM pg_temp.value_measured AS m
                                CROSS JOIN (SELECT array_agg(x.measured ORDER BY x.place) AS measured, array_agg(x.minimum ORDER BY x.place) AS minimum,
                                                   array_agg(x.maximum ORDER BY x.place) AS maximum, array_agg(x.mean ORDER BY x.place) AS mean,
                                                   array_agg(x.deviation ORDER BY x.place) AS deviation FROM crm.value_run_key AS x WHERE x.run_id = \(run) AND x.place > 0) AS k
                                \(scales) OFFSET 0) AS n OFFSET 0) AS x) AS r
      """
  }

  /// The bands with their bounds; what is in them follows with `fillTiers`.
  func storeBounds() -> SQL {
    let last: SQL = bands.byRank ? "v.score" : "b.bound"
    let id: SQL = bands.byRank ? "v.customer_id" : "NULL::uuid"
    let neighbour: SQL =
      bands.byRank
      ? """
      LEFT JOIN crm.customer_value AS v ON v.run_id = \(run) AND v.rank = least(b.bound, (SELECT max(x.rank) FROM crm.customer_value AS x WHERE x.run_id = \(run)))::integer
      """ : ""
    return """
      INSERT INTO crm.value_run_tier (run_id, place, tier, customers, revenue, margin, cost, last_score, last_id)
      SELECT \(run), b.place, b.tier, 0, 0, 0, 0, \(last), \(id)
        FROM unnest(\(bands.codes)::text[], \(bands.bounds)::double precision[]) WITH ORDINALITY AS b (tier, bound, place) \(neighbour)
      """
  }

  /// Hysteresis: whoever was in another tier at the instant of the run stays there, or goes only as far as the margin lets.
  func settle(asOf: Date, stayDays: Int, stayMargin: Double) -> SQL {
    let spared: SQL = bands.lossApart ? "AND v.margin - v.cost >= 0" : ""
    return """
      UPDATE crm.customer_value AS v SET tier = b.tier
        FROM (SELECT w.customer_id,
                     analytics.settled(\(run), w.score, w.customer_id, t.place, h.valid_from > \(asOf)::timestamptz - \(stayDays) * interval '24 hours', \(stayMargin)::double precision) AS place
                FROM crm.customer_tier_history AS h
                JOIN crm.value_run_tier AS t ON t.run_id = \(run) AND t.tier = h.tier
                JOIN crm.customer_value AS w ON w.run_id = \(run) AND w.customer_id = h.customer_id AND w.tier <> h.tier
               WHERE h.model_id = \(model) AND h.valid_from < \(asOf)::timestamptz AND (h.valid_until IS NULL OR h.valid_until >= \(asOf)::timestamptz)) AS s
        JOIN crm.value_run_tier AS b ON b.run_id = \(run) AND b.place = s.place
       WHERE v.run_id = \(run) AND v.customer_id = s.customer_id AND v.tier <> b.tier \(spared)
      """
  }

  func fillTiers() -> SQL {
    """
    UPDATE crm.value_run_tier AS t SET customers = s.customers, revenue = s.revenue, margin = s.margin, cost = s.cost, min_score = s.min_score, max_score = s.max_score
      FROM (SELECT v.tier, count(*) AS customers, sum(v.revenue) AS revenue, sum(v.margin) AS margin, sum(v.cost) AS cost, min(v.score) AS min_score, max(v.score) AS max_score
              FROM crm.customer_value AS v WHERE v.run_id = \(run) GROUP BY v.tier) AS s
     WHERE t.run_id = \(run) AND t.tier = s.tier
    """
  }

  /// The groups outside of the pyramid: who bought, but not lately; who may buy; who is only known by name.
  func countOthers(asOf: Date, department: UUID?) -> SQL {
    """
    INSERT INTO crm.value_run_tier (run_id, place, tier, customers, revenue, margin, cost)
    SELECT \(run), 100 + g.place, g.tier, count(c.id), 0, 0, 0
      FROM (VALUES (1, 'inactive'), (2, 'prospect'), (3, 'suspect')) AS g (place, tier)
      LEFT JOIN (
        SELECT c.id, CASE WHEN EXISTS (SELECT FROM analytics.purchase AS p WHERE p.customer_id = c.id AND p.ordered_at < \(asOf)::timestamptz
                            AND (\(department)::uuid IS NULL OR p.department_id = \(department)::uuid)) THEN 'inactive'
                          WHEN c.created_at >= \(asOf)::timestamptz THEN NULL WHEN c.lifecycle_phase = 'suspect' THEN 'suspect' ELSE 'prospect' END AS tier
          FROM crm.customer AS c WHERE NOT EXISTS (SELECT FROM pg_temp.value_measured AS m WHERE m.customer_id = c.id)) AS c ON c.tier = g.tier
     GROUP BY g.place, g.tier
    """
  }
}
