/// A piece of an HTML page. Its literal text is markup known at compile time; text that is interpolated is escaped, another `HTML` is a piece of this
/// one:
///
///     "<p lang=\"\(language.rawValue)\">\(quote.terms)</p>"
///
/// There is no way from run-time text to markup.
package struct HTML: Sendable, ExpressibleByStringInterpolation {
  package private(set) var markup: String

  package init(stringLiteral value: StaticString) { markup = "\(value)" }
  package init(stringInterpolation: StringInterpolation) { markup = stringInterpolation.markup }

  package static func += (left: inout HTML, right: HTML) { left.markup += right.markup }

  package struct StringInterpolation: StringInterpolationProtocol {
    package typealias StringLiteralType = StaticString
    fileprivate var markup = ""

    package init(literalCapacity: Int, interpolationCount: Int) { markup.reserveCapacity(literalCapacity + interpolationCount * 16) }
    package mutating func appendLiteral(_ literal: StaticString) { markup += "\(literal)" }
    package mutating func appendInterpolation(_ text: some StringProtocol) { markup += MarkupText.escaped(text) }
    package mutating func appendInterpolation(_ piece: HTML) { markup += piece.markup }
    package mutating func appendInterpolation(_ pieces: [HTML]) { for piece in pieces { markup += piece.markup } }
  }
}
