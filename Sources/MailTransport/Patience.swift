/// How long a server may say nothing. It stays on the thread of its exchange.
final class Patience {
  /// In seconds.
  private(set) var silence = 0
  private var moved: ContinuousClock.Instant = .now
  private var bytes = 0

  /// Begins to wait.
  func begin(_ silence: Int) {
    self.silence = silence
    moved = .now
  }

  /// - Parameters: how many bytes came and went so far.
  /// - Returns: whether nothing moved for too long.
  func isOver(_ received: Int, _ sent: Int) -> Bool {
    if received + sent != bytes {
      bytes = received + sent
      moved = .now
    }
    return .now - moved > .seconds(silence)
  }
}
