import CRMCore
import Foundation
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Stock")
struct StockTests {
  @Test("goods come, are counted and come back; the levels follow, and sellers see what can be promised")
  func life() async throws {
    let server = try await TestServer.suite()
    let shop = try await StockFixture(server, "life")
    let received = try await shop.move("receipt", "10", ["reason": "İrsaliye 17"])
    #expect(received.status == 201, "\(received.text)")
    #expect(try received.json()["on_hand_change"] == "10.000")
    #expect(try await shop.move("return", "1.5").status == 201)
    let counted = try await shop.move("count", "9")
    #expect(try counted.json()["quantity"] == "-2.500", "\(counted.text)")
    let level = try await server.send(.get, "/v1/stock_levels?product_id=eq.\(shop.product)", as: "emre").json()["data"]?.array?.first
    #expect(level?["on_hand"] == "9.000" && level?["reserved"] == "0.000" && level?["available"] == "9.000")

    let enough = try await shop.availability("9")
    #expect(enough["can_be_promised"] == true && enough["available"] == "9.000" && enough["promised_on"] == enough["date"])
    let tooMuch = try await shop.availability("12")
    #expect(tooMuch["can_be_promised"] == false && tooMuch["promised_on"] == .null && tooMuch["warehouses"]?.array?.isEmpty == false)

    let expected = try await server.send(
      .post, "/v1/expected_receipts", as: "emre",
      json: ["warehouse_id": .string(shop.warehouse), "product_id": .string(shop.product), "quantity": "5", "expected_on": "2099-03-01"])
    let expectedID = try #require(try expected.json()["id"]?.string, "\(expected.text)")
    let later = try await shop.availability("12")
    #expect(later["promised_on"] == "2099-03-01" && later["can_be_promised"] == false)
    #expect(try await shop.availability("12", "&date=2099-03-02")["can_be_promised"] == true)
    #expect(try await shop.move("receipt", "3", ["expected_receipt_id": .string(expectedID)]).status == 201)
    #expect(try await server.send(.get, "/v1/expected_receipts/\(expectedID)", as: "emre").json()["outstanding"] == "2.000")
    #expect(try await shop.availability("12")["can_be_promised"] == true)
  }

