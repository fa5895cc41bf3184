import AnalyticalCRM
import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Scoring of leads and of forecasts")
struct ScoringTests {
  private func run(_ fixture: CampaignFixture, _ values: JSON = [:]) async throws -> JSON {
    let asked = try await fixture.server.send(.post, "/v1/analytics/lead_scoring/runs", json: values)
    try #require(asked.status == 202, "\(asked.text)")
    return try await fixture.server.finish(run: try #require(try asked.json()["id"]?.string))
  }

  @Test("a run learns what made leads into customers from what was known in the beginning alone, and says of each open lead how likely it is and why")
  func scoring() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let customer = try await fixture.customers(1)[0]
    // Of four from a referral three become customers, of four from the web one; an e-mail address says nothing.
    try await fixture.behind(
      """
      INSERT INTO crm.lead (name, source, email, created_at, department_id)
      SELECT 'Aday ' || i, CASE WHEN i % 2 = 0 THEN 'referral' ELSE 'web' END, CASE WHEN i % 3 = 0 THEN 'a' || i || '@ornek.example' END,
             '2024-01-01'::timestamptz + make_interval(hours => i), (SELECT id FROM crm.department WHERE code = 'sales') FROM generate_series(1, 400) i
      """)
    try await fixture.behind(
      """
      UPDATE crm.lead AS l SET status = CASE WHEN g.won THEN 'converted' ELSE 'disqualified' END, converted_at = CASE WHEN g.won THEN l.created_at + interval '1 day' END,
             customer_id = CASE WHEN g.won THEN \(customer)::uuid END, disqualified_at = CASE WHEN NOT g.won THEN l.created_at + interval '1 day' END,
             disqualification_reason = CASE WHEN NOT g.won THEN 'no_need' END, website = CASE WHEN g.won THEN 'https://sonra.example' END
        FROM (SELECT x.id, substr(x.name, 6)::int AS i, CASE WHEN x.source = 'referral' THEN substr(x.name, 6)::int % 8 <> 0 ELSE substr(x.name, 6)::int % 8 = 1 END AS won FROM crm.lead x) g
       WHERE g.id = l.id AND g.i <= 360
      """)
    let run = try await run(fixture)
    try #require(run["status"] == "done", "\(run)")
    let result = try #require(run["result"])
    #expect(run["population"] == 400 && result["trained_on"] == 252 && result["tested_on"] == 108)
    // What was learnt with the outcome takes no part: in the beginning nobody had a web address.
    #expect(result["findings"]?.array?.contains(["feature": "has_website", "kind": "constant"]) == true, "\(result)")
    // The fit is that of the statistics over the same leads.
    let rows = (1...252).map { i in [i % 2 == 1 ? 1.0 : 0, i % 2 == 0 ? 1.0 : 0, i % 3 == 0 ? 1.0 : 0] }
    let outcomes = (1...252).map { i in i % 2 == 0 ? i % 8 != 0 : i % 8 == 1 }
    let fit = try LogisticRegression(rows: rows, outcomes: outcomes)
    func coefficient(_ name: String) -> Double? { result["coefficients"]?.array?.first { $0["feature"]?.string == name }?["coefficient"]?.double }
    #expect(
      agrees(coefficient("source=web"), fit.coefficients[0], 1e-8) && coefficient("source=referral") == 0
        && agrees(coefficient("has_email"), fit.coefficients[2], 1e-6), "\(result)")
    #expect(fit.penalty == 0 && result["penalty"]?.double == 0)
    let quality = ScoreQuality(
      (253...360).map { i in
        (fit.probability([i % 2 == 1 ? 1.0 : 0, i % 2 == 0 ? 1.0 : 0, i % 3 == 0 ? 1.0 : 0]), i % 2 == 0 ? i % 8 != 0 : i % 8 == 1)
      })
    #expect(agrees(result["auc"]?.double, try #require(quality.auc), 1e-9) && agrees(result["brier"]?.double, quality.brier, 1e-8), "\(result)")
    #expect(result["deciles"]?.array?.count == 10 && result["deciles"]?.array?.first?["lift"]?.double ?? 0 > 1.2)

