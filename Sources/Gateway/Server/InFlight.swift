import Synchronization

/// Counts the requests being answered by the whole process, up to a limit.
final class InFlight: Sendable {
  private let limit: Int
  private let counter = Atomic<Int>(0)

  init(limit: Int) {
    self.limit = limit
  }

  var count: Int { counter.load(ordering: .relaxed) }

  /// Counts one more; false when the limit is reached, which only operators' requests may pass.
  func enter(isForOperators: Bool) -> Bool {
    if counter.wrappingAdd(1, ordering: .relaxed).newValue <= limit || isForOperators { return true }
    counter.wrappingSubtract(1, ordering: .relaxed)
    return false
  }

  func leave() {
    counter.wrappingSubtract(1, ordering: .relaxed)
  }
}
