import CRMCore
import Foundation
import Gateway
import MailTransport
import MuhatapTestKit
import PostgresClient
import Testing

/// The story of a ticket from the customer's mail to the call after a bad score, with a real mail server on both sides.
@Suite("Service by mail")
struct ServiceByMailTests {
  private struct Desk {
    let server: TestServer
    let mail: ChannelDesk
    let servers: MailServers

    func get(_ path: String, as person: String = "zeynep") async throws -> JSON {
      let answer = try await server.send(.get, path, as: person)
      try #require(answer.status == 200, "\(path): \(answer.text)")
      return try answer.json()
    }

    func rows(_ path: String, as person: String = "zeynep") async throws -> [JSON] { try await get(path, as: person)["data"]?.array ?? [] }

    func made(_ path: String, as person: String = "deniz", _ json: JSON) async throws -> String {
      let answer = try await server.send(.post, path, as: person, json: json)
      try #require((200...201).contains(answer.status), "\(path): \(answer.text)")
      return try answer.json().id
    }

    /// Has a worker's handler do one job of a kind.
    func job(_ kind: String) async throws {
      let database = Database(pool: server.database.worker, secrets: ChannelDesk.secrets)
      _ = try await database.transaction(as: .system("test")) { tx in try await JobQueue.enqueue(kind, in: tx) }
      let handler = try #require(Work.handlers.first { $0.kind == kind })
      while let job = try await JobQueue(database: database).take([kind], worker: "test", lease: .seconds(600)) {
        try await handler.run(JobLease(job: job, database: database))
        try await mail.behind("UPDATE crm.job SET status = 'done', leased_until = NULL, finished_at = now() WHERE id = \(job.id) AND status = 'running'")
      }
    }

    /// What the mail server was given to deliver, in order.
    func sent() throws -> [ReceivedMail] { try servers.sent().map { MailReader.read(Array($0.drop { $0 != 0x0A }.dropFirst())) } }
  }

  /// A mail of Çiğdem's, with a picture when one is given.
  private func mail(_ id: String, answering thread: [String] = [], _ subject: String, _ text: String, picture: String? = nil) -> [UInt8] {
    let references = thread.last.map { "In-Reply-To: <\($0)>\r\nReferences: \(thread.map { "<\($0)>" }.joined(separator: " "))\r\n" } ?? ""
    let encoded = Data(subject.utf8).base64EncodedString()
    let head =
      "Message-ID: <\(id)@musteri.example>\r\nFrom: =?utf-8?B?\(Data("Çiğdem Işık".utf8).base64EncodedString())?= <cigdem@musteri.example>\r\n"
      + "To: destek@carsi.example\r\nSubject: =?utf-8?B?\(encoded)?=\r\n\(references)MIME-Version: 1.0\r\n"
    guard let picture else { return Array("\(head)Content-Type: text/plain; charset=utf-8\r\n\r\n\(text)\r\n".utf8) }
    return Array(
      """
      \(head)Content-Type: multipart/mixed; boundary=p\r\n\r\n--p\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\(text)\r\n\r
      --p\r\nContent-Type: application/octet-stream; name="ariza.dat"\r\nContent-Disposition: attachment; filename="ariza.dat"\r\nContent-Transfer-Encoding: base64\r\n\r
      \(picture)\r\n--p--\r\n
      """.utf8)
  }

  private func open() async throws -> Desk {
    let server = try await TestServer.start { $0.secrets = ChannelDesk.secrets }
    return Desk(server: server, mail: ChannelDesk(server.database), servers: try await MailServers.start())
  }

