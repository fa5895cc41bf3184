import CRMCore
import Foundation
import PostgresClient

/// The link that a customer gets.
struct QuoteLink {
  private let secret: LinkToken

  init() { secret = LinkToken() }
  init(token: String) { secret = LinkToken(token: token) }

  /// What is stored, and looked up by.
  var hash: [UInt8] { secret.hash }
  /// The page, below the gateway's public address.
  var path: String { "/q/\(secret.token)" }
}

/// Sending a quote, and taking back what was sent by a new version.
extension BusinessOperation {
  static let sendQuote = BusinessOperation(
    "send_quote", .post, "/v1/quotes/{id}/send", of: "quotes", access: .write(.sales), "Send a quote: make the link for the customer",
    description: """
      From here on this version cannot be changed. The link is shown once and stored only as a hash; it ends with the quote. Sending again makes a new \
      link and ends the one before. A discount above the caller's cap needs approval first.
      """,
    input: NoInput.self,
    answer: .json([
      "type": "object", "required": ["id", "number", "revision", "path", "link", "valid_until"],
      "properties": [
        "id": ["type": "string", "format": "uuid"], "number": ["type": "string"], "revision": ["type": "integer"],
        "path": ["type": "string", "description": "Address of the customer's page, below this server's: /q/ and a token."],
        "link": [
          "type": ["string", "null"],
          "description":
            "The whole address, to be sent as it is; null where the program was not told under which address clients reach it (http.publicAddress).",
        ],
        "valid_until": ["type": "string", "format": "date"],
      ],
    ])
  ) { run, _ in
    let quote = try await run.lockedQuote()
    try quote.mustBe(.draft, .approved, .sent)
    try quote.mustHaveLines()
    try quote.mustBeValid()
    if quote.status == .draft {
      let cap = try await run.discountCap(quote)
      if cap < quote.worstDiscount {
        throw Problem(
          409, "approval-needed",
          Phrase("A discount of \(quote.worstDiscount) % needs approval.", tr: "%\(quote.worstDiscount) indirim onay gerektirir."),
          detail: Phrase("Your own cap is \(cap) %. Submit the quote for approval.", tr: "Sizin yetkiniz %\(cap). Teklifi onaya gönderin."))
      }
    }
    let link = QuoteLink()
    var statements: [SQL] = []
    if quote.status != .sent {
      statements.append(
        """
        INSERT INTO crm.quote_seal (customer_id, quote_id, digest)
        SELECT q.customer_id, q.id,
               crm.quote_digest(q.number, q.revision, q.currency, q.valid_until, q.terms, q.net_amount, q.vat_amount, q.line_count)
          FROM crm.quote q WHERE q.id = \(quote.id)
        """)
    }
    statements.append(
      """
      UPDATE crm.quote SET status = 'sent', sent_at = coalesce(sent_at, now()), link_hash = \(link.hash) WHERE id = \(quote.id)
      RETURNING number, revision, valid_until
      """)
    guard let sent = try await run.tx.results(statements).last?.rows.first else { throw Problem.notFound }
    return .json([
      "id": .string(quote.id.lowercase), "number": .string(try sent.decode("number")), "revision": .number(Decimal(try sent.decode(Int.self, "revision"))),
      "path": .string(link.path), "link": run.request.link(to: link.path).map(JSON.string) ?? .null,
      "valid_until": .string(try sent.decode(CalendarDate.self, "valid_until").description),
    ])
  }

  struct Revision: OperationInput {
    let validUntil: CalendarDate?
    init(_ fields: inout InputReader) {
      validUntil = fields.optionalDay(
        "valid_until", "The last day of the new version; the old one's, or 30 days from now if that is over, when it is left out.")
    }
  }

  static let reviseQuote = BusinessOperation(
    "revise_quote", .post, "/v1/quotes/{id}/revise", of: "quotes", access: .write(.sales), "Supersede a sent quote by a new draft",
    description: "The new version has the same number and lines; the old one's link says that it was superseded.", input: Revision.self,
    answer: .record("quotes", status: 201, expand: ["lines"])
  ) { run, input in
    let quote = try await run.lockedQuote()
    try quote.mustBe(.sent, .declined, .expired)
    let next = UUID.v7()
    let made = try await run.tx.results([
      """
      INSERT INTO crm.quote (id, customer_id, number, revision, supersedes_id, opportunity_id, contact_id, currency, price_book_id, valid_until, terms, note,
                             department_id, owner_id, visibility)
      SELECT \(next), customer_id, number, revision + 1, id, opportunity_id, contact_id, currency, price_book_id,
             coalesce(\(input.validUntil)::date, CASE WHEN valid_until < crm.business_day(now()) THEN crm.business_day(now()) + 30 ELSE valid_until END),
             terms, note, department_id, owner_id, visibility
        FROM crm.quote WHERE id = \(quote.id)
      RETURNING valid_until < crm.business_day(now()) AS is_past
      """,
      """
      INSERT INTO crm.quote_line (customer_id, quote_id, line_number, product_id, description, quantity, unit_code, unit_price, list_price, discount_percent, vat_rate)
      SELECT customer_id, \(next), line_number, product_id, description, quantity, unit_code, unit_price, list_price, discount_percent, vat_rate
        FROM crm.quote_line WHERE customer_id = \(quote.customerID) AND quote_id = \(quote.id) ORDER BY line_number
      """,
      "UPDATE crm.quote SET status = 'superseded' WHERE id = \(quote.id)",
    ])
    if try made[0][0].decode(Bool.self, "is_past") {
      throw Problem.invalid([.init("/valid_until", code: "past", Phrase("Give a day that is not over.", tr: "Geçmemiş bir gün verin."))])
    }
    return .record(next)
  }
}
