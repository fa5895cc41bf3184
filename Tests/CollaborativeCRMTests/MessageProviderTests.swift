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

  /// The state of a message once it is the one that is due, or what it is when that does not come.
  private func settled(_ desk: ChannelDesk, _ number: String, _ wanted: String) async throws -> String {
    var found = try await state(desk, number)
    for _ in 0..<2_400 where found != wanted {
      try await Task.sleep(for: .milliseconds(50))
      found = try await state(desk, number)
    }
    return found
  }

  /// Waits until the provider has brought to their ends those messages that it never reports.
  private func silentlyDelivered(_ provider: MessageProvider, _ numbers: Set<String>) async throws {
    for _ in 0..<2_400 {
      let taken = try await provider.ask("GET", "/taken")["messages"]?.array ?? []
      if numbers.isSubset(of: taken.filter { $0["state"] == "delivered" }.compactMap { $0["to"]?.string }) { return }
      try await Task.sleep(for: .milliseconds(50))
    }
    Issue.record("the provider did not deliver \(numbers)")
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
    #expect(try await settled(desk, "+905321234501", "delivered ") == "delivered ")
    #expect(try await state(desk, "+905321234502") == "failed the provider refused it (422): the number is not in service")
    #expect(try await state(desk, "+905321234503") == "sent ")
    #expect(try await settled(desk, "+905321234504", "failed the telephone is off") == "failed the telephone is off")
    #expect(try await settled(desk, "+905321234505", "delivered ") == "delivered ")
    #expect(try await state(desk, "+905321234506") == "sent ")
    #expect(try await settled(desk, "+905321234507", "failed absent") == "failed absent")
    #expect(try await state(desk, "+905321234508") == "sent ")
    try await silentlyDelivered(provider, ["+905321234506"])
    try await Database(pool: server.database.worker).transaction(as: .system("test")) { tx in _ = try await JobQueue.enqueue("message.follow", in: tx) }
    try await desk.work(receiving: false)
    #expect(try await state(desk, "+905321234506") == "delivered ", "it is asked about, because no report came")
    // The provider reports the first one twice and the last one late: those may still be on their way.
    func reports() async throws -> Int { try await desk.number("SELECT count(*) FROM crm.delivery_report WHERE message_id IS NOT NULL") }
    for _ in 0..<2_400 where try await reports() < 5 { try await Task.sleep(for: .milliseconds(50)) }
    #expect(try await reports() == 5)
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

  @Test("a customer's text messages are one conversation and one ticket until somebody is done with it")
  func conversation() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let provider = try await MessageProvider.start()
    let account = try await desk.account(
      "kisa", channel: "sms", provider: "http_sms", address: "CARSI", settings: ["url": .string(provider.address)], opensTickets: true)
    func say(_ id: String, _ text: String) async throws -> Int {
      try await provider.ask("POST", "/say", ["id": .string(id), "from": "+905321112233", "text": .string(text), "at": "9999-01-01T00:00:00Z"])
      try await desk.behind("DELETE FROM crm.job")
      try await desk.work()
      return try await desk.number("SELECT count(*) FROM crm.conversation WHERE channel_account_id = \(account)")
    }
    #expect(try await say("s1", "Siparişim") == 1)
    #expect(try await say("s2", "nerede \0 ?") == 1)
    #expect(try await desk.number("SELECT count(*) FROM crm.ticket WHERE conversation_id IS NOT NULL") == 1)
    #expect(
      try await desk.number("SELECT count(*) FROM crm.interaction WHERE channel_account_id = \(account) AND occurred_at > now() + interval '1 minute'") == 0)
    try await desk.behind("UPDATE crm.conversation SET state = 'done'")
    #expect(try await say("s3", "Bir şey daha") == 2)
  }

  @Test("a provider that has forgotten a message keeps nobody from asking about the others; an address that leads nowhere refuses nothing for good")
  func forgetful() async throws {
    let server = try await TestServer.start { $0.secrets = ChannelDesk.secrets }
    let desk = ChannelDesk(server.database)
    let provider = try await MessageProvider.start()
    let account = try await desk.account("kisa", channel: "sms", provider: "http_sms", address: "CARSI", settings: ["url": .string(provider.address)])
    let customer = try await server.send(.post, "/v1/customers", json: ["kind": "person", "name": "Zeliha Öz"])
    let id = try #require(try customer.json()["id"])
    func message(_ number: String) async throws {
      let answer = try await server.send(
        .post, "/v1/outbound_messages",
        json: ["customer_id": id, "legal_class": "transactional", "channel": "sms", "address": .string(number), "body_text": "Kargonuz yolda"])
      #expect(answer.status == 200, "\(answer.text)")
    }
    try await message("+905321234506")
    try await message("+905321235506")
    try await desk.work(receiving: false)
    try await silentlyDelivered(provider, ["+905321234506", "+905321235506"])
    try await desk.behind("UPDATE crm.outbound_message SET provider_id = 'unutulmus' WHERE address = '+905321234506'")
    try await Database(pool: server.database.worker).transaction(as: .system("test")) { tx in _ = try await JobQueue.enqueue("message.follow", in: tx) }
    try await desk.work(receiving: false)
    #expect(try await state(desk, "+905321235506") == "delivered ")
    #expect(try await state(desk, "+905321234506") == "sent ")

    try await desk.behind(
      "UPDATE crm.channel_account SET settings = jsonb_build_object('url', \(provider.address + "/yok")::text) WHERE id = \(account)")
    try await message("+905321234599")
    try await desk.behind("UPDATE crm.job SET attempt_limit = 2 WHERE kind = 'message.send' AND status = 'queued'")
    try await desk.work(receiving: false)
    #expect(try await state(desk, "+905321234599").contains("takes no messages at this address"))
    #expect(try await desk.number("SELECT attempts FROM crm.outbound_message WHERE address = '+905321234599'") == 2)
  }
}
