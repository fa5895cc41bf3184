import CCurl
import NIOCore
import NIOPosix
import Synchronization

/// A conversation with a relay over which messages go one after another. It stays on one thread of its own, because libcurl blocks.
actor SMTPConnection {
  /// Relays end conversations that go on for too long.
  static let messageLimit = 100

  nonisolated let server: MailServer
  nonisolated let loop: any EventLoop
  private var handle: CurlHandle?
  private var messages = 0

  init(server: MailServer, loop: any EventLoop) {
    self.server = server
    self.loop = loop
  }

  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }

  func send(_ message: [UInt8], from sender: String, to recipient: String, silence: Int) throws(MailFailure) {
    if messages >= Self.messageLimit { close() }
    let open: CurlHandle
    if let handle { open = handle } else { open = try CurlHandle(server: server, silence: silence) }
    handle = nil
    try open.text(CURLOPT_URL, server.address("smtp"))
    try open.text(CURLOPT_MAIL_FROM, "<\(sender)>")
    try open.list(CURLOPT_MAIL_RCPT, ["<\(recipient)>"])
    try open.send(message, silence: silence)
    messages += 1
    handle = open
  }

  /// Says goodbye; the next message makes a new connection.
  func close() {
    handle = nil
    messages = 0
  }
}

/// Connections to relays that wait a moment for the next message.
final class SMTPConnections: Sendable {
  static let shared = SMTPConnections()
  /// How long a connection waits. Relays count those that stay open for nothing.
  private static let patience = TimeAmount.seconds(15)

  private let waiting = Mutex<[MailServer: [(connection: SMTPConnection, until: Scheduled<Void>)]]>([:])

  func take(_ server: MailServer) -> SMTPConnection {
    let found = waiting.withLock { $0[server]?.popLast() }
    found?.until.cancel()
    return found?.connection ?? SMTPConnection(server: server, loop: MailThreads.loops.next())
  }

  func giveBack(_ connection: SMTPConnection) {
    let until = connection.loop.scheduleTask(in: Self.patience) { self.end(connection) }
    waiting.withLock { $0[connection.server, default: []].append((connection, until)) }
  }

  /// Runs on the connection's own thread.
  private func end(_ connection: SMTPConnection) {
    let isWaiting = waiting.withLock { waiting in
      guard let index = waiting[connection.server]?.firstIndex(where: { $0.connection === connection }) else { return false }
      waiting[connection.server]?.remove(at: index)
      return true
    }
    if isWaiting { connection.assumeIsolated { $0.close() } }
  }
}
