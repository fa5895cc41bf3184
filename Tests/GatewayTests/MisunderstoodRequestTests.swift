import CRMCore
import Foundation
import MuhatapTestKit
import Testing

/// What a client asks for and the API does not know is refused: left out, it would do something else than was meant.
@Suite struct MisunderstoodRequestTests {
  @Test func `a write that asks for a dry run in its query changes nothing and is told how to ask`() async throws {
    let server = try await TestServer.suite()
    let name = "Deneme \(UUID().uuidString)"
    let refused = try await server.send(.post, "/v1/customers?dry_run=true", as: "ayse", json: ["kind": "person", "name": .string(name)], checked: false)
    #expect(refused.status == 400 && refused.problem == "bad-parameter", "\(refused.text)")
    #expect(refused.text.contains("Prefer: tx=rollback"))
    let tried = try await server.send(
      .post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": .string(name)], headers: ["prefer": "tx=rollback"])
    #expect(tried.status == 201 && tried.headers["preference-applied"] == "tx=rollback", "\(tried.text)")
    let query: JSON = ["filter": ["name": ["eq": .string(name)]]]
    #expect(try await server.send(.post, "/v1/customers/query", as: "ayse", json: query).json()["data"] == [])
  }

  @Test(arguments: ["/v1/me?fields=name", "/v1/api_keys?limit=1", "/v1/imports?status=done", "/v1/access/explain?resource=customers&record=1"])
  func `a read that takes no such parameter says so`(_ path: String) async throws {
    let answer = try await TestServer.suite().send(.get, path, checked: false)
    #expect(answer.status == 400 && answer.problem == "bad-parameter", "\(answer.text)")
  }

  @Test func `a misspelt member of a body is refused where leaving it out would widen what is given`() async throws {
    let server = try await TestServer.suite()
    let id = UUID().uuidString
    for (path, body, pointer) in [
      ("/v1/api_keys", ["name": "k", "scope": ["sales:read"]], "/scope"), ("/v1/api_keys", ["name": "k", "expires_in": 3], "/expires_in"),
      ("/v1/imports/\(id)/run", ["dryrun": true], "/dryrun"), ("/v1/imports", ["resource": "customers", "mapping": [:], "dry_run": true], "/dry_run"),
      ("/v1/sessions", ["email": "ayse@carsi.example", "password": "x", "otp": "1"], "/otp"),
    ] as [(String, JSON, String)] {
      let refused = try await server.send(.post, path, as: "ayse", json: body, checked: false)
      #expect(refused.status == 422, "\(path): \(refused.text)")
      #expect(try refused.json()["errors"]?.array?.contains { $0["pointer"] == .string(pointer) && $0["code"] == "unknown-field" } == true, "\(refused.text)")
    }
  }

  @Test func `an unknown operator is answered with the nearest and with all`() async throws {
    let answer = try await TestServer.suite().send(.get, "/v1/customers?name=like.a", checked: false)
    #expect(answer.problem == "unknown-operator")
    #expect(answer.text.contains("contains") && answer.text.contains("starts"), "\(answer.text)")
  }

  @Test func `a cursor that does not open is named as it was given`() async throws {
    let server = try await TestServer.suite()
    for (path, name) in [("/v1/changes?after=now", "after"), ("/v1/customers?cursor=now", "cursor")] {
      let answer = try await server.send(.get, path, checked: false)
      #expect(try answer.json()["errors"]?.array?.first?["parameter"]?.string == name, "\(answer.text)")
    }
  }

  @Test func `an atomic batch says which of its items failed, whatever failed`() async throws {
    let server = try await TestServer.suite()
    let made = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Toplu"]).json()["id"] ?? .null
    for (item, status) in [
      (["op": "change", "id": .string(UUID().uuidString.lowercased()), "data": ["note": "x"]], 404),
      (["op": "change", "id": made, "version": 9, "data": ["note": "x"]], 412),
    ] as [(JSON, Int)] {
      let first: JSON = ["op": "create", "data": ["kind": "person", "name": "Önce"]]
      let answer = try await server.send(.post, "/v1/customers/batch", as: "ayse", json: ["items": [first, item]])
      #expect(answer.status == status, "\(answer.text)")
      #expect(try answer.json()["errors"]?.array?.first?["pointer"] == "/items/1", "\(answer.text)")
    }
  }

  @Test func `a batch of a thousand mistakes lists a hundred and says that there may be more`() async throws {
    let items = JSON.array(.init(repeating: ["op": "create", "data": ["kind": "robot", "name": "x"]], count: 1_000))
    let answer = try await TestServer.suite().send(.post, "/v1/customers/batch", as: "ayse", json: ["items": items], checked: false)
    #expect(answer.status == 422)
    #expect(try answer.json()["errors"]?.array?.count == 100)
    #expect(try answer.json()["detail"]?.string?.contains("there may be more") == true, "\(answer.text.prefix(400))")
  }

  @Test func `an upsert heeds If-Match`() async throws {
    let server = try await TestServer.suite()
    let path = "/v1/customers/external/erp/\(UUID().uuidString)"
    let person: JSON = ["kind": "person", "name": "Ada"]
    #expect(try await server.send(.put, path, as: "ayse", json: person, headers: ["if-match": "\"1\""]).status == 412)
    #expect(try await server.send(.put, path, as: "ayse", json: person).status == 201)
    #expect(try await server.send(.put, path, as: "ayse", json: ["kind": "person", "name": "Ada L."], headers: ["if-match": "\"1\""]).status == 200)
    #expect(try await server.send(.put, path, as: "ayse", json: ["kind": "person", "name": "Ada K."], headers: ["if-match": "\"1\""]).status == 412)
  }

  @Test func `a key does not outlive the key it was made with`() async throws {
    let server = try await TestServer.suite()
    let soon = Date.now.addingTimeInterval(3_600).formatted(.iso8601)
    let first = try await server.send(.post, "/v1/api_keys", as: "ayse", json: ["name": "short", "expires_at": .string(soon)]).json()
    let key = try #require(first["key"]?.string)
    for wanted in [nil, "2099-01-01T00:00:00Z"] as [JSON] {
      let second = try await server.send(
        .post, "/v1/api_keys", as: nil, json: ["name": "long", "expires_at": wanted], headers: ["authorization": "Bearer \(key)"])
      #expect(second.status == 201, "\(second.text)")
      #expect(try second.json()["expires_at"] == first["expires_at"], "\(second.text)")
    }
    let free = try await server.send(.post, "/v1/api_keys", as: "ayse", json: ["name": "free"])
    #expect(try free.json()["expires_at"] == .null, "\(free.text)")
  }
}
