import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What was invoiced less what was credited, up to date in the transaction that does either.
  static let turnover = Concept(reads: [.turnover])
}

private struct TurnoverQuery: OperationInput {
  enum Group: String, CaseIterable, Sendable {
    case customer, product, seller, department, month, day, total

    /// What rows are grouped by, as text, and what it is called.
    var key: (id: SQL, name: SQL) {
      switch self {
      case .customer: ("t.customer_id::text", "(SELECT c.name FROM crm.customer c WHERE c.id = g.key::uuid)")
      case .product: ("t.product_id::text", "(SELECT p.name FROM crm.product p WHERE p.id = g.key::uuid)")
      case .seller: ("t.owner_id::text", "(SELECT u.name FROM crm.app_user u WHERE u.id = g.key::uuid)")
      case .department: ("t.department_id::text", "(SELECT d.name FROM crm.department d WHERE d.id = g.key::uuid)")
      case .month: ("to_char(t.day, 'YYYY-MM')", "g.key")
      case .day: ("t.day::text", "g.key")
      case .total: ("NULL::text", "NULL::text")
      }
    }

    var order: SQL {
      switch self {
      case .month, .day: "g.key"
      default: "g.amount DESC"
      }
    }
  }

  let group: Group
  let from, to: CalendarDate?
  let customerID, productID, sellerID, departmentID: UUID?
  let currency: String?

  init(_ fields: inout InputReader) {
    group = fields.option("group_by", "What each row of the answer stands for.", of: Group.self, placeholder: .total)
    from = fields.optionalDay("from", "The first day.")
    to = fields.optionalDay("to", "The last day.")
    customerID = fields.optionalID("customer_id", "One customer alone.")
    productID = fields.optionalID("product_id", "One product alone.")
    sellerID = fields.optionalID("seller_id", "One seller alone.")
    departmentID = fields.optionalID("department_id", "One department alone.")
    currency = fields.optionalText("currency", "One currency alone.", maximum: 3)
  }
}

extension ReadOperation {
  static let turnover = ReadOperation(
    "turnover", "/v1/turnover", tag: "turnover", access: .read(.sales), "Turnover by customer, product, seller, department or month",
    description: """
      Issued invoices less credit notes, without VAT, of what the caller may read: exact to the instant, one row for each group and currency, \
      months in their order and everything else by amount.
      """,
    input: TurnoverQuery.self,
    row: [
      "key": ["type": ["string", "null"], "description": "Id, month or day; null for lines without a product, invoices without a seller, and the total."],
      "name": ["type": ["string", "null"], "description": "What it is called, if the caller may read it."], "currency": ["type": "string"],
      "quantity": ["type": "string"], "invoiced": ["type": "string"], "credited": ["type": "string"],
      "amount": ["type": "string", "description": "Invoiced less credited."],
      "cost": ["type": "string", "description": "What the goods cost us, as far as that is known."],
    ], reading: [.sales, .customers, .products]
  ) { _, query in
    let key = query.group.key
    return """
      SELECT g.key, \(key.name) AS name, g.currency, g.quantity, g.invoiced, g.credited, g.amount, g.cost
        FROM (
          SELECT \(key.id) AS key, t.currency, sum(t.quantity) AS quantity, sum(t.invoiced) AS invoiced, sum(t.credited) AS credited, sum(t.amount) AS amount,
                 sum(t.cost) AS cost
            FROM crm.turnover t
           WHERE (\(query.from)::date IS NULL OR t.day >= \(query.from)) AND (\(query.to)::date IS NULL OR t.day <= \(query.to))
             AND (\(query.customerID)::uuid IS NULL OR t.customer_id = \(query.customerID))
             AND (\(query.productID)::uuid IS NULL OR t.product_id = \(query.productID))
             AND (\(query.sellerID)::uuid IS NULL OR t.owner_id = \(query.sellerID))
             AND (\(query.departmentID)::uuid IS NULL OR t.department_id = \(query.departmentID))
             AND (\(query.currency)::text IS NULL OR t.currency = \(query.currency))
           GROUP BY 1, 2
        ) AS g
       ORDER BY \(query.group.order), g.key, g.currency
      """
  }
}
