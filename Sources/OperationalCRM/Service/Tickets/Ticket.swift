package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What customers want answered or put right, and the work on it.
  static let tickets = Concept(
    resources: [.tickets, .ticketTimes, .macros],
    operations: [.openTicketOfConversation, .moveTicket, .assignTicket, .routeTicket, .mergeTicket, .unmergeTicket, .splitTicket, .applyMacro])
}

enum TicketStatus: String, CaseIterable, PostgresDecodable, Sendable {
  case new, open
  case pendingCustomer = "pending_customer"
  case onHold = "on_hold"
  case resolved, closed

  var isOver: Bool { self == .resolved || self == .closed }
}

enum TicketType: String, CaseIterable, Sendable {
  case question, problem, incident, request, complaint, `return`, other
}

enum TicketPriority: String, CaseIterable, Sendable {
  case low, normal, high, urgent
}

extension Resource {
  /// Something a customer wants answered or put right. Its status, team and assignee are moved by operations.
  package static let tickets = Resource(
    "tickets", singular: "ticket", table: "crm.ticket", area: .service,
    create: [
      "customer_id", "subject", "description", "type", "priority", "channel", "language", "skills", "tags", "contact_id", "product_id", "order_id", "parent_id",
      "team_id", "assignee_id", "opened_at", "custom", "department_id", "visibility",
    ],
    change: [
      "subject", "description", "type", "priority", "language", "skills", "tags", "contact_id", "product_id", "order_id", "parent_id", "custom",
      "department_id",
      "visibility",
    ],
    expand: [
      "customer", "contact", "product", "order", "team", "assignee", "parent", "sla_policy", .many("parts", of: "tickets", by: "parent_id"),
      .many("times", of: "ticket_times", by: "ticket_id"),
    ],
    search: ["number", "subject", "customer.name"], customFields: true, order: "-opened_at", dated: "opened_at")

  /// Time that a colleague spent on a ticket; it counts as cost to serve.
  package static let ticketTimes = Resource(
    "ticket_times", singular: "ticket_time", table: "crm.ticket_time", area: .service,
    create: ["customer_id", "ticket_id", "user_id", "kind", "worked_at", "seconds", "note"], change: ["kind", "worked_at", "seconds", "note"], deletable: true,
    expand: ["ticket", "user"], order: "-worked_at", dated: "worked_at")
}

/// A ticket whose state is judged: nobody else changes it until the transaction ends.
struct LockedTicket: RowDecodable {
  let id: UUID
  let customerID: UUID
  let status: TicketStatus
  let mergedIntoID: UUID?
  let teamID: UUID?
  let assigneeID: UUID?

  init(row: PostgresRow) throws {
    id = try row.decode(UUID.self, "id")
    customerID = try row.decode(UUID.self, "customer_id")
    status = try row.decode(TicketStatus.self, "status")
    mergedIntoID = try row.decode(UUID?.self, "merged_into_id")
    teamID = try row.decode(UUID?.self, "team_id")
    assigneeID = try row.decode(UUID?.self, "assignee_id")
  }

  /// - Throws: 404 if the caller may not read the ticket, 403 if they may not change it.
  static func locked(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedTicket {
    let ticket = try await tx.first(
      LockedTicket.self,
      "SELECT t.id, t.customer_id, t.status, t.merged_into_id, t.team_id, t.assignee_id FROM crm.ticket AS t WHERE t.id = \(id) FOR UPDATE")
    if let ticket { return ticket }
    guard try await tx.result("SELECT 1 FROM crm.ticket AS t WHERE t.id = \(id)").count == 1 else { throw Problem.notFound }
    throw Problem.forbidden(Phrase("You may see this ticket but not change it.", tr: "Bu talebi görebilirsiniz ama değiştiremezsiniz."))
  }

  /// - Throws: 409 if it was merged into another one: what happens, happens there.
  static func standing(_ id: UUID, _ tx: PostgresTransaction) async throws -> LockedTicket {
    let ticket = try await locked(id, tx)
    guard ticket.mergedIntoID == nil else {
      throw Problem(
        409, "ticket-merged",
        Phrase(
          "This ticket was merged into another one; work on that one, or part them.",
          tr: "Bu talep başka bir taleple birleştirilmiş; onun üzerinde çalışın ya da ayırın."))
    }
    return ticket
  }
}
