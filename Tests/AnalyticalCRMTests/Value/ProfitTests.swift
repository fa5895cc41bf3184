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

    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
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
      as: .system("test"), deadline: .after(.seconds(120)),
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

    // Touches of campaigns count by what they cost, or else by the rate of their channel; segments by who is in them.
    try await Database(pool: server.database.admin).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run("INSERT INTO crm.service_rate (kind, per, amount, currency, valid_from) VALUES ('touch.email', 'piece', 4, 'TRY', '2017-01-01')")
      try await tx.run(
        """
        WITH campaign AS (
          INSERT INTO crm.campaign (code, name, starts_on, ends_on, department_id) SELECT 'c', 'Mart', '2017-03-01', '2017-03-31', d.id FROM crm.department AS d LIMIT 1
          RETURNING id, department_id)
        INSERT INTO crm.campaign_touch (customer_id, campaign_id, channel, touched_at, cost, currency, department_id)
        SELECT \(UUID(uuidString: first)), c.id, t.channel, t.at, t.cost, 'USD', c.department_id FROM campaign AS c CROSS JOIN (VALUES
          ('email', timestamptz '2017-03-02T10:00Z', 0), ('post', timestamptz '2017-03-03T10:00Z', 2.5), ('web', timestamptz '2017-03-04T10:00Z', 0)) AS t (channel, at, cost)
        """)
    }
    let touched = try #require(try await server.send(.get, path).json()["data"])
    // One dollar by the rate, two and a half as noted; the third is free, and none of them is a contact.
    #expect(decimal(touched["cost_to_serve"]) == decimal(data["cost_to_serve"]) + Decimal(3.5) && touched["unpriced_contacts"] == 0, "\(touched)")
    let made = try await server.send(
      .post, "/v1/segments", json: ["code": "big_two", "name": "Büyük ikisi", "kind": "static"])
    #expect(made.status == 201, "\(made.text)")
    let two = values.prefix(2).compactMap { $0["customer_id"]?.string }
    let put = try await server.send(
      .post, "/v1/segments/\(try made.json()["id"]?.string ?? "")/members", json: ["customer_ids": .array(two.map(JSON.string))])
    #expect(put.status == 200, "\(put.text)")
    let segments = try await server.send(.get, "/v1/profit/segments?as_of=\(ShoppingYear.asOf)&segment=big_two").json()
    let segment = try #require(segments["data"]?.array?.first, "\(segments)")
    var statements: [JSON] = []
    for id in two { statements.append(try #require(try await server.send(.get, "/v1/customers/\(id)/profit?as_of=\(ShoppingYear.asOf)").json()["data"])) }
    for member in ["gross_revenue", "discounts", "returns", "net_revenue", "margin", "cost_to_serve", "profit"] {
      #expect(decimal(segment[member]) == statements.reduce(0) { $0 + decimal($1[member]) }, "\(member): \(segment)")
    }
    #expect(segment["members"] == 2 && segment["customers"] == 2 && segments["n"] == 2 && segments["currency"] == "USD")
    #expect(try await fixture.rows("/v1/profit/segments?as_of=\(ShoppingYear.asOf)").contains { $0["segment"] == "big_two" })
    #expect(try await server.send(.get, "/v1/profit/segments?segment=none_such").status == 404)
    #expect(try await server.send(.get, "/v1/profit/segments", as: "mehmet").status == 403)

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
