import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("Cohorts")
struct CohortTests {
  @Test("every cell is the one computed independently; months that have not begun are null, the one under way is not complete")
  func shoppingYear() async throws {
    let server = try await ShoppingYear.suite()
    let expected = try #require(try ShoppingYear.expected()["cohort_retention_customers"]?.object)
    let answer = try await server.ask("/v1/analytics/cohorts?as_of=\(ShoppingYear.asOf)")
    let rows = try #require(answer["data"]?.array)
    #expect(answer["n"] == 48 && Set(rows.compactMap { $0["cohort"]?.string }) == Set(expected.keys))
    for row in rows {
      let wanted = try #require(expected[row["cohort"]?.string ?? ""]?.object)
      let cells = try #require(row["cells"]?.array)
      #expect(cells.count == 13 && row["customers"] == wanted["0"])
      for (month, cell) in cells.enumerated() {
        #expect(cell["month"]?.whole == month && cell["customers"] == (wanted["\(month)"] ?? .null), "\(row["cohort"] ?? .null) + \(month): \(cell)")
        #expect(cell["complete"] == .bool(month < wanted.count - 1))
        if wanted["\(month)"] == nil { #expect(cell["revenue"] == .null && cell["customer_share"] == .null && cell["revenue_share"] == .null) }
      }
      #expect(cells[0]["customer_share"]?.figure == 1 && cells[0]["revenue_share"]?.figure == 1)
    }
    // Revenue of all cells is all revenue.
    let cents = rows.flatMap { $0["cells"]?.array ?? [] }.compactMap { $0["revenue"]?.cents }.reduce(0, +)
    #expect(cents == 8_286_448 && rows.compactMap { $0["revenue"]?.cents }.reduce(0, +) == cents)
  }

  @Test("a month is one of the time zone, and a month that ends at as_of is complete")
  func timeZone() async throws {
    let server = try await TestServer.start()
    _ = try await server.sell("Ay sonu", [("2025-01-31T22:30:00Z", "TRY", "10"), ("2025-02-20", "TRY", "5")])
    let utc = try await server.ask("/v1/analytics/cohorts?as_of=2025-03-01T00:00:00Z")
    let cells = try #require(utc["data"]?.array?.first?["cells"]?.array)
    #expect(utc["data"]?.array?.first?["cohort"] == "2025-01" && cells.map { $0["customers"]?.whole } == [1, 1] && cells.allSatisfy { $0["complete"] == true })
    #expect(cells[1]["revenue_share"]?.figure == 0.5)
    let istanbul = try await server.ask("/v1/analytics/cohorts?as_of=2025-03-01T00:00:00Z&time_zone=Europe/Istanbul")
    let local = try #require(istanbul["data"]?.array?.first)
    #expect(local["cohort"] == "2025-02" && local["cells"]?.array?.map { $0["complete"] } == [true, false], "\(local)")
    #expect(local["cells"]?.array?.first?["revenue"]?.cents == 1_500)
  }

  @Test("the heat map is a picture that says its figures in words, in both languages")
  func picture() async throws {
    let server = try await ShoppingYear.suite()
    let answer = try await server.send(.get, "/v1/charts/cohorts.svg?as_of=\(ShoppingYear.asOf)")
    #expect(answer.status == 200 && answer.text.contains("2017-01 (39): 100%, 87%, 85%") && answer.text.contains("3%*"), "\(answer.text.prefix(900))")
    let turkish = try await server.send(.get, "/v1/charts/cohorts.svg?as_of=\(ShoppingYear.asOf)", headers: ["accept-language": "tr"])
    #expect(turkish.text.contains("2017-01 (39): %100, %87") && turkish.text.contains("* süren ay"))
  }
}
