/// The header fields of a request in the order they came, looked up by name in any letter case.
package struct HeaderFields: Sendable {
  package let all: [(name: String, value: String)]

  package init(_ all: [(name: String, value: String)]) {
    self.all = all
  }

  /// The value of a field; a field that came several times is joined by ", ".
  package subscript(name: String) -> String? {
    var found: String?
    for field in all where field.name.equalsIgnoringASCIICase(name) {
      found = found.map { "\($0), \(field.value)" } ?? field.value
    }
    return found
  }
}

extension HeaderFields: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral elements: (String, String)...) {
    self.init(elements.map { (name: $0.0, value: $0.1) })
  }
}

extension String {
  /// Whether two strings are the same but for the case of the letters A to Z, which is how protocol names compare.
  package func equalsIgnoringASCIICase(_ other: String) -> Bool {
    guard utf8.count == other.utf8.count else { return false }
    var (own, other) = (self, other)
    return own.withUTF8 { own in
      other.withUTF8 { other in
        for index in own.indices where own[index] != other[index] {
          let folded = own[index] | 0x20
          guard folded == other[index] | 0x20, folded >= UInt8(ascii: "a"), folded <= UInt8(ascii: "z") else { return false }
        }
        return true
      }
    }
  }
}
