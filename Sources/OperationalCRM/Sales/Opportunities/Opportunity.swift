package import CRMCore

extension Concept {
  /// What may become a sale, how far it has come, and how it ended.
  static let opportunities = Concept(
    resources: [.opportunities, .opportunityLines, .opportunityCompetitors, .opportunityStages],
    operations: [.moveOpportunity, .winOpportunity, .loseOpportunity, .reopenOpportunity])
}

extension Resource {
  /// A sale that may come. Its stage and its end are moved by operations.
  package static let opportunities = Resource(
    "opportunities", singular: "opportunity", table: "crm.opportunity", area: .sales,
    create: [
      "customer_id", "name", "pipeline_id", "stage_id", "amount", "currency", "probability", "close_on", "contact_id", "lead_id", "next_step",
      "next_step_on", "note", "department_id", "owner_id", "visibility",
    ],
    change: [
      "name", "amount", "currency", "probability", "close_on", "contact_id", "next_step", "next_step_on", "note", "department_id", "owner_id", "visibility",
    ],
    expand: [
      "customer", "contact", "lead", "pipeline", "stage", "lost_reason", .many("lines", of: "opportunity_lines", by: "opportunity_id"),
      .many("competitors", of: "opportunity_competitors", by: "opportunity_id"), .many("stages", of: "opportunity_stages", by: "opportunity_id"),
    ],
    search: ["name", "customer.name"], customFields: true, order: "-created_at")

  /// A product that an opportunity is about.
  package static let opportunityLines = Resource(
    "opportunity_lines", singular: "opportunity_line", table: "crm.opportunity_line", area: .sales,
    create: ["customer_id", "opportunity_id", "line_number", "product_id", "description", "quantity", "unit_price", "discount_percent"],
    change: ["line_number", "product_id", "description", "quantity", "unit_price", "discount_percent"],
    deletable: true, expand: ["opportunity", "product"], search: ["product.name"])

  /// Another company that the customer may buy from.
  package static let opportunityCompetitors = Resource(
    "opportunity_competitors", singular: "opportunity_competitor", table: "crm.opportunity_competitor", area: .sales,
    create: ["customer_id", "opportunity_id", "name", "strengths", "weaknesses"], change: ["name", "strengths", "weaknesses"],
    deletable: true, expand: ["opportunity"], search: ["name"])

  /// How long an opportunity stood where; kept by the database alone.
  package static let opportunityStages = Resource(
    "opportunity_stages", singular: "opportunity_stage", table: "crm.opportunity_stage", area: .sales,
    expand: ["opportunity", "pipeline", "stage"], order: "-entered_at")
}
