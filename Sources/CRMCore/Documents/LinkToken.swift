import Crypto
import Foundation

/// The token in a link that opens something to whoever has it: 256 random bits, of which only the SHA-256 is stored.
package struct LinkToken: Sendable {
  package let token: String

  package init() {
    let secret = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
    token = secret.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }

  package init(token: String) { self.token = token }

  /// What is stored, and looked up by.
  package var hash: [UInt8] { Array(SHA256.hash(data: Array(token.utf8))) }
}
