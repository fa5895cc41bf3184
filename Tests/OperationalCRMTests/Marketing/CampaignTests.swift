import CRMCore
import Foundation
import MuhatapTestKit
import OperationalCRM
import PostgresClient
import Testing

@Suite("Campaigns")
struct CampaignTests {
  private func behind(_ server: TestServer, _ statement: SQL) async throws -> PostgresResult {
    try await server.database.admin.execute([statement], context: PostgresPool.Context(readOnly: false), deadline: .after(.seconds(120)))[0]
  }

  private func customers(_ server: TestServer, _ count: Int) async throws -> [UUID] {
    try await behind(
      server,
      """
      INSERT INTO crm.customer (kind, name, department_id) SELECT 'person', 'Üye ' || i, (SELECT id FROM crm.department WHERE code = 'sales')
        FROM generate_series(1, \(count)::integer) i RETURNING id
      """
    ).rows.map { try $0.decode(UUID.self, "id") }
  }

  private func campaign(_ server: TestServer, _ values: [String: JSON] = [:]) async throws -> String {
    let made = try await server.send(
      .post, "/v1/campaigns", as: "elif",
      json: .object(["code": .string(UUID().uuidString), "name": "Bahar", "starts_on": "2026-03-01", "ends_on": "2026-03-31"].merging(values) { $1 }))
    try #require(made.status == 201, "\(made.text)")
    return try #require(try made.json()["id"]?.string)
  }

  private func list(_ ids: [UUID]) -> JSON { ["customer_ids": .array(ids.map { .string($0.uuidString.lowercased()) })] }

