import CRMCore
import Foundation
import MailTransport
import MuhatapTestKit
import PostgresClient
import Testing

/// A thousand mails through Dovecot into the database, by the jobs that do it every minute.
@Suite("Mail that comes in")
struct MailIntakeTests {
  @Test("a thousand mails, most of them broken, are taken in once, without loss, with their Turkish letters")
  func corpus() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    let account = try await desk.mailAccount(servers)
    let corpus = try await MailCorpus(count: 1_000)
    let messages = try corpus.entries.map { try corpus.bytes(of: $0) }
    try await servers.deliver(messages, to: "destek")
    try await desk.work(limit: .seconds(400))

    let state = try await desk.behind("SELECT uid, problem, checked_at IS NOT NULL AS checked FROM crm.channel_state WHERE channel_account_id = \(account)")
    let trouble = try state[0].decode(String?.self, "problem") ?? "none"
    try #require(trouble == "none")
    #expect(try state[0].decode(Int.self, "uid") == 1_000)
    // What says the same, under the same id, is the same mail.
    let different = Set(messages.map { Self.said(MailReader.read(Self.delivered($0))) }).count
    let received = try await desk.number("SELECT count(*) FROM crm.received_message WHERE channel_account_id = \(account)")
    let shownCount = try await desk.number("SELECT count(*) FROM crm.interaction WHERE channel_account_id = \(account)")
    #expect(different > 900)
    #expect(received == different)
    #expect(shownCount == different)

    let sound = try await desk.behind(
      """
      SELECT i.external_id, i.subject, i.body_text, (SELECT count(*) FROM crm.attachment AS a WHERE a.interaction_id = i.id) AS attachments
        FROM crm.interaction AS i WHERE i.channel_account_id = \(account) AND i.external_id LIKE 'saglam-%'
      """)
    var shown: [String: (subject: String, text: String, files: Int)] = [:]
    for row in sound.rows {
      shown[try row.decode(String.self, "external_id")] = (
        try row.decode(String.self, "subject"), try row.decode(String.self, "body_text"), try row.decode(Int.self, "attachments")
      )
    }
    let expected = corpus.entries.filter { $0.kind == "sound" }
    #expect(expected.count == 400 && shown.count == 400)
    for (number, entry) in expected.enumerated() {
      let found = try #require(shown["saglam-\(number)@ornek.example"], "\(entry.file)")
      #expect(found.subject == entry.subject && found.text.trimmingCharacters(in: .newlines) == entry.text, "\(entry.file)")
      #expect(found.files == entry.attachments?.count, "\(entry.file)")
    }
    // Whatever could not be read as it was meant is kept as it came.
    #expect(
      try await desk.number(
        """
        SELECT count(*) FROM crm.received_message AS r WHERE cardinality(r.defects) > 0
          AND NOT EXISTS (SELECT FROM crm.attachment AS a WHERE a.interaction_id = r.interaction_id AND a.media_type IN ('message/rfc822', 'text/plain', 'application/octet-stream'))
        """) == 0)
    #expect(try await desk.number("SELECT count(*) FROM crm.received_message WHERE cardinality(defects) > 0") > 50)

    // Read again from its beginning, as after a restore of the mail server: nothing is taken in twice.
    try servers.renumber("destek")
    try await desk.behind("UPDATE crm.channel_state SET uid_validity = 1, uid = 5")
    try await desk.behind("DELETE FROM crm.job")
    try await desk.work(limit: .seconds(400))
    #expect(try await desk.number("SELECT uid FROM crm.channel_state WHERE channel_account_id = \(account)") == 1_000)
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE channel_account_id = \(account)") == different)
  }

  /// As IMAP delivers a message: lines end with CR LF, and there are no NULs.
  private static func delivered(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    for byte in bytes {
      if byte == 0x0A, result.last != 0x0D { result.append(0x0D) }
      result.append(byte == 0 ? 0x80 : byte)
    }
    return result
  }

  private static func said(_ mail: ReceivedMail) -> Int {
    var hasher = Hasher()
    hasher.combine([mail.messageID, mail.from?.address ?? "", mail.subject, mail.text, mail.html ?? ""])
    hasher.combine(mail.date)
    for file in mail.attachments {
      hasher.combine(file.name)
      hasher.combine(file.bytes)
    }
    return hasher.finalize()
  }

  @Test("an account that cannot be read says why, and goes on once it can")
  func problem() async throws {
    let api = try await TestAPI.start(secrets: ChannelDesk.secrets)
    let desk = ChannelDesk(api.database)
    let servers = try await MailServers.start()
    let account = try await desk.mailAccount(servers, "yanlis")
    let bare = try await desk.mailAccount(servers, "anahtarsiz")
    try await servers.deliver([Array("From: a@ornek.example\r\nMessage-ID: <1@a>\r\n\r\nx".utf8)], to: "yanlis")
    try await desk.work()
    let problem = try await desk.behind("SELECT problem FROM crm.channel_state WHERE channel_account_id = \(account)")[0].decode(String.self, at: 0)
    #expect(problem.contains("ogin") && !problem.contains("baska"), "\(problem)")
    let missing = try await desk.behind("SELECT problem FROM crm.channel_state WHERE channel_account_id = \(bare)")[0].decode(String.self, at: 0)
    #expect(missing.contains("channels.secrets"), "\(missing)")
    try await desk.behind("UPDATE crm.channel_account SET code = 'eski' WHERE code = 'destek'")
    try await desk.behind("UPDATE crm.channel_account SET code = 'destek' WHERE id = \(account)")
    try await desk.behind("DELETE FROM crm.job")
    try await desk.work()
    #expect(try await desk.number("SELECT count(*) FROM crm.channel_state WHERE channel_account_id = \(account) AND problem IS NULL AND uid = 1") == 1)
    #expect(try await desk.number("SELECT count(*) FROM crm.interaction WHERE channel_account_id = \(account)") == 1)
  }
}
