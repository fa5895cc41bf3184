import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Web forms")
struct WebFormTests {
  private static let fields: JSON = [
    ["name": "name", "type": "text", "label_tr": "Adınız", "required": true], ["name": "email", "type": "email", "required": true],
    ["name": "phone", "type": "phone"], ["name": "message", "type": "long_text", "label_tr": "Mesaj"],
    ["name": "size", "type": "choice", "options": ["small", "large"]],
  ]

  private static func form(_ server: TestServer, _ change: [String: JSON] = [:]) async throws -> JSON {
    let departments = try await server.send(.get, "/v1/departments?code=eq.sales").json()
    var body: [String: JSON] = [
      "code": "teklif", "name": "Teklif isteyin", "fields": fields, "origins": [.string(PublicSites.origin)],
      "department_id": departments["data"]?.array?.first?["id"] ?? .null,
    ]
    body.merge(change) { $1 }
    let answer = try await server.send(.post, "/v1/web_forms", json: .object(body))
    #expect(answer.status == 201, "\(answer.text)")
    return try answer.json()
  }

  private static func submit(
    _ server: TestServer, _ fields: JSON, key: String? = nil, more: [String: JSON] = [:], origin: String? = PublicSites.origin
  ) async throws -> TestServer.Answer {
    var body: [String: JSON] = ["fields": fields]
    if let key { body["key"] = .string(key) }
    body.merge(more) { $1 }
    return try await server.send(
      .post, "/v1/forms/teklif/submissions", as: nil, json: .object(body), headers: origin.map { ["origin": $0] } ?? [:])
  }

  private static func rows(_ server: TestServer, _ path: String) async throws -> [JSON] { try await server.send(.get, path).json()["data"]?.array ?? [] }

  @Test("a submission becomes a lead with its campaign, once; asking again touches the same lead")
  func leads() async throws {
    let server = try await TestServer.start()
    _ = try await Self.form(server)
    let shown = try await server.send(.get, "/v1/forms/teklif", as: nil, headers: ["origin": PublicSites.origin])
    #expect(try shown.json()["fields"]?.array?.count == 5)
    let ada: JSON = ["name": "Ada Çelik", "email": "Ada@Ornek.example", "phone": "0532 123 45 67", "message": "Kırk masa", "size": "large"]
    let first = try await Self.submit(
      server, ada, key: "k1", more: ["utm_source": "bülten", "utm_campaign": "güz", "page": "https://www.carsi.example/masa"])
    #expect(first.status == 202, "\(first.text)")
    #expect(first.headers["access-control-allow-origin"] == PublicSites.origin)
    let again = try await Self.submit(server, ada, key: "k1")
    #expect(try again.json()["id"] == first.json()["id"])
    var leads = try await Self.rows(server, "/v1/leads")
    #expect(leads.count == 1)
    let lead = try #require(leads.first)
    #expect(lead["email"]?.string == "ada@ornek.example")
    #expect(lead["phone"]?.string == "+905321234567")
    #expect(lead["interest"]?.string == "Kırk masa")
    #expect(lead["source"]?.string == "web")
    #expect(lead["first_utm_source"]?.string == "bülten")
    #expect(lead["first_page"]?.string == "https://www.carsi.example/masa")
    _ = try await Self.submit(server, ada, more: ["utm_source": "arama"])
    leads = try await Self.rows(server, "/v1/leads")
    #expect(leads.count == 1)
    #expect(leads.first?["first_utm_source"]?.string == "bülten")
    #expect(leads.first?["last_utm_source"]?.string == "arama")
    // Somebody who only seems to be the same is another lead, with a word about it.
    _ = try await Self.submit(server, ["name": "Ada Çelik", "email": "ada@baska.example", "phone": "05321234567"])
    #expect(try await Self.rows(server, "/v1/leads").count == 2)
    let submissions = try await Self.rows(server, "/v1/form_submissions?order=created_at")
    #expect(submissions.map { $0["state"]?.string } == ["taken", "known", "taken"])
    #expect(submissions.last?["duplicates"]?.array?.first?["id"] == lead["id"])
    #expect(submissions.first?["answers"]?["size"]?.string == "large")
    try await server.application.stop()
  }

