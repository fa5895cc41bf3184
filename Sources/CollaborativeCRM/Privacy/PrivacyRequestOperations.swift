import CRMCore
import Foundation
import PostgresClient

private struct CheckIdentity: OperationInput {
  enum Method: String, CaseIterable {
    case signedIn = "signed_in"
    case idDocument = "id_document"
    case secureESignature = "secure_e_signature"
    case kep
    case registeredAddress = "registered_address"
    case callBack = "call_back"
    case notary, other
  }

  let method: Method
  let note: String?
  let customerID, contactID, leadID: UUID?

  init(_ fields: inout InputReader) {
    method = fields.option("method", "How it was checked that they are who they say.", of: Method.self, placeholder: .other)
    note = fields.optionalText("note", "What was seen, without copying it.")
    customerID = fields.optionalID("customer_id", "The customer the person is, or works for.")
    contactID = fields.optionalID("contact_id", "The person at that customer.")
    leadID = fields.optionalID("lead_id", "The lead the person is, as long as they are no customer.")
    if (customerID == nil) == (leadID == nil) {
      fields.refuse(
        "customer_id", code: "one-person", Phrase("Name the person: a customer, a contact or a lead.", tr: "Kişiyi belirtin: müşteri, kişi ya da aday."))
    }
  }
}

private struct ExtendRequest: OperationInput {
  let days: Int
  let reason: String

  init(_ fields: inout InputReader) {
    days = fields.integer("days", "By how many days the answer is put off.", in: 1...365)
    reason = fields.text("reason", "Why, as the person was told.")
  }
}

private struct DecideRequest: OperationInput {
  enum Decision: String, CaseIterable { case granted, partly, refused }

  let decision: Decision
  let text: String

  init(_ fields: inout InputReader) {
    decision = fields.option("decision", "granted, partly or refused.", of: Decision.self, placeholder: .refused)
    text = fields.text("text", "The decision with its reasons, as the person gets it.", maximum: 20_000)
  }
}

private struct CloseRequest: OperationInput {
  let note: String
  let withdrawn: Bool

  init(_ fields: inout InputReader) {
    note = fields.text("note", "How it was answered, or why it ends.")
    withdrawn = fields.flag("withdrawn", "The person took the request back.")
  }
}

private struct NoInput: OperationInput { init(_ fields: inout InputReader) {} }

private struct LiftTombstone: OperationInput {
  enum Kind: String, CaseIterable { case email, phone, number, external }

  let kind: Kind
  let value: String
  let reason: String

  init(_ fields: inout InputReader) {
    kind = fields.option("kind", "email, phone, number (identity or tax number) or external (resource:system:key).", of: Kind.self, placeholder: .email)
    value = fields.text("value", "The identifier the person gives again.", maximum: 500)
    reason = fields.text("reason", "How it is known that the person came back of their own will.")
  }
}

extension BusinessOperation {
  static let checkPrivacyIdentity = BusinessOperation(
    "check_privacy_identity", .post, "/v1/privacy_requests/{id}/check_identity", of: "privacy_requests", access: .write(.admin),
    "Record who the person is and how that was checked", input: CheckIdentity.self, answer: .record("privacy_requests")
  ) { run, input in
    let request = try await LockedPrivacyRequest.locked(run.id(), run.tx)
    try request.require(.received, .identified)
    try await run.tx.run(
      """
      UPDATE crm.privacy_request SET identity_method = \(input.method.rawValue), identity_note = \(input.note), identity_checked_at = now(),
        identity_checked_by = \(run.caller.userID), state = 'identified',
        customer_id = CASE WHEN \(input.customerID)::uuid IS NOT NULL THEN coalesce((SELECT c.id FROM crm.customer c WHERE c.id = \(input.customerID)), crm.missing_reference('customer_id')) END,
        contact_id = CASE WHEN \(input.contactID)::uuid IS NOT NULL THEN coalesce(
          (SELECT c.id FROM crm.contact c WHERE c.id = \(input.contactID) AND c.customer_id = \(input.customerID)), crm.missing_reference('contact_id')) END,
        lead_id = CASE WHEN \(input.leadID)::uuid IS NOT NULL THEN coalesce((SELECT l.id FROM crm.lead l WHERE l.id = \(input.leadID)), crm.missing_reference('lead_id')) END
      WHERE id = \(request.id)
      """)
    let isOrganisation = try await run.tx.value(
      Bool.self,
      "SELECT EXISTS (SELECT FROM crm.customer c WHERE c.id = \(input.customerID) AND \(input.contactID)::uuid IS NULL AND c.kind = 'organisation')")
    if isOrganisation {
      throw Problem.invalid([
        .init(
          "/contact_id", code: "not-a-person",
          Phrase("An organisation is no person; name one of its contacts.", tr: "Kuruluş gerçek kişi değildir; kişilerinden birini seçin."))
      ])
    }
    return .record(request.id)
  }

  static let extendPrivacyRequest = BusinessOperation(
    "extend_privacy_request", .post, "/v1/privacy_requests/{id}/extend", of: "privacy_requests", access: .write(.admin),
    "Put the answer off, having told the person why", description: "Once, before it is due, by at most what the rule of its law allows.",
    input: ExtendRequest.self, answer: .record("privacy_requests")
  ) { run, input in
    let request = try await LockedPrivacyRequest.locked(run.id(), run.tx)
    try request.require(.received, .identified, .decided)
    if request.isExtended || request.isOverdue {
      throw Problem(
        409, "no-extension", Phrase("It was put off already, or is overdue.", tr: "Süre daha önce uzatılmış ya da dolmuş."))
    }
    if input.days > request.extensionDays {
      throw Problem.invalid([
        .init(
          "/days", code: "range",
          Phrase("The rule allows at most \(request.extensionDays) days.", tr: "Kural en çok \(request.extensionDays) gün uzatmaya izin verir."))
      ])
    }
    try await run.tx.run(
      "UPDATE crm.privacy_request SET extended_by_days = \(input.days), extension_reason = \(input.reason), extension_notice_at = now() WHERE id = \(request.id)"
    )
    return .record(request.id)
  }

