import CRMCore
import Foundation
import PostgresClient

struct InvoiceOrder: OperationInput {
  struct Line: OperationInput {
    let lineNumber: Int
    let quantity: Decimal?

    init(_ fields: inout InputReader) {
      lineNumber = fields.integer("line_number", "The line of the order.", in: 1...1_000_000)
      quantity = fields.optionalDecimal(
        "quantity", "How many units; all that are shipped and not invoiced when left out.", scale: 3, in: InvoiceLineInput.amounts)
    }
  }

  let lines: [Line]
  let header: InvoiceHeaderInput

  init(_ fields: inout InputReader) {
    lines = fields.list("lines", "What to invoice; everything that is shipped and not invoiced when left out.", of: Line.self, maximum: 500)
    header = InvoiceHeaderInput(&fields)
  }

  static let nothingShipped = Problem(
    409, "nothing-to-invoice",
    Phrase("Nothing of this order is shipped and not invoiced yet.", tr: "Bu siparişte sevk edilmiş ve henüz faturalanmamış bir şey yok."))
  static let tooMuch = Problem.invalid([
    .init(
      "/lines", code: "not-shipped",
      Phrase("More is invoiced than was shipped.", tr: "Sevk edilenden fazlası faturalanıyor."))
  ])
}

extension BusinessOperation {
  static let invoiceOrder = BusinessOperation(
    "invoice_order", .post, "/v1/orders/{id}/invoice", of: "invoices", access: .write(.finance), "Write a draft of an invoice for what was shipped",
    description: "What is on a draft counts as invoiced; removing it or discarding the draft frees it again. Seller and department are the order's.",
    input: InvoiceOrder.self, answer: .record("invoices", status: 201, expand: ["lines"])
  ) { run, input in
    let order = try run.id()
    let header = input.header
    let profile = header.profile ?? .archive
    guard
      let draft = try await run.tx.first(
        InvoiceDraft.self,
        """
        INSERT INTO crm.invoice (customer_id, order_id, company_id, series, profile, currency, exchange_rate, payment_term_id, note, owner_id, department_id, visibility)
        SELECT o.customer_id, o.id,
               coalesce(\(header.companyID), (SELECT s.id FROM crm.company_profile s WHERE s.active ORDER BY s.created_at, s.code LIMIT 1)),
               coalesce(\(header.series), (
                 SELECT s.code FROM crm.invoice_series s WHERE s.active AND \(profile.rawValue) = ANY (s.profiles) ORDER BY s.created_at, s.code LIMIT 1)),
               \(profile.rawValue), o.currency, CASE o.currency WHEN 'TRY' THEN 1
                 ELSE coalesce(\(header.exchangeRate)::numeric, round(crm.convert(1, o.currency, 'TRY', (now() AT TIME ZONE 'Europe/Istanbul')::date), 6)) END,
               \(header.paymentTermID), \(header.note), coalesce(\(header.ownerID), o.owner_id), coalesce(\(header.departmentID), o.department_id), o.visibility
          FROM crm.sales_order o WHERE o.id = \(order)
        RETURNING id, customer_id
        """)
    else { throw Problem.notFound }
    let wanted = input.lines
    let made = try await run.tx.run(
      """
      INSERT INTO crm.invoice_line (customer_id, id, invoice_id, line_number, product_id, order_id, order_line_number, description, quantity, unit_code, unit_price,
        unit_cost, discount_percent, vat_rate)
      SELECT f.customer_id, crm.uuid_v7_member((SELECT crm.uuid_v7_head()), f.line_number), \(draft.id), row_number() OVER (ORDER BY f.line_number), f.product_id, f.order_id,
             f.line_number, left(coalesce(f.description, p.name), 500), coalesce(w.quantity, f.shipped - f.invoiced), f.unit_code, l.unit_price,
             CASE i.currency WHEN 'TRY' THEN p.cost END, f.discount_percent, f.vat_rate
        FROM crm.order_line_fulfilment f
        JOIN crm.sales_order_line l ON l.customer_id = f.customer_id AND l.order_id = f.order_id AND l.line_number = f.line_number
        JOIN crm.invoice i ON i.customer_id = f.customer_id AND i.id = \(draft.id)
        LEFT JOIN crm.product p ON p.id = f.product_id
        LEFT JOIN unnest(\(wanted.map(\.lineNumber))::integer[], \(wanted.map(\.quantity))::numeric[]) AS w (line_number, quantity) ON w.line_number = f.line_number
       WHERE f.customer_id = \(draft.customerID) AND f.order_id = \(order)
         AND CASE WHEN \(wanted.isEmpty) THEN f.shipped > f.invoiced ELSE w.line_number IS NOT NULL END
      """,
      onViolation: ["order_line_fulfilment_invoiced_range": InvoiceOrder.tooMuch, "invoice_line_quantity_positive": InvoiceOrder.nothingShipped])
    guard made > 0 else { throw InvoiceOrder.nothingShipped }
    guard wanted.isEmpty || made == wanted.count else { throw InvoiceOrder.tooMuch }
    try await draft.price(run.tx)
    return .record(draft.id)
  }
}
