import Synchronization

/// How far the server is going down.
final class DrainingFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  private let closing = Atomic<Bool>(false)

  /// Whether it still answers, but is no longer ready, and asks clients to connect elsewhere.
  var isRaised: Bool { flag.load(ordering: .relaxed) }

  func raise() { flag.store(true, ordering: .relaxed) }

  /// Whether connections are being closed. Those of which a handshake was under way then have to close by themselves once it ends.
  var isClosing: Bool { closing.load(ordering: .acquiring) }

  func beginClosing() { closing.store(true, ordering: .releasing) }
}
