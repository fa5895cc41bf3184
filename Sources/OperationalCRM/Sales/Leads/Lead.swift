package import CRMCore

extension Concept {
  /// Who asked about our products, where they came from, and who takes care of them.
  static let leads = Concept(
    resources: [.leads, .leadAssignments, .assignmentRules, .assignmentSellers],
    operations: [.createLead, .createLeads, .touchLead, .assignLead, .qualifyLead, .disqualifyLead, .convertLead])
}

enum LeadSource: String, CaseIterable, Sendable {
  case web, phone, email, referral, fair, campaign, partner, social, visit, other
}

enum LeadRating: String, CaseIterable, Sendable {
  case hot, warm, cold
}

enum DisqualificationReason: String, CaseIterable, Sendable {
  case noNeed = "no_need"
  case noBudget = "no_budget"
  case noAnswer = "no_answer"
  case noAuthority = "no_authority"
  case competitor
  case wrongContact = "wrong_contact"
  case duplicate, spam, other
}

extension Resource {
  /// Somebody who asked about our products and is not a customer yet. Made, assigned, judged and converted by operations.
  package static let leads = Resource(
    "leads", singular: "lead", table: "crm.lead", area: .sales,
    change: [
      "name", "company_name", "job_title", "email", "phone", "tax_number", "website", "province_code", "city", "source", "rating",
      "product_category_id", "interest", "note", "visibility",
    ],
    expand: ["product_category", "customer", "contact", .many("assignments", of: "lead_assignments", by: "lead_id")],
    search: ["name", "company_name", "email"], customFields: true, mergeable: true)

  /// To whom a lead was given, and why.
  package static let leadAssignments = Resource(
    "lead_assignments", singular: "lead_assignment", table: "crm.lead_assignment", area: .sales, expand: ["lead", "seller", "rule"])

  /// Which sellers get which leads: by territory, interest and source.
  package static let assignmentRules = Resource(
    "assignment_rules", singular: "assignment_rule", table: "crm.assignment_rule", area: .sales,
    create: ["name", "position", "active", "province_codes", "product_category_id", "sources", "department_id"],
    change: ["name", "position", "active", "province_codes", "product_category_id", "sources", "department_id"], deletable: true,
    expand: ["product_category", .many("sellers", of: "assignment_sellers", by: "rule_id")], search: ["name"], order: "position")

  /// A seller to whom a rule gives leads, and how many at a time.
  package static let assignmentSellers = Resource(
    "assignment_sellers", singular: "assignment_seller", table: "crm.assignment_seller", area: .sales, create: ["rule_id", "user_id", "capacity"],
    change: ["capacity"], deletable: true, expand: ["rule", "user"])
}
