import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import Testing

@Suite("The program as a whole")
struct ApplicationTests {
  @Test("a customer that sales makes is read back by service, and does not exist for purchasing")
  func departments() async throws {
    let server = try await MuhatapTestKit.TestServer.suite()
    let made = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Işıl Güneş"])
    #expect(made.status == 201, "\(made.text)")
    let id = try #require(try made.json()["id"]?.string)
    let seen = try await server.send(.get, "/v1/customers/\(id)", as: "zeynep")
    #expect(seen.status == 200, "\(seen.text)")
    #expect(try seen.json()["name"] == "Işıl Güneş")
    let hidden = try await server.send(.get, "/v1/customers/\(id)", as: "emre")
    #expect([403, 404].contains(hidden.status), "\(hidden.text)")
    #expect(try await server.send(.get, "/v1/customers/\(id)", as: nil).status == 401)
  }

  @Test("a role above row-level security is refused")
  func unsafeRole() async throws {
    let database = try await TestDatabase.suite()
    for pool in [database.admin, database.migrator] {
      await #expect(throws: UnsafeRole.self) { try await UnsafeRole.refuse(in: pool) }
    }
    try await UnsafeRole.refuse(in: database.app)
  }
}
