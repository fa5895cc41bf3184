import CRMCore
import Foundation
import PostgresClient

/// An order taken by a colleague.
struct PlaceOrder: OperationInput {
  enum Channel: String, CaseIterable { case store, online, phone, field, partner, other }
  enum Visibility: String, CaseIterable { case company, department, `private` }

  struct Line: OperationInput {
    let productID: UUID
    let quantity: Decimal
    let unitPrice: Decimal?
    let discountPercent: Decimal
    let description: String?

    init(_ fields: inout InputReader) {
      productID = fields.id("product_id", "The product.")
      quantity = fields.decimal("quantity", "How much, in the product's unit.", scale: 3, in: .smallestQuantity...999_999_999)
      unitPrice = fields.optionalDecimal(
        "unit_price", "Price of one unit before the discount, without VAT; the price books' if left out.", scale: 6, in: 0...999_999_999)
      discountPercent = fields.optionalDecimal("discount_percent", "Discount on the unit price, in percent.", scale: 2, in: 0...100) ?? 0
      fields.refuseTooMuch(quantity, at: unitPrice)
      description = fields.optionalText("description", "What the customer is told it is; the product's name if left out.", maximum: 1_500)
    }

    init(productID: UUID, quantity: Decimal) {
      self.productID = productID
      self.quantity = quantity
      unitPrice = nil
      discountPercent = 0
      description = nil
    }
  }

  let customerID: UUID
  let lines: [Line]
  let currency: String
  let priceBookID: UUID?
  let channel: Channel
  let locationID: UUID?
  let note: String?
  let departmentID: UUID?
  let ownerID: UUID?
  let visibility: Visibility

  init(_ fields: inout InputReader) {
    customerID = fields.id("customer_id", "Who orders.")
    lines = fields.list("lines", "What is ordered.", of: Line.self, minimum: 1, maximum: 500)
    currency = fields.optionalText("currency", "Currency of all prices; TRY if left out.", maximum: 3) ?? "TRY"
    priceBookID = fields.optionalID("price_book_id", "Take prices from this price book alone.")
    channel = fields.optionalOption("channel", "How the order came.", of: Channel.self) ?? .other
    locationID = fields.optionalID("location_id", "The location it was taken at.")
    note = fields.optionalText("note", "What colleagues should know.")
    departmentID = fields.optionalID("department_id", "The department that works with it; your own if left out.")
    ownerID = fields.optionalID("owner_id", "The seller; you if left out.")
    visibility = fields.optionalOption("visibility", "Who reads it.", of: Visibility.self) ?? .company
  }
}

/// Which order to repeat.
struct Reorder: OperationInput {
  let skipsUnavailable: Bool
  let note: String?

  init(_ fields: inout InputReader) {
    skipsUnavailable = fields.flag("skip_unavailable", "Leave out products that are not sold any more or have no price, instead of refusing.")
    note = fields.optionalText("note", "What colleagues should know.")
  }
}

extension BusinessOperation {
  static let placeOrder = BusinessOperation(
    "place_order", .post, "/v1/orders/place", of: "orders", access: .write(.sales), "Place an order",
    description: """
      Prices come from the price books where none is given. What is in stock is reserved at once; the rest waits, with the day it is expected. \
      A discount beyond your limit needs a quote and its approval.
      """,
    input: PlaceOrder.self, answer: .record("orders", status: 201, expand: ["lines"])
  ) { run, input in
    let lines = try await PricedLine.price(input.lines, for: input.customerID, in: input.currency, from: input.priceBookID, run)
    var errors = lines.compactMap(\.refusal)
    if errors.isEmpty { errors = try await PricedLine.beyondCap(lines, of: run.caller, for: input.customerID, run.tx) }
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    return .record(
      try await OrderPlacing.place(
        lines,
        .init(
          customerID: input.customerID, currency: input.currency, channel: input.channel.rawValue, locationID: input.locationID, note: input.note,
          departmentID: try input.departmentID ?? run.department(), ownerID: input.ownerID ?? run.caller.userID, visibility: input.visibility.rawValue),
        run.tx))
  }

