import CRMCore
import Foundation
import PostgresClient

extension BusinessOperation {
  private struct Rescheduling: OperationInput {
    let startsAt: Date
    let endsAt: Date?
    let place: String?
    let force: Bool
    init(_ fields: inout InputReader) {
      startsAt = fields.instant("starts_at", "When it begins now; of a follow-up, when it is due.")
      endsAt = fields.optionalInstant("ends_at", "When it ends now; as long after starts_at as before if left out.")
      place = fields.optionalText("place", "Where it takes place now; as it was if left out.")
      force = fields.flag("force", "Book people who are booked elsewhere at the time.")
    }
  }

  static let rescheduleActivity = BusinessOperation(
    "reschedule_activity", .post, "/v1/activities/{id}/reschedule", of: "activities", access: .write(.sales), "Move a planned activity to another time",
    input: Rescheduling.self, answer: .record("activities", expand: ["participants"])
  ) { run, input in
    let id = try run.id()
    let tx = run.tx
    try await LockedActivity.planned(id, tx)
    let end = try await tx.value(
      Date?.self, "SELECT coalesce(\(input.endsAt), \(input.startsAt)::timestamptz + (a.ends_at - a.starts_at)) FROM crm.activity AS a WHERE a.id = \(id)")
    if let end, input.startsAt < end, !input.force {
      let booked = try await tx.result(
        "SELECT p.user_id FROM crm.activity_participant AS p WHERE p.activity_id = \(id) AND p.user_id IS NOT NULL AND p.busy IS NOT NULL AND p.response <> 'declined'"
      )
      try await Booking.mustBeFree(try booked.rows.map { try $0.decode(UUID.self, at: 0) }, from: input.startsAt, to: end, except: id, tx)
    }
    if input.force { try await tx.run("UPDATE crm.activity_participant SET forced = true WHERE activity_id = \(id) AND user_id IS NOT NULL AND NOT forced") }
    try await tx.run(
      "UPDATE crm.activity SET starts_at = \(input.startsAt), ends_at = \(end), place = coalesce(\(input.place), place) WHERE id = \(id)",
      onViolation: Booking.violation)
    if !input.force {
      try await tx.run("UPDATE crm.activity_participant SET forced = false WHERE activity_id = \(id) AND forced", onViolation: Booking.violation)
    }
    return .record(id)
  }

  private struct Completion: OperationInput {
    let outcome: ActivityOutcome?
    let minutes: String?
    let nextStep: String?
    let nextStepAt: Date?
    let nextStepOwnerID: UUID?
    init(_ fields: inout InputReader) {
      outcome = fields.optionalOption("outcome", "What it came to.", of: ActivityOutcome.self)
      minutes = fields.optionalText("minutes", "What was said; replaces what was written before.", maximum: 100_000)
      nextStep = fields.optionalText("next_step", "What was agreed to be done next.", maximum: 300)
      nextStepAt = fields.optionalInstant("next_step_at", "Until when; makes a follow-up of the next step.")
      nextStepOwnerID = fields.optionalID("next_step_owner_id", "Who does it; the activity's owner if left out.")
      if nextStepAt != nil, nextStep?.allSatisfy(\.isWhitespace) ?? true {
        fields.refuse("next_step", code: "required", Phrase("Say what is to be done then.", tr: "O zamana kadar ne yapılacağını yazın."))
      }
    }
  }

  static let completeActivity = BusinessOperation(
    "complete_activity", .post, "/v1/activities/{id}/complete", of: "activities", access: .write(.sales), "Write down what an activity came to",
    description: "A next step with a time becomes a follow-up about the same customer, lead and opportunity, shown in next.",
    input: Completion.self, answer: .record("activities", expand: ["next", "participants"])
  ) { run, input in
    let id = try run.id()
    try await LockedActivity.planned(id, run.tx)
    try await run.tx.run(
      """
      UPDATE crm.activity SET status = 'completed', completed_at = now(), outcome = coalesce(\(input.outcome?.rawValue), outcome),
        minutes = coalesce(\(input.minutes), minutes), next_step = coalesce(\(input.nextStep), next_step)
      WHERE id = \(id)
      """)
    guard let due = input.nextStepAt else { return .record(id) }
    try await run.tx.run(
      """
      INSERT INTO crm.activity (id, kind, subject, starts_at, follows_id, customer_id, contact_id, lead_id, opportunity_id, department_id, owner_id, visibility)
      SELECT \(UUID.v7()), 'follow_up', \(input.nextStep), \(due), a.id, a.customer_id, a.contact_id, a.lead_id, a.opportunity_id, a.department_id,
             coalesce(\(input.nextStepOwnerID), a.owner_id), a.visibility
        FROM crm.activity AS a WHERE a.id = \(id)
      """)
    try await run.tx.run(
      """
      INSERT INTO crm.activity_participant (activity_id, user_id, response)
      SELECT a.id, a.owner_id, 'accepted' FROM crm.activity AS a WHERE a.follows_id = \(id) AND a.owner_id IS NOT NULL
      ON CONFLICT ON CONSTRAINT activity_participant_user_id_once DO NOTHING
      """)
    return .record(id)
  }

  private struct Cancellation: OperationInput {
    let reason: String?
    init(_ fields: inout InputReader) {
      reason = fields.optionalText("reason", "Why it does not take place.")
    }
  }

  static let cancelActivity = BusinessOperation(
    "cancel_activity", .post, "/v1/activities/{id}/cancel", of: "activities", access: .write(.sales), "Cancel a planned activity",
    description: "It stays in the calendars, as cancelled, and books nobody any more.", input: Cancellation.self, answer: .record("activities")
  ) { run, input in
    let id = try run.id()
    try await LockedActivity.planned(id, run.tx)
    try await run.tx.run(
      "UPDATE crm.activity SET status = 'cancelled', cancelled_at = now(), cancellation_reason = \(input.reason) WHERE id = \(id)")
    return .record(id)
  }
}
