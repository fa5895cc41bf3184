import CRMCore
import Foundation
import PostgresClient

/// Whether people are free at a time. PostgreSQL's exclusion constraint decides; this says beforehand who is not, as far as the caller may know.
enum Booking {
  static let overlap = Problem(
    409, "overlap", Phrase("Somebody is booked elsewhere at this time.", tr: "Katılımcılardan biri bu saatte dolu."),
    detail: Phrase(
      "Choose another time, or send \"force\": true to book them all the same.",
      tr: "Başka bir saat seçin ya da yine de ayırmak için \"force\": true gönderin."))

  /// The problem to answer when PostgreSQL finds an overlap that the caller may not see.
  static let violation: [String: any Error] = ["activity_participant_free": overlap]

  /// - Throws: the problem `overlap` with the bookings in the way.
  static func mustBeFree(_ people: [UUID], from start: Date, to end: Date, except activity: UUID?, _ tx: PostgresTransaction) async throws {
    let taken = try await tx.result(
      """
      SELECT u.id, u.name, lower(p.busy) AS starts_at, upper(p.busy) AS ends_at
        FROM crm.activity_participant AS p JOIN crm.app_user AS u ON u.id = p.user_id
       WHERE p.user_id = ANY(\(people)) AND p.busy && tstzrange(\(start), \(end)) AND p.response <> 'declined'
         AND p.activity_id IS DISTINCT FROM \(activity)
       ORDER BY p.busy, u.name LIMIT 20
      """)
    guard taken.count > 0 else { return }
    let conflicts = try taken.rows.map { row -> JSON in
      [
        "user_id": .string(try row.decode(UUID.self, "id").lowercase), "name": .string(try row.decode(String.self, "name")),
        "starts_at": .string(try row.decode(Date.self, "starts_at").formatted(.iso8601)),
        "ends_at": .string(try row.decode(Date.self, "ends_at").formatted(.iso8601)),
      ]
    }
    throw Problem(
      overlap.status, overlap.code, overlap.title, detail: overlap.detail,
      extensions: [("conflicts", String(decoding: try JSON.array(conflicts).encoded(), as: UTF8.self))])
  }
}
