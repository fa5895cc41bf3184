import CRMCore
import Foundation
import NIOHTTP1

/// What the gateway itself wants to know of a request's header fields, found in one pass. What llhttp lets through and a strict
/// server must not is refused here.
struct RequestFields {
  var authorization: String?
  var acceptLanguage: String?
  var contentType: String?
  var forwardedFor: String?
  var requestID: UUID?
  var contentLength: Int?
  var isChunked = false
  var acceptsGzip = false
  var expectsContinue = false
  var asksForUpgrade = false

  /// Whether a body follows the head.
  var announcesBody: Bool { isChunked || (contentLength ?? 0) > 0 }

  init(_ head: HTTPRequestHead, limits: Limits, isHTTP2: Bool) throws(Problem) {
    guard head.uri.utf8.count <= limits.uri else {
      throw Problem(
        414, "address-too-long",
        Phrase(
          "The address is longer than \(limits.uri) bytes. Send long filters to the query address as JSON.",
          tr: "Adres \(limits.uri) bayttan uzun. Uzun süzgeçleri JSON olarak query adresine gönderin."))
    }
    var size = 0
    var count = 0
    var hosts = 0
    for (name, value) in head.headers {
      size += name.utf8.count + value.utf8.count + 4
      count += 1
      guard Self.isClean(value) else { throw Self.malformed(name) }
      switch name.utf8.count {
      case 4 where name.equalsIgnoringASCIICase("host"):
        hosts += 1
      case 6 where name.equalsIgnoringASCIICase("expect"):
        guard value.equalsIgnoringASCIICase("100-continue") else {
          throw Problem(
            417, "expectation-failed",
            Phrase("Only Expect: 100-continue is understood.", tr: "Yalnızca Expect: 100-continue anlaşılır."))
        }
        expectsContinue = true
      case 7 where name.equalsIgnoringASCIICase("upgrade"):
        asksForUpgrade = true
      case 12 where name.equalsIgnoringASCIICase("content-type"):
        contentType = value
      case 12 where name.equalsIgnoringASCIICase("x-request-id"):
        requestID = UUID(text: value)
      case 13 where name.equalsIgnoringASCIICase("authorization"):
        guard authorization == nil else { throw Self.repeated(name) }
        authorization = value
      case 14 where name.equalsIgnoringASCIICase("content-length"):
        guard contentLength == nil else { throw Self.repeated(name) }
        guard value.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let length = Int(value) else { throw Self.malformed(name) }
        contentLength = length
      case 15 where name.equalsIgnoringASCIICase("accept-encoding"):
        acceptsGzip = acceptsGzip || Self.offersGzip(value)
      case 15 where name.equalsIgnoringASCIICase("accept-language"):
        acceptLanguage = value
      case 15 where name.equalsIgnoringASCIICase("x-forwarded-for"):
        forwardedFor = value
      case 17 where name.equalsIgnoringASCIICase("transfer-encoding"):
        guard !isChunked, value.equalsIgnoringASCIICase("chunked"), head.version == .http1_1, !isHTTP2 else { throw Self.malformed(name) }
        isChunked = true
      default:
        break
      }
    }
    guard size <= limits.headers, count <= limits.headerCount else { throw Self.tooLarge(limits) }
    guard !(isChunked && contentLength != nil) else { throw Self.malformed("Content-Length") }
    guard isHTTP2 || head.version == .http1_1 || head.version == .http1_0 else {
      throw Problem.badRequest("unsupported-version", Phrase("Use HTTP/1.1 or HTTP/2.", tr: "HTTP/1.1 ya da HTTP/2 kullanın."))
    }
    guard hosts == 1 || (hosts == 0 && head.version == .http1_0) else { throw Self.malformed("Host") }
  }

  static func tooLarge(_ limits: Limits) -> Problem {
    Problem(
      431, "headers-too-large",
      Phrase(
        "The header fields are larger than \(limits.headers) bytes or more than \(limits.headerCount).",
        tr: "Başlık alanları \(limits.headers) bayttan büyük ya da \(limits.headerCount) adetten fazla."))
  }

  private static func malformed(_ name: String) -> Problem {
    .badRequest(
      "malformed-header",
      Phrase("The header field \(name) is missing or malformed.", tr: "\(name) başlık alanı eksik ya da hatalı."))
  }

  private static func repeated(_ name: String) -> Problem {
    .badRequest(
      "repeated-header", Phrase("The header field \(name) may be sent only once.", tr: "\(name) başlık alanı yalnızca bir kez gönderilebilir."))
  }

  /// Whether a value is free of control characters and of bytes that were no UTF-8 (which arrive as U+FFFD).
  private static func isClean(_ value: String) -> Bool {
    var value = value
    let (isControlled, isASCII) = value.withUTF8 { bytes in
      // Without a branch for each byte, so that the compiler looks at many at once.
      var controls: UInt8 = 0
      var all: UInt8 = 0
      for byte in bytes {
        controls |= (byte < 0x20 && byte != 0x09 ? 1 : 0) | (byte == 0x7f ? 1 : 0)
        all |= byte
      }
      return (controls != 0, all < 0x80)
    }
    return !isControlled && (isASCII || !value.unicodeScalars.contains("\u{FFFD}"))
  }

  /// Whether an `Accept-Encoding` value offers gzip with a weight above zero.
  private static func offersGzip(_ value: String) -> Bool {
    for item in value.split(separator: ",") {
      let parts = item.split(separator: ";").map { $0.drop(while: { $0 == " " || $0 == "\t" }) }
      guard let coding = parts.first, coding.hasPrefix("gzip") || coding == "*" else { continue }
      let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.flatMap { Double($0.dropFirst(2)) } ?? 1
      return weight > 0
    }
    return false
  }
}
