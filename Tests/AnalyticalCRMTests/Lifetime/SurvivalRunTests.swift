import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@testable import AnalyticalCRM

extension SimulatedCompanyTests {
  @Suite("Runs of survival")
  struct SurvivalRunTests {
    @Test("contracts: the curve is that of the contracts, in REST, SQL and BI, with a picture")
    func contracts() async throws {
      let (server, totals) = try await SimulatedServer.suite()
      let run = try await server.compute("/v1/analytics/survival/runs", ["subject": "contracts", "as_of": "2025-07-01T00:00:00Z", "group_by": "kind"])
      let result = try #require(run["result"], "\(run)")
      let groups = try #require(result["groups"]?.array)
      #expect(groups.map { $0["group"]?.string } == ["organisation", "person"])
      #expect(
        groups.reduce(0) { $0 + ($1["n"]?.double ?? 0) } == Double(totals.contracts)
          && groups.reduce(0) { $0 + ($1["ended"]?.double ?? 0) } == Double(totals.endedContracts))
      // Both kinds end alike in this company: 0.1 % of all seeds would say otherwise.
      #expect(try #require(result["log_rank"]?["probability"]?.double) > 0.001)
      let id = try #require(run["id"]?.string)
      let curve = try #require(try await server.ask("/v1/analytics/survival?run_id=\(id)")["data"]?.array)
      let first = try #require(curve.first { $0["ended"] != 0 })
      #expect(deviation(try #require(first["survival"]?.double), from: 1 - (first["ended"]?.double ?? 0) / (first["at_risk"]?.double ?? 1)) < 1e-12)
      let inBI = try await server.look("SELECT count(*), sum(ended) FROM bi.survival_curve WHERE run_id = \(UUID(uuidString: id)) AND subject = 'contracts'")[0]
      #expect(try inBI.decode(Int.self, at: 0) == curve.count && inBI.decode(Int.self, at: 1) == totals.endedContracts)
      let picture = try await server.send(.get, "/v1/charts/survival.svg?run_id=\(id)", headers: ["accept-language": "tr"])
      #expect(
        picture.status == 200 && picture.headers["content-type"]?.hasPrefix("image/svg+xml") == true && picture.text.contains("Sözleşmeler ne kadar sürüyor"))
      #expect(picture.text.hasPrefix("<svg ") && picture.text.hasSuffix("</svg>\n") && picture.text.contains("organisation"))
    }

    @Test("the curves of the latest twelve runs of a subject stay, and those of other subjects and departments with them")
    func kept() async throws {
      let (server, _) = try await SimulatedServer.suite()
      let question: JSON = ["subject": "contracts", "as_of": "2025-07-01T00:00:00Z"]
      func points(_ run: JSON) async throws -> Int {
        try await server.look("SELECT count(*) FROM crm.survival_point WHERE run_id = \(UUID(uuidString: run["id"]?.string ?? ""))")[0].decode(Int.self, at: 0)
      }
      let other = try await server.compute("/v1/analytics/survival/runs", ["subject": "customers", "as_of": "2025-07-01T00:00:00Z"])
      let first = try await server.compute("/v1/analytics/survival/runs", question)
      var second = first
      for number in 1...12 {
        let run = try await server.compute("/v1/analytics/survival/runs", question)
        if number == 1 { second = run }
      }
      #expect(try await points(first) == 0)
      #expect(try await points(second) > 0)
      #expect(try await points(other) > 0)
    }

    @Test("customers are lost after so many typical gaps; whoever came back was not")
    func customers() async throws {
      let (server, _) = try await SimulatedServer.suite()
      let strict = try await server.compute("/v1/analytics/survival/runs", ["subject": "customers", "as_of": "2025-07-01T00:00:00Z", "gaps": "2"])
      let patient = try await server.compute("/v1/analytics/survival/runs", ["subject": "customers", "as_of": "2025-07-01T00:00:00Z", "gaps": 6])
      func lost(_ run: JSON) throws -> Double { try #require(run["result"]?["groups"]?.array?.first?["ended"]?.double, "\(run)") }
      #expect(try lost(strict) > lost(patient) && lost(patient) > 0)
      #expect(strict["population"] == 2_000 && strict["result"]?["log_rank"] == .null)
      // By hand, for one customer.
      let life = try await server.look(
        """
        WITH d AS (SELECT o.customer_id, (o.ordered_at AT TIME ZONE 'UTC')::date AS day FROM crm.sales_order o GROUP BY 1, 2),
        one AS (SELECT customer_id FROM d GROUP BY 1 HAVING count(*) = 3 AND max(day) < '2024-09-01' ORDER BY 1 LIMIT 1)
        SELECT (SELECT array_agg(d.day ORDER BY d.day)::text FROM d JOIN one USING (customer_id)) AS days, l.days AS lasted, l.has_ended
          FROM analytics.customer_life('2025-07-01Z', 'UTC', NULL, 2) l JOIN one USING (customer_id)
        """)[0]
      let days = try life.decode(String.self, "days").dropFirst().dropLast().split(separator: ",").compactMap { text -> Int? in
        let parts = text.split(separator: "-").compactMap { Int($0) }
        return parts.count == 3 ? CalendarDay(year: parts[0], month: parts[1], dayOfMonth: parts[2]).day : nil
      }
      try #require(days.count == 3)
      let typical = Double(days[2] - days[0]) / 2
      let silent = days[2] + Int((2 * typical).rounded(.up))
      let end = CalendarDay(year: 2025, month: 7).day
      #expect(try life.decode(Bool.self, "has_ended") == (silent < end) && life.decode(Int.self, "lasted") == min(silent, end) - days[0])
    }

    @Test("sBG recovers how the simulated contracts end")
    func renewal() async throws {
      let (server, totals) = try await SimulatedServer.suite()
      let run = try await server.compute("/v1/analytics/renewal/runs", ["as_of": "2025-07-01T00:00:00Z"])
      let result = try #require(run["result"], "\(run)")
      #expect(run["population"] == .number(Decimal(totals.contracts)) && result["term_months"] == 1 && run["method"] == "sbg")
      let truth = SimulatedServer.plan.renewals
      for (name, value) in [("alpha", truth.alpha), ("beta", truth.beta)] {
        let error = try #require(result["standard_errors"]?[name]?.double)
        #expect(abs(log(try #require(result["parameters"]?[name]?.double) / value)) < 4 * error, "\(name)")
      }
      let first = try #require(result["terms"]?.array?.first)
      #expect(abs(try #require(first["retention"]?.double) - truth.beta / (truth.alpha + truth.beta)) < 0.05)
      #expect(abs(try #require(first["expected_retention"]?.double) - #require(first["retention"]?.double)) < 0.05)
    }

    @Test("nothing to count, too many groups and terms of several lengths are refused by name")
    func refusals() async throws {
      let (server, _) = try await SimulatedServer.suite()
      func code(_ path: String, _ input: JSON) async throws -> String? { try await server.compute(path, input)["problem"]?["code"]?.string }
      #expect(try await code("/v1/analytics/survival/runs", ["subject": "contracts", "as_of": "1999-01-01T00:00:00Z"]) == "empty-population")
      #expect(try await code("/v1/analytics/survival/runs", ["subject": "customers", "as_of": "1999-01-01T00:00:00Z"]) == "empty-population")
      #expect(try await code("/v1/analytics/renewal/runs", ["term_months": 60]) == "empty-population")
      let wrong = try await server.send(.post, "/v1/analytics/survival/runs", json: ["subject": "moons"], checked: false)
      #expect(wrong.status == 422 && wrong.text.contains("/subject"), "\(wrong.text)")

      let other = try await TestServer.start()
      try await Database(pool: other.database.app).transaction(as: .system("test")) { tx in
        try await tx.run(
          """
          INSERT INTO crm.customer (kind, name, profile, department_id)
          SELECT 'person', 'K' || i, jsonb_build_object('shoe', i::text), (SELECT id FROM crm.department ORDER BY code LIMIT 1) FROM generate_series(1, 21) i
          """)
        try await tx.run(
          """
          INSERT INTO crm.contract (customer_id, number, name, status, starts_on, term_months, activated_at, department_id)
          SELECT id, 'N-' || name, 'Bakım', 'active', '2024-01-01', CASE WHEN name = 'K1' THEN 12 ELSE 1 END, now(), department_id FROM crm.customer
          """)
      }
      let many = try await other.compute("/v1/analytics/survival/runs", ["subject": "contracts", "group_by": "profile", "member": "shoe"])
      #expect(many["problem"]?["code"] == "too-many-groups", "\(many)")
      #expect(try await other.compute("/v1/analytics/renewal/runs", [:])["problem"]?["code"] == "mixed-terms")
      // Nobody has ended: there is no telling when somebody would.
      #expect(try await other.compute("/v1/analytics/renewal/runs", ["term_months": 1])["problem"]?["code"] == "did-not-converge")
    }
  }
}
