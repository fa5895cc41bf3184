import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Attribution")
struct AttributionTests {
  private static let rules = ["first", "last", "linear", "decay", "position", "markov", "shapley"]

  private func touch(_ fixture: CampaignFixture, _ campaign: String, _ touches: [(customer: UUID, channel: String, at: String)]) async throws {
    try await fixture.behind(
      """
      INSERT INTO crm.campaign_touch (customer_id, campaign_id, channel, touched_at) SELECT g.customer_id, \(campaign)::text::uuid, g.channel, g.at::timestamptz
        FROM unnest(\(touches.map(\.customer))::uuid[], \(touches.map(\.channel))::text[], \(touches.map(\.at))::text[]) AS g (customer_id, channel, at)
      """)
  }

  private func decimal(_ value: JSON?) throws -> Decimal { try #require(value?.string.flatMap { Decimal(string: $0) }) }

  @Test("each rule lays a sale to touches as it says; what had no touch is named; what came too late or too early does not count")
  func rules() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let people = try await fixture.customers(4)
    let campaign = try await fixture.campaign()
    try await touch(
      fixture, campaign,
      [
        (people[0], "email", "2025-05-02T10:00:00Z"), (people[0], "phone", "2025-05-09T10:00:00Z"), (people[0], "email", "2025-05-16T10:00:00Z"),
        (people[0], "web", "2025-05-23T10:00:00Z"), (people[0], "post", "2025-05-25T10:00:00Z"), (people[0], "search", "2025-03-01T10:00:00Z"),
        (people[1], "email", "2025-05-02T10:00:00Z"), (people[2], "phone", "2025-05-03T10:00:00Z"),
      ])
    try await fixture.buy([
      (people[0], "2025-05-24T10:00:00Z", 100), (people[3], "2025-05-20T10:00:00Z", 7), (people[2], "2025-05-03T10:00:00Z", Decimal(string: "0.01") ?? 0),
    ])
    let report = try await fixture.get("/v1/analytics/attribution?from=2025-05-01&to=2025-05-31")
    #expect(
      report["total"] == "107.01" && report["attributed"] == "100.01" && report["unattributed"] == "7.00" && report["successes"] == 3
        && report["with_touches"] == 2, "\(report)")
    var found: [String: [String: String]] = [:]
    for row in report["data"]?.array ?? [] {
      for rule in Self.rules { found[rule, default: [:]][row["step"]?.string ?? ""] = row[rule]?.string }
    }
    // post and search led to nothing: the one after the sale, the other too long before it, and out of all that counts.
    #expect(found["first"] == ["email": "100.00", "phone": "0.01", "post": "0.00", "web": "0.00"], "\(found)")
    #expect(found["last"] == ["email": "0.00", "phone": "0.01", "post": "0.00", "web": "100.00"])
    #expect(found["linear"] == ["email": "50.00", "phone": "25.01", "post": "0.00", "web": "25.00"])
    #expect(found["position"] == ["email": "50.00", "phone": "10.01", "post": "0.00", "web": "40.00"])
    // With a half-life of a week the four touches weigh 1/8, 1/4, 1/2 and 1.
    #expect(found["decay"] == ["email": "33.34", "phone": "13.34", "post": "0.00", "web": "53.33"], "\(String(describing: found["decay"]))")
    #expect(found["shapley"] == ["email": "33.33", "phone": "33.35", "post": "0.00", "web": "33.33"], "\(String(describing: found["shapley"]))")
    #expect(report["data"]?.array?.first { $0["step"] == "post" }?["removal_effect"]?.double == 0)
    let byCampaign = try await fixture.get("/v1/analytics/attribution?from=2025-05-01&to=2025-05-31&by=campaign")
    #expect(byCampaign["data"]?.array?.count == 1)
    for rule in Self.rules { #expect(byCampaign["data"]?.array?.first?[rule] == "100.01") }
  }

