package import CRMCore
import Foundation
import PostgresClient

extension Resource {
  /// Several changes to a ticket, a reply and a note, done at once.
  package static let macros = Resource(
    "macros", singular: "macro", table: "crm.macro", area: .service,
    create: [
      "code", "name", "team_id", "status", "status_reason", "priority", "type", "add_tags", "remove_tags", "assign", "to_team_id", "reply", "note",
      "seconds_spent", "active",
    ],
    change: [
      "code", "name", "team_id", "status", "status_reason", "priority", "type", "add_tags", "remove_tags", "assign", "to_team_id", "reply", "note",
      "seconds_spent", "active",
    ],
    expand: ["team"], search: ["name", "code"], order: "code")
}

private struct Macro: RowDecodable {
  enum Assignee: String, PostgresDecodable {
    case me, nobody, route
  }

  let status: TicketStatus?
  let statusReason: String?
  let assign: Assignee?
  let toTeamID: UUID?
  let reply: String?
  let note: String?
  let secondsSpent: Int?

  init(row: PostgresRow) throws {
    status = try row.decode(TicketStatus?.self, "status")
    statusReason = try row.decode(String?.self, "status_reason")
    assign = try row.decode(Assignee?.self, "assign")
    toTeamID = try row.decode(UUID?.self, "to_team_id")
    reply = try row.decode(String?.self, "reply")
    note = try row.decode(String?.self, "note")
    secondsSpent = try row.decode(Int?.self, "seconds_spent")
  }

  /// The macro with its texts filled in for a ticket, if its team may use it.
  static func filled(_ id: UUID, for ticket: LockedTicket, _ tx: PostgresTransaction) async throws -> Macro {
    let macro = try await tx.first(
      Macro.self,
      """
      SELECT m.status, m.status_reason, m.assign, m.to_team_id, crm.fill_in(m.reply, \(ticket.customerID), \(ticket.id)) AS reply,
             crm.fill_in(m.note, \(ticket.customerID), \(ticket.id)) AS note, m.seconds_spent
        FROM crm.macro AS m WHERE m.id = \(id) AND m.active AND (m.team_id IS NULL OR m.team_id = \(ticket.teamID))
      """)
    guard let macro else {
      throw Problem.invalid([
        .init(
          "/macro_id", code: "reference",
          Phrase("There is no such active macro for this ticket's team.", tr: "Bu talebin ekibi için böyle etkin bir makro yok."))
      ])
    }
    return macro
  }
}

private struct MacroUse: OperationInput {
  let macroID: UUID

  init(_ fields: inout InputReader) {
    macroID = fields.id("macro_id", "The macro.")
  }
}

extension BusinessOperation {
  /// Answers first and moves afterwards, so that a macro that resolves leaves the ticket resolved.
  static let applyMacro = BusinessOperation(
    "apply_macro", .post, "/v1/tickets/{id}/apply_macro", of: "tickets", access: .write(.service), "Apply a macro to a ticket",
    description: "All of it or nothing: a macro that answers is refused where the ticket has no conversation to answer in.",
    input: MacroUse.self, answer: .record("tickets"), extending: [.customers]
  ) { run, input in
    let tx = run.tx
    let ticket = try await LockedTicket.standing(try run.id(), tx)
    let macro = try await Macro.filled(input.macroID, for: ticket, tx)
    try await tx.run(
      """
      UPDATE crm.ticket AS t SET priority = coalesce(m.priority, t.priority), type = coalesce(m.type, t.type),
        team_id = CASE m.assign WHEN 'route' THEN coalesce(m.to_team_id, t.team_id) ELSE t.team_id END,
        tags = ARRAY(SELECT x.tag FROM unnest(t.tags || m.add_tags) WITH ORDINALITY AS x (tag, place) WHERE x.tag <> ALL (m.remove_tags)
                      GROUP BY x.tag ORDER BY min(x.place))
        FROM crm.macro AS m WHERE m.id = \(input.macroID) AND t.customer_id = \(ticket.customerID) AND t.id = \(ticket.id)
      """)
    if let text = macro.reply {
      guard try await tx.value(UUID?.self, "SELECT crm.answer_ticket(\(ticket.customerID), \(ticket.id), \(text)) AS id") != nil else {
        throw Problem(
          409, "no-way-to-answer",
          Phrase(
            "The ticket has no conversation to answer in, or nothing may be sent there.",
            tr: "Talebin yanıtlanacak bir görüşmesi yok ya da oraya ileti gönderilemiyor."))
      }
    }
    if let text = macro.note {
      try await tx.run("INSERT INTO crm.internal_note (customer_id, ticket_id, text) VALUES (\(ticket.customerID), \(ticket.id), \(text))")
    }
    if let seconds = macro.secondsSpent {
      try await tx.run("INSERT INTO crm.ticket_time (customer_id, ticket_id, seconds) VALUES (\(ticket.customerID), \(ticket.id), \(seconds))")
    }
    switch macro.assign {
    case .me: try await ticket.assign(to: run.caller.userID, team: macro.toTeamID, reason: nil, tx)
    case .nobody: try await ticket.assign(to: nil, team: macro.toTeamID, reason: nil, tx)
    case .route: try await tx.run("SELECT crm.route_ticket(\(ticket.customerID), \(ticket.id), 'asked', NULL, now())")
    case nil:
      // Who had it stays in the team that it leaves.
      if let team = macro.toTeamID, team != ticket.teamID { try await ticket.assign(to: nil, team: team, reason: nil, tx) }
    }
    let now = try await LockedTicket.locked(ticket.id, tx)
    if let status = macro.status, status != now.status {
      try await now.move(to: status, reason: macro.statusReason, tx)
    }
    return .record(ticket.id)
  }
}
