import CRMCore
import Foundation
import PostgresClient

/// Why an order is given up.
struct OrderReason: OperationInput {
  let reason: String

  init(_ fields: inout InputReader) { reason = fields.text("reason", "Why; the customer will ask.", maximum: 500) }
}

extension BusinessOperation {
  /// Sales gives up what has not been shipped.
  static let cancelOrder = BusinessOperation(
    "cancel_order", .post, "/v1/orders/{id}/cancel", of: "orders", access: .write(.sales), "Cancel what has not been shipped",
    description: "Reserved goods are released. An order of which something was shipped already counts as shipped with what left.",
    input: OrderReason.self, answer: .record("orders")
  ) { run, input in
    let order = try await LockedOrder.lock(try run.id(), in: [.placed, .confirmed, .partlyShipped], run.tx)
    try await order.giveUp(input.reason, run.tx)
    return .record(order.id)
  }

  /// Sales closes an order that has arrived.
  static let completeOrder = BusinessOperation(
    "complete_order", .post, "/v1/orders/{id}/complete", of: "orders", access: .write(.sales), "Close an order of which everything has left",
    description: "Goods can still come back afterwards.", input: NoInput.self, answer: .record("orders")
  ) { run, _ in
    let order = try await LockedOrder.lock(try run.id(), in: [.shipped], run.tx)
    try await run.tx.run("UPDATE crm.sales_order SET status = 'completed' WHERE customer_id = \(order.customerID) AND id = \(order.id)")
    return .record(order.id)
  }
}

extension LockedOrder {
  /// Releases everything that has not left.
  func giveUp(_ reason: String, _ tx: PostgresTransaction) async throws {
    _ = try await tx.results([
      "SELECT crm.release_order(\(customerID), \(id), \(reason))",
      """
      UPDATE crm.sales_order SET status_reason = \(reason), status = CASE WHEN \(status == .partlyShipped) THEN 'shipped' ELSE 'cancelled' END
       WHERE customer_id = \(customerID) AND id = \(id)
      """,
    ])
  }
}
