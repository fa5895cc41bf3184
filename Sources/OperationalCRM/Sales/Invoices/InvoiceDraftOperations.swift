import CRMCore
import Foundation
import PostgresClient

/// What a draft says of itself; each may be left out.
struct InvoiceHeaderInput: OperationInput {
  let companyID: UUID?
  let series: String?
  let profile: InvoiceProfile?
  let exchangeRate: Decimal?
  let paymentTerm: String?
  let note: String?
  let ownerID: UUID?
  let departmentID: UUID?
  let buyer: Buyer

  init(_ fields: inout InputReader) {
    companyID = fields.optionalID("company_id", "The company of ours that invoices; the first one when left out.")
    series = fields.optionalText("series", "The series of its number; the first one for the profile when left out.", maximum: 3)
    profile = fields.optionalOption(
      "profile", "TEMELFATURA or TICARIFATURA for registered e-Fatura users, EARSIVFATURA for everybody else.", of: InvoiceProfile.self)
    exchangeRate = fields.optionalDecimal("exchange_rate", "Lira for one unit of the currency; today's rate when left out.", scale: 6, in: 0...999_999)
    paymentTerm = fields.optionalText("payment_term", "Code of the payment term, such as net30; due at once when left out.", maximum: 63)
    note = fields.optionalText("note", "What the customer reads on it.", maximum: 4_000)
    ownerID = fields.optionalID("owner_id", "The seller; the customer's owner, or the order's, when left out.")
    departmentID = fields.optionalID("department_id", "The department that sold; the customer's, or the order's, when left out.")
    buyer = Buyer(&fields)
  }

  /// What differs from the customer's own name and address.
  struct Buyer: OperationInput {
    let name, firstName, familyName, taxNumber, taxOffice, street, district, city, postalCode, country, email: String?

    init(_ fields: inout InputReader) {
      name = fields.optionalText("buyer_name", "The buyer's title, where it differs from the customer's name; as for all that follows.", maximum: 300)
      firstName = fields.optionalText("buyer_first_name", "First name of a person.", maximum: 150)
      familyName = fields.optionalText("buyer_family_name", "Family name of a person.", maximum: 150)
      taxNumber = fields.optionalText("buyer_tax_number", "VKN or TCKN.", maximum: 11)
      taxOffice = fields.optionalText("buyer_tax_office", "Tax office.", maximum: 200)
      street = fields.optionalText("buyer_street", "Street, number, flat.", maximum: 500)
      district = fields.optionalText("buyer_district", "District (ilçe).", maximum: 200)
      city = fields.optionalText("buyer_city", "City.", maximum: 200)
      postalCode = fields.optionalText("buyer_postal_code", "Postal code.", maximum: 20)
      country = fields.optionalText("buyer_country", "ISO 3166-1 letters.", maximum: 2)
      email = fields.optionalText("buyer_email", "Where an e-Arşiv invoice is sent.", maximum: 254)
    }
  }

  /// The payment term of that code that is in use, as an expression.
  var paymentTermID: SQL {
    """
    (SELECT coalesce((SELECT t.id FROM crm.payment_term t WHERE t.code = \(paymentTerm) AND t.active), crm.missing_reference('payment_term')) WHERE \(paymentTerm)::text IS NOT NULL)
    """
  }
}

struct CreateInvoice: OperationInput {
  let customerID: UUID
  let currency: String?
  let header: InvoiceHeaderInput
  let lines: [InvoiceLineInput]

  init(_ fields: inout InputReader) {
    customerID = fields.id("customer_id", "Who buys.")
    currency = fields.optionalText("currency", "Currency of all amounts (ISO 4217); TRY when left out.", maximum: 3)
    header = InvoiceHeaderInput(&fields)
    lines = fields.list("lines", "What was sold.", of: InvoiceLineInput.self, maximum: 500)
  }
}