  @Test("what stock refuses")
  func refusals() async throws {
    let server = try await TestServer.suite()
    let shop = try await StockFixture(server, "refusals")
    #expect(try await shop.move("receipt", "0").text.contains("/quantity"))
    #expect(try await shop.move("receipt", "-1").status == 422)
    #expect(try await shop.move("ship", "1").text.contains("/kind"))
    #expect(try await shop.move("count", "1", ["expected_receipt_id": .string(UUID.v7().lowercase)]).text.contains("/expected_receipt_id"))
    #expect(try await shop.move("receipt", "1", ["expected_receipt_id": .string(UUID.v7().lowercase)]).text.contains("/expected_receipt_id"))
    #expect(try await shop.move("receipt", "1", ["product_id": .string(UUID.v7().lowercase)]).text.contains("untracked"))
    #expect(try await shop.move("receipt", "1", ["warehouse_id": .string(UUID.v7().lowercase)]).text.contains("/warehouse_id"))
    let service = try await server.send(.post, "/v1/products", as: "emre", json: ["sku": "stock-service", "name": "Montaj", "tracked": false])
    let serviceID = try #require(try service.json()["id"]?.string)
    #expect(try await shop.move("receipt", "1", ["product_id": .string(serviceID)]).text.contains("untracked"))
    let always = try await server.send(.get, "/v1/products/\(serviceID)/availability?quantity=1000", as: "ayse").json()
    #expect(always["can_be_promised"] == true && always["warehouses"] == [])
    #expect(try await shop.move("receipt", "1", as: "ayse").status == 403)
    #expect(try await server.send(.get, "/v1/stock_movements", as: "ayse").status == 403)
    #expect(try await server.send(.get, "/v1/products/\(UUID.v7().lowercase)/availability", as: "ayse").status == 404)
    #expect(try await server.send(.get, "/v1/products/\(shop.product)/availability?quantity=x", as: "ayse").status == 400)

    // Entries and levels cannot be written past the operations, whoever tries.
    let movement = try #require(try await shop.move("receipt", "1").json()["id"]?.string)
    for (method, path) in [(Request.Method.patch, "stock_movements"), (.delete, "stock_movements"), (.patch, "stock_levels"), (.post, "stock_levels")] {
      let address = method == .post ? "/v1/\(path)" : "/v1/\(path)/\(movement)"
      #expect(try await server.send(method, address, as: "deniz", json: method == .delete ? nil : ["quantity": "5"]).status == 405, "\(method) \(path)")
    }
    for statement in ["UPDATE crm.stock_movement SET quantity = 2", "DELETE FROM crm.stock_movement", "UPDATE crm.stock_level SET on_hand = 99"] as [SQL] {
      await #expect(throws: PostgresError.self) {
        try await Database(pool: server.database.app).transaction(as: .system("test")) { tx in try await tx.run(statement) }
      }
    }
  }

  @Test("64 clients and the loss of their connections never take more than there is, and the ledger adds up to the levels")
  func concurrency() async throws {
    let database = try await TestDatabase.clone()
    let pool = PostgresPool(
      .init(connection: database.url(), connections: [.interactive: 64, .jobs: 1, .reports: 1, .health: 1], applicationName: "stock-clients"),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let service = Database(pool: pool)
    let admin = database.admin
    let context = PostgresPool.Context(readOnly: false)
    let made = try await admin.execute(
      [
        """
        WITH department AS (INSERT INTO crm.department (code, name) VALUES ('d', 'd') RETURNING id),
        customer AS (INSERT INTO crm.customer (kind, name, department_id) SELECT 'person', 'x', id FROM department RETURNING id, department_id),
        warehouse AS (INSERT INTO crm.warehouse (code, name) VALUES ('w', 'w') RETURNING id),
        product AS (INSERT INTO crm.product (sku, name) VALUES ('p', 'p') RETURNING id)
        SELECT customer.id AS customer, department_id AS department, warehouse.id AS warehouse, product.id AS product FROM customer, warehouse, product
        """
      ], context: context, deadline: .after(.seconds(60)))[0][0]
    let (customer, warehouse, product) = (
      try made.decode(UUID.self, "customer"), try made.decode(UUID.self, "warehouse"), try made.decode(UUID.self, "product")
    )
    let (department, order) = (try made.decode(UUID.self, "department"), UUID.v7())
    _ = try await admin.execute(
      [
        "INSERT INTO crm.sales_order (customer_id, id, department_id) VALUES (\(customer), \(order), \(department))",
        "INSERT INTO crm.sales_order_line (customer_id, order_id, product_id, line_number, quantity, amount) VALUES (\(customer), \(order), \(product), 1, 1, 1)",
        "INSERT INTO crm.stock_movement (warehouse_id, product_id, kind, quantity) VALUES (\(warehouse), \(product), 'receipt', 100)",
      ], context: context, deadline: .after(.seconds(60)))

    /// Takes without looking: only the constraints stand between a hundred pieces and 64 clients who want three each.
    @Sendable func act(_ client: Int, _ step: Int) async throws {
      let kind = (client + step) % 4 == 3 ? "release" : step % 5 == 4 ? "ship" : "reserve"
      try await service.transaction(as: .system("test"), deadline: .after(.seconds(300)), retries: true) { tx in
        try await tx.run(
          """
          INSERT INTO crm.stock_movement (warehouse_id, product_id, kind, quantity, customer_id, order_id, order_line_number)
          VALUES (\(warehouse), \(product), \(kind), 3, \(customer), \(order), 1)
          """)
      }
    }
    let (moved, refused, lost) = try await withThrowingTaskGroup(of: (Int, Int, Int).self) { group in
      for client in 0..<64 {
        group.addTask {
          var (moved, refused, lost) = (0, 0, 0)
          for step in 0..<12 {
            do {
              try await act(client, step)
              moved += 1
            } catch let error as PostgresError where error.constraint?.hasPrefix("stock_level_") == true {
              refused += 1
            } catch is PostgresError {
              lost += 1
            }
          }
          return (moved, refused, lost)
        }
      }
      let killing = Task {
        try await untilCancelled(every: .milliseconds(25), from: []) {
          try await admin.execute(
            [
              """
              SELECT pg_terminate_backend(pid) FROM (
                SELECT pid FROM pg_stat_activity WHERE application_name = 'stock-clients' AND datname = current_database() AND state <> 'idle'
                 ORDER BY random() LIMIT 3) AS victim
              """
            ], context: context, deadline: .after(.seconds(60)))[0].rows.map { try $0.decode(Bool.self, at: 0) }
        }
      }
      let sampling = Task {
        try await untilCancelled(every: .milliseconds(20), from: []) { [try await lowest(database)] }
      }
      let sum = try await group.reduce(into: (0, 0, 0)) { $0 = ($0.0 + $1.0, $0.1 + $1.1, $0.2 + $1.2) }
      killing.cancel()
      sampling.cancel()
      #expect(try await sampling.value.allSatisfy { $0 >= 0 })
      #expect(try await killing.value.count > 3, "connections were to be killed")
      return sum
    }
    #expect(moved > 20 && refused > 0, "\(moved) moved, \(refused) refused, \(lost) lost")
    let sums = try await admin.execute(
      [
        """
        SELECT l.on_hand, l.reserved, sum(m.on_hand_change) AS moved, sum(m.reserved_change) AS promised, count(*)::int AS entries
          FROM crm.stock_level AS l JOIN crm.stock_movement AS m USING (warehouse_id, product_id) GROUP BY l.id
        """
      ], context: context, deadline: .after(.seconds(60)))[0]
    #expect(sums.count == 1)
    let row = sums[0]
    #expect(try row.decode(Decimal.self, "on_hand") == row.decode(Decimal.self, "moved"))
    #expect(try row.decode(Decimal.self, "reserved") == row.decode(Decimal.self, "promised"))
    #expect(try row.decode(Int.self, "entries") - 1 >= moved, "an acknowledged movement is missing")
    #expect(try row.decode(Int.self, "entries") - 1 <= moved + lost, "a movement was made twice")
  }

  private func lowest(_ database: TestDatabase) async throws -> Decimal {
    try await database.admin.execute(
      ["SELECT least(min(available), min(reserved), min(on_hand)) AS lowest FROM crm.stock_level"], context: .init(readOnly: true),
      deadline: .after(.seconds(60)))[0][0]
      .decode(Decimal.self, "lowest")
  }
}

