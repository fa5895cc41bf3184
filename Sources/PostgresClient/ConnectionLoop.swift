import Foundation
import Logging
import Synchronization

/// The one thread that owns all connections of a pool: it waits for their sockets in `poll`, hands work to idle ones, and
/// answers those who wait.
///
/// While that thread waits, another may start a one-shot on an idle connection itself, which spares it waking the loop.
///
/// `@unchecked Sendable`: all that can change is touched only by whoever has the turn, a mutex that the loop's thread gives up while it
/// waits in `poll`; the inbox has a mutex of its own.
final class ConnectionLoop: @unchecked Sendable {
  /// What other threads ask of the loop.
  enum Command {
    case run(OneShot)
    case cancelOneShot(OneShot)
    case request(TransactionSession, TransactionSession.Pending)
    case cancelTransaction(TransactionSession)
    case connected(PostgresPool.Lane, Result<Connector.Handle, PostgresError>)
    case listenerConnected(Result<Connector.Handle, PostgresError>)
    case subscribe(Listener.Subscriber)
    case unsubscribe(Int)
    case statistics(@Sendable (PostgresPool.Statistics) -> Void)
    case shutDown(Deadline, @Sendable () -> Void)
  }

  private struct Inbox {
    var commands: [Command] = []
    /// Whether the loop waits in `poll`, or is about to, and needs a byte through the pipe to see a new command.
    var isSleeping = false
    var isClosed = false
  }

  /// How much longer than its deadline a running statement is given to report what `statement_timeout` did to it, before
  /// the connection is given up.
  static let grace: Int64 = 250_000_000
  /// How long a transaction whose end nobody waits for any more may go on.
  static let windingTime: Int64 = 30_000_000_000
  /// A connection older than this is replaced when it is next idle: server processes grow, and hosts come back.
  static let lifetime: Int64 = 3_600_000_000_000

  /// The longest wait in `poll`: what is started meanwhile and due later than that needs no look at the clock before.
  private static let longestWait: Int64 = 1_000_000_000

  private let turn = Mutex(())
  /// Whether the loop waits in `poll`, so that its turn is worth asking for: a mutex that is taken costs a system call to try.
  private let isWaiting = Atomic(false)
  private let inbox = Mutex(Inbox())
  private let wakeup: Wakeup?
  let configuration: PostgresPool.Configuration
  let connector: Connector
  let logger: Logger

  var lanes: [LaneState]
  var now = Deadline.now
  var listener = Listener()
  var settings = SettingsStatements()
  var connects = 0
  var discards = 0
  private var stop: (deadline: Deadline, completions: [@Sendable () -> Void])?
  private var descriptors: [pollfd] = []
  private var polled: [Connection] = []
  /// When the wait in `poll` ends, if nothing happens.
  private var waitsUntil = Deadline(nanoseconds: 0)

  var isStopping: Bool { stop != nil }

  init(_ configuration: PostgresPool.Configuration, logger: Logger) {
    wakeup = Wakeup()
    self.configuration = configuration
    self.logger = logger
    connector = Connector(configuration)
    lanes = PostgresPool.Lane.allCases.map {
      LaneState(limit: configuration.connections[$0] ?? 0, queueLimit: configuration.queueLimit)
    }
  }

  func start() {
    guard wakeup != nil else {
      logger.error("the process may open no more files; PostgreSQL cannot be reached")
      return inbox.withLock { $0.isClosed = true }
    }
    let thread = Thread { self.run() }
    thread.name = "postgres-loop"
    thread.start()
  }

  /// Hands a command to the loop's thread.
  func submit(_ command: Command) {
    let (isClosed, mustWake) = inbox.withLock { inbox in
      if inbox.isClosed { return (true, false) }
      inbox.commands.append(command)
      defer { inbox.isSleeping = false }
      return (false, inbox.isSleeping)
    }
    if isClosed { refuse(command) }
    if mustWake { wakeup?.wake() }
  }

