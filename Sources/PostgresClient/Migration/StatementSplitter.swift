/// Splits the text of a file into its statements, at each `;` that stands outside of quotes, dollar quotes, parentheses and
/// comments.
struct StatementSplitter {
  struct Statement: Equatable {
    let text: String
    /// The line it begins on, counted from 1.
    let line: Int
  }

  private let text: [UInt8]
  private var position = 0

  private init(_ text: String) { self.text = Array(text.utf8) }

  static func split(_ text: String) -> [Statement] {
    var splitter = StatementSplitter(text)
    return splitter.statements()
  }

  private mutating func statements() -> [Statement] {
    var statements: [Statement] = []
    while let statement = next() { statements.append(statement) }
    return statements
  }

  private mutating func next() -> Statement? {
    skipBlanks()
    guard position < text.count else { return nil }
    let start = position
    var depth = 0
    while position < text.count {
      switch text[position] {
      case UInt8(ascii: ";") where depth == 0:
        let end = position
        position += 1
        return end == start ? next() : statement(start..<end)
      case UInt8(ascii: "("):
        depth += 1
        position += 1
      case UInt8(ascii: ")"):
        depth -= 1
        position += 1
      case UInt8(ascii: "'"): skipQuoted(by: UInt8(ascii: "'"), escapes: isEscapeString)
      case UInt8(ascii: "\""): skipQuoted(by: UInt8(ascii: "\""), escapes: false)
      case UInt8(ascii: "$"): skipDollarQuoted()
      default: if !skipComment() { position += 1 }
      }
    }
    return statement(start..<position)
  }

  private func statement(_ range: Range<Int>) -> Statement {
    Statement(
      text: String(decoding: text[range], as: UTF8.self), line: 1 + text[..<range.lowerBound].count { $0 == UInt8(ascii: "\n") })
  }

  /// White space and comments before a statement.
  private mutating func skipBlanks() {
    while position < text.count {
      if [9, 10, 12, 13, 32].contains(text[position]) {
        position += 1
      } else if !skipComment() {
        return
      }
    }
  }

  /// Whether the quote that opens here follows an E: `E'…'`, in which a backslash escapes.
  private var isEscapeString: Bool {
    guard position > 0, text[position - 1] | 0x20 == UInt8(ascii: "e") else { return false }
    return position == 1 || !isNameByte(text[position - 2])
  }

  private mutating func skipQuoted(by quote: UInt8, escapes: Bool) {
    position += 1
    while position < text.count {
      if escapes, text[position] == UInt8(ascii: "\\") {
        position += 2
      } else if text[position] == quote {
        position += 1
        // A doubled quote stands for one; what follows is read as another quoted text.
        return
      } else {
        position += 1
      }
    }
  }

  /// `$tag$ … $tag$`; a `$` within a name or before a number opens nothing.
  private mutating func skipDollarQuoted() {
    let start = position
    position += 1
    if start > 0, isNameByte(text[start - 1]) { return }
    while position < text.count, isNameByte(text[position]) { position += 1 }
    guard position < text.count, text[position] == UInt8(ascii: "$"), !(48...57).contains(text[start + 1]) else { return }
    position += 1
    let tag = text[start..<position]
    while position + tag.count <= text.count {
      if text[position..<position + tag.count].elementsEqual(tag) {
        position += tag.count
        return
      }
      position += 1
    }
    position = text.count
  }

  /// - Returns: false if no comment begins here.
  private mutating func skipComment() -> Bool {
    guard position + 1 < text.count else { return false }
    switch (text[position], text[position + 1]) {
    case (UInt8(ascii: "-"), UInt8(ascii: "-")):
      while position < text.count, text[position] != UInt8(ascii: "\n") { position += 1 }
      return true
    case (UInt8(ascii: "/"), UInt8(ascii: "*")):
      var depth = 0
      repeat {
        if text[position...].starts(with: "/*".utf8) {
          depth += 1
          position += 2
        } else if text[position...].starts(with: "*/".utf8) {
          depth -= 1
          position += 2
        } else {
          position += 1
        }
      } while depth > 0 && position < text.count
      return true
    default: return false
    }
  }

  private func isNameByte(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95 || byte >= 128
  }
}
