/// A statement, or a piece of one. Its literal text is known at compile time; a value that is interpolated becomes a bind
/// parameter, an `Identifier` a quoted name, another `SQL` a piece of this one:
///
///     "SELECT name FROM crm.customer WHERE id = \(id) AND \(filter)"
///
/// There is no way from run-time text to SQL.
package struct SQL: Sendable, ExpressibleByStringInterpolation {
  /// The statement with its parameters numbered `$1`, `$2`, ….
  package private(set) var text: String
  /// What the parameters stand for, in order.
  package private(set) var binds: [Bind]
  /// Where in `text` (UTF-8) each parameter stands.
  private var places: [Int]
  /// What errors call the statement.
  private(set) var name: StaticString?

  package init(stringLiteral value: StaticString) {
    text = Self.string(value)
    binds = []
    places = []
  }

  package init(stringInterpolation: StringInterpolation) {
    self = stringInterpolation.sql
  }

  fileprivate init(capacity: Int, interpolations: Int) {
    text = ""
    text.reserveCapacity(capacity + interpolations * 4)
    binds = []
    places = []
    binds.reserveCapacity(interpolations)
    places.reserveCapacity(interpolations)
  }

  /// The same statement, called `name` in errors and logs.
  package func named(_ name: StaticString) -> SQL {
    var copy = self
    copy.name = name
    return copy
  }

  fileprivate mutating func append(_ literal: StaticString) {
    text += Self.string(literal)
  }

  fileprivate mutating func append(_ identifier: Identifier) {
    text += identifier.quoted
  }

  fileprivate mutating func append(_ bind: Bind) {
    binds.append(bind)
    places.append(text.utf8.count)
    text += "$"
    text += String(binds.count)
  }

  fileprivate mutating func append(_ piece: SQL) {
    if piece.binds.isEmpty {
      text += piece.text
      return
    }
    let bytes = piece.text.utf8
    var start = bytes.startIndex
    for (number, place) in piece.places.enumerated() {
      let dollar = bytes.index(bytes.startIndex, offsetBy: place)
      text += piece.text[start..<dollar]
      append(piece.binds[number])
      start = bytes.index(dollar, offsetBy: 1 + Self.digits(number + 1))
    }
    text += piece.text[start...]
  }

  private static func digits(_ number: Int) -> Int { number < 10 ? 1 : 1 + digits(number / 10) }

  private static func string(_ literal: StaticString) -> String {
    literal.hasPointerRepresentation ? literal.withUTF8Buffer { String(decoding: $0, as: UTF8.self) } : literal.description
  }

  package static func + (left: SQL, right: SQL) -> SQL {
    var sum = left
    sum.append(right)
    return sum
  }

  package static func += (left: inout SQL, right: SQL) { left.append(right) }

  package struct StringInterpolation: StringInterpolationProtocol {
    package typealias StringLiteralType = StaticString
    fileprivate var sql: SQL

    package init(literalCapacity: Int, interpolationCount: Int) {
      sql = SQL(capacity: literalCapacity, interpolations: interpolationCount)
    }

    package mutating func appendLiteral(_ literal: StaticString) { sql.append(literal) }
    package mutating func appendInterpolation(_ value: some PostgresEncodable) { sql.append(value.bind) }
    /// Binds NULL for nil. Said apart, so that the compiler does not take an optional for an oversight.
    package mutating func appendInterpolation(_ value: (some PostgresEncodable)?) { sql.append(value.bind) }
    package mutating func appendInterpolation(_ identifier: Identifier) { sql.append(identifier) }
    @_disfavoredOverload
    package mutating func appendInterpolation(_ piece: SQL) { sql.append(piece) }
  }
}

extension Sequence<SQL> {
  /// The pieces in order with `separator` between them; an empty piece for none.
  package func joined(separator: StaticString) -> SQL {
    let between = SQL(stringLiteral: separator)
    var sum: SQL = ""
    var first = true
    for piece in self {
      if !first { sum += between }
      sum += piece
      first = false
    }
    return sum
  }
}
