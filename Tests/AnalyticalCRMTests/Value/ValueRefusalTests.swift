import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("What value models refuse, and say why")
struct ValueRefusalTests {
  private func create(_ keys: [JSON], _ more: [String: JSON] = [:]) async throws -> TestServer.Answer {
    let body: JSON = .object(["code": "refused", "name_en": "x", "name_tr": "x", "keys": .array(keys)].merging(more) { $1 })
    return try await ShoppingYear.suite().send(.post, "/v1/value_models", json: body)
  }

  @Test("an unknown metric names the nearest, a negative weight and no weight at all are refused, and so is a model without keys")
  func keys() async throws {
    let unknown = try await create([ValueFixture.key("revenu", "1"), ValueFixture.key("orders", "1")])
    #expect(unknown.status == 422 && unknown.text.contains("Did you mean \\\"revenue\\\"?") && unknown.text.contains("/keys/0/metric"), "\(unknown.text)")
    #expect(try await create([ValueFixture.key("revenue", "-1")]).status == 422)
    let weightless = try await create([ValueFixture.key("revenue", "0")])
    #expect(weightless.status == 422 && weightless.text.contains("no-weight"), "\(weightless.text)")
    #expect(try await create([]).status == 422)
    let pyramid = try await create([ValueFixture.key("revenue", "1")], ["pyramid": "cury"])
    #expect(pyramid.status == 422 && pyramid.text.contains("curry"), "\(pyramid.text)")
    let zone = try await create([ValueFixture.key("revenue", "1")], ["time_zone": "Mars/Olympus"])
    #expect(zone.status == 422, "\(zone.text)")
    #expect(try await create([ValueFixture.key("revenue", "1")], ["currency": "XQZ"]).status == 422)
  }

  @Test("a run without customers, or with a single one, fails with its reason; one in the future is not taken")
  func population() async throws {
    let fixture = ValueFixture(server: try await ShoppingYear.suite())
    let model = try await fixture.model("few")
    let nobody = try await fixture.run(model, asOf: "2016-01-01T00:00:00Z")
    #expect(nobody["status"] == "failed" && nobody["problem"]?["code"] == "empty-population", "\(nobody)")
    let first = try await Database(pool: fixture.server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      "SELECT to_char(min(ordered_at) + interval '1 second', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS at FROM crm.sales_order")[0].decode(
        String.self, "at")
    let single = try await fixture.run(model, asOf: first)
    #expect(single["problem"]?["code"] == "single-customer" && single["problem"]?["tr"]?.string?.isEmpty == false, "\(single)")
    let future = try await fixture.server.send(.post, "/v1/value_models/\(model)/run", json: ["as_of": "2999-01-01T00:00:00Z"])
    #expect(future.status == 422, "\(future.text)")
    #expect(try await fixture.server.send(.post, "/v1/value_models/\(UUID())/run", json: [:]).status == 404)
    #expect(try await fixture.server.send(.post, "/v1/value_models/\(model)/run", as: nil, json: [:]).status == 401)
  }

  @Test("a key on which everybody is equal adds nothing, and a note says so")
  func constantKey() async throws {
    let fixture = ValueFixture(server: try await ShoppingYear.suite())
    let model = try await fixture.model("constant", keys: [ValueFixture.key("revenue", "1"), ValueFixture.key("referrals", "1")])
    let run = try await fixture.run(model)
    #expect(run["result"]?["notes"]?.array?.first?["key"] == "referrals", "\(run)")
    let values = try await fixture.values(model, try #require(run["id"]?.string))
    #expect(values.first?["score"]?.double == 50 && values.last?["score"]?.double == 0)
  }

  @Test("purchases in several currencies need one to compare them in, and a rate of every day; then they are added up in it")
  func currencies() async throws {
    let server = try await ShoppingYear.server()
    let fixture = ValueFixture(server: server)
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run(
        """
        INSERT INTO crm.sales_order (customer_id, ordered_at, currency, amount, status, department_id)
        SELECT c.id, '2017-12-30T10:00:00Z', 'EUR', 100, 'completed', c.department_id FROM crm.customer AS c WHERE c.name = 'Household 1'
        """)
    }
    let mixed = try await fixture.run(try await fixture.model("mixed"))
    #expect(mixed["problem"]?["code"] == "mixed-currencies" && mixed["problem"]?["en"]?.string?.contains("EUR, USD") == true, "\(mixed)")
    let dollars = try await fixture.model("dollars", ["currency": "USD"])
    let unrated = try await fixture.run(dollars)
    #expect(unrated["problem"]?["code"] == "no-rate" && unrated["problem"]?["en"]?.string?.contains("EUR → USD (2017-12-30)") == true, "\(unrated)")
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run("INSERT INTO crm.exchange_rate (from_currency, to_currency, on_day, rate) VALUES ('EUR', 'USD', '2017-12-29', 1.2)")
    }
    let values = try await fixture.values(dollars, try await fixture.done(dollars))
    #expect(values.first { $0["name"] == "Household 1" }?["revenue"] == "2535.56")
  }
}
