import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Retention of the evidence of consents")
struct ConsentRetentionTests {
  /// Enters what was said years ago, with all its evidence, as if it had become known then.
  private func said(_ f: PrivacyFixture, _ person: Person, _ events: [(status: String, yearsAgo: Int, endedYearsAgo: Int?)]) async throws {
    let id = try #require(UUID(uuidString: person.id))
    let inserts: [SQL] = events.map { event in
      """
      INSERT INTO crm.consent_event (customer_id, channel, address, address_token, status, consented_at, received_at, valid_until, source, text_version, document_hash,
        remote_address, user_agent, note, department_id, audience)
      SELECT c.id, 'email', \(person.email), crm.address_token('email', \(person.email)), \(event.status), p.at, p.at, now() - make_interval(years => \(event.endedYearsAgo)::int),
        'HS_WEB', 'v1', \(Self.document), '203.0.113.7', 'OldBrowser/1', 'on the fair', c.department_id, c.audience
      FROM crm.customer AS c CROSS JOIN (SELECT now() - make_interval(years => \(event.yearsAgo)::int)) AS p (at) WHERE c.id = \(id)
      """
    }
    let before: [SQL] = ["ALTER TABLE crm.consent_event DISABLE TRIGGER consent_event_receive"]
    let after: [SQL] = [
      "ALTER TABLE crm.consent_event ENABLE ALWAYS TRIGGER consent_event_receive",
      "UPDATE crm.registry_transfer SET state = 'skipped', problem = 'late', settled_at = now() WHERE state = 'pending'",
    ]
    _ = try await f.api.database.admin.execute(before + inserts + after, context: .init(readOnly: false), deadline: .after(.seconds(60)))
  }

  private static let document = String(repeating: "ab", count: 32)

  /// How everything stands for the persons at many instants, to the company and to each brand.
  private func standing(_ f: PrivacyFixture, _ persons: [Person]) async throws -> [String] {
    let emails = persons.map(\.email)
    return try await f.sql(
      """
      SELECT concat_ws(' ', a.address, i.at::date, p.code, b.id, s.recipient_type, s.status, s.event_id, s.consented_at, crm.is_suppressed('email', a.address, b.id)) AS line
      FROM unnest(\(emails)::text[]) AS a (address) CROSS JOIN generate_series(timestamptz '2015-01-01 00:00:00+00', timestamptz '2060-01-01 00:00:00+00', interval '6 months') AS i (at)
      CROSS JOIN (VALUES ('marketing'), ('newsletter')) AS p (code) CROSS JOIN (SELECT NULL::uuid AS id UNION ALL SELECT b.id FROM crm.brand AS b) AS b
      LEFT JOIN LATERAL crm.consent_states(crm.address_token('email', a.address), 'email', p.code, b.id, i.at) AS s ON true ORDER BY 1
      """
    ).rows.map { try $0.decode(String.self, "line") }
  }

  /// Per event of a person, in the order in which they were said, whether its evidence is there (true), gone (false) or partly gone (nil).
  private func evidence(_ f: PrivacyFixture, _ person: Person) async throws -> [Bool?] {
    let id = try #require(UUID(uuidString: person.id))
    return try await f.sql(
      "SELECT num_nonnulls(e.address, e.remote_address, e.user_agent, e.note, e.document_hash) AS n FROM crm.consent_event AS e WHERE e.customer_id = \(id) ORDER BY e.consented_at"
    ).rows.map { row in
      switch try row.decode(Int.self, "n") {
      case 5: true
      case 0: false
      default: nil
      }
    }
  }

  private func rule(_ f: PrivacyFixture) async throws -> String {
    try #require(try await f.api.send(.get, "/v1/retention_rules", ["code": "eq.consent_evidence"]).rows().first?["id"]?.string)
  }

  private func destroy(_ f: PrivacyFixture, at: String? = nil) async throws {
    try await f.sql("INSERT INTO crm.job (kind, payload) VALUES ('privacy.retention', jsonb_strip_nulls(jsonb_build_object('at', \(at)::text)))")
    try await f.work("privacy.retention")
  }

