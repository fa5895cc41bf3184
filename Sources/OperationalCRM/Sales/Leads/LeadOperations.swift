import CRMCore
import Foundation
import PostgresClient

/// A lead whose state is judged: nobody else changes it until the transaction ends.
struct LockedLead: RowDecodable {
  enum Status: String, PostgresDecodable, Sendable {
    case new, qualified, disqualified, converted
  }

  let status: Status

  init(row: PostgresRow) throws {
    status = try row.decode(Status.self, "status")
  }

  /// - Throws: 404 if the caller may not read the lead, 403 if they may not change it.
  static func find(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedLead {
    if let lead = try await tx.first(LockedLead.self, "SELECT l.status FROM crm.lead AS l WHERE l.id = \(id) FOR UPDATE") { return lead }
    guard try await tx.result("SELECT 1 FROM crm.lead AS l WHERE l.id = \(id)").count == 1 else { throw Problem.notFound }
    throw Problem.forbidden(Phrase("You may see this lead but not change it.", tr: "Bu adayı görebilirsiniz ama değiştiremezsiniz."))
  }

  func mustNotBeConverted() throws(Problem) {
    if status == .converted {
      throw Problem(409, "lead-converted", Phrase("This lead is a customer already.", tr: "Bu aday zaten müşteri oldu."))
    }
  }
}

extension BusinessOperation {
  static let touchLead = BusinessOperation(
    "touch_lead", .post, "/v1/leads/{id}/touch", of: "leads", access: .write(.sales), "Note how a lead came to us again",
    description: "Keeps the first touch as it was and replaces the last one.", input: LeadTouch.self, answer: .record("leads")
  ) { run, touch in
    let id = try run.id()
    _ = try await LockedLead.find(id, run.tx)
    try await run.tx.run(
      """
      UPDATE crm.lead SET last_touch_at = now(), last_utm_source = \(touch.source), last_utm_medium = \(touch.medium), last_utm_campaign = \(touch.campaign),
        last_utm_term = \(touch.term), last_utm_content = \(touch.content), last_page = \(touch.page)
      WHERE id = \(id)
      """)
    return .record(id)
  }

  private struct Assignment: OperationInput {
    let ownerID: UUID?
    init(_ fields: inout InputReader) {
      ownerID = fields.optionalID("owner_id", "The seller who gets it; the assignment rules choose if left out.")
    }
  }

  static let assignLead = BusinessOperation(
    "assign_lead", .post, "/v1/leads/{id}/assign", of: "leads", access: .write(.sales), "Give a lead to a seller",
    description: "By the assignment rules (territory, interest, source, load), or to the seller named. Why is kept in lead_assignments.",
    input: Assignment.self, answer: .record("leads", expand: ["assignments"])
  ) { run, input in
    let id = try run.id()
    try await LockedLead.find(id, run.tx).mustNotBeConverted()
    try await run.tx.run("SELECT crm.assign_lead(\(id), \(input.ownerID))")
    return .record(id)
  }

  private struct Qualification: OperationInput {
    let rating: LeadRating?
    init(_ fields: inout InputReader) {
      rating = fields.optionalOption("rating", "How promising it is; as it was if left out.", of: LeadRating.self)
    }
  }

  static let qualifyLead = BusinessOperation(
    "qualify_lead", .post, "/v1/leads/{id}/qualify", of: "leads", access: .write(.sales), "Say that a lead is worth the work",
    description: "Also brings a disqualified lead back.", input: Qualification.self, answer: .record("leads")
  ) { run, input in
    let id = try run.id()
    try await LockedLead.find(id, run.tx).mustNotBeConverted()
    try await run.tx.run(
      """
      UPDATE crm.lead SET status = 'qualified', qualified_at = now(), rating = coalesce(\(input.rating?.rawValue), rating),
        disqualified_at = NULL, disqualification_reason = NULL, disqualification_note = NULL
      WHERE id = \(id) AND status <> 'qualified'
      """)
    return .record(id)
  }

  private struct Disqualification: OperationInput {
    let reason: DisqualificationReason
    let note: String?
    init(_ fields: inout InputReader) {
      reason = fields.option("reason", "Why it is not worth the work.", of: DisqualificationReason.self, placeholder: .other)
      note = fields.optionalText("note", "More about why.")
    }
  }

  static let disqualifyLead = BusinessOperation(
    "disqualify_lead", .post, "/v1/leads/{id}/disqualify", of: "leads", access: .write(.sales), "Say that a lead is not worth the work, and why",
    input: Disqualification.self, answer: .record("leads")
  ) { run, input in
    let id = try run.id()
    try await LockedLead.find(id, run.tx).mustNotBeConverted()
    try await run.tx.run(
      """
      UPDATE crm.lead SET status = 'disqualified', disqualified_at = now(), disqualification_reason = \(input.reason.rawValue),
        disqualification_note = \(input.note)
      WHERE id = \(id)
      """)
    return .record(id)
  }
}
