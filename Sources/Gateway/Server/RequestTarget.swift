import CRMCore

/// The target of a request line, taken apart and percent-decoded strictly (RFC 3986): what cannot be decoded is refused, never guessed.
struct RequestTarget {
  /// The decoded path.
  let path: String
  /// The decoded segments of the path; an empty last one stands for a slash at the end.
  let segments: [String]
  /// The pairs of the query in their order; `+` is a space, as forms write it.
  let query: [(name: String, value: String)]

  /// Whether the target is `*`, which asks about the server itself.
  var isServerWide: Bool { path == "*" }

  init(_ target: String) throws(Problem) {
    let parts: Parts
    do {
      parts = try target.utf8.withContiguousStorageIfAvailable { try Parts($0) } ?? Array(target.utf8).withUnsafeBufferPointer { try Parts($0) }
    } catch let problem as Problem {
      throw problem
    } catch {
      throw Self.malformed
    }
    path = parts.path
    segments = parts.segments
    query = parts.query
  }

  static let malformed = Problem.badRequest(
    "malformed-address",
    Phrase(
      "The address is malformed: use printable ASCII without spaces, and %XX escapes of UTF-8 for everything else (curl -G --data-urlencode writes them).",
      tr: "Adres hatalı: boşluksuz yazdırılabilir ASCII, gerisi için UTF-8'in %XX kaçışlarını kullanın (curl -G --data-urlencode bunu yapar)."))

  private struct Parts {
    var path = ""
    var segments: [String] = []
    var query: [(name: String, value: String)] = []

    init(_ bytes: UnsafeBufferPointer<UInt8>) throws {
      guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }) else { throw RequestTarget.malformed }
      if bytes.count == 1, bytes[0] == UInt8(ascii: "*") {
        path = "*"
        return
      }
      let start = try Self.pathStart(bytes)
      let queryStart = bytes[start...].firstIndex(of: UInt8(ascii: "?"))
      let pathBytes = bytes[start..<(queryStart ?? bytes.count)]
      path = try Self.decode(pathBytes, plusIsSpace: false)
      segments.reserveCapacity(8)
      for segment in pathBytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
        segments.append(try Self.decode(segment, plusIsSpace: false))
      }
      if let queryStart {
        for pair in bytes[(queryStart + 1)...].split(separator: UInt8(ascii: "&")) {
          let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
          query.append(
            (
              try Self.decode(pair[..<equals], plusIsSpace: true),
              equals == pair.endIndex ? "" : try Self.decode(pair[(equals + 1)...], plusIsSpace: true)
            ))
        }
      }
    }

    /// Where the path begins: at once in origin form, behind scheme and authority in absolute form (RFC 9112 §3.2).
    private static func pathStart(_ bytes: UnsafeBufferPointer<UInt8>) throws -> Int {
      if bytes.first == UInt8(ascii: "/") { return 0 }
      for scheme in ["http://", "https://"] where bytes.starts(with: scheme.utf8) {
        guard let slash = bytes[scheme.utf8.count...].firstIndex(of: UInt8(ascii: "/")) else { break }
        return slash
      }
      throw RequestTarget.malformed
    }

    private static func decode(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, plusIsSpace: Bool) throws -> String {
      if !bytes.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) {
        return String(decoding: bytes, as: UTF8.self)
      }
      var decoded: [UInt8] = []
      decoded.reserveCapacity(bytes.count)
      var index = bytes.startIndex
      while index < bytes.endIndex {
        let byte = bytes[index]
        if byte == UInt8(ascii: "%") {
          guard index + 2 < bytes.endIndex, let high = hexDigit(bytes[index + 1]), let low = hexDigit(bytes[index + 2]) else {
            throw RequestTarget.malformed
          }
          decoded.append(high << 4 | low)
          index += 3
        } else {
          decoded.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
          index += 1
        }
      }
      guard !decoded.contains(0), let text = String(validating: decoded, as: UTF8.self) else { throw RequestTarget.malformed }
      return text
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
      default: nil
      }
    }
  }
}
