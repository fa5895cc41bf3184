import CRMCore
import Foundation
import PostgresClient

struct ShareInvoice: OperationInput {
  struct Share: OperationInput {
    let userID: UUID
    let percent: Decimal

    init(_ fields: inout InputReader) {
      userID = fields.id("user_id", "The seller.")
      percent = fields.decimal("percent", "The share, in percent.", scale: 2, in: 0...100)
    }
  }

  let shares: [Share]

  init(_ fields: inout InputReader) {
    shares = fields.list("sellers", "Who sold it, with shares that sum to 100; an empty list makes it its owner's again.", of: Share.self, maximum: 20)
    if !shares.isEmpty, shares.reduce(0, { $0 + $1.percent }) != 100 {
      fields.refuse("sellers", code: "sum", Phrase("The shares must sum to 100 percent.", tr: "Payların toplamı yüzde 100 olmalıdır."))
    }
  }
}

struct SettleCommissions: OperationInput {
  let planID: UUID
  let month: CalendarDate
  let note: String?

  init(_ fields: inout InputReader) {
    planID = fields.id("plan_id", "The plan.")
    month = fields.day("month", "A day of the month to settle; the month must be over.")
    note = fields.optionalText("note", "What colleagues should know.")
  }

  static let notOver = Problem.invalid([
    .init(
      "/month", code: "month-not-over",
      Phrase("This month is not over yet; see the preview until then.", tr: "Bu ay henüz bitmedi; o zamana dek önizlemeye bakın."))
  ])
  static let nothingDue = Problem(
    409, "nothing-to-settle", Phrase("No commission of this plan is due for this month.", tr: "Bu planın bu ay için ödenecek primi yok."))
}

extension BusinessOperation {
  static let shareInvoice = BusinessOperation(
    "share_invoice", .put, "/v1/invoices/{id}/sellers", of: "invoice_shares", access: .write(.finance), "Say who sold an invoice",
    description: "Splits its commission among sellers. Only of a draft; a credit note takes back by the shares of the invoice it credits.",
    input: ShareInvoice.self,
    answer: .record("invoices")
  ) { run, input in
    let draft = try await InvoiceDraft.locked(run.id(), run.tx)
    try await run.tx.run("DELETE FROM crm.invoice_share WHERE customer_id = \(draft.customerID) AND invoice_id = \(draft.id)")
    try await run.tx.run(
      """
      INSERT INTO crm.invoice_share (customer_id, invoice_id, user_id, percent)
      SELECT \(draft.customerID), \(draft.id), s.user_id, s.percent
        FROM unnest(\(input.shares.map(\.userID))::uuid[], \(input.shares.map(\.percent))::numeric[]) AS s (user_id, percent)
      """)
    return .record(draft.id)
  }

  static let settleCommissions = BusinessOperation(
    "settle_commissions", .post, "/v1/commissions/settle", of: "commission_settlements", access: .write(.finance), "Settle the commissions of a month",
    description:
      "Writes down what is paid for the month, with whatever of earlier months was not settled. It is never changed; a later credit note takes back later.",
    input: SettleCommissions.self, answer: .record("commission_settlements", status: 201, expand: ["lines"])
  ) { run, input in
    let month: SQL = "date_trunc('month', \(input.month)::date)::date"
    guard try await run.tx.value(Bool.self, "SELECT \(month) + interval '1 month' <= now() AT TIME ZONE 'Europe/Istanbul'") else {
      throw SettleCommissions.notOver
    }
    let settlement = try await run.tx.value(
      UUID.self,
      """
      INSERT INTO crm.commission_settlement (plan_id, month, note)
      SELECT coalesce((SELECT p.id FROM crm.commission_plan p WHERE p.id = \(input.planID)), crm.missing_reference('plan_id')), \(month), \(input.note) RETURNING id
      """)
    let lines = try await run.tx.run(
      """
      INSERT INTO crm.commission_settlement_line (customer_id, settlement_id, plan_id, owner_id, invoice_id, allocation_id, source_id, day, currency, base_amount,
        share_percent, percent, amount, department_id)
      SELECT d.customer_id, \(settlement), d.plan_id, d.user_id, d.invoice_id, d.allocation_id, d.source_id, d.day, d.currency, d.base_amount, d.share_percent, d.percent,
             d.amount, u.department_id
        FROM crm.commission_due((\(month) + interval '1 month - 1 day')::date) d JOIN crm.app_user u ON u.id = d.user_id
       WHERE d.plan_id = \(input.planID)
      """)
    guard lines > 0 else { throw SettleCommissions.nothingDue }
    return .record(settlement)
  }
}

