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
  }

  /// Without angle brackets; made from the content where the sender gave none.
  package var messageID: String
  package var inReplyTo: String?
  package var references: [String]
  package var from: Address?
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
  }

  package let recipients: [Recipient]
  /// Of the message reported on, without angle brackets.
  package let originalMessageID: String?

  package var failures: [Recipient] { recipients.filter { $0.action == "failed" } }
}