extension BusinessOperation {
  static let createInvoice = BusinessOperation(
    "create_invoice", .post, "/v1/invoices", of: "invoices", access: .write(.finance), "Write a draft of an invoice",
    description: "Name and address come from the customer when the invoice is issued, unless given here. The type follows from the lines.",
    input: CreateInvoice.self, answer: .record("invoices", status: 201, expand: ["lines"])
  ) { run, input in
    let header = input.header
    let buyer = header.buyer
    let currency = input.currency ?? "TRY"
    let profile = header.profile ?? .archive
    let draft = try await run.tx.one(
      InvoiceDraft.self,
      """
      INSERT INTO crm.invoice (customer_id, company_id, series, profile, currency, exchange_rate, payment_term_id, note, owner_id, department_id,
        buyer_name, buyer_first_name, buyer_family_name, buyer_tax_number, buyer_tax_office, buyer_street, buyer_district, buyer_city, buyer_postal_code,
        buyer_country, buyer_email)
      SELECT coalesce(c.id, crm.missing_reference('customer_id')),
             coalesce(\(header.companyID), (SELECT s.id FROM crm.company_profile s WHERE s.active ORDER BY s.created_at, s.code LIMIT 1)),
             coalesce(\(header.series), (SELECT s.code FROM crm.invoice_series s WHERE s.active AND \(profile.rawValue) = ANY (s.profiles) ORDER BY s.created_at, s.code LIMIT 1)),
             \(profile.rawValue), \(currency), CASE \(currency) WHEN 'TRY' THEN 1
               ELSE coalesce(\(header.exchangeRate)::numeric, round(crm.convert(1, \(currency), 'TRY', (now() AT TIME ZONE 'Europe/Istanbul')::date), 6)) END, \(header.paymentTermID),
             \(header.note), coalesce(\(header.ownerID), c.owner_id), coalesce(\(header.departmentID), c.department_id),
             \(buyer.name), \(buyer.firstName), \(buyer.familyName), \(buyer.taxNumber), \(buyer.taxOffice), \(buyer.street), \(buyer.district),
             \(buyer.city), \(buyer.postalCode), \(buyer.country), \(buyer.email)
        FROM (SELECT \(input.customerID)::uuid AS id) AS given LEFT JOIN crm.customer c ON c.id = given.id
      RETURNING id, customer_id
      """)
    if !input.lines.isEmpty {
      try await InvoiceLineInput.insert(input.lines, into: draft, run.tx)
      try await draft.price(run.tx)
    }
    return .record(draft.id)
  }

  static let changeInvoice = BusinessOperation(
    "change_invoice", .patch, "/v1/invoices/{id}", of: "invoices", access: .write(.finance), "Change a draft",
    description: "What is left out stays as it is. An issued invoice is refused.", input: InvoiceHeaderInput.self,
    answer: .record("invoices", expand: ["lines"])
  ) { run, header in
    let draft = try await InvoiceDraft.locked(run.id(), run.tx)
    let buyer = header.buyer
    try await run.tx.run(
      """
      UPDATE crm.invoice AS i
         SET company_id = coalesce(\(header.companyID), i.company_id), series = coalesce(\(header.series), i.series),
             profile = coalesce(\(header.profile?.rawValue), i.profile), exchange_rate = coalesce(\(header.exchangeRate), i.exchange_rate),
             payment_term_id = coalesce(\(header.paymentTermID), i.payment_term_id), note = coalesce(\(header.note), i.note),
             owner_id = coalesce(\(header.ownerID), i.owner_id), department_id = coalesce(\(header.departmentID), i.department_id),
             buyer_name = coalesce(\(buyer.name), i.buyer_name), buyer_first_name = coalesce(\(buyer.firstName), i.buyer_first_name),
             buyer_family_name = coalesce(\(buyer.familyName), i.buyer_family_name), buyer_tax_number = coalesce(\(buyer.taxNumber), i.buyer_tax_number),
             buyer_tax_office = coalesce(\(buyer.taxOffice), i.buyer_tax_office), buyer_street = coalesce(\(buyer.street), i.buyer_street),
             buyer_district = coalesce(\(buyer.district), i.buyer_district), buyer_city = coalesce(\(buyer.city), i.buyer_city),
             buyer_postal_code = coalesce(\(buyer.postalCode), i.buyer_postal_code), buyer_country = coalesce(\(buyer.country), i.buyer_country),
             buyer_email = coalesce(\(buyer.email), i.buyer_email)
       WHERE i.customer_id = \(draft.customerID) AND i.id = \(draft.id)
      """)
    return .record(draft.id)
  }

  static let discardInvoice = BusinessOperation(
    "discard_invoice", .delete, "/v1/invoices/{id}", of: "invoices", access: .write(.finance), "Discard a draft", input: NoInput.self, answer: .empty
  ) { run, _ in
    let draft = try await InvoiceDraft.locked(run.id(), run.tx)
    try await run.tx.run("DELETE FROM crm.invoice WHERE customer_id = \(draft.customerID) AND id = \(draft.id)")
    return .empty
  }

