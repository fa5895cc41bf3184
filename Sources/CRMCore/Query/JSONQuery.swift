import Foundation

/// Reads a `Query` from JSON, the spelling of `POST /v1/{resource}/query`:
/// `{"filter": {"stage": "won", "amount": {"gte": 1000}, "or": [{…}, {…}], "not": {…}}, "order": ["-created_at"], "select": […], "expand": […], "limit": 50}`.
extension Query {
  package init(json: JSON) throws(Problem) {
    self.init()
    isJSON = true
    guard let members = json.object else { throw .badParameter("", Phrase("The body is a JSON object.", tr: "Gövde bir JSON nesnesi olmalıdır.")) }
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      let pointer = "/\(name.jsonPointerEscaped)"
      switch name {
      case "filter": filter = try Filter(json: value, pointer: pointer)
      case "order":
        for (index, item) in try Self.strings(value, pointer).enumerated() { order += try Query.orders(item, pointer: "\(pointer)/\(index)") }
        try Query.checkCount(order, pointer)
      case "select": select = try Self.strings(value, pointer)
      case "expand": expand = try Self.strings(value, pointer)
      case "search": search = try Self.string(value, pointer)
      case "limit":
        guard case .number(let number) = value else { throw .badParameter(pointer, ColumnType.integer(bits: 32).expectation) }
        limit = try Query.limit("\(number)", pointer: pointer)
      case "cursor": if value != .null { cursor = try Self.string(value, pointer) }
      case "count":
        guard let wanted = Count(rawValue: try Self.string(value, pointer)) else {
          throw .badParameter(pointer, Phrase("count is exact or estimated.", tr: "count, exact ya da estimated olabilir."))
        }
        count = wanted
      default:
        let known = ["filter", "order", "select", "expand", "search", "limit", "cursor", "count"]
        throw .unknownField(FieldPath(name), of: "query", at: pointer, candidates: known)
      }
    }
  }

  static func strings(_ value: JSON, _ pointer: String) throws(Problem) -> [String] {
    guard let items = value.array else { throw .badParameter(pointer, ColumnType.array(.text).expectation) }
    var strings: [String] = []
    for (index, item) in items.enumerated() { strings.append(try string(item, "\(pointer)/\(index)")) }
    return strings
  }

  static func string(_ value: JSON, _ pointer: String) throws(Problem) -> String {
    guard let text = value.string else { throw .badParameter(pointer, ColumnType.text.expectation) }
    return text
  }
}

extension Filter {
  /// Depth is bounded by the JSON decoder's own limit on nesting.
  package init(json: JSON, pointer: String) throws(Problem) {
    guard let members = json.object else {
      throw .badFilter(pointer, Phrase("A filter is a JSON object.", tr: "Süzgeç bir JSON nesnesidir."))
    }
    var parts: [Filter] = []
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      let here = "\(pointer)/\(name.jsonPointerEscaped)"
      switch name {
      case "and": parts.append(.all(try Self.list(value, here)))
      case "or": parts.append(.any(try Self.list(value, here)))
      case "not": parts.append(.not(try Filter(json: value, pointer: here)))
      default: parts += try Self.comparisons(FieldPath(name, pointer: here), value, here)
      }
    }
    self = parts.count == 1 ? parts[0] : .all(parts)
  }

  private static func list(_ value: JSON, _ pointer: String) throws(Problem) -> [Filter] {
    guard let items = value.array else {
      throw .badFilter(pointer, Phrase("and/or take a list of filters.", tr: "and/or bir süzgeç listesi alır."))
    }
    var filters: [Filter] = []
    for (index, item) in items.enumerated() { filters.append(try Filter(json: item, pointer: "\(pointer)/\(index)")) }
    return filters
  }

  /// `"won"`, `null`, `["a", "b"]` or `{"gte": 10, "lt": 20}`.
  private static func comparisons(_ field: FieldPath, _ value: JSON, _ pointer: String) throws(Problem) -> [Filter] {
    switch value {
    case .null: return [.compare(field, .is, .value("null"))]
    case .array: return [.compare(field, .in, .list(try scalars(value, pointer)))]
    case .object(let members):
      var parts: [Filter] = []
      for (name, operand) in members.sorted(by: { $0.key < $1.key }) {
        let here = "\(pointer)/\(name.jsonPointerEscaped)"
        if name == "not" {
          parts.append(.not(.all(try comparisons(FieldPath(field.names, pointer: here), operand, here))))
          continue
        }
        guard let comparison = Comparison(rawValue: name) else { throw .unknownOperator(name, at: here) }
        parts.append(
          .compare(
            FieldPath(field.names, pointer: here), comparison, comparison.takesList ? .list(try scalars(operand, here)) : .value(try scalar(operand, here))))
      }
      return parts
    default: return [.compare(field, .equal, .value(try scalar(value, pointer)))]
    }
  }

  private static func scalars(_ value: JSON, _ pointer: String) throws(Problem) -> [String] {
    guard let items = value.array, items.count <= Query.maximumLimit else {
      throw .badFilter(pointer, Phrase("Give a list of at most 1,000 values.", tr: "En fazla 1.000 değerlik bir liste verin."))
    }
    var texts: [String] = []
    for item in items { texts.append(try scalar(item, pointer)) }
    return texts
  }

  private static func scalar(_ value: JSON, _ pointer: String) throws(Problem) -> String {
    switch value {
    case .string(let text): return text
    case .number(let number): return "\(number)"
    case .bool(let flag): return flag ? "true" : "false"
    case .null, .array, .object:
      throw .badFilter(pointer, Phrase("Give one text, number or true/false.", tr: "Tek bir metin, sayı ya da true/false verin."))
    }
  }
}
