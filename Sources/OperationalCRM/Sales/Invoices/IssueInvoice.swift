import CRMCore
import Foundation
import PostgresClient

struct IssueInvoice: OperationInput {
  let issueDate: CalendarDate?

  init(_ fields: inout InputReader) {
    issueDate = fields.optionalDay(
      "issue_date", "The day on the invoice; today in Türkiye when left out. Not before the last one of the series, not in the future.")
  }
}

extension BusinessOperation {
  static let issueInvoice = BusinessOperation(
    "issue_invoice", .post, "/v1/invoices/{id}/issue", of: "invoices", access: .write(.finance), "Issue a draft",
    description: """
      Gives the invoice its number, without a gap in its series and year, and its ETTN; freezes buyer, seller and lines; makes its instalments and counts it in the \
      turnover, all in one transaction. From then on nobody can change it.
      """,
    input: IssueInvoice.self, answer: .record("invoices", expand: ["lines", "instalments"])
  ) { run, input in
    let id = try run.id()
    if let record = try await EInvoiceRecord.load(id, run.tx), !record.isIssued, !record.mistakes.isEmpty {
      let facts = try await run.tx.first(InvoiceFacts.self, InvoiceFacts.statement(id, on: input.issueDate))
      throw Problem.invalid((facts?.mistakes ?? []).joined(by: record.mistakes))
    }
    // One statement: the counter of the series is locked by its trigger, and held until the commit that follows at once.
    let issued = try await run.tx.run(
      """
      UPDATE crm.invoice AS i
         SET status = 'issued', ettn = \(UUID()), issue_date = f.issue_date, issue_time = (clock_timestamp() AT TIME ZONE 'Europe/Istanbul')::time(0),
             buyer_name = f.buyer_name, buyer_first_name = f.buyer_first_name, buyer_family_name = f.buyer_family_name, buyer_tax_number = f.buyer_tax_number,
             buyer_tax_office = f.buyer_tax_office, buyer_street = f.buyer_street, buyer_district = f.buyer_district, buyer_city = f.buyer_city,
             buyer_postal_code = f.buyer_postal_code, buyer_country = f.buyer_country,
             seller_name = f.seller_name, seller_tax_number = f.seller_tax_number, seller_tax_office = f.seller_tax_office,
             seller_trade_number = f.trade_number, seller_mersis = f.mersis, seller_street = f.seller_street, seller_district = f.seller_district,
             seller_city = f.seller_city, seller_postal_code = f.seller_postal_code, seller_country = f.seller_country
        FROM (\(InvoiceFacts.statement(id, on: input.issueDate))) AS f
       WHERE i.customer_id = f.customer_id AND i.id = f.id AND f.lines > 0 AND f.unexplained = 0 AND i.exchange_rate IS NOT NULL AND f.issue_date <= f.today
         AND num_nulls(f.buyer_name, f.buyer_tax_number, f.buyer_street, f.buyer_district, f.buyer_city, f.buyer_country) = 0
         AND (length(f.buyer_tax_number) = 10 AND f.buyer_tax_office IS NOT NULL
              OR length(f.buyer_tax_number) = 11 AND num_nulls(f.buyer_first_name, f.buyer_family_name) = 0)
      """,
      onViolation: [
        "invoice_counter_days_ordered": InvoiceFacts.tooEarly, "invoice_line_quantity_positive": CreditInvoice.tooMuch,
      ])
    if issued == 1 { return .record(id) }
    _ = try await InvoiceDraft.locked(id, run.tx)
    guard let facts = try await run.tx.first(InvoiceFacts.self, InvoiceFacts.statement(id, on: input.issueDate)) else { throw Problem.notFound }
    throw Problem.invalid(facts.mistakes)
  }
}

/// What would stand on an invoice if it were issued now, and what is still missing.
struct InvoiceFacts: RowDecodable {
  let lines, unexplained: Int
  let hasExchangeRate, isFuture: Bool
  let buyerName, firstName, familyName, taxNumber, taxOffice, street, district, city, country: String?

  init(row: PostgresRow) throws {
    lines = try row.decode("lines")
    unexplained = try row.decode("unexplained")
    hasExchangeRate = try row.decode("has_exchange_rate")
    isFuture = try row.decode("is_future")
    buyerName = try row.decode("buyer_name")
    firstName = try row.decode("buyer_first_name")
    familyName = try row.decode("buyer_family_name")
    taxNumber = try row.decode("buyer_tax_number")
    taxOffice = try row.decode("buyer_tax_office")
    street = try row.decode("buyer_street")
    district = try row.decode("buyer_district")
    city = try row.decode("buyer_city")
    country = try row.decode("buyer_country")
  }