  static let decidePrivacyRequest = BusinessOperation(
    "decide_privacy_request", .post, "/v1/privacy_requests/{id}/decide", of: "privacy_requests", access: .write(.admin), "Decide, with reasons",
    description: "Of somebody whose identity was not checked only a refusal.", input: DecideRequest.self, answer: .record("privacy_requests")
  ) { run, input in
    let request = try await LockedPrivacyRequest.locked(run.id(), run.tx)
    try request.require(.received, .identified, .decided)
    if !request.isIdentified, input.decision != .refused { throw Problem.identityFirst }
    try await run.tx.run(
      """
      UPDATE crm.privacy_request SET state = 'decided', decision = \(input.decision.rawValue), decision_text = \(input.text), decided_at = now(),
        decided_by = \(run.caller.userID) WHERE id = \(request.id)
      """)
    return .record(request.id)
  }

  static let executePrivacyRequest = BusinessOperation(
    "execute_privacy_request", .post, "/v1/privacy_requests/{id}/execute", of: "privacy_requests", access: .write(.admin), "Carry out what was granted",
    description:
      "erase: a job does it in one transaction; see the plan first. object and restrict: at once. rectify: notes which fields of the person's records were corrected since their identity was checked, and is refused while there are none. access and export: notes that it was done by hand.",
    input: NoInput.self, answer: .record("privacy_requests")
  ) { run, _ in
    let request = try await LockedPrivacyRequest.locked(run.id(), run.tx)
    try request.require(.decided)
    guard request.isGranted else {
      throw Problem(409, "refused", Phrase("The request was refused.", tr: "Başvuru reddedilmiş."))
    }
    guard request.isIdentified else { throw Problem.identityFirst }
    switch request.kind {
    case .erase:
      if request.isHeld { throw Problem.held }
      try await run.tx.run(
        "UPDATE crm.privacy_request SET state = 'executing', executed_by = \(run.caller.userID), problem = NULL WHERE id = \(request.id)")
      try await JobQueue.enqueue(JobHandler.privacyExecutionKind, payload: ["request": .string(request.id.uuidString.lowercased())], in: run.tx)
    case .object, .restrict:
      try await run.tx.run("SELECT crm.restrict_request(\(request.id), now())")
    case .rectify:
      let corrected = try await run.tx.value(JSONText.self, "SELECT crm.rectified(\(request.id))")
      if corrected.text == "{}" {
        throw Problem(
          409, "nothing-rectified", Phrase("Nothing about this person was corrected yet.", tr: "Bu kişiyle ilgili henüz bir düzeltme yapılmadı."),
          detail: Phrase(
            "Correct the person's records first: since their identity was checked no personal field of them has changed.",
            tr: "Önce kişinin kayıtlarını düzeltin: kimliği doğrulandığından beri hiçbir kişisel alan değişmedi."))
      }
      try await run.tx.run(
        "INSERT INTO crm.privacy_step (request_id, step, detail) VALUES (\(request.id), 'rectified', jsonb_build_object('fields', \(corrected)::jsonb))")
      try await run.tx.run(
        "UPDATE crm.privacy_request SET state = 'executed', executed_at = now(), executed_by = \(run.caller.userID) WHERE id = \(request.id)")
    case .access, .export:
      try await run.tx.run(
        "UPDATE crm.privacy_request SET state = 'executed', executed_at = now(), executed_by = \(run.caller.userID) WHERE id = \(request.id)")
    }
    return .record(request.id)
  }

  static let closePrivacyRequest = BusinessOperation(
    "close_privacy_request", .post, "/v1/privacy_requests/{id}/close", of: "privacy_requests", access: .write(.admin),
    "Close a request that was answered or withdrawn", input: CloseRequest.self, answer: .record("privacy_requests")
  ) { run, input in
    let request = try await LockedPrivacyRequest.locked(run.id(), run.tx)
    if input.withdrawn {
      try request.require(.received, .identified, .decided)
    } else if request.state == .decided, request.isGranted {
      throw Problem(
        409, "not-executed", Phrase("What was granted is not carried out yet.", tr: "Kabul edilen başvuru henüz yerine getirilmedi."))
    } else {
      try request.require(.decided, .executed)
    }
    try await run.tx.run(
      """
      UPDATE crm.privacy_request SET state = \(input.withdrawn ? "withdrawn" : "closed"), closed_at = now(), closing_note = \(input.note)
      WHERE id = \(request.id)
      """)
    return .record(request.id)
  }

  static let liftTombstone = BusinessOperation(
    "lift_tombstone", .post, "/v1/privacy_requests/tombstones/lift", of: "privacy_requests", access: .write(.admin),
    "Let an erased person's identifier be entered again", description: "Only when the person came back of their own will.", input: LiftTombstone.self,
    answer: .json(["type": "object", "required": ["lifted"], "properties": ["lifted": AnswerField.count]])
  ) { run, input in
    let lifted = try await run.tx.value(Int.self, "SELECT crm.lift_tombstone(\(input.kind.rawValue), \(input.value), \(input.reason), now())")
    return .json(["lifted": .number(Decimal(lifted))])
  }
}
