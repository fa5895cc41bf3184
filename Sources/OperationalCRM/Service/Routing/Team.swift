package import CRMCore

extension Concept {
  /// Who answers customers: teams, what their members can do, and who is there.
  static let teams = Concept(resources: [.teams, .teamMembers, .agentSkills, .presences, .absences])
}

extension Resource {
  /// Colleagues who answer customers together.
  package static let teams = Resource(
    "teams", singular: "team", table: "crm.team", area: .service,
    create: ["code", "name", "department_id", "calendar_id", "lead_id", "silence_minutes", "note", "active"],
    change: ["code", "name", "department_id", "calendar_id", "lead_id", "silence_minutes", "note", "active"],
    expand: ["calendar", "lead", .many("members", of: "team_members", by: "team_id")], search: ["name", "code"], order: "code")

  package static let teamMembers = Resource(
    "team_members", singular: "team_member", table: "crm.team_member", area: .service,
    create: ["team_id", "user_id", "capacity", "active"], change: ["capacity", "active"], deletable: true, expand: ["team", "user"])

  /// What a colleague can do, and which languages he or she speaks.
  package static let agentSkills = Resource(
    "agent_skills", singular: "agent_skill", table: "crm.agent_skill", area: .service,
    create: ["user_id", "kind", "skill", "level"], change: ["level"], deletable: true, expand: ["user"])

  /// Whether a colleague is there to take work.
  package static let presences = Resource(
    "presences", singular: "presence", table: "crm.presence", area: .service, create: ["user_id", "state", "until", "note"],
    change: ["state", "until", "note"], expand: ["user"])

  /// A time in which a colleague is not there, known beforehand.
  package static let absences = Resource(
    "absences", singular: "absence", table: "crm.absence", area: .service,
    create: ["user_id", "starts_at", "ends_at", "reason"], change: ["starts_at", "ends_at", "reason"], deletable: true, expand: ["user"], order: "-starts_at")
}
