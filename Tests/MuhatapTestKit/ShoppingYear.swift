package import CRMCore
import Foundation
import Gateway
import PostgresClient

/// The demo company with the year of shopping that is shipped in `demo/data`: 48 customers, 2,758 orders, 25,658 lines in US dollars, and their coupon
/// redemptions as observations of the customers. Customers are made in the order of their household's number, so that ties broken by id are broken as in the
/// expected figures. It is imported once a test process, as anybody would import it; every clone costs a fraction of a second.
/// What analyses must find in it stands in `Tests/CRMCoreTests/Fixtures/mini_expected.json`.
package enum ShoppingYear {
  /// The instant up to which the expected figures count.
  package static let asOf = "2018-01-02T00:00:00Z"

  /// A database of its own with the year in it.
  package static func clone() async throws -> TestDatabase {
    try await TestCluster.shared.clone(filled: "shopping_year", with: load)
  }

  /// A server on a database of its own with the year in it.
  package static func server() async throws -> TestServer {
    try await TestServer.start(on: clone())
  }

  /// The server with the year that all tests of one file share.
  package static func suite(_ file: String = #fileID) async throws -> TestServer {
    try await Suites.shared.server(of: file)
  }

  /// What analyses must find, computed independently.
  package static func expected() throws -> JSON {
    try JSONDecoder().decode(JSON.self, from: Data(contentsOf: fixture("mini_expected.json")))
  }

  /// What they must find of each customer, by the customer's name: `Household 51`. Columns: household_id, first_ts, last_ts, orders, cents, recency_days,
  /// tenure_days, departments, redemptions, r, f, m (ntile), r_cut, f_cut, m_cut, decile, score, rank, tier.
  package static func expectedCustomers() throws -> [String: [String: String]] {
    let lines = try String(contentsOf: fixture("mini_expected_customers.csv"), encoding: .utf8).split(whereSeparator: \.isNewline)
      .map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
    return Dictionary(uniqueKeysWithValues: lines.dropFirst().map { ("Household \($0[0])", Dictionary(uniqueKeysWithValues: zip(lines[0], $0))) })
  }

  private static func fixture(_ name: String) -> URL { Command.repository.appending(path: "Tests/CRMCoreTests/Fixtures/\(name)") }

  private actor Suites {
    static let shared = Suites()
    private var servers: [String: Task<TestServer, any Error>] = [:]

    func server(of file: String) async throws -> TestServer {
      let task = servers[file] ?? Task { try await ShoppingYear.server() }
      servers[file] = task
      return try await task.value
    }
  }

  private static func load(_ database: TestDatabase) async throws {
    try await DemoCompany.found(in: database.app)
    let door = Database(pool: database.worker)
    try await Importer(database: door, model: try await model(of: database)).importHouseholds(as: try await door.caller(of: "deniz@carsi.example"))
    try await take([("products", "products"), ("demographics", "customers"), ("transactions", "orders")], into: database)
    try await redeem(in: door)
    // Plans for tables that nobody has looked at yet are slow ones.
    _ = try await database.admin.execute(["ANALYZE"], context: .init(readOnly: false), lane: .jobs, deadline: .after(.seconds(60)))
  }

  /// The year's campaigns, who was in them and what was redeemed, by the mappings of the demo.
  package static func importCampaigns(into database: TestDatabase) async throws {
    try await take(
      [("campaign_descriptions", "campaigns"), ("campaigns", "campaign_members"), ("coupon_redemptions", "campaign_responses")], into: database)
  }

  private static func model(of database: TestDatabase) async throws -> Model {
    try Model(resources: API.declared, catalogue: try await Catalogue.read(from: database.worker))
  }

  private static func take(_ files: [(file: String, resource: String)], into database: TestDatabase) async throws {
    let door = Database(pool: database.worker)
    let importer = Importer(database: door, model: try await model(of: database))
    let caller = try await door.caller(of: "deniz@carsi.example")
    for (file, resource) in files {
      let mapping = try JSONDecoder().decode(JSON.self, from: Data(demo("mappings/\(resource).json")))
      let job = try await importer.importFile(
        pieces(demo("data/\(file).csv.gz")), resource: resource, mapping: mapping, fileName: "\(file).csv.gz", dryRun: false, as: caller)
      guard job.status == .done, job.rowsRefused == 0 else { throw Command.Failure(description: "\(file): \(job.rowsRefused) rows refused, \(job.status)") }
    }
  }

  /// One observation a coupon used, at the beginning of its day.
  private static func redeem(in door: Database) async throws {
    let rows = try await rows(of: "coupon_redemptions")
    let households = rows.map { $0[0] }
    let days = rows.map { $0[3] }
    let count = try await door.transaction(as: .system("observe redemptions"), deadline: .after(.seconds(60))) { tx in
      try await tx.run(
        """
        INSERT INTO crm.customer_observation (customer_id, kind, observed_at, value, note, department_id)
        SELECT c.id, 'redemptions', given.day::timestamp AT TIME ZONE 'UTC', 1, NULL, c.department_id
          FROM unnest(\(households)::text[], \(days)::text[]) AS given (household, day) JOIN crm.customer AS c ON c.name = 'Household ' || given.household
        """)
    }
    guard count == rows.count else { throw Command.Failure(description: "\(count) of \(rows.count) redemptions have a customer") }
  }

  /// The rows of one of the demo's files, without the heading. None of its values holds a comma or a quotation mark.
  fileprivate static func rows(of file: String) async throws -> [[String]] {
    try await Command("gzip", ["-dc", Command.repository.appending(path: "demo/data/\(file).csv.gz").path]).run()
      .split(whereSeparator: \.isNewline).dropFirst().map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
  }

  fileprivate static func demo(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: Command.repository.appending(path: "demo").appending(path: path)))
  }

  fileprivate static func pieces(_ bytes: [UInt8]) -> AsyncThrowingStream<[UInt8], any Error> {
    AsyncThrowingStream { continuation in
      for start in stride(from: 0, to: bytes.count, by: 64 << 10) { continuation.yield(Array(bytes[start..<min(start + (64 << 10), bytes.count)])) }
      continuation.finish()
    }
  }
}

extension Importer {
  /// Makes all households in the order of their numbers; the file of those that told about themselves, and that of the orders, find them.
  fileprivate func importHouseholds(as caller: Caller) async throws {
    guard var mapping = try JSONDecoder().decode(JSON.self, from: Data(ShoppingYear.demo("mappings/customers.json"))).object,
      var fields = mapping["fields"]?.object
    else { throw Command.Failure(description: "the mapping of customers has no fields") }
    fields["profile"] = nil
    mapping["fields"] = .object(fields)
    let households = Set(try await ShoppingYear.rows(of: "transactions").compactMap { Int($0[0]) }).sorted()
    let file = "household_id\n" + households.map(String.init).joined(separator: "\n") + "\n"
    let job = try await importFile(
      ShoppingYear.pieces(Array(file.utf8)), resource: "customers", mapping: .object(mapping), fileName: "households.csv", dryRun: false, as: caller)
    guard job.status == .done, job.rowsNew == households.count else { throw Command.Failure(description: "households: \(job.rowsNew) new, \(job.status)") }
  }
}