  static let reorder = BusinessOperation(
    "reorder", .post, "/v1/orders/{id}/reorder", of: "orders", access: .write(.sales), "Order the same again, at today's prices and stock",
    input: Reorder.self, answer: .record("orders", status: 201, expand: ["lines"])
  ) { run, input in
    let id = try run.id()
    guard
      let old = try await run.tx.first(
        OrderPlacing.Header.self,
        "SELECT customer_id, id, currency, channel, location_id, visibility FROM crm.sales_order WHERE id = \(id)")
    else { throw Problem.notFound }
    let wanted = try await run.tx.all(
      OrderPlacing.RepeatedLine.self,
      """
      SELECT product_id, sum(quantity) AS quantity FROM crm.sales_order_line WHERE customer_id = \(old.customerID) AND order_id = \(id)
       GROUP BY product_id HAVING sum(quantity) > 0 ORDER BY min(line_number)
      """)
    var lines = try await PricedLine.price(
      wanted.map { .init(productID: $0.productID, quantity: $0.quantity) }, for: old.customerID, in: old.currency, from: nil, run)
    if input.skipsUnavailable { lines.removeAll { $0.refusal != nil } }
    let errors = lines.compactMap(\.refusal)
    guard errors.isEmpty else { throw Problem.invalid(errors) }
    guard !lines.isEmpty else {
      throw Problem(
        409, "nothing-to-order", Phrase("Nothing of this order can be ordered again.", tr: "Bu siparişten yeniden sipariş edilebilecek bir şey yok."))
    }
    var header = old
    header.reorderOf = id
    header.note = input.note
    header.departmentID = try run.department()
    header.ownerID = run.caller.userID
    return .record(try await OrderPlacing.place(lines, header, run.tx))
  }
}

/// A line that is ordered, with what the price books and the product say of it.
struct PricedLine: RowDecodable {
  /// Its place among the lines asked for, from 0.
  let index: Int
  let productID: UUID
  let quantity: Decimal
  let unitPrice: Decimal?
  let discountPercent: Decimal
  let description: String?
  /// How far it is below the list price, in percent; at least its discount.
  let effectiveDiscount: Decimal
  /// Whether the product may be sold.
  let isSold: Bool

  init(row: PostgresRow) throws {
    index = try row.decode("index")
    productID = try row.decode("product_id")
    quantity = try row.decode("quantity")
    unitPrice = try row.decode("unit_price")
    discountPercent = try row.decode("discount_percent")
    description = try row.decode("description")
    effectiveDiscount = try row.decode("effective_discount")
    isSold = try row.decode("is_sold")
  }

  /// Why it cannot be ordered.
  var refusal: Problem.FieldError? {
    if !isSold {
      return .init(
        "/lines/\(index)/product_id", code: "not-sold",
        Phrase("There is no such product, or it is not sold any more.", tr: "Böyle bir ürün yok ya da artık satılmıyor."))
    }
    if unitPrice == nil {
      return .init(
        "/lines/\(index)/unit_price", code: "no-price",
        Phrase("No price book has a price for this; give one.", tr: "Hiçbir fiyat listesinde bunun fiyatı yok; bir fiyat verin."))
    }
    return nil
  }

  static func price(
    _ lines: [PlaceOrder.Line], for customer: UUID, in currency: String, from book: UUID?, _ run: BusinessOperation.Run
  ) async throws -> [PricedLine] {
    try await run.tx.all(
      PricedLine.self,
      """
      SELECT (given.place - 1)::int AS index, given.product_id, given.quantity, coalesce(given.unit_price, list.unit_price) AS unit_price,
             given.discount_percent, given.description, coalesce(p.active, false) AS is_sold,
             greatest(given.discount_percent, CASE WHEN list.unit_price > 0 AND given.unit_price IS NOT NULL
               THEN round(100 - given.unit_price * (100 - given.discount_percent) / list.unit_price, 2) ELSE 0 END) AS effective_discount
        FROM (
          SELECT place, product_id, quantity::numeric, nullif(unit_price, '')::numeric AS unit_price, discount_percent::numeric, nullif(description, '') AS description
            FROM unnest(
              \(lines.map(\.productID))::uuid[], \(lines.map { "\($0.quantity)" })::text[], \(lines.map { $0.unitPrice.map { "\($0)" } ?? "" })::text[],
              \(lines.map { "\($0.discountPercent)" })::text[], \(lines.map { $0.description ?? "" })::text[])
            WITH ORDINALITY AS t (product_id, quantity, unit_price, discount_percent, description, place)
        ) AS given
        LEFT JOIN crm.product AS p ON p.id = given.product_id
        LEFT JOIN crm.price_of(given.product_id, \(customer), given.quantity, \(currency), crm.today(), \(book)) AS list ON true
       ORDER BY given.place
      """)
  }

