import CRMCore
import Foundation
import Gateway
import MailTransport
import MuhatapTestKit
import PostgresClient
import Testing

/// Mails whose sender asks to be answered somewhere else.
@Suite("Answers where they are asked for")
struct ReplyToTests {
  private static func mail(_ id: String, from sender: String = "ali@ornek.example", _ head: String = "") -> [UInt8] {
    Array(
      "Message-ID: <\(id)@ornek.example>\r\nFrom: Ali <\(sender)>\r\nTo: destek@carsi.example\r\nSubject: Soru\r\n\(head)\r\nSiparişim nerede?\r\n"
        .utf8)
  }

  private func reply(_ server: TestServer, _ conversation: UUID, _ fields: [String: JSON] = [:]) async throws -> JSON {
    let answer = try await server.send(
      .post, "/v1/conversations/\(conversation.lowercase)/reply", as: "zeynep", json: .object(["text": "Yolda."].merging(fields) { $1 }))
    try #require(answer.status == 200, "\(answer.text)")
    return try answer.json()
  }

  /// To whom the relay was told to deliver each mail, in order.
  private func recipients(_ servers: MailServers) throws -> [String] {
    try servers.sent().map { mail in
      let envelope = String(decoding: mail.prefix { $0 != 0x0D }, as: UTF8.self)
      return String(try #require(envelope.split(separator: " ").last))
    }
  }

  @Test("a mail by IMAP is answered by SMTP where it asks for it, and nobody becomes somebody else by that")
  func exchange() async throws {
    let server = try await TestServer.start { $0.secrets = ChannelDesk.secrets }
    let desk = ChannelDesk(server.database)
    let servers = try await MailServers.start()
    try await desk.mailAccount(servers)
    func again() async throws {
      try await desk.behind("DELETE FROM crm.job")
      try await desk.work()
    }
    // The address answers are asked to is a known customer's own.
    try await servers.deliver([Self.mail("oteki", from: "muhasebe@ornek.example")], to: "destek")
    try await desk.work()
    let other = try await desk.behind("SELECT customer_id FROM crm.interaction")[0].decode(UUID.self, at: 0)
    try await servers.deliver([Self.mail("soru", "Reply-To: =?utf-8?Q?M=C3=BCdür?= <Muhasebe@Ornek.example>\r\n")], to: "destek")
    try await again()
    let came = try await desk.behind(
      "SELECT customer_id, contact_id, conversation_id, sender, reply_to FROM crm.interaction WHERE external_id = 'soru@ornek.example'")[0]
    let customer = try came.decode(UUID.self, "customer_id")
    let conversation = try came.decode(UUID.self, "conversation_id")
    #expect(try came.decode(String.self, "sender") == "ali@ornek.example" && came.decode(String?.self, "reply_to") == "muhasebe@ornek.example")
    #expect(customer != other)
    func people() async throws -> Int {
      try await desk.number("SELECT (SELECT count(*) FROM crm.customer) + (SELECT count(*) FROM crm.contact) + (SELECT count(*) FROM crm.contact_point)")
    }
    let before = try await people()

    let shown = try await server.send(.get, "/v1/interactions?conversation_id=eq.\(conversation.lowercase)", as: "zeynep").json()["data"]?.array
    #expect(shown?.first?["reply_to"] == "muhasebe@ornek.example")
    #expect(try await reply(server, conversation)["state"] == "queued")
    try await desk.work(receiving: false)
    #expect(try recipients(servers) == ["muhasebe@ornek.example"])
    let sent = try await desk.behind("SELECT customer_id, contact_id FROM crm.outbound_message")[0]
    #expect(try sent.decode(UUID.self, "customer_id") == customer)
    #expect(try sent.decode(UUID?.self, "contact_id") == came.decode(UUID?.self, "contact_id"))
    #expect(try await people() == before)

    // Whoever names an address has the last word, and the next mail, which asks for nothing, is answered where it comes from.
    #expect(try await reply(server, conversation, ["address": "ali@ornek.example"])["state"] == "queued")
    try await desk.work(receiving: false)
    try await servers.deliver([Self.mail("yine", "In-Reply-To: <soru@ornek.example>\r\n")], to: "destek")
    try await again()
    #expect(try await reply(server, conversation)["state"] == "queued")
    try await desk.work(receiving: false)
    #expect(try recipients(servers) == ["muhasebe@ornek.example", "ali@ornek.example", "ali@ornek.example"])
  }

  @Test("what several people, lists, machines, senders themselves or accounts of ours are named by is no place to answer to")
  func notKept() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    try await desk.mailAccount(servers)
    try await desk.account("satis", channel: "email", provider: "manual", address: "Satis@Carsi.example", settings: [:])
    let heads: [(id: String, head: String)] = [
      ("two", "Reply-To: a@ornek.example, b@ornek.example\r\n"), ("list", "Reply-To: liste@ornek.example\r\nList-Id: <liste.ornek.example>\r\n"),
      ("machine", "Reply-To: a@ornek.example\r\nAuto-Submitted: auto-replied\r\n"), ("same", "Reply-To: ALI@ornek.example\r\n"),
      ("ours", "Reply-To: destek@carsi.example\r\n"), ("other", "Reply-To: satis@carsi.example\r\n"), ("tagged", "Reply-To: destek+1@carsi.example\r\n"),
      ("broken", "Reply-To: burada degil\r\n"), ("long", "Reply-To: \(String(repeating: "a", count: 300))@ornek.example\r\n"), ("none", ""),
      ("kept", "Reply-To: a@ornek.example\r\n"),
    ]
    try await servers.deliver(heads.map { Self.mail($0.id, $0.head) }, to: "destek")
    try await desk.work()
    let rows = try await desk.behind("SELECT split_part(external_id, '@', 1) AS id, reply_to FROM crm.interaction ORDER BY 1").rows
    #expect(rows.count == heads.count)
    for row in rows {
      let id = try row.decode(String.self, "id")
      #expect(try row.decode(String?.self, "reply_to") == (id == "kept" ? "a@ornek.example" : nil), "\(id)")
    }
  }

