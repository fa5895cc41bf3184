import CRMCore
import Foundation
import Gateway
import MuhatapTestKit
import PostgresClient
import Testing

/// Text messages through a provider that delays, refuses, doubles and reports.
@Suite("Text messages through a provider")
struct MessageProviderTests {
  private func state(_ desk: ChannelDesk, _ number: String) async throws -> String {
    try await desk.behind("SELECT state || ' ' || coalesce(problem, '') FROM crm.outbound_message WHERE address = \(number)")[0].decode(String.self, at: 0)
  }

  @Test("each message is taken by the provider once and ends as the provider reports, whatever goes wrong on the way")
  func sending() async throws {
    let server = try await TestServer.start { $0.secrets = ChannelDesk.secrets }
    let desk = ChannelDesk(server.database)
    let provider = try await MessageProvider.start()
    try await provider.ask("POST", "/watch", ["url": .string(server.address + "/channels/kisa/events")])
    try await desk.account("kisa", channel: "sms", provider: "http_sms", address: "CARSI", settings: ["url": .string(provider.address)])
    let customer = try await server.send(.post, "/v1/customers", json: ["kind": "person", "name": "Zeliha Öz"])
    let id = try #require(try customer.json()["id"])
    for end in 1...8 {
      let answer = try await server.send(
        .post, "/v1/outbound_messages",
        json: ["customer_id": id, "legal_class": "transactional", "channel": "sms", "address": .string("+90532123450\(end)"), "body_text": "Kargonuz yolda: Ğ"])
      #expect(answer.status == 200, "\(answer.text)")
    }
    try await desk.work(receiving: false)
    let taken = try await provider.ask("GET", "/taken")
    #expect(taken["messages"]?.array?.count == 7, "the refused one was not taken, and none twice")
    #expect(taken["messages"]?.array?.allSatisfy { $0["text"] == "Kargonuz yolda: Ğ" } == true)
    for _ in 0..<100 where try await state(desk, "+905321234507") == "sent " { try await Task.sleep(for: .milliseconds(50)) }
    try await Task.sleep(for: .milliseconds(600))
    #expect(try await state(desk, "+905321234501") == "delivered ")
    #expect(try await state(desk, "+905321234502") == "failed the provider refused it (422): the number is not in service")
    #expect(try await state(desk, "+905321234503") == "sent ")
    #expect(try await state(desk, "+905321234504") == "failed the telephone is off")
    #expect(try await state(desk, "+905321234505") == "delivered ")
    #expect(try await state(desk, "+905321234506") == "sent ")
    #expect(try await state(desk, "+905321234507") == "failed absent")
    #expect(try await state(desk, "+905321234508") == "sent ")
    try await Database(pool: server.database.worker).transaction(as: .system("test")) { tx in _ = try await JobQueue.enqueue("message.follow", in: tx) }
    try await desk.work(receiving: false)
    #expect(try await state(desk, "+905321234506") == "delivered ", "it is asked about, because no report came")
    #expect(try await desk.number("SELECT count(*) FROM crm.delivery_report WHERE message_id IS NOT NULL") == 5)
  }

  @Test("messages that come in, by inbox and by event, are taken once; an event that is not signed is not")
  func receiving() async throws {
    let server = try await TestServer.start { $0.secrets = ChannelDesk.secrets }
    let desk = ChannelDesk(server.database)
    let provider = try await MessageProvider.start()
    try await provider.ask("POST", "/watch", ["url": .string(server.address + "/channels/kisa/events")])
    let account = try await desk.account("kisa", channel: "sms", provider: "http_sms", address: "CARSI", settings: ["url": .string(provider.address)])
    for number in 1...5 {
      try await provider.ask(
        "POST", "/say", ["id": .string("in-\(number)"), "from": "+905321112233", "text": .string("Mesaj \(number) ığ"), "at": "2026-11-22T08:00:00Z"])
    }
    try await provider.ask(
      "POST", "/post",
      [
        "event": "ev-1",
        "body": ["type": "message.received", "data": ["id": "in-3", "from": "+905321112233", "text": "Mesaj 3 ığ", "at": "2026-11-22T08:00:00Z"]],
      ])
    try await desk.work()
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE channel_account_id = \(account) AND body_text LIKE 'Mesaj _ ığ'") == 5)
    #expect(try await desk.number("SELECT count(DISTINCT customer_id) FROM crm.interaction WHERE channel_account_id = \(account)") == 1)
    let forged = try await server.send(
      .post, "/channels/kisa/events", as: nil, json: ["type": "message.received", "data": ["id": "x", "from": "+905320000000"]],
      headers: ["webhook-id": "x", "webhook-timestamp": "\(Int(Date().timeIntervalSince1970))", "webhook-signature": "v1,AAAA"])
    #expect(forged.status == 401 && forged.problem == "bad-signature", "\(forged.text)")
    let unknown = try await server.send(
      .post, "/channels/yok/events", as: nil, json: ["type": "message.received", "data": [:]],
      headers: ["webhook-id": "x", "webhook-timestamp": "\(Int(Date().timeIntervalSince1970))", "webhook-signature": "v1,AAAA"])
    #expect(unknown.status == 401, "\(unknown.text)")
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE external_id = 'x'") == 0)
  }
}
