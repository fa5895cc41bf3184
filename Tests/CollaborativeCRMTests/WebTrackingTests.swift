import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Web tracking")
struct WebTrackingTests {
  private static func report(_ server: TestServer, consent: Bool, visitor: String? = nil, _ paths: [String], origin: String? = PublicSites.origin) async throws
    -> TestServer.Answer
  {
    try await server.send(
      .post, "/v1/sites/site/events", as: nil,
      json: [
        "consent": .bool(consent), "visitor": visitor.map(JSON.string) ?? .null,
        "events": .array(
          paths.map {
            [
              "url": .string("https://www.carsi.example\($0)"), "title": .string("Sayfa \($0.prefix { $0 != "?" })"),
              "referrer": "https://arama.example/?q=gizli",
            ]
          }),
      ], headers: ["origin": origin ?? ""].filter { !$0.value.isEmpty })
  }

  private static func value(_ server: TestServer, _ statement: SQL) async throws -> Int {
    try await Database(pool: server.database.worker).read(as: .system("test"), statement)[0].decode(Int.self, at: 0)
  }

  @Test("without consent pages are counted and nothing else is kept")
  func withoutConsent() async throws {
    let server = try await TestServer.start()
    _ = try await PublicSites.add(server, code: "site", channel: "web", provider: "web")
    let answer = try await Self.report(server, consent: false, ["/", "/masa?utm_source=bulten&email=ada@ornek.example", "/masa"])
    #expect(answer.status == 200, "\(answer.text)")
    #expect(try answer.json()["visitor"] == .null)
    #expect(try await Self.value(server, "SELECT sum(views)::bigint FROM crm.page_count") == 3)
    #expect(try await Self.value(server, "SELECT count(*) FROM crm.page_count WHERE path = '/masa' AND utm_source = 'bulten'") == 1)
    #expect(try await Self.value(server, "SELECT count(*) FROM crm.page_count WHERE path LIKE '%@%'") == 0)
    #expect(try await Self.value(server, "SELECT (SELECT count(*) FROM crm.web_event) + (SELECT count(*) FROM crm.web_visitor)") == 0)
    #expect(try await Self.report(server, consent: false, ["/"], origin: "https://evil.example").status == 403)
    try await server.application.stop()
  }

  @Test("escapes of an address that stand for control characters are left out; what is no event at all is refused")
  func hostile() async throws {
    let server = try await TestServer.start()
    _ = try await PublicSites.add(server, code: "site", channel: "web", provider: "web")
    for consent in [true, false] {
      let answer = try await Self.report(server, consent: consent, ["/a%00b?utm_source=x%00y%0Az&utm_medium=%ff%fe", "/%00?utm_source=%00", "/%zz"])
      #expect(answer.status == 200, "\(answer.text)")
    }
    #expect(try await Self.value(server, "SELECT count(*) FROM crm.page_count WHERE path = '/ab' AND utm_source = 'xyz'") == 1)
    #expect(try await Self.value(server, "SELECT count(*) FROM crm.web_event WHERE path = '/ab' AND utm_source = 'xyz'") == 1)
    let bodies: [JSON] = [[], "x", ["consent": "yes", "events": []], ["consent": true, "events": [[:]]], ["consent": true, "events": [["url": "\u{0}"]]]]
    for body in bodies {
      let answer = try await server.send(.post, "/v1/sites/site/events", as: nil, json: body, headers: ["origin": PublicSites.origin], checked: false)
      #expect(answer.status == 422, "\(body): \(answer.text)")
    }
    try await server.application.stop()
  }

