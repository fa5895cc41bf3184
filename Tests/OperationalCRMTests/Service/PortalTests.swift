import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite struct PortalTests {
  private func desk() async throws -> SurveyDesk { SurveyDesk(server: try await TestServer.suite()) }

  @Test func `a customer comes in once by an invitation and sees what is theirs and nothing else`() async throws {
    let desk = try await desk()
    let mine = try await desk.customer("Çiğdem Işık")
    let others = try await desk.customer("Başkası")
    let order = try await desk.order(mine, number: "P-\(UUID())")
    let foreign = try await desk.order(others, number: "P-\(UUID())")
    _ = try await desk.made("/v1/tickets", ["customer_id": .string(mine), "subject": "Benim"])
    _ = try await desk.made("/v1/tickets", ["customer_id": .string(others), "subject": "Onun"])
    let guest = try await desk.visitor(mine)

    let me = try #require(try await guest.list("/v1/portal/me").first)
    #expect(me["customer_id"]?.string == mine && me["name"] == "Çiğdem Işık" && me["contact_id"] == .null)
    #expect(try await guest.list("/v1/portal/tickets").map { $0["subject"] } == ["Benim"])
    #expect(try await guest.list("/v1/portal/orders").map { $0["id"]?.string } == [order])
    #expect(try await guest.list("/v1/portal/orders/\(order)/lines").map { $0["product"] } == ["Çay"])
    #expect(try await guest.send(.get, "/v1/portal/orders/\(foreign)/lines").status == 404)
    #expect(try await guest.send(.get, "/v1/portal/orders/\(foreign)/shipments").status == 404)
    #expect(try await guest.send(.get, "/v1/portal/invoices/\(UUID())/lines").status == 404)
    #expect(try await guest.list("/v1/portal/invoices") == [])
    #expect(try await guest.list("/v1/portal/conversations") == [])

    for path in ["/v1/customers", "/v1/tickets", "/v1/me", "/v1/changes", "/v1/api_keys"] {
      #expect(try await guest.send(.get, path).problem == "forbidden", "\(path)")
    }
    #expect(try await guest.send(.post, "/v1/customers", ["kind": "person", "name": "x"]).status == 403)
    #expect(try await desk.server.send(.get, "/v1/portal/me", as: "deniz").problem == "forbidden")
    #expect(try await desk.server.send(.get, "/v1/portal/me", as: nil).status == 401)
  }

  @Test func `a customer opens a ticket, is answered, writes back, and sees no note`() async throws {
    let desk = try await desk()
    let customer = try await desk.customer()
    let guest = try await desk.visitor(customer)
    let id = UUID().uuidString.lowercased()
    let order = try await desk.order(customer, number: "P-\(UUID())")
    let ask: JSON = ["id": .string(id), "subject": "Kırık fincan", "description": "Kutudan kırık çıktı.", "type": "complaint", "order_id": .string(order)]
    let opened = try await guest.send(.post, "/v1/portal/tickets", ask)
    #expect(opened.status == 201, "\(opened.text)")
    #expect(try await guest.send(.post, "/v1/portal/tickets", ask).json() == opened.json(), "sending it again changes nothing")
    let conversation = try #require(try opened.json()["conversation_id"]?.string)
    let ticket = try await desk.get("/v1/tickets/\(id)")
    #expect(ticket["channel"] == "portal" && ticket["customer_id"]?.string == customer && ticket["conversation_id"]?.string == conversation)

    let thread = try #require(UUID(uuidString: conversation))
    try await desk.admin(
      """
      WITH seen AS (SELECT set_config('muhatap.read_customers', '*', true))
      INSERT INTO crm.interaction (customer_id, conversation_id, channel, direction, kind, body_text, department_id)
      SELECT c.customer_id, c.id, 'web', x.direction, x.kind, x.text, c.department_id FROM seen, crm.conversation c
       CROSS JOIN (VALUES ('out', 'message', 'Yenisini gönderiyoruz.'), ('out', 'call', 'Görüşme notu')) AS x (direction, kind, text) WHERE c.id = \(thread)
      """)
    #expect(try await guest.send(.post, "/v1/portal/conversations/\(conversation)/messages", ["text": "Teşekkürler"]).status == 201)
    let messages = try await guest.list("/v1/portal/conversations/\(conversation)/messages")
    #expect(Set(messages.compactMap { $0["body_text"]?.string }) == ["Kutudan kırık çıktı.", "Yenisini gönderiyoruz.", "Teşekkürler"])

    let stranger = try await desk.visitor(try await desk.customer("Yabancı"))
    #expect(try await stranger.send(.get, "/v1/portal/conversations/\(conversation)/messages").status == 404)
    #expect(try await stranger.send(.post, "/v1/portal/conversations/\(conversation)/messages", ["text": "x"]).status == 404)
    let wrong = try await stranger.send(.post, "/v1/portal/tickets", ["subject": "x", "description": "x", "order_id": .string(order)])
    #expect(try wrong.status == 422 && wrong.json()["errors"]?.array?.first?["pointer"] == "/order_id", "\(wrong.text)")
  }

  @Test func `a person sees their own tickets and conversations, and everybody's only when marked to`() async throws {
    let desk = try await desk()
    let company = try await desk.made("/v1/customers", ["kind": "organisation", "name": "Çınar A.Ş."])
    let first = try await desk.made("/v1/contacts", ["customer_id": .string(company), "name": "Ali"])
    let second = try await desk.made("/v1/contacts", ["customer_id": .string(company), "name": "Veli"])
    let ali = try await desk.visitor(company, contact: first)
    let veli = try await desk.visitor(company, contact: second)
    let everybody = try await desk.visitor(company)
    #expect(try await ali.list("/v1/portal/me").map { $0["contact_name"] } == ["Ali"])
    let opened = try await ali.send(.post, "/v1/portal/tickets", ["subject": "Fatura", "description": "Nerede?"])
    #expect(opened.status == 201)
    let conversation = try opened.json()["conversation_id"]?.string ?? ""
    let order = try await desk.order(company, number: "P-\(UUID())")
    for guest in [ali, everybody] {
      #expect(try await guest.list("/v1/portal/conversations").count == 1)
      #expect(try await guest.list("/v1/portal/tickets").map { $0["subject"] } == ["Fatura"])
    }
    #expect(try await veli.list("/v1/portal/conversations") == [])
    #expect(try await veli.list("/v1/portal/tickets") == [])
    #expect(try await veli.send(.get, "/v1/portal/conversations/\(conversation)/messages").status == 404)
    #expect(try await veli.send(.post, "/v1/portal/conversations/\(conversation)/messages", ["text": "x"]).status == 404)
    // What is the organisation's and nobody's in it is seen by all.
    for guest in [ali, veli, everybody] { #expect(try await guest.list("/v1/portal/orders").map { $0["id"]?.string } == [order]) }

    // Marked, the token that is out sees everybody's at once, and with the mark taken back no longer.
    func mark(_ whole: Bool) async throws {
      let marked = try await desk.post(
        "/v1/customers/\(company)/portal_invitations", ["contact_id": .string(second), "whole_organisation": .bool(whole)])
      #expect(marked.status == 201, "\(marked.text)")
      for _ in 0..<1_200 {
        if try await (veli.list("/v1/portal/tickets").count == 1) == whole { return }
        try await Task.sleep(for: .milliseconds(50))
      }
      Issue.record("the mark was not heeded")
    }
    try await mark(true)
    #expect(try await veli.list("/v1/portal/conversations").count == 1)
    #expect(try await veli.send(.post, "/v1/portal/conversations/\(conversation)/messages", ["text": "Ben de bekliyorum."]).status == 201)
    try await mark(false)
    #expect(try await veli.list("/v1/portal/conversations") == [])
  }

  @Test func `a customer allows and refuses messages to their own addresses`() async throws {
    let desk = try await desk()
    let address = "r\(UUID().uuidString.prefix(8).lowercased())@musteri.example"
    let guest = try await desk.visitor(try await desk.customer(email: address))
    #expect(try await guest.send(.post, "/v1/portal/consents", ["channel": "email", "address": .string(address.uppercased()), "status": "ONAY"]).status == 201)
    #expect(try await guest.list("/v1/portal/consents").map { [$0["address"], $0["status"], $0["source"]] } == [[.string(address), "ONAY", "HS_WEB"]])
    #expect(try await guest.send(.post, "/v1/portal/consents", ["channel": "email", "address": .string(address), "status": "RET"]).status == 201)
    #expect(try await guest.list("/v1/portal/consents").map { $0["status"] } == ["RET"])
    let foreign = try await guest.send(.post, "/v1/portal/consents", ["channel": "email", "address": "someone@else.example", "status": "ONAY"])
    #expect(foreign.status == 422 && foreign.text.contains("/address"), "\(foreign.text)")
    #expect(try await guest.send(.post, "/v1/portal/consents", ["channel": "email", "address": .string(address), "status": "maybe"]).status == 422)
    #expect(
      try await guest.send(.post, "/v1/portal/consents", ["channel": "email", "address": .string(address), "status": "RET", "purpose": "nothing"]).status == 422
    )
  }

  @Test func `an invitation works once and until its end, and a revoked access ends at once`() async throws {
    let desk = try await desk()
    let customer = try await desk.customer()
    let (access, secret) = try await desk.portalInvitation(customer)
    let listed = try await desk.get("/v1/portal_accesses/\(access)")
    #expect(listed["invitation_hash"] == nil && listed["redeemed_at"] == .null)
    let again = try await desk.portalInvitation(customer)
    #expect(again.access == access)
    #expect(
      try await desk.post("/v1/portal/sessions", as: nil, ["invitation": .string(secret)]).problem == "unknown-invitation", "a new one ends the one before")
    let id = try #require(UUID(uuidString: access))
    try await desk.admin("UPDATE crm.portal_access SET invitation_expires_at = now() WHERE id = \(id)")
    #expect(try await desk.post("/v1/portal/sessions", as: nil, ["invitation": .string(again.secret)]).status == 401)

    let third = try await desk.portalInvitation(customer)
    let token = try #require(try await desk.post("/v1/portal/sessions", as: nil, ["invitation": .string(third.secret)]).json()["token"]?.string)
    #expect(token.hasPrefix("mhc_"))
    #expect(try await desk.post("/v1/portal/sessions", as: nil, ["invitation": .string(third.secret)]).status == 401)
    let guest = PortalVisitor(desk: desk, token: token)
    let second = try await desk.visitor(customer)
    #expect(try await guest.send(.get, "/v1/portal/me").status == 200)
    #expect(try await guest.send(.delete, "/v1/portal/sessions/current").status == 204)
    try await ends(guest)
    #expect(try await second.send(.get, "/v1/portal/me").status == 200)
    #expect(try await desk.post("/v1/portal_accesses/\(access)/revoke").status == 200)
    try await ends(second)
    #expect(try await desk.post("/v1/customers/\(customer)/portal_invitations", as: "fatma").status == 403)
    #expect(try await desk.post("/v1/customers/\(UUID())/portal_invitations").status == 404)
    #expect(try await desk.post("/v1/portal_accesses/\(UUID())/revoke").status == 404)
  }

  /// What the gateway remembers of a token is forgotten by a notification, which takes a moment.
  private func ends(_ guest: PortalVisitor) async throws {
    for _ in 0..<1_200 {
      if try await guest.send(.get, "/v1/portal/me").status == 401 { return }
      try await Task.sleep(for: .milliseconds(50))
    }
    Issue.record("the token still works")
  }
}
