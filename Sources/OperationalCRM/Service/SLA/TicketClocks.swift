import CRMCore
import Foundation
import PostgresClient

extension ReadOperation {
  private static func mustExist(_ request: Request) throws -> SQL {
    "SELECT 1 FROM crm.ticket AS t WHERE t.id = \(try id(request))"
  }

  private static func id(_ request: Request) throws -> UUID {
    guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)) else { throw Problem.notFound }
    return id
  }

  static let ticketClocks = ReadOperation(
    "ticket_clocks", "/v1/tickets/{id}/clocks", tag: "tickets", access: .read(.service), "A ticket's clocks and the intervals in which they ran or stood still",
    description: "Seconds are those of the policy's calendar. A goal is met up to and including the instant at which it is used up.", input: NoInput.self,
    row: [
      "kind": ["type": "string", "enum": ["first_response", "next_response", "resolution"]], "cycle": AnswerField.count,
      "state": ["type": "string", "enum": ["untimed", "running", "paused", "met", "breached"]], "started_at": AnswerField.instant,
      "stopped_at": AnswerField.optional(AnswerField.instant), "goal_seconds": AnswerField.optional(AnswerField.count), "elapsed_seconds": AnswerField.number,
      "due_at": AnswerField.optional(AnswerField.instant), "breaches_at": AnswerField.optional(AnswerField.instant),
      "breached_at": AnswerField.optional(AnswerField.instant),
      "intervals": [
        "type": "array", "description": "From when to when it was running or paused, and in which status the ticket was.", "items": ["type": "object"],
      ],
    ],
    reading: [.service], mustExist: mustExist
  ) { request, _ in
    """
    SELECT k.kind, k.cycle, k.state, k.started_at, k.stopped_at, k.goal_seconds, k.elapsed_seconds, k.due_at, k.breaches_at, k.breached_at,
           coalesce((SELECT jsonb_agg(jsonb_build_object('state', i.state, 'status', i.status, 'starts_at', i.starts_at, 'ends_at', i.ends_at) ORDER BY i.starts_at)
             FROM crm.clock_intervals(ARRAY[t.id], ARRAY[t.sla_policy_id]) AS i WHERE i.clock_id = k.id), '[]') AS intervals
      FROM crm.ticket AS t JOIN crm.ticket_clock AS k ON k.customer_id = t.customer_id AND k.ticket_id = t.id
     WHERE t.id = \(try id(request)) ORDER BY k.started_at, k.kind, k.cycle
    """
  }

  static let ticketPolicies = ReadOperation(
    "ticket_policies", "/v1/tickets/{id}/policies", tag: "tickets", access: .read(.service), "Which policies fit a ticket, and why the first one holds",
    input: NoInput.self,
    row: [
      "policy_id": AnswerField.id, "code": AnswerField.text, "name": AnswerField.text, "holds": AnswerField.flag, "specificity": AnswerField.count,
      "matched": ["type": "array", "items": ["type": "string"], "description": "The conditions of the policy, all of which the ticket meets."],
      "first_response_minutes": AnswerField.optional(AnswerField.count), "next_response_minutes": AnswerField.optional(AnswerField.count),
      "resolution_minutes": AnswerField.optional(AnswerField.count),
    ],
    reading: [.service], mustExist: mustExist
  ) { request, _ in
    """
    SELECT p.id AS policy_id, p.code, p.name, coalesce(p.id = t.sla_policy_id, false) AS holds, crm.sla_specificity(p) AS specificity,
           array_remove(ARRAY['sla_class ' || p.sla_class, 'tier ' || p.tier, 'priority ' || p.priority, 'type ' || p.type, 'channel ' || p.channel], NULL) AS matched,
           p.first_response_minutes, p.next_response_minutes, p.resolution_minutes
      FROM crm.ticket AS t CROSS JOIN LATERAL crm.fitting_sla_policies(t.sla_class, t.tier, t.priority, t.type, t.channel) AS p
     WHERE t.id = \(try id(request)) ORDER BY specificity DESC, p.code
    """
  }

  static let ticketPrediction = ReadOperation(
    "ticket_prediction", "/v1/tickets/{id}/prediction", tag: "tickets", access: .read(.service),
    "When a ticket will probably be resolved, and whether too late",
    description: """
      From how long tickets like it took that came in the 365 days before: of the same type and priority in the same team, of the same type and priority, or all, \
      whichever first has 20 resolved ones. Open tickets count as censored (Kaplan and Meier), and what has gone already is taken into account.
      """, input: NoInput.self,
    row: [
      "compared_with": ["type": "string", "enum": ["team_type_priority", "type_priority", "all", "nothing"]], "tickets": AnswerField.count,
      "resolved": AnswerField.count, "elapsed_seconds": AnswerField.number, "goal_seconds": AnswerField.optional(AnswerField.count),
      "probability_of_breach": AnswerField.optional(AnswerField.number), "expected_seconds": AnswerField.optional(AnswerField.number),
      "expected_at": AnswerField.optional(AnswerField.instant), "predicted_breach_at": AnswerField.optional(AnswerField.instant),
    ],
    reading: [.service], mustExist: mustExist
  ) { request, _ in
    """
    SELECT p.compared_with, p.tickets, p.resolved, p.elapsed_seconds, p.goal_seconds, p.probability_of_breach, p.expected_seconds, p.expected_at, p.predicted_breach_at
      FROM analytics.ticket_prediction(\(try id(request)), now()) AS p
    """
  }
}
