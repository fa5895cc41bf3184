import Crypto
import Foundation

/// A secret that is shown once and stored only as its hash.
package struct Credential: Sendable {
  package enum Kind: String, Sendable {
    /// `mhp_<prefix>_<secret>`: the key of a program.
    case apiKey = "mhp"
    /// `mhs_<prefix>_<secret>`: the token of a person's session.
    case session = "mhs"
    /// `mhc_<secret>`: the token of a customer in the portal.
    case portal = "mhc"
  }

  /// The whole credential, as the client sends it.
  package let token: String
  /// Its first characters, which tell credentials apart and reveal nothing.
  package let prefix: String

  /// Makes a new one with 256 random bits.
  package init(_ kind: Kind) {
    let secret = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
    let name = SymmetricKey(size: SymmetricKeySize(bitCount: 40)).withUnsafeBytes { $0.map { String($0 % 36, radix: 36) }.joined() }
    prefix = "\(kind.rawValue)_\(name)"
    token = "\(prefix)_\(secret.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: ""))"
  }

  /// What is stored, and looked up by.
  package var hash: [UInt8] { Self.hash(of: token) }

  package static func hash(of token: String) -> [UInt8] { Array(SHA256.hash(data: Array(token.utf8))) }

  static func kind(of token: String) -> Kind? {
    Kind(rawValue: String(token.prefix { $0 != "_" }))
  }
}

/// The token of an `Authorization: Bearer …` field.
func bearerToken(_ authorization: String?) -> String? {
  guard let authorization, authorization.utf8.count > 7, authorization.utf8.count < 8192,
    authorization.prefix(7).lowercased() == "bearer "
  else { return nil }
  let token = authorization.dropFirst(7).trimmingPrefix { $0 == " " }
  return token.isEmpty || token.contains(where: \.isWhitespace) ? nil : String(token)
}
