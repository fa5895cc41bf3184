import CRMCore
package import Foundation
package import PostgresClient

/// How an accepted quote becomes an order.
package enum OrderOpening {
  /// Opens the order of a quote, reserves what is there and gives it its number; the rest waits with the day it is expected. A quote has one order,
  /// however often this is called.
  /// - Returns: the order's id.
  /// - Throws: `Problem.notFound` when the caller may not see the quote or it does not exist.
  package static func open(quote: UUID, customer: UUID, tx: PostgresTransaction) async throws -> UUID {
    let order = UUID.v7()
    let results = try await tx.results(
      [
        """
        INSERT INTO crm.sales_order (customer_id, id, quote_id, status, currency, department_id, owner_id, visibility)
        SELECT q.customer_id, \(order), q.id, 'placed', q.currency, q.department_id, q.owner_id, q.visibility
          FROM crm.quote AS q WHERE q.customer_id = \(customer) AND q.id = \(quote)
        ON CONFLICT (customer_id, quote_id) WHERE quote_id IS NOT NULL DO NOTHING
        """,
        // From here on nothing happens unless the order is new.
        """
        INSERT INTO crm.sales_order_line (customer_id, order_id, line_number, product_id, quantity, unit_price, amount)
        SELECT o.customer_id, o.id, l.line_number, l.product_id, l.quantity, l.unit_price, l.net_amount
          FROM crm.sales_order AS o JOIN crm.quote_line AS l ON l.customer_id = o.customer_id AND l.quote_id = o.quote_id
         WHERE o.customer_id = \(customer) AND o.id = \(order) ORDER BY l.line_number
        """,
        """
        INSERT INTO crm.order_line_fulfilment
          (customer_id, order_id, line_number, product_id, description, unit_code, vat_rate, discount_percent, tracked, ordered)
        SELECT o.customer_id, o.id, l.line_number, l.product_id, l.description, l.unit_code, l.vat_rate, l.discount_percent, p.tracked, l.quantity
          FROM crm.sales_order AS o JOIN crm.quote_line AS l ON l.customer_id = o.customer_id AND l.quote_id = o.quote_id
          JOIN crm.product AS p ON p.id = l.product_id
         WHERE o.customer_id = \(customer) AND o.id = \(order) ORDER BY l.product_id, l.line_number
        """,
        "SELECT crm.reserve_order(\(customer), \(order))",
        "UPDATE crm.sales_order SET number = crm.next_number('order') WHERE customer_id = \(customer) AND id = \(order)",
        "SELECT id FROM crm.sales_order WHERE customer_id = \(customer) AND quote_id = \(quote)",
      ])
    guard let found = results.last, found.count == 1 else { throw Problem.notFound }
    return try found[0].decode(UUID.self, at: 0)
  }
}
