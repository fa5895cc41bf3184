import CRMCore
import Foundation
import NIOCore
import NIOHTTP1

/// Writes the heads of answers. What is the same in all of them is kept as bytes.
final class ResponseHeads: Sendable {
  private static let noStore: [UInt8] = Array("cache-control: no-store\r\n".utf8)
  private static let closedPolicy: [UInt8] = Array("content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n".utf8)

  private let statusLines: [Int: [UInt8]]
  private let security: [(name: String, value: String)]
  private let securityBytes: [UInt8]

  init(isSecure: Bool) {
    security =
      [
        (name: "x-content-type-options", value: "nosniff"), (name: "x-frame-options", value: "DENY"),
        (name: "referrer-policy", value: "no-referrer"), (name: "vary", value: "Accept-Encoding, Accept-Language, Authorization"),
      ] + (isSecure ? [(name: "strict-transport-security", value: "max-age=31536000; includeSubDomains")] : [])
    securityBytes = Array(security.map { "\($0.name): \($0.value)\r\n" }.joined().utf8)
    statusLines = Dictionary(
      uniqueKeysWithValues: (100..<600).map { ($0, Array("HTTP/1.1 \($0) \(HTTPResponseStatus(statusCode: $0).reasonPhrase)\r\ndate: ".utf8)) })
  }

  /// How long the body is.
  enum Length {
    case none
    case bytes(Int)
    /// Sent in chunks; in HTTP/1.0 until the connection closes.
    case unknown
  }

  /// Writes a head for HTTP/1.1 into a buffer.
  func write(
    _ response: Response, length: Length, gzip: Bool, exchange: Exchange, closes: Bool, date: [UInt8], into buffer: inout ByteBuffer
  ) {
    buffer.writeBytes(statusLines[response.status] ?? Array("HTTP/1.1 \(response.status) \r\ndate: ".utf8))
    buffer.writeBytes(date)
    buffer.writeStaticString("\r\n")
    buffer.writeBytes(securityBytes)
    var ownCache = false
    var ownPolicy = false
    for (name, value) in response.headers {
      if name.utf8.count == 13, name.equalsIgnoringASCIICase("cache-control") { ownCache = true }
      if name.utf8.count == 23, name.equalsIgnoringASCIICase("content-security-policy") { ownPolicy = true }
      buffer.writeString(name)
      buffer.writeStaticString(": ")
      Self.writeClean(value, into: &buffer)
      buffer.writeStaticString("\r\n")
    }
    if !ownCache { buffer.writeBytes(Self.noStore) }
    if !ownPolicy { buffer.writeBytes(Self.closedPolicy) }
    if gzip { buffer.writeStaticString("content-encoding: gzip\r\n") }
    switch length {
    case .none: break
    case .bytes(let count):
      buffer.writeStaticString("content-length: ")
      Self.write(count, into: &buffer)
      buffer.writeStaticString("\r\n")
    case .unknown where exchange.isHTTP10: break
    case .unknown: buffer.writeStaticString("transfer-encoding: chunked\r\n")
    }
    if closes {
      buffer.writeStaticString("connection: close\r\n")
    } else if exchange.isHTTP10 {
      buffer.writeStaticString("connection: keep-alive\r\n")
    }
    buffer.writeStaticString("x-request-id: ")
    buffer.writeString(exchange.id.lowercase)
    buffer.writeStaticString("\r\n\r\n")
  }

  /// The same head for HTTP/2.
  func head(_ response: Response, length: Length, gzip: Bool, exchange: Exchange, date: [UInt8]) -> HTTPResponseHead {
    var headers = HTTPHeaders([("date", String(decoding: date, as: UTF8.self))])
    for (name, value) in security { headers.add(name: name, value: value) }
    for (name, value) in response.headers {
      var clean = ByteBuffer()
      Self.writeClean(value, into: &clean)
      headers.add(name: name.lowercased(), value: String(buffer: clean))
    }
    if !headers.contains(name: "cache-control") { headers.add(name: "cache-control", value: "no-store") }
    if !headers.contains(name: "content-security-policy") {
      headers.add(name: "content-security-policy", value: "default-src 'none'; frame-ancestors 'none'")
    }
    if gzip { headers.add(name: "content-encoding", value: "gzip") }
    if case .bytes(let count) = length { headers.add(name: "content-length", value: "\(count)") }
    headers.add(name: "x-request-id", value: exchange.id.lowercase)
    return HTTPResponseHead(version: .http2, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
  }

  /// A field's value without the control characters that would end it early.
  private static func writeClean(_ value: String, into buffer: inout ByteBuffer) {
    if value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) {
      buffer.writeString(value)
    } else {
      buffer.writeBytes(value.utf8.map { $0 >= 0x20 && $0 != 0x7f ? $0 : UInt8(ascii: " ") })
    }
  }

  private static func write(_ number: Int, into buffer: inout ByteBuffer) {
    buffer.writeString(String(number))
  }
}
