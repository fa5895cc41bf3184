package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// What customers owe for what was sold: drafts, issued invoices, credit notes, and the reference data they need.
  static let invoices = Concept(
    resources: [.invoices, .invoiceLines, .invoiceSeries, .companyProfiles, .withholdingCodes, .exemptionCodes],
    operations: [
      .createInvoice, .invoiceOrder, .changeInvoice, .discardInvoice, .addInvoiceLine, .changeInvoiceLine, .removeInvoiceLine, .issueInvoice, .creditInvoice,
    ],
    reads: [.invoiceVAT])
}

extension Resource {
  /// What a customer owes for what was sold. Drafts are edited by operations; an issued invoice is never changed.
  package static let invoices = Resource(
    "invoices", singular: "invoice", table: "crm.invoice", area: .finance,
    expand: [
      "customer", "company", "order", "payment_term", "returned_invoice", .many("lines", of: "invoice_lines", by: "invoice_id"),
      .many("instalments", of: "instalments", by: "invoice_id"), .many("credit_notes", of: "invoices", by: "returned_invoice_id"),
    ],
    search: ["number", "buyer_name", "customer.name"], order: "-created_at")

  /// Something sold, on an invoice.
  package static let invoiceLines = Resource(
    "invoice_lines", singular: "invoice_line", table: "crm.invoice_line", area: .finance,
    expand: ["invoice", "product", "returned_line"], search: ["description", "product.name"], order: "line_number")

  /// A series of invoice numbers.
  package static let invoiceSeries = Resource(
    "invoice_series", singular: "invoice_series", table: "crm.invoice_series", area: .finance,
    create: ["code", "name", "profiles", "active"], change: ["name", "profiles", "active"], search: ["code", "name"], order: "code")

  /// A company of ours, as it stands on invoices.
  package static let companyProfiles = Resource(
    "company_profiles", singular: "company_profile", table: "crm.company_profile", area: .finance,
    create: [
      "code", "name", "tax_number", "tax_office", "trade_number", "mersis", "street", "district", "city", "postal_code", "country", "phone", "email", "website",
      "link_base", "active",
    ],
    change: [
      "name", "tax_number", "tax_office", "trade_number", "mersis", "street", "district", "city", "postal_code", "country", "phone", "email", "website",
      "link_base", "active",
    ],
    search: ["name"], order: "code")

  /// Why a buyer withholds part of the VAT, and how much.
  package static let withholdingCodes = Resource(
    "withholding_codes", singular: "withholding_code", table: "crm.withholding_code", area: .finance,
    create: ["code", "name_en", "name_tr", "percent", "valid_from", "valid_until"], change: ["name_en", "name_tr", "valid_until"],
    search: ["code", "name_tr", "name_en"], order: "code")

  /// Why a line bears no VAT.
  package static let exemptionCodes = Resource(
    "exemption_codes", singular: "exemption_code", table: "crm.exemption_code", area: .finance,
    create: ["code", "kind", "name_en", "name_tr", "valid_from", "valid_until"], change: ["name_en", "name_tr", "valid_until"],
    search: ["code", "name_tr", "name_en"], order: "code")
}

/// How an invoice travels.
enum InvoiceProfile: String, CaseIterable, Sendable {
  /// To a registered e-Fatura user, who cannot refuse it.
  case basic = "TEMELFATURA"
  /// To a registered e-Fatura user, who may reject it for eight days.
  case commercial = "TICARIFATURA"
  /// e-Arşiv: to everybody else.
  case archive = "EARSIVFATURA"
}

/// An invoice that may still be edited, locked for the rest of the transaction.
struct InvoiceDraft: RowDecodable {
  let id: UUID
  let customerID: UUID

  init(row: PostgresRow) throws {
    id = try row.decode("id")
    customerID = try row.decode("customer_id")
  }

  static let alreadyIssued = Problem(
    409, "invoice-issued", Phrase("This invoice has been issued and cannot be changed any more.", tr: "Bu fatura düzenlenmiş, artık değiştirilemez."),
    detail: Phrase("Take it back with a credit note: POST /v1/invoices/{id}/credit.", tr: "İade faturası ile geri alın: POST /v1/invoices/{id}/credit."))

  /// Locks the draft, so that nobody issues it meanwhile. The policies show only drafts to `FOR UPDATE`.
  static func locked(_ id: UUID, _ tx: PostgresTransaction) async throws -> InvoiceDraft {
    if let draft = try await tx.first(InvoiceDraft.self, "SELECT i.id, i.customer_id FROM crm.invoice i WHERE i.id = \(id) FOR UPDATE") { return draft }
    throw try await refusal(id, tx)
  }

  /// Why an invoice is no draft that the caller may change.
  static func refusal(_ id: UUID, _ tx: PostgresTransaction) async throws -> Problem {
    let found = try await tx.result("SELECT i.status FROM crm.invoice i WHERE i.id = \(id)")
    guard found.count == 1 else { return .notFound }
    if try found[0].decode(String.self, at: 0) == "issued" { return alreadyIssued }
    return .forbidden(Phrase("You may not change the invoices of this department.", tr: "Bu departmanın faturalarını değiştirme yetkiniz yok."))
  }

  /// Computes VAT and totals anew, after lines changed.
  func price(_ tx: PostgresTransaction) async throws { try await tx.run("SELECT crm.price_invoice(\(customerID), \(id))") }
}
