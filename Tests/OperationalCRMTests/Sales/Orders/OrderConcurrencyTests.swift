import CRMCore
import Foundation
import MuhatapTestKit
import OperationalCRM
import PostgresClient
import Synchronization
import Testing

@Suite("Orders under load")
struct OrderConcurrencyTests {
  @Test("64 clients order, confirm, ship, take back and cancel the same goods while connections are killed: nothing is promised twice or lost")
  func sharedGoods() async throws {
    let server = try await TestServer.start()
    let shop = try await OrderFixture(server, "load")
    let few = try await shop.product("few", price: "10", stock: "60")
    let many = try await shop.product("many", price: "5", stock: "400")
    for person in ["ayse", "emre", "deniz"] { _ = try await server.key(of: person) }
    let client = LoadClient(server: server, shop: shop, few: few, many: many)

    let killing = Task {
      try await untilCancelled(every: .milliseconds(120), from: []) {
        try await server.database.admin.execute(
          [
            """
            SELECT pg_terminate_backend(pid) FROM (
              SELECT pid FROM pg_stat_activity WHERE usename = 'crm_app' AND datname = current_database() AND state <> 'idle' ORDER BY random() LIMIT 1) AS victim
            """
          ], context: .init(readOnly: false), deadline: .after(.seconds(60)))[0].rows.map { try $0.decode(Bool.self, at: 0) }
      }
    }
    let sampling = Task {
      try await untilCancelled(every: .milliseconds(100), from: []) { try await OrderFixture.violations(server.database) }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<64 { group.addTask { for round in 0..<3 { try await client.act(number + round) } } }
      try await group.waitForAll()
    }
    killing.cancel()
    sampling.cancel()
    #expect(try await sampling.value == [])
    #expect(try await OrderFixture.violations(server.database) == [])
    let counted = try await server.database.admin.execute(
      [
        """
        SELECT count(*)::int AS orders, count(DISTINCT number)::int AS numbers, array_agg(id::text) AS ids,
               (SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()) AS deadlocks FROM crm.sales_order
        """
      ],
      context: .init(readOnly: true), deadline: .after(.seconds(60)))[0][0]
    let ids = Set(try counted.decode([String].self, "ids"))
    let known = client.tally.acknowledged.withLock { $0 }
    #expect(known.count > 150, "\(client.tally.answers.withLock { $0 })")
    #expect(Set(known).count == known.count && ids.isSuperset(of: known), "an acknowledged order is missing")
    #expect(try counted.decode(Int.self, "numbers") == counted.decode(Int.self, "orders"))
    #expect(try counted.decode(Int.self, "deadlocks") == 0, "locks are taken in one order")
    let killed = try await killing.value
    #expect(killed.count > 3, "connections were to be killed")
    #expect(ids.count <= 64 * 3, "an order was made twice: \(ids.count)")
  }

