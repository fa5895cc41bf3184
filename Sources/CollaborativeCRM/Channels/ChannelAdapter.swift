package import Foundation

/// What connects an account with the world outside: a mail server, a provider of text messages, a social network.
package protocol ChannelAdapter: Sendable {
  var capabilities: Set<ChannelCapability> { get }

  /// Hands a message over. Called again for the same message when it is not known whether it arrived: the message's key is the same each time.
  /// - Returns: what the provider calls the message.
  /// - Throws: `MessageRefusal` when trying again would not help; any other error is worth another attempt.
  func send(_ message: MessageToSend) async throws -> String

  /// What came in after a position; nil for the beginning. Reading changes nothing at the provider.
  /// - Parameter passesOver: whether a message that cannot be had is taken as far as it can, so that those behind it come in.
  func receive(after position: ChannelPosition?, passesOver: Bool) async throws -> ReceivedMessages

  /// How a message fared that was handed over; nil when the provider does not know yet.
  func status(of providerID: String) async throws -> DeliveryOutcome?
}

/// What an adapter can do.
package enum ChannelCapability: String, Sendable, CaseIterable {
  case send, receive
  /// Asked for the status of a message, it answers.
  case status
  /// It shows HTML.
  case html
  /// An answer stands in the thread of what it answers.
  case threads
}

/// A message as an adapter sends it.
package struct MessageToSend: Sendable {
  package struct File: Sendable {
    package let name: String
    package let mediaType: String
    package let bytes: [UInt8]
  }

  /// The message's id: the key by which a provider knows a message that is sent twice.
  package let id: UUID
  package let address: String
  package let recipientName: String?
  package let senderName: String?
  package let subject: String?
  package let text: String
  package let html: String?
  package let headers: [String: String]
  package let inReplyTo: String?
  package let files: [File]
  /// How often a provider that had taken it reported that it failed for a while; a provider takes each time for another message.
  package let deferrals: Int
}

/// The provider does not take this message, now or later.
package struct MessageRefusal: Error, CustomStringConvertible {
  package let description: String
  /// Whether it said that there is no such address, for good.
  package let isOfRecipient: Bool

  package init(_ description: String, isOfRecipient: Bool = false) {
    self.description = description
    self.isOfRecipient = isOfRecipient
  }
}

/// How far an account was read.
package enum ChannelPosition: Sendable, Hashable {
  case mailbox(uidValidity: Int, uid: Int)
  case marker(String)
}

package struct ReceivedMessages: Sendable {
  /// In their order.
  package let messages: [ReceivedMessage]
  /// After the last of them, and after whatever lies between it and the end.
  package let position: ChannelPosition
  package let isLast: Bool
}

package struct ReceivedMessage: Sendable {
  /// The Message-ID or the provider's id.
  package let externalID: String
  /// SHA-256 of what it says, in hexadecimal digits.
  package let digest: String
  package let size: Int
  package let inReplyTo: String?
  package let references: [String]
  package let sender: String?
  package let senderName: String?
  /// Where the sender asks to be answered, when that is said; whose message it is follows from the sender alone.
  package var replyTo: String?
  package let recipients: [String]
  package let subject: String?
  package let text: String
  package let html: String?
  package let occurredAt: Date
  /// message, auto_reply or bounce.
  package let kind: String
  package let files: [ReceivedFile]
  package let defects: [String]
  /// What it reports of messages of ours.
  package let reports: [DeliveryReportOfOurs]
  /// Where reading goes on after it.
  package let position: ChannelPosition
}

package struct ReceivedFile: Sendable {
  package let name: String
  /// What the sender says it is.
  package let mediaType: String
  package let contentID: String?
  package let bytes: [UInt8]
}

/// What became of a message that was handed over.
package enum DeliveryOutcome: Sendable, Hashable {
  case delivered(at: Date)
  /// - Parameter cause: recipient, temporary, or nil for anything else.
  case failed(reason: String?, cause: String?)
}

/// A report on a message of ours, known by its id or by what the provider calls it.
package struct DeliveryReportOfOurs: Sendable {
  package let eventID: String
  package let messageID: UUID?
  package let providerID: String?
  /// delivered, failed, bounced or complained.
  package let outcome: String
  package let reason: String?
  package let at: Date
  /// recipient (there is no such address), temporary (it is worth another attempt), or nil for anything else.
  package let cause: String?
}
