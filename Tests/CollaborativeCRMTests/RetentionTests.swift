import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Retention, and what erased persons leave")
struct RetentionTests {
  /// Requests of four years ago, closed; the second of somebody whose data are held.
  private func oldRequests(_ f: PrivacyFixture) async throws -> (free: String, held: String) {
    var ids: [String] = []
    for name in ["Eski Başvuru", "Tutulan Başvuru"] {
      let person = try await f.person(name)
      let id = try await f.granted("access", of: ["customer_id": .string(person)])
      try await f.sql(
        "UPDATE crm.privacy_request SET state = 'closed', executed_at = now(), closed_at = now() - interval '4 years', closing_note = 'x' WHERE id = \(UUID(uuidString: id))"
      )
      if name.hasPrefix("Tutulan") {
        let hold = try await f.api.send(.post, "/v1/legal_holds", json: ["customer_id": .string(person), "reason": "2026/12 E."])
        #expect(hold.status == 201, "\(hold.text)")
      }
      ids.append(id)
    }
    return (ids[0], ids[1])
  }

  @Test("what is no longer kept is destroyed with its history, logged, and not while a hold stands")
  func destruction() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let (free, held) = try await oldRequests(f)
    func requester(_ id: String) async throws -> String? { try await f.api.send(.get, "/v1/privacy_requests/\(id)").json()["requester"]?.string }
    let rule = try #require(try await f.api.send(.get, "/v1/retention_rules", ["code": "eq.privacy_requests"]).rows().first?["id"]?.string)
    let dry = try await f.api.send(.post, "/v1/retention_rules/\(rule)/try", json: [:])
    #expect(try dry.json()["rows"] == .number(1), "\(dry.text)")
    #expect(try await requester(free) == "Somebody who asks")
    #expect(try await f.api.send(.post, "/v1/retention_rules/\(rule)/try", as: "elif", json: [:]).status == 403)

    try await f.sql("INSERT INTO crm.job (kind) VALUES ('privacy.retention')")
    try await f.work("privacy.retention")
    #expect(try await requester(free)?.hasPrefix("erased") == true)
    #expect(try await requester(held) == "Somebody who asks")
    let runs = try await f.api.send(.get, "/v1/retention_runs", ["rule_id": "eq.\(rule)", "order": "ran_at"]).rows()
    #expect(
      runs.map { $0["dry_run"] } == [.bool(true), .bool(false)] && runs.last?["row_count"] == .number(1) && runs.last?["held_count"] == .number(1), "\(runs)")
    let history = try await f.sql(
      "SELECT count(*) AS n FROM crm.change WHERE row_id = \(UUID(uuidString: free)) AND (before::text LIKE '%Somebody%' OR after::text LIKE '%Somebody%')")
    #expect(try history[0].decode(Int.self, "n") == 0)
    // A second run finds nothing more.
    try await f.sql("INSERT INTO crm.job (kind) VALUES ('privacy.retention')")
    try await f.work("privacy.retention")
    #expect(try await f.api.send(.get, "/v1/retention_runs", ["rule_id": "eq.\(rule)"]).rows().count == 2)
  }

  @Test("every rule fits its table")
  func rules() async throws {
    let f = PrivacyFixture(api: try await TestAPI.suite())
    for rule in try await f.api.send(.get, "/v1/retention_rules").rows() {
      let id = try #require(rule["id"]?.string)
      let answer = try await f.api.send(.post, "/v1/retention_rules/\(id)/try", json: [:])
      #expect(answer.status == 200, "\(rule["code"]?.string ?? "") \(answer.text)")
    }
  }

  @Test("who was erased leaves the analyses at once, and the accounts stay")
  func analyses() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.sql(
      "SELECT c.id FROM crm.customer c JOIN crm.sales_order o ON o.customer_id = c.id WHERE o.status <> 'cancelled' GROUP BY c.id ORDER BY count(*) DESC, c.name DESC LIMIT 1"
    )[0]
    .decode(UUID.self, "id")
    try await f.sql("UPDATE crm.customer SET kind = 'person' WHERE id = \(person)")
    func counted() async throws -> Bool {
      try await f.sql(
        "SELECT EXISTS (SELECT FROM analytics.buyers() b WHERE b.customer_id = \(person)) OR EXISTS (SELECT FROM analytics.phase_fact(now()) p WHERE p.customer_id = \(person)) AS counted"
      )[0]
      .decode(Bool.self, "counted")
    }
    func sales() async throws -> String {
      try await f.sql("SELECT count(*) || ' ' || sum(amount) AS sales FROM crm.sales_order")[0].decode(String.self, "sales")
    }
    let before = try await sales()
    #expect(try await counted())
    try await f.erase(["customer_id": .string(person.uuidString.lowercased())])
    #expect(try await !counted())
    #expect(try await sales() == before)
  }

  @Test("a file does not bring back who was erased, by number or by another system's key")
  func reimport() async throws {
    let f = PrivacyFixture(api: try await TestAPI.start())
    let person = try await f.person("Dosyadan Gelen", number: "10000000146")
    let id = try #require(UUID(uuidString: person))
    try await f.sql("INSERT INTO crm.external_id (relation, system, key, row_id, area) VALUES ('customers', 'shop', 'S-77', \(id), 'customers')")
    try await f.erase(["customer_id": .string(person)])
    let code = try await f.sql("SELECT d.code FROM crm.department d JOIN crm.app_user u ON u.department_id = d.id WHERE u.email = 'deniz@carsi.example'")[0]
      .decode(String.self, "code")
    let mapping: JSON = [
      "source_system": "shop", "key": "no", "department": .string(code),
      "fields": ["name": "name", "tax_number": "number", "kind": ["constant": "person"]],
    ]
    let file = "no,name,number\nS-77,Dosyadan Gelen,\nS-78,Başkası,10000000146\nS-79,Yeni Biri,\n"
    let caller = try await f.api.caller("deniz")
    let imported = try await Importer(database: Database(pool: f.api.database.worker), model: f.api.model).importFile(
      AsyncThrowingStream<[UInt8], any Error> { continuation in
        continuation.yield(Array(file.utf8))
        continuation.finish()
      }, resource: "customers", mapping: mapping, fileName: "customers.csv", dryRun: false, as: caller)
    let errors = try await f.sql("SELECT row_number, code, reason_en FROM crm.import_error WHERE import_id = \(imported.id) ORDER BY row_number").rows
    #expect(try errors.map { try $0.decode(Int.self, "row_number") } == [2, 3])
    #expect(try errors.allSatisfy { try $0.decode(String.self, "reason_en").contains("erased at their own request") })
    #expect(
      try await f.sql("SELECT name FROM crm.customer WHERE name IN ('Dosyadan Gelen', 'Başkası', 'Yeni Biri')").rows.map { try $0.decode(String.self, "name") }
        == ["Yeni Biri"])
    // The keys themselves are refused whoever writes them, past the import's own check.
    await #expect(throws: PostgresError.self) {
      try await f.sql("INSERT INTO crm.external_id (relation, system, key, row_id, area) VALUES ('customers', 'shop', 'S-77', gen_random_uuid(), 'customers')")
    }
    try await f.sql("INSERT INTO crm.external_id (relation, system, key, row_id, area) VALUES ('customers', 'shop', 'S-80', gen_random_uuid(), 'customers')")
  }
}
