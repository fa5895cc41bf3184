import CRMCore
import PostgresClient

extension Resource {
  /// How far a line of an order made here has come.
  static let orderFulfilments = Resource(
    "order_fulfilments", singular: "order_fulfilment", table: "crm.order_line_fulfilment", area: .sales, expand: ["product", "warehouse"],
    search: ["product.name", "product.sku"])

  /// Goods of an order that left together.
  static let shipments = Resource(
    "shipments", singular: "shipment", table: "crm.shipment", area: .sales, change: ["carrier", "tracking_number", "note"],
    expand: ["order", .many("lines", of: "shipment_lines", by: "shipment_id")], search: ["number", "tracking_number"], order: "-id")

  /// What of an order's line is in a shipment.
  static let shipmentLines = Resource(
    "shipment_lines", singular: "shipment_line", table: "crm.shipment_line", area: .sales, expand: ["shipment", "product", "warehouse"],
    search: ["product.name"])
}

extension JobHandler {
  /// Reserves goods for lines that wait for them and were passed over when the goods came, because somebody was at the order.
  static let reserveBackOrders = JobHandler("stock.reserve_back_orders") { lease in
    _ = try await lease.complete(as: .system("reserve back-orders"), deadline: .after(.seconds(60))) { tx in
      try await tx.run(
        """
        SELECT crm.reserve_back_orders(waiting.product_id, waiting.warehouse_id) FROM (
          SELECT l.product_id, l.warehouse_id FROM crm.stock_level AS l JOIN crm.warehouse AS w ON w.id = l.warehouse_id AND w.active
           WHERE l.available > 0 AND EXISTS (SELECT FROM crm.order_line_fulfilment AS f WHERE f.product_id = l.product_id AND f.back_ordered > 0)
           ORDER BY l.product_id, l.warehouse_id OFFSET 0
        ) AS waiting
        """)
    }
  }
}
