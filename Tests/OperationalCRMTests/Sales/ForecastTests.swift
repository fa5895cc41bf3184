import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Forecasts and quotas")
struct ForecastTests {
  private func thisMonth(_ sales: SalesFixture) async throws -> String {
    try await sales.behind("SELECT to_char(crm.business_day(now()), 'YYYY-MM')")[0].decode(String.self, at: 0)
  }

  @Test("a forecast weighs by hand and by history, by category and currency, with the counts behind")
  func forecast() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    let pipeline = try await sales.pipeline(
      "Tahmin", stages: [("A", 10), ("B", 50)], fields: [["forecast_category": "pipeline"], ["forecast_category": "commit"]])
    let reason = try await sales.get("/v1/lost_reasons?code=eq.price")["data"]?.array?.first?.id ?? ""
    for won in [true, true, false] {
      let one = try await sales.opportunity(["pipeline_id": .string(pipeline.id), "amount": "1000"])
      _ = try await sales.done(
        .post, "/v1/opportunities/\(one.id)/\(won ? "win" : "lose")", json: won ? nil : ["lost_reason_id": .string(reason)])
    }
    let month = try await thisMonth(sales)
    let due = JSON.string("\(month)-15")
    let fields: [[String: JSON]] = [
      ["amount": "900"], ["amount": "90.10", "probability": "50"], ["amount": "500", "currency": "EUR"], [:],
      ["amount": "40", "stage_id": .string(pipeline.stages[1])], ["amount": "7777", "close_on": "2031-01-31"], ["amount": "7777", "close_on": .null],
    ]
    for own in fields {
      _ = try await sales.opportunity(["pipeline_id": .string(pipeline.id), "close_on": due].merging(own) { $1 })
    }
    let rows = try await sales.get("/v1/forecast?month=\(month)")["data"]?.array ?? []
    #expect(rows.map { "\($0["category"]?.string ?? "") \($0["currency"]?.string ?? "")" } == ["closed TRY", "commit TRY", "pipeline EUR", "pipeline TRY"])
    try #require(rows.count == 4)
    #expect(rows[0]["opportunities"] == 2 && rows[0]["amount"] == "2000.00" && rows[0]["weighted_manual"] == "2000.00")
    #expect(rows[1]["weighted_manual"] == "20.00" && rows[1]["weighted_historical"] == "20.00" && rows[1]["without_history"] == 1, "\(rows[1])")
    #expect(rows[3]["opportunities"] == 3 && rows[3]["amount"] == "990.10" && rows[3]["without_amount"] == 1)
    // By hand 10 % of 900 and 50 % of 90.10; by history two of three.
    #expect(rows[3]["weighted_manual"] == "135.05" && rows[3]["weighted_historical"] == "660.07" && rows[3]["decided_behind"] == 3, "\(rows[3])")

