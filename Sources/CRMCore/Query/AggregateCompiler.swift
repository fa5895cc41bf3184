package import PostgresClient

extension QueryCompiler {
  /// An aggregation, ready to run.
  package struct Aggregation {
    package let statement: SQL
    package let areas: Set<Area>
    let layout: RowLayout
    /// Where the number of currencies in each group stands, when a measure adds up money.
    let currenciesIndex: Int?
  }

  /// Groups and orders are named by their place in the select list: an expression with a parameter would count as another one when repeated.
  private static let places: [SQL] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
  ]

  package mutating func aggregate(_ aggregate: Aggregate, of entity: Model.Entity) throws(Problem) -> Aggregation {
    var scope = QueryScope(entity, alias: "t")
    var layout = RowLayout()
    for (index, group) in aggregate.groups.enumerated() {
      layout.add(group.name, try self.group(group, "/group/\(index)", in: &scope))
    }
    var addsMoney = false
    var measures: [String: SQL] = [:]
    for (index, measure) in aggregate.measures.enumerated() {
      let (sql, isMoney) = try self.measure(measure, "/measures/\(index)", in: &scope)
      addsMoney = addsMoney || isMoney
      measures[measure.name] = sql
      layout.add(measure.name, sql)
    }
    let isGroupedByCurrency = aggregate.groups.contains { $0.field.names == ["currency"] }
    let currency = addsMoney && !isGroupedByCurrency ? entity.column("currency") : nil
    let currenciesIndex = currency.map { layout.hidden("count(DISTINCT t.\($0.identifier))") }
    let condition = try aggregate.filter.map { filter throws(Problem) in try self.condition(filter, in: &scope) }
    let whereClause: SQL = condition.map { " WHERE \($0)" } ?? ""
    let groups = Array(Self.places[..<aggregate.groups.count])
    let groupClause: SQL = groups.isEmpty ? "" : " GROUP BY " + groups.joined(separator: ", ")
    let having = try aggregate.having.map { condition throws(Problem) in try Self.compile(condition, measures) }
    let havingClause: SQL = having.isEmpty ? "" : " HAVING " + having.joined(separator: " AND ")
    let order = try aggregate.order.map { order throws(Problem) -> SQL in
      guard let place = layout.names.firstIndex(of: order.field.description) else {
        throw .unknownField(order.field, of: "aggregate", at: "/order", candidates: layout.names)
      }
      return order.descending ? Self.places[place] + " DESC NULLS LAST" : Self.places[place]
    }
    let orderClause: SQL = (order + groups).isEmpty ? "" : " ORDER BY " + (order + groups).joined(separator: ", ")
    areas.formUnion(scope.areas)
    return Aggregation(
      statement: "SELECT \(layout.list) FROM \(scope.from)\(whereClause)\(groupClause)\(havingClause)\(orderClause) LIMIT \(aggregate.limit)",
      areas: areas, layout: layout, currenciesIndex: currenciesIndex)
  }

  private mutating func group(_ group: Aggregate.Group, _ pointer: String, in scope: inout QueryScope) throws(Problem) -> SQL {
    let field = try scope.field(group.field, in: &self, pointer: pointer)
    guard let unit = group.unit else {
      guard field.type.isOrdered || field.type == .boolean else { throw Self.unfit(group.field, pointer) }
      return field.sql
    }
    guard field.type == .timestamp || field.type == .date else { throw Self.unfit(group.field, pointer) }
    let local: SQL = field.type == .date ? field.sql : "\(field.sql) AT TIME ZONE \(group.zone)"
    switch unit {
    case .day: return "date_trunc('day', \(local))::date"
    case .week: return "date_trunc('week', \(local))::date"
    case .month: return "date_trunc('month', \(local))::date"
    case .quarter: return "date_trunc('quarter', \(local))::date"
    case .year: return "date_trunc('year', \(local))::date"
    }
  }

  /// The expression of a measure, and whether it mixes amounts of money, which only makes sense in one currency.
  private mutating func measure(_ measure: Aggregate.Measure, _ pointer: String, in scope: inout QueryScope) throws(Problem) -> (SQL, Bool) {
    guard let path = measure.field else { return ("count(*)", false) }
    let field = try scope.field(path, in: &self, pointer: pointer)
    let isMoney = path.names.count == 1 && { if case .numeric(_, scale: 2) = field.type { true } else { false } }()
    switch measure.function {
    case .count: return ("count(*)", false)
    case .countDistinct: return ("count(DISTINCT \(field.sql))", false)
    case .sum where field.type.isNumber: return ("coalesce(sum(\(field.sql)), 0)", isMoney)
    case .avg where field.type.isNumber: return ("avg(\(field.sql))", isMoney)
    case .min where field.type.isOrdered && field.type != .uuid: return ("min(\(field.sql))", isMoney)
    case .max where field.type.isOrdered && field.type != .uuid: return ("max(\(field.sql))", isMoney)
    case .sum, .avg, .min, .max: throw Self.unfit(path, pointer)
    }
  }

  private static func compile(_ having: Aggregate.Having, _ measures: [String: SQL]) throws(Problem) -> SQL {
    let pointer = "/having/\(Problem.clipped(having.measure))"
    guard let sql = measures[having.measure] else {
      throw .unknownField(FieldPath(having.measure), of: "aggregate", at: pointer, candidates: measures.keys)
    }
    guard let number = try? ColumnType.numeric(precision: nil, scale: nil).parameter(fromText: having.value) else {
      throw .badParameter(pointer, ColumnType.numeric(precision: nil, scale: nil).expectation)
    }
    switch having.comparison {
    case .equal: return "\(sql) = \(number)::numeric"
    case .notEqual: return "\(sql) <> \(number)::numeric"
    case .less: return "\(sql) < \(number)::numeric"
    case .lessOrEqual: return "\(sql) <= \(number)::numeric"
    case .greater: return "\(sql) > \(number)::numeric"
    case .greaterOrEqual: return "\(sql) >= \(number)::numeric"
    case .in, .notIn, .is, .startsWith, .contains: throw .unknownOperator(having.comparison.rawValue, at: pointer)
    }
  }

  private static func unfit(_ path: FieldPath, _ pointer: String) -> Problem {
    let name = Problem.clipped(path.description)
    return .badParameter(pointer, Phrase("\(name) cannot be used like this.", tr: "\(name) böyle kullanılamaz."))
  }
}

extension QueryCompiler.Aggregation {
  /// `{"data":[…]}`; refused when a group would add up different currencies.
  package func answer(_ result: PostgresResult) throws -> Response {
    var writer = JSONWriter(capacity: 256 + result.count * 128)
    writer.beginObject()
    writer.key("data")
    writer.beginArray()
    for row in 0..<result.count {
      if let currenciesIndex, try result[row].decode(Int.self, at: currenciesIndex) > 1 {
        throw Problem(
          422, "mixed-currencies",
          Phrase("These amounts are in several currencies.", tr: "Bu tutarlar birden çok para biriminde."),
          detail: Phrase("Group by currency, or filter by one.", tr: "currency alanına göre gruplayın ya da tek bir para birimi süzün."))
      }
      layout.write(result, row: row, to: &writer)
    }
    writer.endArray()
    writer.endObject()
    return .json(writer.bytes)
  }
}
