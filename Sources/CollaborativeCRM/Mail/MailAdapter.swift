import CRMCore
import Crypto
import Foundation
import MailTransport

/// E-mail: SMTP out, IMAP in.
struct MailAdapter: ChannelAdapter {
  let capabilities: Set<ChannelCapability> = [.send, .receive, .html, .threads]

  private let account: AccountSettings
  private let address: String

  init(_ account: AccountSettings) throws {
    guard let address = account.address else { throw AccountSettings.Incomplete(description: "the account \(account.code) has no address") }
    self.account = account
    self.address = address
  }

  private func server(_ prefix: String, port: (tls: Int, other: Int)) throws -> MailServer {
    let security = MailServer.Security(rawValue: account.text("\(prefix)_security") ?? "tls")
    guard let security else { throw AccountSettings.Incomplete(description: "\"\(prefix)_security\" of the account \(account.code) is tls, starttls or plain") }
    let user = account.text("\(prefix)_user") ?? (prefix == "imap" ? address : nil)
    return try MailServer(
      host: account.needed("\(prefix)_host"), port: account.integer("\(prefix)_port") ?? (security == .tls ? port.tls : port.other), security: security,
      user: user, password: user == nil ? nil : account.secret("\(prefix)_password", "password"), authorities: account.text("authorities"))
  }

  // Sending

  func send(_ message: MessageToSend) async throws -> String {
    let mail = try outgoing(message)
    do {
      try await SMTPRelay(server: server("smtp", port: (465, 587))).send(mail.encoded(), from: address, to: message.address)
    } catch let failure as MailFailure where failure.kind == .refused || failure.kind == .unsendable {
      throw MessageRefusal(failure.description, isOfRecipient: DeliveryFailureCause(status: failure.status) == .recipient)
    }
    return mail.messageID
  }

  /// The message's id within its Message-ID makes bounces find it.
  static func messageID(_ id: UUID, from address: String) -> String {
    "\(id.lowercase)@\(address.split(separator: "@").last.map(String.init) ?? "localhost")"
  }

  /// One line of a header: whoever writes two means one, and nobody gets a field of their own in.
  private static func line(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }

