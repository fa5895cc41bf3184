import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Creating, changing and deleting")
struct WriteTests {
  @discardableResult
  static func customer(_ api: TestAPI, _ values: [String: JSON] = [:], as person: String = "ayse") async throws -> (id: String, answer: TestAPI.Answer) {
    let answer = try await api.send(.post, "/v1/customers", as: person, json: .object(["kind": "person", "name": "Deneme Kişi"].merging(values) { $1 }))
    try #require(answer.status == 201, "\(answer.text)")
    return (try #require(try answer.json()["id"]?.string), answer)
  }

  @Test("a new record answers with itself, its place and its version, and takes department and owner from its maker")
  func create() async throws {
    let api = try await TestAPI.suite()
    let (id, answer) = try await Self.customer(
      api, ["note": "çok \"iyi\" müşteri \u{1F600}\t\\", "website": .null, "profile": ["a": ["b": [1, .null, true]]]])
    #expect(answer.headers["etag"] == "\"1\"")
    #expect(answer.headers["location"] == "/v1/customers/\(id)")
    let made = try answer.json()
    #expect(made == (try await api.send(.get, "/v1/customers/\(id)", as: "ayse").json()))
    #expect(made["note"] == "çok \"iyi\" müşteri \u{1F600}\t\\")
    #expect(made["profile"] == ["a": ["b": [1, .null, true]]])
    let ayse = try await api.caller("ayse")
    #expect(made["owner_id"]?.string == ayse.userID?.lowercase)
    #expect(made["created_by"]?.string == ayse.userID?.lowercase)
    #expect(made["department_id"]?.string == ayse.departmentID?.lowercase)
    #expect(made["lifecycle_phase"] == "prospect" && made["visibility"] == "company")
    #expect(UUID(uuidString: id)?.uuid.6 ?? 0 >> 4 != 0)
  }

  @Test("a change touches what it names, empties what it nulls, and counts the version")
  func change() async throws {
    let api = try await TestAPI.suite()
    let (id, made) = try await Self.customer(api, ["note": "a", "website": "https://a.example"])
    let changed = try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": .null, "name": "Yeni Ad"])
    #expect(changed.status == 200 && changed.headers["etag"] == "\"2\"", "\(changed.text)")
    var expected = try #require(try made.json().object)
    let shown = try #require(try changed.json().object)
    for name in ["note", "name", "version", "updated_at"] { expected[name] = shown[name] }
    #expect(shown == expected)
    #expect(shown["note"] == .null && shown["name"] == "Yeni Ad")
    let nothing = try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: [:])
    #expect(nothing.status == 200)
  }

