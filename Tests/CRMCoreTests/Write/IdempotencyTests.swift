import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Requests that are sent again")
struct IdempotencyTests {
  @Test("the same request again has no second effect and the very same answer")
  func replay() async throws {
    let api = try await TestAPI.suite()
    let body: JSON = ["kind": "person", "name": "Yalnız Bir", "note": "ğ\u{1F600}"]
    let first = try await api.send(.post, "/v1/customers", as: "ayse", json: body, headers: ["idempotency-key": "one"])
    let second = try await api.send(.post, "/v1/customers", as: "ayse", json: body, headers: ["idempotency-key": "one"])
    #expect(first.status == 201 && second.status == 201)
    #expect(first.bytes == second.bytes)
    #expect(second.headers["idempotency-replayed"] == "true" && first.headers["idempotency-replayed"] == nil)
    for (name, value) in first.headers { #expect(second.headers[name] == value, "\(name)") }
    #expect(try await api.send(.get, "/v1/customers", ["name": "eq.Yalnız Bir", "count": "exact"]).json()["count"] == 1)
  }

  @Test("a key belongs to one request of one caller")
  func anotherRequest() async throws {
    let api = try await TestAPI.suite()
    let key = ["idempotency-key": "two"]
    let made = try await api.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "A"], headers: key)
    #expect(made.status == 201)
    for (path, json): (String, JSON) in [
      ("/v1/customers", ["kind": "person", "name": "B"]), ("/v1/customers/batch", ["items": [["op": "create", "data": ["kind": "person", "name": "A"]]]]),
    ] {
      let other = try await api.send(.post, path, as: "ayse", json: json, headers: key)
      #expect(other.status == 422 && other.problem == "idempotency-key-reused", "\(other.text)")
    }
    let otherCaller = try await api.send(.post, "/v1/customers", as: "zeynep", json: ["kind": "person", "name": "A"], headers: key)
    #expect(otherCaller.status == 201 && otherCaller.bytes != made.bytes)
  }

  @Test("two requests with one key at the same time have one effect", arguments: 1...4)
  func concurrent(round: Int) async throws {
    let api = try await TestAPI.suite()
    let answers = try await withThrowingTaskGroup(of: TestAPI.Answer.self) { group in
      for _ in 0..<4 {
        group.addTask {
          try await api.sendPatiently(
            .post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": .string("Aynı Anda \(round)")],
            headers: ["idempotency-key": "at-once-\(round)"])
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.allSatisfy { $0.status == 201 }, "\(answers.map(\.text))")
    #expect(Set(answers.map(\.bytes)).count == 1)
    #expect(try await api.send(.get, "/v1/customers", ["name": "eq.Aynı Anda \(round)", "count": "exact"]).json()["count"] == 1)
  }

  @Test("a request that failed may be sent again under its key")
  func failed() async throws {
    let api = try await TestAPI.suite()
    let key = ["idempotency-key": "three"]
    #expect(try await api.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": " "], headers: key).status == 422)
    #expect(try await api.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Şimdi"], headers: key).status == 201)
  }

  @Test("a deletion and a change with a key are given again too")
  func otherMethods() async throws {
    let api = try await TestAPI.suite()
    let (id, _) = try await WriteTests.customer(api)
    let contact = try #require(try await api.send(.post, "/v1/contacts", as: "ayse", json: ["customer_id": .string(id), "name": "Kişi"]).json()["id"]?.string)
    for _ in 0..<2 {
      let changed = try await api.send(.patch, "/v1/contacts/\(contact)", as: "ayse", json: ["note": "x"], headers: ["idempotency-key": "change"])
      #expect(changed.status == 200 && changed.headers["etag"] == "\"2\"")
    }
    for _ in 0..<2 {
      let gone = try await api.send(.delete, "/v1/contacts/\(contact)", as: "ayse", headers: ["idempotency-key": "gone"])
      #expect(gone.status == 204 && gone.bytes.isEmpty, "\(gone.text)")
    }
  }

  @Test("a key is printable ASCII of at most 255 characters", arguments: ["", " ", "a b", "ğ", String(repeating: "k", count: 256)])
  func badKeys(key: String) async throws {
    let api = try await TestAPI.suite()
    let answer = try await api.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "x"], headers: ["idempotency-key": key])
    #expect(answer.status == 400 && answer.problem == "bad-idempotency-key")
  }
}