  @Test("goes three years after a consent ended, and what was said last stands as before at every instant")
  func destruction() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let api = f.api
    var persons: [Person] = []
    for _ in 0..<7 { persons.append(try await Person.make(api)) }
    let (again, refused, open, recent, ran, held, brandly) = (persons[0], persons[1], persons[2], persons[3], persons[4], persons[5], persons[6])
    try await said(f, again, [("ONAY", 7, nil), ("RET", 6, nil), ("ONAY", 5, nil)])
    try await said(f, refused, [("ONAY", 7, nil), ("RET", 6, nil)])
    try await said(f, open, [("ONAY", 7, nil)])
    try await said(f, recent, [("ONAY", 7, nil), ("RET", 1, nil)])
    try await said(f, ran, [("ONAY", 7, 5)])
    try await said(f, held, [("ONAY", 7, nil), ("RET", 6, nil)])
    try await said(f, brandly, [("ONAY", 7, nil), ("RET", 6, nil)])
    #expect(try await api.send(.post, "/v1/legal_holds", json: ["customer_id": .string(held.id), "reason": "2026/31 E."]).status == 201)
    // What the registry waits for is not emptied, however old.
    let waiting = try #require(UUID(uuidString: brandly.id))
    try await f.sql("INSERT INTO crm.brand (code, name) VALUES ('carsi', 'Çarşı')")
    try await f.sql(
      """
      INSERT INTO crm.registry_transfer (event_id, brand_id, due_at)
      SELECT e.id, (SELECT b.id FROM crm.brand AS b), now() FROM crm.consent_event AS e WHERE e.customer_id = \(waiting) AND e.status = 'RET'
      ON CONFLICT ON CONSTRAINT registry_transfer_event_id_once DO UPDATE SET state = 'pending'
      """)
    let before = try await standing(f, persons)
    #expect(before.contains { $0.hasPrefix(refused.email) && $0.contains(" RET ") })
    #expect(try await refused.gets("commercial", api) == "refused")
    let suppressed = try await f.sql("SELECT count(*) AS n FROM crm.suppression")[0].decode(Int.self, "n")

    let rule = try await rule(f)
    #expect(try await api.send(.post, "/v1/retention_rules/\(rule)/try", as: "elif", json: [:]).status == 403)
    let dry = try await api.send(.post, "/v1/retention_rules/\(rule)/try", json: [:])
    #expect(try dry.json()["rows"] == .number(6), "\(dry.text)")
    #expect(try await evidence(f, refused) == [true, true])

    try await destroy(f)
    #expect(try await evidence(f, again) == [false, false, true])
    #expect(try await evidence(f, refused) == [false, false])
    #expect(try await evidence(f, open) == [true])
    #expect(try await evidence(f, recent) == [true, true])
    #expect(try await evidence(f, ran) == [false])
    #expect(try await evidence(f, held) == [true, true])
    #expect(try await evidence(f, brandly) == [false, true])
    #expect(try await standing(f, persons) == before)
    #expect(try await f.sql("SELECT count(*) AS n FROM crm.suppression")[0].decode(Int.self, "n") == suppressed)
    #expect(try await refused.gets("commercial", api) == "refused")
    let consents = try await api.send(.get, "/v1/customers/\(refused.id)/consents").rows()
    #expect(consents.contains { $0["address"]?.string == refused.email && $0["status"] == "RET" }, "\(consents)")
    let runs = try await api.send(.get, "/v1/retention_runs", ["rule_id": "eq.\(rule)", "order": "ran_at"]).rows()
    #expect(runs.map { $0["dry_run"] } == [.bool(true), .bool(false)], "\(runs)")
    #expect(runs.last?["row_count"] == .number(6) && runs.last?["held_count"] == .number(2), "\(runs)")
    let history = try await f.sql(
      "SELECT count(*) AS n FROM crm.change WHERE relation = 'consent_events' AND (concat(before, after) LIKE \("%\(refused.email)%") OR row_id IN (SELECT e.id FROM crm.consent_event AS e WHERE e.address IS NULL) AND concat(before, after) LIKE \("%\(Self.document)%"))"
    )
    #expect(try history[0].decode(Int.self, "n") == 0)

