import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Resources over HTTP")
struct OverHTTPTests {
  private func customer(_ server: TestServer, _ name: String, as person: String = "ayse", _ values: [String: JSON] = [:]) async throws -> String {
    let made = try await server.send(.post, "/v1/customers", as: person, json: .object(["kind": "person", "name": .string(name)].merging(values) { $1 }))
    try #require(made.status == 201, "\(made.text)")
    return try #require(try made.json()["id"]?.string)
  }

  @Test("one record is made, read, changed, listed, queried, counted, exported, told of and deleted")
  func life() async throws {
    let server = try await TestServer.suite()
    let parent = try await customer(server, "Çınar Ltd. Şti.")
    let made = try await server.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(parent), "name": "Işıl & Oğuz"])
    #expect(made.status == 201 && made.headers["content-type"] == "application/json" && made.headers["etag"] == "\"1\"", "\(made.text)")
    let id = try #require(try made.json()["id"]?.string)
    #expect(made.headers["location"] == "/v1/contacts/\(id)")

    let read = try await server.send(.get, "/v1/contacts/\(id)?expand=customer", as: "ayse")
    #expect(try read.json()["customer"]?["name"] == "Çınar Ltd. Şti.")
    #expect(try await server.send(.head, "/v1/contacts/\(id)", as: "ayse").bytes.isEmpty)
    #expect(try await server.send(.get, "/v1/contacts/\(id)", as: "ayse", headers: ["if-none-match": "\"1\""]).status == 304)

    let changed = try await server.send(.patch, "/v1/contacts/\(id)", as: "ayse", json: ["job_title": "Müdür"], headers: ["if-match": "\"1\""])
    #expect(changed.status == 200 && changed.headers["etag"] == "\"2\"")
    let merged = try await server.send(
      .patch, "/v1/contacts/\(id)", as: "ayse", body: Array(#"{"job_title":null}"#.utf8), headers: ["content-type": "application/merge-patch+json"])
    #expect(try merged.json()["job_title"] == .null, "\(merged.text)")

    let list = try await server.send(
      .get, "/v1/contacts?name=eq.I%C5%9F%C4%B1l%20%26%20O%C4%9Fuz&customer.name=starts.%C3%87%C4%B1nar&count=exact&order=-name", as: "ayse")
    #expect(try list.json()["count"] == 1 && list.json()["data"]?.array?.first?["id"]?.string == id, "\(list.text)")
    let query = try await server.send(
      .post, "/v1/contacts/query", as: "ayse", json: ["filter": ["name": "Işıl & Oğuz", "or": [["active": true], ["note": .null]]], "select": ["id"]])
    #expect(try query.json()["data"] == [["id": .string(id)]], "\(query.text)")
    let sum = try await server.send(
      .post, "/v1/contacts/aggregate", as: "ayse", json: ["group": ["customer.name"], "measures": ["count"], "filter": ["customer_id": .string(parent)]])
    #expect(try sum.json()["data"] == [["customer.name": "Çınar Ltd. Şti.", "count": 1]], "\(sum.text)")

    let csv = try await server.send(.get, "/v1/contacts/export?format=csv&select=id,name&customer_id=eq.\(parent)", as: "ayse")
    #expect(csv.text == "id,name\r\n\(id),Işıl & Oğuz\r\n" && csv.headers["content-type"] == "text/csv; charset=utf-8", "\(csv.text)")
    let ndjson = try await server.send(.get, "/v1/contacts/export?select=id&customer_id=eq.\(parent)", as: "ayse")
    #expect(ndjson.text == "{\"id\":\"\(id)\"}\n")

    let history = try await server.send(.get, "/v1/contacts/\(id)/history?limit=2", as: "ayse")
    #expect(try history.json()["data"]?.array?.map { $0["op"] } == ["update", "update"])
    #expect(try await server.send(.delete, "/v1/contacts/\(id)", as: "ayse").status == 204)
    #expect(try await server.send(.get, "/v1/contacts/\(id)", as: "ayse").status == 404)
    #expect(try await server.send(.get, "/v1/contacts/\(id)/history", as: "ayse").json()["data"]?.array?.first?["op"] == "delete")
    #expect(try await server.send(.get, "/v1/changes?resource=contacts&limit=1", as: "ayse").status == 200)
  }

  @Test("batches and upserts work over HTTP, and a request sent again is answered again")
  func many() async throws {
    let server = try await TestServer.suite()
    let items: JSON = .array((0..<3).map { ["op": "create", "data": ["kind": "person", "name": .string("Toplu \($0)")]] })
    let batch = try await server.send(.post, "/v1/customers/batch", as: "ayse", json: ["items": items], headers: ["idempotency-key": "batch-1"])
    #expect(batch.status == 200, "\(batch.text)")
    let again = try await server.send(.post, "/v1/customers/batch", as: "ayse", json: ["items": items], headers: ["idempotency-key": "batch-1"])
    #expect(again.bytes == batch.bytes && again.headers["idempotency-replayed"] == "true")
    let other = try await server.send(
      .post, "/v1/customers/batch", as: "ayse", json: ["items": items, "atomic": false], headers: ["idempotency-key": "batch-1"])
    #expect(other.status == 422)
    let first = try await server.send(.put, "/v1/customers/external/erp/%C4%9F%2F1", as: "ayse", json: ["kind": "person", "name": "Harici"])
    let second = try await server.send(.put, "/v1/customers/external/erp/%C4%9F%2F1", as: "ayse", json: ["kind": "person", "name": "Harici 2"])
    #expect(first.status == 201 && second.status == 200, "\(first.text) \(second.text)")
    let dry = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Kuru"], headers: ["prefer": "tx=rollback"])
    #expect(dry.status == 201 && dry.headers["preference-applied"] == "tx=rollback")
    #expect(try await server.send(.get, "/v1/customers?name=eq.Kuru", as: "ayse").json()["data"] == [])
  }

  @Test(
    "what an address refuses, it refuses as a problem with a code",
    arguments: [
      (.get, "/v1/customers?statuss=eq.x", "ayse", nil, 400, "unknown-field"), (.get, "/v1/customers?name=eqq.x", "ayse", nil, 400, "unknown-operator"),
      (.get, "/v1/customers?limit=5000", "ayse", nil, 400, "bad-parameter"),
      (.get, "/v1/customers?cursor=abc", "ayse", nil, 400, "bad-parameter"), (.get, "/v1/customers", "emre", nil, 403, "forbidden"),
      (.get, "/v1/customers/17", "ayse", nil, 404, "not-found"), (.get, "/v1/nothing", "ayse", nil, 404, "unknown-route"),
      (.get, "/v1/customers/00000000-0000-0000-0000-000000000001/history", "ayse", nil, 404, "not-found"),
      (.get, "/v1/changes?resource=custmers", "ayse", nil, 400, "bad-parameter"), (.get, "/v1/orders/export?order=id", "ayse", nil, 400, "bad-parameter"),
      (.post, "/v1/customers", "ayse", ["name": 1], 422, "invalid-fields"),
      (.post, "/v1/customers", "fatma", ["kind": "person", "name": "x"], 403, "forbidden"),
      (.post, "/v1/customers/query", "ayse", ["filter": 1], 400, "bad-filter"),
      (.post, "/v1/orders/aggregate", "ayse", ["measures": []], 400, "bad-parameter"),
      (.post, "/v1/customers/batch", "ayse", ["items": []], 422, "invalid-fields"),
      (.put, "/v1/customers/external/ERP/1", "ayse", ["kind": "person", "name": "x"], 400, "bad-parameter"),
      (.patch, "/v1/customers/00000000-0000-0000-0000-000000000001", "ayse", ["note": "x"], 404, "not-found"),
      (.delete, "/v1/contacts/00000000-0000-0000-0000-000000000001", "ayse", nil, 404, "not-found"),
      (.delete, "/v1/customers/00000000-0000-0000-0000-000000000001", "ayse", nil, 405, "method-not-allowed"),
    ] as [(Request.Method, String, String, JSON?, Int, String)])
  func refusals(method: Request.Method, path: String, person: String, json: JSON?, status: Int, code: String) async throws {
    let server = try await TestServer.suite()
    let answer = try await server.send(method, path, as: person, json: json, headers: ["accept-language": "tr"])
    #expect(answer.status == status, "\(answer.text)")
    #expect(answer.problem == code, "\(answer.text)")
    #expect(answer.headers["content-type"] == "application/problem+json" && answer.headers["content-language"] == "tr")
    #expect(try answer.json()["request_id"]?.string != nil)
    #expect(try await server.send(method, path, as: nil, json: json).status == (status == 404 && code == "unknown-route" ? 404 : status == 405 ? 405 : 401))
  }

  @Test("a hidden record and none at all are answered byte for byte alike")
  func alike() async throws {
    let server = try await TestServer.suite()
    let hidden = try await customer(server, "Gizli Müşteri", ["visibility": "private"])
    let absent = UUID.v7().lowercase
    for (method, suffix, json): (Request.Method, String, JSON?) in [
      (.get, "", nil), (.get, "?expand=contacts", nil), (.get, "/history", nil), (.patch, "", ["note": "x"]),
    ] {
      var answers: [String] = []
      for id in [hidden, absent] {
        let answer = try await server.send(method, "/v1/customers/\(id)\(suffix)", as: "zeynep", json: json)
        #expect(answer.status == 404)
        answers.append(answer.text.replacing(id, with: "ID").replacing(/"request_id":"[^"]*"/, with: ""))
      }
      #expect(answers[0] == answers[1], "\(method) \(suffix)")
    }
  }

  @Test("a body must say that it is JSON")
  func mediaType() async throws {
    let server = try await TestServer.suite()
    let body = Array(#"{"kind":"person","name":"x"}"#.utf8)
    #expect(try await server.send(.post, "/v1/customers", as: "ayse", body: body, headers: ["content-type": "text/plain"]).status == 415)
    #expect(try await server.send(.post, "/v1/customers", as: "ayse", body: body, headers: ["content-type": "application/json; charset=utf-8"]).status == 201)
  }
}
