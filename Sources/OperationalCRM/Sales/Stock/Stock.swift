import CRMCore

extension Concept {
  /// What lies where, what of it is promised, and what is on its way.
  static let stock = Concept(
    resources: [.warehouses, .stockLevels, .stockMovements, .expectedReceipts], operations: [.moveStock], reads: [.availability])
}

extension Resource {
  /// A place that goods are kept in and sent from.
  static let warehouses = Resource(
    "warehouses", singular: "warehouse", table: "crm.warehouse", area: .purchasing,
    create: ["code", "name", "location_id", "priority", "active"], change: ["code", "name", "location_id", "priority", "active"],
    expand: ["location"], search: ["name", "code"], order: "priority")

  /// How much of a product a warehouse has; follows from the movements.
  static let stockLevels = Resource(
    "stock_levels", singular: "stock_level", table: "crm.stock_level", area: .purchasing, expand: ["warehouse", "product"],
    search: ["product.name", "product.sku", "warehouse.name"])

  /// The ledger of what came, went and was promised.
  static let stockMovements = Resource(
    "stock_movements", singular: "stock_movement", table: "crm.stock_movement", area: .purchasing, expand: ["warehouse", "product"],
    search: ["product.name", "product.sku", "reason"], order: "-id")

  /// Goods that were bought and are on their way.
  static let expectedReceipts = Resource(
    "expected_receipts", singular: "expected_receipt", table: "crm.expected_receipt", area: .purchasing,
    create: ["warehouse_id", "product_id", "quantity", "expected_on", "reference", "active"], change: ["quantity", "expected_on", "reference", "active"],
    expand: ["warehouse", "product"], search: ["product.name", "product.sku", "reference"], order: "expected_on")
}
