import CRMCore

extension Concept {
  /// What things cost whom, and what currencies are worth.
  static let prices = Concept(resources: [.priceBooks, .priceRules, .exchangeRates], reads: [.price])
}

extension Resource {
  /// A list of prices: for everyone, for a segment, or for one customer.
  static let priceBooks = Resource(
    "price_books", singular: "price_book", table: "crm.price_book", area: .products,
    create: ["code", "name", "currency", "parent_id", "customer_id", "segment", "priority", "valid_from", "valid_until", "active"],
    change: ["code", "name", "parent_id", "customer_id", "segment", "priority", "valid_from", "valid_until", "active"],
    deletable: true, expand: ["parent", "customer", .many("rules", of: "price_rules", by: "price_book_id")], search: ["name", "code"], order: "priority")

  /// What a price book says of a product, of a category, or of everything.
  static let priceRules = Resource(
    "price_rules", singular: "price_rule", table: "crm.price_rule", area: .products,
    create: ["price_book_id", "product_id", "category_id", "minimum_quantity", "kind", "value", "valid_from", "valid_until"],
    change: ["product_id", "category_id", "minimum_quantity", "kind", "value", "valid_from", "valid_until"],
    deletable: true, expand: ["price_book", "product", "category"], search: ["product.name", "product.sku"])

  /// What one currency was worth in another on a day.
  static let exchangeRates = Resource(
    "exchange_rates", singular: "exchange_rate", table: "crm.exchange_rate", area: .finance,
    create: ["from_currency", "to_currency", "on_day", "rate", "source"], change: ["rate", "source"], deletable: true, order: "-on_day")
}
