package import CRMCore

extension Concept {
  /// What is promised to which tickets, who hears when a promise is about to be broken, and the clocks that tell.
  static let sla = Concept(
    resources: [.slaPolicies, .escalationSteps, .slaEvents], reads: [.ticketClocks, .ticketPolicies, .ticketPrediction], jobs: [.watchSLA, .recomputeSLA],
    schedules: [.watchSLA, .nightlySLA])
}

extension Resource {
  /// What is promised to which tickets. Of the active policies that fit a ticket the most specific one holds.
  package static let slaPolicies = Resource(
    "sla_policies", singular: "sla_policy", table: "crm.sla_policy", area: .service,
    create: [
      "code", "name", "sla_class", "tier", "priority", "type", "channel", "calendar_id", "first_response_minutes", "next_response_minutes",
      "resolution_minutes", "closes_after_hours", "pauses", "warn_percent", "active", "note",
    ],
    change: [
      "code", "name", "sla_class", "tier", "priority", "type", "channel", "calendar_id", "first_response_minutes", "next_response_minutes",
      "resolution_minutes", "closes_after_hours", "pauses", "warn_percent", "active", "note",
    ],
    expand: ["calendar", .many("steps", of: "escalation_steps", by: "policy_id")], search: ["name", "code"], order: "code")

  /// What happens when so much of a promise's time has gone.
  package static let escalationSteps = Resource(
    "escalation_steps", singular: "escalation_step", table: "crm.escalation_step", area: .service,
    create: ["policy_id", "clock", "at_percent", "action", "notify", "user_id", "team_id"],
    change: ["clock", "at_percent", "action", "notify", "user_id", "team_id"], deletable: true, expand: ["policy", "user", "team"])

  /// That a promise was about to be broken, was broken, or was escalated.
  package static let slaEvents = Resource(
    "sla_events", singular: "sla_event", table: "crm.sla_event", area: .service, expand: ["ticket", "user"], order: "-at", dated: "at")
}
