import CRMCore
import Foundation
import PostgresClient

extension TicketStatus {
  /// Whether a ticket may go from here to another status: anything but back to new, and a closed ticket only to open again.
  func mayBecome(_ next: TicketStatus) -> Bool {
    switch (self, next) {
    case (_, .new): false
    case (let now, let next) where now == next: false
    case (.closed, .open): true
    case (.closed, _): false
    case (.resolved, .open), (.resolved, .closed): true
    case (.resolved, _): false
    default: true
    }
  }

  /// Whether a move there needs a reason: waiting for somebody else, and taking up again what was over.
  func needsReason(becoming next: TicketStatus) -> Bool { next == .onHold || isOver && !next.isOver }
}

struct TicketMove: OperationInput {
  let status: TicketStatus
  let reason: String?

  init(_ fields: inout InputReader) {
    status = fields.option(
      "status", "The status it gets: open, pending_customer, on_hold, resolved or closed; a resolved or closed one is reopened by open.", of: TicketStatus.self,
      placeholder: .open)
    reason = fields.optionalText("reason", "Why; needed for on_hold and for reopening.", maximum: 500)
  }
}

extension LockedTicket {
  /// Moves the ticket; its stays and clocks follow in the database.
  /// - Throws: 409 when it may not go there, 422 when a reason is missing.
  func move(to next: TicketStatus, reason: String?, _ tx: PostgresTransaction) async throws {
    guard status.mayBecome(next) else {
      throw Problem(
        409, "ticket-cannot-move",
        Phrase("A ticket that is \(status.rawValue) cannot become \(next.rawValue).", tr: "\(status.rawValue) durumundaki talep \(next.rawValue) olamaz."))
    }
    guard !status.needsReason(becoming: next) || reason?.contains(where: { !$0.isWhitespace }) == true else {
      throw Problem.invalid([.init("/reason", code: "required", Phrase("Say why.", tr: "Nedenini yazın."))])
    }
    try await tx.run(
      "UPDATE crm.ticket SET status = \(next.rawValue), status_reason = \(reason), status_since = clock_timestamp() WHERE customer_id = \(customerID) AND id = \(id)"
    )
  }
}

extension BusinessOperation {
  /// Moves a ticket to another status; resolving stops its clocks, waiting for the customer pauses them as its policy says.
  static let moveTicket = BusinessOperation(
    "move_ticket", .post, "/v1/tickets/{id}/status", of: "tickets", access: .write(.service), "Move a ticket to another status",
    input: TicketMove.self, answer: .record("tickets")
  ) { run, input in
    let ticket = try await LockedTicket.standing(try run.id(), run.tx)
    try await ticket.move(to: input.status, reason: input.reason, run.tx)
    return .record(ticket.id)
  }
}
