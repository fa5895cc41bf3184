package import CRMCore
import Foundation
import PostgresClient

extension Concept {
  /// Issued invoices on their way to buyers, as the revenue administration wants them.
  static let eInvoices = Concept(
    resources: [.eInvoices, .vatRates], operations: [.sendEInvoice, .cancelEInvoice], reads: [.checkInvoice, .ublOfInvoice],
    jobs: [.deliverEInvoice(), .followEInvoices()], schedules: [Schedule("e_invoices.follow", kind: "e_invoice.follow", .every(.seconds(60)))])
}

extension Resource {
  /// Where an issued invoice stands between us, the administration and the buyer. Moved by operations and by what the integrator reports.
  package static let eInvoices = Resource(
    "e_invoices", singular: "e_invoice", table: "crm.e_invoice", area: .finance, expand: ["invoice"], order: "-created_at")

  /// The VAT rates of Türkiye, with their days.
  package static let vatRates = Resource(
    "vat_rates", singular: "vat_rate", table: "crm.vat_rate", area: .finance, create: ["rate", "valid_from", "valid_until"], change: ["valid_until"],
    order: "-valid_from")
}

extension ReadOperation {
  /// What would keep an invoice from being issued, as the administration's rules have it.
  static let checkInvoice = ReadOperation(
    "check_invoice", "/v1/invoices/{id}/check", tag: "invoices", access: .read(.finance), "Check an invoice against the rules of e-Fatura",
    description: "What the revenue administration would refuse, before it is issued; an empty list for an invoice that may go.", input: NoInput.self,
    answer: (
      "application/json",
      [
        "type": "object", "required": ["data"],
        "properties": [
          "data": [
            "type": "array",
            "items": [
              "type": "object", "required": ["pointer", "code", "message"],
              "properties": ["pointer": ["type": "string"], "code": ["type": "string"], "message": ["type": "string"]],
            ],
          ]
        ],
      ]
    ),
    reading: [.finance, .customers, .sales, .products],
    statements: { request, _ in EInvoiceRecord.statements(try request.invoiceID()) },
    respond: { request, results in
      guard let record = try EInvoiceRecord(results) else { throw Problem.notFound }
      let data = record.mistakes.map { mistake -> JSON in
        ["pointer": .string(mistake.pointer), "code": .string(mistake.code), "message": .string(mistake.message.text(in: request.language))]
      }
      return .json(try JSON.object(["data": .array(data)]).encoded())
    })

  static let ublOfInvoice = ReadOperation(
    "get_invoice_ubl", "/v1/invoices/{id}/ubl", tag: "invoices", access: .read(.finance), "Read an issued invoice as UBL-TR",
    description: "The document before the company's seal, which the integrator adds.", input: NoInput.self, answer: ("application/xml", ["type": "string"]),
    refusals: [409], reading: [.finance, .customers, .sales, .products], showing: "invoices",
    statements: { request, _ in EInvoiceRecord.statements(try request.invoiceID()) },
    respond: { _, results in
      guard let record = try EInvoiceRecord(results) else { throw Problem.notFound }
      guard record.isIssued else { throw EInvoiceProblem.notIssued }
      return Response(
        status: 200,
        headers: [("content-type", "application/xml; charset=utf-8"), ("content-disposition", "attachment; filename=\"\(record.document.number).xml\"")],
        body: .bytes(Array(try record.document.ubl())))
    })
}

enum EInvoiceProblem {
  static let notIssued = Problem(409, "not-issued", Phrase("Issue the invoice first.", tr: "Önce faturayı kesin."))
  static let cannotCancel = Problem(
    409, "cannot-cancel",
    Phrase("Only an e-Arşiv invoice that was sent can be cancelled.", tr: "Yalnızca gönderilmiş bir e-Arşiv faturası iptal edilebilir."))
}

extension Request {
  fileprivate func invoiceID() throws(Problem) -> UUID {
    guard let id = parameters["id"].flatMap(UUID.init(uuidString:)) else { throw .notFound }
    return id
  }
}

struct CancelEInvoice: OperationInput {
  let reason: String
  init(_ fields: inout InputReader) { reason = fields.text("reason", "Why it is taken back.", maximum: 500) }
}

extension BusinessOperation {
  /// Hands an issued invoice to the integrator, once: asking again answers with the one that is under way.
  static let sendEInvoice = BusinessOperation(
    "send_e_invoice", .post, "/v1/invoices/{id}/e-invoice", of: "e_invoices", access: .write(.finance), "Send an issued invoice as e-Fatura or e-Arşiv",
    description: "A worker sends it; the record's `state` says how far it is. Sending twice sends once.", input: NoInput.self, answer: .record("e_invoices")
  ) { run, _ in
    guard let record = try await EInvoiceRecord.load(try run.id(), run.tx) else { throw Problem.notFound }
    guard record.isIssued else { throw EInvoiceProblem.notIssued }
    if !record.mistakes.isEmpty { throw Problem.invalid(record.mistakes) }
    let id = UUID.v7()
    try await run.tx.run(
      """
      INSERT INTO crm.e_invoice (customer_id, id, invoice_id, ettn, profile)
      SELECT i.customer_id, \(id), i.id, i.ettn, i.profile FROM crm.invoice AS i WHERE i.id = \(try run.id())
      ON CONFLICT ON CONSTRAINT e_invoice_invoice_id_unique DO NOTHING
      """)
    let sent = try await run.tx.value(UUID.self, "SELECT e.id FROM crm.e_invoice AS e WHERE e.invoice_id = \(try run.id())")
    // The line may be down for hours; a job that gives up leaves the invoice where finance sees it.
    try await run.tx.run("SELECT crm.enqueue('e_invoice.deliver', jsonb_build_object('e_invoice_id', \(sent)::uuid), \("e_invoice:\(sent)"), now(), 20)")
    return .record(sent)
  }

  static let cancelEInvoice = BusinessOperation(
    "cancel_e_invoice", .post, "/v1/e_invoices/{id}/cancel", of: "e_invoices", access: .write(.finance), "Take back an e-Arşiv invoice",
    description: "The integrator is asked by a worker; `state` becomes cancelled when it agreed.", input: CancelEInvoice.self, answer: .record("e_invoices")
  ) { run, input in
    let id = try run.id()
    let profile = try await run.tx.first(EInvoiceProfile.self, "SELECT profile FROM crm.e_invoice WHERE id = \(id) FOR UPDATE")
    guard let profile else { throw Problem.notFound }
    guard profile.profile == .archive, try await run.tx.value(Bool.self, "SELECT crm.move_e_invoice(\(id), 'cancelling')") else {
      throw EInvoiceProblem.cannotCancel
    }
    try await run.tx.run("UPDATE crm.e_invoice SET cancel_reason = \(input.reason) WHERE id = \(id)")
    return .record(id)
  }
}

private struct EInvoiceProfile: RowDecodable {
  let profile: EInvoiceDocument.Profile
  init(row: PostgresRow) throws { profile = try row.decode("profile") }
}
