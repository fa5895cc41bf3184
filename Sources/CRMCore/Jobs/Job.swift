package import Foundation
package import PostgresClient

/// Work that a worker has leased.
package struct Job: Sendable {
  package let id: UUID
  /// Which handler does it, such as `import.run`.
  package let kind: String
  package let payload: JSON
  /// Whom it waits for, such as a mail server; nil for work that waits for nobody.
  package let lane: String?
  /// The number of this lease, from 1. Only the latest lease may complete the job.
  package let attempt: Int
  /// After this many attempts the job is given up.
  package let attemptLimit: Int
}

extension Job: RowDecodable {
  package init(row: PostgresRow) throws {
    id = try row.decode(UUID.self, "id")
    kind = try row.decode(String.self, "kind")
    payload = try JSONDecoder().decode(JSON.self, from: Data(try row.decode(JSONText.self, "payload").text.utf8))
    lane = try row.decode(String?.self, "lane")
    attempt = try row.decode(Int.self, "attempt")
    attemptLimit = try row.decode(Int.self, "attempt_limit")
  }
}
