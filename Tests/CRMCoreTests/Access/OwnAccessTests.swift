import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("Nobody takes rights from themselves")
struct OwnAccessTests {
  @Test("the last administrator cannot be locked out over the API, others can be narrowed")
  func ownAccess() async throws {
    let api = try await TestAPI.start()
    func rows(_ path: String, _ query: KeyValuePairs<String, String>) async throws -> [JSON] { try await api.send(.get, path, query).rows() }
    let deniz = try #require(try await rows("/v1/users", ["email": "eq.deniz@carsi.example"]).first?["id"]?.string)
    let ayse = try #require(try await rows("/v1/users", ["email": "eq.ayse@carsi.example"]).first?["id"]?.string)
    let own = try #require(try await rows("/v1/user_roles", ["user_id": "eq.\(deniz)"]).first)
    let role = try #require(own["role_id"]?.string)
    let permission = try #require(try await rows("/v1/role_permissions", ["role_id": "eq.\(role)", "area": "eq.admin"]).first?["id"]?.string)
    let refused = [
      try await api.send(.delete, "/v1/user_roles/\(try #require(own["id"]?.string))"),
      try await api.send(.patch, "/v1/users/\(deniz)", json: ["active": false]),
      try await api.send(.delete, "/v1/role_permissions/\(permission)"),
      try await api.send(.patch, "/v1/role_permissions/\(permission)", json: ["write_scope": "none"]),
    ]
    for answer in refused {
      #expect(answer.status == 409, "\(answer.text)")
      #expect(answer.problem == "own-access")
    }
    #expect(try await api.send(.patch, "/v1/users/\(deniz)", json: ["name": "Deniz A."]).status == 200)
    #expect(try await api.send(.patch, "/v1/role_permissions/\(permission)", json: ["write_scope": "all"]).status == 200)
    let other = try #require(try await rows("/v1/user_roles", ["user_id": "eq.\(ayse)"]).first?["id"]?.string)
    #expect(try await api.send(.delete, "/v1/user_roles/\(other)").status == 204)
    #expect(try await api.send(.patch, "/v1/users/\(ayse)", json: ["active": false]).status == 200)
  }
}
