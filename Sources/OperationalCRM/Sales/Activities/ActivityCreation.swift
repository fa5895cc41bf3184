import CRMCore
import Foundation
import PostgresClient

private struct Guest: OperationInput {
  let name: String
  let email: String?
  init(_ fields: inout InputReader) {
    name = fields.text("name", "Who it is.", maximum: 300)
    email = fields.optionalText("email", "E-mail address.", maximum: 254)
  }
}

private struct NewActivity: OperationInput {
  let kind: ActivityKind
  let subject: String
  let startsAt: Date?
  let endsAt: Date?
  let place: String?
  let agenda: String?
  let minutes: String?
  let outcome: ActivityOutcome?
  let completed: Bool
  let customerID: UUID?
  let contactID: UUID?
  let leadID: UUID?
  let opportunityID: UUID?
  let userIDs: [UUID]
  let contactIDs: [UUID]
  let guests: [Guest]
  let departmentID: UUID?
  let ownerID: UUID?
  let visibility: NewLead.Visibility?
  let force: Bool

  init(_ fields: inout InputReader) {
    kind = fields.option("kind", "What it is; a follow_up is something to do until starts_at.", of: ActivityKind.self, placeholder: .note)
    subject = fields.text("subject", "What it is about, in a few words.", maximum: 300)
    startsAt = fields.optionalInstant("starts_at", "When it begins; of a follow-up, when it is due. Now if left out.")
    endsAt = fields.optionalInstant("ends_at", "When it ends; a meeting has an end.")
    place = fields.optionalText("place", "Where it takes place, or the address of an online meeting.")
    agenda = fields.optionalText("agenda", "What shall be talked about.", maximum: 20_000)
    minutes = fields.optionalText("minutes", "What was said; the text of a note.", maximum: 100_000)
    outcome = fields.optionalOption("outcome", "What it came to, if it is over.", of: ActivityOutcome.self)
    completed = fields.flag("completed", "Whether it is over already and only written down. A note always is.")
    customerID = fields.optionalID("customer_id", "The customer it is about.")
    contactID = fields.optionalID("contact_id", "The person at the customer it is about.")
    leadID = fields.optionalID("lead_id", "The lead it is about.")
    opportunityID = fields.optionalID("opportunity_id", "The opportunity it is about, of customer_id.")
    userIDs = fields.ids("user_ids", "Colleagues who take part, beside the owner.", maximum: 100)
    contactIDs = fields.ids("contact_ids", "Contacts of the customer who take part.", maximum: 100)
    guests = fields.list("guests", "Others who take part.", of: Guest.self, maximum: 100)
    departmentID = fields.optionalID("department_id", "The department it belongs to; the caller's own if left out.")
    ownerID = fields.optionalID("owner_id", "Whose activity it is; the caller's if left out.")
    visibility = fields.optionalOption("visibility", "Who reads it; company if left out.", of: NewLead.Visibility.self)
    force = fields.flag("force", "Book people who are booked elsewhere at the time.")
    if kind == .meeting, startsAt == nil || endsAt == nil {
      fields.refuse("ends_at", code: "required", Phrase("A meeting has a beginning and an end.", tr: "Toplantının başlangıcı ve bitişi olmalıdır."))
    }
    if customerID == nil, contactID != nil || !contactIDs.isEmpty || opportunityID != nil {
      fields.refuse(
        "customer_id", code: "required",
        Phrase("A contact or an opportunity is named with its customer.", tr: "Kişi ya da fırsat, müşterisiyle birlikte belirtilir."))
    }
  }

  var isOver: Bool { completed || kind == .note }
}

extension BusinessOperation {
  /// Arranges a meeting, plans a call or a follow-up, or writes a note.
  static let createActivity = BusinessOperation(
    "create_activity", .post, "/v1/activities", of: "activities", access: .write(.sales), "Arrange a meeting, plan a call or a follow-up, write a note",
    description:
      "The owner takes part, with the colleagues, contacts and guests named. Nobody is booked twice at one time: the problem overlap says who is not free; force books them all the same.",
    input: NewActivity.self, answer: .record("activities", status: 201, expand: ["participants"])
  ) { run, input in
    let tx = run.tx
    let id = UUID.v7()
    let owner = input.ownerID ?? run.caller.userID
    var people = input.userIDs.filter { $0 != owner }
    if let owner { people.insert(owner, at: 0) }
    if !input.isOver, !input.force, input.kind == .meeting || input.kind == .call, let start = input.startsAt, let end = input.endsAt, start < end {
      try await Booking.mustBeFree(people, from: start, to: end, except: nil, tx)
    }
    try await tx.run(
      """
      INSERT INTO crm.activity (id, kind, subject, starts_at, ends_at, place, agenda, minutes, outcome, status, completed_at, customer_id, contact_id, lead_id,
        opportunity_id, department_id, owner_id, visibility)
      VALUES (\(id), \(input.kind.rawValue), \(input.subject), coalesce(\(input.startsAt), now()), \(input.endsAt), \(input.place), \(input.agenda),
        \(input.minutes), \(input.outcome?.rawValue), \(input.isOver ? "completed" : "planned"), CASE WHEN \(input.isOver) THEN now() END,
        CASE WHEN \(input.customerID)::uuid IS NOT NULL THEN
          coalesce((SELECT c.id FROM crm.customer AS c WHERE c.id = \(input.customerID)), crm.missing_reference('customer_id')) END,
        \(input.contactID),
        CASE WHEN \(input.leadID)::uuid IS NOT NULL THEN
          coalesce((SELECT l.id FROM crm.lead AS l WHERE l.id = \(input.leadID)), crm.missing_reference('lead_id')) END,
        CASE WHEN \(input.opportunityID)::uuid IS NOT NULL THEN
          coalesce((SELECT o.id FROM crm.opportunity AS o WHERE o.customer_id = \(input.customerID) AND o.id = \(input.opportunityID)),
            crm.missing_reference('opportunity_id')) END,
        \(try input.departmentID ?? run.department()), \(owner), \((input.visibility ?? .company).rawValue))
      """)
    try await tx.run(
      "INSERT INTO crm.activity_participant (activity_id, user_id, response, forced) SELECT \(id), u, CASE WHEN u = \(owner) THEN 'accepted' ELSE 'invited' END, \(input.force) FROM unnest(\(people)::uuid[]) AS u",
      onViolation: Booking.violation)
    try await tx.run(
      "INSERT INTO crm.activity_participant (activity_id, customer_id, contact_id) SELECT DISTINCT \(id)::uuid, \(input.customerID)::uuid, c FROM unnest(\(input.contactIDs)::uuid[]) AS c"
    )
    for guest in input.guests {
      try await tx.run("INSERT INTO crm.activity_participant (activity_id, name, email) VALUES (\(id), \(guest.name), \(guest.email))")
    }
    return .record(id)
  }
}
