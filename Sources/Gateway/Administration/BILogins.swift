package import CRMCore
import Crypto
import Foundation
import PostgresClient

/// A PostgreSQL login for a BI tool.
package struct BILogin: Sendable {
  /// Such as `bi_sales`.
  package var login: String
  /// Code of the department for which it reads.
  package var department: String
  package var areas: [Area]
  /// `department`, `shared` or `all`.
  package var scope: String
  /// Whether the views show personal data to it instead of masking them.
  package var seesPersonal: Bool
  /// What it is for.
  package var note: String?

  package init(
    _ login: String, department: String, areas: [Area] = [.customers, .products, .sales], scope: String = "department", seesPersonal: Bool = false,
    note: String? = nil
  ) {
    self.login = login
    self.department = department
    self.areas = areas
    self.scope = scope
    self.seesPersonal = seesPersonal
    self.note = note
  }
}

extension Database {
  /// Makes a BI login and returns its password, which is shown once. The pool's role is crm_migrator; the server only ever sees
  /// the password's SCRAM verifier.
  package func makeBILogin(_ bi: BILogin) async throws -> String {
    let password = newPassword()
    let verifier = scramVerifier(password)
    _ = try await transaction(as: .system("make a BI login")) { tx in
      try await tx.result(
        """
        SELECT crm.create_bi_login(
          \(bi.login), \(bi.department), \(verifier), \(bi.areas.map(\.rawValue))::text[], \(bi.scope), \(bi.seesPersonal), \(bi.note)::text)
        """)
    }
    return password
  }

  /// Makes a BI login, or gives the one of this name a new password; returns the password.
  package func renewBILogin(_ bi: BILogin) async throws -> String {
    let password = newPassword()
    let verifier = scramVerifier(password)
    let isKnown = try await transaction(as: .system("renew a BI login")) { tx in
      guard try await tx.value(Bool.self, "SELECT EXISTS (SELECT FROM crm.bi_login WHERE login = \(bi.login))") else { return false }
      _ = try await tx.result("SELECT crm.change_bi_login_password(\(bi.login), \(verifier))")
      return true
    }
    return isKnown ? password : try await makeBILogin(bi)
  }
}

/// 32 letters and digits that nobody can guess.
private func newPassword() -> String {
  SymmetricKey(size: .bits256).withUnsafeBytes { $0.map { String($0 % 32, radix: 32) }.joined() }
}

/// What PostgreSQL stores of a password (RFC 5803), so that the password itself stays here.
func scramVerifier(_ password: String, salt: [UInt8] = SymmetricKey(size: .bits128).withUnsafeBytes { Array($0) }, rounds: Int = 4096) -> String {
  let key = SymmetricKey(data: Array(password.utf8))
  var block = Array(HMAC<SHA256>.authenticationCode(for: salt + [0, 0, 0, 1], using: key))
  var salted = block
  for _ in 1..<rounds {
    block = Array(HMAC<SHA256>.authenticationCode(for: block, using: key))
    for index in salted.indices { salted[index] ^= block[index] }
  }
  let saltedKey = SymmetricKey(data: salted)
  let clientKey = HMAC<SHA256>.authenticationCode(for: Array("Client Key".utf8), using: saltedKey)
  let serverKey = HMAC<SHA256>.authenticationCode(for: Array("Server Key".utf8), using: saltedKey)
  let stored = SHA256.hash(data: Array(clientKey))
  return "SCRAM-SHA-256$\(rounds):\(Data(salt).base64EncodedString())$\(Data(stored).base64EncodedString()):\(Data(serverKey).base64EncodedString())"
}
