import CRMCore
import Foundation
import MuhatapTestKit
import Testing

@Suite("Aggregates")
struct AggregateTests {
  private func ask(_ resource: String, _ question: JSON, as person: String = "deniz") async throws -> TestAPI.Answer {
    try await TestAPI.suite().send(.post, "/v1/\(resource)/aggregate", as: person, json: question)
  }

  private func orders() async throws -> [JSON] {
    try await TestAPI.suite().send(.get, "/v1/orders", ["limit": "1000", "expand": "customer,lines"]).rows()
  }

  private static func sum(_ values: some Sequence<String?>) -> Decimal {
    values.reduce(0) { $0 + (Decimal(string: $1 ?? "0") ?? 0) }
  }

  @Test("groups, counts and sums of money are exact, in every order, and only over what the caller sees", arguments: ["deniz", "mehmet", "zeynep"])
  func exact(person: String) async throws {
    let rows = try await TestAPI.suite().send(.get, "/v1/orders", ["limit": "1000"], as: person).rows()
    let answer = try await ask(
      "orders",
      [
        "group": ["currency", "status"], "measures": ["count", ["sum": "amount", "as": "sales"], ["avg": "amount"], ["max": "ordered_at", "as": "last"]],
        "order": ["-sales", "status"],
      ],
      as: person)
    #expect(answer.status == 200, "\(answer.text)")
    let groups = try answer.rows()
    let expected = Dictionary(grouping: rows) { "\($0["currency"]?.string ?? "") \($0["status"]?.string ?? "")" }
    #expect(groups.count == expected.count && groups.count > 3)
    for group in groups {
      let members = try #require(expected["\(group["currency"]?.string ?? "") \(group["status"]?.string ?? "")"])
      #expect(group["count"] == .number(Decimal(members.count)))
      #expect(Decimal(string: group["sales"]?.string ?? "") == Self.sum(members.map { $0["amount"]?.string }))
      #expect(group["last"]?.string == members.compactMap { $0["ordered_at"]?.string }.max())
    }
    let sales = groups.compactMap { Decimal(string: $0["sales"]?.string ?? "") }
    #expect(sales == sales.sorted(by: >))
  }

  @Test(
    "amounts of several currencies are never added up silently, nor compared, own or of the order behind a line",
    arguments: [
      ("orders", ["sum": "amount"]), ("orders", ["avg": "coupon_discount"]), ("orders", ["max": "amount"]), ("order_lines", ["sum": "amount"]),
      ("order_lines", ["max": "unit_price"]),
      ("order_lines", ["sum": "order.amount"]),
    ] as [(String, JSON)])
  func mixedCurrencies(resource: String, measure: JSON) async throws {
    let prefix = resource == "orders" ? "" : "order."
    let mixed = try await ask(resource, ["measures": [measure]])
    #expect(mixed.status == 422 && mixed.problem == "mixed-currencies", "\(mixed.text)")
    let byStatus = try await ask(resource, ["measures": [measure], "group": [.string(prefix + "status")]])
    #expect(byStatus.status == 422)
    let byCurrency = try await ask(resource, ["measures": [measure], "group": [.string(prefix + "currency")]])
    #expect(byCurrency.status == 200, "\(byCurrency.text)")
    #expect(try byCurrency.rows().count == 3)
    let filtered = try await ask(resource, ["measures": [measure, "count"], "filter": .object([prefix + "currency": "TRY"])])
    #expect(filtered.status == 200, "\(filtered.text)")
    #expect(try await ask(resource, ["measures": ["count"]]).status == 200)
  }

  @Test("what is no money needs no currency")
  func quantities() async throws {
    #expect(try await ask("order_lines", ["measures": [["sum": "quantity"], ["max": "line_number"]]]).status == 200)
  }

  @Test("a group may lead through neighbours, and a missing one is a group of its own")
  func dotted() async throws {
    let api = try await TestAPI.suite()
    let lines = try await api.send(
      .get, "/v1/order_lines", ["limit": "1000", "select": "amount,product.category.name,product.category.parent.name", "order.currency": "eq.TRY"]
    ).rows()
    let answer = try await ask(
      "order_lines",
      [
        "group": ["product.category.name", ["field": "product.category.parent.name", "as": "above"]], "measures": ["count", ["sum": "amount", "as": "sales"]],
        "filter": ["order.currency": "TRY"],
      ])
    #expect(answer.status == 200, "\(answer.text)")
    let expected = Dictionary(grouping: lines) { [$0["product.category.name"], $0["product.category.parent.name"]] }
    let groups = try answer.rows()
    #expect(groups.count == expected.count)
    #expect(groups.contains { $0["product.category.name"] == .null })
    for group in groups {
      let members = try #require(expected[[group["product.category.name"], group["above"]]])
      #expect(Decimal(string: group["sales"]?.string ?? "") == Self.sum(members.map { $0["amount"]?.string }))
    }
  }