  /// Teams, skills, promises, a mailbox, a survey and a gold customer whom sales looks after.
  private func furnish(_ desk: Desk) async throws -> (gold: String, burak: String, survey: String, customer: String) {
    let people = try await desk.rows("/v1/users?order=name", as: "deniz")
    let burak = try #require(people.first { $0["email"] == "burak@carsi.example" })
    let zeynep = try #require(people.first { $0["email"] == "zeynep@carsi.example" })
    let department = try #require(burak["department_id"])
    let team = try await desk.made("/v1/teams", ["code": "destek", "name": "Destek", "department_id": department])
    for person in [burak, zeynep] { _ = try await desk.made("/v1/team_members", ["team_id": .string(team), "user_id": .string(person.id)]) }
    _ = try await desk.made("/v1/agent_skills", ["user_id": .string(burak.id), "skill": "machines"])
    _ = try await desk.made(
      "/v1/routing_rules", ["name": "Makineler", "words": ["makine"], "team_id": .string(team), "skills": ["machines"], "place": 1])
    _ = try await desk.made(
      "/v1/sla_policies", ["code": "standard", "name": "Standart", "first_response_minutes": 480, "resolution_minutes": 2_880])
    let gold = try await desk.made(
      "/v1/sla_policies",
      ["code": "gold", "name": "Altın", "tier": "gold", "first_response_minutes": 30, "resolution_minutes": 480, "closes_after_hours": 48])
    try await desk.mail.mailAccount(desk.servers, opensTickets: true)
    let survey = try await desk.made(
      "/v1/surveys", as: "zeynep",
      [
        "code": "memnuniyet", "name": "Memnuniyet", "kind": "csat", "title_en": "How did we do?", "title_tr": "Bizi değerlendirin",
        "base_address": .string(desk.server.address), "rest_days": 0, "event": "ticket_closed", "follow_up_at_most": 3, "follow_up_days": 3,
      ])
    _ = try await desk.made(
      "/v1/survey_questions", as: "zeynep",
      [
        "survey_id": .string(survey), "place": 1, "code": "score", "kind": "score", "text_en": "How content are you?", "text_tr": "Ne kadar memnunsunuz?",
        "low_en": "not at all", "low_tr": "hiç", "high_en": "very", "high_tr": "çok", "required": true,
      ])
    let activated = try await desk.server.send(.post, "/v1/surveys/\(survey)/activate", as: "zeynep")
    try #require(activated.status == 200, "\(activated.text)")
    let customer = try await desk.made("/v1/customers", as: "ayse", ["kind": "person", "name": "Çiğdem Işık"])
    let id: JSON = .string(customer)
    let contact = try await desk.made("/v1/contacts", as: "ayse", ["customer_id": id, "name": "Çiğdem Işık"])
    _ = try await desk.made(
      "/v1/contact_points", as: "ayse",
      ["customer_id": id, "contact_id": .string(contact), "kind": "email", "value": "cigdem@musteri.example", "is_primary": true])
    try await desk.mail.behind(
      """
      WITH run AS (INSERT INTO crm.analysis_run (kind, method, as_of) VALUES ('test', 'x', now()) RETURNING id)
      INSERT INTO crm.customer_standing (customer_id, model_id, run_id, score, rank, tier, since, as_of)
      SELECT \(UUID(uuidString: customer)), m.id, run.id, 90, 1, 'gold', now(), now() FROM run, crm.value_model AS m WHERE m.is_default AND m.active LIMIT 1
      """)
    return (gold, burak.id, survey, customer)
  }

