import Foundation

extension Request {
  /// Bodies may be nested this deep.
  private static let maximumDepth = 64

  /// The body as JSON. Throws a problem that says what is wrong with it.
  package func json() throws(Problem) -> JSON {
    guard case .bytes(let bytes) = body, !bytes.isEmpty else {
      throw .badRequest("missing-body", Phrase("Send a JSON body.", tr: "Bir JSON gövdesi gönderin."))
    }
    let shape = Self.shape(of: bytes)
    guard shape.depth <= Self.maximumDepth else {
      throw .badRequest("too-deep", Phrase("The JSON is nested deeper than \(Self.maximumDepth) levels.", tr: "JSON \(Self.maximumDepth) düzeyden derin."))
    }
    let malformed = Problem.badRequest(
      "malformed-json", Phrase("The body is not valid JSON in UTF-8.", tr: "Gövde UTF-8 kodlu geçerli bir JSON değil."))
    // Foundation would also take UTF-16, UTF-32 and a comma behind the last member.
    guard !shape.hasTrailingComma, !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil else { throw malformed }
    let json: JSON
    do { json = try JSONDecoder().decode(JSON.self, from: Data(bytes)) } catch { throw malformed }
    if let repeated = RepeatedMember(in: bytes) {
      let message = Phrase("This member stands twice in its object; send it once.", tr: "Bu üye nesnesinde iki kez geçiyor; bir kez gönderin.")
      throw .badRequest("repeated-member", message, errors: [.init(repeated.pointer, code: "repeated-member", message)])
    }
    return json
  }

  /// The deepest nesting of arrays and objects, counted before anything recursive touches the text, and whether one of them ends with a comma.
  private static func shape(of bytes: [UInt8]) -> (depth: Int, hasTrailingComma: Bool) {
    var hasTrailingComma = false
    var last: UInt8 = 0
    var depth = 0
    var deepest = 0
    var inString = false
    var escaped = false
    for byte in bytes {
      if inString {
        if escaped {
          escaped = false
        } else if byte == UInt8(ascii: "\\") {
          escaped = true
        } else if byte == UInt8(ascii: "\"") {
          inString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): inString = true
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        deepest = max(deepest, depth)
      case UInt8(ascii: "]"), UInt8(ascii: "}"):
        depth -= 1
        if last == UInt8(ascii: ",") { hasTrailingComma = true }
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): continue
      default: break
      }
      last = byte
    }
    return (deepest, hasTrailingComma)
  }

  /// Whether a preference such as `tx=rollback` was asked for (RFC 7240).
  package func prefers(_ preference: String) -> Bool {
    headers["prefer"]?.split(separator: ",").contains { String($0).trimmed.lowercased() == preference } ?? false
  }
}

extension JSON {
  /// The members of an object beyond those that are known, each as a mistake at its place: left out silently, a misspelt one would not do what was asked.
  package func unknownMembers(besides known: [String], at pointer: String = "") -> [Problem.FieldError] {
    let list = known.joined(separator: ", ")
    return (object ?? [:]).keys.filter { !known.contains($0) }.sorted().map {
      .init(
        "\(pointer)/\($0.jsonPointerEscaped)", code: "unknown-field",
        Phrase("There is no such field. Use: \(list).", tr: "Böyle bir alan yok. Şunları kullanın: \(list)."))
    }
  }
}
