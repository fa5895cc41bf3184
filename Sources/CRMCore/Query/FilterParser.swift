/// Reads the URL spelling of filters: `gte.1000`, `not.in.(a,b)`, `(stage.eq.won,and(amount.gte.10,amount.lt.20))`.
/// It goes by bytes of UTF-8: all that has a meaning is ASCII, and finding the bounds of characters is slow.
struct FilterParser {
  private let bytes: [UInt8]
  private var position = 0
  private let pointer: String
  /// Groups may be nested this deep, so that a hostile filter cannot exhaust the stack.
  private static let maximumNesting = 16

  private static let open = UInt8(ascii: "(")
  private static let close = UInt8(ascii: ")")
  private static let comma = UInt8(ascii: ",")
  private static let point = UInt8(ascii: ".")
  private static let quote = UInt8(ascii: "\"")

  init(_ text: String, pointer: String) {
    bytes = Array(text.utf8)
    self.pointer = pointer
  }

  /// The value of a field's parameter, such as `eq.won`, `not.gte.10` or `in.(a,b)`.
  static func condition(field: String, _ text: String) throws(Problem) -> Filter {
    var parser = FilterParser(text, pointer: field)
    return try parser.comparison(FieldPath(field), wholeRest: true)
  }

  /// The value of `or=`, `and=` or `not=`: a list in parentheses.
  mutating func group(_ word: String) throws(Problem) -> Filter {
    let items = try list(nesting: 0)
    guard position == bytes.count else { throw malformed() }
    return Self.combine(word, items)
  }

  private static func combine(_ word: String, _ items: [Filter]) -> Filter {
    switch word {
    case "or": .any(items)
    case "not": .not(.all(items))
    default: .all(items)
    }
  }

  private mutating func list(nesting: Int) throws(Problem) -> [Filter] {
    guard nesting < Self.maximumNesting else {
      throw .badFilter(pointer, Phrase("The filter is nested too deeply.", tr: "Süzgeç çok derin iç içe geçmiş."))
    }
    guard take(Self.open) else { throw malformed() }
    var items: [Filter] = []
    repeat { items.append(try item(nesting: nesting + 1)) } while take(Self.comma)
    guard take(Self.close) else { throw malformed() }
    return items
  }

  private mutating func item(nesting: Int) throws(Problem) -> Filter {
    for word in ["and", "or", "not"] where rest(startsWith: word + "(") {
      position += word.utf8.count
      return Self.combine(word, try list(nesting: nesting))
    }
    // A field's dots and the operator's dot look alike: the field ends where a segment is an operator.
    var names: [String] = []
    while position < bytes.count {
      let start = position
      while position < bytes.count, bytes[position] != Self.point, bytes[position] != Self.comma, bytes[position] != Self.close { position += 1 }
      let segment = String(decoding: bytes[start..<position], as: UTF8.self)
      if !names.isEmpty, segment == "not" || Comparison(rawValue: segment) != nil {
        position = start
        return try comparison(FieldPath(names), wholeRest: false)
      }
      names.append(segment)
      guard take(Self.point) else { break }
    }
    guard names.count > 1 else { throw malformed() }
    throw .unknownOperator(names[1], at: pointer)
  }

  private mutating func comparison(_ field: FieldPath, wholeRest: Bool) throws(Problem) -> Filter {
    let start = position
    while position < bytes.count, bytes[position] != Self.point { position += 1 }
    let word = String(decoding: bytes[start..<position], as: UTF8.self)
    if word == "not", take(Self.point) { return .not(try comparison(field, wholeRest: wholeRest)) }
    guard let comparison = Comparison(rawValue: word) else {
      throw position == bytes.count && wholeRest
        ? .badFilter(
          pointer,
          Phrase(
            "A filter is an operator, a point and a value, such as \(Problem.clipped(field.description))=eq.\(Problem.clipped(word)).",
            tr: "Süzgeç; işleç, nokta ve değerden oluşur: \(Problem.clipped(field.description))=eq.\(Problem.clipped(word)) gibi."))
        : .unknownOperator(word, at: pointer)
    }
    guard take(Self.point) else {
      throw .badFilter(pointer, Phrase("The value is missing after \(word).", tr: "\(word) işlecinden sonra değer eksik."))
    }
    if comparison.takesList { return .compare(field, comparison, .list(try values(wholeRest: wholeRest))) }
    return .compare(field, comparison, .value(try value(wholeRest: wholeRest)))
  }

  private mutating func values(wholeRest: Bool) throws(Problem) -> [String] {
    guard take(Self.open) else {
      throw .badFilter(pointer, Phrase("A list is written in parentheses: in.(a,b).", tr: "Liste parantez içinde yazılır: in.(a,b)."))
    }
    if take(Self.close) { return [] }
    var items: [String] = []
    repeat { items.append(try value(wholeRest: false)) } while take(Self.comma)
    guard take(Self.close), !wholeRest || position == bytes.count else { throw malformed() }
    guard items.count <= Query.maximumLimit else {
      throw .badFilter(pointer, Phrase("A list holds at most 1,000 values.", tr: "Liste en fazla 1.000 değer içerir."))
    }
    return items
  }

  /// One value: in double quotes (with `\"` and `\\`), or up to the next comma or closing parenthesis; the whole rest for a field's own parameter.
  private mutating func value(wholeRest: Bool) throws(Problem) -> String {
    if wholeRest {
      defer { position = bytes.count }
      return String(decoding: bytes[position...], as: UTF8.self)
    }
    guard take(Self.quote) else {
      let start = position
      while position < bytes.count, bytes[position] != Self.comma, bytes[position] != Self.close { position += 1 }
      return String(decoding: bytes[start..<position], as: UTF8.self)
    }
    var text: [UInt8] = []
    while position < bytes.count, bytes[position] != Self.quote {
      if bytes[position] == UInt8(ascii: "\\"), position + 1 < bytes.count { position += 1 }
      text.append(bytes[position])
      position += 1
    }
    guard take(Self.quote) else { throw malformed() }
    return String(decoding: text, as: UTF8.self)
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  private func rest(startsWith word: String) -> Bool { bytes[position...].starts(with: word.utf8) }

  private func malformed() -> Problem {
    .badFilter(
      pointer,
      Phrase(
        "The filter cannot be read. Write (field.operator.value,…), with and(…), or(…), not(…) and quotes around values that hold commas.",
        tr: "Süzgeç okunamıyor. (alan.işleç.değer,…) biçiminde yazın; and(…), or(…), not(…) kullanabilir, virgül içeren değerleri tırnağa alabilirsiniz."))
  }
}