  @Test("an object is merged member by member, as deep as it goes (RFC 7396)")
  func merge() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await Self.customer(api, ["profile": ["a": 1, "b": ["c": 2, "d": 3, "n": ["x": 1]], "l": [1, .null]]])
    let changed = try await api.send(
      .patch, "/v1/customers/\(id)", as: "ayse", json: ["profile": ["a": .null, "b": ["d": .null, "e": 4, "n": ["y": 2]], "f": ["g": .null, "h": 1]]])
    #expect(try changed.json()["profile"] == ["b": ["c": 2, "e": 4, "n": ["x": 1, "y": 2]], "f": ["h": 1], "l": [1, .null]], "\(changed.text)")
    #expect(try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["profile": .null]).fieldErrors == ["/profile required"])
    #expect(try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["profile": [1]]).status == 422)
  }

  @Test("If-Match lets only the change of the version one has read through")
  func ifMatch() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await Self.customer(api)
    #expect(try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": "1"], headers: ["if-match": "\"1\""]).status == 200)
    for tag in ["\"1\"", "\"3\"", "\"99999999999\"", "\"-1\""] {
      let late = try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": "2"], headers: ["if-match": tag])
      #expect(late.status == 412 && late.problem == "version-mismatch", "\(tag): \(late.text)")
    }
    for tag in ["2", "", "\"x\"", "\"\""] {
      #expect(try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": "2"], headers: ["if-match": tag]).status == 400, "\(tag)")
    }
    #expect(try await api.send(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": "2"], headers: ["if-match": "*"]).status == 200)
    #expect(try await api.send(.get, "/v1/customers/\(id)", as: "ayse").json()["note"] == "2")
    let absent = try await api.send(.patch, "/v1/customers/\(UUID.v7().lowercase)", as: "ayse", json: ["note": "2"], headers: ["if-match": "\"1\""])
    #expect(absent.status == 404)
  }

  @Test("two changes of one version: one wins, the other is told")
  func race() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await Self.customer(api)
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 1...6 {
        group.addTask {
          try await api.sendPatiently(.patch, "/v1/customers/\(id)", as: "ayse", json: ["note": .string("\(number)")], headers: ["if-match": "\"1\""]).status
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(statuses.sorted() == [200, 412, 412, 412, 412, 412])
  }

  @Test("a record that may be read and not written answers 403; one that is hidden 404")
  func rights() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await Self.customer(api, ["visibility": "company"])
    let foreign = try await api.send(.patch, "/v1/customers/\(id)", as: "mehmet", json: ["note": "x"])
    #expect(foreign.status == 403 && foreign.problem == "forbidden", "\(foreign.text)")
    #expect(try await api.send(.patch, "/v1/customers/\(id)", as: "zeynep", json: ["note": "x"]).status == 403)
    let (secret, _) = try await Self.customer(api, ["visibility": "private"])
    #expect(try await api.send(.patch, "/v1/customers/\(secret)", as: "mehmet", json: ["note": "x"]).status == 404)
    #expect(try await api.send(.get, "/v1/customers/\(secret)", as: "ayse").status == 200)
    // Only what one owns may be made or given away by who writes only their own.
    let own = try await api.send(.post, "/v1/customers", as: "mehmet", json: ["kind": "person", "name": "Benim"])
    #expect(own.status == 201, "\(own.text)")
    let ayse = try #require(try await api.caller("ayse").userID?.lowercase)
    let forOther = try await api.send(.post, "/v1/customers", as: "mehmet", json: ["kind": "person", "name": "Onun", "owner_id": .string(ayse)])
    #expect(forOther.status == 403, "\(forOther.text)")
    let given = try await api.send(.patch, "/v1/customers/\(try own.json()["id"]?.string ?? "")", as: "mehmet", json: ["owner_id": .string(ayse)])
    #expect(given.status == 403, "\(given.text)")
    #expect(try await api.send(.post, "/v1/customers", as: "fatma", json: ["kind": "person", "name": "x"]).status == 403)
  }

  @Test("a deletion answers 204 once, with If-Match only of the version read, and 409 while others refer to it")
  func delete() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await Self.customer(api)
    let contact = try #require(try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(id), "name": "Kişi"]).json()["id"]?.string)
    let point = try await api.send(
      .post, "/v1/contact_points", as: "ayse", json: ["customer_id": .string(id), "contact_id": .string(contact), "kind": "email", "value": "a@b.example"])
    let pointID = try #require(try point.json()["id"]?.string)
    let inUse = try await api.send(.delete, "/v1/contacts/\(contact)", as: "ayse")
    #expect(inUse.status == 409 && inUse.problem == "in-use", "\(inUse.text)")
    #expect(try await api.send(.delete, "/v1/contact_points/\(pointID)", as: "mehmet").status == 403)
    #expect(try await api.send(.delete, "/v1/contact_points/\(pointID)", as: "ayse", headers: ["if-match": "\"7\""]).status == 412)
    let gone = try await api.send(.delete, "/v1/contact_points/\(pointID)", as: "ayse", headers: ["if-match": "\"1\""])
    #expect(gone.status == 204 && gone.bytes.isEmpty)
    #expect(try await api.send(.delete, "/v1/contact_points/\(pointID)", as: "ayse").status == 404)
    #expect(try await api.send(.delete, "/v1/contacts/\(contact)", as: "ayse").status == 204)
  }

  @Test("a dry run answers as the change would, and leaves nothing behind")
  func dryRun() async throws {
    let api = try await TestAPI.suite()
    let before = try await api.behind(
      "SELECT (SELECT count(*) FROM crm.customer), (SELECT count(*) FROM crm.change), (SELECT count(*) FROM crm.idempotency_key)")
    let made = try await api.send(
      .post, "/v1/customers", as: "zeynep", json: ["kind": "person", "name": "Yok Olacak"], headers: ["prefer": "tx=rollback", "idempotency-key": "dry"])
    #expect(made.status == 201 && made.headers["preference-applied"] == "tx=rollback", "\(made.text)")
    let id = try #require(try made.json()["id"]?.string)
    #expect(try await api.send(.get, "/v1/customers/\(id)", as: "zeynep").status == 404)
    let broken = try await api.send(.post, "/v1/customers", as: "zeynep", json: ["kind": "person", "name": " "], headers: ["prefer": "tx=rollback"])
    #expect(broken.status == 422)
    let batch = try await api.send(
      .post, "/v1/customers/batch", as: "zeynep", json: ["items": [["op": "create", "data": ["kind": "person", "name": "Yok"]]]],
      headers: ["prefer": "return=minimal, tx=rollback"])
    #expect(batch.status == 200)
    let upsert = try await api.send(
      .put, "/v1/customers/external/erp/dry", as: "zeynep", json: ["kind": "person", "name": "Yok"], headers: ["prefer": "tx=rollback"])
    #expect(upsert.status == 201)
    let after = try await api.behind(
      "SELECT (SELECT count(*) FROM crm.customer WHERE name LIKE 'Yok%'), (SELECT count(*) FROM crm.change WHERE after ->> 'name' LIKE 'Yok%'), (SELECT count(*) FROM crm.idempotency_key WHERE key = 'dry')"
    )
    #expect(try (0..<3).map { try after[0].decode(Int.self, at: $0) } == [0, 0, 0])
    #expect(before.count == 1)
  }

  @Test("the digits of money and prices survive as they were sent")
  func money() async throws {
    let api = try await TestAPI.suite()
    let (customer, _) = try await Self.customer(api)
    let order = try await api.send(.post, "/v1/orders", as: "ayse", json: ["customer_id": .string(customer), "currency": "TRY"])
    let orderID = try #require(try order.json()["id"]?.string, "\(order.text)")
    let product = try #require(try await api.send(.get, "/v1/products", ["limit": "1"]).rows()[0]["id"]?.string)
    let cases: [(sent: String, price: String, amount: String)] = [
      (#""unit_price":"123456789012.345678","amount":"9999999999999999.99""#, "123456789012.345678", "9999999999999999.99"),
      (#""unit_price":0.000001,"amount":-9999999999999999.98"#, "0.000001", "-9999999999999999.98"),
      (#""unit_price":"1.500000000","amount":0.1"#, "1.500000", "0.10"),
      (#""unit_price":null,"amount":1234567890123456.78"#, "null", "1234567890123456.78"), (#""unit_price":1e3,"amount":"-0""#, "1000.000000", "0.00"),
    ]
    for (number, value) in cases.enumerated() {
      let body =
        #"{"customer_id":"\#(customer)","order_id":"\#(orderID)","line_number":\#(number + 1),"product_id":"\#(product)","quantity":1.125,\#(value.sent)}"#
      let made = try await api.send(.post, "/v1/order_lines", as: "ayse", body: Array(body.utf8))
      #expect(made.status == 201, "\(made.text)")
      let line = try made.json()
      #expect(line["amount"]?.string == value.amount && (line["unit_price"]?.string ?? "null") == value.price, "\(made.text)")
      #expect(line["quantity"] == "1.125")
    }
    #expect(try await api.send(.get, "/v1/orders/\(orderID)", as: "ayse").json()["amount"] == "1234567890123456.89")
    for bad in [
      #""amount":"0.001""#, #""amount":1e16"#, #""amount":"NaN""#, #""amount":"1e2""#, #""amount":"abc""#, #""amount":true"#, #""amount":"""#,
      #""amount":"99999999999999999""#, #""amount":1,"unit_price":0.0000001"#,
    ] {
      let body = #"{"customer_id":"\#(customer)","order_id":"\#(orderID)","line_number":9,"product_id":"\#(product)","quantity":1,\#(bad)}"#
      let refused = try await api.send(.post, "/v1/order_lines", as: "ayse", body: Array(body.utf8))
      #expect(refused.status == 422, "\(bad): \(refused.text)")
    }
  }
}
