import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Value models over the year of shopping")
struct ValueRunTests {
  @Test("reproduce score, rank and tier of every customer and the pyramid, as computed independently: scores to 1e-9, money to the cent")
  func expectedFigures() async throws {
    let fixture = ValueFixture(server: try await ShoppingYear.suite())
    let model = try await fixture.model("expected")
    let run = try await fixture.done(model)
    let expected = try ShoppingYear.expectedCustomers()
    let values = try await fixture.values(model, run)
    #expect(values.count == expected.count)
    for value in values {
      let name = try #require(value["name"]?.string)
      let wanted = try #require(expected[name])
      #expect(abs(try #require(value["score"]?.double) - (try #require(Double(wanted["score"] ?? "")))) < 1e-9, "\(name)")
      #expect(value["rank"]?.int == Int(wanted["rank"] ?? ""), "\(name): equal scores are ranked by id, which ascends as the households do")
      #expect(value["tier"]?.string == wanted["tier"], "\(name)")
      #expect(value["orders"]?.int == Int(wanted["orders"] ?? ""))
      #expect(value["revenue"]?.string.flatMap { Decimal(string: $0) } == Decimal(string: wanted["cents"] ?? "").map { $0 / 100 }, "\(name)")
    }
    let tiers = try #require(try ShoppingYear.expected()["pyramid"]?["tiers"]?.object)
    let pyramid = try await fixture.rows("/v1/value_models/\(model)/pyramid?run_id=\(run)")
    #expect(pyramid.compactMap { $0["tier"]?.string } == ["top", "big", "medium", "small", "inactive", "prospect", "suspect"])
    for tier in pyramid where tier["outside"] == false {
      let wanted = try #require(tiers[tier["tier"]?.string ?? ""])
      #expect(tier["customers"] == wanted["customers"])
      #expect(tier["revenue"]?.string.flatMap { Decimal(string: $0) }.map { $0 * 100 } == wanted["sales_cents"]?.double.map { Decimal($0) })
      #expect(abs(try #require(tier["revenue_share"]?.double) - (try #require(wanted["sales_share"]?.double))) < 1e-12)
      #expect(abs(try #require(tier["min_score"]?.double) - (try #require(wanted["min_score"]?.double))) < 1e-9)
      #expect(abs(try #require(tier["max_score"]?.double) - (try #require(wanted["max_score"]?.double))) < 1e-9)
    }
  }

