import CRMCore
import Foundation
import PostgresClient

/// An invoice read as a document, with the administration's lists of its day. A draft is read as if it were issued today, so that it can be checked beforehand.
struct EInvoiceRecord {
  let customerID: UUID
  let isIssued: Bool
  let document: EInvoiceDocument
  let codes: EInvoiceCheck.Codes
  let today: CalendarDate

  var mistakes: [Problem.FieldError] { EInvoiceCheck(document, codes: codes, today: today).mistakes() }

  /// Nil when there is no such invoice, or the caller may not see it.
  static func load(_ id: UUID, _ tx: PostgresTransaction) async throws -> EInvoiceRecord? {
    try EInvoiceRecord(try await tx.results(statements(id)))
  }

  /// What `init(_:)` reads: the invoice, its lines, the lists.
  static func statements(_ id: UUID) -> [SQL] {
    [
      """
      SELECT i.customer_id, i.status, i.type, i.profile, coalesce(i.number, i.series || extract(year FROM crm.business_day(now())) || '000000001') AS number,
        coalesce(i.ettn, i.id) AS ettn, coalesce(i.issue_date, crm.business_day(now())) AS issued_on, coalesce(i.issue_time, '00:00')::text AS issued_at,
        i.currency, i.exchange_rate, i.note, coalesce(o.number, o.external_number) AS order_number, crm.business_day(o.ordered_at) AS ordered_on, i.returned_number, i.returned_on, i.due_on,
        coalesce(i.seller_name, f.seller_name) AS seller_name, coalesce(i.seller_tax_number, f.seller_tax_number) AS seller_tax_number,
        coalesce(i.seller_tax_office, f.seller_tax_office) AS seller_tax_office, coalesce(i.seller_street, f.seller_street) AS seller_street,
        coalesce(i.seller_district, f.seller_district) AS seller_district, coalesce(i.seller_city, f.seller_city) AS seller_city,
        coalesce(i.seller_postal_code, f.seller_postal_code) AS seller_postal_code, coalesce(i.seller_country, f.seller_country) AS seller_country,
        p.phone, p.email, p.website,
        f.buyer_name, f.buyer_first_name, f.buyer_family_name, f.buyer_tax_number, f.buyer_tax_office, f.buyer_street, f.buyer_district, f.buyer_city,
        f.buyer_postal_code, coalesce(f.buyer_country, 'TR') AS buyer_country, i.buyer_email, f.today,
        array(SELECT n FROM unnest(ARRAY[coalesce(i.seller_tax_number, f.seller_tax_number), f.buyer_tax_number]) AS n
               WHERE crm.valid_vkn(n) OR crm.valid_tckn(n)) AS valid_numbers
      FROM crm.invoice AS i
      JOIN (\(InvoiceFacts.statement(id, on: nil))) AS f ON f.customer_id = i.customer_id AND f.id = i.id
      JOIN crm.company_profile AS p ON p.id = i.company_id
      LEFT JOIN crm.sales_order AS o ON o.customer_id = i.customer_id AND o.id = i.order_id
      WHERE i.id = \(id)
      """,
      """
      SELECT l.description, l.quantity, l.unit_code, l.unit_price, l.discount_percent, l.net_amount, l.vat_rate, l.vat_amount, l.withholding_amount,
        l.exemption_code, l.exemption_reason, l.withholding_code, l.withholding_percent,
        (SELECT w.name_tr FROM crm.withholding_code AS w WHERE w.code = l.withholding_code ORDER BY w.valid_from DESC LIMIT 1) AS withholding_name
      FROM crm.invoice_line AS l WHERE l.invoice_id = \(id) ORDER BY l.line_number
      """,
      """
      SELECT array(SELECT code FROM crm.unit) AS units, array(SELECT code FROM crm.currency) AS currencies,
        array(SELECT v.rate FROM crm.vat_rate AS v WHERE day.on_day BETWEEN v.valid_from AND coalesce(v.valid_until, 'infinity')) AS vat_rates,
        array(SELECT e.code FROM crm.exemption_code AS e WHERE day.on_day BETWEEN e.valid_from AND coalesce(e.valid_until, 'infinity')) AS exemptions,
        array(SELECT e.code FROM crm.exemption_code AS e WHERE e.kind = 'other') AS other_reasons,
        array(SELECT w.code FROM crm.withholding_code AS w WHERE day.on_day BETWEEN w.valid_from AND coalesce(w.valid_until, 'infinity') ORDER BY w.id) AS withholding_codes,
        array(SELECT w.percent FROM crm.withholding_code AS w WHERE day.on_day BETWEEN w.valid_from AND coalesce(w.valid_until, 'infinity') ORDER BY w.id) AS withholding_percents
      FROM (SELECT coalesce((SELECT i.issue_date FROM crm.invoice AS i WHERE i.id = \(id)), crm.business_day(now())) AS on_day) AS day
      """,
    ]
  }

