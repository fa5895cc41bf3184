import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Prices and exchange rates")
struct PriceTests {
  private func make(_ server: TestServer, _ resource: String, as person: String = "emre", _ values: JSON) async throws -> JSON {
    let answer = try await server.send(.post, "/v1/\(resource)", as: person, json: values)
    try #require(answer.status == 201, "\(resource): \(answer.text)")
    return try answer.json()["id"] ?? .null
  }

  @Test("the book for a customer comes before one for a segment and one for everyone, percentages start from the parent, quantities have steps")
  func books() async throws {
    let server = try await TestServer.start()
    let oils = try await make(server, "product_categories", ["code": "oils", "name": "Yağlar"])
    let olive = try await make(server, "product_categories", ["code": "olive", "name": "Zeytinyağı", "parent_id": oils])
    let product = try await make(server, "products", ["sku": "P-1", "name": "Riviera", "category_id": olive])
    let other = try await make(server, "products", ["sku": "P-2", "name": "Ekmek"])
    let customer = try await make(server, "customers", as: "ayse", ["kind": "organisation", "name": "Bakkal A.Ş.", "profile": ["segment": "gold"]])
    let plain = try await make(server, "customers", as: "ayse", ["kind": "person", "name": "Sıradan"])
    let list = try await make(server, "price_books", ["code": "list", "name": "Liste"])
    _ = try await make(server, "price_rules", ["price_book_id": list, "product_id": product, "kind": "amount", "value": "100"])
    _ = try await make(server, "price_rules", ["price_book_id": list, "product_id": product, "kind": "amount", "value": "90", "minimum_quantity": "10"])

    func price(_ of: JSON, _ query: String, as person: String = "ayse") async throws -> TestServer.Answer {
      try await server.send(.get, "/v1/products/\(of.string ?? "")/price?\(query)", as: person)
    }
    let everyone = try await price(product, "quantity=3").json()
    #expect(everyone["unit_price"] == "100.000000" && everyone["amount"] == "300.00" && everyone["currency"] == "TRY" && everyone["vat_rate"] == "20.00")
    #expect(try await price(product, "quantity=10&customer_id=\(plain.string ?? "")").json()["unit_price"] == "90.000000")

    let gold = try await make(server, "price_books", ["code": "gold", "name": "Altın", "parent_id": list, "segment": "gold"])
    _ = try await make(server, "price_rules", ["price_book_id": gold, "category_id": oils, "kind": "percent", "value": "-10"])
    let segment = try await price(product, "quantity=10&customer_id=\(customer.string ?? "")").json()
    #expect(segment["unit_price"] == "81.000000" && segment["price_book_id"] == gold, "\(segment)")
    #expect(segment["steps"]?.array?.map { $0["price_book"] } == ["list", "gold"])
    #expect(segment["steps"]?.array?.map { $0["minimum_quantity"] } == ["10.000", "0.000"])

    let own = try await make(
      server, "price_books", as: "deniz",
      ["code": "own", "name": "Bakkal", "customer_id": customer, "currency": "EUR", "valid_from": "2026-02-01", "valid_until": "2026-02-28"])
    _ = try await make(server, "price_rules", ["price_book_id": own, "product_id": product, "kind": "amount", "value": "1.5"])
    let named = "customer_id=\(customer.string ?? "")"
    #expect(try await price(product, named + "&date=2026-02-10").json()["currency"] == "EUR")
    #expect(try await price(product, named + "&date=2026-03-01").json()["price_book_id"] == gold)
    #expect(try await price(product, named + "&date=2026-02-10&currency=TRY").json()["unit_price"] == "90.000000", "no rate: the next book that has a price")
    _ = try await make(server, "exchange_rates", as: "fatma", ["from_currency": "EUR", "on_day": "2026-02-05", "rate": "50", "source": "TCMB"])
    let converted = try await price(product, named + "&date=2026-02-10&currency=TRY").json()
    #expect(converted["unit_price"] == "75.000000" && converted["price_book_id"] == own && converted["currency"] == "TRY", "\(converted)")
    #expect(try await price(product, named + "&date=2026-02-10&currency=TRY&price_book_id=\(list.string ?? "")").json()["unit_price"] == "100.000000")

    let none = try await price(other, named).json()
    #expect(none["unit_price"] == .null && none["price_book_id"] == .null && none["steps"] == [])
    #expect(try await price(.string(UUID.v7().lowercase), "").status == 404)
    #expect(try await price(product, "customer_id=\(UUID.v7().lowercase)").text.contains("customer_id"))
    #expect(try await price(product, "quantity=-1").status == 400)
    let loop = try await server.send(.patch, "/v1/price_books/\(list.string ?? "")", as: "emre", json: ["parent_id": gold])
    #expect(loop.status == 422 && loop.text.contains("/parent_id"), "\(loop.text)")
    for (resource, values): (String, JSON) in [
      ("price_rules", ["price_book_id": list, "kind": "amount", "value": "5"]), ("price_rules", ["price_book_id": list, "kind": "percent", "value": "-101"]),
      ("price_books", ["code": "two", "name": "x", "customer_id": customer, "segment": "gold"]),
      ("price_books", ["code": "three", "name": "x", "valid_from": "2026-02-01", "valid_until": "2026-01-01"]),
    ] {
      #expect(try await server.send(.post, "/v1/\(resource)", as: "deniz", json: values).status == 422, "\(values)")
    }
    #expect(try await server.send(.post, "/v1/price_books", as: "ayse", json: ["code": "x", "name": "x"]).status == 403)
    #expect(try await server.send(.post, "/v1/exchange_rates", as: "ayse", json: ["from_currency": "EUR", "on_day": "2026-02-06", "rate": "1"]).status == 403)
  }

