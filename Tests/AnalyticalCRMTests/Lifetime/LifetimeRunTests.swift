import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@testable import AnalyticalCRM

extension SimulatedCompanyTests {
  @Suite("Runs of models of lifetime")
  struct LifetimeRunTests {
    private static let asOf = "2025-07-01T00:00:00Z"

    @Test("a run recovers the truth of a simulated company, values every customer, and says the same in REST, SQL and BI")
    func run() async throws {
      let (server, totals) = try await SimulatedServer.suite()
      let plan = SimulatedServer.plan
      let run = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": .string(Self.asOf), "margin_percent": 40, "months": 6])
      try #require(run["status"] == "done", "\(run)")
      let result = try #require(run["result"])
      let parameters = try BetaGeometricModel.parameterNames.map { try #require(result["parameters"]?[$0]?.double) }
      let errors = try BetaGeometricModel.parameterNames.map { try #require(result["standard_errors"]?[$0]?.double) }
      for (index, truth) in plan.purchases.parameters.enumerated() {
        #expect(
          abs(log(parameters[index] / truth)) < 4 * errors[index] + 0.05, "\(BetaGeometricModel.parameterNames[index]): \(parameters[index]), true \(truth)")
      }
      #expect(deviation(try #require(result["alive"]?.double), from: Double(totals.alive)) < 0.08)
      #expect(deviation(try #require(result["expected_90_days"]?.double), from: Double(totals.futurePurchases)) < 0.08)
      for (name, truth) in zip(GammaGammaModel.parameterNames, plan.spending.parameters) {
        #expect(deviation(try #require(result["value"]?["parameters"]?[name]?.double), from: truth) < 0.2, "\(name) \(result["value"] ?? .null)")
      }
      #expect(result["customers"] == 2_000 && result["currency"] == "TRY" && run["population"] == 2_000 && run["method"] == "bg_nbd")

      // The customer who bought most, by hand.
      let best = try await server.look(
        "SELECT l.customer_id::text AS id, l.frequency, l.recency_days, l.age_days, l.purchase_value::float8 AS value FROM analytics.lifetime_now l ORDER BY l.frequency DESC, l.customer_id LIMIT 1"
      )[0]
      let id = try best.decode(String.self, "id")
      let answer = try await server.ask("/v1/customers/\(id)/lifetime", as: "ayse")
      let data = try #require(answer["data"])
      let model = BetaGeometricModel(parameters: parameters)
      let history = PurchaseHistory(
        frequency: try best.decode("frequency"), recency: Double(try best.decode(Int.self, "recency_days")), age: Double(try best.decode(Int.self, "age_days")))
      #expect(deviation(try #require(data["p_alive"]?.double), from: model.probabilityAlive(history)) < 1e-9)
      #expect(deviation(try #require(data["expected_90_days"]?.double), from: model.expectedPurchases(within: 90, after: history)) < 1e-9)
      let spending = GammaGammaModel(parameters: try GammaGammaModel.parameterNames.map { try #require(result["value"]?["parameters"]?[$0]?.double) })
      let value = try #require(spending.expectedValue(frequency: history.frequency, mean: try best.decode("value")))
      #expect(deviation(try #require(data["expected_value"]?.double), from: value) < 1e-6)
      let monthly = pow(1.1, 1.0 / 12) - 1
      var discounted = 0.0
      for month in 1...6 {
        let until = model.expectedPurchases(within: Double(month) * 30, after: history)
        let before = model.expectedPurchases(within: Double(month - 1) * 30, after: history)
        discounted += (until - before) / pow(1 + monthly, Double(month))
      }
      #expect(deviation(try #require(data["clv"]?.double), from: 0.4 * value * discounted) < 1e-6)
      #expect(
        answer["n"] == 2_000 && answer["as_of"]?.string?.hasPrefix("2025-07-01T00:00:00") == true && answer["model"] == "bg_nbd" && answer["version"] == 1)
      #expect(data["months"] == 6 && answer["note"] == .null)

      let row = try await server.look("SELECT sum(clv)::text AS clv, count(*) AS n, min(customer) AS name FROM bi.customer_lifetime")[0]
      #expect(try row.decode(String.self, "clv") == result["total_clv"]?.string && row.decode(Int.self, "n") == 2_000)
      #expect(
        try await server.look("SELECT customers, drift_alarm FROM bi.lifetime_runs WHERE run_id = \(UUID(uuidString: run["id"]?.string ?? ""))")[0].decode(
          Int.self, at: 0) == 2_000)

      let regions = try await server.ask("/v1/analytics/lifetime/summary?group_by=profile&member=region")
      let rows = try #require(regions["data"]?.array)
      #expect(rows.count == 5 && rows.reduce(0) { $0 + ($1["customers"]?.double ?? 0) } == 2_000)
      #expect(deviation(rows.reduce(0) { $0 + ($1["clv"]?.double ?? 0) }, from: try #require(result["total_clv"]?.double)) < 1e-6)
      #expect(try await server.ask("/v1/analytics/lifetime/summary?run_id=\(run["id"]?.string ?? "")")["data"]?.array?.count == 1)

      for field in ["department", "kind", "locale", "lifecycle_phase", "tier"] {
        let grouped = try #require(try await server.ask("/v1/analytics/lifetime/summary?group_by=\(field)")["data"]?.array)
        #expect(grouped.reduce(0) { $0 + ($1["customers"]?.double ?? 0) } == 2_000, "\(field): \(grouped)")
      }

      // A customer who never bought has no lifetime, and says why.
      let fresh = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": "Yeni Gelen"])
      let none = try await server.ask("/v1/customers/\(try #require(try fresh.json()["id"]?.string))/lifetime")
      #expect(none["data"] == .null && none["note"]?.string?.contains("not bought") == true)
    }

    @Test("Pareto/NBD and weeks are choices; the alarm of drift compares with the run before")
    func choices() async throws {
      let (server, _) = try await SimulatedServer.suite()
      let early = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-04-01T00:00:00Z", "unit": "weeks"])
      let late = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-06-01T00:00:00Z", "unit": "weeks"])
      try #require(early["status"] == "done" && late["status"] == "done", "\(early) \(late)")
      let drift = try #require(late["result"]?["drift"])
      #expect(drift["against"] == early["id"] && drift["alarm"] == false, "\(drift)")
      let rows = try #require(try await server.ask("/v1/analytics/lifetime/drift")["data"]?.array)
      #expect(rows.contains { $0["run_id"] == late["id"] && $0["against_id"] == early["id"] && $0["alarm"] == false })
      let pareto = try await server.compute("/v1/analytics/lifetime/runs", ["as_of": "2025-06-01T00:00:00Z", "model": "pareto_nbd", "unit": "weeks"])
      #expect(pareto["status"] == "done" || pareto["problem"]?["code"] == "did-not-converge", "\(pareto)")
    }

    @Test("a back-test forecasts what happened after the calibration, better than the naive forecast")
    func backTest() async throws {
      let (server, _) = try await SimulatedServer.suite()
      let run = try await server.compute(
        "/v1/analytics/lifetime/backtests", ["as_of": .string(Self.asOf), "calibration_end": "2025-01-01T00:00:00Z", "group_by": "profile", "member": "region"])
      let result = try #require(run["result"], "\(run)")
      #expect(abs(try #require(result["error_percent"]?.double)) < 12, "\(result)")
      #expect(try #require(result["mean_absolute_error"]?.double) < #require(result["naive_mean_absolute_error"]?.double))
      let happened = try await server.look(
        """
        SELECT count(DISTINCT (o.customer_id, (o.ordered_at AT TIME ZONE 'UTC')::date)) FROM crm.sales_order o
         WHERE o.ordered_at >= '2025-01-01Z' AND o.ordered_at < '2025-07-01Z' AND o.customer_id IN (SELECT p.customer_id FROM crm.sales_order p WHERE p.ordered_at < '2025-01-01Z')
        """)[0].decode(Int.self, at: 0)
      #expect(result["happened"]?.double == Double(happened))
      let groups = try #require(result["by_group"]?.array)
      let byFrequency = try #require(result["by_repeat_purchases"]?.array)
      #expect(groups.count == 5 && byFrequency.count == 8)
      #expect(groups.reduce(0) { $0 + ($1["happened"]?.double ?? 0) } == Double(happened))
      #expect(byFrequency.reduce(0) { $0 + ($1["happened"]?.double ?? 0) } == Double(happened))
    }

    @Test(
      "what no model can be fitted to is refused by name",
      arguments: [
        (["as_of": "1999-01-01T00:00:00Z"], "empty-population"), (["as_of": "2025-07-01T00:00:00Z", "currency": "EUR"], "no-rate"),
      ] as [(JSON, String)])
    func failures(input: JSON, code: String) async throws {
      let (server, _) = try await SimulatedServer.suite()
      let run = try await server.compute("/v1/analytics/lifetime/runs", input)
      #expect(run["status"] == "failed" && run["problem"]?["code"]?.string == code, "\(run)")
      #expect(run["problem"]?["en"]?.string?.isEmpty == false && run["problem"]?["tr"]?.string?.isEmpty == false)
    }

    @Test("too little to say anything, worthless purchases, two currencies and nobody who stops are refused by name")
    func sparse() async throws {
      let server = try await TestServer.start()
      var customers: [String] = []
      for name in ["Bir", "İki", "Üç"] {
        let customer = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": .string(name)])
        customers.append(try #require(try customer.json()["id"]?.string, "\(customer.text)"))
      }
      func buy(_ customer: Int, _ day: String, _ currency: String = "TRY") async throws {
        let order = try await server.send(
          .post, "/v1/orders", as: "ayse",
          json: [
            "customer_id": .string(customers[customer]), "ordered_at": .string("\(day)T12:00:00Z"), "currency": .string(currency), "channel": "phone",
            "status": "completed",
          ])
        try #require(order.status == 201, "\(order.text)")
      }
      func code() async throws -> String? { try await server.compute("/v1/analytics/lifetime/runs", [:])["problem"]?["code"]?.string }
      #expect(try await code() == "empty-population")
      try await buy(0, "2025-01-10")
      #expect(try await code() == "too-few-customers")
      try await buy(1, "2025-02-10")
      #expect(try await code() == "no-repeat-purchases")
      for day in ["2025-03-01", "2025-05-01", "2025-07-01"] {
        try await buy(0, day)
        try await buy(1, day)
      }
      // Orders without lines are worth nothing. Two customers tell too little for a model of purchases either.
      #expect(["negative-amounts", "did-not-converge"].contains(try await code()))
      try await buy(2, "2025-03-01", "USD")
      #expect(try await code() == "mixed-currencies")
    }

    @Test("wrong questions are refused before anything is computed, and strangers at the door")
    func refusals() async throws {
      let (server, _) = try await SimulatedServer.suite()
      for (input, field) in [
        (["as_of": "2999-01-01T00:00:00Z"], "as_of"), (["time_zone": "Moon/Crater"], "time_zone"), (["currency": "lira"], "currency"),
        (["model": "oracle"], "model"),
        (["months": 0], "months"), (["margin_percent": "101"], "margin_percent"),
      ] as [(JSON, String)] {
        let answer = try await server.send(.post, "/v1/analytics/lifetime/runs", json: input, checked: false)
        #expect(answer.status == 422 && answer.text.contains("/\(field)\""), "\(answer.text)")
      }
      for (input, field) in [
        (["as_of": "2025-01-01T00:00:00Z", "calibration_end": "2025-01-01T00:00:00Z"], "calibration_end"), ([:], "calibration_end"),
        (["calibration_end": "2024-06-01T00:00:00Z", "group_by": "profile"], "member"),
      ] as [(JSON, String)] {
        let answer = try await server.send(.post, "/v1/analytics/lifetime/backtests", json: input, checked: false)
        #expect(answer.status == 422 && answer.text.contains("/\(field)\""), "\(answer.text)")
      }
      for path in ["/v1/analytics/lifetime/runs", "/v1/analytics/lifetime/backtests", "/v1/analytics/survival/runs", "/v1/analytics/renewal/runs"] {
        let input: JSON =
          path.hasSuffix("backtests") ? ["calibration_end": "2024-06-01T00:00:00Z"] : path.hasSuffix("survival/runs") ? ["subject": "contracts"] : [:]
        #expect(try await server.send(.post, path, as: "ayse", json: input).status == 403)
        #expect(try await server.send(.post, path, as: nil, json: input).status == 401)
      }
      for path in ["/v1/analytics/lifetime/summary", "/v1/analytics/lifetime/drift", "/v1/analytics/survival", "/v1/charts/survival.svg"] {
        #expect(try await server.send(.get, path, as: "emre").status == 403)
      }
      let stranger = UUID().uuidString.lowercased()
      #expect(try await server.send(.get, "/v1/customers/\(stranger)/lifetime").status == 404)
      #expect(try await server.send(.get, "/v1/customers/\(stranger)/lifetime", as: "emre").status == 403)
      #expect(try await server.send(.get, "/v1/analytics/lifetime/summary?run_id=\(stranger)").problem == "no-run")
      #expect(try await server.send(.get, "/v1/analytics/survival?run_id=\(stranger)").problem == "no-run")
      #expect(try await server.send(.get, "/v1/charts/survival.svg?run_id=\(stranger)").status == 404)
    }
  }
}
