import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@testable import AnalyticalCRM

extension SimulatedCompanyTests {
  @Suite("Models of lifetime where data turn bad")
  struct LifetimeEdgeTests {
    /// A company of its own, whose orders a test may change.
    private func company() async throws -> TestServer {
      let database = try await TestDatabase.clone()
      try await DemoCompany.found(in: database.app)
      let plan = CompanyPlan(seed: 17, customers: 1_500, months: 18, ordersPerCustomer: 5, linesPerOrder: 0)
      _ = try await CompanyWriter(plan: plan, database: Database(pool: database.migrator)).write(department: nil) { _ in }
      return try await TestServer.start(on: database)
    }

    @Test("customers who buy twice as often raise the alarm of drift; purchases worth nothing have no value, and none at all is refused")
    func drift() async throws {
      let server = try await company()
      // At first half of the orders are not known.
      _ = try await server.look("UPDATE crm.sales_order SET status = 'cancelled' WHERE hashtext(id::text) % 2 = 0")
      let before = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-02-01T00:00:00Z"])
      try #require(before["status"] == "done", "\(before)")
      #expect(before["result"]?["drift"] == .null)
      _ = try await server.look("UPDATE crm.sales_order SET status = 'completed'")
      let after = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-07-01T00:00:00Z"])
      try #require(after["status"] == "done", "\(after)")
      #expect(after["result"]?["drift"]?["alarm"] == true, "\(after["result"]?["drift"] ?? .null)")
      let rows = try #require(try await server.ask("/v1/analytics/lifetime/drift")["data"]?.array)
      #expect(rows.map { $0["alarm"] } == [true, .null])

      _ = try await server.look(
        "UPDATE crm.sales_order SET amount = -amount WHERE customer_id IN (SELECT c.id FROM crm.customer c WHERE c.profile ->> 'region' = 'ege')")
      let mixed = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-02-01T00:00:00Z"])
      let without = try #require(mixed["result"]?["without_value"]?.double, "\(mixed)")
      #expect(without > 0 && without < 500)
      let values = try await server.look(
        """
        SELECT count(*) FILTER (WHERE purchase_value <= 0) AS worthless, count(*) FILTER (WHERE clv IS NULL) AS unknown FROM crm.customer_lifetime
         WHERE run_id = \(UUID(uuidString: mixed["id"]?.string ?? ""))
        """)[0]
      #expect(try values.decode(Int.self, "worthless") > 0 && values.decode(Int.self, "unknown") == Int(without))

      _ = try await server.look("UPDATE crm.sales_order SET amount = -abs(amount)")
      let worthless = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-02-01T00:00:00Z"])
      #expect(worthless["problem"]?["code"] == "negative-amounts", "\(worthless)")
    }

    @Test("in a year of groceries nobody stops, and the model says so instead of giving nonsense")
    func groceries() async throws {
      let server = try await ShoppingYear.server()
      let run = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": .string(ShoppingYear.asOf)])
      #expect(run["status"] == "failed" && run["problem"]?["code"] == "did-not-converge", "\(run)")
      #expect(run["problem"]?["en"]?.string?.contains("bg_nbd") == true && run["problem"]?["tr"]?.string?.contains("bg_nbd") == true)
      #expect(try await server.look("SELECT count(*) FROM crm.customer_lifetime")[0].decode(Int.self, at: 0) == 0)
      let curve = try await server.compute("/v1/analytics/survival/runs", ["subject": "customers", "as_of": .string(ShoppingYear.asOf)])
      #expect(curve["status"] == "done" && curve["population"] == 48, "\(curve)")
    }

    @Test("customers who are merged keep one lifetime")
    func merged() async throws {
      let server = try await company()
      let run = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-07-01T00:00:00Z"])
      try #require(run["status"] == "done", "\(run)")
      let two = try await server.look("SELECT customer_id::text AS id FROM analytics.lifetime_now ORDER BY frequency DESC, customer_id LIMIT 2")
      let (kept, gone) = (try two[0].decode(String.self, "id"), try two[1].decode(String.self, "id"))
      let merge = try await server.send(.post, "/v1/customers/\(kept)/merge", json: ["merged_id": .string(gone)], checked: false)
      try #require((200..<300).contains(merge.status), "\(merge.text)")
      #expect(try await server.look("SELECT count(*) FROM crm.customer_lifetime WHERE customer_id = \(UUID(uuidString: kept))")[0].decode(Int.self, at: 0) == 1)
      let next = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-07-01T00:00:00Z"])
      #expect(next["population"]?.double == (run["population"]?.double ?? 0) - 1, "\(next)")
      #expect(try await server.send(.get, "/v1/customers/\(gone)/lifetime", checked: false).status != 200)
    }
  }
}
