import CRMCore
import Foundation
import PostgresClient

/// A browser's word that nobody is to be recognised (Global Privacy Control, Do Not Track).
private func asksForPrivacy(_ request: Request) -> Bool { request.headers["sec-gpc"] == "1" || request.headers["dnt"] == "1" }

extension Concept {
  /// What happens on the company's own pages: counted for everybody, kept for those who agreed.
  static let webTracking = Concept(
    operations: [.identifyVisitor], signedEndpoints: { database, _, signer in WebTracking(database: database, signer: signer).endpoints })
}

/// What a tracked page may report.
struct WebTracking: Sendable {
  let database: Database
  let signer: CursorSigner
  private let floods = RateLimit(300, per: .seconds(60))
  private static let path = "/v1/sites/{site}/events"
  private static let tag = "tracking"

  init(database: Database, signer: CursorSigner) {
    self.database = database
    self.signer = signer
  }

  private struct Report: OperationInput {
    let consent: Bool
    let visitor: String?
    let events: [Event]

    init(_ fields: inout InputReader) {
      consent = fields.flag(
        "consent", "Whether the user agreed to be recognised. Without it nothing is kept but counts; false with a token forgets the visitor.")
      visitor = fields.optionalText("visitor", "The token from the answer before.", maximum: 1_000)
      events = fields.list("events", "What happened, oldest first.", of: Event.self, maximum: 100)
    }
  }

  private struct Event: OperationInput {
    let name: String
    let url: String
    let title: String?
    let referrer: String?

    init(_ fields: inout InputReader) {
      name = fields.optionalText("name", "page (if left out), or what happened on it, such as add_to_cart.", maximum: 100) ?? "page"
      url = fields.text("url", "The page's address; of its query only the utm parameters are kept.")
      title = fields.optionalText("title", "The page's title.", maximum: 500)
      referrer = fields.optionalText("referrer", "Where the visitor came from; only its host is kept.")
    }

    /// As it is kept: nothing of the query but the campaign.
    var json: JSON? {
      guard let components = URLComponents(string: url) else { return nil }
      let path = Self.kept(components.path, 1_500)
      var members: [String: JSON] = ["name": .string(name.isEmpty ? "page" : name), "path": .string(path.isEmpty ? "/" : path)]
      for item in components.queryItems ?? [] where ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"].contains(item.name) {
        if let value = item.value, !value.isEmpty { members[item.name] = .string(Self.kept(value, 300)) }
      }
      if let title { members["title"] = .string(title) }
      if let host = referrer.flatMap({ URLComponents(string: $0)?.host }) { members["referrer"] = .string(Self.kept(host, 253)) }
      return .object(members)
    }

    /// Escapes of an address may stand for anything; control characters, of which PostgreSQL keeps no U+0000, say nothing about a page.
    /// - Parameter length: in bytes of UTF-8, so that a path and its campaign fit into one entry of an index.
    private static func kept(_ text: String, _ length: Int) -> String {
      var kept = String.UnicodeScalarView()
      var bytes = 0
      for scalar in text.unicodeScalars where scalar.properties.generalCategory != .control {
        bytes += UTF8.width(scalar)
        if bytes > length { break }
        kept.append(scalar)
      }
      return String(kept)
    }
  }

  var endpoints: [Endpoint] {
    [report, CrossOrigin.preflight(Self.path, "options_site_events", tag: Self.tag) { try await site($0).origins }]
  }

  private func site(_ request: Request) async throws -> PublicSite {
    try await PublicSite.find(request.parameters["site"] ?? "", provider: "web", in: database)
  }

  private var report: Endpoint {
    Endpoint(
      .post, Self.path, access: .open, body: .collected,
      documentation: .init(
        "track_events", tag: Self.tag, "Report what happens on a page",
        description:
          "Network addresses and browsers' names are never kept. Who a visitor is comes from identify_visitor alone. A browser that asks for privacy (Sec-GPC: 1 or "
          + "DNT: 1) is counted as one whose user did not agree; what was known of it before stays until consent is false.",
        parameters: CrossOrigin.parameters(Self.path), input: ("application/json", InputReader.schema(of: Report.self)),
        answers: [
          (
            200, "The token of a visitor who agreed; null for everybody else.", "application/json",
            ["type": "object", "required": ["visitor"], "properties": ["visitor": AnswerField.optional(AnswerField.text)]]
          )
        ], refusals: [403, 422, 429]),
      handler: .operation { request in
        let site = try await site(request)
        return try await CrossOrigin.answering(request, allowing: site.origins) { headers in
          try floods.count(RateLimit.source(request.remoteAddress))
          return try await take(try InputReader.read(Report.self, from: try request.json()), request, site, headers)
        }
      })
  }

  private func take(_ report: Report, _ request: Request, _ site: PublicSite, _ headers: [(name: String, value: String)]) async throws -> Response {
    let known = report.visitor.flatMap { try? VisitorToken(sealed: $0, site: site.id, signer: signer, now: .now) }
    let end = Date(timeIntervalSince1970: (Date.now.timeIntervalSince1970 + VisitorToken.lifetime * 12).rounded(.down))
    let isKept = report.consent && !asksForPrivacy(request)
    let visitor = isKept ? known ?? VisitorToken(visitor: .v7(), site: site.id, name: nil, email: nil, expiresAt: end) : nil
    let events = JSONText(String(decoding: try JSON.array(report.events.compactMap(\.json)).encoded(), as: UTF8.self))
    try await database.transaction(as: .system("web tracking"), request: request.id, deadline: request.deadline, retries: true) { tx in
      if !report.consent, let known { try await tx.run("DELETE FROM crm.web_visitor WHERE id = \(known.visitor)") }
      _ = try await tx.result("SELECT crm.track(\(site.id), \(visitor?.visitor), \(events)::jsonb)")
    }
    let json: JSON = ["visitor": try visitor.map { .string(try $0.sealed(by: signer)) } ?? .null]
    return .json(try json.encoded(), headers: headers)
  }
}