  @Test("amounts of several currencies are added up in one, each at the rate of its own day; a missing rate is named")
  func converted() async throws {
    let api = try await TestAPI.start()
    let customer = try await api.send(.post, "/v1/customers", as: "deniz", json: ["kind": "person", "name": "Kur"]).json()["id"] ?? .null
    let product = try await api.send(.get, "/v1/products", ["limit": "1"]).rows()[0]["id"] ?? .null
    for (currency, day, amount) in [("TRY", "2024-01-10", "100"), ("USD", "2024-01-10", "10"), ("USD", "2024-02-10", "10"), ("EUR", "2024-02-11", "1")] {
      let order = try await api.send(
        .post, "/v1/orders", as: "deniz", json: ["customer_id": customer, "currency": .string(currency), "ordered_at": .string(day + "T22:30:00Z")])
      let id = try order.json()["id"] ?? .null
      let line = try await api.send(
        .post, "/v1/order_lines", as: "deniz",
        json: ["customer_id": customer, "order_id": id, "line_number": 1, "product_id": product, "quantity": "1", "amount": .string(amount)])
      try #require(line.status == 201, "\(line.text)")
    }
    func sum(_ resource: String, _ more: [String: JSON]) async throws -> TestAPI.Answer {
      let filter: JSON = ["customer_id": customer]
      return try await api.send(
        .post, "/v1/\(resource)/aggregate",
        json: .object(["filter": filter, "measures": [["sum": "amount", "as": "total"], ["max": "amount", "as": "most"]]].merging(more) { $1 }))
    }
    #expect(try await sum("orders", [:]).problem == "mixed-currencies")
    let missing = try await sum("orders", ["convert_to": "TRY"])
    #expect(missing.status == 422 && missing.problem == "missing-rate", "\(missing.text)")
    #expect(missing.text.contains("EUR to TRY on 2024-02-12"), "the day in Istanbul: \(missing.text)")
    for (currency, day, rate) in [("USD", "2024-01-11", "30"), ("USD", "2024-02-11", "31"), ("EUR", "2024-02-05", "33.5")] {
      let made = try await api.send(
        .post, "/v1/exchange_rates", as: "deniz", json: ["from_currency": .string(currency), "on_day": .string(day), "rate": .string(rate)])
      try #require(made.status == 201, "\(made.text)")
    }
    #expect(try await sum("orders", ["convert_to": "TRY"]).rows() == [["total": "743.50", "most": "310.00"]])
    #expect(try await sum("order_lines", ["convert_to": "TRY"]).rows() == [["total": "743.50", "most": "310.00"]])
    #expect(
      try await sum("orders", ["convert_to": "TRY", "group": ["currency"], "having": ["total": ["gt": 300]]]).rows()
        == [["currency": "USD", "total": "610.00", "most": "310.00"]])
    let dollars = try await sum("orders", ["convert_to": "USD", "group": [["field": "ordered_at", "by": "month", "as": "month"]]])
    #expect(try dollars.rows().map { $0["total"] } == ["13.33", "11.08"], "\(dollars.text)")
    #expect(try await sum("orders", ["convert_to": "lira"]).status == 400)
  }
}