private struct CommissionQuery: OperationInput {
  let from, until: CalendarDate?
  let planID, userID: UUID?

  init(_ fields: inout InputReader) {
    until = fields.optionalDay("until", "The last day on which it accrued; today when left out.")
    from = fields.optionalDay("from", "The first day on which it accrued.")
    planID = fields.optionalID("plan_id", "One plan alone.")
    userID = fields.optionalID("user_id", "One seller alone.")
  }

  /// What has not been settled, as far as it is asked for.
  var rows: SQL {
    """
    crm.commission_due(coalesce(\(until), (now() AT TIME ZONE 'Europe/Istanbul')::date)) AS d
    WHERE (\(from)::date IS NULL OR d.day >= \(from)) AND (\(planID)::uuid IS NULL OR d.plan_id = \(planID)) AND (\(userID)::uuid IS NULL OR d.user_id = \(userID))
    """
  }
}

extension ReadOperation {
  static let commissionPreview = ReadOperation(
    "preview_commissions", "/v1/commissions/preview", tag: "commission_settlements", access: .read(.finance),
    "Commissions that are not settled yet, by plan and seller",
    description: "What settling would pay, of what the caller may read. Nothing is saved.", input: CommissionQuery.self,
    row: [
      "plan_id": ["type": "string", "format": "uuid"], "plan": ["type": "string"], "user_id": ["type": "string", "format": "uuid"],
      "user_name": ["type": ["string", "null"]],
      "month": ["type": "string", "format": "date", "description": "The month in which it accrued."], "currency": ["type": "string"],
      "base_amount": ["type": "string", "description": "The seller's part of revenue or margin."], "percent": ["type": "string"],
      "attainment": ["type": ["string", "null"], "description": "Percent of the month's target that the seller attained; null without a target."],
      "amount": ["type": "string"], "entries": ["type": "integer"],
    ], reading: [.finance]
  ) { _, query in
    """
    SELECT d.plan_id, (SELECT p.name FROM crm.commission_plan p WHERE p.id = d.plan_id) AS plan, d.user_id, (SELECT u.name FROM crm.app_user u WHERE u.id = d.user_id) AS user_name,
           date_trunc('month', d.day)::date AS month, d.currency, sum(round(d.base_amount * d.share_percent / 100, 2)) AS base_amount, d.percent, d.attainment,
           sum(d.amount) AS amount, count(*) AS entries
      FROM \(query.rows) GROUP BY d.plan_id, d.user_id, date_trunc('month', d.day), d.currency, d.percent, d.attainment
     ORDER BY plan, user_name, month, d.currency
    """
  }

  static let commissionEntries = ReadOperation(
    "list_commission_entries", "/v1/commissions/entries", tag: "commission_settlements", access: .read(.finance),
    "Commissions that are not settled yet, one by one",
    input: CommissionQuery.self,
    row: [
      "plan_id": ["type": "string", "format": "uuid"], "user_id": ["type": "string", "format": "uuid"], "customer_id": ["type": "string", "format": "uuid"],
      "invoice_id": ["type": "string", "format": "uuid"], "number": ["type": "string"], "day": ["type": "string", "format": "date"],
      "currency": ["type": "string"],
      "base_amount": ["type": "string"], "share_percent": ["type": "string"], "percent": ["type": "string"], "amount": ["type": "string"],
    ], reading: [.finance], lane: .reports
  ) { _, query in
    """
    SELECT d.plan_id, d.user_id, d.customer_id, d.invoice_id, (SELECT i.number FROM crm.invoice i WHERE i.customer_id = d.customer_id AND i.id = d.invoice_id) AS number,
           d.day, d.currency, d.base_amount, d.share_percent, d.percent, d.amount
      FROM \(query.rows) ORDER BY d.day, number, d.user_id LIMIT 10000
    """
  }
}
