import CRMCore
import Foundation
import PostgresClient

/// Somebody named in a note or a comment, who is told of it.
enum Mention {
  /// Tells those who are named, all of whom must be able to read what they are named in: a notice shows nothing to whom the record shows nothing.
  static func tell(_ people: [UUID], of resource: String, _ record: UUID, about title: String, _ tx: PostgresTransaction) async throws {
    guard !people.isEmpty else { return }
    let told = try await tx.run(
      """
      SELECT crm.notify(m.id, 'mention', \(resource), \(record), \("You were mentioned: " + title), \("Sizden söz edildi: " + title))
        FROM (SELECT DISTINCT u FROM unnest(\(people)::uuid[]) AS u) AS m (id) WHERE crm.is_seen_by(m.id, \(resource), \(record))
      """)
    guard told == Set(people).count else {
      throw Problem.invalid([
        .init(
          "/mentions", code: "reference",
          Phrase("Somebody named here does not exist or may not read it.", tr: "Adı geçenlerden biri yok ya da bunu okuyamaz."))
      ])
    }
  }
}
