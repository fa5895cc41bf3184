import CRMCore
import Foundation
import PostgresClient

/// How much of a line.
struct OrderLineQuantity: OperationInput {
  let number: Int
  let quantity: Decimal

  init(_ fields: inout InputReader) {
    number = fields.integer("line_number", "The line of the order.", in: 1...Int(Int32.max))
    quantity = fields.decimal("quantity", "How much of it.", scale: 3, in: .smallestQuantity...999_999_999)
  }
}

extension Decimal {
  /// Quantities have three digits after the point.
  static let smallestQuantity = Decimal(sign: .plus, exponent: -3, significand: 1)
}

/// What leaves, and how.
struct ShipOrder: OperationInput {
  let lines: [OrderLineQuantity]
  let shippedOn: CalendarDate?
  let carrier: String?
  let trackingNumber: String?
  let note: String?

  init(_ fields: inout InputReader) {
    lines = fields.list("lines", "What leaves; everything that is reserved if left out.", of: OrderLineQuantity.self, maximum: 500)
    shippedOn = fields.optionalDay("shipped_on", "The day it left; today if left out.")
    carrier = fields.optionalText("carrier", "Who carries it.", maximum: 200)
    trackingNumber = fields.optionalText("tracking_number", "The carrier's number for it.", maximum: 200)
    note = fields.optionalText("note", "What colleagues should know.")
  }
}

/// What came back.
struct ReturnOrder: OperationInput {
  let lines: [OrderLineQuantity]
  let warehouseID: UUID?
  let reason: String

  init(_ fields: inout InputReader) {
    lines = fields.list("lines", "What came back.", of: OrderLineQuantity.self, minimum: 1, maximum: 500)
    warehouseID = fields.optionalID("warehouse_id", "The warehouse that took it; the one it left if left out.")
    reason = fields.text("reason", "Why it came back.", maximum: 500)
  }
}

extension BusinessOperation {
  static let shipOrder = BusinessOperation(
    "ship_order", .post, "/v1/orders/{id}/ship", of: "orders", access: .write(.purchasing), "Ship an order, or a part of it",
    description: "Only what is reserved can leave. Makes a shipment with a number; what waits for goods can be shipped later.",
    input: ShipOrder.self, answer: .json(LockedOrder.goodsSchema, status: 201), extending: [.sales]
  ) { run, input in
    let order = try await LockedOrder.lock(try run.id(), in: [.confirmed, .partlyShipped], run.tx)
    let lines = try await LockedOrderLine.lock(of: order, run.tx)
    let all = lines.filter { $0.shippable > 0 }.map { (line: $0, quantity: $0.shippable) }
    let leaving = input.lines.isEmpty ? all : try input.lines.matched(with: lines, atMost: \.shippable)
    guard !leaving.isEmpty else {
      throw Problem(
        409, "nothing-to-ship", Phrase("Nothing of this order can leave now.", tr: "Bu siparişten şu an sevk edilebilecek bir şey yok."),
        detail: Phrase("All of it waits for goods.", tr: "Tümü mal bekliyor."))
    }
    let shipment = UUID.v7()
    let (customer, id) = (order.customerID, order.id)
    let numbers = leaving.map(\.line.number)
    let quantities = leaving.map { "\($0.quantity)" }
    let results = try await run.tx.results(
      [
        "SELECT crm.lock_stock(\(leaving.filter(\.line.isTracked).map(\.line.productID))::uuid[])",
        """
        INSERT INTO crm.stock_movement (warehouse_id, product_id, kind, quantity, customer_id, order_id, order_line_number)
        SELECT f.warehouse_id, f.product_id, 'ship', given.quantity::numeric, f.customer_id, f.order_id, f.line_number
          FROM unnest(\(numbers)::int[], \(quantities)::text[]) AS given (line_number, quantity)
          JOIN crm.order_line_fulfilment AS f ON f.customer_id = \(customer) AND f.order_id = \(id) AND f.line_number = given.line_number AND f.tracked
        """,
        """
        UPDATE crm.order_line_fulfilment AS f
           SET shipped = f.shipped + given.quantity::numeric, reserved = f.reserved - CASE WHEN f.tracked THEN given.quantity::numeric ELSE 0 END
          FROM unnest(\(numbers)::int[], \(quantities)::text[]) AS given (line_number, quantity)
         WHERE f.customer_id = \(customer) AND f.order_id = \(id) AND f.line_number = given.line_number
        """,
        """
        UPDATE crm.sales_order AS o SET status = CASE WHEN EXISTS (
            SELECT FROM crm.order_line_fulfilment AS f WHERE f.customer_id = o.customer_id AND f.order_id = o.id AND f.shipped + f.cancelled < f.ordered)
          THEN 'partly_shipped' ELSE 'shipped' END
         WHERE o.customer_id = \(customer) AND o.id = \(id)
        """,
        """
        INSERT INTO crm.shipment (customer_id, id, order_id, number, shipped_on, carrier, tracking_number, note)
        VALUES (\(customer), \(shipment), \(id), crm.next_number('shipment'), coalesce(\(input.shippedOn), crm.today()), \(input.carrier),
          \(input.trackingNumber), \(input.note)) RETURNING number
        """,
        """
        INSERT INTO crm.shipment_line (customer_id, shipment_id, order_id, line_number, product_id, warehouse_id, quantity)
        SELECT f.customer_id, \(shipment), f.order_id, f.line_number, f.product_id, CASE WHEN f.tracked THEN f.warehouse_id END, given.quantity::numeric
          FROM unnest(\(numbers)::int[], \(quantities)::text[]) AS given (line_number, quantity)
          JOIN crm.order_line_fulfilment AS f ON f.customer_id = \(customer) AND f.order_id = \(id) AND f.line_number = given.line_number
        """,
      ])
    var answer = try await order.goods(run.tx).object ?? [:]
    answer["shipment_id"] = .string(shipment.lowercase)
    answer["shipment_number"] = .string(try results[4][0].decode(String.self, at: 0))
    return .json(.object(answer))
  }

