import CRMCore
import Crypto
import Foundation
import PostgresClient

/// Slows down guessing: the sixth wrong password in a row for an address makes it wait a second, each further one twice as long, up to
/// a quarter of an hour. It counts in the database, for all gateways together, and counts unknown addresses like known ones.
struct SignInAttempts: Sendable {
  struct Account: Sendable {
    let key: [UInt8]
    let userID: UUID?
    let passwordHash: String?
  }

  let database: Database

  /// Counts an attempt before its password is looked at, so that many at once are many, and finds the account.
  /// - Throws: a problem 429 while the address has to wait.
  func begin(email: String, deadline: Deadline) async throws -> Account {
    try await database.transaction(as: .system("authentication"), deadline: deadline) { tx in
      let found = try await tx.result(
        """
        SELECT convert_to(crm.search_key(\(email)), 'UTF8') AS key, u.id, u.password_hash
        FROM (SELECT 1) AS one LEFT JOIN crm.app_user AS u ON u.email_key = crm.search_key(\(email)) AND u.active AND u.kind = 'person'
        """)
      let key = Array(SHA256.hash(data: try found[0].decode([UInt8].self, "key")))
      let counted = try await tx.result(
        """
        INSERT INTO crm.sign_in_attempt AS a (email_hash) VALUES (\(key))
        ON CONFLICT ON CONSTRAINT sign_in_attempt_email_hash_primary DO UPDATE SET
          failures = CASE WHEN a.last_at < now() - interval '1 day' THEN 1 ELSE a.failures + 1 END,
          last_at = now(),
          blocked_until = now() + make_interval(secs => CASE WHEN a.failures < 5 THEN 0 ELSE least(900, 2 ^ least(a.failures - 5, 10)) END)
        WHERE a.blocked_until <= now()
        RETURNING a.failures
        """)
      if counted.count == 0 {
        let seconds = try await tx.value(
          Double.self,
          "SELECT ceil(greatest(1, extract(epoch FROM a.blocked_until - now())))::float8 FROM crm.sign_in_attempt AS a WHERE a.email_hash = \(key)")
        throw Self.tooMany(seconds: Int(seconds))
      }
      try await tx.run("DELETE FROM crm.sign_in_attempt AS a WHERE a.last_at < now() - interval '2 days' AND a.email_hash <> \(key)")
      return Account(
        key: key, userID: try found[0].decode(UUID?.self, "id"), passwordHash: try found[0].decode(String?.self, "password_hash"))
    }
  }

  /// The password was right: the count starts anew.
  func forget(_ account: Account, _ tx: PostgresTransaction) async throws {
    try await tx.run("DELETE FROM crm.sign_in_attempt AS a WHERE a.email_hash = \(account.key)")
  }

  private static func tooMany(seconds: Int) -> Problem {
    Problem(
      429, "too-many-attempts",
      Phrase("Too many wrong passwords. Wait \(seconds) seconds.", tr: "Çok fazla yanlış parola girildi. \(seconds) saniye bekleyin."),
      retryAfter: seconds)
  }
}
