import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("The story of a ticket")
struct ServiceStoryTests {
  /// What came of a mail, as the mailbox's reader hands it over.
  private struct Received: RowDecodable {
    let customer: UUID
    let conversation: UUID
    init(row: PostgresRow) throws {
      customer = try row.decode(UUID.self, "customer_id")
      conversation = try row.decode(UUID.self, "conversation_id")
    }
  }

  private func receive(_ desk: SurveyDesk, account: UUID, id: String, answering: [String], subject: String, text: String) async throws -> Received {
    try await Database(pool: desk.server.database.worker).transaction(as: .system("test")) { tx in
      try await tx.one(
        Received.self,
        """
        SELECT r.customer_id, r.conversation_id FROM crm.receive_interaction(\(account), \(id), \(answering.last), \(answering), 'cigdem@musteri.example',
          'Çiğdem Işık', ARRAY['destek@carsi.example'], \(subject), \(text), NULL, now(), 'message') AS r
        """)
    }
  }

  private func standing(_ desk: SurveyDesk, _ customer: UUID, tier: String) async throws {
    try await desk.admin(
      """
      WITH run AS (INSERT INTO crm.analysis_run (kind, method, as_of) VALUES ('test', 'x', now()) RETURNING id)
      INSERT INTO crm.customer_standing (customer_id, model_id, run_id, score, rank, tier, since, as_of)
      SELECT \(customer), m.id, run.id, 90, 1, \(tier), now(), now() FROM run, crm.value_model AS m WHERE m.is_default AND m.active LIMIT 1
      """)
  }

  @Test(
    "a gold customer's mail becomes a ticket under the gold promise, is routed by skill, answered in its thread, waits, is resolved, surveyed and followed up")
  func story() async throws {
    let desk = SurveyDesk(server: try await TestServer.start())
    let people = try await desk.get("/v1/users?order=name", as: "deniz")["data"]?.array ?? []
    let burak = try #require(people.first { $0["email"] == "burak@carsi.example" })
    let zeynep = try #require(people.first { $0["email"] == "zeynep@carsi.example" })
    let department = try #require(burak["department_id"])

    // The desk: a team, a skill, a rule, two promises, a mailbox, a survey.
    let team = try await desk.made("/v1/teams", as: "deniz", ["code": "destek", "name": "Destek", "department_id": department])
    for person in [burak, zeynep] { _ = try await desk.made("/v1/team_members", as: "deniz", ["team_id": .string(team), "user_id": .string(person.id)]) }
    _ = try await desk.made("/v1/agent_skills", as: "deniz", ["user_id": .string(burak.id), "skill": "machines"])
    _ = try await desk.made(
      "/v1/routing_rules", as: "deniz", ["name": "Makineler", "words": ["makine"], "team_id": .string(team), "skills": ["machines"], "place": 1])
    _ = try await desk.made(
      "/v1/sla_policies", as: "deniz", ["code": "standard", "name": "Standart", "first_response_minutes": 480, "resolution_minutes": 2_880])
    let gold = try await desk.made(
      "/v1/sla_policies", as: "deniz", ["code": "gold", "name": "Altın", "tier": "gold", "first_response_minutes": 30, "resolution_minutes": 480])
    let account = UUID.v7()
    try await desk.admin(
      """
      INSERT INTO crm.channel_account (id, code, name, channel, provider, address, department_id, opens_tickets)
      SELECT \(account), 'destek', 'Destek', 'email', 'smtp_imap', 'destek@carsi.example', d.id, true FROM crm.department AS d WHERE d.code = 'service'
      """)
    let survey = try await desk.survey("csat", ["event": "ticket_closed", "follow_up_at_most": 3, "follow_up_days": 3])
    let customer = try #require(UUID(uuidString: try await desk.customer(email: "cigdem@musteri.example")))
    try await standing(desk, customer, tier: "gold")

    // A mail comes in, twice, as it does when a mailbox is read again.
    let first = try await receive(desk, account: account, id: "<1@musteri.example>", answering: [], subject: "Makine bozuk", text: "Kahve makinesi çalışmıyor.")
    let twice = try await receive(desk, account: account, id: "<1@musteri.example>", answering: [], subject: "Makine bozuk", text: "Kahve makinesi çalışmıyor.")
    #expect(first.customer == customer && twice.conversation == first.conversation)
    let tickets = try await desk.get("/v1/tickets?customer_id=eq.\(customer.lowercase)")["data"]?.array ?? []
    #expect(tickets.count == 1)
    let ticket = try #require(tickets.first)
    #expect(ticket["tier"] == "gold" && ticket["sla_policy_id"] == .string(gold) && ticket["assignee_id"] == .string(burak.id), "\(ticket)")
    #expect(ticket["subject"] == "Makine bozuk" && ticket["channel"] == "email" && ticket["sla_state"] == "running")

    // A note among colleagues; an answer in the thread; the clock stands still while the customer has the word.
    let noted = try await desk.post("/v1/conversations/\(first.conversation.lowercase)/notes", as: "burak", ["text": "Garantisi bitmiş."])
    #expect(noted.status == 201, "\(noted.text)")
    let replied = try await desk.post("/v1/conversations/\(first.conversation.lowercase)/reply", as: "burak", ["text": "Hangi hata kodu görünüyor?"])
    #expect(try replied.status == 200 && replied.json()["state"] == "queued", "\(replied.text)")
    let sent = try await desk.admin(
      "SELECT m.in_reply_to, m.headers ->> 'References' AS thread, m.address FROM crm.outbound_message m WHERE m.conversation_id = \(first.conversation)")
    #expect(
      try sent.count == 1 && sent[0].decode(String.self, "in_reply_to") == "<1@musteri.example>"
        && sent[0].decode(String.self, "thread") == "<1@musteri.example>")
    let waiting = try await desk.get("/v1/tickets/\(ticket.id)")
    #expect(waiting["status"] == "pending_customer" && waiting["sla_state"] == "paused" && waiting["first_response_at"] != .null, "\(waiting)")

