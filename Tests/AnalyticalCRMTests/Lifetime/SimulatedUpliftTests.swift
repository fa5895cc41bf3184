import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

@testable import AnalyticalCRM

extension SimulatedCompanyTests {
  @Suite("Uplift of a simulated campaign")
  struct SimulatedUpliftTests {
    @Test("the intervals hold what the campaign truly did to buyers and to money, and the groups have the sizes that were promised")
    func truth() async throws {
      let (server, totals) = try await SimulatedServer.suite()
      let code = SimulatedCampaign.code(plan: SimulatedServer.plan)
      let id = try await server.look("SELECT id::text FROM crm.campaign WHERE code = \(code)")[0].decode(String.self, at: 0)
      // What would have been without the campaign is known here: who bought nothing but the purchase it brought would have bought nothing.
      let truth = try await server.look(
        """
        SELECT count(*) AS treated, count(*) FILTER (WHERE b.brought = b.bought AND b.brought > 0) AS moved, coalesce(sum(b.amount), 0)::float8 AS amount
          FROM crm.campaign AS c JOIN crm.campaign_member AS m ON m.campaign_id = c.id AND NOT m.held_out
         CROSS JOIN LATERAL (
           SELECT count(*) AS bought, count(*) FILTER (WHERE x.is_extra) AS brought, sum(x.amount) FILTER (WHERE x.is_extra) AS amount
             FROM (SELECT o.amount, o.id = encode(substr(sha256(convert_to(m.customer_id::text || c.id::text || 'order', 'UTF8')), 1, 16), 'hex')::uuid AS is_extra
                     FROM crm.sales_order AS o WHERE o.customer_id = m.customer_id AND o.ordered_at >= c.starts_on AND o.ordered_at < c.ends_on + 1) AS x) AS b
         WHERE c.code = \(code)
        """)[0]
      let treated = Double(try truth.decode(Int.self, "treated"))
      let (moved, amount) = (Double(try truth.decode(Int.self, "moved")), try truth.decode(Double.self, "amount"))
      #expect(Int(treated) == totals.campaign.members - totals.campaign.heldOut && abs(amount * 100 - Double(totals.campaign.extraCents)) < 0.5)
      let answer = try await server.ask("/v1/campaigns/\(id)/uplift?margin_percent=40&confidence=0.999", as: "elif")
      let arm = try #require(answer["data"]?.array?.first, "\(answer)")
      #expect(answer["sample_ratio"]?["mismatch"] == false && answer["withheld"] == .null && answer["n"]?.double == Double(totals.campaign.members))
      for name in ["wald", "newcombe"] {
        let interval = try #require(arm[name]?.array?.compactMap { $0.double })
        #expect(interval[0] < moved / treated && moved / treated < interval[1], "\(name) \(interval), true \(moved / treated)")
      }
      let money = try #require(arm["money_interval"]?.array?.compactMap { $0.double })
      #expect(money[0] < amount / treated && amount / treated < money[1], "\(money), true \(amount / treated)")
      let margin = try #require(arm["margin_interval"]?.array?.compactMap { $0.double })
      #expect(deviation(margin[1], from: 0.4 * money[1]) < 1e-9)
      // The incremental return is the margin that came more, less the cost, by the cost.
      let cost = try #require(arm["cost"]?.double)
      #expect(deviation(cost, from: 5_000 + 0.25 * treated) < 1e-9)
      let uplift = try #require(arm["money_uplift"]?.double)
      #expect(deviation(try #require(arm["incremental_roi"]?.double), from: (treated * uplift * 0.4 - cost) / cost) < 1e-6)
    }
  }
}
