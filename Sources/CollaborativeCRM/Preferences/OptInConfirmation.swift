import CRMCore
import Foundation
import PostgresClient

/// The second half of a double opt-in: the page behind the link that was sent to the address. Reading it changes nothing, so that programs that
/// follow links in mail do not consent for anybody.
struct OptInConfirmation {
  let database: Database

  var endpoints: [Endpoint] {
    let page: JSON = ["type": "string"]
    let token = Endpoint.Documentation.Parameter("token", in: .path, required: true, "The token of the link.")
    let unknown: (status: Int, description: String, mediaType: String?, schema: JSON?) = (404, "The link is not valid, or has expired.", "text/html", page)
    return [
      Endpoint(
        .get, "/o/{token}", access: .open,
        documentation: .init(
          "get_opt_in_page", tag: "channel_preferences", "A page that asks to confirm a consent", description: "Reading it changes nothing.",
          parameters: [token],
          answers: [(200, "The page.", "text/html", page), unknown]),
        handler: .operation { request in try await ask(request) }),
      Endpoint(
        .post, "/o/{token}", access: .open, body: .collected,
        documentation: .init(
          "confirm_opt_in", tag: "channel_preferences", "Confirm a consent", description: "Doing it again changes nothing.", parameters: [token],
          input: ("application/x-www-form-urlencoded", ["type": "object"]), inputIsOptional: true,
          answers: [(200, "The consent is recorded.", "text/html", page), unknown]),
        handler: .operation { request in try await confirm(request) }),
    ]
  }

  private func ask(_ request: Request) async throws -> Response {
    let token = request.parameters["token"] ?? ""
    let found = try await database.read(
      as: LinkTarget.caller, deadline: request.deadline,
      """
      SELECT l.address, u.name, u.name_tr, b.name AS brand FROM crm.preference_link l JOIN crm.consent_purpose u ON u.code = l.purpose
        LEFT JOIN crm.brand b ON b.id = l.brand_id
       WHERE l.kind = 'opt_in' AND l.token_hash = \(LinkToken(token: token).hash) AND (l.used_at IS NOT NULL OR l.expires_at > crm.consent_clock())
      """)
    guard let row = found.rows.first else { return PreferencePage.unknown(request) }
    let language = Language.preferred(in: request.headers["accept-language"]) ?? .turkish
    let address = try row.decode(String.self, "address")
    let brand = try row.decode(String?.self, "brand")
    let name = Phrase(try row.decode("name"), tr: try row.decode("name_tr"))
    let question = Phrase(
      "Shall “\(name.english)”\(brand.map { " of \($0)" } ?? "") come to \(address)? You can refuse again at any time.",
      tr: "\(brand.map { "\($0) " } ?? "")“\(name.turkish)” iletileri \(address) adresine gelsin mi? Her zaman vazgeçebilirsiniz.")
    let button = Phrase("Yes, confirm", tr: "Evet, onaylıyorum").text(in: language)
    let content: HTML = """
      <p>\(question.text(in: language))</p>
      <form method="post" action="/o/\(token)">
      <p><button type="submit">\(button)</button></p>
      </form>

      """
    return PublicPage(title: Phrase("Please confirm", tr: "Lütfen onaylayın").text(in: language), content: content, language: language).response
  }

  private func confirm(_ request: Request) async throws -> Response {
    let token = request.parameters["token"] ?? ""
    let trace = Trace(request)
    let event = try await database.transaction(as: LinkTarget.caller, request: request.id, deadline: request.deadline, retries: true) { tx in
      try await tx.value(UUID?.self, "SELECT crm.confirm_opt_in(\(token), \(trace.remoteAddress), \(trace.userAgent))")
    }
    guard event != nil else { return PreferencePage.unknown(request) }
    let language = Language.preferred(in: request.headers["accept-language"]) ?? .turkish
    let content: HTML = """
      <p role="status"><strong>\(Phrase("Confirmed. Thank you.", tr: "Onaylandı. Teşekkür ederiz.").text(in: language))</strong></p>

      """
    return PublicPage(title: Phrase("Confirmed", tr: "Onaylandı").text(in: language), content: content, language: language).response
  }
}