    // The customer answers in the thread; the ticket goes on, is resolved and closed.
    let second = try await receive(
      desk, account: account, id: "<2@musteri.example>", answering: ["<1@musteri.example>"], subject: "Re: Makine bozuk", text: "E07")
    #expect(second.conversation == first.conversation)
    #expect(try await desk.get("/v1/tickets/\(ticket.id)")["status"] == "open")
    #expect(try await desk.get("/v1/tickets?customer_id=eq.\(customer.lowercase)")["data"]?.array?.count == 1)
    for status in ["resolved", "closed"] {
      let moved = try await desk.post("/v1/tickets/\(ticket.id)/status", as: "burak", ["status": .string(status)])
      #expect(moved.status == 200, "\(moved.text)")
    }
    let clocks = try await desk.get("/v1/tickets/\(ticket.id)/clocks")["data"]?.array ?? []
    #expect(clocks.allSatisfy { $0["state"] == "met" || $0["state"] == "untimed" } && clocks.count == 3, "\(clocks)")
    #expect(clocks.first { $0["kind"] == "resolution" }?["intervals"]?.array?.map { $0["state"]?.string } == ["running", "paused", "running"], "\(clocks)")

    // Asked how it was, the customer gives a 3, and somebody will call.
    try await desk.send(at: Date().addingTimeInterval(60))
    let invitation = try #require(try await desk.get("/v1/survey_invitations?survey_id=eq.\(survey)")["data"]?.array?.first?.id)
    let answered = try await desk.form(try await desk.path(invitation), "score=3&comment=Ge%C3%A7")
    #expect(answered.status == 200, "\(answered.text)")
    let response = try #require(try await desk.get("/v1/survey_responses?survey_id=eq.\(survey)&expand=activity", as: "deniz")["data"]?.array?.first)
    #expect(response["score"] == 3 && response["activity"]?["kind"] == "follow_up", "\(response)")

    // Everybody who may see the customer reads what was said; what colleagues noted is for those of service.
    func timeline(_ person: String) async throws -> [JSON] {
      try await desk.get("/v1/customers/\(customer.lowercase)/timeline?limit=50", as: person)["data"]?.array ?? []
    }
    let ofService = try await timeline("zeynep")
    let ofSales = try await timeline("ayse")
    #expect(ofService.count { $0["resource"] == "interactions" } >= 3 && ofSales.count { $0["resource"] == "interactions" } >= 3, "\(ofSales)")
    #expect(
      ofService.contains { $0["resource"] == "internal_notes" && $0["text"] == "Garantisi bitmiş." } && ofService.contains { $0["resource"] == "tickets" })
    #expect(ofSales.contains { $0["resource"] == "activities" }, "the follow-up")
    let outline = try #require(ofSales.first { $0["resource"] == "tickets" })
    #expect(outline["status"] == "closed" && outline["title"]?.string?.contains("Makine bozuk") == true && outline["text"] == .null, "\(outline)")
    #expect(ofService.first { $0["resource"] == "tickets" }?["text"] == "Kahve makinesi çalışmıyor.")
    #expect(ofSales.contains { $0["resource"] == "survey_responses" && $0["title"] == "3" })
    #expect(!ofSales.contains { $0["resource"] == "internal_notes" } && !"\(ofSales)".contains("Garantisi"), "\(ofSales)")

    // Writing once more, after all was closed, begins anew.
    let third = try await receive(
      desk, account: account, id: "<3@musteri.example>", answering: ["<2@musteri.example>"], subject: "Re: Makine bozuk", text: "Yine bozuldu.")
    #expect(third.conversation == first.conversation)
    let after = try await desk.get("/v1/tickets?customer_id=eq.\(customer.lowercase)&order=opened_at")["data"]?.array ?? []
    #expect(after.count == 2 && after[1]["status"] == "new" && after[1]["description"] == "Yine bozuldu." && after[0]["status"] == "closed", "\(after)")
    let again = try await desk.post("/v1/conversations/\(first.conversation.lowercase)/ticket")
    #expect(try again.status == 200 && again.json()["id"] == after[1]["id"], "\(again.text)")
    #expect(try await desk.post("/v1/conversations/\(UUID.v7().lowercase)/ticket").status == 404)
    #expect(try await desk.post("/v1/conversations/\(first.conversation.lowercase)/ticket", as: "ayse").status == 403)
  }
}
