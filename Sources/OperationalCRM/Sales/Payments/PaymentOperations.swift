import CRMCore
import Foundation
import PostgresClient

/// What a payment pays: listed invoices, or what is due first.
struct AllocatePayment: OperationInput {
  struct Share: OperationInput {
    let invoiceID: UUID
    let amount: Decimal

    init(_ fields: inout InputReader) {
      invoiceID = fields.id("invoice_id", "The invoice that is paid, or the credit note that is paid back.")
      amount = fields.decimal("amount", "How much of the payment goes to it.", scale: 2, in: AllocatePayment.amounts)
    }
  }

  /// From the smallest coin on.
  static let amounts: ClosedRange<Decimal> = Decimal(sign: .plus, exponent: -2, significand: 1)...999_999_999_999

  let shares: [Share]

  init(_ fields: inout InputReader) {
    shares = fields.list("allocations", "The invoices it pays; what is due first when left out.", of: Share.self, maximum: 500)
  }

  static let nothingOpen = Problem.invalid([
    .init(
      "/allocations", code: "nothing-open",
      Phrase(
        "Each invoice must be named once, belong to the customer, be in the payment's currency and have something open.",
        tr: "Her fatura bir kez gösterilmeli, bu müşteriye ait, ödemenin para biriminde ve açık tutarı olan bir fatura olmalıdır."))
  ])
}

struct RecordPayment: OperationInput {
  enum Method: String, CaseIterable, Sendable { case transfer, cash, card, cheque, other }
  enum Direction: String, CaseIterable, Sendable {
    /// From the customer.
    case received = "in"
    /// To the customer.
    case repaid = "out"
  }

  let customerID: UUID
  let amount: Decimal
  let currency: String?
  let paidOn: CalendarDate
  let method: Method?
  let direction: Direction?
  let reference, note: String?
  let isForOldest: Bool
  let allocation: AllocatePayment

  static let notYet = Problem.invalid([
    .init(
      "/paid_on", code: "future",
      Phrase("The money has not moved yet; give today or a day before.", tr: "Para henüz hareket etmedi; bugünü ya da önceki bir günü verin."))
  ])

  init(_ fields: inout InputReader) {
    customerID = fields.id("customer_id", "Who paid, or was paid.")
    amount = fields.decimal("amount", "How much.", scale: 2, in: AllocatePayment.amounts)
    currency = fields.optionalText("currency", "Currency of the amount; TRY when left out.", maximum: 3)
    paidOn = fields.day("paid_on", "The day the money moved; not one to come.")
    method = fields.optionalOption("method", "How it was paid; by transfer when left out.", of: Method.self)
    direction = fields.optionalOption("direction", "in: from the customer, also when left out. out: to the customer.", of: Direction.self)
    reference = fields.optionalText("reference", "The bank's or the till's reference.", maximum: 200)
    note = fields.optionalText("note", "What colleagues should know.")
    isForOldest = fields.flag("oldest_first", "Whether it pays what is due first, when no invoices are listed.")
    allocation = AllocatePayment(&fields)
  }
}

extension BusinessOperation {
  static let recordPayment = BusinessOperation(
    "record_payment", .post, "/v1/payments", of: "payments", access: .write(.finance), "Record a payment, and what it pays",
    description: "More than is open on an invoice, and more than was paid, is refused.", input: RecordPayment.self,
    answer: .record("payments", status: 201, expand: ["allocations"])
  ) { run, input in
    let department = try run.department()
    if try await run.tx.value(Bool.self, "SELECT \(input.paidOn) > crm.business_day(now())") { throw RecordPayment.notYet }
    let payment = try await run.tx.one(
      Payment.self,
      """
      INSERT INTO crm.payment (customer_id, direction, method, currency, amount, paid_on, reference, note, department_id, owner_id)
      SELECT coalesce((SELECT c.id FROM crm.customer c WHERE c.id = \(input.customerID)), crm.missing_reference('customer_id')),
             \((input.direction ?? .received).rawValue), \((input.method ?? .transfer).rawValue), \(input.currency ?? "TRY"), \(input.amount), \(input.paidOn),
             \(input.reference), \(input.note), \(department), \(run.caller.userID)
      RETURNING id, customer_id
      """)
    if !input.allocation.shares.isEmpty || input.isForOldest { try await payment.allocate(input.allocation.shares, run.tx) }
    return .record(payment.id)
  }

