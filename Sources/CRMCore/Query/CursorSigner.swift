package import Crypto
import Foundation

/// Seals the place where a page ends into an opaque cursor, so that a client can neither read it nor forge it into something else.
package struct CursorSigner: Sendable {
  private let key: SymmetricKey

  /// All gateways of a deployment share the key, so that any of them continues a list.
  package init(key: SymmetricKey) {
    self.key = HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: Data("muhatap cursor".utf8), outputByteCount: 32)
  }

  /// - Parameter fingerprint: what the cursor belongs to; it opens for nothing else.
  package func seal(_ values: [String?], for fingerprint: [UInt8]) throws -> String {
    Self.base64URL(try ChaChaPoly.seal(try JSONEncoder().encode(values), using: key, authenticating: fingerprint).combined)
  }

  /// - Parameter pointer: where the cursor stood, for the problem that it does not open.
  package func open(_ cursor: String, for fingerprint: [UInt8], pointer: String = "cursor") throws(Problem) -> [String?] {
    guard let bytes = Self.bytes(base64URL: cursor), let box = try? ChaChaPoly.SealedBox(combined: bytes),
      let payload = try? ChaChaPoly.open(box, using: key, authenticating: fingerprint),
      let values = try? JSONDecoder().decode([String?].self, from: payload)
    else { throw .badCursor(pointer) }
    return values
  }

  static func base64URL(_ data: Data) -> String {
    data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }

  static func bytes(base64URL text: String) -> Data? {
    let padded = text.replacing("-", with: "+").replacing("_", with: "/")
    return Data(base64Encoded: padded + String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4))
  }
}