  @Test("wrong fields, strangers' pages, programs and floods make nothing")
  func refusals() async throws {
    let server = try await TestServer.start()
    _ = try await Self.form(server, ["hourly_limit": 3])
    let wrong = try await Self.submit(server, ["email": "nobody", "size": "huge", "age": "7"])
    #expect(wrong.status == 422)
    let errors = try wrong.json()["errors"]?.array?.compactMap { $0["pointer"]?.string } ?? []
    #expect(Set(errors) == ["/fields/name", "/fields/email", "/fields/size", "/fields/age"])
    let good: JSON = ["name": "Ada", "email": "ada@ornek.example"]
    #expect(try await Self.submit(server, good, origin: "https://evil.example").status == 403)
    #expect(try await Self.submit(server, ["name": "Bot", "email": "bot@ornek.example", "fax_number": "1"]).status == 202)
    #expect(try await Self.rows(server, "/v1/leads").isEmpty)
    #expect(try await Self.rows(server, "/v1/form_submissions").map { $0["state"]?.string } == ["spam"])
    #expect(try await Self.submit(server, good).status == 202)
    #expect(try await Self.submit(server, good).status == 202)
    let flood = try await Self.submit(server, good)
    #expect(flood.status == 429)
    #expect(flood.headers["retry-after"] != nil)
    // Only marketing makes forms, and one that needs an account says so.
    let body: JSON = ["code": "x", "name": "x", "fields": Self.fields, "target": "ticket"]
    #expect(try await server.send(.post, "/v1/web_forms", as: "mehmet", json: body).status == 403)
    #expect(try await server.send(.post, "/v1/web_forms", json: body).status == 422)
    try await server.application.stop()
  }

  @Test("what nobody expects to be sent is answered, and a page can read what is wrong")
  func edges() async throws {
    let server = try await TestServer.start()
    let long: JSON = .array((0..<8).map { ["name": .string("f\($0)"), "type": "long_text"] })
    _ = try await Self.form(server, ["fields": long, "hourly_limit": 1_000])
    let text = JSON.string(String(repeating: "ğ", count: 10_000))
    let huge = try await Self.submit(server, .object(Dictionary(uniqueKeysWithValues: (0..<8).map { ("f\($0)", text) })))
    #expect(huge.status == 422 && huge.headers["access-control-allow-origin"] == PublicSites.origin, "\(huge.text)")
    #expect(try await Self.submit(server, ["fax_number": "1", "f0": "a\0b", "f1": ["x": "\0"]]).status == 202)
    #expect(try await Self.submit(server, ["fax_number": "a\0b"]).status == 202)
    #expect(try await Self.submit(server, ["fax_number": ["a\0b"]]).status == 422)
    // Nobody is asked for a name: what is said makes a lead all the same.
    #expect(try await Self.submit(server, ["f0": "Geri arayın"]).status == 202)
    #expect(try await Self.rows(server, "/v1/leads").map { $0["name"] } == ["Teklif isteyin"])
    let flood = try await server.send(.get, "/v1/forms/teklif", as: nil, headers: ["origin": "https://evil.example"])
    #expect(flood.status == 403 && flood.headers["access-control-allow-origin"] == nil)
    try await server.application.stop()
  }

