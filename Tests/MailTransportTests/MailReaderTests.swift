import Crypto
import Foundation
import MailTransport
import MuhatapTestKit
import Testing

@Suite("Reading e-mails")
struct MailReaderTests {
  @Test("a thousand mails, most of them broken, are read without loss or crash")
  func corpus() async throws {
    let corpus = try await MailCorpus(count: 1_000)
    #expect(corpus.entries.count == 1_000)
    var ids: Set<String> = []
    var mangled: [String] = []
    for entry in corpus.entries {
      let bytes = try corpus.bytes(of: entry)
      let mail = MailReader.read(bytes)
      ids.insert(mail.messageID)
      #expect(!mail.messageID.isEmpty)
      for text in [mail.text, mail.subject, mail.html ?? "", mail.messageID] { #expect(!text.utf8.contains(0), "\(entry.file)") }
      switch entry.kind {
      case "sound":
        if mail.text.trimmingCharacters(in: .newlines) != entry.text { mangled.append("\(entry.file) text: \(mail.text.debugDescription)") }
        if mail.subject != entry.subject { mangled.append("\(entry.file) subject: \(mail.subject)") }
        let files = mail.attachments.map { MailCorpus.Entry.File(name: $0.name, sha256: Self.digest($0.bytes)) }
        if files != entry.attachments { mangled.append("\(entry.file) attachments: \(files.map(\.name))") }
        #expect(mail.defects.isEmpty, "\(entry.file): \(mail.defects)")
        #expect(mail.from?.name?.hasPrefix("Müşteri Şükrü ") == true, "\(entry.file)")
        #expect(mail.html?.contains("script") != true && mail.html?.contains("style") != true)
      case "classified":
        let kind =
          switch mail.kind {
          case .message: "message"
          case .autoReply: "auto_reply"
          case .bounce: "bounce"
          case .complaint: "complaint"
          }
        #expect(kind == entry.expected, "\(entry.file) \(mail.subject)")
      case "huge":
        #expect(mail.text.utf8.count + (mail.html ?? "").utf8.count + mail.attachments.reduce(0) { $0 + $1.bytes.count } > 1_000, "\(entry.file)")
      default:
        // Whatever is broken still shows something, unless there was nothing.
        let shown = !mail.text.allSatisfy(\.isWhitespace) || !mail.subject.isEmpty || !mail.attachments.isEmpty || mail.from != nil || !mail.defects.isEmpty
        #expect(shown, "\(entry.file)")
      }
    }
    #expect(mangled.isEmpty, "\(mangled.count) mangled: \(mangled.prefix(5))")
    #expect(ids.count > 500)
  }

  private static func digest(_ bytes: [UInt8]) -> String {
    SHA256.hash(data: bytes).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private struct Unexpected: Error { let kind: ReceivedMail.Kind }

  @Test("where a mail asks to be answered counts when it is one address, and not what a mailing list writes there")
  func replyTo() {
    func asked(_ head: String) -> String? {
      MailReader.read(Array("Message-ID: <1@x>\r\nFrom: ali@ornek.example\r\nSubject: Soru\r\n\(head)\r\nMerhaba\r\n".utf8)).replyTo?.address
    }
    #expect(asked("Reply-To: =?utf-8?Q?M=C3=BC=C5=9Fteri?= <Muhasebe@ornek.example>\r\n") == "Muhasebe@ornek.example")
    #expect(asked("") == nil)
    #expect(asked("Reply-To: a@ornek.example, b@ornek.example\r\n") == nil)
    #expect(asked("Reply-To: ekip: a@ornek.example, b@ornek.example;\r\n") == nil)
    for list in ["List-Id: Liste <liste.ornek.example>", "List-Post: <mailto:liste@ornek.example>", "Precedence: list"] {
      #expect(asked("Reply-To: liste@ornek.example\r\n\(list)\r\n") == nil, "\(list)")
    }
  }

  @Test("a bounce names who was not reached, why, and the message that did not arrive")
  func bounce() throws {
    let mail = MailReader.read(
      Array(
        """
        Return-Path: <>
        From: Mail Delivery System <MAILER-DAEMON@relay.example>
        Message-ID: <r1@relay.example>
        Content-Type: multipart/report; report-type=delivery-status; boundary=r

        --r
        Content-Type: text/plain

        Sorry.
        --r
        Content-Type: message/delivery-status

        Reporting-MTA: dns; relay.example

        Original-Recipient: rfc822;Ali@Ornek.example
        Final-Recipient: rfc822;Ali@Ornek.example
        Action: failed
        Status: 5.2.2
        Diagnostic-Code: smtp; 552 5.2.2
         Mailbox full

        --r
        Content-Type: message/rfc822

        Message-ID: <m1@carsi.example>
        Subject: Kampanya

        Merhaba
        --r--
        """.utf8))
    guard case .bounce(let report) = mail.kind, let failure = report.failures.first else { throw Unexpected(kind: mail.kind) }
    #expect(report.originalMessageID == "m1@carsi.example" && report.recipients.count == 1)
    #expect(failure.address == "ali@ornek.example" && failure.status == "5.2.2" && failure.diagnostic == "552 5.2.2 Mailbox full")
  }

  @Test(
    "Turkish text is read where its encoding is named wrongly or not at all",
    arguments: [
      ("", [0xDE, 0xFC, 0x6B, 0x72, 0xFC], "Şükrü"), ("us-ascii", [0xFD, 0xF0, 0x64, 0xFD, 0x72], "ığdır"), ("utf-8", [0xD0, 0xDD], "Ğİ"),
      ("x-klingon", [0xC5, 0x9F, 0x61], "şa"), ("iso-8859-9", [0x80, 0xDD], "€İ"), ("iso-8859-1", [0x93, 0xE7, 0x94], "“ç”"),
    ] as [(String, [UInt8], String)])
  func encodings(_ charset: String, _ bytes: [UInt8], _ text: String) {
    let type = charset.isEmpty ? "" : "Content-Type: text/plain; charset=\(charset)\r\n"
    let mail = MailReader.read(Array("From: a@b.example\r\nMessage-ID: <1@b>\r\n\(type)\r\n".utf8) + bytes)
    #expect(mail.text == text)
  }

  @Test("a file's name has no folders and nothing that steers")
  func names() {
    let mail = MailReader.read(
      Array(
        "From: a@b\r\nContent-Type: application/x-sh; name=\"../../etc/\\u202Ecod.sh\"\r\nContent-Disposition: attachment; filename*=utf-8''..%2F..%2F%E2%80%AEevil%0A.sh\r\n\r\nx"
          .utf8))
    #expect(mail.attachments.map(\.name) == ["evil.sh"])
  }
}
