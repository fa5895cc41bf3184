import CRMCore
import Foundation
import PostgresClient

/// What a customer reads of a quote, on the page and in the PDF.
struct QuoteDocument {
  struct Line: RowDecodable {
    let number: Int
    let description: String
    let sku: String?
    let quantity: Decimal
    let unit: Phrase
    let unitPrice: Decimal
    let discountPercent: Decimal
    let vatRate: Decimal
    let net: Decimal

    init(row: PostgresRow) throws {
      number = try row.decode("line_number")
      description = try row.decode("description")
      sku = try row.decode("sku")
      quantity = try row.decode("quantity")
      unit = Phrase(try row.decode("name_en"), tr: try row.decode("name_tr"))
      unitPrice = try row.decode("unit_price")
      discountPercent = try row.decode("discount_percent")
      vatRate = try row.decode("vat_rate")
      net = try row.decode("net_amount")
    }
  }

  /// The sums at one VAT rate, as `crm.quote.vat_breakdown` holds them.
  struct Rate {
    let percent: Decimal
    let net: Decimal
    let vat: Decimal
  }

  struct Answer {
    let name: String
    let day: CalendarDate
  }

  let number: String
  let revision: Int
  let status: QuoteState.Status
  let isPast: Bool
  let currency: String
  let validUntil: CalendarDate
  let sentOn: CalendarDate?
  let terms: String?
  let net: Decimal
  let vat: Decimal
  let total: Decimal
  let rates: [Rate]
  let company: String
  let customer: String
  let contact: String?
  let seller: (name: String, email: String)?
  let answer: Answer?
  let lines: [Line]
  /// The language to write to the customer in.
  let language: Language

  /// Reads the quote that a condition names as the caller may see it; nil if there is none.
  /// - Parameter condition: names the quote, called `q`.
  static func read(_ condition: SQL, as caller: Caller, _ database: Database, deadline: Deadline) async throws -> QuoteDocument? {
    let results = try await database.pool.execute(
      [
        """
        SELECT q.number, q.revision, q.status, q.valid_until < crm.business_day(now()) AS is_past, q.currency, q.valid_until,
               crm.business_day(q.sent_at) AS sent_on, q.terms, q.net_amount, q.vat_amount, q.total_amount, q.vat_breakdown,
               (SELECT d.name FROM crm.department d WHERE d.parent_id IS NULL ORDER BY d.created_at LIMIT 1) AS company,
               c.name AS customer, c.locale, k.name AS contact, u.name AS seller, u.email, a.name AS answer_name, crm.business_day(a.answered_at) AS answered_on
          FROM crm.quote q LEFT JOIN crm.customer c ON c.id = q.customer_id
          LEFT JOIN crm.contact k ON k.customer_id = q.customer_id AND k.id = q.contact_id
          LEFT JOIN crm.app_user u ON u.id = q.owner_id
          LEFT JOIN crm.quote_answer a ON a.customer_id = q.customer_id AND a.quote_id = q.id
         WHERE \(condition)
        """,
        """
        SELECT l.line_number, l.description, p.sku, l.quantity, n.name_en, n.name_tr, l.unit_price, l.discount_percent, l.vat_rate, l.net_amount
          FROM crm.quote q JOIN crm.quote_line l ON l.customer_id = q.customer_id AND l.quote_id = q.id
          JOIN crm.unit n ON n.code = l.unit_code LEFT JOIN crm.product p ON p.id = l.product_id
         WHERE \(condition) ORDER BY l.line_number
        """,
      ], context: caller.context(reading: [.sales, .customers, .products, .admin]), deadline: deadline)
    return try results[0].rows.first.map { try QuoteDocument($0, lines: results[1].rows.map { try Line(row: $0) }) }
  }

