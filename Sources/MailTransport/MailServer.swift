import Foundation

/// How a mail server is reached.
package struct MailServer: Sendable, Hashable {
  package enum Security: String, Sendable, CaseIterable {
    /// TLS from the first byte.
    case tls
    /// TLS before anything is said.
    case startTLS = "starttls"
    /// Nothing: only to this machine itself.
    case plain
  }

  package let host: String
  package let port: Int
  package let security: Security
  package let user: String?
  let password: String?
  /// A PEM file with the authorities whose certificates are trusted, when they are not the system's.
  let authorities: String?

  /// - Throws: `unsafe` for an unprotected connection that leaves this machine, `unsendable` for a host that is none.
  package init(host: String, port: Int, security: Security, user: String? = nil, password: String? = nil, authorities: String? = nil) throws(MailFailure) {
    let letters = host.utf8
    guard !letters.isEmpty, letters.count <= 253, (1...65535).contains(port),
      letters.allSatisfy({ UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || $0 == 0x2D || $0 == 0x2E })
    else { throw MailFailure(.unsendable, "the mail server's host or port is not one") }
    guard security != .plain || ["127.0.0.1", "localhost"].contains(host) else {
      throw MailFailure(.unsafe, "only a mail server on this machine may be reached without TLS")
    }
    self.host = host
    self.port = port
    self.security = security
    self.user = user
    self.password = password
    self.authorities = authorities
  }

  func address(_ scheme: String) -> String { "\(scheme)\(security == .tls ? "s" : "")://\(host):\(port)" }
}
