import CRMCore

/// What is checked of a JSON body before any endpoint sees it.
enum JSONBody {
  static func isJSON(mediaType: String) -> Bool {
    let essence = mediaType.prefix { $0 != ";" && $0 != " " }.lowercased()
    return essence == "application/json" || (essence.hasPrefix("application/") && essence.hasSuffix("+json"))
  }

  /// Refuses what is no UTF-8, holds NUL or nests deeper than `depth`, which would cost a parser its stack.
  static func check(_ bytes: [UInt8], depth limit: Int) throws(Problem) {
    guard String(validating: bytes, as: UTF8.self) != nil, !bytes.contains(0) else {
      throw .badRequest("malformed-json", Phrase("The body is not valid UTF-8 text.", tr: "Gövde geçerli bir UTF-8 metni değil."))
    }
    var depth = 0
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
        if depth > limit {
          throw .badRequest(
            "json-too-deep", Phrase("The JSON nests deeper than \(limit) levels.", tr: "JSON \(limit) düzeyden derin iç içe geçiyor."))
        }
      case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
      default: break
      }
    }
  }
}
