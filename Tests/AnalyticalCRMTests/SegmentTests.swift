import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// Expected figures are computed from the year of shopping apart from the service (`ShoppingYear.expectedCustomers`).
@Suite struct SegmentTests {
  private func made(_ server: TestServer, _ code: String, _ definition: JSON, kind: String = "dynamic") async throws -> String {
    let answer = try await server.send(
      .post, "/v1/segments", json: ["code": .string(code), "name": .string("Segment \(code)"), "kind": .string(kind), "definition": definition])
    try #require(answer.status == 201, "\(answer.text)")
    return try #require(try answer.json()["id"]?.string)
  }

  private func names(_ server: TestServer, _ id: String, _ query: String = "") async throws -> Set<String> {
    let answer = try await server.send(.get, "/v1/segments/\(id)/members?limit=1000\(query)")
    try #require(answer.status == 200, "\(answer.text)")
    return Set(try answer.json()["data"]?.array?.compactMap { $0["name"]?.string } ?? [])
  }

  private func count(_ server: TestServer, _ definition: JSON, as person: String = "deniz") async throws -> Int {
    let answer = try await server.send(.post, "/v1/segments/preview", as: person, json: ["definition": definition, "as_of": .string(ShoppingYear.asOf)])
    try #require(answer.status == 200, "\(answer.text)")
    return try #require(try answer.json()["customers"]).count
  }