  private init(_ row: PostgresRow, lines: [Line]) throws {
    number = try row.decode("number")
    revision = try row.decode("revision")
    status = try row.decode("status")
    isPast = try row.decode("is_past")
    currency = try row.decode("currency")
    validUntil = try row.decode("valid_until")
    sentOn = try row.decode("sent_on")
    terms = try row.decode("terms")
    net = try row.decode("net_amount")
    vat = try row.decode("vat_amount")
    total = try row.decode("total_amount")
    let breakdown = try JSONDecoder().decode([[String: String]].self, from: Data(try row.decode(JSONText.self, "vat_breakdown").text.utf8))
    rates = breakdown.map { rate in
      func amount(_ name: String) -> Decimal { rate[name].flatMap { Decimal(string: $0) } ?? 0 }
      return Rate(percent: amount("vat_rate"), net: amount("net_amount"), vat: amount("vat_amount"))
    }
    company = try row.decode(String?.self, "company") ?? ""
    customer = try row.decode(String?.self, "customer") ?? ""
    contact = try row.decode("contact")
    let email = try row.decode(String?.self, "email")
    seller = try row.decode(String?.self, "seller").flatMap { name in email.map { (name, $0) } }
    let day = try row.decode(CalendarDate?.self, "answered_on")
    answer = try row.decode(String?.self, "answer_name").flatMap { name in day.map { Answer(name: name, day: $0) } }
    self.lines = lines
    language = try row.decode(String?.self, "locale") == "en" ? .english : .turkish
  }

  /// `Q-2026-000017`, and from the second version on `Q-2026-000017/2`.
  var name: String { revision == 1 ? number : "\(number)/\(revision)" }
}

/// The words around a quote.
enum QuoteWords {
  static let quote = Phrase("Quote", tr: "Teklif")
  static let from = Phrase("From", tr: "Teklifi veren")
  static let customer = Phrase("For", tr: "Müşteri")
  static let contact = Phrase("Attention", tr: "İlgili kişi")
  static let date = Phrase("Date", tr: "Tarih")
  static let validUntil = Phrase("Valid until", tr: "Geçerlilik")
  static let seller = Phrase("Your contact", tr: "Satış temsilcisi")
  static let lines = Phrase("What we offer", tr: "Teklif kalemleri")
  static let number = Phrase("No.", tr: "No")
  static let item = Phrase("Item", tr: "Ürün")
  static let quantity = Phrase("Quantity", tr: "Miktar")
  static let unitPrice = Phrase("Unit price", tr: "Birim fiyat")
  static let discount = Phrase("Discount", tr: "İndirim")
  static let vatRate = Phrase("VAT rate", tr: "KDV oranı")
  static let amount = Phrase("Amount", tr: "Tutar")
  static let net = Phrase("Total without VAT", tr: "KDV hariç toplam")
  static let total = Phrase("Total", tr: "Genel toplam")
  static let terms = Phrase("Terms", tr: "Koşullar")

  /// `VAT 20% of ₺1,000.00`
  static func vat(_ rate: QuoteDocument.Rate, _ currency: String, _ language: Language) -> String {
    let percent = language.percent(rate.percent)
    let net = language.money(rate.net, currency)
    return Phrase("VAT \(percent) of \(net)", tr: "KDV \(percent) (matrah \(net))").text(in: language)
  }
}

extension QuoteDocument {
  /// Names and values above the lines.
  func facts(_ language: Language) -> [(name: String, value: String)] {
    var facts = [(QuoteWords.from.text(in: language), company), (QuoteWords.customer.text(in: language), customer)]
    if let contact { facts.append((QuoteWords.contact.text(in: language), contact)) }
    if let sentOn { facts.append((QuoteWords.date.text(in: language), language.date(sentOn))) }
    facts.append((QuoteWords.validUntil.text(in: language), language.date(validUntil)))
    if let seller { facts.append((QuoteWords.seller.text(in: language), "\(seller.name), \(seller.email)")) }
    return facts.map { (name: $0.0, value: $0.1) }
  }

  /// Names and sums below the lines; the last one is what the customer pays.
  func totals(_ language: Language) -> [(name: String, value: String)] {
    [(name: QuoteWords.net.text(in: language), value: language.money(net, currency))]
      + rates.map { (name: QuoteWords.vat($0, currency, language), value: language.money($0.vat, currency)) }
      + [(name: QuoteWords.total.text(in: language), value: language.money(total, currency))]
  }

  /// A line's cells in the order of the columns: number, item, quantity, unit price, discount, VAT rate, amount.
  func cells(_ line: Line, _ language: Language) -> [String] {
    [
      "\(line.number)", line.description, "\(language.number(line.quantity, digits: 0...3)) \(line.unit.text(in: language))",
      language.money(line.unitPrice, currency, digits: 2...6), line.discountPercent == 0 ? "" : language.percent(line.discountPercent),
      language.percent(line.vatRate), language.money(line.net, currency),
    ]
  }
}
