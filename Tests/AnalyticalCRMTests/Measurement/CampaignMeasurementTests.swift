import AnalyticalCRM
import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("What campaigns brought")
struct CampaignMeasurementTests {
  @Test("the year's campaigns: who was reached, who responded, and the difference in differences are those computed independently")
  func shoppingYear() async throws {
    let fixture = CampaignFixture(server: try await ShoppingYear.server())
    let expected = try #require(try ShoppingYear.expected()["campaigns"]?["campaigns"]?.array)
    try await ShoppingYear.importCampaigns(into: fixture.server.database)
    var compared = 0
    for campaign in expected {
      let number = try #require(campaign["campaign_id"]?.int)
      let stored = try await fixture.get("/v1/campaigns?code=eq.CJ-\(number)&select=id,starts_on,ends_on")["data"]?.array?.first
      #expect(stored?["starts_on"] == campaign["start"] && stored?["ends_on"] == campaign["end"])
      let id = try #require(stored?["id"]?.string)
      let query = "?as_of=\(ShoppingYear.asOf)&denominator=targeted"
      let results = try await fixture.get("/v1/campaigns/\(id)/results\(query)")
      #expect(
        results["n"] == campaign["targeted"] && results["responders"] == campaign["redeemers"] && results["responses"] == campaign["redemptions"],
        "\(number): \(results)")
      #expect(results["response_rate"]?.double == campaign["response_rate"]?.double, "\(number): \(results)")
      let difference = try await fixture.server.send(.get, "/v1/campaigns/\(id)/difference_in_differences?as_of=\(ShoppingYear.asOf)", as: "elif")
      guard let means = campaign["mean_cents"] else {
        // Nobody was reached, or the year does not have all of the campaign and of the days before it.
        #expect(difference.problem == (campaign["targeted"] == 0 ? "empty-arm" : "period-not-covered"), "\(number): \(difference.text)")
        continue
      }
      let found = try difference.json()
      for (name, other) in [
        ("members_during", "target_during"), ("members_before", "target_pre"), ("others_during", "control_during"), ("others_before", "control_pre"),
      ] {
        #expect(agrees(found[name]?.double.map { $0 * 100 }, try #require(means[other]?.double), 1e-12), "\(number) \(name): \(found)")
      }
      #expect(agrees(found["difference"]?.double.map { $0 * 100 }, try #require(campaign["did_cents_per_household"]?.double), 1e-9))
      #expect(found["label"] == "descriptive, not causal" && found["currency"] == "USD" && found["n"] == 48)
      if let error = campaign["did_se"]?.double {
        #expect(agrees(found["standard_error"]?.double.map { $0 * 100 }, error, 1e-9), "\(number): \(found)")
        for place in 0...1 {
          #expect(
            agrees(found["interval"]?.array?[place].double.map { $0 * 100 }, try #require(campaign["did_ci95"]?.array?[place].double), 1e-9),
            "\(number): \(found)")
        }
      } else {
        #expect(found["standard_error"] == .null && found["interval"] == .null && found["note"]?.string != nil)
      }
      compared += 1
    }
    #expect(compared > 10)
    let chosen = try await fixture.server.send(.get, "/v1/campaigns?code=eq.CJ-8&select=id", as: "elif")
    let eight = try #require(try chosen.json()["data"]?.array?.first?["id"]?.string)
    #expect(try await fixture.server.send(.get, "/v1/campaigns/\(eight)/uplift", as: "elif").problem == "not-randomised")
  }

  @Test("uplift in shares, money and margin, with its intervals, is that of the statistics over the customers as they were divided; ROI counts every cost")
  func uplift() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let customers = try await fixture.customers(600)
    var id = ""
    var arm: [UUID: String] = [:]
    var sizes: [Int] = []
    // Chance divides one campaign in a thousand so unevenly that nothing is said of it.
    repeat {
      id = try await fixture.campaign(["holdout_percent": 40, "arms": ["mail", "call"], "cost": "120", "currency": "TRY"])
      let assigned = try await fixture.assign(customers, to: id)
      try #require(assigned.status == 200, "\(assigned.text)")
      for row in try await fixture.behind("SELECT customer_id, coalesce(arm, 'out') AS arm FROM crm.campaign_member WHERE campaign_id = \(id)::text::uuid").rows
      {
        arm[try row.decode("customer_id")] = try row.decode("arm")
      }
      sizes = ["out", "mail", "call"].map { name in arm.values.count { $0 == name } }
    } while SampleRatio(observed: sizes, shares: [0.4, 0.3, 0.3]).isMismatch
    // Who buys does so by their place: more of the arm called, fewer of those held out.
    let every = ["out": 7, "mail": 5, "call": 3]
    var spent: [UUID: Decimal] = [:]
    for (place, customer) in customers.enumerated() where place % (every[arm[customer] ?? ""] ?? 1) == 0 { spent[customer] = Decimal(100 + place) / 2 }
    try await fixture.buy(spent.sorted { $0.key.uuidString < $1.key.uuidString }.map { ($0.key, "2025-05-10T10:00:00Z", $0.value) }, unitCost: 20)
    // Before and after the campaign, and so no part of it.
    try await fixture.buy([(customers[0], "2025-04-30T23:59:59Z", 1000), (customers[1], "2025-06-01T00:00:00Z", 1000)], unitCost: 20)
    let called = customers.filter { arm[$0] == "call" }
    try await fixture.behind(
      "INSERT INTO crm.campaign_touch (customer_id, campaign_id, channel, touched_at, cost, currency) SELECT x, \(id)::text::uuid, 'phone', '2025-05-02', 0.5, 'TRY' FROM unnest(\(called)::uuid[]) x"
    )

    let answer = try await fixture.get("/v1/campaigns/\(id)/uplift")
    #expect(answer["n"] == 600 && answer["withheld"] == .null && answer["currency"] == "TRY")
    func group(_ name: String) -> (count: Int, buyers: Int, amounts: [Double]) {
      let members = customers.filter { arm[$0] == name }
      return (members.count, members.count { spent[$0] != nil }, members.map { NSDecimalNumber(decimal: spent[$0] ?? 0).doubleValue })
    }
    func moments(_ values: [Double]) -> Moments {
      let mean = values.reduce(0, +) / Double(values.count)
      return Moments(count: values.count, mean: mean, variance: values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1))
    }
    let out = group("out")
    #expect(answer["held_out"]?["members"]?.int == out.count && answer["held_out"]?["buyers"]?.int == out.buyers)
    let ratio = SampleRatio(observed: [out.count, group("mail").count, group("call").count], shares: [0.4, 0.3, 0.3])
    #expect(agrees(answer["sample_ratio"]?["p"]?.double, ratio.p) && answer["sample_ratio"]?["mismatch"] == false)
    var p: [Double] = []
    for (place, name) in ["mail", "call"].enumerated() {
      let found = try #require(answer["data"]?.array?[place])
      let (treated, members) = (group(name), Double(group(name).count))
      let share = ProportionUplift(treated: Proportion(treated.buyers, of: treated.count), control: Proportion(out.buyers, of: out.count), confidence: 0.95)
      #expect(
        found["arm"]?.string == name && agrees(found["uplift"]?.double, share.difference)
          && agrees(found["newcombe"]?.array?[0].double, share.newcombe.lowerBound))
      #expect(agrees(found["wald"]?.array?[1].double, share.wald.upperBound))
      let money = WelchDifference(treated: moments(treated.amounts), control: moments(out.amounts), confidence: 0.95)
      #expect(agrees(found["money_uplift"]?.double, money.difference) && agrees(found["t"]?.double, money.t ?? .nan))
      #expect(agrees(found["money_interval"]?.array?[0].double, try #require(money.interval?.lowerBound), 1e-8))
      let margin = moments(treated.amounts.map { $0 > 0 ? $0 - 20 : 0 }).mean - moments(out.amounts.map { $0 > 0 ? $0 - 20 : 0 }).mean
      let cost = 120 * members / Double(600 - out.count) + (name == "call" ? members / 2 : 0)
      #expect(agrees(found["cost"]?.double, cost) && agrees(found["incremental_roi"]?.double, (members * margin - cost) / cost, 1e-8), "\(found)")
      p.append(try #require(share.p))
    }
    #expect(zip(Holm.adjusted(p), answer["data"]?.array ?? []).allSatisfy { agrees($1["p_holm"]?.double, $0) })
    // A percentage in place of known costs; another confidence.
    let percent = try await fixture.get("/v1/campaigns/\(id)/uplift?margin_percent=25&confidence=0.8")
    let (whole, quarter) = (try #require(answer["data"]?.array?[1]["money_uplift"]?.double), percent["data"]?.array?[1]["margin_uplift"]?.double)
    #expect(agrees(quarter, whole / 4))
    #expect(try #require(percent["data"]?.array?[1]["wald"]?.array?[0].double) > answer["data"]?.array?[1]["wald"]?.array?[0].double ?? 1)

    let picture = try await fixture.server.send(.get, "/v1/campaigns/\(id)/uplift.svg", as: "elif", headers: ["accept-language": "tr"])
    #expect(
      picture.status == 200 && picture.headers["content-type"] == "image/svg+xml; charset=utf-8" && picture.text.contains("<desc id=\"description\">mail: "),
      "\(picture.text)")

    let results = try await fixture.get("/v1/campaigns/\(id)/results")
    let phone = try #require(results["data"]?.array?.first { $0["arm"] == "call" })
    #expect(phone["delivered"]?.int == called.count && phone["targeted"]?.int == called.count && phone["response_rate"]?.double == 0)
    #expect(results["cost"]?.string == "\((Decimal(120) + Decimal(called.count) / 2))".withCents, "\(results)")
    #expect(results["data"]?.array?.last?["held_out"] == true && results["response_rate"]?.double == 0)
  }

  @Test("what cannot be measured is refused by name, and a wrong division is withheld with its reason")
  func refusals() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let customers = try await fixture.customers(400)
    func problem(_ id: String, _ rest: String = "uplift") async throws -> String? {
      try await fixture.server.send(.get, "/v1/campaigns/\(id)/\(rest)", as: "elif").problem
    }
    let none = try await fixture.campaign()
    _ = try await fixture.assign(customers, to: none)
    #expect(try await problem(none) == "no-hold-out")
    let half = try await fixture.campaign(["holdout_percent": 50])
    #expect(try await problem(half) == "no-hold-out")
    _ = try await fixture.assign(Array(customers.prefix(15)), to: half)
    #expect(try await problem(half) == "sample-too-small")
    let given = try await fixture.campaign(["assignment": "given", "arms": ["a", "b"]])
    try await fixture.behind(
      """
      INSERT INTO crm.campaign_member (customer_id, campaign_id, held_out, arm, assigned_at)
      SELECT x, \(given)::text::uuid, n <= 100, CASE WHEN n > 100 THEN 'a' END, '2025-04-01' FROM unnest(\(customers)::uuid[]) WITH ORDINALITY AS g (x, n)
      """)
    #expect(try await problem(given) == "empty-arm")
    try await fixture.behind(
      "UPDATE crm.campaign_member SET arm = 'b' WHERE campaign_id = \(given)::text::uuid AND arm = 'a' AND get_byte(uuid_send(id), 15) % 2 = 0")
    #expect(try await fixture.get("/v1/campaigns/\(given)/uplift")["sample_ratio"] == .null)
    let wrong = try await fixture.get("/v1/campaigns/\(given)/uplift?holdout_percent=50")
    #expect(
      wrong["data"] == [] && wrong["sample_ratio"]?["mismatch"] == true && wrong["withheld"]?.string?.contains("sample ratio mismatch") == true, "\(wrong)")
    let picture = try await fixture.server.send(.get, "/v1/campaigns/\(given)/uplift.svg?holdout_percent=50", as: "elif", headers: ["accept-language": "tr"])
    #expect(picture.text.contains("örneklem oranı uyuşmazlığı"))

    try await fixture.buy([(customers[0], "2025-03-10T10:00:00Z", 10), (customers[0], "2025-05-10T10:00:00Z", 10)])
    try await fixture.buy([(customers[1], "2025-05-10T10:00:00Z", 10)], currency: "EUR")
    for address in ["results", "uplift", "difference_in_differences"] {
      #expect(try await problem(given, address) == "mixed-currencies", "\(address)")
      #expect(try await problem(given, "\(address)?currency=TRY") == "no-rate", "\(address)")
      #expect(try await problem(given, "\(address)?as_of=2999-01-01T00:00:00Z") == "bad-parameter", "\(address)")
      #expect(try await problem(given, "\(address)?time_zone=Moon/Base") == "bad-parameter", "\(address)")
      #expect(try await problem(given, "\(address)?as_of=2025-04-30T00:00:00Z") == "not-begun", "\(address)")
      #expect(try await problem(UUID().uuidString.lowercased(), address) == "not-found", "\(address)")
      #expect(try await fixture.server.send(.get, "/v1/campaigns/\(given)/\(address)", as: "emre").status == 403)
    }
    try await fixture.behind("INSERT INTO crm.exchange_rate (from_currency, to_currency, on_day, rate) VALUES ('EUR', 'TRY', '2025-05-09', 40)")
    let results = try await fixture.get("/v1/campaigns/\(given)/results?currency=TRY&margin_percent=10")
    #expect(results["data"]?.array?.first { $0["held_out"] == true }?["revenue"] == "410.00", "\(results)")
    #expect(try await fixture.get("/v1/campaigns/\(given)/difference_in_differences?currency=EUR")["currency"] == "EUR")
    #expect(try await problem(given, "difference_in_differences?currency=EUR&as_of=2025-05-20T00:00:00Z") == "period-not-covered")
  }

  @Test("the sample size says how many customers it takes; equal shares are refused")
  func sampleSize() async throws {
    let fixture = CampaignFixture(server: try await TestServer.suite())
    let answer = try await fixture.get("/v1/analytics/sample_size?control_share=0.05&treated_share=0.06&size=8155")
    #expect(answer["customers_each"] == 8155 && answer["customers"] == 16310 && abs((answer["power_of_size"]?.double ?? 0) - 0.8) < 1e-4)
    #expect(try await fixture.get("/v1/analytics/sample_size?control_share=0.05&treated_share=0.06&arms=2")["alpha_each"]?.double == 0.025)
    #expect(try await fixture.server.send(.get, "/v1/analytics/sample_size?control_share=0.05&treated_share=0.05", as: "elif").problem == "bad-parameter")
    #expect(try await fixture.server.send(.get, "/v1/analytics/sample_size?control_share=5&treated_share=0.05", as: "elif").problem == "bad-parameter")
  }
}

extension String {
  /// A whole or half amount with two decimals.
  fileprivate var withCents: String { contains(".") ? self + "0" : self + ".00" }
}
