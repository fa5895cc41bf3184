import CRMCore
import Foundation
import MuhatapTestKit
import PostgresClient
import Testing

@Suite("Receiving and recognising")
struct ReceivingTests {
  @Test("an unknown sender becomes a provisional customer once, also when two messages arrive together")
  func unknownSender() async throws {
    let api = try await TestAPI.suite()
    let box = try await Mailroom.open(api)
    async let first = box.receive(from: "Yeni.Kisi@uzak.example", name: "Yeni Kişi")
    async let second = box.receive(from: "yeni.kisi@uzak.example")
    let (one, other) = try await (first, second)
    #expect(one.customer == other.customer)
    let customer = try await api.send(.get, "/v1/customers/\(one.customer.lowercase)").json()
    #expect(customer["provisional"] == .bool(true))
    #expect(customer["lifecycle_phase"] == .string("suspect"))
  }

  @Test("a message is received once, whatever the mailbox gives twice")
  func once() async throws {
    let api = try await TestAPI.suite()
    let box = try await Mailroom.open(api)
    let first = try await box.receive(from: "bir@uzak.example", id: "<tek@uzak.example>")
    let again = try await box.receive(from: "bir@uzak.example", id: "<tek@uzak.example>")
    #expect(first.isNew && !again.isNew && first.interaction == again.interaction)
    #expect(try await api.behind("SELECT 1 FROM crm.interaction WHERE customer_id = \(first.customer)").count == 1)
  }

  @Test("a known address finds its contact; an answer joins its thread and opens it again")
  func threads() async throws {
    let api = try await TestAPI.suite()
    let box = try await Mailroom.open(api)
    let customer = try await Mailroom.customer(api, "Ayten Er", email: "ayten@bilinen.example")
    let first = try await box.receive(from: "AYTEN@bilinen.example", id: "<a1@x>")
    #expect(first.customer == customer)
    #expect(try await api.send(.post, "/v1/conversations/\(first.conversation.lowercase)/close", as: "zeynep").json()["state"] == .string("done"))
    let answer = try await box.receive(from: "ayten@bilinen.example", id: "<a2@x>", answering: ["<a1@x>"])
    #expect(answer.conversation == first.conversation)
    let shown = try await api.send(.get, "/v1/conversations/\(first.conversation.lowercase)", as: "zeynep").json()
    #expect(shown["state"] == .string("open"))
    #expect(shown["interaction_count"] == .number(2))
    #expect(shown["contact_id"]?.string != nil)
    // What a machine answers does not open anything.
    #expect(try await api.send(.post, "/v1/conversations/\(first.conversation.lowercase)/close", as: "zeynep").status == 200)
    try await box.receive(from: "ayten@bilinen.example", id: "<a3@x>", answering: ["<a2@x>"], kind: "auto_reply")
    #expect(try await api.send(.get, "/v1/conversations/\(first.conversation.lowercase)", as: "zeynep").json()["state"] == .string("done"))
  }

  @Test("a reference leads nobody who is known elsewhere into somebody's thread; an unknown address in the thread stays with its customer")
  func foreignReferences() async throws {
    let api = try await TestAPI.suite()
    let box = try await Mailroom.open(api)
    let victim = try await Mailroom.customer(api, "Hedef", email: "hedef@bilinen.example")
    let other = try await Mailroom.customer(api, "Başkası", email: "baska@bilinen.example")
    let first = try await box.receive(from: "hedef@bilinen.example", id: "<h1@x>")
    let forged = try await box.receive(from: "baska@bilinen.example", id: "<h2@x>", answering: ["<h1@x>"])
    #expect(forged.customer == other && forged.conversation != first.conversation)
    let secretary = try await box.receive(from: "sekreter@uzak.example", id: "<h3@x>", answering: ["<h1@x>"])
    #expect(secretary.customer == victim && secretary.conversation == first.conversation)
    let row = try await api.behind("SELECT contact_id IS NULL AS nobody FROM crm.interaction WHERE customer_id = \(victim) AND id = \(secretary.interaction)")[
      0]
    #expect(try row.decode(Bool.self, "nobody"))
  }

  @Test("two people who share an address are never taken for each other")
  func sharedAddress() async throws {
    let api = try await TestAPI.suite()
    let box = try await Mailroom.open(api)
    let one = try await Mailroom.customer(api, "Ortak Bir", email: "ortak@bilinen.example")
    let two = try await Mailroom.customer(api, "Ortak İki", email: "ortak@bilinen.example")
    #expect(try await box.receive(from: "ortak@bilinen.example", name: "ortak iki").customer == two)
    let unnamed = try await box.receive(from: "ortak@bilinen.example")
    #expect(unnamed.customer != one && unnamed.customer != two)
    #expect(try await box.receive(from: "ortak@bilinen.example").customer == unnamed.customer)
  }

  @Test("what somebody types into a form recognises nobody")
  func claims() async throws {
    let api = try await TestAPI.suite()
    let form = try await Mailroom.open(api, channel: "form")
    let box = try await Mailroom.open(api)
    let known = try await Mailroom.customer(api, "Bilinen", email: "bilinen@bilinen.example")
    let claimed = try await form.receive(from: "bilinen@bilinen.example", kind: "submission")
    #expect(claimed.customer != known)
    #expect(try await form.receive(from: "bilinen@bilinen.example", kind: "submission").customer == claimed.customer)
    #expect(try await box.receive(from: "bilinen@bilinen.example").customer == known)
  }

