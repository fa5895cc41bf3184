import CRMCore
import Foundation
import PostgresClient

/// What a customer reaches through a quote's link, without a sign-in: the page, the PDF, and the answer.
struct PublicQuote {
  let database: Database
  let catalogue: Catalogue

  /// Whoever has the link acts through the system: nobody is signed in, and the link opens this quote alone.
  private static let caller = Caller.system("quote acceptance")

  var endpoints: [Endpoint] {
    let page: JSON = ["type": "string"]
    let token = Endpoint.Documentation.Parameter("token", in: .path, required: true, "The token of the link; for the PDF followed by .pdf.")
    let refusals: [(status: Int, description: String, mediaType: String?, schema: JSON?)] = [
      (404, "The link is not valid.", "text/html", page), (410, "The quote expired or was replaced.", "text/html", page),
    ]
    return [
      Endpoint(
        .get, "/q/{token}", access: .open,
        documentation: .init(
          "get_public_quote", tag: "quotes", "A quote as its customer sees it",
          description: "A page in Turkish or English by Accept-Language, without it in the customer's language; with .pdf at the end the quote as PDF.",
          parameters: [token], answers: [(200, "The page.", "text/html", page)] + refusals),
        handler: .operation { request in try await show(request) }),
      answering("accept", "accept_public_quote", "Accept a quote as its customer", .accepted, token, refusals),
      answering("decline", "decline_public_quote", "Decline a quote as its customer", .declined, token, refusals),
    ]
  }

  private func answering(
    _ verb: String, _ name: String, _ summary: String, _ kind: QuoteAnswer.Kind, _ token: Endpoint.Documentation.Parameter,
    _ refusals: [(status: Int, description: String, mediaType: String?, schema: JSON?)]
  ) -> Endpoint {
    Endpoint(
      .post, "/q/{token}/\(verb)", access: .open, body: .collected,
      documentation: .init(
        name, tag: "quotes", summary,
        description: "As a form from the page, answered with a page, or the same fields as application/json, answered with JSON. Each quote is answered once.",
        parameters: [token], input: ("application/x-www-form-urlencoded", InputReader.schema(of: QuoteAnswerInput.self)),
        answers: [
          (200, "The answer is recorded.", "text/html", ["type": "string"]),
          (200, "The answer is recorded.", "application/json", ["type": "object", "required": ["status"], "properties": ["status": ["type": "string"]]]),
          (409, "It was answered otherwise.", "text/html", ["type": "string"]),
        ]
          + refusals + [(422, "Something is missing.", "text/html", ["type": "string"])]),
      handler: .operation { request in
        request.isJSON ? try await answerWithJSON(request, kind) : try await answerWithPage(request, kind)
      })
  }

  // Showing

  private func show(_ request: Request) async throws -> Response {
    let name = request.parameters["token"] ?? ""
    let isPDF = name.hasSuffix(".pdf")
    let link = QuoteLink(token: isPDF ? String(name.dropLast(4)) : name)
    guard let quote = try await read(link, request) else { return Self.unknown(request.pageLanguage(nil)).response }
    let language = request.pageLanguage(quote)
    let page = QuotePage(quote, link: link, language)
    return isPDF && page.status == 200 ? try await quote.pdf(in: language) : page.response
  }

  private func read(_ link: QuoteLink, _ request: Request) async throws -> QuoteDocument? {
    try await QuoteDocument.read("q.link_hash = \(link.hash)", as: Self.caller, database, deadline: request.deadline)
  }

  private static func unknown(_ language: Language) -> QuotePage { QuotePage(unknownLink, language) }

  private static let unknownLink = Problem(
    404, "unknown-link", Phrase("This link is not valid", tr: "Bu bağlantı geçerli değil"),
    detail: Phrase(
      "There is no quote behind this address. Perhaps it was not copied whole, or a newer link was sent to you.",
      tr: "Bu adreste bir teklif yok. Adres eksik kopyalanmış ya da size daha yeni bir bağlantı gönderilmiş olabilir."))

  // Answering

  private func answerWithJSON(_ request: Request, _ kind: QuoteAnswer.Kind) async throws -> Response {
    let link = QuoteLink(token: request.parameters["token"] ?? "")
    let status = try await record(InputReader.read(QuoteAnswerInput.self, from: request.json()), kind, link, request)
    return .json(try JSON.object(["status": .string(status.rawValue)]).encoded())
  }

  private func answerWithPage(_ request: Request, _ kind: QuoteAnswer.Kind) async throws -> Response {
    let link = QuoteLink(token: request.parameters["token"] ?? "")
    let fields = try request.form()
    var status = 200
    var attempt: QuotePage.Attempt?
    do {
      _ = try await record(InputReader.read(QuoteAnswerInput.self, from: fields), kind, link, request)
    } catch let problem as Problem where problem.status == 422 {
      status = 422
      attempt = .init(name: fields["name"]?.string ?? "", reason: fields["reason"]?.string ?? "", errors: problem.errors)
    } catch let problem as Problem where problem.status == 409 && problem.code == "quote-status" {
      // The page says how it was answered, or that it is over.
      status = 409
    } catch let problem as Problem where problem.status < 500 && problem.code != "quote-expired" {
      return QuotePage(problem, request.pageLanguage(nil)).response
    } catch let problem as Problem where problem.code == "quote-expired" {
      status = 410
    }
    guard let quote = try await read(link, request) else { return Self.unknown(request.pageLanguage(nil)).response }
    return QuotePage(quote, link: link, request.pageLanguage(quote), status: status, attempt: attempt).response
  }

  /// - Returns: how the quote stands afterwards. Answering again just so changes nothing.
  private func record(_ input: QuoteAnswerInput, _ kind: QuoteAnswer.Kind, _ link: QuoteLink, _ request: Request) async throws -> QuoteState.Status {
    let answer = QuoteAnswer(
      kind: kind, name: input.name, reason: input.reason, via: .link, remoteAddress: request.remoteAddress,
      userAgent: (request.headers["user-agent"]?.prefix(500)).map(String.init))
    do {
      return try await database.transaction(as: Self.caller, request: request.id, deadline: request.deadline, retries: true) { tx in
        guard let quote = try await QuoteAnswer.locked("q.link_hash = \(link.hash)", tx) else { throw Self.unknownLink }
        if !answer.isGiven(to: quote) { try await answer.give(to: quote, tx: tx) }
        return kind == .accepted ? .accepted : .declined
      }
    } catch let error as PostgresError {
      throw WriteProblem(catalogue: catalogue).problem(for: error) ?? error
    }
  }
}

extension Request {
  /// What Accept-Language asks for, or else the customer's language.
  fileprivate func pageLanguage(_ quote: QuoteDocument?) -> Language {
    Language.preferred(in: headers["accept-language"]) ?? quote?.language ?? .turkish
  }
}
