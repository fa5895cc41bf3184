/// The connections of one lane and those who wait for one, first come, first served.
struct LaneState {
  enum Waiter {
    case oneShot(OneShot)
    case transaction(TransactionSession)

    var deadline: Deadline {
      switch self {
      case .oneShot(let work): work.deadline
      case .transaction(let session): session.deadline
      }
    }

    func fail(_ error: PostgresError) {
      switch self {
      case .oneShot(let work): work.complete(.failure(error))
      case .transaction(let session): session.end(error)
      }
    }
  }

  let limit: Int
  let queueLimit: Int
  /// The most recently used last, so that few stay warm when there is little to do.
  var idle: [Connection] = []
  var connections: [Connection] = []
  /// Attempts to connect that are under way.
  var connecting = 0
  /// Attempts that have failed since the last that succeeded.
  var failures = 0
  /// Why the last attempt failed; nil if it succeeded.
  var connectError: PostgresError?
  /// When a failure may be logged again: one outage is one trouble, though it is met several times a second.
  private var nextReport = Deadline(nanoseconds: 0)
  /// When to try again.
  var nextAttempt = Deadline(nanoseconds: 0)

  private var queue: [Waiter?] = []
  private var head = 0
  private(set) var waiting = 0
  /// No waiter's deadline is earlier than this.
  private(set) var earliestDeadline = Deadline.never

  init(limit: Int, queueLimit: Int) {
    self.limit = limit
    self.queueLimit = queueLimit
  }

  /// Whether one more connection should be opened for those who wait.
  func shouldConnect(at now: Deadline) -> Bool {
    waiting > connecting && connections.count + connecting < limit && connecting < 4 && nextAttempt <= now
  }

  /// - Returns: false if too many wait already.
  mutating func enqueue(_ waiter: Waiter) -> Bool {
    guard waiting < queueLimit else { return false }
    queue.append(waiter)
    waiting += 1
    earliestDeadline = min(earliestDeadline, waiter.deadline)
    return true
  }

  mutating func dequeue() -> Waiter? {
    while head < queue.count {
      let waiter = queue[head]
      queue[head] = nil
      head += 1
      if let waiter {
        waiting -= 1
        compact()
        return waiter
      }
    }
    compact()
    return nil
  }

  /// Takes out all waiters for whom `matches` holds.
  mutating func remove(where matches: (Waiter) -> Bool) -> [Waiter] {
    var removed: [Waiter] = []
    earliestDeadline = .never
    for index in head..<queue.count {
      guard let waiter = queue[index] else { continue }
      if matches(waiter) {
        removed.append(waiter)
        queue[index] = nil
        waiting -= 1
      } else {
        earliestDeadline = min(earliestDeadline, waiter.deadline)
      }
    }
    compact()
    return removed
  }

  private mutating func compact() {
    if waiting == 0 {
      queue.removeAll(keepingCapacity: true)
      head = 0
      earliestDeadline = .never
    } else if head > 1_024, head * 2 > queue.count {
      queue.removeFirst(head)
      head = 0
    }
  }

  /// Notes that an attempt to connect failed: the next follows after 50 ms, 100 ms, … half a second, give or take.
  mutating func connectFailed(_ error: PostgresError, at now: Deadline) {
    connecting -= 1
    connectError = error
    failures = min(failures + 1, 5)
    let milliseconds = Double(min(500, 25 << failures)) * Double.random(in: 0.5...1)
    nextAttempt = Deadline(nanoseconds: now.nanoseconds + Int64(milliseconds * 1_000_000))
  }

  mutating func connectSucceeded() {
    connecting -= 1
    failures = 0
    connectError = nil
    nextReport = Deadline(nanoseconds: 0)
  }

  /// Whether a failed attempt is to be logged, which is for the first, for one that has another reason than the one before, and then every ten seconds.
  mutating func shouldReport(_ error: PostgresError, at now: Deadline) -> Bool {
    guard nextReport <= now || connectError?.message != error.message else { return false }
    nextReport = Deadline(nanoseconds: now.nanoseconds + 10_000_000_000)
    return true
  }
}
