import CRMCore
import Foundation
import PostgresClient

/// Making a quote and its lines.
extension BusinessOperation {
  struct NewQuote: OperationInput {
    let customerID: UUID?
    let opportunityID: UUID?
    let contactID: UUID?
    let currency: String?
    let priceBookID: UUID?
    let validUntil: CalendarDate?
    let terms: String?
    let note: String?
    let lines: [QuoteLineInput]

    init(_ fields: inout InputReader) {
      customerID = fields.optionalID("customer_id", "Who it is for; the opportunity's customer when it is left out.")
      opportunityID = fields.optionalID("opportunity_id", "The opportunity it is for.")
      contactID = fields.optionalID("contact_id", "The person it is addressed to; the opportunity's contact when it is left out.")
      currency = fields.optionalText("currency", "Currency of all its amounts; the opportunity's, or TRY, when it is left out.", maximum: 3)
      priceBookID = fields.optionalID("price_book_id", "The price book to take prices from; whichever fits the customer when it is left out.")
      validUntil = fields.optionalDay("valid_until", "The last day on which it can be accepted; 30 days from now when it is left out.")
      terms = fields.optionalText("terms", "Delivery, payment and other terms, shown to the customer.", maximum: 10_000)
      note = fields.optionalText("note", "What colleagues should know; never shown to the customer.", maximum: 10_000)
      lines = fields.list("lines", "What is offered; the opportunity's lines when it is left out.", of: QuoteLineInput.self, maximum: 500)
      if customerID == nil, opportunityID == nil {
        fields.refuse("customer_id", code: "required", Phrase("Name a customer or an opportunity.", tr: "Bir müşteri ya da bir fırsat belirtin."))
      }
    }
  }

  static let createQuote = BusinessOperation(
    "create_quote", .post, "/v1/quotes", of: "quotes", access: .write(.sales), "Draft a quote",
    description: "Alone, or from an opportunity, whose lines are copied when none are given.", input: NewQuote.self,
    answer: .record("quotes", status: 201, expand: ["lines"])
  ) { run, input in
    let department = try run.department()
    if let opportunity = input.opportunityID {
      let found = try await run.tx.first(
        OpportunityTerms.self, "SELECT customer_id, status FROM crm.opportunity WHERE id = \(opportunity)")
      guard let found, input.customerID == nil || input.customerID == found.customerID else { throw missing("opportunity_id") }
      if found.status == "lost" {
        throw Problem(409, "opportunity-lost", Phrase("The opportunity is lost; reopen it first.", tr: "Fırsat kaybedilmiş; önce yeniden açın."))
      }
    }
    let batch = QuoteLineBatch(lines: input.lines)
    let quote = UUID.v7()
    let made = try await run.tx.results([
      """
      INSERT INTO crm.quote (id, customer_id, number, opportunity_id, contact_id, currency, price_book_id, valid_until, terms, note, department_id, owner_id)
      SELECT \(quote), c.id, crm.next_number('quote'), o.id, coalesce(\(input.contactID)::uuid, o.contact_id), coalesce(\(input.currency), o.currency, 'TRY'),
             CASE WHEN \(input.priceBookID)::uuid IS NOT NULL
                  THEN coalesce((SELECT b.id FROM crm.price_book b WHERE b.id = \(input.priceBookID)::uuid), crm.missing_reference('price_book_id')) END,
             coalesce(\(input.validUntil)::date, crm.business_day(now()) + 30), \(input.terms), \(input.note), \(department), \(run.caller.userID)
        FROM crm.customer c LEFT JOIN crm.opportunity o ON o.customer_id = c.id AND o.id = \(input.opportunityID)::uuid
       WHERE c.id = coalesce(\(input.customerID)::uuid, (SELECT x.customer_id FROM crm.opportunity x WHERE x.id = \(input.opportunityID)::uuid))
      RETURNING valid_until < crm.business_day(now()) AS is_past
      """,
      batch.check(for: quote),
    ])
    guard made[0].count == 1 else { throw missing("customer_id") }
    if try made[0][0].decode(Bool.self, "is_past") {
      throw Problem.invalid([.init("/valid_until", code: "past", Phrase("Give a day that is not over.", tr: "Geçmemiş bir gün verin."))])
    }
    try QuoteLineBatch.refuse(made[1])
    if !input.lines.isEmpty {
      try await run.tx.run(batch.insert(into: quote))
    } else if let opportunity = input.opportunityID {
      try await run.tx.run(QuoteLineBatch.copy(from: opportunity, to: quote))
    }
    return .record(quote)
  }

  private struct OpportunityTerms: RowDecodable {
    let customerID: UUID
    let status: String

    init(row: PostgresRow) throws {
      customerID = try row.decode("customer_id")
      status = try row.decode("status")
    }
  }

  private static func missing(_ name: String) -> Problem {
    .invalid([
      .init("/\(name)", code: "not-found", Phrase("There is no such record, or you may not see it.", tr: "Böyle bir kayıt yok ya da görme yetkiniz yok."))
    ])
  }