  static let allocatePayment = BusinessOperation(
    "allocate_payment", .post, "/v1/payments/{id}/allocate", of: "payments", access: .write(.finance), "Say what a payment pays",
    description: "What of the payment is not allocated yet goes to the listed invoices, or to what is due first. Deleting an allocation releases it.",
    input: AllocatePayment.self, answer: .record("payments", expand: ["allocations"])
  ) { run, input in
    let id = try run.id()
    guard let payment = try await run.tx.first(Payment.self, "SELECT p.id, p.customer_id FROM crm.payment p WHERE p.id = \(id)") else { throw Problem.notFound }
    try await payment.allocate(input.shares, run.tx)
    return .record(id)
  }
}

private struct Payment: RowDecodable {
  let id: UUID
  let customerID: UUID

  init(row: PostgresRow) throws {
    id = try row.decode("id")
    customerID = try row.decode("customer_id")
  }

  /// An invoice's instalments are paid in their order; what exceeds its open amount stays on the last of them, where the database refuses it.
  func allocate(_ shares: [AllocatePayment.Share], _ tx: PostgresTransaction) async throws {
    // Two payments of one customer take turns: each must see what the other left open.
    try await tx.run("SELECT pg_advisory_xact_lock(hashtextextended('crm.payment ' || \(customerID)::uuid::text, 0))")
    guard !shares.isEmpty else { return try await allocateToOldest(tx) }
    let result = try await tx.result(
      """
      WITH wanted AS (
        SELECT w.invoice_id, w.amount FROM unnest(\(shares.map(\.invoiceID))::uuid[], \(shares.map(\.amount))::numeric[]) AS w (invoice_id, amount)
      ), due AS (
        SELECT i.customer_id, i.id, i.invoice_id, i.open, w.amount, i.currency, i.direction,
               sum(i.open) OVER (PARTITION BY i.invoice_id ORDER BY i.place) - i.open AS before,
               i.place = max(i.place) OVER (PARTITION BY i.invoice_id) AS is_last
          FROM wanted w JOIN crm.instalment i ON i.customer_id = \(customerID) AND i.invoice_id = w.invoice_id AND i.open > 0
          JOIN crm.payment p ON p.customer_id = i.customer_id AND p.id = \(id) AND p.currency = i.currency AND p.direction = i.direction
      ), made AS (
        INSERT INTO crm.payment_allocation (customer_id, instalment_id, payment_id, currency, direction, amount, allocated_on)
        SELECT d.customer_id, d.id, \(id), d.currency, d.direction, CASE WHEN d.is_last THEN d.amount - d.before ELSE least(d.open, d.amount - d.before) END, current_date
          FROM due d WHERE d.before < d.amount OR d.amount = 0
        RETURNING 1
      )
      SELECT (SELECT count(DISTINCT invoice_id) FROM due) AS found, (SELECT count(*) FROM made) AS made
      """)
    guard try result[0].decode(Int.self, "found") == shares.count else { throw AllocatePayment.nothingOpen }
  }

  private func allocateToOldest(_ tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      WITH due AS (
        SELECT i.customer_id, i.id, i.open, i.currency, i.direction, p.unallocated,
               sum(i.open) OVER (ORDER BY i.due_on, i.invoice_id, i.place) - i.open AS before
          FROM crm.payment p JOIN crm.instalment i ON i.customer_id = p.customer_id AND i.currency = p.currency AND i.direction = p.direction AND i.open > 0
         WHERE p.customer_id = \(customerID) AND p.id = \(id)
      )
      INSERT INTO crm.payment_allocation (customer_id, instalment_id, payment_id, currency, direction, amount, allocated_on)
      SELECT d.customer_id, d.id, \(id), d.currency, d.direction, least(d.open, d.unallocated - d.before), current_date FROM due d WHERE d.before < d.unallocated
      """)
  }
}
