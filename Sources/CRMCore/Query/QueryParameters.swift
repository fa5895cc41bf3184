/// Reads a `Query` from a URL: `?stage=eq.won&amount=gte.1000&customer.city=eq.İzmir&or=(…)&order=-created_at&select=…&expand=customer`.
extension Query {
  /// Parameters with a meaning of their own; every other name is a field.
  static let reserved: Set<String> = ["order", "select", "expand", "search", "limit", "cursor", "count", "or", "and", "not"]

  package init(parameters: [(name: String, value: String)], also allowed: Set<String> = []) throws(Problem) {
    self.init()
    var filters: [Filter] = []
    var seen: Set<String> = []
    for (name, value) in parameters where !allowed.contains(name) {
      if Query.reserved.contains(name), name != "or", name != "and", name != "not", !seen.insert(name).inserted {
        throw .badParameter(name, Phrase("\(name) is given twice. Give it once.", tr: "\(name) iki kez verilmiş. Bir kez verin."))
      }
      switch name {
      case "order": order = try Query.orders(value)
      case "select": select = value.split(separator: ",").map { String($0).trimmed }
      case "expand": expand = value.split(separator: ",").map { String($0).trimmed }
      case "search": search = value
      case "limit": limit = try Query.limit(value)
      case "cursor": cursor = value
      case "count":
        guard let wanted = Count(rawValue: value) else {
          throw .badParameter("count", Phrase("count is exact or estimated.", tr: "count, exact ya da estimated olabilir."))
        }
        count = wanted
      case "or", "and", "not":
        var parser = FilterParser(value, pointer: name)
        filters.append(try parser.group(name))
      default: filters.append(try FilterParser.condition(field: name, value))
      }
    }
    filter = filters.isEmpty ? nil : .all(filters)
  }

  static func orders(_ text: String, pointer: String = "order") throws(Problem) -> [Order] {
    var orders: [Order] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let name = String(part).trimmed
      let descending = name.hasPrefix("-")
      let bare = descending ? String(name.dropFirst()) : name
      guard !bare.isEmpty else {
        throw .badParameter(
          pointer, Phrase("order lists fields, such as -created_at,name.", tr: "order alan listesidir; örneğin -created_at,name."))
      }
      orders.append(Order(field: FieldPath(bare, pointer: pointer), descending: descending))
    }
    try checkCount(orders, pointer)
    return orders
  }

  static func checkCount(_ orders: [Order], _ pointer: String) throws(Problem) {
    if orders.count > 5 { throw .badParameter(pointer, Phrase("Sort by at most 5 fields.", tr: "En fazla 5 alana göre sıralayın.")) }
  }

  static func limit(_ text: String, pointer: String = "limit") throws(Problem) -> Int {
    guard let value = Int(text), (1...maximumLimit).contains(value) else {
      throw .badParameter(
        pointer, Phrase("limit is a whole number from 1 to \(maximumLimit).", tr: "limit, 1 ile \(maximumLimit) arasında bir tam sayıdır."))
    }
    return value
  }
}

extension String {
  /// The text without spaces around it. Few have any, which the first and the last byte tell.
  var trimmed: String {
    if let first = utf8.first, let last = utf8.last, Self.visible.contains(first), Self.visible.contains(last) { return self }
    return String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }

  /// ASCII that is no space.
  private static let visible: ClosedRange<UInt8> = 0x21...0x7e
}
