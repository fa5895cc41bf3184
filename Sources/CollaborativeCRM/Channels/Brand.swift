package import CRMCore

extension Resource {
  /// A name under which the company speaks to customers, and for which they allow or refuse messages.
  package static let brands = Resource(
    "brands", singular: "brand", table: "crm.brand", area: .marketing,
    create: ["code", "name", "department_id", "sender_name", "contact_line", "website", "link_base", "iys_code", "iys_brand_code", "is_active"],
    change: ["code", "name", "department_id", "sender_name", "contact_line", "website", "link_base", "iys_code", "iys_brand_code", "is_active"],
    expand: ["department"], search: ["name", "code"], order: "code")
}
