import CRMCore
import Foundation
import PostgresClient

/// Who buys how much, when, in which currency.
struct PriceQuestion: OperationInput {
  let customerID: UUID?
  let quantity: Decimal
  let currency: String?
  let date: CalendarDate?
  let priceBookID: UUID?

  init(_ fields: inout InputReader) {
    customerID = fields.optionalID("customer_id", "Who buys; without, the price for everyone.")
    quantity = fields.optionalDecimal("quantity", "How much; 1 if left out.", scale: 3, in: 0...999_999_999_999) ?? 1
    currency = fields.optionalText("currency", "The currency of the price; the price book's own if left out.", maximum: 3)
    date = fields.optionalDay("date", "The day; today if left out.")
    priceBookID = fields.optionalID("price_book_id", "Ask this price book alone.")
  }
}

extension ReadOperation {
  /// The price of a product and how it came about.
  static let price = ReadOperation(
    "product_price", "/v1/products/{id}/price", tag: "products", access: .read(.products), "What does it cost, and why?",
    description: """
      The steps name each price book and rule from the top to the book that decided. A book for the customer comes before one for a segment, and that \
      before one for everyone. A price in another currency is converted at the day's rate. Without a price, unit_price is null.
      """,
    input: PriceQuestion.self, answer: ("application/json", answerSchema), reading: [.products, .customers, .finance],
    statements: { request, input in
      let id = try request.productID()
      return [
        "SELECT \(input.customerID)::uuid IS NULL OR EXISTS (SELECT FROM crm.customer WHERE id = \(input.customerID)) AS is_known",
        """
        SELECT p.id AS product_id, p.unit_code, p.vat_rate, \(input.quantity)::numeric AS quantity, coalesce(\(input.date), crm.today()) AS date,
               price.unit_price::numeric(18,6) AS unit_price, price.currency, round(price.unit_price * \(input.quantity)::numeric, 2) AS amount,
               price.price_book_id, coalesce(price.steps, '[]') AS steps
          FROM crm.product AS p
          LEFT JOIN crm.price_explained(
            \(id), \(input.customerID), \(input.quantity)::numeric, \(input.currency), coalesce(\(input.date), crm.today()), \(input.priceBookID)) AS price ON true
         WHERE p.id = \(id)
        """,
      ]
    },
    respond: { _, results in
      guard try results[0][0].decode(Bool.self, at: 0) else {
        let message = Phrase("There is no such customer, or you may not see it.", tr: "Böyle bir müşteri yok ya da görme yetkiniz yok.")
        throw Problem.badRequest("bad-parameter", message, errors: [.init("customer_id", code: "not-found", message)])
      }
      guard results[1].count == 1 else { throw Problem.notFound }
      var writer = JSONWriter(capacity: 1024)
      writer.writeRow(results[1], 0)
      return .json(writer.take())
    })

  private static let answerSchema: JSON = [
    "type": "object", "required": ["product_id", "quantity", "date", "unit_price", "currency", "amount", "vat_rate", "price_book_id", "steps"],
    "properties": [
      "product_id": ["type": "string", "format": "uuid"], "unit_code": ["type": "string"], "vat_rate": ["type": "string"], "quantity": ["type": "string"],
      "date": ["type": "string", "format": "date"], "unit_price": ["type": ["string", "null"]], "currency": ["type": ["string", "null"]],
      "amount": ["type": ["string", "null"]], "price_book_id": ["type": ["string", "null"], "format": "uuid"],
      "steps": [
        "type": "array",
        "items": [
          "type": "object",
          "properties": [
            "price_book_id": ["type": "string", "format": "uuid"], "price_book": ["type": "string"],
            "rule_id": ["type": ["string", "null"], "format": "uuid"],
            "kind": ["type": ["string", "null"]], "value": ["type": ["string", "null"]], "minimum_quantity": ["type": ["string", "null"]],
            "unit_price": ["type": "string"], "currency": ["type": "string"],
          ],
        ],
      ],
    ],
  ]
}
