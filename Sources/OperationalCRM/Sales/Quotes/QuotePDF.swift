import CRMCore
import Foundation
import PostgresClient

extension QuoteDocument {
  /// The quote as a PDF, in a language.
  func pdf(in language: Language) async throws(Problem) -> Response {
    let columns: [(title: Phrase, share: Double, alignment: PDFDocument.Alignment)] = [
      (QuoteWords.number, 0.06, .start), (QuoteWords.item, 0.30, .start), (QuoteWords.quantity, 0.12, .end), (QuoteWords.unitPrice, 0.16, .end),
      (QuoteWords.discount, 0.10, .end), (QuoteWords.vatRate, 0.10, .end), (QuoteWords.amount, 0.16, .end),
    ]
    let title = "\(QuoteWords.quote.text(in: language)) \(name)"
    var elements: [PDFDocument.Element] = [
      .title(title), .facts(facts(language)), .heading(QuoteWords.lines.text(in: language)),
      .table(columns.map { .init($0.title.text(in: language), share: $0.share, $0.alignment) }, rows: lines.map { cells($0, language) }),
      .totals(totals(language)),
    ]
    if let terms, !terms.isEmpty { elements += [.heading(QuoteWords.terms.text(in: language)), .paragraph(terms)] }
    let document = PDFDocument(title: title, author: company, footer: "\(company) · \(name)", elements: elements)
    return Response(
      status: 200,
      headers: [
        ("content-type", "application/pdf"), ("content-language", language.rawValue),
        ("content-disposition", "inline; filename=\"\(number)-\(revision).pdf\""),
      ], body: .bytes(try await document.rendered()))
  }
}

extension Endpoint {
  /// `GET /v1/quotes/{id}/pdf`
  static func quotePDF(_ database: Database) -> Endpoint {
    Endpoint(
      .get, "/v1/quotes/{id}/pdf", access: .read(.sales),
      documentation: .init(
        "get_quote_pdf", tag: "quotes", "A quote as PDF",
        description: "In the language of Accept-Language; without it in the customer's.",
        answers: [(200, "The document.", "application/pdf", nil)]),
      handler: .operation { request in
        guard let id = request.parameters["id"].flatMap(UUID.init(uuidString:)),
          let quote = try await QuoteDocument.read("q.id = \(id)", as: request.caller, database, deadline: request.deadline)
        else { throw Problem.notFound }
        return try await quote.pdf(in: Language.preferred(in: request.headers["accept-language"]) ?? quote.language)
      })
  }
}
