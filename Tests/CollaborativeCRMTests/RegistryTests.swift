import CRMCore
import CollaborativeCRM
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The registry of consents")
struct RegistryTests {
  /// Wednesday 2026-06-03 09:00 in Türkiye, after the Feast of Sacrifice.
  private static let now = Date(timeIntervalSince1970: 1_780_466_400)
  private static let days = BusinessDays(holidays: [])

  private static func record(_ status: String, _ ago: TimeInterval, source: String = "HS_WEB", recipient: String = "a@ornek.example", type: String = "EPOSTA")
    -> RegistryRecord
  {
    RegistryRecord(recipient: recipient, recipientType: "BIREYSEL", type: type, status: status, source: source, consentDate: now.addingTimeInterval(-ago))
  }

  @Test(
    "the simulated registry keeps each of its rules",
    arguments: [
      ([], record("RET", 60), .startsWithRefusal), ([], record("ONAY", -1), .dateInFuture), ([], record("ONAY", 6 * 86_400), .tooOld),
      ([record("ONAY", 60)], record("RET", 60), .dateNotLater), ([record("ONAY", 60)], record("RET", 61), .dateNotLater),
      ([record("ONAY", 60)], record("ONAY", 30), .consentUponConsent),
      ([record("ONAY", 60), record("RET", 50)], record("RET", 30), .refusalUponRefusal),
      ([], record("ONAY", 60, source: "HS_2015"), .sourceOf2015), ([], record("ONAY", 60, source: "IYS_WEB"), .wrongSource),
      ([], record("ONAY", 60, recipient: "05321234567", type: "MESAJ"), .wrongRecipient), ([], record("BELKI", 60), .wrongKind),
      (
        [],
        RegistryRecord(
          recipient: "a@ornek.example", recipientType: "BIREYSEL", type: "EPOSTA", status: "ONAY", source: "HS_WEB",
          consentDate: SimulatedRegistry.firstInstant.addingTimeInterval(-1)), .dateTooEarly
      ),
    ] as [([RegistryRecord], RegistryRecord, RegistryRefusal)])
  func rules(_ before: [RegistryRecord], _ record: RegistryRecord, _ refusal: RegistryRefusal) throws {
    let registry = SimulatedRegistry(days: Self.days)
    for one in before { _ = try registry.take(one, brand: "1", now: Self.now).get() }
    #expect(registry.take(record, brand: "1", now: Self.now) == .failure(RegistryError(refusals: [refusal])))
  }

  @Test func `one address has a record as a person and one as a merchant, and each brand its own`() throws {
    let registry = SimulatedRegistry(days: Self.days)
    let person = Self.record("ONAY", 60)
    let merchant = RegistryRecord(
      recipient: person.recipient, recipientType: "TACIR", type: person.type, status: "ONAY", source: person.source, consentDate: person.consentDate)
    for (record, brand) in [(person, "1"), (merchant, "1"), (person, "2")] { _ = try registry.take(record, brand: brand, now: Self.now).get() }
    #expect(RegistryRecord(json: person.json) == person)
    #expect(RegistryRecord.text(Date(timeIntervalSince1970: 1_780_466_400)) == "2026-06-03 09:00:00")
  }

