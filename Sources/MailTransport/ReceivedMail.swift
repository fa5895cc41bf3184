package import Foundation

/// An e-mail as people read it: made from whatever came, however broken.
package struct ReceivedMail: Sendable {
  package struct Address: Sendable, Hashable {
    package let name: String?
    package let address: String
  }

  package struct Attachment: Sendable {
    /// Its file name, without folders; one is made up where the sender gave none.
    package let name: String
    /// What the sender says it is; what it really is, its content tells.
    package let mediaType: String
    /// By which an HTML body refers to it, without angle brackets.
    package let contentID: String?
    package let bytes: [UInt8]
  }

  package enum Kind: Sendable, Equatable {
    case message
    /// A machine answered, or sent to many: nobody is to be answered automatically (RFC 3834).
    case autoReply
    /// A mail of ours did not arrive.
    case bounce(DeliveryReport)
    /// Somebody called a mail of ours unwanted (RFC 5965); its id without angle brackets.
    case complaint(originalMessageID: String?)
  }

  /// Without angle brackets; made from the content where the sender gave none.
  package var messageID: String
  package var inReplyTo: String?
  package var references: [String]
  package var from: Address?
  /// Where its sender asks to be answered; nil where several addresses are named, or a mailing list names itself.
  package var replyTo: Address?
  package var recipients: [Address]
  package var subject: String
  /// When the sender says it was written.
  package var date: Date?
  /// The body as plain text, with line feeds; taken from the HTML where there is no text.
  package var text: String
  /// The body as clean HTML, see `HTMLCleaner`.
  package var html: String?
  package var attachments: [Attachment]
  package var kind: Kind
  /// What could not be read as it was meant: then the source is worth keeping. Empty for a sound message.
  package var defects: [String]
}

/// What a mail server reports of a message of ours (RFC 3464).
package struct DeliveryReport: Sendable, Equatable {
  package struct Recipient: Sendable, Equatable {
    package let address: String
    /// failed, delayed, delivered, relayed or expanded.
    package let action: String
    /// Such as 5.1.1; its first digit 5 means for good.
    package let status: String?
    package let diagnostic: String?

    package init(address: String, action: String, status: String?, diagnostic: String?) {
      self.address = address
      self.action = action
      self.status = status
      self.diagnostic = diagnostic
    }

    /// Why it did not arrive, as far as it decides on what follows.
    package var cause: DeliveryFailureCause? {
      // A status that says nothing is often beside a server's answer that does.
      let said = diagnostic.flatMap { $0.firstMatch(of: #/[245]\.[0-9]{1,3}\.[0-9]{1,3}/#) }.map { String($0.output) }
      guard let status, !status.hasSuffix(".0.0") else { return DeliveryFailureCause(status: said ?? self.status) }
      return DeliveryFailureCause(status: status)
    }
  }

  package let recipients: [Recipient]
  /// Of the message reported on, without angle brackets.
  package let originalMessageID: String?

  package var failures: [Recipient] { recipients.filter { $0.action == "failed" } }
}

/// What a failure's status code (RFC 3463) means for the address and for the next attempt.
package enum DeliveryFailureCause: String, Sendable {
  /// There is no such address, or nobody reads there any more, for good.
  case recipient
  /// The same message may arrive later.
  case temporary

  /// - Parameter status: such as 5.1.1; what is said of the message, its content or the sender is neither.
  package init?(status: String?) {
    guard let status else { return nil }
    if status.hasPrefix("4.") {
      self = .temporary
    } else if ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"].contains(status) {
      self = .recipient
    } else {
      return nil
    }
  }
}
