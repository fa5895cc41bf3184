import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// What somebody with a role of the program's own tries with messages that passed the gate when they were stored.
@Suite("The gate, after a message was stored")
struct GateAfterInsertTests {
  private func byHand(_ pool: PostgresPool, _ statements: [SQL]) async throws -> [PostgresResult] {
    try await pool.execute(statements, context: Caller.system("test").context(writing: Set(Area.allCases), request: nil), deadline: .after(.seconds(60)))
  }

  private func brand(_ api: TestAPI, linkBase: String? = nil) async throws -> UUID {
    let id = UUID.v7()
    try await api.behind(
      "INSERT INTO crm.brand (id, code, name, contact_line, link_base) VALUES (\(id), \("b\(id.lowercase.suffix(12))"), 'Çarşı', 'Çarşı A.Ş.', \(linkBase))")
    return id
  }

  /// A message that passed the gate, as its id.
  private func message(_ person: Person, _ api: TestAPI, _ more: [String: JSON] = [:]) async throws -> UUID {
    let body: [String: JSON] = ["customer_id": .string(person.id), "legal_class": "commercial", "body_text": "Merhaba"]
    let answer = try await api.send(.post, "/v1/outbound_messages", json: .object(body.merging(more) { $1 }))
    try #require(try answer.json()["state"] == "queued", "\(answer.text)")
    return try #require(UUID(uuidString: try answer.json()["id"]?.string ?? ""))
  }

  @Test func `no change by hand turns a stored message into one that nobody allowed, as crm_app or as crm_worker`() async throws {
    let api = try await TestAPI.start()
    let (person, other) = (try await Person.make(api), try await Person.make(api))
    let otherID = try #require(UUID(uuidString: other.id))
    let brand = try await brand(api)
    _ = try await person.says("ONAY", api)
    let ways: [(UUID) -> [SQL]] = [
      { ["UPDATE crm.outbound_message SET legal_class = 'transactional' WHERE id = \($0)"] },
      { ["UPDATE crm.outbound_message SET legal_class = 'service' WHERE id = \($0)"] },
      { ["UPDATE crm.outbound_message SET customer_id = \(otherID) WHERE id = \($0)"] },
      { ["UPDATE crm.outbound_message SET address = \(other.email) WHERE id = \($0)"] },
      { ["UPDATE crm.outbound_message SET channel = 'sms', address = \(person.phone) WHERE id = \($0)"] },
      { ["UPDATE crm.outbound_message SET purpose = 'newsletter' WHERE id = \($0)"] },
      { ["UPDATE crm.outbound_message SET brand_id = \(brand) WHERE id = \($0)"] },
      { ["UPDATE crm.outbound_message SET state = 'sending', attempts = 1, address = \(other.email) WHERE id = \($0)"] },
      {
        [
          "UPDATE crm.outbound_message SET state = 'sending', attempts = 1 WHERE id = \($0)",
          "UPDATE crm.outbound_message SET state = 'sent', address = \(other.email) WHERE id = \($0)",
        ]
      },
      { ["SELECT set_config('muhatap.via', 'system:erasure', true)", "UPDATE crm.outbound_message SET address = \(other.email) WHERE id = \($0)"] },
      { ["SELECT set_config('muhatap.parting', 'on', true)", "UPDATE crm.outbound_message SET address = \(other.email) WHERE id = \($0)"] },
      { ["SET LOCAL ROLE crm_steward", "UPDATE crm.outbound_message SET address = \(other.email) WHERE id = \($0)"] },
      {
        [
          "SET LOCAL ROLE crm_bulk", "SET LOCAL session_replication_role = replica",
          "UPDATE crm.outbound_message SET address = \(other.email) WHERE id = \($0)",
        ]
      },
      {
        [
          "CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (value <> 'RET')", "SET LOCAL search_path = pg_temp, pg_catalog",
          "UPDATE crm.outbound_message SET address = \(other.email) WHERE id = \($0)",
        ]
      },
      { ["INSERT INTO crm.outbound_message SELECT m.* FROM crm.outbound_message AS m WHERE m.id = \($0)"] },
      { ["ALTER TABLE crm.outbound_message DISABLE TRIGGER ALL", "UPDATE crm.outbound_message SET address = \(other.email) WHERE id = \($0)"] },
    ]
    for quiet in [false, true] {
      if quiet {
        try await api.behind("INSERT INTO crm.quiet_hours (starts, ends) VALUES ('00:00', '23:59:59')")
      }
      for pool in [api.database.app, api.database.worker] {
        for (index, way) in ways.enumerated() {
          let id = try await message(person, api)
          _ = try? await byHand(pool, way(id))
          let wrong = try await api.behind(
            """
            SELECT count(*) FROM crm.outbound_message AS m
             WHERE m.state <> 'refused' AND (m.legal_class <> 'commercial'
               OR (crm.refusal_of(m.customer_id, m.contact_id, m.channel, m.address, m.legal_class, m.purpose, m.brand_id, crm.consent_clock())).reason IS NOT NULL)
            """)[0].decode(Int.self, at: 0)
          #expect(wrong == 0, "way \(index)\(quiet ? " in quiet hours" : "")")
        }
      }
    }
  }

