import CRMCore
import Foundation
import Gateway
import Logging
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Sending a campaign")
struct CampaignSendingTests {
  /// Asks for a campaign to be sent, and lets workers do it.
  /// - Returns: the sending as it ended.
  private func send(_ campaign: String, _ message: JSON, _ api: TestAPI) async throws -> JSON {
    let asked = try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: message)
    try #require(asked.status == 202, "\(asked.text)")
    let id = try #require(try asked.json()["id"]?.string)
    #expect(try asked.json()["state"] == "queued")
    try await work(api, until: "SELECT count(*) FROM crm.job WHERE kind = 'campaign.send' AND status IN ('queued', 'running')", is: 0)
    return try await api.send(.get, "/v1/campaign_sendings/\(id)", as: "elif").json()
  }

  /// Lets a worker send campaigns until a statement gives a number, or somebody cancels it.
  private func work(_ api: TestAPI, until statement: SQL, is wanted: Int, atLeast: Bool = false, grace: Duration = .seconds(2)) async throws {
    let worker = Worker(
      database: Database(pool: api.database.worker), handlers: Work.handlers.filter { $0.kind == "campaign.send" },
      configuration: .init(name: UUID().uuidString, concurrency: 1, lease: .seconds(2), pause: .milliseconds(10), grace: grace),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await worker.run() }
      let end = ContinuousClock.now + .seconds(300)
      while ContinuousClock.now < end {
        let number = try await api.behind(statement)[0].decode(Int.self, at: 0)
        if number == wanted || atLeast && number > wanted { break }
        try await Task.sleep(for: .milliseconds(5))
      }
      worker.stop()
      try await group.waitForAll()
    }
  }

  private func campaign(_ api: TestAPI, holdout: Int = 0) async throws -> String {
    let made = try await api.send(
      .post, "/v1/campaigns", as: "elif",
      json: [
        "code": .string(UUID.v7().lowercase), "name": "Bahar", "starts_on": "2026-01-01", "ends_on": "2035-12-31", "status": "running",
        "holdout_percent": .number(Decimal(holdout)),
      ])
    return try #require(try made.json()["id"]?.string, "\(made.text)")
  }

  @Test func `a sending that was killed half way goes on where it was, and nobody gets two messages`() async throws {
    let api = try await TestAPI.start()
    let campaign = try await campaign(api, holdout: 20)
    let customers = 2_000
    let id = try #require(UUID(uuidString: campaign))
    for statement in [
      """
      INSERT INTO crm.customer (id, kind, name, department_id) SELECT md5('k' || i)::uuid, 'person', 'Kişi', d.id FROM generate_series(1, \(customers)) i, crm.department d
       WHERE d.code = 'sales'
      """,
      "INSERT INTO crm.contact_point (customer_id, kind, value) SELECT md5('k' || i)::uuid, 'email', 'k' || i || '@ornek.example' FROM generate_series(1, \(customers)) i",
      """
      INSERT INTO crm.consent_event (customer_id, channel, address, status, source)
      SELECT md5('k' || i)::uuid, 'email', 'k' || i || '@ornek.example', 'ONAY', 'HS_WEB' FROM generate_series(1, \(customers)) i WHERE i % 4 > 0
      """,
      "INSERT INTO crm.campaign_member (customer_id, campaign_id) SELECT md5('k' || i)::uuid, \(id) FROM generate_series(1, \(customers)) i",
    ] as [SQL] { try await api.behind(statement) }
    let message: JSON = ["channel": "email", "subject": "Bahar", "body_text": "Merhaba"]
    let asked = try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: message, headers: ["idempotency-key": "bahar-1"])
    #expect(asked.status == 202, "\(asked.text)")
    // The same request again is the same sending; another one waits for this.
    let repeated = try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: message, headers: ["idempotency-key": "bahar-1"])
    #expect(try repeated.json()["id"] == asked.json()["id"])
    #expect(try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: message).problem == "campaign-being-sent")

    // Its second portion takes long enough to be killed in the middle of it, however fast or slow the machine is.
    for statement in [
      """
      CREATE FUNCTION public.linger() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        IF EXISTS (SELECT FROM crm.campaign_sending AS s WHERE s.queued > 0) THEN PERFORM pg_sleep(45); END IF;
        RETURN NULL;
      END $$
      """,
      "CREATE TRIGGER linger BEFORE INSERT ON crm.outbound_message FOR EACH STATEMENT EXECUTE FUNCTION public.linger()",
    ] as [SQL] { try await api.behind(statement) }
    try await work(api, until: "SELECT queued FROM crm.campaign_sending", is: 1, atLeast: true, grace: .zero)
    try await api.behind("DROP TRIGGER linger ON crm.outbound_message")
    let half = try await api.behind("SELECT queued + refused AS done, state FROM crm.campaign_sending")[0]
    #expect(try half.decode(Int.self, "done") < customers / 2 && half.decode(String.self, "state") == "running", "it was over before it was killed")
    try await api.behind("UPDATE crm.job SET run_at = now() WHERE status = 'queued'")
    try await work(api, until: "SELECT count(*) FROM crm.campaign_sending WHERE state = 'done'", is: 1)

    let sending = try await api.send(.get, "/v1/campaign_sendings/\(try #require(try asked.json()["id"]?.string))", as: "elif").json()
    let counts = try await api.behind(
      """
      SELECT (SELECT count(*) FROM crm.campaign_member m WHERE NOT m.held_out) AS members, (SELECT count(*) FROM crm.outbound_message) AS messages,
             (SELECT count(DISTINCT o.customer_id) FROM crm.outbound_message o) AS people, (SELECT count(*) FROM crm.message_refusal) AS refusals,
             (SELECT count(*) FROM crm.outbound_message o JOIN crm.campaign_member m ON m.customer_id = o.customer_id AND m.held_out) AS held_out,
             (SELECT count(*) FROM crm.outbound_message o WHERE o.consent_event_id IS NULL) AS uncovered
      """)[0]
    let members = try counts.decode(Int.self, "members")
    let messages = try counts.decode(Int.self, "messages")
    #expect(
      try members > 1_400 && members < 1_800 && messages + counts.decode(Int.self, "refusals") == members && counts.decode(Int.self, "people") == messages)
    #expect(try counts.decode(Int.self, "held_out") == 0 && counts.decode(Int.self, "uncovered") == 0)
    #expect(sending["members"] == .number(Decimal(members)) && sending["queued"] == .number(Decimal(messages)), "\(sending)")
    #expect(sending["reasons"] == ["no_consent": .number(Decimal(members - messages))], "\(sending)")
  }

  @Test func `a sending is stopped by a person, or because the campaign is over`() async throws {
    let api = try await TestAPI.start()
    let person = try await Person.make(api)
    _ = try await person.says("ONAY", api)
    for byHand in [true, false] {
      let campaign = try await campaign(api)
      _ = try await api.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: ["customer_ids": [.string(person.id)]])
      let asked = try await api.send(.post, "/v1/campaigns/\(campaign)/send", as: "elif", json: ["channel": "email", "body_text": "x"])
      let id = try #require(try asked.json()["id"]?.string, "\(asked.text)")
      if byHand {
        #expect(try await api.send(.post, "/v1/campaign_sendings/\(id)/stop", as: "mehmet").status == 403)
        #expect(try await api.send(.post, "/v1/campaign_sendings/\(id)/stop", as: "elif").json()["state"] == "stopped")
        #expect(try await api.send(.post, "/v1/campaign_sendings/\(id)/stop", as: "elif").problem == "sending-over")
      } else {
        #expect(try await api.send(.patch, "/v1/campaigns/\(campaign)", as: "elif", json: ["status": "cancelled"]).status == 200)
      }
      try await work(api, until: "SELECT count(*) FROM crm.job WHERE kind = 'campaign.send' AND status IN ('queued', 'running')", is: 0)
      let ended = try await api.send(.get, "/v1/campaign_sendings/\(id)", as: "elif").json()
      #expect(ended["state"] == "stopped" && ended["problem"] == (byHand ? "by_hand" : "campaign_not_running") && ended["queued"] == 0, "\(ended)")
    }
  }

  @Test func `whoever objected or is restricted is in no segment and no campaign, and the gate refuses what goes around them`() async throws {
    let api = try await TestAPI.start()
    let people = [try await Person.make(api), try await Person.make(api), try await Person.make(api)]
    for person in people { _ = try await person.says("ONAY", api) }
    let ids = people.map { UUID(uuidString: $0.id) ?? .v7() }
    let rule = try await api.send(
      .post, "/v1/segments", json: ["code": "izinli", "name": "İzinliler", "definition": ["consent.email": "ONAY"]])
    let segment = try #require(try rule.json()["id"].flatMap { $0.string.flatMap(UUID.init(uuidString:)) }, "\(rule.text)")
    let list = try await api.send(.post, "/v1/segments", json: ["code": "liste", "name": "Liste", "kind": "static"])
    let chosen = try #require(try list.json()["id"]?.string, "\(list.text)")
    func members(_ id: UUID) async throws -> Set<UUID> {
      Set(
        try await api.behind("SELECT m.customer_id FROM crm.segment_member m WHERE m.segment_id = \(id) AND m.left_at IS NULL").rows.map {
          try $0.decode(UUID.self, "customer_id")
        })
    }
    let everybody: JSON = ["customer_ids": .array(people.map { .string($0.id) })]
    #expect(try await api.send(.post, "/v1/segments/\(chosen)/members", json: everybody).status == 200)
    #expect(try await members(segment) == Set(ids))
    let campaign = try await campaign(api)
    #expect(try await api.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: ["customer_ids": [.string(people[1].id)]]).status == 200)

    // One objects, one has processing restricted.
    for (kind, person) in [("object", ids[0]), ("restrict", ids[1])] {
      let request = UUID.v7()
      try await api.behind("INSERT INTO crm.privacy_request (id, kind, channel, requester) VALUES (\(request), \(kind), 'email', 'x')")
      try await api.behind("INSERT INTO crm.processing_restriction (customer_id, kind, request_id) VALUES (\(person), \(kind), \(request))")
    }
    #expect(try await members(segment) == [ids[2]])
    #expect(try await members(try #require(UUID(uuidString: chosen))) == [ids[2]])
    #expect(try await api.send(.post, "/v1/segments/\(segment.lowercase)/refresh").status < 300)
    let preview = try await api.send(.post, "/v1/segments/preview", json: ["definition": ["consent.email": "ONAY"]])
    #expect(try preview.json()["customers"] == 1, "\(preview.text)")
    #expect(try await api.send(.post, "/v1/segments/\(chosen)/members", json: everybody).json()["changed"] == 0)
    #expect(try await members(segment) == [ids[2]])

    let assigned = try await api.send(.post, "/v1/campaigns/\(campaign)/assign", as: "elif", json: everybody).json()
    #expect(assigned["assigned"] == 1 && assigned["restricted"] == 1 && assigned["already_in"] == 1, "\(assigned)")
    let single = try await api.send(
      .post, "/v1/campaign_members", as: "elif", json: ["campaign_id": .string(campaign), "customer_id": .string(people[0].id)])
    #expect(single.status == 422 && single.fieldErrors.contains { $0.hasSuffix("campaign_member_customer_id_free") }, "\(single.text)")
    // Who was in before is left out of what is sent.
    let sent = try await send(campaign, ["channel": "email", "body_text": "x"], api)
    #expect(sent["members"] == 2 && sent["restricted"] == 1 && sent["queued"] == 1 && sent["refused"] == 0, "\(sent)")

    #expect(try await people[1].gets("commercial", api) == "restricted")
    #expect(try await people[1].gets("transactional", api) == "queued")
    try await api.behind("UPDATE crm.processing_restriction SET lifted_at = now()")
    #expect(try await people[1].gets("commercial", api) == "queued")
  }

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
    let result = try await send(campaign, message, api)
    #expect(
      result["state"] == "done" && result["members"] == 4 && result["queued"] == 1 && result["refused"] == 2 && result["without_address"] == 1, "\(result)")
    #expect(result["reasons"] == ["no_consent": 1, "refused": 1], "\(result)")
    let again = try await send(campaign, message, api)
    #expect(again["queued"] == 0 && again["refused"] == 0 && again["state"] == "done")
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
    #expect(try await send(campaign, ["channel": "email", "body_text": "x"], api)["queued"] == 0)
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
