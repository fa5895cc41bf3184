import CRMCore
import Foundation
import PostgresClient

/// Unsubscribing with one click (RFC 8058), and the page behind the same address, which changes nothing until its button is pressed.
struct Unsubscribing {
  let database: Database

  var endpoints: [Endpoint] {
    let page: JSON = ["type": "string"]
    let token = Endpoint.Documentation.Parameter("token", in: .path, required: true, "The token of the message.")
    let unknown: (status: Int, description: String, mediaType: String?, schema: JSON?) = (404, "The link is not valid.", "text/html", page)
    return [
      Endpoint(
        .get, "/u/{token}", access: .open,
        documentation: .init(
          "get_unsubscribe_page", tag: "channel_preferences", "A page that asks whether to unsubscribe", description: "Reading it changes nothing.",
          parameters: [token], answers: [(200, "The page.", "text/html", page), unknown]),
        handler: .operation { request in try await ask(request) }),
      Endpoint(
        .post, "/u/{token}", access: .open, body: .collected,
        documentation: .init(
          "unsubscribe", tag: "channel_preferences", "Unsubscribe an address with one click",
          description: "What List-Unsubscribe-Post promises: no sign-in, no further question. Doing it again changes nothing.", parameters: [token],
          input: (
            "application/x-www-form-urlencoded",
            ["type": "object", "properties": ["List-Unsubscribe": ["type": "string", "description": "One-Click, as RFC 8058 has it."]]]
          ), inputIsOptional: true, answers: [(200, "It is done.", "text/html", page), unknown]),
        handler: .operation { request in try await unsubscribe(request) }),
    ]
  }

  private func ask(_ request: Request) async throws -> Response {
    let token = request.parameters["token"] ?? ""
    let found = try await database.read(as: LinkTarget.caller, deadline: request.deadline, LinkTarget.statement(token))
    guard let target = try found.rows.first.map(LinkTarget.init(row:)) else { return PreferencePage.unknown(request) }
    let language = Language.preferred(in: request.headers["accept-language"]) ?? target.language
    let button = Phrase("Unsubscribe", tr: "Abonelikten çık").text(in: language)
    let question = Phrase(
      "No more messages of this kind will come to \(target.maskedAddress)\(target.brandName.map { " from \($0)" } ?? "").",
      tr: "\(target.maskedAddress) adresine \(target.brandName.map { "\($0) tarafından " } ?? "")bu tür ileti artık gönderilmeyecek.")
    let content: HTML = """
      <p>\(question.text(in: language))</p>
      <form method="post" action="/u/\(token)">
      <p><button type="submit">\(button)</button></p>
      </form>
      <p><a href="/p/\(token)">\(PreferencePage.allPreferences.text(in: language))</a></p>

      """
    return PublicPage(title: button, content: content, language: language).response
  }

  private func unsubscribe(_ request: Request) async throws -> Response {
    let token = request.parameters["token"] ?? ""
    let trace = Trace(request)
    let target = try await database.transaction(as: LinkTarget.caller, request: request.id, deadline: request.deadline, retries: true) { tx -> LinkTarget? in
      guard let target = try await tx.first(LinkTarget.self, LinkTarget.statement(token)) else { return nil }
      _ = try await target.say(.refused, channel: target.channel, purpose: target.purpose, textVersion: nil, trace, tx)
      return target
    }
    guard let target else { return PreferencePage.unknown(request) }
    let language = Language.preferred(in: request.headers["accept-language"]) ?? target.language
    let content: HTML = """
      <p role="status"><strong>\(Phrase("You are unsubscribed.", tr: "Abonelikten çıktınız.").text(in: language))</strong></p>
      <p>\(Phrase("Nothing of this kind will be sent to \(target.maskedAddress) any more.", tr: "\(target.maskedAddress) adresine artık bu tür ileti gönderilmeyecek.").text(in: language))</p>
      <p><a href="/p/\(token)">\(PreferencePage.allPreferences.text(in: language))</a></p>

      """
    return PublicPage(title: Phrase("Unsubscribed", tr: "Abonelikten çıkıldı").text(in: language), content: content, language: language).response
  }
}
