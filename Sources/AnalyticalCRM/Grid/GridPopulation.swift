import CRMCore
import Foundation
import PostgresClient

/// The active customers with what a grid cuts them by, in the order of their ids, so that nothing depends on how the database found them.
struct GridPopulation {
  private(set) var customers: [UUID] = []
  private var bandTexts: [String] = []
  private var groupTexts: [String] = []
  private var bandValues: [[Double?]]
  private var groupValues: [[Double?]]

  /// - Throws: a problem when a name is unknown, with the place within the grid's definition.
  static func statement(bands: GridAxis, groups: GridAxis, activeDays: Int, asOf: Date?, currency: String?, _ compiler: QueryCompiler) throws(Problem) -> (
    sql: SQL, areas: Set<Area>
  ) {
    let moment: SQL = asOf.map { "\($0)::timestamptz" } ?? "now()"
    var scope = try ConditionScope("customers", alias: "t", compiler: compiler, pointer: "")
    var sources = MeasureSources(asOf: moment, currency: currency ?? "TRY", customers: nil)
    var columns: [SQL] = []
    for axis in [bands, groups] {
      columns.append(try label(axis, &scope, compiler))
      for measure in axis.measures { columns.append("(\(try sources.value(measure, compiler)) * \(unit(of: measure, axis)))::float8") }
    }
    let sql: SQL = """
      SELECT t.id, \(columns.joined(separator: ", ")) FROM \(scope.from)
      JOIN (SELECT p.customer_id FROM analytics.purchase p WHERE p.ordered_at < \(moment) AND p.ordered_at >= \(moment) - \(activeDays)::int * interval '24 hours' GROUP BY 1) active
        ON active.customer_id = t.id\(sources.joins) ORDER BY t.id
      """
    return (sql, scope.areas.union(sources.areas).union([.customers, .sales]))
  }

  /// Before a logarithm amounts of money are taken in hundredths, so that the 1 in ln(1 + x) hardly counts.
  private static func unit(of measure: SegmentMeasure, _ axis: GridAxis) -> SQL {
    guard case .clusters(_, _, log: true) = axis else { return "1" }
    return "(SELECT CASE c.unit WHEN 'currency' THEN 100 ELSE 1 END FROM analytics.customer_metric c WHERE c.name = \(measure.name))"
  }

  private static func label(_ axis: GridAxis, _ scope: inout ConditionScope, _ compiler: QueryCompiler) throws(Problem) -> SQL {
    guard case .field(let path) = axis else { return "''::text" }
    if scope.entity.column(path.names[0]) == nil, let output = ModelOutput(path) {
      let (rows, column) = try output.column(in: compiler, path)
      return "coalesce((SELECT min(o.\(column.identifier)::text) FROM \(rows) o.customer_id = t.id), \(GridAxis.none))"
    }
    return "coalesce(left((\(try scope.field(path).sql))::text, 200), \(GridAxis.none))"
  }

  init(_ result: PostgresResult, bands: GridAxis, groups: GridAxis) throws {
    let (first, second) = (bands.measures.count, groups.measures.count)
    bandValues = Array(repeating: [], count: first)
    groupValues = Array(repeating: [], count: second)
    for row in result.rows {
      customers.append(try row.decode(UUID.self, at: 0))
      bandTexts.append(try row.decode(String.self, at: 1))
      for place in 0..<first { bandValues[place].append(try row.decode(Double?.self, at: 2 + place)) }
      groupTexts.append(try row.decode(String.self, at: 2 + first))
      for place in 0..<second { groupValues[place].append(try row.decode(Double?.self, at: 3 + first + place)) }
    }
  }

  /// What the cutting of one set of customers came to.
  struct Cut {
    var labels: [String]
    /// Of k-means: the inertia and the centres, by falling mean of the last feature.
    var quality: JSON = .null
  }

  func bands(by axis: GridAxis) -> Cut { Self.cut(Array(customers.indices), axis, bandTexts, bandValues) }

  /// Groups within one band.
  func groups(by axis: GridAxis, of members: [Int]) -> Cut { Self.cut(members, axis, groupTexts, groupValues) }

  private static func cut(_ members: [Int], _ axis: GridAxis, _ texts: [String], _ values: [[Double?]]) -> Cut {
    switch axis {
    case .field: return Cut(labels: members.map { texts[$0] })
    case .quantile(_, let groups): return Cut(labels: quantiles(members.map { values[0][$0] }, groups))
    case .clusters(_, let count, let log):
      let points = KMeans.standardised(values.map { column in members.map { column[$0] } }, log: log)
      let found = KMeans(points, count: count, starts: KMeans.starts(for: points.count))
      let order = found.centres.indices.sorted { (found.centres[$0].last ?? 0, $1) > (found.centres[$1].last ?? 0, $0) }
      let names = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, "k\($0 + 1)") })
      return Cut(
        labels: found.labels.map { names[$0] ?? GridAxis.none },
        quality: [
          "inertia": .number(Decimal(found.inertia)), "centres": .array(order.map { label in .array(found.centres[label].map { .number(Decimal($0)) }) }),
        ])
    }
  }

  /// q1 has the highest values; ties fall by the order of the customers, who without a value come last.
  private static func quantiles(_ values: [Double?], _ groups: Int) -> [String] {
    let order = values.indices.sorted { (values[$0] ?? -.infinity, $1) > (values[$1] ?? -.infinity, $0) }
    let (size, rest) = order.count.quotientAndRemainder(dividingBy: groups)
    var labels = [String](repeating: "", count: values.count)
    for (place, index) in order.enumerated() {
      // The first groups have one more where they cannot be equal, as NTILE has it.
      let long = rest * (size + 1)
      let group = place < long ? place / (size + 1) : rest + (place - long) / max(1, size)
      labels[index] = "q\(group + 1)"
    }
    return labels
  }
}
