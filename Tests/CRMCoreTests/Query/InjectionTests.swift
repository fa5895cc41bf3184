import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Text that wants to be SQL")
struct InjectionTests {
  private static let attempts = [
    "'", "\"", "';--", "\" OR 1=1 --", "1); DROP TABLE crm.customer;--", "$1", "$$", "\\", "\\'", "%27", "/*", "a\"b", "name\" FROM crm.app_user --", "t.*",
    "*",
    "crm.app_user", "pg_sleep(9)", "id::text", "ａ", "{", "}", "[", "]", "(", ")", ",", ";",
  ]

  /// Either understood as a harmless value, or refused as a request; never PostgreSQL's own syntax error, which would be thrown here.
  private func expectHarmless(_ answer: TestAPI.Answer, _ attempt: String) {
    #expect([200, 201, 400, 404, 422].contains(answer.status), "\(attempt): \(answer.text)")
    for word in ["syntax", "SELECT", "relation \"", "column \""] where answer.status >= 400 {
      #expect(!answer.text.contains(word), "\(attempt): \(answer.text)")
    }
  }

  @Test("no name, value, alias or cursor in a URL becomes SQL", arguments: attempts)
  func url(attempt: String) async throws {
    let api = try await TestAPI.suite()
    let before = try await api.send(.get, "/v1/orders", ["count": "exact", "limit": "1"]).json()["count"]
    for (name, value) in [
      (attempt, "eq.1"), ("name", "eq.\(attempt)"), ("name", "starts.\(attempt)"), ("name", "contains.\(attempt)"), ("name", "in.(\(attempt))"),
      ("name", "in.(\"\(attempt)\")"),
      ("name", attempt), ("name", "\(attempt).x"), ("or", "(name.eq.\(attempt))"), ("or", "(\(attempt).eq.1)"), ("or", attempt), ("not", "(name.\(attempt).1)"),
      ("order", attempt),
      ("order", "-\(attempt)"), ("order", "name,\(attempt)"), ("select", attempt), ("select", "name,\(attempt)"), ("expand", attempt), ("search", attempt),
      ("limit", attempt), ("cursor", attempt),
      ("count", attempt), ("custom.\(attempt)", "eq.1"), ("parent.\(attempt)", "eq.1"), ("\(attempt).name", "eq.1"),
    ] {
      expectHarmless(try await api.send(.get, "/v1/customers", [name: value]), "\(name)=\(value)")
    }
    expectHarmless(try await api.send(.get, "/v1/changes", ["resource": attempt]), attempt)
    expectHarmless(try await api.send(.get, "/v1/changes", ["after": attempt]), attempt)
    expectHarmless(try await api.send(.get, "/v1/customers/export", ["format": attempt]), attempt)
    #expect(try await api.send(.get, "/v1/orders", ["count": "exact", "limit": "1"]).json()["count"] == before)
  }

  @Test("no name, value or alias in JSON becomes SQL", arguments: attempts)
  func json(attempt: String) async throws {
    let api = try await TestAPI.suite()
    let text = JSON.string(attempt)
    let queries: [JSON] = [
      ["filter": .object([attempt: "x"])], ["filter": ["name": text]], ["filter": ["name": .object([attempt: "x"])]], ["filter": ["name": ["in": [text]]]],
      ["filter": ["or": [["name": text], .object(["parent.\(attempt)": 1])]]], ["order": [text]], ["select": [text]], ["expand": [text]], ["search": text],
      ["cursor": text], ["count": text],
      .object([attempt: 1]),
    ]
    for query in queries { expectHarmless(try await api.send(.post, "/v1/customers/query", json: query), attempt) }
    let questions: [JSON] = [
      ["measures": [text]], ["measures": [["count": "x", "as": text]]], ["measures": [["sum": text]]], ["measures": [.object([attempt: "version"])]],
      ["measures": ["count"], "group": [text]],
      ["measures": ["count"], "group": [["field": "kind", "as": text]]], ["measures": ["count"], "group": [["field": "created_at", "by": text]]],
      ["measures": ["count"], "group": [["field": "created_at", "by": "day", "zone": text]]], ["measures": ["count"], "order": [text]],
      ["measures": ["count"], "having": .object([attempt: 1])],
      ["measures": [["min": "name", "as": "m"]], "having": ["m": text]],
    ]
    for question in questions { expectHarmless(try await api.send(.post, "/v1/customers/aggregate", json: question), attempt) }
    let made = try await api.send(.post, "/v1/customers", json: ["kind": "person", "name": text, "note": text, "profile": .object([attempt: text])])
    #expect(made.status == 201, "\(made.text)")
    #expect(try made.json()["name"] == text)
    #expect(try made.json()["profile"]?[attempt] == text)
    let id = try #require(try made.json()["id"]?.string)
    #expect(try await api.send(.post, "/v1/customers/query", json: ["filter": ["name": text, "id": .string(id)]]).rows().count == 1)
    #expect(try await api.send(.patch, "/v1/customers/\(id)", json: .object([attempt: "x"])).status == 422)
    expectHarmless(
      try await api.send(
        .put, "/v1/customers/external/erp/\(attempt.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "x")",
        json: ["kind": "person", "name": text]), attempt)
    try await api.behind("DELETE FROM crm.customer WHERE id = \(id)")
  }
}