  static let returnOrder = BusinessOperation(
    "return_order", .post, "/v1/orders/{id}/return", of: "orders", access: .write(.purchasing), "Take goods of an order back",
    description: "They are on hand again and go to whoever waits for them.", input: ReturnOrder.self, answer: .json(LockedOrder.goodsSchema),
    extending: [.sales]
  ) { run, input in
    let order = try await LockedOrder.lock(try run.id(), in: [.partlyShipped, .shipped, .completed], run.tx)
    let lines = try await LockedOrderLine.lock(of: order, run.tx)
    let back = try input.lines.matched(with: lines, atMost: \.returnable)
    let (customer, id) = (order.customerID, order.id)
    let numbers = back.map(\.line.number)
    let quantities = back.map { "\($0.quantity)" }
    _ = try await run.tx.results(
      [
        "SELECT crm.lock_stock(\(back.filter(\.line.isTracked).map(\.line.productID))::uuid[])",
        """
        INSERT INTO crm.stock_movement (warehouse_id, product_id, kind, quantity, customer_id, order_id, order_line_number, reason)
        SELECT coalesce(\(input.warehouseID), f.warehouse_id), f.product_id, 'return', given.quantity::numeric, f.customer_id, f.order_id, f.line_number, \(input.reason)
          FROM unnest(\(numbers)::int[], \(quantities)::text[]) AS given (line_number, quantity)
          JOIN crm.order_line_fulfilment AS f ON f.customer_id = \(customer) AND f.order_id = \(id) AND f.line_number = given.line_number AND f.tracked
        """,
        """
        UPDATE crm.order_line_fulfilment AS f SET returned = f.returned + given.quantity::numeric
          FROM unnest(\(numbers)::int[], \(quantities)::text[]) AS given (line_number, quantity)
         WHERE f.customer_id = \(customer) AND f.order_id = \(id) AND f.line_number = given.line_number
        """,
        """
        UPDATE crm.sales_order AS o SET status = 'returned', status_reason = \(input.reason)
         WHERE o.customer_id = \(customer) AND o.id = \(id) AND NOT EXISTS (
            SELECT FROM crm.order_line_fulfilment AS f
             WHERE f.customer_id = o.customer_id AND f.order_id = o.id AND (f.returned < f.shipped OR f.shipped + f.cancelled < f.ordered))
        """,
        """
        SELECT crm.reserve_back_orders(f.product_id, f.warehouse_id) FROM (
          SELECT DISTINCT product_id, coalesce(\(input.warehouseID), warehouse_id) AS warehouse_id FROM crm.order_line_fulfilment
           WHERE customer_id = \(customer) AND order_id = \(id) AND line_number = ANY(\(numbers)::int[]) AND tracked ORDER BY product_id, warehouse_id
        ) AS f
        """,
      ])
    return .json(try await order.goods(run.tx))
  }
}

extension [OrderLineQuantity] {
  /// The order's lines that are meant, each with its quantity.
  /// - Throws: a problem that names every line that is not there, comes twice, or has less than that.
  func matched(with lines: [LockedOrderLine], atMost limit: KeyPath<LockedOrderLine, Decimal>) throws(Problem) -> [(line: LockedOrderLine, quantity: Decimal)] {
    var errors: [Problem.FieldError] = []
    var seen: Set<Int> = []
    let found = enumerated().compactMap { index, wanted -> (line: LockedOrderLine, quantity: Decimal)? in
      guard let line = lines.first(where: { $0.number == wanted.number }), seen.insert(wanted.number).inserted else {
        errors.append(
          .init(
            "/lines/\(index)/line_number", code: "unknown-line",
            Phrase("The order has no such line, or it is named twice.", tr: "Siparişte böyle bir satır yok ya da iki kez yazılmış.")))
        return nil
      }
      guard wanted.quantity <= line[keyPath: limit] else {
        errors.append(
          .init(
            "/lines/\(index)/quantity", code: "too-much",
            Phrase("At most \(line[keyPath: limit]) of this line.", tr: "Bu satırdan en çok \(line[keyPath: limit]).")))
        return nil
      }
      return (line, wanted.quantity)
    }
    if !errors.isEmpty { throw .invalid(errors) }
    return found
  }
}
