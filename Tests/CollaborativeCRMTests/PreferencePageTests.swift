import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The preference centre")
struct PreferencePageTests {
  private func open(_ path: String, _ api: TestAPI, language: String = "tr") async throws -> TestAPI.Answer {
    try await api.send(.get, path, headers: ["accept-language": language])
  }

  private func post(_ path: String, _ form: String, _ api: TestAPI) async throws -> TestAPI.Answer {
    try await api.send(
      .post, path, body: Array(form.utf8), headers: ["content-type": "application/x-www-form-urlencoded", "accept-language": "en", "user-agent": "Deneme/1.0"])
  }

  private func token(of person: Person, _ api: TestAPI) async throws -> String {
    try await api.behind(
      "SELECT crm.message_token(id) AS token FROM crm.outbound_message WHERE customer_id = \(UUID(uuidString: person.id)) ORDER BY id DESC LIMIT 1")[0]
      .decode("token")
  }

  @Test func `one click unsubscribes; looking at the page does not`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    _ = try await person.says("ONAY", api)
    #expect(try await person.gets("commercial", api) == "queued")
    let token = try await token(of: person, api)
    let page = try await open("/u/\(token)", api)
    #expect(
      page.status == 200 && page.text.contains("<html lang=\"tr\">") && page.text.contains("Abonelikten çık") && !page.text.contains(person.email),
      "\(page.text)")
    #expect(try await person.gets("commercial", api) == "queued")
    let done = try await post("/u/\(token)", "List-Unsubscribe=One-Click", api)
    #expect(done.status == 200 && done.text.contains("You are unsubscribed."), "\(done.text)")
    #expect(try await person.gets("commercial", api) == "refused")
    #expect(try await post("/u/\(token)", "List-Unsubscribe=One-Click", api).status == 200)
    let events = try await api.send(.get, "/v1/consent_events", ["customer_id": "eq.\(person.id)", "status": "eq.RET"]).rows()
    #expect(events.count == 1 && events[0]["user_agent"] == "Deneme/1.0" && events[0]["source"] == "HS_WEB")
    let wrong = String(token.dropLast()) + (token.hasSuffix("A") ? "B" : "A")
    #expect(try await post("/u/\(wrong)", "List-Unsubscribe=One-Click", api).status == 404)
    #expect(try await open("/u/x", api).status == 404)
  }

  @Test func `every commercial message says who sends it and how to refuse, also to mail programs`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let code = "b\(Int.random(in: 100_000...999_999))"
    let made = try await api.send(
      .post, "/v1/brands", as: "elif",
      json: [
        "code": .string(code), "name": "Çarşı", "contact_line": "Çarşı <A.Ş.>, MERSİS 0123456789012345",
        "link_base": "https://izin.carsi.example",
      ])
    let brand = try #require(try made.json()["id"]?.string, "\(made.text)")
    _ = try await person.says("ONAY", api, ["brand_id": .string(brand)])
    #expect(try await person.gets("commercial", api, ["brand_id": .string(brand), "body_html": "<html><body><p>Merhaba</p></body></html>"]) == "queued")
    #expect(try await person.gets("transactional", api, ["brand_id": .string(brand)]) == "queued")
    let rows = try await api.behind(
      """
      SELECT m.body_text, coalesce(m.body_html, '') AS body_html, coalesce(m.headers ->> 'List-Unsubscribe', '') AS list, crm.unsubscribe_url(m.id) AS link
        FROM crm.outbound_message m WHERE m.customer_id = \(UUID(uuidString: person.id)) ORDER BY m.legal_class
      """)
    let link = try rows[0].decode(String.self, "link")
    #expect(try rows[0].decode(String.self, "body_text") == "Merhaba\n\nÇarşı <A.Ş.>, MERSİS 0123456789012345\nİleti almak istemiyorsanız: \(link)")
    #expect(
      try rows[0].decode(String.self, "body_html").hasSuffix(
        "<p>Çarşı &lt;A.Ş.&gt;, MERSİS 0123456789012345</p><p><a href=\"\(link)\">İleti almak istemiyorum</a></p></body></html>"))
    #expect(try rows[0].decode(String.self, "list") == "<\(link)>")
    #expect(try rows[1].decode(String.self, "body_text") == "Merhaba" && rows[1].decode(String.self, "list") == "")
  }

  @Test func `a merchant who unsubscribes is refused as a merchant`() async throws {
    let api = try await TestAPI.suite()
    let merchant = try await Person.make(api, kind: "organisation", taxNumber: "9960308245")
    #expect(try await merchant.gets("commercial", api) == "queued")
    #expect(try await post("/u/\(token(of: merchant, api))", "List-Unsubscribe=One-Click", api).status == 200)
    #expect(try await merchant.gets("commercial", api) == "refused")
    #expect(try await api.send(.get, "/v1/consent_events", ["customer_id": "eq.\(merchant.id)"]).rows().first?["recipient_type"] == "TACIR")
  }

  @Test func `whoever has the link says what may come, in both languages, and it is so`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let made = try await api.send(.post, "/v1/customers/\(person.id)/preference_link", as: "ayse", json: ["channel": "sms", "address": .string(person.phone)])
    #expect(made.status == 201, "\(made.text)")
    let path = try #require(try made.json()["path"]?.string)
    let turkish = try await open(path, api)
    #expect(
      turkish.text.contains("Tercihleriniz") && turkish.text.contains("<label for=\"sms.marketing\">") && !turkish.text.contains(" checked"), "\(turkish.text)")
    #expect(try await open(path, api, language: "en").text.contains("Your preferences"))
    let saved = try await post(path, "sms.marketing=yes&preferred_channel=sms", api)
    #expect(saved.status == 200 && saved.text.contains("name=\"sms.marketing\" value=\"yes\" aria-describedby=\"sms.marketing.text\" checked"), "\(saved.text)")
    #expect(try await person.gets("commercial", api, ["channel": "sms"]) == "queued")
    #expect(try await person.gets("commercial", api, ["channel": "phone"]) == "no_consent")
    // Nothing is said twice, and what was never asked for is not refused.
    #expect(try await post(path, "sms.marketing=yes&preferred_channel=sms", api).status == 200)
    #expect(try await api.send(.get, "/v1/consent_events", ["customer_id": "eq.\(person.id)"]).rows().count == 1)
    #expect(try await post(path, "preferred_channel=", api).status == 200)
    #expect(try await person.gets("commercial", api, ["channel": "sms"]) == "refused")
    #expect(try await post(path, "refuse_all=yes", api).status == 200)
    let refused = try await api.send(
      .get, "/v1/consent_events", ["customer_id": "eq.\(person.id)", "status": "eq.RET", "select": "channel,purpose,text_version"]
    ).rows()
    // Refusing marketing refuses every purpose on the channel.
    #expect(refused.count == 2 && refused.allSatisfy { $0["text_version"] == .string("preference-page-1") }, "\(refused)")
    #expect(try await api.send(.post, "/v1/customers/\(person.id)/preference_link", json: ["channel": "email", "address": "x@baska.example"]).status == 422)
  }

  @Test func `a double opt-in is a consent only when it is confirmed, once, and lifts what suppressed the address`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let id = try #require(UUID(uuidString: person.id))
    let system = Caller.system("form").context(writing: Set(Area.allCases), request: nil)
    _ = try await api.behind("SELECT crm.suppress('email', \(person.email), 'unsubscribed')")
    let token: String = try await api.database.app.execute(
      [
        "SELECT crm.request_opt_in(\(id), NULL, 'email', \(person.email), 'newsletter', NULL, 'HS_WEB', 'form-3', '192.0.2.7', 'Tarayıcı', 'https://izin.carsi.example')"
      ],
      context: system, deadline: .after(.seconds(60)))[0][0].decode(at: 0)
    let mail = try await api.behind("SELECT body_text, state, legal_class FROM crm.outbound_message WHERE customer_id = \(id)")[0]
    #expect(try mail.decode(String.self, "body_text").contains("https://izin.carsi.example/o/\(token)"))
    #expect(try mail.decode(String.self, "legal_class") == "transactional")
    #expect(try await open("/o/\(token)", api).text.contains("Evet, onaylıyorum"))
    #expect(try await person.gets("commercial", api, ["purpose": "newsletter"]) == "suppressed")
    #expect(try await post("/o/\(token)", "", api).status == 200)
    #expect(try await post("/o/\(token)", "", api).status == 200)
    #expect(try await person.gets("commercial", api, ["purpose": "newsletter"]) == "queued")
    let events = try await api.send(.get, "/v1/consent_events", ["customer_id": "eq.\(person.id)"]).rows()
    #expect(events.count == 1 && events[0]["text_version"] == "form-3" && events[0]["note"]?.string?.contains("192.0.2.7") == true)
    #expect(try await post("/o/yok", "", api).status == 404)
    _ = try await api.behind("UPDATE crm.preference_link SET expires_at = now() - interval '1 day', used_at = NULL WHERE customer_id = \(id)")
    #expect(try await post("/o/\(token)", "", api).status == 404)
  }

  @Test func `the page says what the gate says: a merchant clears a box, and whoever allows again is no longer suppressed`() async throws {
    let api = try await TestAPI.suite()
    func path(_ person: Person) async throws -> String {
      let made = try await api.send(.post, "/v1/customers/\(person.id)/preference_link", json: ["channel": "email", "address": .string(person.email)])
      return try #require(try made.json()["path"]?.string, "\(made.text)")
    }
    let merchant = try await Person.make(api, kind: "organisation", taxNumber: "4323194877")
    let page = try await path(merchant)
    #expect(try await open(page, api).text.contains("name=\"email.marketing\" value=\"yes\" aria-describedby=\"email.marketing.text\" checked"))
    #expect(try await merchant.gets("commercial", api) == "queued")
    // Only the newsletter is left, although refusing marketing refuses every purpose.
    let left = try await post(page, "email.newsletter=yes&preferred_channel=", api)
    #expect(left.text.contains("name=\"email.newsletter\" value=\"yes\" aria-describedby=\"email.newsletter.text\" checked"), "\(left.text)")
    #expect(try await merchant.gets("commercial", api) == "refused")
    #expect(try await merchant.gets("commercial", api, ["purpose": "newsletter"]) == "queued")
    #expect(try await api.send(.get, "/v1/consent_events", ["customer_id": "eq.\(merchant.id)"]).rows().allSatisfy { $0["recipient_type"] == "TACIR" })

    let person = try await Person.make(api)
    _ = try await person.says("ONAY", api)
    _ = try await api.behind("SELECT crm.suppress('email', \(person.email), 'complaint')")
    let own = try await path(person)
    #expect(!(try await open(own, api).text.contains(" checked")))
    // Looking, saving it as it is, or allowing what is not commercial lifts nothing.
    for form in ["preferred_channel=", "email.profiling=yes&preferred_channel="] {
      #expect(try await post(own, form, api).status == 200)
      #expect(try await person.gets("commercial", api) == "suppressed")
    }
    let saved = try await post(own, "email.profiling=yes&email.marketing=yes&preferred_channel=", api)
    #expect(
      saved.text.contains("id=\"email.marketing\" name=\"email.marketing\" value=\"yes\" aria-describedby=\"email.marketing.text\" checked"), "\(saved.text)"
    )
    #expect(try await person.gets("commercial", api) == "queued")
    _ = try await api.behind("SELECT crm.suppress('email', \(person.email), 'manual')")
    #expect(try await post(own, "email.marketing=yes&preferred_channel=", api).status == 200)
    #expect(try await person.gets("commercial", api) == "suppressed")
  }

  @Test func `the links of somebody who was erased open no more`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    _ = try await person.says("ONAY", api)
    #expect(try await person.gets("commercial", api) == "queued")
    let token = try await token(of: person, api)
    let id = UUID(uuidString: person.id)
    // What erasing leaves of an address.
    _ = try await api.behind("UPDATE crm.outbound_message SET address = 'erased 01234567' WHERE customer_id = \(id)")
    for path in ["/u/\(token)", "/p/\(token)"] {
      #expect(try await open(path, api).status == 404)
      #expect(try await post(path, "refuse_all=yes", api).status == 404)
    }
  }
}
