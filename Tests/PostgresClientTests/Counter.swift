import Synchronization

/// Counts across tasks.
final class Counter: Sendable {
  private let count = Atomic(0)

  var value: Int { count.load(ordering: .relaxed) }

  func increment() { count.add(1, ordering: .relaxed) }

  /// The next number from 1 on; nil beyond the limit.
  func next(upTo limit: Int) -> Int? {
    let number = count.add(1, ordering: .relaxed).newValue
    return number <= limit ? number : nil
  }
}
