import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("Purchase intervals and the reorder radar")
struct IntervalTests {
  @Test("the median gap says when the next purchase is expected; several on a day are one; too few gaps say nothing")
  func intervals() async throws {
    let server = try await TestServer.start()
    let customer = try await server.sell(
      "Düzenli",
      [("2025-01-01", "TRY", "1"), ("2025-01-01T18:00:00Z", "TRY", "1"), ("2025-01-11", "TRY", "1"), ("2025-01-23", "TRY", "1"), ("2025-03-01", "TRY", "1")])
    let path = "/v1/customers/\(customer)/purchase_intervals?as_of=2025-03-20T00:00:00Z"
    let answer = try await server.ask(path)
    // Gaps of 10, 12 and 37 days.
    let overall = try #require(answer["overall"])
    #expect(answer["n"] == 5 && overall["purchase_days"] == 4 && overall["median_gap_days"]?.figure == 12 && overall["expected_on"] == "2025-03-13")
    #expect(overall["overdue_days"] == 7 && isClose(overall["overdue_ratio"]?.figure, 19.0 / 12))
    let things = try #require(answer["data"]?.array)
    #expect(things.count == 1 && things[0]["item"] == "Terazi" && things[0]["expected_on"] == "2025-03-13")
    let strict = try await server.ask(path + "&minimum_gaps=4")
    #expect(strict["overall"]?["median_gap_days"] == .null && strict["overall"]?["purchase_days"] == 4 && strict["data"] == [])
    let before = try await server.ask("/v1/customers/\(customer)/purchase_intervals?as_of=2024-01-01T00:00:00Z")
    #expect(before["overall"] == .null && before["n"] == 0)
    let unknown = try await server.send(.get, "/v1/customers/00000000-0000-7000-8000-000000000000/purchase_intervals")
    #expect(unknown.status == 404)
    #expect(try await server.send(.get, "/v1/customers/\(customer)/purchase_intervals", as: "emre").status == 403)
  }

  @Test("the radar lists what is overdue or due soon, the most overdue first; what is long gone is lost, not due; and only what one may see")
  func radar() async throws {
    let server = try await TestServer.start()
    func every(_ days: Int, until last: Int) -> [(day: String, currency: String, amount: String)] {
      (0..<3).reversed().map { (String(format: "2025-03-%02d", last - $0 * days), "TRY", "1") }
    }
    _ = try await server.sell("Yakında", every(7, until: 25))
    _ = try await server.sell("Gecikmiş", every(5, until: 20))
    _ = try await server.sell("Uzak", every(13, until: 30))
    _ = try await server.sell("Kayıp", every(1, until: 10))
    let path = "/v1/analytics/reorder_radar?as_of=2025-03-31T00:00:00Z"
    func names(_ path: String, as person: String = "deniz") async throws -> [String] {
      try #require(try await server.ask(path, as: person)["data"]?.array).compactMap { $0["customer"]?.string }
    }
    #expect(try await names(path + "&days=3") == ["Gecikmiş", "Yakında"])
    #expect(try await names(path + "&days=0") == ["Gecikmiş"])
    #expect(try await names(path + "&days=30&lost_after=100") == ["Kayıp", "Gecikmiş", "Yakında", "Uzak"])
    let first = try #require(try await server.ask(path + "&limit=1")["data"]?.array?.first)
    #expect(
      first["customer"] == "Gecikmiş" && first["overdue_days"] == 6 && isClose(first["overdue_ratio"]?.figure, 2.2) && first["expected_on"] == "2025-03-25")
    #expect(try await server.ask(path + "&limit=1")["n"] == 3)
    // One of them becomes Mehmet's, and is the only one in his list.
    let mehmet = try #require(try await server.ask("/v1/users?email=eq.mehmet@carsi.example")["data"]?.array?.first?["id"])
    let due = try #require(try await server.ask(path)["data"]?.array?.first?["customer_id"]?.string)
    let given = try await server.send(.patch, "/v1/customers/\(due)", json: ["owner_id": mehmet], headers: ["content-type": "application/merge-patch+json"])
    try #require(given.status == 200, "\(given.text)")
    #expect(try await names(path + "&owner_id=\(mehmet.string ?? "")") == ["Gecikmiş"])
    #expect(try await server.send(.get, path, as: "emre").status == 403)
  }

  @Test("in the year of shopping everything listed is due, and medians are those of the days")
  func shoppingYear() async throws {
    let server = try await ShoppingYear.suite()
    let answer = try await server.ask("/v1/analytics/reorder_radar?as_of=\(ShoppingYear.asOf)&level=2&days=7&limit=1000", as: "ayse")
    let rows = try #require(answer["data"]?.array)
    #expect(rows.count > 100 && rows.allSatisfy { ($0["overdue_days"]?.whole ?? -99) >= -7 && ($0["overdue_ratio"]?.figure ?? 99) <= 3 })
    #expect(zip(rows, rows.dropFirst()).allSatisfy { ($0["overdue_ratio"]?.figure ?? 0) >= ($1["overdue_ratio"]?.figure ?? 0) })
    // Purchasing's neighbours see nothing of the orders of sales that they are not shown.
    #expect(try await server.ask("/v1/analytics/reorder_radar?as_of=\(ShoppingYear.asOf)&level=2", as: "gul")["n"] == 0)
  }
}