  @Test("purchases in another currency are laid to touches, and a campaign's results told, in the currency asked for")
  func converted() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let people = try await fixture.customers(3)
    // 1 / 7 and 1 / 9 have no end: their sums have more digits than a decimal number of this program.
    try await fixture.behind(
      "INSERT INTO crm.exchange_rate (from_currency, to_currency, on_day, rate) VALUES ('TRY', 'USD', '2025-05-01', 0.03), ('EUR', 'TRY', '2025-05-01', 7.7), ('TRY', 'USD', '2025-05-10', 0.027)"
    )
    let campaign = try await fixture.campaign(["cost": "77.77", "currency": "TRY"])
    _ = try await fixture.assign(people, to: campaign)
    try await touch(fixture, campaign, people.map { ($0, "email", "2025-05-02T10:00:00Z") } + [(people[0], "phone", "2025-05-03T10:00:00Z")])
    try await fixture.behind("UPDATE crm.campaign_touch SET cost = 0.37, currency = 'USD'")
    try await fixture.behind(
      "INSERT INTO crm.campaign_response (customer_id, campaign_id, responded_at) SELECT m.customer_id, m.campaign_id, '2025-05-04T00:00Z' FROM crm.campaign_member AS m"
    )
    try await fixture.buy([(people[0], "2025-05-04T10:00:00Z", 100)], currency: "USD")
    try await fixture.buy([(people[1], "2025-05-11T10:00:00Z", 77)], currency: "USD")
    try await fixture.buy([(people[2], "2025-05-05T10:00:00Z", Decimal(string: "10.01") ?? 0)], currency: "TRY")
    let query = "?from=2025-05-01&to=2025-05-31&currency=EUR"
    let report = try await fixture.get("/v1/analytics/attribution\(query)")
    // 100 ÷ 0.03 ÷ 7.7 + 77 ÷ 0.027 ÷ 7.7 + 10.01 ÷ 7.7; the rate of the euro is older than ten days on no day here.
    #expect(report["currency"] == "EUR" && report["total"] == "804.57" && report["attributed"] == "804.57" && report["unattributed"] == "0.00", "\(report)")
    for rule in Self.rules {
      #expect(try (report["data"]?.array ?? []).reduce(0) { $0 + (try decimal($1[rule])) } == Decimal(string: "804.57"), "\(rule)")
    }
    let results = try await fixture.get("/v1/campaigns/\(campaign)/results?currency=EUR&margin_percent=50&denominator=targeted")
    #expect(results["attributed_revenue"] == "804.57" && results["currency"] == "EUR" && results["responders"] == 3, "\(results)")
    // 77.77 ÷ 7.7, and four touches of 0.37 ÷ 0.03 ÷ 7.7.
    #expect(results["cost"] == "16.51", "\(results)")
    let phases = try await fixture.server.send(.get, "/v1/analytics/phases?from=2025-05-01&to=2025-05-31&currency=EUR", as: "elif")
    #expect(phases.status == 200 || phases.problem == "not-begun", "\(phases.text)")
  }

  @Test("whatever the ledger, every rule adds up to the revenue to the cent, and so does turnover; linear and Shapley are those counted one by one")
  func reconciled() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let people = try await fixture.customers(60)
    let campaign = try await fixture.campaign()
    var random = SystemRandomNumberGenerator()
    let channels = ["email", "sms", "web", "social", "store"]
    func instant(_ days: ClosedRange<Int>) -> String {
      "2025-05-\(String(format: "%02d", Int.random(in: days, using: &random)))T\(String(format: "%02d:%02d:%02d", Int.random(in: 0...23, using: &random), Int.random(in: 0...59, using: &random), Int.random(in: 0...59, using: &random)))Z"
    }
    let touches = (0..<300).map { _ in
      (customer: people[Int.random(in: 0..<60, using: &random)], channel: channels[Int.random(in: 0..<5, using: &random)], at: instant(1...31))
    }
    try await touch(fixture, campaign, touches)
    // Some of them returns.
    let sales = (0..<120).map { _ in
      (customer: people[Int.random(in: 0..<60, using: &random)], at: instant(3...28), amount: Decimal(Int.random(in: -500...20_000, using: &random)) / 100)
    }
    try await fixture.buy(sales)
    let report = try await fixture.get("/v1/analytics/attribution?from=2025-05-01&to=2025-05-31&window_days=10")
    let total = sales.reduce(Decimal(0)) { $0 + $1.amount }
    #expect(try decimal(report["total"]) == total)
    #expect(try decimal(report["attributed"]) + decimal(report["unattributed"]) == total)
    for rule in Self.rules {
      let sum = try (report["data"]?.array ?? []).reduce(Decimal(0)) { $0 + (try decimal($1[rule])) }
      #expect(try sum == decimal(report["attributed"]), "\(rule)")
    }
    func time(_ text: String) -> Date { (try? Date(text, strategy: .iso8601)) ?? .distantPast }
    var linear: [String: Double] = [:]
    var shapley: [String: Double] = [:]
    for sale in sales {
      let path = touches.filter { $0.customer == sale.customer && time($0.at) <= time(sale.at) && time($0.at) > time(sale.at).addingTimeInterval(-864_000) }
        .map(\.channel)
      let amount = NSDecimalNumber(decimal: sale.amount).doubleValue
      for channel in path { linear[channel, default: 0] += amount / Double(path.count) }
      for channel in Set(path) { shapley[channel, default: 0] += amount / Double(Set(path).count) }
    }
    for row in report["data"]?.array ?? [] {
      let step = row["step"]?.string ?? ""
      #expect(abs(NSDecimalNumber(decimal: try decimal(row["linear"])).doubleValue - (linear[step] ?? 0)) < 0.011, "\(step)")
      #expect(abs(NSDecimalNumber(decimal: try decimal(row["shapley"])).doubleValue - (shapley[step] ?? 0)) < 0.011, "\(step)")
    }
  }

  @Test("invoices less credit notes are laid to touches, and add up to the turnover to the cent")
  func invoices() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    func done(_ path: String, as person: String = "fatma", _ json: JSON? = nil) async throws -> JSON {
      let answer = try await fixture.server.send(.post, path, as: person, json: json)
      try #require((200...299).contains(answer.status), "\(path): \(answer.text)")
      return try answer.json()
    }
    func issued(_ customer: JSON, _ net: String) async throws -> String {
      let draft = try await done(
        "/v1/invoices", ["customer_id": customer, "lines": [["description": "Danışmanlık", "quantity": "1", "unit_price": .string(net), "vat_rate": "20"]]])
      let id = try #require(draft["id"]?.string)
      _ = try await done("/v1/invoices/\(id)/issue", [:])
      return id
    }
    let campaign = try await fixture.campaign()
    var customers: [JSON] = []
    for number in 0..<2 {
      let made = try await done(
        "/v1/customers", as: "ayse",
        ["kind": "organisation", "name": .string("Çınar Gıda A.Ş. \(number)"), "tax_number": "9876543217", "tax_office": "Kadıköy"])
      customers.append(try #require(made["id"]))
      _ = try await done(
        "/v1/addresses", as: "ayse",
        ["customer_id": customers[number], "kind": "billing", "street": "Moda Caddesi 5", "district": "Kadıköy", "city": "İstanbul", "province_code": "34"])
    }
    let first = try #require(UUID(uuidString: customers[0].string ?? ""))
    for (channel, days) in [("email", 5), ("phone", 2), ("web", 1)] {
      let at = Date().addingTimeInterval(Double(-days) * 86_400).formatted(.iso8601)
      try await touch(fixture, campaign, [(first, channel, at)])
    }
    for net in ["100.01", "33.33", "0.07"] { _ = try await issued(customers[0], net) }
    _ = try await issued(customers[1], "50")
    let wrong = try await issued(customers[0], "10")
    let credit = try await done("/v1/invoices/\(wrong)/credit", [:])
    _ = try await done("/v1/invoices/\(try #require(credit["id"]?.string))/issue", [:])

    let days = try await fixture.behind("SELECT (crm.business_day(now()) - 1)::text AS first, crm.business_day(now())::text AS last")[0]
    let report = try await fixture.get(
      "/v1/analytics/attribution?from=\(try days.decode(String.self, "first"))&to=\(try days.decode(String.self, "last"))&of=invoices&time_zone=Europe/Istanbul"
    )
    let turnover = try await fixture.behind("SELECT sum(amount) AS amount FROM crm.turnover")[0].decode(Decimal.self, "amount")
    #expect(try decimal(report["total"]) == turnover && turnover == Decimal(string: "183.41"), "\(report)")
    #expect(report["attributed"] == "133.41" && report["unattributed"] == "50.00" && report["of"] == "invoices" && report["n"] == 6, "\(report)")
    for rule in Self.rules {
      let sum = try (report["data"]?.array ?? []).reduce(Decimal(0)) { $0 + (try decimal($1[rule])) }
      #expect(sum == Decimal(string: "133.41"), "\(rule)")
    }
    #expect(report["data"]?.array?.first { $0["step"] == "email" }?["first"] == "133.41")
  }

  @Test("what cannot be laid to touches is refused by name")
  func refusals() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let people = try await fixture.customers(2)
    try await fixture.buy([(people[0], "2025-05-24T10:00:00Z", 100)])
    try await fixture.buy([(people[1], "2025-05-24T10:00:00Z", 100)], currency: "USD")
    func problem(_ query: String, as person: String = "elif") async throws -> String? {
      try await fixture.server.send(.get, "/v1/analytics/attribution?\(query)", as: person).problem
    }
    let month = "from=2025-05-01&to=2025-05-31"
    #expect(try await problem(month) == "mixed-currencies")
    #expect(try await problem("\(month)&currency=USD") == "no-rate")
    #expect(try await problem("from=2025-05-01&to=2025-04-01") == "bad-parameter")
    #expect(try await problem("\(month)&as_of=2999-01-01T00:00:00Z") == "bad-parameter")
    #expect(try await problem("\(month)&window_days=0") == "bad-parameter")
    #expect(try await problem(month, as: "emre") == "forbidden")
  }
}
