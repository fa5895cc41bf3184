import CRMCore
import Foundation
import MailTransport
import MuhatapTestKit
import PostgresClient
import Testing

/// Mails as they should not be, through Dovecot into the database and out again.
@Suite("Odd mails")
struct OddMailTests {
  private static func mail(_ id: String, _ head: String = "", _ body: String = "Merhaba") -> [UInt8] {
    Array("Message-ID: <\(id)>\r\nFrom: ali@ornek.example\r\nTo: destek@carsi.example\r\nSubject: Soru\r\n\(head)\r\n\(body)\r\n".utf8)
  }

  private func again(_ desk: ChannelDesk) async throws {
    try await desk.behind("DELETE FROM crm.job")
    try await desk.work()
  }

  @Test("whatever is odd about a mail, it comes in once and whole, and those behind it too")
  func odd() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    let account = try await desk.mailAccount(servers)
    try await desk.behind("UPDATE crm.channel_account SET settings = settings || '{\"message_limit\": 300000}' WHERE id = \(account)")
    // windows-1254, and nobody says so: in the header, in the text and in a file's name.
    var turkish = Array("Message-ID: <t@x>\r\nFrom: ".utf8)
    turkish += [0xDE, 0xFC, 0x6B, 0x72, 0xFC]
    turkish += Array(" <sukru@ornek.example>\r\nSubject: ".utf8)
    turkish += [0xDD, 0x61, 0x64, 0x65]
    turkish += Array("\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n".utf8)
    turkish += [0xFD, 0xF0, 0x64, 0xFD, 0x72]
    turkish += Array("\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"".utf8)
    turkish += [0xF6, 0x7A, 0x67, 0x65, 0xE7, 0x6D, 0x69, 0xFE]
    turkish += Array(".pdf\"\r\n\r\n%PDF-1.4\r\n--b--\r\n".utf8)
    var nested = "Subject: en ic\r\n\r\nen icte"
    for _ in 0..<20 { nested = "Content-Type: message/rfc822\r\n\r\n" + nested }
    let people = (1...5_000).map { "kisi\($0)@ornek.example" }.joined(separator: ",\r\n ")
    let mails: [(id: String, bytes: [UInt8])] = [
      ("t@x", turkish), ("nested@x", Array("Message-ID: <nested@x>\r\nFrom: a@ornek.example\r\n\(nested)\r\n".utf8)),
      ("tnef@x", Self.mail("tnef@x", "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n", "eJ8+IgAA")),
      ("nobound@x", Self.mail("nobound@x", "Content-Type: multipart/mixed\r\n", "--x\r\n\r\nBuradayim\r\n--x--")),
      ("large@x", Self.mail("large@x", "", String(repeating: "uzun satir\r\n", count: 40_000))),
      ("many@x", Self.mail("many@x", "Cc: \(people)\r\n")), ("year0@x", Self.mail("year0@x", "Date: Thu, 01 Jan 0000 00:00:00 +0000\r\n")),
      ("year9@x", Self.mail("year9@x", "Date: Fri, 31 Dec 9999 23:59:59 -1200\r\n")),
      ("loop1@x", Self.mail("loop1@x", "References: <loop2@x> <loop1@x>\r\nIn-Reply-To: <loop1@x>\r\n")),
      ("loop2@x", Self.mail("loop2@x", "References: <loop1@x> <loop2@x>\r\n")), ("last@x", Self.mail("last@x")),
    ]
    try await servers.deliver(mails.map(\.bytes), to: "destek")
    try await desk.work()
    func shown() async throws -> Int { try await desk.number("SELECT count(*) FROM crm.interaction WHERE channel_account_id = \(account)") }
    #expect(try await shown() == mails.count)
    func row(_ id: String) async throws -> PostgresRow {
      let found = try await desk.behind(
        """
        SELECT i.subject, i.body_text, i.conversation_id, cardinality(i.recipients) AS recipients, r.defects::text AS defects,
               coalesce((SELECT string_agg(a.name, ',' ORDER BY a.name) FROM crm.attachment AS a WHERE a.interaction_id = i.id), '') AS files, c.name AS customer
          FROM crm.interaction AS i JOIN crm.received_message AS r ON r.interaction_id = i.id JOIN crm.customer AS c ON c.id = i.customer_id
         WHERE i.external_id = \(id)
        """)
      return try #require(found.rows.first, "\(id)")
    }
    let read = try await row("t@x")
    #expect(try read.decode(String.self, "subject") == "İade" && read.decode(String.self, "body_text") == "ığdır")
    #expect(try read.decode(String.self, "customer") == "Şükrü")
    let files = try read.decode(String.self, "files")
    #expect(files.contains("özgeçmiş.pdf"), "\(files)")
    #expect(try await row("nested@x").decode(String.self, "files").contains(".eml"))
    #expect(try await row("tnef@x").decode(String.self, "files").contains("winmail.dat"))
    let unbound = try await row("nobound@x")
    let shownOfIt = try unbound.decode(String.self, "body_text") + " " + unbound.decode(String.self, "files")
    #expect(shownOfIt.contains("Buradayim") || shownOfIt.contains("source.eml"), "\(shownOfIt)")
    #expect(try await row("large@x").decode(String.self, "body_text").contains("more than are taken; it lies in the mailbox under the number 5"))
    let many = try await row("many@x")
    #expect(try many.decode(Int.self, "recipients") == 200 && many.decode(String.self, "files") == "source.eml")
    #expect(try many.decode(String.self, "defects").contains("5001 recipients"))
    #expect(try await row("loop1@x").decode(UUID.self, "conversation_id") == row("loop2@x").decode(UUID.self, "conversation_id"))

    // Another numbering, in another order: each is known again, also the one of which there is only the header.
    try servers.renumber("destek")
    try await servers.deliver([Self.mail("new@x")], to: "destek", age: 3_600)
    try await desk.behind("UPDATE crm.channel_state SET uid_validity = 1, uid = 5")
    try await again(desk)
    #expect(try await shown() == mails.count + 1)
  }

