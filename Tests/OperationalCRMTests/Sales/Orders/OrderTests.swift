import CRMCore
import Foundation
import MuhatapTestKit
import OperationalCRM
import PostgresClient
import Testing

@Suite("Orders made here")
struct OrderTests {
  @Test("an order is placed at today's prices, confirmed, shipped in parts as goods come, returned; each step shows in stock")
  func life() async throws {
    let server = try await TestServer.suite()
    let shop = try await OrderFixture(server, "life")
    let oil = try await shop.product("oil", price: "100.005", stock: "10", ["vat_rate": "1"])
    let bread = try await shop.product("bread", price: "7", stock: "2")
    let fitting = try await shop.product("fitting", price: "50", stock: nil, ["tracked": false, "unit_code": "HUR"])
    let made = try await shop.place(
      [
        ["product_id": oil, "quantity": "3"], ["product_id": bread, "quantity": "5"],
        ["product_id": fitting, "quantity": "1.5", "description": "Yerinde montaj"],
      ], ["note": "Acele"])
    try #require(made.status == 201, "\(made.text)")
    let json = try made.json()
    let order = try #require(json["id"]?.string)
    #expect(made.headers["location"] == "/v1/orders/\(order)")
    #expect(json["number"]?.string?.wholeMatch(of: /S-20\d\d-\d{6}/) != nil && json["status"] == "placed" && json["amount"] == "410.02", "\(made.text)")
    #expect(json["lines"]?.array?.compactMap { $0["amount"] }.count == 3)
    var lines = try await shop.lines(order)
    #expect(lines.map { $0["reserved"] } == ["3.000", "2.000", "0.000"])
    #expect(lines.map { $0["back_ordered"] } == ["0.000", "3.000", "0.000"])
    #expect(lines.map { $0["vat_rate"] } == ["1.00", "20.00", "20.00"] && lines[2]["description"] == "Yerinde montaj" && lines[2]["unit_code"] == "HUR")

    let expected = try await OrderFixture.make(
      server, "expected_receipts", as: "emre", ["warehouse_id": shop.warehouse, "product_id": bread, "quantity": "4", "expected_on": "2098-05-01"])
    #expect(expected.string != nil)
    let promise = try await server.send(.get, "/v1/products/\(bread.string ?? "")/availability?quantity=1", as: "ayse").json()
    #expect(promise["promised_on"] == "2098-05-01" && promise["warehouses"]?.array?.contains { $0["back_ordered"] == "3.000" } == true, "\(promise)")
    #expect(try await server.send(.get, "/v1/products/\(bread.string ?? "")/availability?quantity=2", as: "ayse").json()["promised_on"] == .null)

    let queue = try await server.send(.get, "/v1/order_confirmations?limit=500", as: "emre")
    let row = try #require(try queue.json()["data"]?.array?.first { $0["order_id"]?.string == order }, "\(queue.text)")
    #expect(row["is_complete"] == false && row["department"] == "Satış" && row["lines"]?.array?.count == 3)
    for secret in ["price", "amount", "customer", "Alıcı", "100.005"] { #expect(!queue.text.contains(secret), "\(secret) in the queue") }

    #expect(try await shop.act(order, "ship").problem == "order-status")
    let confirmed = try await shop.act(order, "confirm", ["lines": [["line_number": 2, "expected_on": "2098-06-01"]]])
    #expect(try confirmed.json()["status"] == "confirmed" && confirmed.json()["lines"]?.array?[1]["expected_on"] == "2098-06-01", "\(confirmed.text)")
    #expect(!confirmed.text.contains("price") && !confirmed.text.contains("customer"))

    let part = try await shop.act(order, "ship", ["lines": [["line_number": 1, "quantity": "2"]], "carrier": "Kargo", "tracking_number": "K1"])
    try #require(part.status == 201, "\(part.text)")
    #expect(try part.json()["status"] == "partly_shipped" && part.json()["shipment_number"]?.string?.hasPrefix("D-") == true)
    try await shop.receive(bread, "4")
    #expect(try await shop.lines(order)[1]["reserved"] == "5.000", "back-orders are served when goods come")
    let rest = try await shop.act(order, "ship")
    #expect(try rest.json()["status"] == "shipped", "\(rest.text)")
    #expect(try await server.send(.get, "/v1/shipments?order_id=eq.\(order)&expand=lines", as: "ayse").json()["data"]?.array?.count == 2)
    lines = try await shop.lines(order)
    #expect(lines.map { $0["shipped"] } == ["3.000", "5.000", "1.500"] && lines.allSatisfy { $0["reserved"] == "0.000" })
    #expect(try await OrderFixture.violations(server.database) == [])

    #expect(try await shop.act(order, "complete").status == 403)
    #expect(try await shop.act(order, "complete", as: "ayse").json()["status"] == "completed")
    #expect(try await shop.act(order, "complete", as: "ayse").problem == "order-status")
    let back = try await shop.act(order, "return", ["lines": [["line_number": 1, "quantity": "1"]], "reason": "Hasarlı"])
    #expect(try back.json()["status"] == "completed" && back.json()["lines"]?.array?[0]["returned"] == "1.000", "\(back.text)")
    let all = try await shop.act(
      order, "return",
      [
        "lines": [["line_number": 1, "quantity": "2"], ["line_number": 2, "quantity": "5"], ["line_number": 3, "quantity": "1.5"]], "reason": "Vazgeçti",
      ])
    #expect(try all.json()["status"] == "returned", "\(all.text)")
    let level = try await server.send(.get, "/v1/stock_levels?product_id=eq.\(oil.string ?? "")", as: "emre").json()["data"]?.array?.first
    #expect(level?["on_hand"] == "10.000" && level?["reserved"] == "0.000")
    #expect(try await OrderFixture.violations(server.database) == [])
  }

  @Test("what is cancelled or refused goes to the next who waits; a shipped part stays")
  func givenUp() async throws {
    let server = try await TestServer.suite()
    let shop = try await OrderFixture(server, "given-up")
    let goods = try await shop.product("scarce", price: "10", stock: "6")
    let first = try await shop.placed([["product_id": goods, "quantity": "4"]])
    let second = try await shop.placed([["product_id": goods, "quantity": "4"]])
    let third = try await shop.placed([["product_id": goods, "quantity": "3"]])
    #expect(try await shop.lines(second)[0]["reserved"] == "2.000")
    #expect(try await shop.lines(third)[0]["reserved"] == "0.000")

    let refused = try await shop.act(first, "refuse", ["reason": "Tedarikçi yok"])
    #expect(try refused.json()["status"] == "cancelled" && refused.json()["status_reason"] == "Tedarikçi yok", "\(refused.text)")
    #expect(try await shop.lines(second)[0]["reserved"] == "4.000")
    #expect(try await shop.lines(third)[0]["reserved"] == "2.000")

    #expect(try await shop.act(second, "confirm").status == 200)
    #expect(try await shop.act(second, "ship", ["lines": [["line_number": 1, "quantity": "1"]]]).status == 201)
    let cancelled = try await shop.act(second, "cancel", as: "ayse", ["reason": "Müşteri azalttı"])
    #expect(try cancelled.json()["status"] == "shipped", "\(cancelled.text)")
    #expect(try await shop.lines(second)[0]["cancelled"] == "3.000")
    #expect(try await shop.lines(third)[0]["reserved"] == "3.000")
    #expect(try await shop.act(third, "cancel", as: "ayse", ["reason": "Vazgeçti"]).json()["status"] == "cancelled")
    #expect(try await OrderFixture.violations(server.database) == [])
  }

  @Test("an order is ordered again at today's prices and stock")
  func reorder() async throws {
    let server = try await TestServer.suite()
    let shop = try await OrderFixture(server, "again")
    let tea = try await shop.product("tea", price: "20", stock: "1")
    let gone = try await shop.product("gone", price: "5", stock: "5")
    let old = try await shop.placed([["product_id": tea, "quantity": "2"], ["product_id": gone, "quantity": "1"], ["product_id": tea, "quantity": "1"]])
    _ = try await server.send(.patch, "/v1/products/\(gone.string ?? "")", as: "emre", json: ["active": false])
    let rules = try await server.send(.get, "/v1/price_rules?product_id=eq.\(tea.string ?? "")", as: "emre").json()["data"]?.array
    let rule = try #require(rules?.first?["id"]?.string)
    #expect(try await server.send(.patch, "/v1/price_rules/\(rule)", as: "emre", json: ["value": "25"]).status == 200)
    // Prices come from the books for everyone; this test's own book has no rival for these products.
    let refused = try await shop.act(old, "reorder", as: "ayse")
    #expect(refused.status == 422 && refused.text.contains("/lines/1/product_id"), "\(refused.text)")
    let again = try await shop.act(old, "reorder", as: "ayse", ["skip_unavailable": true, "note": "Tekrar"])
    try #require(again.status == 201, "\(again.text)")
    #expect(try again.json()["amount"] == "75.00" && again.json()["reorder_of_id"] == .string(old) && again.json()["note"] == "Tekrar")
    #expect(try await shop.act(old, "reorder", as: "emre").status == 403)
    #expect(try await shop.act(UUID.v7().lowercase, "reorder", as: "ayse").status == 404)
    #expect(try await OrderFixture.violations(server.database) == [])
  }

  @Test("what orders refuse")
  func refusals() async throws {
    let server = try await TestServer.suite()
    let shop = try await OrderFixture(server, "refusals")
    let goods = try await shop.product("refused", price: "10", stock: "5")
    let free = try await shop.product("unpriced", price: nil, stock: "5")
    func errors(_ lines: JSON, _ more: [String: JSON] = [:]) async throws -> String {
      let answer = try await shop.place(lines, more)
      #expect(answer.status == 422, "\(answer.text)")
      return answer.text
    }
    #expect(try await errors([]).contains("/lines"))
    #expect(try await errors([["product_id": goods, "quantity": "0"]]).contains("/lines/0/quantity"))
    #expect(try await errors([["product_id": goods, "quantity": "1"], ["product_id": free, "quantity": "1"]]).contains("/lines/1/unit_price"))
    #expect(try await errors([["product_id": .string(UUID.v7().lowercase), "quantity": "1"]]).contains("/lines/0/product_id"))
    #expect(try await errors([["product_id": goods, "quantity": "1"]], ["customer_id": .string(UUID.v7().lowercase)]).contains("/customer_id"))
    #expect(try await shop.place([["product_id": goods, "quantity": "1"]], as: "emre").status == 403)
    #expect(try await shop.place([["product_id": goods, "quantity": "1"]], as: "elif").status == 403)

    let over = try await shop.place([["product_id": goods, "quantity": "1", "discount_percent": "60"]], as: "mehmet")
    #expect(over.status == 422 && over.text.contains("discount-cap") && over.text.contains("/lines/0/discount_percent"), "\(over.text)")
    let cheap = try await shop.place([["product_id": goods, "quantity": "1", "unit_price": "1"]], as: "mehmet")
    #expect(cheap.text.contains("discount-cap"), "a low price is a discount too: \(cheap.text)")
    #expect(try await shop.place([["product_id": goods, "quantity": "1", "discount_percent": "60"]], as: "deniz").status == 201)
    let own = try await shop.place([["product_id": goods, "quantity": "1"]], as: "mehmet")
    #expect(own.status == 201, "who writes only what is theirs places orders too: \(own.text)")

    let order = try await shop.placed([["product_id": goods, "quantity": "2"]])
    for verb in ["confirm", "refuse", "ship", "return"] {
      #expect(try await shop.act(order, verb, as: "ayse", ["reason": "x"]).status == 403, "\(verb)")
      #expect(
        try await shop.act(UUID.v7().lowercase, verb, verb == "refuse" ? ["reason": "x"] : verb == "return" ? Self.oneBack : [:]).status == 404, "\(verb)")
    }
    #expect(try await shop.act(order, "cancel", ["reason": "x"]).status == 403)
    #expect(try await shop.act(order, "cancel", as: "gul", ["reason": "x"]).status == 404, "another department's order")
    #expect(try await shop.act(order, "refuse", [:]).text.contains("/reason"))
    #expect(try await shop.act(order, "confirm", ["lines": [["line_number": 1, "expected_on": "2098-01-01"]]]).text.contains("not-waiting"))
    #expect(try await shop.act(order, "confirm").status == 200)
    #expect(try await shop.act(order, "confirm").problem == "order-status")
    #expect(try await shop.act(order, "ship", ["lines": [["line_number": 1, "quantity": "3"]]]).text.contains("too-much"))
    #expect(try await shop.act(order, "ship", ["lines": [["line_number": 7, "quantity": "1"]]]).text.contains("unknown-line"))
    #expect(try await shop.act(order, "return", Self.oneBack).problem == "order-status")
    #expect(try await shop.act(order, "ship").status == 201)
    #expect(try await shop.act(order, "ship").problem == "order-status")
    #expect(try await shop.act(order, "cancel", as: "ayse", ["reason": "x"]).problem == "order-status")
    #expect(try await shop.act(order, "return", ["lines": [["line_number": 1, "quantity": "9"]], "reason": "x"]).text.contains("too-much"))

    let empty = try await shop.product("empty", price: "1", stock: nil)
    let waiting = try await shop.placed([["product_id": empty, "quantity": "1"]])
    #expect(try await shop.act(waiting, "confirm").status == 200)
    #expect(try await shop.act(waiting, "ship").problem == "nothing-to-ship")
    let count = try await server.send(
      .post, "/v1/stock_movements", as: "emre", json: ["warehouse_id": shop.warehouse, "product_id": goods, "kind": "count", "quantity": "0"])
    #expect(count.status == 409 && count.problem == "reserved", "\(count.text)")

    // Neither its status nor its lines can be written past the operations; imported history is not moved by them.
    #expect(try await server.send(.patch, "/v1/orders/\(order)", as: "ayse", json: ["status": "completed"]).text.contains("read-only"))
    let line = try #require(try await server.send(.get, "/v1/order_lines?order_id=eq.\(order)", as: "ayse").json()["data"]?.array?.first?["id"]?.string)
    #expect(try await server.send(.patch, "/v1/order_lines/\(line)", as: "ayse", json: ["quantity": "1"]).text.contains("sales_order_line_order_id_open"))
    #expect(try await server.send(.delete, "/v1/order_lines/\(line)", as: "ayse").status != 204)
    let added = try await server.send(
      .post, "/v1/order_lines", as: "ayse",
      json: ["customer_id": shop.customer, "order_id": .string(order), "line_number": 2, "product_id": goods, "quantity": "1", "amount": "1"])
    #expect(added.text.contains("sales_order_line_order_id_open"), "\(added.text)")
    let history = try await OrderFixture.make(server, "orders", as: "ayse", ["customer_id": shop.customer, "status": "completed"])
    #expect(try await shop.act(history.string ?? "", "ship").problem == "imported-order")
    #expect(try await OrderFixture.violations(server.database) == [])
  }

