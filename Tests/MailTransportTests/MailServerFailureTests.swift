import Foundation
import MailTransport
import MuhatapTestKit
import Testing

@Suite("Mail servers that fail")
struct MailServerFailureTests {
  private static let message = Array("Message-ID: <m@carsi.example>\r\nFrom: destek@carsi.example\r\nSubject: x\r\n\r\nMerhaba\r\n".utf8)

  private func failure(_ servers: BrokenMailServers, _ name: String, silence: Int) async throws -> MailFailure? {
    let relay = SMTPRelay(server: try MailServer(host: "127.0.0.1", port: servers.port(name), security: .plain))
    do {
      try await relay.send(Self.message, from: "destek@carsi.example", to: "ali@ornek.example", silence: silence)
      return nil
    } catch { return try #require(error as? MailFailure) }
  }

  private func mailbox(_ servers: BrokenMailServers, _ name: String) throws -> IMAPMailbox {
    try IMAPMailbox(server: MailServer(host: "127.0.0.1", port: servers.port(name), security: .plain, user: "a", password: "gizli"))
  }

  @Test("a relay that refuses us refuses no message for good; one that refuses the message does")
  func refusals() async throws {
    let servers = try await BrokenMailServers()
    for name in ["smtp_refuse_greeting", "smtp_refuse_hello", "smtp_refuse_mail", "smtp_drop_rcpt"] {
      let found = try await failure(servers, name, silence: 30)
      #expect(found?.kind == .unavailable, "\(name): \(found?.description ?? "taken")")
    }
    let tooLarge = try await failure(servers, "smtp_refuse_end", silence: 30)
    #expect(tooLarge?.kind == .refused && tooLarge?.status == "5.3.4", "\(tooLarge?.description ?? "taken")")
  }

  @Test(
    "a relay that says nothing is left, wherever it stops", .timeLimit(.minutes(10)),
    arguments: ["greeting", "hello", "mail", "rcpt", "data", "end"])
  func silence(_ phase: String) async throws {
    let servers = try await BrokenMailServers()
    let began = ContinuousClock.now
    let found = try await failure(servers, "smtp_hang_\(phase)", silence: 5)
    #expect(found?.kind == .unavailable, "\(found?.description ?? "taken")")
    // Once it has the whole message it may think longer: whoever leaves then sends the message twice.
    // The relay would be silent for two minutes.
    #expect(ContinuousClock.now - began < .seconds(90))
    if phase == "end" { #expect(ContinuousClock.now - began > .seconds(20)) }
  }

  @Test("a relay that thinks about a message for longer than it may be silent has taken it")
  func slowEnd() async throws {
    let servers = try await BrokenMailServers()
    #expect(try await failure(servers, "smtp_slow_end", silence: 3) == nil)
  }

  @Test("a mailbox that breaks off in the middle of a message keeps what came before, and says where it broke")
  func brokenOff() async throws {
    let servers = try await BrokenMailServers()
    for name in ["imap_drop", "imap_hang", "imap_refuse_body", "imap_mute"] {
      let box = try mailbox(servers, name)
      let first = try await box.next(after: nil, silence: 6)
      #expect(first.items.map(\.uid) == [1] && first.position.uid == 1 && !first.isLast, "\(name)")
      let failure = await #expect(throws: MailFailure.self, "\(name)") { try await box.next(after: first.position, silence: 6) }
      #expect(failure?.description.contains("at the message number 2") == true, "\(name): \(failure?.description ?? "")")
    }
  }

  @Test("a message that the server does not give away is taken as far as it goes once it may be passed over, and those behind it come")
  func passedOver() async throws {
    let servers = try await BrokenMailServers()
    for (name, header) in [("imap_refuse_body", true), ("imap_mute", false)] {
      let box = try mailbox(servers, name)
      let start = IMAPMailbox.Position(uidValidity: 7, uid: 1)
      let stuck = try await box.next(after: start, passesOver: true, silence: 30)
      #expect(stuck.items.map(\.uid) == [2] && stuck.items.allSatisfy { !$0.isWhole && $0.problem != nil }, "\(name)")
      #expect(stuck.items.first?.bytes.isEmpty == !header, "\(name)")
      let rest = try await box.next(after: stuck.position, passesOver: true, silence: 30)
      #expect(rest.items.map(\.uid) == [3] && rest.isLast, "\(name)")
    }
  }

  @Test("a folder that is not there is named")
  func folder() async throws {
    let servers = try await BrokenMailServers()
    let failure = await #expect(throws: MailFailure.self) { try await mailbox(servers, "imap_no_folder").next(after: nil, silence: 30) }
    #expect(failure?.kind == .missing && failure?.description.contains("INBOX") == true, "\(failure?.description ?? "")")
  }
}
