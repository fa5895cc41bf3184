import CRMCore
import Foundation
import PostgresClient

/// A line as a client gives it; what is left out comes from the product.
struct InvoiceLineInput: OperationInput {
  static let amounts: ClosedRange<Decimal> = 0...999_999_999_999
  static let percents: ClosedRange<Decimal> = 0...100

  let productID: UUID?
  let description: String?
  let quantity: Decimal
  let unitCode: String?
  let unitPrice: Decimal?
  let discountPercent: Decimal?
  let vatRate: Decimal?
  let withholdingCode: String?
  let exemptionCode: String?

  init(_ fields: inout InputReader) {
    productID = fields.optionalID("product_id", "The product sold; leave it out for what is no product, such as carriage.")
    description = fields.optionalText("description", "What the invoice calls it; the product's name when left out.", maximum: 500)
    quantity = fields.decimal("quantity", "How many units.", scale: 3, in: Self.amounts)
    unitCode = fields.optionalText("unit_code", "Unit (UN/ECE Rec 20); the product's when left out.", maximum: 3)
    unitPrice = fields.optionalDecimal(
      "unit_price", "Price of a unit before discount and VAT, in the invoice's currency; the customer's price of the day when left out.", scale: 6,
      in: Self.amounts)
    discountPercent = fields.optionalDecimal("discount_percent", "Discount in percent; none when left out.", scale: 2, in: Self.percents)
    vatRate = fields.optionalDecimal("vat_rate", "VAT rate in percent; 0 with an exemption code, the product's when left out.", scale: 2, in: Self.percents)
    withholdingCode = fields.optionalText("withholding_code", "Why the buyer withholds part of the VAT, such as 602.", maximum: 3)
    exemptionCode = fields.optionalText("exemption_code", "Why there is no VAT, such as 301.", maximum: 3)
    fields.refuseTooMuch(quantity, at: unitPrice)
  }

  private func json(place: Int) -> JSON {
    func number(_ value: Decimal?) -> JSON { value.map { .string($0.description) } ?? .null }
    func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
    return [
      "place": .number(Decimal(place)), "product_id": text(productID?.lowercase), "description": text(description), "quantity": number(quantity),
      "unit_code": text(unitCode), "unit_price": number(unitPrice), "discount_percent": number(discountPercent), "vat_rate": number(vatRate),
      "withholding_code": text(withholdingCode), "exemption_code": text(exemptionCode),
    ]
  }

  /// Puts lines at the end of a draft. A product that cannot be seen and a code that is not in force are missing references.
  static func insert(_ lines: [InvoiceLineInput], into draft: InvoiceDraft, _ tx: PostgresTransaction) async throws {
    let given = JSONText(String(decoding: try JSON.array(lines.enumerated().map { $1.json(place: $0 + 1) }).encoded(), as: UTF8.self))
    try await tx.run(
      """
      INSERT INTO crm.invoice_line (customer_id, id, invoice_id, line_number, product_id, description, quantity, unit_code, unit_price, unit_cost,
        discount_percent, vat_rate, withholding_code, withholding_percent, exemption_code, exemption_reason)
      SELECT \(draft.customerID), crm.uuid_v7_member((SELECT crm.uuid_v7_head()), l.place), \(draft.id),
             l.place + (SELECT coalesce(max(x.line_number), 0) FROM crm.invoice_line x WHERE x.customer_id = \(draft.customerID) AND x.invoice_id = \(draft.id)),
             coalesce(p.id, CASE WHEN l.product_id IS NOT NULL THEN crm.missing_reference('product_id') END),
             coalesce(l.description, p.name), l.quantity, coalesce(l.unit_code, p.unit_code, 'C62'),
             coalesce(l.unit_price, (SELECT q.unit_price FROM crm.price_of(p.id, i.customer_id, l.quantity, i.currency, (now() AT TIME ZONE 'Europe/Istanbul')::date) AS q)),
             CASE i.currency WHEN 'TRY' THEN p.cost END,
             coalesce(l.discount_percent, 0), coalesce(l.vat_rate, CASE WHEN l.exemption_code IS NOT NULL THEN 0 END, p.vat_rate),
             l.withholding_code,
             coalesce(w.percent, CASE WHEN l.withholding_code IS NOT NULL THEN crm.missing_reference('withholding_code')::text::numeric END),
             l.exemption_code,
             coalesce(e.name_tr, CASE WHEN l.exemption_code IS NOT NULL THEN crm.missing_reference('exemption_code')::text END)
        FROM jsonb_to_recordset(\(given)::jsonb) AS l (place integer, product_id uuid, description text, quantity numeric, unit_code text,
               unit_price numeric, discount_percent numeric, vat_rate numeric, withholding_code text, exemption_code text)
        JOIN crm.invoice i ON i.customer_id = \(draft.customerID) AND i.id = \(draft.id)
        LEFT JOIN crm.product p ON p.id = l.product_id
        LEFT JOIN crm.withholding_code w ON w.code = l.withholding_code
              AND (now() AT TIME ZONE 'Europe/Istanbul')::date BETWEEN w.valid_from AND coalesce(w.valid_until, 'infinity')
        LEFT JOIN crm.exemption_code e ON e.code = l.exemption_code
              AND (now() AT TIME ZONE 'Europe/Istanbul')::date BETWEEN e.valid_from AND coalesce(e.valid_until, 'infinity')
       ORDER BY l.place
      """)
  }
}
