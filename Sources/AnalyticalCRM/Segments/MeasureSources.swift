import CRMCore
import Foundation
import PostgresClient

/// The rows that measures are counted from, each read once however many measures ask: grouped by customer and joined to the customers.
/// Nothing is computed row by row, so that a million customers are one pass over each source.
struct MeasureSources {
  /// Facts at this instant or later do not count.
  let asOf: SQL
  /// The currency of all amounts.
  let currency: String
  /// Only these customers are counted; nil for everybody.
  let customers: [UUID]?
  /// The ids of the only customers that can fit, where the rule itself says so cheaply; nobody else has to be counted.
  var narrowing: SQL?
  private(set) var areas: Set<Area> = []

  private struct Source {
    let alias: SQL
    /// FROM and WHERE, without the bound on time; a measuring function is its own.
    let from: SQL
    let customer: SQL
    /// When a row happened; nil where the measuring function looks at time and customers itself.
    let happened: SQL?
    /// What is counted of it, each a column; the expressions are made when the widest window is known.
    var measures: [SegmentMeasure] = []
    /// The widest window that was asked for; nil for all time.
    var widest: Int?
    var known: [SegmentMeasure: SQL] = [:]
  }

  private enum Key: Hashable {
    case purchases
    case measure(SegmentMeasure)
  }

  private var order: [Key] = []
  private var sources: [Key: Source] = [:]

  private static let aliases: [SQL] = ["x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16"]
  private static let names: [SQL] = ["v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16"]

  init(asOf: SQL, currency: String, customers: [UUID]?) {
    self.asOf = asOf
    self.currency = currency
    self.customers = customers
  }

  /// The expression of a measure in a statement that has `joins` after its customers.
  mutating func value(_ measure: SegmentMeasure, _ compiler: QueryCompiler) throws(Problem) -> SQL {
    let key = key(of: measure)
    var source: Source
    if let known = sources[key] {
      source = known
      source.widest = known.widest.flatMap { widest in measure.windowDays.map { max(widest, $0) } }
    } else {
      guard order.count < Self.aliases.count else { throw Self.tooMany(measure.pointer) }
      source = try self.source(measure, Self.aliases[order.count], compiler)
      source.widest = measure.windowDays
      order.append(key)
    }
    let same = SegmentMeasure(subject: measure.subject, windowDays: measure.windowDays)
    let column: SQL
    if source.happened == nil {
      column = "\(source.alias).value"
    } else if let known = source.known[same] {
      column = known
    } else {
      guard source.measures.count < Self.names.count else { throw Self.tooMany(measure.pointer) }
      column = "\(source.alias).\(Self.names[source.measures.count])"
      source.measures.append(same)
      source.known[same] = column
    }
    sources[key] = source
    return counted(measure, column, source.alias)
  }

  /// The joins of all sources to the customers `t`.
  var joins: SQL {
    order.compactMap { sources[$0] }.map { source -> SQL in
      guard let happened = source.happened else { return " LEFT JOIN \(source.from) \(source.alias) ON \(source.alias).customer_id = t.id" }
      let since: SQL = source.widest.map { " AND \(happened) >= \(asOf) - \($0)::int * interval '1 day'" } ?? ""
      let only: SQL =
        customers.map { " AND \(source.customer) = ANY(\($0)::uuid[])" } ?? narrowing.map { " AND \(source.customer) IN (\($0))" } ?? ""
      let columns = zip(source.measures, Self.names).map { measure, name -> SQL in "\(expression(measure, source, happened)) AS \(name)" }
      return """
         LEFT JOIN (SELECT \(source.customer) AS customer_id, \(columns.joined(separator: ", ")) FROM \(source.from) AND \(happened) < \(asOf)\(since)\(only)
        GROUP BY 1) \(source.alias) ON \(source.alias).customer_id = t.id
        """
    }.joined(separator: "")
  }

  private func key(of measure: SegmentMeasure) -> Key {
    switch measure.subject {
    case .purchases: .purchases
    case .metric, .events: .measure(SegmentMeasure(subject: measure.subject, windowDays: measure.windowDays))
    }
  }

