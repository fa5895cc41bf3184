import CRMCore
import Foundation
import MailTransport
import MuhatapTestKit
import PostgresClient
import Testing

/// Mail that goes out and what comes back, through real servers.
@Suite("Mail in both directions")
struct MailExchangeTests {
  private func question(_ id: String, from sender: String = "ali@ornek.example", answering: String? = nil, _ text: String = "Siparişim nerede?") -> [UInt8] {
    let thread = answering.map { "In-Reply-To: <\($0)>\r\nReferences: <\($0)>\r\n" } ?? ""
    return Array(
      "Message-ID: <\(id)@ornek.example>\r\nFrom: =?utf-8?Q?Ali_I=C5=9F=C4=B1k?= <\(sender)>\r\nTo: destek@carsi.example\r\nSubject: Soru\r\n\(thread)Content-Type: text/plain; charset=utf-8\r\n\r\n\(text)\r\n"
        .utf8)
  }

  private func bounce(_ id: String, of original: String) -> [UInt8] {
    Array(
      """
      Return-Path: <>\r\nFrom: MAILER-DAEMON@relay.example\r\nMessage-ID: <\(id)@relay.example>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r
      --r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; ali@ornek.example\r\nAction: failed\r
      Status: 5.2.2\r\nDiagnostic-Code: smtp; 552 full\r\n\r\n--r\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <\(original)>\r\n\r\n--r--\r\n
      """.utf8)
  }

  @Test("a customer's mail is answered in its thread, the answer comes back to it, and a bounce marks what did not arrive")
  func thread() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    let account = try await desk.mailAccount(servers)
    try await servers.deliver([question("soru-1")], to: "destek")
    try await desk.work()
    let conversation = try await desk.behind("SELECT id FROM crm.conversation WHERE channel_account_id = \(account)")[0].decode(UUID.self, at: 0)
    let reply = try await api.send(.post, "/v1/conversations/\(conversation.lowercase)/reply", as: "deniz", json: ["text": "Yarın elinizde.\nĞüş"])
    #expect(reply.status == 200, "\(reply.text)")
    try await desk.work(receiving: false)

