import Synchronization

/// Whether the server is going down: it still answers, is no longer ready, and asks clients to connect elsewhere.
final class DrainingFlag: Sendable {
  private let flag = Atomic<Bool>(false)

  var isRaised: Bool { flag.load(ordering: .relaxed) }

  func raise() { flag.store(true, ordering: .relaxed) }
}
