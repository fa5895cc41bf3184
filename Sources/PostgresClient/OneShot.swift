import Synchronization

/// Statements that are run in one flush and one transaction, and who waits for them.
///
/// `@unchecked Sendable`: what can change belongs to whoever has the connection loop's turn.
final class OneShot: @unchecked Sendable {
  let statements: [SQL]
  let context: PostgresPool.Context
  let lane: PostgresPool.Lane
  let deadline: Deadline

  private var completion: (@Sendable (Result<[PostgresResult], PostgresError>) -> Void)?
  /// Whether it was run again because a prepared statement had gone stale.
  var isReplanned = false
  /// Whether it was run again because the connection broke.
  var isResent = false
  /// Whether the server was asked to cancel it.
  var isBeingCancelled = false

  init(
    statements: [SQL], context: PostgresPool.Context, lane: PostgresPool.Lane, deadline: Deadline,
    completion: @escaping @Sendable (Result<[PostgresResult], PostgresError>) -> Void
  ) {
    self.statements = statements
    self.context = context
    self.lane = lane
    self.deadline = deadline
    self.completion = completion
  }

  /// Answers whoever waits; only the first answer counts.
  func complete(_ result: Result<[PostgresResult], PostgresError>) {
    completion?(result)
    completion = nil
  }
}

/// Ties a one-shot to the task that waits for it, which may be cancelled before, while or after it is handed to the loop.
final class OneShotHandle: Sendable {
  private enum State {
    case unstarted
    case running(OneShot)
    case cancelled
  }

  private let state = Mutex(State.unstarted)

  /// - Returns: false if the task is cancelled already.
  func begin(_ work: OneShot) -> Bool {
    state.withLock {
      if case .cancelled = $0 { return false }
      $0 = .running(work)
      return true
    }
  }

  /// - Returns: what was begun and is now to be cancelled.
  func cancel() -> OneShot? {
    state.withLock { state in
      defer { state = .cancelled }
      return if case .running(let work) = state { work } else { nil }
    }
  }
}
