import CRMCore
import CollaborativeCRM
import Foundation
import Gateway
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The registry of consents over HTTP")
struct RegistryConnectionTests {
  /// A brand in a registry that listens on this machine, and the worker's connection to it.
  private struct Desk {
    let api: TestAPI
    let brand, code: String
    let server: RegistryServer
    let connection: RegistryConnection

    static func open(password: String = RegistryServer.password) async throws -> Desk {
      let api = try await TestAPI.start()
      let code = String(Int.random(in: 100_000...999_999))
      let made = try await api.send(
        .post, "/v1/brands", as: "elif", json: ["code": .string("b\(code)"), "name": "Çarşı", "iys_code": "600", "iys_brand_code": .string(code)])
      let brand = try #require(try made.json()["id"]?.string, "\(made.text)")
      let server = try await RegistryServer()
      let connection = RegistryConnection(
        .init(address: server.address + "/", credentials: .password(user: RegistryServer.user, password: password), patience: .seconds(60)))
      return Desk(api: api, brand: brand, code: code, server: server, connection: connection)
    }

    /// The same desk with a registry elsewhere.
    func reaching(_ address: String) -> Desk {
      let elsewhere = RegistryConnection(.init(address: address, credentials: .token("gizli"), patience: .seconds(60)))
      return Desk(api: api, brand: brand, code: code, server: server, connection: elsewhere)
    }

    var mine: [String: JSON] { ["brand_id": .string(brand)] }

    func exchange() async throws { try await work("registry.exchange") }

    /// Lets a worker do a kind of work as its schedule would, and what follows of it.
    func work(_ kind: String?, limit: Duration = .seconds(300)) async throws {
      let database = Database(pool: api.database.worker)
      if let kind { try await database.transaction(as: .system("test")) { tx in _ = try await JobQueue.enqueue(kind, in: tx) } }
      let worker = Worker(
        database: database, handlers: JobHandler.registry(connection), configuration: .init(name: "test", pause: .milliseconds(20), grace: .seconds(2)),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await worker.run() }
        let end = ContinuousClock.now + limit
        while try await number("SELECT count(*) FROM crm.job WHERE kind LIKE 'registry.%' AND status IN ('queued', 'running')") > 0, ContinuousClock.now < end {
          try await Task.sleep(for: .milliseconds(20))
        }
        worker.stop()
        try await group.waitForAll()
      }
      let failed = try await api.behind(
        "SELECT coalesce(string_agg(j.last_problem, '; '), '') FROM crm.job j WHERE j.kind LIKE 'registry.%' AND j.status <> 'done'")
      #expect(try failed[0].decode(String.self, at: 0) == "")
    }

    func number(_ statement: SQL) async throws -> Int { try await api.behind(statement)[0].decode(Int.self, at: 0) }

    func differences() async throws -> [String] {
      try await api.send(.get, "/v1/registry/differences", ["brand_id": brand], as: "elif").rows()
        .map { "\($0["kind"]?.string ?? "") \($0["here"]?.string ?? "-") \($0["there"]?.string ?? "-")" }.sorted()
    }

    func state() async throws -> JSON { try #require(try await api.send(.get, "/v1/registry/state", as: "elif").rows().first) }

    func there(_ person: Person, _ type: String = "EPOSTA") -> String? {
      server.registry.record(brand: code, recipient: type == "EPOSTA" ? person.email : person.phone, recipientType: "BIREYSEL", type: type)?.status
    }
  }

  @Test func `the scheduled exchange signs in, passes on what is due and takes over what people said to the registry`() async throws {
    let desk = try await Desk.open()
    #expect(Work.schedules.contains { $0.kind == "registry.exchange" })
    let person = try await Person.make(desk.api)
    #expect(try await person.says("ONAY", desk.api, desk.mine).status == 201)
    #expect(try await desk.state()["waiting"] == 1)
    try await desk.exchange()
    #expect(desk.there(person) == "ONAY")
    #expect(desk.server.signIns == 1)
    #expect(
      desk.server.paths.sorted { $0.count < $1.count }
        == ["", "/changes?source=IYS", "/changes?source=IYS&after=0"].map { "\($0.isEmpty ? "POST" : "GET") /sps/600/brands/\(desk.code)/consents\($0)" })
    #expect(try await desk.differences() == [])

