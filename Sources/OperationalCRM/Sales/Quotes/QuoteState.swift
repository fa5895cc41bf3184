import CRMCore
import Foundation
import PostgresClient

/// Where a quote stands: what its operations judge by. Read by whoever is about to move it, with the row locked.
struct QuoteState: RowDecodable {
  enum Status: String, PostgresDecodable, CaseIterable {
    case draft, awaitingApproval = "awaiting_approval", approved, sent, accepted, declined, expired, superseded
  }

  let id: UUID
  let customerID: UUID
  let opportunityID: UUID?
  let status: Status
  let departmentID: UUID
  let ownerID: UUID?
  let audience: UUID?
  let authorID: UUID?
  /// In percent.
  let worstDiscount: Decimal
  let lineCount: Int
  /// Whether its last day is over.
  let isPast: Bool

  init(row: PostgresRow) throws {
    id = try row.decode("id")
    customerID = try row.decode("customer_id")
    opportunityID = try row.decode("opportunity_id")
    status = try row.decode("status")
    departmentID = try row.decode("department_id")
    ownerID = try row.decode("owner_id")
    audience = try row.decode("audience")
    authorID = try row.decode("created_by")
    worstDiscount = try row.decode("worst_discount_percent")
    lineCount = try row.decode("line_count")
    isPast = try row.decode("is_past")
  }

  /// - Parameter condition: names the quote, called `q`.
  static func locking(_ condition: SQL) -> SQL {
    """
    SELECT q.id, q.customer_id, q.opportunity_id, q.status, q.department_id, q.owner_id, q.audience, q.created_by, q.worst_discount_percent, q.line_count,
           q.valid_until < crm.business_day(now()) AS is_past
      FROM crm.quote q WHERE \(condition) FOR UPDATE
    """
  }

  /// Locks the quote's opportunity, where it has one, before the quote itself: the order in which everybody locks them.
  static func lockingOpportunity(_ condition: SQL) -> SQL {
    """
    SELECT o.id FROM crm.opportunity o
     WHERE (o.customer_id, o.id) = (SELECT q.customer_id, q.opportunity_id FROM crm.quote q WHERE \(condition)) FOR UPDATE
    """
  }
}

extension BusinessOperation.Run {
  /// The quote in the path, locked until the operation ends.
  func lockedQuote() async throws -> QuoteState {
    let id = try id()
    if let quote = try await tx.first(QuoteState.self, QuoteState.locking("q.id = \(id)")) { return quote }
    // Locking needs the right to change; whoever only reads the quote is told so.
    let isSeen = try await tx.value(Bool.self, "SELECT EXISTS (SELECT FROM crm.quote q WHERE q.id = \(id))")
    throw isSeen ? QuoteState.readOnly : .notFound
  }
}

extension QuoteState {
  static let readOnly = Problem.forbidden(
    Phrase("You may see this quote but not change it.", tr: "Bu teklifi görebilirsiniz ama değiştiremezsiniz."))

  /// Refuses with 409 unless the quote stands in one of these states.
  func mustBe(_ allowed: Status...) throws(Problem) {
    if allowed.contains(status) { return }
    let wanted = allowed.map(\.rawValue).joined(separator: ", ")
    throw Problem(
      409, "quote-status",
      Phrase("The quote is \(status.rawValue).", tr: "Teklifin durumu: \(status.turkish)."),
      detail: Phrase("This is possible while it is: \(wanted).", tr: "Bu işlem şu durumlarda yapılabilir: \(allowed.map(\.turkish).joined(separator: ", "))."))
  }

  /// Refuses with 409 when the last day of the quote is over.
  func mustBeValid() throws(Problem) {
    if !isPast && status != .expired { return }
    throw Problem(
      409, "quote-expired", Phrase("The quote is no longer valid.", tr: "Teklifin geçerlilik süresi doldu."),
      detail: Phrase(
        "Give it a later day in valid_until; if it was sent, revise it.", tr: "valid_until alanına daha ileri bir gün verin; gönderildiyse yeni sürüm açın."))
  }

  /// Refuses to go on with a quote that offers nothing.
  func mustHaveLines() throws(Problem) {
    if lineCount > 0 { return }
    throw Problem(409, "quote-empty", Phrase("Give the quote at least one line first.", tr: "Önce teklife en az bir satır ekleyin."))
  }
}

extension QuoteState.Status {
  var turkish: String {
    switch self {
    case .draft: "taslak"
    case .awaitingApproval: "onay bekliyor"
    case .approved: "onaylandı"
    case .sent: "gönderildi"
    case .accepted: "kabul edildi"
    case .declined: "reddedildi"
    case .expired: "süresi doldu"
    case .superseded: "yerine yeni sürüm geçti"
    }
  }
}
