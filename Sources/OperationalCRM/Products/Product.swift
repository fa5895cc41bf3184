package import CRMCore

extension Concept {
  /// What is sold, and where.
  static let products = Concept(resources: [.products, .productCategories, .locations, .units])
}

extension Resource {
  /// What is sold.
  package static let products = Resource(
    "products", singular: "product", table: "crm.product", area: .products,
    create: ["sku", "name", "category_id", "brand", "manufacturer", "unit_code", "package_size", "vat_rate", "cost", "tracked", "active"],
    change: ["sku", "name", "category_id", "brand", "manufacturer", "unit_code", "package_size", "vat_rate", "cost", "tracked", "active"],
    expand: ["category"], search: ["name", "sku", "category.name"], customFields: true)

  /// A branch of the tree that products are sorted into.
  package static let productCategories = Resource(
    "product_categories", singular: "product_category", table: "crm.product_category", area: .products,
    create: ["code", "name", "parent_id"], change: ["code", "name", "parent_id"],
    expand: ["parent", .many("children", of: "product_categories", by: "parent_id")], search: ["name"])

  /// A store, a warehouse or another place where the company sells or keeps goods.
  package static let locations = Resource(
    "locations", singular: "location", table: "crm.location", area: .products,
    create: ["code", "name", "kind", "time_zone", "city", "country", "active"],
    change: ["code", "name", "kind", "time_zone", "city", "country", "active"], search: ["name", "code"])

  /// What quantities are counted in.
  static let units = Resource(
    "units", singular: "unit", table: "crm.unit", area: .products,
    create: ["code", "name_en", "name_tr", "decimals", "active"], change: ["name_en", "name_tr", "decimals", "active"],
    search: ["name_tr", "name_en", "code"], order: "code")
}