  @Test("customers are divided by the hash of who they are, the same in SQL and in Swift, once and for all")
  func division() async throws {
    let server = try await TestServer.suite()
    let ids = try await customers(server, 500)
    let campaign = try await campaign(server, ["holdout_percent": 30, "arms": ["a", "b", "c"]])
    let campaignID = try #require(UUID(uuidString: campaign))
    let answer = try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: list(ids))
    try #require(answer.status == 200, "\(answer.text)")
    let held = ids.filter { HoldOut.bucket(customer: $0, campaign: campaignID) < 30 }
    #expect(try answer.json()["held_out"] == .number(Decimal(held.count)) && answer.json()["assigned"] == 500, "\(answer.text)")
    #expect((100...200).contains(held.count))
    for row in try await behind(server, "SELECT customer_id, held_out, arm FROM crm.campaign_member WHERE campaign_id = \(campaignID)").rows {
      let id = try row.decode(UUID.self, "customer_id")
      #expect(try row.decode(Bool.self, "held_out") == held.contains(id))
      #expect(try row.decode(String?.self, "arm") == (held.contains(id) ? nil : ["a", "b", "c"][HoldOut.arm(customer: id, campaign: campaignID, of: 3)]))
    }
    let again = try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: list(ids))
    #expect(try again.json()["assigned"] == 0 && again.json()["already_in"] == 500 && again.json()["held_out"] == answer.json()["held_out"])
    // What a member brings does not count where the hash decides.
    let one = try await customers(server, 1)[0]
    let member = try await server.send(
      .post, "/v1/campaign_members", as: "elif",
      json: ["campaign_id": .string(campaign), "customer_id": .string(one.uuidString.lowercased()), "held_out": true])
    #expect(try member.json()["held_out"] == .bool(HoldOut.bucket(customer: one, campaign: campaignID) < 30), "\(member.text)")
    #expect(try await server.send(.patch, "/v1/campaigns/\(campaign)", as: "elif", json: ["holdout_percent": 10]).status == 422)
  }

  @Test("after the first touch nobody is added; who is held out is never touched; what is over takes nobody")
  func touches() async throws {
    let server = try await TestServer.suite()
    let ids = try await customers(server, 60)
    let campaign = try await campaign(server, ["holdout_percent": 50])
    let campaignID = try #require(UUID(uuidString: campaign))
    #expect(try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: list(Array(ids.prefix(50)))).status == 200)
    let held = try #require(ids.prefix(50).first { HoldOut.bucket(customer: $0, campaign: campaignID) < 50 })
    let treated = try #require(ids.prefix(50).first { HoldOut.bucket(customer: $0, campaign: campaignID) >= 50 })
    func touch(_ id: UUID, _ values: [String: JSON] = [:]) async throws -> TestServer.Answer {
      try await server.send(
        .post, "/v1/campaign_touches", as: "elif",
        json: .object(
          ["campaign_id": .string(campaign), "customer_id": .string(id.uuidString.lowercased()), "channel": "email", "touched_at": "2026-03-02T09:00:00Z"]
            .merging(values) { $1 }))
    }
    let refused = try await touch(held)
    #expect(refused.status == 422 && refused.text.contains("campaign_touch_held_out_untouched"), "\(refused.text)")
    #expect(try await touch(treated, ["delivered": false, "opened_at": "2026-03-02T10:00:00Z"]).status == 422)
    let made = try await touch(treated, ["cost": "0.0125"])
    #expect(made.status == 201, "\(made.text)")
    #expect(try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: list(Array(ids.suffix(10)))).problem == "campaign-touched")
    let late = try await server.send(
      .post, "/v1/campaign_members", as: "elif", json: ["campaign_id": .string(campaign), "customer_id": .string(ids[55].uuidString.lowercased())])
    #expect(late.status == 422 && late.text.contains("campaign_member_assigned_in_time"), "\(late.text)")
    #expect(try await server.send(.patch, "/v1/campaigns/\(campaign)", as: "elif", json: ["status": "finished"]).status == 200)
    #expect(try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: list(ids)).problem == "campaign-over")
  }

  @Test("members of a campaign divided elsewhere bring their arm; one that it does not have is refused")
  func given() async throws {
    let server = try await TestServer.suite()
    let ids = try await customers(server, 3).map { JSON.string($0.uuidString.lowercased()) }
    let campaign = try await campaign(server, ["assignment": "given", "arms": ["mail", "letter"]])
    func member(_ values: [String: JSON]) async throws -> TestServer.Answer {
      try await server.send(.post, "/v1/campaign_members", as: "elif", json: .object(["campaign_id": .string(campaign)].merging(values) { $1 }))
    }
    #expect(try await member(["customer_id": ids[0], "arm": "letter", "assigned_at": "2026-02-01T00:00:00Z"]).json()["arm"] == "letter")
    #expect(try await member(["customer_id": ids[1], "held_out": true]).json()["arm"] == .null)
    #expect(try await member(["customer_id": ids[2], "arm": "pigeon"]).status == 422)
    #expect(try await member(["customer_id": ids[0]]).status == 409)
    #expect(try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: ["customer_ids": [ids[2]]]).problem == "not-by-hash")
  }

  @Test("a campaign is its department's: others see it when it is the company's, change nothing, and who has no marketing sees none")
  func access() async throws {
    let server = try await TestServer.suite()
    let campaign = try await campaign(server, ["visibility": "department"])
    #expect(try await server.send(.get, "/v1/campaigns/\(campaign)", as: "can").status == 200)
    #expect(try await server.send(.get, "/v1/campaigns/\(campaign)", as: "ayse").status == 403)
    #expect(try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "ayse", json: list([UUID()])).status == 403)
    let hidden = try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: list([UUID()]))
    #expect(hidden.status == 422 && hidden.text.contains("/customer_ids"), "\(hidden.text)")
    #expect(try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: ["customer_ids": []]).status == 422)
    let moved = try await server.send(.patch, "/v1/campaigns/\(campaign)", as: "deniz", json: ["visibility": "company"])
    #expect(moved.status == 200)
    for wrong: [String: JSON] in [
      ["holdout_percent": 95], ["arms": []], ["arms": ["Büyük"]], ["ends_on": "2026-02-01"], ["assignment": "chosen", "holdout_percent": 5],
    ] {
      let made = try await server.send(
        .post, "/v1/campaigns", as: "elif",
        json: .object(["code": .string(UUID().uuidString), "name": "Bahar", "starts_on": "2026-03-01", "ends_on": "2026-03-31"].merging(wrong) { $1 }))
      #expect(made.status == 422, "\(made.text)")
    }
  }

  @Test("when two customers in one campaign are merged, one of them stays in it")
  func merge() async throws {
    let server = try await TestServer.suite()
    let ids = try await customers(server, 2)
    let campaign = try await campaign(server)
    #expect(try await server.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: list(ids)).status == 200)
    let merged = try await server.send(
      .post, "/v1/customers/\(ids[0].uuidString.lowercased())/merge", as: "deniz", json: ["merged_id": .string(ids[1].uuidString.lowercased())])
    try #require(merged.status == 201, "\(merged.text)")
    #expect(try await behind(server, "SELECT 1 FROM crm.campaign_member WHERE campaign_id = \(try #require(UUID(uuidString: campaign)))").count == 1)
  }
}
