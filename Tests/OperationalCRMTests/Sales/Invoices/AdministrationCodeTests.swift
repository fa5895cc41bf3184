import CRMCore
import Foundation
import MuhatapTestKit
import OperationalCRM
import PostgresClient
import Testing

@Suite("Codes of the revenue administration")
struct AdministrationCodeTests {
  private static let today = CalendarDate(daysSince1970: Int(Date.now.timeIntervalSince1970 / 86_400) - 1)

  private func list(_ path: String) async throws -> [JSON] {
    try await InvoiceFixture.suite().get("/v1/\(path)?limit=200")["data"]?.array ?? []
  }

  private func document(_ number: Int, _ kind: EInvoiceDocument.Kind, _ line: EInvoiceDocument.Line) -> EInvoiceDocument {
    EInvoiceDocument(
      profile: .basic, kind: kind, number: "KOD\(Self.today.year)" + String("00000000\(number)".suffix(9)), uuid: UUID(), issuedOn: Self.today,
      issuedAt: "09:30:00",
      supplier: .init(
        identity: .taxNumber("1234567890"), name: "Çarşı A.Ş.", taxOffice: "Beyoğlu", street: "İstiklal Cd. 1", district: "Beyoğlu", city: "İstanbul"),
      customer: .init(identity: .taxNumber("9876543210"), name: "Işık Ltd.", taxOffice: "Konak", street: "Ğ Sk. 5", district: "Konak", city: "İzmir"),
      lines: [line])
  }

  @Test("each exemption and each withholding that is offered stands on a document that the administration takes")
  func taken() async throws {
    var documents: [EInvoiceDocument] = []
    for code in try await list("exemption_codes") {
      let exemption = EInvoiceDocument.Exemption(code: try #require(code["code"]?.string), reason: try #require(code["name_tr"]?.string))
      documents.append(
        document(
          documents.count + 1, code["kind"] == "other" ? .sale : .exempt,
          .init(name: "Mal", quantity: 1, unitPrice: 100, net: 100, vatRate: 0, vat: 0, exemption: exemption)))
    }
    for code in try await list("withholding_codes") where code["valid_until"] == .null {
      let percent = try #require(code["percent"]?.string.flatMap { Decimal(string: $0) })
      let withholding = EInvoiceDocument.Withholding(
        code: try #require(code["code"]?.string), name: try #require(code["name_tr"]?.string), percent: percent)
      documents.append(
        document(
          documents.count + 1, .withheld,
          .init(name: "İş", quantity: 1, unitPrice: 100, net: 100, vatRate: 20, vat: 20, withheldVAT: percent / 5, withholding: withholding)))
    }
    #expect(documents.count > 130)
    let found = try await AdministrationChecker.findings(documents)
    #expect(found == "", "\(found.prefix(2_000))")
  }

  @Test("every code that the administration's lists have for the invoices we write is offered")
  func complete() async throws {
    let offered = Set(try await list("exemption_codes").compactMap { $0["code"]?.string })
    // 001 to 108 are of the special consumption tax; 308 and 339 of incentive invoices, 501 of tax-free shopping: documents of other kinds.
    let exemptions = try await AdministrationChecker.codes("istisnaTaxExemptionReasonCodeType")
      .filter { ("200"..."399").contains($0) && !["308", "339"].contains($0) }
    #expect(exemptions.count > 75 && exemptions.subtracting(offered) == [])
    let withheld = Set(try await list("withholding_codes").compactMap { $0["code"]?.string })
    #expect(try await AdministrationChecker.codes("WithholdingTaxType") == withheld)
  }
}
