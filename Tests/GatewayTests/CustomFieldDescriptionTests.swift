import CRMCore
import Gateway
import MuhatapTestKit
import Testing

@Suite("Custom fields in the API's description")
struct CustomFieldDescriptionTests {
  @Test("a custom field is described, required and taken within moments of its definition, without a restart")
  func described() async throws {
    let server = try await TestServer.start()
    let made = try await server.send(
      .post, "/v1/custom_fields",
      json: [
        "resource": "customers", "name": "loyalty", "type": "choice", "label_en": "Loyalty", "label_tr": "Sadakat",
        "options": ["gold", "silver"], "required": true,
      ])
    #expect(made.status == 201, "\(made.text)")
    var property: JSON?
    for _ in 0..<600 where property == nil {
      let schemas = try await server.send(.get, "/openapi.json", as: nil).json()["components"]?["schemas"]
      property = schemas?["customer_create"]?["properties"]?["custom"]?["properties"]?["loyalty"]
      if property == nil { try await Task.sleep(for: .milliseconds(100)) }
    }
    #expect(property?["enum"] == ["gold", "silver", nil])
    let refused = try await server.send(.post, "/v1/customers", json: ["kind": "person", "name": "Ada", "custom": ["loyalty": "bronze"]])
    #expect(refused.status == 422)
    #expect(try refused.json()["errors"]?.array?.first?["pointer"] == "/custom/loyalty")
    let taken = try await server.send(.post, "/v1/customers", json: ["kind": "person", "name": "Ada", "custom": ["loyalty": "gold"]])
    #expect(taken.status == 201, "\(taken.text)")
    let found = try await server.send(.get, "/v1/customers?custom.loyalty=eq.gold&select=name,custom.loyalty")
    #expect(try found.json()["data"] == [["name": "Ada", "custom.loyalty": "gold"]])
    try await server.application.stop()
  }
}
