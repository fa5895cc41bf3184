import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("True customer profit")
struct ProfitTests {
  private func decimal(_ json: JSON?) -> Decimal { json?.string.flatMap { Decimal(string: $0) } ?? -1 }

  @Test("is a statement that adds up: revenue, discounts, returns, product cost and what serving the customer costs, also by tier")
  func statement() async throws {
    let server = try await ShoppingYear.server()
    let fixture = ValueFixture(server: server)
    let model = try await fixture.model("for_profit")
    let values = try await fixture.values(model, try await fixture.done(model))
    let first = try #require(values.first { $0["name"] == "Household 1" }?["customer_id"]?.string)
    let path = "/v1/customers/\(first)/profit?as_of=\(ShoppingYear.asOf)"
    let plain = try await server.send(.get, path).json()
    #expect(
      plain["currency"] == "USD" && plain["data"]?["net_revenue"] == "2415.56" && plain["data"]?["product_cost"] == .null
        && plain["data"]?["profit"] == "2415.56", "\(plain)")

    try await Database(pool: server.database.worker).transaction(as: .system("test")) { tx in
      try await tx.run(
        "INSERT INTO crm.exchange_rate (from_currency, to_currency, on_day, rate) SELECT 'USD', 'TRY', d::date, 4 FROM generate_series('2016-12-31'::timestamp, '2018-01-10', '7 days') AS d"
      )
      // One product in all that household 1 bought gets a cost of 2 lira: 0.50 dollars.
      try await tx.run(
        """
        UPDATE crm.product SET cost = 2 WHERE id = (
          SELECT l.product_id FROM crm.sales_order_line AS l WHERE l.customer_id = \(UUID(uuidString: first)) GROUP BY l.product_id HAVING sum(l.quantity) > 0 ORDER BY sum(l.quantity), l.product_id LIMIT 1)
        """)
      try await tx.run(
        """
        INSERT INTO crm.activity (kind, subject, starts_at, ends_at, status, completed_at, customer_id, department_id)
        SELECT x.kind, 'x', x.starts_at, x.ends_at, 'completed', x.ends_at, c.id, c.department_id FROM crm.customer AS c CROSS JOIN (VALUES
          ('meeting', timestamptz '2017-03-03T10:00Z', timestamptz '2017-03-03T10:30Z'), ('call', timestamptz '2017-04-04T10:00Z', timestamptz '2017-04-04T10:06Z')) AS x (kind, starts_at, ends_at)
         WHERE c.id = \(UUID(uuidString: first))
        """)
      try await tx.run(
        """
        INSERT INTO crm.customer_observation (customer_id, kind, observed_at, value, currency, department_id)
        SELECT c.id, 'service_cost', '2017-05-05', 7, 'USD', c.department_id FROM crm.customer AS c WHERE c.id = \(UUID(uuidString: first))
        """)
    }
    let data = try #require(try await server.send(.get, path).json()["data"])
    // 1,200 lira an hour for half an hour, 900 for a tenth of one, at 4 lira a dollar; and 7 dollars observed.
    #expect(decimal(data["cost_to_serve"]) == Decimal(150) + Decimal(22.5) + 7, "\(data)")
    let units = try await Database(pool: server.database.worker).read(
      as: .system("test"),
      "SELECT sum(l.quantity) AS n FROM crm.sales_order_line AS l JOIN crm.product AS p ON p.id = l.product_id AND p.cost IS NOT NULL WHERE l.customer_id = \(UUID(uuidString: first))"
    )[0].decode(Decimal.self, "n")
    #expect(decimal(data["product_cost"]) == units / 2)
    #expect(decimal(data["gross_revenue"]) - decimal(data["discounts"]) - decimal(data["returns"]) == decimal(data["net_revenue"]))
    #expect(decimal(data["net_revenue"]) - decimal(data["product_cost"]) == decimal(data["margin"]))
    #expect(decimal(data["margin"]) - decimal(data["cost_to_serve"]) == decimal(data["profit"]))

    let tiers = try await fixture.rows("/v1/profit/tiers?model=for_profit&as_of=\(ShoppingYear.asOf)")
    #expect(tiers.compactMap { $0["tier"]?.string } == ["top", "big", "medium", "small"])
    #expect(tiers.reduce(0) { $0 + decimal($1["net_revenue"]) } == Decimal(string: "82864.48"))
    #expect(tiers.reduce(0) { $0 + decimal($1["cost_to_serve"]) } == decimal(data["cost_to_serve"]))

    let tiered = try await fixture.model("tiers_by_profit", keys: [ValueFixture.key("profit", "1")], ["pyramid": "zeithaml"])
    let run = try await fixture.done(tiered)
    let pyramid = try await fixture.rows("/v1/value_models/\(tiered)/pyramid?run_id=\(run)")
    #expect(
      pyramid.prefix(4).compactMap { $0["tier"]?.string } == ["platinum", "gold", "iron", "lead"]
        && pyramid.prefix(4).compactMap { $0["customers"]?.int } == [3, 7, 29, 9])
    #expect(try await server.send(.get, "/v1/customers/\(UUID())/profit").status == 404)
    #expect(try await server.send(.get, path, as: nil).status == 401)
  }
}