  @Test("a page with the longest of addresses is counted; a browser that asks for privacy is not recognised")
  func edges() async throws {
    let server = try await TestServer.start()
    _ = try await PublicSites.add(server, code: "site", channel: "web", provider: "web")
    // Letters of chance, so that nothing about them can be compressed.
    func letters(_ count: Int, _ range: ClosedRange<UInt32>) -> String {
      String(String.UnicodeScalarView((0..<count).compactMap { _ in Unicode.Scalar(UInt32.random(in: range)) }))
    }
    let campaign = ["source", "medium", "campaign"].map { "utm_\($0)=\(letters(280, 0x4E00...0x9FFF))" }.joined(separator: "&")
    for path in [letters(1_900, 0x4E00...0x9FFF), letters(1_000, 0x61...0x7A) + "?" + campaign] {
      let answer = try await server.send(
        .post, "/v1/sites/site/events", as: nil, json: ["consent": true, "events": [["url": .string("https://www.carsi.example/" + path)]]],
        headers: ["origin": PublicSites.origin])
      #expect(answer.status == 200, "\(answer.text)")
    }
    #expect(try await Self.value(server, "SELECT count(*) FROM crm.page_count") == 2)
    let visitors = try await Self.value(server, "SELECT count(*) FROM crm.web_visitor")
    for header in ["dnt", "sec-gpc"] {
      let answer = try await server.send(
        .post, "/v1/sites/site/events", as: nil, json: ["consent": true, "events": [["url": "https://www.carsi.example/gizli"]]],
        headers: ["origin": PublicSites.origin, header: "1"])
      #expect(try answer.json()["visitor"] == .null)
    }
    #expect(try await Self.value(server, "SELECT count(*) FROM crm.web_visitor") == visitors)
    #expect(try await Self.value(server, "SELECT sum(views)::bigint FROM crm.page_count WHERE path = '/gizli'") == 2)
    try await server.application.stop()
  }

  @Test("visits of a visitor who agreed appear in the timeline once it is known who it is, and go when the consent goes")
  func stitching() async throws {
    let server = try await TestServer.start()
    _ = try await PublicSites.add(server, code: "site", channel: "web", provider: "web")
    let customer = try #require(
      try await server.send(.post, "/v1/customers", json: ["name": "Ada A.Ş.", "kind": "organisation", "visibility": "company"]).json()["id"]?.string)
    let contact = try #require(
      try await server.send(.post, "/v1/contacts", json: ["customer_id": .string(customer), "name": "Ada"]).json()["id"]?.string)
    let first = try #require(try await Self.report(server, consent: true, ["/?utm_campaign=guz", "/masa"]).json()["visitor"]?.string)
    #expect(try await Self.value(server, "SELECT count(*) FROM crm.web_event") == 2)
    #expect(try await Self.value(server, "SELECT count(*) FROM crm.interaction") == 0)
    // Half an hour later is another visit.
    try await Database(pool: server.database.worker).transaction(as: .system("test")) { tx in
      _ = try await tx.run("UPDATE crm.web_visitor SET last_seen_at = now() - interval '1 hour'")
      _ = try await tx.run("UPDATE crm.web_event SET at = at - interval '1 hour'")
    }
    _ = try await Self.report(server, consent: true, visitor: first, ["/sepet"])
    let known = try await server.send(
      .post, "/v1/web_visitors/identify", as: "zeynep", json: ["visitor": .string(first), "contact_id": .string(contact)])
    #expect(known.status == 204, "\(known.text)")
    _ = try await Self.report(server, consent: true, visitor: first, ["/odeme"])
    let visits = try await server.send(.get, "/v1/interactions?kind=eq.visit&order=occurred_at", as: "zeynep").json()["data"]?.array ?? []
    #expect(visits.map { $0["body_text"]?.string } == ["/\n/masa\nutm_campaign: guz", "/sepet\n/odeme"])
    #expect(visits.allSatisfy { $0["customer_id"]?.string == customer && $0["contact_id"]?.string == contact })
    // Nobody becomes somebody else.
    let other = try #require(
      try await server.send(.post, "/v1/contacts", json: ["customer_id": .string(customer), "name": "Grace"]).json()["id"]?.string)
    #expect(
      try await server.send(.post, "/v1/web_visitors/identify", json: ["visitor": .string(first), "contact_id": .string(other)]).status == 409)
    #expect(try await server.send(.post, "/v1/web_visitors/identify", json: ["visitor": "forged", "contact_id": .string(contact)]).status == 422)
    #expect(
      try await server.send(.post, "/v1/web_visitors/identify", as: "emre", json: ["visitor": .string(first), "contact_id": .string(contact)]).status == 403)
    // The consent goes, and with it what the browser did; what is known of the customer's visits stays.
    #expect(try await Self.report(server, consent: false, visitor: first, ["/"]).json()["visitor"] == .null)
    #expect(try await Self.value(server, "SELECT (SELECT count(*) FROM crm.web_event) + (SELECT count(*) FROM crm.web_visitor)") == 0)
    try await server.application.stop()
  }
}