  static let discardQuote = BusinessOperation(
    "discard_quote", .delete, "/v1/quotes/{id}", of: "quotes", access: .write(.sales), "Discard a draft",
    description: "Only a draft that was never sent. Where it was to supersede a sent version, that one stands again as it did.", input: NoInput.self,
    answer: .empty
  ) { run, _ in
    let quote = try await run.lockedQuote()
    try quote.mustBe(.draft)
    try await run.tx.run("DELETE FROM crm.quote_line WHERE customer_id = \(quote.customerID) AND quote_id = \(quote.id)")
    let superseded = try await run.tx.value(UUID?.self, "SELECT crm.discard_quote(\(quote.customerID), \(quote.id))")
    try await run.tx.run(
      """
      UPDATE crm.quote AS q
         SET status = CASE WHEN q.answered_at IS NOT NULL THEN 'declined' WHEN q.valid_until < crm.business_day(now()) THEN 'expired' ELSE 'sent' END
       WHERE q.customer_id = \(quote.customerID) AND q.id = \(superseded) AND q.status = 'superseded'
      """)
    return .empty
  }

  // Lines

  struct NewQuoteLines: OperationInput {
    let lines: [QuoteLineInput]
    init(_ fields: inout InputReader) {
      lines = fields.list("lines", "What is offered in addition.", of: QuoteLineInput.self, minimum: 1, maximum: 500)
    }
  }

  static let addQuoteLines = BusinessOperation(
    "add_quote_lines", .post, "/v1/quotes/{id}/lines", of: "quotes", access: .write(.sales), "Add lines to a draft", input: NewQuoteLines.self,
    answer: .record("quotes", expand: ["lines"])
  ) { run, input in
    let quote = try await run.lockedQuote()
    try quote.mustBe(.draft)
    let batch = QuoteLineBatch(lines: input.lines)
    try QuoteLineBatch.refuse(try await run.tx.result(batch.check(for: quote.id)))
    try await run.tx.run(batch.insert(into: quote.id))
    return .record(quote.id)
  }

  struct QuoteLineChange: OperationInput {
    let description: String?
    let quantity: Decimal?
    let unitCode: String?
    let unitPrice: Decimal?
    let discountPercent: Decimal?
    let vatRate: Decimal?

    init(_ fields: inout InputReader) {
      description = fields.optionalText("description", "What the customer reads.", maximum: 1_500)
      quantity = fields.optionalDecimal("quantity", "How many units.", scale: 3, in: QuoteLineInput.quantities)
      unitCode = fields.optionalText("unit_code", "What a quantity of 1 means (UN/ECE code).", maximum: 3)
      unitPrice = fields.optionalDecimal("unit_price", "Price of one unit without VAT, in the quote's currency.", scale: 6, in: QuoteLineInput.prices)
      discountPercent = fields.optionalDecimal("discount_percent", "Discount in percent.", scale: 2, in: 0...100)
      vatRate = fields.optionalDecimal("vat_rate", "VAT in percent.", scale: 2, in: 0...100)
    }
  }

  static let changeQuoteLine = BusinessOperation(
    "change_quote_line", .patch, "/v1/quote_lines/{id}", of: "quote_lines", access: .write(.sales), "Change a line of a draft",
    description: "What is left out stays as it is.", input: QuoteLineChange.self, answer: .record("quote_lines")
  ) { run, input in
    let line = try await run.lockedLineOfDraft()
    try await run.tx.run(
      """
      UPDATE crm.quote_line SET description = coalesce(\(input.description), description), quantity = coalesce(\(input.quantity), quantity),
             unit_code = coalesce(\(input.unitCode), unit_code), unit_price = coalesce(\(input.unitPrice), unit_price),
             discount_percent = coalesce(\(input.discountPercent), discount_percent), vat_rate = coalesce(\(input.vatRate), vat_rate)
       WHERE id = \(line)
      """)
    return .record(line)
  }

  static let removeQuoteLine = BusinessOperation(
    "remove_quote_line", .delete, "/v1/quote_lines/{id}", of: "quote_lines", access: .write(.sales), "Remove a line from a draft", input: NoInput.self,
    answer: .empty
  ) { run, _ in
    let line = try await run.lockedLineOfDraft()
    try await run.tx.run("DELETE FROM crm.quote_line WHERE id = \(line)")
    return .empty
  }
}

extension BusinessOperation.Run {
  /// The line in the path, whose quote is locked and a draft.
  fileprivate func lockedLineOfDraft() async throws -> UUID {
    let line = try id()
    let condition: SQL = "q.id = (SELECT l.quote_id FROM crm.quote_line l WHERE l.id = \(line))"
    guard let quote = try await tx.first(QuoteState.self, QuoteState.locking(condition)) else {
      let isSeen = try await tx.value(Bool.self, "SELECT EXISTS (SELECT FROM crm.quote_line l WHERE l.id = \(line))")
      throw isSeen ? QuoteState.readOnly : .notFound
    }
    try quote.mustBe(.draft)
    return line
  }
}
