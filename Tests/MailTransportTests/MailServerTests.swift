import Foundation
import MailTransport
import MuhatapTestKit
import Testing

@Suite("Real mail servers")
struct MailServerTests {
  private func mailbox(_ servers: MailServers, _ user: String, limit: Int = 50 << 20) throws -> IMAPMailbox {
    try IMAPMailbox(
      server: MailServer(host: "127.0.0.1", port: servers.imapPort, security: .plain, user: user, password: MailServers.password), messageLimit: limit)
  }

  private func message(_ number: Int) -> [UInt8] {
    Array("Message-ID: <m\(number)@ornek.example>\r\nFrom: a@ornek.example\r\nSubject: \(number)\r\n\r\nMerhaba \(number)\r\n".utf8)
  }

  @Test("a mailbox is read in pieces, in order, each message once, byte for byte")
  func pieces() async throws {
    let servers = try await MailServers.start()
    let messages = (0..<25).map(message)
    try await servers.deliver(messages, to: "destek")
    let box = try mailbox(servers, "destek")
    var position: IMAPMailbox.Position?
    var read: [[UInt8]] = []
    var rounds = 0
    while true {
      let batch = try await box.next(after: position, count: 10)
      #expect(batch.items.allSatisfy { $0.uid > position?.uid ?? 0 && $0.isWhole && $0.arrivedAt != nil })
      read += batch.items.map(\.bytes)
      position = batch.position
      rounds += 1
      if batch.isLast { break }
    }
    #expect(read == messages && rounds == 3)
    #expect(try await box.next(after: position).items.isEmpty)
    try await servers.deliver([message(99)], to: "destek")
    #expect(try await box.next(after: position).items.map(\.bytes) == [message(99)])

    try servers.renumber("destek")
    let fresh = try await box.next(after: IMAPMailbox.Position(uidValidity: 1, uid: 1_000))
    #expect(fresh.items.count == 26, "another numbering begins at its first message")
  }

  @Test("of a message that is too large the header is taken")
  func large() async throws {
    let servers = try await MailServers.start()
    try await servers.deliver([message(1) + [UInt8](repeating: 0x41, count: 200_000), message(2)], to: "destek")
    let batch = try await mailbox(servers, "destek", limit: 100_000).next(after: nil)
    #expect(batch.items.map(\.isWhole) == [false, true])
    #expect(MailReader.read(batch.items[0].bytes).subject == "1")
    #expect(batch.items[0].size > 200_000 && batch.items[0].bytes.count < 200)
  }

  @Test("a wrong password, a server that is away and a certificate nobody vouches for are told apart")
  func failures() async throws {
    let servers = try await MailServers.start()
    func kind(_ server: MailServer) async throws -> MailFailure.Kind? {
      do {
        _ = try await IMAPMailbox(server: server).next(after: nil, silence: 60)
        return nil
      } catch let failure as MailFailure {
        #expect(!failure.description.contains("gizli") && !failure.description.contains("yanlis"))
        return failure.kind
      }
    }
    #expect(try await kind(MailServer(host: "127.0.0.1", port: servers.imapPort, security: .plain, user: "a", password: "yanlis")) == .signInRefused)
    #expect(try await kind(MailServer(host: "127.0.0.1", port: 1, security: .plain, user: "a", password: "gizli")) == .unavailable)
    #expect(try await kind(MailServer(host: "localhost", port: servers.imapsPort, security: .tls, user: "a", password: "gizli")) == .unsafe)
    let trusted = try MailServer(
      host: "localhost", port: servers.imapsPort, security: .tls, user: "a", password: "gizli", authorities: servers.certificate)
    #expect(try await kind(trusted) == nil)
    let upgraded = try MailServer(
      host: "localhost", port: servers.imapPort, security: .startTLS, user: "a", password: "gizli", authorities: servers.certificate)
    #expect(try await kind(upgraded) == nil)
    // The sink offers no TLS: nothing is said to it in the open.
    #expect(throws: MailFailure.self) { try MailServer(host: "posta.example", port: 25, security: .plain) }
    let open = try MailServer(host: "localhost", port: servers.smtpPort, security: .startTLS)
    await #expect(throws: MailFailure.self) { try await SMTPRelay(server: open).send(message(1), from: "a@b.example", to: "c@d.example") }
    #expect(try servers.sent().isEmpty)
  }