  @Test func `metrics in a rule are the figures computed independently`() async throws {
    let server = try await ShoppingYear.suite()
    let expected = try ShoppingYear.expectedCustomers().values
    func number(_ row: [String: String], _ name: String) -> Double { Double(row[name] ?? "") ?? 0 }
    for least in ["1000", "2500.50", "0"] {
      let wanted = expected.count { number($0, "cents") / 100 >= Double(least) ?? 0 }
      #expect(try await count(server, ["metric": "revenue", "op": "gte", "value": .string(least)]) == wanted)
    }
    for days in [3, 10, 40] {
      #expect(
        try await count(server, ["metric": "recency", "op": "lte", "value": .number(Decimal(days))])
          == expected.count { number($0, "recency_days") <= Double(days) })
    }
    #expect(try await count(server, ["metric": "orders", "op": "gt", "value": "60"]) == expected.count { number($0, "orders") > 60 })
    #expect(try await count(server, ["metric": "redemptions", "op": "gte", "value": "1"]) == expected.count { number($0, "redemptions") >= 1 })
    #expect(try await count(server, ["metric": "product_breadth", "op": "gte", "value": "12"]) == expected.count { number($0, "departments") >= 12 })
    #expect(
      try await count(server, ["or": [["metric": "orders", "op": "gt", "value": "60"], ["not": ["metric": "recency", "op": "lte", "value": "10"]]]])
        == expected.count { number($0, "orders") > 60 || number($0, "recency_days") > 10 })
    // A metric and a count of the same orders agree, and nobody is left out by an empty window.
    #expect(
      try await count(server, ["events": "orders", "where": ["status": ["ne": "cancelled"]], "op": "gt", "value": "60"])
        == expected.count { number($0, "orders") > 60 })
    #expect(try await count(server, ["metric": "orders", "window_days": 1, "op": "gte", "value": "0"]) == expected.count)
    #expect(try await count(server, [:]) == expected.count)
  }

  @Test func `what a source brought as profile is a field like others, in rules and in queries`() async throws {
    let server = try await ShoppingYear.suite()
    let known = try await server.database.admin.execute(
      [
        "SELECT count(*), count(*) FILTER (WHERE profile ->> 'income' = '35-49K'), count(*) FILTER (WHERE profile ->> 'income' = '35-49K' AND profile ->> 'age' IS NOT NULL) FROM crm.customer"
      ], context: .init(readOnly: true), deadline: .after(.seconds(120)))
    let (all, some) = (try known[0][0].decode(Int.self, at: 0), try known[0][0].decode(Int.self, at: 1))
    #expect(some > 0 && all > some)
    #expect(try await count(server, ["profile.income": "35-49K"]) == some)
    #expect(try await count(server, ["not": ["profile.income": ["35-49K"]]]) == all - some)
    #expect(
      try await count(server, ["and": [["profile.income": "35-49K"], ["profile.age": ["is": "not_null"]], ["metric": "orders", "op": "gte", "value": "0"]]])
        == known[0][0].decode(Int.self, at: 2))
    #expect(try await count(server, ["profile.no_such": ["is": "not_null"]]) == 0)
    let listed = try await server.send(.get, "/v1/customers?profile.income=eq.35-49K&limit=100&order=profile.income")
    try #require(listed.status == 200, "\(listed.text)")
    #expect(try listed.json()["data"]?.array?.count == some)
    let orders = try await server.send(.get, "/v1/orders?customer.profile.income=eq.35-49K&limit=1")
    try #require(orders.status == 200, "\(orders.text)")
    #expect(try orders.json()["data"]?.array?.count == 1)
  }

  @Test func `a window counts what lies in it and nothing else`() async throws {
    let server = try await ShoppingYear.suite()
    let behind = try await server.database.admin.execute(
      [
        "SELECT count(*) FROM (SELECT customer_id FROM crm.sales_order WHERE ordered_at >= timestamptz '2018-01-02Z' - interval '30 days' AND ordered_at < '2018-01-02Z' GROUP BY 1 HAVING sum(amount) >= 200) x"
      ],
      context: .init(readOnly: true), deadline: .after(.seconds(120)))
    #expect(try await count(server, ["metric": "revenue", "window_days": 30, "op": "gte", "value": "200"]) == behind[0][0].decode(Int.self, at: 0))
  }

  @Test func `a dynamic segment has its members at once, explains each, and shows names only to whom may see them`() async throws {
    let server = try await ShoppingYear.server()
    let id = try await made(server, "big_baskets", ["and": [["kind": "person"], ["metric": "orders", "op": "gte", "value": 100]]])
    let expected = try ShoppingYear.expectedCustomers().filter { Int($0.value["orders"] ?? "") ?? 0 >= 100 }
    #expect(try await names(server, id) == Set(expected.keys))

    let first = try #require(expected.keys.sorted().first)
    let customers = try await server.send(.get, "/v1/customers?name=eq.\(first.replacing(" ", with: "%20"))")
    let customer = try #require(try customers.json()["data"]?.array?.first?["id"]?.string)
    let why = try await server.send(.get, "/v1/segments/\(id)/why?customer_id=\(customer)")
    let explained = try why.json()
    #expect(explained["member"] == true && explained["fits"] == true && explained["reason"] == "defined", "\(why.text)")
    let conditions = explained["conditions"]?.array ?? []
    #expect(conditions.count == 2 && conditions[0]["name"] == "kind" && conditions[0]["value"] == "person" && conditions[0]["holds"] == true, "\(why.text)")
    #expect(
      conditions.last?["name"] == "orders" && conditions.last?["value"]?.string == expected[first]?["orders"]
        && conditions.last?["pointer"] == "/definition/and/1", "\(why.text)")

    let segments = try await server.send(.get, "/v1/customers/\(customer)/segments")
    #expect(try segments.json()["data"]?.array?.map { $0["code"] } == ["big_baskets"], "\(segments.text)")
    let listed = try await server.database.admin.execute(
      ["SELECT crm.segments_of(\(customer)::uuid)"], context: .init(readOnly: true), deadline: .after(.seconds(120)))
    #expect(try listed[0][0].decode([String].self, at: 0) == ["big_baskets"])

    // Hidden from ayse, who works elsewhere: her list is shorter, the total is not.
    try await hide(customer, in: server)
    let seen = try await server.send(.get, "/v1/segments/\(id)/members", as: "ayse")
    #expect(
      try seen.json()["total"]?.count == expected.count && seen.json()["data"]?.array?.count == expected.count - 1 && !seen.text.contains("\"\(first)\""),
      "\(seen.text)")
    #expect(try await server.send(.get, "/v1/segments/\(id)/why?customer_id=\(customer)", as: "ayse").status == 404)
    #expect(try await server.send(.get, "/v1/segments/\(id)/members", as: "zeynep").status == 403)

    // Pages go on where they stopped.
    let page = try await server.send(.get, "/v1/segments/\(id)/members?limit=2")
    let next = try #require(try page.json()["next_after"]?.string)
    let rest = try await names(server, id, "&after=\(next)")
    #expect(rest.count == expected.count - 2)
  }

  private func hide(_ customer: String, in server: TestServer) async throws {
    _ = try await server.database.admin.execute(
      [
        "UPDATE crm.customer SET visibility = 'department', department_id = (SELECT id FROM crm.department WHERE code = 'purchasing') WHERE id = \(customer)::uuid"
      ],
      context: .init(readOnly: false), deadline: .after(.seconds(120)))
  }

  @Test func `what cannot be understood, may not be read, or would cost too much is refused with the place and the cure`() async throws {
    let server = try await TestServer.suite()
    func refusal(_ definition: JSON, as person: String = "deniz") async throws -> String {
      let answer = try await server.send(.post, "/v1/segments/preview", as: person, json: ["definition": definition], checked: false)
      return "\(answer.status) \(try answer.json()["errors"]?.array?.first?["pointer"]?.string ?? "") \(answer.problem ?? "")"
    }
    #expect(try await refusal(["colour": "red"]) == "400 /definition/colour unknown-field")
    #expect(try await refusal(["and": [["metric": "revenu", "op": "gte", "value": 1]]]) == "400 /definition/and/0/metric unknown-field")
    #expect(try await refusal(["metric": "revenue", "op": "over", "value": 1]) == "400 /definition/op unknown-operator")
    #expect(try await refusal(["metric": "revenue", "op": "gte", "value": "much"]) == "400 /definition/value bad-filter")
    #expect(try await refusal(["metric": "orders", "window_days": 0, "op": "gte", "value": 1]) == "400 /definition/window_days bad-filter")
    #expect(try await refusal(["events": "order", "op": "gte", "value": 1]) == "400 /definition/events bad-filter")
    #expect(try await refusal(["events": "products", "op": "gte", "value": 1]) == "400 /definition/events bad-filter")
    #expect(try await refusal(["events": "orders", "where": ["chanel": "store"], "op": "gte", "value": 1]) == "400 /definition/where/chanel unknown-field")
    #expect(try await refusal(["kind": "robot"]) == "400 /definition/kind bad-filter")
    #expect(try await refusal(["kind": "person"], as: "zeynep").hasPrefix("403"))
    #expect(try await server.send(.post, "/v1/segments", as: "ayse", json: ["code": "x", "name": "x", "definition": [:]]).status == 403)
    #expect(try await server.send(.post, "/v1/segments", json: ["code": "x", "name": "x"]).status == 422)
    #expect(
      try await server.send(
        .post, "/v1/segments/preview", as: "ayse", json: ["definition": ["events": "stock_movements", "op": "gte", "value": 1]], checked: false
      ).status >= 400)

  }

  @Test func `a definition that would cost too much is refused with its cost`() async throws {
    let database = try await TestDatabase.clone()
    _ = try await database.admin.execute(
      ["DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET muhatap.segment_cost_limit = ''1''', current_database()); END $$"], context: .init(readOnly: false),
      deadline: .after(.seconds(120)))
    let server = try await TestServer.start(on: database)
    let refused = try await server.send(.post, "/v1/segments/preview", json: ["definition": ["orders.channel": "store"]])
    #expect(refused.status == 422 && refused.problem == "segment-too-expensive" && refused.text.contains("at most 1 is allowed"), "\(refused.text)")
    #expect(try await server.send(.post, "/v1/segments", json: ["code": "costly", "name": "x", "definition": ["orders.channel": "store"]]).status == 422)
  }

  @Test func `a tier in a rule is that of the company's default value model`() async throws {
    let server = try await TestServer.start()
    for name in ["Zirve", "Taban", "Kimse"] {
      try #require(try await server.send(.post, "/v1/customers", json: ["kind": "person", "name": .string(name)]).status == 201)
    }
    for statement in [
      "INSERT INTO crm.analysis_run (kind, status, method, as_of, finished_at) VALUES ('value', 'done', 'test', now(), now())",
      """
      INSERT INTO crm.customer_standing (customer_id, model_id, run_id, score, rank, tier, since, as_of)
      SELECT c.id, v.id, r.id, 50, 1, CASE WHEN (c.name = 'Zirve') = v.is_default THEN 'top' ELSE 'small' END, now(), now()
        FROM crm.customer c, crm.value_model v, crm.analysis_run r WHERE c.name <> 'Kimse'
      """,
    ] as [SQL] {
      _ = try await server.database.admin.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(120)))
    }
    #expect(try await names(server, made(server, "top_tier", ["tier": "top"])) == ["Zirve"])
    #expect(try await names(server, made(server, "not_top", ["not": ["standing.tier": "top"]])) == ["Taban", "Kimse"])
    #expect(try await names(server, made(server, "scored", ["standing.score": ["gte": 50]])) == ["Zirve", "Taban"])
  }

  @Test func `purchases in several currencies need a choice`() async throws {
    let server = try await TestServer.start()
    for currency in ["TRY", "EUR"] {
      let customer = try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "person", "name": .string("Müşteri \(currency)")])
      let order = try await server.send(
        .post, "/v1/orders", as: "ayse", json: ["customer_id": try #require(try customer.json()["id"]), "currency": .string(currency), "channel": "phone"])
      try #require(order.status == 201, "\(order.text)")
    }
    let rule: JSON = ["metric": "revenue", "op": "gte", "value": 0]
    let mixed = try await server.send(.post, "/v1/segments/preview", json: ["definition": rule])
    #expect(mixed.status == 422 && mixed.text.contains("mixed-currencies") && mixed.text.contains("EUR, TRY"), "\(mixed.text)")
    let chosen = try await server.send(.post, "/v1/segments/preview", json: ["definition": rule, "currency": "TRY"])
    #expect(try chosen.json()["currency"] == "TRY" && chosen.json()["population"]?.count == 2, "\(chosen.text)")
  }

  @Test func `members of a static segment are chosen, and a stay has its beginning and its end`() async throws {
    let server = try await TestServer.suite()
    let segment = try await server.send(.post, "/v1/segments", json: ["code": "chosen_few", "name": "Seçilenler", "kind": "static"])
    let id = try #require(try segment.json()["id"]?.string, "\(segment.text)")
    let customer = try #require(try await server.send(.post, "/v1/customers", json: ["kind": "person", "name": "Seçkin"]).json()["id"])
    let added = try await server.send(.post, "/v1/segments/\(id)/members", json: ["customer_ids": [customer, customer]])
    #expect(try added.json() == ["changed": 1, "members": 1], "\(added.text)")
    #expect(try await server.send(.post, "/v1/segments/\(id)/members", json: ["customer_ids": [customer]]).json() == ["changed": 0, "members": 1])
    let inside = Date.now
    let unknown = try await server.send(.post, "/v1/segments/\(id)/members", json: ["customer_ids": [customer, .string(UUID().uuidString)]])
    #expect(unknown.status == 422 && unknown.text.contains("/customer_ids/1"), "\(unknown.text)")
    let removed = try await server.send(.post, "/v1/segments/\(id)/members/remove", json: ["customer_ids": [customer]])
    #expect(try removed.json() == ["changed": 1, "members": 0], "\(removed.text)")
    #expect(try await server.send(.get, "/v1/segments/\(id)/members").json()["total"] == 0)
    let then = try await server.send(
      .get,
      "/v1/segments/\(id)/members?as_of=\(inside.formatted(.iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted)))"
    )
    #expect(try then.json()["total"] == 1 && then.json()["data"]?.array?.first?["left_reason"] == "chosen", "\(then.text)")
    #expect(try await server.send(.post, "/v1/segments/\(id)/refresh").problem == "segment-without-definition")
    #expect(try await server.send(.post, "/v1/segments/\(id)/members", as: "ayse", json: ["customer_ids": [customer]]).status == 403)

    let dynamic = try await made(server, "everybody", ["name": ["starts": "Seç"]])
    #expect(try await server.send(.post, "/v1/segments/\(dynamic)/members", json: ["customer_ids": [customer]]).problem == "segment-is-dynamic")
    #expect(try await server.send(.post, "/v1/segments/\(dynamic)/members/remove", json: ["customer_ids": [customer]]).problem == "segment-is-dynamic")
  }

  @Test func `a segment that a price book uses stays, and its members pay that book's prices`() async throws {
    let server = try await TestServer.start()
    let customer = try #require(try await server.send(.post, "/v1/customers", as: "ayse", json: ["kind": "organisation", "name": "Toptan A.Ş."]).json()["id"])
    let id = try await made(server, "wholesale", ["kind": "organisation"])
    let product = try #require(try await server.send(.post, "/v1/products", json: ["sku": "P-1", "name": "Çay"]).json()["id"])
    let book = try #require(try await server.send(.post, "/v1/price_books", json: ["code": "ws", "name": "Toptan", "segment": "wholesale"]).json()["id"])
    let rule = try await server.send(.post, "/v1/price_rules", json: ["price_book_id": book, "product_id": product, "kind": "amount", "value": "80"])
    try #require(rule.status == 201, "\(rule.text)")
    let prices = try await server.database.admin.execute(
      ["SELECT p.unit_price::text AS price FROM crm.price_of(\(product.string)::uuid, \(customer.string)::uuid, 1, 'TRY', crm.business_day(now())) p"],
      context: .init(readOnly: true),
      deadline: .after(.seconds(120)))
    #expect(try prices[0].rows.map { try $0.decode(String.self, "price") } == ["80.000000"])

    let users = try await server.send(.get, "/v1/segments/\(id)/dependents")
    #expect(try users.json()["data"]?.array?.map { $0["name"] } == ["Toptan"], "\(users.text)")
    let refused = try await server.send(.delete, "/v1/segments/\(id)")
    #expect(refused.problem == "segment-in-use" && refused.text.contains("Toptan"), "\(refused.text)")
    try #require(try await server.send(.delete, "/v1/price_books/\(book.string ?? "")").status == 204)
    #expect(try await server.send(.delete, "/v1/segments/\(id)", as: "ayse").status == 403)
    #expect(try await server.send(.delete, "/v1/segments/\(id)").status == 204)
    #expect(try await server.send(.get, "/v1/segments/\(id)").status == 404)
  }

  @Test func `once a day a worker holds everybody against every dynamic segment, and BI sees who was in at an instant`() async throws {
    let server = try await TestServer.start()
    try #require(try await server.send(.post, "/v1/customers", json: ["kind": "person", "name": "Günlük"]).status == 201)
    let id = try await made(server, "daily", ["kind": "person"])
    func behind(_ statement: SQL) async throws -> PostgresResult {
      try await server.database.admin.execute([statement], context: .init(readOnly: false), deadline: .after(.seconds(120)))[0]
    }
    _ = try await behind("UPDATE crm.segment_member SET entered_at = now() - interval '2 days', left_at = now() - interval '1 day', left_reason = 'test'")
    let database = Database(pool: server.database.worker)
    let kind = "segments.refresh"
    try await database.transaction(as: .system("test")) { tx in _ = try await JobQueue.enqueue(kind, in: tx) }
    let handler = try #require(Work.handlers.first { $0.kind == kind })
    var done = 0
    while let job = try await JobQueue(database: database).take([kind], worker: "test", lease: .seconds(60)) {
      try await handler.run(JobLease(job: job, database: database))
      done += 1
    }
    #expect(done == 2)
    #expect(try await names(server, id) == ["Günlük"])
    let stays = try await behind("SELECT m.reason FROM bi.segment_members m ORDER BY m.entered_at")
    #expect(try stays.rows.map { try $0.decode(String.self, "reason") } == ["defined", "refreshed"])
    for (hours, count) in [(0, 1), (12, 0), (36, 1), (72, 0)] {
      let found = try await behind("SELECT count(*) FROM bi.segment_members_as_of(now() - \(hours)::int * interval '1 hour')")
      #expect(try found[0].decode(Int.self, at: 0) == count)
    }
    // A rule that no longer fits the model keeps its members and says why.
    _ = try await behind("UPDATE crm.segment SET definition = '{\"gone\": 1}'")
    try await database.transaction(as: .system("test")) { tx in _ = try await JobQueue.enqueue(kind, payload: ["segment_id": .string(id)], in: tx) }
    let job = try #require(try await JobQueue(database: database).take([kind], worker: "test", lease: .seconds(60)))
    try await handler.run(JobLease(job: job, database: database))
    #expect(try await server.send(.get, "/v1/segments/\(id)").json()["problem"]?["code"] == "unknown-field")
    #expect(try await names(server, id) == ["Günlük"])
    let customer = try await server.send(.get, "/v1/customers").json()["data"]?.array?.first?["id"]?.string ?? ""
    #expect(try await server.send(.get, "/v1/segments/\(id)/why?customer_id=\(customer)").problem == "segment-definition-outdated")
  }

  @Test func `a changed definition moves members, and an inactive segment has none`() async throws {
    let server = try await TestServer.start()
    for (kind, name) in [("person", "Kişi"), ("organisation", "Kurum")] {
      try #require(try await server.send(.post, "/v1/customers", json: ["kind": .string(kind), "name": .string(name)]).status == 201)
    }
    let id = try await made(server, "moving", ["kind": "person"])
    #expect(try await names(server, id) == ["Kişi"])
    let changed = try await server.send(.patch, "/v1/segments/\(id)", json: ["definition": ["kind": "organisation"]])
    #expect(changed.status == 200, "\(changed.text)")
    #expect(try await names(server, id) == ["Kurum"])
    #expect(try await server.send(.patch, "/v1/segments/\(id)", json: ["definition": ["kindd": "organisation"]], checked: false).status == 400)
    #expect(try await server.send(.patch, "/v1/segments/\(id)", as: "ayse", json: ["name": "x"]).status == 403)
    #expect(try await server.send(.patch, "/v1/segments/\(id)", json: ["active": false]).json()["active"] == false)
    #expect(try await names(server, id) == [])
    #expect(try await server.send(.patch, "/v1/segments/\(id)", json: ["active": true]).json()["active"] == true)
    #expect(try await names(server, id) == ["Kurum"])
    #expect(try await server.send(.post, "/v1/segments/\(id)/refresh").status == 200)
    #expect(try await server.send(.post, "/v1/segments/\(id)/refresh", as: "ayse").status == 403)
  }
}

extension JSON {
  /// A JSON number as a count.
  var count: Int { if case .number(let number) = self { Int("\(number)") ?? -1 } else { -1 } }
}
