/// Why an exchange with a mail server failed. The words hold no password and no text of a message.
package struct MailFailure: Error, CustomStringConvertible, Sendable {
  package enum Kind: Sendable {
    /// The server cannot be reached, is slow, or asks to come back: worth another try.
    case unavailable
    /// It does not accept the user or the password.
    case signInRefused
    /// The connection cannot be made safe: no TLS, or a certificate that does not hold.
    case unsafe
    /// It refuses this message for good.
    case refused
    /// It does not have what was asked for.
    case missing
    /// It sent more than is taken.
    case tooLarge
    /// What we would send or ask cannot be said in this protocol, such as a line break within a header.
    case unsendable
  }

  package let kind: Kind
  package let description: String
  /// What the server's reply said in figures, such as 5.1.1 (RFC 3463); nil when it said none.
  package let status: String?
  /// The number (UID) of the message of a mailbox that could not be had; nil when it failed at no message.
  package let uid: Int?

  package init(_ kind: Kind, _ description: String, status: String? = nil, uid: Int? = nil) {
    self.kind = kind
    self.description = description
    self.status = status
    self.uid = uid
  }
}