  /// The lines whose discount is larger than the seller may give without asking.
  static func beyondCap(_ lines: [PricedLine], of caller: Caller, for customer: UUID, _ tx: PostgresTransaction) async throws -> [Problem.FieldError] {
    guard let user = caller.userID, let worst = lines.map(\.effectiveDiscount).max(), worst > 0 else { return [] }
    let cap = try await tx.value(Decimal.self, "SELECT crm.discount_cap(\(user), \(customer))")
    return lines.filter { $0.effectiveDiscount > cap }.map { line in
      .init(
        "/lines/\(line.index)/discount_percent", code: "discount-cap",
        Phrase(
          "This is \(line.effectiveDiscount) percent below the list price; you may give \(cap). Make a quote and have it approved.",
          tr: "Bu, liste fiyatının yüzde \(line.effectiveDiscount) altında; sizin sınırınız yüzde \(cap). Teklif hazırlayıp onaylatın."))
    }
  }
}

enum OrderPlacing {
  /// What an order says beside its lines.
  struct Header: RowDecodable {
    let customerID: UUID
    let currency: String
    let channel: String
    let locationID: UUID?
    var note: String?
    var departmentID: UUID?
    var ownerID: UUID?
    let visibility: String
    var reorderOf: UUID?

    init(
      customerID: UUID, currency: String, channel: String, locationID: UUID?, note: String?, departmentID: UUID, ownerID: UUID?, visibility: String
    ) {
      self.customerID = customerID
      self.currency = currency
      self.channel = channel
      self.locationID = locationID
      self.note = note
      self.departmentID = departmentID
      self.ownerID = ownerID
      self.visibility = visibility
    }

    init(row: PostgresRow) throws {
      customerID = try row.decode("customer_id")
      currency = try row.decode("currency")
      channel = try row.decode("channel")
      locationID = try row.decode("location_id")
      visibility = try row.decode("visibility")
    }
  }

  struct RepeatedLine: RowDecodable {
    let productID: UUID
    let quantity: Decimal

    init(row: PostgresRow) throws {
      productID = try row.decode("product_id")
      quantity = try row.decode("quantity")
    }
  }

  /// Writes an order, reserves what is there, and gives it its number last: from then on its lines stand still.
  static func place(_ lines: [PricedLine], _ header: Header, _ tx: PostgresTransaction) async throws -> UUID {
    let order = UUID.v7()
    let customer = header.customerID
    _ = try await tx.results(
      [
        """
        INSERT INTO crm.sales_order (customer_id, id, status, channel, location_id, currency, note, department_id, owner_id, visibility, reorder_of_id)
        VALUES (coalesce((SELECT id FROM crm.customer WHERE id = \(customer)), crm.missing_reference('customer_id')), \(order), 'placed',
          \(header.channel), \(header.locationID), \(header.currency), \(header.note), \(header.departmentID), \(header.ownerID), \(header.visibility), \(header.reorderOf))
        """,
        """
        INSERT INTO crm.sales_order_line (customer_id, order_id, line_number, product_id, quantity, unit_price, amount)
        SELECT \(customer), \(order), place, product_id, quantity::numeric, unit_price::numeric,
               round(quantity::numeric * unit_price::numeric * (1 - discount_percent::numeric / 100), 2)
          FROM unnest(
            \(lines.map(\.productID))::uuid[], \(lines.map { "\($0.quantity)" })::text[], \(lines.map { "\($0.unitPrice ?? 0)" })::text[],
            \(lines.map { "\($0.discountPercent)" })::text[]) WITH ORDINALITY AS t (product_id, quantity, unit_price, discount_percent, place)
        """,
        """
        INSERT INTO crm.order_line_fulfilment (customer_id, order_id, line_number, product_id, description, unit_code, vat_rate, discount_percent, tracked, ordered)
        SELECT l.customer_id, l.order_id, l.line_number, l.product_id, nullif(given.description, ''), p.unit_code, p.vat_rate,
               given.discount_percent::numeric, p.tracked, l.quantity
          FROM crm.sales_order_line AS l JOIN crm.product AS p ON p.id = l.product_id
          JOIN unnest(\(lines.map { "\($0.discountPercent)" })::text[], \(lines.map { $0.description ?? "" })::text[])
            WITH ORDINALITY AS given (discount_percent, description, place) ON given.place = l.line_number
         WHERE l.customer_id = \(customer) AND l.order_id = \(order) ORDER BY l.product_id, l.line_number
        """,
        "SELECT crm.reserve_order(\(customer), \(order))",
        "UPDATE crm.sales_order SET number = crm.next_number('order') WHERE customer_id = \(customer) AND id = \(order)",
      ])
    return order
  }
}
