import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Many writes at once")
struct BatchTests {
  private func item(_ op: String, _ data: JSON? = nil, id: String? = nil, version: Int? = nil) -> JSON {
    var item: [String: JSON] = ["op": .string(op)]
    if let data { item["data"] = data }
    if let id { item["id"] = .string(id) }
    if let version { item["version"] = .number(Decimal(version)) }
    return .object(item)
  }

  @Test("creations, changes and deletions of one batch are answered in their order")
  func mixed() async throws {
    let api = try await TestAPI.suite()
    let (customer, _) = try await WriteTests.customer(api)
    let made = try await api.send(
      .post, "/v1/contacts/batch", as: "ayse",
      json: ["items": .array((0..<3).map { item("create", ["customer_id": .string(customer), "name": .string("Kişi \($0)")]) })])
    #expect(made.status == 200, "\(made.text)")
    let ids = try made.json()["results"]?.array?.compactMap { $0["id"]?.string } ?? []
    #expect(ids.count == 3)
    let next = try await api.send(
      .post, "/v1/contacts/batch", as: "ayse",
      json: [
        "items": [
          item("change", ["note": "x"], id: ids[1], version: 1), item("delete", id: ids[0]),
          item("create", ["customer_id": .string(customer), "name": "Dört"]),
        ]
      ])
    let results = try #require(try next.json()["results"]?.array, "\(next.text)")
    #expect(results.map { $0["status"] } == [200, 204, 201])
    #expect(results[0]["data"]?["note"] == "x" && results[0]["data"]?["version"] == 2)
    #expect(results[1]["data"] == nil && results[1]["id"]?.string == ids[0])
    #expect(try await api.send(.get, "/v1/contacts", ["customer_id": "eq.\(customer)"], as: "ayse").rows().count == 3)
  }

  @Test("an atomic batch is undone whole by one mistake, which is named with its item")
  func atomic() async throws {
    let api = try await TestAPI.suite()
    for (bad, error): (JSON, String) in [
      (["kind": "person", "name": " "], "/items/1/data/name customer_name_length"), (["kind": "x", "name": "y"], "/items/1/data/kind option"),
      (["kind": "person", "name": "y", "parent_id": .string(UUID.v7().lowercase)], "/items/1/data/parent_id not-found"),
    ] {
      let answer = try await api.send(
        .post, "/v1/customers/batch", as: "ayse",
        json: ["items": [item("create", ["kind": "person", "name": "Bütün"]), item("create", bad), item("create", ["kind": "person", "name": "Bütün"])]])
      #expect(answer.status == 422)
      #expect(answer.fieldErrors == [error], "\(answer.text)")
    }
    #expect(try await api.send(.get, "/v1/customers", ["name": "eq.Bütün"], as: "ayse").rows().isEmpty)
  }

  @Test("the mistakes of all items of an atomic batch are told at once")
  func atomicMistakes() async throws {
    let api = try await TestAPI.suite()
    let answer = try await api.send(
      .post, "/v1/customers/batch", as: "ayse",
      json: [
        "items": [
          item("create", ["kind": "x", "name": "Y"]), item("create", ["kind": "person", "name": 5]), item("change", ["nmae": "x"], id: UUID.v7().lowercase),
        ]
      ])
    #expect(answer.status == 422)
    #expect(answer.fieldErrors == ["/items/0/data/kind option", "/items/1/data/name type", "/items/2/data/nmae unknown-field"], "\(answer.text)")
  }

