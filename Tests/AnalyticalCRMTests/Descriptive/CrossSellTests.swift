import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Association rules and next best offers")
struct CrossSellTests {
  private static let rules = "/v1/analytics/association_rules"
  /// The rules that the expected figures are of: categories at the second level, in at least 5 % of all purchases.
  private static let question: JSON = ["as_of": .string(ShoppingYear.asOf), "level": 2, "min_support": "0.05", "max_length": 3]

  @Test("sets, rules and their figures are the ones computed independently")
  func shoppingYear() async throws {
    let server = try await ShoppingYear.suite()
    let expected = try #require(try ShoppingYear.expected()["association"]?["product_category"])
    let run = try await server.compute(Self.rules + "/runs", Self.question)
    let result = try #require(run["result"], "\(run)")
    #expect(run["status"] == "done" && run["population"] == expected["n_baskets"] && result["itemsets"] == expected["n_frequent_itemsets"])
    #expect(result["itemsets_by_length"] == expected["by_length"] && result["rules"] == expected["n_rules_lift_ge_1"] && result["currency"] == "USD")
    let id = try #require(run["id"]?.string)
    let answer = try await server.ask("\(Self.rules)?run_id=\(id)", as: "ayse")
    let rows = try #require(answer["data"]?.array)
    #expect(rows.count == 54 && answer["n"] == 2758 && answer["next_after"] == .null && answer["method"] == "association_rules_eclat")
    func names(_ side: JSON?) -> [String] { (side?.array ?? []).compactMap { $0["item"]?.string } }
    let pairs = rows.filter { names($0["antecedent"]).count == 1 && names($0["consequent"]).count == 1 }
    #expect(pairs.count == expected["n_pair_rules"]?.whole)
    for wanted in try #require(expected["top5_pair_by_lift"]?.array) {
      let row = try #require(pairs.first { names($0["antecedent"]) == [wanted["A"]?.string] && names($0["consequent"]) == [wanted["C"]?.string] }, "\(wanted)")
      #expect(row["antecedent_count"] == wanted["n_a"] && row["consequent_count"] == wanted["n_b"] && row["both_count"] == wanted["n_ab"])
      for figure in ["support", "confidence", "lift", "leverage", "conviction"] {
        #expect(isClose(row[figure]?.figure, wanted[figure]?.figure), "\(figure): \(row)")
      }
    }
    // The five best pairs by lift are the five best, and the list descends.
    let lifts = rows.compactMap { $0["lift"]?.figure }
    #expect(zip(lifts, lifts.dropFirst()).allSatisfy { $0 >= $1 } && rows.map { $0["position"]?.whole } == Array(1...54))
    // Pages are the same list in pieces, and one thing's rules are those with it on the left.
    let page = try await server.ask("\(Self.rules)?run_id=\(id)&limit=50")
    #expect(page["data"]?.array == Array(rows.prefix(50)) && page["next_after"] == 50)
    #expect(try await server.ask("\(Self.rules)?run_id=\(id)&limit=50&after=50")["data"]?.array == Array(rows.dropFirst(50)))
    let cheese = try #require(rows.first { names($0["antecedent"]) == ["CHEESE"] }?["antecedent"]?.array?.first?["item_id"]?.string)
    #expect(try await server.ask("\(Self.rules)?run_id=\(id)&item_id=\(cheese)")["data"]?.array == rows.filter { names($0["antecedent"]).contains("CHEESE") })
    let single = try await server.compute(
      Self.rules + "/runs", .object((Self.question.object ?? [:]).merging(["single_consequent": true, "min_confidence": "0.5"]) { $1 }))
    let kept = try #require(try await server.ask("\(Self.rules)?run_id=\(single["id"]?.string ?? "")")["data"]?.array)
    #expect(kept.count == rows.count { names($0["consequent"]).count == 1 && ($0["confidence"]?.figure ?? 0) >= 0.5 } && !kept.isEmpty)
    // Counts in SQL are those of the pairs too.
    let counted = try await Database(pool: server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      """
      SELECT count(*) AS pairs FROM (
        SELECT a.item_id, b.item_id FROM analytics.baskets(\(ShoppingYear.asOf)::timestamptz, NULL, NULL, 2) AS a
          JOIN analytics.baskets(\(ShoppingYear.asOf)::timestamptz, NULL, NULL, 2) AS b ON b.order_id = a.order_id AND b.item_id > a.item_id
         GROUP BY 1, 2 HAVING count(*) >= 138) AS frequent
      """)
    #expect(try counted[0].decode(Int.self, "pairs") == 21)
  }

  @Test("an offer names what speaks for it, is worth more than a contact, was not bought lately and can be delivered")
  func offers() async throws {
    let server = try await ShoppingYear.server()
    let customers = try #require(try await server.ask("/v1/customers?name=eq.Household%201151&select=id")["data"]?.array)
    let other = try #require(try await server.ask("/v1/customers?limit=1&select=id")["data"]?.array)
    let customer = try #require((customers + other).first?["id"]?.string)
    let path = "/v1/customers/\(customer)/next-offers?as_of=\(ShoppingYear.asOf)"
    let none = try await server.send(.get, path)
    #expect(none.status == 404 && none.problem == "no-run", "\(none.text)")
    let failed = try await server.compute("/v1/analytics/next_offers/runs", ["as_of": .string(ShoppingYear.asOf)])
    #expect(failed["status"] == "failed" && failed["problem"]?["code"] == "no-run")
    _ = try await server.compute(Self.rules + "/runs", Self.question)
    // Nothing has a known cost here, so nothing has a margin until somebody says which.
    #expect(try await server.ask(path + "&window_days=0")["data"] == [])
    let answer = try await server.ask(path + "&window_days=0&margin_percent=25&limit=100", as: "ayse")
    let offers = try #require(answer["data"]?.array)
    #expect(!offers.isEmpty && answer["n"] == 2758 && answer["currency"] == "USD")
    let scores = offers.compactMap { $0["score"]?.figure }
    #expect(
      scores.count == offers.count && zip(scores, scores.dropFirst()).allSatisfy { $0 >= $1 } && offers.map { $0["position"]?.whole } == Array(1...offers.count)
    )
    let rules = try #require(try await server.ask(Self.rules + "?limit=1000")["data"]?.array)
    for offer in offers {
      let because = try #require(offer["because_item"]?.string)
      #expect(offer["reason"] == .string("Because you bought \(because)."))
      // Every rule to the thing from something the customer owns is at most as good.
      let rule = try #require(
        rules.first {
          $0["antecedent"]?.array?.map { $0["item_id"] } == [offer["because_item_id"]] && $0["consequent"]?.array?.map { $0["item_id"] } == [offer["item_id"]]
        })
      #expect(rule["confidence"] == offer["confidence"] && (rule["lift"]?.figure ?? 0) >= 1.1)
      let margin = try #require(offer["margin"]?.string.flatMap(Double.init))
      #expect(isClose(offer["score"]?.figure, (offer["confidence"]?.figure ?? 0) * margin, 1e-3))
    }
    #expect(Set(offers.compactMap { $0["item_id"]?.string }).count == offers.count)
    let turkish = try await server.ask(path + "&window_days=0&margin_percent=25&limit=1", language: "tr")
    #expect(turkish["data"]?.array?.first?["reason"]?.string?.hasSuffix("aldığınız için.") == true)
    // What a contact costs is taken off, and what is not worth one is not offered.
    let best = try #require(scores.first)
    let costly = try #require(
      try await server.ask(path + "&window_days=0&margin_percent=25&limit=100&contact_cost=\((best * 1_000).rounded(.down) / 1_000 - 0.001)")["data"]?.array)
    #expect(!costly.isEmpty && costly.count <= offers.count && costly.allSatisfy { ($0["expected_value"]?.string.flatMap(Double.init) ?? 0) > 0 })
    #expect(try await server.ask(path + "&window_days=0&margin_percent=25&contact_cost=1000")["data"] == [])
    // Nothing that was bought in the whole year is offered with a window of a year.
    let owned = try await Database(pool: server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      "SELECT DISTINCT item_id FROM analytics.baskets(\(ShoppingYear.asOf)::timestamptz, NULL, NULL, 2) WHERE customer_id = \(UUID(uuidString: customer))")
    let had = Set(try owned.rows.map { try $0.decode(UUID.self, "item_id") })
    let fresh = try #require(try await server.ask(path + "&window_days=400&margin_percent=25&limit=100")["data"]?.array)
    #expect(fresh.allSatisfy { !had.contains($0["item_id"]?.string.flatMap(UUID.init(uuidString:)) ?? UUID()) })

    // Stored for everybody: the same offers, in BI too.
    let run = try await server.compute(
      "/v1/analytics/next_offers/runs", ["as_of": .string(ShoppingYear.asOf), "window_days": 0, "margin_percent": "25", "limit": 100])
    #expect(run["status"] == "done" && (run["population"]?.whole ?? 0) > 30, "\(run)")
    let stored = try await Database(pool: server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      "SELECT item_id FROM bi.customer_offers WHERE customer_id = \(UUID(uuidString: customer)) ORDER BY position")
    #expect(try stored.rows.map { try $0.decode(UUID.self, "item_id") } == offers.map { $0["item_id"]?.string.flatMap(UUID.init(uuidString:)) })

    // When every product of a category is gone from the catalogue, it is not offered any more.
    let gone = try #require(offers.first?["item_id"]?.string)
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run(
        "UPDATE crm.product SET active = false WHERE id IN (SELECT product_id FROM analytics.items(2) WHERE item_id = \(UUID(uuidString: gone)))")
    }
    let rest = try #require(try await server.ask(path + "&window_days=0&margin_percent=25&limit=100")["data"]?.array)
    #expect(rest.count == offers.count - 1 && !rest.contains { $0["item_id"]?.string == gone })
    let unknown = try await server.send(.get, "/v1/customers/00000000-0000-7000-8000-000000000000/next-offers")
    #expect(unknown.status == 404)
    #expect(try await server.send(.get, path, as: "emre").status == 403)
  }

  @Test("products out of stock are not offered, and known costs make the margin")
  func stockAndCost() async throws {
    let server = try await TestServer.start()
    // Three customers buy bread with butter, one only bread: everybody who has bread may be offered butter.
    let customer = try await bakery(server)
    _ = try await server.compute(Self.rules + "/runs", ["as_of": "2025-06-01T00:00:00Z", "min_support": "0.1", "min_lift": "0"])
    let path = "/v1/customers/\(customer)/next-offers?as_of=2025-06-01T00:00:00Z&min_lift=0"
    let offers = try #require(try await server.ask(path)["data"]?.array)
    // Butter brings 10 − 4 in each of three purchases; three of four who bought bread bought it.
    #expect(offers.count == 1 && offers[0]["item"] == "Butter" && offers[0]["because_item"] == "Bread", "\(offers)")
    #expect(offers.first?["margin"]?.string.flatMap(Double.init) == 6 && isClose(offers.first?["score"]?.figure, 4.5), "\(offers)")
    try await Database(pool: server.database.admin).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run("INSERT INTO crm.warehouse (code, name) VALUES ('w', 'Depo')")
      try await tx.run(
        "INSERT INTO crm.stock_level (warehouse_id, product_id, on_hand) SELECT w.id, p.id, 0 FROM crm.warehouse AS w, crm.product AS p WHERE p.name = 'Butter'"
      )
    }
    #expect(try await server.ask(path)["data"] == [])
    try await Database(pool: server.database.admin).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      _ = try await tx.run("UPDATE crm.stock_level SET on_hand = 5")
    }
    #expect(try await server.ask(path)["data"]?.array?.count == 1)
    // Whom a campaign reached ten days ago is left alone for a fortnight, when that is asked for.
    try await Database(pool: server.database.admin).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      try await tx.run(
        """
        WITH campaign AS (
          INSERT INTO crm.campaign (code, name, starts_on, ends_on, department_id) SELECT 'c', 'Mayıs', '2025-05-01', '2025-05-31', d.id FROM crm.department AS d LIMIT 1
          RETURNING id, department_id)
        INSERT INTO crm.campaign_touch (customer_id, campaign_id, channel, touched_at, department_id)
        SELECT \(UUID(uuidString: customer))::uuid, c.id, 'email', '2025-05-22T00:00:00Z', c.department_id FROM campaign AS c
        """)
    }
    let rested = try await server.ask(path + "&contact_gap_days=14")
    #expect(rested["data"] == [] && rested["note"]?.string?.contains("wait") == true)
    let asked = try await server.ask(path + "&contact_gap_days=7")
    #expect(asked["data"]?.array?.count == 1 && asked["note"] == .null)
  }

  @Test("offers follow the policy of the customer's cell, and on a channel that needs consent go only to whom a message may go")
  func policy() async throws {
    let server = try await TestServer.start()
    let customer = try await bakery(server)
    _ = try await server.compute(Self.rules + "/runs", ["as_of": "2025-06-01T00:00:00Z", "min_support": "0.1", "min_lift": "0"])
    let path = "/v1/customers/\(customer)/next-offers?as_of=2025-06-01T00:00:00Z&min_lift=0"
    func offers(_ more: String = "") async throws -> JSON { try await server.ask(path + more) }
    func behind(_ statement: SQL) async throws {
      _ = try await server.database.admin.execute([statement], context: PostgresPool.Context(readOnly: false), deadline: .after(.seconds(120)))
    }
    let free = try await offers()
    #expect(free["data"]?.array?.count == 1 && free["data"]?.array?.first?["channel"] == .null, "\(free)")

    // Without an address there is nobody to write to; with one, it takes consent.
    let addressless = try await offers("&channel=email")
    #expect(addressless["data"] == [] && addressless["note"]?.string?.contains("No message may go") == true, "\(addressless)")
    let point = try await server.send(.post, "/v1/contact_points", json: ["customer_id": .string(customer), "kind": "email", "value": "alici@ornek.example"])
    #expect(point.status == 201, "\(point.text)")
    #expect(try await offers("&channel=email")["data"] == [])
    let consent = try await server.send(
      .post, "/v1/consent_events",
      json: [
        "customer_id": .string(customer), "channel": "email", "address": "alici@ornek.example", "status": "ONAY", "source": "HS_WEB",
        "consented_at": "2025-05-02T10:00:00Z",
      ])
    #expect(consent.status == 201, "\(consent.text)")
    let allowed = try await offers("&channel=email")
    #expect(allowed["data"]?.array?.first?["channel"] == "email" && allowed["note"] == .null, "\(allowed)")
    #expect(try await offers("&channel=sms")["data"] == [])
    #expect(try await offers("&channel=visit")["data"]?.array?.count == 1)

    // The cell says: by e-mail, a tenth off at most, a month between contacts.
    try await behind("INSERT INTO crm.grid (code, name, bands, groups, steers) VALUES ('cells', 'Hücreler', '{}', '{}', true)")
    try await behind(
      """
      INSERT INTO crm.grid_cell (grid_id, band, "group", strategy, discount_cap_percent, contact_cadence_days, channel)
      SELECT g.id, 'top', 'all', 'keep', 10, 30, 'email' FROM crm.grid AS g
      """)
    try await behind(
      """
      INSERT INTO crm.customer_cell (grid_id, cell_id, customer_id, entered_at)
      SELECT c.grid_id, c.id, \(UUID(uuidString: customer)), '2025-05-01' FROM crm.grid_cell AS c
      """)
    let steered = try await offers()
    let offer = try #require(steered["data"]?.array?.first, "\(steered)")
    #expect(offer["channel"] == "email" && offer["discount_cap_percent"]?.string.flatMap(Double.init) == 10)
    #expect(try await offers("&ignore_policy=true")["data"]?.array?.first?["discount_cap_percent"] == .null)
    let run = try await server.compute("/v1/analytics/next_offers/runs", ["as_of": "2025-06-01T00:00:00Z", "min_lift": "0"])
    #expect(run["status"] == "done", "\(run)")
    let stored = try await Database(pool: server.database.worker).read(
      as: .system("test"), deadline: .after(.seconds(120)),
      "SELECT channel, discount_cap_percent::text AS cap FROM bi.customer_offers WHERE customer_id = \(UUID(uuidString: customer))")
    #expect(try stored[0].decode(String.self, "channel") == "email" && stored[0].decode(String.self, "cap") == "10.00")
    // The others have no cell and no channel: they are in the run as well.
    try await behind(
      """
      INSERT INTO crm.activity (kind, subject, starts_at, status, completed_at, customer_id, department_id)
      SELECT 'call', 'x', '2025-05-20T10:00Z', 'completed', '2025-05-20T10:00Z', c.id, c.department_id FROM crm.customer AS c WHERE c.id = \(UUID(uuidString: customer))
      """)
    let rested = try await offers()
    #expect(rested["data"] == [] && rested["note"]?.string?.contains("wait for the next one") == true, "\(rested)")
    try await behind("UPDATE crm.grid_cell SET contact_cadence_days = 7")
    #expect(try await offers()["data"]?.array?.count == 1)
    try await behind("UPDATE crm.grid_cell SET strategy = 'let_go'")
    let left = try await server.ask(path, language: "tr")
    #expect(left["data"] == [] && left["note"]?.string?.contains("bırakmak") == true, "\(left)")
  }

  private func bought(_ number: Int) -> [String] { number < 4 ? ["Bread", "Butter"] : ["Bread"] }

  /// Four orders in lira: three of bread and butter, one of bread alone by the customer whose id is the answer. Butter costs 4, bread's cost is unknown.
  private func bakery(_ server: TestServer) async throws -> String {
    var ids: [String: JSON] = [:]
    for name in ["Bread", "Butter"] {
      let made = try await server.send(.post, "/v1/products", json: ["sku": .string(name), "name": .string(name)])
      ids[name] = try made.json()["id"]
    }
    try await Database(pool: server.database.worker).transaction(as: .system("test"), deadline: .after(.seconds(120))) { tx in
      _ = try await tx.run("UPDATE crm.product SET cost = 4 WHERE name = 'Butter'")
    }
    var last = ""
    for number in 1...4 {
      let customer = try await server.send(.post, "/v1/customers", json: ["kind": "person", "name": .string("Alıcı \(number)")])
      let id = try #require(try customer.json()["id"], "\(customer.text)")
      let order = try await server.send(
        .post, "/v1/orders", json: ["customer_id": id, "ordered_at": "2025-05-01T12:00:00Z", "currency": "TRY", "channel": "store", "status": "completed"])
      for (position, name) in bought(number).enumerated() {
        let line = try await server.send(
          .post, "/v1/order_lines",
          json: [
            "customer_id": id, "order_id": try #require(try order.json()["id"], "\(order.text)"), "line_number": .number(Decimal(position + 1)),
            "product_id": ids[name] ?? .null,
            "quantity": "1", "amount": "10",
          ])
        try #require(line.status == 201, "\(line.text)")
      }
      last = id.string ?? ""
    }
    return last
  }

  @Test("rules that cannot be asked for are refused by name")
  func refusals() async throws {
    let server = try await TestServer.suite()
    for body: JSON in [
      ["min_support": "-0.1"], ["min_support": "0"], ["min_support": "1.1"], ["min_confidence": "-1"], ["min_lift": "-1"], ["max_length": 1], ["level": 0],
      ["as_of": "2999-01-01T00:00:00Z"],
      ["since": "2025-01-01T00:00:00Z", "as_of": "2024-01-01T00:00:00Z"],
    ] {
      let answer = try await server.send(.post, Self.rules + "/runs", json: body, checked: false)
      #expect(answer.status == 422 && answer.problem == "invalid-fields", "\(body): \(answer.text)")
    }
    let empty = try await server.compute(Self.rules + "/runs", [:])
    #expect(empty["status"] == "failed" && empty["problem"]?["code"] == "empty-population", "\(empty)")
    #expect(try await server.send(.get, Self.rules).problem == "no-run")
    #expect(try await server.send(.get, Self.rules, as: "mehmet").status == 403)
    #expect(try await server.send(.post, Self.rules + "/runs", as: "ayse", json: [:]).status == 403)
    #expect(try await server.send(.post, "/v1/analytics/next_offers/runs", as: "ayse", json: [:]).status == 403)
    for query in ["margin_percent=101", "contact_cost=-1", "window_days=-1", "limit=0"] {
      let answer = try await server.send(.get, "/v1/customers/00000000-0000-7000-8000-000000000000/next-offers?\(query)", checked: false)
      #expect(answer.status == 400 && answer.problem == "bad-parameter", "\(query): \(answer.text)")
    }
  }
}