  @Test("an answer leaves whatever the id of what it answers, and who takes an id of ours has a message of their own")
  func ids() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    let account = try await desk.mailAccount(servers)
    func mail(_ id: String, _ sender: String, _ text: String) -> [UInt8] {
      Array("Message-ID: \(id)\r\nFrom: \(sender)@ornek.example\r\nSubject: Soru\r\n\r\n\(text)\r\n".utf8)
    }
    let strange = ["<iki kelime@x>", "<<ic@x>", "<şekil@x>", "[koseli]@x", "<>", "<ayni@x>"]
    try await servers.deliver(strange.enumerated().map { mail($1, "k\($0)", "metin \($0)") } + [mail("<ayni@x>", "k9", "baska metin")], to: "destek")
    try await desk.work()
    let conversations = try await desk.behind("SELECT id FROM crm.conversation WHERE channel_account_id = \(account)")
    #expect(conversations.count == 7)
    for row in conversations.rows {
      let path = "/v1/conversations/\(try row.decode(UUID.self, at: 0).lowercase)/reply"
      #expect(
        try await api.send(.post, path, as: "deniz", json: ["text": "Yanıt\r\nBcc: kurban@ornek.example", "subject": "Yanıt\r\nBcc: kurban@ornek.example"])
          .status == 200)
    }
    try await desk.work(receiving: false)
    let sent = try servers.sent().map { MailReader.read(Array($0.drop { $0 != 0x0A }.dropFirst())) }
    #expect(sent.count == 7)
    #expect(sent.filter { $0.inReplyTo == "ayni@x" }.count == 2 && sent.allSatisfy { $0.inReplyTo?.contains("#") != true && $0.defects.isEmpty })
    #expect(sent.allSatisfy { $0.recipients.count == 1 && $0.text.contains("Bcc: kurban") && $0.subject == "Yanıt  Bcc: kurban@ornek.example" })
    let heads = try servers.sent().map { String(decoding: $0, as: UTF8.self).prefix(upTo: "\r\n\r\n") }
    #expect(heads.allSatisfy { !$0.contains("\r\nBcc:") && $0.contains("\r\nSubject:") })
    let problems = try await desk.behind("SELECT coalesce(string_agg(problem, '; '), '') FROM crm.outbound_message WHERE state <> 'sent'")
    #expect(try problems[0].decode(String.self, at: 0) == "")

    // A stranger under the id of a message of ours; and a copy of ours, which is the same.
    let ours = try #require(sent.first { $0.inReplyTo == "ayni@x" }?.messageID)
    let before = try await desk.number("SELECT count(*) FROM crm.interaction WHERE channel_account_id = \(account)")
    try await servers.deliver(
      [
        mail("<\(ours)>", "yabanci", "ben de yazdim"),
        Array("Message-ID: <\(ours)>\r\nFrom: destek@carsi.example\r\nTo: k5@ornek.example\r\n\r\nYanit\r\n".utf8),
      ],
      to: "destek")
    try await again(desk)
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE channel_account_id = \(account)") == before + 1)
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE body_text LIKE 'ben de yazdim%' AND sender = 'yabanci@ornek.example'") == 1)
  }

  @Test("a message that the server does not give away holds the others up for an hour, not for good")
  func unread() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await BrokenMailServers()
    let account = try await desk.account(
      "destek", channel: "email", provider: "smtp_imap", address: "destek@carsi.example",
      settings: ["imap_host": "127.0.0.1", "imap_port": .number(Decimal(try servers.port("imap_refuse_body"))), "imap_security": "plain"])
    func read() async throws -> [String] {
      try await again(desk)
      return try await desk.behind("SELECT external_id FROM crm.interaction WHERE channel_account_id = \(account) ORDER BY external_id").rows.map {
        try $0.decode(String.self, at: 0)
      }
    }
    #expect(try await read() == ["b1@ornek.example"])
    let problem = try await desk.behind("SELECT problem FROM crm.channel_state")[0].decode(String.self, at: 0)
    #expect(problem.contains("at the message number 2"), "\(problem)")
    // Trouble of other kinds, however old, passes nothing over.
    try await desk.behind("UPDATE crm.channel_state SET problem_at = now() - interval '3 hours', stuck_uid = NULL, stuck_since = NULL")
    #expect(try await read() == ["b1@ornek.example"])
    #expect(try await desk.number("SELECT count(*) FROM crm.channel_state WHERE stuck_uid = 2 AND stuck_since > now() - interval '10 minutes'") == 1)
    try await desk.behind("UPDATE crm.channel_state SET stuck_since = now() - interval '61 minutes'")
    #expect(try await read() == ["b1@ornek.example", "b2@ornek.example", "b3@ornek.example"])
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE body_text LIKE '%does not give the message away%'") == 1)
    #expect(try await desk.number("SELECT count(*) FROM crm.channel_state WHERE problem IS NULL") == 1)
  }
}

extension String {
  fileprivate func prefix(upTo mark: String) -> String { firstRange(of: mark).map { String(self[..<$0.lowerBound]) } ?? self }
}
