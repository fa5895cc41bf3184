import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Sorting and paging")
struct PagingTests {
  private static let orders = [
    "id", "-id", "ordered_at", "-ordered_at", "note", "-note", "external_number,-ordered_at", "-external_number,ordered_at", "status,-note",
    "-location_id,channel", "amount", "-amount,note,status", "customer.name,-amount", "-location.city,status", "customer.website,location.city,-note",
    "status,id", "-status,-id", "id,status",
  ]

  /// Follows the cursors to the end.
  static func pages(_ api: TestAPI, _ path: String, _ query: [(name: String, value: String)], limit: Int, between: () async throws -> Void = {}) async throws
    -> [JSON]
  {
    var rows: [JSON] = []
    var cursor: String?
    repeat {
      let answer = try await api.send(
        .get, path, query + [(name: "limit", value: "\(limit)")] + (cursor.map { [(name: "cursor", value: $0)] } ?? []), body: nil)
      try #require(answer.status == 200, "\(answer.text)")
      let page = try answer.rows()
      #expect(page.count <= limit)
      rows += page
      cursor = try answer.json()["next_cursor"]?.string
      try await between()
    } while cursor != nil
    return rows
  }

  @Test("paging visits every row exactly once in the order of the whole list, over ties and missing values", arguments: orders)
  func everyRowOnce(order: String) async throws {
    let api = try await TestAPI.suite()
    let whole = try await api.send(.get, "/v1/orders", ["order": order, "limit": "1000", "select": "id", "status": "in.(placed,completed,returned)"]).rows()
    #expect(whole.count > 80)
    for limit in [7, whole.count] {
      let paged = try await Self.pages(
        api, "/v1/orders", [(name: "order", value: order), (name: "select", value: "id"), (name: "status", value: "in.(placed,completed,returned)")],
        limit: limit)
      #expect(paged == whole)
    }
  }

  @Test("missing values come last in both directions")
  func nullsLast() async throws {
    let api = try await TestAPI.suite()
    for order in ["note", "-note", "location.city", "-location.city"] {
      let values = try await api.send(.get, "/v1/orders", ["order": order, "limit": "1000", "expand": "location"]).rows().map { row -> JSON? in
        order.hasSuffix("note") ? row["note"] : row["location"]?["city"] ?? .null
      }
      let firstNull = try #require(values.firstIndex(of: .null))
      #expect(firstNull > 0 && values[firstNull...].allSatisfy { $0 == .null }, "\(order)")
    }
  }

  @Test(
    "rows that are added between pages never repeat or hide the ones that were there",
    arguments: ["name", "-name", "tax_office,-name", "-website,tax_office", "id", "-created_at"])
  func insertedBetween(order: String) async throws {
    let api = try await TestAPI.start()
    let before = try await api.send(.get, "/v1/customers", ["order": order, "limit": "1000", "select": "id"]).rows()
    let writer = Counter()
    let paged = try await Self.pages(api, "/v1/customers", [(name: "order", value: order), (name: "select", value: "id")], limit: 5) {
      let number = await writer.next()
      for name in ["AAA \(number)", "zzz \(number)", "Işık \(number)"] {
        var customer: [String: JSON] = ["kind": "person", "name": .string(name)]
        if number % 2 == 0 { customer["tax_office"] = "Konak" }
        #expect(try await api.send(.post, "/v1/customers", json: .object(customer)).status == 201)
      }
      try #require(number < 40, "paging does not end")
    }
    #expect(Set(paged).count == paged.count)
    let old = Set(before)
    #expect(paged.filter(old.contains) == before)
  }

  private actor Counter {
    private var count = 0
    func next() -> Int {
      count += 1
      return count
    }
  }

  @Test("a row that moves between pages changes nothing for the others, even when the page ended at it")
  func deletedAtTheEdge() async throws {
    let api = try await TestAPI.start()
    let whole = try await api.send(.get, "/v1/contacts", ["order": "name", "limit": "1000", "select": "id"]).rows().compactMap { $0["id"]?.string }
    let first = try await api.send(.get, "/v1/contacts", ["order": "name", "limit": "5", "select": "id"])
    let cursor = try #require(try first.json()["next_cursor"]?.string)
    let last = try #require(try first.rows().last?["id"]?.string)
    try await api.behind("DELETE FROM crm.contact_point WHERE contact_id = \(last)")
    try await api.behind("DELETE FROM crm.contact WHERE id = \(last)")
    let second = try await api.send(.get, "/v1/contacts", ["order": "name", "limit": "5", "select": "id", "cursor": cursor]).rows().compactMap {
      $0["id"]?.string
    }
    #expect(second == Array(whole[5..<10]))
  }

