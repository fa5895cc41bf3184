import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite struct QuotePDFTests {
  /// What a reader can copy out of a PDF, by poppler, which had no part in making it.
  private func text(_ bytes: [UInt8]) async throws -> String {
    let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID()).pdf")
    try Data(bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try await Command("pdftotext", ["-layout", file.path, "-"]).run()
  }

  private func fonts(_ bytes: [UInt8]) async throws -> [String] {
    let file = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID()).pdf")
    try Data(bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try await Command("pdffonts", [file.path]).run().split(separator: "\n").dropFirst(2).map(String.init)
  }

  @Test func `the PDF says in both languages what the quote says, with its fonts in it`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let id = try await desk.draft(customer: try await desk.customer("İğneciler Şöförü Çağ Ltd."), ["valid_until": "2099-11-21", "terms": "Ödeme: peşin"])
    let path = try await desk.sent(id)
    let shown = try await desk.server.send(.get, "\(path).pdf", as: nil)
    #expect(shown.status == 200 && shown.headers["content-type"] == "application/pdf", "\(shown.text.prefix(200))")
    #expect(shown.headers["content-disposition"]?.wholeMatch(of: /inline; filename="Q-\d{4}-\d{6}-1\.pdf"/) != nil)
    let turkish = try await text(shown.bytes).replacing("\u{a0}", with: " ")
    for part in ["İğneciler Şöförü Çağ Ltd.", "Teklif Q-", "21.11.2099", "1.000,00 ₺", "1.700,99 ₺", "KDV %20", "Genel toplam", "Ödeme: peşin", "Çarşı Market"]
    {
      #expect(turkish.contains(part), "\(part) is not in \(turkish)")
    }
    let colleague = try await desk.server.send(.get, "/v1/quotes/\(id)/pdf", as: "mehmet", headers: ["accept-language": "en"])
    let english = try await text(colleague.bytes).replacing("\u{a0}", with: " ")
    for part in ["Quote Q-", "21 November 2099", "₺1,000.00", "VAT 20% of ₺1,333.33", "₺1,700.99"] {
      #expect(english.contains(part), "\(part) is not in \(english)")
    }
    let fonts = try await fonts(colleague.bytes)
    #expect(!fonts.isEmpty && fonts.allSatisfy { $0.contains(#/\syes\s+yes\s+yes\s/#) }, "\(fonts)")
    #expect(try await desk.server.send(.get, "/v1/quotes/\(id)/pdf", as: "emre").status == 403)
    #expect(try await desk.server.send(.get, "/v1/quotes/\(UUID().uuidString)/pdf", as: "mehmet").status == 404)
  }

  @Test func `a long quote goes on over the page, with its heads repeated`() async throws {
    let rows = (1...120).map { ["\($0)", "Ürün \($0)", "1", "1", "", "%20", "1,00 ₺"] }
    let columns = ["No", "Ürün", "Miktar", "Fiyat", "İndirim", "KDV", "Tutar"].map { PDFDocument.Column($0, share: 1.0 / 7) }
    let document = PDFDocument(
      title: "Uzun", author: "Çarşı Market", footer: "Uzun",
      elements: [.title("Uzun"), .table(columns, rows: rows), .paragraph(String(repeating: "Şartlar uzun uzadıya anlatılır. ", count: 400))])
    let text = try await text(document.rendered())
    let pages = text.split(separator: "\u{c}").count
    #expect(pages >= 4 && text.ranges(of: "Miktar").count >= 3, "\(pages)")
    #expect((1...120).allSatisfy { text.contains("Ürün \($0) ") || text.contains("Ürün \($0)\n") })
    #expect(text.contains("Uzun · \(pages)"))
  }
}