    // A token that ends early is renewed, once.
    desk.server.forgetToken()
    desk.server.registry.hear(
      RegistryRecord(recipient: person.email, recipientType: "BIREYSEL", type: "EPOSTA", status: "RET", source: "IYS_WEB", consentDate: Date()),
      brand: desk.code)
    try await desk.exchange()
    #expect(desk.server.signIns == 2)
    #expect(try await person.gets("commercial", desk.api, desk.mine) == "refused")
    let state = try await desk.state()
    #expect(state["waiting"] == 0 && state["problem"] == .null && state["pulled_at"]?.string != nil, "\(state)")
    #expect(try await desk.api.send(.get, "/v1/registry/state", as: "burak").status == 403)
    try await desk.server.close()
  }

  @Test func `what is wrong with the connection stands where people look, and goes when it is well again`() async throws {
    let desk = try await Desk.open()
    let person = try await Person.make(desk.api)
    #expect(try await person.says("ONAY", desk.api, desk.mine).status == 201)
    desk.server.fail(503, times: 1)
    try await desk.exchange()
    #expect(try await desk.state()["problem"] == "the registry answered 503")
    #expect(try await desk.differences() == ["on_its_way ONAY -"])
    try await desk.exchange()
    #expect(try await desk.state()["problem"] == .null)
    #expect(desk.there(person) == "ONAY")
    try await desk.server.close()

    let wrong = try await Desk.open(password: "baska")
    try await wrong.exchange()
    #expect(try await wrong.state()["problem"] == "the registry does not accept user and password (401)")
    let away = wrong.reaching("http://127.0.0.1:1")
    try await away.exchange()
    let problem = try #require(try await away.state()["problem"]?.string)
    #expect(problem.hasPrefix("the registry cannot be reached") && !problem.contains("gizli"), "\(problem)")
    try await wrong.server.close()
  }

  @Test func `many consents go as one batch, whose answers are fetched later; what is said meanwhile waits for them`() async throws {
    let desk = try await Desk.open()
    let customers = 60
    let brand = try #require(UUID(uuidString: desk.brand))
    try await desk.api.behind(
      """
      WITH made AS (
        INSERT INTO crm.customer (kind, name, department_id) SELECT 'person', 'Kişi ' || i, d.id FROM generate_series(1, \(customers)) i, crm.department d
         WHERE d.code = 'sales' RETURNING id, name)
      INSERT INTO crm.consent_event (customer_id, channel, address, brand_id, status, source)
      SELECT m.id, 'email', replace(m.name, 'Kişi ', 'toplu') || '@ornek.example', \(brand), 'ONAY', 'HS_WEB' FROM made m
      """)
    try await desk.exchange()
    #expect(desk.server.paths.filter { $0.hasSuffix("/consents/request") }.count == 1)
    #expect(!desk.server.paths.contains { $0.hasSuffix("/consents") })
    #expect(try await desk.state()["open_batches"] == 1)
    #expect(try await desk.number("SELECT count(*) FROM crm.registry_transfer WHERE state = 'sending' AND batch_id IS NOT NULL") == customers)

    // A refusal of somebody whose consent is still on its way must not be thought to have nothing to refuse.
    try await desk.api.behind(
      """
      INSERT INTO crm.consent_event (customer_id, channel, address, brand_id, status, source)
      SELECT e.customer_id, 'email', e.address, e.brand_id, 'RET', 'HS_WEB' FROM crm.consent_event e WHERE e.address = 'toplu7@ornek.example'
      """)
    try await desk.exchange()  // still being worked through there
    #expect(try await desk.state()["waiting"] == .number(Decimal(customers + 1)))
    try await Task.sleep(for: .milliseconds(1_100))
    try await desk.exchange()
    #expect(try await desk.number("SELECT count(*) FROM crm.registry_transfer WHERE state = 'accepted'") == customers + 1)
    #expect(desk.server.registry.record(brand: desk.code, recipient: "toplu7@ornek.example", recipientType: "BIREYSEL", type: "EPOSTA")?.status == "RET")
    #expect(try await desk.differences() == [])
    #expect(try await desk.state()["open_batches"] == 0)
    try await desk.server.close()
  }

  @Test(.timeLimit(.minutes(10))) func `a batch of which the registry names no record is passed on one by one, and the exchange ends`() async throws {
    let desk = try await Desk.open()
    desk.server.nameNoRecords()
    let brand = try #require(UUID(uuidString: desk.brand))
    try await desk.api.behind(
      """
      WITH made AS (
        INSERT INTO crm.customer (kind, name, department_id) SELECT 'person', 'Kişi ' || i, d.id FROM generate_series(1, 55) i, crm.department d
         WHERE d.code = 'sales' RETURNING id, name)
      INSERT INTO crm.consent_event (customer_id, channel, address, brand_id, status, source)
      SELECT m.id, 'email', replace(m.name, 'Kişi ', 'adsiz') || '@ornek.example', \(brand), 'ONAY', 'HS_WEB' FROM made m
      """)
    try await desk.exchange()
    #expect(desk.server.paths.filter { $0.hasSuffix("/consents/request") }.count == 1)
    #expect(try await desk.number("SELECT count(*) FROM crm.registry_transfer WHERE state = 'accepted'") == 55)
    #expect(try await desk.state()["open_batches"] == 0)
    try await desk.server.close()
  }

  @Test func `what the registry refuses of a batch is rejected with its code, and those people are not written to`() async throws {
    let desk = try await Desk.open()
    let person = try await Person.make(desk.api)
    // The registry heard a refusal just now, which has not been pulled here: ONAY with an older date is not later.
    let brand = try #require(UUID(uuidString: desk.brand))
    try await desk.api.behind(
      """
      WITH made AS (
        INSERT INTO crm.customer (kind, name, department_id) SELECT 'person', 'Kişi ' || i, d.id FROM generate_series(1, 60) i, crm.department d
         WHERE d.code = 'sales' RETURNING id, name)
      INSERT INTO crm.consent_event (customer_id, channel, address, brand_id, status, source)
      SELECT m.id, 'email', replace(m.name, 'Kişi ', 'toplu') || '@ornek.example', \(brand), 'ONAY', 'HS_WEB' FROM made m
      """)
    #expect(try await person.says("ONAY", desk.api, desk.mine).status == 201)
    let later = RegistryRecord(
      recipient: person.email, recipientType: "BIREYSEL", type: "EPOSTA", status: "ONAY", source: "HS_WEB", consentDate: Date().addingTimeInterval(60))
    desk.server.registry.hear(later, brand: desk.code)
    for _ in 0..<3 { try await desk.exchange() }
    #expect(try await desk.number("SELECT count(*) FROM crm.registry_transfer WHERE state = 'accepted'") == 60)
    #expect(try await desk.number("SELECT count(*) FROM crm.registry_transfer WHERE state = 'rejected' AND problem = 'H101'") == 1)
    #expect(try await desk.differences() == ["rejected ONAY -"])
    #expect(try await person.gets("commercial", desk.api, desk.mine) == "not_registered")
    try await desk.server.close()
  }

  @Test func `a reconciliation asks about every address, takes over what was missed and passes on again what the registry lost`() async throws {
    let desk = try await Desk.open()
    let people = [try await Person.make(desk.api), try await Person.make(desk.api), try await Person.make(desk.api)]
    for person in people { #expect(try await person.says("ONAY", desk.api, desk.mine).status == 201) }
    try await desk.exchange()
    // One refused there longer ago than changes are kept, of another the registry knows nothing any more.
    try await Task.sleep(for: .milliseconds(1_100))
    desk.server.registry.hear(
      RegistryRecord(recipient: people[0].email, recipientType: "BIREYSEL", type: "EPOSTA", status: "RET", source: "IYS_MOBIL", consentDate: Date()),
      brand: desk.code)
    try await desk.api.behind("UPDATE crm.registry_cursor SET \"after\" = '1000'")
    desk.server.registry.forget(brand: desk.code, recipient: people[1].email, recipientType: "BIREYSEL", type: "EPOSTA")
    let asked = try await desk.api.send(.post, "/v1/registry_reconciliations", as: "elif", json: .object(desk.mine))
    #expect(asked.status == 202, "\(asked.text)")
    let id = try #require(try asked.json()["id"]?.string)
    // Of one that is under way there is no second.
    #expect(try await desk.api.send(.post, "/v1/registry_reconciliations", as: "elif", json: .object(desk.mine)).json()["id"] == .string(id))
    try await desk.work(nil)
    let result = try await desk.api.send(.get, "/v1/registry_reconciliations/\(id)", as: "elif").json()
    #expect(result["state"] == "done" && result["checked"] == 3 && result["taken"] == 1 && result["missing"] == 1 && result["corrected"] == 0, "\(result)")
    #expect(try await people[0].gets("commercial", desk.api, desk.mine) == "refused")
    #expect(try await desk.differences() == ["on_its_way ONAY -"])
    try await desk.exchange()
    #expect(desk.there(people[1]) == "ONAY")
    #expect(try await desk.differences() == [])

    #expect(try await desk.api.send(.post, "/v1/registry_reconciliations", as: "mehmet", json: .object(desk.mine)).status == 403)
    let plain = try await desk.api.send(.post, "/v1/brands", as: "elif", json: ["code": "sade", "name": "Sade"])
    let unknown: JSON = ["brand_id": try #require(try plain.json()["id"])]
    #expect(try await desk.api.send(.post, "/v1/registry_reconciliations", as: "elif", json: unknown).problem == "brand-not-registered")
    try await desk.server.close()
  }
}
