import CRMCore
import Foundation
import PostgresClient

private struct AgeingQuery: OperationInput {
  let asOf: CalendarDate?
  let customerID: UUID?

  init(_ fields: inout InputReader) {
    asOf = fields.optionalDay("as_of", "The day to look back to; today when left out.")
    customerID = fields.optionalID("customer_id", "One customer alone.")
  }

  /// Rows of `crm.ageing`, as far as they are asked for.
  var rows: SQL {
    """
    crm.ageing(coalesce(\(asOf), (now() AT TIME ZONE 'Europe/Istanbul')::date)) AS a
    WHERE (\(customerID)::uuid IS NULL OR a.customer_id = \(customerID))
    """
  }
}

extension ReadOperation {
  private static let amounts: [String: JSON] = [
    "currency": ["type": "string"], "not_due": ["type": "string", "description": "Open and not due yet."],
    "days_1_30": ["type": "string", "description": "1 to 30 days past due."], "days_31_60": ["type": "string", "description": "31 to 60 days past due."],
    "days_61_90": ["type": "string", "description": "61 to 90 days past due."], "days_91": ["type": "string", "description": "More than 90 days past due."],
    "open": ["type": "string", "description": "All of it together."],
    "credit": ["type": "string", "description": "What we owe the customer: credit notes not settled and payments not allocated."],
  ]

  static let ageing = ReadOperation(
    "ageing", "/v1/ageing", tag: "instalments", access: .read(.finance), "What each customer owes, by days past due", input: AgeingQuery.self,
    row: amounts.merging(["customer_id": ["type": "string", "format": "uuid"], "customer_name": ["type": ["string", "null"]]]) { $1 },
    reading: [.finance, .customers]
  ) { _, query in
    """
    SELECT a.customer_id, (SELECT c.name FROM crm.customer c WHERE c.id = a.customer_id) AS customer_name, a.currency, a.not_due, a.days_1_30, a.days_31_60,
           a.days_61_90, a.days_91, a.open, a.credit
      FROM \(query.rows) ORDER BY a.days_91 + a.days_61_90 + a.days_31_60 + a.days_1_30 DESC, a.open DESC, a.customer_id, a.currency
    """
  }

  static let ageingTotal = ReadOperation(
    "ageing_total", "/v1/ageing/total", tag: "instalments", access: .read(.finance), "What all customers owe, by days past due", input: AgeingQuery.self,
    row: amounts.merging(["customers": ["type": "integer"]]) { $1 }, reading: [.finance]
  ) { _, query in
    """
    SELECT count(*) AS customers, a.currency, sum(a.not_due) AS not_due, sum(a.days_1_30) AS days_1_30, sum(a.days_31_60) AS days_31_60,
           sum(a.days_61_90) AS days_61_90, sum(a.days_91) AS days_91, sum(a.open) AS open, sum(a.credit) AS credit
      FROM \(query.rows) GROUP BY a.currency ORDER BY a.currency
    """
  }
}
