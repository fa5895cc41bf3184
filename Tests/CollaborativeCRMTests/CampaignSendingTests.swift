import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Sending a campaign")
struct CampaignSendingTests {
  @Test func `a campaign reaches the members who allowed it, once, and says why the others were not reached`() async throws {
    let api = try await TestAPI.suite()
    let people = [try await Person.make(api), try await Person.make(api), try await Person.make(api)]
    _ = try await people[0].says("ONAY", api)
    _ = try await people[1].says("ONAY", api)
    _ = try await people[1].says("RET", api)
    let silent = try #require(try await api.send(.post, "/v1/customers", json: ["kind": "person", "name": "Adressiz"]).json()["id"]?.string)
    let made = try await api.send(
      .post, "/v1/campaigns", as: "elif",
      json: ["code": .string(UUID.v7().lowercase), "name": "Kış", "starts_on": "2026-01-01", "ends_on": "2035-12-31", "status": "draft"])
    let campaign = try #require(try made.json()["id"]?.string, "\(made.text)")
    let members = (people.map(\.id) + [silent]).map { JSON.string($0) }
    #expect(try await api.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: ["customer_ids": .array(members)]).status == 200)
    let message: JSON = ["channel": "email", "subject": "Kış indirimi", "body_text": "Merhaba"]
    #expect(try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: message).problem == "campaign-not-running")
    #expect(try await api.send(.patch, "/v1/campaigns/\(campaign)", as: "elif", json: ["status": "running"]).status == 200)
    let sent = try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: message)
    #expect(sent.status == 200, "\(sent.text)")
    let result = try sent.json()
    #expect(result["queued"] == 1 && result["refused"] == 2 && result["without_address"] == 1 && result["remaining"] == 0, "\(sent.text)")
    #expect(result["reasons"] == ["no_consent": 1, "refused": 1], "\(sent.text)")
    let again = try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: message).json()
    #expect(again["queued"] == 0 && again["refused"] == 0)
    #expect(try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "mehmet", json: message).status == 403)

    // Once it is sent it is a touch, which attribution reads.
    let id = try #require(UUID(uuidString: campaign))
    _ = try await api.behind("UPDATE crm.outbound_message SET state = 'sending', attempts = 1 WHERE campaign_id = \(id)")
    _ = try await api.behind("UPDATE crm.outbound_message SET state = 'sent' WHERE campaign_id = \(id)")
    let touches = try await api.send(.get, "/v1/campaign_touches", ["campaign_id": "eq.\(campaign)"], as: "elif").rows()
    #expect(touches.count == 1 && touches[0]["customer_id"] == .string(people[0].id) && touches[0]["channel"] == "email")
  }

  @Test func `whoever is held out of a campaign is not reached by it`() async throws {
    let api = try await TestAPI.suite()
    let person = try await Person.make(api)
    _ = try await person.says("ONAY", api)
    let made = try await api.send(
      .post, "/v1/campaigns", as: "elif",
      json: [
        "code": .string(UUID.v7().lowercase), "name": "Yaz", "starts_on": "2026-01-01", "ends_on": "2035-12-31", "status": "running", "assignment": "chosen",
      ])
    let campaign = try #require(try made.json()["id"]?.string, "\(made.text)")
    let member = try await api.send(
      .post, "/v1/campaign_members", as: "elif", json: ["campaign_id": .string(campaign), "customer_id": .string(person.id), "held_out": true])
    #expect(member.status == 201, "\(member.text)")
    let sent = try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: ["channel": "email", "body_text": "x"])
    #expect(try sent.json()["queued"] == 0)
    let (id, customer) = (try #require(UUID(uuidString: campaign)), try #require(UUID(uuidString: person.id)))
    _ = try await api.behind(
      "INSERT INTO crm.outbound_message (customer_id, channel, address, campaign_id) VALUES (\(customer), 'email', \(person.email), \(id))")
    #expect(try await api.send(.get, "/v1/message_refusals", ["customer_id": "eq.\(person.id)"]).rows().map { $0["reason"] } == ["held_out"])
  }

  @Test func `consent is a condition of segments`() async throws {
    let api = try await TestAPI.start()
    let people = [try await Person.make(api), try await Person.make(api), try await Person.make(api)]
    _ = try await people[0].says("ONAY", api)
    _ = try await people[1].says("RET", api)
    for (status, expected) in [("ONAY", people[0].id), ("RET", people[1].id)] {
      let made = try await api.send(
        .post, "/v1/segments",
        json: [
          "code": .string("izin_\(status.lowercased())"), "name": "İzinliler",
          "definition": ["consent.email": .string(status)],
        ])
      try #require(made.status == 201, "\(made.text)")
      let id = try #require(try made.json()["id"]?.string)
      let members = try await api.behind("SELECT m.customer_id FROM crm.segment_member m WHERE m.segment_id = \(UUID(uuidString: id)) AND m.left_at IS NULL")
      #expect(try members.rows.map { try $0.decode(UUID.self, "customer_id").lowercase } == [expected])
    }
  }
}
