import CRMCore
import Foundation
import MuhatapTestKit
import OperationalCRM
import PostgresClient
import Testing

/// What tests of quotes need first: customers, products and quotes of the demo company, made over HTTP.
struct QuoteDesk {
  let server: TestServer

  func id(_ answer: TestServer.Answer, _ status: Int = 201) throws -> String {
    try #require(answer.status == status, "\(answer.text)")
    return try #require(try answer.json()["id"]?.string)
  }

  func customer(_ name: String = "Işıklı Gıda A.Ş.", locale: String = "tr") async throws -> String {
    try id(
      try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "organisation", "name": .string(name), "locale": .string(locale)]))
  }

  func product(_ name: String = "Şeker", vatRate: String = "20") async throws -> String {
    try id(
      try await server.send(
        .post, "/v1/products", as: "emre",
        json: ["sku": .string("Q-\(UUID().uuidString.prefix(12))"), "name": .string(name), "unit_code": "KGM", "vat_rate": .string(vatRate)]))
  }

  func line(_ product: String, _ quantity: String, _ price: String, discount: String = "0") -> JSON {
    ["product_id": .string(product), "quantity": .string(quantity), "unit_price": .string(price), "discount_percent": .string(discount)]
  }

  /// A draft of three lines at two VAT rates; 1,000.00 + 333.33 net at 20 %, 99.99 at 1 %.
  func draft(as person: String = "mehmet", discount: String = "0", customer: String? = nil, _ members: [String: JSON] = [:]) async throws -> String {
    let customer = if let customer { customer } else { try await self.customer() }
    let standard = try await product()
    let reduced = try await product("Ekmek", vatRate: "1")
    let lines: JSON = [line(standard, "10", "100", discount: discount), line(standard, "1", "333.333"), line(reduced, "3", "33.33")]
    return try id(
      try await server.send(
        .post, "/v1/quotes", as: person, json: .object(["customer_id": .string(customer), "lines": lines].merging(members) { $1 })))
  }

  func post(_ path: String, as person: String? = "mehmet", _ json: JSON? = nil, headers: [String: String] = [:]) async throws -> TestServer.Answer {
    try await server.send(.post, path, as: person, json: json, headers: headers)
  }

  func quote(_ id: String, as person: String = "ayse", expand: String = "lines") async throws -> JSON {
    let answer = try await server.send(.get, "/v1/quotes/\(id)?expand=\(expand)", as: person)
    try #require(answer.status == 200, "\(answer.text)")
    return try answer.json()
  }

  /// Sends a quote; the path of its page.
  func sent(_ id: String, as person: String = "mehmet") async throws -> String {
    let answer = try await post("/v1/quotes/\(id)/send", as: person)
    try #require(answer.status == 200, "\(answer.text)")
    return try #require(try answer.json()["path"]?.string)
  }

  /// Runs a statement as the gateway's role with everybody's rights: past the API, not past the database's rules.
  @discardableResult
  func behind(_ statement: SQL) async throws -> PostgresResult {
    try await Database(pool: server.database.app).transaction(as: .system("test")) { try await $0.result(statement) }
  }
}

extension QuoteDesk {
  /// Does once what workers do every hour.
  func expireQuotes() async throws {
    let handler = try #require(OperationalCRM.concepts.flatMap(\.jobs).first { $0.kind == "quotes.expire" })
    let database = Database(pool: server.database.worker)
    _ = try await database.transaction(as: .system("test")) { try await JobQueue.enqueue(handler.kind, in: $0) }
    let job = try #require(try await JobQueue(database: database).take([handler.kind], worker: "test", lease: .seconds(1_800)))
    try await handler.run(JobLease(job: job, database: database))
  }
}

/// The constraint or the SQLSTATE with which PostgreSQL refuses; nil if it does not.
func refusal(_ body: () async throws -> Void) async -> String? {
  do {
    try await body()
    return nil
  } catch let error as PostgresError {
    return error.constraint ?? error.sqlState
  } catch {
    return "\(error)"
  }
}
