import CRMCore
import PostgresClient

/// By which groups of customers an answer tells apart.
struct CustomerGrouping: OperationInput {
  enum Field: String, CaseIterable, Sendable {
    case none, department, kind, locale
    case lifecyclePhase = "lifecycle_phase"
    /// By the company's default value model.
    case tier
    case profile, custom
  }

  let field: Field
  /// Of profile or custom.
  let member: String?

  init(_ fields: inout InputReader) {
    field = fields.optionalOption("group_by", "What the groups are formed by; everyone together when left out.", of: Field.self) ?? .none
    member = fields.optionalText("member", "The member of profile or custom, such as region.", maximum: 100)
    if (field == .profile || field == .custom) != (member != nil) {
      fields.refuse(
        "member", code: "required",
        Phrase(
          "group_by profile and custom, and no other, need the member to group by.",
          tr: "Yalnızca group_by profile ve custom için member verilir, o da zorunludur."))
    }
  }

  init(_ run: AnalysisRun) {
    field = run.parameters["group_by"]?.string.flatMap(Field.init) ?? .none
    member = run.parameters["member"]?.string
  }

  var parameters: [String: JSON] { ["group_by": .string(field.rawValue), "member": member.map(JSON.string) ?? .null] }

  /// The arguments of `analytics.customer_group`.
  var arguments: SQL { "\(field.rawValue), \(member)" }
}