  @Test func `business days here and in the database are the same`() async throws {
    let database = try await TestDatabase.suite()
    let rows = try await database.admin.execute(
      [
        "SELECT h.day - date '1970-01-01' AS day FROM crm.holiday h WHERE h.country = 'TR' AND h.closes_at IS NULL",
        "SELECT s.at, crm.business_deadline(s.at, 3) AS due FROM generate_series(timestamptz '2025-01-01 20:59:59+00', '2027-12-31', '11 hours') AS s (at)",
      ], context: .init(readOnly: true), deadline: .after(.seconds(60)))
    let days = BusinessDays(holidays: Set(try rows[0].rows.map { try $0.decode(Int.self, "day") }))
    for row in rows[1].rows { #expect(try days.deadline(after: row.decode(Date.self, "at"), days: 3) == row.decode(Date.self, "due")) }
  }

  /// A brand in the registry, and the exchange with a simulated one.
  private func exchange(_ api: TestAPI) async throws -> (brand: String, code: String, registry: SimulatedRegistry, run: RegistryExchange) {
    let code = String(Int.random(in: 100_000...999_999))
    let brand = try await api.send(
      .post, "/v1/brands", as: "elif", json: ["code": .string("b\(code)"), "name": "Çarşı", "iys_code": "600", "iys_brand_code": .string(code)])
    let id = try #require(try brand.json()["id"]?.string, "\(brand.text)")
    let registry = SimulatedRegistry(days: Self.days)
    let client = RegistryClient { try registry.answer($0, now: Date()) }
    return (id, code, registry, RegistryExchange(database: Database(pool: api.database.worker), client: client))
  }

  private func differences(_ brand: String, _ api: TestAPI) async throws -> [String] {
    let answer = try await api.send(.get, "/v1/registry/differences", ["brand_id": brand], as: "elif")
    return try answer.rows().map { "\($0["kind"]?.string ?? "") \($0["here"]?.string ?? "-") \($0["there"]?.string ?? "-")" }.sorted()
  }

  @Test func `what is said here reaches the registry, what is said there reaches us, each once`() async throws {
    let api = try await TestAPI.start()
    let (brand, code, registry, exchange) = try await exchange(api)
    let person = try await Person.make(api)
    let mine: [String: JSON] = ["brand_id": .string(brand)]
    #expect(try await person.says("ONAY", api, mine).status == 201)
    #expect(try await person.says("RET", api, channel: "sms", mine).status == 201)
    #expect(try await differences(brand, api) == ["on_its_way ONAY -", "on_its_way RET -"])
    #expect(try await person.gets("commercial", api, mine) == "queued")
    try await exchange.run(now: Date())
    func there(_ type: String = "EPOSTA") -> String? {
      registry.record(brand: code, recipient: type == "EPOSTA" ? person.email : person.phone, recipientType: "BIREYSEL", type: type)?.status
    }
    // Nothing begins with a refusal, so there was nothing to pass on for the number.
    #expect(there() == "ONAY" && there("MESAJ") == nil)
    #expect(try await differences(brand, api) == [])

    let refusal = RegistryRecord(recipient: person.email, recipientType: "BIREYSEL", type: "EPOSTA", status: "RET", source: "IYS_WEB", consentDate: Date())
    registry.hear(refusal, brand: code)
    for _ in 0..<2 { try await exchange.run(now: Date().addingTimeInterval(1)) }
    #expect(try await person.gets("commercial", api, mine) == "refused")
    let heard = try await api.send(.get, "/v1/consent_events", ["customer_id": "eq.\(person.id)", "source": "eq.IYS_WEB"]).rows()
    #expect(heard.count == 1 && heard[0]["status"] == "RET" && heard[0]["registry_transaction"]?.string?.isEmpty == false)
    #expect(try await differences(brand, api) == [])

    // A new consent, and a refusal in the same second: the refusal must get there, a second later.
    try await Task.sleep(for: .milliseconds(2_100))
    #expect(try await person.says("ONAY", api, mine).status == 201)
    try await exchange.run(now: Date())
    #expect(there() == "ONAY")
    #expect(try await person.says("RET", api, mine).status == 201)
    for wait in [0, 2_000] {
      try await Task.sleep(for: .milliseconds(wait))
      try await exchange.run(now: Date())
    }
    #expect(there() == "RET")
    #expect(try await differences(brand, api) == [])
  }

  @Test func `while the registry cannot be reached everything waits, people are told before the deadline, and after it nobody is written to`() async throws {
    let api = try await TestAPI.start()
    let (brand, code, registry, exchange) = try await exchange(api)
    let person = try await Person.make(api)
    let mine: [String: JSON] = ["brand_id": .string(brand)]
    #expect(try await person.says("ONAY", api, mine).status == 201)
    registry.fail(next: 1_000)
    try await exchange.run(now: Date())
    #expect(registry.record(brand: code, recipient: person.email, recipientType: "BIREYSEL", type: "EPOSTA") == nil)
    func told() async throws -> Int {
      try await api.behind("SELECT count(*) FROM crm.notice WHERE kind = 'registry_deadline'")[0].decode(Int.self, at: 0)
    }
    _ = try await api.behind("UPDATE crm.registry_transfer SET due_at = crm.business_deadline(now(), 1)")
    for _ in 0..<2 { try await exchange.run(now: Date()) }
    let first = try await told()
    #expect(first > 0)
    try await exchange.run(now: Date())
    #expect(try await told() == first)
    _ = try await api.behind("UPDATE crm.registry_transfer SET due_at = now() - interval '1 minute'")
    #expect(try await differences(brand, api) == ["overdue ONAY -"])
    #expect(try await person.gets("commercial", api, mine) == "not_registered")
    registry.fail(next: 0)
    _ = try await api.behind("UPDATE crm.registry_transfer SET not_before = NULL")
    try await exchange.run(now: Date())
    #expect(try await differences(brand, api) == [])
    #expect(try await person.gets("commercial", api, mine) == "queued")
  }

  @Test func `what the registry took is not refused for ever because its answer was lost`() async throws {
    let api = try await TestAPI.start()
    let (brand, code, registry, _) = try await exchange(api)
    let person = try await Person.make(api)
    #expect(try await person.says("ONAY", api, ["brand_id": .string(brand)]).status == 201)
    let deaf = RegistryClient { request in
      let answer = try registry.answer(request, now: Date())
      if case .consents = request.path { throw RegistryUnreachable() }
      return answer
    }
    try await RegistryExchange(database: Database(pool: api.database.worker), client: deaf).run(now: Date())
    #expect(registry.record(brand: code, recipient: person.email, recipientType: "BIREYSEL", type: "EPOSTA")?.status == "ONAY")
    #expect(try await differences(brand, api) == ["on_its_way ONAY -"])
    _ = try await api.behind("UPDATE crm.registry_transfer SET not_before = NULL")
    try await RegistryExchange(database: Database(pool: api.database.worker), client: RegistryClient { try registry.answer($0, now: Date()) }).run(now: Date())
    #expect(try await differences(brand, api) == [])
    #expect(try await api.behind("SELECT state FROM crm.registry_transfer")[0].decode(String.self, "state") == "accepted")
  }

  @Test func `a consent to the newsletter is the registry's record as much as one to marketing, and a loss brings nothing back that was refused`() async throws
  {
    let api = try await TestAPI.start()
    let (brand, code, registry, exchange) = try await exchange(api)
    let (reader, leaver) = (try await Person.make(api), try await Person.make(api))
    let mine: [String: JSON] = ["brand_id": .string(brand)]
    #expect(try await reader.says("ONAY", api, ["brand_id": .string(brand), "purpose": "newsletter"]).status == 201)
    #expect(try await leaver.says("ONAY", api, mine).status == 201)
    try await exchange.run(now: Date())
    #expect(registry.record(brand: code, recipient: reader.email, recipientType: "BIREYSEL", type: "EPOSTA")?.status == "ONAY")
    #expect(try await differences(brand, api) == [])

    // One refuses the whole company; then the registry loses its record.
    try await Task.sleep(for: .milliseconds(1_100))
    #expect(try await leaver.says("RET", api).status == 201)
    try await Task.sleep(for: .milliseconds(1_100))
    try await exchange.run(now: Date())
    #expect(registry.record(brand: code, recipient: leaver.email, recipientType: "BIREYSEL", type: "EPOSTA")?.status == "RET")
    #expect(try await differences(brand, api) == [])
    registry.forget(brand: code, recipient: leaver.email, recipientType: "BIREYSEL", type: "EPOSTA")
    let found = try await api.database.worker.execute(
      ["SELECT crm.reconcile_registry_record(\(UUID(uuidString: brand)), \(leaver.email), 'BIREYSEL', 'email', NULL, NULL, NULL, NULL, now())"],
      context: Caller.system("test").context(writing: Set(Area.allCases), request: nil), deadline: .after(.seconds(60)))
    #expect(try found[0][0].decode(String.self, at: 0) == "missing")
    try await exchange.run(now: Date().addingTimeInterval(1))
    #expect(registry.record(brand: code, recipient: leaver.email, recipientType: "BIREYSEL", type: "EPOSTA") == nil)
  }
}
