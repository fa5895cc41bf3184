import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Records known by another system's key")
struct UpsertTests {
  @Test("the first time makes the record, every other time changes it")
  func twice() async throws {
    let api = try await TestAPI.suite()
    let made = try await api.send(.put, "/v1/customers/external/erp/4711", as: "ayse", json: ["kind": "person", "name": "Harici", "note": "a"])
    #expect(made.status == 201, "\(made.text)")
    let again = try await api.send(.put, "/v1/customers/external/erp/4711", as: "ayse", json: ["kind": "person", "name": "Harici İki"])
    #expect(again.status == 200 && again.headers["etag"] == "\"2\"", "\(again.text)")
    #expect(try again.json()["id"] == made.json()["id"])
    #expect(try again.json()["note"] == "a" && again.json()["name"] == "Harici İki")
    let otherSystem = try await api.send(.put, "/v1/customers/external/shop/4711", as: "ayse", json: ["kind": "person", "name": "Başka"])
    #expect(otherSystem.status == 201)
    let other = try await api.send(.put, "/v1/products/external/erp/4711", json: ["sku": "X-4711", "name": "Ürün"])
    #expect(other.status == 201, "\(other.text)")
    let spelling = try await api.send(.put, "/v1/customers/external/erp/a%2Fb%20%C4%9F", as: "ayse", json: ["kind": "person", "name": "Eğik"])
    #expect(spelling.status == 201)
  }

  @Test("eight at once with one key make one record", arguments: 1...3)
  func atOnce(round: Int) async throws {
    let api = try await TestAPI.suite()
    let answers = try await withThrowingTaskGroup(of: TestAPI.Answer.self) { group in
      for number in 0..<8 {
        group.addTask {
          try await api.sendPatiently(
            .put, "/v1/customers/external/erp/many-\(round)", as: "ayse",
            json: ["kind": "person", "name": .string("Sekiz \(round)"), "note": .string("\(number)")])
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.map(\.status).sorted() == [200, 200, 200, 200, 200, 200, 200, 201], "\(answers.map(\.text))")
    #expect(try Set(answers.compactMap { try $0.json()["id"]?.string }).count == 1)
    #expect(try await api.send(.get, "/v1/customers", ["name": "eq.Sekiz \(round)"], as: "ayse").rows().count == 1)
  }

  @Test("what is wrong with the fields leaves no key behind")
  func invalid() async throws {
    let api = try await TestAPI.suite()
    #expect(
      try await api.send(.put, "/v1/customers/external/erp/bad", as: "ayse", json: ["kind": "person", "name": " "]).fieldErrors == [
        "/name customer_name_length"
      ])
    #expect(try await api.send(.put, "/v1/customers/external/erp/bad", as: "ayse", json: ["kind": "person", "name": "İyi"]).status == 201)
    #expect(try await api.send(.put, "/v1/customers/external/erp/bad", as: "ayse", json: ["nmae": "x"]).fieldErrors == ["/nmae unknown-field"])
  }

  @Test("an order that carries another system's number is found by it, and a new one carries it; a number of two customers is refused")
  func orders() async throws {
    let api = try await TestAPI.suite()
    let (customer, _) = try await WriteTests.customer(api)
    let order: JSON = ["customer_id": .string(customer), "source_system": "till", "external_number": "R-1"]
    let imported = try await api.send(.post, "/v1/orders", as: "ayse", json: order)
    #expect(imported.status == 201, "\(imported.text)")
    let changed = try await api.send(
      .put, "/v1/orders/external/till/R-1", as: "ayse", json: ["customer_id": .string(customer), "note": "paid in cash"])
    #expect(changed.status == 200, "\(changed.text)")
    #expect(try changed.json()["id"] == imported.json()["id"] && changed.json()["note"] == "paid in cash")
    let new = try await api.send(.put, "/v1/orders/external/till/R-2", as: "ayse", json: ["customer_id": .string(customer)])
    #expect(new.status == 201, "\(new.text)")
    #expect(try new.json()["source_system"] == "till" && new.json()["external_number"] == "R-2")
    let (another, _) = try await WriteTests.customer(api)
    let twin = try await api.send(
      .post, "/v1/orders", as: "ayse", json: ["customer_id": .string(another), "source_system": "till", "external_number": "R-1"])
    #expect(twin.status == 201, "\(twin.text)")
    let refused = try await api.send(.put, "/v1/orders/external/till/R-1", as: "ayse", json: ["customer_id": .string(customer)])
    #expect(refused.status == 409 && refused.problem == "ambiguous-key", "\(refused.text)")
  }

  @Test("a key whose record was deleted names a new record")
  func afterDeletion() async throws {
    let api = try await TestAPI.suite()
    let (customer, _) = try await WriteTests.customer(api)
    let contact: JSON = ["customer_id": .string(customer), "name": "Kişi"]
    let made = try await api.send(.put, "/v1/contacts/external/erp/gone", as: "ayse", json: contact)
    #expect(made.status == 201, "\(made.text)")
    #expect(try await api.send(.delete, "/v1/contacts/\(try made.json()["id"]?.string ?? "")", as: "ayse").status == 204)
    let again = try await api.send(.put, "/v1/contacts/external/erp/gone", as: "ayse", json: contact)
    #expect(again.status == 201, "\(again.text)")
  }

  @Test("a key of a record one may not see or write does not let one in")
  func foreign() async throws {
    let api = try await TestAPI.suite()
    #expect(
      try await api.send(.put, "/v1/customers/external/erp/private", as: "ayse", json: ["kind": "person", "name": "Gizli", "visibility": "private"]).status
        == 201)
    #expect(try await api.send(.put, "/v1/customers/external/erp/private", as: "mehmet", json: ["name": "Açık"]).status == 404)
    #expect(try await api.send(.put, "/v1/customers/external/erp/shared", as: "ayse", json: ["kind": "person", "name": "Ortak"]).status == 201)
    #expect(try await api.send(.put, "/v1/customers/external/erp/shared", as: "mehmet", json: ["name": "Benim"]).status == 403)
  }

  @Test("the system is a plain word and the key a text of at most 255 characters")
  func names() async throws {
    let api = try await TestAPI.suite()
    for (path, pointer) in [("/v1/customers/external/ERP/1", "system"), ("/v1/customers/external/erp/\(String(repeating: "k", count: 256))", "key")] {
      let answer = try await api.send(.put, path, as: "ayse", json: ["kind": "person", "name": "x"])
      #expect(answer.status == 400 && answer.fieldErrors == ["\(pointer) bad-parameter"], "\(path.prefix(60)): \(answer.text)")
    }
    #expect(try await api.send(.put, "/v1/customers/external/erp/a%00", as: "ayse", json: ["kind": "person", "name": "x"]).status == 400)
  }
}
