package import Crypto
import Foundation
import PostgresClient

/// Seals the place where a page ends into an opaque cursor, so that a client can neither read it nor forge it into something else.
package struct CursorSigner: Sendable {
  private let key: SymmetricKey

  /// All gateways of a deployment share the key, so that any of them continues a list.
  package init(key: SymmetricKey) {
    self.key = HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: Data("muhatap cursor".utf8), outputByteCount: 32)
  }

  /// - Parameter fingerprint: what the cursor belongs to; it opens for nothing else.
  package func seal(_ values: [String?], for fingerprint: [UInt8]) throws -> String {
    var json = JSONWriter(capacity: 128)
    json.beginArray()
    for value in values { if let value { json.string(value) } else { json.null() } }
    json.endArray()
    return Self.base64URL(try ChaChaPoly.seal(json.bytes, using: key, authenticating: fingerprint).combined)
  }

  /// - Parameter pointer: where the cursor stood, for the problem that it does not open.
  package func open(_ cursor: String, for fingerprint: [UInt8], pointer: String = "cursor") throws(Problem) -> [String?] {
    guard let bytes = Self.bytes(base64URL: cursor), let box = try? ChaChaPoly.SealedBox(combined: bytes),
      let payload = try? ChaChaPoly.open(box, using: key, authenticating: fingerprint),
      let values = try? JSONDecoder().decode([String?].self, from: payload)
    else { throw .badCursor(pointer) }
    return values
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// Without padding. Written in one pass: every page of a list ends with it, and replacing characters afterwards cost as much as writing ten rows.
  static func base64URL(_ data: Data) -> String {
    String(unsafeUninitializedCapacity: (data.count * 4 + 2) / 3) { text in
      var position = 0
      var bits: UInt32 = 0
      var held = 0
      for byte in data {
        bits = bits << 8 | UInt32(byte)
        held += 8
        while held >= 6 {
          held -= 6
          text[position] = alphabet[Int(bits >> UInt32(held) & 63)]
          position += 1
        }
      }
      if held > 0 {
        text[position] = alphabet[Int(bits << UInt32(6 - held) & 63)]
        position += 1
      }
      return position
    }
  }

  static func bytes(base64URL text: String) -> Data? {
    let padded = text.replacing("-", with: "+").replacing("_", with: "/")
    return Data(base64Encoded: padded + String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4))
  }
}
