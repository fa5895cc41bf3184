/// An interactive transaction as the connection loop sees it.
///
/// `@unchecked Sendable`: what can change belongs to whoever has the connection loop's turn.
final class TransactionSession: @unchecked Sendable {
  enum Request {
    case statements([SQL], Pipeline.StatementName)
    case commit
    case rollback
    case copyIn(SQL)
    case copyData([UInt8])
    case copyEnd(isAborted: Bool)
    case copyOut(SQL)
    case copyRead
  }

  enum Reply {
    case results([PostgresResult])
    /// A piece of a COPY; nil at its end.
    case data([UInt8]?)
  }

  struct Pending {
    let request: Request
    let completion: @Sendable (Result<Reply, PostgresError>) -> Void
  }

  enum Phase {
    /// No statement has been run yet, so there is no connection.
    case unstarted
    case waiting
    case open(Connection)
    /// It is over, or lost; the error is what every further request is told.
    case ended(PostgresError)
  }

  let context: PostgresPool.Context
  let lane: PostgresPool.Lane
  let deadline: Deadline
  let isolation: PostgresPool.Isolation

  var phase: Phase = .unstarted
  /// Whether BEGIN and the settings have been run.
  var hasBegun = false
  /// Whether the first statement was run again because a prepared statement had gone stale.
  var isReplanned = false
  var current: Pending?
  var queue: [Pending] = []
  /// The error that made the transaction fail; COMMIT reports it if nobody undid it through a savepoint.
  var failure: PostgresError?

  init(context: PostgresPool.Context, lane: PostgresPool.Lane, deadline: Deadline, isolation: PostgresPool.Isolation) {
    self.context = context
    self.lane = lane
    self.deadline = deadline
    self.isolation = isolation
  }

  var isCommitting: Bool { if case .commit = current?.request { true } else { false } }

  /// BEGIN with the isolation and mode of this transaction.
  var begin: StaticString {
    switch (isolation, context.readOnly) {
    case (.readCommitted, false): "BEGIN"
    case (.readCommitted, true): "BEGIN READ ONLY"
    case (.repeatableRead, false): "BEGIN ISOLATION LEVEL REPEATABLE READ"
    case (.repeatableRead, true): "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    case (.serializable, false): "BEGIN ISOLATION LEVEL SERIALIZABLE"
    case (.serializable, true): "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY"
    }
  }

  /// Answers the request under way.
  func reply(_ result: Result<Reply, PostgresError>) {
    let waiting = current
    current = nil
    waiting?.completion(result)
  }

  /// Ends the transaction; the request under way and those behind it are told `error`.
  func end(_ error: PostgresError) {
    phase = .ended(error)
    let waiting = queue
    queue = []
    reply(.failure(error))
    for pending in waiting { pending.completion(.failure(error)) }
  }
}
