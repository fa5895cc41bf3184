import Foundation

/// A parameter's value as it travels to PostgreSQL: text, NULL, or the reason why it cannot travel, which is reported when
/// the statement is run and before anything is sent.
package enum Bind: Sendable, Hashable {
  case null
  case text(String)
  case refused(Refusal)

  package enum Refusal: Sendable, Hashable {
    /// The text holds U+0000, which PostgreSQL cannot store.
    case containsNUL
    /// A decimal or a date that is no number.
    case notANumber
    /// An instant outside of what PostgreSQL can store (4713 BC to 294276 AD).
    case outOfRange

    var message: String {
      switch self {
      case .containsNUL: "a text parameter contains the character U+0000, which PostgreSQL cannot store; remove it"
      case .notANumber: "a number or date parameter is not a finite number"
      case .outOfRange: "a date parameter is outside of the years 4713 BC to 294276 AD"
      }
    }
  }

  /// The text as a parameter, refused if it holds U+0000.
  static func checked(_ text: String) -> Bind {
    text.containsNUL ? .refused(.containsNUL) : .text(text)
  }
}

extension String {
  /// Whether U+0000 is in it, which PostgreSQL cannot store.
  var containsNUL: Bool {
    utf8.withContiguousStorageIfAvailable { bytes in bytes.baseAddress.map { memchr($0, 0, bytes.count) != nil } ?? false }
      ?? utf8.contains(0)
  }
}
