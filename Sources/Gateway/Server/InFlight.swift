import Synchronization

/// Counts the requests being answered by the whole process, up to a limit.
final class InFlight: Sendable {
  private let limit: Int
  private let counter = Atomic<Int>(0)

  init(limit: Int) {
    self.limit = limit
  }

  var count: Int { counter.load(ordering: .relaxed) }

  /// False when the limit is reached.
  func enter() -> Bool {
    if counter.wrappingAdd(1, ordering: .relaxed).newValue <= limit { return true }
    counter.wrappingSubtract(1, ordering: .relaxed)
    return false
  }

  func leave() {
    counter.wrappingSubtract(1, ordering: .relaxed)
  }
}
