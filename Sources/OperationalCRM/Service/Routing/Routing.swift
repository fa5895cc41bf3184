package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Who gets what: rules as data, every decision with its reason.
  static let routing = Concept(resources: [.routingRules, .routingDecisions], operations: [.routeConversation, .setPresence])
}

extension Resource {
  /// Which team gets what, and how somebody of it is chosen. The first active rule that fits decides.
  package static let routingRules = Resource(
    "routing_rules", singular: "routing_rule", table: "crm.routing_rule", area: .service,
    create: [
      "place", "name", "channel", "channel_account_id", "type", "priority", "sla_class", "tier", "language", "product_category_id", "words", "prefers",
      "team_id", "skills", "raise_to", "owner_first", "strategy", "active",
    ],
    change: [
      "place", "name", "channel", "channel_account_id", "type", "priority", "sla_class", "tier", "language", "product_category_id", "words", "prefers",
      "team_id", "skills", "raise_to", "owner_first", "strategy", "active",
    ], deletable: true, expand: ["team"], search: ["name"], order: "place")

  /// Who was given a ticket or a conversation, and why.
  package static let routingDecisions = Resource(
    "routing_decisions", singular: "routing_decision", table: "crm.routing_decision", area: .service, expand: ["ticket", "rule", "team", "assignee"],
    order: "-decided_at", dated: "decided_at")
}

enum PresenceState: String, CaseIterable, Sendable {
  case available, busy, away, offline
}

private struct OwnPresence: OperationInput {
  let state: PresenceState
  let until: Date?
  let note: String?

  init(_ fields: inout InputReader) {
    state = fields.option(
      "state", "available takes new work, busy keeps own work, away and offline take none.", of: PresenceState.self, placeholder: .available)
    until = fields.optionalInstant("until", "Until when available or busy holds; the end of your working day if left out.")
    note = fields.optionalText("note", "What colleagues see beside it.", maximum: 200)
  }
}

extension BusinessOperation {
  static let routeConversation = BusinessOperation(
    "route_conversation", .post, "/v1/conversations/{id}/route", of: "routing_decisions", access: .write(.service), "Have a conversation routed",
    description: "As tickets are: by rules, skills, language, load, presence and hours.", input: NoInput.self,
    answer: .json(["type": "object", "required": ["assignee_id"], "properties": ["assignee_id": AnswerField.optional(AnswerField.id)]])
  ) { run, _ in
    let id = try run.id()
    guard let customer = try await run.tx.value(UUID?.self, "SELECT (SELECT c.customer_id FROM crm.conversation AS c WHERE c.id = \(id)) AS id") else {
      throw Problem.notFound
    }
    let assignee = try await run.tx.value(UUID?.self, "SELECT crm.route_conversation(\(customer), \(id), 'asked', NULL, now()) AS id")
    return .json(["assignee_id": assignee.map { .string($0.lowercase) } ?? .null])
  }

  static let setPresence = BusinessOperation(
    "set_presence", .put, "/v1/me/presence", of: "presences", access: .signedIn, "Say whether you take work",
    description: """
      available and busy lapse to away at until: by itself the end of the day's hours by the calendars of your teams, outside of them after eight hours, never \
      in less than one. Who follows /v1/events and is not heard of any more, by it or by any request, for the silence_minutes of their team lapses before, and \
      comes back with the next sign of life. Whoever never followed it, such as a program that says it for you, is not missed.
      """, input: OwnPresence.self, answer: .record("presences"), extending: [.service]
  ) { run, input in
    guard let user = run.caller.userID else { throw Problem.forbidden(Phrase("Only people have a presence.", tr: "Yalnızca kişilerin durumu olur.")) }
    let id = try await run.tx.value(
      UUID.self,
      """
      INSERT INTO crm.presence AS p (user_id, state, note, until) VALUES (\(user), \(input.state.rawValue), \(input.note), \(input.until))
      ON CONFLICT ON CONSTRAINT presence_user_id_unique DO UPDATE
        SET state = excluded.state, note = excluded.note, until = excluded.until, lapsed_from = NULL, lapsed_why = NULL,
            since = CASE WHEN p.state = excluded.state AND p.lapsed_why IS NULL THEN p.since ELSE now() END
      RETURNING id
      """)
    return .record(id)
  }
}