/// A warehouse and a product of a test's own.
struct StockFixture {
  let server: TestServer
  let warehouse: String
  let product: String

  init(_ server: TestServer, _ name: String, _ values: [String: JSON] = [:]) async throws {
    self.server = server
    let warehouse = try await server.send(.post, "/v1/warehouses", as: "emre", json: ["code": .string("W-\(name)"), "name": .string("Depo \(name)")])
    self.warehouse = try #require(try warehouse.json()["id"]?.string, "\(warehouse.text)")
    let product = try await server.send(
      .post, "/v1/products", as: "emre", json: .object(["sku": .string("S-\(name)"), "name": .string("Ürün \(name)")].merging(values) { $1 }))
    self.product = try #require(try product.json()["id"]?.string, "\(product.text)")
  }

  func move(_ kind: String, _ quantity: String, _ values: [String: JSON] = [:], as person: String = "emre") async throws -> TestServer.Answer {
    let own: [String: JSON] = [
      "warehouse_id": .string(warehouse), "product_id": .string(product), "kind": .string(kind), "quantity": .string(quantity),
    ]
    return try await server.send(.post, "/v1/stock_movements", as: person, json: .object(own.merging(values) { $1 }))
  }

  func availability(_ quantity: String, _ more: String = "") async throws -> JSON {
    let answer = try await server.send(.get, "/v1/products/\(product)/availability?quantity=\(quantity)\(more)", as: "ayse")
    try #require(answer.status == 200, "\(answer.text)")
    return try answer.json()
  }
}
