package import CRMCore

extension Concept {
  /// Who buys, the people there, and how to reach them.
  static let customers = Concept(resources: [.customers, .contacts, .addresses, .contactPoints])
}

extension Resource {
  /// A person or an organisation that buys, or may one day.
  package static let customers = Resource(
    "customers", singular: "customer", table: "crm.customer", area: .customers,
    create: [
      "kind", "name", "parent_id", "tax_number", "tax_office", "lifecycle_phase", "locale", "website", "note", "profile", "referred_by_id", "department_id",
      "owner_id", "visibility",
    ],
    change: [
      "kind", "name", "parent_id", "tax_number", "tax_office", "lifecycle_phase", "locale", "website", "note", "profile", "referred_by_id", "department_id",
      "owner_id", "visibility",
    ],
    expand: [
      "parent", .many("contacts", of: "contacts", by: "customer_id"), .many("addresses", of: "addresses", by: "customer_id"),
      .many("contact_points", of: "contact_points", by: "customer_id"), .many("orders", of: "orders", by: "customer_id"),
    ],
    search: ["name", "tax_number"], customFields: true, mergeable: true)
}
