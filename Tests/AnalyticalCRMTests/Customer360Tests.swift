import CRMCore
import Foundation
import MuhatapTestKit
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
