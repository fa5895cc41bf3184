package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What people do about customers: meetings, calls, follow-ups, notes, and the calendars made of them.
  static let activities = Concept(
    resources: [.activities, .activityParticipants],
    operations: [.createActivity, .rescheduleActivity, .completeActivity, .cancelActivity, .createCalendarFeed, .deleteCalendarFeed],
    reads: [.calendarFeeds],
    endpoints: { database, _ in [.calendar(database)] })
}

enum ActivityKind: String, CaseIterable, Sendable {
  case meeting, call
  case followUp = "follow_up"
  case note
}

enum ActivityOutcome: String, CaseIterable, Sendable {
  case successful, unsuccessful
  case notReached = "not_reached"
  case postponed, information
}

extension Resource {
  /// A meeting, a call, a follow-up or a note. Made, moved, completed and cancelled by operations.
  package static let activities = Resource(
    "activities", singular: "activity", table: "crm.activity", area: .sales,
    change: ["subject", "place", "agenda", "minutes", "outcome", "next_step", "customer_id", "contact_id", "lead_id", "opportunity_id", "visibility"],
    expand: [
      "customer", "contact", "lead", "opportunity", "follows", .many("participants", of: "activity_participants", by: "activity_id"),
      .many("next", of: "activities", by: "follows_id"),
    ],
    search: ["subject", "place", "customer.name"], order: "-starts_at")

  /// Somebody who takes part: a colleague, a contact, or somebody by name.
  package static let activityParticipants = Resource(
    "activity_participants", singular: "activity_participant", table: "crm.activity_participant", area: .sales,
    create: ["activity_id", "user_id", "customer_id", "contact_id", "name", "email", "response", "forced"], change: ["response", "forced"], deletable: true,
    expand: ["activity", "user", "contact"], search: ["name"])
}

/// An activity whose state is judged: nobody else changes it until the transaction ends.
struct LockedActivity: RowDecodable {
  enum Status: String, PostgresDecodable, Sendable {
    case planned, completed, cancelled
  }

  let status: Status

  init(row: PostgresRow) throws {
    status = try row.decode(Status.self, "status")
  }

  /// - Throws: 404 if the caller may not read the activity, 403 if they may not change it, 409 if it is over.
  static func planned(_ id: UUID, _ tx: PostgresTransaction) async throws {
    guard let activity = try await tx.first(LockedActivity.self, "SELECT a.status FROM crm.activity AS a WHERE a.id = \(id) FOR UPDATE") else {
      guard try await tx.result("SELECT 1 FROM crm.activity AS a WHERE a.id = \(id)").count == 1 else { throw Problem.notFound }
      throw Problem.forbidden(Phrase("You may see this activity but not change it.", tr: "Bu etkinliği görebilirsiniz ama değiştiremezsiniz."))
    }
    switch activity.status {
    case .planned: return
    case .completed: throw Problem(409, "activity-completed", Phrase("This activity is completed.", tr: "Bu etkinlik tamamlanmış."))
    case .cancelled: throw Problem(409, "activity-cancelled", Phrase("This activity is cancelled.", tr: "Bu etkinlik iptal edilmiş."))
    }
  }
}
