import CRMCore
import Foundation
import Gateway
import Logging
import PostgresClient

/// How to sign in to the demo: kept in a file that only its owner reads, so that a second run says the same as the first.
struct DemoAccess: Codable {
  private static let biLogin = BILogin("bi_satis", department: "sales", note: "The demo's BI tool of the sales department.")

  private(set) var keys: [String: String] = [:]
  private(set) var biPassword: String?

  /// Reads the file and makes what is missing in it or in the database.
  static func load(from file: URL, pool: PostgresPool, migratorURL: String) async throws -> DemoAccess {
    var access = FileManager.default.fileExists(atPath: file.path) ? try JSONDecoder().decode(Self.self, from: Data(contentsOf: file)) : DemoAccess()
    let database = Database(pool: pool)
    let before = access
    for person in DemoCompany.people {
      if let key = access.keys[person.email], try await database.knowsAPIKey(key) { continue }
      access.keys[person.email] = try await database.makeAPIKey(for: person.email, name: "demo").token
    }
    if access.biPassword == nil || access.keys != before.keys {
      let migrator = PostgresPool(
        PostgresPool.Configuration(connection: migratorURL, connections: [.interactive: 1]), logger: Logger(label: "demo") { _ in SwiftLogNoOpLogHandler() })
      access.biPassword = try await Database(pool: migrator).renewBILogin(biLogin)
      await migrator.shutdown()
    }
    if access.keys != before.keys || access.biPassword != before.biPassword { try access.save(to: file) }
    return access
  }

  private func save(to file: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try encoder.encode(self).write(to: file, options: .atomic)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
  }

  /// What to do next, with everything to copy.
  func welcome(address: String, databasePort: Int) -> String {
    let width = DemoCompany.people.map(\.name.count).max() ?? 0
    let people = DemoCompany.people.map { person in
      "  \(person.name.padding(toLength: width, withPad: " ", startingAt: 0))  \(keys[person.email] ?? "")  \(person.note)"
    }
    let sales = keys["ayse@carsi.example"] ?? ""
    return """

      Çarşı Market is open at \(address)  (documentation: \(address)/docs)

      API keys:
      \(people.joined(separator: "\n"))

      Try:
        KEY=\(sales)
        curl -H "Authorization: Bearer $KEY" '\(address)/v1/customers?limit=3&select=id,name,lifecycle_phase'
        curl -H "Authorization: Bearer $KEY" '\(address)/v1/orders?order=-ordered_at&limit=3&expand=customer'
        curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' '\(address)/v1/orders/aggregate' \\
             -d '{"measures": ["count", {"sum": "amount", "as": "sales"}], "group": ["currency"]}'

      A BI tool of the sales department:
        psql 'postgresql://\(Self.biLogin.login):\(biPassword ?? "")@127.0.0.1:\(databasePort)/muhatap' -c 'SELECT * FROM orders ORDER BY ordered_at DESC LIMIT 3'

      Ctrl-C stops everything; `make demo` starts it again in seconds.
      """
  }
}
