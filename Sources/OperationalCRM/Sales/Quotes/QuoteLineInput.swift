import CRMCore
import Foundation
import PostgresClient

/// A line as a seller gives it; what is left out is the product's.
struct QuoteLineInput: OperationInput {
  let productID: UUID
  let description: String?
  let quantity: Decimal
  let unitCode: String?
  let unitPrice: Decimal?
  let discountPercent: Decimal?
  let vatRate: Decimal?

  static let quantities: ClosedRange<Decimal> = Decimal(sign: .plus, exponent: -3, significand: 1)...999_999_999
  static let prices: ClosedRange<Decimal> = 0...99_999_999_999

  init(_ fields: inout InputReader) {
    productID = fields.id("product_id", "The product offered.")
    description = fields.optionalText("description", "What the customer reads; the product's name when it is left out.", maximum: 1_500)
    quantity = fields.decimal("quantity", "How many units.", scale: 3, in: Self.quantities)
    unitCode = fields.optionalText("unit_code", "What a quantity of 1 means (UN/ECE code); the product's when it is left out.", maximum: 3)
    unitPrice = fields.optionalDecimal(
      "unit_price", "Price of one unit without VAT, in the quote's currency; the price books' when it is left out.", scale: 6, in: Self.prices)
    discountPercent = fields.optionalDecimal("discount_percent", "Discount in percent.", scale: 2, in: 0...100)
    vatRate = fields.optionalDecimal("vat_rate", "VAT in percent; the product's when it is left out.", scale: 2, in: 0...100)
    fields.refuseTooMuch(quantity, at: unitPrice)
  }
}

/// Lines on their way to a quote: one parameter a column.
struct QuoteLineBatch {
  let lines: [QuoteLineInput]

  private var given: SQL {
    """
    unnest(\(lines.map(\.productID))::uuid[], \(lines.map(\.description))::text[], \(lines.map(\.quantity))::numeric[], \(lines.map(\.unitCode))::text[],
      \(lines.map(\.unitPrice))::numeric[], \(lines.map(\.discountPercent))::numeric[], \(lines.map(\.vatRate))::numeric[])
      WITH ORDINALITY AS given (product_id, description, quantity, unit_code, unit_price, discount_percent, vat_rate, position)
    """
  }

  /// What stands in the way of the lines of a quote, in their order, for `refuse`.
  func check(for quote: UUID) -> SQL {
    """
    SELECT p.id IS NULL AS is_missing, p.active IS FALSE AS is_closed, given.unit_price IS NULL AND price.unit_price IS NULL AS has_no_price
      FROM crm.quote q CROSS JOIN \(given) LEFT JOIN crm.product p ON p.id = given.product_id
      LEFT JOIN LATERAL crm.price_of(p.id, q.customer_id, given.quantity, q.currency, crm.business_day(now()), q.price_book_id) price ON p.id IS NOT NULL
     WHERE q.id = \(quote) ORDER BY given.position
    """
  }

  /// Refuses lines whose product is unknown, closed or without a price; all of them at once.
  static func refuse(_ checked: PostgresResult) throws {
    var errors: [Problem.FieldError] = []
    for (number, row) in checked.rows.enumerated() {
      if try row.decode(Bool.self, "is_missing") {
        errors.append(
          .init(
            "/lines/\(number)/product_id", code: "not-found",
            Phrase("There is no such record, or you may not see it.", tr: "Böyle bir kayıt yok ya da görme yetkiniz yok.")))
      } else if try row.decode(Bool.self, "is_closed") {
        errors.append(
          .init("/lines/\(number)/product_id", code: "inactive", Phrase("This product is no longer sold.", tr: "Bu ürün artık satılmıyor.")))
      } else if try row.decode(Bool.self, "has_no_price") {
        errors.append(
          .init(
            "/lines/\(number)/unit_price", code: "required",
            Phrase("No price book has a price for this product; give one.", tr: "Hiçbir fiyat listesinde bu ürünün fiyatı yok; bir fiyat verin.")))
      }
    }
    if !errors.isEmpty { throw Problem.invalid(errors) }
  }

  /// Appends the lines to a quote.
  func insert(into quote: UUID) -> SQL {
    """
    INSERT INTO crm.quote_line
      (customer_id, quote_id, line_number, product_id, description, quantity, unit_code, unit_price, list_price, discount_percent, vat_rate)
    SELECT q.customer_id, q.id, (SELECT coalesce(max(l.line_number), 0) FROM crm.quote_line l WHERE l.quote_id = q.id) + given.position,
           p.id, coalesce(given.description, p.name), given.quantity, coalesce(given.unit_code, p.unit_code),
           coalesce(given.unit_price, price.unit_price), price.unit_price, coalesce(given.discount_percent, 0), coalesce(given.vat_rate, p.vat_rate)
      FROM crm.quote q CROSS JOIN \(given) JOIN crm.product p ON p.id = given.product_id
      LEFT JOIN LATERAL crm.price_of(p.id, q.customer_id, given.quantity, q.currency, crm.business_day(now()), q.price_book_id) price ON true
     WHERE q.id = \(quote)
    """
  }

  /// Copies the lines of an opportunity.
  static func copy(from opportunity: UUID, to quote: UUID) -> SQL {
    """
    INSERT INTO crm.quote_line
      (customer_id, quote_id, line_number, product_id, description, quantity, unit_code, unit_price, list_price, discount_percent, vat_rate)
    SELECT q.customer_id, q.id, row_number() OVER (ORDER BY l.line_number), p.id,
           p.name || coalesce(' – ' || nullif(btrim(l.description), ''), ''), l.quantity, p.unit_code, l.unit_price, price.unit_price,
           l.discount_percent, p.vat_rate
      FROM crm.quote q JOIN crm.opportunity_line l ON l.customer_id = q.customer_id AND l.opportunity_id = \(opportunity)
      JOIN crm.product p ON p.id = l.product_id
      LEFT JOIN LATERAL crm.price_of(p.id, q.customer_id, l.quantity, q.currency, crm.business_day(now()), q.price_book_id) price ON true
     WHERE q.id = \(quote)
    """
  }
}
