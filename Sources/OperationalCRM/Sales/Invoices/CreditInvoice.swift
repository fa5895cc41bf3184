import CRMCore
import Foundation
import PostgresClient

struct CreditInvoice: OperationInput {
  struct Line: OperationInput {
    let lineID: UUID
    let quantity: Decimal?

    init(_ fields: inout InputReader) {
      lineID = fields.id("line_id", "The line to take back.")
      quantity = fields.optionalDecimal("quantity", "How many units; all that are left when left out.", scale: 3, in: InvoiceLineInput.amounts)
    }
  }

  let lines: [Line]
  let note: String?
  let series: String?

  init(_ fields: inout InputReader) {
    lines = fields.list("lines", "What to take back; everything that is left when left out.", of: Line.self, maximum: 500)
    note = fields.optionalText("note", "Why, as the customer reads it.", maximum: 4_000)
    series = fields.optionalText("series", "The series of its number; the invoice's when left out.", maximum: 3)
  }

  static let tooMuch = Problem.invalid([
    .init(
      "/lines", code: "credited-too-much",
      Phrase("More is taken back than is left of what was invoiced.", tr: "Faturalanandan kalandan fazlası iade ediliyor."))
  ])
  static let nothingLeft = Problem(
    409, "nothing-to-credit", Phrase("Everything on this invoice has been taken back already.", tr: "Bu faturadaki her şey zaten iade edilmiş."))
  static let noInvoice = Problem(
    409, "not-creditable",
    Phrase(
      "Only an issued invoice can be taken back; a draft is changed or discarded.",
      tr: "Yalnızca düzenlenmiş fatura iade edilir; taslak değiştirilir ya da silinir."))
}

extension BusinessOperation {
  static let creditInvoice = BusinessOperation(
    "credit_invoice", .post, "/v1/invoices/{id}/credit", of: "invoices", access: .write(.finance), "Write a credit note for an issued invoice",
    description: """
      A draft of type IADE for the whole invoice, or for single lines and quantities; more than was invoiced cannot be taken back. Issuing it settles what is open of \
      the invoice, owes the rest to the customer, and takes it out of the turnover of the same seller and department.
      """,
    input: CreditInvoice.self, answer: .record("invoices", status: 201, expand: ["lines"])
  ) { run, input in
    let tx = run.tx
    let original = try run.id()
    let found = try await tx.result("SELECT i.status, i.type FROM crm.invoice i WHERE i.id = \(original)")
    guard found.count == 1 else { throw Problem.notFound }
    guard try found[0].decode(String.self, at: 0) == "issued", try found[0].decode(String.self, at: 1) != "IADE" else { throw CreditInvoice.noInvoice }
    let draft = try await tx.one(
      InvoiceDraft.self,
      """
      INSERT INTO crm.invoice (customer_id, type, profile, company_id, order_id, series, currency, exchange_rate, returned_invoice_id, returned_number, returned_on,
        note, owner_id, department_id, visibility, buyer_name, buyer_first_name, buyer_family_name, buyer_tax_number, buyer_tax_office, buyer_street,
        buyer_district, buyer_city, buyer_postal_code, buyer_country, buyer_email)
      SELECT i.customer_id, 'IADE', CASE i.profile WHEN 'TICARIFATURA' THEN 'TEMELFATURA' ELSE i.profile END, i.company_id, i.order_id,
             coalesce(\(input.series), i.series), i.currency, i.exchange_rate, i.id, i.number, i.issue_date,
             \(input.note), i.owner_id, i.department_id, i.visibility, i.buyer_name, i.buyer_first_name, i.buyer_family_name, i.buyer_tax_number, i.buyer_tax_office,
             i.buyer_street, i.buyer_district, i.buyer_city, i.buyer_postal_code, i.buyer_country, i.buyer_email
        FROM crm.invoice i WHERE i.id = \(original)
      RETURNING id, customer_id
      """)
    let wanted = input.lines
    let result = try await tx.result(
      """
      WITH wanted AS (
        SELECT w.id, w.quantity, w.place FROM unnest(\(wanted.map(\.lineID))::uuid[], \(wanted.map(\.quantity))::numeric[]) WITH ORDINALITY AS w (id, quantity, place)
      ), remaining AS (
        SELECT l.id, l.line_number, l.quantity - coalesce((
          SELECT sum(r.quantity) FROM crm.invoice_line r
           WHERE r.customer_id = l.customer_id AND r.returned_line_id = l.id AND r.invoice_status = 'issued'), 0) AS left_over
          FROM crm.invoice_line l WHERE l.customer_id = \(draft.customerID) AND l.invoice_id = \(original)
      ), taken AS (
        SELECT r.id, r.line_number, coalesce(w.quantity, r.left_over) AS quantity, r.left_over
          FROM remaining r LEFT JOIN wanted w ON w.id = r.id
         WHERE w.id IS NOT NULL OR \(wanted.isEmpty)
      ), made AS (
        INSERT INTO crm.invoice_line (customer_id, id, invoice_id, line_number, product_id, order_id, order_line_number, returned_line_id, description, quantity,
          unit_code, unit_price, unit_cost, discount_percent, vat_rate, withholding_code, withholding_percent, exemption_code, exemption_reason)
        SELECT l.customer_id, crm.uuid_v7_member((SELECT crm.uuid_v7_head()), l.line_number), \(draft.id), row_number() OVER (ORDER BY l.line_number), l.product_id, l.order_id, l.order_line_number, l.id, l.description, t.quantity,
               l.unit_code, l.unit_price, l.unit_cost, l.discount_percent, l.vat_rate, l.withholding_code, l.withholding_percent, l.exemption_code, l.exemption_reason
          FROM taken t JOIN crm.invoice_line l ON l.customer_id = \(draft.customerID) AND l.id = t.id
         WHERE t.quantity > 0 AND t.quantity <= t.left_over
        RETURNING 1
      )
      SELECT (SELECT count(*) FROM made) AS made, (SELECT count(*) FROM taken WHERE quantity > left_over OR quantity = 0 AND left_over > 0) AS refused,
             (SELECT count(*) FROM wanted WHERE id NOT IN (SELECT id FROM remaining)) + (SELECT count(*) - count(DISTINCT id) FROM wanted) AS unknown
      """)
    guard try result[0].decode(Int.self, "unknown") == 0 else {
      throw Problem.invalid([
        .init(
          "/lines", code: "unknown-line",
          Phrase("Name each line of this invoice at most once, and no other.", tr: "Bu faturanın her satırını en çok bir kez gösterin, başkasını göstermeyin."))
      ])
    }
    guard try result[0].decode(Int.self, "refused") == 0 else { throw CreditInvoice.tooMuch }
    guard try result[0].decode(Int.self, "made") > 0 else { throw CreditInvoice.nothingLeft }
    try await draft.price(tx)
    return .record(draft.id)
  }
}