    let open = try await fixture.get("/v1/leads?status=eq.new&source=eq.referral&order=created_at&limit=1", as: "ayse")
    let lead = try #require(open["data"]?.array?.first?["id"]?.string)
    let score = try #require(try await fixture.get("/v1/leads/\(lead)/score", as: "ayse")["data"]?.array?.first)
    #expect(
      score["probability"]?.double ?? 0 > 0.6 && score["evidence"]?.array?.first?["feature"] == "source=web" && score["model"] == "lead_scoring"
        && score["n"] == 400, "\(score)")
    #expect(score["evidence"]?.array?.first?["contribution"]?.double ?? 0 > 0)
    let decided = try await fixture.get("/v1/leads?status=eq.converted&limit=1", as: "ayse")["data"]?.array?.first?["id"]?.string ?? ""
    #expect(try await fixture.get("/v1/leads/\(decided)/score", as: "ayse")["data"] == [])
    #expect(try await fixture.server.send(.get, "/v1/leads/\(UUID().uuidString.lowercased())/score", as: "ayse").status == 404)
    #expect(try await fixture.server.send(.get, "/v1/leads/\(lead)/score", as: "emre").status == 403)
    let picture = try await fixture.server.send(.get, "/v1/charts/lead_calibration.svg", as: "elif")
    #expect(picture.status == 200 && picture.text.contains("n=10") || picture.text.contains("n=11"), "\(picture.text)")
    // Early on too few were decided.
    let early = try await self.run(fixture, ["as_of": "2024-01-02T00:00:00Z"])
    #expect(early["status"] == "failed" && early["problem"]?["code"] == "sample-too-small" && early["problem"]?["tr"]?.string != nil, "\(early)")
    #expect(try await fixture.server.send(.post, "/v1/analytics/lead_scoring/runs", json: ["as_of": "2999-01-01T00:00:00Z"]).status == 422)
    #expect(try await fixture.server.send(.post, "/v1/analytics/lead_scoring/runs", as: "ayse", json: [:]).status == 403)
  }

  @Test("a forecast is held against what was won: what it foresaw, what it did not, how far it was off")
  func forecasts() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let customer = try await fixture.customers(1)[0].uuidString.lowercased()
    let month = try await fixture.behind(
      "SELECT date_trunc('month', crm.business_day(now())::timestamp)::date AS first, (date_trunc('month', crm.business_day(now())::timestamp) + interval '1 month - 1 day')::date AS last"
    )[0]
    let (first, last) = (try month.decode(String.self, "first"), try month.decode(String.self, "last"))
    func open(_ amount: String, _ currency: String = "TRY") async throws -> (id: String, weighted: Decimal) {
      let made = try await fixture.server.send(
        .post, "/v1/opportunities", as: "ayse",
        json: ["customer_id": .string(customer), "name": "Fırsat", "amount": .string(amount), "currency": .string(currency), "close_on": .string(last)])
      let opportunity = try made.json()
      let probability = try #require(opportunity["probability"]?.string.flatMap { Decimal(string: $0) }, "\(made.text)")
      return (try #require(opportunity["id"]?.string), (Decimal(string: amount) ?? 0) * probability / 100)
    }
    let (a, b) = (try await open("1000"), try await open("500"))
    let usd = try await open("10", "USD")
    try await fixture.behind("SELECT crm.take_pipeline_snapshot(\(first)::text::date - 1)")
    let late = try await open("70")
    for id in [a.id, late.id] { #expect(try await fixture.server.send(.post, "/v1/opportunities/\(id)/win", as: "ayse", json: [:]).status == 200) }
    let asked = "from=\(first.prefix(7))&to=\(first.prefix(7))"
    let answer = try await fixture.get("/v1/analytics/forecast_accuracy?\(asked)", as: "ayse")
    let row = try #require(answer["data"]?.array?.first { $0["currency"] == "TRY" })
    func decimal(_ name: String) -> Decimal? { row[name]?.string.flatMap { Decimal(string: $0) } }
    #expect(
      decimal("forecast") == a.weighted + b.weighted && decimal("closed") == 1070 && decimal("closed_of_snapshot") == 1000 && decimal("closed_new") == 70,
      "\(answer)")
    #expect(decimal("error") == a.weighted + b.weighted - 1070 && row["opportunities"] == 2)
    let error = NSDecimalNumber(decimal: (a.weighted + b.weighted - 1070) / 1070).doubleValue
    let total = answer["totals"]?.array?.first { $0["currency"] == "TRY" }
    #expect(agrees(total?["bias"]?.double, error, 1e-12) && agrees(total?["wape"]?.double, abs(error), 1e-12), "\(answer)")
    #expect(answer["data"]?.array?.first { $0["currency"] == "USD" }?["forecast"]?.string.flatMap { Decimal(string: $0) } == usd.weighted)
    // Before the snapshot nothing had been written down, so nothing is said to have been forecast.
    let before = try await fixture.get("/v1/analytics/forecast_accuracy?\(asked)&lead_days=30", as: "ayse")
    #expect(before["data"]?.array?.first { $0["currency"] == "TRY" }?["forecast"] == .null && before["totals"] == [], "\(before)")
    #expect(try await fixture.server.send(.get, "/v1/analytics/forecast_accuracy?\(asked)&convert_to=TRY", as: "ayse").problem == "no-rate")
    for query in ["from=2026-02&to=2026-01", "to=2026-01", "from=2999-01&to=2999-02", "from=x&to=y"] {
      #expect(
        try await fixture.server.send(.get, "/v1/analytics/forecast_accuracy?\(query)", as: "ayse", checked: false).problem == "bad-parameter", "\(query)")
    }
    #expect(try await fixture.server.send(.get, "/v1/analytics/forecast_accuracy?\(asked)", as: "emre").status == 403)
  }
}
