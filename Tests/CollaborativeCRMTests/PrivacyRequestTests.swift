import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Requests of data subjects")
struct PrivacyRequestTests {
  private func fixture() async throws -> PrivacyFixture { PrivacyFixture(api: try await TestAPI.suite()) }

  @Test("a request is due thirty calendar days after it came, by the days of Türkiye")
  func due() async throws {
    let f = try await fixture()
    // 22:30 UTC on 1 March is already 2 March in Istanbul.
    for (received, due) in [("2026-03-01T09:00:00Z", "2026-03-31"), ("2026-03-01T22:30:00Z", "2026-04-01")] {
      let id = try await f.request("access", receivedAt: received)
      #expect(try await f.api.send(.get, "/v1/privacy_requests/\(id)").json()["due_on"]?.string == due)
    }
  }

  @Test("nothing is decided in favour, planned, exported or carried out before the identity was checked")
  func identityFirst() async throws {
    let f = try await fixture()
    let id = try await f.request("erase")
    let path = "/v1/privacy_requests/\(id)"
    let granted = try await f.api.send(.post, "\(path)/decide", json: ["decision": "granted", "text": "Yes."])
    #expect(granted.status == 409 && granted.problem == "identity-not-checked", "\(granted.text)")
    #expect(try await f.api.send(.post, "\(path)/execute", json: [:]).problem == "wrong-state")
    #expect(try await f.api.send(.get, "\(path)/plan").status == 404)
    #expect(try await f.api.send(.get, "\(path)/export").problem == "identity-not-checked")
    // Who cannot show who they are is refused, with reasons.
    #expect(try await f.api.send(.post, "\(path)/decide", json: ["decision": "refused", "text": "You did not show who you are."]).status == 200)
    #expect(try await f.api.send(.post, "\(path)/execute", json: [:]).problem == "refused")
    #expect(try await f.api.send(.post, "\(path)/close", json: ["note": "Answered by letter."]).status == 200)
    // Neither does the database let anybody by.
    await #expect(throws: PostgresError.self) {
      try await f.sql(
        "UPDATE crm.privacy_request SET state = 'executed', executed_at = now(), closed_at = null, decision = 'granted' WHERE id = \(UUID(uuidString: id))")
    }
  }

  @Test("the person is found by what they give, and an organisation is no person")
  func finding() async throws {
    let f = try await fixture()
    let ada = try await f.person("Ada Bulunan", number: "10000000146", email: "ada.bulunan@posta.example", phone: "+905321110001")
    for query in [("name", "ada bulunan"), ("email", "ADA.bulunan@posta.example"), ("phone", "0532 111 00 01"), ("number", "10000000146")] {
      let answer = try await f.api.send(.get, "/v1/privacy_requests/persons", [(name: query.0, value: query.1)], body: nil)
      #expect(try answer.rows().contains { $0["customer_id"]?.string == ada }, "\(query): \(answer.text)")
    }
    #expect(try await f.api.send(.get, "/v1/privacy_requests/persons").status >= 400)
    let organisation = try await f.sql("SELECT id FROM crm.customer WHERE kind = 'organisation' LIMIT 1")[0].decode(UUID.self, "id")
    let request = try await f.request("access")
    let answer = try await f.identify(request, ["customer_id": .string(organisation.uuidString.lowercased())])
    #expect(answer.status == 422 && answer.fieldErrors.contains("/contact_id not-a-person"), "\(answer.text)")
  }

  @Test("an answer is put off once, in time, by at most what the rule allows")
  func extending() async throws {
    let f = try await fixture()
    let id = try await f.request("access")
    let path = "/v1/privacy_requests/\(id)/extend"
    let before = try await f.api.send(.get, "/v1/privacy_requests/\(id)").json()["due_on"]?.string
    #expect(try await f.api.send(.post, path, json: ["days": 31, "reason": "Much to read."]).fieldErrors == ["/days range"])
    let answer = try await f.api.send(.post, path, json: ["days": 30, "reason": "Much to read."])
    #expect(answer.status == 200, "\(answer.text)")
    let after = try answer.json()["due_on"]?.string
    #expect(try await f.sql("SELECT \(after)::date - \(before)::date AS days")[0].decode(Int.self, "days") == 30)
    #expect(try await f.api.send(.post, path, json: ["days": 1, "reason": "More."]).problem == "no-extension")
    let late = try await f.request("access", receivedAt: "2024-01-01T00:00:00Z")
    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(late)/extend", json: ["days": 5, "reason": "Late."]).problem == "no-extension")
  }

  @Test("those in charge are reminded at each step before the deadline and every day after it, each once")
  func reminders() async throws {
    let api = try await TestAPI.start()
    let f = PrivacyFixture(api: api)
    let id = UUID(uuidString: try await f.request("erase", receivedAt: "2026-03-01T09:00:00Z"))
    func days(at: String) async throws -> [Int] {
      try await Database(pool: api.database.worker).transaction(as: .system("test")) { tx in
        _ = try await tx.value(Int.self, "SELECT crm.watch_privacy_deadlines(\(at)::timestamptz)")
      }
      return try await f.sql(
        "SELECT (s.detail ->> 'days_left')::int AS days FROM crm.privacy_step s WHERE s.request_id = \(id) AND s.step IN ('reminded', 'overdue') ORDER BY s.at"
      ).rows
        .map { try $0.decode(Int.self, "days") }
    }
    #expect(try await days(at: "2026-03-20T12:00:00Z") == [])
    #expect(try await days(at: "2026-03-21T12:00:00Z") == [10])
    #expect(try await days(at: "2026-03-22T12:00:00Z") == [10])
    #expect(try await days(at: "2026-03-29T12:00:00Z") == [10, 2])
    #expect(try await days(at: "2026-03-31T12:00:00Z") == [10, 2, 0])
    #expect(try await days(at: "2026-04-01T12:00:00Z") == [10, 2, 0, -1])
    #expect(try await days(at: "2026-04-01T18:00:00Z") == [10, 2, 0, -1])
    #expect(try await days(at: "2026-04-02T12:00:00Z") == [10, 2, 0, -1, -2])
    let told = try await f.sql("SELECT count(*) AS n FROM crm.notice WHERE resource = 'privacy_requests' AND record_id = \(id)")[0].decode(Int.self, "n")
    #expect(told >= 5)
  }

  @Test("every step is in the log with who took it, and only administration sees requests")
  func steps() async throws {
    let f = try await fixture()
    let person = try await f.person("Adım Adım")
    let id = try await f.granted("access", of: ["customer_id": .string(person)])
    #expect(try await f.api.send(.get, "/v1/privacy_requests/\(id)/export", ["format": "csv"]).status == 200)
    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(id)/execute", json: [:]).status == 200)
    #expect(try await f.api.send(.post, "/v1/privacy_requests/\(id)/close", json: ["note": "Sent by KEP."]).status == 200)
    let steps = try await f.api.send(.get, "/v1/privacy_requests/\(id)/steps").rows()
    #expect(steps.compactMap { $0["step"]?.string } == ["received", "identified", "decided", "exported", "executed", "closed"])
    #expect(steps.allSatisfy { $0["actor"]?.string != nil })
    for (method, path) in [
      (Request.Method.get, "/v1/privacy_requests/\(id)"), (.get, "/v1/privacy_requests/\(id)/export"), (.get, "/v1/privacy_requests/\(id)/steps"),
    ] {
      #expect([403, 404].contains(try await f.api.send(method, path, as: "elif").status), "\(path)")
    }
  }

  @Test("who objects is not written to any more, and stays")
  func objecting() async throws {
    let f = try await fixture()
    let person = try await f.person("İtiraz Eden", email: "itiraz@posta.example")
    let id = try await f.granted("object", of: ["customer_id": .string(person)])
    let answer = try await f.api.send(.post, "/v1/privacy_requests/\(id)/execute", json: [:])
    #expect(try answer.json()["state"]?.string == "executed", "\(answer.text)")
    let suppressed = try await f.sql(
      "SELECT count(*) AS n FROM crm.suppression WHERE reason = 'objection' AND lifted_at IS NULL AND address_token = crm.address_token('email', 'itiraz@posta.example')"
    )
    #expect(try suppressed[0].decode(Int.self, "n") == 1)
    #expect(try await f.api.send(.get, "/v1/customers/\(person)").json()["name"]?.string == "İtiraz Eden")
    #expect(try await f.api.send(.get, "/v1/processing_restrictions", ["customer_id": "eq.\(person)"]).rows().count == 1)
  }

  @Test("a breach is due seventy-two hours after it was learned of and closed only when the authority was told or the reason is given")
  func breaches() async throws {
    let f = try await fixture()
    let made = try await f.api.send(
      .post, "/v1/data_breaches", json: ["title": "A lost laptop", "description": "Encrypted.", "learned_at": "2026-03-01T10:00:00Z"])
    #expect(made.status == 201, "\(made.text)")
    #expect(try made.json()["due_at"]?.string?.hasPrefix("2026-03-04T10:00:00") == true)
    let path = "/v1/data_breaches/\(try #require(try made.json()["id"]?.string))"
    #expect(try await f.api.send(.patch, path, json: ["closed_at": "2026-03-02T10:00:00Z"]).status == 422)
    #expect(try await f.api.send(.patch, path, json: ["authority_told_at": "2026-03-02T09:00:00Z", "closed_at": "2026-03-02T10:00:00Z"]).status == 200)
  }

  @Test("every column with personal data is in the register of processing, and the register names no other")
  func register() async throws {
    let f = try await fixture()
    let missing = try await f.sql("SELECT r.relation || '.' || r.column_name AS name FROM crm.processing_register r WHERE r.category IS NULL")
    #expect(try missing.rows.map { try $0.decode(String.self, "name") } == [])
    let strange = try await f.sql(
      """
      SELECT e.relation || '.' || e.column_name AS name FROM crm.processing_entry e
      WHERE NOT EXISTS (SELECT FROM crm.personal_field f WHERE f.relation = e.relation AND f.column_name = e.column_name)
      UNION ALL SELECT DISTINCT l.relation FROM crm.erasure_rule l WHERE to_regclass(l.relation) IS NULL
      """)
    #expect(try strange.rows.map { try $0.decode(String.self, "name") } == [])
    let rows = try await f.api.send(.get, "/v1/processing_register", ["table": "crm.customer"]).rows()
    #expect(rows.contains { $0["column"]?.string == "tax_number" && $0["legal_basis"]?.string == "legal_obligation" && $0["is_sensitive"] == .bool(true) })
    #expect(try await f.api.send(.get, "/v1/processing_register", as: "elif").status == 403)
  }
}
