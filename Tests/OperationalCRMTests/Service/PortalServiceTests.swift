import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

/// What customers and colleagues write to each other through the portal.
@Suite struct PortalServiceTests {
  private func desk() async throws -> SurveyDesk { SurveyDesk(server: try await TestServer.suite()) }

  @Test func `a colleague answers in the portal, by hand and by a macro, and the ticket's clocks heed it`() async throws {
    let desk = try await desk()
    let guest = try await desk.visitor(try await desk.customer())
    let (ticket, conversation) = try await guest.opened("Kırık fincan")
    let answered = try await desk.post("/v1/conversations/\(conversation)/reply", ["text": "Yenisini gönderiyoruz."])
    #expect(try answered.status == 200 && answered.json()["state"] == "sent" && answered.json()["message_id"] == .null, "\(answered.text)")
    let said = try #require(try answered.json()["interaction_id"]?.string)
    #expect(try await guest.list("/v1/portal/conversations/\(conversation)/messages").first { $0["id"]?.string == said }?["direction"] == "out")
    let after = try await desk.get("/v1/tickets/\(ticket)")
    #expect(after["status"] == "pending_customer" && after["first_response_at"] != .null, "\(after)")
    #expect(try await desk.get("/v1/conversations/\(conversation)")["state"] == "waiting")
    let lost = try await desk.post("/v1/conversations/\(conversation)/reply", ["text": "x", "not_before": "2030-01-01T00:00:00Z"])
    #expect(try lost.status == 422 && lost.json()["errors"]?.array?.first?["pointer"] == "/not_before", "\(lost.text)")

    let macro = try await desk.made(
      "/v1/macros", as: "deniz",
      [
        "code": .string("m\(UUID().uuidString.lowercased().filter { $0 != "-" })"), "name": "Kargoda", "reply": "{{ticket.number}} kargoda.",
        "status": "resolved",
      ])
    let applied = try await desk.post("/v1/tickets/\(ticket)/apply_macro", ["macro_id": .string(macro)])
    #expect(try applied.status == 200 && applied.json()["status"] == "resolved", "\(applied.text)")
    let number = try #require(after["number"]?.string)
    #expect(
      try await guest.list("/v1/portal/conversations/\(conversation)/messages").map { $0["body_text"] } == [
        .string("\(number) kargoda."), "Yenisini gönderiyoruz.", "Yardım eder misiniz?",
      ])
    #expect(
      try await desk.admin("SELECT 1 FROM crm.outbound_message m WHERE m.conversation_id = \(try #require(UUID(uuidString: conversation)))").count == 0)
  }

  @Test func `what is sent again, also at once, is there once, and an id that somebody else used is refused`() async throws {
    let desk = try await desk()
    let customer = try await desk.made("/v1/customers", ["kind": "organisation", "name": "Çınar A.Ş."])
    let ali = try await desk.visitor(customer, contact: try await desk.made("/v1/contacts", ["customer_id": .string(customer), "name": "Ali"]))
    let veli = try await desk.visitor(customer, contact: try await desk.made("/v1/contacts", ["customer_id": .string(customer), "name": "Veli"]))
    let ask: JSON = ["id": .string(UUID().uuidString.lowercased()), "subject": "Fatura", "description": "Nerede?"]
    let answers = try await withThrowingTaskGroup(of: TestServer.Answer.self) { group in
      for _ in 0..<6 { group.addTask { try await ali.send(.post, "/v1/portal/tickets", ask) } }
      return try await group.reduce(into: [TestServer.Answer]()) { $0.append($1) }
    }
    #expect(answers.allSatisfy { $0.status == 201 && $0.text == answers[0].text }, "\(answers.map(\.text))")
    #expect(try await ali.list("/v1/portal/tickets").count == 1)
    let conversation = try #require(try answers[0].json()["conversation_id"]?.string)
    #expect(try await veli.send(.post, "/v1/portal/tickets", ask).problem == "id-taken")
    let stranger = try await desk.visitor(try await desk.customer())
    #expect(try await stranger.send(.post, "/v1/portal/tickets", ask).problem == "id-taken")

    let message: JSON = ["id": .string(UUID().uuidString.lowercased()), "text": "Hâlâ bekliyorum."]
    let path = "/v1/portal/conversations/\(conversation)/messages"
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<6 { group.addTask { try await ali.send(.post, path, message).status } }
      for try await status in group { #expect(status == 201) }
    }
    #expect(try await ali.list(path).count == 2)
    let other = try await ali.opened("Başka bir konu").conversation
    #expect(try await ali.send(.post, "/v1/portal/conversations/\(other)/messages", message).problem == "id-taken")
    // A ticket that a colleague opened without a conversation is there, and was not opened by this.
    let made = try await desk.made("/v1/tickets", ["customer_id": .string(customer), "subject": "Telefonla"])
    #expect(try await ali.send(.post, "/v1/portal/tickets", ["id": .string(made), "subject": "x", "description": "x"]).problem == "id-taken")
  }

  @Test func `who writes after everything was closed gets a new ticket in the same conversation`() async throws {
    let desk = try await desk()
    let guest = try await desk.visitor(try await desk.customer())
    let (ticket, conversation) = try await guest.opened("İade")
    let path = "/v1/portal/conversations/\(conversation)/messages"
    #expect(try await desk.post("/v1/tickets/\(ticket)/status", ["status": "resolved"]).status == 200)
    #expect(try await guest.send(.post, path, ["text": "Olmadı."]).status == 201)
    #expect(try await guest.list("/v1/portal/tickets").map { $0["status"] } == ["open"], "a resolved one is reopened")
    #expect(try await desk.post("/v1/tickets/\(ticket)/status", ["status": "closed"]).status == 200)
    #expect(try await guest.send(.post, path, ["text": "Yeniden bozuldu."]).status == 201)
    let tickets = try await guest.list("/v1/portal/tickets")
    #expect(Set(tickets.map { $0["status"] }) == ["new", "closed"] && tickets.allSatisfy { $0["conversation_id"]?.string == conversation }, "\(tickets)")
    #expect(tickets.first { $0["status"] == "new" }?["description"] == "Yeniden bozuldu.")
    #expect(try await guest.send(.post, path, ["text": "Lütfen."]).status == 201)
    #expect(try await guest.list("/v1/portal/tickets").count == 2)
  }

  @Test func `pages follow each other without a gap where many have the same time`() async throws {
    let desk = try await desk()
    let customer = try await desk.customer()
    let guest = try await desk.visitor(customer)
    let id = try #require(UUID(uuidString: customer))
    let prefix = UUID().uuidString
    try await desk.admin(
      """
      INSERT INTO crm.sales_order (customer_id, external_number, source_system, department_id, ordered_at)
      SELECT c.id, \(prefix) || n, 'test', c.department_id, '2026-03-05T09:00:00Z' FROM crm.customer c CROSS JOIN generate_series(1, 7) AS n WHERE c.id = \(id)
      """)
    var seen: [JSON] = []
    var last = ""
    while true {
      let page = try await guest.list("/v1/portal/orders?limit=3" + (last.isEmpty ? "" : "&after=\(last)"))
      seen += page
      guard let id = page.last?["id"]?.string else { break }
      last = id
    }
    #expect(seen.count == 7 && Set(seen.compactMap { $0["id"]?.string }).count == 7)
    for path in ["tickets", "invoices", "conversations"] { #expect(try await guest.list("/v1/portal/\(path)?after=\(UUID())") == []) }
  }

  @Test func `what a customer writes of whom not the whole company knows stays with service and whose customer it is`() async throws {
    let desk = try await desk()
    let service = try await desk.get("/v1/departments?code=eq.service", as: "deniz")["data"]?.array?.first?["id"] ?? .null
    _ = try await desk.made(
      "/v1/teams", as: "deniz", ["code": .string("t\(UUID().uuidString.lowercased().filter { $0 != "-" })"), "name": "Destek", "department_id": service])
    let customer = try await desk.made(
      "/v1/customers", as: "ayse", ["kind": "person", "name": "Gizli Müşteri", "visibility": "private", "owner_id": .string(try await desk.user("ayse"))])
    let (ticket, conversation) = try await desk.visitor(customer, as: "ayse").opened("Özel bir konu")
    #expect(try await desk.get("/v1/tickets/\(ticket)", as: "burak")["visibility"] == "department")
    for person in ["burak", "ayse"] { #expect(try await desk.server.send(.get, "/v1/conversations/\(conversation)", as: person).status == 200, "\(person)") }
    for person in ["can", "gul"] { #expect(try await desk.server.send(.get, "/v1/conversations/\(conversation)", as: person).status == 404, "\(person)") }
    #expect(try await desk.post("/v1/conversations/\(conversation)/reply", ["text": "Bakıyoruz."]).status == 200)

    // What everybody may see is seen by everybody, and answered by service all the same.
    let known = try await desk.made("/v1/customers", as: "ayse", ["kind": "person", "name": "Herkesin Müşterisi"])
    let open = try await desk.visitor(known, as: "ayse").opened("Genel bir konu").conversation
    #expect(try await desk.server.send(.get, "/v1/conversations/\(open)", as: "can").status == 200)
    #expect(try await desk.post("/v1/conversations/\(open)/reply", ["text": "Bakıyoruz."]).status == 200)
  }

  @Test func `a new ticket is answered with the articles for customers that may help`() async throws {
    let desk = SurveyDesk(server: try await TestServer.start())
    for (slug, readers) in [("iade-icin", "customers"), ("iade-talimati", "internal")] {
      let article = try await desk.made("/v1/articles", ["slug": .string(slug), "readers": .string(readers)])
      let version = try await desk.made(
        "/v1/article_versions", ["article_id": .string(article), "title": "İade nasıl yapılır?", "body": "On dört gün içinde."])
      try #require(try await desk.post("/v1/article_versions/\(version)/publish").status == 200)
    }
    let guest = try await desk.visitor(try await desk.customer())
    let opened = try await guest.send(.post, "/v1/portal/tickets", ["subject": "Fincan", "description": "Aldığım fincanı iade etmek istiyorum."])
    #expect(try opened.json()["articles"] == [["slug": "iade-icin", "title": "İade nasıl yapılır?", "summary": .null]], "\(opened.text)")

    // The same for colleagues, by the ticket, also when it came another way.
    let suggested = try await desk.post("/v1/articles/suggest", ["ticket_id": opened.json()["id"] ?? .null])
    #expect(try Set(suggested.json()["data"]?.array?.compactMap { $0["slug"]?.string } ?? []) == ["iade-icin", "iade-talimati"], "\(suggested.text)")
    #expect(try await desk.post("/v1/articles/suggest", ["ticket_id": .string(UUID().uuidString)]).status == 422)
    #expect(try await desk.post("/v1/articles/suggest", ["text": "  "]).status == 422)
  }

  @Test func `two accesses of people who were merged are invited as one`() async throws {
    let desk = try await desk()
    let customer = try await desk.made("/v1/customers", ["kind": "organisation", "name": "Çınar A.Ş."])
    let contact = try await desk.made("/v1/contacts", ["customer_id": .string(customer), "name": "Ali"])
    _ = try await desk.portalInvitation(customer, contact: contact)
    let id = try #require(UUID(uuidString: contact))
    // As a merge leaves them: two accesses, one person.
    try await desk.admin(
      "INSERT INTO crm.portal_access (customer_id, contact_id, department_id) SELECT a.customer_id, a.contact_id, a.department_id FROM crm.portal_access a WHERE a.contact_id = \(id)"
    )
    let again = try await desk.visitor(customer, contact: contact)
    #expect(try await again.send(.get, "/v1/portal/me").status == 200)
    #expect(try await desk.admin("SELECT 1 FROM crm.portal_access a WHERE a.contact_id = \(id) AND a.invitation_hash IS NOT NULL").count == 0)
  }
}