  static let addInvoiceLine = BusinessOperation(
    "add_invoice_line", .post, "/v1/invoices/{id}/lines", of: "invoice_lines", access: .write(.finance), "Add a line to a draft",
    input: InvoiceLineInput.self, answer: .record("invoices", expand: ["lines"])
  ) { run, line in
    let draft = try await InvoiceDraft.locked(run.id(), run.tx)
    try await InvoiceLineInput.insert([line], into: draft, run.tx)
    try await draft.price(run.tx)
    return .record(draft.id)
  }

  static let changeInvoiceLine = BusinessOperation(
    "change_invoice_line", .patch, "/v1/invoices/{id}/lines/{line_id}", of: "invoice_lines", access: .write(.finance), "Change a line of a draft",
    description: "What is left out stays as it is.", input: ChangeInvoiceLine.self, answer: .record("invoices", expand: ["lines"])
  ) { run, input in
    let draft = try await InvoiceDraft.locked(run.id(), run.tx)
    let changed = try await run.tx.run(
      """
      UPDATE crm.invoice_line AS l
         SET description = coalesce(\(input.description), l.description), quantity = coalesce(\(input.quantity), l.quantity),
             unit_price = coalesce(\(input.unitPrice), l.unit_price), discount_percent = coalesce(\(input.discountPercent), l.discount_percent),
             vat_rate = coalesce(\(input.vatRate), l.vat_rate), updated_at = now()
       WHERE l.customer_id = \(draft.customerID) AND l.invoice_id = \(draft.id) AND l.id = \(try run.id("line_id"))
      """)
    guard changed == 1 else { throw Problem.notFound }
    try await draft.price(run.tx)
    return .record(draft.id)
  }

  static let removeInvoiceLine = BusinessOperation(
    "remove_invoice_line", .delete, "/v1/invoices/{id}/lines/{line_id}", of: "invoice_lines", access: .write(.finance), "Remove a line from a draft",
    input: NoInput.self, answer: .record("invoices", expand: ["lines"])
  ) { run, _ in
    let draft = try await InvoiceDraft.locked(run.id(), run.tx)
    let removed = try await run.tx.run(
      "DELETE FROM crm.invoice_line WHERE customer_id = \(draft.customerID) AND invoice_id = \(draft.id) AND id = \(try run.id("line_id"))")
    guard removed == 1 else { throw Problem.notFound }
    try await draft.price(run.tx)
    return .record(draft.id)
  }
}

struct ChangeInvoiceLine: OperationInput {
  let description: String?
  let quantity, unitPrice, discountPercent, vatRate: Decimal?

  init(_ fields: inout InputReader) {
    description = fields.optionalText("description", "What the invoice calls it.", maximum: 500)
    quantity = fields.optionalDecimal("quantity", "How many units.", scale: 3, in: InvoiceLineInput.amounts)
    unitPrice = fields.optionalDecimal("unit_price", "Price of a unit before discount and VAT.", scale: 6, in: InvoiceLineInput.amounts)
    discountPercent = fields.optionalDecimal("discount_percent", "Discount in percent.", scale: 2, in: InvoiceLineInput.percents)
    vatRate = fields.optionalDecimal("vat_rate", "VAT rate in percent.", scale: 2, in: InvoiceLineInput.percents)
  }
}

extension ReadOperation {
  static let invoiceVAT = ReadOperation(
    "invoice_vat", "/v1/invoices/{id}/vat", tag: "invoices", access: .read(.finance), "VAT of an invoice by rate, exemption and withholding",
    input: NoInput.self,
    row: [
      "vat_rate": ["type": "string"], "exemption_code": ["type": ["string", "null"]], "exemption_reason": ["type": ["string", "null"]],
      "taxable_amount": ["type": "string"], "vat_amount": ["type": "string"], "withholding_code": ["type": ["string", "null"]],
      "withholding_percent": ["type": ["string", "null"]], "withholding_amount": ["type": "string"],
    ], reading: [.finance],
    mustExist: { "SELECT 1 FROM crm.invoice AS i WHERE i.id = \($0.parameters["id"].flatMap(UUID.init(uuidString:)))" }
  ) { request, _ in
    """
    SELECT v.vat_rate, v.exemption_code, v.exemption_reason, v.taxable_amount, v.vat_amount, v.withholding_code, v.withholding_percent, v.withholding_amount
      FROM crm.invoice i CROSS JOIN LATERAL crm.invoice_vat(i.customer_id, i.id) v WHERE i.id = \(request.parameters["id"].flatMap(UUID.init(uuidString:)))
    """
  }
}