    let byOwner = try await sales.get("/v1/forecast?month=\(month)&by=owner&pipeline_id=\(pipeline.id)")["data"]?.array ?? []
    #expect(byOwner.allSatisfy { $0["group"] == "Ayşe Yılmaz" } && byOwner.count == 4)
    for grouping in ["department", "pipeline", "stage"] {
      let grouped = try await sales.get("/v1/forecast?month=\(month)&by=\(grouping)")["data"]?.array ?? []
      #expect(grouped.count == 4 && grouped.allSatisfy { $0["group"]?.string != nil }, "\(grouping): \(grouped)")
    }
    #expect(try await sales.get("/v1/forecast?month=2031-01")["data"]?.array?.first?["amount"] == "7777.00")
    #expect(try await sales.get("/v1/forecast")["data"]?.array?.count == 4)
    #expect(try await sales.get("/v1/forecast?month=\(month)", as: "gul")["data"]?.array?.count == 4)
  }

  @Test("a forecast in one currency takes the rate of the day, and counts what has none instead of adding it")
  func converted() async throws {
    let sales = try await SalesFixture.suite()
    let today = try await sales.behind("SELECT crm.business_day(now())::text")[0].decode(String.self, at: 0)
    _ = try await sales.done(
      .post, "/v1/exchange_rates", as: "deniz", json: ["from_currency": "EUR", "to_currency": "TRY", "on_day": .string(today), "rate": "50.125"])
    let pipeline = try await sales.pipeline("Kur", stages: [("A", 10)])
    for (amount, currency) in [("100", "TRY"), ("10.01", "EUR"), ("7", "CHF")] {
      _ = try await sales.opportunity([
        "pipeline_id": .string(pipeline.id), "amount": .string(amount), "currency": .string(currency), "close_on": "2032-05-01",
      ])
    }
    let path = "/v1/forecast?month=2032-05&pipeline_id=\(pipeline.id)"
    #expect(try await sales.get(path)["data"]?.array?.map { $0["currency"] } == ["CHF", "EUR", "TRY"])
    let rows = try await sales.get("\(path)&convert_to=TRY")["data"]?.array ?? []
    // 100 + 10.01 × 50.125
    #expect(rows.count == 1 && rows.first?["currency"] == "TRY" && rows.first?["amount"] == "601.75", "\(rows)")
    #expect(rows.first?["weighted_manual"] == "60.18" && rows.first?["opportunities"] == 3 && rows.first?["without_rate"] == 1)
  }

  @Test("a forecast refuses what it cannot read and who may not")
  func refusals() async throws {
    let sales = try await SalesFixture.suite()
    for query in ["month=2026-13", "month=11-2026", "month=2026-11-01", "by=colour", "convert_to=euro", "convert_to=eur", "pipeline_id=1", "monht=2026-11"] {
      #expect(try await sales.send(.get, "/v1/forecast?\(query)").status == 400, "\(query)")
    }
    #expect(try await sales.send(.get, "/v1/forecast", as: "emre").status == 403)
    #expect(try await sales.send(.get, "/v1/quota_attainment", as: "emre").status == 403)
    #expect(try await sales.send(.get, "/v1/quota_attainment?month=x").status == 400)
  }

  @Test("a quota is met by what its person wins in the month, currency by currency")
  func quotas() async throws {
    let sales = try await SalesFixture(server: TestServer.start())
    let month = try await thisMonth(sales)
    let users = try await sales.get("/v1/users?limit=50", as: "deniz")["data"]?.array ?? []
    let ayse = JSON.string(users.first { $0["email"] == "ayse@carsi.example" }?.id ?? "")
    let mehmet = JSON.string(users.first { $0["email"] == "mehmet@carsi.example" }?.id ?? "")
    let first = JSON.string("\(month)-01")
    let quota = try await sales.done(.post, "/v1/sales_quotas", json: ["user_id": ayse, "month": first, "amount": "2000"])
    _ = try await sales.done(.post, "/v1/sales_quotas", json: ["user_id": mehmet, "month": first, "amount": "500"])
    for (amount, currency) in [("1500", "TRY"), ("0.55", "TRY"), ("30", "EUR")] {
      let one = try await sales.opportunity(["amount": .string(amount), "currency": .string(currency)])
      _ = try await sales.done(.post, "/v1/opportunities/\(one.id)/win")
    }
    _ = try await sales.opportunity(["amount": "100", "close_on": .string("\(month)-20")])
    let rows = try await sales.get("/v1/quota_attainment?month=\(month)")["data"]?.array ?? []
    #expect(rows.map { $0["name"] } == ["Ayşe Yılmaz", "Ayşe Yılmaz", "Mehmet Demir"] && rows.map { $0["currency"] } == ["EUR", "TRY", "TRY"])
    try #require(rows.count == 3)
    #expect(rows[0]["quota"] == .null && rows[0]["attainment_percent"] == .null && rows[0]["won_amount"] == "30.00")
    #expect(rows[1]["won"] == 2 && rows[1]["won_amount"] == "1500.55" && rows[1]["attainment_percent"] == "75.03", "\(rows[1])")
    #expect(rows[1]["open"] == 1 && rows[1]["open_weighted_amount"] == "10.00")
    #expect(rows[2]["won"] == 0 && rows[2]["attainment_percent"] == "0.00")

    #expect(try await sales.send(.post, "/v1/sales_quotas", json: ["user_id": ayse, "month": first, "amount": "1"]).status == 409)
    #expect(
      try await sales.send(.post, "/v1/sales_quotas", json: ["user_id": ayse, "month": .string("\(month)-02"), "amount": "1"]).text.contains("first day"))
    // Nobody sets a quota of their own without managing sales.
    #expect(try await sales.send(.post, "/v1/sales_quotas", as: "mehmet", json: ["user_id": mehmet, "month": "2030-01-01", "amount": "1"]).status == 403)
    #expect(try await sales.send(.patch, "/v1/sales_quotas/\(quota.id)", as: "mehmet", json: ["amount": "1"]).status == 403)
    #expect(try await sales.send(.patch, "/v1/sales_quotas/\(quota.id)", json: ["amount": "3000"]).status == 200)
  }
}
