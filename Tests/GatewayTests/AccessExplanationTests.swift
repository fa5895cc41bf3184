import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// `GET /v1/access/explain` says what row-level security does.
@Suite struct AccessExplanationTests {
  private func rules(_ answer: TestServer.Answer, _ verb: String) throws -> Set<String> {
    Set((try answer.json()[verb]?.array ?? []).compactMap { $0["rule"]?.string })
  }

  @Test func `the rules named are those that open the record to each person`() async throws {
    let server = try await TestServer.suite()
    let made = try await server.send(
      .post, "/v1/customers", as: "mehmet", json: ["kind": "person", "name": "Işıl Güneş", "visibility": "department"])
    #expect(made.status == 201, "\(made.text)")
    let id = try #require(try made.json()["id"]?.string)
    let path = "/v1/access/explain?resource=customers&id=\(id)"

    let owner = try await server.send(.get, path, as: "mehmet")
    #expect(owner.status == 200, "\(owner.text)")
    #expect(try rules(owner, "read") == ["owner", "department"])
    #expect(try rules(owner, "write") == ["owner"])
    #expect(try owner.json()["may_write"] == true)

    let manager = try await server.send(.get, path, as: "ayse", headers: ["accept-language": "tr"])
    #expect(try rules(manager, "read") == ["department"])
    #expect(try rules(manager, "write") == ["department"])
    #expect(try manager.json()["read"]?.array?.first?["explanation"] == "Kayıt departmanınıza ya da altındaki bir departmana ait.")
    #expect(try manager.json()["read"]?.array?.first?["role"] == "sales_manager")

    let accountant = try await server.send(.get, path, as: "fatma")
    #expect(try rules(accountant, "read") == ["all"])
    #expect(try rules(accountant, "write").isEmpty)
    #expect(try accountant.json()["may_write"] == false)

    // Hidden and absent are answered alike.
    let hidden = try await server.send(.get, path, as: "elif")
    let absent = try await server.send(.get, "/v1/access/explain?resource=customers&id=\(UUID())", as: "elif")
    #expect(hidden.status == 404)
    #expect(absent.status == 404)
    #expect(hidden.problem == absent.problem)
  }

  @Test func `a share rule is named with both departments`() async throws {
    let server = try await TestServer.suite()
    let made = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Ege Deniz", "visibility": "department"])
    let id = try #require(try made.json()["id"]?.string)
    let ids = try await server.database.admin.execute(
      [
        """
        INSERT INTO crm.share_rule (from_department_id, to_department_id, area, access)
        SELECT s.id, p.id, 'customers', 'read' FROM crm.department AS s, crm.department AS p WHERE s.code = 'sales' AND p.code = 'service' RETURNING id
        """,
        """
        UPDATE crm.role_permission SET read_scope = 'shared' WHERE area = 'customers' AND role_id = (SELECT id FROM crm.role WHERE code = 'service_agent')
        """,
      ], context: .init(readOnly: false), deadline: .after(.seconds(60)))
    #expect(ids[0].count == 1)
    let path = "/v1/access/explain?resource=customers&id=\(id)"
    var answer = try await server.send(.get, path, as: "zeynep")
    let start = ContinuousClock.now
    while answer.status != 200, ContinuousClock.now - start < .seconds(180) {
      try await Task.sleep(for: .milliseconds(100))
      answer = try await server.send(.get, path, as: "zeynep")
    }
    #expect(answer.status == 200, "\(answer.text)")
    #expect(try rules(answer, "read") == ["share_rule"])
    let rule = try answer.json()["read"]?.array?.first
    #expect(rule?["from_department"] == "Satış")
    #expect(rule?["to_department"] == "Müşteri Hizmetleri")
  }

  @Test func `records without a department name the rule of their table`() async throws {
    let server = try await TestServer.suite()
    let departments = try await server.send(.get, "/v1/departments?limit=1", as: "deniz")
    let id = try #require(try departments.json()["data"]?.array?.first?["id"]?.string)
    let administrator = try await server.send(.get, "/v1/access/explain?resource=departments&id=\(id)", as: "deniz")
    #expect(try rules(administrator, "read") == ["common"])
    #expect(try administrator.json()["may_write"] == true)
    let seller = try await server.send(.get, "/v1/access/explain?resource=departments&id=\(id)", as: "ayse")
    #expect(try rules(seller, "read") == ["common"])
    #expect(try rules(seller, "write").isEmpty)
  }

  @Test func `an unknown resource or id is a clear refusal`() async throws {
    let server = try await TestServer.suite()
    #expect(try await server.send(.get, "/v1/access/explain?resource=customer&id=\(UUID())").problem == "unknown-resource")
    #expect(try await server.send(.get, "/v1/access/explain?resource=customers&id=7").problem == "malformed-id")
    #expect(try await server.send(.get, "/v1/access/explain?resource=customers&id=7", as: nil).status == 401)
  }
}