  @Test func `what went out stays as it was, and the consent that covers a message is the gate's to say`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let said = try await person.says("ONAY", api)
    let consent = try #require(UUID(uuidString: try said.json()["id"]?.string ?? ""))
    let later = try await person.says("ONAY", api, channel: "sms")
    let elsewhere = try #require(UUID(uuidString: try later.json()["id"]?.string ?? ""))
    let id = try await message(person, api)
    _ = try await byHand(
      api.database.app,
      [
        "UPDATE crm.outbound_message SET state = 'sending', attempts = 1 WHERE id = \(id)", "UPDATE crm.outbound_message SET state = 'sent' WHERE id = \(id)",
        "UPDATE crm.outbound_message SET consent_event_id = \(elsewhere) WHERE id = \(id)",
      ])
    await #expect(throws: PostgresError.self) {
      _ = try await byHand(api.database.app, ["UPDATE crm.outbound_message SET address = 'baska@ornek.example' WHERE id = \(id)"])
    }
    let stored = try await api.behind("SELECT address, state, consent_event_id FROM crm.outbound_message WHERE id = \(id)")[0]
    #expect(try stored.decode(String.self, "address") == person.email && stored.decode(String.self, "state") == "sent")
    #expect(try stored.decode(UUID.self, "consent_event_id") == consent)
  }

  @Test func `an account of another brand, or of another channel, does not send what was allowed to this brand`() async throws {
    let api = try await TestAPI.start()
    let person = try await Person.make(api)
    let (mine, foreign) = (try await brand(api), try await brand(api))
    _ = try await person.says("ONAY", api, ["brand_id": .string(mine.lowercase)])
    func account(_ channel: String, _ brand: UUID?) async throws -> UUID {
      let id = UUID.v7()
      try await api.behind(
        """
        INSERT INTO crm.channel_account (id, code, name, channel, provider, address, brand_id, department_id)
        SELECT \(id), \("a\(id.lowercase.suffix(12))"), 'Hesap', \(channel), 'simulated', \("\(id.lowercase.suffix(12))@carsi.example"), \(brand), d.id
          FROM crm.department d WHERE d.code = 'sales'
        """)
      return id
    }
    let (own, other, shared, texts) = (
      try await account("email", mine), try await account("email", foreign), try await account("email", nil), try await account("sms", mine)
    )
    for (account, outcome) in [(own, "queued"), (other, "wrong_sender"), (shared, "queued"), (texts, "wrong_sender")] {
      let got = try await person.gets(
        "commercial", api, ["channel": "email", "brand_id": .string(mine.lowercase), "channel_account_id": .string(account.lowercase)])
      #expect(got == outcome)
    }
    // Nor does a message get there later.
    let id = try await message(person, api, ["brand_id": .string(mine.lowercase), "channel_account_id": .string(own.lowercase)])
    let moved = try await byHand(
      api.database.worker, ["UPDATE crm.outbound_message SET channel_account_id = \(other) WHERE id = \(id) RETURNING state, problem"])
    #expect(try moved[0][0].decode(String.self, "state") == "refused" && moved[0][0].decode(String.self, "problem") == "wrong_sender")
  }

  @Test func `a text that is changed, or becomes commercial, still says how to refuse; one click is promised over HTTPS alone`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    for (base, promised) in [("https://izin.carsi.example", true), ("http://127.0.0.1:8080", false)] {
      let brand = try await brand(api, linkBase: base)
      _ = try await person.says("ONAY", api, ["brand_id": .string(brand.lowercase)])
      let changed = try await message(person, api, ["brand_id": .string(brand.lowercase)])
      let became = try await message(person, api, ["brand_id": .string(brand.lowercase), "legal_class": "transactional"])
      _ = try await byHand(
        api.database.app,
        [
          "UPDATE crm.outbound_message SET body_text = 'Başka', body_html = '<p>Başka</p>', headers = '{}' WHERE id = \(changed)",
          "UPDATE crm.outbound_message SET legal_class = 'commercial' WHERE id = \(became)",
        ])
      for id in [changed, became] {
        let row = try await api.behind(
          """
          SELECT m.body_text, m.body_html, m.headers ->> 'List-Unsubscribe' AS list, coalesce(m.headers ->> 'List-Unsubscribe-Post', '') AS post,
                 crm.unsubscribe_url(m.id) AS link FROM crm.outbound_message m WHERE m.id = \(id)
          """)[0]
        let link = try row.decode(String.self, "link")
        #expect(try row.decode(String.self, "body_text").hasSuffix("Çarşı A.Ş.\nİleti almak istemiyorsanız: \(link)"))
        #expect(try row.decode(String?.self, "body_html")?.contains(link) != false)
        #expect(try row.decode(String.self, "list") == "<\(link)>")
        #expect(try row.decode(String.self, "post") == (promised ? "List-Unsubscribe=One-Click" : ""))
      }
    }
  }

  @Test func `a campaign's message is commercial, and a commercial purpose makes a message commercial`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let campaign = try await api.send(
      .post, "/v1/campaigns", as: "elif", json: ["code": .string(UUID.v7().lowercase), "name": "Bahar", "starts_on": "2026-01-01", "ends_on": "2035-12-31"])
    let id = try #require(UUID(uuidString: try campaign.json()["id"]?.string ?? ""), "\(campaign.text)")
    await #expect(throws: PostgresError.self) {
      _ = try await byHand(
        api.database.app,
        [
          """
          INSERT INTO crm.outbound_message (customer_id, channel, address, legal_class, campaign_id)
          VALUES (\(UUID(uuidString: person.id)), 'email', \(person.email), 'transactional', \(id))
          """
        ])
    }
    let answer = try await api.send(
      .post, "/v1/outbound_messages",
      json: ["customer_id": .string(person.id), "legal_class": "transactional", "purpose": "newsletter", "body_text": "%50 indirim"])
    #expect(answer.status == 422 && answer.fieldErrors == ["/legal_class value"], "\(answer.text)")
  }

  @Test func `caps hold for messages asked for at once, and make nobody wait for another customer's`() async throws {
    let api = try await TestAPI.start()
    let people = [try await Person.make(api), try await Person.make(api)]
    for person in people { _ = try await person.says("ONAY", api) }
    try await api.behind("INSERT INTO crm.frequency_cap (messages, hours) VALUES (3, 24)")
    @Sendable func insert(_ person: Person) -> SQL {
      "INSERT INTO crm.outbound_message (customer_id, channel, address) VALUES (\(UUID(uuidString: person.id)), 'email', \(person.email)) RETURNING id"
    }
    // A transaction that asked for one customer stays open while another customer's message is asked for.
    let answered = try await Database(pool: api.database.worker).transaction(as: .system("test")) { tx in
      _ = try await tx.result(insert(people[0]))
      return try await byHand(api.database.app, ["SET LOCAL lock_timeout = '20s'", insert(people[1])])[1].count
    }
    #expect(answered == 1)
    let stored = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<12 { group.addTask { try await byHand(api.database.app, [insert(people[0])])[0].count } }
      return try await group.reduce(0, +)
    }
    #expect(stored == 2)
  }
}
