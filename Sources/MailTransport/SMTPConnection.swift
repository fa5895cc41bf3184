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

  private struct State {
    var waiting: [MailServer: [(connection: SMTPConnection, until: Scheduled<Void>)]] = [:]
    /// How many connections each thread has. libcurl blocks it, so that one to a server that hangs holds up the others there.
    var connections: [ObjectIdentifier: Int] = [:]
  }

  private let state = Mutex(State())
  private let loops = Array(MailThreads.loops.makeIterator())

  /// One that waits, else a new one on the thread that has the fewest. It is given back or dropped.
  func take(_ server: MailServer) -> SMTPConnection {
    let (connection, until) = state.withLock { state -> (SMTPConnection, Scheduled<Void>?) in
      if let found = state.waiting[server]?.popLast() { return (found.connection, found.until) }
      let counts = state.connections
      let loop = loops.min { counts[ObjectIdentifier($0), default: 0] < counts[ObjectIdentifier($1), default: 0] } ?? MailThreads.loops.next()
      state.connections[ObjectIdentifier(loop), default: 0] += 1
      return (SMTPConnection(server: server, loop: loop), nil)
    }
    until?.cancel()
    return connection
  }

  /// For one over which a message went.
  func giveBack(_ connection: SMTPConnection) {
    let until = connection.loop.scheduleTask(in: Self.patience) { self.end(connection) }
    state.withLock { $0.waiting[connection.server, default: []].append((connection, until)) }
  }

  /// For one that failed: nobody knows where its conversation stands.
  func drop(_ connection: SMTPConnection) {
    state.withLock { $0.connections[ObjectIdentifier(connection.loop), default: 1] -= 1 }
  }

  /// Runs on the connection's own thread.
  private func end(_ connection: SMTPConnection) {
    let isWaiting = state.withLock { state in
      guard let index = state.waiting[connection.server]?.firstIndex(where: { $0.connection === connection }) else { return false }
      state.waiting[connection.server]?.remove(at: index)
      state.connections[ObjectIdentifier(connection.loop), default: 1] -= 1
      return true
    }
    if isWaiting { connection.assumeIsolated { $0.close() } }
  }
}
