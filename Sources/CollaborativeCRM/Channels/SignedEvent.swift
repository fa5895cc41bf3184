package import CRMCore
import Crypto
package import Foundation

/// An event that a provider posts, signed as Standard Webhooks does it: HMAC-SHA256 over id, time and body. Several signatures may be given while a secret
/// changes.
package struct SignedEvent: Sendable {
  package let id: String
  package let body: JSON
  private static let leeway: TimeInterval = 300

  /// - Parameter secret: as `whsec_` and base64, or the key's own letters.
  /// - Throws: 401 when the signature does not hold or the event is older, or later, than five minutes.
  package init(_ request: Request, secret: String, now: Date) throws {
    let refusal = Problem(401, "bad-signature", Phrase("The event is not signed as it should be.", tr: "Olay gerektiği gibi imzalanmamış."))
    guard let id = request.headers["webhook-id"], (1...200).contains(id.utf8.count), let stamp = request.headers["webhook-timestamp"], let seconds = Int(stamp),
      abs(now.timeIntervalSince1970 - Double(seconds)) <= Self.leeway, let signatures = request.headers["webhook-signature"],
      case .bytes(let bytes) = request.body
    else { throw refusal }
    let key = secret.hasPrefix("whsec_") ? Data(base64Encoded: String(secret.dropFirst(6))) : Data(secret.utf8)
    guard let key, !key.isEmpty else { throw refusal }
    let signed = Data("\(id).\(stamp).".utf8) + Data(bytes)
    let holds = signatures.split(separator: " ").prefix(10).contains { signature in
      guard signature.hasPrefix("v1,"), let code = Data(base64Encoded: String(signature.dropFirst(3))) else { return false }
      return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: signed, using: SymmetricKey(data: key))
    }
    guard holds else { throw refusal }
    self.id = id
    body = try request.json()
  }
}