  private static let oneBack: JSON = ["lines": [["line_number": 1, "quantity": "1"]], "reason": "x"]

  @Test("a line that was passed over because somebody held it is served by the job")
  func job() async throws {
    let server = try await TestServer.start()
    let shop = try await OrderFixture(server, "job")
    let goods = try await shop.product("held", price: "1", stock: nil)
    let order = try await shop.placed([["product_id": goods, "quantity": "2"]])
    let (held, release) = AsyncStream.makeStream(of: Void.self)
    let (holding, isHeld) = AsyncStream.makeStream(of: Void.self)
    let holder = Task {
      try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(600))) { tx in
        try await tx.run("SELECT FROM crm.order_line_fulfilment FOR NO KEY UPDATE")
        isHeld.yield()
        for await _ in held { break }
      }
    }
    for await _ in holding { break }
    try await shop.receive(goods, "5")
    #expect(try await shop.lines(order)[0]["reserved"] == "0.000")
    release.yield()
    try await holder.value
    let database = Database(pool: server.database.worker)
    try await database.transaction(as: .system("test")) { tx in _ = try await JobQueue.enqueue("stock.reserve_back_orders", in: tx) }
    let queue = JobQueue(database: database)
    let taken = try #require(try await queue.take(["stock.reserve_back_orders"], worker: "test", lease: .seconds(1_800)))
    let handler = try #require(OperationalCRM.concepts.flatMap(\.jobs).first { $0.kind == "stock.reserve_back_orders" })
    try await handler.run(JobLease(job: taken, database: database))
    #expect(try await shop.lines(order)[0]["reserved"] == "2.000")
    #expect(try await OrderFixture.violations(server.database) == [])
  }
}
