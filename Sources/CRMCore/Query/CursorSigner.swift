package import Crypto
import Foundation

/// Seals the place where a page ends into an opaque cursor, so that a client can neither read nor forge it into something else.
package struct CursorSigner: Sendable {
  private let key: SymmetricKey
  private static let macLength = 16

  /// All gateways of a deployment share the key, so that any of them continues a list.
  package init(key: SymmetricKey) { self.key = key }

  package func seal(_ values: [String?], for fingerprint: [UInt8]) throws -> String {
    let payload = try JSONEncoder().encode(values)
    return Self.base64URL(payload + mac(payload, fingerprint))
  }

  package func open(_ cursor: String, for fingerprint: [UInt8]) throws(Problem) -> [String?] {
    guard let bytes = Self.bytes(base64URL: cursor), bytes.count > Self.macLength else { throw .badCursor() }
    let payload = bytes.dropLast(Self.macLength)
    guard Self.equal(bytes.suffix(Self.macLength), mac(payload, fingerprint)) else { throw .badCursor() }
    guard let values = try? JSONDecoder().decode([String?].self, from: payload) else { throw .badCursor() }
    return values
  }

  private func mac(_ payload: Data, _ fingerprint: [UInt8]) -> Data {
    Data(HMAC<SHA256>.authenticationCode(for: Data(fingerprint) + payload, using: key).prefix(Self.macLength))
  }

  /// Takes the same time wherever the first difference stands.
  private static func equal(_ a: Data, _ b: Data) -> Bool {
    a.count == b.count && zip(a, b).reduce(into: UInt8(0)) { $0 |= $1.0 ^ $1.1 } == 0
  }

  static func base64URL(_ data: Data) -> String {
    data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }

  static func bytes(base64URL text: String) -> Data? {
    let padded = text.replacing("-", with: "+").replacing("_", with: "/")
    return Data(base64Encoded: padded + String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4))
  }
}