    let sent = try servers.sent()
    try #require(sent.count == 1)
    #expect(String(decoding: sent[0].prefix(100), as: UTF8.self).hasPrefix("Envelope: destek@carsi.example ali@ornek.example\r\n"))
    let mail = MailReader.read(Array(sent[0].drop { $0 != 0x0A }.dropFirst()))
    #expect(mail.subject == "Re: Soru" && mail.text == "Yarın elinizde.\nĞüş\n" && mail.inReplyTo == "soru-1@ornek.example")
    #expect(mail.references == ["soru-1@ornek.example"] && mail.from?.name == "Çarşı Destek")
    let message = try await desk.behind("SELECT state, provider_id, attempts FROM crm.outbound_message")
    #expect(try message[0].decode(String.self, "state") == "sent" && message[0].decode(String.self, "provider_id") == mail.messageID)
    #expect(
      try await desk.number("SELECT count(*) FROM crm.interaction WHERE direction = 'out' AND status = 'sent' AND external_id = \(mail.messageID)") == 1)

    try await servers.deliver([question("soru-2", answering: mail.messageID, "Teşekkürler")], to: "destek")
    try await desk.behind("DELETE FROM crm.job")
    try await desk.work()
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE conversation_id = \(conversation)") == 3)

    try await servers.deliver([bounce("b1", of: mail.messageID), bounce("b2", of: mail.messageID), bounce("b3", of: "baskasi@carsi.example")], to: "destek")
    try await desk.behind("DELETE FROM crm.job")
    try await desk.work()
    let after = try await desk.behind("SELECT state, problem, version FROM crm.outbound_message")
    #expect(try after[0].decode(String.self, "state") == "bounced" && after[0].decode(String.self, "problem") == "5.2.2 552 full")
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE direction = 'out' AND status = 'bounced'") == 1)
    #expect(try await desk.number("SELECT count(*) FROM crm.delivery_report") == 2)
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE conversation_id = \(conversation) AND kind = 'bounce'") == 2)
  }

  @Test("what a server refuses fails with its words, what it puts off is tried again under the same id")
  func refusals() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    try await desk.mailAccount(servers)
    let person = try await Person.make(api)
    for address in ["reddet@ornek.example", "sonra@ornek.example"] {
      #expect(try await person.gets("transactional", api, ["address": .string(address), "channel": "email", "subject": "Ğ"]) == "queued")
    }
    try await desk.work(receiving: false)
    let rows = try await desk.behind("SELECT address, state, attempts, problem FROM crm.outbound_message ORDER BY address")
    #expect(try rows[0].decode(String.self, "state") == "failed" && rows[0].decode(Int.self, "attempts") == 1)
    #expect(try rows[0].decode(String.self, "problem").contains("550"))
    #expect(try rows[1].decode(String.self, "state") == "sent" && rows[1].decode(Int.self, "attempts") == 2)
    #expect(try rows[1].decode(String?.self, "problem") == nil)
    #expect(try servers.sent().count == 1)
  }

  @Test("colleagues get their unread notices by mail, each mail once")
  func notices() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    try await desk.mailAccount(servers, sendsNotices: true)
    try await desk.behind(
      """
      INSERT INTO crm.notice_digest (user_id, address, subject, body_text, notices)
      SELECT u.id, 'zeynep@ornek.example', 'Okunmamış 2 bildirim', 'Bir görüşme size atandı', 2 FROM crm.app_user AS u WHERE u.email = 'zeynep@carsi.example'
      """)
    for _ in 0..<2 {
      try await Database(pool: api.database.worker).transaction(as: .system("test")) { tx in _ = try await JobQueue.enqueue("notices.mail", in: tx) }
      try await desk.work(receiving: false)
    }
    let sent = try servers.sent()
    try #require(sent.count == 1)
    let mail = MailReader.read(Array(sent[0].drop { $0 != 0x0A }.dropFirst()))
    #expect(mail.subject == "Okunmamış 2 bildirim" && mail.text == "Bir görüşme size atandı\n" && mail.kind == .autoReply)
    #expect(try await desk.number("SELECT count(*) FROM crm.notice_digest WHERE state = 'sent' AND sent_at IS NOT NULL") == 1)
  }

  @Test("a commercial mail says who sends it and how to be left alone; without consent at sending it does not leave")
  func commercial() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    let brand = UUID.v7()
    try await desk.behind("INSERT INTO crm.brand (id, code, name, contact_line) VALUES (\(brand), 'carsi', 'Çarşı', 'Çarşı A.Ş., MERSİS 0123456789012345')")
    try await desk.mailAccount(servers, brand: brand)
    let brandOf: [String: JSON] = ["brand_id": .string(brand.lowercase)]
    let person = try await Person.make(api)
    let said = try await person.says("ONAY", api, channel: "email", brandOf)
    #expect(said.status < 300, "\(said.text)")
    for _ in 0..<2 {
      #expect(
        try await person.gets("commercial", api, ["channel": "email", "subject": "İndirim", "body_html": "<p>Merhaba</p>"].merging(brandOf) { $1 }) == "queued")
    }
    let ids = try await desk.behind("SELECT id FROM crm.outbound_message ORDER BY id")
    let first = try ids[0].decode(UUID.self, at: 0)
    try await desk.behind(
      """
      UPDATE crm.outbound_message SET headers = '{"List-Unsubscribe": "<https://crm.carsi.example/u/abc>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}'
       WHERE id = \(first)
      """)
    try await desk.behind("UPDATE crm.job SET run_at = now() + interval '1 hour' WHERE payload ->> 'message_id' <> \(first.lowercase)")
    try await desk.behind("UPDATE crm.outbound_message SET not_before = now() + interval '1 hour' WHERE id <> \(first)")
    try await desk.behind("DELETE FROM crm.job WHERE payload ->> 'message_id' <> \(first.lowercase)")
    try await desk.work(receiving: false)
    let sent = try servers.sent()
    try #require(sent.count == 1)
    let text = String(decoding: sent[0], as: UTF8.self)
    #expect(text.contains("\r\nList-Unsubscribe: <https://crm.carsi.example/u/abc>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"))
    let mail = MailReader.read(Array(sent[0].drop { $0 != 0x0A }.dropFirst()))
    #expect(mail.text.contains("MERSİS 0123456789012345") && mail.html?.contains("MERSİS 0123456789012345") == true)

    let refused = try await person.says("RET", api, channel: "email", brandOf)
    #expect(refused.status < 300, "\(refused.text)")
    try await desk.behind("UPDATE crm.outbound_message SET not_before = now() WHERE state = 'queued'")
    try await Database(pool: api.database.worker).transaction(as: .system("test")) { tx in
      _ = try await tx.run(
        "SELECT crm.enqueue('message.send', jsonb_build_object('customer_id', m.customer_id, 'message_id', m.id)) FROM crm.outbound_message AS m WHERE m.state = 'queued'"
      )
    }
    try await desk.work(receiving: false)
    #expect(try servers.sent().count == 1)
    #expect(try await desk.number("SELECT count(*) FROM crm.outbound_message WHERE state = 'refused'") == 1)
  }
}
