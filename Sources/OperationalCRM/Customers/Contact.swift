package import CRMCore

extension Resource {
  /// A person at a customer.
  package static let contacts = Resource(
    "contacts", singular: "contact", table: "crm.contact", area: .customers,
    create: ["customer_id", "name", "job_title", "locale", "active", "note"],
    change: ["name", "job_title", "locale", "active", "note"],
    deletable: true, expand: ["customer", .many("contact_points", of: "contact_points", by: "contact_id")],
    search: ["name", "customer.name"], customFields: true, mergeable: true)

  /// A postal address of a customer or of one of its contacts.
  package static let addresses = Resource(
    "addresses", singular: "address", table: "crm.address", area: .customers,
    create: ["customer_id", "contact_id", "kind", "street", "district", "province_code", "city", "postal_code", "country"],
    change: ["contact_id", "kind", "street", "district", "province_code", "city", "postal_code", "country"],
    deletable: true, expand: ["customer"], search: ["city", "street", "customer.name"])

  /// A telephone number, an e-mail address or another way to reach a customer or contact.
  package static let contactPoints = Resource(
    "contact_points", singular: "contact_point", table: "crm.contact_point", area: .customers,
    create: ["customer_id", "contact_id", "kind", "value", "label", "is_primary"],
    change: ["contact_id", "kind", "value", "label", "is_primary"],
    deletable: true, expand: ["customer", "contact"], search: ["value"])
}
