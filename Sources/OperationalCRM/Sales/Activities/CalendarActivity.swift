import Foundation
import PostgresClient

/// An activity as a calendar shows it: meetings and calls as events, follow-ups as things to do.
struct CalendarActivity: RowDecodable {
  private let id: UUID
  private let isTask: Bool
  private let kind: String
  private let subject: String
  private let startsAt: Date
  private let endsAt: Date?
  private let place: String?
  private let agenda: String?
  private let customer: String?
  private let status: String
  private let completedAt: Date?
  private let createdAt: Date
  private let updatedAt: Date
  private let version: Int
  private let ownerName: String?
  private let ownerEmail: String?
  private let names: [String]
  private let emails: [String]
  private let responses: [String]

  /// What a person takes part in, or what belongs to a department and those below it.
  static func statement(of user: UUID, department: UUID?) -> SQL {
    let whose: SQL =
      if let department {
        """
        a.department_id IN (WITH RECURSIVE below AS (
          SELECT d.id FROM crm.department AS d WHERE d.id = \(department)
          UNION
          SELECT d.id FROM crm.department AS d JOIN below ON d.parent_id = below.id
        ) SELECT below.id FROM below)
        """
      } else {
        "EXISTS (SELECT 1 FROM crm.activity_participant AS p WHERE p.activity_id = a.id AND p.user_id = \(user) AND p.response <> 'declined')"
      }
    return """
      SELECT a.id, a.kind, a.subject, a.starts_at, a.ends_at, a.place, a.agenda, c.name AS customer, a.status, a.completed_at, a.created_at, a.updated_at,
             a.version, o.name AS owner_name, o.email AS owner_email,
             ARRAY(SELECT coalesce(u.name, k.name, p.name) FROM crm.activity_participant AS p LEFT JOIN crm.app_user AS u ON u.id = p.user_id
               LEFT JOIN crm.contact AS k ON k.customer_id = p.customer_id AND k.id = p.contact_id
               WHERE p.activity_id = a.id AND coalesce(u.name, k.name, p.name) IS NOT NULL ORDER BY p.id) AS names,
             ARRAY(SELECT coalesce(u.email, (SELECT e.value FROM crm.contact_point AS e WHERE e.customer_id = p.customer_id AND e.contact_id = p.contact_id
                 AND e.kind = 'email' ORDER BY e.is_primary DESC, e.id LIMIT 1), p.email, '') FROM crm.activity_participant AS p
               LEFT JOIN crm.app_user AS u ON u.id = p.user_id LEFT JOIN crm.contact AS k ON k.customer_id = p.customer_id AND k.id = p.contact_id
               WHERE p.activity_id = a.id AND coalesce(u.name, k.name, p.name) IS NOT NULL ORDER BY p.id) AS emails,
             ARRAY(SELECT p.response FROM crm.activity_participant AS p LEFT JOIN crm.app_user AS u ON u.id = p.user_id
               LEFT JOIN crm.contact AS k ON k.customer_id = p.customer_id AND k.id = p.contact_id
               WHERE p.activity_id = a.id AND coalesce(u.name, k.name, p.name) IS NOT NULL ORDER BY p.id) AS responses
        FROM crm.activity AS a
        LEFT JOIN crm.customer AS c ON c.id = a.customer_id
        LEFT JOIN crm.app_user AS o ON o.id = a.owner_id
       WHERE a.kind <> 'note' AND a.starts_at BETWEEN now() - interval '90 days' AND now() + interval '366 days' AND \(whose)
       ORDER BY a.starts_at, a.id LIMIT 5000
      """
  }

  init(row: PostgresRow) throws {
    id = try row.decode(UUID.self, "id")
    kind = try row.decode(String.self, "kind")
    isTask = kind == ActivityKind.followUp.rawValue
    subject = try row.decode(String.self, "subject")
    startsAt = try row.decode(Date.self, "starts_at")
    endsAt = try row.decode(Date?.self, "ends_at")
    place = try row.decode(String?.self, "place")
    agenda = try row.decode(String?.self, "agenda")
    customer = try row.decode(String?.self, "customer")
    status = try row.decode(String.self, "status")
    completedAt = try row.decode(Date?.self, "completed_at")
    createdAt = try row.decode(Date.self, "created_at")
    updatedAt = try row.decode(Date.self, "updated_at")
    version = try row.decode(Int.self, "version")
    ownerName = try row.decode(String?.self, "owner_name")
    ownerEmail = try row.decode(String?.self, "owner_email")
    names = try row.decode([String].self, "names")
    emails = try row.decode([String].self, "emails")
    responses = try row.decode([String].self, "responses")
  }

  func write(to calendar: inout ICalendar) {
    calendar.component(isTask ? "VTODO" : "VEVENT") { entry in
      entry.property("UID", raw: "\(id.uuidString.lowercased())@muhatap")
      entry.property("DTSTAMP", updatedAt)
      entry.property("CREATED", createdAt)
      entry.property("LAST-MODIFIED", updatedAt)
      entry.property("SEQUENCE", raw: String(version - 1))
      entry.property("SUMMARY", text: subject)
      entry.property("LOCATION", text: place)
      entry.property("DESCRIPTION", text: [customer, agenda].compactMap(\.self).joined(separator: "\n"))
      entry.property("CATEGORIES", raw: kind.uppercased())
      if isTask {
        entry.property("DUE", startsAt)
        entry.property("STATUS", raw: status == "completed" ? "COMPLETED" : status == "cancelled" ? "CANCELLED" : "NEEDS-ACTION")
        entry.property("COMPLETED", completedAt)
      } else {
        entry.property("DTSTART", startsAt)
        entry.property("DTEND", endsAt)
        entry.property("STATUS", raw: status == "cancelled" ? "CANCELLED" : "CONFIRMED")
      }
      if let ownerName, let ownerEmail { entry.participant("ORGANIZER", name: ownerName, email: ownerEmail) }
      for ((name, email), response) in zip(zip(names, emails), responses) where !email.isEmpty {
        let answer = response == "accepted" ? "ACCEPTED" : response == "declined" ? "DECLINED" : "NEEDS-ACTION"
        entry.participant("ATTENDEE", name: name, email: email, parameters: ";PARTSTAT=\(answer)")
      }
    }
  }
}
