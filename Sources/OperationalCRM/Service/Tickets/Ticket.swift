package import CRMCore

extension Concept {
  /// What customers want answered or put right.
  static let tickets = Concept(resources: [.tickets])
}

extension Resource {
  /// Something a customer wants answered or put right. Its status is moved by operations.
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
      "customer", "contact", "product", "order", "team", "assignee", "parent", .many("parts", of: "tickets", by: "parent_id"),
    ],
    search: ["number", "subject", "customer.name"], customFields: true, order: "-opened_at", dated: "opened_at")
}
