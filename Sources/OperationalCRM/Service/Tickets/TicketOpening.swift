import CRMCore
import Foundation
import PostgresClient

extension BusinessOperation {
  /// What begins as a conversation on any channel becomes a ticket when a colleague says so.
  static let openTicketOfConversation = BusinessOperation(
    "open_ticket_of_conversation", .post, "/v1/conversations/{id}/ticket", of: "tickets", access: .write(.service), "Open a ticket for a conversation",
    description:
      "By what the customer said last in it; it is routed, and its clocks count from then. Answers the ticket that is open already, if there is one.",
    input: NoInput.self, answer: .record("tickets")
  ) { run, _ in
    let id = try run.id()
    guard let customer = try await run.tx.value(UUID?.self, "SELECT (SELECT c.customer_id FROM crm.conversation AS c WHERE c.id = \(id)) AS id") else {
      throw Problem.notFound
    }
    return .record(try await run.tx.value(UUID.self, "SELECT crm.open_ticket(\(customer), \(id)) AS id"))
  }
}
