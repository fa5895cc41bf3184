import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// A customer of Ayşe's, and goods with a price, in a warehouse of a test's own.
struct OrderFixture {
  let server: TestServer
  let customer: JSON
  let warehouse: JSON
  let book: JSON

  init(_ server: TestServer, _ name: String) async throws {
    self.server = server
    customer = try await Self.make(server, "customers", as: "ayse", ["kind": "organisation", "name": .string("Alıcı \(name)")])
    warehouse = try await Self.make(server, "warehouses", as: "emre", ["code": .string("W-\(name)"), "name": .string("Depo \(name)"), "priority": 1])
    book = try await Self.make(server, "price_books", as: "emre", ["code": .string("B-\(name)"), "name": .string("Liste \(name)")])
  }

  static func make(_ server: TestServer, _ resource: String, as person: String, _ values: JSON) async throws -> JSON {
    let answer = try await server.send(.post, "/v1/\(resource)", as: person, json: values)
    try #require(answer.status == 201, "\(resource): \(answer.text)")
    return try answer.json()["id"] ?? .null
  }

  func product(_ sku: String, price: String?, stock: String?, _ more: [String: JSON] = [:]) async throws -> JSON {
    let product = try await Self.make(server, "products", as: "emre", .object(["sku": .string(sku), "name": .string("Ürün \(sku)")].merging(more) { $1 }))
    if let price {
      _ = try await Self.make(server, "price_rules", as: "emre", ["price_book_id": book, "product_id": product, "kind": "amount", "value": .string(price)])
    }
    if let stock { try await receive(product, stock) }
    return product
  }

  func receive(_ product: JSON, _ quantity: String) async throws {
    _ = try await Self.make(
      server, "stock_movements", as: "emre", ["warehouse_id": warehouse, "product_id": product, "kind": "receipt", "quantity": .string(quantity)])
  }

  func place(_ lines: JSON, as person: String = "ayse", _ more: [String: JSON] = [:]) async throws -> TestServer.Answer {
    let own: [String: JSON] = ["customer_id": customer, "lines": lines, "price_book_id": book]
    return try await server.send(.post, "/v1/orders/place", as: person, json: .object(own.merging(more) { $1 }))
  }

  /// An order that was placed; answers its id.
  func placed(_ lines: JSON) async throws -> String {
    let answer = try await place(lines)
    try #require(answer.status == 201, "\(answer.text)")
    return try #require(try answer.json()["id"]?.string)
  }

  func act(_ order: String, _ verb: String, as person: String = "emre", _ body: JSON = [:]) async throws -> TestServer.Answer {
    try await server.send(.post, "/v1/orders/\(order)/\(verb)", as: person, json: body)
  }

  /// The fulfilment of an order's lines, in their order.
  func lines(_ order: String) async throws -> [JSON] {
    try await server.send(.get, "/v1/order_fulfilments?order_id=eq.\(order)&order=line_number", as: "ayse").json()["data"]?.array ?? []
  }

  func status(_ order: String) async throws -> String? {
    try await server.send(.get, "/v1/orders/\(order)", as: "ayse").json()["status"]?.string
  }

  static func violations(_ database: TestDatabase) async throws -> [String] {
    try await database.admin.execute(
      ["SELECT name || ': ' || detail FROM crm.sales_invariants()"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0].rows
      .map { try $0.decode(String.self, at: 0) }
  }
}

/// Runs `step` again and again, with a pause after each, until the task is cancelled; answers the sum of what the steps answered.
/// A step that is under way when the task is cancelled counts for nothing.
func untilCancelled<Sum: RangeReplaceableCollection & Sendable>(
  every pause: Duration, from start: Sum, _ step: @Sendable () async throws -> Sum
) async throws -> Sum {
  var sum = start
  while !Task.isCancelled {
    do {
      sum += try await step()
    } catch {
      if Task.isCancelled { break }
      throw error
    }
    try? await Task.sleep(for: pause)
  }
  return sum
}
