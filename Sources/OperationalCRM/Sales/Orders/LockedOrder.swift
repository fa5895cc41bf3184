import CRMCore
import Foundation
import PostgresClient

/// Where an order made here stands.
enum OrderStatus: String, CaseIterable, PostgresDecodable, PostgresEncodable {
  case placed, confirmed, partlyShipped = "partly_shipped", shipped, completed, cancelled, returned
}

/// An order that nobody else moves until the transaction ends.
struct LockedOrder: RowDecodable {
  let customerID: UUID
  let id: UUID
  let number: String?
  let status: OrderStatus

  init(row: PostgresRow) throws {
    customerID = try row.decode("customer_id")
    id = try row.decode("id")
    number = try row.decode("number")
    status = try row.decode("status")
  }

  /// - Parameter statuses: those from which the order may be moved.
  /// - Throws: `Problem.notFound` when the caller may not change it or it does not exist; a conflict when it stands elsewhere.
  static func lock(_ id: UUID, in statuses: [OrderStatus], _ tx: PostgresTransaction) async throws -> LockedOrder {
    guard
      // Not FOR UPDATE: whoever reserves goods for the order refers to it, and must not wait for this transaction while holding the goods' level.
      let order = try await tx.first(
        LockedOrder.self, "SELECT customer_id, id, number, status FROM crm.sales_order WHERE id = \(id) FOR NO KEY UPDATE")
    else { throw Problem.notFound }
    guard order.number != nil else {
      throw Problem(
        409, "imported-order", Phrase("This order was not placed here.", tr: "Bu sipariş burada verilmedi."),
        detail: Phrase(
          "It is history from another system; only orders placed here are shipped and cancelled.",
          tr: "Başka bir sistemden gelen geçmiş kayıttır; yalnızca burada verilen siparişler sevk ve iptal edilir."))
    }
    guard statuses.contains(order.status) else {
      let allowed = statuses.map(\.rawValue).joined(separator: ", ")
      throw Problem(
        409, "order-status", Phrase("The order's status does not allow this.", tr: "Siparişin durumu buna izin vermiyor."),
        detail: Phrase(
          "The order is \(order.status.rawValue); it would have to be \(allowed).",
          tr: "Sipariş \(order.status.rawValue) durumunda; \(allowed) olmalıydı."))
    }
    return order
  }

  /// What people of the warehouse are told of an order: its goods, without prices and without the customer.
  func goods(_ tx: PostgresTransaction) async throws -> JSON {
    let text = try await tx.value(
      JSONText.self,
      """
      SELECT jsonb_build_object('id', o.id, 'number', o.number, 'status', o.status, 'status_reason', o.status_reason, 'lines', (
        SELECT jsonb_agg(jsonb_build_object('line_number', f.line_number, 'product_id', f.product_id, 'unit_code', f.unit_code, 'warehouse_id', f.warehouse_id,
                 'ordered', f.ordered::text, 'reserved', f.reserved::text, 'shipped', f.shipped::text, 'returned', f.returned::text,
                 'cancelled', f.cancelled::text, 'back_ordered', f.back_ordered::text, 'expected_on', f.expected_on) ORDER BY f.line_number)
          FROM crm.order_line_fulfilment AS f WHERE f.customer_id = o.customer_id AND f.order_id = o.id))
        FROM crm.sales_order AS o WHERE o.customer_id = \(customerID) AND o.id = \(id)
      """)
    return try JSONDecoder().decode(JSON.self, from: Data(text.text.utf8))
  }

  static let goodsSchema: JSON = [
    "type": "object", "required": ["id", "number", "status", "lines"],
    "properties": [
      "id": ["type": "string", "format": "uuid"], "number": ["type": "string"], "status": ["type": "string"], "status_reason": ["type": ["string", "null"]],
      "shipment_id": ["type": "string", "format": "uuid"], "shipment_number": ["type": "string"],
      "lines": [
        "type": "array",
        "items": [
          "type": "object",
          "properties": [
            "line_number": ["type": "integer"], "product_id": ["type": "string", "format": "uuid"], "unit_code": ["type": "string"],
            "warehouse_id": ["type": ["string", "null"], "format": "uuid"], "ordered": ["type": "string"], "reserved": ["type": "string"],
            "shipped": ["type": "string"], "returned": ["type": "string"], "cancelled": ["type": "string"], "back_ordered": ["type": "string"],
            "expected_on": ["type": ["string", "null"], "format": "date"],
          ],
        ],
      ],
    ],
  ]
}

/// A line of an order with the goods that are behind it, locked like its order.
struct LockedOrderLine: RowDecodable {
  let number: Int
  let productID: UUID
  let warehouseID: UUID?
  let isTracked: Bool
  /// What may be shipped now: what is reserved, or all that is open of a service.
  let shippable: Decimal
  /// What was shipped and has not come back.
  let returnable: Decimal
  let backOrdered: Decimal

  init(row: PostgresRow) throws {
    number = try row.decode("line_number")
    productID = try row.decode("product_id")
    warehouseID = try row.decode("warehouse_id")
    isTracked = try row.decode("tracked")
    shippable = try row.decode("shippable")
    returnable = try row.decode("returnable")
    backOrdered = try row.decode("back_ordered")
  }

  static func lock(of order: LockedOrder, _ tx: PostgresTransaction) async throws -> [LockedOrderLine] {
    try await tx.all(
      LockedOrderLine.self,
      """
      SELECT line_number, product_id, warehouse_id, tracked, CASE WHEN tracked THEN reserved ELSE ordered - cancelled - shipped END AS shippable,
             shipped - returned AS returnable, back_ordered
        FROM crm.order_line_fulfilment WHERE customer_id = \(order.customerID) AND order_id = \(order.id)
       ORDER BY product_id, line_number FOR NO KEY UPDATE
      """)
  }
}