  @Test("the gate is asked of the address that the answer goes to, in answers and in those of macros; an address that became ours is answered no more")
  func gate() async throws {
    let api = try await TestAPI.start()
    let room = try await Mailroom.open(api)
    let person = UUID().uuidString.lowercased()
    let said = try await room.receive(from: "\(person)@uzak.example", replyTo: " Baska-\(person)@uzak.example ")
    func answered() async throws -> TestAPI.Answer {
      try await api.send(.post, "/v1/conversations/\(said.conversation.lowercase)/reply", as: "zeynep", json: ["text": "x"])
    }
    func suppress(_ address: String) async throws {
      try await api.behind(
        "INSERT INTO crm.suppression (address_token, channel, reason, scope) SELECT crm.address_token('email', \(address)), 'email', 'hard_bounce', 'all'")
    }
    func addresses() async throws -> [String] {
      try await api.behind("SELECT address FROM crm.outbound_message WHERE conversation_id = \(said.conversation) ORDER BY id").rows.map {
        try $0.decode(String.self, "address")
      }
    }
    // That nothing reaches the sender says nothing of where the answer goes.
    try await suppress("\(person)@uzak.example")
    #expect(try await answered().json()["state"] == "queued")
    let byMacro = try await Database(pool: api.database.worker).transaction(as: .system("test")) { tx in
      let ticket = try await tx.value(UUID.self, "SELECT crm.open_ticket(\(said.customer), \(said.conversation)) AS id")
      return try await tx.value(UUID?.self, "SELECT crm.answer_ticket(\(said.customer), \(ticket), 'Merhaba') AS id")
    }
    #expect(byMacro != nil)
    #expect(try await addresses() == ["baska-\(person)@uzak.example", "baska-\(person)@uzak.example"])

    try await suppress("baska-\(person)@uzak.example")
    let refused = try await answered()
    #expect(try refused.json()["state"] == "refused" && refused.json()["reason"] == "suppressed", "\(refused.text)")

    // An account that is opened later does not write to itself.
    let second = try await room.receive(from: "2-\(person)@uzak.example", replyTo: "hesap-\(person)@uzak.example")
    try await api.behind("UPDATE crm.channel_account SET address = \("hesap-\(person)@uzak.example") WHERE id = \(try await Mailroom.open(api).account)")
    _ = try await api.send(.post, "/v1/conversations/\(second.conversation.lowercase)/reply", as: "zeynep", json: ["text": "x"])
    let address = try await api.behind("SELECT address FROM crm.outbound_message WHERE conversation_id = \(second.conversation)")[0].decode(String.self, at: 0)
    #expect(address == "2-\(person)@uzak.example")
  }
}
