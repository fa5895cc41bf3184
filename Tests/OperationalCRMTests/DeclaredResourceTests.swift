import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("What the declarations promise")
struct DeclaredResourceRightsTests {
  @Test("the area that is asked is the one whose policies decide")
  func areas() async throws {
    let api = try await TestAPI.suite()
    let protected = try await api.behind("SELECT relation, area, resource, verbs, coalesce(length(reason), 0) AS reason FROM crm.protection")
    for row in protected.rows {
      guard let entity = api.model.entity(ofTable: try row.decode(String.self, "relation")) else { continue }
      #expect(try row.decode(String.self, "area") == entity.resource.area.rawValue, "\(entity.name)")
      if let known = try row.decode(String?.self, "resource") {
        #expect(known == entity.name, "the change log knows \(entity.name) by another name")
      } else {
        #expect(try row.decode(Int.self, "reason") >= 20, "\(entity.name) is not in the change log, and no reason says why")
      }
      let verbs = try row.decode([String].self, "verbs")
      if entity.resource.deletable { #expect(verbs.contains("delete"), "\(entity.name)") }
      if !entity.resource.create.isEmpty { #expect(verbs.contains("insert"), "\(entity.name)") }
      if !entity.resource.change.isEmpty { #expect(verbs.contains("update"), "\(entity.name)") }
    }
    for entity in api.model.entities.values {
      #expect(try protected.rows.contains { try $0.decode(String.self, "relation") == entity.table.name }, "\(entity.name) is not protected")
    }
  }

  @Test("a role of the company makes and changes what its scope allows, through every resource it may write")
  func writers() async throws {
    let api = try await TestAPI.suite()
    let customer = try await api.send(.post, "/v1/customers", as: "ayse", json: ["kind": "organisation", "name": "Örnek A.Ş.", "tax_number": "1234567891"])
    #expect(customer.status == 422 && customer.fieldErrors == ["/tax_number customer_tax_number_valid"], "\(customer.text)")
    let made = try await api.send(.post, "/v1/customers", as: "ayse", json: ["kind": "organisation", "name": "Örnek A.Ş."])
    let id = JSON.string(try #require(try made.json()["id"]?.string, "\(made.text)"))
    let contact = try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": id, "name": "Işıl Kişi"])
    let contactID = try contact.json()["id"] ?? .null
    let bodies: [(String, JSON)] = [
      ("/v1/addresses", ["customer_id": id, "contact_id": contactID, "kind": "billing", "city": "İstanbul", "province_code": "34"]),
      ("/v1/contact_points", ["customer_id": id, "contact_id": contactID, "kind": "phone", "value": "+905321234567"]),
      ("/v1/orders", ["customer_id": id, "channel": "field"]),
    ]
    for (path, body) in bodies {
      let answer = try await api.send(.post, path, as: "ayse", json: body)
      #expect(answer.status == 201, "\(path): \(answer.text)")
      #expect(try answer.json()["customer_id"] == id)
      #expect(try await api.send(.post, path, as: "fatma", json: body).status == 403)
    }
    for (kind, value, error) in [
      ("phone", "0532 123", "contact_point_value_phone"), ("email", "nobody", "contact_point_value_email"), ("email", " ", "contact_point_value_length"),
    ] {
      let answer = try await api.send(.post, "/v1/contact_points", as: "ayse", json: ["customer_id": id, "kind": .string(kind), "value": .string(value)])
      #expect(answer.fieldErrors.contains("/value \(error)"), "\(answer.text)")
    }
    let product = try await api.send(.post, "/v1/products", as: "emre", json: ["sku": "E-1", "name": "Emre'nin ürünü"])
    #expect(product.status == 201, "\(product.text)")
    #expect(try await api.send(.post, "/v1/products", as: "ayse", json: ["sku": "A-1", "name": "x"]).status == 403)
  }

  @Test("an order's totals follow its lines, and its parts its visibility")
  func parts() async throws {
    let api = try await TestAPI.suite()
    let customer = JSON.string(
      try #require(try await api.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Alıcı"]).json()["id"]?.string))
    let order = try #require(
      try await api.send(.post, "/v1/orders", as: "ayse", json: ["customer_id": customer, "visibility": "department"]).json()["id"]?.string)
    let product = try await api.send(.get, "/v1/products", ["limit": "1"]).rows()[0]["id"] ?? .null
    var lines: [String] = []
    for (number, amount) in ["10.10", "-3.05", "0"].enumerated() {
      let line = try await api.send(
        .post, "/v1/order_lines", as: "ayse",
        json: [
          "customer_id": customer, "order_id": .string(order), "line_number": .number(Decimal(number + 1)), "product_id": product, "quantity": "1",
          "amount": .string(amount), "coupon_discount": "0.05",
        ])
      #expect(line.status == 201, "\(line.text)")
      lines.append(try line.json()["id"]?.string ?? "")
    }
    let totals = try await api.send(.get, "/v1/orders/\(order)", as: "ayse").json()
    #expect(totals["amount"] == "7.05" && totals["coupon_discount"] == "0.15")
    #expect(try await api.send(.delete, "/v1/order_lines/\(lines[0])", as: "ayse").status == 204)
    #expect(try await api.send(.patch, "/v1/order_lines/\(lines[1])", as: "ayse", json: ["amount": "5"]).status == 200)
    #expect(try await api.send(.get, "/v1/orders/\(order)", as: "ayse").json()["amount"] == "5.00")
    #expect(try await api.send(.get, "/v1/order_lines/\(lines[1])", as: "gul").status == 404)
    #expect(try await api.send(.patch, "/v1/orders/\(order)", as: "ayse", json: ["visibility": "company"]).status == 200)
    #expect(try await api.send(.get, "/v1/order_lines/\(lines[1])", as: "gul").status == 200)
    #expect(try await api.send(.patch, "/v1/orders/\(order)", as: "ayse", json: ["amount": "1"]).fieldErrors == ["/amount read-only"])
  }
}
