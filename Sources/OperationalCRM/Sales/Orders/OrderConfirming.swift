import CRMCore
import Foundation
import PostgresClient

/// Which orders purchasing wants to see.
struct ConfirmationQueue: OperationInput {
  enum Status: String, CaseIterable { case placed, confirmed, partlyShipped = "partly_shipped" }

  let status: Status
  let limit: Int

  init(_ fields: inout InputReader) {
    status = fields.optionalOption("status", "placed: to be confirmed. confirmed, partly_shipped: to be shipped.", of: Status.self) ?? .placed
    limit = fields.optionalInteger("limit", "At most so many, the oldest first; 50 if left out.", in: 1...500) ?? 50
  }
}

/// What purchasing promises.
struct ConfirmOrder: OperationInput {
  struct Line: OperationInput {
    let number: Int
    let expectedOn: CalendarDate

    init(_ fields: inout InputReader) {
      number = fields.integer("line_number", "The line.", in: 1...Int(Int32.max))
      expectedOn = fields.day("expected_on", "The day on which the missing goods will be there.")
    }
  }

  let lines: [Line]

  init(_ fields: inout InputReader) {
    lines = fields.list("lines", "Lines whose missing goods are expected on another day than the one shown.", of: Line.self, maximum: 500)
  }
}

extension ReadOperation {
  /// What purchasing has to look at: goods and quantities, no prices and nobody's name.
  static let orderConfirmations = ReadOperation(
    "order_confirmations", "/v1/order_confirmations", tag: "orders", access: .read(.purchasing), "Orders that wait for the stock check",
    description: "Goods and quantities of the orders of all departments, without prices and without the customer.",
    input: ConfirmationQueue.self,
    row: [
      "order_id": ["type": "string", "format": "uuid"], "number": ["type": "string"], "status": ["type": "string"],
      "ordered_at": ["type": "string", "format": "date-time"], "department": ["type": ["string", "null"]], "is_complete": ["type": "boolean"],
      "expected_on": ["type": ["string", "null"], "format": "date"], "lines": ["type": "array", "items": ["type": "object"]],
    ],
    reading: [.purchasing], extending: [.sales, .products]
  ) { _, input in
    """
    SELECT o.id AS order_id, o.number, o.status, o.ordered_at, d.name AS department, bool_and(f.back_ordered = 0) AS is_complete,
           CASE WHEN count(*) FILTER (WHERE f.back_ordered > 0 AND f.expected_on IS NULL) = 0 THEN max(f.expected_on) END AS expected_on,
           jsonb_agg(jsonb_build_object('line_number', f.line_number, 'product_id', f.product_id, 'sku', p.sku, 'name', p.name, 'unit_code', f.unit_code,
             'warehouse_id', f.warehouse_id, 'ordered', f.ordered::text, 'reserved', f.reserved::text, 'shipped', f.shipped::text,
             'back_ordered', f.back_ordered::text, 'expected_on', f.expected_on) ORDER BY f.line_number) AS lines
      FROM (
        SELECT customer_id, id, number, status, ordered_at, department_id FROM crm.sales_order
         WHERE status = \(input.status.rawValue) AND number IS NOT NULL ORDER BY ordered_at, id LIMIT \(input.limit)
      ) AS o
      JOIN crm.order_line_fulfilment AS f ON f.customer_id = o.customer_id AND f.order_id = o.id
      JOIN crm.product AS p ON p.id = f.product_id LEFT JOIN crm.department AS d ON d.id = o.department_id
     GROUP BY o.id, o.number, o.status, o.ordered_at, d.name ORDER BY o.ordered_at, o.id
    """
  }
}

extension BusinessOperation {
  /// Purchasing's word that the goods are, or will be, there.
  static let confirmOrder = BusinessOperation(
    "confirm_order", .post, "/v1/orders/{id}/confirm", of: "orders", access: .write(.purchasing), "Confirm that an order can be served",
    description: "Reserves what has become available since it was placed. Lines that still wait keep their expected day, or get the one given.",
    input: ConfirmOrder.self, answer: .json(LockedOrder.goodsSchema), extending: [.sales]
  ) { run, input in
    let order = try await LockedOrder.lock(try run.id(), in: [.placed], run.tx)
    try await run.tx.run("SELECT crm.reserve_order(\(order.customerID), \(order.id))")
    let told = try await run.tx.run(
      """
      UPDATE crm.order_line_fulfilment AS f SET expected_on = given.expected_on
        FROM unnest(\(input.lines.map(\.number))::int[], \(input.lines.map(\.expectedOn))::date[]) AS given (line_number, expected_on)
       WHERE f.customer_id = \(order.customerID) AND f.order_id = \(order.id) AND f.line_number = given.line_number AND f.back_ordered > 0
      """)
    if told < input.lines.count {
      throw Problem.invalid([
        .init("/lines", code: "not-waiting", Phrase("Name lines that wait for goods, each once.", tr: "Mal bekleyen satırları, her birini bir kez belirtin."))
      ])
    }
    try await run.tx.run("UPDATE crm.sales_order SET status = 'confirmed' WHERE customer_id = \(order.customerID) AND id = \(order.id)")
    return .json(try await order.goods(run.tx))
  }

  /// Purchasing cannot get the goods.
  static let refuseOrder = BusinessOperation(
    "refuse_order", .post, "/v1/orders/{id}/refuse", of: "orders", access: .write(.purchasing), "Refuse an order that cannot be served",
    description: "Its goods are released and go to whoever waits for them; the order is cancelled with the reason.",
    input: OrderReason.self, answer: .json(LockedOrder.goodsSchema), extending: [.sales]
  ) { run, input in
    let order = try await LockedOrder.lock(try run.id(), in: [.placed, .confirmed], run.tx)
    try await order.giveUp(input.reason, run.tx)
    return .json(try await order.goods(run.tx))
  }
}