  /// Runs a one-shot: at once on the calling thread if the loop waits and a connection is idle, otherwise the loop does it.
  func run(_ work: OneShot) {
    let isStarted = isWaiting.load(ordering: .relaxed) && turn.withLockIfAvailable { _ in startAtOnce(work) } == true
    if !isStarted { submit(.run(work)) }
  }

  private func startAtOnce(_ work: OneShot) -> Bool {
    let lane = work.lane.rawValue
    now = .now
    guard !isStopping, work.deadline > now, lanes[lane].waiting == 0, let connection = lanes[lane].idle.popLast() else { return false }
    start(work, on: connection)
    // The wait under way does not know of a socket that is full or closed, nor of an earlier deadline.
    if connection.isClosed || connection.wantsWrite || connection.due ?? .never < waitsUntil { wakeup?.wake() }
    return true
  }

  private func run() {
    var commands: [Command] = []
    var ready: Int32 = 0
    while true {
      let timeout: Int32? = turn.withLock { _ in
        now = .now
        if ready > 0 { serveSockets() }
        inbox.withLock { swap(&$0.commands, &commands) }
        for command in commands { handle(command) }
        commands.removeAll(keepingCapacity: true)
        let next = fireTimers()
        if let stop, stop.deadline <= now || isIdle { return nil }
        return prepareToWait(until: next)
      }
      guard let timeout else { break }
      isWaiting.store(true, ordering: .relaxed)
      ready = poll(&descriptors, nfds_t(descriptors.count), timeout)
      isWaiting.store(false, ordering: .relaxed)
      inbox.withLock { $0.isSleeping = false }
    }
    turn.withLock { _ in end() }
  }

  /// - Returns: how long to wait in `poll`, in milliseconds.
  private func prepareToWait(until next: Deadline) -> Int32 {
    descriptors.removeAll(keepingCapacity: true)
    polled.removeAll(keepingCapacity: true)
    descriptors.append(pollfd(fd: wakeup?.readEnd ?? -1, events: Int16(POLLIN), revents: 0))
    descriptors.append(listener.descriptor)
    for lane in lanes {
      for connection in lane.connections {
        polled.append(connection)
        let events = (connection.wantsRead ? Int16(POLLIN) : 0) | (connection.wantsWrite ? Int16(POLLOUT) : 0)
        descriptors.append(pollfd(fd: connection.socket, events: events, revents: 0))
      }
    }
    let mayWait = inbox.withLock { inbox in
      inbox.isSleeping = inbox.commands.isEmpty
      return inbox.isSleeping
    }
    waitsUntil = mayWait ? min(next, now.adding(Self.longestWait)) : now
    return Int32(waitsUntil.milliseconds(from: now))
  }

  private func serveSockets() {
    if descriptors[0].revents != 0 { wakeup?.clear() }
    if descriptors[1].revents != 0 { serveListener() }
    for (index, connection) in polled.enumerated() where descriptors[index + 2].revents != 0 && !connection.isClosed {
      serve(connection)
    }
  }

  private func handle(_ command: Command) {
    switch command {
    case .run(let work):
      if isStopping { work.complete(.failure(Self.stopped)) } else { acquire(for: .oneShot(work), lane: work.lane) }
    case .cancelOneShot(let work): cancel(work)
    case .request(let session, let pending): receive(pending, from: session)
    case .cancelTransaction(let session): cancel(session)
    case .connected(let lane, let result): connected(lane, result)
    case .listenerConnected(let result): listenerConnected(result)
    case .subscribe(let subscriber): subscribe(subscriber)
    case .unsubscribe(let id): listener.remove(id)
    case .statistics(let completion): completion(statistics)
    case .shutDown(let deadline, let completion):
      stop = (min(deadline, stop?.deadline ?? deadline), (stop?.completions ?? []) + [completion])
    }
  }

  static let stopped = PostgresError(.usage, "the connections to PostgreSQL are being closed")