  init?(_ results: [PostgresResult]) throws {
    guard results[0].count == 1 else { return nil }
    let row = results[0][0]
    let lists = results[2][0]
    customerID = try row.decode("customer_id")
    isIssued = try row.decode(String.self, "status") != "draft"
    today = try row.decode("today")
    document = EInvoiceDocument(
      profile: try row.decode("profile"), kind: try row.decode("type"), number: try row.decode("number"), uuid: try row.decode("ettn"),
      issuedOn: try row.decode("issued_on"), issuedAt: try row.decode("issued_at"), currency: try row.decode("currency"),
      exchangeRate: try row.decode(String.self, "currency") == "TRY" ? nil : try row.decode("exchange_rate"), note: try row.decode("note"),
      orderNumber: try Self.reference(row, "order_number", "ordered_on"), returned: try Self.reference(row, "returned_number", "returned_on"),
      dueOn: try row.decode("due_on"),
      supplier: .init(
        identity: .taxNumber(try row.decode("seller_tax_number")), name: try row.decode("seller_name"), taxOffice: try row.decode("seller_tax_office"),
        street: try row.decode("seller_street"), district: try row.decode("seller_district"), city: try row.decode("seller_city"),
        postalCode: try row.decode("seller_postal_code"), country: try row.decode("seller_country"), telephone: try row.decode("phone"),
        email: try row.decode("email"), website: try row.decode("website")),
      customer: try Self.buyer(row), lines: try results[1].rows.map(EInvoiceDocument.Line.init(row:)))
    codes = EInvoiceCheck.Codes(
      units: Set(try lists.decode([String].self, "units")), currencies: Set(try lists.decode([String].self, "currencies")),
      vatRates: Set(try lists.decode([Decimal].self, "vat_rates")), exemptions: Set(try lists.decode([String].self, "exemptions")),
      otherReasons: Set(try lists.decode([String].self, "other_reasons")),
      withholdings: Dictionary(
        zip(try lists.decode([String].self, "withholding_codes"), try lists.decode([Decimal].self, "withholding_percents")), uniquingKeysWith: { $1 }),
      validNumbers: Set(try row.decode([String].self, "valid_numbers")))
  }

  private static func reference(_ row: PostgresRow, _ number: String, _ day: String) throws -> (number: String, day: CalendarDate)? {
    guard let number = try row.decode(String?.self, number), let day = try row.decode(CalendarDate?.self, day) else { return nil }
    return (number, day)
  }

  private static func buyer(_ row: PostgresRow) throws -> EInvoiceDocument.Party {
    let number = try row.decode(String?.self, "buyer_tax_number") ?? ""
    let isPerson = number.count == 11
    return .init(
      identity: isPerson
        ? .person(
          number, firstName: try row.decode(String?.self, "buyer_first_name") ?? "", familyName: try row.decode(String?.self, "buyer_family_name") ?? "")
        : .taxNumber(number),
      name: isPerson ? nil : try row.decode("buyer_name"), taxOffice: try row.decode("buyer_tax_office"), street: try row.decode("buyer_street"),
      district: try row.decode(String?.self, "buyer_district") ?? "", city: try row.decode(String?.self, "buyer_city") ?? "",
      postalCode: try row.decode("buyer_postal_code"), country: try row.decode("buyer_country"), email: try row.decode("buyer_email"))
  }
}

extension EInvoiceDocument.Profile: PostgresDecodable {}
extension EInvoiceDocument.Kind: PostgresDecodable {}

extension EInvoiceDocument.Line {
  init(row: PostgresRow) throws {
    let exemption = try row.decode(String?.self, "exemption_code")
    let withholding = try row.decode(String?.self, "withholding_code")
    self.init(
      name: try row.decode("description"), quantity: try row.decode("quantity"), unitCode: try row.decode("unit_code"), unitPrice: try row.decode("unit_price"),
      discountPercent: try row.decode("discount_percent"), net: try row.decode("net_amount"), vatRate: try row.decode("vat_rate"),
      vat: try row.decode("vat_amount"), withheldVAT: try row.decode("withholding_amount"),
      exemption: try exemption.map { .init(code: $0, reason: try row.decode(String?.self, "exemption_reason") ?? "") },
      withholding: try withholding.map {
        .init(code: $0, name: try row.decode(String?.self, "withholding_name") ?? "", percent: try row.decode("withholding_percent"))
      })
  }
}
