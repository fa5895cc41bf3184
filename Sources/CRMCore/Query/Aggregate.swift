import Foundation

/// A question about many rows at once: groups, measures over them, and conditions on the measures.
package struct Aggregate: Sendable {
  package enum Unit: String, Sendable, CaseIterable { case day, week, month, quarter, year }

  package struct Group: Sendable {
    package let field: FieldPath
    package let unit: Unit?
    /// The time zone in which days and months begin (IANA name).
    package let zone: String
    package let name: String
  }

  package enum Function: String, Sendable, CaseIterable {
    case count, sum, avg, min, max
    case countDistinct = "count_distinct"
  }

  package struct Measure: Sendable {
    package let function: Function
    /// nil for `count`.
    package let field: FieldPath?
    package let name: String
  }

  package struct Having: Sendable {
    package let measure: String
    package let comparison: Comparison
    package let value: String
  }

  package let filter: Filter?
  package let groups: [Group]
  package let measures: [Measure]
  package let having: [Having]
  package let order: [Query.Order]
  package let limit: Int
  /// The currency that all amounts are converted to, each at the rate of its own day; nil leaves them as they are.
  package let convertTo: String?

  /// Reads `{"filter": {…}, "group": ["channel", {"field": "ordered_at", "by": "month", "zone": "Europe/Istanbul", "as": "month"}],
  /// "measures": ["count", {"sum": "amount", "as": "sales"}], "having": {"sales": {"gt": 1000}}, "order": ["-sales"], "limit": 100,
  /// "convert_to": "TRY"}`.
  package init(json: JSON) throws(Problem) {
    guard let members = json.object else { throw .badParameter("", Phrase("The body is a JSON object.", tr: "Gövde bir JSON nesnesi olmalıdır.")) }
    let known = ["filter", "group", "measures", "having", "order", "limit", "convert_to"]
    for name in members.keys.sorted() where !known.contains(name) {
      throw .unknownField(FieldPath(name), of: "aggregate", at: "/\(Problem.clipped(name))", candidates: known)
    }
    filter = try members["filter"].map { value throws(Problem) in try Filter(json: value, pointer: "/filter") }
    groups = try Self.list(members["group"], "/group").map(Self.group)
    measures = try Self.list(members["measures"], "/measures").map(Self.measure)
    having = try Self.having(members["having"])
    order =
      try members["order"].map { value throws(Problem) in
        try Query.orders(try Query.strings(value, "/order").joined(separator: ","))
      } ?? []
    limit =
      try members["limit"].map { value throws(Problem) in
        guard case .number(let number) = value else { throw .badParameter("/limit", ColumnType.integer(bits: 32).expectation) }
        return try Query.limit("\(number)")
      } ?? Query.maximumLimit
    convertTo = try members["convert_to"].map { value throws(Problem) in
      guard let currency = value.string, currency.wholeMatch(of: /[A-Z]{3}/) != nil else {
        throw .badParameter(
          "/convert_to", Phrase("Give a currency of three capital letters, such as TRY.", tr: "TRY gibi üç büyük harfli bir para birimi verin."))
      }
      return currency
    }
    guard !measures.isEmpty else {
      throw .badParameter("/measures", Phrase("Ask for at least one measure, such as \"count\".", tr: "En az bir ölçü isteyin; örneğin \"count\"."))
    }
    guard groups.count + measures.count <= 20 else {
      throw .badParameter("/measures", Phrase("At most 20 groups and measures.", tr: "En fazla 20 grup ve ölçü."))
    }
    let names = groups.map(\.name) + measures.map(\.name)
    guard Set(names).count == names.count else {
      throw .badParameter("/measures", Phrase("Give each group and measure a name of its own (as).", tr: "Her gruba ve ölçüye ayrı bir ad (as) verin."))
    }
  }

  private static func list(_ json: JSON?, _ pointer: String) throws(Problem) -> [(JSON, String)] {
    guard let json else { return [] }
    guard let items = json.array else { throw .badParameter(pointer, Phrase("Send a list.", tr: "Bir liste gönderin.")) }
    return items.enumerated().map { ($1, "\(pointer)/\($0)") }
  }

  private static func group(_ item: (json: JSON, pointer: String)) throws(Problem) -> Group {
    if let field = item.json.string { return Group(field: FieldPath(field), unit: nil, zone: "UTC", name: field) }
    let known = ["field", "by", "zone", "as"]
    if let unknown = item.json.object?.keys.sorted().first(where: { !known.contains($0) }) {
      throw .unknownField(FieldPath(unknown), of: "group", at: "\(item.pointer)/\(Problem.clipped(unknown))", candidates: known)
    }
    guard let field = item.json["field"]?.string else {
      throw .badParameter(
        item.pointer,
        Phrase("A group is a field, or an object with field, by, zone and as.", tr: "Grup bir alan ya da field, by, zone ve as içeren bir nesnedir."))
    }
    let unit = try item.json["by"].map { value throws(Problem) in
      guard let unit = value.string.flatMap(Unit.init(rawValue:)) else {
        let units = Unit.allCases.map(\.rawValue).joined(separator: ", ")
        throw .badParameter("\(item.pointer)/by", Phrase("Use one of: \(units).", tr: "Şunlardan biri olmalı: \(units)."))
      }
      return unit
    }
    guard let zone = item.json["zone"].map(\.string) ?? "UTC", TimeZone(identifier: zone) != nil, zone.contains("/") || zone == "UTC" else {
      throw .badParameter(
        "\(item.pointer)/zone", Phrase("Give a time zone such as Europe/Istanbul.", tr: "Europe/Istanbul gibi bir saat dilimi verin."))
    }
    return Group(field: FieldPath(field), unit: unit, zone: zone, name: try name(item.json["as"], otherwise: field, item.pointer))
  }

  private static func measure(_ item: (json: JSON, pointer: String)) throws(Problem) -> Measure {
    if item.json == "count" { return Measure(function: .count, field: nil, name: "count") }
    guard let members = item.json.object else { throw badMeasure(item.pointer) }
    for (key, value) in members where key != "as" {
      guard let function = Function(rawValue: key), members.count <= 2 else { throw badMeasure(item.pointer) }
      if function == .count { return Measure(function: .count, field: nil, name: try name(members["as"], otherwise: "count", item.pointer)) }
      guard let field = value.string else { throw badMeasure(item.pointer) }
      return Measure(function: function, field: FieldPath(field), name: try name(members["as"], otherwise: "\(key)_\(field)", item.pointer))
    }
    throw badMeasure(item.pointer)
  }

  private static func badMeasure(_ pointer: String) -> Problem {
    let functions = Function.allCases.map(\.rawValue).joined(separator: ", ")
    return .badParameter(
      pointer,
      Phrase(
        "A measure is \"count\" or {function: field, as: name} with one of: \(functions).",
        tr: "Ölçü \"count\" ya da {işlev: alan, as: ad} olur; işlevler: \(functions)."))
  }

  private static func name(_ json: JSON?, otherwise: String, _ pointer: String) throws(Problem) -> String {
    guard let json else { return otherwise }
    guard let name = json.string, name.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]{0,62}/) != nil else {
      throw .badParameter("\(pointer)/as", Phrase("A name has letters, digits and underscores.", tr: "Ad; harf, rakam ve alt çizgi içerir."))
    }
    return name
  }

  private static func having(_ json: JSON?) throws(Problem) -> [Having] {
    guard let json else { return [] }
    guard case .all(let parts)? = try? Filter(json: json, pointer: "/having").asList else {
      throw .badParameter(
        "/having", Phrase("having compares measures: {\"sales\": {\"gt\": 1000}}.", tr: "having ölçüleri karşılaştırır: {\"sales\": {\"gt\": 1000}}."))
    }
    var conditions: [Having] = []
    for part in parts {
      guard case .compare(let path, let comparison, .value(let value)) = part, path.names.count == 1,
        comparison.needsOrder || comparison == .equal || comparison == .notEqual
      else {
        throw .badParameter("/having", Phrase("having takes eq, ne, lt, lte, gt and gte.", tr: "having; eq, ne, lt, lte, gt ve gte alır."))
      }
      conditions.append(Having(measure: path.names[0], comparison: comparison, value: value))
    }
    return conditions
  }
}

extension Filter {
  /// The filter as a conjunction, be it of one.
  fileprivate var asList: Filter {
    if case .all = self { self } else { .all([self]) }
  }
}
