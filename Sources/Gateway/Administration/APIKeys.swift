package import CRMCore
import Foundation
import PostgresClient

extension Database {
  /// There is no active user with this e-mail address.
  package struct UnknownUser: Error, CustomStringConvertible {
    let email: String
    package var description: String { "There is no active user \(email)." }
  }

  /// Makes an API key for a user; the credential is shown once and never again.
  ///
  /// - Parameters:
  ///   - scopes: what the key is narrowed to, each `area:read` or `area:write`; nil for all its user may do.
  ///   - lifetime: after which it no longer works; nil for never.
  package func makeAPIKey(
    for email: String, name: String, scopes: [String]? = nil, lifetime: Duration? = nil
  ) async throws -> Credential {
    let credential = Credential(.apiKey)
    let made = try await transaction(as: .system("make an API key")) { tx in
      try await tx.run(
        """
        INSERT INTO crm.api_key (user_id, name, prefix, key_hash, scopes, expires_at)
        SELECT id, \(name), \(credential.prefix), \(credential.hash), \(scopes)::text[], now() + \(lifetime.map { Int($0.components.seconds) })::int * interval '1 second'
          FROM crm.app_user WHERE email_key = crm.search_key(\(email)) AND active
        """)
    }
    guard made == 1 else { throw UnknownUser(email: email) }
    return credential
  }

  /// Whether a credential is an API key that works.
  package func knowsAPIKey(_ token: String) async throws -> Bool {
    let found = try await read(
      as: .system("look for an API key"), areas: [.admin],
      """
      SELECT count(*)::int AS count FROM crm.api_key
       WHERE key_hash = \(Credential.hash(of: token)) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
      """)
    return try found[0].decode(Int.self, "count") == 1
  }
}
