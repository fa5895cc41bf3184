import CRMCore
import Foundation
import Gateway
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

/// Imports by the programs that people and servers run.
@Suite("Imports by the program")
struct ImportProcessTests {
  private static let program = Command.repository.appending(path: ".build/debug/muhatap").path
  private static let demo = Command.repository.appending(path: "demo")

  private struct Expected: Decodable {
    struct Totals: Decodable {
      let lines, orders, sales_cents, retail_disc_cents, coupon_disc_cents, coupon_match_disc_cents, units: Int
    }
    let totals: Totals

    init() throws {
      let file = Command.repository.appending(path: "Tests/CRMCoreTests/Fixtures/mini_expected.json")
      self = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: file))
    }
  }

  private func `import`(_ file: String, as resource: String, _ database: TestDatabase, _ more: String...) async throws -> Command.Output {
    try await Command(
      Self.program,
      ["import", file, "--resource", resource, "--mapping", Self.demo.appending(path: "mappings/\(resource).json").path, "--as", "deniz@carsi.example"] + more,
      environment: ["DATABASE_URL": database.url(as: "crm_worker")]
    ).output()
  }

  private func importYear(_ database: TestDatabase) async throws {
    for (file, resource) in [("products", "products"), ("demographics", "customers"), ("transactions", "orders")] {
      let done = try await self.import(Self.demo.appending(path: "data/\(file).csv.gz").path, as: resource, database)
      try #require(done.exitCode == 0, "\(done.standardOutput)\(done.standardError)")
    }
  }

  /// Cents of a sum that came as text.
  private func cents(_ text: String?) throws -> Int {
    let amount = try #require(text.flatMap { Decimal(string: $0) })
    return NSDecimalNumber(decimal: amount * 100).intValue
  }

  @Test("after importing, the API's aggregates, a BI login and the export give the same totals, to the cent, as were computed independently")
  func totals() async throws {
    let server = try await TestServer.start()
    let expected = try Expected().totals
    try await importYear(server.database)

    let measures: JSON = [
      "count", ["sum": "amount", "as": "sales"], ["sum": "loyalty_discount", "as": "loyalty"], ["sum": "coupon_discount", "as": "coupon"],
      ["sum": "coupon_match_discount", "as": "match"],
    ]
    for (resource, count) in [("orders", expected.orders), ("order_lines", expected.lines)] {
      let currency: JSON = resource == "orders" ? "currency" : "order.currency"
      let answer = try await server.send(.post, "/v1/\(resource)/aggregate", json: ["measures": measures, "group": [currency]])
      let groups = try #require(try answer.json()["data"]?.array, "\(answer.text)")
      #expect(groups.count == 1 && groups[0]["count"] == .number(Decimal(count)))
      #expect(try cents(groups[0]["sales"]?.string) == expected.sales_cents)
      #expect(try cents(groups[0]["loyalty"]?.string) == expected.retail_disc_cents)
      #expect(try cents(groups[0]["coupon"]?.string) == expected.coupon_disc_cents)
      #expect(try cents(groups[0]["match"]?.string) == expected.coupon_match_disc_cents)
    }

    let login = "bi_totals_\(UUID().uuidString.lowercased().prefix(8))"
    let migrator = Database(pool: server.database.migrator)
    _ = try await migrator.makeBILogin(BILogin(login, department: "sales"))
    let tool = PostgresPool(
      .init(connection: server.database.url(as: login), connections: [.interactive: 1]), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let statements: [(SQL, Int)] = [
      (
        "SELECT count(*) AS count, sum(amount)::text, sum(loyalty_discount)::text, sum(coupon_discount)::text, sum(coupon_match_discount)::text FROM bi.orders",
        expected.orders
      ),
      (
        "SELECT count(*) AS count, sum(amount)::text, sum(loyalty_discount)::text, sum(coupon_discount)::text, sum(coupon_match_discount)::text FROM bi.order_lines",
        expected.lines
      ),
    ]
    for (statement, count) in statements {
      let row = try await tool.execute([statement], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0]
      #expect(try row.decode(Int.self, at: 0) == count)
      let sums = try (1...4).map { try cents(row.decode(String.self, at: $0)) }
      #expect(sums == [expected.sales_cents, expected.retail_disc_cents, expected.coupon_disc_cents, expected.coupon_match_disc_cents])
    }
    await tool.shutdown()
    try await migrator.transaction(as: .system("drop a test's BI login")) { tx in _ = try await tx.run("SELECT crm.drop_bi_login(\(login))") }

    let fields = "quantity,amount,loyalty_discount,coupon_discount,coupon_match_discount"
    let export = try await server.send(.get, "/v1/order_lines/export?format=csv&select=\(fields)")
    let lines = export.text.split(separator: "\r\n")
    #expect(lines.first.map(String.init) == fields && lines.count - 1 == expected.lines)
    var sums = [Decimal](repeating: 0, count: 5)
    for line in lines.dropFirst() {
      for (index, value) in line.split(separator: ",").enumerated() { sums[index] += try #require(Decimal(string: String(value))) }
    }
    #expect(
      sums.map { NSDecimalNumber(decimal: $0 * 100).intValue } == [
        expected.units * 100, expected.sales_cents, expected.retail_disc_cents, expected.coupon_disc_cents, expected.coupon_match_disc_cents,
      ])
  }

  @Test("the command line writes the rows that were not taken to a file, each with its number and reason")
  func errors() async throws {
    let database = try await TestDatabase.clone()
    try await DemoCompany.found(in: database.app)
    let folder = FileManager.default.temporaryDirectory.appending(path: "muhatap-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (file, errors) = (folder.appending(path: "lines.csv"), folder.appending(path: "errors.csv"))
    try """
    household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,coupon_match_disc,week,transaction_timestamp
    1,1,10,100,1,1.00,0,0,0,1,2017-01-01 10:00:00
    1,1,10,100,1,1.00,0,0,0,1,2017-01-01 10:00:00
    2,1,11,100,1,dear,0,0,0,1,2017-01-01 10:00:00

    """.write(to: file, atomically: true, encoding: .utf8)
    let done = try await self.import(file.path, as: "orders", database, "--errors", errors.path)
    #expect(done.exitCode == 0, "\(done.standardError)")
    let written = try String(contentsOf: errors, encoding: .utf8).split(separator: "\r\n").map(String.init)
    #expect(written.count == 3 && written.first == "row,column,value,code,reason")
    #expect(written.dropFirst().first?.hasPrefix("3,,= 2,duplicate-row,") == true, "\(written)")
    #expect(written.last?.hasPrefix("4,sales_value,dear,value,") == true, "\(written)")
    let refused = try await self.import(file.path, as: "orders", database, "--errors", folder.appending(path: "missing/errors.csv").path)
    #expect(refused.exitCode != 0 && refused.standardError.contains("cannot be written"))
  }

  @Test("a worker that is killed in the middle of writing leaves nothing behind, and the next one imports it whole, once")
  func killed() async throws {
    let server = try await TestServer.start()
    let expected = try Expected().totals
    let mapping = try JSONDecoder().decode(JSON.self, from: Data(contentsOf: Self.demo.appending(path: "mappings/orders.json")))
    let made = try await server.send(.post, "/v1/imports", json: ["resource": "orders", "mapping": mapping])
    let id = try #require(try made.json()["id"]?.string, "\(made.text)")
    let file = Array(try Data(contentsOf: Self.demo.appending(path: "data/transactions.csv.gz")))
    let sent = try await server.send(.put, "/v1/imports/\(id)/file", body: file)
    #expect(try sent.json()["rows_read"] == .number(Decimal(expected.lines)), "\(sent.text)")
    #expect(try await server.send(.post, "/v1/imports/\(id)/run", json: [:]).status == 202)

    let admin = server.database.admin
    let settings = PostgresPool.Context(readOnly: false)
    // Holds the merge where orders have been written and lines have not.
    let killed = try await admin.transaction(context: settings, deadline: .after(.seconds(400))) { tx in
      try await tx.run("LOCK TABLE crm.sales_order_line IN SHARE MODE")
      let process = try worker(of: server.database)
      let deadline = ContinuousClock.now + .seconds(300)
      while ContinuousClock.now < deadline {
        // By another connection, because a transaction sees this view as it was when it first looked.
        let waiting = try await admin.execute(
          [
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO%sales_order_line%'"
          ],
          context: settings, deadline: .after(.seconds(60)))
        if try waiting[0][0].decode(Int.self, at: 0) > 0 { break }
        try await Task.sleep(for: .milliseconds(5))
      }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      return process
    }
    #expect(killed.terminationReason == .uncaughtSignal && killed.terminationStatus == SIGKILL)
    let first = try await server.send(.get, "/v1/imports/\(id)")
    #expect(try first.json()["status"] == "merging", "\(first.text)")
    for table in ["orders", "order_lines", "customers"] {
      let count = try await server.send(.post, "/v1/\(table)/aggregate", json: ["measures": ["count"]])
      #expect(try count.json()["data"]?.array?.first?["count"] == 0, "\(table): \(count.text)")
    }

    // Half a minute later.
    _ = try await admin.execute(
      ["UPDATE crm.job SET leased_until = now() WHERE kind = 'import.run' AND status = 'running'"], context: settings, deadline: .after(.seconds(60)))
    let next = try worker(of: server.database)
    defer { kill(next.processIdentifier, SIGTERM) }
    let deadline = ContinuousClock.now + .seconds(300)
    var last: JSON = .null
    while ContinuousClock.now < deadline {
      last = try await server.send(.get, "/v1/imports/\(id)").json()
      if last["status"] == "done" { break }
      try await Task.sleep(for: .milliseconds(50))
    }
    #expect(last["status"] == "done" && last["rows_new"] == .number(Decimal(expected.lines)) && last["rows_refused"] == 0, "\(last)")
    let answer = try await server.send(
      .post, "/v1/orders/aggregate", json: ["measures": ["count", ["sum": "amount", "as": "sales"]], "group": ["currency"]])
    let totals = try #require(try answer.json()["data"]?.array?.first, "\(answer.text)")
    #expect(totals["count"] == .number(Decimal(expected.orders)))
    #expect(try cents(totals["sales"]?.string) == expected.sales_cents)
    let attempts = try await admin.execute(
      ["SELECT attempt FROM crm.job WHERE kind = 'import.run' AND status = 'done'"], context: settings, deadline: .after(.seconds(60)))
    #expect(try attempts[0].rows.map { try $0.decode(Int.self, at: 0) }.allSatisfy { $0 >= 2 } && attempts[0].count == 1)
  }

  private func worker(of database: TestDatabase) throws -> Process {
    let process = Process()
    process.executableURL = URL(filePath: Self.program)
    process.arguments = ["worker"]
    process.environment = ["DATABASE_URL": database.url(as: "crm_worker")]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }
}
