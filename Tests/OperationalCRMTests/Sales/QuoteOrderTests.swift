import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// What comes before a quote, prices, and what follows it, orders.
@Suite struct QuoteOrderTests {
  private func make(_ desk: QuoteDesk, _ resource: String, _ values: JSON) async throws -> String {
    try desk.id(try await desk.post("/v1/\(resource)", as: "emre", values))
  }

  private func book(_ desk: QuoteDesk) async throws -> String {
    let code = "B-\(UUID().uuidString.prefix(8))"
    return try await make(desk, "price_books", ["code": .string(code), "name": .string(code)])
  }

  private func price(_ desk: QuoteDesk, _ book: String, _ product: String, _ amount: String) async throws {
    _ = try await make(
      desk, "price_rules", ["price_book_id": .string(book), "product_id": .string(product), "kind": "amount", "value": .string(amount)])
  }

  private func receive(_ desk: QuoteDesk, _ product: String, _ quantity: String) async throws {
    let code = "W-\(UUID().uuidString.prefix(8))"
    let warehouse = try await make(desk, "warehouses", ["code": .string(code), "name": .string(code)])
    _ = try await make(
      desk, "stock_movements",
      ["warehouse_id": .string(warehouse), "product_id": .string(product), "kind": "receipt", "quantity": .string(quantity)])
  }

  /// What the ledgers, levels and orders say of each other that cannot be.
  private func violations(_ desk: QuoteDesk) async throws -> [String] {
    try await desk.server.database.admin.execute(
      ["SELECT name || ': ' || detail FROM crm.sales_invariants()"], context: .init(readOnly: true), deadline: .after(.seconds(60)))[0].rows
      .map { try $0.decode(String.self, at: 0) }
  }

  @Test func `a price that is left out is the price book's, and selling below it is a discount`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let customer = try await desk.customer()
    let (book, product) = (try await book(desk), try await desk.product())
    try await price(desk, book, product, "80")
    let made = try await desk.post(
      "/v1/quotes",
      [
        "customer_id": .string(customer), "price_book_id": .string(book),
        "lines": [["product_id": .string(product), "quantity": "2"], desk.line(product, "1", "60")],
      ])
    let id = try desk.id(made)
    let quote = try await desk.quote(id)
    let lines = try #require(quote["lines"]?.array)
    #expect(Set(lines.map { $0["unit_price"]?.string }) == ["80.000000", "60.000000"], "\(quote)")
    #expect(lines.allSatisfy { $0["list_price"] == "80.000000" })
    #expect(quote["worst_discount_percent"] == "25.00")
    #expect(try await desk.post("/v1/quotes/\(id)/send").problem == "approval-needed")
    #expect(try await desk.post("/v1/quotes/\(id)/send", as: "ayse").status == 200)

    let unpriced = try await desk.product()
    let none = try await desk.post("/v1/quotes", ["customer_id": .string(customer), "lines": [["product_id": .string(unpriced), "quantity": "1"]]])
    #expect(none.status == 422 && none.text.contains("/lines/0/unit_price") && none.text.contains("No price book"), "\(none.text)")
    let nowhere = try await desk.post("/v1/quotes", ["customer_id": .string(customer), "price_book_id": .string(UUID().uuidString)])
    #expect(nowhere.status == 422 && nowhere.text.contains("/price_book_id"), "\(nowhere.text)")
  }

  @Test func `acceptance opens the order, reserves the stock and wins the opportunity`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let customer = try await desk.customer()
    let opportunity = try desk.id(try await desk.post("/v1/opportunities", as: "ayse", ["customer_id": .string(customer), "name": "Yaz alımı"]))
    let (plenty, scarce) = (try await desk.product("Bol"), try await desk.product("Kıt", vatRate: "1"))
    try await receive(desk, plenty, "100")
    try await receive(desk, scarce, "4")
    let id = try await desk.draft(
      customer: customer,
      ["opportunity_id": .string(opportunity), "lines": [desk.line(plenty, "10", "12.5", discount: "10"), desk.line(scarce, "6", "3")]])
    let path = try await desk.sent(id)
    #expect(try await desk.post("\(path)/accept", as: nil, ["name": "Müşteri"]).status == 200)
    let order = try #require(try await desk.quote(id, expand: "orders")["orders"]?.array?.first)
    #expect(order["number"]?.string?.hasPrefix("S-") == true && order["amount"] == "130.50" && order["customer_id"]?.string == customer, "\(order)")
    let fulfilments = try await desk.server.send(
      .get, "/v1/order_fulfilments?order_id=eq.\(order["id"]?.string ?? "")&order=line_number", as: "ayse"
    ).json()["data"]?.array
    #expect(fulfilments?.map { $0["reserved"]?.string } == ["10.000", "4.000"], "\(fulfilments ?? [])")
    #expect(fulfilments?.map { $0["vat_rate"]?.string } == ["20.00", "1.00"])
    #expect(try await desk.server.send(.get, "/v1/opportunities/\(opportunity)", as: "ayse").json()["status"] == "won")
    #expect(try await violations(desk) == [])

    let declined = try await desk.draft()
    #expect(try await desk.post("\(desk.sent(declined))/decline", as: nil, ["name": "Müşteri"]).status == 200)
    #expect(try await desk.quote(declined, expand: "orders")["orders"] == [])
  }

  @Test func `64 clients accept one quote: one order, its stock reserved once`() async throws {
    let desk = QuoteDesk(server: try await TestServer.suite())
    let product = try await desk.product()
    try await receive(desk, product, "100")
    let id = try await desk.draft(["lines": [desk.line(product, "10", "1"), desk.line(product, "5", "1")]])
    let path = try await desk.sent(id)
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<64 {
        group.addTask {
          number % 2 == 0
            ? try await desk.post("\(path)/accept", as: nil, ["name": .string("Müşteri \(number)")]).status
            : try await desk.post("/v1/quotes/\(id)/accept", ["name": "Telefonda"], headers: ["idempotency-key": "accept-\(number % 8)-\(id)"]).status
        }
      }
      return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
    }
    #expect(statuses.keys.allSatisfy { [200, 409].contains($0) } && statuses[200] ?? 0 >= 1, "\(statuses)")
    let quote = try await desk.quote(id, expand: "orders,answers")
    #expect(quote["status"] == "accepted" && quote["orders"]?.array?.count == 1 && quote["answers"]?.array?.count == 1, "\(quote)")
    let reserved = try await desk.behind("SELECT sum(reserved)::text FROM crm.stock_level WHERE product_id = \(UUID(uuidString: product))")
    #expect(try reserved[0].decode(String.self, at: 0) == "15.000")
    #expect(try await violations(desk) == [])
  }
}
