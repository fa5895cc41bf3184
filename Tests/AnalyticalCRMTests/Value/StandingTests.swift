import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Where customers stand")
struct StandingTests {
  private struct Standing: Equatable, Sendable {
    let score: Double?
    let rank: Int?
    let tier: String
    let parts: [Double]
  }

  private func standings(_ server: TestServer, _ model: String) async throws -> [UUID: Standing] {
    let rows = try await Database(pool: server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      """
      SELECT s.customer_id, s.score, s.rank, s.tier, coalesce(s.contribution, v.contribution) AS parts FROM crm.customer_standing AS s
        LEFT JOIN crm.customer_value AS v ON v.run_id = s.run_id AND v.customer_id = s.customer_id WHERE s.model_id = \(UUID(uuidString: model))
      """
    ).rows
    return Dictionary(
      uniqueKeysWithValues: try rows.map {
        (
          try $0.decode(UUID.self, "customer_id"),
          Standing(score: try $0.decode("score"), rank: try $0.decode("rank"), tier: try $0.decode("tier"), parts: try $0.decode([Double]?.self, "parts") ?? [])
        )
      })
  }

  private func refresh(_ server: TestServer, _ customers: [UUID], asOf: String) async throws {
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run("SELECT crm.refresh_standing(\(customers)::uuid[], \(asOf)::timestamptz)")
    }
  }

  @Test("a refresh of everybody as of the run changes nothing: same scores to the last bit, ranks, tiers and parts, for every metric and normalisation")
  func refreshEqualsRun() async throws {
    let server = try await ShoppingYear.server()
    let fixture = ValueFixture(server: server)
    let metrics = [
      "revenue", "margin", "orders", "average_order", "tenure", "recency", "intensity", "product_breadth", "discounts", "returns", "referrals",
      "referred_revenue", "cost_to_serve",
      "contacts", "profit", "payment_delay", "redemptions", "satisfaction",
    ]
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run("UPDATE crm.product SET cost = 0.5 WHERE sku LIKE '%7'")
      try await tx.run(
        "UPDATE crm.customer AS c SET referred_by_id = (SELECT x.id FROM crm.customer AS x WHERE x.name = 'Household 1') WHERE c.name LIKE 'Household %51'")
      try await tx.run(
        "INSERT INTO crm.exchange_rate (from_currency, to_currency, on_day, rate) SELECT 'USD', 'TRY', d::date, 3.6 FROM generate_series('2016-12-31'::timestamp, '2018-01-10', '7 days') AS d"
      )
      try await tx.run(
        "INSERT INTO crm.customer_observation (customer_id, kind, observed_at, value, department_id) SELECT c.id, 'satisfaction', '2017-05-05', length(c.name), c.department_id FROM crm.customer AS c WHERE c.name LIKE '%1'"
      )
    }
    let normalisations = ["percent_rank", "min_max", "z_clipped", "log"]
    let keys = metrics.enumerated().map { ValueFixture.key($1, "\($0 + 1)", ["normalisation": .string(normalisations[$0 % 4])]) }
    let model = try await fixture.model("every_metric", keys: keys)
    _ = try await fixture.done(model)
    let before = try await standings(server, model)
    #expect(before.count == 48)
    try await refresh(server, Array(before.keys), asOf: ShoppingYear.asOf)
    let after = try await standings(server, model)
    for (id, standing) in before { #expect(after[id] == standing) }
  }

  @Test("a new order moves its customer alone, at once; the history keeps one tier at a time; a customer who fell out is inactive")
  func follows() async throws {
    let server = try await ShoppingYear.server()
    let fixture = ValueFixture(server: server)
    let model = try await fixture.model("live", ["active_days": 60])
    _ = try await fixture.done(model)
    let before = try await standings(server, model)
    let rows = try await fixture.rows("/v1/value_models/\(model)/customers?limit=1000")
    let moved = try #require(rows.first { $0["tier"] == "small" }?["customer_id"]?.string.flatMap(UUID.init(uuidString:)))
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run(
        """
        INSERT INTO crm.sales_order (customer_id, ordered_at, currency, amount, status, department_id)
        SELECT c.id, '2018-01-02T10:00:00Z', 'USD', 90000, 'completed', c.department_id FROM crm.customer AS c WHERE c.id = \(moved)
        """)
    }
    try await refresh(server, [moved], asOf: "2018-01-02T12:00:00Z")
    var after = try await standings(server, model)
    let (old, new) = (try #require(before[moved]), try #require(after[moved]))
    #expect((new.score ?? 0) > (old.score ?? 0) && new.tier != old.tier && (new.rank ?? 0) < (old.rank ?? 0))
    after[moved] = old
    #expect(after == before)
    let history = try await fixture.rows("/v1/customers/\(moved)/tiers?model=live")
    #expect(
      history.compactMap { $0["tier"]?.string } == [new.tier, old.tier] && history[0]["valid_until"] == .null
        && history[1]["valid_until"] == history[0]["valid_from"])
    let explained = try await server.send(.get, "/v1/customers/\(moved)/value?model=live").json()
    #expect(explained["data"]?["score"]?.double == new.score && explained["as_of"]?.string?.hasPrefix("2018-01-02T12:00:00") == true, "\(explained)")

    try await refresh(server, [moved], asOf: "2018-06-01T00:00:00Z")
    #expect(try await standings(server, model)[moved]?.tier == "inactive")
    let value = try await server.send(.get, "/v1/customers/\(moved)/value?model=live", headers: ["accept-language": "tr"]).json()
    #expect(
      value["data"]?["group"] == "inactive" && value["data"]?["score"] == .null && value["data"]?["sentence"]?.string?.contains("puanı yok") == true, "\(value)"
    )
    let overlapping = try await Database(pool: server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      """
      SELECT count(*) AS n FROM crm.customer_tier_history AS a JOIN crm.customer_tier_history AS b ON a.customer_id = b.customer_id AND a.model_id = b.model_id AND a.valid_from < b.valid_from
       WHERE a.valid_until IS NULL OR a.valid_until > b.valid_from
      """)[0].decode(Int.self, "n")
    #expect(overlapping == 0)
  }

  @Test("hysteresis keeps customers where they were until the margin is crossed and the time is over")
  func hysteresis() async throws {
    let server = try await ShoppingYear.server()
    let fixture = ValueFixture(server: server)
    let free = try await fixture.model("free")
    let staying = try await fixture.model("staying", ["stay_days": 365])
    let wide = try await fixture.model("wide", ["stay_margin": "100"])
    let (old, new) = ("2017-07-01T00:00:00Z", ShoppingYear.asOf)
    var tiers: [String: [[String: String]]] = [:]
    for model in [free, staying, wide] {
      for asOf in [old, new] {
        let values = try await fixture.values(model, try await fixture.done(model, asOf: asOf))
        tiers[model, default: []].append(Dictionary(uniqueKeysWithValues: values.map { ($0["customer_id"]?.string ?? "", $0["tier"]?.string ?? "") }))
      }
    }
    let moved = { (model: String) in
      guard let found = tiers[model], found.count == 2 else { return -1 }
      return found[0].count { found[1][$0.key] != nil && found[1][$0.key] != $0.value }
    }
    #expect(moved(free) > 0 && moved(staying) == 0 && moved(wide) == 0)
    #expect(tiers[staying]?[1].count == 48)
  }

  @Test("a run as of an earlier instant is there to be compared and moves nobody")
  func earlierRun() async throws {
    let server = try await ShoppingYear.server()
    let fixture = ValueFixture(server: server)
    let model = try await fixture.model("earlier")
    let late = try await fixture.done(model)
    let before = try await standings(server, model)
    let early = try await fixture.done(model, asOf: "2017-07-01T00:00:00Z")
    #expect(try await standings(server, model) == before)

    let cells = try await fixture.rows("/v1/value_models/\(model)/compare?from=\(early)&to=\(late)")
    let (was, now) = (try await fixture.values(model, early), try await fixture.values(model, late))
    #expect(cells.filter { $0["movement"] != "new" }.compactMap { $0["customers"]?.int }.reduce(0, +) == was.count)
    #expect(cells.filter { $0["movement"] != "lost" }.compactMap { $0["customers"]?.int }.reduce(0, +) == now.count)
    let revenue = { (rows: [JSON], name: String) in rows.compactMap { $0[name]?.string.flatMap { Decimal(string: $0) } }.reduce(0, +) }
    #expect(revenue(cells, "from_revenue") == revenue(was, "revenue") && revenue(cells, "to_revenue") == revenue(now, "revenue"))
    for cell in cells {
      let (from, to) = (cell["from_tier"]?.string ?? "", cell["to_tier"]?.string ?? "")
      let customers = try await fixture.rows("/v1/value_models/\(model)/compare/customers?from=\(early)&to=\(late)&from_tier=\(from)&to_tier=\(to)")
      #expect(customers.count == cell["customers"]?.int && customers.allSatisfy { $0["movement"] == cell["movement"] }, "\(from) → \(to)")
    }
    #expect(try await server.send(.get, "/v1/value_models/\(model)/compare?from=\(UUID())&to=\(late)").status == 404)

    for path in ["/v1/charts/pyramid.svg?run_id=\(late)", "/v1/charts/migration.svg?from=\(early)&to=\(late)"] {
      let picture = try await server.send(.get, path, headers: ["accept-language": "tr"])
      #expect(picture.status == 200 && picture.text.hasPrefix("<svg ") && picture.text.contains("lang=\"tr\""), "\(picture.text)")
    }
    let pyramid = try await server.send(.get, "/v1/charts/pyramid.svg?run_id=\(late)")
    #expect(pyramid.text.contains("<desc id=\"description\">Top: 1 customers, 9,934.21 USD revenue (12.0 %)"), "\(pyramid.text)")
  }

  @Test("a simulation says what a run with those coefficients finds, and saves nothing")
  func simulation() async throws {
    let server = try await ShoppingYear.server()
    let fixture = ValueFixture(server: server)
    let model = try await fixture.model("simulated")
    let run = try await fixture.done(model)
    let same = try await server.send(.post, "/v1/value_models/\(model)/simulate", json: ["coefficients": [["metric": "revenue", "coefficient": "0.45"]]])
    #expect(try same.json()["data"]?["changed"] == 0, "\(same.text)")
    let other = try await server.send(
      .post, "/v1/value_models/\(model)/simulate", json: ["coefficients": [["metric": "revenue", "coefficient": 0], ["metric": "recency", "coefficient": 5]]])
    let data = try #require(try other.json()["data"])
    #expect((data["changed"]?.int ?? 0) > 0 && data["up"]?.int == data["down"]?.int.map { _ in data["up"]?.int ?? -1 })
    #expect(try await server.send(.get, "/v1/analysis_runs?kind=eq.value").json()["data"]?.array?.count == 1)

    let revised = try await server.send(
      .post, "/v1/value_models/\(model)/revise",
      json: [
        "keys": .array(
          ValueFixture.keys.map { key in
            switch key["metric"]?.string {
            case "revenue": ValueFixture.key("revenue", "0")
            case "recency": ValueFixture.key("recency", "5")
            default: key
            }
          })
      ])
    #expect(try revised.json()["revision"] == 2, "\(revised.text)")
    let next = try #require(try revised.json()["id"]?.string)
    let found = try await fixture.values(next, try await fixture.done(next))
    let was = Dictionary(uniqueKeysWithValues: try await fixture.values(model, run).map { ($0["customer_id"]?.string ?? "", $0["tier"]?.string ?? "") })
    let changed = found.filter { was[$0["customer_id"]?.string ?? ""] != $0["tier"]?.string }
    let listed = try #require(data["customers"]?.array)
    #expect(
      Set(listed.compactMap { $0["customer_id"]?.string }) == Set(changed.compactMap { $0["customer_id"]?.string }) && data["changed"]?.int == changed.count)
    for customer in listed {
      let value = try #require(found.first { $0["customer_id"] == customer["customer_id"] })
      #expect(value["tier"] == customer["to"])
      #expect(abs((value["score"]?.double ?? -1) - (customer["new_score"]?.double ?? -2)) < 1e-9)
    }
    let unknown = try await server.send(.post, "/v1/value_models/\(model)/simulate", json: ["coefficients": [["metric": "order", "coefficient": 1]]])
    #expect(unknown.status == 422 && unknown.text.contains("orders"), "\(unknown.text)")
  }
}
