import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("Deciles and concentration")
struct ConcentrationTests {
  private static let asOf = "as_of=\(ShoppingYear.asOf)"

  @Test("the tenths of customers have the sizes and sums computed independently, to the cent")
  func deciles() async throws {
    let server = try await ShoppingYear.suite()
    let expected = try #require(try ShoppingYear.expected()["deciles"]?.object)
    let answer = try await server.ask("/v1/analytics/deciles?\(Self.asOf)")
    let rows = try #require(answer["data"]?.array)
    #expect(answer["n"] == 48 && rows.count == 10 && answer["method"] == "revenue_deciles")
    for row in rows {
      let wanted = try #require(expected["\(row["decile"]?.whole ?? 0)"])
      #expect(row["customers"] == wanted["customers"] && row["revenue"]?.cents == wanted["sales_cents"]?.whole, "\(row)")
    }
    #expect(rows.map { $0["customers"]?.whole } == [5, 5, 5, 5, 5, 5, 5, 5, 4, 4])
    #expect(isClose(rows.compactMap { $0["revenue_share"]?.figure }.reduce(0, +), 1) && rows.last?["cumulative_share"]?.figure == 1)
  }

  @Test("the shares of the top and the Gini coefficient are the ones computed independently; the Lorenz curve rises from nothing to all below equality")
  func concentration() async throws {
    let server = try await ShoppingYear.suite()
    let expected = try #require(try ShoppingYear.expected()["concentration"])
    let answer = try await server.ask("/v1/analytics/concentration?\(Self.asOf)")
    #expect(isClose(answer["gini"]?.figure, expected["gini"]?.figure))
    let shares = try #require(expected["top_share"]?.object)
    let top = try #require(answer["top"]?.array)
    #expect(top.count == 5 && top.compactMap { $0["customers"]?.whole } == [1, 3, 5, 10, 24])
    for row in top { #expect(isClose(row["revenue_share"]?.figure, shares["\(row["customer_share"]?.figure ?? 0)"]?.figure), "\(row)") }
    let points = try #require(answer["data"]?.array).map { ($0["customer_share"]?.figure ?? .nan, $0["revenue_share"]?.figure ?? .nan) }
    #expect(points.count == 49 && points[0] == (0, 0) && points[48] == (1, 1))
    #expect(zip(points, points.dropFirst()).allSatisfy { $0.0 < $1.0 && $0.1 <= $1.1 } && points.allSatisfy { $0.1 <= $0.0 })
    // The area below the curve is (1 − Gini) / 2, up to the correction for few customers.
    let area = zip(points, points.dropFirst()).map { ($1.0 - $0.0) * ($0.1 + $1.1) / 2 }.reduce(0, +)
    #expect(isClose(1 - 2 * area, expected["gini"]?.figure))
    #expect(answer["excluded"] == 0 && answer["note"] == .null)
  }

  @Test("equal customers have a Gini of zero; negative revenue is left out and said so; without revenue there are no shares")
  func edges() async throws {
    let server = try await TestServer.start()
    for number in 1...3 { _ = try await server.sell("Eşit \(number)", [("2025-01-1\(number)", "TRY", "20.00")]) }
    let path = "/v1/analytics/concentration?as_of=2025-02-01T00:00:00Z"
    #expect(isClose(try await server.ask(path)["gini"]?.figure, 0))
    _ = try await server.sell("İade", [("2025-01-15", "TRY", "-9.00")])
    let answer = try await server.ask(path, language: "tr")
    #expect(
      answer["n"] == 3 && answer["excluded"] == 1 && answer["note"] == "Cirosu eksi olan müşteriler hesaba katılmadı." && isClose(answer["gini"]?.figure, 0),
      "\(answer)")
    let tenths = try await server.ask("/v1/analytics/deciles?as_of=2025-02-01T00:00:00Z")
    #expect(tenths["data"]?.array?.last?["revenue"] == "-9.00" && tenths["n"] == 4, "\(tenths)")
    let broke = try await TestServer.start()
    _ = try await broke.sell("Sıfır", [("2025-01-15", "TRY", "0")])
    let none = try await broke.ask(path)
    #expect(none["gini"] == .null && none["n"] == 1 && none["top"]?.array?.first?["revenue_share"] == .null, "\(none)")
    #expect(try await broke.send(.get, "/v1/charts/lorenz.svg?as_of=2025-02-01T00:00:00Z").status == 200)
  }

  @Test("the Lorenz curve is a picture that says its figures in words")
  func picture() async throws {
    let server = try await ShoppingYear.suite()
    let answer = try await server.send(.get, "/v1/charts/lorenz.svg?\(Self.asOf)", headers: ["accept-language": "tr"])
    #expect(answer.status == 200 && answer.headers["content-type"] == "image/svg+xml; charset=utf-8")
    #expect(answer.text.contains("<title id=\"title\">Cironun yoğunlaşması</title>") && answer.text.contains("Gini 0,571") && answer.text.contains("<polyline"))
  }
}
