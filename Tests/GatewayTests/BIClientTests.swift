import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import Testing

@Suite("A BI tool")
struct BIClientTests {
  @Test("reads its department's orders through psycopg and SQLAlchemy, and nothing else", arguments: [("sales", 2), ("purchasing", 1)])
  func reads(_ department: String, _ orders: Int) async throws {
    let server = try await TestServer.suite()
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    try await Self.shop.make(server)
    let login = "bi_\(department)"
    _ = try await Database(pool: server.database.migrator).makeBILogin(BILogin(login, department: department))
    let checked = try await Command(python, ["Tests/clients/bi.py", server.database.url(as: login), "\(orders)"]).output()
    #expect(checked.exitCode == 0, "\(checked.standardOutput)\(checked.standardError)")
  }

  private static let shop = Shop()

  /// A customer with an order that the whole company sees and one that only sales sees.
  private actor Shop {
    private var making: Task<Void, any Error>?

    func make(_ server: TestServer) async throws {
      let task =
        making
        ?? Task {
          let customer = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Ece Ak"])
          let id = try #require(try customer.json()["id"], "\(customer.text)")
          for visibility: JSON in ["company", "department"] {
            let order = try await server.send(
              .post, "/v1/orders", as: "ayse", json: ["customer_id": id, "visibility": visibility, "channel": "store"])
            try #require(order.status == 201, "\(order.text)")
          }
        }
      making = task
      try await task.value
    }
  }
}