  @Test("a quote has one order, however many accept it at once")
  func oneOrder() async throws {
    let server = try await TestServer.start()
    let shop = try await OrderFixture(server, "quote")
    let goods = try await shop.product("quoted", price: "10", stock: "3")
    let quote = UUID.v7()
    let customer = try #require(shop.customer.string.flatMap(UUID.init(uuidString:)))
    let product = try #require(goods.string.flatMap(UUID.init(uuidString:)))
    let database = Database(pool: server.database.app)
    try await database.transaction(as: .system("test")) { tx in
      _ = try await tx.results([
        """
        INSERT INTO crm.quote (customer_id, id, number, valid_until, department_id, owner_id)
        SELECT id, \(quote), 'Q-1', crm.today() + 7, department_id, owner_id FROM crm.customer WHERE id = \(customer)
        """,
        """
        INSERT INTO crm.quote_line (customer_id, quote_id, line_number, product_id, description, quantity, unit_code, unit_price, discount_percent, vat_rate)
        VALUES (\(customer), \(quote), 1, \(product), 'Kutu', 2, 'C62', 10, 10, 20), (\(customer), \(quote), 2, \(product), 'Kutu', 4, 'C62', 10, 0, 10)
        """,
      ])
    }
    let orders = try await withThrowingTaskGroup(of: UUID.self) { group in
      for _ in 0..<16 {
        group.addTask {
          try await database.transaction(as: .system("test"), deadline: .after(.seconds(60)), retries: true) { tx in
            try await OrderOpening.open(quote: quote, customer: customer, tx: tx)
          }
        }
      }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(orders.count == 1)
    let order = try #require(orders.first)
    let shown = try await server.send(.get, "/v1/orders/\(order.lowercase)", as: "deniz").json()
    #expect(
      shown["amount"] == "58.00" && shown["quote_id"] == .string(quote.lowercase) && shown["status"] == "placed" && shown["number"]?.string != nil, "\(shown)")
    let lines = try await shop.lines(order.lowercase)
    #expect(lines.map { $0["reserved"] } == ["2.000", "1.000"] && lines.map { $0["vat_rate"] } == ["20.00", "10.00"])
    #expect(lines.map { $0["description"] } == ["Kutu", "Kutu"] && lines.map { $0["discount_percent"] } == ["10.00", "0.00"])
    #expect(try await OrderFixture.violations(server.database) == [])
    await #expect(throws: Problem.self) {
      try await database.transaction(as: .system("test")) { tx in _ = try await OrderOpening.open(quote: UUID.v7(), customer: customer, tx: tx) }
    }
  }
}

/// Somebody who orders and moves the order on, and sends again what may not have happened.
private struct LoadClient: Sendable {
  final class Tally: Sendable {
    let acknowledged = Mutex<[String]>([])
    let answers = Mutex<[String: Int]>([:])
  }

  let server: TestServer
  let shop: OrderFixture
  let few: JSON
  let many: JSON
  let tally = Tally()

  /// Sends again what may not have happened, under the same key, as a careful client does.
  func send(_ path: String, as person: String, _ body: JSON) async throws -> TestServer.Answer? {
    let key = UUID.v7().lowercase
    for attempt in 0..<40 {
      let answer = try await server.send(.post, path, as: person, json: body, headers: ["idempotency-key": key])
      tally.answers.withLock { $0["\(answer.status) \(answer.problem ?? "")", default: 0] += 1 }
      guard answer.status >= 500 || ["locked", "busy", "in-progress"].contains(answer.problem) else { return answer }
      try await Task.sleep(for: .milliseconds(20 * (attempt + 1)))
    }
    return nil
  }
  func act(_ number: Int) async throws {
    // Both orders of the products, so that locks taken in the order asked for would block each other.
    let lines: [JSON] = [["product_id": few, "quantity": .number(Decimal(number % 3 + 1))], ["product_id": many, "quantity": "2"]]
    let placed = try await send(
      "/v1/orders/place", as: "ayse",
      ["customer_id": shop.customer, "price_book_id": shop.book, "lines": .array(number % 2 == 0 ? lines : lines.reversed())])
    guard let placed, placed.status == 201, let order = try placed.json()["id"]?.string else { return }
    tally.acknowledged.withLock { $0.append(order) }
    switch number % 5 {
    case 0: _ = try await send("/v1/orders/\(order)/cancel", as: "ayse", ["reason": "x"])
    case 1: _ = try await send("/v1/orders/\(order)/refuse", as: "emre", ["reason": "x"])
    case 2:
      _ = try await send(
        "/v1/stock_movements", as: "emre", ["warehouse_id": shop.warehouse, "product_id": few, "kind": "receipt", "quantity": "1"])
    default:
      _ = try await send("/v1/orders/\(order)/confirm", as: "emre", [:])
      _ = try await send("/v1/orders/\(order)/ship", as: "emre", [:])
      if number % 5 == 4 {
        _ = try await send("/v1/orders/\(order)/return", as: "emre", ["lines": [["line_number": 1, "quantity": "1"]], "reason": "x"])
      }
    }
  }
}
