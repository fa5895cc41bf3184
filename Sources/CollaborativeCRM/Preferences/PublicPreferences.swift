import CRMCore
import Foundation
import PostgresClient

/// The preference centre: what an address may get, opened by a link without a sign-in.
struct PublicPreferences {
  let database: Database
  let catalogue: Catalogue

  var endpoints: [Endpoint] {
    let page: JSON = ["type": "string"]
    let token = Endpoint.Documentation.Parameter("token", in: .path, required: true, "The token of the link.")
    let unknown: (status: Int, description: String, mediaType: String?, schema: JSON?) = (404, "The link is not valid.", "text/html", page)
    return [
      Endpoint(
        .get, "/p/{token}", access: .open,
        documentation: .init(
          "get_preference_page", tag: "channel_preferences", "The preferences of an address, for whoever has its link",
          description: "A page in Turkish or English by Accept-Language, without it in the customer's language.", parameters: [token],
          answers: [(200, "The page.", "text/html", page), unknown]),
        handler: .operation { request in try await show(request) }),
      Endpoint(
        .post, "/p/{token}", access: .open, body: .collected,
        documentation: .init(
          "save_preference_page", tag: "channel_preferences", "Save the preferences of an address",
          description: "The page's form: a field <channel>.<purpose> for each thing allowed, what is left out is refused; refuse_all refuses everything.",
          parameters: [token],
          input: (
            "application/x-www-form-urlencoded",
            [
              "type": "object", "properties": ["preferred_channel": ["type": "string"], "refuse_all": ["type": "string"]],
              "additionalProperties": ["type": "string"],
            ]
          ), inputIsOptional: true, answers: [(200, "The page, as it stands now.", "text/html", page), unknown]),
        handler: .operation { request in try await save(request) }),
    ]
  }

  private func show(_ request: Request) async throws -> Response {
    let token = request.parameters["token"] ?? ""
    let shown = try await database.transaction(as: LinkTarget.caller, request: request.id, deadline: request.deadline) { tx in
      try await Self.read(token, request, tx)
    }
    guard let (page, language) = shown else { return PreferencePage.unknown(request) }
    return page.response(token, language)
  }

  private static func read(_ token: String, _ request: Request, _ tx: PostgresTransaction) async throws -> (PreferencePage, Language)? {
    guard let target = try await tx.first(LinkTarget.self, LinkTarget.statement(token)) else { return nil }
    let language = Language.preferred(in: request.headers["accept-language"]) ?? target.language
    let choices = try await tx.all(PreferencePage.Choice.self, PreferencePage.choices(of: target, in: language))
    let preferred = try await tx.value(String?.self, "SELECT crm.preferred_channel(\(target.customerID), \(target.contactID))")
    return (PreferencePage(target: target, choices: choices, preferred: preferred), language)
  }

  private func save(_ request: Request) async throws -> Response {
    let token = request.parameters["token"] ?? ""
    let form = try request.form()
    let trace = Trace(request)
    do {
      let saved = try await database.transaction(as: LinkTarget.caller, request: request.id, deadline: request.deadline, retries: true) { tx in
        guard let (page, _) = try await Self.read(token, request, tx) else { return nil as (PreferencePage, Language)? }
        let refusesAll = form["refuse_all"] != nil
        func say(_ status: ConsentStatus, _ choice: PreferencePage.Choice) async throws {
          _ = try await page.target.say(status, channel: choice.channel, purpose: choice.purpose, textVersion: PreferencePage.textVersion, trace, tx)
        }
        // What was never allowed is refused only by who refuses everything: leaving a box empty is no refusal of what nobody asked for.
        for choice in page.choices where refusesAll || choice.isGranted && form[choice.field] == nil { try await say(.refused, choice) }
        // A refusal of marketing took everything with it; what is still ticked is wanted all the same.
        if !refusesAll, let (left, _) = try await Self.read(token, request, tx) {
          for choice in left.choices where !choice.isGranted && form[choice.field] != nil { try await say(.granted, choice) }
        }
        if let way = form["preferred_channel"]?.string, let customer = page.target.customerID, way.isEmpty || PreferencePage.preferable.contains(way) {
          try await Self.prefer(way.isEmpty ? nil : way, customer, page.target.contactID, tx)
        }
        return try await Self.read(token, request, tx)
      }
      guard let (page, language) = saved else { return PreferencePage.unknown(request) }
      return page.response(token, language, notice: Phrase("Saved. Thank you.", tr: "Kaydedildi. Teşekkür ederiz."))
    } catch let error as PostgresError {
      throw WriteProblem(catalogue: catalogue).problem(for: error) ?? error
    }
  }

  private static func prefer(_ way: String?, _ customer: UUID, _ contact: UUID?, _ tx: PostgresTransaction) async throws {
    try await tx.run(
      """
      INSERT INTO crm.channel_preference (customer_id, contact_id, preferred_channel) SELECT \(customer), \(contact), \(way)
       WHERE \(way)::text IS NOT NULL OR EXISTS (
         SELECT FROM crm.channel_preference p WHERE p.customer_id = \(customer) AND p.contact_id IS NOT DISTINCT FROM \(contact))
      ON CONFLICT ON CONSTRAINT channel_preference_contact_id_once DO UPDATE
         SET preferred_channel = excluded.preferred_channel, avoided_channels = array_remove(channel_preference.avoided_channels, excluded.preferred_channel)
       WHERE channel_preference.preferred_channel IS DISTINCT FROM excluded.preferred_channel
      """)
  }
}
