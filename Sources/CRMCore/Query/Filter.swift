/// What a caller wants to see of a resource, before it is held against the model.
package struct Query: Sendable {
  package enum Count: String, Sendable, CaseIterable { case exact, estimated }

  package struct Order: Sendable, Hashable {
    package let field: FieldPath
    package let descending: Bool
  }

  package var filter: Filter?
  package var order: [Order] = []
  /// Fields to show; nil for all.
  package var select: [String]?
  package var expand: [String] = []
  package var search: String?
  /// Rows a page: 1 to `maximumLimit`.
  package var limit = Query.defaultLimit
  package var cursor: String?
  package var count: Count?
  /// Whether it came as JSON, so that problems name places in the body and not parameters.
  package var isJSON = false

  package init() {}

  /// Where one of its members stands.
  func pointer(_ name: String) -> String { isJSON ? "/\(name)" : name }

  /// Where one item of a list stands.
  func pointer(_ name: String, _ index: Int) -> String { isJSON ? "/\(name)/\(index)" : name }

  package static let defaultLimit = 50
  package static let maximumLimit = 1_000
}

/// A field, own (`city`) or of a neighbour (`customer.city`), custom fields (`custom.colour`), and members of objects (`profile.region`).
package struct FieldPath: Sendable, Hashable, CustomStringConvertible {
  package let names: [String]
  /// Where it stands: a JSON pointer into the body, or its own name as a parameter of the URL.
  package let pointer: String

  package init(_ names: [String], pointer: String? = nil) {
    self.names = names
    self.pointer = pointer ?? names.joined(separator: ".")
  }

  package init(_ text: String, pointer: String? = nil) {
    names =
      text.utf8.contains(UInt8(ascii: "."))
      ? text.split(separator: "." as Character, omittingEmptySubsequences: false).map(String.init) : [text]
    self.pointer = pointer ?? text
  }

  /// The same field is the same wherever it stands.
  package static func == (left: FieldPath, right: FieldPath) -> Bool { left.names == right.names }
  package func hash(into hasher: inout Hasher) { hasher.combine(names) }
  package var description: String { names.joined(separator: ".") }
  /// Neighbours are followed this far.
  package static let maximumDepth = 3
}

package indirect enum Filter: Sendable, Hashable {
  case all([Filter])
  case any([Filter])
  case not(Filter)
  case compare(FieldPath, Comparison, Operand)

  package enum Operand: Sendable, Hashable {
    case value(String)
    case list([String])
  }
}

extension Filter {
  /// Spells the filter so that two filters are spelled alike only if they are alike.
  func spell(into text: inout String) {
    switch self {
    case .all(let parts): Self.spell("&", parts, into: &text)
    case .any(let parts): Self.spell("|", parts, into: &text)
    case .not(let part): Self.spell("!", [part], into: &text)
    case .compare(let path, let comparison, .value(let value)):
      text += "\(path)=\(comparison.rawValue)\(value.utf8.count):\(value)"
    case .compare(let path, let comparison, .list(let values)):
      text += "\(path)=\(comparison.rawValue)["
      for value in values { text += "\(value.utf8.count):\(value)" }
      text += "]"
    }
  }

  private static func spell(_ sign: String, _ parts: [Filter], into text: inout String) {
    text += sign + "("
    for part in parts {
      part.spell(into: &text)
      text += ","
    }
    text += ")"
  }
}

/// The operators of the filter syntax.
package enum Comparison: String, Sendable, CaseIterable {
  case equal = "eq"
  case notEqual = "ne"
  case less = "lt"
  case lessOrEqual = "lte"
  case greater = "gt"
  case greaterOrEqual = "gte"
  case `in`
  case notIn = "not_in"
  /// `null`, `not_null`, `true`, `false`.
  case `is`
  /// Case-sensitive beginning of a text.
  case startsWith = "starts"
  /// Anywhere in a text, without regard to case, accents and Turkish i.
  case contains

  var takesList: Bool { self == .in || self == .notIn }
  var needsOrder: Bool {
    switch self {
    case .less, .lessOrEqual, .greater, .greaterOrEqual: true
    default: false
    }
  }
  var needsText: Bool { self == .startsWith || self == .contains }
}