  @Test("a relay takes a message whole, refuses for good, or puts it off")
  func relay() async throws {
    let servers = try await MailServers.start()
    let relay = SMTPRelay(server: try MailServer(host: "127.0.0.1", port: servers.smtpPort, security: .plain))
    let mail = try OutgoingMail(
      messageID: "m1@carsi.example", from: .init(name: "Çarşı", address: "destek@carsi.example"), to: .init(name: nil, address: "ali@ornek.example"),
      subject: "Ğ", date: Date(), text: "satır\n.\n..\nson"
    ).encoded()
    try await relay.send(mail, from: "destek@carsi.example", to: "ali@ornek.example")
    let sent = try servers.sent()
    #expect(sent.count == 1)
    #expect(sent.first == Array("Envelope: destek@carsi.example ali@ornek.example\r\n".utf8) + mail)
    func failure(_ recipient: String) async -> MailFailure.Kind? {
      do {
        try await relay.send(mail, from: "destek@carsi.example", to: recipient)
        return nil
      } catch { return (error as? MailFailure)?.kind }
    }
    #expect(await failure("reddet@ornek.example") == .refused)
    #expect(await failure("sonra@ornek.example") == .unavailable)
    #expect(await failure("sonra@ornek.example") == nil)
    #expect(await failure("a@b.example>\r\nRCPT TO:<x@y.example") == .unsendable)
  }

  @Test("mail leaves by STARTTLS, signed in, many messages over one connection; without a certificate that holds nothing is said")
  func startTLS() async throws {
    let servers = try await MailServers.start()
    func relay(_ password: String = MailServers.password, authorities: String?) throws -> SMTPRelay {
      SMTPRelay(
        server: try MailServer(
          host: "localhost", port: servers.guardedPort, security: .startTLS, user: "destek", password: password, authorities: authorities))
    }
    func failure(_ relay: SMTPRelay) async -> MailFailure.Kind? {
      do {
        try await relay.send(message(0), from: "destek@carsi.example", to: "a@ornek.example", silence: 60)
        return nil
      } catch { return (error as? MailFailure)?.kind }
    }
    #expect(try await failure(relay(authorities: nil)) == .unsafe)
    #expect(try await failure(relay("yanlis", authorities: servers.certificate)) == .signInRefused)
    #expect(try servers.sent().isEmpty)

    let good = try relay(authorities: servers.certificate)
    for number in 1...5 { try await good.send(message(number), from: "destek@carsi.example", to: "a@ornek.example") }
    let deliveries = try servers.deliveries()
    #expect(deliveries.count == 5 && deliveries.allSatisfy { $0.tls && $0.user == "destek" }, "\(deliveries)")
    #expect(Set(deliveries.map(\.connection)).count == 1, "\(deliveries)")
    #expect(try servers.sent().count == 5)
  }

  @Test("a refused recipient tells why in figures, and the next message goes out")
  func refusedRecipient() async throws {
    let servers = try await MailServers.start()
    let relay = SMTPRelay(server: try MailServer(host: "127.0.0.1", port: servers.smtpPort, security: .plain))
    try await relay.send(message(1), from: "a@carsi.example", to: "b@ornek.example")
    do {
      try await relay.send(message(2), from: "a@carsi.example", to: "reddet@ornek.example")
      Issue.record("it was taken")
    } catch let failure as MailFailure {
      #expect(failure.kind == .refused && failure.status == "5.1.1", "\(failure)")
      #expect(DeliveryFailureCause(status: failure.status) == .recipient)
    }
    try await relay.send(message(3), from: "a@carsi.example", to: "b@ornek.example")
    #expect(try servers.sent().count == 2)
  }

  @Test(
    "a status says whether the address, the moment or something else is to blame",
    arguments: [
      ("5.1.1", nil, .recipient), ("5.2.1", nil, .recipient), ("4.2.2", nil, .temporary), ("4.4.7", "smtp; 451 4.3.0 later", .temporary),
      ("5.2.2", nil, nil), ("5.7.1", "550 5.7.1 looks like spam", nil), ("5.0.0", "smtp; 550 5.1.1 no such user", .recipient), (nil, nil, nil),
      (nil, "550 5.1.10 recipient not found", .recipient), ("5.0.0", nil, nil),
    ] as [(String?, String?, DeliveryFailureCause?)])
  func causes(_ status: String?, _ diagnostic: String?, _ cause: DeliveryFailureCause?) {
    #expect(DeliveryReport.Recipient(address: "a@ornek.example", action: "failed", status: status, diagnostic: diagnostic).cause == cause)
  }

  @Test("a report of abuse names the message it is of; that something is no spam is none")
  func complaints() {
    func report(_ type: String) -> ReceivedMail.Kind {
      MailReader.read(
        Array(
          """
          From: fbl@saglayici.example\r\nMessage-ID: <s1@saglayici.example>\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=r\r\n\r
          --r\r\nContent-Type: text/plain\r\n\r\nSpam\r\n--r\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: \(type)\r
          User-Agent: FBL/1\r\nVersion: 1\r\n\r\n--r\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <biz-1@carsi.example>\r\nSubject: x\r\n\r\nx\r\n--r--\r\n
          """.utf8)
      ).kind
    }
    #expect(report("abuse") == .complaint(originalMessageID: "biz-1@carsi.example"))
    #expect(report("not-spam") == .message)
  }
}