  /// An id as other mail programs know it: without what tells two messages of one id apart here. Nil for one that we made up, or that cannot stand in a header;
  /// the answer goes out without it.
  private static func sendable(_ id: String) -> String? {
    let id = id.trimming("<>").replacing(#/#[0-9a-f]{16}$/#, with: "")
    let isToken = !id.isEmpty && id.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">") }
    return isToken && !id.hasSuffix("@content.invalid") ? id : nil
  }

  /// Which message of ours a Message-ID is of.
  private static func ours(_ messageID: String?) -> UUID? { messageID?.split(separator: "@").first.flatMap { UUID(uuidString: String($0)) } }

  private func outgoing(_ message: MessageToSend) throws -> OutgoingMail {
    // The thread's ids come as the field References, which the message writes itself.
    let references = message.headers.first { $0.key.lowercased() == "references" }?.value.split(separator: " ").compactMap { Self.sendable(String($0)) } ?? []
    let headers = message.headers.filter { $0.key.lowercased() != "references" }.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
    return OutgoingMail(
      messageID: Self.messageID(message.id, from: address), from: .init(name: message.senderName.map(Self.line), address: address),
      to: .init(name: message.recipientName.map(Self.line), address: message.address), subject: Self.line(message.subject ?? ""), date: Date(),
      text: message.text, html: message.html,
      inReplyTo: message.inReplyTo.flatMap(Self.sendable), references: references, headers: headers,
      files: message.files.map { .init(name: Self.line($0.name), mediaType: $0.mediaType, bytes: $0.bytes) })
  }

  func status(of providerID: String) async throws -> DeliveryOutcome? { nil }

  // Receiving

  func receive(after position: ChannelPosition?, passesOver: Bool) async throws -> ReceivedMessages {
    var known: IMAPMailbox.Position?
    if case .mailbox(let uidValidity, let uid) = position { known = .init(uidValidity: uidValidity, uid: uid) }
    let mailbox = try IMAPMailbox(
      server: server("imap", port: (993, 143)), folder: account.text("imap_folder") ?? "INBOX",
      messageLimit: min(max(account.integer("message_limit") ?? 50 << 20, 1 << 16), 200 << 20))
    let batch = try await mailbox.next(after: known, passesOver: passesOver)
    // Reading MIME takes its time, so it is not done on Swift's threads either.
    let messages = try await MailThreads.run { batch.items.map { received($0, uidValidity: batch.uidValidity) } }
    return ReceivedMessages(
      messages: messages, position: .mailbox(uidValidity: batch.position.uidValidity, uid: batch.position.uid), isLast: batch.isLast)
  }

  private func received(_ item: IMAPMailbox.Item, uidValidity: Int) -> ReceivedMessage {
    var mail = MailReader.read(item.bytes)
    // Where it lies is no part of what it says: another numbering does not make another message of it.
    let digest = Self.digest(mail)
    if !item.isWhole {
      let place = "it lies in the mailbox under the number \(item.uid)"
      let reason = item.problem.map { "the server does not give the message away (\($0))" } ?? "the message has \(item.size) bytes, more than are taken"
      mail.defects.append("\(reason); \(place)")
      mail.text += "[\(reason); \(place)]"
      if item.bytes.isEmpty { mail.messageID = "\(uidValidity)-\(item.uid)@unread.invalid" }
    }
    var files = mail.attachments.map { ReceivedFile(name: $0.name, mediaType: $0.mediaType, contentID: $0.contentID, bytes: $0.bytes) }
    if !mail.defects.isEmpty, !item.bytes.isEmpty, !files.contains(where: { $0.bytes == item.bytes }) {
      files.append(ReceivedFile(name: "source.eml", mediaType: "message/rfc822", contentID: nil, bytes: item.bytes))
    }
    // A server's clock, or a mailbox that was moved, may name a time to come.
    let arrived = min(item.arrivedAt ?? Date(), Date())
    var kind = "message"
    var reports: [DeliveryReportOfOurs] = []
    var inReplyTo = mail.inReplyTo
    switch mail.kind {
    case .message: break
    case .autoReply: kind = "auto_reply"
    case .bounce(let report):
      kind = "bounce"
      inReplyTo = report.originalMessageID ?? inReplyTo
      let ours = Self.ours(report.originalMessageID)
      reports =
        ours == nil
        ? []
        : report.failures.enumerated().map { number, failure in
          let reason = [failure.status, failure.diagnostic].compactMap(\.self).joined(separator: " ")
          return DeliveryReportOfOurs(
            eventID: "\(mail.messageID.prefix(180))/\(number)", messageID: ours, providerID: nil,
            outcome: failure.cause == .temporary ? "failed" : "bounced", reason: reason.isEmpty ? nil : reason, at: arrived, cause: failure.cause?.rawValue)
        }
    case .complaint(let original):
      kind = "auto_reply"
      inReplyTo = original ?? inReplyTo
      if let ours = Self.ours(original) {
        reports = [
          DeliveryReportOfOurs(
            eventID: "\(mail.messageID.prefix(180))/complaint", messageID: ours, providerID: nil, outcome: "complained", reason: nil, at: arrived, cause: nil)
        ]
      }
    }
    return ReceivedMessage(
      externalID: mail.messageID, digest: digest, size: item.size, inReplyTo: inReplyTo, references: mail.references, sender: mail.from?.address,
      senderName: mail.from?.name, replyTo: mail.replyTo?.address, recipients: mail.recipients.map(\.address), subject: mail.subject, text: mail.text,
      html: mail.html, occurredAt: arrived,
      kind: kind, files: files, defects: mail.defects, reports: reports, position: .mailbox(uidValidity: uidValidity, uid: item.uid))
  }

  /// Of what a mail says, not of how it travelled: the same mail that comes twice has the same.
  private static func digest(_ mail: ReceivedMail) -> String {
    var hash = SHA256()
    for part in [mail.messageID, mail.from?.address ?? "", mail.subject, mail.date.map { "\($0.timeIntervalSince1970)" } ?? "", mail.text, mail.html ?? ""] {
      hash.update(data: Data("\(part.utf8.count):\(part)".utf8))
    }
    for file in mail.attachments {
      hash.update(data: Data("\(file.name):\(file.bytes.count):".utf8))
      hash.update(data: file.bytes)
    }
    return hash.finalize().hexadecimal
  }
}

extension StringProtocol {
  fileprivate func trimming(_ characters: String) -> String { trimmingCharacters(in: CharacterSet(charactersIn: characters)) }
}