  @Test("days, weeks, months, quarters and years begin in the time zone asked for")
  func zones() async throws {
    let instants = try await orders().compactMap { $0["ordered_at"]?.string }
    for (zone, hours) in [("UTC", 0), ("Europe/Istanbul", 3)] {
      var calendar = Calendar(identifier: .iso8601)
      calendar.timeZone = try #require(TimeZone(secondsFromGMT: hours * 3600))
      let dates = try instants.map { try Date(String($0.prefix(19)) + "Z", strategy: .iso8601) }
      for (unit, component) in [("day", Calendar.Component.day), ("week", .weekOfYear), ("month", .month), ("quarter", .quarter), ("year", .year)] {
        let answer = try await ask(
          "orders", ["group": [["field": "ordered_at", "by": .string(unit), "zone": .string(zone), "as": "begin"]], "measures": ["count"]])
        #expect(answer.status == 200, "\(answer.text)")
        var expected: [String: Int] = [:]
        for date in dates {
          var start = try #require(calendar.dateInterval(of: component, for: date)?.start)
          if component == .quarter {
            let month = calendar.component(.month, from: date)
            start = try #require(calendar.date(from: DateComponents(year: calendar.component(.year, from: date), month: (month - 1) / 3 * 3 + 1)))
          }
          let parts = calendar.dateComponents([.year, .month, .day], from: start)
          expected[String(format: "%04d-%02d-%02d", parts.year ?? 0, parts.month ?? 0, parts.day ?? 0), default: 0] += 1
        }
        let found = Dictionary(uniqueKeysWithValues: try answer.rows().map { ($0["begin"]?.string ?? "", $0["count"] ?? .null) })
        #expect(found == expected.mapValues { .number(Decimal($0)) }, "\(unit) in \(zone)")
      }
    }
  }

  @Test("conditions on measures: numbers, instants and texts")
  func having() async throws {
    let rows = try await orders()
    let byCustomer = Dictionary(grouping: rows.filter { $0["currency"] == "TRY" }) { $0["customer_id"] }
    let answer = try await ask(
      "orders",
      [
        "group": ["customer_id"], "measures": ["count", ["sum": "amount", "as": "sales"]], "filter": ["currency": "TRY"],
        "having": ["sales": ["gt": .number(Decimal(40.5)), "lte": 1000], "count": ["ne": 1]],
      ])
    #expect(answer.status == 200, "\(answer.text)")
    let expected = byCustomer.filter { _, members in
      let sum = Self.sum(members.map { $0["amount"]?.string })
      return sum > Decimal(40.5) && sum <= 1000 && members.count != 1
    }
    #expect(try Set(answer.rows().map { $0["customer_id"] }) == Set(expected.keys))
    #expect(!expected.isEmpty && expected.count < byCustomer.count)
    let last = try await ask(
      "orders", ["group": ["customer_id"], "measures": [["max": "ordered_at", "as": "last"]], "having": ["last": ["lt": "2025-11-01T00:00:00Z"]]])
    #expect(last.status == 200, "\(last.text)")
    #expect(try last.rows().allSatisfy { ($0["last"]?.string ?? "") < "2025-11" })
    let text = try await ask("products", ["group": ["brand"], "measures": [["min": "name", "as": "first"]], "having": ["first": ["ne": "x"]]])
    #expect(text.status == 200, "\(text.text)")
    for bad: JSON in [["sales": ["gt": "much"]], ["sales": ["in": [1]]], ["sales": ["gt": .null]], ["nothing": ["gt": 1]], [], "x", ["or": [["count": 1]]]] {
      let refused = try await ask("orders", ["group": ["currency"], "measures": ["count", ["sum": "amount", "as": "sales"]], "having": bad])
      #expect(refused.status == 400, "\(bad): \(refused.text)")
    }
  }

  @Test("without groups there is one answer; over no rows a sum is 0 and a maximum missing")
  func noRows() async throws {
    let answer = try await ask(
      "orders",
      [
        "measures": ["count", ["sum": "amount"], ["max": "amount", "as": "m"], ["count_distinct": "customer_id", "as": "buyers"]],
        "filter": ["note": "nothing"],
      ])
    #expect(try answer.rows() == [["count": 0, "sum_amount": "0", "m": .null, "buyers": 0]], "\(answer.text)")
  }

  @Test(
    "questions that make no sense are refused with what is wrong",
    arguments: [
      ([:], "measures"), (["measures": []], "measures"), (["measures": ["sum"]], "function"), (["measures": [["summ": "amount"]]], "function"),
      (["measures": [["sum": "amout"]]], "amount"),
      (["measures": [["sum": "status"]]], "status"), (["measures": [["max": "customer_id"]]], "customer_id"),
      (["measures": ["count"], "group": ["lines.amount"]], "lines"),
      (["measures": ["count"], "group": [["field": "ordered_at", "by": "moth"]]], "month"),
      (["measures": ["count"], "group": [["field": "amount", "by": "month"]]], "amount"),
      (["measures": ["count"], "group": [["field": "ordered_at", "by": "month", "zone": "Mars/Olympus"]]], "zone"),
      (["measures": ["count"], "group": [["field": "ordered_at", "by": "month", "zone": 3]]], "zone"),
      (["measures": ["count"], "group": [["field": "ordered_at", "bye": "month"]]], "by"), (["measures": ["count", "count"]], "name"),
      (["measures": ["count"], "group": [["field": "status", "as": "a b"]]], "name"), (["measures": ["count"], "order": ["-sales"]], "sales"),
      (["measures": ["count"], "limit": 0], "limit"),
      (["measures": ["count"], "groups": ["status"]], "group"), (["measures": ["count"], "filter": ["statuss": "placed"]], "status"),
      (["measures": ["count"], "group": ["profile"]], "profile"),
      (["measures": ["count"], "group": .array((1...30).map { ["field": "status", "as": .string("s\($0)")] })], "20"),
    ] as [(JSON, String)])
  func senseless(question: JSON, hint: String) async throws {
    let answer = try await ask("orders", question)
    #expect(answer.status == 400, "\(answer.text)")
    #expect(answer.text.contains(hint), "\(answer.text)")
  }

  @Test("groups are limited")
  func limit() async throws {
    #expect(try await ask("orders", ["group": ["id"], "measures": ["count"], "limit": 7]).rows().count == 7)
  }
}
