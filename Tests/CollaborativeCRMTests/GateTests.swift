import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// What somebody with the gateway's own role tries by hand.
@Suite("The gate")
struct GateTests {
  private func context() -> PostgresPool.Context { Caller.system("test").context(writing: Set(Area.allCases), request: nil) }

  private func byHand(_ api: TestAPI, _ statements: [SQL]) async throws -> [PostgresResult] {
    try await api.database.app.execute(statements, context: context(), deadline: .after(.seconds(60)))
  }

  private func commercial(_ api: TestAPI) async throws -> Int {
    try await api.behind("SELECT count(*) FROM crm.outbound_message WHERE legal_class = 'commercial' AND state <> 'refused'")[0].decode(Int.self, at: 0)
  }

  @Test func `whoever inserts by hand as crm_app stores no commercial message without consent`() async throws {
    let api = try await TestAPI.start()
    let person = try await Person.make(api)
    let id = try #require(UUID(uuidString: person.id))
    let ways: [[SQL]] = [
      ["INSERT INTO crm.outbound_message (customer_id, channel, address) VALUES (\(id), 'email', \(person.email))"],
      [
        "INSERT INTO crm.outbound_message (customer_id, channel, address, legal_class, consent_event_id) VALUES (\(id), 'email', \(person.email), 'commercial', NULL) ON CONFLICT DO NOTHING"
      ],
      [
        "INSERT INTO crm.outbound_message (customer_id, channel, address, legal_class) VALUES (\(id), 'email', \(person.email), 'transactional')",
        "UPDATE crm.outbound_message SET legal_class = 'commercial' WHERE customer_id = \(id)",
      ],
      [
        "WITH made AS (INSERT INTO crm.outbound_message (customer_id, channel, address) SELECT \(id), 'sms', \(person.phone) RETURNING id) SELECT count(*) FROM made"
      ],
      [
        "SELECT set_config('session_replication_role', 'replica', true)",
        "INSERT INTO crm.outbound_message (customer_id, channel, address) VALUES (\(id), 'email', \(person.email))",
      ],
      ["ALTER TABLE crm.outbound_message DISABLE TRIGGER outbound_message_guard_insert"],
      ["SET LOCAL ROLE crm_bulk", "INSERT INTO crm.outbound_message (customer_id, channel, address) VALUES (\(id), 'email', \(person.email))"],
      ["INSERT INTO crm.outbound_message (customer_id, channel, address, state) VALUES (\(id), 'email', \(person.email), 'sent')"],
      [
        "INSERT INTO crm.outbound_message (customer_id, channel, address, legal_class, purpose) VALUES (\(id), 'email', \(person.email), 'service', 'marketing')"
      ],
      ["CREATE OR REPLACE FUNCTION crm.consent_clock() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'"],
      ["DELETE FROM crm.message_refusal"],
      ["UPDATE crm.consent_event SET status = 'ONAY'"],
    ]
    for way in ways { _ = try? await byHand(api, way) }
    #expect(try await commercial(api) == 0)
    let refused = try await api.behind("SELECT count(*) FROM crm.message_refusal WHERE customer_id = \(id)")[0].decode(Int.self, at: 0)
    // Each way that got as far as the gate left its refusal; a class the law does not know counts as commercial.
    #expect(refused == 5)
  }

  @Test func `COPY stores nothing around the gate`() async throws {
    let api = try await TestAPI.start()
    let person = try await Person.make(api)
    _ = try? await Database(pool: api.database.app).transaction(as: .system("test")) { tx in
      try await tx.copyIn("COPY crm.outbound_message (customer_id, channel, address, department_id) FROM STDIN") { writer in
        try await writer.write(Array("\(person.id)\temail\t\(person.email)\t\(UUID.v7().lowercase)\n".utf8))
      }
    }
    _ = try await Database(pool: api.database.admin).transaction(as: .system("test")) { tx in
      // Even the superuser's COPY meets the trigger.
      let department = try await tx.value(UUID.self, "SELECT department_id FROM crm.customer WHERE id = \(UUID(uuidString: person.id))")
      return try await tx.copyIn("COPY crm.outbound_message (customer_id, channel, address, department_id) FROM STDIN") { writer in
        try await writer.write(Array("\(person.id)\temail\t\(person.email)\t\(department.lowercase)\n".utf8))
      }
    }
    #expect(try await commercial(api) == 0)
  }

  @Test func `a message is asked for again when it is sent, and when it changes`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    let id = try #require(UUID(uuidString: person.id))
    _ = try await person.says("ONAY", api)
    for _ in 0..<3 { #expect(try await person.gets("commercial", api) == "queued") }
    let messages = try await api.behind("SELECT id FROM crm.outbound_message WHERE customer_id = \(id) ORDER BY id").rows.map { try $0.decode(UUID.self, "id") }
    func state(_ set: SQL, _ message: UUID) async throws -> String {
      try await byHand(api, ["UPDATE crm.outbound_message SET \(set) WHERE id = \(message) RETURNING state"])[0][0].decode(String.self, at: 0)
    }
    #expect(try await state("state = 'sending', attempts = 1", messages[0]) == "sending")
    #expect(try await state("state = 'sent', provider_id = 'x'", messages[0]) == "sent")
    #expect(try await state("address = 'baska@ornek.example'", messages[1]) == "refused")
    _ = try await person.says("RET", api)
    #expect(try await state("state = 'sending', attempts = 1", messages[2]) == "refused")
    await #expect(throws: PostgresError.self) { _ = try await state("state = 'queued'", messages[2]) }
    await #expect(throws: PostgresError.self) { _ = try await state("state = 'queued'", messages[0]) }
    let stages = try await api.send(.get, "/v1/message_refusals", ["customer_id": "eq.\(person.id)", "order": "refused_at"]).rows()
    #expect(stages.map { "\($0["stage"]?.string ?? "") \($0["reason"]?.string ?? "")" } == ["sending no_consent", "sending refused"])
  }

