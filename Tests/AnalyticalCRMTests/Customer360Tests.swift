import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("A customer at a glance")
struct Customer360Tests {
  @Test("it shows what the parts say, and the same to the cent")
  func whole() async throws {
    let server = try await ShoppingYear.server()
    let asked = try await server.send(.post, "/v1/analytics/rfm/runs", as: "deniz", json: ["as_of": .string(ShoppingYear.asOf)])
    try #require(asked.status == 202, "\(asked.text)")
    let run = try await server.finish(run: try #require(try asked.json()["id"]?.string))
    try #require(run["status"] == "done", "\(run)")
    let expected = try #require(try ShoppingYear.expectedCustomers()["Household 2351"])
    let found = try await server.send(.get, "/v1/customers?name=eq.Household%202351", as: "ayse").json()["data"]?.array?.first
    let id = try #require(found?["id"]?.string)
    let answer = try await server.send(.get, "/v1/customers/\(id)/360", as: "ayse")
    try #require(answer.status == 200, "\(answer.text)")
    let glance = try answer.json()
    #expect(glance["customer"]?["name"] == "Household 2351" && glance["customer"]?["kind"] == "person")
    let purchases = try #require(glance["purchases"]?.array)
    #expect(purchases.count == 1 && purchases[0]["currency"] == "USD")
    #expect(purchases[0]["orders"]?.int.map(String.init) == expected["orders"])
    let cents = try #require(purchases[0]["revenue"]?.string.flatMap { Decimal(string: $0) }) * 100
    #expect("\(cents)" == expected["cents"])
    #expect(
      glance["rfm"]?["orders"]?.int.map(String.init) == expected["orders"] && glance["rfm"]?["recency_days"]?.int.map(String.init) == expected["recency_days"])
    #expect(glance["rfm"]?["cell"]?.int == 455, "\(String(describing: glance["rfm"]))")
    #expect(glance["open_business"]?["orders"] == [] && glance["last_contacts"] == [])

    let product = try await server.send(
      .post, "/v1/opportunities", as: "ayse", json: ["customer_id": .string(id), "name": "Kahve", "amount": "120.50", "currency": "TRY"])
    try #require(product.status == 201, "\(product.text)")
    let later = try await server.send(.get, "/v1/customers/\(id)/360", as: "ayse", headers: ["accept-language": "tr"]).json()
    #expect(later["open_business"]?["opportunities"]?.array?.map { [$0["name"], $0["amount"]] } == [["Kahve", "120.50"]])
    // Service sees the customer, but not what sales has not shared with it in other areas, nor what is finance's.
    let service = try await server.send(.get, "/v1/customers/\(id)/360", as: "zeynep")
    #expect(service.status == 200)
    #expect(try service.json()["open_business"]?["receivables"] == [])
  }

  @Test("its value is the one that the address of values gives, also after an order that came since")
  func value() async throws {
    let server = try await ShoppingYear.server()
    let model = try #require(try await server.send(.get, "/v1/value_models?code=eq.customer_value").json()["data"]?.array?.first?["id"]?.string)
    let asked = try await server.send(.post, "/v1/value_models/\(model)/run", json: ["as_of": .string(ShoppingYear.asOf)])
    try #require(try await server.finish(run: try #require(try asked.json()["id"]?.string))["status"] == "done")
    let id = try #require(try await server.send(.get, "/v1/customers?name=eq.Household%202101").json()["data"]?.array?.first?["id"]?.string)
    var scores: [JSON?] = []
    for hasOrderedSince in [false, true] {
      if hasOrderedSince {
        let refresh: SQL = """
          WITH bought AS (
            INSERT INTO crm.sales_order (customer_id, ordered_at, currency, status, department_id)
            SELECT id, '2018-01-01T12:00Z', 'USD', 'completed', department_id FROM crm.customer WHERE id = \(id)::uuid RETURNING customer_id)
          SELECT count(*) FROM bought
          """
        _ = try await server.database.admin.execute([refresh], context: .init(readOnly: false), deadline: .after(.seconds(120)))
        _ = try await server.database.admin.execute(
          ["SELECT crm.refresh_standing(ARRAY[\(id)::uuid], \(ShoppingYear.asOf)::timestamptz)"], context: .init(readOnly: false),
          deadline: .after(.seconds(120)))
      }
      let value = try await server.send(.get, "/v1/customers/\(id)/value").json()["data"]
      let glance = try await server.send(.get, "/v1/customers/\(id)/360").json()["value"]
      for name in ["score", "rank", "tier", "since"] {
        #expect(glance?[name] == value?[name], "\(name): \(String(describing: glance)), \(String(describing: value))")
      }
      func parts(_ keys: JSON?, _ name: String) -> [String: JSON?] {
        Dictionary(uniqueKeysWithValues: (keys?.array ?? []).map { ($0[name]?.string ?? "", $0["contribution"]) })
      }
      #expect(parts(glance?["keys"], "metric") == parts(value?["keys"], "key") && glance?["keys"]?.array?.count == 8)
      scores.append(value?["score"])
    }
    #expect(scores[0] != scores[1], "the order was to move the value")
  }

  @Test("nobody sees at a glance whom they do not see otherwise")
  func refusals() async throws {
    let server = try await TestServer.suite()
    let hidden = try await server.send(
      .post, "/v1/customers", as: "gul", json: ["kind": "person", "name": "Gizli Müşteri", "visibility": "private", "owner_id": try await me("gul", server)])
    let id = try #require(try hidden.json()["id"]?.string, "\(hidden.text)")
    #expect(try await server.send(.get, "/v1/customers/\(id)/360", as: "gul").status == 200)
    #expect(try await server.send(.get, "/v1/customers/\(id)/360", as: "elif").status == 404)
    #expect(try await server.send(.get, "/v1/customers/\(UUID.v7().lowercase)/360", as: "ayse").status == 404)
    #expect(try await server.send(.get, "/v1/customers/nobody/360", as: "ayse").status == 404)
    #expect(try await server.send(.get, "/v1/customers/\(id)/360", as: "emre").status == 403)
  }

  private func me(_ person: String, _ server: TestServer) async throws -> JSON {
    let found = try await server.send(.get, "/v1/me", as: person).json()
    return try #require(found["user"]?["id"] ?? found["id"], "\(found)")
  }
}