  @Test("a profile or a sender that is called like somebody's address is not that person")
  func borrowedNames() async throws {
    let api = try await TestAPI.suite()
    let known = try await Mailroom.customer(api, "Genel Müdür", email: "mudur@bilinen.example")
    for channel in ["social", "sms"] {
      let account = try await Mailroom.open(api, channel: channel)
      #expect(try await account.receive(from: "mudur@bilinen.example").customer != known, "\(channel)")
    }
    let box = try await Mailroom.open(api)
    #expect(try await box.receive(from: "mudur@bilinen.example").customer == known)
  }

  @Test("a private mailbox shows its mail to those who took part alone")
  func mailPrivacy() async throws {
    let api = try await TestAPI.suite()
    let box = try await Mailroom.open(api, settings: ["visibility": "private"], owner: "burak")
    let mail = try await box.receive(from: "gizli@uzak.example", id: "<g1@x>")
    let path = "/v1/interactions/\(mail.interaction.lowercase)"
    #expect(try await api.send(.get, path, as: "burak").status == 200)
    #expect(try await api.send(.get, path, as: "zeynep").status == 404)
    #expect(try await api.send(.get, path, as: "deniz").status == 404)
    let copied = try await box.receive(from: "gizli@uzak.example", id: "<g2@x>", answering: ["<g1@x>"], to: [box.address, "zeynep@carsi.example"])
    #expect(try await api.send(.get, "/v1/interactions/\(copied.interaction.lowercase)", as: "zeynep").status == 200)
    #expect(try await api.send(.get, path, as: "zeynep").status == 404)
    #expect(try await api.send(.get, "/v1/conversations/\(mail.conversation.lowercase)", as: "zeynep").status == 200)
    #expect(try await api.send(.get, "/v1/conversations/\(mail.conversation.lowercase)", as: "ayse").status == 404)
    let timeline = try await api.send(.get, "/v1/customers/\(mail.customer.lowercase)/timeline", ["kinds": "interaction"], as: "zeynep").rows()
    #expect(timeline.count == 1)
    // Nor does a ticket say to the department what was written.
    let ticket = try await api.send(.post, "/v1/conversations/\(mail.conversation.lowercase)/ticket", as: "burak", json: [:])
    #expect((200...201).contains(ticket.status), "\(ticket.text)")
    #expect(try ticket.json()["description"] == .null)
    let seen = try await api.send(.get, "/v1/customers/\(mail.customer.lowercase)/timeline", ["kinds": "ticket"], as: "zeynep").rows()
    #expect(seen.count == 1 && seen.first?["text"] == .null, "\(seen)")
  }

  @Test("only colleagues take part in an interaction, not departments")
  func participants() async throws {
    let api = try await TestAPI.suite()
    let customer = try await Mailroom.customer(api, "Katılan", email: "katilan@bilinen.example", department: "service").lowercase
    let burak = try await api.caller("burak")
    func meeting(with people: [UUID?]) async throws -> TestAPI.Answer {
      try await api.send(
        .post, "/v1/interactions", as: "burak",
        json: [
          "customer_id": .string(customer), "channel": "meeting", "direction": "out", "kind": "meeting", "visibility": "private",
          "owner_id": .string(burak.userID?.lowercase ?? ""), "participants": .array(people.compactMap { $0.map { .string($0.lowercase) } }),
        ])
    }
    let refused = try await meeting(with: [burak.departmentID])
    #expect(refused.status == 422 && refused.fieldErrors == ["/participants not-found"], "\(refused.text)")
    let held = try await meeting(with: [try await api.caller("ayse").userID])
    #expect(held.status == 201, "\(held.text)")
    let path = "/v1/interactions/\(try held.json()["id"]?.string ?? "")"
    #expect(try await api.send(.get, path, as: "ayse").status == 200)
    #expect(try await api.send(.get, path, as: "zeynep").status == 404)
    #expect(try await api.send(.patch, path, as: "burak", json: ["participants": [.string(UUID().uuidString.lowercased())]]).status == 422)
  }

  @Test("interactions of any month are taken, and the months are made ahead")
  func months() async throws {
    let api = try await TestAPI.start()
    let box = try await Mailroom.open(api)
    let years = [-30.0, -2, 0, 2, 20]
    for (number, offset) in years.enumerated() {
      try await box.receive(from: "zaman@uzak.example", id: "<z\(number)@x>", answering: ["<z0@x>"], at: Date().addingTimeInterval(offset * 365 * 86_400))
    }
    let worker = Database(pool: api.database.worker)
    let made = try await worker.transaction(as: .system("test")) { tx in
      try await tx.value(Int.self, "SELECT crm.make_interaction_partitions(30, (now() - interval '3 years')::date)")
    }
    #expect(made > 20)
    let places = try await api.behind("SELECT DISTINCT tableoid::regclass::text AS place FROM crm.interaction ORDER BY 1").rows.map {
      try $0.decode(String.self, "place")
    }
    #expect(places.count == 5)
    #expect(places.contains("crm.interaction_earlier") && places.contains("crm.interaction_later"))
    #expect(try await worker.transaction(as: .system("test")) { try await $0.value(Int.self, "SELECT crm.make_interaction_partitions(30)") } == 0)
    #expect(try await api.send(.get, "/v1/interactions", ["sender": "eq.zaman@uzak.example"]).rows().count == 5)
  }
}