  /// Answers a command that comes after the loop has ended.
  private func refuse(_ command: Command) {
    switch command {
    case .run(let work): work.complete(.failure(Self.stopped))
    case .request(_, let pending): pending.completion(.failure(Self.stopped))
    case .connected(_, let result), .listenerConnected(let result): if case .success(let handle) = result { handle.close() }
    case .subscribe(let subscriber): subscriber.continuation.finish()
    case .statistics(let completion): completion(PostgresPool.Statistics())
    case .shutDown(_, let completion): completion()
    case .cancelOneShot, .cancelTransaction, .unsubscribe: break
    }
  }

  private var isIdle: Bool {
    lanes.allSatisfy { $0.waiting == 0 && $0.idle.count == $0.connections.count }
  }

  private func end() {
    for index in lanes.indices {
      for waiter in lanes[index].remove(where: { _ in true }) { waiter.fail(Self.stopped) }
      for connection in lanes[index].connections { giveUp(connection, Self.stopped) }
    }
    listener.close()
    let rest = inbox.withLock { inbox in
      inbox.isClosed = true
      return inbox.commands
    }
    for command in rest { refuse(command) }
    wakeup?.close()
    for completion in stop?.completions ?? [] { completion() }
  }

  private var statistics: PostgresPool.Statistics {
    var statistics = PostgresPool.Statistics()
    statistics.connects = connects
    statistics.discards = discards
    for lane in PostgresPool.Lane.allCases {
      let state = lanes[lane.rawValue]
      statistics.lanes[lane] = .init(
        idle: state.idle.count, busy: state.connections.count - state.idle.count, connecting: state.connecting,
        waiting: state.waiting)
    }
    return statistics
  }
}

// MARK: - Time

extension ConnectionLoop {
  /// Does what is due.
  /// - Returns: when something will be due next.
  private func fireTimers() -> Deadline {
    var next = stop?.deadline ?? .never
    for lane in PostgresPool.Lane.allCases {
      if lanes[lane.rawValue].earliestDeadline <= now { expireWaiters(lane) }
      for connection in lanes[lane.rawValue].connections {
        if let due = connection.due, due <= now { expire(connection) }
      }
      connectIfNeeded(lane)
      let state = lanes[lane.rawValue]
      next = min(next, state.earliestDeadline)
      if state.waiting > 0, state.nextAttempt > now { next = min(next, state.nextAttempt) }
      for connection in state.connections { next = min(next, connection.due ?? .never) }
    }
    return min(next, connectListenerIfNeeded())
  }

  private func expireWaiters(_ lane: PostgresPool.Lane) {
    for waiter in lanes[lane.rawValue].remove(where: { [now] in $0.deadline <= now }) {
      var error = PostgresError(.timeout, "no connection became free before the deadline")
      if lanes[lane.rawValue].connections.isEmpty, let reason = lanes[lane.rawValue].connectError { error = reason }
      waiter.fail(error)
    }
  }

  /// Ends what a connection is doing past its deadline.
  private func expire(_ connection: Connection) {
    switch connection.use {
    case .idle: break
    case .winding: discard(connection)
    case .oneShot(let work):
      if work.context.readOnly {
        work.complete(.failure(Self.timeout))
        cancelAndDiscard(connection)
      } else {
        // Its end may be under way, and a COMMIT is never cancelled.
        work.complete(.failure(Self.outcomeUnknown))
        wind(connection)
      }
    case .transaction(let session): expire(session, on: connection)
    }
  }

  static let timeout = PostgresError(.timeout, "the deadline passed and the statement was stopped")
  static let outcomeUnknown = PostgresError(
    .outcomeUnknown, "the end of the transaction was not seen; it may or may not have been committed")
  static let cancelled = PostgresError(.cancelled, "the waiting task was cancelled")
  static let lost = PostgresError(.connection, "the connection to the server was lost")
}
