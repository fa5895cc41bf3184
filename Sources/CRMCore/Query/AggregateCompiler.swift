package import PostgresClient

extension QueryCompiler {
  /// An aggregation, ready to run.
  package struct Aggregation {
    package let statement: SQL
    package let areas: Set<Area>
    let layout: RowLayout
    /// Columns that say whether a group adds up several currencies.
    let mixedCurrencyColumns: [Int]
    /// Columns that name a currency and a day without an exchange rate, as `USD 2026-01-31`; null where none is missing.
    let missingRateColumns: [Int]
    let convertTo: String?
  }

  /// A measure in the select list.
  private struct CompiledMeasure {
    let sql: SQL
    let type: ColumnType
    /// Where the currency of the amounts stands; nil for what is no money, or was converted.
    var currency: FieldPath?
    /// What exchange rate is missing in a group; nil where nothing is converted.
    var missingRate: SQL?
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
    var measures: [String: CompiledMeasure] = [:]
    for (index, measure) in aggregate.measures.enumerated() {
      let compiled = try self.measure(measure, "/measures/\(index)", convertTo: aggregate.convertTo, in: &scope)
      measures[measure.name] = compiled
      layout.add(measure.name, compiled.sql)
    }
    for (index, group) in aggregate.groups.enumerated() {
      // Of a value that many records share, as many are written down as an entry of the log holds with ease.
      try mark(group.field, as: group.name, "/group/\(index)", &scope, &layout) { id, _ in ("array_agg(\(id))", 1_000) }
    }
    for (index, measure) in aggregate.measures.enumerated() {
      guard let path = measure.field, measure.function == .min || measure.function == .max else { continue }
      let direction: SQL = measure.function == .max ? " DESC" : ""
      try mark(path, as: measure.name, "/measures/\(index)", &scope, &layout) { id, value in ("array_agg(\(id) ORDER BY \(value)\(direction))", 1) }
    }
    let grouped = Set(aggregate.groups.map(\.field))
    var mixedCurrencyColumns: [Int] = []
    for path in Set(measures.values.compactMap(\.currency)).subtracting(grouped) {
      let currency = try scope.field(path, in: &self, pointer: "/measures").sql
      mixedCurrencyColumns.append(layout.hidden("min(\(currency)) IS DISTINCT FROM max(\(currency))"))
    }
    let missingRateColumns = aggregate.measures.compactMap { measures[$0.name]?.missingRate }.map { layout.hidden($0) }
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
      areas: areas, layout: layout, mixedCurrencyColumns: mixedCurrencyColumns, missingRateColumns: missingRateColumns, convertTo: aggregate.convertTo)
  }

  /// Marks a member that shows sensitive data, with the ids of the records it is of.
  /// - Parameter ids: from the id and the value of a record an aggregate of ids, and how many of these count.
  private mutating func mark(
    _ path: FieldPath, as name: String, _ pointer: String, _ scope: inout QueryScope, _ layout: inout RowLayout, ids: (_ id: SQL, _ value: SQL) -> (SQL, Int)
  ) throws(Problem) {
    let field = try scope.field(path, in: &self, pointer: pointer)
    guard let column = field.column, column.isSensitive, let place = layout.column(of: name) else { return }
    let (alias, owner) = try scope.join(Array(path.names.dropLast()), in: &self, pointer: pointer)
    let (list, most) = ids("\(alias).\(owner.idColumn.identifier)", field.sql)
    layout.mark(
      place, as: column.name, of: owner.name, id: layout.hidden("array_to_string((\(list) FILTER (WHERE \(field.sql) IS NOT NULL))[1:\(most)], ',')"))
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

  private mutating func measure(
    _ measure: Aggregate.Measure, _ pointer: String, convertTo: String?, in scope: inout QueryScope
  ) throws(Problem) -> CompiledMeasure {
    let number = ColumnType.numeric(precision: nil, scale: nil)
    guard let path = measure.field else { return CompiledMeasure(sql: "count(*)", type: number) }
    let field = try scope.field(path, in: &self, pointer: pointer)
    let type = field.type.isNumber ? number : field.type
    var currency = isMoney(field.type) ? currencyPath(of: path, from: scope.entity) : nil
    var value = field.sql
    var missingRate: SQL?
    if let convertTo, let path = currency, measure.function != .count, measure.function != .countDistinct {
      let converted = try conversion(of: field.sql, in: path, to: convertTo, pointer, &scope)
      (value, missingRate, currency) = (converted.value, converted.missingRate, nil)
    }
    func compiled(_ sql: SQL, _ type: ColumnType) -> CompiledMeasure { .init(sql: sql, type: type, currency: currency, missingRate: missingRate) }
    switch measure.function {
    case .count: return CompiledMeasure(sql: "count(*)", type: number)
    case .countDistinct: return CompiledMeasure(sql: "count(DISTINCT \(field.sql))", type: number)
    case .sum where field.type.isNumber: return compiled("coalesce(sum(\(value)), 0)", number)
    case .avg where field.type.isNumber: return compiled("avg(\(value))", number)
    case .min where field.type.isOrdered && field.type != .uuid: return compiled("min(\(value))", type)
    case .max where field.type.isOrdered && field.type != .uuid: return compiled("max(\(value))", type)
    case .sum, .avg, .min, .max: throw Self.unfit(path, pointer)
    }
  }

  /// An amount in another currency at the rate of its record's day, rounded to cents, and what rate is missing for that.
  private mutating func conversion(
    of amount: SQL, in path: FieldPath, to currency: String, _ pointer: String, _ scope: inout QueryScope
  ) throws(Problem) -> (value: SQL, missingRate: SQL) {
    let own = try scope.field(path, in: &self, pointer: pointer).sql
    let relations = Array(path.names.dropLast())
    let owner = try scope.join(relations, in: &self, pointer: pointer).entity
    let dated = try scope.field(FieldPath(relations + [owner.resource.dated]), in: &self, pointer: pointer)
    let day: SQL = dated.type == .date ? dated.sql : "(\(dated.sql) AT TIME ZONE 'Europe/Istanbul')::date"
    return (
      "round(crm.convert(\(amount), \(own), \(currency), \(day)), 2)",
      "min(\(own) || ' ' || \(day)) FILTER (WHERE \(own) <> \(currency) AND \(amount) IS NOT NULL AND crm.rate_on(\(own), \(currency), \(day)) IS NULL)"
    )
  }

  /// Amounts have two decimals, unit prices six.
  private func isMoney(_ type: ColumnType) -> Bool {
    if case .numeric(_, let scale) = type { scale == 2 || scale == 6 } else { false }
  }

  /// Where the currency of an amount stands: beside it, or on the record that the amount is a part of.
  private func currencyPath(of path: FieldPath, from entity: Model.Entity) -> FieldPath? {
    let relations = Array(path.names.dropLast())
    var owner = entity
    for name in relations {
      guard let next = owner.one[name].flatMap({ model[$0.target] }) else { return nil }
      owner = next
    }
    if owner.column("currency") != nil { return FieldPath(relations + ["currency"]) }
    let whole = owner.one.values.filter { $0.key.count > 1 && model[$0.target]?.column("currency") != nil }.map(\.name).min()
    return whole.map { FieldPath(relations + [$0, "currency"]) }
  }

  private static func compile(_ having: Aggregate.Having, _ measures: [String: CompiledMeasure]) throws(Problem) -> SQL {
    let pointer = "/having/\(Problem.clipped(having.measure))"
    guard let measure = measures[having.measure] else {
      throw .unknownField(FieldPath(having.measure), of: "aggregate", at: pointer, candidates: measures.keys)
    }
    guard let text = try? measure.type.parameter(fromText: having.value) else { throw .badParameter(pointer, measure.type.expectation) }
    let value: SQL = measure.type.isNumber ? "\(text)::numeric" : "\(text)"
    switch having.comparison {
    case .equal: return "\(measure.sql) = \(value)"
    case .notEqual: return "\(measure.sql) <> \(value)"
    case .less: return "\(measure.sql) < \(value)"
    case .lessOrEqual: return "\(measure.sql) <= \(value)"
    case .greater: return "\(measure.sql) > \(value)"
    case .greaterOrEqual: return "\(measure.sql) >= \(value)"
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
      for column in mixedCurrencyColumns where try result[row].decode(Bool.self, at: column) {
        throw Problem(
          422, "mixed-currencies",
          Phrase("These amounts are in several currencies.", tr: "Bu tutarlar birden çok para biriminde."),
          detail: Phrase(
            "Group by currency, filter by one, or convert them with convert_to.",
            tr: "currency alanına göre gruplayın, tek bir para birimi süzün ya da convert_to ile çevirin."))
      }
      for column in missingRateColumns {
        guard let missing = try result[row].decode(String?.self, at: column) else { continue }
        throw Self.missingRate(missing, to: convertTo ?? "")
      }
      layout.write(result, row: row, to: &writer)
    }
    writer.endArray()
    writer.endObject()
    return .json(writer.bytes)
  }

  /// - Parameter missing: currency and day, as `USD 2026-01-31`.
  private static func missingRate(_ missing: String, to currency: String) -> Problem {
    let parts = missing.split(separator: " ").map(String.init)
    let (from, day) = (parts.first ?? "", parts.last ?? "")
    return Problem(
      422, "missing-rate", Phrase("An exchange rate is missing.", tr: "Bir döviz kuru eksik."),
      detail: Phrase(
        "There is no rate from \(from) to \(currency) on \(day) or in the ten days before. Add it at /v1/exchange_rates.",
        tr: "\(day) günü ve öncesindeki on gün için \(from) → \(currency) kuru yok. /v1/exchange_rates adresinden ekleyin."),
      extensions: [("from_currency", "\"\(from)\""), ("to_currency", "\"\(currency)\""), ("on_day", "\"\(day)\"")])
  }
}
