import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The four phases")
struct PhaseTests {
  private func derive(_ fixture: CampaignFixture, _ asOf: String) async throws -> JSON {
    let asked = try await fixture.server.send(.post, "/v1/analytics/phases/runs", json: ["as_of": .string(asOf)])
    try #require(asked.status == 202, "\(asked.text)")
    let run = try await fixture.server.finish(run: try #require(try asked.json()["id"]?.string))
    try #require(run["status"] == "done", "\(run)")
    return run
  }

  @Test("customers go through the phases by what they did; the report counts who came, went, leaked, how long it took, and what winning and keeping cost")
  func history() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let people = try await fixture.customers(4)
    let campaign = try await fixture.campaign(["starts_on": "2024-01-01", "ends_on": "2024-12-31"])
    func touch(_ customer: UUID, _ at: String, _ cost: Decimal) async throws {
      try await fixture.behind(
        """
        INSERT INTO crm.campaign_touch (customer_id, campaign_id, channel, touched_at, cost, currency)
        VALUES (\(customer), \(campaign)::text::uuid, 'phone', \(at)::text::timestamptz, \(cost), 'TRY')
        """)
    }
    try await touch(people[1], "2024-01-05T00:00:00Z", 10)
    try await touch(people[2], "2024-01-05T00:00:00Z", 10)
    try await touch(people[1], "2024-02-20T00:00:00Z", 30)
    try await touch(people[3], "2024-05-01T00:00:00Z", 12)
    try await touch(people[0], "2024-06-01T00:00:00Z", 3)
    try await fixture.buy(
      [
        (people[0], "2024-01-10T00:00:00Z", 5), (people[1], "2024-02-25T00:00:00Z", 5), (people[3], "2024-01-15T00:00:00Z", 5),
        (people[3], "2024-02-15T00:00:00Z", 5),
      ], category: "a")
    try await fixture.buy([(people[3], "2024-03-15T00:00:00Z", 5)], category: "b")
    let first = try await derive(fixture, "2024-02-01T00:00:00Z")
    #expect(first["population"] == 4 && first["result"]?["first_placed"] == 4 && first["result"]?["phases"] == ["acquisition": 2, "retention": 2], "\(first)")
    _ = try await derive(fixture, "2024-03-01T00:00:00Z")
    _ = try await derive(fixture, "2024-04-01T00:00:00Z")
    let last = try await derive(fixture, "2025-03-01T00:00:00Z")
    #expect(last["result"]?["moved"] == 4 && last["result"]?["phases"] == ["selection": 1, "acquisition": 2, "retention": 1], "\(last)")
    // The same once more changes nothing.
    #expect(try await derive(fixture, "2025-03-01T00:00:00Z")["result"]?["moved"] == 0)

    func path(_ customer: UUID) async throws -> [String] {
      try await fixture.get("/v1/customer_phases?customer_id=eq.\(customer.uuidString.lowercased())&order=entered_at", as: "ayse")["data"]?.array?.compactMap {
        $0["phase"]?.string
      } ?? []
    }
    #expect(try await path(people[0]) == ["retention", "acquisition"])
    #expect(try await path(people[1]) == ["acquisition", "retention", "acquisition"])
    #expect(try await path(people[2]) == ["acquisition", "selection"])
    #expect(try await path(people[3]) == ["retention", "deepening", "retention"])

    let report = try await fixture.get("/v1/analytics/phases?from=2024-02-02&to=2025-03-01")
    var rows: [String: JSON] = [:]
    for row in report["data"]?.array ?? [] { rows[row["phase"]?.string ?? ""] = row }
    func counts(_ phase: String) -> [Int?] { ["at_start", "entered", "forward", "leaked", "at_end"].map { rows[phase]?[$0]?.int } }
    #expect(counts("selection") == [0, 1, 0, 0, 1] && counts("deepening") == [0, 1, 0, 1, 0], "\(report)")
    #expect(counts("acquisition") == [2, 2, 1, 1, 2] && counts("retention") == [2, 2, 1, 2, 1], "\(report)")
    #expect(rows["acquisition"]?["conversion_rate"]?.double == 0.25 && rows["acquisition"]?["leak_rate"]?.double == 0.25)
    #expect(
      rows["acquisition"]?["dwell_mean_days"]?.double == 211.5 && rows["deepening"]?["dwell_median_days"]?.double == 334
        && rows["selection"]?["dwell_mean_days"] == .null)
    #expect(rows["acquisition"]?["cost"] == "30.00" && rows["deepening"]?["cost"] == "12.00" && rows["retention"]?["cost"] == "3.00")
    #expect(
      report["won"] == 1 && report["won_back"] == 0 && report["kept"] == 1 && report["cost_of_winning"] == 30 && report["cost_of_keeping"] == 15
        && report["ratio"] == 2)
    let picture = try await fixture.server.send(.get, "/v1/charts/phases.svg?from=2024-02-02&to=2025-03-01", as: "elif", headers: ["accept-language": "tr"])
    #expect(picture.text.contains("Edinme: 2 (%25)"), "\(picture.text)")

    // Nobody won or kept; a second currency; the future.
    let empty = try await fixture.get("/v1/analytics/phases?from=2023-01-01&to=2023-02-01")
    #expect(empty["ratio"] == .null && empty["note"]?.string != nil && empty["n"] == 0)
    let query = "/v1/analytics/phases?from=2024-02-02&to=2025-03-01"
    try await fixture.behind(
      """
      INSERT INTO crm.campaign_touch (customer_id, campaign_id, channel, touched_at, cost, currency) VALUES (\(people[0]), \(campaign)::text::uuid, 'phone', '2024-06-02', 1, 'EUR')
      """)
    #expect(try await fixture.server.send(.get, query, as: "elif").problem == "mixed-currencies")
    #expect(try await fixture.server.send(.get, query + "&currency=TRY", as: "elif").problem == "no-rate")
    #expect(try await fixture.server.send(.get, query + "&as_of=2999-01-01T00:00:00Z", as: "elif").problem == "bad-parameter")
    #expect(try await fixture.server.send(.get, "/v1/analytics/phases?from=2024-02-02&to=2024-01-01", as: "elif").problem == "bad-parameter")
    #expect(try await fixture.server.send(.get, query + "&as_of=2024-01-01T00:00:00Z", as: "elif").problem == "not-begun")
    #expect(try await fixture.server.send(.get, query, as: "emre").status == 403)
    #expect(try await fixture.server.send(.post, "/v1/analytics/phases/runs", json: ["as_of": "2999-01-01T00:00:00Z"]).status == 422)
  }

  @Test("somebody moves a customer with a reason where the rules of the phases let them; their word stands, and two who merge keep one phase")
  func moves() async throws {
    let fixture = CampaignFixture(server: try await TestServer.start())
    let people = try await fixture.customers(3)
    try await fixture.buy([(people[1], "2024-01-10T00:00:00Z", 5)])
    _ = try await derive(fixture, Date().addingTimeInterval(-5).formatted(.iso8601))
    let now = try await fixture.server.send(.post, "/v1/analytics/phases/runs", json: [:])
    _ = try await fixture.server.finish(run: try #require(try now.json()["id"]?.string))
    let ids = people.map { $0.uuidString.lowercased() }
    func move(_ id: String, _ phase: String, as person: String = "ayse") async throws -> TestServer.Answer {
      try await fixture.server.send(.post, "/v1/customers/\(id)/phase", as: person, json: ["phase": .string(phase), "reason": "Fuarda tanıştık."])
    }
    let standing = try await fixture.get("/v1/customers/\(ids[0])/phase", as: "ayse")["data"]?.array?.first
    #expect(
      standing?["phase"] == "selection" && standing?["by_rule"] == "selection" && standing?["rule"] == "not_in_contact" && standing?["decided_by"] == "rule",
      "\(String(describing: standing))")
    #expect(standing?["moves"]?.array?.map { $0["open"] } == [true, false])
    #expect(try await move(ids[0], "deepening").problem == "no-such-move")
    #expect(try await move(ids[0], "retention").problem == "move-not-earned")
    #expect(try await move(ids[0], "selection").problem == "already-there")
    #expect(try await move(ids[0], "acquisition", as: "elif").status == 403)
    #expect(try await move(UUID().uuidString.lowercased(), "acquisition").status == 404)
    #expect(try await move(ids[0], "winning").status == 422)
    let moved = try await move(ids[0], "acquisition")
    #expect(try moved.status == 200 && moved.json()["decided_by"] == "person" && moved.json()["phase"] == "acquisition", "\(moved.text)")
    // Nobody has been in contact, but somebody has said so.
    let again = try await fixture.server.send(.post, "/v1/analytics/phases/runs", json: [:])
    let run = try await fixture.server.finish(run: try #require(try again.json()["id"]?.string))
    #expect(run["result"]?["moved"] == 0, "\(run)")
    #expect(try await move(ids[1], "selection").problem == "move-not-earned")

    let merged = try await fixture.server.send(.post, "/v1/customers/\(ids[0])/merge", json: ["merged_id": .string(ids[1])])
    try #require(merged.status == 201, "\(merged.text)")
    #expect(try await fixture.behind("SELECT 1 FROM crm.customer_phase WHERE customer_id = \(people[0]) AND left_at IS NULL").count == 1)
    #expect(try await fixture.server.send(.get, "/v1/customers/\(ids[2])/phase", as: "emre").status == 403)
  }
}
