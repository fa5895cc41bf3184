import Crypto
import Foundation

/// What a receiver can tell by that a message is ours (Standard Webhooks, symmetric `v1`).
enum WebhookSignature {
  /// 256 random bits.
  static func newSecret() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes(Array.init) }

  /// The secret as receivers' libraries take it.
  static func text(of secret: [UInt8]) -> String { "whsec_\(Data(secret).base64EncodedString())" }

  /// The value of `webhook-signature`: one signature for each secret that is valid now.
  /// - Parameter timestamp: seconds since 1970, as in `webhook-timestamp`.
  static func sign(id: String, timestamp: Int, body: [UInt8], secrets: [[UInt8]]) -> String {
    let content = Array("\(id).\(timestamp).".utf8) + body
    return secrets.map { secret in
      "v1,\(Data(HMAC<SHA256>.authenticationCode(for: content, using: SymmetricKey(data: secret))).base64EncodedString())"
    }.joined(separator: " ")
  }
}
