import CRMCore
import Foundation
import PostgresClient

/// A discount above the seller's cap is given by somebody of the same department whose own cap covers it, and never by the author.
extension BusinessOperation {
  struct QuoteNote: OperationInput {
    let note: String?
    init(_ fields: inout InputReader) { note = fields.optionalText("note", "Why.") }
  }

  static let submitQuote = BusinessOperation(
    "submit_quote", .post, "/v1/quotes/{id}/submit", of: "quotes", access: .write(.sales), "Ask for approval of a quote's discount",
    description: "For a draft whose largest discount exceeds the caller's cap.", input: QuoteNote.self, answer: .record("quotes", expand: ["approvals"])
  ) { run, input in
    let quote = try await run.lockedQuote()
    try quote.mustBe(.draft)
    try quote.mustHaveLines()
    if try await run.discountCap(quote) >= quote.worstDiscount {
      throw Problem(
        409, "approval-not-needed", Phrase("The discount is within your cap: send the quote.", tr: "İndirim yetkiniz içinde: teklifi gönderebilirsiniz."))
    }
    _ = try await run.tx.results([
      """
      INSERT INTO crm.quote_approval (customer_id, quote_id, discount_percent, requested_by, request_note, author_id)
      VALUES (\(quote.customerID), \(quote.id), \(quote.worstDiscount), \(run.caller.userID), \(input.note), \(quote.authorID))
      """,
      "UPDATE crm.quote SET status = 'awaiting_approval' WHERE id = \(quote.id)",
    ])
    return .record(quote.id)
  }

  static let approveQuote = BusinessOperation(
    "approve_quote", .post, "/v1/quotes/{id}/approve", of: "quotes", access: .write(.sales), "Approve a quote's discount",
    description: "By somebody of the quote's department, or of one above it, whose own cap covers the discount; not by its author.", input: QuoteNote.self,
    answer: .record("quotes", expand: ["approvals"])
  ) { run, input in try await decide(run, "approved", becomes: "approved", input.note) }

  static let rejectQuote = BusinessOperation(
    "reject_quote", .post, "/v1/quotes/{id}/reject", of: "quotes", access: .write(.sales), "Reject a quote's discount",
    description: "The quote becomes a draft again. By whoever might approve it.", input: QuoteNote.self, answer: .record("quotes", expand: ["approvals"])
  ) { run, input in try await decide(run, "rejected", becomes: "draft", input.note) }

  static let reopenQuote = BusinessOperation(
    "reopen_quote", .post, "/v1/quotes/{id}/reopen", of: "quotes", access: .write(.sales), "Make a quote that was not sent yet a draft again",
    description: "A request for approval is withdrawn; an approval is lost.", input: QuoteNote.self, answer: .record("quotes", expand: ["approvals"])
  ) { run, input in
    let quote = try await run.lockedQuote()
    try quote.mustBe(.awaitingApproval, .approved)
    _ = try await run.tx.results([close(quote, "withdrawn", run.caller, input.note), "UPDATE crm.quote SET status = 'draft' WHERE id = \(quote.id)"])
    return .record(quote.id)
  }

  private static func decide(_ run: Run, _ decision: String, becomes status: String, _ note: String?) async throws -> Outcome {
    let quote = try await run.lockedQuote()
    try quote.mustBe(.awaitingApproval)
    guard try await run.worksAbove(quote.departmentID) else {
      throw Problem.forbidden(
        Phrase("This is decided in the department that the quote belongs to.", tr: "Buna teklifin ait olduğu departmanda karar verilir."))
    }
    guard try await run.discountCap(quote) >= quote.worstDiscount else {
      throw Problem.forbidden(
        Phrase(
          "The discount is above your own cap as well; ask somebody with a higher one.",
          tr: "İndirim sizin yetkinizi de aşıyor; yetkisi daha yüksek birine sorun."))
    }
    _ = try await run.tx.results(
      [close(quote, decision, run.caller, note), "UPDATE crm.quote SET status = \(status) WHERE id = \(quote.id)"],
      onViolation: ["quote_approval_decided_by_other": own])
    return .record(quote.id)
  }

  private static let own = Problem.forbidden(
    Phrase("Nobody approves or rejects a quote of their own.", tr: "Kimse kendi teklifini onaylayamaz ya da reddedemez."))

  private static func close(_ quote: QuoteState, _ decision: String, _ caller: Caller, _ note: String?) -> SQL {
    """
    UPDATE crm.quote_approval SET decision = \(decision), decided_by = \(caller.userID), decided_at = now(), decision_note = \(note)
     WHERE customer_id = \(quote.customerID) AND quote_id = \(quote.id) AND decision IS NULL
    """
  }
}

extension BusinessOperation.Run {
  /// The largest discount, in percent, that the caller gives this customer without asking.
  func discountCap(_ quote: QuoteState) async throws -> Decimal {
    if caller.isSystem { return 100 }
    return try await tx.value(Decimal.self, "SELECT crm.discount_cap(\(caller.userID), \(quote.customerID))")
  }

  /// Whether the caller works in a department or in one above it.
  fileprivate func worksAbove(_ department: UUID) async throws -> Bool {
    try await tx.value(
      Bool.self,
      """
      WITH RECURSIVE above AS (
        SELECT d.id, d.parent_id FROM crm.department d WHERE d.id = \(department)
        UNION SELECT d.id, d.parent_id FROM crm.department d JOIN above ON d.id = above.parent_id
      ) SELECT EXISTS (SELECT FROM above WHERE id = \(caller.departmentID))
      """)
  }
}
