import AnalyticalCRM
import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("Charts and the metrics of selling")
struct ChartTests {
  /// Opportunities of a customer: amount and what became of each.
  private func sell(_ server: TestServer, _ opportunities: [(amount: String, outcome: String)]) async throws {
    let customer = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Huni & Boru <Ltd>"])
    let id = try #require(try customer.json()["id"], "\(customer.text)")
    let reasons = try await server.send(.get, "/v1/lost_reasons?limit=1", as: "ayse")
    let reason = try #require(try reasons.json()["data"]?.array?.first?["id"], "\(reasons.text)")
    for (amount, outcome) in opportunities {
      let made = try await server.send(
        .post, "/v1/opportunities", as: "ayse", json: ["customer_id": id, "name": "Fırsat", "amount": .string(amount), "currency": "TRY"])
      let opportunity = try #require(try made.json()["id"]?.string, "\(made.text)")
      if outcome == "open" { continue }
      let closed = try await server.send(
        .post, "/v1/opportunities/\(opportunity)/\(outcome)", as: "ayse", json: outcome == "lose" ? ["lost_reason_id": reason] : [:])
      try #require(closed.status == 200, "\(closed.text)")
    }
  }

  @Test("win rate, average deal and velocity follow from what was won and lost, and the pictures show the same figures")
  func selling() async throws {
    let server = try await TestServer.start()
    try await sell(server, [("100", "win"), ("300.50", "win"), ("50", "lose"), ("7", "lose"), ("1234.50", "open"), ("0.25", "open")])
    func value(_ metric: String) async throws -> Decimal? {
      let answer = try await server.send(.get, "/v1/metrics/\(metric)?from=2000-01-01&to=2100-01-01", as: "ayse")
      try #require(answer.status == 200, "\(answer.text)")
      return try answer.json()["data"]?.array?.first?["value"]?.string.flatMap { Decimal(string: $0) }
    }
    #expect(try await value("win_rate") == Decimal(string: "0.5"))
    #expect(try await value("average_deal") == Decimal(string: "200.25"))
    #expect(try await value("open_pipeline") == Decimal(string: "1234.75"))
    // All were won on the day they were opened, which counts as one.
    #expect(try await value("sales_velocity") == Decimal(string: "400.5"))
    #expect(try #require(try await value("cycle_days")) < 1)

    let pipeline = try await server.send(.get, "/v1/charts/pipeline.svg", as: "ayse", headers: ["accept-language": "tr"])
    #expect(pipeline.status == 200 && pipeline.headers["content-type"] == "image/svg+xml; charset=utf-8", "\(pipeline.text)")
    #expect(pipeline.text.contains("role=\"img\"") && pipeline.text.contains("<title id=\"title\">Açık fırsatlar</title>"))
    #expect(pipeline.text.contains("1.234,75 TRY (2)"), "\(pipeline.text)")
    let funnel = try await server.send(.get, "/v1/charts/funnel.svg", as: "ayse")
    #expect(funnel.text.contains(": 6 (%100)"), "\(funnel.text)")
    #expect(try await server.send(.get, "/v1/charts/funnel.svg", as: "emre").status == 403)
    #expect(try await server.send(.get, "/v1/charts/pipeline.svg?pipeline=x", as: "ayse").problem == "bad-parameter")
  }

  @Test("whatever a stage is called, the picture is well-formed XML with its text alternative")
  func escaping() {
    let chart = BarChart(
      title: "A < B & \"C\"",
      bars: [.init(label: "çok uzun bir aşama adı ki sığmaz & taşar\u{1}", value: 3, caption: "3"), .init(label: "0", value: 0, caption: "0")],
      empty: Phrase("none", tr: "yok"), language: .turkish, isFunnel: true)
    #expect(chart.svg().contains("<title id=\"title\">A &lt; B &amp; &quot;C&quot;</title>"))
    #expect(chart.svg().contains("<desc id=\"description\">çok uzun bir aşama adı ki sığmaz &amp; taşar: 3; 0: 0</desc>"))
    let empty = BarChart(title: "t", bars: [], empty: Phrase("none", tr: "yok"), language: .turkish)
    #expect(empty.svg().contains("<desc id=\"description\">yok</desc>"))
  }
}
