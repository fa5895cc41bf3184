import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// Who is let in, and what for.
@Suite struct AuthenticationTests {
  @Test func `without a credential the answer is 401 with a challenge`() async throws {
    let people = try await People(in: .suite())
    try await people.serve { (server) async throws in
      let answer = try await server.get("/whoami")
      #expect(answer.status == 401)
      #expect(answer["www-authenticate"] == "Bearer realm=\"muhatap\"")
      #expect(answer.json["code"] as? String == "unauthenticated")
    }
  }

  @Test(arguments: [
    "Bearer", "Bearer ", "Basic YTpi", "Bearer mhp_nope_nope", "Bearer mhs_nope_nope", "Bearer a.b.c", "Bearer x y", "bearer",
    "Bearer mhp_", "Digest a=b",
  ])
  func `a credential that is none is refused`(_ authorization: String) async throws {
    let people = try await People(in: .suite())
    try await people.serve { (server) async throws in
      let answer = try await server.get("/whoami", ["Authorization: \(authorization)"])
      #expect(answer.status == 401)
    }
  }

  @Test func `an API key signs its user in, on this connection and the next`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("ayse")
    let key = try await people.key(of: user.id)
    try await people.serve { (server) async throws in
      for _ in 0..<3 {
        let answer = try await server.get("/whoami", as: key)
        #expect(answer.status == 200)
        #expect(answer.json["user"] as? String == user.id.lowercase)
      }
      #expect(try await server.get("/sales", as: key).status == 200)
      #expect(try await server.get("/finance", as: key).status == 403)
    }
  }

  @Test func `a key says when it was last used`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("deniz")
    let key = try await people.key(of: user.id)
    try await people.serve { (server) async throws in
      #expect(try await server.get("/whoami", as: key).status == 200)
      let answer = try await server.get("/v1/api_keys", as: key)
      #expect(answer.status == 200)
      let data = answer.json["data"] as? [[String: Any]]
      #expect(data?.count == 1)
      #expect(data?.first?["last_used_on"] is String)
      #expect(data?.first?["key_hash"] == nil)
    }
  }

  @Test func `scopes narrow what a key may do`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("mert")
    let reading = try await people.key(of: user.id, scopes: ["sales:read"])
    let elsewhere = try await people.key(of: user.id, scopes: ["finance:read", "finance:write"])
    let writing = try await people.key(of: user.id, scopes: ["sales:write"])
    try await people.serve { (server) async throws in
      func post(_ key: String) async throws -> Int { try await server.post("/sales", "", ["Authorization: Bearer \(key)"]).status }
      #expect(try await server.get("/sales", as: reading).status == 200)
      #expect(try await post(reading) == 403)
      #expect(try await server.get("/sales", as: elsewhere).status == 403)
      // A scope never gives what the user's roles do not.
      #expect(try await server.get("/finance", as: elsewhere).status == 403)
      #expect(try await post(writing) == 200)
    }
  }

  @Test func `an expired key and the key of an inactive user do not sign in`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("can")
    let gone = try await people.add("eda", active: false)
    let expired = try await people.key(of: user.id, expiresIn: -1)
    let orphaned = try await people.key(of: gone.id)
    try await people.serve { (server) async throws in
      #expect(try await server.get("/whoami", as: expired).status == 401)
      #expect(try await server.get("/whoami", as: orphaned).status == 401)
    }
  }

  @Test func `a key that expires while it is cached stops working then`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("can")
    let lasting = try await people.key(of: user.id)
    try await people.serve { (server) async throws in
      #expect(try await server.get("/whoami", as: lasting).status == 200)
      // Made when the server runs, so that its time is not spent on the start.
      let key = try await people.key(of: user.id, expiresIn: 15)
      #expect(try await server.get("/whoami", as: key).status == 200)
      #expect(try await server.status(of: "/whoami", as: key, becomes: 401))
    }
  }

  @Test func `a key is made, shown once, used, listed and revoked over HTTP`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("zeynep")
    let first = try await people.key(of: user.id)
    try await people.serve { (server) async throws in
      let made = try await server.post(
        "/v1/api_keys", #"{"name":"export","scopes":["sales:read"],"expires_at":"2099-01-01T00:00:00.000Z"}"#, ["Authorization: Bearer \(first)"])
      #expect(made.status == 201)
      let key = try #require(made.json["key"] as? String)
      let id = try #require(made.json["id"] as? String)
      #expect(key.hasPrefix(try #require(made.json["prefix"] as? String)))
      #expect(try await server.get("/sales", as: key).status == 200)
      let listed = try await server.get("/v1/api_keys", as: first)
      #expect(listed.text.contains(id))
      #expect(!listed.text.contains(key))
      let revoked = try await server.send("DELETE /v1/api_keys/\(id) HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer \(first)\r\n\r\n")
      #expect(revoked.status == 204)
      #expect(try await server.status(of: "/sales", as: key, becomes: 401))
    }
  }

  @Test func `a narrowed key cannot make a wider one, and all mistakes are listed at once`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("kaan")
    let narrow = try await people.key(of: user.id, scopes: ["sales:read"])
    try await people.serve { (server) async throws in
      let refused = try await server.post(
        "/v1/api_keys", #"{"name":" ","scopes":["sales:write","nonsense"],"expires_at":"yesterday"}"#, ["Authorization: Bearer \(narrow)"])
      #expect(refused.status == 422)
      let pointers = (refused.json["errors"] as? [[String: Any]])?.compactMap { $0["pointer"] as? String }
      #expect(pointers == ["/name", "/scopes/0", "/scopes/1", "/expires_at"])
      let same = try await server.post("/v1/api_keys", #"{"name":"copy"}"#, ["Authorization: Bearer \(narrow)"])
      #expect(same.json["scopes"] as? [String] == ["sales:read"])
    }
  }

  @Test func `a key does not revoke itself`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("tuna")
    let key = try await people.key(of: user.id)
    let spare = try await people.key(of: user.id)
    try await people.serve { (server) async throws in
      let data = try #require(try await server.get("/v1/api_keys", as: key).json["data"] as? [[String: Any]])
      var statuses: [Int] = []
      for id in data.compactMap({ $0["id"] as? String }) {
        let answer = try await server.send("DELETE /v1/api_keys/\(id) HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer \(key)\r\n\r\n")
        statuses.append(answer.status)
        if answer.status == 409 { #expect(answer.json["code"] as? String == "key-in-use") }
      }
      #expect(statuses.sorted() == [204, 409])
      #expect(try await server.get("/whoami", as: key).status == 200)
      #expect(try await server.status(of: "/whoami", as: spare, becomes: 401))
    }
  }

  @Test func `nobody revokes somebody else's key`() async throws {
    let people = try await People(in: .suite())
    let owner = try await people.add("owner")
    let other = try await people.add("other")
    let key = try await people.key(of: owner.id)
    let otherKey = try await people.key(of: other.id)
    try await people.serve { (server) async throws in
      let data = try await server.get("/v1/api_keys", as: key).json["data"] as? [[String: Any]]
      let id = try #require(data?.first?["id"] as? String)
      let hidden = try await server.send("DELETE /v1/api_keys/\(id) HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer \(otherKey)\r\n\r\n")
      #expect(hidden.status == 404)
      #expect(try await server.get("/whoami", as: key).status == 200)
    }
  }

  @Test func `a person signs in with e-mail and password and out again`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("selin")
    try await people.serve { (server) async throws in
      let signedIn = try await server.post("/v1/sessions", Self.credentials(user.email, People.password))
      #expect(signedIn.status == 201)
      let token = try #require(signedIn.json["token"] as? String)
      #expect(signedIn.json["user_id"] as? String == user.id.lowercase)
      let me = try await server.get("/v1/me", as: token)
      #expect(me.status == 200)
      #expect(me.json["email"] as? String == user.email)
      #expect(((me.json["access"] as? [String: Any])?["sales"] as? [String: Bool]) == ["read": true, "write": true])
      #expect(((me.json["access"] as? [String: Any])?["finance"] as? [String: Bool]) == ["read": false, "write": false])
      let out = try await server.send("DELETE /v1/sessions/current HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer \(token)\r\n\r\n")
      #expect(out.status == 204)
      #expect(try await server.status(of: "/v1/me", as: token, becomes: 401))
    }
  }

  @Test func `a wrong password and an unknown address are answered alike`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("ece")
    try await people.serve { (server) async throws in
      let wrong = try await server.post("/v1/sessions", Self.credentials(user.email, "wrong"))
      let unknown = try await server.post("/v1/sessions", Self.credentials("nobody@example.com", "wrong"))
      #expect(wrong.status == 401)
      #expect(unknown.status == 401)
      #expect(wrong.json["code"] as? String == "wrong-credentials")
      #expect(wrong.json["title"] as? String == unknown.json["title"] as? String)
    }
  }

  @Test func `after five wrong passwords an address has to wait, even with the right one`() async throws {
    let people = try await People(in: .clone())
    let user = try await people.add("bora")
    try await people.serve { (server) async throws in
      for _ in 0..<6 {
        let wrong = try await server.post("/v1/sessions", Self.credentials(user.email, "wrong"))
        #expect(wrong.status == 401)
      }
      let counted = try await people.database.admin.execute(
        ["SELECT failures, extract(epoch FROM blocked_until - last_at)::float8 AS seconds FROM crm.sign_in_attempt"],
        context: .init(readOnly: true), deadline: .after(.seconds(60)))
      #expect(try counted[0][0].decode(Int.self, "failures") == 6)
      #expect(try counted[0][0].decode(Double.self, "seconds") == 1)
      // The second is made longer, so that a slow machine cannot miss it.
      try await people.run("UPDATE crm.sign_in_attempt SET blocked_until = now() + interval '10 minutes'")
      let blocked = try await server.post("/v1/sessions", Self.credentials(user.email.uppercased(), People.password))
      #expect(blocked.status == 429)
      #expect((Int(blocked["retry-after"] ?? "") ?? 0) > 60)
      try await people.run("UPDATE crm.sign_in_attempt SET blocked_until = now()")
      let right = try await server.post("/v1/sessions", Self.credentials(user.email, People.password))
      #expect(right.status == 201)
      let forgotten = try await people.database.admin.execute(
        ["SELECT FROM crm.sign_in_attempt"], context: .init(readOnly: true), deadline: .after(.seconds(60)))
      #expect(forgotten[0].count == 0)
    }
  }

  @Test func `a session ends when its time is up`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("efe")
    try await people.serve({ $0.authentication.sessionFor = .seconds(15) }) { (server) async throws in
      let signedIn = try await server.post("/v1/sessions", Self.credentials(user.email, People.password))
      let token = try #require(signedIn.json["token"] as? String)
      #expect(try await server.get("/whoami", as: token).status == 200)
      #expect(try await server.status(of: "/whoami", as: token, becomes: 401))
    }
  }

  @Test func `rights that are taken away are gone at once, however long they would be kept`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("ali")
    let key = try await people.key(of: user.id)
    try await people.serve({ $0.authentication.cacheFor = .seconds(3600) }) { (server) async throws in
      #expect(try await server.get("/sales", as: key).status == 200)
      try await people.run("DELETE FROM crm.user_role WHERE user_id = \(user.id)")
      #expect(try await server.status(of: "/sales", as: key, becomes: 403))
    }
  }

  @Test func `a user who is deactivated is out at once, however long they would be kept`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("veli")
    let key = try await people.key(of: user.id)
    try await people.serve({ $0.authentication.cacheFor = .seconds(3600) }) { (server) async throws in
      #expect(try await server.get("/whoami", as: key).status == 200)
      try await people.run("UPDATE crm.app_user SET active = false WHERE id = \(user.id)")
      #expect(try await server.status(of: "/whoami", as: key, becomes: 401))
    }
  }

  @Test func `the production cost of a password verifies, and no other password does`() async throws {
    let passwords = Passwords()
    let hash = try await passwords.hash("çok gizli")
    #expect(hash.hasPrefix("scrypt$ln=17,r=8,p=1$"))
    #expect(try await passwords.verify("çok gizli", against: hash))
    #expect(try await !passwords.verify("cok gizli", against: hash))
    #expect(try await !passwords.verify("çok gizli", against: nil))
    #expect(try await !passwords.verify("çok gizli", against: "scrypt$broken"))
    try await passwords.shutdown()
  }

  private static func credentials(_ email: String, _ password: String) -> String {
    #"{"email":"\#(email)","password":"\#(password)"}"#
  }
}