  @Test("without atomic each item stands by itself and says what is wrong with it")
  func separate() async throws {
    let api = try await TestAPI.suite()
    let (customer, _) = try await WriteTests.customer(api)
    let (hidden, _) = try await WriteTests.customer(api, ["visibility": "private"], as: "zeynep")
    let (readable, _) = try await WriteTests.customer(api, as: "zeynep")
    let contact = try #require(
      try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(customer), "name": "Bağlı"]).json()["id"]?.string)
    _ = try await api.send(
      .post, "/v1/contact_points", as: "ayse",
      json: ["customer_id": .string(customer), "contact_id": .string(contact), "kind": "email", "value": "x@y.example"])
    let data: (String) -> JSON = { ["customer_id": .string(customer), "name": .string($0)] }
    let answer = try await api.send(
      .post, "/v1/contacts/batch", as: "ayse",
      json: [
        "atomic": false,
        "items": [
          item("create", data("Bir")), item("create", data(" ")), item("create", ["customer_id": .string(hidden), "name": "x"]),
          item("create", ["customer_id": .string(readable), "name": "x"]),
          item("change", ["note": "x"], id: UUID.v7().lowercase), item("delete", id: contact), item("change", ["locale": "tr1", "name": ""], id: contact),
          item("change", ["note": "y"], id: contact, version: 9),
          item("change", ["note": "son"], id: contact), item("create", data("İki")),
        ],
      ], headers: ["accept-language": "tr"], checked: false)
    let results = try #require(try answer.json()["results"]?.array, "\(answer.text)")
    #expect(results.map { $0["status"] } == [201, 422, 422, 403, 404, 409, 422, 412, 200, 201], "\(answer.text)")
    #expect(results[1]["problem"]?["errors"]?.array?.first?["pointer"] == "/items/1/data/name")
    #expect(results[2]["problem"]?["errors"]?.array?.first?["code"] == "not-found")
    #expect(results[5]["problem"]?["title"]?.string?.contains("bağlı") == true)
    #expect(Set(results[6]["problem"]?["errors"]?.array?.compactMap { $0["pointer"]?.string } ?? []) == ["/items/6/data/locale", "/items/6/data/name"])
    #expect(try await api.send(.get, "/v1/contacts/\(contact)", as: "ayse").json()["note"] == "son")
    #expect(try await api.send(.get, "/v1/contacts", ["customer_id": "eq.\(customer)"], as: "ayse").rows().count == 3)
  }

  @Test("a thousand items are taken, more are refused, and so is what is no batch")
  func bounds() async throws {
    let api = try await TestAPI.suite()
    let create = item("create", ["kind": "person", "name": "Bin"])
    let thousand = try await api.send(
      .post, "/v1/customers/batch", as: "ayse", json: ["items": .array(Array(repeating: create, count: 1_000))], headers: ["prefer": "tx=rollback"])
    #expect(thousand.status == 200)
    #expect(try thousand.json()["results"]?.array?.count == 1_000)
    for bad: JSON in [
      ["items": .array(Array(repeating: create, count: 1_001))], ["items": []], [:], ["items": [create], "atomic": "no"], ["items": [["op": "destroy"]]],
      ["items": [item("change", [:])]], ["items": [item("change", [:], id: "x")]],
      ["items": [["op": "change", "id": .string(UUID.v7().lowercase), "version": "1"]]], ["items": [["op": "create", "dat": [:]]]],
      ["items": [create], "atomik": false], ["items": ["create"]],
      ["items": [item("delete", id: UUID.v7().lowercase)]],
    ] {
      let answer = try await api.send(.post, "/v1/customers/batch", as: "ayse", json: bad)
      #expect(answer.status == 422 && !answer.fieldErrors.isEmpty, "\(answer.text)")
    }
  }

  @Test("two batches that lock each other out are both done in the end")
  func deadlock() async throws {
    let api = try await TestAPI.suite()
    let ids = try await [WriteTests.customer(api).id, WriteTests.customer(api).id]
    let answers = try await withThrowingTaskGroup(of: TestAPI.Answer.self) { group in
      for order in [ids, ids.reversed()] {
        // Between its two changes each batch makes others, so that the two meet.
        var items = [item("change", ["note": "a"], id: order[0])]
        items += (0..<150).map { item("create", ["kind": "person", "name": .string("Ara \($0)")]) }
        items.append(item("change", ["website": "b"], id: order[1]))
        let body: JSON = ["items": .array(items)]
        group.addTask { try await api.sendPatiently(.post, "/v1/customers/batch", as: "ayse", json: body) }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.map(\.status) == [200, 200], "\(answers.map { $0.text.prefix(300) })")
    for id in ids { #expect(try await api.send(.get, "/v1/customers/\(id)", as: "ayse").json()["version"] == 3) }
  }
}