  @Test("a cursor that was not given for this list is refused")
  func forged() async throws {
    let api = try await TestAPI.suite()
    let cursor = try #require(try await api.send(.get, "/v1/orders", ["limit": "5"]).json()["next_cursor"]?.string)
    let turned = String(cursor.prefix(8)) + (cursor.dropFirst(8).first == "A" ? "B" : "A") + cursor.dropFirst(9)
    let other = try #require(try await api.send(.get, "/v1/customers", ["limit": "5"]).json()["next_cursor"]?.string)
    let uses: [(String, String, [(name: String, value: String)])] = [
      ("/v1/orders", turned, []), ("/v1/orders", String(cursor.dropLast()), []), ("/v1/orders", "", []), ("/v1/orders", "'; drop table", []),
      ("/v1/orders", other, []),
      ("/v1/orders", String(repeating: "A", count: 5_000), []), ("/v1/orders", "ığü", []), ("/v1/orders", cursor, [(name: "order", value: "ordered_at")]),
      ("/v1/orders", cursor, [(name: "status", value: "eq.placed")]), ("/v1/orders", cursor, [(name: "search", value: "a")]), ("/v1/customers", cursor, []),
    ]
    for (path, cursor, query) in uses {
      let answer = try await api.send(.get, path, query + [(name: "cursor", value: cursor)], body: nil)
      #expect(answer.status == 400, "\(path) \(query) \(cursor)")
      #expect(answer.fieldErrors == ["cursor bad-parameter"])
    }
    #expect(try await api.send(.get, "/v1/orders", ["limit": "3", "cursor": cursor, "select": "id", "expand": "customer"]).status == 200)
  }

  @Test("a cursor shows a reader none of the values it holds")
  func opaque() async throws {
    let api = try await TestAPI.suite()
    let answer = try await api.send(.get, "/v1/customers", ["limit": "5", "order": "name"])
    let cursor = try #require(try answer.json()["next_cursor"]?.string)
    let name = try #require(try answer.rows().last?["name"]?.string)
    let padded = cursor.replacing("-", with: "+").replacing("_", with: "/")
    let bytes = try #require(Data(base64Encoded: padded + String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4)))
    #expect(bytes.range(of: Data(name.utf8.prefix(6))) == nil)
  }

  @Test("the same query in JSON goes on from a cursor")
  func json() async throws {
    let api = try await TestAPI.suite()
    var rows: [JSON] = []
    var cursor: JSON = .null
    repeat {
      let answer = try await api.send(
        .post, "/v1/orders/query", json: ["filter": ["currency": "TRY"], "order": ["-note", "amount"], "limit": 20, "cursor": cursor, "select": ["id"]])
      try #require(answer.status == 200, "\(answer.text)")
      rows += try answer.rows()
      cursor = try answer.json()["next_cursor"] ?? .null
    } while cursor != .null
    let whole = try await api.send(.get, "/v1/orders", ["currency": "eq.TRY", "order": "-note,amount", "limit": "1000", "select": "id"]).rows()
    #expect(rows == whole)
  }

  @Test("counts come only when asked for; an estimate is a number, an exact one is exact")
  func counts() async throws {
    let api = try await TestAPI.suite()
    let plain = try await api.send(.get, "/v1/orders", ["limit": "2"])
    #expect(try plain.json()["count"] == nil)
    let all = try await api.send(.get, "/v1/orders", ["limit": "1000"]).rows().count
    let exact = try await api.send(.get, "/v1/orders", ["limit": "2", "count": "exact"])
    #expect(try exact.json()["count"] == .number(Decimal(all)))
    let cursor = try #require(try exact.json()["next_cursor"]?.string)
    let second = try await api.send(.get, "/v1/orders", ["limit": "2", "count": "exact", "cursor": cursor])
    #expect(try second.json()["count"] == .number(Decimal(all)))
    let estimated = try await api.send(.get, "/v1/orders", ["limit": "2", "count": "estimated", "customer.name": "contains.a", "status": "eq.placed"])
    guard case .number? = try estimated.json()["count"] else {
      Issue.record("no count in \(estimated.text)")
      return
    }
    let none = try await api.send(.get, "/v1/orders", ["status": "eq.placed", "and": "(status.eq.returned)", "count": "exact"])
    #expect(try none.json()["count"] == 0)
    #expect(try none.rows().isEmpty)
  }

  @Test("limits have bounds")
  func limits() async throws {
    let api = try await TestAPI.suite()
    for limit in ["0", "-1", "1001", "ten", "1.5", ""] { #expect(try await api.send(.get, "/v1/orders", ["limit": limit]).status == 400) }
    for limit: JSON in [0, 1001, "10", .number(Decimal(1.5)), .null] {
      #expect(try await api.send(.post, "/v1/orders/query", json: ["limit": limit]).status == 400, "\(limit)")
    }
    #expect(try await api.send(.get, "/v1/orders").rows().count == 50)
  }

  @Test("what has no order cannot be sorted by")
  func unordered() async throws {
    let api = try await TestAPI.suite()
    for order in ["profile", "custom", "contacts", "a.b.c.d.e"] {
      #expect(try await api.send(.get, "/v1/customers", ["order": order]).status == 400, "\(order)")
    }
  }
}
