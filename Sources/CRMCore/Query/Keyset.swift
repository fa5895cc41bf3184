import Crypto
import Foundation
import PostgresClient

/// The total order of a list and the place in it where a page ends. Depth costs nothing: the next page starts from values, not from an offset.
struct Keyset {
  struct Part {
    let field: ResolvedField
    let descending: Bool
    /// Its name, when it is a field of the resource's own; nil for a neighbour's.
    let shownAs: String?
  }

  private let parts: [Part]
  private var columns: [Int] = []
  /// Ties a cursor to its resource, order and filter.
  let fingerprint: [UInt8]

  init(_ query: Query, entity: Model.Entity, scope: inout QueryScope, compiler: inout QueryCompiler) throws(Problem) {
    var orders = query.order
    if orders.isEmpty { orders = try Query.orders(entity.resource.order) }
    var parts: [Part] = []
    for order in orders {
      let field = try scope.field(order.field, in: &compiler, pointer: order.field.pointer)
      guard field.type.isOrdered else {
        throw .badParameter(
          order.field.pointer, Phrase("\(order.field) cannot be sorted by.", tr: "\(order.field) alanına göre sıralanamaz."))
      }
      let names = order.field.names
      parts.append(Part(field: field, descending: order.descending, shownAs: names.count == 1 ? names[0] : nil))
    }
    // The id breaks ties in the direction of the last field, so that one index can serve the whole order.
    if orders.last?.field.names != ["id"] {
      let id = try scope.field(FieldPath("id"), in: &compiler, pointer: "order")
      parts.append(Part(field: id, descending: orders.last?.descending ?? false, shownAs: "id"))
    }
    self.parts = parts
    fingerprint = Self.fingerprint(entity.name, orders, query)
  }

  private static func fingerprint(_ resource: String, _ orders: [Query.Order], _ query: Query) -> [UInt8] {
    var text = resource
    for order in orders { text += (order.descending ? "|-" : "|+") + order.field.description }
    text += "|"
    query.filter?.spell(into: &text)
    text += "|"
    text += query.search ?? ""
    return Array(SHA256.hash(data: Data(text.utf8)).prefix(8))
  }

  var orderBy: SQL {
    parts.map { part -> SQL in
      switch (part.descending, part.field.isNullable) {
      case (false, _): "\(part.field.sql)"
      case (true, false): "\(part.field.sql) DESC"
      case (true, true): "\(part.field.sql) DESC NULLS LAST"
      }
    }.joined(separator: ", ")
  }

  /// Makes sure that the result has the values of the last row; what is shown anyway is not asked for twice.
  mutating func addColumns(to layout: inout RowLayout) {
    columns = parts.map { part in part.shownAs.flatMap { layout.column(of: $0) } ?? layout.hidden(part.field.sql) }
  }

  /// The values of a row that the next page starts after.
  func values(of result: PostgresResult, row: Int) -> [String?] {
    columns.map { result.text(row, $0) }
  }

  /// "Comes after these values" in the list's order.
  func condition(after values: [String?]) throws(Problem) -> SQL {
    guard values.count == parts.count else { throw .badCursor() }
    let uniform = parts.allSatisfy { $0.descending == parts[0].descending && !$0.field.isNullable }
    let bound = values.compactMap(\.self)
    if uniform, bound.count == values.count {
      // A row comparison is a range of an index; the spelled-out form is not.
      let fields = parts.map(\.field.sql).joined(separator: ", ")
      let limits = bound.map { "\($0)" as SQL }.joined(separator: ", ")
      return parts[0].descending ? "(\(fields)) < (\(limits))" : "(\(fields)) > (\(limits))"
    }
    var alternatives: [SQL] = []
    var equal: [SQL] = []
    for (part, value) in zip(parts, values) {
      if let further = Self.further(part, value) { alternatives.append((equal + [further]).joined(separator: " AND ")) }
      equal.append(value.map { "\(part.field.sql) = \($0)" } ?? "\(part.field.sql) IS NULL")
    }
    return "(" + alternatives.joined(separator: " OR ") + ")"
  }

  /// Missing values come last in both directions.
  private static func further(_ part: Part, _ value: String?) -> SQL? {
    guard let value else { return nil }
    let beyond: SQL = part.descending ? "\(part.field.sql) < \(value)" : "\(part.field.sql) > \(value)"
    return part.field.isNullable ? "(\(beyond) OR \(part.field.sql) IS NULL)" : beyond
  }
}
