import Foundation
import MailTransport
import Testing

@Suite("Writing e-mails")
struct OutgoingMailTests {
  private func mail(
    subject: String = "Sipariş: ığdır ĞÜŞİÖÇ – uzun bir konu satırı ki bölünmesi gerekecek kadar uzun", html: String? = nil, name: String? = "Çarşı, Destek",
    inReplyTo: String? = nil, headers: [(name: String, value: String)] = [], to: String = "ali@ornek.example"
  ) -> OutgoingMail {
    OutgoingMail(
      messageID: "m1@carsi.example", from: .init(name: name, address: "destek@carsi.example"), to: .init(name: "Şükrü Işık", address: to), subject: subject,
      date: Date(timeIntervalSince1970: 1_795_000_000), text: "Sayın Şükrü Işık,\n.\nFrom İzmir\n" + String(repeating: "uzun ", count: 400) + "\nson",
      html: html,
      inReplyTo: inReplyTo, references: inReplyTo.map { ["ilk@ornek.example", $0] } ?? [], headers: headers)
  }

  @Test("what is written is read back as it was, Turkish letters and all")
  func roundTrip() throws {
    let sent = mail(
      html: "<p>Sayın <b>Şükrü</b></p>", inReplyTo: "soru@ornek.example",
      headers: [("List-Unsubscribe", "<https://carsi.example/u/abc>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")])
    let bytes = try sent.encoded()
    #expect(bytes.allSatisfy { $0 < 0x80 }, "every byte is ASCII")
    let text = String(decoding: bytes, as: UTF8.self)
    #expect(!text.replacing("\r\n", with: "").contains { $0 == "\r" || $0 == "\n" }, "every line ends with CR LF")
    #expect(text.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 998 })
    #expect(text.contains("\r\nList-Unsubscribe: <https://carsi.example/u/abc>\r\n"))
    #expect(text.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"))
    let read = MailReader.read(bytes)
    #expect(read.subject == sent.subject)
    #expect(read.text == sent.text + "\n")
    #expect(read.html == "<p>Sayın <b>Şükrü</b></p>\n")
    #expect(read.from?.name == "Çarşı, Destek" && read.from?.address == "destek@carsi.example")
    #expect(read.recipients.map(\.name) == ["Şükrü Işık"] && read.recipients.map(\.address) == ["ali@ornek.example"])
    #expect(read.messageID == "m1@carsi.example")
    #expect(read.inReplyTo == "soru@ornek.example")
    #expect(read.references == ["ilk@ornek.example", "soru@ornek.example"])
    #expect(read.date == sent.date)
    #expect(read.defects.isEmpty)
  }

  @Test("no field can bring another one in")
  func injection() {
    let line = "x\r\nBcc: kurban@ornek.example"
    for bad in [
      mail(subject: line), mail(name: line), mail(inReplyTo: line), mail(headers: [("X-A", line)]), mail(headers: [("X-A: b\r\nBcc", "c")]),
      mail(to: "a@b.example>, <c@d.example"),
      mail(headers: [("Bcc", "kurban@ornek.example")]), mail(headers: [("Content-Type", "text/html")]), mail(subject: "x\u{85}Bcc: y"), mail(subject: "x\0y"),
    ] {
      #expect(throws: MailFailure.self) { try bad.encoded() }
    }
  }
}
