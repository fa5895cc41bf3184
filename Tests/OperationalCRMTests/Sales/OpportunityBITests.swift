import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Opportunities and contracts for BI")
struct OpportunityBITests {
  private static let views: [SQL] = [
    "SELECT count(*) FROM bi.pipeline_stages", "SELECT count(*) FROM bi.opportunities", "SELECT count(*) FROM bi.opportunity_lines",
    "SELECT count(*) FROM bi.stage_durations", "SELECT count(*) FROM bi.stage_win_rates", "SELECT count(*) FROM bi.pipeline_snapshots",
    "SELECT count(*) FROM bi.sales_quotas", "SELECT count(*) FROM bi.contracts", "SELECT count(*) FROM bi.recurring_revenue",
  ]

  @Test("a BI login may read every view, and without an entry of its own finds nobody's opportunities")
  func readable() async throws {
    let sales = try await SalesFixture.suite()
    _ = try await sales.line(sales.opportunity([:]), 1, quantity: "1", price: "5")
    let results = try await sales.server.database.admin.execute(
      ["SET LOCAL ROLE bi_reader"] + Self.views, context: .init(readOnly: false), deadline: .after(.seconds(60)))
    #expect(results.count == Self.views.count + 1)
    for index in [2, 3, 4] { #expect(try results[index][0].decode(Int.self, at: 0) == 0) }
  }

  @Test("the views say what the API says")
  func agree() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    let pipeline = try await sales.pipeline("BI", stages: [("A", 20), ("B", 60)])
    let reason = try await sales.get("/v1/lost_reasons?code=eq.price")["data"]?.array?.first?.id ?? ""
    for (amount, end) in [("100", "win"), ("300", "win"), ("50", "lose"), ("70", ""), ("9.99", "")] {
      let one = try await sales.opportunity(["pipeline_id": .string(pipeline.id), "amount": .string(amount)])
      _ = try await sales.done(.post, "/v1/opportunities/\(one.id)/move", json: ["stage_id": .string(pipeline.stages[1])])
      if !end.isEmpty {
        _ = try await sales.done(.post, "/v1/opportunities/\(one.id)/\(end)", json: end == "lose" ? ["lost_reason_id": .string(reason)] : nil)
      }
    }
    try await sales.work("pipeline.snapshot", payload: ["date": "2026-01-01"])

    func texts(_ statement: SQL) async throws -> [String] { try await sales.behind(statement).rows.map { try $0.decode(String.self, at: 0) } }
    let rates = try await sales.get("/v1/pipelines/\(pipeline.id)/win_rates")["data"]?.array ?? []
    #expect(
      try await texts("SELECT historical_probability::text FROM bi.stage_win_rates WHERE pipeline_id = \(pipeline.id)::uuid ORDER BY position")
        == rates.compactMap { $0["historical_probability"]?.string })
    let snapshot = try await sales.get("/v1/pipelines/\(pipeline.id)/snapshot?date=2026-01-01")["data"]?.array ?? []
    #expect(
      try await texts("SELECT sum(weighted_amount)::text FROM bi.pipeline_snapshots WHERE snapshot_on = '2026-01-01' AND pipeline_id = \(pipeline.id)::uuid")
        == snapshot.compactMap { $0["weighted_amount"]?.string })
    #expect(try await texts("SELECT sum(weighted_amount)::text FROM bi.opportunities WHERE status = 'open'") == ["47.99"])
    #expect(try await texts("SELECT count(*)::text FROM bi.stage_durations WHERE stage = 'B' AND lasting") == ["5"])
    // Two of three won; 400 in two deals.
    #expect(
      try await texts("SELECT concat(sum(numerator), '/', sum(denominator)) FROM bi.measurement WHERE metric = 'win_rate'") == ["2/3"])
    #expect(
      try await texts(
        "SELECT concat(sum(numerator), '/', sum(denominator), ' ', currency) FROM bi.measurement WHERE metric = 'average_deal' GROUP BY currency")
        == ["400.00/2 TRY"])
    #expect(try await texts("SELECT count(*)::text FROM bi.measurement WHERE metric IN ('cycle_days', 'sales_velocity')") == ["4"])
  }

  @Test("recurring revenue is counted month by month, up to the month a contract ends in")
  func recurring() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    let contract = try await sales.done(
      .post, "/v1/contracts", json: ["customer_id": .string(sales.customer), "name": "Kira", "starts_on": "2026-02-15"])
    _ = try await sales.done(
      .post, "/v1/contract_lines",
      json: [
        "customer_id": .string(sales.customer), "contract_id": .string(contract.id), "line_number": 1, "product_id": .string(sales.product),
        "unit_price": "1200",
        "period": "year",
      ])
    let months: SQL = "SELECT coalesce(string_agg(concat(to_char(month, 'MM'), ':', monthly_amount), ' ' ORDER BY month), '') FROM bi.recurring_revenue"
    #expect(try await sales.behind(months)[0].decode(String.self, at: 0) == "")
    _ = try await sales.done(.post, "/v1/contracts/\(contract.id)/activate")
    _ = try await sales.done(.post, "/v1/contracts/\(contract.id)/cancel", json: ["reason": "Taşındı", "ends_on": "2026-05-30"])
    // The last day of May no longer counts.
    #expect(try await sales.behind(months)[0].decode(String.self, at: 0) == "02:100.00 03:100.00 04:100.00")
  }
}
