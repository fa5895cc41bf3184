import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("What a record shows")
struct ShapeTests {
  @Test("select shows the fields asked for, in their order, own and of neighbours")
  func select() async throws {
    let api = try await TestAPI.suite()
    let answer = try await api.send(.get, "/v1/orders", ["select": "amount,customer.name,id,amount,location.city", "limit": "3"])
    #expect(answer.status == 200)
    #expect(answer.text.hasPrefix(#"{"data":[{"amount":""#), "\(answer.text)")
    for row in try answer.rows() { #expect(Set(row.object?.keys.map { $0 } ?? []) == ["amount", "customer.name", "id", "location.city"]) }
    let one = try await api.send(.get, "/v1/orders/\(try answer.rows()[0]["id"]?.string ?? "")", ["select": "status"])
    #expect(try one.json().object?.keys.map { $0 } == ["status"])
    for bad in ["", ",", "nothing", "lines", "customer", "lines.amount"] {
      #expect(try await api.send(.get, "/v1/orders", ["select": bad]).status == 400, "select=\(bad)")
    }
    #expect(try await api.send(.post, "/v1/orders/query", json: ["select": []]).status == 400)
  }

  @Test("values are spelled alike in lists, single records, and expanded neighbours of one and of many")
  func spelling() async throws {
    let api = try await TestAPI.suite()
    let list = try await api.send(.get, "/v1/orders", ["limit": "1000", "expand": "customer,lines,location"]).rows()
    for row in list.prefix(30) {
      let id = try #require(row["id"]?.string)
      let single = try await api.send(.get, "/v1/orders/\(id)", ["expand": "lines,location,customer"]).json()
      #expect(single == row)
      for line in row["lines"]?.array ?? [] {
        let alone = try await api.send(.get, "/v1/order_lines/\(try #require(line["id"]?.string))").json()
        #expect(alone == line)
      }
      if let customer = row["customer"]?["id"]?.string {
        #expect(try await api.send(.get, "/v1/customers/\(customer)").json() == row["customer"])
      }
    }
  }

  @Test("a neighbour the caller may not see is null, and of many it is left out")
  func hidden() async throws {
    let api = try await TestAPI.suite()
    var hiddenOnes = 0
    var fewerLines = 0
    for person in ["ayse", "mehmet", "gul", "zeynep", "fatma", "deniz"] {
      let visible = Set(try await api.send(.get, "/v1/customers", ["limit": "1000"], as: person).rows().compactMap { $0["id"]?.string })
      let orders = try await api.send(.get, "/v1/orders", ["limit": "1000", "expand": "customer"], as: person).rows()
      for order in orders {
        let isVisible = visible.contains(order["customer_id"]?.string ?? "")
        #expect((order["customer"] != .null) == isVisible, "\(person)")
        hiddenOnes += isVisible ? 0 : 1
      }
      let seen = Set(orders.compactMap { $0["id"]?.string })
      for customer in try await api.send(.get, "/v1/customers", ["limit": "1000", "expand": "orders"], as: person).rows() {
        for order in customer["orders"]?.array ?? [] { #expect(seen.contains(order["id"]?.string ?? "")) }
        fewerLines += customer["orders"]?.array?.count ?? 0
      }
      let byHiddenName = try await api.send(.get, "/v1/orders", ["customer.name": "is.null", "limit": "1000"], as: person).rows()
      #expect(byHiddenName.count == orders.filter { $0["customer"] == .null }.count)
    }
    #expect(hiddenOnes > 0, "the sample hides nothing")
    #expect(fewerLines > 0)
  }

  @Test("who reads an area not at all sees nothing of it through a neighbour")
  func closedArea() async throws {
    let api = try await TestAPI.suite()
    #expect(try await api.send(.get, "/v1/orders", as: "emre").status == 403)
    #expect(try await api.send(.get, "/v1/products", ["expand": "category", "limit": "1"], as: "emre").rows().count == 1)
  }

  @Test("a record answers with its version as ETag, and 304 to who has it")
  func etag() async throws {
    let api = try await TestAPI.suite()
    let id = try #require(try await api.send(.get, "/v1/products", ["limit": "1"]).rows()[0]["id"]?.string)
    let answer = try await api.send(.get, "/v1/products/\(id)")
    let tag = try #require(answer.headers["etag"])
    #expect(try tag == "\"\(String(decoding: answer.json()["version"]?.encoded() ?? [], as: UTF8.self))\"")
    for match in [tag, "W/\(tag)", "\"77\", \(tag)", "*"] {
      let again = try await api.send(.get, "/v1/products/\(id)", headers: ["if-none-match": match])
      #expect(again.status == 304 && again.bytes.isEmpty, "\(match)")
    }
    #expect(try await api.send(.get, "/v1/products/\(id)", headers: ["if-none-match": "\"77\""]).status == 200)
  }

  @Test("hidden, absent and nonsensical ids give the same answer")
  func notFound() async throws {
    let api = try await TestAPI.suite()
    let own = Set(try await api.send(.get, "/v1/customers", ["limit": "1000"], as: "mehmet").rows().compactMap { $0["id"]?.string })
    let all = try await api.behind("SELECT id FROM crm.customer")
    let hidden = try #require(try all.rows.map { try $0.decode(UUID.self, at: 0).lowercase }.first { !own.contains($0) })
    var problems: Set<String> = []
    for id in [hidden, UUID.v7().lowercase, "00000000-0000-0000-0000-000000000000"] {
      for (method, path, json): (Request.Method, String, JSON?) in [
        (.get, "/v1/customers/\(id)", nil), (.patch, "/v1/customers/\(id)", ["name": "x"]), (.get, "/v1/customers/\(id)/history", nil),
      ] {
        let answer = try await api.send(method, path, as: "mehmet", json: json)
        #expect(answer.status == 404, "\(method) \(path): \(answer.text)")
        var problem = try #require(try answer.json().object)
        problem["instance"] = nil
        problem["request_id"] = nil
        problems.insert(String(decoding: try JSON.object(problem).encoded(), as: UTF8.self))
      }
    }
    #expect(problems.count == 1, "\(problems)")
    #expect(try await api.send(.get, "/v1/customers/1%27").status == 404)
  }

  @Test("a single record takes only what shapes it")
  func oneTakesShape() async throws {
    let api = try await TestAPI.suite()
    let id = try #require(try await api.send(.get, "/v1/products", ["limit": "1"]).rows()[0]["id"]?.string)
    for name in ["limit", "order", "search", "name", "x"] { #expect(try await api.send(.get, "/v1/products/\(id)", [name: "1"]).status == 400) }
  }

  @Test("a record expands to all of many neighbours, up to a thousand")
  func many() async throws {
    let api = try await TestAPI.suite()
    let customers = try await api.send(.get, "/v1/customers", ["limit": "1000", "expand": "contacts,orders,addresses"]).rows()
    let contacts = try await api.send(.get, "/v1/contacts", ["limit": "1000"]).rows()
    #expect(customers.flatMap { $0["contacts"]?.array ?? [] }.count == contacts.count)
    #expect(customers.allSatisfy { $0["addresses"] == [] })
    let unknown = try await api.send(.get, "/v1/customers", ["expand": "contcts"])
    #expect(unknown.status == 400 && unknown.text.contains("contacts"))
  }
}