  static func statement(_ id: UUID, on day: CalendarDate?) -> SQL {
    """
    SELECT i.customer_id, i.id, today.day AS today, coalesce(\(day), today.day) AS issue_date, coalesce(\(day) > today.day, false) AS is_future,
           i.exchange_rate IS NOT NULL AS has_exchange_rate, lines.lines, lines.unexplained,
           b.name AS buyer_name, b.first_name AS buyer_first_name, b.family_name AS buyer_family_name, b.tax_number AS buyer_tax_number,
           b.tax_office AS buyer_tax_office, b.street AS buyer_street, b.district AS buyer_district, b.city AS buyer_city,
           b.postal_code AS buyer_postal_code, b.country AS buyer_country,
           s.name AS seller_name, s.tax_number AS seller_tax_number, s.tax_office AS seller_tax_office, s.trade_number, s.mersis, s.street AS seller_street,
           s.district AS seller_district, s.city AS seller_city, s.postal_code AS seller_postal_code, s.country AS seller_country
      FROM crm.invoice i
      JOIN crm.company_profile s ON s.id = i.company_id
      CROSS JOIN LATERAL crm.invoice_buyer(i.customer_id, i.id) AS b
      CROSS JOIN LATERAL (SELECT (clock_timestamp() AT TIME ZONE 'Europe/Istanbul')::date AS day) AS today
      CROSS JOIN LATERAL (
        SELECT count(*) AS lines, count(*) FILTER (WHERE l.vat_rate = 0 AND l.exemption_code IS NULL) AS unexplained
          FROM crm.invoice_line l WHERE l.customer_id = i.customer_id AND l.invoice_id = i.id) AS lines
     WHERE i.id = \(id)
    """
  }

  static let tooEarly = Problem.invalid([
    .init(
      "/issue_date", code: "issue-date-order",
      Phrase(
        "An invoice with a later date has already been issued in this series; numbers follow the dates.",
        tr: "Bu seride daha ileri tarihli bir fatura düzenlenmiş; numaralar tarih sırasını izler."))
  ])

  /// Everything that keeps the invoice from being issued, with its cure.
  var mistakes: [Problem.FieldError] {
    var found: [Problem.FieldError] = []
    func missing(_ isMissing: Bool, _ field: String, _ english: String, _ turkish: String) {
      if isMissing { found.append(.init("/\(field)", code: "required", Phrase(english, tr: turkish))) }
    }
    missing(lines == 0, "lines", "Add at least one line.", "En az bir satır ekleyin.")
    missing(
      unexplained > 0, "lines", "A line without VAT needs an exemption code, such as 301, or 351 where there is no exemption.",
      "KDV'siz satır için 301 gibi bir istisna kodu gerekir; istisna yoksa 351 kullanın.")
    missing(!hasExchangeRate, "exchange_rate", "Give the exchange rate of the currency.", "Para biriminin kurunu verin.")
    missing(buyerName == nil, "buyer_name", "Give the buyer's name.", "Alıcının adını verin.")
    missing(
      taxNumber == nil, "buyer_tax_number", "Give the customer a tax number (VKN) or identity number (TCKN).", "Müşterinin VKN ya da TCKN bilgisini girin.")
    missing(
      taxNumber?.count == 10 && taxOffice == nil, "buyer_tax_office", "Give the customer's tax office.", "Müşterinin vergi dairesini girin.")
    missing(taxNumber?.count == 11 && firstName == nil, "buyer_first_name", "Give the buyer's first name.", "Alıcının adını verin.")
    missing(taxNumber?.count == 11 && familyName == nil, "buyer_family_name", "Give the buyer's family name.", "Alıcının soyadını verin.")
    missing(street == nil, "buyer_street", "Give the customer an address with a street.", "Müşteriye sokağı olan bir adres ekleyin.")
    missing(district == nil, "buyer_district", "Give the district (ilçe) of the customer's address.", "Müşterinin adresine ilçe girin.")
    missing(city == nil, "buyer_city", "Give the city of the customer's address.", "Müşterinin adresine il girin.")
    missing(country == nil, "buyer_country", "Give the country of the customer's address.", "Müşterinin adresine ülke girin.")
    if isFuture {
      found.append(.init("/issue_date", code: "future", Phrase("The issue date cannot be in the future.", tr: "Düzenleme tarihi gelecekte olamaz.")))
    }
    return found
  }
}

extension [Problem.FieldError] {
  /// What else the administration's rules find wrong, each under the name that the field has in the API, and nothing twice.
  fileprivate func joined(by others: [Problem.FieldError]) -> [Problem.FieldError] {
    var named = Set(map(\.pointer))
    return self
      + others.map { .init($0.pointer.replacing("/customer/", with: "/buyer_"), code: $0.code, $0.message) }.filter { named.insert($0.pointer).inserted }
  }
}
