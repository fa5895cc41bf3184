import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Descriptive analyses in BI")
struct DescriptiveBITests {
  @Test("BI views show the last run that was stored, in the words of both languages")
  func views() async throws {
    let server = try await ShoppingYear.server()
    let door = Database(pool: server.database.worker)
    func count(_ sql: SQL) async throws -> Int { try await door.read(as: .system("test"), deadline: .after(.seconds(120)), sql)[0].decode(Int.self, at: 0) }
    #expect(try await count("SELECT count(*) FROM bi.customer_rfm") == 0)
    for (asOf, scheme) in [("2017-06-01T00:00:00Z", "cut"), (ShoppingYear.asOf, "ntile")] {
      _ = try await server.compute("/v1/analytics/rfm/runs", ["as_of": .string(asOf), "scheme": .string(scheme)])
    }
    // An older instant computed later is not the last run.
    _ = try await server.compute("/v1/analytics/rfm/runs", ["as_of": "2017-03-01T00:00:00Z"])
    #expect(try await count("SELECT count(*) FROM bi.customer_rfm WHERE method = 'rfm_ntile' AND currency = 'USD' AND group_tr <> ''") == 48)
    #expect(try await count("SELECT (sum(revenue) * 100)::bigint FROM bi.customer_rfm") == 8_286_448)
    #expect(
      try await count(
        "SELECT count(*) FROM analytics.rfm_now AS n JOIN analytics.rfm(\(ShoppingYear.asOf)::timestamptz, 'ntile') AS r ON r.customer_id = n.customer_id AND r.cell = n.cell"
      ) == 48)
    _ = try await server.compute("/v1/analytics/association_rules/runs", ["as_of": .string(ShoppingYear.asOf), "level": 2, "min_support": "0.05"])
    #expect(try await count("SELECT count(*) FROM bi.association_rules WHERE antecedent = 'CHEESE' AND consequent = 'EGGS' AND both_count = 147") == 1)
  }

  @Test("the rows of the latest twelve runs are kept, older ones go")
  func retention() async throws {
    let server = try await TestServer.start()
    _ = try await server.sell("Tek", [("2025-01-10", "TRY", "5")])
    for day in 1...14 { _ = try await server.compute("/v1/analytics/rfm/runs", ["as_of": .string(String(format: "2025-02-%02dT00:00:00Z", day))]) }
    let kept = try await Database(pool: server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)), "SELECT count(DISTINCT run_id) AS runs FROM crm.customer_rfm")
    #expect(try kept[0].decode(Int.self, "runs") == 12)
  }
}
