import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("Metrics")
struct MetricTests {
  /// Orders of one customer: day, currency, amount of the only line.
  private func sell(_ server: TestServer, _ orders: [(String, String, String)]) async throws -> String {
    let customer = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Ölçü Birimi"])
    let id = try #require(try customer.json()["id"], "\(customer.text)")
    let product = try await server.send(.post, "/v1/products", as: "emre", json: ["sku": .string(UUID().uuidString), "name": "Terazi"])
    let productID = try #require(try product.json()["id"], "\(product.text)")
    for (day, currency, amount) in orders {
      let order = try await server.send(
        .post, "/v1/orders", as: "ayse",
        json: ["customer_id": id, "ordered_at": .string("\(day)T12:00:00Z"), "currency": .string(currency), "channel": "phone", "status": "completed"])
      let line = try await server.send(
        .post, "/v1/order_lines", as: "ayse",
        json: [
          "customer_id": id, "order_id": try #require(try order.json()["id"], "\(order.text)"), "line_number": 1, "product_id": productID, "quantity": "2",
          "amount": .string(amount),
        ])
      try #require(line.status == 201, "\(line.text)")
    }
    return id.string ?? ""
  }

  @Test("a metric is one number a currency, by month the same numbers apart, and for whom sees nothing nothing")
  func values() async throws {
    let server = try await TestServer.start()
    _ = try await sell(server, [("2025-01-10", "TRY", "100.10"), ("2025-02-10", "TRY", "50.05"), ("2025-02-11", "USD", "7.00"), ("2025-03-01", "TRY", "1")])
    let path = "/v1/metrics/sales?from=2025-01-01&to=2025-02-28"
    func values(_ path: String, as person: String = "ayse") async throws -> [[String?]] {
      let answer = try await server.send(.get, path, as: person)
      try #require(answer.status == 200, "\(answer.text)")
      return try #require(try answer.json()["data"]?.array).map { row in ["group_key", "currency", "value"].map { row[$0]?.string } }
    }
    #expect(try await values(path) == [[nil, "TRY", "150.15"], [nil, "USD", "7.00"]])
    #expect(try await values(path + "&group_by=month") == [["2025-01", "TRY", "100.10"], ["2025-02", "TRY", "50.05"], ["2025-02", "USD", "7.00"]])
    #expect(try await values("/v1/metrics/orders?from=2025-01-01&to=2025-02-28") == [[nil, nil, "3"]])
    #expect(try await values("/v1/metrics/customers?from=2025-01-01&to=2025-02-28&group_by=channel") == [["phone", nil, "1"]])
    #expect(try await values("/v1/metrics/average_order?from=2025-01-01&to=2025-02-28").map { $0[2]?.prefix(5) } == ["75.07", "7.000"])
    #expect(try await values(path, as: "emre") == [])
    #expect(try await values("/v1/metrics/orders?from=2025-01-01&to=2025-02-28", as: "emre") == [[nil, nil, "0"]])
    let turkish = try await server.send(.get, path, as: "ayse", headers: ["accept-language": "tr"])
    #expect(try turkish.json()["label"] == "Satış")
    let catalogue = try await server.send(.get, "/v1/metrics", as: "emre")
    let sales = try #require(try catalogue.json()["data"]?.array?.first { $0["name"] == "sales" }, "\(catalogue.text)")
    #expect(sales["source"] == "bi.orders" && sales["tables"]?.array?.contains("crm.sales_order") == true, "\(sales)")
    #expect(try catalogue.json()["data"]?.array?.allSatisfy { $0["tables"]?.array?.isEmpty == false } == true, "\(catalogue.text)")
  }

  @Test(
    "what cannot be answered is refused by name",
    arguments: [
      ("/v1/metrics/salez", 404, "not-found"), ("/v1/metrics/sales?group_by=moon", 400, "bad-parameter"),
      ("/v1/metrics/sales?from=2025-02-01&to=2025-01-01", 400, "bad-parameter"), ("/v1/metrics/sales?frm=2025-01-01", 400, "bad-parameter"),
      ("/v1/metrics/sales?from=yesterday", 400, "bad-parameter"),
    ])
  func refusals(path: String, status: Int, code: String) async throws {
    let server = try await TestServer.suite()
    let answer = try await server.send(.get, path, as: "ayse")
    #expect(answer.status == status && answer.problem == code, "\(answer.text)")
    #expect(try await server.send(.get, path, as: nil).status == 401)
  }
}
