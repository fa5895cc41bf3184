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

  @Test("work that waits for a server names it: accounts on one server share its lane, whatever they are asked")
  func lanes() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    func account(_ code: String, _ provider: String, _ settings: JSON) async throws -> UUID {
      try await desk.account(code, channel: provider == "smtp_imap" ? "email" : "sms", provider: provider, address: "\(code)@carsi.example", settings: settings)
    }
    func lane(_ account: UUID, _ kind: String) async throws -> String? {
      try await desk.behind(
        "INSERT INTO crm.job (kind, payload) VALUES (\(kind), jsonb_build_object('channel_account_id', \(account)::uuid)) RETURNING lane")[0].decode(
          String?.self, at: 0)
    }
    let first = try await account("a", "smtp_imap", ["imap_host": "Posta.Carsi.example", "smtp_host": "giden.carsi.example"])
    let second = try await account("b", "smtp_imap", ["imap_host": "posta.carsi.example", "smtp_host": "posta.carsi.example"])
    let text = try await account("c", "http_sms", ["url": "https://kisa.example:8443/v1"])
    for account in [first, second] { #expect(try await lane(account, "channel.receive") == "posta.carsi.example") }
    #expect(try await lane(text, "channel.receive") == "kisa.example")
    #expect(try await lane(first, "housekeeping") == nil)
    let person = try await Person.make(api)
    #expect(
      try await person.gets(
        "transactional", api,
        ["address": "ali@ornek.example", "channel": "email", "subject": "x", "channel_account_id": .string(second.lowercase)]) == "queued")
    let lanes = try await desk.behind("SELECT lane FROM crm.job WHERE kind = 'message.send' ORDER BY id").rows.map { try $0.decode(String?.self, "lane") }
    #expect(lanes == ["posta.carsi.example"])
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

  private func report(_ id: String, _ fields: String, kind: String = "delivery-status", of original: String) -> [UInt8] {
    Array(
      """
      From: MAILER-DAEMON@relay.example\r\nMessage-ID: <\(id)@relay.example>\r\nContent-Type: multipart/report; report-type=\(kind); boundary=r\r\n\r
      --r\r\nContent-Type: message/\(kind)\r\n\r\n\(fields)\r\n\r\n--r\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <\(original)>\r\n\r\n--r--\r\n
      """.utf8)
  }

  private func failure(_ status: String) -> String {
    "Reporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; a@ornek.example\r\nAction: failed\r\nStatus: \(status)"
  }

  @Test("an address that does not exist is not written to again, what is put off is sent again, and a complaint ends what is commercial")
  func bounces() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    try await desk.mailAccount(servers)
    let people = [try await Person.make(api), try await Person.make(api), try await Person.make(api)]
    var ids: [String] = []
    for person in people {
      #expect(try await person.says("ONAY", api).status == 201)
      let sent = try await api.send(
        .post, "/v1/outbound_messages",
        json: ["customer_id": .string(person.id), "legal_class": "commercial", "channel": "email", "subject": "Kış", "body_text": "Merhaba"])
      ids.append(try #require(try sent.json()["id"]?.string, "\(sent.text)"))
    }
    try await desk.work(receiving: false)
    #expect(try servers.sent().count == 3)
    let deliveries = try servers.deliveries()
    #expect(Set(deliveries.map(\.connection)).count <= 2, "two at a time, each over its own connection")

    try await servers.deliver(
      [
        report("h", failure("5.1.1"), of: "\(ids[0])@carsi.example"), report("s", failure("4.2.2"), of: "\(ids[1])@carsi.example"),
        report("c", "Feedback-Type: abuse\r\nVersion: 1", kind: "feedback-report", of: "\(ids[2])@carsi.example"),
      ], to: "destek")
    try await desk.behind("DELETE FROM crm.job")
    try await desk.work()
    func row(_ id: String) async throws -> JSON { try await api.send(.get, "/v1/outbound_messages/\(id)").json() }
    #expect(try await row(ids[0])["state"] == "bounced")
    #expect(try await people[0].gets("commercial", api) == "suppressed")
    #expect(try await people[0].gets("transactional", api, ["channel": "email"]) == "suppressed")
    #expect(try await people[0].gets("transactional", api, ["channel": "sms"]) == "queued")
    let listed = try await api.send(.get, "/v1/suppressions", ["order": "reason"]).rows()
    #expect(listed.map { $0["reason"] } == ["complaint", "hard_bounce"] && listed.map { $0["scope"] } == ["commercial", "all"], "\(listed)")
    #expect(try await row(ids[2])["state"] == "delivered")
    #expect(try await people[2].gets("commercial", api) == "suppressed")
    #expect(try await people[2].gets("transactional", api, ["channel": "email"]) == "queued")

    // Put off: not bounced and not suppressed; sent again after an hour, under the same id.
    let soft = try await row(ids[1])
    #expect(soft["state"] == "queued", "\(soft)")
    #expect(
      try await desk.number(
        "SELECT count(*) FROM crm.outbound_message m WHERE m.id = \(UUID(uuidString: ids[1])) AND m.not_before > now() + interval '50 minutes'") == 1)
    #expect(try await people[1].gets("commercial", api, ["not_before": "2035-01-01T00:00:00Z"]) == "queued")
    try await desk.behind("UPDATE crm.outbound_message SET not_before = now() WHERE id = \(UUID(uuidString: ids[1]))")
    try await desk.behind("UPDATE crm.job SET run_at = now() WHERE kind = 'message.send' AND payload ->> 'message_id' = \(ids[1])")
    try await desk.behind("DELETE FROM crm.job WHERE kind = 'message.send' AND payload ->> 'message_id' <> \(ids[1])")
    try await desk.work(receiving: false)
    #expect(try await row(ids[1])["state"] == "sent")
    #expect(try servers.sent().filter { String(decoding: $0, as: UTF8.self).contains(ids[1]) }.count == 2)

    // Four times is enough: then it stays failed.
    for number in 2...4 {
      let message = try #require(UUID(uuidString: ids[1]))
      try await Database(pool: api.database.worker).transaction(as: .system("test")) { tx in
        try await tx.run(
          """
          SELECT crm.report_delivery(m.channel_account_id, \("s\(number)"), m.id, NULL, 'failed', 'full', now(), 'temporary') FROM crm.outbound_message m WHERE m.id = \(message)
          """)
      }
      let state = try await row(ids[1])["state"]
      #expect(state == (number < 4 ? "queued" : "failed"), "\(number): \(state ?? .null)")
      try await desk.behind(
        "UPDATE crm.outbound_message SET state = 'sending', attempts = attempts + 1, not_before = now() WHERE id = \(message) AND state = 'queued'")
      try await desk.behind("UPDATE crm.outbound_message SET state = 'sent' WHERE id = \(message) AND state = 'sending'")
    }
  }

  @Test("a recipient whom the relay refuses for good is suppressed at once; an account that stops is seen")
  func stopped() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    let account = try await desk.mailAccount(servers)
    let person = try await Person.make(api)
    let gone: [String: JSON] = ["address": "reddet.yok@ornek.example", "channel": "email", "subject": "Ğ"]
    #expect(try await person.gets("transactional", api, gone) == "queued")
    try await desk.work()
    #expect(try await person.gets("transactional", api, gone) == "suppressed")

    func state() async throws -> JSON {
      try #require(try await api.send(.get, "/v1/channel_states", as: "deniz").rows().first { $0["code"] == "destek" })
    }
    var now = try await state()
    #expect(now["problem"] == .null && now["checked_at"]?.string != nil && now["is_silent"] == false && now["failing"] == 1, "\(now)")
    #expect(try await api.send(.get, "/v1/channel_states", as: "burak").status == 403)

    try await desk.behind("UPDATE crm.channel_account SET settings = settings || '{\"imap_port\": 1}' WHERE id = \(account)")
    func check() async throws {
      try await desk.behind("DELETE FROM crm.job")
      try await desk.work()
    }
    func told() async throws -> Int { try await desk.number("SELECT count(*) FROM crm.notice WHERE kind = 'channel_stopped'") }
    try await check()
    now = try await state()
    #expect(now["problem"]?.string?.isEmpty == false && now["problem_at"]?.string != nil, "\(now)")
    #expect(try await told() == 0)
    try await desk.behind("UPDATE crm.channel_state SET problem_at = now() - interval '20 minutes', checked_at = now() - interval '21 minutes'")
    try await check()
    #expect(try await state()["is_silent"] == true)
    let first = try await told()
    #expect(first > 0)
    try await check()
    #expect(try await told() == first)
    try await desk.behind(
      "UPDATE crm.channel_account SET settings = settings || jsonb_build_object('imap_port', \(servers.imapPort)::int) WHERE id = \(account)")
    try await check()
    now = try await state()
    #expect(now["problem"] == .null && now["is_silent"] == false, "\(now)")
  }
}
