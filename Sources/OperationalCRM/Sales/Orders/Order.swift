package import CRMCore

extension Concept {
  /// What was ordered, how far it has come, and what left.
  static let orders = Concept(
    resources: [.orders, .orderLines, .orderFulfilments, .shipments, .shipmentLines],
    operations: [.placeOrder, .reorder, .confirmOrder, .refuseOrder, .shipOrder, .returnOrder, .cancelOrder, .completeOrder], reads: [.orderConfirmations],
    jobs: [.reserveBackOrders], schedules: [Schedule("stock.reserve_back_orders", kind: "stock.reserve_back_orders", .every(.seconds(300)))])
}

extension Resource {
  /// What a customer ordered: the history of sales, whichever system it was made in.
  package static let orders = Resource(
    "orders", singular: "order", table: "crm.sales_order", area: .sales,
    create: [
      "customer_id", "source_system", "external_number", "status", "channel", "location_id", "ordered_at", "currency", "note", "department_id",
      "owner_id", "visibility",
    ],
    change: ["channel", "location_id", "ordered_at", "note", "department_id", "owner_id", "visibility"],
    expand: [
      "customer", "location", "quote", "reorder_of", .many("lines", of: "order_lines", by: "order_id"),
      .many("fulfilments", of: "order_fulfilments", by: "order_id"),
      .many("shipments", of: "shipments", by: "order_id"),
    ],
    search: ["number", "external_number", "customer.name"], order: "-ordered_at", dated: "ordered_at")

  /// One product of an order, with its quantity and what was paid and discounted.
  package static let orderLines = Resource(
    "order_lines", singular: "order_line", table: "crm.sales_order_line", area: .sales,
    create: [
      "customer_id", "order_id", "line_number", "product_id", "quantity", "unit_price", "amount", "loyalty_discount", "coupon_discount",
      "coupon_match_discount",
    ],
    change: ["product_id", "quantity", "unit_price", "amount", "loyalty_discount", "coupon_discount", "coupon_match_discount"],
    deletable: true, expand: ["product", "order"], search: ["product.name"])
}
