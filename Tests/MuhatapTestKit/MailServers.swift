import Foundation

/// A real IMAP server (Dovecot) and an SMTP sink (aiosmtpd) in a folder of their own; see Tests/clients/mail_servers.py. They end with this object, or with
/// the tests.
package final class MailServers: Sendable {
  private struct Ports: Decodable {
    let imap, imaps, smtp, smtpTLS: Int
  }

  package let imapPort, imapsPort, smtpPort: Int
  /// Takes mail only by STARTTLS, and from those who sign in.
  package let guardedPort: Int
  private let folder: URL

  /// The authority of the server's certificate, for `localhost`.
  package var certificate: String { folder.appending(path: "certificate.pem").path }
  package static let password = "gizli"

  private init(folder: URL, ports: Ports) {
    self.folder = folder
    imapPort = ports.imap
    imapsPort = ports.imaps
    smtpPort = ports.smtp
    guardedPort = ports.smtpTLS
  }

  /// The servers did not come up.
  package struct NotReady: Error {}

  /// Starts both; ports are found free and then taken, so that another test may take one in between: then it is tried again.
  package static func start() async throws -> MailServers {
    for _ in 0..<3 { if let servers = try await begin() { return servers } }
    throw NotReady()
  }

  private static func begin() async throws -> MailServers? {
    // Dovecot's sockets lie in it, and a socket's path has at most 107 bytes.
    let folder = URL(filePath: "/tmp/muhatap-mail-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    let python = try await Command("scripts/python", []).run().trimmingCharacters(in: .whitespacesAndNewlines)
    let process = Process()
    process.executableURL = URL(filePath: python)
    process.arguments = [
      Command.repository.appending(path: "Tests/clients/mail_servers.py").path, folder.path, "\(ProcessInfo.processInfo.processIdentifier)",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    let ready = folder.appending(path: "ready.json")
    let began = ContinuousClock.now
    while !FileManager.default.fileExists(atPath: ready.path) {
      if !process.isRunning { return nil }
      if ContinuousClock.now - began > .seconds(120) {
        process.terminate()
        return nil
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    return MailServers(folder: folder, ports: try JSONDecoder().decode(Ports.self, from: Data(contentsOf: ready)))
  }

  deinit { try? FileManager.default.removeItem(at: folder.appending(path: "ready.json")) }

  /// Puts messages into a user's mailbox, as if they had arrived in this order.
  /// - Parameter age: how many seconds ago.
  package func deliver(_ messages: [[UInt8]], to user: String, age: Int = 0) async throws {
    let box = folder.appending(path: "mail/\(user)/new")
    let written = folder.appending(path: "delivery-\(UUID().uuidString)")
    for each in [box, written] { try FileManager.default.createDirectory(at: each, withIntermediateDirectories: true) }
    // Dovecot numbers new messages by the second in their names.
    let first = Int(Date().timeIntervalSince1970) - messages.count - age
    for (number, message) in messages.enumerated() {
      try Data(message).write(to: written.appending(path: "\(first + number).\(UUID().uuidString).test"))
    }
    // Dovecot runs as somebody else when the tests run as root. It moves what lies in the box as soon as somebody reads there: only what is whole, and
    // Dovecot's own already, is put into it.
    if getuid() == 0 {
      try await Command("chown", ["-R", "nobody", written.path]).run()
      try await Command("chown", ["nobody", box.deletingLastPathComponent().path, box.path]).run()
    }
    for name in try FileManager.default.contentsOfDirectory(atPath: written.path) {
      try FileManager.default.moveItem(at: written.appending(path: name), to: box.appending(path: name))
    }
    try FileManager.default.removeItem(at: written)
  }

  /// Makes the server number a mailbox anew, as after a restore.
  package func renumber(_ user: String) throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: "mail/\(user)").path) where name.hasPrefix("dovecot") {
      try FileManager.default.removeItem(at: folder.appending(path: "mail/\(user)/\(name)"))
    }
  }

  /// What the sink took, in its order; each begins with a line that gives the envelope.
  package func sent() throws -> [[UInt8]] {
    let sink = folder.appending(path: "sink")
    return try FileManager.default.contentsOfDirectory(atPath: sink.path).filter { $0.hasSuffix(".eml") }.sorted().map {
      Array(try Data(contentsOf: sink.appending(path: $0)))
    }
  }

  /// How a message came to the sink.
  package struct Delivery: Decodable, Sendable {
    /// The same for messages of one connection.
    package let connection: Int
    package let tls: Bool
    package let user: String?
  }

  /// In the order of `sent()`.
  package func deliveries() throws -> [Delivery] {
    let sink = folder.appending(path: "sink")
    return try FileManager.default.contentsOfDirectory(atPath: sink.path).filter { $0.hasSuffix(".json") }.sorted().map {
      try JSONDecoder().decode(Delivery.self, from: Data(contentsOf: sink.appending(path: $0)))
    }
  }
}
