internal import CLibPQ
import Logging

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The connection that listens, and who is told what arrives. Belongs to the connection loop.
struct Listener {
  struct Subscriber: Sendable {
    let id: Int
    let channels: Set<String>
    let continuation: AsyncStream<PostgresNotification>.Continuation

    func tell(_ notification: PostgresNotification) {
      // What is dropped because the reader is behind is a gap like any other.
      if case .dropped = continuation.yield(notification) { continuation.yield(.reconnected) }
    }
  }

  enum State {
    case disconnected
    case connecting
    /// LISTEN was sent for these subscribers.
    case subscribing(OpaquePointer, Set<Int>)
    case listening(OpaquePointer)
  }

  var state: State = .disconnected
  var failures = 0
  var nextAttempt = Deadline(nanoseconds: 0)
  private(set) var subscribers: [Int: Subscriber] = [:]
  /// Those who have been told that listening has begun.
  private(set) var told: Set<Int> = []

  var connection: OpaquePointer? {
    switch state {
    case .disconnected, .connecting: nil
    case .subscribing(let pg, _), .listening(let pg): pg
    }
  }

  /// What `poll` waits for; nothing while there is no connection.
  var descriptor: pollfd { pollfd(fd: connection.map { PQsocket($0) } ?? -1, events: Int16(POLLIN), revents: 0) }

  mutating func add(_ subscriber: Subscriber) { subscribers[subscriber.id] = subscriber }

  mutating func remove(_ id: Int) {
    subscribers[id] = nil
    told.remove(id)
  }

  /// Sends LISTEN for those who are not listened for yet.
  /// - Returns: false if the connection is lost.
  mutating func listen() -> Bool {
    guard case .listening(let pg) = state else { return true }
    let new = subscribers.values.filter { !told.contains($0.id) }
    if new.isEmpty { return true }
    var statement = ""
    for channel in new.reduce(into: Set<String>(), { $0.formUnion($1.channels) }) {
      guard let quoted = PQescapeIdentifier(pg, channel, channel.utf8.count) else { return false }
      statement += "LISTEN \(String(cString: quoted));"
      PQfreemem(quoted)
    }
    state = .subscribing(pg, Set(new.map(\.id)))
    return PQsendQuery(pg, statement) == 1
  }

  /// Takes in what has arrived.
  /// - Returns: false if the connection is lost.
  mutating func receive() -> Bool {
    guard let pg = connection, PQconsumeInput(pg) == 1 else { return false }
    if case .subscribing(_, let ids) = state {
      while PQisBusy(pg) == 0 {
        guard let result = PQgetResult(pg) else {
          state = .listening(pg)
          told.formUnion(ids.filter { subscribers[$0] != nil })
          for id in ids { subscribers[id]?.tell(.reconnected) }
          break
        }
        let isRefused = PQresultStatus(result) == PGRES_FATAL_ERROR
        PQclear(result)
        if isRefused { return false }
      }
    }
    while let notification = PQnotifies(pg) {
      let channel = String(cString: notification.pointee.relname)
      let payload = String(cString: notification.pointee.extra)
      PQfreemem(notification)
      for subscriber in subscribers.values where subscriber.channels.contains(channel) {
        subscriber.tell(.received(channel: channel, payload: payload))
      }
    }
    return PQstatus(pg) == CONNECTION_OK && listen()
  }

  /// Gives the connection up; listening begins again at the next attempt.
  mutating func disconnect(at now: Deadline) {
    if let connection { PQfinish(connection) }
    state = .disconnected
    told = []
    failures = min(failures + 1, 5)
    nextAttempt = now.adding(Int64(Double(min(500, 25 << failures)) * Double.random(in: 0.5...1) * 1_000_000))
  }

  mutating func close() {
    if let connection { PQfinish(connection) }
    state = .disconnected
    for subscriber in subscribers.values { subscriber.continuation.finish() }
    subscribers = [:]
  }
}

extension ConnectionLoop {
  func subscribe(_ subscriber: Listener.Subscriber) {
    if isStopping { return subscriber.continuation.finish() }
    listener.add(subscriber)
    if !listener.listen() { listener.disconnect(at: now) }
  }

  /// Opens the listening connection when someone wants to listen.
  /// - Returns: when to try again.
  func connectListenerIfNeeded() -> Deadline {
    guard case .disconnected = listener.state, !listener.subscribers.isEmpty, !isStopping else { return .never }
    if listener.nextAttempt > now { return listener.nextAttempt }
    listener.state = .connecting
    connector.connect { self.submit(.listenerConnected($0)) }
    return .never
  }

  func listenerConnected(_ result: Result<Connector.Handle, PostgresError>) {
    switch result {
    case .failure(let error):
      logger.warning("no connection to PostgreSQL", metadata: ["lane": "listen", "reason": "\(error.message)"])
      listener.disconnect(at: now)
    case .success(let handle):
      listener.state = .listening(handle.pg)
      listener.failures = 0
      logNotices(of: handle)
      if PQsetnonblocking(handle.pg, 1) != 0 || !listener.listen() { listener.disconnect(at: now) }
    }
  }

  func serveListener() {
    if !listener.receive() {
      logger.info("connection to PostgreSQL lost", metadata: ["lane": "listen"])
      listener.disconnect(at: now)
    }
  }
}
