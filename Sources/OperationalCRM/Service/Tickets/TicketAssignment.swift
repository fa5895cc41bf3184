import CRMCore
import Foundation
import PostgresClient

private struct Assignment: OperationInput {
  let assigneeID: UUID?
  let teamID: UUID?
  let reason: String?

  init(_ fields: inout InputReader) {
    assigneeID = fields.optionalID("assignee_id", "Who gets it; nobody when left out.")
    teamID = fields.optionalID("team_id", "The team that gets it; its team stays when left out.")
    reason = fields.optionalText("reason", "Why.", maximum: 500)
  }
}

extension LockedTicket {
  /// Gives the ticket to somebody by hand and records the decision.
  func assign(to assignee: UUID?, team: UUID?, reason: String?, _ tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      UPDATE crm.ticket SET assignee_id = \(assignee), team_id = coalesce(\(team), team_id) WHERE customer_id = \(customerID) AND id = \(id)
      """)
    try await tx.run("SELECT crm.note_assignment(\(customerID), \(id), \(reason))")
  }
}

extension BusinessOperation {
  static let assignTicket = BusinessOperation(
    "assign_ticket", .post, "/v1/tickets/{id}/assign", of: "tickets", access: .write(.service), "Give a ticket to a colleague or a team",
    description: "Decided by hand, whatever the rules say; the decision is recorded with its reason.", input: Assignment.self, answer: .record("tickets")
  ) { run, input in
    let ticket = try await LockedTicket.standing(try run.id(), run.tx)
    if let assignee = input.assigneeID {
      guard try await run.tx.result("SELECT 1 FROM crm.app_user AS u WHERE u.id = \(assignee) AND u.active").count == 1 else {
        throw Problem.invalid([
          .init("/assignee_id", code: "reference", Phrase("There is no such active user.", tr: "Böyle etkin bir kullanıcı yok."))
        ])
      }
    }
    try await ticket.assign(to: input.assigneeID, team: input.teamID, reason: input.reason, run.tx)
    return .record(ticket.id)
  }

  static let routeTicket = BusinessOperation(
    "route_ticket", .post, "/v1/tickets/{id}/route", of: "tickets", access: .write(.service), "Have a ticket routed again",
    description: "Within its team, or by the rules when it has none; the decision is recorded with its reason.", input: NoInput.self, answer: .record("tickets")
  ) { run, _ in
    let ticket = try await LockedTicket.standing(try run.id(), run.tx)
    try await run.tx.run("SELECT crm.route_ticket(\(ticket.customerID), \(ticket.id), 'asked', NULL, now())")
    return .record(ticket.id)
  }
}
