import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Invoices of orders")
struct OrderInvoiceTests {
  @Test("what was shipped is invoiced once, for the order's seller and department; a discarded draft frees it")
  func shipped() async throws {
    let server = try await TestServer.suite()
    let finance = try await InvoiceFixture(server: server)
    let orders = try await OrderFixture(server, "invoice")
    let coffee = try await orders.product("I-1", price: "12.5", stock: "100", ["vat_rate": "10", "cost": "5"])
    let tea = try await orders.product("I-2", price: "20", stock: "100")
    let placed = try await orders.place(
      [["product_id": coffee, "quantity": "10"], ["product_id": tea, "quantity": "3"]], ["customer_id": .string(finance.customer)])
    let order = try #require(try placed.json()["id"]?.string, "\(placed.text)")
    let path = "/v1/orders/\(order)/invoice"
    #expect(try await finance.send(.post, path).problem == "nothing-to-invoice")
    #expect(try await orders.act(order, "confirm").status == 200)
    let shipped = try await orders.act(order, "ship", ["lines": [["line_number": 1, "quantity": "6"]]])
    #expect((200...201).contains(shipped.status), "\(shipped.text)")
    func invoiced() async throws -> [String] { try await orders.lines(order).map { $0["invoiced"]?.string ?? "" } }

    for person in ["ayse", "emre"] { #expect(try await finance.send(.post, path, as: person).status == 403) }
    #expect(try await finance.send(.post, "/v1/orders/\(UUID.v7().lowercase)/invoice").status == 404)
    let draft = try await finance.done(.post, path, json: ["note": "Siparişiniz için", "payment_term": "net30"])
    #expect(draft["order_id"] == .string(order) && draft["net_amount"] == "75.00" && draft["vat_amount"] == "7.50", "\(draft)")
    #expect(draft["lines"]?.array?.map { $0["quantity"] } == ["6.000"])
    #expect(try await invoiced() == ["6.000", "0.000"])
    #expect(try await finance.send(.post, path).problem == "nothing-to-invoice")
    let line = try #require(draft["lines"]?.array?.first)
    let more = try await finance.send(.patch, "/v1/invoices/\(draft.id)/lines/\(line.id)", json: ["quantity": "6.5"])
    #expect(more.status == 422, "\(more.text)")
    #expect(try await finance.send(.delete, "/v1/invoices/\(draft.id)").status == 204)
    #expect(try await invoiced() == ["0.000", "0.000"])

    let tooMuch = try await finance.send(.post, path, json: ["lines": [["line_number": 1, "quantity": "7"]]])
    #expect(tooMuch.status == 422 && tooMuch.text.contains("not-shipped"), "\(tooMuch.text)")
    #expect(try await finance.send(.post, path, json: ["lines": [["line_number": 9]]]).status == 409)
    let part = try await finance.issue(try await finance.done(.post, path, json: ["lines": [["line_number": 1, "quantity": "2"]]]))
    let rest = try await finance.issue(try await finance.done(.post, path))
    #expect(part["net_amount"] == "25.00" && rest["net_amount"] == "50.00")
    #expect(try await invoiced() == ["6.000", "0.000"])
    let seller = try await finance.get("/v1/me", as: "ayse")["id"] ?? .null
    #expect(rest["owner_id"] == seller)
    let turnover = try await finance.get("/v1/turnover?group_by=product&product_id=\(coffee.string ?? "")", as: "ayse")["data"]?.array?.first
    #expect(turnover?["amount"] == "75.00" && turnover?["cost"] == "30.00", "\(String(describing: turnover))")
    // A credit note takes back the turnover, not the goods.
    _ = try await finance.issue(try await finance.done(.post, "/v1/invoices/\(part.id)/credit"))
    #expect(try await invoiced() == ["6.000", "0.000"])
    try await finance.expectInvariants()
  }

  @Test("a price and an exchange rate that nobody gives are those of the day")
  func filledIn() async throws {
    let server = try await TestServer.suite()
    let finance = try await InvoiceFixture(server: server)
    let orders = try await OrderFixture(server, "rates")
    let own = try await finance.done(
      .post, "/v1/price_books", as: "deniz", json: ["code": "B-own", "name": "Müşteriye özel", "customer_id": .string(finance.customer), "priority": 1])
    let coffee = try await orders.product("R-1", price: "12.5", stock: nil)
    _ = try await finance.done(
      .post, "/v1/price_rules", as: "emre", json: ["price_book_id": own["id"] ?? .null, "product_id": coffee, "kind": "amount", "value": "11.25"])
    let draft = try await finance.draft([["product_id": coffee, "quantity": "4"]])
    #expect(draft["net_amount"] == "45.00", "\(draft)")
    let today = Date().formatted(.iso8601.year().month().day())
    _ = try await finance.done(.post, "/v1/exchange_rates", json: ["from_currency": "CHF", "on_day": .string(today), "rate": "51.12345678"])
    let francs = try await finance.draft([finance.line("10")], ["currency": "CHF"])
    #expect(francs["exchange_rate"] == "51.123457", "\(francs)")
    #expect(try await finance.draft([finance.line("10")], ["currency": "CHF", "exchange_rate": "50"])["exchange_rate"] == "50.000000")
  }
}