  @Test func `a time of day or a zone that does not exist is refused by name, also in a filter`() async throws {
    let api = try await TestAPI.start()
    for (member, value) in [("starts", ""), ("starts", "25:00"), ("starts", "now"), ("ends", "9:30"), ("time_zone", ""), ("time_zone", "Europe/Nowhere")] {
      var rule: [String: JSON] = ["starts": "21:00", "ends": "09:00"]
      rule[member] = .string(value)
      let answer = try await api.send(.post, "/v1/quiet_hours", as: "elif", json: .object(rule))
      #expect(answer.status == 422 && answer.text.contains("\"/\(member)\""), "\(member) \(value): \(answer.text)")
    }
    let made = try await api.send(.post, "/v1/quiet_hours", as: "elif", json: ["starts": "21:00", "ends": "08:59:30.5"])
    #expect(try made.json()["ends"] == "08:59:30.5", "\(made.text)")
    #expect(try await api.send(.get, "/v1/quiet_hours", ["starts": "gte.21:00", "order": "ends"]).rows().count == 1)
    #expect(try await api.send(.get, "/v1/quiet_hours", ["starts": "eq.x"]).status == 400)
  }

  @Test func `quiet hours move a commercial message, in the person's own zone, and caps refuse what is too much`() async throws {
    let api = try await TestAPI.start()
    let person = try await Person.make(api)
    for channel in ["email", "sms"] { _ = try await person.says("ONAY", api, channel: channel) }
    let rule = try await api.send(.post, "/v1/quiet_hours", as: "elif", json: ["channel": "sms", "starts": "21:00", "ends": "09:00"])
    #expect(rule.status == 201, "\(rule.text)")
    let calm = try await api.behind(
      """
      SELECT crm.after_quiet_hours('sms', NULL, '2026-06-01 19:30:00+00')::text AS night, crm.after_quiet_hours('sms', NULL, '2026-06-01 17:59:00+00')::text AS evening,
             crm.after_quiet_hours('email', NULL, '2026-06-01 19:30:00+00')::text AS mail, crm.after_quiet_hours('sms', NULL, '2026-06-01 06:00:00+00')::text AS morning,
             crm.after_quiet_hours('sms', NULL, '2026-06-01 19:30:00+00', 'Europe/London')::text AS london
      """)[0]
    #expect(try calm.decode(String.self, "night") == "2026-06-02 06:00:00+00")
    #expect(try calm.decode(String.self, "evening") == "2026-06-01 17:59:00+00")
    #expect(try calm.decode(String.self, "mail") == "2026-06-01 19:30:00+00")
    #expect(try calm.decode(String.self, "morning") == "2026-06-01 06:00:00+00")
    #expect(try calm.decode(String.self, "london") == "2026-06-02 08:00:00+00" || calm.decode(String.self, "london") == "2026-06-01 19:30:00+00")
    let night = try await api.send(
      .post, "/v1/outbound_messages",
      json: ["customer_id": .string(person.id), "channel": "sms", "legal_class": "commercial", "body_text": "x", "not_before": "2127-06-01T19:30:00Z"])
    #expect(try night.json()["not_before"] == "2127-06-02T06:00:00Z", "\(night.text)")
    let transactional = try await api.send(
      .post, "/v1/outbound_messages",
      json: ["customer_id": .string(person.id), "channel": "sms", "legal_class": "transactional", "body_text": "x", "not_before": "2127-06-01T19:30:00Z"])
    #expect(try transactional.json()["not_before"] == "2127-06-01T19:30:00Z")

    #expect(try await api.send(.post, "/v1/frequency_caps", as: "elif", json: ["messages": 2, "hours": 24]).status == 201)
    #expect(try await person.gets("commercial", api) == "queued")
    #expect(try await person.gets("commercial", api) == "queued")
    #expect(try await person.gets("commercial", api) == "frequency_cap")
    #expect(try await person.gets("transactional", api) == "queued")
  }

  @Test func `a channel that a customer avoids brings no commercial message, and the preferred one is taken when none is named`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    for channel in ["email", "sms"] { _ = try await person.says("ONAY", api, channel: channel) }
    let preference = try await api.send(
      .post, "/v1/channel_preferences", json: ["customer_id": .string(person.id), "preferred_channel": "sms", "avoided_channels": ["email"]])
    #expect(preference.status == 201, "\(preference.text)")
    #expect(try await person.gets("commercial", api, ["channel": "email"]) == "channel_preference")
    let sent = try await api.send(.post, "/v1/outbound_messages", json: ["customer_id": .string(person.id), "legal_class": "commercial", "body_text": "x"])
    #expect(try sent.json()["channel"] == "sms" && sent.json()["address"] == .string(person.phone), "\(sent.text)")
  }
}