  private mutating func source(_ measure: SegmentMeasure, _ alias: SQL, _ compiler: QueryCompiler) throws(Problem) -> Source {
    switch measure.subject {
    case .purchases:
      areas.insert(.sales)
      return Source(alias: alias, from: "analytics.purchase p WHERE true", customer: "p.customer_id", happened: "p.ordered_at")
    case .metric(let name):
      let window: SQL = "analytics.since(\(asOf), \(measure.windowDays)::int)"
      return Source(
        alias: alias, from: "analytics.measures(\(name), NULL, \(asOf), \(window), \(currency), NULL, 'UTC', \(customers)::uuid[])", customer: "", happened: nil
      )
    case .events(let resource, let filter):
      var scope = try ConditionScope(resource, alias: "p", compiler: compiler, pointer: "\(measure.pointer)/events")
      let entity = scope.entity
      guard let customer = entity.column("customer_id"), let dated = entity.column(entity.resource.dated), dated.type == .timestamp || dated.type == .date
      else {
        throw .badFilter(
          "\(measure.pointer)/events", Phrase("\(resource) are not counted by customer and time.", tr: "\(resource) müşteri ve zamana göre sayılamaz."))
      }
      let condition = try filter.map { filter throws(Problem) in try scope.condition(filter) } ?? "true"
      areas.formUnion(scope.areas)
      return Source(
        alias: alias, from: "\(scope.from) WHERE p.\(customer.identifier) IS NOT NULL AND \(condition)", customer: "p.\(customer.identifier)",
        happened: "p.\(dated.identifier)")
    }
  }

  private func expression(_ measure: SegmentMeasure, _ source: Source, _ happened: SQL) -> SQL {
    let inWindow: SQL =
      measure.windowDays == source.widest ? "" : measure.windowDays.map { " FILTER (WHERE \(happened) >= \(asOf) - \($0)::int * interval '1 day')" } ?? ""
    switch measure.subject {
    case .purchases(let metric):
      // An amount without a rate makes the sum NaN, and so unknown, rather than too small.
      let amount: SQL = "coalesce(crm.convert(p.amount, p.currency, \(currency), (p.ordered_at AT TIME ZONE 'UTC')::date), 'NaN')"
      let revenue: SQL = "nullif(coalesce(sum(\(amount))\(inWindow), 0), 'NaN')"
      switch metric {
      case .revenue: return revenue
      case .orders: return "count(*)\(inWindow)"
      case .averageOrder: return "(\(revenue)) / nullif(count(*)\(inWindow), 0)"
      case .recency: return "(\(asOf) AT TIME ZONE 'UTC')::date - ((max(p.ordered_at)\(inWindow)) AT TIME ZONE 'UTC')::date"
      case .tenure: return "(\(asOf) AT TIME ZONE 'UTC')::date - ((min(p.ordered_at)\(inWindow)) AT TIME ZONE 'UTC')::date"
      case .intensity:
        return "count(*)\(inWindow)::numeric / nullif(count(DISTINCT date_trunc('month', p.ordered_at AT TIME ZONE 'UTC'))\(inWindow), 0)"
      }
    case .metric, .events: return "count(*)\(inWindow)"
    }
  }

  /// Who has no rows has counts and sums of 0; everything else is unknown.
  private func counted(_ measure: SegmentMeasure, _ column: SQL, _ alias: SQL) -> SQL {
    switch measure.subject {
    case .purchases(.revenue): "CASE WHEN \(alias).customer_id IS NULL THEN 0 ELSE \(column) END"
    case .purchases(.orders), .events: "coalesce(\(column), 0)"
    case .purchases: column
    case .metric(let name): "coalesce(\(column), (SELECT CASE c.missing WHEN 'zero' THEN 0 END FROM analytics.customer_metric c WHERE c.name = \(name)))"
    }
  }

  private static func tooMany(_ pointer: String) -> Problem {
    .badFilter(pointer, Phrase("A segment counts at most 16 things.", tr: "Bir segment en fazla 16 şey sayar."))
  }
}

extension SegmentMeasure {
  /// The same measure wherever it stands.
  fileprivate init(subject: Subject, windowDays: Int?) {
    self.subject = subject
    self.windowDays = windowDays
    pointer = ""
  }
}