  @Test("one network's addresses are one sender, and a proxy's ports are none")
  func networks() async throws {
    let server = try await TestServer.start { $0.trustsForwardedFor = true }
    _ = try await Self.form(server, ["hourly_limit": 3])
    func submit(_ address: String) async throws -> Int {
      try await server.send(
        .post, "/v1/forms/teklif/submissions", as: nil, json: ["fields": ["name": "Ada", "email": "ada@ornek.example"]],
        headers: ["x-forwarded-for": "203.0.113.9, \(address)"]
      ).status
    }
    for number in 1...3 { #expect(try await submit("2001:db8:1:2::\(number)") == 202) }
    #expect(try await submit("2001:db8:1:2:ffff::9") == 429)
    #expect(try await submit("2001:db8:1:3::1") == 202)
    for number in 1...3 { #expect(try await submit("192.0.2.1:\(4_000 + number)") == 202) }
    #expect(try await submit("192.0.2.1") == 429)
    #expect(try await submit("[2001:db8:1:2::7]:443") == 429)
    let kept = try await Database(pool: server.database.worker).read(
      as: .system("test"), "SELECT count(*) FROM crm.form_submission WHERE remote_address IN ('192.0.2.1', '2001:db8:1:2::1')")
    #expect(try kept[0].decode(Int.self, at: 0) == 4)
    try await server.application.stop()
  }

  @Test("a form that is to open a ticket opens one, under the name that was given; nobody's mailbox is filled with confirmations")
  func tickets() async throws {
    let server = try await TestServer.start { $0.publicAddress = "https://crm.carsi.example" }
    let account = try await PublicSites.add(server, code: "form", channel: "form", provider: "form")
    _ = try await Self.form(
      server, ["target": "ticket", "channel_account_id": .string(account), "double_opt_in": true, "consent_text": "İsterim.", "hourly_limit": 100])
    for number in 0..<5 {
      let answer = try await Self.submit(server, ["name": "Kurban Öz", "email": "kurban@ornek.example", "message": .string("\(number)"), "consent": true])
      #expect(answer.status == 202, "\(answer.text)")
    }
    #expect(try await Self.rows(server, "/v1/tickets").count == 5)
    #expect(try await Self.rows(server, "/v1/customers?provisional=eq.true").map { $0["name"] } == ["Kurban Öz"])
    let asked = try await Self.rows(server, "/v1/form_submissions").filter { $0["opt_in_asked_at"]?.string != nil }
    #expect(asked.count == 3)
    try await server.application.stop()
  }

  @Test("a form with an account enters a conversation, opens a ticket where it should, and asks by mail whether messages are wanted")
  func conversations() async throws {
    let server = try await TestServer.start { $0.publicAddress = "https://crm.carsi.example/" }
    let account = try await PublicSites.add(server, code: "form", channel: "form", provider: "form")
    _ = try await Self.form(
      server,
      ["target": "conversation", "channel_account_id": .string(account), "double_opt_in": true, "consent_text": "Kampanyalardan haberdar olmak istiyorum."])
    _ = try await Self.submit(server, ["name": "Ada", "email": "ada@ornek.example", "message": "Merhaba", "consent": true])
    let interactions = try await Self.rows(server, "/v1/interactions")
    #expect(interactions.count == 1)
    #expect(interactions.first?["kind"]?.string == "submission")
    #expect(interactions.first?["body_text"]?.string == "Adınız: Ada\nemail: ada@ornek.example\nMesaj: Merhaba")
    let submission = try #require(try await Self.rows(server, "/v1/form_submissions").first)
    #expect(submission["opt_in_asked_at"]?.string != nil)
    #expect(submission["conversation_id"] == interactions.first?["conversation_id"])
    let links = try await Database(pool: server.database.worker).read(
      as: .system("test"), "SELECT l.address, l.text_version FROM crm.preference_link l WHERE l.kind = 'opt_in' AND l.used_at IS NULL")
    #expect(links.count == 1)
    #expect(try links[0].decode(String.self, at: 0) == "ada@ornek.example")
    let mails = try await Database(pool: server.database.worker).read(
      as: .system("test"),
      "SELECT m.address FROM crm.outbound_message m WHERE m.body_text LIKE '%https://crm.carsi.example/o/%' AND m.legal_class = 'transactional'")
    #expect(mails.count == 1)
    #expect(try mails[0].decode(String.self, at: 0) == "ada@ornek.example")
    // Asking is no consent.
    let events = try await Database(pool: server.database.worker).read(as: .system("test"), "SELECT 1 FROM crm.consent_event")
    #expect(events.count == 0)
    _ = try await Self.submit(server, ["name": "Grace", "email": "grace@ornek.example"])
    #expect(try await Self.rows(server, "/v1/form_submissions?opt_in_asked_at=is.null").count == 1)
    try await server.application.stop()
  }
}