    // Whoever says something again is heard, as before; and a second run finds nothing.
    #expect(try await refused.says("ONAY", api).status == 201)
    #expect(try await refused.gets("commercial", api) == "queued")
    try await destroy(f)
    #expect(try await api.send(.get, "/v1/retention_runs", ["rule_id": "eq.\(rule)"]).rows().count == 2)
  }

  @Test("what another says at an address that is held stays, too")
  func heldAddress() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let held = try await Person.make(f.api)
    let other = try await Person.make(f.api)
    try await said(f, held, [("ONAY", 7, nil)])
    try await said(f, other, [("ONAY", 7, nil), ("RET", 6, nil)])
    let shared = try #require(UUID(uuidString: other.id))
    // The same address at two customers.
    _ = try await f.api.database.admin.execute(
      [
        "ALTER TABLE crm.consent_event DISABLE TRIGGER consent_event_keep",
        "UPDATE crm.consent_event SET address = \(held.email), address_token = crm.address_token('email', \(held.email)) WHERE customer_id = \(shared)",
        "ALTER TABLE crm.consent_event ENABLE ALWAYS TRIGGER consent_event_keep",
      ], context: .init(readOnly: false), deadline: .after(.seconds(30)))
    let hold = try await f.api.send(.post, "/v1/legal_holds", json: ["customer_id": .string(held.id), "reason": "2026/32 E."])
    try await destroy(f)
    #expect(try await evidence(f, other) == [true, true])
    let id = try #require(try hold.json()["id"]?.string, "\(hold.text)")
    try await f.sql("UPDATE crm.legal_hold SET released_at = now() WHERE id = \(UUID(uuidString: id))")
    try await destroy(f)
    #expect(try await evidence(f, other) == [false, false])
    #expect(try await evidence(f, held) == [false])
  }

  @Test("nobody destroys it beside the job, before its time, or sooner than the rule may say")
  func aroundTheJob() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await Person.make(f.api)
    try await said(f, person, [("ONAY", 7, nil), ("RET", 1, nil)])
    let rule = try await rule(f)
    let id = try #require(UUID(uuidString: rule))
    for pool in [f.api.database.app, f.api.database.worker] {
      for statement: SQL in [
        "UPDATE crm.consent_event SET note = NULL", "DELETE FROM crm.consent_event", "UPDATE crm.retention_rule SET at_least_days = NULL",
        "UPDATE crm.retention_rule SET relation = 'crm.customer'", "DELETE FROM crm.retention_run",
      ] {
        await #expect(throws: PostgresError.self) { try await Database(pool: pool).transaction(as: .system("test")) { tx in try await tx.run(statement) } }
      }
    }
    await #expect(throws: PostgresError.self) {
      try await Database(pool: f.api.database.app).transaction(as: .system("test")) { tx in
        _ = try await tx.value(Int.self, "SELECT crm.apply_retention(\(id), now(), false)")
      }
    }
    let early = try await f.api.send(.patch, "/v1/retention_rules/\(rule)", json: ["keep_days": 30])
    #expect(early.status == 422 && early.text.contains("retention_rule_keep_days_least"), "\(early.text)")
    #expect(try await f.api.send(.patch, "/v1/retention_rules/\(rule)", json: ["at_least_days": 1]).status == 422)
    #expect(try await f.api.send(.patch, "/v1/retention_rules/\(rule)", as: "elif", json: ["keep_days": 2_000]).status == 403)
    #expect(try await f.api.send(.patch, "/v1/retention_rules/\(rule)", json: ["keep_days": 2_000]).status == 200)
    #expect(try await f.api.send(.patch, "/v1/retention_rules/\(rule)", json: ["keep_days": 1_096]).status == 200)
    // An instant in the future does not make it later than it is.
    try await destroy(f, at: "2999-01-01T00:00:00Z")
    #expect(try await evidence(f, person) == [true, true])
    #expect(try await f.api.send(.patch, "/v1/retention_rules/\(rule)", json: ["keep_days": 365, "is_active": false]).status == 200)
    try await destroy(f)
    #expect(try await evidence(f, person) == [true, true])
  }
}