  @Test("explain a customer's value: the contributions sum to the score, and a sentence says why in the language asked for")
  func explanation() async throws {
    let fixture = ValueFixture(server: try await ShoppingYear.suite())
    let model = try await fixture.model("explained")
    let run = try await fixture.done(model)
    let first = try #require(try await fixture.values(model, run).first { $0["name"] == "Household 1" })
    let id = try #require(first["customer_id"]?.string)
    let answer = try await fixture.server.send(.get, "/v1/customers/\(id)/value?model=explained")
    let json = try answer.json()
    #expect(json["n"]?.int == 48 && json["method"] == "weighted value keys" && json["model"] == "explained" && json["currency"] == "USD", "\(answer.text)")
    let data = try #require(json["data"])
    let keys = try #require(data["keys"]?.array)
    #expect(data["score"] == first["score"] && data["rank"] == first["rank"] && data["tier"] == first["tier"])
    #expect(abs(keys.compactMap { $0["contribution"]?.double }.reduce(0, +) - (try #require(data["score"]?.double))) < 1e-9)
    #expect(keys.compactMap { $0["key"]?.string } == ["revenue", "orders", "tenure", "recency", "product_breadth", "redemptions"])
    // As in the expected figures of household 1.
    #expect(keys.map { $0["raw"]?.double } == [2415.56, 51, 360, 2, 12, 5])
    let english = try #require(data["sentence"]?.string)
    #expect(english.hasPrefix("Number 9 of 48 (Medium), above all by revenue (2,415.56 USD, "), "\(english)")
    let turkish = try await fixture.server.send(.get, "/v1/customers/\(id)/value?model=explained", headers: ["accept-language": "tr"])
    #expect(
      try turkish.json()["data"]?["sentence"]?.string?.hasPrefix("48 müşteri arasında 9. sırada (Orta), en çok ciro (2.415,56 USD, ") == true, "\(turkish.text)"
    )
    #expect(try await fixture.server.send(.get, "/v1/customers/\(id)/value?model=nobody_knows_it").status == 404)
    #expect(try await fixture.server.send(.get, "/v1/customers/\(UUID())/value?model=explained").status == 404)
  }

  @Test("do not change when all coefficients are scaled, when keys are given in another order, or when the rows lie in another order")
  func invariance() async throws {
    let server = try await ShoppingYear.server()
    let fixture = ValueFixture(server: server)
    func scores(_ code: String, _ keys: [JSON]) async throws -> [[String: JSON]] {
      let model = try await fixture.model(code, keys: keys)
      return try await fixture.values(model, try await fixture.done(model)).map { row in
        [
          "customer_id": row["customer_id"] ?? .null, "tier": row["tier"] ?? .null, "rank": row["rank"] ?? .null,
          "score": .string(String((row["score"]?.double ?? -1) * 1e9 / 1e9).prefix(12).description),
        ]
      }
    }
    let plain = try await scores("plain", ValueFixture.keys)
    let scaled = ValueFixture.keys.map { key -> JSON in
      ValueFixture.key(key["metric"]?.string ?? "", "\(Decimal(string: key["coefficient"]?.string ?? "").map { $0 * 7 } ?? 0)")
    }
    #expect(try await scores("scaled", scaled) == plain)
    #expect(try await scores("turned", ValueFixture.keys.reversed()) == plain)
    let shuffle: [SQL] = [
      "CREATE INDEX shuffled ON crm.sales_order (md5(id::text))", "CLUSTER crm.sales_order USING shuffled",
      "CREATE INDEX shuffled_customer ON crm.customer (md5(id::text))",
      "CLUSTER crm.customer USING shuffled_customer",
    ]
    for statement in shuffle { _ = try await server.database.admin.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(60))) }
    #expect(try await scores("shuffled", ValueFixture.keys) == plain)
    #expect(Set(plain.compactMap { $0["customer_id"] }).count == 48 && plain.allSatisfy { ["top", "big", "medium", "small"].contains($0["tier"]?.string) })
  }

  @Test("normalise by min-max, clipped z and log within 0 and 1, turn keys where less is better, and cap")
  func normalisations() async throws {
    let fixture = ValueFixture(server: try await ShoppingYear.suite())
    for normalisation in ["min_max", "z_clipped", "log", "percent_rank"] {
      let model = try await fixture.model(
        "by_\(normalisation)",
        keys: [
          ValueFixture.key("revenue", "1", ["normalisation": .string(normalisation), "cap": "5000"]),
          ValueFixture.key("recency", "1", ["normalisation": .string(normalisation)]),
        ])
      let values = try await fixture.values(model, try await fixture.done(model))
      #expect(values.count == 48)
      var parts: [(revenue: Double, recency: Double, capped: Double, days: Double)] = []
      for value in values {
        let id = try #require(value["customer_id"]?.string)
        let keys = try #require(try await fixture.server.send(.get, "/v1/customers/\(id)/value?model=by_\(normalisation)").json()["data"]?["keys"]?.array)
        parts.append(
          (
            try #require(keys[0]["normalised"]?.double), try #require(keys[1]["normalised"]?.double), min(5000, try #require(keys[0]["raw"]?.double)),
            try #require(keys[1]["raw"]?.double)
          ))
      }
      #expect(parts.allSatisfy { (0...1).contains($0.revenue) && (0...1).contains($0.recency) })
      let byRevenue = parts.sorted { $0.capped < $1.capped }
      #expect(zip(byRevenue, byRevenue.dropFirst()).allSatisfy { $0.capped == $1.capped ? $0.revenue == $1.revenue : $0.revenue <= $1.revenue })
      let byDays = parts.sorted { $0.days > $1.days }
      #expect(zip(byDays, byDays.dropFirst()).allSatisfy { $0.recency <= $1.recency })
      let (least, most) = (try #require(byRevenue.first), try #require(byRevenue.last))
      switch normalisation {
      case "min_max":
        #expect(least.revenue == 0 && most.revenue == 1)
        let middle = byRevenue[20]
        #expect(abs(middle.revenue - (middle.capped - least.capped) / (most.capped - least.capped)) < 1e-12)
      case "log":
        let middle = byRevenue[20]
        #expect(abs(middle.revenue - log1p(middle.capped - least.capped) / log1p(most.capped - least.capped)) < 1e-12)
      case "z_clipped":
        let mean = parts.reduce(0) { $0 + $1.capped } / 48
        let deviation = (parts.reduce(0) { $0 + ($1.capped - mean) * ($1.capped - mean) } / 48).squareRoot()
        #expect(parts.allSatisfy { abs($0.revenue - (min(3, max(-3, ($0.capped - mean) / deviation)) + 3) / 6) < 1e-9 })
      default: break
      }
    }
  }
}