  @Test(
    "a gold customer's mail arrives by IMAP, is routed by skill, answered by SMTP in its thread, waits, is resolved, closes, is surveyed and followed up; sales sees all but the note"
  )
  func story() async throws {
    let desk = try await open()
    let (gold, burak, survey, customer) = try await furnish(desk)
    let tickets = "/v1/tickets?customer_id=eq.\(customer)&order=opened_at"

    // By IMAP, with a picture under a name that says nothing.
    let picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    try await desk.servers.deliver([mail("1", "Makine bozuk", "Kahve makinesi çalışmıyor.", picture: picture)], to: "destek")
    try await desk.mail.work()
    let found = try await desk.rows(tickets)
    try #require(found.count == 1)
    let ticket = found[0]
    #expect(ticket["tier"] == "gold" && ticket["sla_policy_id"] == .string(gold) && ticket["assignee_id"] == .string(burak), "\(ticket)")
    #expect(ticket["subject"] == "Makine bozuk" && ticket["channel"] == "email" && ticket["sla_state"] == "running")
    let conversation = try #require(ticket["conversation_id"]?.string)
    let came = try await desk.rows("/v1/interactions?conversation_id=eq.\(conversation)")
    try #require(came.count == 1)
    let file = try #require(try await desk.rows("/v1/attachments?interaction_id=eq.\(came[0].id)").first)
    #expect(file["name"] == "ariza.dat" && file["media_type"] == "image/png", "\(file)")
    let bytes = try await desk.server.send(.get, "/v1/attachments/\(file.id)/content", as: "ayse", checked: false)
    #expect(bytes.status == 200 && Data(bytes.bytes).base64EncodedString() == picture && bytes.headers["x-media-type"] == "image/png")
    #expect(try await desk.server.send(.get, "/v1/attachments/\(file.id)/content", as: "emre", checked: false).status == 403)

    // By SMTP, in the thread: the headers are those of the mail that arrived at the relay.
    let note = try await desk.server.send(.post, "/v1/conversations/\(conversation)/notes", as: "burak", json: ["text": "Garantisi bitmiş."])
    #expect(note.status == 201, "\(note.text)")
    let replied = try await desk.server.send(.post, "/v1/conversations/\(conversation)/reply", as: "burak", json: ["text": "Hangi hata kodu görünüyor?"])
    #expect(replied.status == 200, "\(replied.text)")
    try await desk.mail.work(receiving: false)
    let answers = try desk.sent()
    try #require(answers.count == 1)
    let answer = answers[0]
    #expect(answer.inReplyTo == "1@musteri.example" && answer.references == ["1@musteri.example"] && answer.subject == "Re: Makine bozuk")
    #expect(answer.text == "Hangi hata kodu görünüyor?\n" && !answer.text.contains("Garanti"))
    let waiting = try await desk.get("/v1/tickets/\(ticket.id)")
    #expect(waiting["status"] == "pending_customer" && waiting["sla_state"] == "paused" && waiting["first_response_at"] != .null, "\(waiting)")

    // The customer answers that very mail.
    try await desk.servers.deliver([mail("2", answering: ["1@musteri.example", answer.messageID], "Re: Makine bozuk", "E07")], to: "destek")
    try await desk.mail.behind("DELETE FROM crm.job")
    try await desk.mail.work()
    let again = try await desk.rows(tickets)
    #expect(again.count == 1 && again[0]["status"] == "open" && again[0]["sla_state"] == "running", "\(again)")

    // Resolved; two days later nobody has said otherwise.
    let resolved = try await desk.server.send(.post, "/v1/tickets/\(ticket.id)/status", as: "burak", json: ["status": "resolved"])
    #expect(resolved.status == 200, "\(resolved.text)")
    try await desk.job("service.watch")
    #expect(try await desk.get("/v1/tickets/\(ticket.id)")["status"] == "resolved")
    try await desk.server.database.pass(hours: 49, ofTicket: ticket.id)
    try await desk.job("service.watch")
    let closed = try await desk.get("/v1/tickets/\(ticket.id)")
    #expect(closed["status"] == "closed" && closed["status_reason"] == "not_reopened" && closed["closed_at"] != .null, "\(closed)")
    let clocks = try await desk.rows("/v1/tickets/\(ticket.id)/clocks")
    #expect(clocks.first { $0["kind"] == "resolution" }?["state"] == "met", "\(clocks)")

    // The survey arrives by mail, too; its link is opened and answered with a 3.
    try await desk.job("surveys.send")
    try await desk.mail.work(receiving: false)
    let asked = try #require(try desk.sent().last)
    try #require(try desk.sent().count == 2)
    let link = try #require(asked.text.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix(desk.server.address + "/s/") }, "\(asked.text)")
    let page = String(link.dropFirst(desk.server.address.count))
    #expect(try await desk.server.send(.get, page, as: nil, checked: false).text.contains("Bizi değerlendirin"))
    let given = try await desk.server.send(
      .post, page, as: nil, body: Array("score=3".utf8), headers: ["content-type": "application/x-www-form-urlencoded"], checked: false)
    #expect(given.status == 200, "\(given.text)")
    let response = try #require(try await desk.rows("/v1/survey_responses?survey_id=eq.\(survey)&expand=activity", as: "deniz").first)
    #expect(response["score"] == 3 && response["activity"]?["kind"] == "follow_up" && response["activity"]?["status"] == "planned", "\(response)")

    // One list for everybody: mails in and out, the ticket, the score, the call to come. What colleagues noted is service's.
    let path = "/v1/customers/\(customer)/timeline?limit=100"
    let ofService = try await desk.rows(path)
    let ofSales = try await desk.rows(path, as: "ayse")
    for (name, rows) in [("service", ofService), ("sales", ofSales)] {
      func has(_ resource: String, _ test: (JSON) -> Bool = { _ in true }) -> Bool { rows.contains { $0["resource"]?.string == resource && test($0) } }
      #expect(rows.count { $0["resource"] == "interactions" && $0["direction"] == "in" } == 2, "\(name)")
      #expect(has("interactions") { $0["direction"] == "out" && $0["text"]?.string?.contains("hata kodu") == true }, "\(name)")
      #expect(has("tickets") { $0["status"] == "closed" && $0["title"]?.string?.hasSuffix("Makine bozuk") == true }, "\(name): \(rows)")
      #expect(has("survey_responses") { $0["title"] == "3" && $0["type"] == "csat" }, "\(name): \(rows)")
    }
    #expect(ofSales.contains { $0["resource"] == "activities" && $0["type"] == "follow_up" }, "\(ofSales)")
    #expect(ofService.contains { $0["resource"] == "internal_notes" && $0["text"] == "Garantisi bitmiş." })
    #expect(!ofSales.contains { $0["resource"] == "internal_notes" } && !"\(ofSales)".contains("Garantisi"))
    // The outline is not the ticket.
    #expect(ofSales.first { $0["resource"] == "tickets" }?["text"] == .null)
    #expect(try await desk.server.send(.get, "/v1/tickets/\(ticket.id)", as: "ayse").status == 403)
    #expect(try await desk.server.send(.get, path, as: "emre").status == 403)
  }
}

extension TestDatabase {
  /// Makes a ticket as old, in its status, as if so many hours had passed.
  func pass(hours: Int, ofTicket id: String) async throws {
    _ = try await admin.execute(
      [
        "SET LOCAL session_replication_role = replica",
        "UPDATE crm.ticket SET status_since = status_since - make_interval(hours => \(hours)) WHERE id = \(UUID(uuidString: id))",
      ], context: .init(readOnly: false), deadline: .after(.seconds(60)))
  }
}

extension JSON {
  /// The id of a record.
  var id: String { self["id"]?.string ?? "" }
}
