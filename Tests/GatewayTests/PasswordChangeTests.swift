import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// Changing one's own password.
@Suite struct PasswordChangeTests {
  private static let new = "yeni bir parola"

  private func signIn(_ email: String, _ password: String, _ server: BareServer) async throws -> RawConnection.Answer {
    let body = JSON.object(["email": .string(email), "password": .string(password)])
    return try await server.post("/v1/sessions", String(decoding: try body.encoded(), as: UTF8.self), ["Content-Type: application/json"])
  }

  private func change(_ old: String, _ new: String, _ token: String, _ server: BareServer) async throws -> RawConnection.Answer {
    let body = JSON.object(["old_password": .string(old), "new_password": .string(new)])
    return try await server.post(
      "/v1/me/password", String(decoding: try body.encoded(), as: UTF8.self), ["Content-Type: application/json", "Authorization: Bearer \(token)"])
  }

  @Test func `a new password counts from now on, and other sessions end`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("ece")
    let key = try await people.key(of: user.id)
    try await people.serve { (server) async throws in
      let mine = try #require(try await signIn(user.email, People.password, server).json["token"] as? String)
      let other = try #require(try await signIn(user.email, People.password, server).json["token"] as? String)
      #expect(try await server.get("/whoami", as: other).status == 200)
      let changed = try await change(People.password, Self.new, mine, server)
      #expect(changed.status == 204, "\(changed.text)")
      #expect(try await server.get("/whoami", as: mine).status == 200)
      #expect(try await server.get("/whoami", as: key).status == 200)
      let end = ContinuousClock.now + .seconds(120)
      while try await server.get("/whoami", as: other).status != 401, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
      #expect(try await server.get("/whoami", as: other).status == 401)
      #expect(try await signIn(user.email, People.password, server).status == 401)
      #expect(try await signIn(user.email, Self.new, server).status == 201)
    }
  }

  @Test func `a wrong old password changes nothing, and guessing is slowed down`() async throws {
    let people = try await People(in: .clone())
    let user = try await people.add("naz")
    let key = try await people.key(of: user.id)
    try await people.serve { (server) async throws in
      for _ in 0..<5 {
        let answer = try await change("a wrong guess", Self.new, key, server)
        #expect(answer.status == 403)
        #expect(answer.json["code"] as? String == "wrong-password")
      }
      _ = try await change("a wrong guess", Self.new, key, server)
      // The wait after the sixth is a second, which a busy machine may take to ask again.
      try await people.run("UPDATE crm.sign_in_attempt SET blocked_until = now() + interval '1 hour' WHERE blocked_until > last_at")
      let blocked = try await change(People.password, Self.new, key, server)
      #expect(blocked.status == 429)
      #expect(blocked["retry-after"] != nil)
      // The address has to wait, whichever way it is tried.
      #expect(try await signIn(user.email, People.password, server).status == 429)
    }
  }

  @Test func `a password that is too short, or missing, is refused with its field`() async throws {
    let people = try await People(in: .suite())
    let key = try await people.key(of: try await people.add("can").id)
    try await people.serve { (server) async throws in
      let short = try await change(People.password, "kısa", key, server)
      #expect(short.status == 422)
      #expect(short.text.contains("/new_password") && !short.text.contains("/old_password"))
      let empty = try await server.post("/v1/me/password", #"{"x": 1}"#, ["Content-Type: application/json", "Authorization: Bearer \(key)"])
      #expect(empty.status == 422)
      for pointer in ["\"/x\"", "\"/old_password\"", "\"/new_password\""] { #expect(empty.text.contains(pointer)) }
      #expect(try await server.post("/v1/me/password", "{}", ["Content-Type: application/json"]).status == 401)
    }
  }

  @Test func `who signs in without a password has none to change`() async throws {
    let people = try await People(in: .suite())
    let user = try await people.add("robot")
    try await people.run("UPDATE crm.app_user SET password_hash = NULL WHERE id = \(user.id)")
    let key = try await people.key(of: user.id)
    try await people.serve { (server) async throws in
      let answer = try await change(People.password, Self.new, key, server)
      #expect(answer.status == 409)
      #expect(answer.json["code"] as? String == "no-password")
    }
  }
}
