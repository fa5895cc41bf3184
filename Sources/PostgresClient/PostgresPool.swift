package import Logging
import Synchronization

/// Connections to one database, shared by all tasks of the program.
package final class PostgresPool: Sendable {
  /// Work that shall not starve other work has connections of its own.
  package enum Lane: Int, Sendable, Hashable, CaseIterable {
    case interactive, jobs, reports, health
  }

  /// How to connect, and how many connections and waiters there may be.
  package struct Configuration: Sendable {
    /// A libpq connection string, `postgresql://…` or `host=… dbname=…`. It may name several hosts, and any `sslmode`.
    package var connection: String
    /// The most connections of each lane.
    package var connections: [Lane: Int]
    /// The most callers of a lane that may wait for a connection; one more is told `.queueFull`.
    package var queueLimit: Int
    /// The most prepared statements a connection keeps; 0 prepares none, for poolers that cannot.
    package var preparedStatements: Int
    /// How long a statement waits for a lock.
    package var lockTimeout: Duration
    /// How long one host may take to accept a connection.
    package var connectTimeout: Duration
    /// Shown in `pg_stat_activity`.
    package var applicationName: String

    package init(
      connection: String,
      connections: [Lane: Int] = [.interactive: 8, .jobs: 4, .reports: 2, .health: 1],
      queueLimit: Int = 1_000,
      preparedStatements: Int = 256,
      lockTimeout: Duration = .seconds(2),
      connectTimeout: Duration = .seconds(3),
      applicationName: String = "muhatap"
    ) {
      self.connection = connection
      self.connections = connections
      self.queueLimit = queueLimit
      self.preparedStatements = preparedStatements
      self.lockTimeout = lockTimeout
      self.connectTimeout = connectTimeout
      self.applicationName = applicationName
    }
  }

  /// What a transaction runs as: settings that last until its end and are set in the same flush as its first statement.
  package struct Context: Sendable {
    package struct Setting: Sendable {
      package let name: StaticString
      package let value: String

      package init(_ name: StaticString, _ value: String) {
        self.name = name
        self.value = value
      }
    }

    package var settings: [Setting]
    package var readOnly: Bool

    package init(settings: [Setting] = [], readOnly: Bool) {
      self.settings = settings
      self.readOnly = readOnly
    }
  }

  package enum Isolation: Sendable, Hashable {
    case readCommitted, repeatableRead, serializable
  }

  private let loop: ConnectionLoop
  private let subscribers = Atomic(0)

  /// Starts the connection loop. Connections are opened when they are first needed; a connection string that cannot be
  /// read is reported by everything that would need one.
  package init(_ configuration: Configuration, logger: Logger) {
    loop = ConnectionLoop(configuration, logger: logger)
    loop.start()
  }

  deinit {
    loop.submit(.shutDown(.now) {})
  }

  /// Statements on their way, to be given up when nobody wants their result any more.
  package struct Execution: Sendable {
    fileprivate let loop: ConnectionLoop
    fileprivate let work: OneShot

    /// Stops the statements; `completion` is told `.cancelled`, unless it was too late.
    package func cancel() { loop.submit(.cancelOneShot(work)) }
  }

  /// Runs `statements` in one transaction and one flush.
  ///
  /// - Parameter completion: called once, on the connection loop's thread or the calling one: it must be quick and must not wait.
  @discardableResult
  package func execute(
    _ statements: [SQL], context: Context, lane: Lane = .interactive, deadline: Deadline,
    completion: @escaping @Sendable (Result<[PostgresResult], PostgresError>) -> Void
  ) -> Execution {
    let work = OneShot(statements: statements, context: context, lane: lane, deadline: deadline, completion: completion)
    do {
      for statement in statements { try statement.checkBinds() }
      try context.check()
      loop.run(work)
    } catch {
      work.complete(.failure(error))
    }
    return Execution(loop: loop, work: work)
  }

  /// Runs `statements` in one transaction and one flush. Cancelling the task cancels them.
  package func execute(
    _ statements: [SQL], context: Context, lane: Lane = .interactive, deadline: Deadline
  ) async throws(PostgresError) -> [PostgresResult] {
    for statement in statements { try statement.checkBinds() }
    try context.check()
    let handle = OneShotHandle()
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let work = OneShot(statements: statements, context: context, lane: lane, deadline: deadline) {
          continuation.resume(returning: $0)
        }
        if handle.begin(work) {
          loop.submit(.run(work))
        } else {
          work.complete(.failure(ConnectionLoop.cancelled))
        }
      }
    } onCancel: {
      if let work = handle.cancel() { loop.submit(.cancelOneShot(work)) }
    }
    return try result.get()
  }

  /// Runs `body` in one transaction, which is committed when it returns and rolled back when it throws. The connection is
  /// taken when the first statement is run.
  ///
  /// - Parameter retries: run `body` again, at most four times, after a serialization failure, a deadlock or a connection lost
  ///   before COMMIT. Only for a body whose effects are all in the database.
  @discardableResult
  package func transaction<R: Sendable>(
    context: Context, lane: Lane = .interactive, deadline: Deadline, isolation: Isolation = .readCommitted,
    retries: Bool = false, _ body: @Sendable (PostgresTransaction) async throws -> R
  ) async throws -> R {
    try context.check()
    var attempt = 0
    while true {
      do {
        return try await runOnce(context, lane, deadline, isolation, body)
      } catch let error as PostgresError where retries && attempt < 4 && error.mayRunAgain {
        attempt += 1
        try await Task.sleep(for: .milliseconds(Double(5 << attempt) * Double.random(in: 0.5...1.5)))
      }
    }
  }

  private func runOnce<R: Sendable>(
    _ context: Context, _ lane: Lane, _ deadline: Deadline, _ isolation: Isolation,
    _ body: @Sendable (PostgresTransaction) async throws -> R
  ) async throws -> R {
    let session = TransactionSession(context: context, lane: lane, deadline: deadline, isolation: isolation)
    let transaction = PostgresTransaction(loop: loop, session: session)
    return try await withTaskCancellationHandler {
      do {
        let value = try await body(transaction)
        _ = try await transaction.perform(.commit)
        return value
      } catch {
        _ = try await transaction.perform(.rollback)
        throw error
      }
    } onCancel: {
      transaction.cancel()
    }
  }

  /// What is sent to `channels` from now on. An event `.reconnected` comes first, and whenever notifications may have been
  /// missed because the connection was lost or the reader was more than a thousand behind.
  package func notifications(on channels: [StaticString]) -> AsyncStream<PostgresNotification> {
    let (stream, continuation) = AsyncStream.makeStream(of: PostgresNotification.self, bufferingPolicy: .bufferingNewest(1_000))
    let id = subscribers.add(1, ordering: .relaxed).newValue
    continuation.onTermination = { [loop] _ in loop.submit(.unsubscribe(id)) }
    loop.submit(.subscribe(.init(id: id, channels: Set(channels.map(\.description)), continuation: continuation)))
    return stream
  }

  package struct Statistics: Sendable, Hashable {
    package struct Lane: Sendable, Hashable {
      package var idle = 0
      package var busy = 0
      package var connecting = 0
      package var waiting = 0
    }
    package var lanes: [PostgresPool.Lane: Lane] = [:]
    /// Connections made since the start.
    package var connects = 0
    /// Connections given up since the start: lost, cancelled or worn out.
    package var discards = 0
  }

  package func statistics() async -> Statistics {
    await withCheckedContinuation { continuation in
      loop.submit(.statistics { continuation.resume(returning: $0) })
    }
  }

  /// Lets running transactions end until `deadline`, refuses new ones, and closes all connections.
  package func shutdown(deadline: Deadline = .after(.seconds(10))) async {
    await withCheckedContinuation { continuation in
      loop.submit(.shutDown(deadline) { continuation.resume() })
    }
  }
}

/// What arrives on the channels listened to.
package enum PostgresNotification: Sendable, Hashable {
  case received(channel: String, payload: String)
  /// Listening has begun, or begun again after a gap: whatever the notifications tell about may have changed.
  case reconnected
}

extension PostgresPool.Context {
  /// - Throws: `PostgresError` of kind `.encoding` if a setting cannot be sent.
  func check() throws(PostgresError) {
    for setting in settings where setting.value.containsNUL {
      throw PostgresError(.encoding, "setting \(setting.name): \(Bind.Refusal.containsNUL.message)")
    }
  }
}
